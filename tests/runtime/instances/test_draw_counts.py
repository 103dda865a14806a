from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgeseg_runtime.draw import color_table
from edgeseg_runtime.instances.counts import Counts, LineCount, ZoneCount
from edgeseg_runtime.instances.draw_counts import draw_counts
from edgeseg_runtime.instances.lines import CountLine
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.zones.polygon import Zone
from tests.runtime.instances.scripted import CONTRACT, scripted

DOOR = LineCount(CountLine("door", (0.1, 0.5), (0.9, 0.5)), {"car": 2, "person": 1}, {})
YARD = ZoneCount(Zone("yard", ((0.5, 0.6), (0.95, 0.6), (0.95, 0.95), (0.5, 0.95))), {"car": 1}, {"car": 4})


def drawn(counts: Counts, size: tuple[int, int] = (240, 320)) -> Image:
    picture = np.full((*size, 3), 100, np.uint8)
    draw_counts(picture, counts)
    return picture


def changed(picture: Image) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero((picture != 100).any(axis=2))
    return int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())


def test_a_line_is_drawn_from_end_to_end() -> None:
    picture = drawn(Counts(lines=(DOOR,)))
    assert (picture[120, 34:286] != 100).any(axis=1).all()
    top, bottom, left, right = changed(picture)
    assert 100 < top <= 119 and 120 <= bottom < 126 and 28 <= left <= 33 and 287 <= right <= 292


def test_a_zone_is_drawn_along_its_border() -> None:
    picture = drawn(Counts(zones=(YARD,)))
    for x, y in ((160, 190), (304, 190), (230, 228)):
        assert (picture[y - 1 : y + 2, x - 1 : x + 2] > 200).all(axis=2).any()
    assert (picture[190:220, 200:290] == 100).all()


def test_what_is_counted_is_written() -> None:
    more = replace(DOOR, into={"car": 7})
    assert (drawn(Counts(lines=(DOOR,))) != drawn(Counts(lines=(more,)))).any()
    assert (drawn(Counts(lines=(DOOR,))) == drawn(Counts(lines=(replace(DOOR, into={"car": 3}),)))).all()
    assert (drawn(Counts(zones=(YARD,))) != drawn(Counts(zones=(replace(YARD, inside={}),)))).any()
    assert (drawn(Counts()) == 100).all()


@pytest.mark.parametrize("size", [(8, 8), (1, 1), (40, 2000), (2000, 40)])
def test_no_picture_is_too_small(size: tuple[int, int]) -> None:
    assert drawn(Counts(lines=(DOOR,), zones=(YARD,)), size).shape[:2] == size


def test_a_name_in_other_letters_does_no_harm() -> None:
    drawn(Counts(lines=(replace(DOOR, line=replace(DOOR.line, name="门口")),)))


def test_counts_are_drawn_with_the_result_even_where_nothing_is() -> None:
    frame = np.full((120, 160, 3), 100, np.uint8)
    plain, counted = scripted([]), replace(scripted([]), counts=Counts(lines=(DOOR,)))
    table = color_table(CONTRACT)
    assert (plain.drawn_on(frame, table, 0.5) == frame).all()
    assert (counted.drawn_on(frame, table, 0.5) != frame).any()
    assert (frame == 100).all()
