// Where the threads of a worker are: an answer that has stacks is shown, to be read and copied.

export function stacks() {
  document.addEventListener("jobd:done", ({ detail }) => {
    if (Array.isArray(detail?.stacks) && detail.stacks.length) show(detail);
  });
}

function show({ stacks, slot, host, left_out: leftOut }) {
  const text = stacks.map(({ who, pid, text, missing }) => `${who} (pid ${pid})\n${text || missing}`).join("\n\n");
  const dialog = element("dialog", { className: "stacks" });
  const title = element("h2", { textContent: `Stacks of ${slot ?? "all processes"} on ${host}`, id: "stacks-title" });
  const row = element("form", { method: "dialog", className: "row end" });
  const copy = element("button", { type: "button", textContent: "Copy", className: "copy" });
  copy.dataset.copy = text;
  row.append(copy, element("button", { textContent: "Close", className: "primary" }));
  dialog.setAttribute("aria-labelledby", "stacks-title");
  dialog.append(title, element("pre", { textContent: text, tabIndex: 0 }));
  if (leftOut) dialog.append(element("p", { textContent: `${leftOut} more are in the daemon's log.` }));
  dialog.append(row);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

function element(name, properties) {
  return Object.assign(document.createElement(name), properties);
}
