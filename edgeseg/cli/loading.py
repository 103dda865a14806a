"""The flags that say which engine runs a model, shared by the verbs that run one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from edgeseg_runtime.errors import ConfigError, ContractError

if TYPE_CHECKING:
    from edgeseg_runtime.contract import Contract
    from edgeseg_runtime.segmenter import Segmenter


@Parameter(name="*", group="Engine")
@dataclass(frozen=True)
class EngineConfig:
    """How a model is run."""

    engine: Literal["onnxruntime", "openvino"] | None = None
    """Inference engine; the one at home in the file's format if not given."""
    device: str = "cpu"
    """Where it runs; `edgeseg doctor` lists the devices."""
    threads: Annotated[int, Parameter(show_default=False)] = 0
    """Processor threads in all; every core if not given."""
    lanes: Annotated[int, Parameter(show_default=False)] = 0
    """Parts of a recording worked on at the same time; one a thread if not given."""
    contract: Path | None = None
    """JSON file with the contract, for a model file that carries none."""

    def __post_init__(self) -> None:
        for flag in ("threads", "lanes"):
            if getattr(self, flag) < 0:
                raise ConfigError(f"--{flag} must be positive, got {getattr(self, flag)}")


def load_segmenter(model: Path, config: EngineConfig) -> tuple[Segmenter, int]:
    """Load `model` for a recording; return it and the number of its lanes.

    Raises ModelFileError, EngineError, ContractError or MissingExtraError.
    """
    from edgeseg_runtime.segmenter import Segmenter
    from edgeseg_runtime.stream import default_lanes

    lanes = config.lanes or default_lanes(config.threads)
    segmenter = Segmenter.load(
        model,
        engine=config.engine,
        device=config.device,
        threads=config.threads,
        lanes=lanes,
        contract=read_contract(config.contract),
    )
    return segmenter, lanes


def engine_facts(segmenter: Segmenter, config: EngineConfig, lanes: int) -> dict[str, Any]:
    """Return what ran, for a JSON answer."""
    return {
        "model": str(segmenter.path),
        "engine": segmenter.engine.name,
        "device": config.device,
        "precision": segmenter.precision,
        "threads": segmenter.engine.threads,
        "lanes": lanes,
    }


def read_contract(path: Path | None) -> Contract | None:
    """Read a contract's JSON file; None stays None. Raises ContractError."""
    from edgeseg_runtime.contract import Contract

    if path is None:
        return None
    try:
        return Contract.from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(f"--contract {path} cannot be read: {error}") from error
