from __future__ import annotations

from pathlib import Path

import pytest

from edgeseg.cli import live_controls
from edgeseg.cli.live_controls import Recording, ZoneDrawing
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.events import Events
from edgeseg_runtime.recording.recorder import RecordStatus
from edgeseg_runtime.zones.file import load_zones
from edgeseg_runtime.zones.polygon import Zone
from edgeseg_runtime.zones.sink import ZoneSink

SQUARE = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9))


class FakeRecorder:
    """Follows orders only with the next frame."""

    def __init__(self) -> None:
        self.ordered = self.on = False

    def start(self) -> None:
        self.ordered = True

    def stop(self) -> None:
        self.ordered = False

    def status(self) -> dict[str, RecordStatus]:
        return {"door": RecordStatus(self.on)}


def test_the_button_shows_what_was_asked_for_until_the_recordings_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = FakeRecorder()
    button = Recording(recorder)  # type: ignore[arg-type]
    assert not button.recording()
    button.start()
    assert recorder.ordered and button.recording() and not recorder.on
    button.stop()
    assert not button.recording()
    recorder.on = True
    monkeypatch.setattr(live_controls, "ORDER_SECONDS", 0.0)
    assert button.recording()  # by now what the recordings say counts: something else set them off


def test_zones_that_are_drawn_are_kept_beside_those_of_cameras_that_are_not_here(tmp_path: Path) -> None:
    path, sink = tmp_path / "zones.yaml", ZoneSink({}, Events())
    drawing = ZoneDrawing(sink, path, ["door"], {"yard": (Zone("gate", SQUARE),)})
    points = [list(point) for point in SQUARE]
    drawing.replace([{"name": "mat", "camera": "door", "points": points}])
    assert drawing.zones() == [{"name": "mat", "camera": "door", "points": points}]
    zones, _ = load_zones(path)
    assert zones == {"door": (Zone("mat", SQUARE),), "yard": (Zone("gate", SQUARE),)}
    with pytest.raises(ConfigError, match="there is no camera 'roof'"):
        drawing.replace([{"name": "mat", "camera": "roof", "points": points}])
    assert load_zones(path)[0] == zones
