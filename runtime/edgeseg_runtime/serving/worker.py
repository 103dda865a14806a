"""The process that runs a model: `python -m edgeseg_runtime.serving.worker`.

It loads what it is told under a limit of memory, proves it on a black picture, says what it has, and then turns the
picture in the shared memory into a mask there, once for each message. The parent resizes: so the memory is of one size
for the life of the process, whatever the cameras do.
"""

from __future__ import annotations

from dataclasses import asdict
from time import perf_counter
from typing import Any

import numpy as np

from edgeseg_runtime.engines import EngineOptions, engine_for
from edgeseg_runtime.engines.model_files import check_model_file, size_on_disk
from edgeseg_runtime.errors import EdgesegError, ModelFileError
from edgeseg_runtime.machine import usable_cores
from edgeseg_runtime.memory import keep_freed_memory
from edgeseg_runtime.processes.inside import serve
from edgeseg_runtime.processes.link import Link
from edgeseg_runtime.processes.memory import SharedMemory
from edgeseg_runtime.segmenter import Lane, model_file
from edgeseg_runtime.serving.limits import allowance, be_first_to_go, limit_memory, tells_of_memory
from edgeseg_runtime.serving.spec import ModelSpec


def work(link: Link) -> None:
    """Serve one model until the parent hangs up."""
    message = _next(link)[0]
    try:
        lane, size, facts = _load(ModelSpec.from_dict(message["spec"]), message["memory_bytes"])
        link.send(facts)
    except Exception as error:  # whatever an engine raises, the parent is told and ends this process
        link.send(_told(error))
        _next(link)
        return
    _, fds = _next(link)
    height, width = size
    memory = SharedMemory(fds[0], height * width * 4)
    image = memory.array((height, width, 3))
    mask = memory.array((height, width), offset=image.size)
    while True:
        _next(link)
        try:
            started = perf_counter()
            raw = lane.infer(image)
            inferred = perf_counter()
            np.copyto(mask, lane.decode(raw, height, width))
            link.send({"infer": inferred - started, "decode": perf_counter() - inferred})
        except Exception as error:  # the parent decides what it makes of the engine
            link.send(_told(error))


def _load(spec: ModelSpec, memory_bytes: int | None) -> tuple[Lane, tuple[int, int], dict[str, Any]]:
    """Load and prove the model; return its way, its input's (height, width), and what the parent wants to know."""
    keep_freed_memory()
    be_first_to_go()
    file = model_file(spec.path)
    check_model_file(file)
    kind = engine_for(file, spec.engine)
    more = memory_bytes or allowance(size_on_disk(file), spec.threads or usable_cores(), spec.device)
    limit_memory(more)
    try:
        engine = kind(file, EngineOptions(spec.device, spec.threads, 1, spec.contract))
        lane = Lane(engine.request(), engine.contract)
        started = perf_counter()
        lane(np.zeros((*engine.contract.size, 3), np.uint8))
    except Exception as error:
        line = _line(error)
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
        "seconds": perf_counter() - started,
        "contract": asdict(engine.contract),
    }
    return lane, engine.contract.size, facts


def _told(error: Exception) -> dict[str, str]:
    return {"error": type(error).__name__ if isinstance(error, EdgesegError) else "", "line": _line(error)}


def _line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:2000] if text else type(error).__name__  # a MemoryError has no text


def _next(link: Link) -> tuple[dict[str, Any], list[int]]:
    message = link.receive()
    assert message is not None  # without a timeout there is always one
    return message


if __name__ == "__main__":
    serve(work)
