"""How a model's process loads it: within its memory, at every input size that it is to work at, and proven."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.engines import Engine, EngineOptions, engine_for
from edgeseg_runtime.engines.model_files import check_model_file, size_on_disk
from edgeseg_runtime.errors import ConfigError, ContractError, ModelFileError
from edgeseg_runtime.machine import usable_cores
from edgeseg_runtime.memory import keep_freed_memory
from edgeseg_runtime.segmenter import Lane, model_file
from edgeseg_runtime.serving.limits import allowance, be_first_to_go, limit_memory, tells_of_memory
from edgeseg_runtime.serving.sizes import SHARES, contracts_at
from edgeseg_runtime.serving.smoothing import Smoothing
from edgeseg_runtime.serving.spec import ModelSpec


@dataclass(frozen=True)
class Served:
    """A model that is ready."""

    ways: list[tuple[Lane, Contract]]
    """Its way at each input size, the smallest first."""
    smoothing: Smoothing | None


def load(spec: ModelSpec, memory_bytes: int | None) -> tuple[Served, dict[str, Any]]:
    """Load and prove the model; return it, and what the parent wants to know."""
    keep_freed_memory()
    be_first_to_go()
    file = model_file(spec.path)
    check_model_file(file)
    kind = engine_for(file, spec.engine)
    sizes = len(SHARES) if spec.adapt else 1
    more = memory_bytes or allowance(sizes * size_on_disk(file), spec.threads or usable_cores(), spec.device)
    limit_memory(more)
    try:
        engine, lane, seconds = _open(kind, file, spec, spec.contract)
        contract = engine.contract
        _check_wishes(spec, contract, file)
        smaller = contracts_at(contract)[:-1] if spec.adapt else ()
        ways = [(_smaller(kind, file, spec, one), one) for one in smaller]
    except Exception as error:
        line = line_of(error)
        if not tells_of_memory(line):
            raise
        raise ModelFileError(
            f"{file} asks for more memory than the {more >> 20} MiB it may take; if it is meant to, allow more with "
            f"--model-memory ({line[:200]})"
        ) from error
    facts = {
        "path": str(file),
        "engine": engine.name,
        "precision": engine.precision,
        "threads": engine.threads,
        "seconds": seconds,
        "contract": asdict(contract),
        "sizes": [*(one.size for one in smaller), contract.size],
    }
    return Served([*ways, (lane, contract)], Smoothing() if spec.smooth else None), facts


def _check_wishes(spec: ModelSpec, contract: Contract, file: Path) -> None:
    """Raise ConfigError where a model cannot be used as it is wanted."""
    if spec.smooth and contract.task == "instance":
        raise ConfigError(f"--smooth steadies masks of classes, and {file} finds objects; --track steadies those")
    if spec.track and contract.task != "instance":
        raise ConfigError(f"--track follows objects, and {file} only tells classes; it needs an instance model")


def _open(kind: type[Engine], file: Path, spec: ModelSpec, contract: Contract | None) -> tuple[Engine, Lane, float]:
    """Return the engine, its way, and the seconds that its first mask, of a black picture, took."""
    engine = kind(file, EngineOptions(spec.device, spec.threads, 1, contract))
    lane = Lane(engine.request(), engine.contract, unsure=spec.track)
    started = perf_counter()
    lane(np.zeros((*engine.contract.size, 3), np.uint8))
    return engine, lane, perf_counter() - started


def _smaller(kind: type[Engine], file: Path, spec: ModelSpec, contract: Contract) -> Lane:
    """Return the model's way at a smaller size than its own. Raises ConfigError where it has none."""
    try:
        return _open(kind, file, spec, contract)[1]
    except ContractError as error:
        raise ConfigError(
            f"--adapt needs a model whose input size is open, and that of {file} is fixed; "
            "export it with --dynamic-size"
        ) from error
    except Exception as error:
        line = line_of(error)
        if tells_of_memory(line):
            raise
        raise ConfigError(f"--adapt: {file} gives no mask at {contract.height}×{contract.width}: {line}") from error


def line_of(error: Exception) -> str:
    """Return what an error says in one line, its name where it says nothing."""
    text = str(error).strip()
    return text.splitlines()[0][:2000] if text else type(error).__name__  # a MemoryError has no text
