// <interval-bar>: where a rating will lie, as a bar on its scale, with a dot at the expected rating.

import { svg } from "./dom.js";
import { number, plain } from "./words.js";

class IntervalBar extends HTMLElement {
  /** low and high may be null; then only the dot is shown. */
  draw({ low, high, expected, scale }) {
    const at = (value) => `${(100 * (value - scale.low)) / (scale.high - scale.low || 1)}%`;
    const has = low !== null && high !== null;
    const ticks = scale.values.length ? scale.values : [scale.low, scale.high];
    const width = has ? `${(100 * (high - low)) / (scale.high - scale.low || 1)}%` : "0";
    this.replaceChildren(
      svg(
        "svg",
        { role: "img", "aria-label": describe({ low, high, expected }), width: "100%", height: "14" },
        svg("line", { class: "track", x1: "0", x2: "100%", y1: "7", y2: "7" }),
        ...ticks.map((value) => svg("line", { class: "tick", x1: at(value), x2: at(value), y1: "4", y2: "10" })),
        has && svg("rect", { class: "range", x: at(low), width, y: "3", height: "8", rx: "4" }),
        svg("circle", { class: "dot", cx: at(expected), cy: "7", r: "5" }),
      ),
      ends(scale),
    );
  }
}

function describe({ low, high, expected }) {
  const range = low === null || high === null ? "" : `, between ${number(low)} and ${number(high)} with a chance of 90%`;
  return `Expected ${number(expected)}${range}`;
}

function ends(scale) {
  const line = document.createElement("span");
  line.className = "ends";
  line.setAttribute("aria-hidden", "true");
  for (const value of [scale.low, scale.high]) {
    const end = document.createElement("span");
    end.textContent = plain(value);
    line.append(end);
  }
  return line;
}

customElements.define("interval-bar", IntervalBar);

export function intervalBar(given) {
  const bar = document.createElement("interval-bar");
  bar.draw(given);
  return bar;
}
