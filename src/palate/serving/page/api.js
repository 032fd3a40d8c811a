// Questions to the server. An overtaken question is aborted, and its answer is never seen.

const KEY = "palate.key";
const PATIENCE = 30_000; // milliseconds

/** What the server, or the way to it, has against a request. */
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** The key that requests carry, where the server wants one; it is forgotten when the tab closes. */
export const key = {
  get: () => stored(() => sessionStorage.getItem(KEY)),
  set: (secret) => stored(() => sessionStorage.setItem(KEY, secret)),
};

function stored(action) {
  try {
    return action();
  } catch {
    return null; // storage is switched off
  }
}

export function get(path, parameters = {}, signal) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) if (one !== null && one !== undefined && one !== "") query.append(name, one);
  }
  return send(query.size ? `${path}?${query}` : path, {}, signal);
}

export function post(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  return send(path, { method: "POST", headers, body: JSON.stringify(body) }, signal);
}

async function send(path, options, signal) {
  const limit = AbortSignal.timeout(PATIENCE);
  const headers = { Accept: "application/json", ...options.headers };
  if (key.get()) headers.Authorization = `Bearer ${key.get()}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers, signal: signal ? AbortSignal.any([signal, limit]) : limit });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The server does not answer. Is it still running?");
  }
  const answer = await response.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    return null;
  });
  if (!response.ok) throw new Problem(response.status, answer?.detail ?? `The server answered ${response.status}.`);
  return answer;
}

/** Asks questions of one kind, of which only the last one counts. */
export class Latest {
  #controller = new AbortController();

  /** What `ask(signal)` gives; null if a later question has overtaken it. */
  async of(ask) {
    this.#controller.abort();
    const { signal } = (this.#controller = new AbortController());
    try {
      const answer = await ask(signal);
      return signal.aborted ? null : answer;
    } catch (error) {
      if (signal.aborted || error.name === "AbortError") return null;
      throw error;
    }
  }
}
