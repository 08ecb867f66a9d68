"""Shopify's stand-in: the part of the Admin API that we use, orders that are told of, and access tokens.

GraphQL is not run here: each of our operations is known by its name, and tests/conformance holds the answers against Shopify's schema. What
buyers do in a shop (order, refund, cancel) is done under /play, which the real one has not.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from integrations.base import Account, Secrets
from integrations.providers.shopify.amounts import decimal_text
from integrations.providers.shopify.samples import sign
from integrations.sandbox import shopify_rewards as rewards
from integrations.sandbox.base import Call, Company, Refusal, Reply, Request, Route
from integrations.sandbox.state import Data
from referrals.lib.codes import random_text
from referrals.lib.money import Money, MoneyError

_OPERATION = re.compile(r"\s*(?:query|mutation)\s+Passalong(\w+)")
GRAPHQL = "/admin/api/{version}/graphql.json"
# Orders and customers count from here, as numbers that look like Shopify's.
_FIRST = 5_500_000_000_000
_PAGE = 10
# Of the shop, and so of its discounts.
_CURRENCY = "USD"


class Shopify(Company):
    """See the module."""

    slug = "shopify"

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", GRAPHQL, self.graphql),
            Route("POST", "/play/order", self.play_order),
            Route("POST", "/play/refund", self.play_refund),
            Route("POST", "/play/cancel", self.play_cancel),
            Route("POST", "/play/uninstall", self.play_uninstall),
        )

    # The company's manners.

    def key(self, request: Request) -> str:
        """The access token. A token is asked for without one."""
        if request.path == "/admin/oauth/access_token":
            return "token"
        return request.headers.get("x-shopify-access-token", "")

    def answer(self, call: Call) -> Reply:
        if call.request.path == "/admin/oauth/access_token":
            return self.token(call)
        return super().answer(call)

    def sign(self, body: bytes, message: Data, secrets: Secrets) -> dict[str, str]:
        """Base64 of HMAC-SHA256 over the body; topic, shop and id are headers."""
        return sign(body, message["event"], message["id"], Account(secrets)) | {"Content-Type": "application/json"}

    def step(self, call: Call, kind: str, name: str, data: Data, word: str) -> None:
        """Nothing goes on by itself here."""
        raise NotImplementedError

    def denied(self) -> Reply:
        words = "[API] Invalid API key or access token (unrecognized login or wrong password)"
        return Reply(401, {"errors": words})

    def busy(self) -> Reply:
        """Too many requests are a 200 here."""
        return Reply(200, {"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]})

    def missing(self) -> Reply:
        return Reply(404, {"errors": "Not Found"})

    def malformed(self, message: str) -> Reply:
        return Reply(400, {"errors": message})

    def token(self, call: Call) -> Reply:
        """Client credentials and authorization code: both need the app's own secret; any will do for an app that is not installed yet."""
        form = call.form
        known = call.secrets.get("client_secret") or form.get("client_secret")
        if not known or form.get("client_secret") != known or not form.get("client_id"):
            return Reply(400, {"error": "invalid_client"})
        found: dict[str, Any] = {"access_token": f"shpat_{random_text(32)}", "scope": "read_orders,write_discounts"}
        if form.get("grant_type") == "client_credentials":
            found["expires_in"] = int(timedelta(hours=24).total_seconds()) - 1
        return Reply(200, found)

    # The Admin API.

    def graphql(self, call: Call) -> Reply:
        """The operation by its name; a name that we don't send is an error of Shopify's kind."""
        query, variables = call.json.get("query"), call.json.get("variables")
        found = _OPERATION.match(query) if isinstance(query, str) else None
        answer = _ANSWERS.get(found.group(1)) if found else None
        if answer is None or not isinstance(variables, dict):
            words = "Unknown operation"
            return Reply(200, {"errors": [{"message": words, "extensions": {"code": "undefinedField"}}]})
        return Reply(200, {"data": answer(call, variables)})

    # What happens in the shop.

    def play_order(self, call: Call) -> Reply:
        """A paid order: amount_minor, currency, email; codes and attributes where there are some."""
        asked = call.json
        money = Money(asked["amount_minor"], asked["currency"])
        call.begin(money, str(asked.get("email")))
        customer = _customer(call, str(asked["email"]), str(asked.get("name") or ""))
        order = {
            "id": _next(call, "order"),
            "money": [money.minor, money.currency],
            "email": asked["email"],
            "customer": customer,
            "at": call.now.isoformat(),
            "codes": list(asked.get("codes") or ()),
            "attributes": dict(asked.get("attributes") or {}),
            "landing": asked.get("landing"),
            "cancelled_at": None,
            "refunds": [],
        }
        call.state.add("order", str(order["id"]), order)
        call.tell("orders/paid", _rest_order(call, order))
        return Reply(200, {"id": order["id"]})

    def play_refund(self, call: Call) -> Reply:
        """Money goes back: order, amount_minor."""
        order = _order_of(call, str(call.json.get("order")))
        money = Money(int(call.json["amount_minor"]), order["money"][1])
        number = _FIRST + 10 * order["id"] % _FIRST + len(order["refunds"])
        refund = {"id": number, "minor": money.minor, "at": call.now.isoformat()}
        call.state.put("order", str(order["id"]), {**order, "refunds": [*order["refunds"], refund]})
        part = {"id": number, "kind": "refund", "status": "success", "test": True}
        sums = {"amount": decimal_text(money), "currency": money.currency}
        payload = {"id": number, "order_id": order["id"], "created_at": refund["at"], "transactions": [part | sums]}
        call.tell("refunds/create", payload)
        return Reply(200, {"id": number})

    def play_cancel(self, call: Call) -> Reply:
        """The order is cancelled."""
        order = _order_of(call, str(call.json.get("order"))) | {"cancelled_at": call.now.isoformat()}
        call.state.put("order", str(order["id"]), order)
        call.tell("orders/cancelled", _rest_order(call, order))
        return Reply(200, {"id": order["id"]})

    def play_uninstall(self, call: Call) -> Reply:
        """The app is taken out of the shop."""
        call.tell("app/uninstalled", {"id": _FIRST, "myshopify_domain": call.secrets.get("shop", "")})
        return Reply(200, {})


def _next(call: Call, kind: str) -> int:
    return _FIRST + len(call.state.each(kind)) + 1


def _order_of(call: Call, name: str) -> Data:
    found = call.state.get("order", name)
    if found is None:
        raise Refusal(call.company.missing())
    return found


def _customer(call: Call, email: str, name: str) -> str:
    known = call.state.get("customer", email.lower())
    if known is None:
        first, _, last = name.partition(" ")
        number = _next(call, "customer")
        data = {"id": number, "email": email, "first": first, "last": last, "at": call.now.isoformat()}
        call.state.add("customer", email.lower(), data)
    return email.lower()


def _bag(minor: int, currency: str) -> dict[str, Any]:
    side = {"amount": decimal_text(Money(minor, currency)), "currencyCode": currency}
    return {"shopMoney": side, "presentmentMoney": side}


def _rest_order(call: Call, order: Data) -> dict[str, Any]:
    """As a webhook tells it."""
    customer = call.state.get("customer", order["customer"]) or {}
    minor, currency = order["money"]
    side = {"amount": decimal_text(Money(minor, currency)), "currency_code": currency}
    return {
        "id": order["id"],
        "admin_graphql_api_id": f"gid://shopify/Order/{order['id']}",
        "name": f"#{order['id'] - _FIRST + 1000}",
        "test": True,
        "email": order["email"],
        "created_at": order["at"],
        "processed_at": order["at"],
        "cancelled_at": order["cancelled_at"],
        "financial_status": "paid",
        "currency": currency,
        "total_price": side["amount"],
        "total_price_set": {"shop_money": side, "presentment_money": side},
        "discount_codes": [{"code": code, "amount": "0.00", "type": "percentage"} for code in order["codes"]],
        "note_attributes": [{"name": name, "value": value} for name, value in order["attributes"].items()],
        "landing_site": order["landing"],
        "customer": {
            "id": customer.get("id"),
            "email": customer.get("email"),
            "first_name": customer.get("first"),
            "last_name": customer.get("last"),
        },
    }


# Answers to our operations, by the names in integrations/providers/shopify/queries.py.


def _number(variables: Data) -> str:
    return str(variables.get("id")).rpartition("/")[2]


def _ask_order(call: Call, variables: Data) -> Data:
    order = call.state.get("order", _number(variables))
    if order is None:
        return {"order": None}
    mine = [row for _name, row in call.state.each("order") if row["customer"] == order["customer"]]
    customer = call.state.get("customer", order["customer"]) or {}
    nodes = [{"id": f"gid://shopify/Order/{row['id']}", "createdAt": row["at"]} for row in mine[:_PAGE]]
    facts = {"numberOfOrders": str(len(mine)), "createdAt": customer["at"], "orders": {"nodes": nodes}}
    return {"order": {"customer": facts, "customerJourneySummary": _journey(order)}}


def _journey(order: Data) -> Data | None:
    if not order["landing"]:
        return None
    visit = {"landingPage": order["landing"], "referrerUrl": None}
    return {"firstVisit": visit, "lastVisit": visit}


def _refund_node(row: Data, currency: str) -> Data:
    part = {
        "id": f"gid://shopify/OrderTransaction/{row['id']}",
        "kind": "REFUND",
        "status": "SUCCESS",
        "test": True,
        "amountSet": _bag(row["minor"], currency),
    }
    return {"legacyResourceId": str(row["id"]), "createdAt": row["at"], "transactions": {"nodes": [part]}}


def _ask_refund(call: Call, variables: Data) -> Data:
    for _name, order in call.state.each("order"):
        for row in order["refunds"]:
            if str(row["id"]) == _number(variables):
                return {"refund": _refund_node(row, order["money"][1])}
    return {"refund": None}


def _list_orders(call: Call, variables: Data) -> Data:
    """Those that changed in the span of the search, which is made of our own two conditions."""
    since, until = re.findall(r"'([^']+)'", str(variables.get("query")))
    rows = [row for _name, row in call.state.each("order") if since <= _changed(row) < until]
    start = int(variables.get("after") or 0)
    page = rows[start : start + _PAGE]
    nodes = [_order_node(call, row) for row in page]
    end = start + len(page)
    info = {"hasNextPage": end < len(rows), "endCursor": str(end) if page else None}
    return {"orders": {"nodes": nodes, "pageInfo": info}}


def _changed(order: Data) -> str:
    moments = [order["at"], order["cancelled_at"] or "", *(row["at"] for row in order["refunds"])]
    return f"{max(moments)[:19]}Z"


def _order_node(call: Call, order: Data) -> Data:
    customer = call.state.get("customer", order["customer"]) or {}
    minor, currency = order["money"]
    back = sum(row["minor"] for row in order["refunds"])
    paid = "REFUNDED" if back >= minor else "PARTIALLY_REFUNDED" if back else "PAID"
    return {
        "legacyResourceId": str(order["id"]),
        "name": f"#{order['id'] - _FIRST + 1000}",
        "test": True,
        "email": order["email"],
        "createdAt": order["at"],
        "processedAt": order["at"],
        "cancelledAt": order["cancelled_at"],
        "displayFinancialStatus": paid,
        "totalPriceSet": _bag(minor, currency),
        "discountCodes": order["codes"],
        "customAttributes": [{"key": name, "value": value} for name, value in order["attributes"].items()],
        "customerAcceptsMarketing": False,
        "customer": {
            "legacyResourceId": str(customer["id"]),
            "firstName": customer["first"],
            "lastName": customer["last"],
            "defaultEmailAddress": {"emailAddress": customer["email"], "marketingState": "NOT_SUBSCRIBED"},
        },
        "billingAddress": None,
        "customerJourneySummary": {"firstVisit": (_journey(order) or {}).get("firstVisit")},
        "refunds": [_refund_node(row, currency) for row in order["refunds"]],
    }


def _shop(call: Call, _variables: Data) -> Data:
    shop = call.secrets.get("shop", "")
    facts = {"name": shop.partition(".")[0], "myshopifyDomain": shop, "currencyCode": _CURRENCY}
    scopes = [{"handle": name} for name in ("read_orders", "read_customers", "write_discounts", *rewards.SCOPES)]
    plan = {"plan": {"partnerDevelopment": True}}
    return {"shop": facts | plan, "currentAppInstallation": {"accessScopes": scopes}}


def _list_subscriptions(call: Call, _variables: Data) -> Data:
    nodes = [row for _name, row in call.state.each("subscription") if not row.pop("gone", False)]
    return {"webhookSubscriptions": {"nodes": nodes, "pageInfo": {"hasNextPage": False, "endCursor": None}}}


def _subscribe(call: Call, variables: Data) -> Data:
    topic, uri = str(variables["topic"]), str(variables["uri"])
    for _name, row in call.state.each("subscription"):
        if (row["topic"], row["uri"]) == (topic, uri) and not row.get("gone"):
            taken = [
                {"field": ["webhookSubscription", "uri"], "message": "Address for this topic has already been taken"}
            ]
            return {"webhookSubscriptionCreate": {"webhookSubscription": None, "userErrors": taken}}
    id_ = f"gid://shopify/WebhookSubscription/{_next(call, 'subscription')}"
    call.state.add("subscription", id_, {"id": id_, "topic": topic, "uri": uri})
    return {"webhookSubscriptionCreate": {"webhookSubscription": {"id": id_}, "userErrors": []}}


def _unsubscribe(call: Call, variables: Data) -> Data:
    row = call.state.get("subscription", str(variables["id"]))
    if row is not None:
        call.state.put("subscription", row["id"], {**row, "gone": True})
    return {"webhookSubscriptionDelete": {"deletedWebhookSubscriptionId": variables["id"], "userErrors": []}}


def _ask_discount(call: Call, variables: Data) -> Data:
    row = call.state.get("discount", str(variables["code"]).lower())
    if row is None:
        return {"codeDiscountNodeByCode": None}
    known = {"title": row["title"], "status": row["status"], "tags": row["tags"]}
    node = {"id": row["id"], "codeDiscount": {"__typename": "DiscountCodeBasic"} | known}
    return {"codeDiscountNodeByCode": node}


def _make_discount(call: Call, variables: Data) -> Data:
    asked = variables["discount"]
    name = str(asked["code"]).lower()
    # A discount in money has an amount, and an amount may have a script.
    amount = asked["customerGets"]["value"].get("discountAmount")
    if amount:
        try:
            money = Money.parse(str(amount["amount"]), _CURRENCY)
        except MoneyError as error:
            raise Refusal(call.company.malformed(error.message)) from error
        call.begin(money, name)
    id_ = f"gid://shopify/DiscountCodeNode/{_next(call, 'discount')}"
    row = {"id": id_, "status": "ACTIVE", **{key: asked.get(key) for key in ("code", "title", "tags", "customerGets")}}
    if not call.state.add("discount", name, row):
        told = {"field": ["basicCodeDiscount", "code"], "message": "Code must be unique.", "code": "TAKEN"}
        return {"discountCodeBasicCreate": {"codeDiscountNode": None, "userErrors": [told]}}
    return {"discountCodeBasicCreate": {"codeDiscountNode": {"id": id_}, "userErrors": []}}


def _with_discount(call: Call, name: str, id_: str, changes: Data) -> Data:
    for code, row in call.state.each("discount"):
        if row["id"] == id_:
            call.state.put("discount", code, {**row, **changes})
            return {name: {"userErrors": []}}
    told = {"field": ["id"], "message": "Code discount does not exist.", "code": "INVALID"}
    return {name: {"userErrors": [told]}}


def _change_discount(call: Call, variables: Data) -> Data:
    asked = {key: variables["discount"].get(key) for key in ("code", "title", "tags", "customerGets")}
    name = "discountCodeBasicUpdate"
    found = _with_discount(call, name, str(variables["id"]), asked)
    node = None if found[name]["userErrors"] else {"id": variables["id"]}
    return {name: {"codeDiscountNode": node, **found[name]}}


def _switch_on(call: Call, variables: Data) -> Data:
    return _with_discount(call, "discountCodeActivate", str(variables["id"]), {"status": "ACTIVE"})


def _switch_off(call: Call, variables: Data) -> Data:
    return _with_discount(call, "discountCodeDeactivate", str(variables["id"]), {"status": "EXPIRED"})


_ANSWERS = {
    "Order": _ask_order,
    "Refund": _ask_refund,
    "Orders": _list_orders,
    "Shop": _shop,
    "Subscriptions": _list_subscriptions,
    "Subscribe": _subscribe,
    "Unsubscribe": _unsubscribe,
    "Discount": _ask_discount,
    "MakeDiscount": _make_discount,
    "ChangeDiscount": _change_discount,
    "SwitchOn": _switch_on,
    "SwitchOff": _switch_off,
    **rewards.ANSWERS,
}
