"""Ultralytics as its documentation streams: `model.predict(source, stream=True)`; a small net of random weights."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from time import monotonic

from ordeals.drivers.wire import Task, Wire, hold

SIDE = 160
"""Pixels of the net's input: about ten milliseconds on two cores."""


def main() -> None:
    """Stream until the loader ends."""
    task, wire = Task.from_arguments(), Wire()
    os.environ["YOLO_CONFIG_DIR"] = str(Path.cwd())
    os.environ["YOLO_AUTOINSTALL"] = "false"
    model = import_module("ultralytics").YOLO("yolo11n-seg.yaml")
    source = task.urls[0]
    if len(task.urls) > 1:
        source = "cameras.streams"  # several are given as a file
        Path(source).write_text("\n".join(task.urls), encoding="utf-8")
    began = 0.0

    def begin(_: object) -> None:
        nonlocal began
        began = monotonic()

    model.add_callback("on_predict_batch_start", begin)  # a batch is the newest picture of every camera
    wire.start("ultralytics", "torch", "opencv-python")
    for turn, result in enumerate(model.predict(source, stream=True, imgsz=SIDE, verbose=False)):
        hold(began, task.inference_seconds)
        wire.shown(turn % len(task.urls), result.orig_img)
    wire.done()


if __name__ == "__main__":
    main()
