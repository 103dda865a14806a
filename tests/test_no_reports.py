"""ONNX Runtime tells its makers of each session unless it is stopped before it is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgeseg_runtime.contract import Contract
from tests.conftest import TinyModel

SCRIPT = """
import sys
{imports}
from edgeseg_runtime import Segmenter
Segmenter.load(sys.argv[1])
"""


@pytest.mark.parametrize(
    "imports",
    ["", "import edgeseg_export.onnx_file", "import edgeseg_export.ranges", "import edgeseg_bench.naive"],
    ids=["runtime", "export", "ranges", "bench"],
)
def test_loading_a_model_leaves_no_report_behind(
    tmp_path: Path, tiny_model: TinyModel, colour_contract: Contract, imports: str
) -> None:
    model = tiny_model(colour_contract, tmp_path / "model.onnx")
    home = tmp_path / "home"
    home.mkdir()
    # CI switches the telemetry off by itself, which would hide that we do
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    surroundings = kept | {"HOME": str(home), "TMPDIR": str(home), "XDG_CACHE_HOME": str(home)}
    script = SCRIPT.format(imports=imports)
    subprocess.run([sys.executable, "-c", script, model], env=surroundings, timeout=120, check=True)
    assert [path for path in home.rglob("*") if path.is_file()] == []


def test_who_wants_the_reports_can_have_them() -> None:
    script = "import edgeseg_runtime, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    surroundings = os.environ | {"ORT_DISABLE_TELEMETRY": "0"}
    done = subprocess.run([sys.executable, "-c", script], env=surroundings, capture_output=True, timeout=60, check=True)
    assert done.stdout.split() == [b"0"]
