// The rewards list: questions in a dialog, the inspector beside the list, the focus after an action.
//   <dialog id="ask">    opens when htmx has put a question into it, closes when the list is swapped
//   a[data-open]         fills #pane where it is shown; elsewhere, or with Ctrl, it is an ordinary link
//   [data-opened="id"]   in #pane: marks tr[data-row="id"] as open
//   a 409 answer carries the list as it stands now, so it is shown like any other

const list = () => document.getElementById("list");
const rows = () => [...document.querySelectorAll("#list tbody tr")];
let at = -1; // the row that was acted on: afterwards the focus goes to whatever stands in its place

function markOpen() {
  const id = document.querySelector("#pane [data-opened]")?.dataset.opened;
  for (const row of rows()) row.classList.toggle("is-open", Boolean(id) && row.dataset.row === id);
}

function place() {
  const ticked = rows().findIndex((row) => row.querySelector(".t-check input:checked"));
  const here = document.activeElement?.closest?.("#list tbody tr");
  at = here ? rows().indexOf(here) : ticked;
}

function refocus() {
  const now = document.activeElement;
  if (now && now !== document.body && now.isConnected) return;
  const all = rows();
  const next = all.length ? all[Math.min(Math.max(at, 0), all.length - 1)].querySelector("a[data-open]") : document.getElementById("list-empty");
  next?.focus({ preventScroll: at < 0 });
}

// before htmx hears of it: a click that asks for a new tab or window stays the browser's
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-open]");
  if (link && (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)) event.stopPropagation();
}, true);

document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt, target, verb } = { elt: event.detail.elt, target: event.detail.target, verb: event.detail.requestConfig?.verb };
  if (target?.id === "pane" && elt.matches("a[data-open]") && !target.offsetParent) {
    event.preventDefault();
    location.assign(elt.href);
  } else if (verb === "post" && target?.id === "list" && elt.id !== "ask-form") place();
});

document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.status !== 409) return;
  event.detail.shouldSwap = true;
  event.detail.isError = false;
});

document.addEventListener("htmx:afterSettle", (event) => {
  const dialog = document.getElementById("ask");
  const target = event.detail.target;
  if (target === dialog) {
    const opened = !dialog.open;
    if (opened) dialog.showModal();
    const wrong = dialog.querySelector("[aria-invalid=true]");
    // what was chosen in it asks again: then the focus stays, by its id, where it is
    if (wrong || opened || !dialog.contains(document.activeElement)) {
      (wrong || dialog.querySelector(":checked") || dialog.querySelector("textarea, input:not([type=hidden])"))?.focus();
    }
  } else if (target?.id === "list") {
    if (dialog?.open) dialog.close();
    if (event.detail.requestConfig?.verb === "post") requestAnimationFrame(refocus);
  }
  markOpen();
});

document.getElementById("ask")?.addEventListener("close", (event) => event.target.replaceChildren());
markOpen();
