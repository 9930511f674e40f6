"""Making one element like another, in a real browser: it becomes like it, and what is the viewer's stays."""

from __future__ import annotations

import json
from typing import Any

from browser.visitor import Visitor

# Trees of a few kinds of nodes, some with ids, made by chance of a fixed seed.
_FUZZ = """
let seed = 7;
const chance = (n) => { seed = (seed * 1103515245 + 12345) % 2147483648; return (seed >> 8) % n; };
const node = (depth, ids) => {
  if (depth === 0 || chance(3) === 0) return ["a", "b", " ", "&lt;p&gt;"][chance(4)];
  const tag = ["div", "p", "span", "svg"][chance(4)];
  const id = chance(2) ? ` id="${ids.pop() ?? ""}"`.replace(' id=""', "") : "";
  const more = chance(3) ? "" : ` class="${"xyz"[chance(3)]}"`;
  if (tag === "p" || tag === "svg") return `<${tag}${id}${more}></${tag}>`;
  return `<${tag}${id}${more}>${Array.from({ length: chance(4) }, () => node(depth - 1, ids)).join("")}</${tag}>`;
};
const some = () => {
  const ids = [..."abcdefgh"].sort(() => chance(3) - 1);
  return Array.from({ length: chance(6) }, () => node(3, ids)).join("");
};
const made = (html) => { const it = document.createElement("div"); it.append(parse(html)); it.normalize(); return it; };
const wrong = [];
for (let n = 0; n < 2000; n += 1) {
  const [one, two] = [some(), some()];
  const old = made(one);
  morphChildren(old, made(two));
  old.normalize();
  if (old.innerHTML !== made(two).innerHTML) wrong.push([one, two, old.innerHTML]);
}
return wrong.slice(0, 3);
"""


def run(ops: Visitor, body: str) -> Any:
    """Run the body of a function that has what the module gives; it may put things into `main`."""
    page = ops.go("/operations")
    static = page.locator("script[type=module]").get_attribute("src")
    assert static is not None
    path = json.dumps(static.replace("app.js", "morph.js"))
    return page.evaluate(
        f"""async () => {{
            const {{ parse, morph, morphChildren }} = await import({path});
            const main = document.createElement("div");
            document.body.append(main);
            const show = (html) => morphChildren(main, parse(html));
            {body}
        }}"""
    )


def test_whatever_was_there_becomes_what_is_wanted(ops: Visitor) -> None:
    assert run(ops, _FUZZ) == []


def test_rows_that_go_or_come_leave_the_focus_where_it_is(ops: Visitor) -> None:
    focus = """
        const row = (id) => `<p id="${id}">\\n<button>${id}</button></p>\\n`;
        const rows = (...ids) => show(ids.map(row).join(""));
        rows("a", "b", "c");
        const button = main.querySelector("#b button");
        button.focus();
        for (const ids of [["b", "c"], ["b"], ["x", "b", "y"], ["z", "y", "b"], ["a", "b", "c"]]) {
          rows(...ids);
          if (document.activeElement !== button) return ids;
          if ([...main.children].map((it) => it.id).join() !== ids.join()) return "order";
        }
        return null;
    """
    assert run(ops, focus) is None


def test_what_is_the_viewers_stays(ops: Visitor) -> None:
    kept = """
        const html = (more) => `<details id="d"><summary>S${more}</summary></details>
          <input id="i" value=""><input id="t" type="checkbox"><p id="k" data-keep>of ours ${more}</p>
          <time id="w" datetime="2026-01-01T00:00:00Z">${more}</time>`;
        show(html(1));
        const at = (id) => main.querySelector("#" + id);
        at("d").open = true;
        at("i").value = "typed";
        at("t").checked = true;
        at("k").textContent = "theirs";
        at("w").textContent = "a minute ago";
        show(html(2));
        return [at("d").open, at("d").textContent, at("i").value, at("t").checked, at("k").textContent,
                at("w").textContent];
    """
    assert run(ops, kept) == [True, "S2", "typed", True, "theirs", "a minute ago"]


def test_nothing_that_could_run_is_taken_over(ops: Visitor) -> None:
    strange = """
        show(`<p id="a">x</p><script>window.ran = 1</script><svg><script>window.ran = 1</script>
          <a href="/x">y</a></svg><iframe src="/"></iframe><base href="/elsewhere">`);
        return [main.querySelectorAll("script, iframe, base").length, window.ran ?? null];
    """
    assert run(ops, strange) == [0, None]
