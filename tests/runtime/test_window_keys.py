"""What keys do to a stream's windows, without a display."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import SemanticResult, StageTimes
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sinks.window import TITLE, WindowSink
from edgeseg_runtime.sinks.window_keys import HELP, View, with_words
from edgeseg_runtime.sources.base import Frame

NONE = -1


class Screen:
    """Stands in for OpenCV's window functions: what each window shows, and the keys that are still to be read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.windows: dict[str, Image] = {}
        self.keys: list[int] = []
        self.shows = 0
        self.now = 100.0
        monkeypatch.setattr("edgeseg_runtime.sinks.window.window_problem", lambda: None)
        monkeypatch.setattr("edgeseg_runtime.sinks.window.monotonic", lambda: self.now)
        monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
        monkeypatch.setattr(cv2, "resizeWindow", lambda *_: None)
        monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: 1.0)
        monkeypatch.setattr(cv2, "destroyAllWindows", self.windows.clear)
        monkeypatch.setattr(cv2, "pollKey", lambda: self.keys.pop(0) if self.keys else NONE)
        monkeypatch.setattr(cv2, "imshow", self._show)

    def _show(self, title: str, picture: Image) -> None:
        self.windows[title] = picture.copy()
        self.shows += 1

    def press(self, sink: WindowSink, keys: str) -> None:
        for key in keys:
            self.keys.append(ord(key))
            sink.idle()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    return Screen(monkeypatch)


@pytest.fixture
def shot(colour_contract: Contract) -> Callable[..., Shot]:
    """From an index to a grey shot of that brightness with class `index % 3` everywhere."""
    table = color_table(colour_contract)

    def make(index: int, camera: str = "") -> Shot:
        image = np.full((500, 600, 3), 40 + index, np.uint8)
        mask = np.full((500, 600), index % 3, np.uint8)
        frame = Frame(index, image, float(index), None, str(index), camera)
        return Shot(frame, SemanticResult(mask, colour_contract, StageTimes(0, 0, 0)), table, 0.5)

    return make


def put(sink: WindowSink, *shots: Shot) -> None:
    for one in shots:
        sink.write(one, sink.encode(one))


def blended(one: Shot, opacity: float) -> Image:
    """The picture by the formula: the class's colour, as BGR, over the frame."""
    color = np.array(one.result.contract.labels[int(one.result.mask[0, 0])].color[::-1])
    return np.rint(color * opacity + one.frame.image * (1 - opacity)).astype(np.uint8)


def close_to(picture: Image, expected: Image) -> bool:
    return picture.shape == expected.shape and int(np.abs(picture.astype(int) - expected).max()) <= 1


def test_the_mask_is_switched_and_made_stronger_and_weaker(screen: Screen, shot: Callable[..., Shot]) -> None:
    sink, one = WindowSink(0.5), shot(0)
    put(sink, one)
    for keys, opacity in [("", 0.5), ("+", 0.6), ("=", 0.7), ("--", 0.5), ("_", 0.4), ("m", 0.0), ("m", 0.4)]:
        screen.press(sink, keys)
        assert close_to(screen.windows[TITLE], blended(one, opacity)), keys
    screen.press(sink, "-" * 9)
    assert close_to(screen.windows[TITLE], one.frame.image)  # not below 0
    screen.press(sink, "+" * 15)
    assert close_to(screen.windows[TITLE], blended(one, 1.0))
    screen.press(sink, "m-")
    assert close_to(screen.windows[TITLE], blended(one, 0.9))  # to change it is to want to see it
    other = shot(1)
    put(sink, other)
    assert close_to(screen.windows[TITLE], blended(other, 0.9))  # and it stays so
    assert close_to(other.picture, blended(other, 0.5))  # other outputs go on as they were


def test_the_space_bar_holds_the_picture_while_the_stream_runs_on(screen: Screen, shot: Callable[..., Shot]) -> None:
    sink, shots = WindowSink(0.5), [shot(index) for index in range(4)]
    put(sink, shots[0])
    screen.press(sink, " ")
    held = screen.windows[TITLE]
    assert close_to(held[-50:], blended(shots[0], 0.5)[-50:])
    assert (held[:20] != blended(shots[0], 0.5)[:20]).any()  # it says that it is held
    put(sink, shots[1], shots[2])
    np.testing.assert_array_equal(screen.windows[TITLE], held)
    screen.press(sink, "m")
    assert close_to(screen.windows[TITLE][-50:], shots[0].frame.image[-50:])  # keys work on what is held
    screen.press(sink, "m ")
    assert close_to(screen.windows[TITLE], blended(shots[2], 0.5))  # at once the newest, not the next
    put(sink, shots[3])
    assert close_to(screen.windows[TITLE], blended(shots[3], 0.5))
    assert sink.wanted


def test_pictures_drawn_ahead_are_drawn_anew_where_a_key_came_between(
    screen: Screen, shot: Callable[..., Shot]
) -> None:
    """Recordings are drawn by workers, some frames before they are shown."""
    sink, first, second = WindowSink(0.5), shot(0), shot(1)
    ahead = sink.encode(second)
    put(sink, first)
    screen.press(sink, "+")
    sink.write(second, ahead)
    assert close_to(screen.windows[TITLE], blended(second, 0.6))


def test_cameras_have_windows_of_their_own_and_are_held_together(screen: Screen, shot: Callable[..., Shot]) -> None:
    sink = WindowSink(0.5)
    put(sink, shot(0, "door"), shot(1, "yard"))
    assert set(screen.windows) == {f"door: {TITLE}", f"yard: {TITLE}"}
    screen.press(sink, "m ")
    put(sink, shot(2, "door"), shot(3, "yard"), shot(4, "roof"))
    for title, index in (("door", 0), ("yard", 1), ("roof", 4)):  # a camera that comes later is shown once
        assert (screen.windows[f"{title}: {TITLE}"][-1] == 40 + index).all()


def test_a_picture_is_kept_as_it_is_seen(screen: Screen, shot: Callable[..., Shot]) -> None:
    kept: list[int] = []

    def keep(one: Shot) -> str:
        kept.append(one.frame.index)
        if one.frame.index == 9:
            raise OutputError("the disk is full")
        return f"{one.frame.index}.jpg"

    sink = WindowSink(0.5, keep)
    put(sink, shot(0), shot(1))
    screen.press(sink, "s")
    assert kept == [1]
    plain = blended(shot(1), 0.5)
    assert not close_to(screen.windows[TITLE], plain)  # it says so,
    screen.now += 5
    sink.idle()
    assert close_to(screen.windows[TITLE], plain)  # for a while
    screen.press(sink, " ")
    put(sink, shot(2))
    screen.press(sink, "s")
    assert kept == [1, 1]  # what is held, not what came since
    screen.press(sink, " ")
    put(sink, shot(9))
    screen.press(sink, "s")
    assert sink.wanted and kept == [1, 1, 9]  # a full disk is told in the window, and ends nothing
    WindowSink(0.5)
    without = WindowSink(0.5)
    put(without, shot(3))
    screen.press(without, "s")
    assert without.wanted


def test_help_comes_and_goes(screen: Screen, shot: Callable[..., Shot]) -> None:
    sink, one = WindowSink(0.5), shot(0)
    put(sink, one)
    screen.press(sink, "h")
    np.testing.assert_array_equal(screen.windows[TITLE], with_words(one.picture, HELP))
    screen.press(sink, "h")
    np.testing.assert_array_equal(screen.windows[TITLE], one.picture)
    assert sum(letters in " ".join(HELP) for letters in ("q", "Esc", "space", "m:", "+", "-", "s:", "h:")) == 8


def test_without_a_key_nothing_is_drawn_again(screen: Screen, shot: Callable[..., Shot]) -> None:
    sink = WindowSink(0.5)
    sink.idle()  # no window yet
    put(sink, shot(0))
    for key in (NONE, ord("x"), 0x10FFE1, 0xFF):
        screen.keys.append(key)
        sink.idle()
    assert screen.shows == 1 and sink.wanted


@given(st.lists(st.integers(-1, 0x1FFFFF)), st.floats(0, 1))
def test_any_keys_leave_an_opacity_that_is_one(keys: list[int], opacity: float) -> None:
    view = View(opacity)
    for key in keys:
        known = view.press(key)
        assert known == (key >= 0 and chr(key & 0xFF) in "q\x1b m+=-_sh")
        assert 0 <= view.opacity <= 1


@pytest.mark.parametrize("size", [(500, 600), (48, 64), (1, 1), (2000, 30), (20, 3000)])
def test_words_are_written_on_a_copy_of_any_picture(size: tuple[int, int]) -> None:
    picture = np.full((*size, 3), 90, np.uint8)
    before = picture.copy()
    large = with_words(picture, ["held", "kept bäckerei.jpg"])
    np.testing.assert_array_equal(picture, before)
    factor = large.shape[0] // size[0]
    assert large.shape == (factor * size[0], factor * size[1], 3)
    assert large.shape[0] >= 480 or large.shape[1] >= 1000
    assert large.nbytes <= max(picture.nbytes, 3 * 1920 * 1920)
    assert (large != 90).any() and large.dtype == np.uint8
