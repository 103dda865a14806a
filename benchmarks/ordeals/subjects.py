"""Who is put through the ordeals, and where each is found."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeseg_runtime.errors import ConfigError


@dataclass(frozen=True)
class Subject:
    """A program that reads live cameras."""

    name: str
    driver: str
    """Its module in `ordeals.drivers`."""
    what: str
    """What exactly is run."""
    install: str = ""
    """The pip line for its own environment; empty: it runs in this one."""
    has_viewer: bool = False
    no_viewer: str = ""
    """Why it has none."""


SUBJECTS = (
    Subject("edgeseg", "edgeseg", "what `edgeseg stream` puts together, its defaults", has_viewer=True),
    Subject(
        "ultralytics",
        "ultralytics",
        "`YOLO('yolo11n-seg.yaml').predict(source, stream=True, imgsz=160)`, random weights",
        "pip install ultralytics",
        no_viewer="predict() shows in a window of the desktop or not at all",
    ),
    Subject(
        "inference",
        "inference_pipeline",
        "`InferencePipeline.init_with_custom_logic`, its defaults, no model",
        "pip install inference",
        no_viewer="InferencePipeline hands results to a function and serves no pages",
    ),
    Subject(
        "opencv",
        "opencv",
        "`cv2.VideoCapture`, read() until it fails, no model",
        no_viewer="a loop has only what is written into it",
    ),
)


def find_python(subject: Subject, folder: Path, given: Mapping[str, Path]) -> Path | None:
    """Return the Python that has it: `given` by name, FOLDER/NAME/bin/python, or this one; None: not installed.

    Raises ConfigError where one is given and is not there.
    """
    if subject.name in given:
        if not given[subject.name].is_file():
            raise ConfigError(f"--python {subject.name}={given[subject.name]}: no such file")
        return given[subject.name]
    if not subject.install:
        return Path(sys.executable)
    python = folder / subject.name / "bin" / "python"
    return python if python.is_file() else None
