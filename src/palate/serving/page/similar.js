// Similar items, in a dialog; from each of them one can go on.

import { get, Latest } from "./api.js";
import { byId, h, say } from "./dom.js";
import { ratingInput } from "./rating.js";
import { named, nameOf, short } from "./words.js";

const N = 10;

/** Returns a function that opens the dialog for an item. */
export function setUpSimilar(state, rows) {
  const dialog = byId("similar");
  const latest = new Latest();
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

  async function open(item) {
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    draw(item, [h("p", { class: "bone wide" }), h("p", { class: "bone" })]);
    byId("similar-heading").focus();
    try {
      const answer = await latest.of((signal) => ask(item, signal));
      if (answer === null) return;
      const found = answer.similar.map((one) => ({ item: one.label, ...one }));
      draw(item, found.length ? [h("ol", { class: "items" }, ...found.map((one) => row(one, answer.measure)))] : [h("p", {}, "Nothing is similar.")]);
      say(`${found.length} similar`);
    } catch (error) {
      draw(item, [h("p", {}, error.message)]);
    }
  }

  async function ask(item, signal) {
    const answer = await get(`/v1/items/${encodeURIComponent(item.item)}/similar`, { n: N }, signal);
    await rows.need(answer.similar.map((one) => one.label), signal);
    return answer;
  }

  function draw(item, content) {
    const close = h("button", { type: "button", class: "plain", onclick: () => dialog.close() }, "Close");
    const had = dialog.contains(document.activeElement);
    dialog.replaceChildren(
      h("div", { class: "heading-row" }, h("h2", { id: "similar-heading", tabIndex: -1 }, "Similar to ", named(item)), close),
      ...content,
    );
    if (had) byId("similar-heading").focus();
  }

  function row(one, measure) {
    const given = { item: one, scale: state.model.scale, where: "similar", value: state.valueOf(one.item) };
    const name = short(nameOf(one));
    const likeness = `${measure === "cosine" ? "cosine" : "weight"} ${one.similarity.toFixed(2)}`;
    const box = h("div", { class: "do" });
    const rate = (value) => {
      value === null ? state.remove(one.item) : state.rate(one.item, one.title, value);
      say(value === null ? `Removed ${name}` : `Rated ${name}`);
      if (state.model.scale === null) redraw();
    };
    const more = h("button", { type: "button", class: "plain", "aria-label": `Similar to ${name}`, onclick: () => open(one) }, "Similar");
    const redraw = () => {
      const had = box.contains(document.activeElement);
      box.replaceChildren(ratingInput({ ...given, value: state.valueOf(one.item) }, rate), more);
      if (had) box.querySelector("[data-focus]")?.focus();
    };
    redraw();
    return h(
      "li",
      { data: { key: String(one.item) } },
      h("div", { class: "rank" }, h("span", { "aria-hidden": "true" }, String(one.rank))),
      h("div", { class: "what" }, h("h3", { class: "title" }, named(one)), rows.line(one.item), h("p", { class: "small quiet" }, likeness)),
      box,
    );
  }

  return open;
}
