/* Places widgets on merchants' pages: docs/widgets.md. ES2020, no dependency, no style that a policy could refuse; a page works the
   same when none of this does. */
(() => {
  "use strict";
  const me = document.currentScript;
  if (!me || window.ReferralWidgets) return;
  const id = me.dataset.campaign || "";
  const site = new URL(me.src).origin;
  const calls = new URL(`${id}/`, me.src).href;
  const pages = new URL(`../widget/${id}/`, me.src).href;
  const closed = `referral_popup_${id}`;
  const placed = [];
  let dialog = null, popup = null;

  const code = () => {
    const found = window.Referrals ? Referrals.getReferralCode() : new URLSearchParams(location.search).get("referralCode");
    return /^[A-Za-z0-9][A-Za-z0-9-]{0,15}$/.test(found || "") ? found : "";
  };
  // Whose invitation counts is known once the visit is recorded; not waited for when that takes long.
  const known = () => Promise.race([window.Referrals && Referrals.ready, new Promise((done) => { setTimeout(done, 3000); })]);
  const visitor = () => (window.Referrals && Referrals.getVisitor ? Referrals.getVisitor() : "");
  const language = (host) => host.dataset.lang || document.documentElement.lang.slice(0, 2);
  // A page that says nothing of dark colours is a light one, whatever the visitor's system prefers.
  const scheme = (host) => {
    const own = getComputedStyle(document.documentElement).colorScheme || "";
    return host.dataset.theme || (!own.includes("dark") ? "light" : own.includes("light") ? "" : "dark");
  };
  const make = (name, fields, ...children) => {
    const element = Object.assign(document.createElement(name), fields);
    element.append(...children);
    return element;
  };

  // Who is logged in: a token in the page, or one that the merchant's own server gives when it is asked for.
  const identity = async (host) => {
    if (!host.dataset.identityUrl) return host.dataset.identity || "";
    const url = new URL(host.dataset.identityUrl, location.href);
    if (url.origin !== location.origin) return "";
    const answer = await fetch(url, { credentials: "same-origin", headers: { Accept: "text/plain" } });
    return answer.ok ? (await answer.text()).trim() : "";
  };
  const isSigned = (host) => !!(host.dataset.identity || host.dataset.identityUrl);

  const frame = (host, kind, into) => {
    const url = new URL(kind, pages);
    const wanted = {
      origin: location.origin, lang: language(host), theme: scheme(host), accent: host.dataset.accent || "",
      referralCode: kind === "invitee" ? code() : "", signed: kind === "referrer" && isSigned(host) ? "1" : "",
    };
    for (const [name, value] of Object.entries(wanted)) if (value) url.searchParams.set(name, value);
    const element = make("iframe", { title: host.dataset.title || "Referrals", src: url.href, allow: `clipboard-write${navigator.share ? "; web-share" : ""}` });
    Object.assign(element.style, { width: "100%", height: "0", border: "0", display: "block", borderRadius: "12px", visibility: "hidden", colorScheme: scheme(host) || "auto" });
    placed.push({ host, kind, element, into });
    into.append(element);
    return element;
  };

  addEventListener("message", async ({ origin, source, data }) => {
    if (origin !== site || !data || data.from !== "referrals") return;
    const found = placed.find((one) => one.element.contentWindow === source);
    if (!found) return;
    const { host, kind, element, into } = found;
    if (data.type === "ready") {
      const token = kind === "referrer" && !found.asked ? identity(host).catch(() => "") : "";
      found.asked = true;
      source.postMessage({ from: "referrals-page", type: "person", identity: await token, visitor: visitor() }, site);
    } else if (data.type === "resize" && data.height > 0 && data.height < 5000) {
      for (const other of [...into.childNodes]) if (other !== element) other.remove();
      element.style.height = `${Math.ceil(data.height)}px`;
      element.style.visibility = "";
      if (typeof data.title === "string" && !host.dataset.title) element.title = data.title.slice(0, 200);
    } else if (data.type === "joined") {
      remember();
      if (popup) popup.remove();
      host.dispatchEvent(new CustomEvent("referrals:joined", { bubbles: true }));
    } else if (data.type === "close" && dialog) {
      dialog.close();
    }
  });

  // Tab, dialog and pop-up stand in shadow trees: the page's style does not reach them, nor theirs the page.
  const css = `
    :host { all: initial; }
    * { box-sizing: border-box; margin: 0; }
    .root { font: 400 16px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Arial, sans-serif; color: light-dark(#1c1917, #f3efec); }
    button { font: inherit; color: inherit; cursor: pointer; border: 0; border-radius: 10px; min-height: 44px; padding: 0 16px; font-weight: 650; }
    :focus-visible { outline: 3px solid light-dark(#1c1917, #f3efec); outline-offset: 2px; }
    .brand { background: var(--brand); color: var(--on); }
    .plain { background: none; box-shadow: inset 0 0 0 1px light-dark(#8f867f, #84796f); }
    .tab { position: fixed; inset-block-end: 16px; inset-inline-end: 16px; z-index: 2147483000; border-radius: 99px; box-shadow: 0 4px 16px rgb(0 0 0 / .3); max-width: calc(100vw - 32px); }
    .start { inset-inline: 16px auto; }
    dialog, .card { background: light-dark(#fff, #211c19); color: inherit; border: 1px solid light-dark(#e9e4e0, #38302b); border-radius: 16px; padding: 0; overflow: hidden; }
    dialog { width: min(544px, calc(100vw - 24px)); max-height: calc(100dvh - 24px); margin: auto; overflow: auto; }
    dialog::backdrop { background: rgb(0 0 0 / .5); }
    .head { display: flex; align-items: center; gap: 8px; padding: 4px 4px 4px 16px; }
    :dir(rtl) .head { padding: 4px 16px 4px 4px; }
    .head > :first-child { flex: 1; font-size: 16px; font-weight: 700; overflow-wrap: anywhere; }
    a { display: block; padding: 0 16px 16px; color: inherit; }
    .x { background: none; width: 44px; padding: 0; font-size: 22px; font-weight: 400; }
    .card { position: fixed; inset-block-end: 16px; inset-inline-start: 16px; z-index: 2147483001; width: min(368px, calc(100vw - 32px)); box-shadow: 0 10px 40px rgb(0 0 0 / .3); border-block-start: 4px solid var(--brand); }
    .body { display: grid; gap: 12px; padding: 0 16px 16px; }
    .body p { overflow-wrap: anywhere; }
    .code { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 8px; }
    .code input { min-width: 0; border: 2px dashed light-dark(#8f867f, #84796f); border-radius: 10px; padding: 0 12px; background: none; color: inherit; font: 700 18px ui-monospace, Menlo, Consolas, monospace; letter-spacing: .04em; }
    .vh { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
    @media (forced-colors: active) { .tab, button { border: 1px solid ButtonText; } }`;
  const shadow = (host, words) => {
    const outer = host.appendChild(document.createElement("div"));
    const tree = outer.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    tree.adoptedStyleSheets = [sheet];
    outer.style.colorScheme = scheme(host) || "light dark";
    const color = (text) => (/^#[0-9a-f]{6}$/i.test(text) ? text : "#0a6470");
    outer.style.setProperty("--brand", color(words.brand));
    outer.style.setProperty("--on", color(words.onBrand));
    return tree.appendChild(make("div", { className: "root", lang: words.language, dir: words.direction }));
  };

  // What tab and pop-up say, in one call for both.
  let asked = null;
  const words = (host) => {
    const query = new URLSearchParams({ lang: language(host), code: code() });
    asked = asked || fetch(`${calls}widget?${query}`, { credentials: "omit" }).then((answer) => (answer.ok ? answer.json() : null));
    return asked;
  };

  const open = (root, host, kind, said) => {
    if (dialog && dialog.parentNode === root) return dialog.showModal();
    if (dialog) dialog.remove();
    const close = make("button", { type: "button", className: "x", textContent: "\u00d7", ariaLabel: said.close });
    const title = make("h2", { textContent: host.dataset.label || said.tab, id: "title" });
    const room = make("div", {});
    dialog = make("dialog", {}, make("div", { className: "head" }, title, close), room);
    dialog.setAttribute("aria-labelledby", "title");
    close.onclick = () => dialog.close();
    dialog.onclick = (event) => event.target === dialog && dialog.close();
    root.append(dialog);
    dialog.showModal();
    const element = frame(host, kind, room);
    // A frame that never speaks, because something blocks it, leaves a way to the campaign's page.
    const away = make("a", { href: said.url, target: "_blank", rel: "noopener", textContent: said.tab });
    setTimeout(() => element.style.visibility && room.append(away), 5000);
  };

  const tab = async (host) => {
    await known();
    const said = await words(host);
    if (!said || !said.open) return;
    const root = shadow(host, said);
    const side = host.dataset.side === "start" ? " start" : "";
    const button = make("button", { type: "button", className: `tab brand${side}`, textContent: host.dataset.label || said.tab });
    button.setAttribute("aria-haspopup", "dialog");
    button.onclick = () => open(root, host, host.dataset.shows === "invitee" && code() ? "invitee" : "referrer", said);
    root.append(button);
  };

  const remember = () => {
    try {
      localStorage.setItem(closed, code());
    } catch (error) {
      /* A browser that keeps nothing shows it again. */
    }
  };
  const wasClosed = () => {
    try {
      return localStorage.getItem(closed) === code();
    } catch (error) {
      return false;
    }
  };
  const popUp = async (host) => {
    await known();
    if (!code() || wasClosed()) return;
    const said = await words(host);
    if (!said || !said.open || !said.popup || popup) return;
    const root = shadow(host, said);
    const discount = said.popup.code;
    const status = make("p", { className: "vh" });
    status.setAttribute("role", "status");
    const away = () => {
      remember();
      popup.remove();
      removeEventListener("keydown", escape);
    };
    const escape = (event) => event.key === "Escape" && !(dialog && dialog.open) && !event.defaultPrevented && away();
    const close = make("button", { type: "button", className: "x", textContent: "\u00d7", ariaLabel: said.close });
    close.onclick = away;
    const title = make("h2", { textContent: said.popup.heading, id: "from" });
    const body = make("div", { className: "body" }, make("p", { textContent: said.popup.text }));
    if (discount) {
      const field = make("input", { readOnly: true, value: discount, ariaLabel: said.popup.codeLabel, dir: "ltr" });
      const copy = make("button", { type: "button", className: "brand", textContent: said.copy });
      copy.onclick = () => {
        remember();
        field.select();
        navigator.clipboard.writeText(discount).then(() => {
          copy.textContent = status.textContent = said.copied;
        }, () => {});
      };
      body.append(make("p", { textContent: said.popup.codeText }), make("div", { className: "code" }, field, copy));
    }
    const join = make("button", { type: "button", className: discount ? "plain" : "brand", textContent: said.popup.button });
    join.setAttribute("aria-haspopup", "dialog");
    join.onclick = () => open(root, host, "invitee", { ...said, tab: said.popup.heading });
    body.append(join);
    popup = make("section", { className: "card" }, make("div", { className: "head" }, title, close), body);
    popup.setAttribute("aria-labelledby", "from");
    root.append(status, popup);
    addEventListener("keydown", escape);
    // Said aloud without taking the focus from what the visitor does; a text has to change to be noticed.
    setTimeout(() => { status.textContent = said.popup.heading; }, 200);
  };

  const kinds = {
    referrer: (host) => frame(host, "referrer", host),
    invitee: async (host) => {
      await known();
      if (code()) frame(host, "invitee", host);
    },
    tab,
    popup: popUp,
  };
  const place = () => {
    for (const host of document.querySelectorAll("[data-referral-widget]:not([data-placed])")) {
      const kind = kinds[host.dataset.referralWidget];
      if (!kind) {
        console.warn(`Referrals: there is no widget "${host.dataset.referralWidget}".`);
        continue;
      }
      host.dataset.placed = "";
      // Nothing that goes wrong here may stop the page.
      Promise.resolve(host).then(kind).catch((error) => console.warn(`Referrals: ${error.message}`));
    }
  };
  window.ReferralWidgets = { place };
  // After referral.js, wherever its tag stands; once more at the end, for a script that came late.
  const start = () => {
    if (document.readyState === "complete") return place();
    document.addEventListener("DOMContentLoaded", place);
    addEventListener("load", place);
  };
  if (document.prerendering) document.addEventListener("prerenderingchange", start, { once: true });
  else start();
})();
