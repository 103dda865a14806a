"""What every engine does, and nothing that only one of them does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.contract import CONTRACT_KEY, PRECISION_KEY, Contract, Precision
from edgeseg_runtime.engines.model_files import check_model_file
from edgeseg_runtime.errors import ContractError, EngineError, ModelFileError
from edgeseg_runtime.preprocess import Image

Batch: TypeAlias = npt.NDArray[np.uint8]
"""uint8 (N, height, width, 3)."""
Raw: TypeAlias = tuple[npt.NDArray[Any], ...]
"""A model's outputs, in the order and of the shapes that `contract.OUTPUTS` tells of."""


@dataclass(frozen=True)
class EngineOptions:
    """How to run a model. Raises EngineError when a number is out of range."""

    device: str = "cpu"
    threads: int = 0
    """Processor threads in all; 0 takes every core."""
    lanes: int = 1
    """Requests that may run at the same time; the threads are shared out among them. On the CPU, OpenVINO keeps the
    weights once for each."""
    contract: Contract | None = None
    """For a file that carries none, or in place of the one it carries."""

    def __post_init__(self) -> None:
        if self.threads < 0:
            raise EngineError(f"threads must be 0 (every core) or more, got {self.threads}")
        if self.lanes < 1:
            raise EngineError(f"lanes must be 1 or more, got {self.lanes}")


@dataclass(frozen=True)
class Capabilities:
    """What an engine can do here, each statement tested both ways."""

    suffixes: tuple[str, ...]
    devices: tuple[str, ...]
    """Devices this machine has for it, lower case."""
    precisions: tuple[str, ...]


@dataclass(frozen=True)
class Port:
    """A model's input or output: numpy's name of its type, and its shape with None where the size is open."""

    dtype: str
    shape: tuple[int | None, ...]
    names: tuple[str, ...] = ()
    """What the file calls it."""

    def fits(self, dtype: str, shape: tuple[int | None, ...]) -> bool:
        """Whether an array of this type and shape can pass; an open size on either side agrees with any."""
        if self.dtype != dtype or len(self.shape) != len(shape):
            return False
        return all(
            mine is None or other is None or mine == other for mine, other in zip(self.shape, shape, strict=True)
        )

    def __str__(self) -> str:
        return f"{self.dtype} ({', '.join('?' if size is None else str(size) for size in self.shape)})"


class Request(Protocol):
    """One place in the engine. Used by one thread at a time."""

    def __call__(self, batch: Batch) -> Raw:
        """Run the model. The returned arrays may be overwritten by this request's next call."""
        ...


class Engine(Protocol):
    """A loaded model, its input fixed to one picture of its contract's size.

    Making one raises ModelFileError for a file that cannot be run, ContractError for one whose contract is missing
    or contradicts its inputs and outputs, EngineError for a device or precision that is not to be had.
    """

    name: ClassVar[str]
    metadata: Mapping[str, str]
    """What the file says of itself: `edgeseg.contract`, `edgeseg.precision` and whatever else it carries."""
    contract: Contract
    precision: Precision
    threads: int
    """Processor threads in use."""

    def __init__(self, path: Path, options: EngineOptions) -> None: ...

    @classmethod
    def capabilities(cls) -> Capabilities:
        """Ask the installed engine what it can do on this machine."""
        ...

    def request(self) -> Request:
        """Make a new request; up to `options.lanes` of them run at the same time without waiting."""
        ...


def as_batch(image: Image) -> Batch:
    """View one picture as a batch of one, without a copy."""
    return image[None]


def check_request(engine: str, path: Path, device: str, capabilities: Capabilities) -> None:
    """Raise unless the engine reads such files, has the device, and the file keeps to its own folder."""
    if path.suffix not in capabilities.suffixes:
        raise ModelFileError(f"{engine} reads {', '.join(capabilities.suffixes)} files, and {path} is not one")
    if device not in capabilities.devices:
        advice = "; for NVIDIA cards install onnxruntime-gpu" if device in ("cuda", "tensorrt") else ""
        raise EngineError(f"{engine} has no device {device!r} here; it has {', '.join(capabilities.devices)}{advice}")
    check_model_file(path)


def contract_of(metadata: Mapping[str, str], path: Path, given: Contract | None) -> Contract:
    """Return the contract to run a file by: the given one, or else its own. Raises ContractError."""
    if given is not None:
        return given
    if CONTRACT_KEY not in metadata:
        raise ContractError(f"{path} carries no contract; give one with --contract contract.json")
    return Contract.from_json(metadata[CONTRACT_KEY])


def precision_of(metadata: Mapping[str, str], path: Path, engine: str, capabilities: Capabilities) -> Precision:
    """Return the arithmetic a file asks for, float32 if it asks for none. Raises ModelFileError or EngineError."""
    asked = metadata.get(PRECISION_KEY, "float32")
    for precision in get_args(Precision):
        if precision == asked and precision in capabilities.precisions:
            return precision  # type: ignore[no-any-return]
    if asked not in get_args(Precision):
        raise ModelFileError(f"{path} asks for precision {asked!r}; known are {', '.join(get_args(Precision))}")
    raise EngineError(
        f"{path} asks for {asked}, which {engine} does not compute in here; it has {', '.join(capabilities.precisions)}"
    )


def check_ports(path: Path, contract: Contract, image: Port, outputs: Sequence[Port]) -> tuple[int, ...]:
    """Return the places of the contract's outputs among the model's, in the order of `contract.OUTPUTS`.

    Raises ContractError unless the model takes and gives what the contract says. Where it says one output and the model
    gives one, that is it, whatever its name.
    """
    if not image.fits("uint8", (1, *contract.size, 3)):
        raise ContractError(
            f"{path} takes {image}, its contract says uint8 (1, {contract.height}, {contract.width}, 3)"
        )
    wanted = expected_ports(contract)
    places = [0] if len(wanted) == len(outputs) == 1 else [_named(path, name, outputs) for name in wanted]
    for (name, port), place in zip(wanted.items(), places, strict=True):
        if not outputs[place].fits(port.dtype, port.shape):
            raise ContractError(f"{path} gives {name} as {outputs[place]}, its contract says {port}")
    return tuple(places)


def _named(path: Path, name: str, outputs: Sequence[Port]) -> int:
    for place, output in enumerate(outputs):
        if name in output.names:
            return place
    given = ", ".join(" or ".join(output.names) or "one without a name" for output in outputs)
    raise ContractError(f"{path} gives no output {name!r}, and its contract says one; it gives {given}")


def expected_ports(contract: Contract) -> dict[str, Port]:
    """Return the outputs of one picture that a contract says, by name in the order of `contract.OUTPUTS`."""
    classes = len(contract.labels)
    shapes: dict[str, dict[str, Port]] = {
        "scores": {"scores": Port("float32", (1, classes, None, None))},
        "mask": {"mask": Port("uint8", (1, *contract.size))},
        "prototypes": {
            "boxes": Port("float32", (1, None, 4)),
            "scores": Port("float32", (1, None, classes)),
            "coefficients": Port("float32", (1, None, None)),
            "prototypes": Port("float32", (1, None, None, None)),
        },
        "detections": {
            "boxes": Port("float32", (None, 4)),
            "labels": Port("int64", (None,)),
            "scores": Port("float32", (None,)),
            "masks": Port("float32", (None, None, None)),
        },
    }
    return shapes[contract.output]
