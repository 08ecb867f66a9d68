"""What we keep in a shop: discount codes for referrers' friends, and the webhooks that tell us (integrations.remote).

Shopify has no keys for these requests (PROVIDERS.md, section 0.1): a code's text is its own key, and a tag of ours tells whether a code
that is there already was made by a try that heard no answer. A code's text stays taken when it is switched off, so it is changed, not
made anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from integrations.base import Account, ProviderError
from integrations.providers.shopify import queries
from integrations.providers.shopify.amounts import decimal_text
from integrations.providers.shopify.graphql import Refusal, ask, change
from integrations.reading import Object, inner, text
from integrations.remote import CodeOrder, Discount, EndpointOrder, MadeEndpoint, RemoteError
from referrals.lib import clock

# Which one a repeated code gives is not documented.
_TAKEN = frozenset({"TAKEN", "DUPLICATE", "IMPLICIT_DUPLICATE"})
# Of the app's configuration, not to be subscribed to.
COMPLIANCE = frozenset({"customers/data_request", "customers/redact", "shop/redact"})
_PAGES = 10


@contextmanager
def _told() -> Iterator[None]:
    """Shopify's errors as ours."""
    try:
        yield
    except ProviderError as error:
        code = error.code if isinstance(error, Refusal) else ""
        if error.retry:
            raise RemoteError("no_answer", str(error), retry=True, answered=False) from error
        problem = {"NO_TOKEN": "key_missing", "UNAUTHORIZED": "key_refused", "ACCESS_DENIED": "rights_missing"}.get(
            code
        )
        raise RemoteError(problem or ("code_taken" if code in _TAKEN else "refused"), str(error)) from error


class ShopifyPromotions:
    """Discount codes. There is no coupon behind them: each carries the discount itself."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def make_coupon(self, coupon_id: str, name: str, discount: Discount) -> None:
        """Nothing: a code carries its discount. Raises refused where a shop's code can't give it."""
        if discount.percent is not None and not 0 < discount.percent <= 100:
            raise RemoteError("refused", "A percentage is above 0 and at most 100.")

    def check_coupon(self, coupon_id: str) -> None:
        """A discount that was chosen by its id can't be given under many codes."""
        raise RemoteError("coupon_unsupported")

    def drop_coupon(self, coupon_id: str) -> None:
        """Nothing."""

    def find_code(self, order: CodeOrder) -> str:
        """The id of the discount with this code, when it carries our mark and revision; "" when there is none."""
        found = self._discount(order.text)
        tags = inner(found, "codeDiscount").get("tags")
        wanted = tag(order)
        mine = [one for one in tags if isinstance(one, str)] if isinstance(tags, list) else []
        if any(one == wanted or (not order.revision and one.startswith(wanted)) for one in mine):
            return text(found.get("id"))
        return ""

    def _discount(self, code: str) -> Object:
        with _told():
            return inner(ask(self._account, queries.DISCOUNT_BY_CODE, {"code": code}), "codeDiscountNodeByCode")

    def make_code(self, order: CodeOrder) -> str:
        """Make it; where the text is taken by an earlier revision of the same, change that. Raises code_taken."""
        wanted = as_discount(order)
        try:
            with _told():
                made = change(self._account, queries.MAKE_DISCOUNT, {"discount": wanted}, "discountCodeBasicCreate")
        except RemoteError as error:
            if error.problem != "code_taken":
                raise
            return self._changed(order, wanted, error)
        return text(inner(made, "codeDiscountNode").get("id"))

    def _changed(self, order: CodeOrder, wanted: dict[str, Any], error: RemoteError) -> str:
        known = self.find_code(CodeOrder(order.text, "", order.mark, order.key))
        if not known:
            raise error
        with _told():
            change(self._account, queries.CHANGE_DISCOUNT, {"id": known, "discount": wanted}, "discountCodeBasicUpdate")
        self.switch(known, on=True)
        return known

    def switch(self, remote_id: str, *, on: bool) -> None:
        """Let a code work, or not any more."""
        query, name = (
            (queries.SWITCH_ON, "discountCodeActivate") if on else (queries.SWITCH_OFF, "discountCodeDeactivate")
        )
        with _told():
            change(self._account, query, {"id": remote_id}, name)


def tag(order: CodeOrder) -> str:
    """By which we know a discount again: whose it is, and of which revision (revision 0: the beginning that all of them have)."""
    return f"passalong:{order.mark}:{order.revision or ''}"


def as_discount(order: CodeOrder) -> dict[str, Any]:
    """A DiscountCodeBasicInput: once for each customer, off the whole order."""
    discount = order.discount
    if discount.percent is not None:
        # Between 0 and 1. A percentage is no amount of money.
        value: dict[str, Any] = {"percentage": float(discount.percent / 100)}
    elif discount.money is not None:
        value = {"discountAmount": {"amount": decimal_text(discount.money), "appliesOnEachItem": False}}
    else:
        raise RemoteError("reward_missing")
    found: dict[str, Any] = {
        "title": order.text,
        "code": order.text,
        "startsAt": clock.wall().isoformat(),
        "endsAt": None,
        "appliesOncePerCustomer": True,
        "context": {"all": "ALL"},
        "customerGets": {"value": value, "items": {"all": True}},
        "tags": ["passalong", tag(order)],
    }
    if order.minimum is not None:
        found["minimumRequirement"] = {"subtotal": {"greaterThanOrEqualToSubtotal": decimal_text(order.minimum)}}
    return found


class ShopifyListening:
    """The shop's webhooks to our address: one subscription for each topic. The address, which is the connection's own, is the mark."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def find(self, order: EndpointOrder) -> str:
        """The address when something is sent to it; "" when nothing is."""
        return next((uri for _id, _topic, uri in self._all() if uri == order.url), "")

    def _all(self) -> list[tuple[str, str, str]]:
        found: list[tuple[str, str, str]] = []
        after: str | None = None
        with _told():
            for _page in range(_PAGES):
                page = inner(ask(self._account, queries.SUBSCRIPTIONS, {"after": after}), "webhookSubscriptions")
                nodes = list(page.get("nodes") or ())
                found += [(text(row.get("id")), text(row.get("topic")), text(row.get("uri"))) for row in nodes]
                after = text(inner(page, "pageInfo").get("endCursor"))
                if inner(page, "pageInfo").get("hasNextPage") is not True or not after:
                    break
        return found

    def make(self, order: EndpointOrder) -> MadeEndpoint:
        """Subscribe to what is not subscribed yet. The secret is the app's own."""
        self.update(order.url, order)
        return MadeEndpoint(order.url, {})

    def update(self, remote_id: str, order: EndpointOrder) -> bool:
        """Bring the subscriptions in line with the list of topics."""
        there = {topic: id_ for id_, topic, uri in self._all() if uri == order.url}
        wanted = {name.replace("/", "_").upper() for name in order.events if name not in COMPLIANCE}
        for topic in sorted(wanted - there.keys()):
            with _told():
                known = {"topic": topic, "uri": order.url}
                change(self._account, queries.SUBSCRIBE, known, "webhookSubscriptionCreate")
        for topic in sorted(there.keys() - wanted):
            self._drop(there[topic])
        return True

    def delete(self, remote_id: str) -> None:
        """Take all subscriptions to this address away."""
        for id_, _topic, uri in self._all():
            if uri == remote_id:
                self._drop(id_)

    def _drop(self, subscription: str) -> None:
        with _told():
            change(self._account, queries.UNSUBSCRIBE, {"id": subscription}, "webhookSubscriptionDelete")
