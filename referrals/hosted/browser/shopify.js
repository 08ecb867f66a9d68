/* Takes the referral code into a Shopify shop's cart: docs/connections/shopify.md. After referral.js. ES2017, no dependency. */
(() => {
  "use strict";
  const me = document.currentScript;
  if (!me || !window.Referrals) return;
  const root = (window.Shopify && window.Shopify.routes && window.Shopify.routes.root) || "/";
  const key = "referral_cart";

  // A cart that was paid for makes room for a new one, under another name.
  const cart = () => (document.cookie.split("; ").find((part) => part.startsWith("cart=")) || "").slice(5);
  const kept = () => {
    try {
      return sessionStorage.getItem(key);
    } catch (error) {
      return null;
    }
  };
  const keep = (value) => {
    try {
      sessionStorage.setItem(key, value);
    } catch (error) {
      // Without storage the cart is told again on the next page; nothing else comes of it.
    }
  };

  const tell = async () => {
    await window.Referrals.ready;
    const code = window.Referrals.getReferralCode();
    if (!code) return;
    for (const field of document.querySelectorAll("[data-referral-code]")) field.value = code;
    if (kept() === `${code} ${cart()}`) return;
    const answer = await fetch(`${root}cart/update.js`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ attributes: { referral_code: code } }),
    });
    if (!answer.ok) throw new Error(`The cart answered ${answer.status}.`);
    // The checkout then has the discount already: a code of the shop, or the referrer's own.
    const discount = me.dataset.discount === "{code}" ? code : me.dataset.discount;
    if (discount) await fetch(`${root}discount/${encodeURIComponent(discount)}`, { redirect: "manual" });
    keep(`${code} ${cart()}`);
  };

  // Nothing that goes wrong here may stop the shop.
  tell().catch((error) => console.warn(`Referrals: ${error.message}`));
})();
