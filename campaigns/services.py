"""Making and changing campaigns. Each change and its Event are one transaction; a change of rules makes a new version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from campaigns.conditions import conditions_to_json
from campaigns.images import read_image
from campaigns.join_settings import check_join
from campaigns.link_settings import check_links
from campaigns.models import (
    Campaign,
    CampaignImage,
    CampaignMail,
    CampaignText,
    CampaignVersion,
    RewardRule,
    RuleTier,
    Status,
    StatusChange,
    amount_fields,
    rule_key,
)
from campaigns.presets import preset
from campaigns.rules import current_terms
from campaigns.splits import check_rules_of, refuse_setting
from campaigns.terms import Fixed, Percent, RuleTerms, TermsError
from campaigns.terms_json import check_terms, terms_to_json
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money, MoneyError, check_currency

MAX_RULES = 20
# From which status each action may start, and where it leads (PRODUCT.md, "Campaigns").
MOVES: dict[str, tuple[frozenset[str], str]] = {
    "launch": (frozenset({Status.DRAFT}), Status.ACTIVE),
    "pause": (frozenset({Status.ACTIVE}), Status.PAUSED),
    "resume": (frozenset({Status.PAUSED}), Status.ACTIVE),
    "end": (frozenset({Status.ACTIVE, Status.PAUSED}), Status.ENDED),
}
CHANGEABLE = frozenset(
    "name currency type starts_at ends_at attribution_model window_days landing_mode landing_url default_language"
    " fraud_preset brand_color font allowed_hosts app_schemes script_origins utm consent own_codes link_name"
    " asks_terms terms_url questions confirms_email discount_code".split()
)

NOT_COPIED = frozenset({"name", "type", "starts_at", "ends_at", "link_name"})


def create_campaign(
    *,
    tenant: Tenant,
    actor: Actor,
    name: str,
    currency: str,
    preset_key: str = "refer_a_friend_double",
    rules: Sequence[RuleTerms] | None = None,
    **fields: Any,
) -> Campaign:
    """A draft with the template's rules, or with `rules` instead. Raises Refused for a bad name, currency or field."""
    try:
        check_currency(currency)
    except MoneyError as error:
        raise Refused("currency", error.message, field="currency") from error
    template = preset(preset_key)
    campaign = Campaign(merchant=tenant.merchant, is_test=tenant.is_test, type=template.type, currency=currency)
    _apply(campaign, {"name": name, **fields})
    with transaction.atomic():
        _save(campaign)
        _write_version(campaign, template.rules(currency) if rules is None else rules, number=1)
        record(tenant, actor, _happening(types.CAMPAIGN_CREATED, campaign, {"name": campaign.name}))
    return campaign


def update_campaign(
    *,
    campaign: Campaign,
    actor: Actor,
    revision: int | None = None,
    rules: Sequence[RuleTerms] | None = None,
    **fields: Any,
) -> Campaign:
    """Change fields by name (see CHANGEABLE); `revision` is the one the form was made from, for two open tabs.

    `rules` are those that the caller publishes next, in the same transaction: the fields have to go with them.

    Raises Refused: unknown field, bad value, the currency of a launched campaign, an end in the past or a later start of one that
    runs, or 409 `changed_meanwhile`.
    """
    with transaction.atomic():
        campaign = _locked(campaign, revision)
        if "currency" in fields and fields["currency"] != campaign.currency and campaign.status != Status.DRAFT:
            raise Refused(
                "currency_fixed", _("The currency can't change once a campaign is launched."), field="currency"
            )
        before = {name: getattr(campaign, name) for name in fields if name in CHANGEABLE}
        _apply(campaign, fields)
        if campaign.attribution_model != before.get("attribution_model", campaign.attribution_model):
            refuse_setting(campaign.attribution_model, current_terms(campaign) if rules is None else rules)
        if campaign.status != Status.DRAFT:
            _keep_the_past(campaign, before)
            _refuse_endless_board(campaign, current_terms(campaign))
        campaign.revision += 1
        _save(campaign)
        changed = sorted(name for name, value in before.items() if getattr(campaign, name) != value)
        if changed:
            record(campaign.tenant, actor, _happening(types.CAMPAIGN_CHANGED, campaign, {"fields": changed}))
    return campaign


def _save(campaign: Campaign) -> None:
    try:
        with transaction.atomic():
            campaign.save()
    except IntegrityError as error:
        # The only unique value that a merchant chooses.
        if (
            not Campaign.objects.filter(link_name=campaign.link_name)
            .exclude(link_name="")
            .exclude(pk=campaign.pk)
            .exists()
        ):
            raise
        raise Refused(
            "name_taken", _("Another campaign has this name. Choose another one."), field="link_name"
        ) from error


def _keep_the_past(campaign: Campaign, before: Mapping[str, Any]) -> None:
    """Refuse a start or an end that would shut out what has happened already: its rewards would be taken back with the next event."""
    now = clock.now()
    over, ends = before.get("ends_at"), campaign.ends_at
    # Forms know minutes only: an end that has passed comes back without its seconds.
    kept = over is not None and ends is not None and over.replace(second=0, microsecond=0) <= ends
    if "ends_at" in before and ends is not None and ends <= now and not kept:
        raise Refused("ends_in_the_past", _("This end has passed. To close the campaign now, end it."), field="ends_at")
    old, new = before.get("starts_at"), campaign.starts_at
    started = "starts_at" in before and (old is None or old <= now)
    if started and new is not None and (old is None or new > old):
        message = _("The campaign has started; its start can't move to a later time. Pause it instead.")
        raise Refused("invalid_value", message, field="starts_at")


def publish_rules(
    *, campaign: Campaign, rules: Sequence[RuleTerms], actor: Actor, revision: int | None = None
) -> CampaignVersion:
    """Put new rules in force. A draft's are replaced; a launched campaign gets its next version and keeps the old ones.

    Rewards already made keep their terms (PRODUCT.md). Publishing the same rules again changes nothing.
    """
    with transaction.atomic():
        campaign = _locked(campaign, revision)
        if campaign.status == Status.ENDED:
            raise Refused("campaign_ended", _("An ended campaign keeps its rules."), status=409)
        if campaign.status != Status.DRAFT:
            _refuse_endless_board(campaign, rules)
        version = campaign.version
        known = _known_keys(campaign)
        if version is not None:
            old = [
                row.terms(campaign.currency)
                for row in version.rules.order_by("position", "pk").prefetch_related("tiers")
            ]
            if old == list(rules):
                return version
        if campaign.status == Status.DRAFT and version is not None:
            number = version.number
            campaign.version = None
            campaign.save(update_fields=["version"])
            version.delete()
        else:
            number = version.number + 1 if version else 1
        made = _write_version(campaign, rules, number=number, known=known)
        campaign.revision += 1
        campaign.save(update_fields=["revision"])
        data = {"version": number, "rules": [terms_to_json(terms) for terms in rules]}
        record(campaign.tenant, actor, _happening(types.CAMPAIGN_RULES_PUBLISHED, campaign, data))
    return made


def save_texts(*, campaign: Campaign, language: str, actor: Actor, texts: Mapping[str, str]) -> CampaignText:
    """Set the texts of one language (a language tag); raises Refused for a text that is too long, naming it."""
    with transaction.atomic():
        campaign = _locked(campaign, None)
        row, _created = CampaignText.objects.get_or_create(campaign=campaign, language=language)
        for name, value in texts.items():
            limit = getattr(CampaignText._meta.get_field(name), "max_length", None)
            if limit is not None and len(value) > limit:
                message = _("The text is %(length)d characters long; at most %(limit)d fit.")
                raise Refused("too_long", message % {"length": len(value), "limit": limit}, field=name)
            setattr(row, name, value.strip())
        row.save()
        campaign.revision += 1
        campaign.save(update_fields=["revision"])
        data = {"fields": sorted(texts), "language": language}
        record(campaign.tenant, actor, _happening(types.CAMPAIGN_CHANGED, campaign, data))
    return row


def set_image(*, campaign: Campaign, kind: str, upload: UploadedFile[Any] | bytes, actor: Actor) -> CampaignImage:
    """Put a logo ("logo") or picture ("hero") in place of the one before; raises Refused("image") for a file that is none."""
    picture = read_image(upload, kind)
    with transaction.atomic():
        campaign = _locked(campaign, None)
        values = {
            "digest": picture.digest,
            "content": picture.content,
            "width": picture.width,
            "height": picture.height,
        }
        row, _created = CampaignImage.objects.update_or_create(campaign=campaign, kind=kind, defaults=values)
        _touch(campaign, actor, kind)
    return row


def remove_image(*, campaign: Campaign, kind: str, actor: Actor) -> bool:
    """Take a logo or picture away; False when there was none."""
    with transaction.atomic():
        campaign = _locked(campaign, None)
        gone, _rows = CampaignImage.objects.filter(campaign=campaign, kind=kind).delete()
        if gone:
            _touch(campaign, actor, kind)
    return bool(gone)


def _touch(campaign: Campaign, actor: Actor, field: str) -> None:
    campaign.revision += 1
    campaign.save(update_fields=["revision"])
    record(campaign.tenant, actor, _happening(types.CAMPAIGN_CHANGED, campaign, {"fields": [field]}))


def launch(*, campaign: Campaign, actor: Actor) -> Campaign:
    """Make a draft public. Raises Refused when it has no rules, its end has passed, or a leaderboard has none."""
    if not campaign.version_id or not RewardRule.objects.filter(version_id=campaign.version_id).exists():
        raise Refused("no_rules", _("Add at least one reward rule before launching."), status=409)
    _refuse_endless_board(campaign, current_terms(campaign))
    if campaign.ends_at is not None and campaign.ends_at <= clock.now():
        raise Refused("ends_in_the_past", _("The end date has passed; move it or leave it empty."), field="ends_at")
    return _move(campaign, actor, "launch")


def _refuse_endless_board(campaign: Campaign, rules: Sequence[RuleTerms]) -> None:
    """A leaderboard's prizes are given when it closes, so it needs a day on which it does."""
    if campaign.ends_at is None and any(terms.trigger == "leaderboard" for terms in rules):
        message = _("A leaderboard's prizes are given when it closes: set an end date in the settings.")
        raise Refused("leaderboard_needs_end", message, field="ends_at")


def pause(*, campaign: Campaign, actor: Actor) -> Campaign:
    """Stop new joins and rewards for a while; links say so."""
    return _move(campaign, actor, "pause")


def resume(*, campaign: Campaign, actor: Actor) -> Campaign:
    """Go on after a pause."""
    return _move(campaign, actor, "resume")


def end(*, campaign: Campaign, actor: Actor) -> Campaign:
    """Close the campaign for good; rewards already earned go their way."""
    return _move(campaign, actor, "end")


def duplicate(*, campaign: Campaign, actor: Actor) -> Campaign:
    """A draft with the same rules, texts and look, new rule ids, and no people."""
    with transaction.atomic():
        copy = Campaign.objects.get(pk=campaign.pk)
        belongings: list[CampaignImage | CampaignMail | CampaignText] = [
            *copy.images.all(),
            *copy.texts.all(),
            *copy.mails.all(),
        ]
        source = Campaign(
            merchant=copy.merchant,
            is_test=copy.is_test,
            name=_("%(name)s (copy)") % {"name": copy.name[:110]},
            type=copy.type,
            **{name: getattr(copy, name) for name in CHANGEABLE - NOT_COPIED},
        )
        source.save()
        terms = (
            [row.terms(copy.currency) for row in copy.version.rules.order_by("position").prefetch_related("tiers")]
            if copy.version
            else []
        )
        _write_version(source, [_without_key(rule) for rule in terms], number=1)
        for row in belongings:
            row.pk, row.campaign = None, source
            row._state.adding = True
            row.save()
        record(source.tenant, actor, _happening(types.CAMPAIGN_CREATED, source, {"copied_from": copy.public_id}))
    return source


def _without_key(rule: RuleTerms) -> RuleTerms:
    return RuleTerms(**{name: getattr(rule, name) for name in RuleTerms.__slots__} | {"key": ""})


def _move(campaign: Campaign, actor: Actor, action: str) -> Campaign:
    allowed, target = MOVES[action]
    now = clock.now()
    with transaction.atomic():
        campaign = _locked(campaign, None)
        if campaign.status not in allowed:
            message = _("The campaign is %(status)s; it can't do that now.")
            raise Refused(
                "invalid_state", message % {"status": campaign.get_status_display().lower()}, status=409,
                details={"status": campaign.status},
            )  # fmt: skip
        before, campaign.status, campaign.status_since = campaign.status, target, now
        campaign.revision += 1
        if action == "launch":
            campaign.launched_at = now
        campaign.save()
        StatusChange.objects.create(campaign=campaign, status=target, at=now)
        data = {"from": before, "to": target}
        record(campaign.tenant, actor, _happening(types.CAMPAIGN_STATUS_CHANGED, campaign, data))
    return campaign


def _locked(campaign: Campaign, revision: int | None) -> Campaign:
    """The row itself, locked; 409 when it changed since `revision`."""
    fresh = Campaign.objects.select_for_update(of=("self",)).select_related("merchant", "version").get(pk=campaign.pk)
    if revision is not None and fresh.revision != revision:
        raise Refused(
            "changed_meanwhile",
            _("Somebody changed this campaign in the meantime. Reload the page and make your change again."),
            status=409,
        )
    return fresh


def _apply(campaign: Campaign, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        if name not in CHANGEABLE:
            raise Refused(
                "unknown_field", _("A campaign has no field %(name)r.") % {"name": name}, field=name, status=400
            )
        setattr(campaign, name, value)
    campaign.name = campaign.name.strip()
    if not campaign.name:
        raise Refused("blank", _("Give the campaign a name."), field="name")
    for name in fields:
        _check_field(campaign, name)
    starts, ends = campaign.starts_at, campaign.ends_at
    if isinstance(starts, datetime) and isinstance(ends, datetime) and ends <= starts:
        raise Refused("ends_before_start", _("The end must be after the start."), field="ends_at")
    check_links(campaign, fields)
    check_join(campaign, fields)


def _check_field(campaign: Campaign, name: str) -> None:
    try:
        Campaign._meta.get_field(name).clean(getattr(campaign, name), campaign)  # type: ignore[union-attr]
    except ValidationError as error:
        value = str(getattr(campaign, name))[:60]
        raise Refused("invalid_value", f"{value!r}: {' '.join(error.messages)}", field=name) from error
    if name == "window_days" and not 1 <= campaign.window_days <= 365:
        raise Refused("window_days", _("The window is 1 to 365 days."), field=name)


def _known_keys(campaign: Campaign) -> frozenset[str]:
    return frozenset(RewardRule.objects.filter(version__campaign=campaign).values_list("key", flat=True))


def check_rules(campaign: Campaign, rules: Sequence[RuleTerms]) -> None:
    """Refuse rules that could not be published: Refused, or TermsError at the field that has to change."""
    if len(rules) > MAX_RULES:
        raise Refused(
            "too_many_rules", _("A campaign has at most %(most)d rules.") % {"most": MAX_RULES}, field="rules"
        )
    keys = [rule.key for rule in rules if rule.key]
    if len(set(keys)) != len(keys):
        raise Refused("duplicate_rule", _("Two rules have the same id."), field="rules")
    _check_together(rules)
    check_rules_of(campaign, rules)
    for position, rule in enumerate(rules):
        check_terms(rule, at=f"rules[{position}]")
        _check_currency_of(rule, campaign.currency, position)


def _write_version(
    campaign: Campaign, rules: Sequence[RuleTerms], *, number: int, known: frozenset[str] = frozenset()
) -> CampaignVersion:
    check_rules(campaign, rules)
    version = CampaignVersion.objects.create(campaign=campaign, number=number)
    rows = []
    for position, rule in enumerate(rules):
        # A key that this campaign never gave out would join two rules' histories; it gets its own.
        key = rule.key if rule.key in known else rule_key()
        rows.append(_row(version, rule, key, position))
    RewardRule.objects.bulk_create(rows)
    RuleTier.objects.bulk_create(
        RuleTier(rule=row, first=tier.first, last=tier.last, **amount_fields(tier.amount))
        for row, rule in zip(rows, rules, strict=True)
        for tier in rule.tiers
    )
    campaign.version = version
    campaign.counts_referrers |= any(rule.looks_at_referrer for rule in rules)
    campaign.has_budget |= any(rule.limits.of_campaign for rule in rules)
    campaign.save(update_fields=["version", "counts_referrers", "has_budget"])
    return version


def _check_currency_of(rule: RuleTerms, currency: str, position: int) -> None:
    parts = [
        rule.minimum_purchase,
        rule.minimum_payout,
        *(getattr(rule.limits, name) for name in rule.limits.__slots__),
    ]
    for amount in rule.amounts:
        parts += [amount.money] if isinstance(amount, Fixed) else [amount.cap] if isinstance(amount, Percent) else []
    for money in parts:
        if money is not None and money.currency != currency:
            field = f"rules[{position}].amount"
            raise TermsError(field, "currency", f"{money.currency} is not the campaign's currency, {currency}.")


def _check_together(rules: Sequence[RuleTerms]) -> None:
    """What no rule can see by itself: at most two rewards for each tier (seed 004), and one leaderboard for each side and event."""
    for name, most in (("tier", 2), ("leaderboard", 2)):
        alike = [position for position, rule in enumerate(rules) if rule.trigger == name]
        if len(alike) > most:
            raise TermsError(
                f"rules[{alike[most]}].trigger",
                "too_many_rules",
                f"A campaign has at most {most} rules of the trigger {name!r}.",
            )


def _row(version: CampaignVersion, rule: RuleTerms, key: str, position: int) -> RewardRule:
    def minor(money: Money | None) -> int | None:
        return None if money is None else money.minor

    limits = rule.limits
    return RewardRule(
        version=version,
        key=key,
        position=position,
        side=rule.side,
        trigger=rule.trigger,
        event_type=rule.event,
        nth=rule.nth,
        recurring=rule.recurring,
        label=rule.label,
        kind=rule.kind,
        **amount_fields(rule.amount),
        minimum_purchase_minor=minor(rule.minimum_purchase),
        max_purchases_per_friend=rule.max_purchases_per_friend,
        new_customers_only=rule.new_customers_only,
        within_days=rule.within_days,
        conditions=conditions_to_json(rule.conditions),
        limit_per_referrer_minor=minor(limits.per_referrer),
        limit_per_referrer_year_minor=minor(limits.per_referrer_year),
        limit_campaign_minor=minor(limits.campaign),
        limit_campaign_month_minor=minor(limits.campaign_month),
        limit_campaign_week_minor=minor(limits.campaign_week),
        limit_campaign_day_minor=minor(limits.campaign_day),
        review_days=rule.review_days,
        delivery=rule.delivery,
        minimum_payout_minor=minor(rule.minimum_payout),
    )


def _happening(type_: str, campaign: Campaign, data: dict[str, Any]) -> Happening:
    return Happening(type_, "campaign", campaign.public_id, campaign=campaign.public_id, data=data)
