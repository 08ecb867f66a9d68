// Public pages: copy a link or a code, and the phone's own share sheet. Nothing else; no cookies, no requests.
//   data-copy="#id" data-done="Copied"   copies that field (or data-text instead); without a clipboard it selects it
//   data-share data-title data-text data-url   shown only where navigator.share exists (starts out [hidden])
{
  document.documentElement.classList.add("js");
  const say = (text) => {
    const live = document.getElementById("live");
    if (live) live.textContent = text;
  };
  const copy = async (button) => {
    const field = document.querySelector(button.dataset.copy);
    const text = button.dataset.text ?? field.value ?? field.textContent;
    const word = button.querySelector("span") || button;
    const before = word.textContent;
    try {
      await navigator.clipboard.writeText(text.trim());
    } catch {
      field.select?.();
      return;
    }
    word.textContent = button.dataset.done || "Copied";
    say(word.textContent);
    setTimeout(() => { word.textContent = before; }, 1800);
  };
  const shareable = () => {
    for (const button of document.querySelectorAll("[data-share][hidden]")) button.hidden = !navigator.share;
  };
  shareable();
  // A widget shows something else without being loaded again (widget.js).
  document.addEventListener("referrals:shown", shareable);
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (button) copy(button);
    const { title, text, url } = event.target.closest?.("[data-share]")?.dataset || {};
    if (url) navigator.share({ title, text, url }).catch(() => {});
    if (event.target.matches?.("input[data-select-all]")) event.target.select();
  });
}
