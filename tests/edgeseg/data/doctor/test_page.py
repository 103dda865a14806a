from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np

from edgeseg.data.base import IGNORE
from edgeseg.data.doctor.examples import STRANGE, class_examples, overlay, tiles
from edgeseg.data.doctor.page import write_page
from edgeseg.data.doctor.run import diagnose
from edgeseg.data.doctor.seen import Seen
from edgeseg.data.masks import OUTSIDE
from edgeseg_runtime.contract import Label
from tests.edgeseg.data.doctor import faults

FACTS = {"command": "edgeseg data check --data <x>"}


class Page(HTMLParser):
    """What a page refers to, and whether its tags close."""

    VOID = ("meta", "img", "br", "link")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_shows_every_problem_and_class_and_needs_nothing_else(sound: Path, tmp_path: Path) -> None:
    faults.unknown_area(sound)
    faults.leak(sound)
    faults.truncate(sound)
    diagnosis = diagnose(str(sound))
    write_page(tmp_path / "page.html", diagnosis, FACTS)
    text = (tmp_path / "page.html").read_text("utf-8")
    page = Page(text)
    assert page.open == []
    assert page.sources
    assert all(source.startswith("data:image/webp;base64,") for source in page.sources)
    assert "http" not in re.sub(r"data:[^\"]*", "", text)
    for name in ("mask-values", "unusable-file", "duplicate-across-splits", "edgeseg data check --data &lt;x&gt;"):
        assert name in text
    for label in diagnosis.seen.labels:
        assert f"{label.name}</h3>" in text
    picture = cv2.imdecode(
        np.frombuffer(base64.b64decode(page.sources[0].partition(",")[2]), np.uint8), cv2.IMREAD_COLOR
    )
    assert picture is not None
    assert picture.shape == (96, 128, 3)


def test_a_sound_set_has_a_page(tmp_path: Path) -> None:
    write_page(tmp_path / "p.html", diagnose("procedural:48x64,n=40"), FACTS)
    text = (tmp_path / "p.html").read_text("utf-8")
    assert "Nothing to tell." in text
    assert "0 errors, 0 warnings, 0 remarks" in text
    assert Page(text).open == []


def test_names_are_escaped(sound: Path, tmp_path: Path) -> None:
    table = sound / "classes.csv"
    table.write_text(table.read_text().replace("sky,", "<b>sky&,"))
    write_page(tmp_path / "p.html", diagnose(str(sound)), {})
    text = (tmp_path / "p.html").read_text("utf-8")
    assert "<b>sky" not in text
    assert "&lt;b&gt;sky&amp;" in text


def test_overlays() -> None:
    image = np.full((1, 4, 3), 100, np.uint8)
    mask = np.array([[0, 1, IGNORE, OUTSIDE]], np.uint8)
    shown = overlay(image, mask, (Label("a", (200, 0, 0)), Label("b", (0, 0, 200))))
    mixed = {"a": (45, 45, 155), "b": (155, 45, 45)}  # B, G, R: 0.55 of the class, 0.45 of the picture
    assert np.abs(shown[0, 0].astype(int) - mixed["a"]).max() <= 1
    assert np.abs(shown[0, 1].astype(int) - mixed["b"]).max() <= 1
    assert shown[0, 2].tolist() == [100, 100, 100]
    expected = 0.55 * np.array(STRANGE[::-1]) + 45
    assert np.abs(shown[0, 3] - expected).max() <= 1


def test_examples_of_a_class_hold_it() -> None:
    diagnosis = diagnose("procedural:48x64,n=20", splits=("train",))
    seen: Seen = diagnosis.seen
    for index in range(len(seen.labels)):
        for position in class_examples(seen, index, 2):
            assert (seen.looks[position].item.read().mask == index).any()


def test_what_cannot_be_read_has_no_tiles(sound: Path) -> None:
    faults.truncate(sound)
    (sound / "masks/train").joinpath(faults.masks(sound)[4].name).write_bytes(b"")
    seen = diagnose(str(sound)).seen
    assert tiles(seen, 3) == []
    assert [kind for kind, _ in tiles(seen, 4)] == ["picture"]
    assert [kind for kind, _ in tiles(seen, 5)] == ["picture", "mask"]
