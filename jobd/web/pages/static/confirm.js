// Asks before something that cannot be taken back; with `typed`, that has to be written first.

export function confirmed(text, label, typed) {
  const dialog = document.getElementById("confirm");
  const yes = dialog.querySelector("button[value=yes]");
  const row = document.getElementById("confirm-typed");
  const input = row.querySelector("input");
  document.getElementById("confirm-title").textContent = label;
  document.getElementById("confirm-text").textContent = text;
  yes.textContent = label;
  row.hidden = !typed;
  row.querySelector("code").textContent = typed ?? "";
  input.value = "";
  yes.disabled = Boolean(typed);
  input.oninput = () => { yes.disabled = Boolean(typed) && input.value !== typed; };
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
