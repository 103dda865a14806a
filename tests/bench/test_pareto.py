from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_bench.pareto import draw, front, numbered
from edgeseg_bench.report import Row
from edgeseg_runtime.errors import MissingExtraError

ROW = Row("a", "openvino", "float32", 1, "f", 9, 2.0, 3.0, 4.0, {"preprocess": 0.5, "infer": 1.0, "decode": 0.5}, 9.0)

small = st.integers(0, 6).map(float)


def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] <= other[0] and one[1] >= other[1]


@given(st.lists(st.tuples(small, small), max_size=25))
def test_front_is_what_brute_force_finds(points: list[tuple[float, float]]) -> None:
    got = front(points)
    wanted = [index for index, point in enumerate(points) if not any(beats(other, point) for other in points)]
    assert sorted(got) == wanted
    costs = [points[index][0] for index in got]
    assert costs == sorted(costs)


def test_front_of_nothing_is_nothing() -> None:
    assert front([]) == []


@pytest.mark.parametrize("scored", [True, False])
def test_the_picture_is_a_png_that_is_not_empty(scored: bool, tmp_path: Path) -> None:
    rows = [
        replace(ROW, name="one", mean_iou=0.6 if scored else None),
        replace(ROW, name="two", precision="int8", p50_ms=1.0, mean_iou=0.59 if scored else None, threads=2),
        replace(ROW, name="original", engine="pytorch", p50_ms=9.0, stages_ms=None, mean_iou=0.6 if scored else None),
    ]
    draw(rows, tmp_path / "bench.png")
    picture = cv2.imread(str(tmp_path / "bench.png"))
    assert picture is not None and min(picture.shape[:2]) > 100
    colours = {tuple(int(value) for value in color) for color in picture.reshape(-1, 3)[::7]}
    assert (168, 120, 72) in colours  # float32's (and infer's) blue, as BGR
    assert [path.name for path in tmp_path.iterdir()] == ["bench.png"]


def test_a_single_scored_row_can_be_drawn(tmp_path: Path) -> None:
    draw([replace(ROW, mean_iou=0.0)], tmp_path / "bench.png")
    assert (tmp_path / "bench.png").stat().st_size > 1000


def test_files_are_numbered_once_for_all_engines_and_threads_the_fastest_first() -> None:
    rows = [
        replace(ROW, name="slow", p50_ms=9.0),
        replace(ROW, name="both", p50_ms=5.0),
        replace(ROW, name="fast", p50_ms=2.0, network="net"),
        replace(ROW, name="both", p50_ms=1.0, threads=2),
    ]
    assert list(numbered(rows).items()) == [("both", 1), ("net/fast", 2), ("slow", 3)]


def test_every_file_has_its_number_in_the_picture_and_its_name_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    drawn: list[Figure] = []

    def savefig(figure: Figure, file: Path, **_: object) -> None:
        drawn.append(figure)
        Path(file).touch()

    monkeypatch.setattr(Figure, "savefig", savefig)
    rows = [
        replace(ROW, name=f"net{n}", p50_ms=1.0 + n, mean_iou=0.5 + n % 7 / 20, threads=1 + n % 2) for n in range(40)
    ]
    draw(rows, tmp_path / "bench.png")
    (figure,) = drawn
    shown = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert sorted(shown, key=int) == [str(1 + n) for n in range(40)]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[-40:] == [f"{1 + n}  net{n}" for n in range(40)]


def test_matplotlib_missing_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"edgeseg\[plot\]"):
        draw([ROW], tmp_path / "bench.png")
