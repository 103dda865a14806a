// The cameras and how they are.

import { make } from "./dom.js";

const MOODS = { live: "good", connecting: "warn", stalled: "warn", reconnecting: "warn", frozen: "warn", failed: "bad" };

export class Sources {
  #known = new Map(); // name → {state, reason}, both null where the stream does not tell
  #chosen = null;

  // chosen(name)
  constructor(tabs, pill, chosen) {
    this.tabs = tabs;
    this.pill = pill;
    this.chosen = chosen;
  }

  get current() {
    return this.#chosen;
  }

  // {state, reason} of the camera that is shown; null where the stream does not tell.
  get source() {
    const known = this.#known.get(this.#chosen);
    return known?.state ? known : null;
  }

  update({ cameras, status }) {
    const told = (status?.cameras ?? []).map(({ name, state, reason }) => [name, { state, reason }]);
    const before = [...this.#known.keys()].join("\n");
    this.#known = new Map([...cameras.map((name) => [name, { state: null, reason: null }]), ...told]);
    if (before !== [...this.#known.keys()].join("\n")) this.#build();
    if (!this.#known.has(this.#chosen)) this.#choose([...this.#known.keys()][0] ?? null);
    this.#paint();
  }

  say(connected, problem) {
    const state = connected ? (this.source?.state ?? (problem ? "stale" : "live")) : "offline";
    this.pill.className = `pill ${connected ? (MOODS[state] ?? "warn") : "bad"}`;
    this.pill.title = problem ?? "";
    this.pill.lastElementChild.textContent = state;
  }

  #build() {
    const buttons = [...this.#known.keys()].map((name) => {
      const button = make("button", { type: "button" }, make("i"), name || "camera");
      button.setAttribute("role", "tab");
      button.dataset.camera = name;
      button.addEventListener("click", () => this.#choose(name));
      return button;
    });
    this.tabs.replaceChildren(...buttons);
    this.tabs.hidden = buttons.length < 2;
  }

  #choose(name) {
    if (name === this.#chosen) return;
    this.#chosen = name;
    this.chosen(name);
    this.#paint();
  }

  #paint() {
    for (const button of this.tabs.children) {
      const { state, reason } = this.#known.get(button.dataset.camera);
      button.className = MOODS[state] ?? "";
      button.title = [state, reason].filter(Boolean).join(": ");
      button.setAttribute("aria-selected", String(button.dataset.camera === this.#chosen));
    }
  }
}
