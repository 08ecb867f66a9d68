"""shopify.js in Node.js, with a browser made of the few things that it touches: what the cart is told, and when it is not."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent.parent.parent / "referrals" / "hosted" / "browser" / "shopify.js"
BROWSER = """
const said = JSON.parse(process.argv[1]);
const asked = [], fields = [{ value: "" }], kept = { ...said.kept };
globalThis.window = { Referrals: { ready: Promise.resolve(), getReferralCode: () => said.code }, Shopify: said.shopify };
globalThis.document = {
  currentScript: { dataset: said.dataset || {} },
  cookie: said.cookie || "",
  querySelectorAll: () => fields,
};
globalThis.sessionStorage = { getItem: (key) => kept[key] ?? null, setItem: (key, value) => { kept[key] = value; } };
globalThis.fetch = async (url, options) => {
  asked.push([url, options.body ? JSON.parse(options.body) : null]);
  return { ok: said.status !== 500, status: said.status || 200 };
};
const warned = [];
console.warn = (text) => warned.push(text);
require(process.argv[2]);
setTimeout(() => console.log(JSON.stringify({ asked, field: fields[0].value, kept, warned })), 5);
"""
CART = ["/cart/update.js", {"attributes": {"referral_code": "8Mnu79TD"}}]


def run(**said: Any) -> dict[str, Any]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not here")
    command = [node, "-e", BROWSER, json.dumps({"code": "8Mnu79TD", **said}), str(SCRIPT)]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)
    return found


def test_the_cart_takes_the_code_along_once() -> None:
    first = run(cookie="x=1; cart=c1")
    assert first == {
        "asked": [CART],
        "field": "8Mnu79TD",
        "kept": {"referral_cart": "8Mnu79TD c1"},
        "warned": [],
    }
    assert run(cookie="cart=c1", kept=first["kept"])["asked"] == []
    assert run(cookie="cart=c2", kept=first["kept"])["asked"] == [CART]
    assert run(code="")["asked"] == []


def test_the_checkout_has_the_discount_already_in_a_shop_of_several_languages() -> None:
    french = {"routes": {"root": "/fr/"}}
    own = run(dataset={"discount": "{code}"}, shopify=french)["asked"]
    assert own == [["/fr/cart/update.js", CART[1]], ["/fr/discount/8Mnu79TD", None]]
    assert run(dataset={"discount": "WELCOME 15"})["asked"][1] == ["/discount/WELCOME%2015", None]


def test_a_cart_that_fails_stops_nothing_and_is_told_again() -> None:
    failed = run(status=500)
    assert (failed["kept"], failed["warned"]) == ({}, ["Referrals: The cart answered 500."])
