from __future__ import annotations

from pathlib import Path

import pytest

from edgeseg.cli.source_config import NamedSource, SourceConfig, is_live
from edgeseg_runtime.errors import ConfigError


@pytest.mark.parametrize(
    ("spec", "live"),
    [
        ("rtsp://10.0.0.7/cam", True),
        ("RTSP://10.0.0.7/cam.mp4", True),
        ("http://10.0.0.7:8080/video", True),
        ("http://10.0.0.7/clip.mp4", False),
        ("https://host/a/CLIP.MKV?token=x.y", False),
        ("http://host/mjpg/video.cgi?file=a.mp4", True),
        ("udp://0.0.0.0:1234", True),
        ("http://[::1/broken", True),
        ("/dev/video2", True),
        ("clip.mp4", False),
        ("pictures/", False),
        ("*.png", False),
    ],
)
def test_what_is_live_is_told_by_its_address(spec: str, live: bool) -> None:
    assert is_live(spec) is live


def test_sources_have_names_given_or_counted() -> None:
    with_names = [NamedSource("door", "rtsp://a/1?x=y", True), NamedSource("source2", "rtsp://b/2", True)]
    assert SourceConfig(("door=rtsp://a/1?x=y", "rtsp://b/2")).sources == with_names
    with pytest.raises(ConfigError, match=r"'key=value.mp4' is a recording"):
        SourceConfig(("door=rtsp://a/1?x=y", "rtsp://b/2", "key=value.mp4"), (0, 3))
    assert SourceConfig(("key=value.mp4",)).sources == [NamedSource("source1", "key=value.mp4", False)]
    cameras = SourceConfig((), (0, 3)).sources
    assert cameras == [NamedSource("camera0", "0", True), NamedSource("camera3", "3", True)]


def test_a_recording_can_be_named_unless_that_is_how_its_file_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("clip.mp4").touch()
    assert SourceConfig(("door=clip.mp4",)).sources == [NamedSource("door", "clip.mp4", False)]
    Path("door=clip.mp4").touch()
    assert SourceConfig(("door=clip.mp4",)).sources == [NamedSource("source1", "door=clip.mp4", False)]
