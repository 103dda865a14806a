"""The status of a stream in Prometheus' text format, version 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgeseg_runtime.instances.counts import Counts
from edgeseg_runtime.live.status import CameraStatus, ModelStatus, OutputStatus, Percentiles, Status
from edgeseg_runtime.telemetry.process import process_figures

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

STATES = ("connecting", "live", "stalled", "frozen", "reconnecting", "failed")

_FAMILIES: dict[str, tuple[str, str]] = {
    "edgeseg_uptime_seconds": ("gauge", "Seconds since the stream was started."),
    "edgeseg_model_info": ("gauge", "The model that serves now; always 1."),
    "edgeseg_model_degraded": ("gauge", "1 while the model failed five times or more in the last minute."),
    "edgeseg_model_restarts_total": ("counter", "Restarts of the engine after it hung or died."),
    "edgeseg_model_smoothed": ("gauge", "1 where masks are smoothed over time."),
    "edgeseg_model_frames_total": ("counter", "Frames by the model's input size, where that adapts to load."),
    "edgeseg_captured_total": ("counter", "Frames that the camera gave."),
    "edgeseg_frames_total": ("counter", "Captured frames by what became of them; with those in flight they add up."),
    "edgeseg_dropped_total": ("counter", "Dropped frames by cause."),
    "edgeseg_frames_in_flight": ("gauge", "Captured frames that are not yet decided about."),
    "edgeseg_source_info": ("gauge", "What the camera is, without credentials; always 1."),
    "edgeseg_source_state": ("gauge", "1 for the state that the camera is in, 0 for the others."),
    "edgeseg_source_state_seconds": ("gauge", "Seconds since the camera came into its state."),
    "edgeseg_captured_fps": ("gauge", "Frames captured a second, over the last seconds."),
    "edgeseg_shown_fps": ("gauge", "Frames put out a second, over the last seconds."),
    "edgeseg_picture_age_seconds": ("gauge", "Age of the picture when put out, over the whole stream."),
    "edgeseg_mask_age_seconds": ("gauge", "Age of the picture that the mask was made from, over the whole stream."),
    "edgeseg_objects": ("gauge", "Objects in the newest result, by class."),
    "edgeseg_line_crossed_total": ("counter", "Objects that went over the line, by direction and class."),
    "edgeseg_zone_objects": ("gauge", "Objects that stand in the zone, by class."),
    "edgeseg_zone_entered_total": ("counter", "Objects that came into the zone, by class."),
    "edgeseg_stage_seconds": ("gauge", "Time that a frame spends in a stage, over the whole stream."),
    "edgeseg_output_written_total": ("counter", "Frames given to the output."),
    "edgeseg_output_dropped_total": ("counter", "Frames that the output did not get, by cause."),
    "edgeseg_output_failing": ("gauge", "1 while the output's last attempt failed."),
    "process_resident_memory_bytes": ("gauge", "Memory that the process holds; capture runs in processes of its own."),
    "process_cpu_seconds_total": ("counter", "Processor time, user and system."),
    "process_open_fds": ("gauge", "Open file descriptors."),
    "process_max_fds": ("gauge", "File descriptors that it may open."),
    "process_threads": ("gauge", "Threads."),
}

_Sample = tuple[str, Mapping[str, str], float]


def metrics_text(status: Status) -> str:
    """Return the whole page. Figures that were not measured are left out, never 0; durations are in seconds."""
    samples: dict[str, list[str]] = {}
    for name, labels, value in _samples(status):
        samples.setdefault(name, []).append(f"{name}{_labels(labels)} {_number(value)}\n")
    return "".join(
        f"# HELP {name} {about}\n# TYPE {name} {kind}\n{''.join(samples[name])}"
        for name, (kind, about) in _FAMILIES.items()
        if name in samples
    )


def _samples(status: Status) -> Iterator[_Sample]:
    yield "edgeseg_uptime_seconds", {}, status.uptime_seconds
    yield from _model(status.model)
    for camera in status.cameras:
        yield from _camera(camera)
    for stage, spread in status.stages.items():
        yield from _quantiles("edgeseg_stage_seconds", {"stage": stage}, spread)
    for output in status.outputs:
        yield from _output(output)
    for name, value in process_figures().items():
        yield f"process_{name}", {}, value


def _model(model: ModelStatus) -> Iterator[_Sample]:
    facts = {"name": model.name, "engine": model.engine, "device": model.device, "precision": model.precision}
    yield "edgeseg_model_info", facts, 1
    yield "edgeseg_model_degraded", {}, model.degraded
    yield "edgeseg_model_restarts_total", {}, model.restarts
    yield "edgeseg_model_smoothed", {}, model.smoothed
    for size, count in model.sizes.items():
        yield "edgeseg_model_frames_total", {"size": size}, count


def _camera(camera: CameraStatus) -> Iterator[_Sample]:
    name, account = {"camera": camera.name}, camera.account
    yield "edgeseg_captured_total", name, account.captured
    fates = {"inferred": account.inferred, "reused": account.reused, "failed": account.failed}
    for fate, count in {**fates, "dropped": sum(account.dropped.values())}.items():
        yield "edgeseg_frames_total", {**name, "fate": fate}, count
    for cause, count in account.dropped.items():
        yield "edgeseg_dropped_total", {**name, "cause": cause}, count
    yield "edgeseg_frames_in_flight", name, account.in_flight
    yield "edgeseg_source_info", {**name, "title": camera.title}, 1
    for state in dict.fromkeys((*STATES, camera.state)):
        yield "edgeseg_source_state", {**name, "state": state}, state == camera.state
    yield "edgeseg_source_state_seconds", name, camera.seconds_in_state
    yield "edgeseg_captured_fps", name, camera.captured_fps
    yield "edgeseg_shown_fps", name, camera.shown_fps
    yield from _quantiles("edgeseg_picture_age_seconds", name, camera.picture_age)
    yield from _quantiles("edgeseg_mask_age_seconds", name, camera.mask_age)
    if camera.counts is not None:
        yield from _counts(name, camera.counts)


def _counts(name: Mapping[str, str], counts: Counts) -> Iterator[_Sample]:
    for kind, number in counts.objects.items():
        yield "edgeseg_objects", {**name, "class": kind}, number
    for line in counts.lines:
        for direction, numbers in line.as_dict().items():
            place = {**name, "line": line.line.name, "direction": direction}
            for kind, number in numbers.items():
                yield "edgeseg_line_crossed_total", {**place, "class": kind}, number
    for zone in counts.zones:
        place = {**name, "zone": zone.zone.name}
        for kind, number in zone.inside.items():
            yield "edgeseg_zone_objects", {**place, "class": kind}, number
        for kind, number in zone.entered.items():
            yield "edgeseg_zone_entered_total", {**place, "class": kind}, number


def _output(output: OutputStatus) -> Iterator[_Sample]:
    name = {"output": output.name}
    yield "edgeseg_output_written_total", name, output.written
    for cause, count in output.dropped.items():
        yield "edgeseg_output_dropped_total", {**name, "cause": cause}, count
    yield "edgeseg_output_failing", name, output.error is not None


def _quantiles(metric: str, labels: Mapping[str, str], spread: Percentiles) -> Iterator[_Sample]:
    for quantile, milliseconds in (("0.5", spread.p50), ("0.95", spread.p95), ("0.99", spread.p99)):
        if milliseconds is not None:
            yield metric, {**labels, "quantile": quantile}, milliseconds / 1e3


def _labels(labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items())
    return f"{{{inside}}}" if inside else ""


def _escape(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return escaped.encode("utf-8", "replace").decode()  # a file name may hold what no text may


def _number(value: float) -> str:
    return str(int(value)) if isinstance(value, int) else repr(float(value))
