// Forms that choose what a list shows leave out of the address what was not filled in, but for what means
// something when it is empty (data-empty); a box ticks all rows.

export function filters() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form[data-filter]")) return;
    for (const field of form.elements) if (field.name && field.value === "" && !("empty" in field.dataset)) field.disabled = true;
    setTimeout(() => { for (const field of form.elements) field.disabled = false; });
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("select[data-submit]")) event.target.form.requestSubmit();
    if (!event.target.matches("input[data-all]")) return;
    for (const box of document.querySelectorAll("input[name=pick]")) box.checked = event.target.checked;
  });
}
