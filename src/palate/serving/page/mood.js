// Safer or bolder: what the list is ranked by.

import { byId, h, replace, show } from "./dom.js";

const MOODS = {
  safer: { by: "lower", text: "By the lower end of each interval: few of these will disappoint you." },
  balanced: { by: "mean", text: "By the rating that you are expected to give." },
  bolder: { by: "thompson", text: "By one guess at your taste, drawn from all that fit your ratings: less certain, more surprising." },
};

/** The options of a list in this mood, as the API has them. */
export function rankingOf(state) {
  const { by } = MOODS[state.mood];
  if (!state.model.by.includes(by)) return { by: "mean" };
  return by === "thompson" ? { by, seed: state.seed } : { by };
}

export function setUpMood(state) {
  const moods = Object.keys(MOODS).filter((mood) => state.model.by.includes(MOODS[mood].by));
  if (moods.length < 2) return;
  show(byId("mood"), true);
  const draw = () => replace(byId("mood"), [choices(state, moods), note(state)]);
  state.addEventListener("options", draw);
  draw();
}

function choices(state, moods) {
  return h(
    "fieldset",
    { class: "segments" },
    h("legend", { class: "hidden" }, "Safer or bolder"),
    ...moods.map((mood) =>
      h(
        "label",
        {},
        h("input", {
          type: "radio", name: "mood", value: mood, checked: state.mood === mood, data: { focus: `mood:${mood}` },
          "aria-describedby": "mood-note", onchange: () => state.set({ mood }),
        }),
        ` ${mood[0].toUpperCase()}${mood.slice(1)}`,
      ),
    ),
  );
}

function note(state) {
  const again = () => state.set({ seed: (state.seed % 1_000_000) + 1 });
  return h(
    "p",
    { class: "small quiet" },
    h("span", { id: "mood-note" }, MOODS[state.mood].text),
    state.mood === "bolder" && [" ", h("button", { type: "button", class: "plain", data: { focus: "mood:again" }, onclick: again }, "Guess again")],
  );
}
