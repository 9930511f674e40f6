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
    if (FORBIDDEN.has(element.tagName.toUpperCase())) element.remove(); // in SVG names are as written
    else for (const { name } of [...element.attributes]) if (name.startsWith("on")) element.removeAttribute(name);
  }
  return document.importNode(content, true);
}

/** Make the children of `old` those of `next`. */
export function morphChildren(old, next) {
  const stay = new Map();
  for (const child of next.children) if (child.id) stay.set(child.id, child.nodeName);
  const keyed = new Map();
  // Who goes goes first: then nobody has to be moved, which would take the focus from within.
  for (const child of [...old.children]) {
    if (child.id && stay.get(child.id) !== child.nodeName) child.remove();
    else if (child.id) keyed.set(child.id, child);
  }
  let at = old.firstChild;
  for (const wanted of [...next.childNodes]) {
    const known = wanted.id && keyed.get(wanted.id);
    // Space between elements is nobody's: with it in the way an element would be taken for another one.
    while (wanted.nodeType === Node.ELEMENT_NODE && at?.nodeType === Node.TEXT_NODE) at = dropped(at);
    const match = known || (at && alike(at, wanted) && !keyed.has(at.id) ? at : null);
    if (match) {
      if (match !== at) old.insertBefore(match, at);
      else at = at.nextSibling;
      morph(match, wanted);
    } else {
      old.insertBefore(wanted, at);
    }
  }
  while (at) at = dropped(at);
}

function dropped(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
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
