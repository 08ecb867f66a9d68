"""What a rule's parts are called in plain words: spans of time, attributes, operators, conditions, the events that count.

Shared by the merchant's pages and the public ones, so that both say the same of the same rule.
"""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from campaigns.conditions import Comparison, Group

Words = str | Promise
# What each attribute is called, by entity and field (campaigns.conditions.FIELDS).
ATTRIBUTES: dict[tuple[str, str], Words] = {
    ("event", "type"): lazy("the event's name"),
    ("event", "amount"): lazy("the amount of the purchase"),
    ("event", "currency"): lazy("the currency of the purchase"),
    ("event", "source"): lazy("where the event came from"),
    ("event", "country"): lazy("the country of the purchase"),
    ("event", "product"): lazy("the product"),
    ("event", "plan"): lazy("the plan"),
    ("event", "quantity"): lazy("the quantity"),
    ("event", "first"): lazy("the friend's first event (true or false)"),
    ("invitee", "email"): lazy("the friend's e-mail address"),
    ("invitee", "email_domain"): lazy("the friend's e-mail domain"),
    ("invitee", "country"): lazy("the friend's country"),
    ("invitee", "language"): lazy("the friend's language"),
    ("invitee", "source"): lazy("where the friend joined"),
    ("invitee", "existing_customer"): lazy("the friend was a customer before (true or false)"),
    ("referrer", "email"): lazy("the referrer's e-mail address"),
    ("referrer", "email_domain"): lazy("the referrer's e-mail domain"),
    ("referrer", "country"): lazy("the referrer's country"),
    ("referrer", "language"): lazy("the referrer's language"),
    ("referrer", "source"): lazy("where the referrer joined"),
    ("referrer", "existing_customer"): lazy("the referrer was a customer before (true or false)"),
    ("campaign", "id"): lazy("the campaign's id"),
    ("campaign", "name"): lazy("the campaign's name"),
    ("campaign", "type"): lazy("the campaign's type"),
    ("campaign", "currency"): lazy("the campaign's currency"),
}
METADATA: dict[str, Words] = {
    "event": lazy("the event's own field %(name)s"),
    "invitee": lazy("the friend's own field %(name)s"),
    "referrer": lazy("the referrer's own field %(name)s"),
}
OPERATORS: dict[str, Words] = {
    "is": lazy("is"),
    "is_not": lazy("is not"),
    "contains": lazy("contains"),
    "does_not_contain": lazy("does not contain"),
    "starts_with": lazy("begins with"),
    "ends_with": lazy("ends with"),
    "more_than": lazy("is more than"),
    "at_least": lazy("is at least"),
    "less_than": lazy("is less than"),
    "at_most": lazy("is at most"),
    "one_of": lazy("is one of"),
    "none_of": lazy("is none of"),
}
MODES: dict[str, Words] = {"all": lazy("All of these must hold"), "any": lazy("Any one of these must hold")}
DAYS_OF_YEAR, MONTHS_OF_YEAR = 365, 12


def days_of_months(months: int) -> int:
    """So many months as days of a rule's `within_days`: twelve months are 365 days."""
    return (months * DAYS_OF_YEAR + MONTHS_OF_YEAR // 2) // MONTHS_OF_YEAR


def months_of_days(days: int) -> int | None:
    """The months, two or more, that these days are, the other way round; None for any other number of days."""
    months = (days * MONTHS_OF_YEAR + DAYS_OF_YEAR // 2) // DAYS_OF_YEAR
    return months if months > 1 and days_of_months(months) == days else None


def span_words(days: int) -> str:
    """A span as people say it: "12 months" for 365 days, "45 days" otherwise."""
    months = months_of_days(days)
    if months is not None:
        return ngettext("%(n)d month", "%(n)d months", months) % {"n": months}
    return ngettext("%(n)d day", "%(n)d days", days) % {"n": days}


def friends_words(event: str) -> str:
    """Which friends a milestone, a tier or a leaderboard counts, by the event that makes them count."""
    match event:
        case "join":
            return _("friends who join")
        case "purchase":
            return _("friends who buy")
        case other:
            return _("friends with the event %(event)s") % {"event": other}


def counted_words(event: str, number: int) -> str:
    """So many of the friends that count: "5 friends who buy", "1 friend who joins"."""
    facts = {"n": number, "event": event}
    match event:
        case "join":
            text = ngettext("%(n)d friend who joins", "%(n)d friends who join", number)
        case "purchase":
            text = ngettext("%(n)d friend who buys", "%(n)d friends who buy", number)
        case _:
            text = ngettext("%(n)d friend with the event %(event)s", "%(n)d friends with the event %(event)s", number)
    return text % facts


def attribute_words(of: str, field: str) -> str:
    """What an attribute is called."""
    if field.startswith("metadata."):
        return str(METADATA[of]) % {"name": field.removeprefix("metadata.")}
    return str(ATTRIBUTES[of, field])


def comparison_words(test: Comparison) -> str:
    """One comparison: "the country of the purchase is one of NO, SE"."""
    value = ", ".join(test.value) if isinstance(test.value, tuple) else test.value
    name = attribute_words(test.of, test.field)
    return _("%(what)s %(operator)s %(value)s") % {"what": name, "operator": OPERATORS[test.op], "value": value}


def conditions_words(group: Group) -> str:
    """A group as one sentence, inner groups in brackets: "the plan is pro and (the quantity is at least 3 or ...)"."""
    parts = []
    for item in group.items:
        if isinstance(item, Group):
            inner = conditions_words(item)
            parts.append(f"({inner})" if len(item.items) > 1 else inner)
        else:
            parts.append(comparison_words(item))
    return f" {_('and') if group.mode == 'all' else _('or')} ".join(parts)
