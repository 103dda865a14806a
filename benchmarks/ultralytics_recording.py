"""Ultralytics over a recording, as its documentation does it; run by object_fps.py in a Python that has it.

    PYTHON ultralytics_recording.py CLIP HEIGHT WIDTH

Prints one line of JSON: frames, seconds, versions. The net has random weights and is exported to OpenVINO first; what
is timed is from the first frame's reading to the last frame's boxes and masks.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

NET = "yolo11n-seg.yaml"


def main(clip: str, height: int, width: int) -> None:
    """Export, then predict every frame."""
    clip = str(Path(clip).resolve())
    with TemporaryDirectory() as folder:
        os.chdir(folder)  # it writes where it stands
        os.environ["YOLO_CONFIG_DIR"], os.environ["YOLO_AUTOINSTALL"] = folder, "false"
        yolo = import_module("ultralytics").YOLO
        exported = yolo(NET).export(format="openvino", imgsz=[height, width], verbose=False)
        model = yolo(exported, task="segment")
        started = 0.0

        def begin(_: object) -> None:
            nonlocal started
            started = perf_counter()

        model.add_callback("on_predict_start", begin)  # the net is loaded and warmed up by then
        frames = objects = 0
        for result in model.predict(clip, stream=True, imgsz=[height, width], verbose=False):
            frames += 1
            objects += 0 if result.masks is None else len(result.masks.data)
        seconds = perf_counter() - started
    versions = {name: version(name) for name in ("ultralytics", "torch", "openvino")}
    print(json.dumps({"frames": frames, "objects": objects, "seconds": seconds, "versions": versions}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
