// <rating-input>: how somebody rates one item. A radio group of the values of the scale, a slider where there are many,
// or a like button where the model learned from choices.
//
// Event "rate": detail.value; detail.isSettled is true for a click, a digit or Enter, and false for an arrow key, which
// may only be on its way to another value.

import { h, svg } from "./dom.js";
import { hasStars, nameOf, plain, rated, short } from "./words.js";

const STAR = "M12 2.6l2.9 5.9 6.5.9-4.7 4.6 1.1 6.4-5.8-3-5.8 3 1.1-6.4L2.6 9.4l6.5-.9z";
const HEART = "M12 20.5S3.5 15.6 3.5 9.4A4.6 4.6 0 0 1 12 7a4.6 4.6 0 0 1 8.5 2.4c0 6.2-8.5 11.1-8.5 11.1z";

const icon = (path) => svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" }, svg("path", { d: path }));

class RatingInput extends HTMLElement {
  /** where: the part of the page, which keeps names apart. value: the rating now, or null. */
  draw({ item, scale, where, value }) {
    this.value = value;
    this.key = `${where}:${item.item}`;
    this.item = item;
    if (scale === null) return this.replaceChildren(this.like());
    if (scale.values.length === 0) return this.replaceChildren(this.slider(scale));
    this.classList.toggle("stars", hasStars(scale) && scale.values.length <= 6);
    this.replaceChildren(this.group(scale));
    this.addEventListener("keydown", (event) => this.typed(event, scale));
  }

  like() {
    const isLiked = this.value !== null;
    return h(
      "button",
      {
        type: "button",
        class: "like",
        "aria-pressed": String(isLiked),
        "aria-label": `Like ${short(nameOf(this.item))}`,
        data: { focus: this.key },
        onclick: () => this.rate(isLiked ? null : 1, true),
      },
      icon(HEART),
      isLiked ? "Liked" : "Like",
    );
  }

  group(scale) {
    return h(
      "fieldset",
      {},
      h("legend", { class: "hidden" }, `Rate ${short(nameOf(this.item))}`),
      ...scale.values.map((value) => this.choice(value, scale)),
    );
  }

  choice(value, scale) {
    const radio = h("input", {
      type: "radio",
      name: this.key,
      value: String(value),
      checked: this.value === value,
      "aria-label": rated(value, scale, 0),
      data: { focus: `${this.key}:${value}` },
      onclick: (event) => event.detail > 0 && this.rate(value, true),
      onchange: () => this.rate(value, false),
    });
    return h("label", { title: rated(value, scale, 0) }, radio, hasStars(scale) && scale.values.length <= 6 && icon(STAR), h("span", {}, plain(value)));
  }

  slider(scale) {
    const middle = this.value ?? (scale.low + scale.high) / 2;
    const output = h("output", {}, plain(middle));
    const step = scale.step || (scale.high - scale.low) / 100;
    const range = h("input", {
      type: "range", min: scale.low, max: scale.high, step, "aria-label": `Rate ${short(nameOf(this.item))}`,
      data: { focus: this.key }, oninput: () => (output.textContent = plain(Number(range.value))),
    });
    range.value = String(middle);
    const set = () => this.rate(Number(range.value), true);
    return h("span", { class: "slider" }, range, output, h("button", { type: "button", onclick: set }, "Rate"));
  }

  /** A digit gives that rating, Enter the one that has the focus. */
  typed(event, scale) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const value = event.key === "Enter" ? Number(event.target.value) : valueOfKey(event.key, scale);
    if (value === null) return;
    event.preventDefault();
    event.stopPropagation();
    this.rate(value, true);
  }

  rate(value, isSettled) {
    this.dispatchEvent(new CustomEvent("rate", { detail: { value, isSettled } }));
  }
}

customElements.define("rating-input", RatingInput);

/** The rating that a key stands for: its own digit, and 0 for 10; null if it is none. */
export function valueOfKey(pressed, scale) {
  if (scale === null || !/^[0-9]$/.test(pressed)) return null;
  const digit = Number(pressed);
  const value = digit === 0 && !scale.values.includes(0) ? 10 : digit;
  return scale.values.includes(value) ? value : null;
}

/** An input that rates an item; onrate(value, isSettled) hears of it. */
export function ratingInput(given, onrate) {
  const input = document.createElement("rating-input");
  input.draw(given);
  input.addEventListener("rate", ({ detail }) => onrate(detail.value, detail.isSettled));
  return input;
}
