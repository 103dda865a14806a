"""Import OpenVINO without its telemetry."""

from __future__ import annotations

import sys
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
