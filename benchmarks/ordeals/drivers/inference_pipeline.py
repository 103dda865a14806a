"""Roboflow's InferencePipeline with its defaults, and logic of the caller's in place of a model (no account needed)."""

from __future__ import annotations

import os
from importlib import import_module
from time import monotonic
from typing import Any

from ordeals.drivers.wire import Task, Wire, hold

QUIET = {"FRAME_CAPTURED", "FRAME_DROPPED", "FRAME_CONSUMED", "INFERENCE_COMPLETED"}
"""Updates that come with every frame."""


def main() -> None:
    """Run the pipeline until it ends or is interrupted."""
    task, wire = Task.from_arguments(), Wire()
    os.environ["TELEMETRY_OPT_OUT"] = "True"
    module = import_module("inference.core.interfaces.stream.inference_pipeline")

    def infer(frames: list[Any]) -> list[None]:
        hold(monotonic(), task.inference_seconds)
        return [None] * len(frames)

    def shown(_: None, frame: Any) -> None:
        wire.shown(frame.source_id or 0, frame.image)

    def told(update: Any) -> None:
        if update.event_type not in QUIET:
            wire.told(f"{update.event_type} {update.payload}", update.payload.get("source_id"))

    wire.start("inference", "streamvision")
    pipeline = module.InferencePipeline.init_with_custom_logic(
        video_reference=task.urls if len(task.urls) > 1 else task.urls[0],
        on_video_frame=infer,
        on_prediction=shown,
        status_update_handlers=[told],
        sink_mode=module.SinkMode.SEQUENTIAL,
    )
    try:
        pipeline.start()
        pipeline.join()
        wire.done()
    except KeyboardInterrupt:
        pipeline.terminate()
        pipeline.join()


if __name__ == "__main__":
    main()
