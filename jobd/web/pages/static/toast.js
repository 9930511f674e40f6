// A word about what was done, for a while.
const SHOWN = 6000;

export function toast(text, kind = "done") {
  const element = document.createElement("p");
  element.className = `toast ${kind}`;
  element.textContent = text;
  document.getElementById("toasts").append(element);
  setTimeout(() => element.remove(), kind === "problem" ? 2 * SHOWN : SHOWN);
}
