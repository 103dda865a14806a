// The classes: name, colour, share of the picture; a click takes one out of the mask layer.

import { make, remember, remembered } from "./dom.js";

const KEY = "edgeseg.hidden";

export class Legend {
  #rows = [];
  #hidden = new Set(remembered(KEY, []));

  // changed(set of the names that are hidden)
  constructor(list, changed) {
    this.list = list;
    this.changed = changed;
  }

  get hidden() {
    return this.#hidden;
  }

  setLabels(labels) {
    this.#rows = labels.map((label) => this.#row(label));
    this.list.replaceChildren(...this.#rows.map(({ item }) => item));
  }

  // shares: 0..1 for each class, empty where there is no mask; numbers: of objects, null where there are none to count
  setShares(shares, numbers) {
    this.#rows.forEach(({ share, bar }, index) => {
      const part = shares[index];
      const text = part === undefined ? "–" : percent(part);
      share.textContent = part === undefined || numbers === null ? text : `${numbers[index]} · ${text}`;
      bar.style.transform = `scaleX(${part ?? 0})`;
    });
  }

  setAll(visible) {
    this.#hidden = new Set(visible ? [] : this.#rows.map(({ name }) => name));
    this.#apply();
  }

  #row({ name, color }) {
    const css = `rgb(${color.join(" ")})`;
    const swatch = make("span", { className: "swatch" });
    swatch.style.background = swatch.style.borderColor = css;
    const share = make("span", { className: "share", textContent: "–" });
    const bar = make("i");
    bar.style.background = css;
    bar.style.transform = "scaleX(0)";
    const track = make("span", { className: "track" }, bar);
    const button = make("button", { type: "button" }, swatch, make("span", { className: "name", textContent: name }), share, track);
    button.setAttribute("aria-pressed", String(!this.#hidden.has(name)));
    button.addEventListener("click", () => {
      if (!this.#hidden.delete(name)) this.#hidden.add(name);
      this.#apply();
    });
    return { name, item: make("li", {}, button), button, share, bar };
  }

  #apply() {
    for (const { name, button } of this.#rows) button.setAttribute("aria-pressed", String(!this.#hidden.has(name)));
    remember(KEY, [...this.#hidden]);
    this.changed(this.#hidden);
  }
}

function percent(part) {
  if (part === 0) return "0%";
  return part < 0.001 ? "<0.1%" : `${(part * 100).toFixed(1)}%`;
}
