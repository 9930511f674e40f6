// Buttons that act on many jobs at once, through an operation of the API:
//   data-bulk   "ticked": the ticked rows; "all": whatever the filter in data-body finds
//   data-verb   what is done; data-label its word; data-path, data-body and data-go as in act.js
//   data-of     which jobs these are, in words that follow "3 jobs"; data-typed what has to be typed before
// For all that a filter finds the jobs are counted first, by an operation that changes nothing; who is asked
// sees how many there are, and may say yes when all are counted. It is done to these: to nothing that comes
// after the instant of the count.
import { send } from "./act.js";
import { confirmed, mayGoOn } from "./confirm.js";
import { toast } from "./toast.js";

const EVERY = 300;
const number = new Intl.NumberFormat("en");
const FOR_GOOD = " This cannot be taken back.";

export function bulk() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-bulk]");
    if (button && button.getAttribute("aria-busy") !== "true") run(button);
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("input[name=pick], input[data-all]")) count();
  });
  addEventListener("pageshow", count); // a browser that goes back has kept what was ticked
}

const ticked = () => [...document.querySelectorAll("input[name=pick]:checked")].map((box) => box.value);

function count() {
  const shown = document.getElementById("ticked");
  if (!shown) return;
  const many = ticked().length;
  shown.textContent = many;
  for (const button of document.querySelectorAll("button[data-bulk=ticked]")) button.disabled = !many;
  const all = document.querySelector("input[data-all]");
  const boxes = document.querySelectorAll("input[name=pick]").length;
  all.checked = boxes > 0 && many === boxes;
  all.indeterminate = many > 0 && many < boxes;
}

async function run(button) {
  const { path, go } = button.dataset;
  const body = JSON.parse(button.dataset.body);
  button.setAttribute("aria-busy", "true");
  try {
    if (button.dataset.bulk === "ticked") body.ids = ticked();
    const yes = body.ids ? await askedForTicked(button, body.ids.length) : await askedForAll(button, body);
    if (!yes) return;
    const answer = await send("POST", path, body);
    location.assign(go.replace("{id}", encodeURIComponent(answer.id)));
  } catch (problem) {
    // It may have been begun all the same; or others are under way, and can be stopped.
    toast(problem.message, "problem", { href: go.replace("/{id}", ""), text: "See the operations" });
  } finally {
    button.removeAttribute("aria-busy");
  }
}

const jobs = (many) => (many === 1 ? "1 job" : `${number.format(many)} jobs`);
const forGood = (button) => (["delete", "purge"].includes(button.dataset.verb) ? FOR_GOOD : "");

function askedForTicked(button, many) {
  return confirmed(`${button.dataset.label}: the ${jobs(many)} that you ticked.${forGood(button)}`, button.dataset.label);
}

function askedForAll(button, body) {
  const { label, typed } = button.dataset;
  let open = true;
  const answer = confirmed("Counting…", label, { typed, waiting: true }).finally(() => { open = false; });
  showCount(button, body, () => open); // goes on by itself: who leaves it waits for nothing
  return answer;
}

/** Count the jobs and show how many, as long as somebody looks; then let them say yes, to those as of now. */
async function showCount(button, body, isOpen) {
  const { label, of, path } = button.dataset;
  const text = document.getElementById("confirm-text");
  try {
    const found = await counted(path, body, (it) => {
      if (isOpen()) text.textContent = `Counting… ${number.format(sum(it))} found, ${number.format(it.looked)} of about ${number.format(it.total)} looked at.`;
      return isOpen();
    });
    if (!isOpen()) return;
    const many = found ? sum(found) : 0;
    text.textContent = many ? `${label}: ${jobs(many)}${of ? ` ${of}` : ""}, as of now.${forGood(button)}` : "There is no such job any more.";
    if (!many) return;
    document.querySelector("#confirm button[value=yes]").textContent = `${label} ${jobs(many)}`;
    body.as_of = found.as_of;
    mayGoOn();
  } catch (problem) {
    if (isOpen()) text.textContent = `They could not be counted: ${problem.message}`;
  }
}

const sum = (it) => Object.values(it.counts).reduce((all, many) => all + many, 0);

/** Count what an order would be done to; give the operation that did, or null. `tell` is told how far it is, and says whether to go on. */
async function counted(path, body, tell) {
  let it = await send("POST", path, { ...body, dry_run: true });
  while (it.ended_at === null) {
    if (!tell(it)) { await send("DELETE", `${path}/${it.id}`).catch(() => {}); return null; }
    await new Promise((go) => { setTimeout(go, EVERY); });
    it = await send("GET", `${path}/${it.id}`);
  }
  if (it.state !== "done") throw new Error(it.problem?.detail ?? `the counting was ${it.state}`);
  return it;
}
