// Instants in the viewer's zone, and ages that go on by themselves.
//   <time datetime data-when>   29 Nov 2026, 21:15:03
//   <time datetime data-ago>    3 min ago, in 2 h
//   <time datetime data-clock>  1m 12s, how long it has been
// Ages count by the server's clock: the viewer's may be wrong. Words are English, as all of the page is; the
// zone, and whether there are twelve hours or twenty-four, are the viewer's.

let ahead = 0; // of the viewer's clock before the server's, ms

const { locale: own, hourCycle } = new Intl.DateTimeFormat(undefined, { hour: "numeric" }).resolvedOptions();
const locale = own.startsWith("en") ? own : "en-GB";
const long = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium", hourCycle });
const brief = new Intl.RelativeTimeFormat(locale, { style: "short", numeric: "auto" });
const UNITS = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]];

export function serverNow() {
  return Date.now() - ahead;
}

export function setNow(ms) {
  if (Number.isFinite(ms)) ahead = Date.now() - ms;
}

export function keepTime() {
  setNow(Number(document.querySelector('meta[name="now"]')?.content));
  write(document);
  setInterval(() => write(document, true), 1000);
}

/** Write all times in an element; `moving`: only those that change by themselves. */
export function write(root, moving = false) {
  const wanted = moving ? "time[data-ago], time[data-clock]" : "time[datetime]";
  const within = [...root.querySelectorAll(wanted)];
  if (root.matches?.(wanted)) within.push(root);
  for (const element of within) {
    const at = Date.parse(element.dateTime);
    if (Number.isNaN(at)) continue;
    const text = words(element, at);
    if (element.textContent !== text) element.textContent = text;
    if (!moving || !element.title) element.title = `${long.format(at)} (${element.dateTime})`;
  }
}

function words(element, at) {
  const seconds = Math.round((at - serverNow()) / 1000);
  if ("clock" in element.dataset) return clock(Math.max(0, -seconds));
  if ("ago" in element.dataset) {
    const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
    return brief.format(Math.trunc(seconds / size), unit);
  }
  return long.format(at);
}

/** Write a time span, in its two largest units. */
export function clock(seconds) {
  const parts = [[86_400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  const from = Math.max(0, parts.findIndex(([size]) => seconds >= size));
  if (seconds < 1) return "0s";
  return parts.slice(from, from + 2)
    .map(([size, unit]) => [Math.floor(seconds / size) % (size === 86_400 ? 1e9 : size === 3600 ? 24 : 60), unit])
    .filter(([count]) => count).map(([count, unit]) => `${count}${unit}`).join(" ");
}
