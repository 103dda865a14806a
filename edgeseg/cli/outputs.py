"""The flags that say where a stream's results go, and the outputs they open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from edgeseg.cli.console import note
from edgeseg.cli.stream_groups import OUTPUTS
from edgeseg_runtime.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from edgeseg_runtime.contract import Contract
    from edgeseg_runtime.sinks import Shot, Sink
    from edgeseg_runtime.sources import Source
    from edgeseg_runtime.zones.areas import ZoneShares

SNAPSHOTS = Path("snapshots")
"""Folder, where the stream was started or in that of its recordings, for pictures that somebody wanted kept."""


@Parameter(name="*", group=OUTPUTS)
@dataclass(frozen=True)
class OutputConfig:
    """Where results go; several at once if wanted."""

    window: bool = False
    """Show frames in a window (h: its keys, q: close). The default where there is a display and nothing else named."""
    video: Path | None = None
    """Write the annotated frames to this .mp4 (mp4v) or .avi (MJPG)."""
    video_fps: float | None = None
    """Its frame rate; the source's own if not given, 25 where the source tells none."""
    masks: Path | None = None
    """Write a PNG of class indices for every frame into this folder."""
    jsonl: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    """Write a JSON line for every frame, with each class's share of it, to this file; `-` is stdout."""
    jsonl_masks: bool = False
    """With --jsonl: also each object's mask, as COCO's RLE."""
    csv: Path | None = None
    """Write a row for every object of every frame to this file."""
    coco: Path | None = None
    """Write the objects of a recording, with their masks, to this JSON file as a COCO data set, when it is through."""
    virtual_camera: str | None = None
    """Show a live source as a camera of this machine, such as /dev/video9 (v4l2loopback). --opacity 0: without mask."""
    none: bool = False
    """Put out nothing, and only measure."""
    opacity: float = 0.5
    """Of the class colours over the frame, 0 to 1."""

    def __post_init__(self) -> None:
        if self.jsonl is not None and self.jsonl.startswith("-") and self.jsonl != "-":
            raise ConfigError(f"--jsonl needs a file, or - for stdout, got {self.jsonl!r}")
        if self.jsonl_masks and self.jsonl is None:
            raise ConfigError("--jsonl-masks needs --jsonl FILE")
        if self.none and self.named:
            raise ConfigError("--none cannot be combined with another output")
        if self.video_fps is not None and not 0 < self.video_fps <= 1000:
            raise ConfigError(f"--video-fps must be above 0 and at most 1000, got {self.video_fps}")

    @property
    def files(self) -> list[Path]:
        """The files and folders it writes."""
        jsonl = None if self.jsonl in (None, "-") else Path(self.jsonl or "")
        return [path for path in (self.video, self.masks, jsonl, self.csv, self.coco) if path is not None]

    @property
    def of_objects(self) -> list[str]:
        """The flags that were given and need a model that finds objects."""
        flags = {"--csv": self.csv, "--coco": self.coco, "--jsonl-masks": self.jsonl_masks or None}
        return [flag for flag, value in flags.items() if value is not None]

    @property
    def named(self) -> bool:
        """Whether an output was asked for."""
        places = (self.video, self.masks, self.jsonl, self.csv, self.coco, self.virtual_camera)
        return self.window or any(value is not None for value in places)


def open_sinks(
    config: OutputConfig,
    source: Source | None,
    contract: Contract,
    snapshots: Path = SNAPSHOTS,
    zones: Callable[[Shot], ZoneShares] | None = None,
) -> list[Sink[Any]]:
    """Open the outputs that are asked for; the window where none is and there is a display. No `source`: live ones.

    `snapshots` is the folder for pictures that are kept by a key in the window; `zones` measures what lines tell of
    zones.

    Raises OutputError when one cannot be opened, but a missing window only where it is the only one asked for, and
    ConfigError when one would overwrite the source.
    """
    from edgeseg_runtime.sinks import JsonLinesSink, MasksSink, VideoSink, WindowSink, window_problem
    from edgeseg_runtime.sinks.video import DEFAULT_FPS

    if source is not None:
        refuse_to_overwrite(config.files, source)
    sinks: list[Sink[Any]] = []
    told = None if source is None else source.fps
    if config.video is not None:
        sinks.append(VideoSink(config.video, config.video_fps or told or DEFAULT_FPS, keep_time=source is None))
    if config.masks is not None:
        sinks.append(MasksSink(config.masks, contract))
    if config.jsonl is not None:
        sinks.append(JsonLinesSink(config.jsonl, masks=config.jsonl_masks, zones=zones))
    if config.csv is not None or config.coco is not None:
        sinks += _object_sinks(config, contract)
    if config.virtual_camera is not None:
        from edgeseg_runtime.privacy.virtual_camera import VirtualCameraSink

        sinks.append(VirtualCameraSink(config.virtual_camera))
    if config.none or (sinks and not config.window):
        return sinks
    if (problem := window_problem()) is None:
        return [*sinks, WindowSink(config.opacity, keep_in(snapshots))]
    if config.window and not sinks:
        raise OutputError(f"{problem}; name another output: --video FILE.mp4, --masks FOLDER, --jsonl FILE or --none")
    note(f"no window: {problem}" + ("" if sinks else "; nothing is put out (name --video, --masks or --jsonl)"))
    return sinks


def _object_sinks(config: OutputConfig, contract: Contract) -> Iterator[Sink[Any]]:
    from edgeseg_runtime.sinks.objects import CocoRecordingSink, CsvSink

    if config.csv is not None:
        yield CsvSink(config.csv)
    if config.coco is not None:
        yield CocoRecordingSink(config.coco, contract)


def keep_in(folder: Path) -> Callable[[Shot], str]:
    """Return what keeps a shot's picture and mask in a folder, and tells the picture's name."""

    def keep(shot: Shot) -> str:
        from edgeseg_runtime.recording.snapshot import save_snapshot

        return str(save_snapshot(shot, folder, time()).picture)

    return keep


def refuse_to_overwrite(outputs: Sequence[Path], source: Source) -> None:
    """Raise ConfigError when an output is the file that is read, or the folder of the pictures that are read."""
    from edgeseg_runtime.sources import ImagesSource

    read = {Path(source.title).resolve()}
    if isinstance(source, ImagesSource):
        read |= {path.resolve().parent for path in source.paths} | {path.resolve() for path in source.paths}
    for output in outputs:
        if output.resolve() in read:
            raise ConfigError(f"{output} is what is being read; name another place for the output")
