// What happened, newest first.

import { byId, make } from "./dom.js";

const SHOWN = 60;
const OWN = new Set(["kind", "source", "at", "number"]);
let newest = 0;

export function addEvents(events) {
  const list = byId("events");
  for (const event of events) {
    if (event.number <= newest) continue; // after a new connection the server starts again from the oldest
    newest = event.number;
    list.prepend(row(event));
  }
  while (list.children.length > SHOWN) list.lastElementChild.remove();
  byId("no-events").hidden = list.children.length > 0;
}

export function forgetEvents() {
  newest = 0;
  byId("events").replaceChildren();
}

function row(event) {
  const time = make("time", { textContent: new Date(event.at * 1000).toLocaleTimeString([], { hour12: false }) });
  const item = make("li", {}, time, make("span", { textContent: [event.source, event.kind].filter(Boolean).join(" · ") }));
  const details = Object.entries(event).filter(([name, value]) => !OWN.has(name) && value !== null);
  if (details.length) item.append(make("small", { textContent: details.map(([name, value]) => `${name} ${brief(value)}`).join(", ") }));
  return item;
}

function brief(value) {
  if (typeof value === "number" && !Number.isInteger(value)) return String(Math.round(value * 1000) / 1000);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
