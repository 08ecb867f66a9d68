"""What happens by itself, and how often: one table for every app (ARCHITECTURE.md, "The row is the job").

The rows that django-q2 reads are made from it after each `migrate`, so a new job is a line here and nothing else.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db import connections
from django_q.models import Schedule


class Job(NamedTuple):
    """A function without arguments, by its dotted name, and the minutes from one run to the next."""

    name: str
    func: str
    minutes: int


JOBS = (
    Job("release rewards from review", "rewards.jobs.release_all", 1),
    Job("fold the tallies", "rewards.jobs.fold", 1),
    Job("carry on with what-ifs", "rewards.whatif.jobs.sweep", 1),
    Job("delete test data that somebody asked to delete", "rewards.wiping.sweep", 1),
    Job("erase people of a shop that is gone", "integrations.account_facts.sweep", 5),
    Job("send payouts", "integrations.payouts.sweep", 1),
    Job("ask companies about payouts", "integrations.payouts.ask", 1),
    Job("make the runs of automatic issuing", "integrations.issuing.sweep", 1),
    Job("go on with returned payout files", "rewards.files.returned.work_all", 1),
    Job("forget erased people's lines in payout files", "rewards.files.freezing.forget_erased", 60),
    Job("compare payouts with companies' books", "integrations.payout_checking.compare_all", 1),
    Job("tell teams what only they can pay", "integrations.team_mails.sweep", 1),
    Job("make payout files that waited for somebody's word", "rewards.files.waiting.freeze_all", 1),
    Job("give codes that waited for somebody's word", "rewards.coupons.waiting.give", 1),
    Job("ask merchants' own systems before paying", "integrations.veto.sweep", 1),
    Job("wake rewards that waited for their recipient", "rewards.queueing.wake", 5),
    Job("wake rewards whose recipient has become a customer", "integrations.waking.wake", 5),
    Job("work on messages that wait", "integrations.inbox.sweep", 1),
    Job("let stand-ins of the test side go on", "integrations.sandbox.messages.sweep", 1),
    Job("write about connections in trouble", "integrations.alarms.warn", 1),
    Job("learn how often companies send", "integrations.alarms.learn", 60),
    Job("compare what companies keep with what arrived", "integrations.reconciling.work_all", 5),
    Job("send webhooks that no worker has sent", "integrations.delivering.sweep", 1),
    Job("tell teams of webhook endpoints that fail", "integrations.webhook_alarms.warn", 10),
    Job("keep addresses for messages at companies", "integrations.listening.sweep", 1),
    Job("fetch the products of companies", "integrations.catalogue.sweep", 5),
    Job("write about lists of codes that run low", "integrations.coupon_alarms.warn", 5),
    Job("make promotion codes", "integrations.promotions.sweep", 1),
    Job("make and mail scheduled exports", "referrals.web.scheduled_exports.sweep", 5),
    Job("send mails to participants", "referrals.hosted.jobs.send_mails", 1),
    Job("send mails that somebody asked for", "referrals.hosted.orders.sweep", 1),
    Job("send mails of the affiliate hub", "referrals.hosted.hub_mail.sweep", 1),
    Job("work on lists of invitations", "participants.invite_lists.work_all", 1),
    Job("plan invitations that go out by themselves", "participants.captures.plan", 1),
    Job("send invitations", "referrals.hosted.invite_mail.send_due", 1),
    Job("load the click journal", "referrals.hosted.jobs.load_clicks", 1),
    Job("make files that wait", "referrals.web.list_exports.sweep", 1),
    Job("go on with imports", "rewards.imports.jobs.sweep", 1),
    Job("work on lists of customers", "rewards.customer_uploads.work_all", 5),
    Job("give the prizes of leaderboards", "rewards.jobs.close_boards", 5),
    Job("look after the fraud check", "rewards.jobs.look_after_fraud", 10),
    Job("prepare weekly digests", "referrals.hosted.jobs.make_digests", 60),
    Job("forget old what-ifs", "rewards.whatif.jobs.forget_old", 60),
    Job("forget old API answers", "referrals.api.idempotency.forget_old", 60),
    Job("forget requests to join that are over", "participants.confirming.forget_requests", 60),
    Job("forget what is over", "referrals.accounts.jobs.forget", 60),
    Job("forget applications that nobody confirmed", "participants.applications.forget", 1440),
    Job("forget log-ins of the affiliate hub", "participants.hub_access.forget", 1440),
    Job("forget old webhooks", "integrations.delivering.forget", 1440),
    Job("forget messages of companies", "integrations.messages.forget", 60),
    Job("forget captured addresses", "participants.captures.forget", 1440),
    Job("forget what waited too long", "participants.waiting.forget", 1440),
    Job("forget invited addresses", "participants.inviting.forget", 1440),
)


def keep(*, using: str, **kwargs: Any) -> None:
    """Make or mend the rows of django-q2 for `JOBS`; what an operator added, and when a job is due next, stay as they are."""
    if Schedule._meta.db_table not in connections[using].introspection.table_names():
        return  # `migrate` of a single app, before django-q2's own tables are there
    rows = {row.name: row for row in Schedule.objects.using(using).filter(name__in=[job.name for job in JOBS])}
    for job in JOBS:
        wanted = {"func": job.func, "schedule_type": Schedule.MINUTES, "minutes": job.minutes, "repeats": -1}
        row = rows.get(job.name) or Schedule(name=job.name)
        if any(getattr(row, field) != value for field, value in wanted.items()):
            for field, value in wanted.items():
                setattr(row, field, value)
            row.save(using=using)
