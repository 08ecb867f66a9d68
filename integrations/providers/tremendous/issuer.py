"""Paying through Tremendous: an order of one reward, whose external_id is the payout's key.

The key is good for ever: the same external_id with the same content brings the first order back (201), with another content 409. An
order is looked up by it, too. What was sent is compared with the reward's own value, because `payment` is in the organization's
currency and has the fees in it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.utils.translation import gettext as _

from integrations.base import Account, PayloadError
from integrations.providers.tremendous import api
from integrations.providers.tremendous.api import Placed
from referrals.lib.http import Answer, HttpError
from rewards.orders import Gift, Order, Outcome


class TremendousIssuer:
    """cash and gift cards, by e-mail or as a link that we hand over."""

    key_life = None

    def send(self, order: Order, account: Account) -> Outcome:
        """POST /orders."""
        answer = api.call(account, "POST", "/orders", body_of(order, account))
        if answer.status not in {200, 201}:
            return _refused(order, answer)
        try:
            return _read(order, account, answer)
        except HttpError as error:
            # The order stands, whether or not the question about its reward got through.
            raise HttpError(str(error), retry=error.retry, sent=True) from error

    def check(self, order: Order, account: Account) -> Outcome | None:
        """GET /orders by the external_id."""
        answer = api.call(account, "GET", f"/orders/{quote(order.key, safe='')}")
        if answer.status == 404:
            return None
        if answer.status != 200:
            return Outcome("unknown", order.reference, api.words(answer), wait=api.retry_after(answer))
        return _read(order, account, answer)


def body_of(order: Order, account: Account) -> dict[str, Any]:
    """The order as Tremendous wants it: one reward for one recipient."""
    known = {**account.settings, **{name: value for name, value in order.options.items() if value}}
    recipient = {"email": order.address or order.email} | ({"name": order.name} if order.name else {})
    meta = {"sender_name": order.merchant} if order.merchant else {}
    if known.get("message"):
        meta["message"] = str(known["message"])
    reward: dict[str, Any] = {
        "value": {"denomination": order.amount.json_number(), "currency_code": order.amount.currency},
        "recipient": recipient,
        "delivery": {"method": str(known.get("delivery") or "EMAIL")} | ({"meta": meta} if meta else {}),
    }
    if known.get("campaign_id"):
        reward["campaign_id"] = str(known["campaign_id"])
    products = [*str(known.get("products") or "").replace(",", " ").split()]
    if products:
        reward["products"] = products
    if order.language:
        reward["language"] = order.language[:2].lower()
    return {"external_id": order.key, "payment": {"funding_source_id": source_of(account)}, "reward": reward}


def source_of(account: Account) -> str:
    """Who pays: an id that the merchant gave, else their balance or their invoice."""
    return str(account.settings.get("funding_source") or account.settings.get("funding") or "balance")


def _read(order: Order, account: Account, answer: Answer) -> Outcome:
    try:
        found = api.order_in(answer)
    except PayloadError as error:
        return Outcome("unknown", "", _("Tremendous’ answer can’t be read: %(why)s") % {"why": error})
    if found.key != order.key:
        return Outcome("ask", found.id, _("Tremendous answered with another order than the one that was asked for."))
    if found.money != order.amount:
        facts = {"ours": order.amount.format(), "theirs": found.money.format()}
        message = _("We ordered %(ours)s, and Tremendous says %(theirs)s. Look at the order there.")
        return Outcome("ask", found.id, message % facts)
    return _outcome(order, account, found)


def _outcome(order: Order, account: Account, found: Placed) -> Outcome:
    state = api.became(found)
    if found.status == "FAILED":
        message = _("Tremendous could not carry the order out, for example because the money was not there.")
        return Outcome("failed", found.id, message)
    if found.status == "CANCELED":
        return _cancelled(found)
    if found.status == "EXECUTED" and found.delivery == "FAILED" and found.method != "LINK":
        return _bounced(account, found)
    if not state:
        message = _("Tremendous says %(status)s, which we do not know. It is asked again.")
        return Outcome("unknown", found.id, message % {"status": found.status[:60]})
    if found.status != "EXECUTED":
        return Outcome(state, found.id, _waiting(found.status))
    if found.method == "LINK":
        return _with_link(order, account, found)
    return Outcome(state, found.id, "" if state == "paid" else _("Tremendous has not delivered the e-mail yet."))


def _waiting(status: str) -> str:
    """Why an order that stands has not been carried out."""
    if status == "PENDING APPROVAL":
        return _("The order waits in Tremendous for somebody of your team to approve it.")
    if status == "PENDING INTERNAL PAYMENT APPROVAL":
        return _("Tremendous is looking at the order, and has to approve it.")
    if status == "PENDING SETTLEMENT":
        return _("Tremendous holds the order until your money has settled there.")
    return _("Tremendous has the order, and has not carried it out yet.")


def _with_link(order: Order, account: Account, found: Placed) -> Outcome:
    """The link is in the first answer only; when that was lost a new one is made, once."""
    link = found.link
    if not link and not order.has_gift and found.reward_id:
        link = api.new_link(account, found.reward_id)
    if not link and not order.has_gift:
        return Outcome("sent", found.id, _("Tremendous has made the reward; its link is not there yet."))
    return Outcome("paid", found.id, gift=Gift(url=link) if link else None)


def _bounced(account: Account, found: Placed) -> Outcome:
    """The mail did not arrive. The reward is cancelled there, so that the money is back before anybody pays a second time."""
    answer = api.call(account, "POST", f"/rewards/{quote(found.reward_id, safe='')}/cancel")
    if answer.status == 200:
        return _undelivered(found)
    message = _(
        "Its e-mail could not be delivered, and Tremendous does not cancel the reward (%(why)s). Send it again from there."
    )
    facts = {"why": api.said(answer) or answer.status}
    return Outcome("sent", found.id, message % facts, wait=api.retry_after(answer))


def _undelivered(found: Placed) -> Outcome:
    message = _(
        "Tremendous could not deliver the e-mail, and has cancelled the reward. Issue it again as a link, or in another way."
    )
    return Outcome("failed", found.id, message, "waiting_for_recipient")


def _cancelled(found: Placed) -> Outcome:
    if found.delivery == "FAILED":
        return _undelivered(found)
    message = _("The order was cancelled in Tremendous; nothing is paid. Issue the reward again if it is still owed.")
    return Outcome("failed", found.id, message)


def _refused(order: Order, answer: Answer) -> Outcome:
    """Every answer without an order (PROVIDERS.md, section 5). What is no clear no stays unknown."""
    message = api.words(answer)
    if answer.status == 402:
        message = _("There is not enough money at Tremendous. Add funds there, then issue the reward again.")
        return Outcome("failed", "", message, "waiting_for_funds")
    if answer.status in {400, 422} and api.is_about_recipient(answer):
        return Outcome("failed", "", message, "waiting_for_recipient")
    if answer.status in {400, 401, 403, 404, 422}:
        return Outcome("failed", "", message)
    if answer.status == 409:
        message = _("Tremendous has another order under this payout’s key. Look for %(what)s there.")
        return Outcome("ask", "", message % {"what": order.key})
    return Outcome("unknown", "", message, wait=api.retry_after(answer))


ISSUER = TremendousIssuer()
