// Map of tastes: items on two axes with names, and you among them. The table beside it says the same.

import { get, Latest, post } from "./api.js";
import { byId, debounced, h, replace, show, svg } from "./dom.js";
import { likesOf } from "./likes.js";
import { named, nameOf, rated, short } from "./words.js";

const N = 70; // most rated items
const MAX_MORE = 100; // of your own, and of your list
const PAUSE = 150; // milliseconds
const EDGE = 34; // pixels around the points, for the names of the axes
const LETTER = 6.2; // pixels of a letter of a label, about
const NARROW = 500; // pixels
const LINE = 14; // pixels of a line of labels

class TasteMap extends HTMLElement {
  connectedCallback() {
    this.watcher = new ResizeObserver(() => this.drawing && this.draw(this.drawing));
    this.watcher.observe(this);
  }

  disconnectedCallback() {
    this.watcher.disconnect();
  }

  /** axes: both; points: [{item, title, x, y, kind}]; you: {x, y} or null; open(item). */
  draw(drawing) {
    this.drawing = drawing;
    const width = this.clientWidth;
    if (!width) return;
    const height = Math.round(Math.min(Math.max(width * 0.62, 300), 620));
    const frame = frameOf({ points: shownOf(drawing.points, width), you: drawing.you }, width, height);
    const { axes, points, you } = drawing;
    const placed = shownOf(points, width).map((point) => ({ ...point, ...frame.at(point) }));
    const me = you && frame.at(you);
    const center = frame.at({ x: 0, y: 0 });
    this.replaceChildren(
      svg(
        "svg",
        { role: "img", "aria-label": describe(drawing), viewBox: `0 0 ${width} ${height}`, width, height },
        svg("path", { class: "cross", d: `M${EDGE} ${center.y}H${width - EDGE}M${center.x} ${EDGE}V${height - EDGE}` }),
        ...axisNames(axes, width, height),
        me && svg("path", { class: "way", d: `M${center.x} ${center.y}L${me.x} ${me.y}` }),
        ...placed.map((point) => dot(point, drawing.open)),
        ...labels(placed, me, width, height),
        me && svg("circle", { class: "you", cx: me.x, cy: me.y, r: 8 }),
        me && svg("text", { class: "you-name", x: me.x, y: me.y - 13, "text-anchor": "middle" }, "You"),
      ),
    );
  }
}
customElements.define("taste-map", TasteMap);

/** On a narrow map, fewer of those that are neither yours nor in your list. */
const shownOf = (points, width) => (width < NARROW ? points.filter(({ kind, at }) => kind || at < N / 2) : points);

// ---- geometry

/** From axes to pixels. One scale for both axes, so that directions stay what they are. */
function frameOf({ points, you }, width, height) {
  const all = you ? [...points, you] : points;
  const farthest = (axis) => Math.max(...all.map((point) => Math.abs(point[axis])), 1e-9);
  const scale = Math.min((width / 2 - EDGE - 12) / farthest("x"), (height / 2 - EDGE - 12) / farthest("y"));
  return { at: ({ x, y }) => ({ x: round(width / 2 + x * scale), y: round(height / 2 - y * scale) }) };
}

const round = (pixels) => Math.round(pixels * 10) / 10;

function axisNames(axes, width, height) {
  const [x, y] = axes;
  const fits = (name, pixels) => short(name, Math.max(Math.floor(pixels / (LETTER + 1)), 8));
  const style = { class: "axis-name" };
  return [
    svg("text", { ...style, x: width / 2, y: 16, "text-anchor": "middle" }, `↑ ${fits(y.high.name, width * 0.8)}`),
    svg("text", { ...style, x: width / 2, y: height - 8, "text-anchor": "middle" }, `↓ ${fits(y.low.name, width * 0.8)}`),
    svg("text", { ...style, transform: `translate(16 ${height / 2}) rotate(-90)`, "text-anchor": "middle" }, `← ${fits(x.low.name, height * 0.7)}`),
    svg("text", { ...style, transform: `translate(${width - 10} ${height / 2}) rotate(-90)`, "text-anchor": "middle" }, `${fits(x.high.name, height * 0.7)} →`),
  ];
}

function dot(point, open) {
  const title = svg("title", {}, short(nameOf(point)));
  return svg("circle", { class: `point ${point.kind}`, cx: point.x, cy: point.y, r: point.kind ? 5.5 : 4, onclick: () => open(point) }, title);
}

/** Titles beside their points, the most telling first; one without room is left out. */
function labels(placed, me, width, height) {
  const taken = placed.map(({ x, y }) => [x - 4, y - 4, x + 4, y + 4]);
  if (me) taken.push([me.x - 16, me.y - 26, me.x + 16, me.y + 10]);
  const order = ["own", "listed", ""];
  const sorted = placed.toSorted((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
  const found = [];
  for (const point of sorted) {
    const name = short(nameOf(point), width < NARROW ? 18 : 28);
    const long = name.length * LETTER;
    for (const [anchor, left] of [["start", point.x + 8], ["end", point.x - 8 - long]]) {
      const box = [left, point.y - LINE / 2, left + long, point.y + LINE / 2];
      if (box[0] < EDGE - 8 || box[2] > width - EDGE + 8 || box[1] < 22 || box[3] > height - 22 || taken.some((other) => meet(box, other))) continue;
      taken.push(box);
      const x = anchor === "start" ? point.x + 8 : point.x - 8;
      found.push(svg("text", { class: `label ${point.kind}`, x, y: point.y + 4, "text-anchor": anchor, direction: "ltr" }, name));
      break;
    }
  }
  return found;
}

const meet = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];

function describe({ axes: [x, y], points, you }) {
  const where = you ? ` You stand ${side(you.x, x)} and ${side(you.y, y)}.` : "";
  return `${points.length} items. From left to right: ${x.low.name} to ${x.high.name}. From bottom to top: ${y.low.name} to ${y.high.name}.${where} The table has all positions.`;
}

const side = (value, axis) => `towards ${value < 0 ? axis.low.name : axis.high.name}`;

// ---- the table

function table({ axes, points, you, open, scale, sort, onsort }) {
  const farthest = [..."xy"].map((axis) => Math.max(...points.map((point) => Math.abs(point[axis])), Math.abs(you?.[axis] ?? 0), 1e-9));
  const on = (point, at) => String(Math.round((100 * point["xy"[at]]) / farthest[at])).replace("-", "−");
  const sorted = points.toSorted((a, b) => sort.sign * (sort.by === "name" ? nameOf(a).localeCompare(nameOf(b)) : a[sort.by] - b[sort.by]));
  const head = (by, ...text) => {
    const isHere = sort.by === by;
    const sign = isHere ? -sort.sign : by === "name" ? 1 : -1;
    const button = h("button", { type: "button", class: "plain", data: { focus: `sort:${by}` }, onclick: () => onsort({ by, sign }) }, ...text);
    return h("th", { scope: "col", "aria-sort": isHere ? (sort.sign > 0 ? "ascending" : "descending") : "none" }, button);
  };
  const axisHead = (at) => head("xy"[at], h("span", {}, axes[at].low.name), " ← → ", h("span", {}, axes[at].high.name));
  const row = (point) =>
    h("tr", { class: point.kind },
      h("th", { scope: "row" }, h("button", { type: "button", class: "plain", data: { focus: `row:${point.item}` }, onclick: () => open(point) }, named(point))),
      h("td", {}, on(point, 0)), h("td", {}, on(point, 1)), h("td", {}, kindWords(point, scale)));
  return h("div", { class: "table", tabIndex: 0, role: "region", "aria-label": "Map of tastes as a table" },
    h("table", {},
      h("caption", { class: "small quiet" }, "Positions on both axes, from −100 to 100."),
      h("thead", {}, h("tr", {}, head("name", "Item"), axisHead(0), axisHead(1), h("th", { scope: "col" }, "Yours"))),
      h("tbody", {}, you && h("tr", { class: "you-row" }, h("th", { scope: "row" }, "You"), h("td", {}, on(you, 0)), h("td", {}, on(you, 1)), h("td", {})), ...sorted.map(row))));
}

function kindWords({ kind, value }, scale) {
  if (kind === "own") return scale ? rated(value, scale, 0) : "liked";
  return kind === "listed" ? "in your list" : "";
}

// ---- together

export function setUpMap(state, list, open) {
  if (!state.model.can_map) return;
  show(byId("map"), true);
  const mapLatest = new Latest();
  const youLatest = new Latest();
  const drawn = { axes: null, places: new Map(), common: [], you: null, sort: { by: "x", sign: 1 } };

  async function refresh() {
    try {
      const wanted = [...state.ratings, ...list.shown].map((one) => one.item).filter((item) => !drawn.places.has(item));
      const isFirst = drawn.axes === null;
      if (isFirst || wanted.length) {
        const parameters = { n: isFirst ? N : 0, item: wanted.slice(0, MAX_MORE) };
        const answer = await mapLatest.of((signal) => get("/v1/map", parameters, signal));
        if (answer === null) return;
        drawn.axes = answer.axes;
        for (const place of answer.items) drawn.places.set(place.item, place);
        if (isFirst) drawn.common = answer.items.slice(0, N).map((place) => place.item);
      }
      const asked = state.counted.length ? (signal) => post("/v1/map/position", likesOf(state), signal) : async () => undefined;
      const you = await youLatest.of(asked);
      if (you === null) return;
      drawn.you = you ?? null;
      draw();
    } catch (error) {
      if (drawn.axes === null) byId("map-body").replaceChildren(h("p", {}, error.message));
    }
  }

  function points() {
    const own = new Map(state.ratings.map((rating) => [rating.item, rating.value]));
    const listed = new Set(list.shown.map((one) => one.item));
    const items = new Set([...own.keys(), ...listed, ...drawn.common]);
    const kind = (item) => (own.has(item) ? "own" : listed.has(item) ? "listed" : "");
    return [...items].filter((item) => drawn.places.has(item)).map((item) => ({ ...drawn.places.get(item), kind: kind(item), value: own.get(item), at: drawn.common.indexOf(item) }));
  }

  function draw() {
    const isTable = document.querySelector("#map-view input:checked").value === "table";
    const drawing = { axes: drawn.axes, points: points(), you: drawn.you, open, scale: state.model.scale, sort: drawn.sort };
    drawing.onsort = (sort) => {
      drawn.sort = sort;
      draw();
    };
    byId("map-lead").textContent = leadOf(drawn.you);
    if (isTable) return replace(byId("map-body"), [table(drawing)]);
    const there = byId("map-body").querySelector("taste-map") ?? document.createElement("taste-map");
    if (!there.isConnected) byId("map-body").replaceChildren(there, legend(state));
    there.draw(drawing);
  }

  const soon = debounced(PAUSE, refresh);
  list.addEventListener("changed", soon);
  byId("map-view").addEventListener("change", () => drawn.axes && draw());
}

function leadOf(you) {
  const items = "Items that the same people like lie close together; the words at the edges say what lies there.";
  return you ? `${items} Those in your direction from the middle suit you more.` : `${items} Rate something to find yourself.`;
}

function legend(state) {
  const entry = (kind, text) => h("li", {}, svg("svg", { width: 12, height: 12, "aria-hidden": "true" }, svg("circle", { class: `point ${kind}`, cx: 6, cy: 6, r: 5 })), text);
  const own = state.model.takes === "choices" ? "you like" : "you rated";
  return h("ul", { class: "legend small" }, entry("own", own), entry("listed", "in your list"), entry("", "rated by many"));
}
