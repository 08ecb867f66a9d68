// Keyboard: / search, J and K move through the rows, X selects, Enter opens, I issues, ? lists the keys.
//   tables inside [data-select] or [data-rows]; in a row, a[data-open] is what Enter follows
//   data-key="i"  on a button or field: that key presses or focuses it (one inside the current row is preferred)
// Single keys can be turned off (WCAG 2.1.4); the choice is kept in this browser.
import { toggle } from "./select.js";

const STORE = "passalong.keys";

function on() {
  try { return localStorage.getItem(STORE) !== "off"; } catch { return true; }
}

const rows = () => [...document.querySelectorAll(":is([data-select], [data-rows]) tbody tr")].filter((row) => row.offsetParent);
const current = () => document.activeElement?.closest?.("tbody tr") || document.querySelector("tbody tr.is-at");

function move(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.indexOf(current());
  const next = all[Math.max(0, Math.min(all.length - 1, at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step))];
  for (const row of all) row.classList.toggle("is-at", row === next);
  const focusable = next.querySelector("a[data-open]") || next.querySelector("a, button, .t-check input");
  focusable?.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function press(key) {
  const row = current();
  const name = CSS.escape(key);
  // with rows ticked, a key means all of them and not the row that happens to be current
  const ticked = document.querySelector("[data-select] tbody .t-check input:checked, [data-all-matching]");
  const hit = (!ticked && row?.querySelector(`[data-key="${name}"]`))
    || [...document.querySelectorAll(`[data-key="${name}"]`)].find((one) => one.offsetParent && !one.closest("tbody"));
  if (!hit || hit.disabled) return false;
  if (hit.matches("input, select, textarea")) { hit.focus(); hit.select?.(); } else hit.click();
  return true;
}

function typing(target) {
  return target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable], dialog[open]");
}

export function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || typing(event.target) || !on()) return;
    const key = event.key.toLowerCase();
    let done = true;
    if (key === "j") move(1);
    else if (key === "k") move(-1);
    else if (key === "?") document.getElementById("keys")?.showModal?.();
    else if (key === "x") {
      const box = current()?.querySelector(".t-check input");
      if (box) toggle(box, { range: event.shiftKey });
    } else if (key.length === 1) done = press(key);
    else done = false;
    if (done) event.preventDefault();
  });
  // Enter in a row's tick box opens the row. Browsers would press the form's first button, which may issue money.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches?.("[data-select] .t-check input")) return;
    event.preventDefault();
    event.target.closest("tbody tr")?.querySelector("a[data-open]")?.click();
  });
  const sw = document.querySelector("[data-keys-switch]");
  if (sw) {
    sw.checked = on();
    sw.addEventListener("change", () => {
      try { localStorage.setItem(STORE, sw.checked ? "on" : "off"); } catch { /* private windows may refuse to keep it */ }
    });
  }
}
