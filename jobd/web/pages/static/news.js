// A list that stands still while it is read says how many more jobs there are by now than when it was made.
// Its place is there from the beginning, and it is no status that is read out: it may change every second.

export function news() {
  const line = document.getElementById("news");
  if (!line) return;
  document.addEventListener("jobd:news", () => {
    const tab = document.getElementById(`tab-${line.dataset.state}`);
    const more = Number(tab?.dataset.count) - Number(line.dataset.count);
    line.classList.toggle("shown", Boolean(more));
    const text = `${Math.abs(more).toLocaleString("en")} ${more > 0 ? "more" : "fewer"} than when this list was made.`;
    const words = line.querySelector("span");
    if (more && words.textContent !== text) words.textContent = text;
  });
}
