"""Import OpenVINO without its telemetry, and keep one core of it."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from edgeseg_runtime.extras import require


def load_openvino() -> Any:
    """Return the openvino module. Raises MissingExtraError.

    Importing OpenVINO reports that import to its makers unless the user has declined beforehand, from a process forked
    beside running threads: without a network, or by bad luck, that process hangs and the program never exits. A device
    must do neither. With its telemetry package out of reach OpenVINO uses the stub it brings for that case.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return require("openvino", "openvino")


@cache
def openvino_core() -> Any:
    """Return the program's one `openvino.Core`. Raises MissingExtraError.

    A core that computes on the processor gives its thread a stack for signal handlers, takes it back when it goes, and
    puts the one before in its place, whether that is still there or not. Of two cores that go in the order they came,
    the second leaves a stack that the first has freed: the next Ctrl-C ends the program with a segmentation fault
    (OpenVINO 2026.4). A core that stays has no such end.
    """
    return load_openvino().Core()
