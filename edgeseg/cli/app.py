"""The table of verbs, and what becomes of errors."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cyclopts import App, CycloptsError, MissingArgumentError, Parameter
from cyclopts.config import Dict, Toml, Yaml

from edgeseg import __version__
from edgeseg.cli import interrupts
from edgeseg.cli.console import error_line
from edgeseg_runtime.errors import ConfigError, EdgesegError

# The help lines stand here so that `edgeseg --help` imports no verb.
VERBS: dict[str, tuple[str, str]] = {
    "data": ("edgeseg.cli.data:data", "Look at labelled pictures, find what is wrong, divide, convert or fetch them."),
    "train": ("edgeseg.cli.train:train", "Train a model on labelled pictures."),
    "prune": ("edgeseg.cli.prune:prune", "Remove channels from a run's network and train it on."),
    "eval": ("edgeseg.cli.evaluate:evaluate", "Score a run or an exported file against labelled pictures."),
    "export": ("edgeseg.cli.export:export", "Write ONNX and OpenVINO files and prove that their masks are the same."),
    "sensitivity": ("edgeseg.cli.sensitivity:sensitivity", "Show what int8 costs and gains, layer by layer."),
    "parity": ("edgeseg.cli.parity:parity", "Compare the masks of an exported file with the original's."),
    "bench": ("edgeseg.cli.bench:bench", "Measure exported files on this machine."),
    "optimize": ("edgeseg.cli.optimize:optimize", "Search for the best model within a latency and accuracy budget."),
    "predict": ("edgeseg.cli.predict:predict", "Write masks for pictures."),
    "stream": ("edgeseg.cli.stream:stream", "Run a model live on a camera, a stream, a video or a folder."),
    "models": ("edgeseg.cli.models:models", "Show the architectures and what each costs."),
    "info": ("edgeseg.cli.info:info", "Show what is in a model file or a run."),
    "doctor": ("edgeseg.cli.doctor:doctor", "Show what this machine can run."),
    "demo": ("edgeseg.cli.demo:demo", "Do the whole job on the built-in pictures, offline."),
}

_TOP_FLAGS = ("--help", "-h", "--version")

INTERRUPTED = 130  # 128 + SIGINT, what shells expect
READER_GONE = 141  # 128 + SIGPIPE, likewise


def make_app(verb: str | None) -> App:
    """Return the application: with the one verb that will run, or with all of them, each with a line of help."""
    app = App(
        name="edgeseg",
        help="From labelled pictures to a live edge device without the masks going wrong on the way.",
        version=__version__,
        help_epilogue=(
            "`edgeseg VERB --help` shows its flags and an example; `--config FILE.yaml` (or .toml) gives flags.\n"
            "Exit codes: 0 done, 1 a gate or budget failed, 2 a mistake to mend, 130 stopped."
        )
        if verb is None
        else "",
        help_format="plaintext",
        # flags are off unless given, so `--no-…` twins would only lengthen the help
        default_parameter=Parameter(negative=()),
        suppress_keyboard_interrupt=False,  # `run` says what became of the work
    )
    for order, (name, (target, line)) in enumerate(VERBS.items()):
        if verb is None:
            app.command(target, name=name, help=line, sort_key=order)
        elif name == verb:
            app.command(target, name=name)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a verb and leave with its exit code: 0 done, 1 a gate or budget failed, 2 the user's mistake."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name need not be text; so it still is one in JSON
    signal.signal(signal.SIGTERM, _terminate)
    interrupts.watch()
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run a verb and return its exit code. Bugs keep their traceback."""
    try:
        rest, files = split_config(arguments)
        if rest and rest[0] not in (*VERBS, *_TOP_FLAGS):  # cyclopts would import every verb to say so
            raise ConfigError(f"unknown verb {rest[0]!r} (--help); choose one of {', '.join(VERBS)}")
        app = make_app(rest[0] if rest and rest[0] in VERBS else None)
        app.config = [_reader(file) for file in files]
        code = app(rest, exit_on_error=False, print_error=False, result_action="return_value")
    except MissingArgumentError as error:
        error_line(f"{_missing(error)} (--help shows what is allowed)")
        return 2
    except CycloptsError as error:
        error_line(_one_line(str(error)) + " (--help shows what is allowed)")
        return 2
    except EdgesegError as error:
        error_line(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        error_line("interrupted; nothing half-written was left behind")
        return INTERRUPTED
    except BrokenPipeError:  # also an OSError
        # whoever read the answer has seen enough (`| head`); Python would complain once more while it exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except OSError as error:
        if error.filename is None and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        place = f"{error.filename}: " if error.filename is not None else ""
        error_line(f"{place}{error.strerror}")  # a folder without permission, a full disk
        return 2
    return code if isinstance(code, int) else 0


def split_config(arguments: Sequence[str]) -> tuple[list[str], list[Path]]:
    """Take every `--config FILE` out of the arguments, wherever it stands.

    Raises ConfigError when the file is not there or of another kind than YAML or TOML.
    """
    rest: list[str] = []
    files: list[Path] = []
    tokens = iter(arguments)
    for token in tokens:
        if token == "--config":
            files.append(Path(next(tokens, "")))
        elif token.startswith("--config="):
            files.append(Path(token.partition("=")[2]))
        else:
            rest.append(token)
    for file in files:
        if file.suffix not in _READERS:
            raise ConfigError(f"--config takes a {', '.join(_READERS)} file, got {str(file)!r}")
        if not file.is_file():
            raise ConfigError(f"--config: there is no file {file}")
    return rest, files


_READERS = {".yaml": Yaml, ".yml": Yaml, ".toml": Toml}


def _reader(file: Path) -> Callable[[App, tuple[str, ...], Any], None]:
    """Return what takes flags from a flat file; an unknown flag in it is an error, as it is on the command line.

    The flags are handed over below the verb's own words, as cyclopts has it for a file with a part for each verb: of a
    flat file it would drop those that are named like a verb, such as `data`.
    """

    def take(app: App, commands: tuple[str, ...], arguments: Any) -> None:
        try:
            flags: Any = _READERS[file.suffix](file, must_exist=True).config
        except Exception as error:  # of the parser of the file's kind; none is imported before it is needed
            raise ConfigError(f"--config {file} cannot be read: {_one_line(str(error.__cause__ or error))}") from error
        for command in reversed(commands):
            flags = {command: flags}
        Dict(flags, source=str(file))(app, commands, arguments)

    return take


def _terminate(_signum: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _missing(error: MissingArgumentError) -> str:
    """Say what is missing: values of a flag that was given, or flags; cyclopts calls a group of them `*`."""
    argument = error.argument
    if argument is None:
        return _one_line(str(error))
    if error.keyword is not None:
        wanted, _ = argument.token_count()
        if wanted > 1:
            return f"{error.keyword} takes {wanted} values, got {' '.join(error.tokens_so_far) or 'none'}"
        return f"{error.keyword} takes a value; one that begins with - is written {error.keyword}=VALUE"
    flags = [child.name for child in argument.children if child.required and not child.has_tokens]
    return f"{', '.join(flags or [argument.name])} must be given"


def _one_line(text: str) -> str:
    return " ".join(text.split())
