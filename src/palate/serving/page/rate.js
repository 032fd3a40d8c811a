// Rate a few: what the model would like to know, one item at a time, or what you search for.

import { get, Latest, post } from "./api.js";
import { byId, debounced, h, replace, say, show } from "./dom.js";
import { ratingInput, valueOfKey } from "./rating.js";
import { likesOf } from "./likes.js";
import { named, nameOf, percent, rated, short } from "./words.js";

const AHEAD = 8; // questions asked for at once: which ones teach most does not depend on the answers, only on what was skipped
const FEW = 2; // when no more are left, more are asked for
const AFTER_LIST = 400; // milliseconds in which the list goes first
const PAGE = 50; // items of the most rated, where the model cannot ask
const TYPING = 150; // milliseconds after the last letter
const MAX_FOUND = 8;

export function setUpRate(state, rows) {
  const card = new Question(state, rows);
  const search = new Search(state, rows);
  state.addEventListener("ratings", () => search.redraw());
  setUpKeys(state, card);
  card.refill();
}

// ---- one question after the other

class Question {
  #latest = new Latest();
  #waiting = [];
  #place = byId("question");

  constructor(state, rows) {
    Object.assign(this, { state, rows, current: null });
    this.refillSoon = debounced(AFTER_LIST, () => this.refill());
    state.addEventListener("ratings", () => this.moved());
    state.addEventListener("skipped", () => this.moved());
  }

  /** Ask what to ask, given the ratings now. What is on the page stays, so that nothing changes under a finger. */
  async refill() {
    const open = this.#waiting.filter((one) => !this.isAnswered(one.item));
    if (this.current !== null && open.length > FEW) return;
    try {
      const found = await this.#latest.of((signal) => this.questions(signal));
      if (found === null) return;
      this.#waiting = found.filter((one) => !this.isAnswered(one.item) && one.item !== this.current?.item);
      if (this.current === null) this.next();
    } catch (error) {
      if (this.current === null) this.failed(error);
    }
  }

  async questions(signal) {
    const { state, rows } = this;
    const seen = [...state.ratings.map((rating) => rating.item), ...state.skipped];
    let items;
    if (state.model.can_ask) {
      const exclude = this.current ? [...seen, this.current.item] : seen;
      items = (await post("/v1/ask", { likes: likesOf(state).likes, n: AHEAD, exclude }, signal)).items;
    } else {
      items = await this.mostRated(signal);
    }
    await rows.need(items.map((one) => one.item), signal);
    return items;
  }

  async mostRated(signal) {
    const { n_items, n_users } = this.state.model;
    for (let offset = 0; offset < n_items; offset += PAGE) {
      const { items } = await get("/v1/items", { n: PAGE, offset }, signal);
      this.rows.add(items);
      const open = items.filter((one) => !this.isAnswered(one.item) && one.item !== this.current?.item);
      if (open.length) return open.map((one) => ({ ...one, known: one.n_ratings / n_users }));
    }
    return [];
  }

  isAnswered(item) {
    return this.state.valueOf(item) !== null || this.state.skipped.includes(item);
  }

  /** After a rating or a skip: the next question, unless the rating of this one may still change. */
  moved() {
    if (this.current && this.isAnswered(this.current.item) && !this.isHeld) this.next();
    else if (this.current) this.draw();
    if (this.current === null) this.refill();
    else this.refillSoon();
  }

  next() {
    this.isHeld = false;
    this.current = this.#waiting.find((one) => !this.isAnswered(one.item)) ?? null;
    this.#waiting = this.#waiting.filter((one) => one.item !== this.current?.item && !this.isAnswered(one.item));
    this.draw();
    if (this.#place.contains(document.activeElement)) return;
    if (this.current) say(`Next: ${short(nameOf(this.current))}`);
  }

  rate(value, isSettled = true) {
    const { item, title } = this.current;
    this.isHeld = !isSettled;
    if (value === null) this.state.remove(item);
    else this.state.rate(item, title, value);
  }

  skip() {
    if (this.current === null) return;
    if (this.isAnswered(this.current.item)) this.next();
    else this.state.skip(this.current.item);
  }

  draw() {
    this.#place.setAttribute("aria-busy", "false");
    const first = () => this.#place.querySelector("input, button");
    if (this.current === null) return replace(this.#place, this.nothing(), first);
    const { current, state } = this;
    const given = { item: current, scale: state.model.scale, where: "question", value: state.valueOf(current.item) };
    const isRated = given.value !== null;
    replace(this.#place, [
      h("p", { class: "small quiet" }, state.model.takes === "choices" ? "Do you like this one?" : "Do you know this one?"),
      h("h3", { class: "title" }, named(current)),
      this.rows.line(current.item),
      h("p", { class: "small quiet" }, `${percent(current.known)} of users ${state.model.takes === "choices" ? "chose" : "rated"} it`),
      h("div", { class: "answer" },
        ratingInput(given, (value, isSettled) => this.rate(value, isSettled)),
        h("button", { type: "button", class: "plain", data: { focus: "skip" }, onclick: () => this.skip() }, isRated ? "Next" : "Skip")),
    ], first);
  }

  nothing() {
    const again = h("button", { type: "button", onclick: () => this.state.unskip() }, "Ask again about those skipped");
    return [h("p", {}, "There is nothing left to ask about. Search for more to rate."), this.state.skipped.length > 0 && again];
  }

  failed(error) {
    this.#place.setAttribute("aria-busy", "false");
    const again = h("button", { type: "button", onclick: () => this.refill() }, "Try again");
    replace(this.#place, [h("p", {}, error.message), again]);
  }
}

// ---- search

class Search {
  #latest = new Latest();
  #found = [];

  constructor(state, rows) {
    Object.assign(this, { state, rows, input: byId("query") });
    this.input.addEventListener("input", debounced(TYPING, () => this.search()));
    this.input.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || this.input.value === "") return;
      this.input.value = "";
      this.search();
    });
  }

  async search() {
    const query = this.input.value.trim();
    show(byId("question"), query === "");
    if (query === "") {
      this.#latest.of(async () => null);
      this.#found = [];
      return this.draw("");
    }
    try {
      const answer = await this.#latest.of((signal) => get("/v1/items", { query, n: MAX_FOUND }, signal));
      if (answer === null) return;
      this.rows.add(answer.items);
      this.#found = answer.items;
      this.draw(answer.items.length ? "" : `Nothing is called “${short(query, 40)}”.`);
      say(answer.items.length ? `${answer.items.length} found` : "Nothing found");
    } catch (error) {
      this.#found = [];
      this.draw(error.message);
    }
  }

  redraw() {
    if (this.#found.length) this.draw("");
  }

  draw(note) {
    byId("found-note").textContent = note;
    show(byId("found-note"), note !== "");
    show(byId("found"), this.#found.length > 0);
    replace(byId("found"), this.#found.map((item) => this.row(item)));
  }

  row(item) {
    const { state } = this;
    const rate = (value) => (value === null ? state.remove(item.item) : state.rate(item.item, item.title, value));
    const given = { item, scale: state.model.scale, where: "found", value: state.valueOf(item.item) };
    return h("li", {}, h("p", { class: "title" }, named(item)), this.rows.line(item.item), ratingInput(given, rate));
  }
}

// ---- keys

/** Digits rate the question and S skips it, wherever the focus is but in a field of text. They can be switched off. */
function setUpKeys(state, card) {
  const { scale } = state.model;
  const values = scale?.values.filter((value) => Number.isInteger(value) && value >= 0 && value <= 10) ?? [];
  const what = scale === null ? "L likes" : values.length ? `${values[0]} to ${values.at(-1)} rate` : "";
  byId("keys-text").textContent = `Keys: ${what ? `${what}, ` : ""}S skips`;
  show(byId("keys-label"), true);
  byId("keys").checked = state.keys;
  byId("keys").addEventListener("change", () => state.set({ keys: byId("keys").checked }));
  document.addEventListener("keydown", (event) => {
    if (!state.keys || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (card.current === null || byId("question").hidden || isTyping(event.target) || byId("similar").open) return;
    const value = scale === null && event.key.toLowerCase() === "l" ? 1 : valueOfKey(event.key, scale);
    if (value !== null) {
      say(`${scale === null ? "Liked" : rated(value, scale, 0)}: ${short(nameOf(card.current), 40)}`);
      card.rate(value);
    } else if (event.key.toLowerCase() === "s") card.skip();
    else return;
    event.preventDefault();
  });
}

function isTyping(target) {
  if (target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement || target.isContentEditable) return true;
  return target instanceof HTMLInputElement && !["radio", "checkbox", "range"].includes(target.type);
}
