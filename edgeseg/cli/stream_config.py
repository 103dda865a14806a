"""The flags of `edgeseg stream`, and which go together."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cyclopts import Parameter

from edgeseg.cli.live_config import LiveConfig
from edgeseg.cli.loading import EngineConfig
from edgeseg.cli.objects_config import ObjectConfig
from edgeseg.cli.outputs import OutputConfig
from edgeseg.cli.outward_config import EventConfig
from edgeseg.cli.source_config import SourceConfig
from edgeseg.cli.stream_groups import STREAM
from edgeseg_runtime.errors import ConfigError


@Parameter(name="*", group=STREAM)
@dataclass(frozen=True)
class StreamConfig:
    """What to stream."""

    model: Path
    """An .onnx or OpenVINO .xml file, or a folder that holds one."""
    what: SourceConfig = field(default_factory=SourceConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    outputs: OutputConfig = field(default_factory=OutputConfig)
    objects: ObjectConfig = field(default_factory=ObjectConfig)
    happening: EventConfig = field(default_factory=EventConfig)
    live: LiveConfig = field(default_factory=LiveConfig)
    json: bool = False
    """Print the summary as JSON on stdout."""

    def __post_init__(self) -> None:
        writers = [
            ("--json", self.json),
            ("--jsonl -", self.outputs.jsonl == "-"),
            ("--events -", self.happening.events == "-"),
        ]
        if len(on_stdout := [flag for flag, wanted in writers if wanted]) > 1:
            raise ConfigError(f"{' and '.join(on_stdout)} both write to stdout; give all but one a file")
        sources = self.what.sources
        if not sources:
            raise ConfigError("name what to stream with --source or --camera")
        virtual = ["--virtual-camera"] if self.outputs.virtual_camera is not None else []
        if not sources[0].live and (flags := [*self.live.named(), *virtual]):
            raise ConfigError(f"{flags[0]} is for cameras and live streams, and {sources[0].spec} is a recording")
        nothing_happens = self.happening.zones is None and not self.objects.count_line
        if not sources[0].live and self.happening.events is not None and nothing_happens:
            raise ConfigError("what happens in a recording happens in --zones or at a --count-line; --events needs one")
        if sources[0].live and self.outputs.coco is not None:
            raise ConfigError("--coco holds a recording, which has an end; --jsonl and --csv follow cameras")
        if len(sources) > 1 and self.outputs.video is not None:
            raise ConfigError("--video holds one camera; --record FOLDER writes files for each")
        if len(sources) > 1 and virtual:
            raise ConfigError("--virtual-camera shows one camera, and several are given")
        self.live.cameras.check([source.spec for source in sources])
