// Buttons and forms that act, through the API; most are also buttons of the frame's form, which acts without this:
//   data-act      the method; data-path the path; data-body what is sent, as JSON
//   data-confirm  what is asked before
//   data-go       where to go when it is done, {name} being a field of the answer; data-done what to say
// Named fields within are put into the body: empty ones are left out.
// `before` handlers may add to a body: an element with data-adds="selection" has the ticked rows' ids.
import { confirmed } from "./confirm.js";
import { toast } from "./toast.js";

const csrf = () => document.querySelector('meta[name="csrf"]').content;

export function listen() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-act], [data-act] button[formaction]");
    if (!button) return;
    event.preventDefault();
    run(button.closest("[data-act]"));
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form[data-act]")) return;
    event.preventDefault();
    run(event.target);
  });
}

async function run(element) {
  if (element.getAttribute("aria-busy") === "true") return;
  const { act, path, confirm, go, done } = element.dataset;
  const body = { ...JSON.parse(element.dataset.body ?? "{}"), ...fields(element) };
  if (element.dataset.adds === "selection") {
    body.ids = [...document.querySelectorAll("input[name=pick]:checked")].map((box) => box.value);
    if (!body.ids.length) { toast("No job is ticked; tick some first.", "problem"); return; }
  }
  if (confirm && !(await confirmed(confirm, element.textContent.trim()))) return;
  element.setAttribute("aria-busy", "true");
  try {
    const answer = await send(act, path, body);
    if (go) location.assign(go.replaceAll(/\{(\w+)\}/g, (_, name) => encodeURIComponent(answer[name])));
    else said(element, done, answer);
  } catch (problem) {
    toast(problem.message, "problem");
  } finally {
    element.removeAttribute("aria-busy");
  }
}

function said(element, done, answer) {
  toast(done ?? `${element.textContent.trim()}: ${answer.outcome ?? "done"}`);
  element.dispatchEvent(new CustomEvent("jobd:done", { bubbles: true, detail: answer }));
  // A page without a stream shows what is new by being loaded again.
  if (!document.querySelector('meta[name="live"]') || "reload" in element.dataset) location.reload();
}

/** Ask the API; give its answer. Throws an Error with words for people. */
export async function send(method, path, body, again = true) {
  // A browser takes `..` in a path for the place above: what is meant is not what would be done.
  if (new URL(path, location).pathname !== path.split("?")[0]) {
    throw new Error("A name on this page leads to another place; nothing was done. Use the command line.");
  }
  const options = { method, headers: { Accept: "application/json", "X-Jobd-Csrf": csrf() } };
  if (method !== "GET") {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body ?? {});
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The dashboard does not answer; nothing is known to have been done. Try again.");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.status === 401) location.reload();
  // Nothing was done: the page's token may be of a web process that is gone.
  if (again && answer.code === "jobd.not_from_here" && (await renewed())) return send(method, path, body, false);
  if (!response.ok) throw new Error(answer.detail ?? `It was refused (${response.status}).`);
  return answer;
}

/** Get the token anew where everybody is one person, and no page another's; say whether it is another one. */
async function renewed() {
  const before = csrf();
  try {
    const root = document.querySelector('meta[name="root"]').content;
    const session = await (await fetch(`${root}/session`, { headers: { Accept: "application/json" } })).json();
    if (session.via !== "open" || session.csrf === before) return false;
    document.querySelector('meta[name="csrf"]').content = session.csrf;
    for (const input of document.querySelectorAll('input[name="csrf"]')) input.value = session.csrf;
    return true;
  } catch {
    return false;
  }
}

function fields(element) {
  const body = {};
  for (const input of element.querySelectorAll("input[name]")) {
    if (input.type === "checkbox") body[input.name] = input.checked;
    else if (input.value !== "") body[input.name] = input.value;
  }
  return body;
}
