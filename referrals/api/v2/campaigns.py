"""Campaigns: drafts, changes, rules, and what starts and stops them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from campaigns import services
from campaigns.join_settings import KINDS as QUESTION_KINDS
from campaigns.join_settings import LENGTHS as QUESTION_LENGTHS
from campaigns.join_settings import MOST_OPTIONS, MOST_QUESTIONS
from campaigns.link_models import UTM
from campaigns.link_settings import MOST_HOSTS, MOST_ORIGINS, MOST_SCHEMES, UTM_LENGTH
from campaigns.models import Campaign, CampaignText, CampaignType, Status
from campaigns.presets import PRESETS
from campaigns.terms import RuleTerms
from campaigns.terms_json import terms_from_json
from campaigns.texts import LANGUAGES
from participants.fraud.presets import PRESETS as FRAUD_PRESETS
from referrals.accounts.models import Scope
from referrals.api.errors import refused
from referrals.api.fields import Choice, Currency, Field, Flag, Group, Json, Listing, Moment, Text, Whole
from referrals.api.finding import one
from referrals.api.idempotency import Answer
from referrals.api.operations import Call
from referrals.api.schema import array, ref
from referrals.api.v2.base import API, PAGING, page_json, page_of
from referrals.api.v2.shapes import TEXTS, campaign_json, campaign_rows
from referrals.lib.errors import Refused

TAG = "Campaigns"
MISSING = ("campaign_not_found",)
RULE_ERRORS = (
    "unknown_field",
    "invalid_choice",
    "unsupported",
    "currency",
    "percent",
    "too_many_rules",
    "duplicate_rule",
    "split_not_possible",
)
LINK_ERRORS = ("landing_url", "host_invalid", "scheme_invalid", "origin_invalid", "name_reserved", "name_taken")
JOIN_ERRORS = ("terms_url", "terms_missing", "question")

_LIMITS: dict[str, int] = {
    name: getattr(CampaignText._meta.get_field(name), "max_length", None) or 200 for name in TEXTS
}
_TEXTS = Group(
    about="What the pages say; an empty text stands for one made from the rules.",
    fields={
        "language": Text(
            about="The language of these texts; the campaign's default if not given.", limit=8, example="en"
        ),
        **{name: Text(about=name, limit=_LIMITS[name], blank=True, lines=True) for name in TEXTS},
    },
    example={"reward_header": "$20 for you"},
)
_HOST = Text(about="A host name.", limit=253, example="blog.example.com")
_SCHEME = Text(about="A scheme without `://`.", limit=31, example="halden")
_ORIGIN = Text(about="An origin of your pages.", limit=300, example="https://shop.example.com")
_WORDS = Group(
    about="By language.",
    fields={code: Text(about=f"In {code}.", limit=QUESTION_LENGTHS["label"]) for code in LANGUAGES},
    example={"en": "Team size"},
)
_OPTION = Text(about="An answer.", limit=QUESTION_LENGTHS["option"], example="1 to 10")
_OPTIONS = Listing(about="Answers.", of=_OPTION, most=MOST_OPTIONS)
_QUESTION = Group(
    about="A question of the form.",
    fields={
        "key": Text(about="The answer's name in `metadata`.", limit=30, required=True, example="team_size"),
        "kind": Choice(about="The kind of answer.", options=QUESTION_KINDS, required=True, example="text"),
        "required": Flag(about="Whether it has to be answered."),
        "labels": _WORDS,
        "options": _OPTIONS,
        "option_labels": Group(
            about="What a choice's answers are called, by language, in the order of `options`.",
            fields=dict.fromkeys(LANGUAGES, _OPTIONS),
            example={"de": ["1 bis 10", "mehr"]},
        ),
    },
    example={"key": "team_size", "kind": "number", "labels": {"en": "Team size"}},
)
_SETTINGS: dict[str, Field] = {
    "type": Choice(about="Its type.", options=tuple(CampaignType.values)),
    "starts_at": Moment(about="Nobody can join before.", clears=True),
    "ends_at": Moment(about="Nobody can join from then on.", clears=True, example="2027-11-20T00:00:00.000+00:00"),
    "default_language": Choice(about="The language of its texts.", options=("en", "de", "ar"), example="en"),
    "attribution": Group(
        about="Which click counts, or how several share a friend, and for how long.",
        fields={
            "model": Choice(
                about="Which click counts. linear and position share a friend between all whose links were opened.",
                options=tuple(name for name, _label in Campaign.MODELS),
            ),
            "window_days": Whole(about="For how many days a click counts.", low=1, high=365),
        },
        example={"model": "first_click", "window_days": 60},
    ),
    "fraud": Group(
        about="How strict the fraud check is.",
        fields={"preset": Choice(about="Sets where Medium and High begin.", options=tuple(FRAUD_PRESETS))},
        example={"preset": "strict"},
    ),
    "landing": Group(
        about="Where links lead.",
        fields={
            "mode": Choice(about="Our page or yours.", options=("hosted", "redirect")),
            "url": Text(about="Your page, for `redirect`.", limit=2000, blank=True),
            "allowed_hosts": Listing(about="More sites that deep links may lead to.", of=_HOST, most=MOST_HOSTS),
            "app_schemes": Listing(about="Schemes of apps that deep links may open.", of=_SCHEME, most=MOST_SCHEMES),
            "script_origins": Listing(about="Pages that may use the browser script.", of=_ORIGIN, most=MOST_ORIGINS),
            "discount_code": Text(
                about="What invited visitors of your pages are shown to enter when they pay; `{code}` is their friend's"
                " referral code.",
                limit=40,
                blank=True,
            ),
            "utm": Group(
                about="UTM parameters that your page gets; all of them, they replace the ones before.",
                fields={name: Text(about=f"utm_{name}.", limit=UTM_LENGTH, blank=True) for name in UTM},
                example={"source": "friends"},
            ),
        },
        example={"mode": "hosted"},
    ),
    "links": Group(
        about="The links themselves.",
        fields={
            "name": Text(about="Stands before chosen codes in short links.", limit=30, blank=True, example="halden"),
            "own_codes": Flag(about="Whether people may choose their own code."),
            "consent": Choice(about="When a cookie may be set.", options=tuple(name for name, _ in Campaign.CONSENTS)),
        },
        example={"consent": "ask"},
    ),
    "joining": Group(
        about="What joining asks for.",
        fields={
            "asks_terms": Flag(about="Whether people have to accept the terms."),
            "terms_url": Text(about="The page with the terms; empty for those of `texts`.", limit=2000, blank=True),
            "confirms_email": Flag(about="Whether joining counts only once the address is confirmed by mail."),
            "questions": Listing(about="Questions of the form, all of them.", of=_QUESTION, most=MOST_QUESTIONS),
        },
        example={"confirms_email": True},
    ),
    "theme": Group(
        about="How its pages look.",
        fields={
            "brand_color": Text(about="The main colour.", limit=7, example="#0a6470"),
            "font": Choice(about="The font.", options=tuple(name for name, _ in Campaign.FONTS)),
        },
        example={"brand_color": "#0a6470"},
    ),
    "rules": Json(about="The reward rules, all of them.", kind=list, shape=array(ref("RuleInput"), "Rules.")),
    "texts": _TEXTS,
}
_COLUMNS = {
    "attribution": {"model": "attribution_model", "window_days": "window_days"},
    "fraud": {"preset": "fraud_preset"},
    "landing": {
        "mode": "landing_mode",
        "url": "landing_url",
        "allowed_hosts": "allowed_hosts",
        "app_schemes": "app_schemes",
        "script_origins": "script_origins",
        "discount_code": "discount_code",
        "utm": "utm",
    },
    "links": {"name": "link_name", "own_codes": "own_codes", "consent": "consent"},
    "joining": {name: name for name in ("asks_terms", "terms_url", "confirms_email", "questions")},
    "theme": {"brand_color": "brand_color", "font": "font"},
}
_FIELDS = {column: f"{group}.{name}" for group, names in _COLUMNS.items() for name, column in names.items()}
_FIELDS |= {f"utm_{name}": f"landing.utm.{name}" for name in UTM}
_PLAIN = ("name", "type", "currency", "starts_at", "ends_at", "default_language")


@API.operation(
    "GET",
    "campaigns",
    tag=TAG,
    scope=Scope.READ,
    query={
        "status": Choice(about="Only those that stand there.", options=tuple(Status.values), example="active"),
        **PAGING,
    },
    answer=ref("CampaignPage"),
    errors=("pagination", "invalid_choice"),
)
def list_campaigns(call: Call) -> Answer:
    """List campaigns.

    All campaigns of the key's side (live or test), newest first.
    """
    rows = Campaign.objects.for_tenant(call.tenant)
    if status := call.query.get("status"):
        rows = rows.filter(status=status)
    page = page_of(call, campaign_rows(rows))
    body, headers = page_json(call, page, [campaign_json(row) for row in page.rows])
    return Answer(body, headers=headers)


@API.operation(
    "POST",
    "campaigns",
    tag=TAG,
    scope=Scope.CAMPAIGNS,
    body={
        "name": Text(about="For your eyes.", limit=120, required=True, example="Summer"),
        "currency": Currency(about="Of all its amounts; the merchant's usual one if not given."),
        "preset": Choice(about="The template whose rules it starts with.", options=tuple(PRESETS)),
        **_SETTINGS,
    },
    answer=ref("Campaign"),
    statuses={201: "The draft."},
    headers={"Location": "The address of the campaign."},
    errors=("missing_field", "blank", "invalid_value", "ends_before_start", *LINK_ERRORS, *JOIN_ERRORS, *RULE_ERRORS),
)
def create_campaign(call: Call) -> Answer:
    """Create a campaign.

    Makes a draft with the rules of a template, or with `rules` instead. Nobody sees it before it is launched.
    """
    body = call.body
    currency = body.get("currency", call.tenant.merchant.currency)
    columns = {name: value for name, value in _columns(body).items() if name not in {"name", "currency"}}
    with _our_names():
        campaign = services.create_campaign(
            tenant=call.tenant,
            actor=call.actor,
            name=body["name"],
            currency=currency,
            preset_key=body.get("preset", "refer_a_friend_double"),
            rules=read_rules(body["rules"], currency) if "rules" in body else None,
            **columns,
        )
    _save_texts(call, campaign)
    return Answer(_shown(call, campaign.public_id), 201, {"Location": f"/api/v2/campaigns/{campaign.public_id}"})


@API.operation("GET", "campaigns/{id}", tag=TAG, scope=Scope.READ, answer=ref("Campaign"), errors=MISSING)
def get_campaign(call: Call) -> Answer:
    """Get a campaign.

    With the rules in force and its texts in its default language.
    """
    return Answer(_shown(call, call.params["id"]))


@API.operation(
    "PATCH",
    "campaigns/{id}",
    tag=TAG,
    scope=Scope.CAMPAIGNS,
    body={
        "name": Text(about="For your eyes.", limit=120, example="Autumn"),
        "currency": Currency(about="Only as long as it is a draft."),
        **_SETTINGS,
    },
    answer=ref("Campaign"),
    statuses={200: "The campaign after the change."},
    errors=(
        *MISSING,
        "blank",
        "invalid_value",
        "ends_before_start",
        "currency_fixed",
        "ends_in_the_past",
        "campaign_ended",
        *LINK_ERRORS,
        *JOIN_ERRORS,
        *RULE_ERRORS,
    ),
)
def update_campaign(call: Call) -> Answer:
    """Change a campaign.

    What is not named stays; null empties `starts_at` and `ends_at`. New `rules` replace all rules: a launched campaign gets a new
    version, and rewards already earned keep their terms.
    """
    campaign = _find(call, call.params["id"])
    columns = _columns(call.body)
    currency = columns.get("currency", campaign.currency) if campaign.status == "draft" else campaign.currency
    rules = read_rules(call.body["rules"], currency) if "rules" in call.body else None
    if columns:
        with _our_names():
            campaign = services.update_campaign(campaign=campaign, actor=call.actor, rules=rules, **columns)
    if rules is not None:
        services.publish_rules(campaign=campaign, rules=rules, actor=call.actor)
    _save_texts(call, campaign)
    return Answer(_shown(call, campaign.public_id))


@contextmanager
def _our_names() -> Iterator[None]:
    """A refusal that names a column names the field of the request instead."""
    try:
        yield
    except Refused as error:
        error.field = _FIELDS.get(error.field, error.field)
        if error.field.startswith("questions["):
            error.field = f"joining.{error.field}"
        raise


def _find(call: Call, public_id: str) -> Campaign:
    rows = Campaign.objects.for_tenant(call.tenant).select_related("merchant", "version")
    return one(rows, "campaign", public_id)


def _shown(call: Call, public_id: str) -> dict[str, Any]:
    return campaign_json(one(campaign_rows(Campaign.objects.for_tenant(call.tenant)), "campaign", public_id))


def _columns(body: dict[str, Any]) -> dict[str, Any]:
    found = {name: body[name] for name in _PLAIN if name in body}
    for group, names in _COLUMNS.items():
        for name, value in body.get(group, {}).items():
            found[names[name]] = value
    return found


def read_rules(data: list[Any], currency: str) -> list[RuleTerms]:
    """Rules as they are sent; TermsError at the field that has to change."""
    if len(data) > services.MAX_RULES:
        raise refused("too_many_rules", f"A campaign has at most {services.MAX_RULES} rules.", "rules")
    return [terms_from_json(rule, currency, at=f"rules[{number}]") for number, rule in enumerate(data)]


def _save_texts(call: Call, campaign: Campaign) -> None:
    texts = dict(call.body.get("texts", {}))
    language = texts.pop("language", campaign.default_language)
    if texts:
        services.save_texts(campaign=campaign, language=language, actor=call.actor, texts=texts)


def _action(name: str, title: str, errors: tuple[str, ...], act: Callable[..., Campaign], status: int = 200) -> None:
    def handler(call: Call) -> Answer:
        done = act(campaign=_find(call, call.params["id"]), actor=call.actor)
        headers = {"Location": f"/api/v2/campaigns/{done.public_id}"} if status == 201 else {}
        return Answer(_shown(call, done.public_id), status, headers)

    handler.__doc__ = title
    API.operation(
        "POST",
        f"campaigns/{{id}}/{name}",
        name=f"{name}Campaign",
        tag=TAG,
        scope=Scope.CAMPAIGNS,
        answer=ref("Campaign"),
        statuses={status: "The campaign."},
        headers={"Location": "The address of the copy."} if status == 201 else {},
        errors=(*MISSING, *errors),
    )(handler)


_action(
    "launch",
    "Launch a campaign.\n\nMakes a draft public. It needs at least one rule.",
    ("invalid_state", "no_rules", "ends_in_the_past"),
    services.launch,
)
_action(
    "pause",
    "Pause a campaign.\n\nNobody can join and nothing is earned until it is resumed.",
    ("invalid_state",),
    services.pause,
)
_action("resume", "Resume a campaign.\n\nUndoes a pause.", ("invalid_state",), services.resume)
_action("end", "End a campaign.\n\nFor good. What was earned stays owed.", ("invalid_state",), services.end)
_action(
    "duplicate", "Duplicate a campaign.\n\nA new draft with its rules, texts and look.", (), services.duplicate, 201
)
