"""The question before a yes or a no: how many rewards, how much per currency, and the words that go with it."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from referrals.web.reward_choice import Choice, NoteForm, Totals
from referrals.web.templatetags.ui import monies


@dataclass(frozen=True, slots=True)
class Ask:
    """What web/rewards/_ask.html prints."""

    title: str
    sums: str
    people: str
    text: str
    button: str
    url: str
    cancel: str
    fields: list[tuple[str, str]]
    form: NoteForm
    grave: bool = False
    warning: str = ""


def ask_context(choice: Choice, totals: Totals, form: NoteForm, world: str, warning: str = "") -> Ask:
    """The question for a choice that comes to `totals` now. "Issue" has its own (issue_question)."""
    rewards = ngettext("%(n)s reward", "%(n)s rewards", totals.count) % {"n": f"{totals.count:,}"}
    title, button, text = _words(choice.action, rewards)
    people = ngettext("%(n)s person", "%(n)s people", totals.people) % {"n": f"{totals.people:,}"}
    back = reverse("web:reward", args=[choice.ids[0]]) if choice.origin == "page" and choice.ids else ""
    return Ask(
        title=title,
        sums=monies(totals.amounts),
        people=_("%(rewards)s, %(people)s") % {"rewards": rewards, "people": people},
        text=text,
        button=button,
        url=reverse("web:rewards_act"),
        cancel=back or choice.state.url(after=choice.state.after),
        fields=[*choice.fields(totals.count), ("sums", totals.sums_text), ("world", world), ("confirmed", "1")],
        form=form,
        grave=choice.action in {"void", "reverse"},
        warning=warning,
    )


def _words(action: str, rewards: str) -> tuple[str, str, str]:
    """(title, button, explanation) of an action."""
    given = {"rewards": rewards}
    return {
        "approve": (
            _("Approve"),
            _("Approve %(rewards)s") % given,
            _("Their review ends now, and they become due."),
        ),
        "hold": (
            _("Hold"),
            _("Hold %(rewards)s") % given,
            _("Nothing is paid until somebody releases or declines it."),
        ),
        "release": (_("Release"), _("Release %(rewards)s") % given, _("They go on where they were held.")),
        "void": (
            _("Decline"),
            _("Decline %(rewards)s") % given,
            _("The person gets nothing for this, and sees that you declined it. It can be restored."),
        ),
        "reverse": (
            _("Take back"),
            _("Take back %(rewards)s") % given,
            _("Already issued: the amount is noted as a debt that the person's next payout settles."),
        ),
        "retry": (
            _("Try again"),
            _("Make %(rewards)s due again") % given,
            _("The cause is mended; they can be issued."),
        ),
        "restore": (_("Restore"), _("Restore %(rewards)s") % given, _("They are owed again.")),
    }[action]
