// The beginning: ask what the model is, then set up each part of the page.

import { get, key, post, Problem } from "./api.js";
import { byId, h, show } from "./dom.js";
import { setUpFilters } from "./filters.js";
import { Rows } from "./items.js";
import { setUpList } from "./list.js";
import { setUpMap } from "./map.js";
import { setUpMood } from "./mood.js";
import { setUpRate } from "./rate.js";
import { setUpRatings } from "./ratings.js";
import { setUpSimilar } from "./similar.js";
import { State } from "./state.js";
import { many } from "./words.js";

async function start() {
  show(byId("notice"), false);
  try {
    const model = await get("/v1/model");
    const state = new State(model);
    if (state.learnedElsewhere) await forgetUnknown(state);
    describe(model);
    const rows = new Rows(model);
    const similar = setUpSimilar(state, rows);
    setUpMood(state);
    setUpFilters(state);
    const list = setUpList(state, rows, similar);
    setUpRate(state, rows);
    setUpRatings(state);
    setUpMap(state, list, similar);
  } catch (error) {
    refuse(error);
  }
}

/** Ratings of items that the model of today does not know say nothing to it. */
async function forgetUnknown(state) {
  const items = [...state.ratings.map((rating) => rating.item), ...state.skipped];
  if (items.length === 0) return;
  const asked = { items, ...(state.model.takes === "choices" ? { session: [] } : { likes: {} }) };
  state.keep((await post("/v1/rank", asked)).items.map((one) => one.item));
}

function describe(model) {
  const what = model.takes === "choices" ? "choices" : "ratings";
  byId("about").textContent = `${many(model.n_items, "item")}, ${model.n_ratings.toLocaleString("en")} ${what} of ${many(model.n_users, "user")}`;
  if (model.takes !== "choices") return;
  byId("lead").textContent = "Pick a few that you like. The list changes with each one.";
  byId("rate-heading").textContent = "Pick a few";
  byId("ratings-heading").textContent = "You like";
}

/** Say why there is no page, and ask for a key where that is the reason. */
function refuse(error) {
  const notice = byId("notice");
  show(notice, true);
  for (const id of ["items", "question"]) byId(id).replaceChildren();
  for (const id of ["items", "question"]) byId(id).setAttribute("aria-busy", "false");
  if (!(error instanceof Problem)) console.error(error);
  const text = error instanceof Problem ? error.message : "This page failed; the browser's console says where.";
  notice.replaceChildren(h("p", {}, text), error.status === 401 ? keyForm() : h("button", { type: "button", onclick: start }, "Try again"));
}

function keyForm() {
  const input = h("input", { id: "key", type: "password", autocomplete: "off", required: true });
  const submit = (event) => {
    event.preventDefault();
    key.set(input.value.trim());
    start();
  };
  return h("form", { class: "key", onsubmit: submit }, h("label", { htmlFor: "key" }, "Key"), input, h("button", {}, "Use this key"));
}

start();
