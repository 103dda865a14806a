"""`edgeseg predict`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from edgeseg.cli.console import answer_json, error_line, note, progress
from edgeseg.cli.loading import EngineConfig, engine_facts, load_segmenter
from edgeseg.cli.outputs import refuse_to_overwrite

UNREADABLE = 2


@Parameter(name="*")
@dataclass(frozen=True)
class PredictConfig:
    """What to write."""

    out: Path
    """Folder for the masks."""
    overlay: bool = False
    """Also write NAME.overlay.jpg: the picture with its classes' colours over it."""
    opacity: Annotated[float, Parameter(help="Of the class colours in overlays, 0 to 1.")] = 0.5
    engine: EngineConfig = field(default_factory=EngineConfig)
    json: bool = False
    """Print what was written as JSON."""


def predict(model: Path, pictures: str, /, *, config: PredictConfig) -> int:
    """Write masks for pictures.

    MODEL is an .onnx or OpenVINO .xml file, or a folder that holds one. PICTURES is
    a picture, a folder of pictures, or a glob in quotes.

    For every picture NAME.* one NAME.png is written, 8-bit, of the picture's size,
    each pixel the index of its class; classes.csv says which index is which class.
    Pictures that cannot be read are named, the others are done, and the exit code
    is 2.

    For example:

      edgeseg predict export/openvino-int8 pictures/ --out masks/ --overlay
      edgeseg predict model.onnx 'drive/*.jpg' --out masks/ --engine openvino
    """
    from edgeseg_runtime.sinks import MasksSink
    from edgeseg_runtime.sources import ImagesSource, list_pictures
    from edgeseg_runtime.stream import StreamOptions, run_stream

    source = ImagesSource(list_pictures(pictures), pictures, skip_unreadable=True, progress=progress)
    refuse_to_overwrite([config.out], source)
    segmenter, lanes = load_segmenter(model, config.engine)
    options = StreamOptions(lanes, opacity=config.opacity)
    sink = MasksSink(config.out, segmenter.contract, overlays=config.overlay)
    summary = run_stream(source, segmenter, [sink], options)
    for remark in summary.remarks:
        error_line(remark)
    if config.json:
        facts = {"out": str(config.out), "written": summary.emitted, "unreadable": list(summary.remarks)}
        answer_json({**facts, **engine_facts(segmenter, config.engine, lanes), "seconds": round(summary.seconds, 4)})
    else:
        note(f"{config.out}: {summary.emitted} masks, {summary.fps:.1f} a second")
    if summary.remarks:
        error_line(f"{len(summary.remarks)} of {len(source.paths)} pictures could not be read")
        return UNREADABLE
    return 0
