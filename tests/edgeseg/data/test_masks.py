from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from edgeseg.data.base import IGNORE, BadFileError, Rgb
from edgeseg.data.masks import MaskReader

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
COLORS = {RED: 0, GREEN: 1, BLUE: IGNORE}
color = st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))


def write(path: Path, rgb_or_numbers: list[list[object]]) -> Path:
    values = np.asarray(rgb_or_numbers)
    values = values.astype(np.uint16 if values.max() > 255 else np.uint8)
    assert cv2.imwrite(str(path), values[..., ::-1] if values.ndim == 3 else values)
    return path


def palette_file(path: Path, numbers: list[list[int]], palette: list[tuple[int, int, int]]) -> Path:
    image = Image.fromarray(np.asarray(numbers, np.uint8), "L")
    image.putpalette([channel for color in palette for channel in color])
    image.save(path)
    return path


def test_numbers_are_mapped_and_255_is_ignored(tmp_path: Path) -> None:
    reader = MaskReader({0: 2, 7: 0, 11: IGNORE, 300: 1})
    mask = reader(write(tmp_path / "m.png", [[0, 7, 11], [300, 255, 0]]))
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[2, 0, IGNORE], [1, IGNORE, 2]]


def test_a_table_may_make_255_a_class(tmp_path: Path) -> None:
    assert MaskReader({0: 0, 255: 1})(write(tmp_path / "m.png", [[0, 255]])).tolist() == [[0, 1]]


def test_numbers_outside_the_table_are_named_with_their_counts(tmp_path: Path) -> None:
    path = write(tmp_path / "m.png", [[0, 40, 1], [40, 37, 40]])
    with pytest.raises(BadFileError) as caught:
        MaskReader({0: 0, 1: 1})(path)
    assert str(caught.value) == f"{path}: label outside the class table: 40 (3 px), 37 (1 px)"
    assert caught.value.path == path


def test_a_long_list_of_labels_outside_is_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "m.png", [list(range(10, 18))])
    with pytest.raises(BadFileError, match=r"14 \(1 px\) and 3 more$"):
        MaskReader({0: 0})(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(palette=st.lists(color, min_size=1, max_size=12, unique=True), data=st.data())
def test_colours_are_looked_up_like_in_a_dict(
    tmp_path: Path, palette: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    picks = data.draw(st.lists(st.integers(0, len(palette) - 1), min_size=1, max_size=20))
    table = {rgb: index for index, rgb in enumerate(palette)}
    mask = MaskReader({}, table)(write(tmp_path / "c.png", [[list(palette[pick]) for pick in picks]]))
    assert mask.tolist() == [picks]


def test_colours_outside_the_table_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "c.png", [[RED, (1, 2, 3), (1, 2, 3)]])
    with pytest.raises(BadFileError, match=r"label outside the class table: \(1, 2, 3\) \(2 px\)$"):
        MaskReader({}, COLORS)(path)


def test_colours_without_a_table_of_colours_are_refused_but_grey_in_three_channels_is_read(tmp_path: Path) -> None:
    reader = MaskReader({0: 0, 1: 1})
    with pytest.raises(BadFileError, match="holds colours, but the class table has none"):
        reader(write(tmp_path / "c.png", [[RED, GREEN]]))
    assert reader(write(tmp_path / "g.png", [[(0, 0, 0), (1, 1, 1)]])).tolist() == [[0, 1]]


def test_16_bit_colours_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFileError, match="16-bit colours"):
        MaskReader({}, COLORS)(write(tmp_path / "c.png", [[(300, 0, 0), (0, 0, 0)]]))


def test_a_palette_file_holds_numbers(tmp_path: Path) -> None:
    path = palette_file(tmp_path / "p.png", [[0, 1, 0]], [GREEN, RED])
    assert MaskReader({0: 0, 1: 1})(path).tolist() == [[0, 1, 0]]
    assert MaskReader({0: 0, 1: 1}, COLORS)(path).tolist() == [[0, 1, 0]]


def test_colours_of_a_palette_count_where_the_table_knows_all_that_are_used(tmp_path: Path) -> None:
    reader = MaskReader({0: 0, 1: 1}, COLORS, palette_colors=True)
    squeezed = palette_file(tmp_path / "s.png", [[0, 1, 2]], [GREEN, RED, BLUE])
    assert reader(squeezed).tolist() == [[1, 0, IGNORE]]
    of_its_own = palette_file(tmp_path / "o.png", [[0, 1, 0]], [(8, 8, 8), (9, 9, 9)])
    assert reader(of_its_own).tolist() == [[0, 1, 0]]


def test_a_stray_colour_does_not_turn_the_others_into_numbers(tmp_path: Path) -> None:
    reader = MaskReader({0: 0, 1: 1, 2: 2}, COLORS, palette_colors=True)
    strewn = palette_file(tmp_path / "s.png", [[0, 1, 2]], [GREEN, RED, (9, 9, 9)])
    with pytest.raises(BadFileError, match=r"label outside the class table: 2 \(9, 9, 9\) \(1 px\)"):
        reader(strewn)
    in_order = palette_file(tmp_path / "i.png", [[0, 1]], [RED, (9, 9, 9)])  # red is number 0 either way
    assert reader(in_order).tolist() == [[0, 1]]


BLACK_AND_WHITE: dict[Rgb, int] = {(255, 255, 255): 0, (0, 0, 0): 1}


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_black_and_white_are_what_the_table_says_however_they_are_stored(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 255, 255]], np.uint8)).convert(mode)
    image.save(tmp_path / "m.png")
    assert MaskReader({0: 0, 1: 1}, BLACK_AND_WHITE, palette_colors=True)(tmp_path / "m.png").tolist() == [[1, 0, 0]]


def test_numbers_stay_numbers_where_greys_of_the_table_do_not_explain_them(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 1, 255]], np.uint8)).save(tmp_path / "m.png")
    reader = MaskReader({0: 0, 1: 1}, BLACK_AND_WHITE, palette_colors=True)
    assert reader(tmp_path / "m.png").tolist() == [[0, 1, IGNORE]]
    numbered = MaskReader({0: 0, 255: 1}, BLACK_AND_WHITE)  # a table that gives the numbers itself
    Image.fromarray(np.array([[0, 255]], np.uint8)).save(tmp_path / "n.png")
    assert numbered(tmp_path / "n.png").tolist() == [[0, 1]]


def test_number_255_of_a_palette_is_void_whatever_its_colour(tmp_path: Path) -> None:
    palette = [GREEN, RED] + [(k, k, 9) for k in range(254)]
    path = palette_file(tmp_path / "v.png", [[0, 1, 255]], palette)
    assert MaskReader({}, COLORS, palette_colors=True)(path).tolist() == [[1, 0, IGNORE]]
