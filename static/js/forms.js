// Small help inside forms.
//   data-autosubmit         on a select or checkbox: the form around it is sent when it changes (a button does it without a script)
//   data-once               on a form: a second press of its button does nothing while the first is on its way
//   data-guard              on a form: leaving the page with something typed and not sent asks first (data-free on a field: does not count)
//   data-mirror="#id"       on a colour field: shows its value in that <output>, and the other way round
//   data-preview="#frame"   on a form: a change is posted to the iframe's data-src, which answers {url, note}: the iframe shows the url,
//                           the element named by the iframe's data-note the note. Nothing is saved by that
//   data-time-zone          on a field or select that still has its default: the browser's time zone is filled in
//   data-jump               on an error summary: takes the focus when the page opens

function debounce(run, wait) {
  let timer;
  return (...args) => { clearTimeout(timer); timer = setTimeout(() => run(...args), wait); };
}

// the newest answer wins, however they come in
let asked = 0;

async function reload(form) {
  const frame = document.querySelector(form.dataset.preview);
  if (!frame || !frame.dataset.src) return;
  const fields = new FormData(form);
  for (const [name, value] of [...fields]) if (typeof value !== "string") fields.delete(name);
  const mine = ++asked;
  const answer = await fetch(frame.dataset.src, { method: "POST", body: fields, headers: { Accept: "application/json" } });
  if (!answer.ok || mine !== asked) return;
  const { url, note } = await answer.json();
  frame.contentWindow?.location.replace(new URL(url, location.href));
  const place = frame.dataset.note && document.querySelector(frame.dataset.note);
  if (place && note && place.textContent !== note) place.textContent = note;
}

export function startForms() {
  const reloadSoon = debounce(reload, 500);
  document.addEventListener("change", (event) => {
    if (event.target.matches?.("[data-autosubmit]")) event.target.form?.requestSubmit();
  });
  document.addEventListener("input", (event) => {
    const mirror = event.target.dataset?.mirror && document.querySelector(event.target.dataset.mirror);
    if (mirror) {
      if ("value" in mirror && mirror.tagName !== "OUTPUT") {
        if (/^#[0-9a-f]{6}$/i.test(event.target.value)) mirror.value = event.target.value;
      } else mirror.textContent = event.target.value;
    }
    const form = event.target.form;
    if (form?.dataset.preview) reloadSoon(form);
  });
  const unsent = new Set();
  document.addEventListener("input", ({ target }) => {
    if (target.form && "guard" in target.form.dataset && !("free" in target.dataset)) unsent.add(target.form);
  });
  addEventListener("beforeunload", (event) => {
    if ([...unsent].some((form) => form.isConnected)) event.preventDefault();
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!event.defaultPrevented && !event.submitter?.hasAttribute("formtarget")) unsent.delete(form);
    // a button that sends the form elsewhere (a preview) is not the one press
    if (!("once" in form.dataset) || event.defaultPrevented || event.submitter?.hasAttribute("formtarget")) return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "1";
    form.classList.add("is-busy");
  });
  // coming back with the browser's button must find the form usable again
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      form.classList.remove("is-busy");
    }
  });
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const field of document.querySelectorAll("[data-time-zone]")) {
    if (!zone || (field.value && field.value !== "UTC")) continue;
    if (field.tagName !== "SELECT" || [...field.options].some((option) => option.value === zone)) field.value = zone;
  }
  document.querySelector("[data-jump]")?.focus();
}
