// Rows of the item table: asked for once, and shown as one line under a title.

import { get } from "./api.js";
import { h } from "./dom.js";
import { plain, short } from "./words.js";

const MAX_PARTS = 4;
const MAX_AT_ONCE = 100;

export class Rows {
  #rows = new Map();

  constructor(model) {
    this.columns = model.columns.filter((column) => column.type !== "title" && column.type !== "other");
  }

  add(items) {
    for (const item of items) this.#rows.set(item.item, item);
  }

  /** Ask for the rows of these items that are not here yet. A list without them is a list, so a failure is nothing. */
  async need(labels, signal) {
    const missing = labels.filter((label) => !this.#rows.has(label)).slice(0, MAX_AT_ONCE);
    if (missing.length === 0 || this.columns.length === 0) return;
    try {
      this.add((await get("/v1/items", { item: missing, n: missing.length }, signal)).items);
    } catch (error) {
      if (error.name === "AbortError") throw error;
    }
  }

  /** What the table says of an item, on one line; null if nothing. */
  line(label) {
    const row = this.#rows.get(label);
    const parts = row ? this.columns.map((column) => textOf(column, row.attributes[column.name])).filter(Boolean) : [];
    return parts.length ? h("p", { class: "meta" }, h("bdi", { dir: "auto" }, parts.slice(0, MAX_PARTS).join(" · "))) : null;
  }
}

function textOf(column, value) {
  if (value === null || value === undefined || value === "" || value === false) return "";
  if (column.type === "boolean") return column.name;
  if (column.type === "number") return /year$/i.test(column.name) ? String(value) : `${short(column.name, 24)} ${plain(value)}`;
  if (column.values.length === 0) return "";
  const words = Array.isArray(value) ? value : column.type === "words" ? value.split("|") : [value];
  return words.slice(0, 5).map((word) => short(word, 30)).join(", ");
}
