"""The process that runs a model: `python -m edgeseg_runtime.serving.worker`.

It loads what it is told under a limit of memory, proves it on a black picture, says what it has, and then turns the
picture in the shared memory into a mask there, once for each message. The parent resizes: so the memory is of one size
for the life of the process, whatever the cameras do.

A message is {size, camera, frame, at}: which of the input sizes the picture has; whose frame it is, its height and
width, and when it was captured, null for one that stands for itself.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np

from edgeseg_runtime.errors import EdgesegError
from edgeseg_runtime.processes.inside import serve
from edgeseg_runtime.processes.link import Link
from edgeseg_runtime.processes.memory import SharedMemory
from edgeseg_runtime.serving.canvas import Canvas
from edgeseg_runtime.serving.load import Served, line_of, load
from edgeseg_runtime.serving.spec import ModelSpec


def work(link: Link) -> None:
    """Serve one model until the parent hangs up."""
    message = _next(link)[0]
    try:
        served, facts = load(ModelSpec.from_dict(message["spec"]), message["memory_bytes"])
        link.send(facts)
    except Exception as error:  # whatever an engine raises, the parent is told and ends this process
        link.send(_told(error))
        _next(link)
        return
    sizes = [contract.size for _, contract in served.ways]
    _, fds = _next(link)
    canvas = Canvas(SharedMemory(fds[0], Canvas.length(sizes)), sizes)
    while True:
        message = _next(link)[0]
        try:
            link.send(_answer(served, canvas, message))
        except Exception as error:  # the parent decides what it makes of the engine
            link.send(_told(error))


def _answer(served: Served, canvas: Canvas, message: dict[str, Any]) -> dict[str, float]:
    """Turn the picture in the memory into a mask there; return the seconds of each stage."""
    place = message["size"]
    lane, contract = served.ways[place]
    image = canvas.images[place]
    started = perf_counter()
    raw = lane.infer(image)
    inferred = perf_counter()
    if served.smoothing is not None and message["at"] is not None:
        frame = message["frame"][0], message["frame"][1]
        raw = served.smoothing.smooth(raw, image, contract, message["camera"], frame, message["at"])
    np.copyto(canvas.masks[place], lane.decode(raw, *contract.size))
    return {"infer": inferred - started, "decode": perf_counter() - inferred}


def _told(error: Exception) -> dict[str, str]:
    return {"error": type(error).__name__ if isinstance(error, EdgesegError) else "", "line": line_of(error)}


def _next(link: Link) -> tuple[dict[str, Any], list[int]]:
    message = link.receive()
    assert message is not None  # without a timeout there is always one
    return message


if __name__ == "__main__":
    serve(work)
