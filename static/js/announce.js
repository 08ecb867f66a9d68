// Says things to screen readers and keeps the focus where it was when htmx swaps a part of the page.
// #live (role=status) is in every page; <body data-error> is the sentence for a request that failed.

let last = null; // id of the focused element before the swap, and where the cursor stood in it

/** Speak `text` through the page's one live region; the same text twice is spoken twice. */
export function announce(text) {
  const live = document.getElementById("live");
  if (!live || !text) return;
  live.textContent = "";
  setTimeout(() => { live.textContent = text; }, 60);
}

function remember() {
  const at = document.activeElement;
  last = at && at.id ? { id: at.id, start: at.selectionStart, end: at.selectionEnd } : null;
}

function restore() {
  if (!last || (document.activeElement && document.activeElement !== document.body)) return;
  const again = document.getElementById(last.id);
  if (!again) return;
  again.focus({ preventScroll: true });
  if (last.start != null && again.setSelectionRange) {
    try { again.setSelectionRange(last.start, last.end); } catch { /* number and e-mail fields have no cursor to set */ }
  }
}

function failed() {
  const text = document.body.dataset.error;
  announce(text);
  const toasts = document.getElementById("toasts");
  if (!toasts || !text || toasts.querySelector("[data-request-error]")) return;
  const toast = document.createElement("div");
  toast.className = "toast toast--error";
  toast.dataset.requestError = "";
  toast.textContent = text;
  toasts.append(toast);
  setTimeout(() => toast.remove(), 8000);
}

export function startAnnounce() {
  document.addEventListener("htmx:beforeRequest", (event) => event.target.setAttribute("aria-busy", "true"));
  document.addEventListener("htmx:afterRequest", (event) => event.target.removeAttribute("aria-busy"));
  document.addEventListener("htmx:beforeSwap", remember);
  document.addEventListener("htmx:afterSettle", restore);
  document.addEventListener("htmx:responseError", failed);
  document.addEventListener("htmx:sendError", failed);
}
