"""The same live-camera ordeals for edgeseg and for others, as a table.

    python -m venv runs/peers/ultralytics && runs/peers/ultralytics/bin/pip install ultralytics
    python -m venv runs/peers/inference   && runs/peers/inference/bin/pip install inference
    python benchmarks/peers.py runs/camvid/export/openvino-int8

Each subject runs in a Python of its own, FOLDER/NAME/bin/python, and only its driver there imports it: none of them is
a dependency of this project. Cameras are RTSP servers in this process whose pictures tell when they were made, so
everything is judged from the outside, by what is given out, told, printed, and by the process itself. A whole run takes
about eleven minutes and wants an otherwise idle machine.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

from cyclopts import Parameter

from command_line import run_command
from edgeseg.cli.console import note
from edgeseg_bench.report import circumstances, load_average
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.files import write_json
from edgeseg_runtime.segmenter import model_file
from ordeals.catalogue import ORDEALS
from ordeals.running import CannotStart
from ordeals.stage import NeverLive, Ordeal, Stage
from ordeals.subjects import SUBJECTS, Subject, find_python
from ordeals.table import markdown

RESULT = Path(__file__).parent / "results" / "peers.json"
Results = dict[str, dict[str, dict[str, Any]]]


@Parameter(name="*", negative_iterable=())
@dataclass(frozen=True)
class PeersConfig:
    """Who is put through what."""

    peers: Path = Path("runs/peers")
    """Folder of virtual environments, one for each peer, named after it."""
    python: Annotated[tuple[str, ...], Parameter(show_default=False)] = ()
    """NAME=PATH of a subject's Python, where it is elsewhere. Repeatable."""
    only: Annotated[tuple[str, ...], Parameter(show_default=False)] = ()
    """Name or number of an ordeal; all if not given. Repeatable."""
    subject: Annotated[tuple[str, ...], Parameter(show_default=False)] = ()
    """Name of a subject; all if not given. Repeatable."""
    out: Path | None = None
    """JSON file to write; if not given, benchmarks/results/peers.json after a whole run, none after a part of it."""

    def ordeals(self) -> list[Ordeal]:
        """Return those that are wanted. Raises ConfigError for one that does not exist."""
        names = {key: ordeal for ordeal in ORDEALS for key in (ordeal.name, str(ordeal.number))}
        for name in self.only:
            if name not in names:
                known = ", ".join(f"{ordeal.name} ({ordeal.number})" for ordeal in ORDEALS)
                raise ConfigError(f"no ordeal {name!r}; there are {known}")
        wanted = [names[name] for name in self.only] or list(ORDEALS)
        return [ordeal for ordeal in ORDEALS if ordeal in wanted]

    def subjects(self) -> list[Subject]:
        """Return those that are wanted. Raises ConfigError for one that does not exist."""
        known = [subject.name for subject in SUBJECTS]
        for name in (*self.subject, *self.pythons()):
            if name not in known:
                raise ConfigError(f"no subject {name!r}; there are {', '.join(known)}")
        return [subject for subject in SUBJECTS if not self.subject or subject.name in self.subject]

    def file(self) -> Path | None:
        """Return where the answer goes."""
        return self.out or (None if self.only or self.subject else RESULT)

    def pythons(self) -> dict[str, Path]:
        """Return the Pythons that are given, by subject. Raises ConfigError."""
        pairs = [text.partition("=") for text in self.python]
        for name, equals, path in pairs:
            if not (name and equals and path):
                raise ConfigError(f"--python is NAME=PATH, got {name + equals + path!r}")
        return {name: Path(path).expanduser() for name, _, path in pairs}


DEFAULTS = PeersConfig()


def measure(model: Path, /, *, config: PeersConfig = DEFAULTS) -> None:
    """Put every subject through every ordeal, and print a table; MODEL is an exported one, for edgeseg.

    For example:

      python benchmarks/peers.py runs/camvid/export/openvino-int8 --only gone --only 6 --subject edgeseg
    """
    model_file(model)
    ordeals, subjects = config.ordeals(), config.subjects()
    stages = find(subjects, model, config)
    before, began = load_average(), monotonic()
    results: Results = {ordeal.name: go_through(ordeal, stages) for ordeal in ordeals}
    table = markdown(ordeals, [subject.name for subject in subjects], results)
    versions = {stage.subject.name: stage.versions for stage in stages}
    answer = {
        **circumstances(before),
        "seconds": round(monotonic() - began, 1),
        "model": model_file(model).as_posix(),
        "subjects": {
            subject.name: {
                "what": subject.what,
                "install": subject.install,
                "versions": versions.get(subject.name),
            }
            for subject in subjects
        },
        "ordeals": {ordeal.name: (sys.modules[ordeal.run.__module__].__doc__ or "").strip() for ordeal in ordeals},
        "results": results,
        "table": table.splitlines(),
    }
    print(table)
    if (out := config.file()) is not None:
        write_json(out, answer)
        note(f"{out}: written, after {answer['seconds']} s")


def find(subjects: Sequence[Subject], model: Path, config: PeersConfig) -> list[Stage]:
    """Return a stage for each subject that is installed; tell of the others."""
    stages = []
    for subject in subjects:
        python = find_python(subject, config.peers, config.pythons())
        if python is None:
            where = config.peers / subject.name
            note(f"{subject.name}: not run; make it with: python -m venv {where} && {where}/bin/{subject.install}")
        else:
            stages.append(Stage(subject, python, model))
    return stages


def go_through(ordeal: Ordeal, stages: Sequence[Stage]) -> dict[str, dict[str, Any]]:
    """Run one ordeal on every stage, one after the other unless it is one that is only waited through."""
    if not ordeal.together:
        return {stage.subject.name: put_through(ordeal, stage) for stage in stages}
    with ThreadPoolExecutor(max(1, len(stages))) as pool:
        try:
            figures = list(pool.map(lambda stage: put_through(ordeal, stage), stages))
        except BaseException:  # ctrl-C, above all: the pool waits for its threads
            for stage in stages:
                stage.abort()
            raise
    return {stage.subject.name: one for stage, one in zip(stages, figures, strict=True)}


def put_through(ordeal: Ordeal, stage: Stage) -> dict[str, Any]:
    """Run one ordeal on one subject; where it could not begin, `problem` says why."""
    began = monotonic()
    try:
        figures = ordeal.run(stage)
    except (NeverLive, CannotStart) as why:
        figures = {"problem": str(why)}
    except OSError as why:  # of this machine: no reason to lose what was measured before
        figures = {"problem": f"could not be run: {why}"}
    figures["took_seconds"] = round(monotonic() - began, 1)
    note(f"{ordeal.name}: {stage.subject.name}: {figures.get('problem') or ordeal.cell(figures)}")
    return figures


if __name__ == "__main__":
    run_command(measure)
