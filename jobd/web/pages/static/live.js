// News of the page that is open, by Server-Sent Events, while it is looked at: a hidden tab has no stream.
import { morph, morphChildren, parse } from "./morph.js";
import { setNow, write } from "./times.js";

const SILENT = 35_000; // the server says something every ten seconds
const RETRIES = [1000, 2000, 5000, 10_000];

let source = null;
let failures = 0;
let heard = 0;
let timer = null;

export function follow() {
  const path = document.querySelector('meta[name="live"]')?.content;
  if (!path) return;
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open(path)));
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open(path));
  setInterval(() => source && Date.now() - heard > SILENT && lost(path), 5000);
  if (!document.hidden) open(path);
}

function open(path) {
  if (source) return;
  clearTimeout(timer);
  heard = Date.now();
  source = new EventSource(path);
  source.addEventListener("open", () => { heard = Date.now(); });
  source.addEventListener("whole", on(({ html }) => {
    const main = document.getElementById("main");
    const next = parse(html);
    // What belongs to the frame comes along, and is not of the content.
    for (const piece of next.querySelectorAll("[data-frame]")) {
      piece.remove();
      const element = document.getElementById(piece.id);
      if (element) morph(element, piece);
    }
    morphChildren(main, next);
    write(main);
  }));
  source.addEventListener("parts", on(({ parts }) => {
    for (const [id, html] of Object.entries(parts)) {
      const element = document.getElementById(id);
      const next = parse(html).firstElementChild;
      if (!element || !next) continue; // not of what stands still
      if (element.nodeName !== next.nodeName) { element.replaceWith(next); write(next); continue; }
      morph(element, next);
      write(element);
    }
  }));
  source.addEventListener("beat", on(() => {}, false));
  source.addEventListener("away", on(({ why }) => away(`${why}. This page shows what was last seen, and goes on by itself.`), false));
  source.addEventListener("gone", on(() => { away("This is no longer recorded: it was removed, or kept as long as was asked."); close(); }, false));
  source.addEventListener("end", () => { close(); location.reload(); });
  source.addEventListener("error", () => lost(path));
}

function on(take, back = true) {
  return (event) => {
    heard = Date.now();
    failures = 0;
    const content = JSON.parse(event.data);
    setNow(content.now);
    if (back) { state("live"); away(null); }
    take(content);
    document.dispatchEvent(new CustomEvent("jobd:news"));
  };
}

function close() {
  clearTimeout(timer);
  source?.close();
  source = null;
}

async function lost(path) {
  close();
  state("lost");
  const wait = RETRIES[Math.min(failures, RETRIES.length - 1)];
  failures += 1;
  if (failures > 1) {
    away("The dashboard does not answer. This page shows what was last seen, and tries again by itself.");
    if (await isLoggedOut()) { location.reload(); return; }
  }
  timer = setTimeout(() => { if (!document.hidden) open(path); }, wait);
}

async function isLoggedOut() {
  try {
    const root = document.querySelector('meta[name="root"]').content;
    return (await fetch(`${root}/session`, { headers: { Accept: "application/json" } })).status === 401;
  } catch {
    return false;
  }
}

function state(word) {
  const mark = document.getElementById("live");
  mark.hidden = false;
  mark.dataset.state = word;
  const text = word === "live" ? "Live" : "Connecting";
  if (mark.textContent !== text) mark.textContent = text;
}

function away(text) {
  const banner = document.getElementById("away");
  banner.hidden = text === null;
  if (text !== null && banner.textContent !== text) banner.textContent = text;
}
