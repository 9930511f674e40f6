// A word about what was done, for a while.
const SHOWN = 6000;

/** Say it; `link` is {href, text} of where to see more. */
export function toast(text, kind = "done", link = null) {
  const element = document.createElement("p");
  element.className = `toast ${kind}`;
  element.textContent = text;
  if (link) {
    const more = document.createElement("a");
    Object.assign(more, { href: link.href, textContent: link.text });
    element.append(" ", more);
  }
  document.getElementById("toasts").append(element);
  setTimeout(() => element.remove(), kind === "problem" ? 2 * SHOWN : SHOWN);
}
