"""`edgeseg stream` on a recording: a video, pictures, or the http address of a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeseg.cli.console import answer_json, note
from edgeseg.cli.live_line import RecordingLine, area_texts, count_texts, live_line, summary_text
from edgeseg.cli.loading import engine_facts, load_segmenter
from edgeseg.cli.objects_config import check_objects
from edgeseg.cli.outputs import open_sinks, refuse_to_overwrite
from edgeseg_runtime.errors import ConfigError

if TYPE_CHECKING:
    from edgeseg.cli.stream_config import StreamConfig
    from edgeseg_runtime.chronicle import Chronicle
    from edgeseg_runtime.stats import StreamSummary
    from edgeseg_runtime.stream import Stop
    from edgeseg_runtime.zones.polygon import Zone

INTERRUPTED = 130


def stream_recording(config: StreamConfig, stop: Stop) -> int:
    """Stream until the end, say what was done, and return the exit code."""
    from edgeseg_runtime.instances.following import Watchful
    from edgeseg_runtime.sources import open_source
    from edgeseg_runtime.stream import StreamOptions, run_stream

    followed, events, outputs = config.objects.followed, config.happening.events, config.outputs
    zones = _zones(config)
    source = open_source(config.what.sources[0].spec)
    segmenter, lanes = load_segmenter(config.model, config.engine)
    wanted = [*([config.objects.flag] if followed else []), *outputs.of_objects]
    check_objects(wanted, segmenter.contract, segmenter.path)
    options = StreamOptions(lanes, config.what.limit, outputs.opacity)
    if events is not None:
        refuse_to_overwrite([Path(events)], source)
        if not outputs.named:
            outputs = replace(outputs, none=True)  # no window that nobody asked for
    chronicle = _chronicle(config, zones) if zones or followed else None
    sinks = open_sinks(outputs, source, segmenter.contract, zones=chronicle.shares if chronicle and zones else None)
    if chronicle is not None:
        sinks.append(chronicle)
        options = replace(options, follow=chronicle.follow if followed else None)
    model = Watchful(segmenter) if followed else segmenter
    with live_line(RecordingLine) as watch:
        summary = run_stream(source, model, sinks, options, stop=stop, watch=watch)
    for remark in summary.remarks:
        note(f"note: {remark}")
    if config.json:
        answer_json({**engine_facts(segmenter, config.engine, lanes), **summary.as_dict(), **_facts(chronicle)})
    else:
        _tell(config, summary, chronicle)
    if summary.ended != "interrupted":
        return 0
    note(f"interrupted after {summary.emitted} frames; the outputs hold what was done")
    return INTERRUPTED


def _zones(config: StreamConfig) -> tuple[Zone, ...]:
    """Return the recording's zones: those of the camera with its name, or of the only camera in the file."""
    path, name = config.happening.zones, config.what.sources[0].name
    if path is None:
        return ()
    from edgeseg_runtime.zones.file import load_zones

    cameras, remarks = load_zones(path)
    for remark in remarks:
        note(f"note: {remark}")
    cameras = {camera: zones for camera, zones in cameras.items() if zones}
    if not cameras:
        raise ConfigError(f"--zones: {path} has no zones; draw some with --web on a camera, or write them")
    if name in cameras:
        return cameras[name]
    if len(cameras) > 1:
        raise ConfigError(f"--zones: {path} is about {', '.join(cameras)}; say which made this: --source NAME=FILE")
    return next(iter(cameras.values()))


def _chronicle(config: StreamConfig, zones: tuple[Zone, ...]) -> Chronicle:
    from edgeseg_runtime.chronicle import Chronicle
    from edgeseg_runtime.instances.following import Following
    from edgeseg_runtime.sinks.lines import LineFile

    events, objects = config.happening.events, config.objects
    following = Following(lines=objects.lines) if objects.followed else None
    lines = None if events is None else LineFile(events)
    return Chronicle(config.what.sources[0].name, zones, following, lines)


def _facts(chronicle: Chronicle | None) -> dict[str, Any]:
    """Return what was counted and measured, for a JSON answer."""
    facts: dict[str, Any] = {}
    if chronicle is not None and chronicle.counts is not None:
        facts["counts"] = chronicle.counts.as_dict()
    if chronicle is not None and chronicle.areas:
        facts["zones"] = chronicle.areas
    return facts


def _tell(config: StreamConfig, summary: StreamSummary, chronicle: Chronicle | None) -> None:
    note(summary_text(summary))
    if chronicle is not None:
        counted = [] if chronicle.counts is None else count_texts(chronicle.counts)
        for line in [*counted, *area_texts(chronicle.areas)]:
            note(f"  {line}")
    events = config.happening.events
    written = [str(path) for path in config.outputs.files] + ([events] if events not in (None, "-") else [])
    if written and summary.emitted:
        note(f"  wrote {', '.join(written)}")
