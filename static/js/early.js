// Runs before the first paint: says that scripts work, so that what only they can do may show itself (.js-only).
document.documentElement.classList.add("js");
