// Buttons that do something: snapshot, keep, record, model, full screen.

import { byId, make } from "./dom.js";
import { post } from "./requests.js";
import { toast } from "./toast.js";

const modelList = byId("model");
let recording = false;
let switching = null; // the name of the model that is being loaded

export function setUpActions(stage, camera) {
  byId("snapshot").addEventListener("click", () => download(stage, camera()));
  byId("save").addEventListener("click", (event) => attempt(event.currentTarget, async () => {
    const { name } = await post("/api/snapshot", { camera: camera() ?? "" });
    toast(`Kept on the device: ${name}`);
  }));
  byId("record").addEventListener("click", (event) => attempt(event.currentTarget, async () => {
    showRecording((await post("/api/record", { recording: !recording })).recording);
  }));
  modelList.addEventListener("change", () => switchModel(modelList.value));
  const full = byId("full");
  full.hidden = !document.fullscreenEnabled;
  full.addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else byId("view").requestFullscreen();
  });
}

export function showControls({ controls, status }) {
  byId("save").hidden = !controls?.snapshot;
  byId("record").hidden = !controls?.record;
  if (controls) showRecording(controls.record?.recording ?? false);
  const serving = status?.model;
  byId("model-panel").hidden = !controls?.models && !serving;
  modelList.parentElement.hidden = !controls?.models;
  if (controls?.models && switching === null) showModels(controls.models);
  byId("model-note").textContent = switching ? "switching …" : serving?.degraded ? "degraded" : "";
  const named = controls?.models ? [] : [serving?.name];
  byId("model-facts").textContent = serving ? [...named, serving.engine, serving.device, serving.precision].filter(Boolean).join(" · ") : "";
}

function showModels({ names, current }) {
  const shown = [...modelList.options].map(({ value }) => value);
  if (shown.join("\n") !== names.join("\n")) {
    modelList.replaceChildren(...names.map((name) => make("option", { value: name, textContent: name })));
  }
  if (document.activeElement !== modelList || !shown.length) modelList.value = current;
}

async function switchModel(name) {
  switching = name;
  byId("model-note").textContent = "switching …";
  modelList.blur();
  await attempt(modelList, async () => {
    const { current } = await post("/api/model", { name });
    toast(`Model: ${current}`);
  });
  switching = null;
}

function showRecording(now) {
  recording = now;
  byId("rec").hidden = !now;
  byId("record").setAttribute("aria-pressed", String(now));
  byId("record").lastElementChild.textContent = now ? "Stop" : "Record";
}

async function attempt(control, action) {
  control.disabled = true;
  try {
    await action();
  } catch (error) {
    toast(error.message, true);
  } finally {
    control.disabled = false;
  }
}

async function download(stage, camera) {
  if (stage.empty) return toast("There is no picture yet", true);
  const time = new Date().toISOString().replace(/[:.]/g, "-");
  const link = make("a", { download: `edgeseg-${camera ? `${camera}-` : ""}${time}.png` });
  link.href = URL.createObjectURL(await stage.file());
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
