// Asks before something that cannot be taken back. With `typed`, that has to be written first; while it is
// `waiting`, nobody can say yes: until mayGoOn says so.

let ready = () => {};

export function confirmed(text, label, { typed = "", waiting = false } = {}) {
  const dialog = document.getElementById("confirm");
  const yes = dialog.querySelector("button[value=yes]");
  const row = document.getElementById("confirm-typed");
  const input = row.querySelector("input");
  document.getElementById("confirm-title").textContent = label;
  document.getElementById("confirm-text").textContent = text;
  yes.textContent = label;
  row.hidden = !typed;
  row.querySelector("code").textContent = typed;
  input.value = "";
  let isReady = !waiting;
  const check = () => { yes.disabled = !isReady || (typed !== "" && input.value !== typed); };
  ready = () => { isReady = true; check(); };
  check();
  input.oninput = check;
  // Of itself it would press the first button, which leaves it.
  input.onkeydown = (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    yes.click();
  };
  dialog.returnValue = "no";
  dialog.showModal();
  (typed ? input : dialog.querySelector("button[value=no]")).focus();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => answer(dialog.returnValue === "yes" && !yes.disabled), { once: true });
  });
}

/** Let somebody say yes to what is open. */
export const mayGoOn = () => ready();
