// How old is what is shown, and what to say when it is too old to be called live.

const STALE_MS = 1000;
const RATE_MS = 2000;

export class Freshness {
  #age = null; // of the last picture when it was sent
  #receivedAt = 0;
  #arrivals = [];

  received(age, at) {
    this.#age = age;
    this.#receivedAt = at;
    this.#arrivals.push(at);
  }

  reset() {
    this.#age = null;
    this.#arrivals = [];
  }

  // Frames a second over the last two seconds.
  rate(now) {
    while (this.#arrivals.length && this.#arrivals[0] < now - RATE_MS) this.#arrivals.shift();
    return (this.#arrivals.length * 1000) / RATE_MS;
  }

  age(now) {
    return this.#age === null ? null : this.#age + now - this.#receivedAt;
  }

  // Why the picture is not live, or null. source: {name, state, reason} or null; waiting: it has just been chosen.
  problem(now, connected, source) {
    if (!connected) return "no connection to the viewer";
    if (source && source.state !== "live") return `${source.state}${source.reason ? `: ${source.reason}` : ""}${this.#since(now)}`;
    const age = this.age(now);
    return age !== null && age > STALE_MS ? `the newest picture is ${seconds(age)} old` : null;
  }

  #since(now) {
    const age = this.age(now);
    return age === null ? "" : ` (the newest picture is ${seconds(age)} old)`;
  }
}

function seconds(milliseconds) {
  return milliseconds < 60000 ? `${(milliseconds / 1000).toFixed(1)} s` : `${Math.round(milliseconds / 60000)} min`;
}
