// What the user has said. It lives in this browser alone, under the name of the model.

const PREFIX = "palate.page.";
const MOODS = ["safer", "balanced", "bolder"];

/**
 * ratings: [{item, title, value, counts}], the latest first; value is 1 for a like; counts is false while it is ticked off.
 * skipped: labels. mood: how safe the list is. seed: of a bolder list. filters: {column: what is chosen}.
 * Events: "ratings" and "options", after each change.
 */
export class State extends EventTarget {
  constructor(model) {
    super();
    this.place = PREFIX + model.name;
    this.model = model;
    this.reset();
    this.load();
  }

  reset() {
    Object.assign(this, { ratings: [], skipped: [], mood: "balanced", seed: 1, filters: {}, keys: true });
  }

  get counted() {
    return this.ratings.filter((rating) => rating.counts);
  }

  get leftOut() {
    return this.ratings.filter((rating) => !rating.counts);
  }

  valueOf(item) {
    return this.ratings.find((rating) => rating.item === item)?.value ?? null;
  }

  rate(item, title, value) {
    const own = this.ratings.find((rating) => rating.item === item);
    if (own) Object.assign(own, { value, counts: true });
    else this.ratings.unshift({ item, title, value, counts: true });
    this.changed("ratings");
  }

  remove(item) {
    this.ratings = this.ratings.filter((rating) => rating.item !== item);
    this.changed("ratings");
  }

  count(item, counts) {
    const own = this.ratings.find((rating) => rating.item === item);
    if (!own) return;
    own.counts = counts;
    this.changed("ratings");
  }

  skip(item) {
    this.skipped.push(item);
    this.changed("skipped");
  }

  unskip() {
    this.skipped = [];
    this.changed("skipped");
  }

  set(options) {
    Object.assign(this, options);
    this.changed("options");
  }

  /** Forget everything, also in the storage; returns what brings it back. */
  clear() {
    const before = this.snapshot();
    this.reset();
    this.changed("ratings");
    this.changed("options");
    storage((place) => place.removeItem(this.place));
    return () => {
      Object.assign(this, before);
      this.changed("ratings");
      this.changed("options");
    };
  }

  /** Keep only the ratings of these items: a new model may not know all. */
  keep(items) {
    const known = new Set(items);
    this.ratings = this.ratings.filter((rating) => known.has(rating.item));
    this.skipped = this.skipped.filter((item) => known.has(item));
    this.save();
  }

  changed(what) {
    this.save();
    this.dispatchEvent(new Event(what));
  }

  snapshot() {
    const { ratings, skipped, mood, seed, filters, keys } = this;
    return structuredClone({ ratings, skipped, mood, seed, filters, keys });
  }

  save() {
    const kept = JSON.stringify({ model: this.model.id, ...this.snapshot() });
    storage((place) => place.setItem(this.place, kept));
  }

  load() {
    const kept = parsed(storage((place) => place.getItem(this.place)));
    this.learnedElsewhere = kept.model !== this.model.id;
    const seen = new Set();
    for (const rating of listOf(kept.ratings)) {
      if (!isLabel(rating?.item) || !Number.isFinite(rating.value) || seen.has(rating.item)) continue;
      seen.add(rating.item);
      const title = typeof rating.title === "string" ? rating.title : null;
      this.ratings.push({ item: rating.item, title, value: this.inRange(rating.value), counts: rating.counts !== false });
    }
    this.skipped = listOf(kept.skipped).filter(isLabel);
    if (MOODS.includes(kept.mood)) this.mood = kept.mood;
    if (Number.isSafeInteger(kept.seed) && kept.seed >= 0) this.seed = kept.seed;
    if (kept.filters && typeof kept.filters === "object") this.filters = kept.filters;
    this.keys = kept.keys !== false;
  }

  inRange(value) {
    const scale = this.model.scale;
    return scale ? Math.min(Math.max(value, scale.low), scale.high) : 1;
  }
}

const isLabel = (item) => typeof item === "string" || Number.isSafeInteger(item);
const listOf = (value) => (Array.isArray(value) ? value : []);

function parsed(text) {
  try {
    const value = JSON.parse(text ?? "{}");
    return value && typeof value === "object" ? value : {};
  } catch {
    return {};
  }
}

function storage(action) {
  try {
    return action(localStorage);
  } catch {
    return null; // switched off or full: the page works, and forgets when it is closed
  }
}
