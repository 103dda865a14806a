// Short messages at the foot of the page.

import { byId, make } from "./dom.js";

const SECONDS = 5;

export function toast(text, bad = false) {
  const line = make("p", { textContent: text, className: bad ? "bad" : "" });
  byId("toasts").append(line);
  setTimeout(() => line.remove(), SECONDS * 1000);
}
