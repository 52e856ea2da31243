// Runs before the first paint: without it a page in the dark would flash.
const system = matchMedia("(prefers-color-scheme: dark)");

function follow() {
  const root = document.documentElement;
  if (root.dataset.theme === "auto") root.dataset.bsTheme = system.matches ? "dark" : "light";
}

follow();
system.addEventListener("change", follow);
