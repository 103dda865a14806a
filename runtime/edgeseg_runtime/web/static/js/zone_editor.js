// Drawing and dragging corners with mouse, pen or finger.

const GRAB = 22; // pixels within which a corner is meant
const FEWEST = 3;

export class ZoneEditor {
  #svg;
  #draft = null;
  #dragged = null; // the point that follows the pointer
  #corners = () => [];
  #events;

  // events: finished(points), moved(), changed(), drawing(count or null)
  constructor(svg, events) {
    this.#svg = svg;
    this.#events = events;
    svg.addEventListener("pointerdown", (event) => this.#down(event));
    svg.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => (this.#dragged = null));
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  get draft() {
    return this.#draft;
  }

  // corners(): the points that may be dragged; null ends editing
  edit(corners) {
    this.#corners = corners ?? (() => []);
    this.#style(corners !== null);
  }

  begin() {
    this.#draft = [];
    this.#style(true);
    this.#changed();
  }

  cancel() {
    this.#draft = null;
    this.#style(false);
    this.#changed();
  }

  #down(event) {
    event.preventDefault();
    const point = this.#place(event);
    if (this.#draft) this.#addCorner(point);
    else {
      this.#dragged = this.#nearest(point, this.#corners());
      if (this.#dragged) this.#svg.setPointerCapture(event.pointerId);
    }
  }

  #move(event) {
    if (!this.#dragged) return;
    [this.#dragged[0], this.#dragged[1]] = this.#place(event);
    this.#events.moved();
  }

  #addCorner(point) {
    const first = this.#draft[0];
    if (first && this.#draft.length >= FEWEST && this.#nearest(point, [first])) return this.#finish();
    if (!this.#nearest(point, this.#draft)) this.#draft.push(point);
    this.#changed();
  }

  #finish() {
    const points = this.#draft;
    this.cancel();
    this.#events.finished(points);
  }

  #key(event) {
    if (!this.#draft) return;
    if (event.key === "Escape") this.cancel();
    if (event.key === "Enter" && this.#draft.length >= FEWEST) this.#finish();
    if (event.key === "Backspace") {
      this.#draft.pop();
      this.#changed();
    }
  }

  #changed() {
    this.#events.drawing(this.#draft?.length ?? null);
    this.#events.changed();
  }

  #place(event) {
    const box = this.#svg.getBoundingClientRect();
    const share = (value) => Math.round(Math.min(1, Math.max(0, value)) * 10000) / 10000;
    return [share((event.clientX - box.left) / box.width), share((event.clientY - box.top) / box.height)];
  }

  #nearest([x, y], points) {
    const { clientWidth: width, clientHeight: height } = this.#svg;
    const far = (point) => Math.hypot((point[0] - x) * width, (point[1] - y) * height);
    return points.filter((point) => far(point) <= GRAB).sort((one, other) => far(one) - far(other))[0] ?? null;
  }

  #style(active) {
    this.#svg.classList.toggle("editing", active || this.#draft !== null);
    this.#svg.classList.toggle("drawing", this.#draft !== null);
  }
}
