// The button between light and dark, and the menu, of which a narrow screen has room for a part.

/** Scroll the menu, and nothing else, to where one is. */
export function showPlace() {
  const item = document.querySelector(".top nav a[aria-current]");
  if (!item) return;
  const nav = item.closest("nav");
  const middle = item.getBoundingClientRect().left - nav.getBoundingClientRect().left + item.offsetWidth / 2;
  nav.scrollLeft += middle - nav.clientWidth / 2;
}

export function choose() {
  const button = document.getElementById("theme");
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("jobd-theme", root.dataset.theme); } catch { /* for this page alone */ }
  });
}
