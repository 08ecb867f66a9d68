"""What a merchant copies so that a payment at Stripe names the referral code: pages that the browser script dresses, and servers."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

PAYMENT_LINK = """<!-- The browser script adds ?client_reference_id=<code> to links to buy.stripe.com by itself.
     For a Payment Link on your own domain, say so: -->
<a href="https://pay.example.com/b/abc123" data-referral-pay>Subscribe</a>"""
PRICING_TABLE = """<script async src="https://js.stripe.com/v3/pricing-table.js"></script>
<!-- No client-reference-id here: the browser script sets it to the visitor's code. -->
<stripe-pricing-table pricing-table-id="prctbl_..." publishable-key="pk_live_..."></stripe-pricing-table>"""
BUY_BUTTON = """<script async src="https://js.stripe.com/v3/buy-button.js"></script>
<!-- No client-reference-id here: the browser script sets it to the visitor's code. -->
<stripe-buy-button buy-button-id="buy_btn_..." publishable-key="pk_live_..."></stripe-buy-button>"""
PYTHON = """# The cookie that the browser script keeps: the code stands before the first dot.
code = request.COOKIES.get("referral_@CAMPAIGN@", "").partition(".")[0]
session = client.v1.checkout.sessions.create(params={
    "mode": "subscription",
    "line_items": [{"price": "price_...", "quantity": 1}],
    "success_url": "https://example.com/thank-you",
    **({
        "client_reference_id": code,
        # Renewals find it here; for mode "payment" leave this line out.
        "subscription_data": {"metadata": {"referral_code": code}},
    } if code else {}),
    "allow_promotion_codes": True,
})"""
NODE = """// The cookie that the browser script keeps: the code stands before the first dot.
const code = (req.cookies["referral_@CAMPAIGN@"] || "").split(".")[0];
const session = await stripe.checkout.sessions.create({
  mode: "subscription",
  line_items: [{ price: "price_...", quantity: 1 }],
  success_url: "https://example.com/thank-you",
  // client_reference_id is free for your own ids, too: then put the code into metadata.
  metadata: code ? { referral_code: code } : {},
  // Renewals find it here; for mode "payment" leave this line out.
  subscription_data: code ? { metadata: { referral_code: code } } : {},
  allow_promotion_codes: true,
});"""
SNIPPETS = (
    (_("Payment Link"), PAYMENT_LINK),
    (_("Pricing Table"), PRICING_TABLE),
    (_("Buy Button"), BUY_BUTTON),
    (_("Checkout from your server, in Python"), PYTHON),
    (_("Checkout from your server, in Node.js"), NODE),
)
