from __future__ import annotations

import os
import subprocess
import sys

SCRIPT = """
import sys
from edgeseg_runtime.engines import ENGINES
ENGINES["openvino"].capabilities()
import openvino.tools.ovc.telemetry_utils as utils
print(sys.modules["openvino_telemetry"], utils.tm.__name__)
"""


def test_the_engine_runs_without_openvinos_telemetry() -> None:
    # CI switches the telemetry off by itself, which would hide that we do
    surroundings = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=surroundings, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["None", "openvino.tools.ovc.telemetry_stub"]
