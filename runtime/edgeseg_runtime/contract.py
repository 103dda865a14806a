"""The Contract: the one truth about what pixels go into a model and what its numbers mean.

It travels inside every checkpoint and every exported file, and training, evaluation, calibration, parity,
bench and stream all take their pre- and postprocessing from it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any, Literal, get_args

from edgeseg_runtime.errors import ContractError

SCHEMA = 1
CONTRACT_KEY = "edgeseg.contract"
"""Key of the contract's JSON in ONNX `metadata_props`; in OpenVINO's `rt_info` the path is edgeseg / contract."""
PRECISION_KEY = "edgeseg.precision"
"""Key of the arithmetic a file is meant to run in: see `Precision`."""

Task = Literal["semantic", "instance"]
ColorOrder = Literal["rgb", "bgr"]
Resize = Literal["stretch", "letterbox"]
Interpolation = Literal["bilinear", "area", "nearest"]
Output = Literal["scores", "mask", "prototypes", "detections"]
Precision = Literal["float32", "bf16", "int8"]

GRAY_MEAN, GRAY_STD = (128 / 255,) * 3, (0.25,) * 3
"""Normalisation that networks are trained with. One whole pixel value for all channels: an int8 file can then take the
uint8 frame itself as its quantised input (zero point 128), at no cost and with no rounding."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""What backbones with ImageNet weights were trained with, elsewhere."""

OUTPUTS: dict[Output, tuple[str, ...]] = {
    "scores": ("scores",),
    "mask": ("mask",),
    "prototypes": ("boxes", "scores", "coefficients", "prototypes"),
    "detections": ("boxes", "labels", "scores", "masks"),
}
"""The graph's outputs by name. The first two are of semantic models, the others of instance models:

`scores`: float32 (N, classes, h, w), usually coarser than the input; `mask`: uint8 (N, height, width).

`prototypes` (N, K candidates of which most are nothing, all float32): boxes (N, K, 4) left, top, right, bottom in
pixels of the input; scores (N, K, classes) in 0..1; coefficients (N, K, p); prototypes (N, p, h, w). A candidate's mask
is where the sum of its coefficients times the prototypes is above 0, within its box. Duplicates are still in.

`detections` (of one picture, n objects, duplicates removed): float32 boxes (n, 4) in pixels of the input; int64 labels
(n,); float32 scores (n,), falling; float32 masks (n, m, m), probabilities over the box.
"""
UNBATCHED: frozenset[Output] = frozenset({"detections"})
"""Those whose outputs have no batch axis: they are of one picture."""
TASK_OUTPUTS: dict[Task, tuple[Output, ...]] = {
    "semantic": ("scores", "mask"),
    "instance": ("prototypes", "detections"),
}

MAX_CLASSES = 255
"""Masks are uint8 and 255 is left for pixels that carry no class."""
MAX_OBJECTS = 10_000
"""In a picture."""
MAX_PIXELS = 64_000_000
"""Of a model's input: a file that declares more than any camera gives is damaged or means harm."""


@dataclass(frozen=True)
class Label:
    """A class: its name and the colour (R, G, B in 0..255) it is drawn in."""

    name: str
    color: tuple[int, int, int]


@dataclass(frozen=True)
class Selection:
    """Which of an instance model's candidates count as objects. Raises ContractError for values out of range."""

    thresholds: tuple[float, ...]
    """For each class the score that an object must reach, 0..1."""
    overlap: float = 0.6
    """Of two boxes of one class with a larger IoU than this, only the surer one is an object."""
    limit: int = 100
    """At most so many objects in a picture, the surest."""

    def __post_init__(self) -> None:
        if not all(0 <= value <= 1 for value in self.thresholds):
            raise ContractError(f"score thresholds must be in 0..1, got {self.thresholds}")
        if not 0 < self.overlap <= 1:
            raise ContractError(f"the overlap must be above 0 and at most 1, got {self.overlap}")
        if not 1 <= self.limit <= MAX_OBJECTS:
            raise ContractError(f"the limit must be 1 to {MAX_OBJECTS} objects, got {self.limit}")


@dataclass(frozen=True)
class Contract:
    """What a model takes and gives. Class `i` of the scores and of the mask is `labels[i]`.

    Raises ContractError when the values contradict each other.
    """

    labels: tuple[Label, ...]
    height: int
    """Rows of the model's input."""
    width: int
    """Columns of the model's input."""
    task: Task = "semantic"
    ignore_index: int = 255
    """Label value in ground truth that is neither trained on nor scored."""
    color_order: ColorOrder = "rgb"
    """Channel order of the model's uint8 input. Frames inside edgeseg are BGR, as OpenCV reads them."""
    resize: Resize = "stretch"
    """`stretch` changes the aspect ratio; `letterbox` keeps it and pads right and below with the mean colour."""
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, float, float] = GRAY_MEAN
    """Subtracted inside the graph, in the order of `color_order`, for pixels scaled to 0..1."""
    std: tuple[float, float, float] = GRAY_STD
    output: Output = "scores"
    """See OUTPUTS."""
    selection: Selection | None = None
    """Of instance models; None for semantic ones."""
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ContractError(f"contract schema {self.schema} is unknown; this edgeseg reads schema {SCHEMA}")
        if not 1 <= len(self.labels) <= MAX_CLASSES:
            raise ContractError(f"a contract needs 1 to {MAX_CLASSES} labels, got {len(self.labels)}")
        names = [label.name for label in self.labels]
        if len(set(names)) != len(names):
            raise ContractError(f"label names must differ, got {', '.join(names)}")
        if self.height < 1 or self.width < 1:
            raise ContractError(f"input size must be positive, got {self.height}×{self.width}")
        if self.height * self.width > MAX_PIXELS:
            raise ContractError(f"input size must be at most {MAX_PIXELS} pixels, got {self.height}×{self.width}")
        if 0 <= self.ignore_index < len(self.labels):
            raise ContractError(f"ignore index {self.ignore_index} is also the class {names[self.ignore_index]!r}")
        if (
            len(self.mean) != 3
            or len(self.std) != 3
            or min(self.std) <= 0
            or not all(map(isfinite, self.mean + self.std))
        ):
            raise ContractError(f"mean and std need three finite values and std > 0, got {self.mean} and {self.std}")
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ContractError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        self._check_task()
        for label in self.labels:
            if len(label.color) != 3 or not all(0 <= value <= 255 for value in label.color):
                raise ContractError(f"colour of {label.name!r} must be three values in 0..255, got {label.color}")

    def _check_task(self) -> None:
        if self.output not in TASK_OUTPUTS[self.task]:
            allowed = " or ".join(TASK_OUTPUTS[self.task])
            raise ContractError(f"the output of a model for the task {self.task} is {allowed}, got {self.output!r}")
        if (self.selection is not None) != (self.task == "instance"):
            raise ContractError("instance models have a selection of objects, and no others do")
        if self.selection is not None and len(self.selection.thresholds) != len(self.labels):
            count = len(self.selection.thresholds)
            raise ContractError(f"{len(self.labels)} classes need as many score thresholds, got {count}")

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in index order."""
        return tuple(label.name for label in self.labels)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the model's input."""
        return self.height, self.width

    def to_json(self) -> str:
        """Serialise to compact JSON; `from_json` reads it back equal."""
        return json.dumps(asdict(self), separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Contract:
        """Parse what `to_json` wrote. Raises ContractError on anything else."""
        try:
            raw = json.loads(text)
        except json.JSONDecodeError as error:
            raise ContractError(f"the contract is not JSON: {error}") from error
        if not isinstance(raw, dict):
            raise ContractError(f"the contract must be a JSON object, got {type(raw).__name__}")
        return cls.from_dict(raw)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Contract:
        """Build from plain values, as read from JSON or YAML. Raises ContractError."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(raw) - known):
            raise ContractError(f"unknown contract field {unknown[0]!r}; known: {', '.join(sorted(known))}")
        try:
            values = dict(raw)
            values["labels"] = tuple(
                Label(str(label["name"]), _three(_whole(value) for value in label["color"])) for label in raw["labels"]
            )
            for name in ("mean", "std"):
                if name in raw:
                    values[name] = tuple(float(value) for value in raw[name])
            for name in ("height", "width", "ignore_index", "schema"):
                if name in raw:
                    values[name] = _whole(raw[name])
            if raw.get("selection") is not None:
                values["selection"] = _selection(raw["selection"])
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise ContractError(f"the contract lacks or mistypes a field: {error!r}") from error


_CHOICES: dict[str, tuple[str, ...]] = {
    "task": get_args(Task),
    "color_order": get_args(ColorOrder),
    "resize": get_args(Resize),
    "interpolation": get_args(Interpolation),
    "output": get_args(Output),
}


def _selection(raw: dict[str, Any]) -> Selection:
    values = dict(raw) | {"thresholds": tuple(float(value) for value in raw["thresholds"])}
    if "overlap" in raw:
        values["overlap"] = float(raw["overlap"])
    if "limit" in raw:
        values["limit"] = _whole(raw["limit"])
    return Selection(**values)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or int(value) != value:
        raise ValueError(f"{value!r} is not a whole number")
    return int(value)


def _three(values: Any) -> tuple[int, int, int]:
    red, green, blue = values
    return red, green, blue


def voc_color(index: int) -> tuple[int, int, int]:
    """Colour of class `index` in the Pascal VOC colour map (the bits of the index, spread over R, G and B)."""
    red = green = blue = 0
    for shift in range(7, -1, -1):
        red |= (index & 1) << shift
        green |= (index >> 1 & 1) << shift
        blue |= (index >> 2 & 1) << shift
        index >>= 3
    return red, green, blue
