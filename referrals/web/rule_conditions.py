"""A rule's attribute conditions as rows of a form: tests, and groups of tests. What stands deeper is kept as it is and shown as text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from campaigns.conditions import (
    FIELDS,
    NUMERIC,
    Comparison,
    ConditionsError,
    Group,
    comparison_to_json,
    conditions_from_json,
    conditions_to_json,
)
from campaigns.wording import ATTRIBUTES, MODES, OPERATORS, conditions_words
from referrals.web.rule_rows import rows_of

GROUPS = {
    "event": lazy("The event"),
    "invitee": lazy("The friend"),
    "referrer": lazy("The referrer"),
    "campaign": lazy("The campaign"),
}
LISTED = frozenset({"one_of", "none_of"})


def what_choices() -> list[tuple[Any, list[tuple[str, Any]]]]:
    """Every attribute by its entity; a field of the merchant's own by its name beside it."""
    found: list[tuple[Any, list[tuple[str, Any]]]] = []
    for of, names in FIELDS.items():
        options: list[tuple[str, Any]] = [(f"{of}.{name}", _capital(str(ATTRIBUTES[of, name]))) for name in names]
        if of != "campaign":
            options.append((f"{of}.metadata", _("A field of your own")))
        found.append((GROUPS[of], options))
    return found


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


class TestForm(forms.Form):
    """One test: which attribute, how it is compared, and with what. Empty values leave the row out."""

    __test__ = False  # no test of pytest's

    what = forms.ChoiceField(label=lazy("What"), choices=what_choices)
    name = forms.CharField(
        label=lazy("Name of your field"),
        required=False,
        max_length=71,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    op = forms.ChoiceField(label=lazy("Comparison"), choices=list(OPERATORS.items()))
    value = forms.CharField(
        label=lazy("Value"),
        required=False,
        max_length=20_000,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.use_required_attribute = False
        self.is_left_out = not str(self["value"].value() or "").strip() and not str(self["name"].value() or "").strip()

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if str(data.get("what", "")).endswith(".metadata") and not data.get("name") and not self.is_left_out:
            self.add_error("name", _("Enter the name of the field, as it is sent to us."))
        if data.get("op") in NUMERIC and "value" in data and not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", data["value"]):
            if not self.is_left_out:
                self.add_error("value", _("“%(text)s” is not a number.") % {"text": data["value"][:40]})
        elif not data.get("value") and not self.is_left_out and "value" in data:
            self.add_error("value", _("Enter what to compare with."))
        return data

    def as_json(self) -> dict[str, Any]:
        """The row as a condition of API.md. A list is typed with commas between its values."""
        data = self.cleaned_data
        of, _dot, name = data["what"].partition(".")
        if name == "metadata":
            name = f"metadata.{data['name']}"
        value: Any = data["value"]
        if data["op"] in LISTED:
            value = [part.strip() for part in value.split(",") if part.strip()]
        return {"of": of, "field": name, "op": data["op"], "value": value}

    def values(self) -> dict[str, Any]:
        """The fields as typed."""
        return {name: self[name].value() for name in self.fields}


@dataclass(slots=True)
class Row:
    """One row at its place ("1", or "1-0" in a group): a test, a group with rows of its own, or conditions kept as they are."""

    kind: str
    place: str
    stem: str
    form: TestForm | None = None
    mode: str = "any"
    rows: list[Row] = field(default_factory=list)
    kept: str = ""
    text: str = ""

    @property
    def number(self) -> str:
        """Its place as people count: "2", or "2.1" within the second."""
        return ".".join(str(int(part) + 1) for part in self.place.split("-"))


class Conditions:
    """All rows of one rule: `mode` says how they are joined. Made from what was typed (`bound`), or from values to show."""

    def __init__(self, values: Mapping[str, Any], *, prefix: str, bound: bool) -> None:
        self.prefix = prefix
        self.mode = _mode(values.get("cond-mode"), "all")
        self.modes = list(MODES.items())
        self.rows = [self._row(row, str(n), bound) for n, row in enumerate(rows_of(values, "cond-"))]
        self.errors: list[str] = []
        self._places: dict[str, Row] = {}

    def _row(self, values: Mapping[str, Any], place: str, bound: bool) -> Row:
        stem = f"{self.prefix}-cond-{place}"
        if values.get("kind") == "kept":
            kept = str(values.get("json", ""))[:20_000]
            return Row("kept", place, stem, kept=kept, text=_kept_words(kept))
        if values.get("kind") == "group" and "-" not in place:
            inner = [self._row(row, f"{place}-{n}", bound) for n, row in enumerate(rows_of(values, ""))]
            return Row("group", place, stem, mode=_mode(values.get("mode"), "any"), rows=inner)
        fields = {name: values[name] for name in TestForm.base_fields if name in values}
        if bound:
            data = {f"{stem}-{name}": value for name, value in fields.items()}
            return Row("test", place, stem, TestForm(data, prefix=stem))
        return Row("test", place, stem, TestForm(initial=fields, prefix=stem))

    def tests(self) -> Iterable[TestForm]:
        """Every test, those of the groups too."""
        for row in self.rows:
            for one in (row, *row.rows):
                if one.form is not None:
                    yield one.form

    def is_valid(self) -> bool:
        """Whether every row says something that can be read; rows left empty do."""
        answers = [form.is_left_out or form.is_valid() for form in self.tests()]
        return all(answers)

    def as_json(self) -> dict[str, Any] | None:
        """The conditions of API.md; None when no row is filled in. Remembers which row is where, for place()."""
        self._places = {}
        items = self._items(self.rows, f"conditions.{self.mode}")
        return {self.mode: items} if items else None

    def _items(self, rows: Iterable[Row], at: str) -> list[Any]:
        items: list[Any] = []
        for row in rows:
            path = f"{at}[{len(items)}]"
            if row.kind == "kept":
                items.append(_read(row.kept))
            elif row.kind == "group":
                inner = self._items(row.rows, f"{path}.{row.mode}")
                if inner:
                    items.append({row.mode: inner})
            elif row.form is not None and not row.form.is_left_out:
                items.append(row.form.as_json())
                self._places[path] = row
        return items

    def place(self, path: str, message: str) -> None:
        """Say a refusal at the row it is about ("conditions.all[1].any[0].value"), else above the rows."""
        for at, row in self._places.items():
            rest = path.removeprefix(f"{at}.")
            if rest != path and row.form is not None:
                part = rest.partition("[")[0]
                row.form.add_error({"of": "what", "field": "what", "op": "op"}.get(part, "value"), message)
                return
        self.errors.append(message)


def _mode(value: object, default: str) -> str:
    return value if isinstance(value, str) and value in MODES else default


def _read(kept: str) -> Any:
    try:
        return json.loads(kept)
    except (ValueError, RecursionError):
        return None


def _kept_words(kept: str) -> str:
    """Conditions that the rows can't show, as a sentence; "" for what is damaged (saving it then says so)."""
    found = _read(kept)
    alone = isinstance(found, dict) and "op" in found
    try:
        group = conditions_from_json({"all": [found]} if alone else found)
    except ConditionsError:
        return ""
    return "" if group is None else conditions_words(group)


def condition_values(group: Group | None) -> dict[str, Any]:
    """Conditions as the values of the rows."""
    if group is None:
        return {"cond-mode": "all", "cond-count": "0"}
    values: dict[str, Any] = {"cond-mode": group.mode, "cond-count": str(len(group.items))}
    for number, item in enumerate(group.items):
        values |= {f"cond-{number}-{name}": value for name, value in _item_values(item, outer=True).items()}
    return values


def _item_values(item: Comparison | Group, *, outer: bool) -> dict[str, Any]:
    if isinstance(item, Comparison):
        return _test_values(item) if _can_show(item) else _kept(comparison_to_json(item))
    if not outer:
        return _kept(conditions_to_json(item))
    values: dict[str, Any] = {"kind": "group", "mode": item.mode, "count": str(len(item.items))}
    for number, inner in enumerate(item.items):
        values |= {f"{number}-{name}": value for name, value in _item_values(inner, outer=False).items()}
    return values


def _kept(item: object) -> dict[str, Any]:
    return {"kind": "kept", "json": json.dumps(item, separators=(",", ":"))}


def _can_show(test: Comparison) -> bool:
    """Whether a row gives the same test back: a list's values can't have commas or spaces around them."""
    if isinstance(test.value, tuple):
        return all("," not in value and value == value.strip() for value in test.value)
    return test.value == test.value.strip() and "\n" not in test.value


def _test_values(test: Comparison) -> dict[str, Any]:
    name = test.field.removeprefix("metadata.")
    own = name != test.field
    return {
        "kind": "test",
        "what": f"{test.of}.metadata" if own else f"{test.of}.{test.field}",
        "name": name if own else "",
        "op": test.op,
        "value": ", ".join(test.value) if isinstance(test.value, tuple) else test.value,
    }
