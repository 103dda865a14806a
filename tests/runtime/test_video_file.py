from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeseg_runtime.sources import video_file
from edgeseg_runtime.sources.base import Frame
from edgeseg_runtime.sources.video_file import open_video
from tests.conftest import ColourClip

WRITTEN = 25


@pytest.fixture
def clip(tmp_path: Path, colour_clip: ColourClip) -> Path:
    return colour_clip(tmp_path / "clip.mp4", WRITTEN, (48, 80), 10.0)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of decoder threads that files are opened with; reading counts as slow from the first frame on."""
    threads: list[int] = []
    really = video_file._open

    def spy(path: Path, number: int) -> object:
        threads.append(number)
        return really(path, number)

    monkeypatch.setattr(video_file, "_open", spy)
    monkeypatch.setattr(video_file, "WINDOW_SECONDS", 0.0)
    monkeypatch.setattr(video_file, "BOTTLENECK", 0.0)
    return threads


def read_all(path: Path, threads: int | None) -> list[Frame]:
    source = open_video(path, threads)
    frames = list(iter(source.read, None))
    source.close()
    assert not source.remarks
    return frames


def test_a_change_of_decoders_loses_doubles_and_alters_no_frame(clip: Path, opened: list[int]) -> None:
    plain, changed = read_all(clip, 1), read_all(clip, None)
    assert opened == [1, 1, 0]
    assert len(changed) == WRITTEN
    for one, other in zip(plain, changed, strict=True):
        assert (one.index, one.position, one.name) == (other.index, other.position, other.name)
        np.testing.assert_array_equal(one.image, other.image)


def test_reading_that_holds_nobody_up_stays_on_one_thread(
    clip: Path, opened: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_file, "BOTTLENECK", 1.0)
    assert len(read_all(clip, None)) == WRITTEN
    assert opened == [1]


@pytest.mark.parametrize("change", ["gone", "damaged", "shorter"])
def test_a_file_that_changed_meanwhile_is_read_on_as_it_was(
    clip: Path, opened: list[int], colour_clip: ColourClip, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [frame.image for frame in read_all(clip, 1)]
    monkeypatch.setattr(video_file, "BOTTLENECK", 1.0)
    source = open_video(clip)
    images = [frame.image for _ in range(10) if (frame := source.read()) is not None]
    clip.unlink()  # a new file, not the one that is open
    if change == "damaged":
        clip.write_bytes(b"no video")
    if change == "shorter":
        colour_clip(clip, 5, (48, 80), 10.0)
    monkeypatch.setattr(video_file, "BOTTLENECK", 0.0)
    images += [frame.image for frame in iter(source.read, None)]
    source.close()
    assert opened == [1, 1, 0]
    np.testing.assert_array_equal(images, expected)
