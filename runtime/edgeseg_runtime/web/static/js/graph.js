// Age of picture and mask over the last minute, and frames a second behind them.

const SECONDS = 60;
const STEPS = [20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 60000, 300000, 3600000];
const FOOT = 16;
const SIDE = 50;

export class Graph {
  #points = []; // {at, picture, mask} in milliseconds, oldest first
  #rates = []; // {at, rate}

  constructor(canvas) {
    this.canvas = canvas;
    const style = getComputedStyle(document.documentElement);
    this.colors = Object.fromEntries(["accent", "warn", "line", "dim"].map((name) => [name, style.getPropertyValue(`--${name}`)]));
  }

  add(at, picture, mask) {
    this.#points.push({ at, picture, mask });
    while (this.#points[0].at < at - SECONDS * 1000) this.#points.shift();
  }

  addRate(at, rate) {
    this.#rates.push({ at, rate });
    while (this.#rates[0].at < at - SECONDS * 1000) this.#rates.shift();
  }

  draw(now) {
    const scale = devicePixelRatio;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (this.canvas.width !== Math.round(width * scale)) this.canvas.width = Math.round(width * scale);
    if (this.canvas.height !== Math.round(height * scale)) this.canvas.height = Math.round(height * scale);
    const pen = this.canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const box = { left: SIDE, right: width - SIDE + 18, top: 6, bottom: height - FOOT, now };
    const top = ceiling(this.#points.flatMap(({ picture, mask }) => [picture, mask ?? 0]));
    const topRate = Math.max(10, ...this.#rates.map(({ rate }) => Math.ceil(rate / 10) * 10));
    this.#grid(pen, box, top, topRate);
    this.#area(pen, box, topRate);
    this.#line(pen, box, top, "mask", this.colors.warn);
    this.#line(pen, box, top, "picture", this.colors.accent);
  }

  #grid(pen, box, top, topRate) {
    pen.font = "11px system-ui, sans-serif";
    pen.lineWidth = 1;
    pen.strokeStyle = this.colors.line;
    pen.fillStyle = this.colors.dim;
    for (const part of [0, 0.5, 1]) {
      const y = Math.round(box.bottom - part * (box.bottom - box.top)) + 0.5;
      pen.beginPath();
      pen.moveTo(box.left, y);
      pen.lineTo(box.right, y);
      pen.stroke();
      pen.textBaseline = "middle";
      pen.textAlign = "right";
      if (part) pen.fillText(duration(top * part), box.left - 6, y);
      pen.textAlign = "left";
      if (part) pen.fillText(String(topRate * part), box.right + 6, y);
    }
    pen.textBaseline = "alphabetic";
    pen.fillText(`${SECONDS} s ago`, box.left, box.bottom + FOOT - 3);
    pen.textAlign = "right";
    pen.fillText("now", box.right, box.bottom + FOOT - 3);
  }

  #area(pen, box, topRate) {
    if (!this.#rates.length) return;
    pen.fillStyle = "#8794a826";
    pen.beginPath();
    pen.moveTo(x(box, this.#rates[0].at), box.bottom);
    for (const { at, rate } of this.#rates) pen.lineTo(x(box, at), box.bottom - (rate / topRate) * (box.bottom - box.top));
    pen.lineTo(x(box, this.#rates.at(-1).at), box.bottom);
    pen.fill();
  }

  #line(pen, box, top, name, color) {
    pen.strokeStyle = color;
    pen.lineWidth = 1.5;
    pen.lineJoin = "round";
    pen.beginPath();
    let before = null;
    for (const point of this.#points) {
      if (point[name] === null) continue;
      const y = box.bottom - (point[name] / top) * (box.bottom - box.top);
      // a gap in the stream is a gap in the line
      if (before === null || point.at - before > 1000) pen.moveTo(x(box, point.at), y);
      else pen.lineTo(x(box, point.at), y);
      before = point.at;
    }
    pen.stroke();
  }
}

export function duration(milliseconds) {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(milliseconds < 9950 ? 1 : 0)} s`;
}

function ceiling(values) {
  const most = values.reduce((one, other) => Math.max(one, other), 0);
  return STEPS.find((step) => step >= most) ?? most;
}

function x(box, at) {
  return Math.max(box.left, box.right - ((box.now - at) / (SECONDS * 1000)) * (box.right - box.left));
}
