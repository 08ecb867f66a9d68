"""The affiliate programme in the hub, with people who want to take part."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from campaigns.listings import Question, questions_of, save_listing
from campaigns.models import Campaign
from participants import applications
from participants.models import Application, ApplicationMail
from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib import clock
from rewards.applications import confirm, decline

DESCRIPTION = (
    "Coffee roasted on Tuesdays and posted on Wednesdays, with a subscription that people keep for years. For food writers, office"
    " managers, and anybody whose friends ask which beans to buy."
)
TERMS = (
    "Recommend what you have tasted yourself, and say that your link is an affiliate link.\n\n"
    "No advertisements on our name, no spam, no coupon sites."
)
QUESTIONS = (
    Question("Where will you share your link?", "choice", True, ("A blog", "A newsletter", "Videos", "Among friends")),
    Question("Its address", "url"),
    Question("Which of our coffees do you like best, and why?", "long", True),
)
APPLICANTS = (
    (
        "Nora",
        "Dahl",
        "A blog",
        "https://filter-notes.example.com/",
        "The Guji. It tastes of apricot, and nothing hides it.",
    ),
    ("Sami", "Haddad", "Videos", "https://videos.example.net/@sami", "House blend: my whole office drinks it."),
    ("Max", "Deal", "Among friends", "", "All of them, send me coupons"),
)


def tell(tenant: Tenant, owner: Actor, end: datetime) -> None:
    """List the affiliate campaign three weeks before `end`; two applications wait, and one was declined."""
    campaign = Campaign.objects.for_tenant(tenant).running().filter(type="affiliate").order_by("pk").first()
    if campaign is None:
        return
    with transaction.atomic():
        with clock.at(end - timedelta(days=21)):
            listing = save_listing(
                campaign=campaign,
                actor=owner,
                is_on=True,
                category="food",
                countries=["AT", "DE", "NO", "SE"],
                description=DESCRIPTION,
                terms=TERMS,
                questions=QUESTIONS,
            )
        for number, (first, last, *said) in enumerate(APPLICANTS):
            with clock.at(end - timedelta(hours=50 - 22 * number)):
                answers = [
                    applications.answer_of(question, text)
                    for question, text in zip(questions_of(listing), said, strict=True)
                ]
                email = f"{first}.{last}@example.com".lower()
                applications.apply(campaign=campaign, email=email, answers=answers, first_name=first, last_name=last)
                row = Application.objects.get(campaign=campaign, email_key=email)
                row = confirm(application=row, actor=Actor("participant", "", "Affiliate hub"))
        with clock.at(end - timedelta(hours=2)):
            decline(application=row, actor=owner, reason="We look for people who write about coffee.")
        # Nobody in a demo waits for these.
        ApplicationMail.objects.filter(application__campaign=campaign).update(next_attempt_at=None)
