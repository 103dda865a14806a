// The WebSocket: one message at a time, acknowledged when it has been shown; opened again whenever it ends.

import { readFrame } from "./message.js";

const FIRST_WAIT = 250;
const LONGEST_WAIT = 5000;
const SILENCE = 20000; // the server speaks once a second, but a slow network may take long over one picture

export class Connection {
  #socket = null;
  #camera = null;
  #wait = FIRST_WAIT;
  #watchdog = 0;

  // handlers: report(state), frame(frame, receivedAt), open(isOpen), broken(error)
  constructor(handlers) {
    this.handlers = handlers;
    document.addEventListener("visibilitychange", () => this.#tellCamera());
    this.#connect();
  }

  // Nothing is sent, and nothing encoded, for a page that nobody sees.
  watch(camera) {
    this.#camera = camera;
    this.#tellCamera();
  }

  #connect() {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#listen(socket);
    socket.onopen = () => {
      this.handlers.open(true);
      this.#tellCamera();
    };
    socket.onclose = () => {
      clearTimeout(this.#watchdog);
      this.handlers.open(false);
      setTimeout(() => this.#connect(), this.#wait * (0.75 + Math.random() / 2));
      this.#wait = Math.min(LONGEST_WAIT, this.#wait * 2);
    };
  }

  #listen(socket) {
    const guard = () => {
      clearTimeout(this.#watchdog);
      this.#watchdog = setTimeout(() => socket.close(), SILENCE);
    };
    guard();
    socket.onmessage = async ({ data }) => {
      guard();
      this.#wait = FIRST_WAIT;
      try {
        const id = await this.#show(data, performance.now());
        if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "ack", id }));
      } catch (error) {
        this.#giveUp(socket, error);
      }
    };
  }

  // The next message would fail like this one: old browsers cannot inflate the mask, for example.
  #giveUp(socket, error) {
    socket.onclose = null;
    clearTimeout(this.#watchdog);
    socket.close();
    this.handlers.open(false);
    this.handlers.broken(error);
  }

  async #show(data, receivedAt) {
    if (typeof data === "string") {
      const report = JSON.parse(data);
      this.handlers.report(report);
      return report.id;
    }
    const frame = await readFrame(data);
    if (frame.camera === this.#camera) this.handlers.frame(frame, receivedAt);
    else frame.bitmap.close();
    return frame.id;
  }

  #tellCamera() {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify({ type: "watch", camera: document.hidden ? null : this.#camera }));
  }
}
