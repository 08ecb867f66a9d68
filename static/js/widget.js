// A widget in a frame of a merchant's page (docs/widgets.md): tells the page around it how high it is, learns from it who is there.
// Talks only to <body data-origin>, which the server checked, and listens only to its window. data-waits: not shown before it is known
// whose link this is.
{
  const { origin } = document.body.dataset;
  const inFrame = window.parent !== window;
  let person = null, said = 0;

  const tell = (type, more) => {
    if (origin && inFrame) window.parent.postMessage({ from: "referrals", type, ...more }, origin);
  };
  const measure = () => {
    if ("waits" in document.body.dataset) return;
    const height = Math.ceil(document.documentElement.getBoundingClientRect().height);
    if (height !== said) tell("resize", { height: (said = height), title: document.title });
  };
  const show = () => {
    delete document.body.dataset.waits;
    measure();
  };

  // The server's answer is a whole document; what it shows takes the place of what is shown.
  const post = async (fields) => {
    const answer = await fetch(location.href, { method: "POST", body: new URLSearchParams(fields) });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main[data-view]");
    // An error page of ours or of a proxy is no widget: what is shown stays.
    if (!fresh) throw new Error("no answer");
    document.querySelector("main").replaceWith(fresh);
    document.dispatchEvent(new Event("referrals:shown"));
    fresh.querySelector("[data-focus], [aria-invalid]")?.focus();
    if (fresh.dataset.refused) console.warn(`Referrals: nobody is logged in here (${fresh.dataset.refused}).`);
    if (fresh.dataset.view === "joined") tell("joined");
    measure();
  };

  addEventListener("message", (event) => {
    const { data } = event;
    if (event.source !== window.parent || event.origin !== origin || data?.from !== "referrals-page") return;
    if (data.type !== "person") return;
    const first = !person;
    person = { visitor: String(data.visitor || "") };
    if (!first) return;
    if (data.identity) post({ identity: String(data.identity) }).catch(() => {}).then(show);
    else show();
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.elements.visitor) form.elements.visitor.value = person?.visitor || "";
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    // Without an answer the form is sent as any form is.
    post(new FormData(form)).catch(() => form.submit()).then(() => { button.disabled = false; });
  });

  // The visit that led here is often recorded only after the widget was placed: asked for again before anything is sent.
  addEventListener("focusin", () => tell("ready"), { once: true });
  addEventListener("keydown", (event) => { if (event.key === "Escape") tell("close"); });

  new ResizeObserver(measure).observe(document.documentElement);
  tell("ready");
  setTimeout(show, 4000);
  if (!origin || !inFrame) show();
  else measure();
}
