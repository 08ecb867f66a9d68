"""What the stand-in of a shop does when rewards are paid there: discount codes, gift cards, store credit.

No request has a key: a code is taken once, and a credit is given as often as it is asked for. The names are those of our operations in
integrations/providers/shopify/queries.py.
"""

from __future__ import annotations

import re
from typing import Any

from integrations.providers.shopify.amounts import decimal_text
from integrations.reading import major_money
from integrations.sandbox.base import Call
from integrations.sandbox.scripts import Script
from integrations.sandbox.state import Data
from referrals.lib.money import Money

SCOPES = ("write_gift_cards", "write_customers", "write_store_credit_account_transactions")
_FIRST = 7_700_000_000_000
# What each of an amount's reasons is called, by mutation; INVALID where there is no word for it.
_DISCOUNT = {"limit_exceeded": "VALUE_OUTSIDE_RANGE"}
_CARD = {"bad_recipient": "CUSTOMER_NOT_FOUND", "limit_exceeded": "GIFT_CARD_LIMIT_EXCEEDED"}
_CREDIT = {
    "bad_recipient": "OWNER_NOT_FOUND", "account_closed": "ACCOUNT_NOT_FOUND", "wrong_currency": "UNSUPPORTED_CURRENCY",
    "limit_exceeded": "CREDIT_LIMIT_EXCEEDED",
}  # fmt: skip


def _money(amount: Any, currency: str) -> Money:
    return major_money(amount, currency)


def _v2(money: Money) -> Data:
    return {"amount": decimal_text(money), "currencyCode": money.currency}


def _refusal(name: str, thing: str, code: str, message: str) -> Data:
    return {name: {thing: None, "userErrors": [{"field": None, "message": message, "code": code}]}}


def _no(script: Script, name: str, thing: str, words: dict[str, str], other: str | None = "INVALID") -> Data:
    found: Any = words.get(script.reason, other)
    return _refusal(name, thing, found, script.reason.replace("_", " "))


def _next(call: Call, kind: str) -> int:
    return _FIRST + len(call.state.each(kind)) + 1


def _seconds(call: Call) -> str:
    return call.now.strftime("%Y-%m-%dT%H:%M:%SZ")


def _page(variables: Data, rows: list[Data]) -> Data:
    start, size = int(variables.get("after") or 0), 50
    info = {"hasNextPage": start + size < len(rows), "endCursor": str(start + size) if rows else None}
    return {"nodes": rows[start : start + size], "pageInfo": info}


def _in_span(search: str, row: Data) -> bool:
    since, until = re.findall(r"'([^']+)'", search)
    return bool(since <= row["createdAt"] < until)


# Discount codes: beside those for friends, in the same list of codes, which are taken once.


def _node(row: Data) -> Data:
    facts = {name: row[name] for name in ("createdAt", "endsAt", "tags")}
    value = {"value": {"__typename": "DiscountAmount", "amount": row["worth"]}}
    return {"id": row["id"], "codeDiscount": {"__typename": "DiscountCodeBasic", **facts, "customerGets": value}}


def give_discount(call: Call, variables: Data) -> Data:
    """In the currency of the shop, whatever the merchant had in mind."""
    asked, name = variables["discount"], "discountCodeBasicCreate"
    code = str(asked["code"])
    if call.state.get("discount", code.lower()) is not None:
        return _refusal(name, "codeDiscountNode", "TAKEN", "Code must be unique. Please try a different code.")
    money = _money(asked["customerGets"]["value"]["discountAmount"]["amount"], "USD")
    script = call.begin(money, code)
    if script.reason:
        return _no(script, name, "codeDiscountNode", _DISCOUNT)
    id_ = f"gid://shopify/DiscountCodeNode/{_next(call, 'discount')}"
    call.pay(id_, to="", money=script.paid(money), reference=asked["tags"][-1].rpartition(":")[2])
    kept = {key: asked.get(key) for key in ("code", "title", "tags", "customerGets", "endsAt", "usageLimit")}
    row = {"id": id_, "status": "ACTIVE", "createdAt": _seconds(call), "worth": _v2(script.paid(money)), **kept}
    call.state.add("discount", code.lower(), row)
    return {name: {"codeDiscountNode": _node(row), "userErrors": []}}


def given_discount(call: Call, variables: Data) -> Data:
    """By its code, in any case of its letters."""
    row = call.state.get("discount", str(variables["code"]).lower())
    return {"codeDiscountNodeByCode": _node(row) if row and "worth" in row else None}


def given_discounts(call: Call, variables: Data) -> Data:
    """Those with our tag of a span of time."""
    rows = [row for _name, row in call.state.each("discount") if "worth" in row]
    nodes = [_node(row) for row in rows if _in_span(str(variables["query"]), row)]
    return {"codeDiscountNodes": _page(variables, nodes)}


# Gift cards: the whole code is never told again.


def give_card(call: Call, variables: Data) -> Data:
    """The code in any case of its letters."""
    asked, name = variables["card"], "giftCardCreate"
    code = str(asked["code"])
    if call.state.get("gift_card", code.lower()) is not None:
        return _refusal(name, "giftCard", "TAKEN", "Code has already been taken")
    money = _money(asked["initialAmount"]["amount"], asked["initialAmount"]["currencyCode"])
    script = call.begin(money, code)
    if script.reason:
        return _no(script, name, "giftCard", _CARD)
    id_ = f"gid://shopify/GiftCard/{_next(call, 'gift_card')}"
    reference = str(asked.get("note")).split()[2]
    call.pay(id_, to=str(asked.get("customerId") or ""), money=script.paid(money), reference=reference)
    facts = {"note": asked.get("note"), "expiresOn": asked.get("expiresOn"), "createdAt": _seconds(call)}
    row = {"id": id_, "lastCharacters": code[-4:].lower(), "initialValue": _v2(script.paid(money)), **facts}
    call.state.add("gift_card", code.lower(), row)
    return {name: {"giftCard": row, "userErrors": []}}


def given_cards(call: Call, variables: Data) -> Data:
    """By the whole code, or those of a span of time."""
    search = str(variables["query"])
    if "created_at" in search:
        rows = [row for _code, row in call.state.each("gift_card") if _in_span(search, row)]
    else:
        found = call.state.get("gift_card", search.lower())
        rows = [found] if found else []
    return {"giftCards": _page(variables, rows)}


# Store credit: nothing tells one credit from another.


def give_credit(call: Call, variables: Data) -> Data:
    """As often as it is asked for."""
    asked, owner, name = variables["credit"], str(variables["customer"]), "storeCreditAccountCredit"
    money = _money(asked["creditAmount"]["amount"], asked["creditAmount"]["currencyCode"])
    script = call.begin(money, f"{owner}:{len(call.state.each('credit'))}")
    if script.reason:
        return _no(script, name, "storeCreditAccountTransaction", _CREDIT, None)
    known = [f"gid://shopify/Customer/{row['id']}" for _email, row in call.state.each("customer")]
    if owner not in known:
        return _refusal(name, "storeCreditAccountTransaction", "OWNER_NOT_FOUND", "Owner does not exist.")
    id_ = f"gid://shopify/StoreCreditAccountCreditTransaction/{_next(call, 'credit')}"
    call.pay(id_, to=owner, money=script.paid(money), reference="")
    row = {"id": id_, "owner": owner, "amount": _v2(script.paid(money)), "createdAt": _seconds(call)}
    call.state.add("credit", id_, row)
    line = {"id": id_, "amount": row["amount"]}
    return {name: {"storeCreditAccountTransaction": line, "userErrors": []}}


def credits(call: Call, variables: Data) -> Data:
    """The lines of a customer's account, newest first."""
    owner = str(variables["customer"])
    mine = [row for _name, row in reversed(call.state.each("credit")) if row["owner"] == owner]
    kind = {"__typename": "StoreCreditAccountCreditTransaction", "event": "ADJUSTMENT"}
    nodes = [{**kind, "createdAt": row["createdAt"], "amount": row["amount"]} for row in mine[:20]]
    accounts = [{"transactions": {"nodes": nodes}}] if mine else []
    return {"customer": {"storeCreditAccounts": {"nodes": accounts}}}


def customer(call: Call, variables: Data) -> Data:
    """By e-mail address."""
    row = call.state.get("customer", str(variables["email"]).lower())
    return {"customerByIdentifier": {"id": f"gid://shopify/Customer/{row['id']}"} if row else None}


ANSWERS = {
    "GiveDiscount": give_discount,
    "GivenDiscount": given_discount,
    "GivenDiscounts": given_discounts,
    "GiveCard": give_card,
    "GivenCards": given_cards,
    "GiveCredit": give_credit,
    "Credits": credits,
    "Customer": customer,
}
