// The zones' panel: names, changes that are not saved yet, and saving them.

import { byId, make } from "./dom.js";
import { post } from "./requests.js";
import { toast } from "./toast.js";
import { ZoneEditor } from "./zone_editor.js";
import { colorOf, drawZones } from "./zone_shapes.js";

export class ZoneList {
  #zones = []; // of all cameras, as the server knows them or as they were changed here
  #camera = null;
  #changed = false;
  #editing = false;
  #editor;
  #svg = byId("zones");

  constructor() {
    this.#editor = new ZoneEditor(this.#svg, {
      finished: (points) => this.#add(points),
      moved: () => this.#touch(),
      changed: () => this.#draw(),
      drawing: (count) => this.#hint(count),
    });
    byId("zone-draw").addEventListener("click", () => this.#toggleDraft());
    byId("zone-edit").addEventListener("click", () => this.#edit(!this.#editing));
    byId("zone-save").addEventListener("click", () => this.#save());
    byId("zone-discard").addEventListener("click", () => this.#discard());
    new ResizeObserver(() => this.#draw()).observe(this.#svg);
  }

  update(zones) {
    byId("zone-panel").hidden = !zones;
    const same = JSON.stringify(zones ?? []) === JSON.stringify(this.#zones);
    if (this.#changed || this.#editor.draft || same) return;
    this.#zones = zones ?? [];
    this.#show();
  }

  setCamera(camera) {
    this.#camera = camera ?? "";
    if (this.#editor.draft) this.#editor.cancel();
    this.#show();
  }

  get #here() {
    return this.#zones.filter(({ camera }) => camera === this.#camera);
  }

  #toggleDraft() {
    if (this.#editor.draft) return this.#editor.cancel();
    this.#edit(false);
    this.#editor.begin();
  }

  #add(points) {
    const taken = new Set(this.#here.map(({ name }) => name));
    let number = 1;
    while (taken.has(`zone ${number}`)) number++;
    this.#zones = [...this.#zones, { name: `zone ${number}`, camera: this.#camera, points }];
    this.#touch();
    this.#edit(true);
    const field = byId("zone-list").lastElementChild?.querySelector("input");
    field?.focus({ preventScroll: true });
    field?.select();
  }

  #edit(on) {
    this.#editing = on;
    byId("zone-edit").setAttribute("aria-pressed", String(on));
    this.#editor.edit(on ? () => this.#here.flatMap(({ points }) => points) : null);
    this.#show();
  }

  #touch() {
    this.#changed = true;
    byId("zone-save-row").hidden = false;
    this.#draw();
  }

  #show() {
    const rows = this.#here.map((zone, index) => (this.#editing ? this.#field(zone, index) : this.#line(zone, index)));
    byId("zone-list").replaceChildren(...rows);
    byId("no-zones").hidden = rows.length > 0;
    byId("zone-edit").hidden = rows.length === 0;
    byId("zone-save-row").hidden = !this.#changed;
    this.#draw();
  }

  #line(zone, index) {
    return make("li", {}, mark(index), make("span", { textContent: zone.name }));
  }

  #field(zone, index) {
    const field = make("input", { value: zone.name, maxLength: 64, ariaLabel: "Name of the zone" });
    field.addEventListener("input", () => {
      zone.name = field.value;
      this.#touch();
    });
    const remove = make("button", { type: "button", textContent: "✕", title: "Remove", ariaLabel: `Remove ${zone.name}` });
    remove.addEventListener("click", () => {
      this.#zones = this.#zones.filter((other) => other !== zone);
      this.#touch();
      this.#show();
    });
    return make("li", {}, mark(index), field, remove);
  }

  #draw() {
    const zones = this.#here.map((zone, index) => ({ ...zone, color: colorOf(index) }));
    drawZones(this.#svg, zones, this.#editor.draft, this.#editing);
  }

  #hint(count) {
    const drawing = count !== null;
    byId("hint").hidden = !drawing;
    byId("hint").textContent = count < 3 ? "Tap the corners of the zone" : "Tap the first corner again to finish";
    byId("zone-draw").textContent = drawing ? "cancel" : "draw";
  }

  async #save() {
    try {
      const named = this.#zones.map((zone) => ({ ...zone, name: zone.name.trim() }));
      this.#zones = (await post("/api/zones", { zones: named })).zones;
      this.#changed = false;
      this.#edit(false);
      toast("Zones saved");
    } catch (error) {
      toast(error.message, true);
    }
  }

  #discard() {
    this.#changed = false;
    this.#zones = []; // the next report brings what the server has
    this.#edit(false);
  }
}

function mark(index) {
  const box = make("i");
  box.style.color = colorOf(index);
  return box;
}
