from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg_export.parity import tiles
from edgeseg_export.parity.compare import Reference, compare
from edgeseg_export.parity.comparison import Settings
from edgeseg_export.parity.pictures import Picture
from edgeseg_export.parity.report import Entry, write_report
from edgeseg_export.parity.thresholds import DEFAULTS
from edgeseg_export.parity.verdict import judge
from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.preprocess import Image, Mask

CONTRACT = Contract((Label("sky", (10, 20, 200)), Label("road <b>", (90, 90, 90))), 60, 80)
VOID_ELEMENTS = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """Collects tags, and fails on one that is closed without having been opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID_ELEMENTS:
            self.open.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def decoded(uri: str) -> Image:
    data = np.frombuffer(base64.b64decode(uri.removeprefix("data:image/webp;base64,")), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def picture(index: int, size: tuple[int, int] = (60, 80)) -> Picture:
    frame = np.random.default_rng(index).integers(0, 255, (*size, 3)).astype(np.uint8)
    truth = np.zeros(size, np.uint8)
    truth[size[0] // 2 :] = 1
    return Picture(f"p{index} & co", frame, truth)


def written(path: Path, wrong: int, *, truth: bool = True, count: int = 24) -> tuple[str, Page]:
    """A report of a perfect artifact and of one that calls the first `wrong` rows of road sky."""
    pictures = [picture(index) if truth else picture(index)._replace(truth=None) for index in range(count)]
    expected = picture(0).truth
    assert expected is not None
    faulty = expected.copy()
    faulty[30 : 30 + wrong] = 0
    reference = Reference.of(lambda _: expected, pictures, CONTRACT, Settings(resamples=100))
    entries = []
    for name, mask in (("onnx-float32", expected), ("openvino-int8", faulty)):
        comparison = compare(reference, lambda _, mask=mask: mask)  # type: ignore[misc]
        entries.append(Entry(name, comparison, judge(comparison, DEFAULTS["int8"])))
    write_report(path, "tiny <net>", reference, entries, {"command": "edgeseg export runs/a --int8", "seed": "0"})
    text = path.read_text(encoding="utf-8")
    return text, Page(text)


def test_the_page_is_whole_and_asks_for_nothing_outside_it(tmp_path: Path) -> None:
    text, page = written(tmp_path / "report.html", 3)
    assert page.open == []
    assert page.sources
    assert all(source.startswith("data:image/webp;base64,") for source in page.sources)
    assert "script" not in page.tags
    assert not re.search(r"https?://|@import|url\(", text)
    assert "$" not in page.text


def test_it_says_what_was_found(tmp_path: Path) -> None:
    _, page = written(tmp_path / "report.html", 3)
    assert "1 refused" in page.text
    assert "openvino-int8: pixel agreement, mean over pictures: 0.9500, allowed is at least 0.98" in page.text
    assert "Every mask is the original's, to the pixel." in page.text
    assert "100.000 %" in page.text
    assert "95.000 %" in page.text
    assert "edgeseg export runs/a --int8" in page.text


def test_names_are_text_not_markup(tmp_path: Path) -> None:
    _, page = written(tmp_path / "report.html", 3)
    assert {"road <b>", "tiny <net>", "p0 & co"} <= set(re.findall(r"road <b>|tiny <net>|p0 & co", page.text))
    assert "b" not in page.tags


def test_ten_pictures_of_the_artifact_that_differs_and_none_of_the_one_that_does_not(tmp_path: Path) -> None:
    _, page = written(tmp_path / "report.html", 3)
    assert len(page.sources) == 10 * 5
    _, page = written(tmp_path / "report.html", 3, truth=False)
    assert len(page.sources) == 10 * 4
    assert "without truth" in page.text
    _, page = written(tmp_path / "report.html", 0)
    assert page.sources == []
    assert "all passed" in page.text


def test_tiles_show_what_they_should(tmp_path: Path) -> None:
    _, page = written(tmp_path / "report.html", 3)
    frame, truth, original, artifact, difference = map(decoded, page.sources[:5])
    assert frame.shape == (60, 80, 3)
    np.testing.assert_array_equal(truth, original)
    assert truth[0, 0].tolist() == [200, 20, 10]
    assert artifact[31, 5].tolist() == [200, 20, 10]
    assert artifact[33, 5].tolist() == [90, 90, 90]
    assert (difference[30:33] == tiles.LOST).all()
    assert not (difference[36:] == tiles.LOST).all(axis=-1).any()


def test_differences_are_told_apart_by_who_was_right() -> None:
    table = color_table(CONTRACT)
    original, artifact, truth = (np.zeros((30, 30), np.uint8) for _ in range(3))
    artifact[5, 5], artifact[15, 15], artifact[25, 25] = 1, 1, 1
    truth[15, 15], truth[25, 25] = 1, 255
    shown = decoded(tiles.difference_picture(truth, original, artifact, table))
    assert [shown[place].tolist() for place in ((5, 5), (15, 15), (25, 25))] == [
        list(tiles.LOST),
        list(tiles.GAINED),
        list(tiles.OTHER),
    ]
    unknown = decoded(tiles.difference_picture(None, original, artifact, table))
    assert unknown[5, 5].tolist() == list(tiles.OTHER)


def test_a_lone_pixel_survives_the_shrinking() -> None:
    original = np.zeros((480, 1280), np.uint8)
    artifact = original.copy()
    artifact[100, 401] = 1
    shown = decoded(tiles.difference_picture(None, original, artifact, color_table(CONTRACT)))
    assert shown.shape == (120, tiles.WIDTH, 3)
    assert shown[25, 100].tolist() == list(tiles.OTHER)


@pytest.mark.parametrize("size", [(700, 1000), (1, 900), (20, 30)])
def test_tiles_are_never_wider_than_they_may_be(size: tuple[int, int]) -> None:
    frame: Image = np.zeros((*size, 3), np.uint8)
    mask: Mask = np.zeros(size, np.uint8)
    for uri in (tiles.photo(frame), tiles.mask_picture(mask, color_table(CONTRACT))):
        assert decoded(uri).shape[1] == min(size[1], tiles.WIDTH)
