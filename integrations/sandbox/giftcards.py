"""GiftCard Partners: gift cards by mail, link or post; a PONumber is taken once (seed 003; PROVIDERS.md, section 8).

What their pages don't say (statuses besides Pending, the body of a 409, how webhooks are signed) is made up here in the plainest way.
"""

from __future__ import annotations

import hashlib
import io
from datetime import timedelta
from decimal import Decimal
from typing import Any

from PIL import Image, ImageDraw

from integrations.base import Secrets
from integrations.sandbox import keys, scripts
from integrations.sandbox.base import Call, Company, Refusal, Reply, Request, Route
from integrations.sandbox.scripts import Reason
from integrations.sandbox.state import Data
from referrals.lib.codes import random_text
from referrals.lib.money import Money, MoneyError

TOKEN_SECONDS = 3600
POST_DAYS = timedelta(days=2)
# ProductId, name, currency, kind of denominations, the denominations or least and most, ways of delivery.
PRODUCTS: tuple[tuple[str, str, str, str, tuple[int, ...], tuple[str, ...]], ...] = (
    ("CVS", "CVS Pharmacy", "USD", "Variable", (5, 500), ("DigitalDelivery", "Links", "PhysicalShipment")),
    ("HALDEN", "Halden Coffee", "USD", "Fixed", (10, 25, 50), ("DigitalDelivery", "Links")),
    ("PAPER", "Paper and Pens", "CAD", "Variable", (5, 100), ("PhysicalShipment",)),
)
_ADDRESS = {"DigitalDelivery": "DigitalDeliveryAddress", "PhysicalShipment": "ShippingAddress"}
_NO: dict[Reason, tuple[int, str]] = {
    "insufficient_funds": (422, "Insufficient funds"),
    "bad_recipient": (400, "The recipient's address is not valid"),
    "account_closed": (400, "The recipient is blocked"),
    "wrong_currency": (400, "The product is not sold in this currency"),
    "limit_exceeded": (400, "The order is over the limit of the account"),
    "declined": (403, "The order was declined"),
}


class GiftCards(Company):
    """The base address is the customer's own; secrets: email, access_token. Its webhooks carry no signature that anybody documents."""

    slug = "giftcards"

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", "/v1/Tokens", self.token),
            Route("GET", "/v1/Products", self.products),
            Route("POST", "/v1/Orders", self.create),
            Route("GET", "/v1/Orders/{id}", self.order),
            Route("GET", "/pictures/{id}", self.picture),
        )

    def key(self, request: Request) -> str:
        """A token; for the token itself the access token with the address it belongs to."""
        if request.path.rstrip("/").endswith("/Tokens"):
            return request.headers.get("accesstoken", "") if "@" in request.headers.get("email", "") else ""
        return "public" if request.path.startswith("/pictures/") else super().key(request)

    def answer(self, call: Call) -> Reply:
        """A token is good for an hour."""
        if call.request.path.startswith("/v1/") and not call.request.path.rstrip("/").endswith("/Tokens"):
            kept = call.state.get("token", self.key(call.request)[:255])
            if kept is None or kept["until"] <= call.now.isoformat():
                return self.denied()
        return super().answer(call)

    def token(self, call: Call) -> Reply:
        """A new one each time; the old ones stay good until their hour is over."""
        value = random_text(40)
        until = call.now + timedelta(seconds=TOKEN_SECONDS)
        call.state.add("token", value, {"until": until.isoformat()})
        return Reply(200, {"Value": value, "ExpiresIn": TOKEN_SECONDS})

    def products(self, call: Call) -> Reply:
        """The whole catalogue."""
        return Reply(200, [_product(*row) for row in PRODUCTS])

    def picture(self, call: Call) -> Reply:
        """A card in a colour of its own; no brand's real picture."""
        name = call.params["id"].removesuffix(".png").upper()
        if name not in {row[0] for row in PRODUCTS}:
            return self.missing()
        return Reply(200, _drawn(name), {"Content-Type": "image/png"})

    def create(self, call: Call) -> Reply:
        """201 with a new order; 409 with the first one's Id for a PONumber that is taken, whatever else the request says."""
        body = call.json
        number = body.get("PONumber")
        if not number or not isinstance(number, str):
            return self.malformed("PONumber is required")
        if found := keys.original(call, number, body):
            return Reply(409, {"Id": found[0], "Message": "An order with this PONumber exists"})
        money, to = self._read(body)
        script = call.begin(money, number)
        if script.reason:
            return _error(*_NO[script.reason])
        name = f"{random_text(8).lower()}-{random_text(12).lower()}"
        keys.remember(call, number, body, name)
        paid = script.paid(money)
        lines = [
            {key: line.get(key) for key in ("ProductId", "Value", "Quantity", "Personalization") if key in line}
            | ({"Links": [{"Url": f"https://cards.example/{name}/{row}"}]} if body["Type"] == "Links" else {})
            for row, line in enumerate(body["LineItems"])
        ]
        is_late = bool(script.pace) or body["Type"] == "PhysicalShipment"
        data = {
            "Id": name,
            "Type": body["Type"],
            "PONumber": number,
            "Status": "Pending" if is_late else "Complete",
            "Total": paid.json_number(),
            "CurrencyCode": paid.currency,
            "CreatedDate": call.now.isoformat(),
            "LineItems": lines,
        }
        call.pay(name, to=to, money=paid, reference=number)
        delay = (scripts.SLOW if script.pace else POST_DAYS) if is_late else timedelta()
        steps = [(delay, "complete")]
        if script.ending in {"returned", "reversed"}:
            steps.append((delay + scripts.BACK, "cancel"))
        call.plan("order", name, data, steps)
        return Reply(201, data)

    def _read(self, body: Data) -> tuple[Money, str]:
        """What the order costs, and who gets it; Refusal for what can't be ordered."""
        kind, lines = body.get("Type"), body.get("LineItems")
        if kind not in {"DigitalDelivery", "Links", "PhysicalShipment"} or not isinstance(lines, list) or not lines:
            raise Refusal(self.malformed("Type or LineItems is wrong"))
        total, currencies, to = Decimal(0), set(), ""
        for line in lines:
            product = next((row for row in PRODUCTS if row[0] == line.get("ProductId")), None)
            if product is None or kind not in product[5]:
                raise Refusal(_error(400, "The product does not exist, or is not delivered like this"))
            value = Decimal(str(line.get("Value", 0)))
            allowed = value in product[4] if product[3] == "Fixed" else product[4][0] <= value <= product[4][-1]
            if not allowed or type(line.get("Quantity")) is not int or line["Quantity"] < 1:
                raise Refusal(_error(400, "The value or quantity is not one of the product's"))
            address = line.get(_ADDRESS.get(kind, "")) or {}
            if kind in _ADDRESS and not address:
                raise Refusal(_error(400, f"{_ADDRESS[kind]} is required"))
            to = address.get("Email") or address.get("Phone") or address.get("Address1") or to
            total += value * line["Quantity"]
            currencies.add(product[2])
        if len(currencies) > 1:
            raise Refusal(_error(400, "An order has one currency"))
        try:
            return Money.parse(f"{total:f}", currencies.pop()), to
        except MoneyError as error:
            raise Refusal(_error(400, error.message)) from error

    def step(self, call: Call, kind: str, name: str, data: Data, word: str) -> None:
        """The cards are out, or the order is cancelled."""
        if word == "cancel":
            data["Status"] = "Cancelled"
            return call.take_back(name)
        data["Status"] = "Complete"
        order = {"OrderId": name, "PONumber": data["PONumber"]}
        return call.tell("FulfillmentComplete", {"Event": "FulfillmentComplete", **order})

    def order(self, call: Call) -> Reply:
        """As it stands now."""
        data = call.advance("order", call.params["id"])
        return Reply(200, {key: value for key, value in data.items() if key[0] != "_"}) if data else self.missing()

    def sign(self, body: bytes, message: Data, secrets: Secrets) -> dict[str, str]:
        """Nothing is known of a signature: the receiver has to ask for the order."""
        return {"Content-Type": "application/json"}

    def denied(self) -> Reply:
        return _error(401, "Unauthorized")

    def busy(self) -> Reply:
        return Reply(429, _error(429, "Too many requests").content, {"Retry-After": "30"})

    def down(self) -> Reply:
        return _error(504, "The request timed out")

    def missing(self) -> Reply:
        return _error(404, "Not found")

    def malformed(self, message: str) -> Reply:
        return _error(400, message)


def _product(
    name: str, label: str, currency: str, kind: str, denominations: tuple[int, ...], ways: tuple[str, ...]
) -> dict[str, Any]:
    return {
        "Id": name,
        "Name": label,
        "CurrencyCode": currency,
        "DenominationType": kind,
        "Denominations": list(denominations),
        "AvailableDeliveryTypes": list(ways),
        "ImageUrl": f"https://cards.example/pictures/{name.lower()}.png",
    }


def _drawn(name: str) -> bytes:
    red, green, blue = hashlib.sha256(name.encode()).digest()[:3]
    card = Image.new("RGB", (480, 300), (red // 2 + 40, green // 2 + 40, blue // 2 + 40))
    pen = ImageDraw.Draw(card)
    pen.rectangle((0, 200, 480, 232), fill=(red // 3, green // 3, blue // 3))
    pen.rounded_rectangle((32, 32, 112, 92), 10, fill=(235, 215, 160))
    out = io.BytesIO()
    card.save(out, "PNG")
    return out.getvalue()


def _error(status: int, message: str) -> Reply:
    return Reply(status, {"Message": message})
