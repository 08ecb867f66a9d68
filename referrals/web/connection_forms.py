"""A connection's form: its name, its provider's secrets, which are never filled in again, and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from integrations import registry, services, setup
from integrations.base import Provider, SettingField
from integrations.models import Connection


def setting_field(field: SettingField) -> forms.Field:
    """The form's field for a setting; what it may be is checked by integrations.setup."""
    common: dict[str, Any] = {"label": field.label, "help_text": field.hint, "required": field.required}
    if field.choices:
        # One of them always holds, unless there is one for none.
        common["required"] = all(name for name, _label in field.choices)
        return forms.ChoiceField(choices=field.choices, **common)
    attrs = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off", "dir": "ltr"}
    if field.lines:
        return forms.CharField(widget=forms.Textarea(attrs={**attrs, "rows": 4}), **common)
    return forms.CharField(max_length=field.limit, widget=forms.TextInput(attrs=attrs), **common)


class ConnectionForm(forms.Form):
    """Name, secrets, and those settings that have no page of their own."""

    label = forms.CharField(
        label=lazy("Name"),
        max_length=80,
        required=False,
        help_text=lazy("Only for you, such as the shop it belongs to."),
    )

    def __init__(self, provider: Provider, *args: Any, saved: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.provider = provider
        for secret in self._asked():
            kept = _("Saved. Leave it empty to keep it.") if secret.name in saved and secret.is_secret else ""
            attrs = {"autocomplete": "off", "spellcheck": "false", "dir": "ltr"}
            self.fields[secret.name] = forms.CharField(
                label=secret.label,
                required=secret.required and secret.name not in saved and not secret.unless,
                max_length=500,
                help_text=f"{kept} {secret.hint}".strip(),
                initial=None if secret.is_secret else saved.get(secret.name),
                widget=forms.PasswordInput(attrs=attrs) if secret.is_secret else forms.TextInput(attrs=attrs),
            )
            if secret.name in saved and not secret.required:
                self.fields[f"remove_{secret.name}"] = forms.BooleanField(
                    label=_("Remove the %(what)s") % {"what": secret.label}, required=False
                )
        for field in () if provider.tries_samples else provider.settings:
            self.fields[field.name] = setting_field(field)

    @classmethod
    def of(cls, row: Connection, data: Mapping[str, Any] | None = None) -> ConnectionForm:
        """The form of a connection, filled in as it is saved, or with what was sent."""
        initial = {"label": row.label, **setup.settings_of(row)}
        return cls(registry.get(row.provider), data, saved=services.secrets_of(row), initial=initial)

    def _asked(self) -> list[Any]:
        return [secret for secret in self.provider.secrets if secret.name != self.provider.address_key]

    def secrets(self) -> dict[str, str]:
        """What was pasted, by name."""
        return {secret.name: self.cleaned_data.get(secret.name, "") for secret in self._asked()}

    def removed(self) -> tuple[str, ...]:
        """Which optional secrets are to go."""
        return tuple(secret.name for secret in self._asked() if self.cleaned_data.get(f"remove_{secret.name}"))

    def settings(self) -> dict[str, str] | None:
        """The settings of this form; None when it has none."""
        names = [field.name for field in self.provider.settings if field.name in self.fields]
        return {name: self.cleaned_data.get(name, "") for name in names} if names else None


class MappingForm(forms.Form):
    """All settings of a provider whose messages are read by a mapping, and a sample to try them on."""

    def __init__(self, provider: Provider, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.provider = provider
        for field in provider.settings:
            self.fields[field.name] = setting_field(field)
        self.fields["sample"] = forms.CharField(
            label=_("A message to try it on"),
            help_text=_("JSON as your system sends it. It is not kept."),
            required=False,
            max_length=100_000,
            widget=forms.Textarea(attrs={"rows": 16, "spellcheck": "false", "dir": "ltr"}),
        )

    def settings(self) -> dict[str, str]:
        """The settings that were sent."""
        return {field.name: self.cleaned_data.get(field.name, "") for field in self.provider.settings}

    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The settings under their headings, for the page."""
        found: dict[str, list[forms.BoundField]] = {}
        for field in self.provider.settings:
            found.setdefault(str(field.group), []).append(self[field.name])
        return list(found.items())

    def add_refusal(self, field: str, message: str) -> None:
        """Say it at the field that it is about, else above the form."""
        self.add_error(field if field in self.fields else None, message)


class InstallForm(forms.Form):
    """The one field of the way by a click: whose account, as far as it is known."""

    def __init__(self, provider: Provider, *, known: str) -> None:
        super().__init__(auto_id="install-%s")
        field = next(field for field in provider.secrets if field.name == provider.install_field)
        attrs = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false", "dir": "ltr"}
        self.fields["whose"] = forms.CharField(
            label=field.label,
            help_text=str(field.hint),
            initial=known,
            max_length=200,
            widget=forms.TextInput(attrs=attrs),
        )
