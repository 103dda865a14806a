"""The frames a second of `edgeseg stream` over a recording, as the verb itself tells them."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

from edgeseg.cli import app as cli
from edgeseg_runtime.errors import EdgesegError


def recording_fps(model: Path, clip: Path, *outputs: str) -> float:
    """Run the verb in this process, with flags for its outputs. Raises EdgesegError when it fails."""
    answer = io.StringIO()
    with contextlib.redirect_stdout(answer):
        code = cli.run(["stream", "--model", str(model), "--source", str(clip), *outputs, "--json"])
    if code != 0:
        raise EdgesegError(f"edgeseg stream ended with {code}")
    return float(json.loads(answer.getvalue())["fps"])
