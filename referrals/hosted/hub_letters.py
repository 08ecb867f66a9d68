"""What the mails of the affiliate hub say: to applicants in the campaign's look, and the log-in to all of one's programmes."""

from __future__ import annotations

from django.conf import settings
from django.core.mail import EmailMessage
from django.urls import reverse
from django.utils.translation import gettext as _

from participants.applications import make_token
from participants.links import short_link
from participants.models import Application, ApplicationMail
from referrals.hosted.letters import Letter, compose


def application_letter(application: Application, kind: str) -> Letter | None:
    """What a mail of this kind says now; None when it is no longer true."""
    campaign = application.campaign
    said = {"name": campaign.name, "merchant": campaign.merchant.name, "reason": application.reason}
    if kind == ApplicationMail.CONFIRM and application.status == Application.UNCONFIRMED:
        return _confirm(application, said)
    if kind == ApplicationMail.STATE and application.status != Application.UNCONFIRMED:
        return _state(application, said)
    if kind == ApplicationMail.APPROVED and application.status == Application.APPROVED:
        return _approved(application, said)
    if kind == ApplicationMail.DECLINED and application.status == Application.DECLINED:
        return _declined(said)
    return None


def address_of(application: Application) -> str:
    """The page of one application, for a week."""
    return f"{settings.SITE_URL}{reverse('hosted:hub_application', args=[make_token(application)])}"


def _not_you() -> str:
    return _("You did not apply? Then somebody mistyped their address, and you need do nothing.")


def _confirm(application: Application, said: dict[str, str]) -> Letter:
    title = _("Send your application: %(name)s") % said
    return Letter(
        subject=title,
        heading=title,
        paragraphs=[
            _("You applied to take part in a programme of %(merchant)s. Look at it once more and send it.") % said
        ],
        button=_("See and send it"),
        url=address_of(application),
        small=[_("The button works for seven days. Until then, nobody sees your application."), _not_you()],
    )


def _state(application: Application, said: dict[str, str]) -> Letter:
    title = _("Your application: %(name)s") % said
    return Letter(
        subject=title,
        heading=title,
        paragraphs=[
            _("You have applied to this programme of %(merchant)s before. See where your application stands.") % said
        ],
        button=_("See my application"),
        url=address_of(application),
        small=[_("The button works for seven days."), _not_you()],
    )


def _approved(application: Application, said: dict[str, str]) -> Letter | None:
    if application.participant is None:
        return None
    title = _("You are in: %(name)s") % said
    paragraphs = [_("%(merchant)s has accepted your application.") % said, *_words(said)]
    paragraphs.append(_("This is your link. Whoever comes through it and buys counts for you:"))
    return Letter(
        subject=title,
        heading=title,
        paragraphs=paragraphs,
        link=short_link(application.participant),
        button=_("See my programmes"),
        url=f"{settings.SITE_URL}{reverse('hosted:hub_mine')}",
        small=[
            _("Your own page shows what your link earns. We mail you a link that opens it, so there is no password.")
        ],
    )


def _declined(said: dict[str, str]) -> Letter:
    title = _("About your application: %(name)s") % said
    text = _("Thank you for wanting to take part. %(merchant)s has decided not to accept your application.") % said
    return Letter(
        subject=title,
        heading=title,
        paragraphs=[text, *_words(said)],
        button=_("See other programmes"),
        url=f"{settings.SITE_URL}{reverse('hosted:hub')}",
    )


def _words(said: dict[str, str]) -> list[str]:
    """The merchant's own words, as theirs."""
    if not said["reason"]:
        return []
    return [_("%(merchant)s writes:") % said, *(line for line in said["reason"].splitlines() if line)]


def application_mail(application: Application, letter: Letter) -> EmailMessage:
    """The mail in the campaign's look."""
    return compose(application.campaign, application.email, letter)


def access_mail(email: str, url: str) -> EmailMessage:
    """The one-time link to all of one's programmes: plain text in nobody's look, because it is no merchant's."""
    site = settings.SITE_URL.partition("://")[2]
    text = "\n\n".join(
        (
            _("You asked to see all the programmes that you take part in at %(site)s. This opens your page:")
            % {"site": site},
            url,
            _("It works once, for ten minutes."),
            _("You did not ask for this? Then somebody mistyped their address, and you need do nothing."),
        )
    )
    return EmailMessage(subject=_("Your affiliate programmes"), body=f"{text}\n", to=[email])
