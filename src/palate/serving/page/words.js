// Numbers and names as people read them.

import { h } from "./dom.js";

const LONG = 80; // letters of a title in a name for screen readers

export const count = (n) => n.toLocaleString("en");
export const percent = (share) => `${Math.round(share * 100)}%`;
export const number = (value, digits = 1) => value.toFixed(digits).replace("-", "−");

/** A rating as its scale writes it: 4, 3.5. */
export const plain = (value) => String(Math.round(value * 100) / 100).replace("-", "−");

/** True if ratings are shown as stars. */
export const hasStars = (scale) => scale !== null && scale.high === 5 && scale.low >= 0;

/** "4.5 stars", or "7.8 of 10" on other scales. */
export function rated(value, scale, digits = 1) {
  const text = digits === 0 ? plain(value) : number(value, digits);
  return hasStars(scale) ? `${text} ${text === "1" ? "star" : "stars"}` : `${text} of ${plain(scale.high)}`;
}

/** The title of an item, or its label. */
export const nameOf = ({ item, label, title }) => title || String(item ?? label);

/** A name on one line, short enough to be read out. */
export function short(name, length = LONG) {
  const line = String(name).replace(/[\p{Cc}\p{Cf}\s]+/gu, " ").trim();
  return line.length > length ? `${line.slice(0, length - 1)}…` : line;
}

/** A name on the page. It keeps its own direction of writing to itself. */
export const named = (item) => h("bdi", { class: "name", dir: "auto" }, nameOf(item));

/** "3 ratings", "1 like". */
export const many = (n, what) => `${count(n)} ${what}${n === 1 ? "" : "s"}`;

/** The rating from which on an item is a good one: three quarters up the scale. */
export function goodRating(scale) {
  const from = scale.low + 0.75 * (scale.high - scale.low);
  return scale.values.find((value) => value >= from) ?? scale.high;
}
