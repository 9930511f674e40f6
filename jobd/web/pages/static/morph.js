// Makes one element like another, touching only what differs: focus, selection, scroll places and open
// dialogs stay. What comes is HTML of our own pages; still, nothing that could run is taken over.

const policy = globalThis.trustedTypes?.createPolicy("jobd", { createHTML: (html) => html });
const FORBIDDEN = new Set(["SCRIPT", "IFRAME", "OBJECT", "EMBED", "BASE", "META", "LINK", "STYLE"]);

/** Read HTML without running anything of it; give the elements. */
export function parse(html) {
  const wrapped = `<template>${html}</template>`;
  const text = policy ? policy.createHTML(wrapped) : wrapped;
  const content = new DOMParser().parseFromString(text, "text/html").querySelector("template").content;
  for (const element of content.querySelectorAll("*")) {
    if (FORBIDDEN.has(element.tagName)) element.remove();
    else for (const { name } of [...element.attributes]) if (name.startsWith("on")) element.removeAttribute(name);
  }
  return document.importNode(content, true);
}

/** Make the children of `old` those of `next`. */
export function morphChildren(old, next) {
  const keyed = new Map();
  for (const child of old.children) if (child.id) keyed.set(child.id, child);
  let at = old.firstChild;
  for (const wanted of [...next.childNodes]) {
    const match = (wanted.id && keyed.get(wanted.id)) || (at && alike(at, wanted) && !keyed.has(at.id) ? at : null);
    if (match) {
      if (match !== at) old.insertBefore(match, at);
      else at = at.nextSibling;
      morph(match, wanted);
    } else {
      old.insertBefore(wanted, at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

/** Make `old` like `next`, an element or text of the same kind. */
export function morph(old, next) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== next.nodeValue) old.nodeValue = next.nodeValue;
    return;
  }
  if (old.hasAttribute("data-keep")) return; // belongs to who is looking
  const same = old.tagName === "TIME" && old.dateTime === next.dateTime;
  attributes(old, next);
  if (!same) morphChildren(old, next);
}

function alike(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id ?? "") === (b.id ?? "");
}

// What scripts or the viewer set stays: a time's title, whether something is open or ticked.
const OWN = { TIME: ["title"], DETAILS: ["open"], DIALOG: ["open"], INPUT: ["value", "checked"], OPTION: ["selected"] };

function attributes(old, next) {
  const own = OWN[old.tagName] ?? [];
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && !own.includes(name) && name !== "aria-busy") old.removeAttribute(name);
  }
  for (const { name, value } of [...next.attributes]) {
    if (!own.includes(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}
