// What was counted of the camera's objects: over lines, and in zones.

import { byId, make } from "./dom.js";

// counts: as the stream's status has them, null where nobody counts
export function showCounts(counts) {
  const rows = counts ? [...lineRows(counts.lines), ...zoneRows(counts.zones)] : [];
  byId("count-panel").hidden = !rows.length;
  byId("counts").replaceChildren(...rows.map(row));
}

function lineRows(lines) {
  return Object.entries(lines).map(([name, count]) => [name, `in ${told(count.in)} · out ${told(count.out)}`]);
}

function zoneRows(zones) {
  return Object.entries(zones).map(([name, count]) => [name, `now ${told(count.inside)} · entered ${told(count.entered)}`]);
}

function told(numbers) {
  const parts = Object.entries(numbers).map(([name, number]) => `${number} ${name}`);
  return parts.length ? parts.join(", ") : "0";
}

function row([name, text]) {
  const title = make("span", { className: "name", textContent: name });
  return make("li", {}, title, make("span", { className: "numbers", textContent: text }));
}
