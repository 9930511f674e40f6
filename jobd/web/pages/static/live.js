// News of the page that is open, by Server-Sent Events, while it is looked at: a hidden tab has no stream.
import { morph, morphChildren, parse } from "./morph.js";
import { clock, setNow, write } from "./times.js";

const SILENT = 35_000; // the server says something every ten seconds
const RETRIES = [1000, 2000, 5000, 10_000];
const WORDS = { live: "Live", late: "Behind", away: "No news", lost: "Connecting", offline: "Offline", gone: "Gone" };
const FOCUSABLE = ["button:not([disabled])", "a[href], input:not([disabled]), summary"];

let source = null;
let failures = 0;
let heard = 0;
let timer = null;
let isOver = false; // what was looked at is gone

export function follow() {
  const path = document.querySelector('meta[name="live"]')?.content;
  if (!path) return;
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open(path)));
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open(path));
  setInterval(() => source && Date.now() - heard > SILENT && lost(path), 5000);
  // The stream may be dead without a word, or alive all the same: to this very machine.
  for (const event of ["offline", "online"]) addEventListener(event, () => { close(); if (!document.hidden) open(path); });
  if (!document.hidden) open(path);
}

function open(path) {
  if (source || isOver) return;
  clearTimeout(timer);
  heard = Date.now();
  source = new EventSource(path);
  source.addEventListener("open", () => { heard = Date.now(); });
  source.addEventListener("whole", on(({ html }) => keepingFocus(() => whole(html))));
  source.addEventListener("parts", on(({ parts }) => keepingFocus(() => some(parts))));
  source.addEventListener("beat", on(() => {}));
  source.addEventListener("away", on(({ why }) => away(`${why}. This page shows what was last seen, and goes on by itself.`), "away"));
  source.addEventListener("gone", on(gone, "gone"));
  source.addEventListener("end", () => { close(); location.reload(); });
  source.addEventListener("error", () => lost(path));
}

function whole(html) {
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
}

function some(parts) {
  for (const [id, html] of Object.entries(parts)) {
    const element = document.getElementById(id);
    const next = parse(html).firstElementChild;
    if (!element || !next) continue; // not of what stands still
    if (element.nodeName !== next.nodeName) { element.replaceWith(next); write(next); continue; }
    morph(element, next);
    write(element);
  }
}

/** Change the page; where what had the focus goes, it moves to what is nearest, not to the page's beginning. */
function keepingFocus(change) {
  const held = document.activeElement;
  const around = [];
  for (let at = held?.parentElement; at && at !== document.body; at = at.parentElement) around.push(at);
  change();
  if (!held || held === document.body || held.isConnected) return;
  const stay = around.filter((element) => element.isConnected);
  const [near] = stay.flatMap((element) => FOCUSABLE.map((wanted) => element.querySelector(wanted))).filter(Boolean);
  near?.focus({ preventScroll: true });
}

function on(take, becomes = "live") {
  return (event) => {
    heard = Date.now();
    failures = 0;
    const content = JSON.parse(event.data);
    setNow(content.now);
    const said = document.getElementById("live").dataset.state;
    // A beat says nothing of what is away.
    if (becomes !== "live") state(becomes);
    else if (event.type !== "beat" || said !== "away") {
      state(content.late ? "late" : "live", content.late);
      away(null);
    }
    take(content);
    document.dispatchEvent(new CustomEvent("jobd:news"));
  };
}

/** What is not there any more can be read yet, and nothing can be done to it. */
function gone() {
  isOver = true;
  close();
  away("This is no longer recorded: it was removed, or kept as long as was asked.");
  for (const acting of document.querySelectorAll("main :is([data-act], [data-bulk])")) acting.remove();
}

function close() {
  clearTimeout(timer);
  source?.close();
  source = null;
}

async function lost(path) {
  close();
  state(navigator.onLine ? "lost" : "offline");
  const wait = RETRIES[Math.min(failures, RETRIES.length - 1)];
  failures += 1;
  if (!navigator.onLine) away("This browser is offline. This page shows what was last seen, and goes on by itself.");
  else if (failures > 1) {
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

/** `late`: how old what is shown is, in ms; it counts, and is not to be read out each time. */
function state(word, late = 0) {
  const mark = document.getElementById("live");
  mark.hidden = false;
  mark.dataset.state = word;
  mark.dataset.late = late ? ` ${clock(late / 1000)}` : "";
  if (mark.textContent !== WORDS[word]) mark.textContent = WORDS[word];
}

function away(text) {
  const banner = document.getElementById("away");
  banner.hidden = text === null;
  if (text !== null && banner.textContent !== text) banner.textContent = text;
}
