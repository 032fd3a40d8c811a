// For you: the list, which follows every rating. Each item says what to expect, how sure that is, and why.

import { Latest, post, Problem } from "./api.js";
import { byId, debounced, h, replace, say, show, slide, withFocusKey } from "./dom.js";
import { conditionOf } from "./filters.js";
import { intervalBar } from "./interval.js";
import { likesOf } from "./likes.js";
import { rankingOf } from "./mood.js";
import { ratingInput } from "./rating.js";
import { goodRating, hasStars, named, nameOf, number, percent, plain, rated, short } from "./words.js";

const N = 10; // items at first, and more at each "Show more"
const MAX = 50;
const LEVEL = 0.9; // of the intervals
const PAUSE = 60; // milliseconds in which several changes become one request

/** A list that is being made says so at once; the style shows it where that takes long. */
const busy = (isBusy) => byId("items").setAttribute("aria-busy", String(isBusy));

/** Event "changed" when there is a new list; its items are in `shown`. */
class List extends EventTarget {
  #latest = new Latest();
  #places = new Map(); // rank of each item before
  #n = N;

  constructor(state, rows, similar) {
    super();
    Object.assign(this, { state, rows, similar, shown: [] });
    const soon = debounced(PAUSE, () => this.ask());
    const changed = () => {
      busy(true);
      soon();
    };
    for (const what of ["ratings", "options"]) state.addEventListener(what, changed);
    state.addEventListener("ratings", () => this.drawLeftOut());
    byId("more").addEventListener("click", () => this.more());
    this.drawLeftOut();
    this.ask();
  }

  request() {
    const { state } = this;
    const { model } = state;
    return {
      ...likesOf(state),
      ...rankingOf(state),
      n: this.#n,
      level: LEVEL,
      explain: model.can_explain,
      exclude: state.leftOut.map((rating) => rating.item),
      ...(model.has_chances && { at_least: goodRating(model.scale) }),
      ...whereOf(state),
    };
  }

  async ask() {
    busy(true);
    try {
      const answer = await this.#latest.of((signal) => this.answer(signal));
      if (answer === null) return;
      show(byId("list-problem"), false);
      this.draw(answer.items, answer.known);
    } catch (error) {
      this.failed(error);
    }
    busy(false);
  }

  async answer(signal) {
    const [answer] = await post("/v1/recommendations", [this.request()], signal);
    if (answer.status) throw new Problem(answer.status, answer.detail);
    await this.rows.need(answer.items.map((one) => one.item), signal);
    return answer;
  }

  failed(error) {
    const place = byId("list-problem");
    const text = error instanceof Problem ? error.message : "The list failed; the browser's console says where.";
    if (!(error instanceof Problem)) console.error(error);
    place.replaceChildren(h("p", {}, text), h("button", { type: "button", onclick: () => this.ask() }, "Try again"));
    show(place, true);
    if (this.shown.length === 0) byId("items").replaceChildren();
  }

  more() {
    const last = this.shown.length;
    this.#n = Math.min(this.#n + N, MAX);
    this.addEventListener("changed", () => byId("items").children[last]?.querySelector("[data-focus]")?.focus(), { once: true });
    this.ask();
  }

  // ---- drawing

  draw(items, isKnown) {
    const isFirst = this.#places.size === 0;
    const moves = new Map(items.map((one) => [one.item, isFirst ? 0 : moved(this.#places.get(one.item), one.rank)]));
    this.shown = items;
    const place = byId("items");
    slide(place, () => replace(place, items.map((one) => this.row(one, moves.get(one.item))), () => byId("list-heading")));
    if (items.length === 0) place.replaceChildren(h("li", { class: "empty" }, this.empty()));
    show(byId("more"), items.length === this.#n && this.#n < MAX);
    show(byId("bar-note"), items.some((one) => one.prediction !== null && one.low !== null));
    peek(items[0], this.state.model);
    byId("list-note").textContent = noteOf(this.state, isKnown);
    this.tell(items, moves, isFirst);
    this.#places = new Map(items.map((one) => [one.item, one.rank]));
    this.dispatchEvent(new Event("changed"));
  }

  empty() {
    const isFiltered = conditionOf(this.state.model, this.state.filters) !== null;
    return isFiltered ? "Nothing is left under these filters." : "There is nothing left to recommend.";
  }

  tell(items, moves, isFirst) {
    if (isFirst || items.length === 0) return say(items.length ? "" : this.empty());
    const n = [...moves.values()].filter((move) => move === "new").length;
    say(`List of ${items.length}, ${n ? `${n} new` : "none new"}. First: ${short(nameOf(items[0]), 60)}`);
  }

  row(one, move) {
    const { state } = this;
    const { model } = state;
    const given = { item: one, scale: model.scale, where: "list", value: null };
    const name = short(nameOf(one));
    const rate = (value) => (state.rate(one.item, one.title, value), say(`Rated ${name}`));
    return h(
      "li",
      { data: { key: String(one.item) } },
      h("div", { class: "rank" }, h("span", { "aria-hidden": "true" }, String(one.rank)), marker(move)),
      h("div", { class: "what" }, h("h3", { class: "title" }, named(one)), this.rows.line(one.item)),
      this.reasons(one),
      h(
        "div",
        { class: "aside" },
        one.prediction !== null && expected(one, model),
        h(
          "div",
          { class: "do" },
          ratingInput(given, rate),
          h("button", { type: "button", class: "plain", "aria-label": `Similar to ${name}`, data: { focus: `similar:${one.item}` },
            onclick: () => this.similar(one) }, "Similar"),
        ),
      ),
    );
  }

  reasons(one) {
    if (!one.reasons?.length) return null;
    const { state } = this;
    const leave = (reason) => {
      state.count(reason.item, false);
      withFocusKey(`without:${reason.item}`)?.focus();
    };
    const chip = (reason) =>
      h(
        "label",
        { class: "chip" },
        h("input", { type: "checkbox", checked: true, data: { focus: `reason:${one.item}:${reason.item}` }, onchange: () => leave(reason) }),
        h("bdi", { class: "name", dir: "auto" }, short(nameOf(reason), 60)),
        h("span", { class: "quiet" }, contribution(reason, state.model)),
      );
    return h("fieldset", { class: "reasons" }, h("legend", { class: "small quiet" }, reasonWords(state.model)), ...one.reasons.map(chip));
  }

  /** The ratings that are ticked off, to tick on again. */
  drawLeftOut() {
    const { state } = this;
    const back = (rating) => state.count(rating.item, true);
    const chip = (rating) =>
      h(
        "label",
        { class: "chip" },
        h("input", { type: "checkbox", checked: false, data: { focus: `without:${rating.item}` }, onchange: () => back(rating) }),
        h("bdi", { class: "name", dir: "auto" }, short(nameOf(rating), 60)),
      );
    const { leftOut } = state;
    show(byId("without"), leftOut.length > 0);
    const words = h("span", { class: "small quiet" }, "The list without:");
    replace(byId("without"), leftOut.length ? [words, ...leftOut.map(chip)] : [], () => byId("list-heading"));
  }
}

function whereOf(state) {
  const where = conditionOf(state.model, state.filters);
  return where === null ? {} : { where };
}

function noteOf(state, isKnown) {
  if (isKnown) return "";
  return state.model.takes === "choices" ? "For somebody who has picked nothing yet" : "For somebody who has rated nothing yet";
}

const reasonWords = (model) => (model.takes === "choices" ? "Because you like" : "Because you rated");

function contribution(reason, model) {
  if (model.takes === "choices") return "";
  const moves = model.predicts_ratings ? ` ${reason.contribution >= 0 ? "+" : ""}${number(reason.contribution, 2)}` : "";
  return ` ${plain(reason.rating)}${hasStars(model.scale) ? "★" : ""}${moves}`;
}

// ---- what to expect

function expected(one, model) {
  const { scale } = model;
  const good = model.has_chances ? goodRating(scale) : null;
  return h(
    "div",
    { class: "expected" },
    h("p", { class: "worth" }, rated(one.prediction, scale)),
    intervalBar({ low: one.low, high: one.high, expected: one.prediction, scale }),
    h(
      "p",
      { class: "small quiet" },
      one.chance !== null && [h("strong", {}, percent(one.chance)), ` for ${plain(good)} or more`],
      one.chance === null && one.low !== null && `${number(one.low)} to ${number(one.high)}`,
    ),
  );
}

/** The first of the list, under the question, where the list itself lies further down. */
function peek(first, model) {
  show(byId("peek"), first !== undefined);
  if (first === undefined) return;
  const stars = first.prediction === null ? "" : `, ${rated(first.prediction, model.scale)}`;
  byId("peek-link").replaceChildren("Now first for you: ", h("bdi", { dir: "auto" }, short(nameOf(first), 60)), stars);
}

// ---- where items came from

/** How an item moved: the places it rose, negative if it fell, or "new". */
const moved = (before, now) => (before === undefined ? "new" : before - now);

function marker(move) {
  if (move === 0) return null;
  if (move === "new") return h("span", { class: "move up" }, "new");
  const text = move > 0 ? `▲${move}` : `▼${-move}`;
  const words = move > 0 ? `up ${move}` : `down ${-move}`;
  return h("span", { class: move > 0 ? "move up" : "move" }, h("span", { "aria-hidden": "true" }, text), h("span", { class: "hidden" }, words));
}

export function setUpList(state, rows, similar) {
  return new List(state, rows, similar);
}
