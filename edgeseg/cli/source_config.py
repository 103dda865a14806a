"""The flags that say what is streamed, and what they mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated
from urllib.parse import urlsplit

from cyclopts import Parameter

from edgeseg.cli.stream_groups import SOURCE
from edgeseg_runtime.errors import ConfigError

RECORDING_SUFFIXES = (".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".ogv", ".ts", ".webm", ".wmv")
"""What an http address ends in that is a file to be worked through, and not a camera."""

_NAME = re.compile(r"(?P<name>[A-Za-z][\w-]*)=(?P<spec>.+)", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class NamedSource:
    """One thing to stream."""

    name: str
    """Unique; what events, zones and several cameras' files call it."""
    spec: str
    """A URL, a path or a glob; for a camera of this machine, its number."""
    live: bool
    """Whether its newest frame matters; any other gives every frame once."""


@Parameter(name="*", group=SOURCE)
@dataclass(frozen=True)
class SourceConfig:
    """What to stream."""

    source: Annotated[tuple[str, ...], Parameter(show_default=False, negative_iterable=())] = ()
    """A video, picture, folder, glob in quotes, or URL, named if wanted: door=rtsp://10.0.0.7/1; several if live."""
    camera: Annotated[tuple[int, ...], Parameter(show_default=False, negative_iterable=())] = ()
    """A camera of this machine, by number; 0 is the first."""
    limit: int | None = None
    """End after this many frames."""

    def __post_init__(self) -> None:
        sources = self.sources
        names = [source.name for source in sources]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ConfigError(f"two sources are called {min(repeated)!r}; name them apart: --source NAME=URL")
        if len(sources) > 1 and (recording := next((source for source in sources if not source.live), None)):
            raise ConfigError(f"only cameras and live streams can be several, and {recording.spec!r} is a recording")

    @property
    def sources(self) -> list[NamedSource]:
        """What is to be streamed, by name."""
        found = [_understand(text, f"source{place}") for place, text in enumerate(self.source, 1)]
        return found + [NamedSource(f"camera{number}", str(number), live=True) for number in self.camera]


def _understand(text: str, name: str) -> NamedSource:
    if (named := _NAME.fullmatch(text)) and ("://" in named["spec"] or _only_named(text, named["spec"])):
        return NamedSource(named["name"], named["spec"], is_live(named["spec"]))
    if (given := text.partition("://")[0]) != text and "=" in given:
        name = given.rpartition("=")[0]
        raise ConfigError(f"--source {name!r}=…: a name is letters, digits, - and _, and begins with a letter")
    return NamedSource(name, text, is_live(text))


def _only_named(text: str, spec: str) -> bool:
    """Whether a text is a name and a path, and not a path with an equals sign in it."""
    return Path(spec).exists() and not Path(text).exists()


def is_live(spec: str) -> bool:
    """Tell whether a URL is a camera: not if it is an http address of a video file. Paths are never live."""
    if spec.startswith("/dev/"):
        return True
    if "://" not in spec:
        return False
    try:
        parts = urlsplit(spec)
    except ValueError:  # a bracket left open: whoever opens it says so
        return True
    recording = PurePosixPath(parts.path).suffix.lower() in RECORDING_SUFFIXES
    return not (recording and parts.scheme.lower() in ("http", "https"))
