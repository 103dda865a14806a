"""Which model to run, how, and within which limits."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError


@dataclass(frozen=True)
class ModelSpec:
    """What `Segmenter.load` is told, and what is done besides, as plain values that can be sent to another process."""

    path: Path
    """An .onnx or .xml file, or a folder that holds one."""
    engine: str | None = None
    """None: the one at home in the file's format."""
    device: str = "cpu"
    threads: int = 0
    """Processor threads; 0 takes every core."""
    contract: Contract | None = None
    """For a file that carries none, or in place of the one it carries."""
    smooth: bool = False
    """Smooth a camera's scores, or the masks of a model that ends in one, over its frames. Needs a model of classes."""
    track: bool = False
    """Tell of objects that are unsure, too: a tracker makes use of them. Needs a model that finds objects."""
    adapt: bool = False
    """Work at a smaller input size while frames come faster than the model is. Needs a model whose size is open."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back equal."""
        contract = None if self.contract is None else asdict(self.contract)
        return {**asdict(self), "path": str(self.path), "contract": contract}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> ModelSpec:
        """Build from what `as_dict` gave. Raises ContractError."""
        contract = None if raw["contract"] is None else Contract.from_dict(raw["contract"])
        return cls(**{**raw, "path": Path(raw["path"]), "contract": contract})


@dataclass(frozen=True)
class ServingOptions:
    """Limits of a model's process. Durations are in seconds. Raises ConfigError for values that are not positive."""

    memory_bytes: int | None = None
    """What loading and running the model may take beyond the engine's own start; None: see `limits.allowance`."""
    load_seconds: float | None = None
    """From the start of the process to its first mask; None: 60 on a processor, 600 on other devices, whose drivers
    may compile the model for minutes."""
    deadline_seconds: float | None = None
    """For one frame; None: `deadline_factor` times the median, and at least `deadline_floor`."""
    deadline_factor: float = 20.0
    deadline_floor: float = 2.0
    degraded_after: int = 5
    """Failures within `window_seconds` that make the model degraded."""
    window_seconds: float = 60.0
    backoff_first: float = 0.25
    """Wait before the second restart in a row; the first comes at once, and each further wait is twice as long."""
    backoff_longest: float = 5.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not value > 0:
                raise ConfigError(f"{field.name} must be positive, got {value}")

    def load_limit(self, device: str) -> float:
        """Return the seconds that a process may take to give its first mask."""
        return self.load_seconds or (60.0 if device == "cpu" else 600.0)
