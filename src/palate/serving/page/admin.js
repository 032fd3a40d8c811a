// Administration: what is served and how it does, asked for again every few seconds; a new fit, other shares.

import { Problem } from "./api.js";
import { byId, h, replace, say, show, svg } from "./dom.js";
import { many } from "./words.js";

const EVERY = 5_000; // milliseconds
const TOKEN = "palate.admin";

let secret = sessionStorage.getItem(TOKEN) ?? "";
let editing = false; // shares that are being typed are not written over

/** Ask for something that only administrators get. */
async function admin(path, options = {}) {
  const headers = { Accept: "application/json", "X-Palate-Admin": secret, ...options.headers };
  if (secret.startsWith("palate_")) headers.Authorization = `Bearer ${secret}`;
  const response = await fetch(path, { ...options, headers });
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new Problem(response.status, answer?.detail ?? `The server answered ${response.status}.`);
  return answer;
}

const send = (path, body = {}) =>
  admin(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

async function refresh() {
  try {
    const state = await admin("/admin/models");
    show(byId("notice"), false);
    show(byId("main"), true);
    draw(state);
  } catch (error) {
    refuse(error);
    if (error.status === 401 || error.status === 403) return;
  }
  setTimeout(refresh, EVERY);
}

/** Say what is wrong, and ask for the token where that is the reason. */
function refuse(error) {
  const notice = byId("notice");
  if (!notice.hidden && notice.contains(document.activeElement)) return;
  show(notice, true);
  const isKey = error.status === 401 || error.status === 403;
  if (isKey) show(byId("main"), false);
  const text = error instanceof Problem ? error.message : "The server does not answer. Is it still running?";
  notice.replaceChildren(h("p", {}, text), isKey ? tokenForm() : "");
}

function tokenForm() {
  const input = h("input", { id: "token", type: "password", autocomplete: "off", required: true });
  const submit = (event) => {
    event.preventDefault();
    secret = input.value.trim();
    sessionStorage.setItem(TOKEN, secret);
    refresh();
  };
  const label = h("label", { htmlFor: "token" }, "Token printed at the start, or a key for administration");
  return h("form", { class: "key", onsubmit: submit }, label, input, h("button", {}, "Enter"));
}

// ---- parts

function draw(state) {
  byId("about").textContent = `${many(state.store_number, "event")} in the store`;
  drawTraffic(state.traffic);
  if (!editing) drawModels(state);
  drawCalibration(state);
  drawFits(state);
}

function drawTraffic(traffic) {
  const ms = (value) => (value === null ? "-" : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`);
  const figures = [
    ["Requests a second", traffic.requests_per_second.toFixed(1)],
    ["Half are answered in", ms(traffic.p50_ms)],
    ["99 of 100 in", ms(traffic.p99_ms)],
    ["Feedback a minute", traffic.feedback_per_minute.toLocaleString("en")],
    ["Failures", String(traffic.failures), traffic.failures > 0],
  ];
  byId("traffic").replaceChildren(
    ...figures.map(([name, value, alarm]) => h("div", {}, h("dt", {}, name), h("dd", { class: alarm ? "alarm" : "" }, value))),
  );
}

function drawModels({ models, store_number }) {
  const rows = [
    ["Share of users", (one) => shareOf(one, models.length > 1)],
    ["Recipe", (one) => one.recipe.name ?? "-"],
    ["Learned from", (one) => `${many(one.n_ratings, "rating")}, ${many(one.n_users, "user")}, ${many(one.n_items, "item")}`],
    ["Ratings", (one) => `${one.low} to ${one.high}`],
    ["Fitted", (one) => fitted(one)],
    ["Events not learned yet", (one) => (store_number - one.learned_up_to).toLocaleString("en")],
    ["Measured", (one) => measured(one.metrics)],
    ["Answers that feedback named", (one) => named(one)],
  ];
  byId("models-head").replaceChildren(
    h("tr", {}, h("td", {}), ...models.map((one) => h("th", { scope: "col" }, h("span", { class: "name" }, one.name), " ", h("span", { class: "quiet" }, one.id.split("@").at(-1))))),
  );
  replace(
    byId("models-body"),
    rows.map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), ...models.map((one) => h("td", {}, value(one))))),
  );
  show(byId("shares-do"), models.length > 1);
}

function shareOf(one, canChange) {
  const percent = Math.round(one.share * 1000) / 10;
  if (!canChange) return `${percent}%`;
  return h("input", { type: "number", min: 0, max: 100, step: 0.1, class: "share", value: percent, "aria-label": `Share of ${one.name} in percent`, data: { name: one.name }, oninput: () => (editing = true) });
}

const fitted = (one) => {
  const when = new Date(one.fitted_at * 1000).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
  return one.seconds ? `${when}, in ${one.seconds.toFixed(1)} s` : when;
};

function measured(metrics) {
  const wanted = ["rmse", "mae", "coverage_90", "ndcg@10", "recall@20"];
  const measures = metrics.measures ?? metrics;
  const shown = wanted.filter((name) => name in measures).map((name) => `${name} ${number(measures[name])}`);
  return shown.join(", ") || "not measured: palate fit --test 0.1 does";
}

const number = (measure) => (typeof measure === "number" ? measure : (measure?.value ?? NaN)).toFixed(4);

const named = (one) => (one.mean_value === null ? String(one.n_answers_named) : `${one.n_answers_named}, rated ${one.mean_value.toFixed(2)} on average`);

// ---- calibration

const SIZE = 320, EDGE = 40; // one unit is one pixel at the most
const at = (share) => EDGE + (SIZE - 2 * EDGE) * share;

function drawCalibration({ calibration, n_judged }) {
  byId("calibration-note").textContent = n_judged
    ? `${many(n_judged, "rating")} that arrived since the fit. On the dashed line, an interval of 90% holds 90 of 100.`
    : "No rating of a known user and item has arrived since the fit.";
  if (!n_judged) return byId("calibration").replaceChildren();
  const points = calibration.map((one) => [at(one.level), SIZE - at(one.held)]);
  const text = (x, y, words, anchor = "middle") => svg("text", { x, y, "text-anchor": anchor }, words);
  const plot = svg("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, "aria-hidden": "true" },
    svg("rect", { class: "frame", x: EDGE, y: EDGE, width: SIZE - 2 * EDGE, height: SIZE - 2 * EDGE }),
    svg("line", { class: "right", x1: at(0), y1: SIZE - at(0), x2: at(1), y2: SIZE - at(1) }),
    svg("polyline", { class: "curve", points: points.map((point) => point.join(",")).join(" ") }),
    points.map(([cx, cy]) => svg("circle", { class: "dot", cx, cy, r: 4 })),
    text(at(0), SIZE - EDGE + 16, "0%"), text(at(1), SIZE - EDGE + 16, "100%"), text(SIZE / 2, SIZE - 4, "level of the interval"),
    text(EDGE - 4, at(0) + 8, "100%", "end"), text(EDGE - 4, SIZE - at(0), "0%", "end"),
  );
  const rows = calibration.map((one) => h("tr", {}, h("th", { scope: "row" }, percent(one.level)), h("td", {}, percent(one.held))));
  const head = h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Interval"), h("th", { scope: "col" }, "holds")));
  byId("calibration").replaceChildren(h("div", { class: "plot" }, plot), h("table", {}, head, h("tbody", {}, rows)));
}

const percent = (share) => `${(100 * share).toFixed(share * 100 === Math.round(share * 100) ? 0 : 1)}%`;

// ---- fits

function drawFits({ fits, is_fitting, policy }) {
  byId("fits-note").textContent = is_fitting ? "A model is being fitted, at low priority." : `The policy is: ${policy}.`;
  byId("fit").disabled = is_fitting;
  const shown = fits.toReversed().map((one) =>
    h("li", { class: one.accepted ? "" : "refused" }, h("strong", {}, one.accepted ? "Swapped" : "Not swapped"), `: ${one.reason}`, one.accepted ? ` ${many(one.n_ratings, "rating")}, ${one.seconds.toFixed(1)} s.` : ""),
  );
  byId("fits").replaceChildren(...(shown.length ? shown : [h("li", { class: "quiet small" }, "None since the server started.")]));
}

/** Do something with a button that waits meanwhile, and say what came of it. */
function does(id, action) {
  byId(id).addEventListener("click", async () => {
    byId(id).disabled = true;
    try {
      say(await action());
    } catch (error) {
      refuse(error);
    } finally {
      byId(id).disabled = false;
    }
  });
}

does("fit", async () => {
  byId("fits-note").textContent = "A model is being fitted, at low priority.";
  const outcome = await send("/admin/fit");
  draw(await admin("/admin/models"));
  return outcome.reason;
});

does("reload", async () => {
  const { models } = await send("/admin/reload");
  draw(await admin("/admin/models"));
  return `${many(models.length, "model")} read`;
});

does("examine", async () => {
  const { findings } = await admin("/admin/doctor");
  const items = findings.map((one) =>
    h("li", { class: one.severity }, h("strong", {}, one.name), `: ${one.says}`, one.do ? h("p", { class: "quiet small" }, one.do) : null),
  );
  byId("doctor").replaceChildren(...items);
  return many(findings.length, "finding");
});

byId("shares").addEventListener("submit", async (event) => {
  event.preventDefault();
  const inputs = [...document.querySelectorAll("input.share")];
  const shares = Object.fromEntries(inputs.map((input) => [input.dataset.name, Number(input.value) / 100]));
  try {
    await send("/admin/share", { shares });
    editing = false;
    byId("shares-note").textContent = "Set.";
    draw(await admin("/admin/models"));
  } catch (error) {
    byId("shares-note").textContent = error.message;
  }
});

refresh();
