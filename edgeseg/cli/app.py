"""The table of verbs, and what becomes of errors."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from edgeseg import __version__
from edgeseg.cli.console import error_line
from edgeseg_runtime.errors import EdgesegError

# The help lines stand here so that `edgeseg --help` imports no verb.
VERBS: dict[str, tuple[str, str]] = {
    "train": ("edgeseg.cli.train:train", "Train a model on labelled pictures."),
    "eval": ("edgeseg.cli.evaluate:evaluate", "Score a run or an exported file against labelled pictures."),
    "export": ("edgeseg.cli.export:export", "Write ONNX and OpenVINO files and prove that their masks are the same."),
    "parity": ("edgeseg.cli.parity:parity", "Compare the masks of an exported file with the original's."),
    "bench": ("edgeseg.cli.bench:bench", "Measure exported files on this machine."),
    "predict": ("edgeseg.cli.predict:predict", "Write masks for pictures."),
    "stream": ("edgeseg.cli.stream:stream", "Run a model live on a camera, a stream, a video or a folder."),
    "info": ("edgeseg.cli.info:info", "Show what is in a model file or a run."),
    "doctor": ("edgeseg.cli.doctor:doctor", "Show what this machine can run."),
    "demo": ("edgeseg.cli.demo:demo", "Do the whole job on the built-in pictures, offline."),
}

INTERRUPTED = 130  # 128 + SIGINT, what shells expect

app = App(
    name="edgeseg",
    help="From labelled pictures to a live edge device without the masks going wrong on the way.",
    version=__version__,
    help_epilogue="Exit codes: 0 done, 1 a gate or budget failed, 2 a mistake to mend. Examples: `edgeseg VERB -h`.",
)
for _order, (_name, (_target, _help)) in enumerate(VERBS.items()):
    app.command(_target, name=_name, help=_help, sort_key=_order)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a verb and leave with its exit code: 0 done, 1 a gate or budget failed, 2 the user's mistake."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run a verb and return its exit code. Bugs keep their traceback."""
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        error_line(_one_line(str(error)) + " (--help shows what is allowed)")
        return 2
    except EdgesegError as error:
        error_line(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        error_line("interrupted; nothing half-written was left behind")
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def _terminate(_signum: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _one_line(text: str) -> str:
    return " ".join(text.split())
