// Filters from the item table, as a condition in SQL. Names and values are quoted: what stands in the table is only text.

import { byId, debounced, h, show } from "./dom.js";
import { count, plain, short } from "./words.js";

const MAX_PATTERN = 150; // letters of a regular expression; the server takes 200
const TYPING = 350; // milliseconds after the last digit of a number

const quoted = (text) => `'${text.replaceAll("'", "''")}'`;
const column = (name) => `"${name.replaceAll('"', '""')}"`;
const literal = (text) => text.replace(/[\\.+*?()|[\]{}^$#&~-]/g, "\\$&");

/** The condition of everything that is chosen; null if nothing is. */
export function conditionOf(model, filters) {
  const parts = model.columns.map((one) => partOf(one, filters[one.name])).filter(Boolean);
  return parts.length ? parts.map((part) => `(${part})`).join(" AND ") : null;
}

function partOf({ name, type, values }, chosen) {
  if (chosen === undefined || chosen === null) return null;
  if (type === "number") {
    const ends = [["low", ">="], ["high", "<="]].filter(([end]) => Number.isFinite(chosen[end]));
    return ends.map(([end, sign]) => `${column(name)} ${sign} ${chosen[end]}`).join(" AND ");
  }
  if (type === "boolean") return chosen === "yes" ? column(name) : chosen === "no" ? `NOT ${column(name)}` : null;
  const words = Array.isArray(chosen) ? values.map(({ value }) => value).filter((value) => chosen.includes(value)) : [];
  if (words.length === 0) return null;
  if (type === "text") return `TRIM(${column(name)}) IN (${words.map(quoted).join(", ")})`;
  if (type === "list") return words.map((word) => `ARRAY_CONTAINS(${column(name)}, ${quoted(word)})`).join(" OR ");
  return patterns(words).map((pattern) => `${column(name)} ~ ${quoted(`(^|\\|)\\s*(${pattern})\\s*(\\||$)`)}`).join(" OR ");
}

/** The words as alternatives of regular expressions, none of them long. */
function patterns(words) {
  const found = [];
  for (const word of words.map(literal)) {
    const last = found.at(-1);
    if (last !== undefined && last.length + word.length < MAX_PATTERN) found[found.length - 1] = `${last}|${word}`;
    else found.push(word);
  }
  return found;
}

export function setUpFilters(state) {
  const columns = state.model.columns.filter(canFilter);
  if (columns.length === 0) return;
  show(byId("filters"), true);
  const summarise = () => {
    const n = columns.filter((one) => partOf(one, state.filters[one.name])).length;
    byId("filters-summary").textContent = n ? `Filters (${n} on)` : "Filters";
    show(none, n > 0);
  };
  const none = h("button", { type: "button", class: "plain", onclick: () => (state.set({ filters: {} }), draw(), byId("filters").querySelector("summary").focus()) }, "Remove all filters");
  const draw = () => byId("filters-body").replaceChildren(...columns.map((one) => field(state, one)), h("p", {}, none));
  state.addEventListener("options", summarise);
  draw();
  summarise();
  state.addEventListener("cleared", draw);
}

const canFilter = ({ type, values, low, high }) => type === "boolean" || (type === "number" && low < high) || values.length > 1;

function choose(state, name, chosen) {
  const filters = { ...state.filters, [name]: chosen };
  if (chosen === null) delete filters[name];
  state.set({ filters });
}

function field(state, one) {
  if (one.type === "number") return numbers(state, one);
  if (one.type === "boolean") return yesOrNo(state, one);
  return words(state, one);
}

function words(state, { name, values }) {
  const box = h("fieldset", { class: "chips" }, h("legend", {}, short(name, 40)));
  const read = () => {
    const chosen = [...box.querySelectorAll("input:checked")].map((input) => input.value);
    choose(state, name, chosen.length ? chosen : null);
  };
  const now = Array.isArray(state.filters[name]) ? state.filters[name] : [];
  for (const { value, n_items } of values) {
    const input = h("input", { type: "checkbox", value, checked: now.includes(value), onchange: read });
    box.append(h("label", { class: "chip" }, input, h("bdi", {}, short(value, 40)), h("span", { class: "quiet" }, ` ${count(n_items)}`)));
  }
  return box;
}

function numbers(state, { name, low, high }) {
  const now = state.filters[name] ?? {};
  const read = debounced(TYPING, () => {
    const ends = Object.fromEntries(inputs.map((input) => [input.dataset.end, input.value === "" ? null : Number(input.value)]));
    choose(state, name, ends.low === null && ends.high === null ? null : ends);
  });
  const inputs = [["low", "from", low], ["high", "to", high]].map(([end, text, limit]) =>
    h("input", {
      type: "number", step: "any", placeholder: plain(limit), value: now[end] ?? "", oninput: read, data: { end },
      "aria-label": `${short(name, 40)} ${text}`,
    }),
  );
  return h("fieldset", { class: "numbers" }, h("legend", {}, short(name, 40)), inputs[0], h("span", { "aria-hidden": "true" }, "to"), inputs[1]);
}

function yesOrNo(state, { name }) {
  const now = state.filters[name] ?? "any";
  const radio = (value) =>
    h("label", {}, h("input", { type: "radio", name: `filter:${name}`, value, checked: now === value, onchange: () => choose(state, name, value === "any" ? null : value) }), ` ${value}`);
  return h("fieldset", { class: "segments small" }, h("legend", {}, short(name, 40)), ...["any", "yes", "no"].map(radio));
}
