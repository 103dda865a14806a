"""Make a measuring script's function the script's command."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from cyclopts import App, Parameter

from edgeseg_runtime.errors import EdgesegError


def run_command(measure: Callable[..., int | None]) -> None:
    """Call `measure` with what the command line says, and exit with what it returns, or with an error's one line."""
    app = App(default_command=measure, help_format="plaintext", default_parameter=Parameter(negative=()))
    try:
        sys.exit(app(result_action="return_value"))
    except EdgesegError as error:
        sys.exit(f"{Path(sys.argv[0]).stem}: {error}")
