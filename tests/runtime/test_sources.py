from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.errors import SourceError
from edgeseg_runtime.sources import ImagesSource, list_pictures, open_camera, open_source, without_credentials
from edgeseg_runtime.sources.base import Frame, Source
from edgeseg_runtime.sources.capture import CaptureSource

if TYPE_CHECKING:
    from tests.conftest import ColourClip


def read_all(source: Source) -> list[Frame]:
    frames: list[Frame] = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    return frames


def strongest_channels(frames: list[Frame]) -> list[int]:
    """0 where red is strongest, 1 green, 2 blue: what the clip drew into frame `i` is `i % 3`."""
    return [2 - int(frame.image.reshape(-1, 3).mean(0).argmax()) for frame in frames]


def write_picture(path: Path, picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8 | np.uint16]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_a_video_gives_every_frame_once_in_order(tmp_path: Path, colour_clip: ColourClip, suffix: str) -> None:
    source = open_source(str(colour_clip(tmp_path / f"clip{suffix}", 25, (48, 80), 10.0)))
    assert isinstance(source, CaptureSource) and not source.live
    assert (source.size, source.fps, source.length) == ((48, 80), 10.0, 25)
    before = time.monotonic()
    frames = read_all(source)
    assert strongest_channels(frames) == [index % 3 for index in range(25)]
    assert [frame.index for frame in frames] == list(range(25))
    assert [frame.name for frame in frames][:2] == ["000000", "000001"]
    assert [frame.position for frame in frames] == pytest.approx([index / 10 for index in range(25)])
    assert all(frame.image.dtype == np.uint8 and frame.image.shape == (48, 80, 3) for frame in frames)
    assert before <= frames[0].captured_at <= frames[-1].captured_at <= time.monotonic()
    assert source.remarks == []


@pytest.mark.parametrize("suffix", [".avi", ".mkv"])
def test_a_video_that_is_cut_off_says_so(tmp_path: Path, colour_clip: ColourClip, suffix: str) -> None:
    whole = colour_clip(tmp_path / f"whole{suffix}", 40)
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    source = open_source(str(cut))
    frames = read_all(source)
    assert 0 < len(frames) < 40
    assert source.remarks == [f"{cut} declares 40 frames but gave {len(frames)}: it is cut off or damaged"]


def test_a_video_that_opens_but_gives_no_frame_is_an_error_naming_its_codec(
    tmp_path: Path, colour_clip: ColourClip
) -> None:
    mpeg4 = colour_clip(tmp_path / "clip.mkv").read_bytes()
    av1 = tmp_path / "av1.mkv"  # says AV1, holds something else: decoders open it and give nothing
    av1.write_bytes(mpeg4.replace(b"V_MPEG4/ISO/ASP", b"V_AV1".ljust(15, b"\0")))
    source = open_source(str(av1))
    with pytest.raises(SourceError, match=r"av1\.mkv opened but gave no frame.*AV01.*ffmpeg"):
        source.read()


@pytest.mark.parametrize("content", [b"", b"not a video", b"\0" * 5000])
def test_a_file_that_is_no_video_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clip.mp4").write_bytes(content)
    with pytest.raises(SourceError, match=r"clip\.mp4 cannot be opened as a video"):
        open_source(str(tmp_path / "clip.mp4"))


def test_a_folder_gives_its_pictures_in_name_order_and_nothing_else(tmp_path: Path) -> None:
    for name, value in (("b.PNG", 2), ("a.jpg", 1), ("c.bmp", 3)):
        write_picture(tmp_path / name, np.full((4, 6, 3), value * 50, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    write_picture(tmp_path / "deeper" / "d.png", np.zeros((4, 6, 3), np.uint8))
    source = open_source(str(tmp_path))
    assert (source.length, source.fps) == (3, None)
    frames = read_all(source)
    assert [frame.name for frame in frames] == ["a", "b", "c"]
    assert [frame.position for frame in frames] == [None] * 3
    assert [round(float(frame.image.mean()), -1) for frame in frames] == [50, 100, 150]


def test_a_glob_reaches_into_folders(tmp_path: Path) -> None:
    for name in ("x/1.png", "y/2.png", "y/3.jpg"):
        write_picture(tmp_path / name, np.zeros((4, 6, 3), np.uint8))
    assert [path.name for path in list_pictures(f"{tmp_path}/*/*.png")] == ["1.png", "2.png"]
    assert [path.name for path in list_pictures(f"{tmp_path}/**/*.*")] == ["1.png", "2.png", "3.jpg"]


@pytest.mark.parametrize(
    "picture",
    [
        np.full((5, 7), 90, np.uint8),
        np.full((5, 7), 90 * 257, np.uint16),
        np.full((5, 7, 4), 90, np.uint8),
    ],
    ids=["grey", "16 bit", "alpha"],
)
def test_pictures_of_other_kinds_become_bgr(
    tmp_path: Path, picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8 | np.uint16]]
) -> None:
    frames = read_all(open_source(str(write_picture(tmp_path / "p.png", picture))))
    assert len(frames) == 1
    np.testing.assert_array_equal(frames[0].image, np.full((5, 7, 3), 90, np.uint8))


def damaged_pictures(folder: Path) -> list[Path]:
    """a.png is good, b.png cut off, c.png empty, d.png text, e.png a folder that went since, f.png good."""
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    write_picture(folder / "a.png", noise)
    write_picture(folder / "f.png", noise)
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:2000])
    (folder / "c.png").write_bytes(b"")
    (folder / "d.png").write_text("no picture")
    return [folder / f"{stem}.png" for stem in "abcdef"]


def test_an_unreadable_picture_is_an_error_naming_it(tmp_path: Path) -> None:
    source = ImagesSource(damaged_pictures(tmp_path), "pictures")
    assert source.read() is not None
    with pytest.raises(SourceError, match=r"b\.png is damaged"):
        source.read()


def test_unreadable_pictures_can_be_left_out_and_are_all_named(tmp_path: Path) -> None:
    source = ImagesSource(damaged_pictures(tmp_path), "pictures", skip_unreadable=True)
    frames = read_all(source)
    assert [(frame.index, frame.name) for frame in frames] == [(0, "a"), (1, "f")]
    assert [remark.removeprefix(f"{tmp_path}/")[:5] for remark in source.remarks] == [f"{stem}.png" for stem in "bcde"]


@pytest.mark.parametrize(
    ("make", "spec", "message"),
    [
        ([], "", "holds no picture"),
        ([], "nothing", "there is no file or folder"),
        (["a.txt"], "*.txt", "no picture matches"),
        (["a.png", "a.jpg"], "", r"a\.jpg and .*a\.png would both give 'a'"),
        (["x/a.png", "y/a.png"], "*/a.png", r"x/a\.png and .*y/a\.png would both"),
    ],
)
def test_pictures_that_cannot_be_had_are_an_error(tmp_path: Path, make: list[str], spec: str, message: str) -> None:
    for name in make:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(SourceError, match=message):
        open_source(str(tmp_path / spec))


@pytest.mark.parametrize("index", [-1, 97])
def test_a_camera_that_is_not_there_is_an_error(index: int) -> None:
    with pytest.raises(SourceError, match=str(index)):
        open_camera(index)


def test_a_stream_of_pictures_is_live_and_its_loss_is_an_error(serve: Callable[[str], str]) -> None:
    source = open_source(serve("live/6"))
    assert isinstance(source, CaptureSource) and source.live
    assert source.length is None
    frames = [source.read() for _ in range(6)]
    assert strongest_channels([frame for frame in frames if frame]) == [0, 1, 2, 0, 1, 2]
    first = frames[0]
    assert first is not None
    assert first.position == 0
    with pytest.raises(SourceError, match="stopped after 6 frames"):
        source.read()


def test_a_stream_that_falls_silent_is_an_error_soon(
    serve: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeseg_runtime.sources.capture.TIMEOUT_MS", 300)
    source = open_source(serve("stall/4"))
    with pytest.raises(SourceError, match=r"stopped after [34] frames"):
        read_all(source)


def test_a_url_that_declares_its_length_is_a_recording(
    tmp_path: Path, colour_clip: ColourClip, serve: Callable[[str], str]
) -> None:
    colour_clip(tmp_path / "clip.mkv", 9)
    source = open_source(serve("clip.mkv"))
    assert isinstance(source, CaptureSource) and not source.live
    assert len(read_all(source)) == 9


@pytest.mark.parametrize("path", ["missing?token=hunter2", "live/3?user=joe&pwd=hunter2"])
def test_no_message_holds_credentials(
    serve: Callable[[str], str], path: str, capfd: pytest.CaptureFixture[str]
) -> None:
    url = serve(path).replace("http://", "http://joe:hunter2@")
    with pytest.raises(SourceError) as caught:
        read_all(open_source(url))
    assert "127.0.0.1" in str(caught.value)
    assert "hunter2" not in str(caught.value) + "".join(capfd.readouterr())


def test_a_scheme_that_is_no_stream_is_an_error_without_the_password() -> None:
    with pytest.raises(SourceError, match=r"ftp://\*\*\*@host/x: streams are read over rtsp") as caught:
        open_source("ftp://joe:hunter2@host/x")
    assert "hunter2" not in str(caught.value)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_whatever_the_password_it_is_not_shown(password: str) -> None:
    shown = without_credentials(f"rtsp://joe:{password}@10.0.0.7:554/h264?channel=1#main")
    # the short form is for a password such as 8?x, where `joe:8` may as well be a host and its port
    assert shown in ("rtsp://***@10.0.0.7:554/h264?channel=***#***", "rtsp://***")


@pytest.mark.parametrize("url", ["rtsp://10.0.0.7/h264", "http://host:8080/video.mjpg"])
def test_a_url_without_credentials_is_shown_whole(url: str) -> None:
    assert without_credentials(url) == url
