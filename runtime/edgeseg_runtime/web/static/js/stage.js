// The picture with the mask layer over it, in one canvas. Opacity and classes change without asking the server.

import { drawSigns } from "./signs.js";

const CLASSES = 256;

export class Stage {
  #canvas;
  #context;
  #layer = document.createElement("canvas");
  #layerContext = this.#layer.getContext("2d");
  #pixels = null; // of the layer
  #colors = new Uint32Array(CLASSES); // of a class, as a pixel; 0 where nothing is drawn
  #labels = [];
  #hidden = new Set();
  #opacity = 0.5;
  #bitmap = null;
  #mask = null;
  #signs = [];
  #size = [1, 1]; // of the camera's picture: rows, columns

  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false });
  }

  get empty() {
    return this.#bitmap === null;
  }

  get ratio() {
    return this.#canvas.width / this.#canvas.height;
  }

  setLabels(labels) {
    this.#labels = labels;
    this.#recolor();
  }

  setHidden(hidden) {
    this.#hidden = hidden;
    this.#recolor();
    this.#paintLayer();
    this.#draw();
  }

  setOpacity(opacity) {
    this.#opacity = opacity;
    this.#draw();
  }

  show(frame) {
    this.#bitmap?.close();
    this.#bitmap = frame.bitmap;
    this.#mask = frame.mask;
    this.#signs = frame.signs;
    this.#size = frame.size;
    const { width, height } = frame.bitmap;
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
    }
    if (frame.mask) this.#fitLayer(frame.mask_size);
    this.#paintLayer();
    this.#draw();
  }

  clear() {
    this.#bitmap?.close();
    this.#bitmap = this.#mask = null;
    this.#signs = [];
    this.#context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  file() {
    return new Promise((resolve) => this.#canvas.toBlob(resolve, "image/png"));
  }

  #fitLayer([height, width]) {
    if (this.#pixels && this.#layer.width === width && this.#layer.height === height) return;
    this.#layer.width = width;
    this.#layer.height = height;
    this.#pixels = this.#layerContext.createImageData(width, height);
  }

  #recolor() {
    const bytes = new Uint8Array(this.#colors.buffer);
    bytes.fill(0);
    this.#labels.forEach(({ name, color }, index) => {
      if (!this.#hidden.has(name)) bytes.set([...color, 255], index * 4);
    });
  }

  #paintLayer() {
    if (!this.#mask) return;
    const target = new Uint32Array(this.#pixels.data.buffer);
    const mask = this.#mask;
    const colors = this.#colors;
    for (let place = 0; place < target.length; place++) target[place] = colors[mask[place]];
    this.#layerContext.putImageData(this.#pixels, 0, 0);
  }

  #draw() {
    if (!this.#bitmap) return;
    const { width, height } = this.#canvas;
    this.#context.globalAlpha = 1;
    this.#context.drawImage(this.#bitmap, 0, 0);
    if (!this.#mask) return;
    this.#context.imageSmoothingEnabled = false; // a class has an edge, not a blur
    this.#context.globalAlpha = this.#opacity;
    this.#context.drawImage(this.#layer, 0, 0, width, height);
    this.#context.globalAlpha = 1;
    const shown = this.#signs.filter(([, label]) => !this.#hidden.has(this.#labels[label]?.name));
    drawSigns(this.#context, shown, this.#size);
  }
}
