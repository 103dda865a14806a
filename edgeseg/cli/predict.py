"""`edgeseg predict`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from edgeseg.cli.console import answer_json, error_line, note, progress
from edgeseg.cli.loading import EngineConfig, engine_facts, load_segmenter
from edgeseg.cli.outputs import refuse_to_overwrite
from edgeseg_runtime.errors import ConfigError

if TYPE_CHECKING:
    from edgeseg_runtime.contract import Contract, Task
    from edgeseg_runtime.sinks import Sink

UNREADABLE = 2

Format = Literal["coco", "labelme", "yolo", "png"]
FORMATS: Mapping[Task, tuple[Format, ...]] = {"semantic": ("png",), "instance": ("coco", "labelme", "yolo", "png")}
"""What can be written for each kind of model, the default first."""


@Parameter(name="*")
@dataclass(frozen=True)
class PredictConfig:
    """What to write."""

    out: Path
    """Folder for the results."""
    format: Format | None = None
    """How results are written; png for models that give a class for each pixel, coco for those that find objects."""
    overlay: bool = False
    """Also write NAME.overlay.jpg: the picture with its classes' colours over it."""
    opacity: Annotated[float, Parameter(help="Of the class colours in overlays, 0 to 1.")] = 0.5
    engine: EngineConfig = field(default_factory=EngineConfig)
    json: bool = False
    """Print what was written as JSON."""


def predict(model: Path, pictures: str, /, *, config: PredictConfig) -> int:
    """Write masks or objects for pictures.

    MODEL is an .onnx or OpenVINO .xml file, or a folder that holds one. PICTURES is
    a picture, a folder of pictures, or a glob in quotes.

    png: for every picture NAME.* one NAME.png is written, 8-bit, of the picture's
    size, each pixel the index of its class; classes.csv says which index is which
    class. Of a model that finds objects, 255 is no class, and objects/NAME.png,
    16-bit, says which object is at each pixel.

    coco: predictions.json, in COCO's format of results, and annotations.json, which
    can be read as a data set beside the pictures. labelme: NAME.json, to be opened
    and corrected in LabelMe. yolo: labels/NAME.txt and classes.txt.

    Pictures that cannot be read are named, the others are done, and the exit code
    is 2.

    For example:

      edgeseg predict export/openvino-int8 pictures/ --out masks/ --overlay
      edgeseg predict model.onnx 'drive/*.jpg' --out masks/ --engine openvino
      edgeseg predict people.onnx pictures/ --out found/ --format labelme
    """
    from edgeseg_runtime.sinks import OverlaysSink
    from edgeseg_runtime.sources import ImagesSource, list_pictures
    from edgeseg_runtime.stream import StreamOptions, run_stream

    source = ImagesSource(list_pictures(pictures), pictures, skip_unreadable=True, progress=progress)
    refuse_to_overwrite([config.out], source)
    segmenter, lanes = load_segmenter(model, config.engine)
    options = StreamOptions(lanes, opacity=config.opacity)
    kind = _format(config.format, segmenter.contract)
    sinks = [_open(kind, config.out, segmenter.contract, {path.stem: path for path in source.paths})]
    if config.overlay:
        sinks.append(OverlaysSink(config.out))
    summary = run_stream(source, segmenter, sinks, options)
    for remark in summary.remarks:
        error_line(remark)
    if config.json:
        facts = {"out": str(config.out), "written": summary.emitted, "unreadable": list(summary.remarks)}
        facts |= {"format": kind, **engine_facts(segmenter, config.engine, lanes)}
        answer_json({**facts, "seconds": round(summary.seconds, 4)})
    else:
        what = "masks" if segmenter.contract.task == "semantic" else "pictures' objects"
        note(f"{config.out}: {summary.emitted} {what}, {summary.fps:.1f} a second")
    if summary.remarks:
        error_line(f"{len(summary.remarks)} of {len(source.paths)} pictures could not be read")
        return UNREADABLE
    return 0


def _format(asked: Format | None, contract: Contract) -> Format:
    """Return the format to write. Raises ConfigError for one that the model has nothing for."""
    possible = FORMATS[contract.task]
    if asked is None:
        return possible[0]
    if asked not in possible:
        raise ConfigError(
            f"--format {asked} is for models that find objects, and this one gives a class for each pixel; "
            f"it has {', '.join(possible)}"
        )
    return asked


def _open(kind: Format, folder: Path, contract: Contract, pictures: Mapping[str, Path]) -> Sink[Any]:
    """Open the output. Raises OutputError."""
    if contract.task == "semantic":
        from edgeseg_runtime.sinks import MasksSink

        return MasksSink(folder, contract)
    from edgeseg_runtime.sinks.objects import CocoSink, LabelmeSink, MapsSink, YoloSink

    if kind == "coco":
        return CocoSink(folder, contract, pictures)
    if kind == "labelme":
        return LabelmeSink(folder, contract, pictures)
    return YoloSink(folder, contract) if kind == "yolo" else MapsSink(folder, contract)
