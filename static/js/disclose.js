// Dialogs, menus, toasts, copy buttons, the light or dark look.
//   data-dialog="id"   opens <dialog id>            data-close       closes the dialog around it
//   data-dismiss       removes the toast around it  data-copy="#id"  copies that field's value or that element's text
//   data-select-all    a field that selects itself when focused
//   data-theme-set=""|"light"|"dark"   remembers the look in a cookie that the server reads

function copyText(selector) {
  const from = document.querySelector(selector);
  if (!from) return null;
  return "value" in from ? from.value : from.textContent;
}

async function copy(button, announce) {
  const text = copyText(button.dataset.copy);
  if (text == null) return;
  try {
    await navigator.clipboard.writeText(text.trim());
  } catch {
    // no permission, or plain http: select it, so that the person can press Ctrl+C
    const field = document.querySelector(button.dataset.copy);
    if (field.select) field.select();
    else getSelection().selectAllChildren(field);
    return;
  }
  const word = button.querySelector("span") || button;
  const before = word.textContent;
  const done = document.body.dataset.copied || "Copied";
  word.textContent = done;
  announce(done);
  setTimeout(() => { word.textContent = before; }, 1600);
}

function setTheme(name) {
  const year = 365 * 24 * 3600;
  document.cookie = `theme=${name}; path=/; max-age=${name ? year : 0}; samesite=lax`;
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  showTheme();
}

function showTheme() {
  const now = document.documentElement.dataset.theme || "";
  for (const button of document.querySelectorAll("[data-theme-set]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeSet === now));
  }
}

export function startDisclose(announce) {
  showTheme();
  document.addEventListener("click", (event) => {
    const hit = event.target.closest?.("[data-dialog], [data-close], [data-dismiss], [data-copy], [data-theme-set]");
    if (!hit) {
      // a click on the backdrop lands on the dialog itself
      if (event.target instanceof HTMLDialogElement) event.target.close();
      return;
    }
    if (hit.dataset.dialog) {
      const dialog = document.getElementById(hit.dataset.dialog);
      if (dialog && dialog.showModal) {
        event.preventDefault();
        hit.closest("[popover]")?.hidePopover();
        dialog.showModal();
      }
    } else if ("close" in hit.dataset) {
      event.preventDefault();
      hit.closest("dialog")?.close();
    } else if ("dismiss" in hit.dataset) {
      hit.closest(".toast")?.remove();
    } else if (hit.dataset.copy) {
      copy(hit, announce);
    } else if ("themeSet" in hit.dataset) {
      setTheme(hit.dataset.themeSet);
    }
  });
  document.addEventListener("focusin", (event) => {
    if (event.target.matches?.("[data-select-all]")) event.target.select();
  });
  dismissLater(document);
  document.addEventListener("htmx:load", (event) => dismissLater(event.target));
}

// toasts without an Undo leave by themselves; one that is pointed at or focused stays
function dismissLater(root) {
  const toasts = root.matches?.(".toast") ? [root] : root.querySelectorAll(".toast");
  for (const toast of toasts) {
    if (toast.dataset.timed || toast.matches(".toast--error, .toast--warning")) continue;
    toast.dataset.timed = "1";
    const wait = toast.querySelector("form") ? 20000 : 7000;
    const leave = () => (toast.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : toast.remove());
    setTimeout(leave, wait);
  }
}
