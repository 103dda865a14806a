// Joins the parts of the page.

import { setUpActions, showControls } from "./actions.js";
import { Connection } from "./connection.js";
import { showCounts } from "./counts.js";
import { byId, remember, remembered } from "./dom.js";
import { addEvents, forgetEvents } from "./eventlist.js";
import { Freshness } from "./freshness.js";
import { duration, Graph } from "./graph.js";
import { Legend } from "./legend.js";
import { Sources } from "./sources.js";
import { Stage } from "./stage.js";
import { toast } from "./toast.js";
import { ZoneList } from "./zone_list.js";

const LOOK_MS = 200;
const OPACITY = "edgeseg.opacity";

const stage = new Stage(byId("picture"));
const graph = new Graph(byId("graph"));
const freshness = new Freshness();
const zones = new ZoneList();
const legend = new Legend(byId("legend"), (hidden) => stage.setHidden(hidden));
const sources = new Sources(byId("cameras"), byId("source"), choose);
let connected = false;
let before = null; // the last frame, until the server tells how long it took to get here
let shownAges = { picture: null, mask: null };
let newestShares = [];
let newestNumbers = null;

const connection = new Connection({
  open(isOpen) {
    connected = isOpen;
    before = null;
    if (isOpen) forgetEvents();
  },
  report(state) {
    sources.update(state);
    showControls(state);
    showCounts(state.status?.cameras.find(({ name }) => name === sources.current)?.counts ?? null);
    if (state.controls) zones.update(state.controls.zones);
    addEvents(state.events);
  },
  frame(frame, receivedAt) {
    if (frame.legend) setLabels(frame.legend);
    stage.show(frame);
    byId("fit").style.setProperty("--ratio", String(stage.ratio));
    byId("waiting").hidden = true;
    freshness.received(frame.picture_age_ms, receivedAt);
    if (before && frame.last_trip?.id === before.id) {
      // the trip ends when the server hears that the picture is shown: a little later than it was
      const trip = frame.last_trip.ms;
      shownAges = { picture: before.picture + trip, mask: before.mask === null ? null : before.mask + trip };
      graph.add(before.at, shownAges.picture, shownAges.mask);
    }
    before = { id: frame.id, at: receivedAt, picture: frame.picture_age_ms, mask: frame.mask_age_ms };
    newestShares = frame.area;
    newestNumbers = frame.numbers;
  },
  broken(error) {
    console.error(error);
    toast(`This browser cannot show the stream (${error.message}). A newer one can.`, true);
  },
});

function setLabels(labels) {
  stage.setLabels(labels);
  stage.setHidden(legend.hidden);
  legend.setLabels(labels);
  byId("no-classes").hidden = true;
}

function choose(camera) {
  connection.watch(camera);
  zones.setCamera(camera);
  freshness.reset();
  stage.clear();
  before = null;
  shownAges = { picture: null, mask: null };
  newestShares = [];
  newestNumbers = null;
  byId("waiting").hidden = false;
}

function look() {
  const now = performance.now();
  const rate = freshness.rate(now);
  const problem = freshness.problem(now, connected, sources.source);
  const stale = problem !== null;
  byId("stale").hidden = !stale;
  byId("stale").lastElementChild.textContent = problem ?? "";
  byId("fit").classList.toggle("stale-picture", stale && !stage.empty);
  sources.say(connected, problem);
  // of a stale picture the age that counts is the one it has by now
  const age = stale ? freshness.age(now) : shownAges.picture;
  byId("fps").textContent = rate ? rate.toFixed(rate < 10 ? 1 : 0) : "–";
  byId("age").textContent = byId("picture-age").textContent = age === null ? "–" : duration(age);
  byId("mask-age").textContent = stale || shownAges.mask === null ? "–" : duration(shownAges.mask);
  byId("rate").textContent = rate ? `${rate.toFixed(1)} fps` : "–";
  legend.setShares(stale ? [] : newestShares, newestNumbers);
  graph.addRate(now, rate);
  graph.draw(now);
  document.title = stale ? "⚠ edgeseg" : "edgeseg";
}

function setOpacity(percent) {
  stage.setOpacity(percent / 100);
  byId("opacity-value").textContent = `${percent}%`;
  remember(OPACITY, percent);
}

byId("opacity").value = String(remembered(OPACITY, 50));
byId("opacity").addEventListener("input", (event) => setOpacity(Number(event.target.value)));
byId("all").addEventListener("click", () => legend.setAll(true));
byId("none").addEventListener("click", () => legend.setAll(false));
setOpacity(Number(byId("opacity").value));
setUpActions(stage, () => sources.current);
setInterval(look, LOOK_MS);
