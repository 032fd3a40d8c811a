// Your ratings: to change, to tick off, to remove; and to forget all at once.

import { byId, h, replace, say, show } from "./dom.js";
import { ratingInput } from "./rating.js";
import { named, nameOf, short } from "./words.js";

export function setUpRatings(state) {
  byId("ratings-details").open = matchMedia("(min-width: 60rem)").matches; // where the list does not lie below
  const draw = () => {
    show(byId("ratings"), state.ratings.length > 0);
    replace(byId("ratings-list"), state.ratings.map((rating) => row(state, rating)), () => byId("ratings-summary"));
    const n = state.ratings.length;
    byId("ratings-heading").textContent = `${state.model.takes === "choices" ? "You like" : "Your ratings"} (${n})`;
  };
  state.addEventListener("ratings", draw);
  state.addEventListener("ratings", () => show(byId("undo"), false));
  byId("clear").addEventListener("click", () => clear(state));
  draw();
}

function row(state, rating) {
  const name = short(nameOf(rating));
  const takesRatings = state.model.takes !== "choices";
  const given = { item: rating, scale: state.model.scale, where: "own", value: rating.value };
  const tick = h("input", {
    type: "checkbox", checked: rating.counts, "aria-label": `Count ${name}`, data: { focus: `count:${rating.item}` },
    onchange: (event) => state.count(rating.item, event.target.checked),
  });
  const remove = () => {
    state.remove(rating.item);
    say(`Removed ${name}`);
  };
  return h(
    "li",
    { class: rating.counts ? "" : "off" },
    h("label", { class: "tick" }, tick, named(rating)),
    h("button", { type: "button", class: "plain small", "aria-label": `Remove ${name}`, onclick: remove }, "Remove"),
    takesRatings && ratingInput(given, (value) => state.rate(rating.item, rating.title, value)),
  );
}

/** Forget everything in this browser, and offer to take that back. */
function clear(state) {
  const bringBack = state.clear();
  state.dispatchEvent(new Event("cleared"));
  const undo = byId("undo");
  const button = h("button", { type: "button", class: "plain", onclick: () => (bringBack(), state.dispatchEvent(new Event("cleared")), byId("ratings-summary").focus()) }, "Undo");
  undo.replaceChildren("Forgotten: ratings, filters and settings. ", button);
  show(undo, true);
  button.focus();
  say("Forgotten. Undo brings it back.");
}
