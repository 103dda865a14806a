from __future__ import annotations

import base64
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from edgeseg.data.base import IGNORE, BadFileError, ShapeError
from edgeseg.data.named import named_classes
from edgeseg.data.shapes import embedded_mask, flat_points, hex_color, need, number, points, told_as
from edgeseg_runtime.contract import voc_color
from edgeseg_runtime.errors import DatasetError

BITS = np.array([[1, 0, 1], [0, 1, 1]], np.bool_)


def png(picture: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **options)
    return buffer.getvalue()


def encoded(data: bytes, *, packed: bool) -> str:
    return base64.b64encode(zlib.compress(data) if packed else data).decode()


def transparent(bits: npt.NDArray[np.bool_]) -> Image.Image:
    rgba = np.zeros((*bits.shape, 4), np.uint8)
    rgba[..., 3] = 255 * bits
    return Image.fromarray(rgba)


@pytest.mark.parametrize("packed", [True, False])
def test_masks_inside_text(packed: bool) -> None:
    kinds = [
        png(Image.fromarray(255 * BITS.astype(np.uint8))),
        png(Image.fromarray(BITS)),  # one bit a pixel
        png(transparent(BITS)),
        png(Image.fromarray(np.dstack([255 * BITS.astype(np.uint8)] * 3))),
    ]
    for data in kinds:
        assert np.array_equal(embedded_mask(encoded(data, packed=packed), packed=packed), BITS)


def test_a_mask_as_superviselys_own_software_writes_it() -> None:
    text = (  # the example of its documentation
        "eJzrDPBz5+WS4mJgYOD19HAJAtLMIMwIInOeqf8BUmwBPiGuQPr///9Lb86/C2QxlgT5BTM4PLuRBuTwebo4hlTMSa44sKHhISMDuxpTYrr03F6gDIOnq5/L"
        "OqeEJgDM5ht6"
    )
    assert embedded_mask(text, packed=True).tolist() == [[True] * 3, [True, False, True], [True] * 3]


@pytest.mark.parametrize(
    ("text", "packed", "reason"),
    [
        ("no base64!", False, "not base64"),
        (encoded(b"<html>", packed=False), False, "no picture"),
        ("", False, "no picture"),
        (encoded(b"<html>", packed=False), True, "not packed by zlib"),
        (base64.b64encode(zlib.compress(b"x" * 999)[:-6]).decode(), True, "cut off"),
        (base64.b64encode(zlib.compress(bytes(70 << 20))).decode(), True, "larger than 64 MiB"),
    ],
)
def test_damaged_masks_inside_text(text: str, packed: bool, reason: str) -> None:
    with pytest.raises(ShapeError, match=reason):
        embedded_mask(text, packed=packed)


def test_points() -> None:
    assert points([[1, 2], [3.5, 4], [0, 0]]).tolist() == [[1, 2], [3.5, 4], [0, 0]]
    assert flat_points([1, 2, 3.5, 4, 0, 0]).tolist() == [[1, 2], [3.5, 4], [0, 0]]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ([[1, 2], [3, 4]], "at least 3 points is needed, got 2"),
        ([], "at least 3 points is needed, got 0"),
        ([[1, 2], [3, 4], [5]], "a point is two finite numbers"),
        ([[1, 2], [3, 4], [5, "6"]], "a point is two finite numbers"),
        ([[1, 2], [3, 4], [5, float("nan")]], "a point is two finite numbers"),
        ([[1, 2], [3, 4], [5, float("inf")]], "a point is two finite numbers"),
        ([[1, 2], [3, 4], [5, True]], "a point is two finite numbers"),
        ({"x": 1}, "points must be a list"),
    ],
)
def test_points_that_are_none(raw: Any, reason: str) -> None:
    with pytest.raises(ShapeError, match=reason):
        points(raw)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ([1, 2, 3, 4], "at least 3 points is needed, got 2"),
        ([1, 2, 3, 4, 5, 6, 7], "an even count of numbers, got 7"),
        ([1, 2, 3, 4, 5, None], "finite numbers"),
        ("1 2 3", "finite numbers"),
    ],
)
def test_flat_points_that_are_none(raw: Any, reason: str) -> None:
    with pytest.raises(ShapeError, match=reason):
        flat_points(raw)


def test_fields() -> None:
    assert need({"a": [1]}, "a", list) == [1]
    for raw, reason in (({}, "has no 'a'"), ({"a": 1}, "'a' must be a list, got 1"), ([], "is not an object")):
        with pytest.raises(ShapeError, match=reason):
            need(raw, "a", list)
    with pytest.raises(ShapeError, match="must be a whole number, got True"):
        need({"a": True}, "a", int)


def test_numbers_and_colours_in_text() -> None:
    assert number(" 1e2 ", "x") == 100
    for text in (None, "", "1,5", "nan", "inf"):
        with pytest.raises(ShapeError, match="'x' must be a number"):
            number(text, "x")
    assert hex_color("#0aFF10") == (10, 255, 16)
    assert [hex_color(text) for text in (None, "#12", "#zzzzzz", 7)] == [None] * 4


def test_an_error_is_told_with_its_file_and_shape() -> None:
    with pytest.raises(BadFileError, match=r"^a\.json: shape 3: too thin$"), told_as(Path("a.json"), "shape 3"):
        raise ShapeError("too thin")


# --- names of classes ---


def test_background_comes_first_and_colours_are_kept() -> None:
    classes = named_classes(["car", "person"], Path("x"), {"person": (1, 2, 3)})
    assert [(label.name, label.color) for label in classes.labels] == [
        ("background", (0, 0, 0)),
        ("car", voc_color(1)),
        ("person", (1, 2, 3)),
    ]
    assert (classes.background, classes.index("car"), classes.index("person")) == (0, 1, 2)


def test_a_background_of_ones_own_stays_where_it_is() -> None:
    classes = named_classes(["car", "Background", "__ignore__", "void", "person"], Path("x"))
    assert [label.name for label in classes.labels] == ["car", "Background", "person"]
    assert (classes.background, classes.index("Background"), classes.index("person")) == (1, 1, 2)
    assert classes.index("__ignore__") == classes.index("void") == IGNORE


def test_a_name_that_is_not_in_the_table() -> None:
    with pytest.raises(ShapeError, match=r"the class 'dog' is not in the list: car, person$"):
        named_classes(["car", "person"], Path("x")).index("dog")


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([], "x: no class is named"),
        (["a", "b", "a"], "x: the class 'a' is named 2 times"),
        (["a", ""], "x: a class has no name"),
        ([f"c{index}" for index in range(254)], "x: 255 classes, background included; at most 254"),
    ],
)
def test_tables_that_are_refused(names: list[str], reason: str) -> None:
    with pytest.raises(DatasetError, match=reason):
        named_classes(names, Path("x"))
