"""Joining by form: a public form without session or CSRF cookie, so that its page stays plain (PERFORMANCE.md, section 7).

The form carries a signed, time-limited token of its campaign instead; limits per address stop floods; a field that only machines
fill in stops the simplest of them. Known and new addresses are answered alike (RELIABILITY INV-30).
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from dataclasses import dataclass

from django import forms
from django.core import signing
from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from campaigns.join_settings import Question, Terms, questions_of
from campaigns.models import Campaign
from participants import confirming, portal
from participants.attribution import Claim
from participants.confirming import Applicant
from participants.join_answers import Answers, keep_agreement, read_answers, terms_of
from participants.models import JoinRequest, Participant
from participants.services import check_email
from referrals.accounts import limits
from referrals.events.services import Actor
from referrals.hosted import journal, tracking
from referrals.lib.errors import Refused
from referrals.lib.requests import client_key
from rewards import services

log = logging.getLogger(__name__)
_FORM, _DONE = "hosted.join", "hosted.joined"
FORM_LIFE = 12 * 3600
DONE_LIFE = 3600


class JoinForm(forms.Form):
    """An address, a first name if the person likes, a trap for machines; the campaign's questions and the box under its terms."""

    email = forms.CharField(max_length=254, error_messages={"required": gettext_lazy("Enter your e-mail address.")})
    first_name = forms.CharField(max_length=80, required=False)
    company = forms.CharField(required=False)
    token = forms.CharField(required=False)

    def __init__(self, campaign: Campaign, data: object = None, *, language: str = "") -> None:
        super().__init__(data)  # type: ignore[arg-type]  # a QueryDict or nothing
        self.campaign = campaign
        self.language = language or campaign.default_language
        self.answers = Answers()
        # What is wrong with an answer, by the question's key; "terms" for the box.
        self.wrong: dict[str, str] = {}

    @cached_property
    def rows(self) -> list[Row]:
        """The campaign's questions as the page shows them, with what was typed."""
        default = self.campaign.default_language
        return [
            Row(
                question,
                question.label(self.language, default),
                question.choices(self.language),
                str(self.data.get(f"q_{question.key}", "")),
                question.key in self.wrong,
            )
            for question in questions_of(self.campaign)
        ]

    @cached_property
    def terms(self) -> Terms | None:
        """What has to be accepted, if anything."""
        return terms_of(self.campaign, self.language)

    @property
    def asks(self) -> bool:
        """Whether the page shows more than address and name."""
        return bool(self.campaign.questions) or self.terms is not None

    @property
    def accepted(self) -> bool:
        """Whether the box is ticked."""
        return bool(self.data.get("terms"))

    def clean_email(self) -> str:
        """The address as typed, when it is one."""
        text = str(self.cleaned_data["email"])
        try:
            check_email(text)
        except Refused as refusal:
            raise forms.ValidationError(refusal.message) from refusal
        return text

    def clean_first_name(self) -> str:
        """A name in one line, without control characters."""
        return " ".join("".join(c if c.isprintable() else " " for c in self.cleaned_data["first_name"]).split())

    def clean(self) -> None:
        """Whether the form is one of ours, not too old, and filled in by a person."""
        if self.cleaned_data.get("company"):
            raise forms.ValidationError(_("That looked like a machine's entry. Press the button once more."))
        try:
            given = signing.loads(self.cleaned_data.get("token", ""), salt=_FORM, max_age=FORM_LIFE)
        except signing.BadSignature:
            given = ""
        if given != self.campaign.public_id:
            raise forms.ValidationError(_("This page was open for a long time. Press the button once more."))
        typed = {name.removeprefix("q_"): value for name, value in self.data.items() if name.startswith("q_")}
        self.answers, self.wrong = read_answers(self.campaign, typed, accepted=self.accepted, language=self.language)
        if self.wrong:
            raise forms.ValidationError(list(self.wrong.values()))


@dataclass(frozen=True, slots=True)
class Row:
    """One question on the page: its words, a choice's answers, what was typed, whether that was wrong."""

    question: Question
    label: str
    choices: list[tuple[str, str]]
    value: str
    wrong: bool


def form_token(campaign: Campaign) -> str:
    """The token that the campaign's form carries for twelve hours."""
    return signing.dumps(campaign.public_id, salt=_FORM)


def done_token(participant: Participant, side: str) -> str:
    """The signed name of who has just joined, for the page after it; the same length for everybody."""
    return signing.dumps([participant.public_id, side], salt=_DONE)


def read_done(token: str) -> tuple[Participant, str] | None:
    """The participant and side ("invitee" or "referrer") behind a token of the last hour."""
    try:
        public_id, side = signing.loads(token, salt=_DONE, max_age=DONE_LIFE)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    found = Participant.objects.select_related("campaign__merchant").filter(public_id=public_id).first()
    return None if found is None else (found, str(side))


def seconds_to_wait(request: HttpRequest) -> int:
    """0 when this address may join now, else for how long not: 10 a minute, 60 an hour. Open when the counter is down."""
    ip = client_key(request)
    try:
        spans = [
            limits.take(f"join:{ip}", limit=10, seconds=60),
            limits.take(f"join-hour:{ip}", limit=60, seconds=3600),
        ]
    except DatabaseError:
        log.exception("The limit on joining can't be counted; letting the request through.")
        return 0
    return max((span.resets_in for span in spans if not span.allowed), default=0)


def join(
    request: HttpRequest, campaign: Campaign, form: JoinForm, code: str, language: str
) -> Participant | JoinRequest:
    """Join, and mail a link to the own page; or ask by mail, where the campaign wants the address confirmed.

    Raises Refused for a campaign that closed meanwhile.
    """
    seen = tracking.visitor_of(request, campaign)
    visitor_id = tracking.visitor_id_of(request, campaign)
    if visitor_id:
        load_clicks()
    who = Applicant(
        email=form.cleaned_data["email"],
        first_name=form.cleaned_data["first_name"],
        language=language,
        # Links, not codes somebody typed: one's own, or one that went away, is passed over without a word to strangers.
        claim=Claim(
            link_code=code,
            cookie_code=seen.code(campaign.attribution_model) if seen else "",
            visitor=visitor_id,
        ),
        answers=form.answers,
        seen=tracking.seen(request, campaign),
    )
    return enter(campaign, who, Actor("participant", "", _("Campaign page")))


def enter(campaign: Campaign, who: Applicant, actor: Actor) -> Participant | JoinRequest:
    """What a form or the script leads to: a participant, with what they accepted, or a request that waits for its mail."""
    if campaign.confirms_email:
        return confirming.ask(campaign=campaign, who=who, actor=actor)
    with transaction.atomic() if who.answers.terms else nullcontext():
        joined = services.join(
            campaign=campaign,
            email=who.email,
            actor=actor,
            source=who.source,
            first_name=who.first_name,
            last_name=who.last_name,
            language=who.language,
            link_code=who.claim.link_code,
            cookie_code=who.claim.cookie_code,
            visitor=who.claim.visitor,
            seen=who.seen,
            metadata=who.answers.values,
        )
        if joined.created:
            # Nobody accepts anything in the name of a person who is here already.
            keep_agreement(joined.participant, who.answers.terms, who.source, actor)
    mail_link(joined.participant)
    return joined.participant


def see_other(url: str) -> HttpResponse:
    """303: look there, with GET."""
    response = HttpResponseRedirect(url)
    response.status_code = 303
    return response


def load_clicks() -> None:
    """The click that led here may still be in the journal; the referral names its visit."""
    try:
        journal.load()
    except (DatabaseError, OSError):
        log.exception("The click journal can't be loaded now; the referral goes without its visit.")


def mail_link(participant: Participant) -> None:
    """Mail the link to the own page, at most three an hour; the person has joined whether or not this works."""
    try:
        if limits.allow(f"portal-link:{participant.email_key}:{participant.campaign_id}", 3, 3600):
            with transaction.atomic():
                portal.send_link(participant)
    except DatabaseError:
        log.exception("The link to the own page can't be queued.")
