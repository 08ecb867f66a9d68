// Selecting rows of a table inside [data-select].
//   row box:   <input type="checkbox" name="reward" value=".." data-minor="1500" data-currency="USD" data-exponent="2">
//   all box:   <input type="checkbox" data-select-page>   ticks the page
//   shown in:  [data-selected-count] (number), [data-selected-sum] (sums side by side), [data-selected-text] has data-one / data-many with %n
//   all that match: <input type="hidden" data-all-matching="exclude" data-total="412" data-sums='[["USD","61800",2]]'> counts unticked rows off
// Shift and a click, or Shift and X, select the range from the last one. Nothing selected hides .bulk__on (CSS).

let anchor = null;

const boxes = (area) => [...area.querySelectorAll("tbody .t-check input[type=checkbox]:not(:disabled)")];

/** Sums per currency of the ticked rows, as people write them; never added together. */
export function sums(ticked, locale) {
  const totals = new Map();
  for (const box of ticked) {
    const { minor, currency, exponent = "2" } = box.dataset;
    if (!currency) continue;
    const sum = totals.get(currency) || { minor: 0n, exponent: Number(exponent) };
    sum.minor += BigInt(minor);
    totals.set(currency, sum);
  }
  return write(totals, locale);
}

function write(totals, locale) {
  const texts = [...totals].map(([currency, { minor, exponent }]) => {
    const digits = String(minor).padStart(exponent + 1, "0");
    const major = exponent ? `${digits.slice(0, -exponent)}.${digits.slice(-exponent)}` : digits;
    return new Intl.NumberFormat(locale, { style: "currency", currency }).format(major);
  });
  return new Intl.ListFormat(locale, { type: "conjunction" }).format(texts);
}

// all that match, less what was unticked here since the page came, plus what was ticked again
function showMatching(area, matching, all, locale) {
  const totals = new Map(JSON.parse(matching.dataset.sums || "[]").map(([currency, minor, exponent]) => [currency, { minor: BigInt(minor), exponent }]));
  let count = Number(matching.dataset.total);
  for (const box of all) {
    if (box.checked === box.defaultChecked) continue;
    count += box.checked ? 1 : -1;
    const sum = totals.get(box.dataset.currency) || { minor: 0n, exponent: Number(box.dataset.exponent) };
    sum.minor += box.checked ? BigInt(box.dataset.minor) : -BigInt(box.dataset.minor);
    totals.set(box.dataset.currency, sum);
  }
  for (const out of area.querySelectorAll("[data-selected-count]")) out.textContent = new Intl.NumberFormat(locale).format(count);
  for (const out of area.querySelectorAll("[data-selected-sum]")) out.textContent = write(totals, locale);
}

/** Bring count, sums and the page's own box up to date with what is ticked. */
export function refresh(area) {
  const all = boxes(area);
  const ticked = all.filter((box) => box.checked);
  const locale = document.documentElement.lang || "en";
  for (const box of all) box.closest("tr")?.setAttribute("aria-selected", String(box.checked));
  const page = area.querySelector("[data-select-page]");
  if (page) {
    page.checked = ticked.length > 0 && ticked.length === all.length;
    page.indeterminate = ticked.length > 0 && ticked.length < all.length;
  }
  const matching = area.querySelector("[data-all-matching]");
  if (matching) {
    if (matching.dataset.total) showMatching(area, matching, all, locale);
    return;
  }
  for (const out of area.querySelectorAll("[data-selected-count]")) out.textContent = ticked.length;
  for (const out of area.querySelectorAll("[data-selected-sum]")) out.textContent = sums(ticked, locale);
  for (const out of area.querySelectorAll("[data-selected-text]")) {
    out.textContent = (ticked.length === 1 ? out.dataset.one : out.dataset.many).replace("%n", ticked.length);
  }
}

/** Tick or untick `box`; with `range`, everything between it and the last one as well. */
export function toggle(box, { range = false, checked = !box.checked } = {}) {
  const area = box.closest("[data-select]");
  const all = boxes(area);
  const from = all.indexOf(anchor);
  const to = all.indexOf(box);
  if (range && from >= 0 && to >= 0) {
    for (const one of all.slice(Math.min(from, to), Math.max(from, to) + 1)) one.checked = checked;
  } else box.checked = checked;
  anchor = box;
  leaveAllMatching(area);
  refresh(area);
}

// a tick by hand ends "all that match", unless the page marks unticked rows as exclusions (data-all-matching="exclude")
function leaveAllMatching(area) {
  const all = area.querySelector("[data-all-matching]");
  if (all && all.dataset.allMatching !== "exclude") all.remove();
}

export function startSelect() {
  document.addEventListener("click", (event) => {
    const box = event.target.closest?.("[data-select] tbody .t-check input[type=checkbox]");
    if (box) toggle(box, { range: event.shiftKey, checked: box.checked });
    const page = event.target.closest?.("[data-select-page]");
    if (page) {
      const area = page.closest("[data-select]");
      for (const one of boxes(area)) one.checked = page.checked;
      leaveAllMatching(area);
      refresh(area);
    }
  });
  // Shift and a click on a row's label must not mark text
  document.addEventListener("mousedown", (event) => {
    if (event.shiftKey && event.target.closest?.("[data-select] .t-check")) event.preventDefault();
  });
  const refreshAll = () => document.querySelectorAll("[data-select]").forEach(refresh);
  refreshAll();
  document.addEventListener("htmx:afterSettle", refreshAll);
  addEventListener("pageshow", refreshAll);
}
