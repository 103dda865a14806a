"""The process that runs a model: `python -m edgeseg_runtime.serving.worker`.

It loads what it is told under a limit of memory, proves it on a black picture, says what it has, and then turns the
picture in the shared memory into a mask or objects there, once for each message. The parent resizes: so the memory is
of one size for the life of the process, whatever the cameras do. Objects are small: they leave with their places in the
camera's own frame. Masks leave at the input's size.

A message is {size, camera, frame, at}: which of the input sizes the picture has; whose frame it is, its height and
width, and when it was captured, null for one that stands for itself.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np

from edgeseg_runtime.errors import EdgesegError
from edgeseg_runtime.instances.result import InstanceResult
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
    task = served.ways[-1][1].task
    canvas = Canvas(SharedMemory(fds[0], Canvas.length(sizes, task)), sizes, task)
    while True:
        message = _next(link)[0]
        try:
            link.send(_answer(served, canvas, message))
        except Exception as error:  # the parent decides what it makes of the engine
            link.send(_told(error))


def _answer(served: Served, canvas: Canvas, message: dict[str, Any]) -> dict[str, float]:
    """Turn the picture in the memory into a mask or objects there; return the seconds of each stage.

    And the number of objects, where the model finds such.
    """
    place = message["size"]
    lane, contract = served.ways[place]
    image = canvas.images[place]
    started = perf_counter()
    raw = lane.infer(image)
    inferred = perf_counter()
    height, width = message["frame"]
    if served.smoothing is not None and message["at"] is not None:
        frame, camera = (height, width), message["camera"]
        raw = (served.smoothing.smooth(raw[0], image, contract, camera, frame, message["at"]),)
    found: dict[str, float] = {}
    if canvas.objects is None:
        np.copyto(canvas.masks[place], lane.decode(raw, *contract.size).mask)
    else:
        result = lane.decode(raw, height, width)
        assert isinstance(result, InstanceResult)
        found["objects"] = canvas.objects.put(result)
    return {"infer": inferred - started, "decode": perf_counter() - inferred, **found}


def _told(error: Exception) -> dict[str, str]:
    return {"error": type(error).__name__ if isinstance(error, EdgesegError) else "", "line": line_of(error)}


def _next(link: Link) -> tuple[dict[str, Any], list[int]]:
    message = link.receive()
    assert message is not None  # without a timeout there is always one
    return message


if __name__ == "__main__":
    serve(work)
