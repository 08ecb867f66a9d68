/* The browser script: docs/script.md. ES2017, no dependency, at most 4 kB compressed. */
(() => {
  "use strict";
  const me = document.currentScript;
  if (!me || window.Referrals) return;
  const id = me.dataset.campaign || "";
  const base = new URL(`${id}/`, me.src).href;
  const name = `referral_${id}`;
  const isCode = /^[A-Za-z0-9][A-Za-z0-9-]{0,15}$/;
  const given = (new URLSearchParams(location.search).get("referralCode") || "").trim();
  const unfollowed = navigator.globalPrivacyControl === true || navigator.doNotTrack === "1";
  // What is known of the visitor: the code that counts, the server's signed token, and for how many seconds a browser may keep both.
  let code = "", token = "", keep = 0, hosts = [], known;
  const ready = new Promise((done) => { known = done; });

  const kept = () => {
    const found = document.cookie.split("; ").find((part) => part.startsWith(`${name}=`));
    return found ? found.slice(name.length + 1) : "";
  };
  const write = (value, age) => {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${name}=${value}; Max-Age=${age}; Path=/; SameSite=Lax${secure}`;
  };
  const failure = (code, message, more) => Object.assign(new Error(message), { code }, more);

  // A body of plain text needs no preflight, and `keepalive` lets it outlive the page.
  const call = async (path, body) => {
    let answer, data;
    try {
      answer = await fetch(base + path, {
        method: body ? "POST" : "GET",
        body: body && JSON.stringify(body),
        credentials: "omit",
        keepalive: !!body,
      });
      data = await answer.json();
    } catch (error) {
      throw failure("unreachable", `No answer. Is ${location.origin} among the campaign's pages for the script?`);
    }
    if (!answer.ok) throw failure(data.error, data.message, { status: answer.status, details: data.details });
    return data;
  };

  const remember = () => {
    if (!token || !keep || unfollowed) return false;
    write(`${code}.${token}`, keep);
    return true;
  };

  // Links and forms to the merchant's sites take the code along; within this site the cookie does, once there is one.
  const leadsOn = (text) => {
    try {
      const url = new URL(text, location.href);
      const known = /^https?:$/.test(url.protocol) && hosts.includes(url.hostname);
      return known && !(url.hostname === location.hostname && kept()) ? url : null;
    } catch (error) {
      return null;
    }
  };
  // Stripe's own elements and Payment Links take the code to the payment (docs/connections/stripe.md).
  const pay = () => {
    if (!code) return;
    for (const element of document.querySelectorAll("stripe-pricing-table, stripe-buy-button")) {
      if (element.hasAttribute("client-reference-id")) continue;
      element.setAttribute("client-reference-id", code);
      // One that is shown already reads it when it is put there anew.
      if (customElements.get(element.localName)) element.replaceWith(element.cloneNode());
    }
    for (const link of document.links) {
      if (link.hostname !== "buy.stripe.com" && !link.hasAttribute("data-referral-pay")) continue;
      if (new URLSearchParams(link.search).has("client_reference_id")) continue;
      link.search += `${link.search ? "&" : "?"}client_reference_id=${code}`;
    }
  };
  const dress = () => {
    pay();
    if (!code || !hosts.length) return;
    for (const link of document.links) {
      const url = leadsOn(link.href);
      if (!url || url.searchParams.has("referralCode")) continue;
      url.search += `${url.search ? "&" : "?"}referralCode=${code}`;
      link.href = url.href;
    }
    for (const form of document.forms) {
      if (!leadsOn(form.getAttribute("action") || "") || form.querySelector('[name="referralCode"]')) continue;
      const input = document.createElement("input");
      input.type = "hidden";
      input.name = "referralCode";
      input.value = code;
      form.append(input);
    }
  };

  const person = ({ email, firstName, lastName, fields, termsAccepted }) => ({
    email, firstName, lastName, fields, termsAccepted, code, visitor: token,
  });
  const capture = (form) => {
    const value = (key, ...others) => {
      const field = form.querySelector([`[data-referral="${key}"]`, ...others, `[name="${key}" i]`].join());
      return field && field.value ? field.value.trim() : "";
    };
    const email = value("email", 'input[type="email"]');
    if (!email) return;
    const fields = {};
    for (const field of form.querySelectorAll("[data-referral-field]")) {
      fields[field.dataset.referralField] = field.type === "checkbox" ? field.checked : field.value;
    }
    const box = form.querySelector('[data-referral="terms"]');
    const body = person({
      fields,
      termsAccepted: box ? box.checked : undefined,
      email,
      firstName: value("firstName", '[name="first_name" i]', '[autocomplete="given-name"]'),
      lastName: value("lastName", '[name="last_name" i]', '[autocomplete="family-name"]'),
    });
    // A beacon is sent even when the form leads away from the page in the same moment.
    if (!(navigator.sendBeacon && navigator.sendBeacon(`${base}participants`, JSON.stringify(body)))) {
      call("participants", body).catch(() => {});
    }
  };

  const learn = (data) => {
    hosts = data.hosts || [];
    if (data.code) {
      ({ code, keep } = data);
      token = data.visitor || "";
      if (data.consent === "always" || kept()) remember();
    }
    dress();
  };
  const start = () => {
    const [before, ...rest] = kept().split(".");
    if (isCode.test(before)) [code, token] = [before, rest.join(".")];
    const old = code;
    if (isCode.test(given)) {
      code = given;
      const about = { code, visitor: token, query: location.search, referrer: document.referrer };
      call("visit", about).then(learn, (error) => {
        if (error.code === "code_not_found") code = old;
        console.warn(`Referrals: ${error.message}`);
      }).then(known);
    } else {
      if (code) call("campaign").then(learn, (error) => console.warn(`Referrals: ${error.message}`));
      known();
    }
  };

  addEventListener("click", dress, true);
  addEventListener("auxclick", dress, true);
  addEventListener("submit", (event) => {
    dress();
    if (event.target.hasAttribute("data-referral-form")) capture(event.target);
  }, true);

  const getCampaign = () => call("campaign");
  window.Referrals = {
    getCampaign,
    getReferralCode: () => code,
    getVisitor: () => token,
    ready,
    validateCode: (text) => call(`code?code=${encodeURIComponent(text)}`),
    addParticipant: (who) => call("participants", person(who || {})),
    qualifyParticipant: ({ token: signed }) => call("events", { token: signed }),
    agree: remember,
    forget: () => {
      code = token = "";
      write("", 0);
    },
  };
  window.Rocket = Object.assign(window.Rocket || {}, { getCampaign });
  if (document.prerendering) document.addEventListener("prerenderingchange", start, { once: true });
  else start();
})();
