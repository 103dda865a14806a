from __future__ import annotations

from pathlib import Path

import pytest

from edgeseg.data.classes import ClassTable, read_class_table
from edgeseg_runtime.contract import Label, voc_color
from edgeseg_runtime.errors import DatasetError


def table(root: Path, name: str, text: str) -> ClassTable:
    (root / name).write_text(text, encoding="utf-8")
    found = read_class_table(root)
    assert found is not None
    return found


def test_no_table() -> None:
    assert read_class_table(Path("/nowhere")) is None


def test_classes_csv(tmp_path: Path) -> None:
    rows = "name,r,g,b\nroad, 10, 20, 30\nvoid,0,0,0\ncar,1,2,3\n"
    found = table(tmp_path, "classes.csv", rows)
    assert found.labels(None) == (Label("road", (10, 20, 30)), Label("car", (1, 2, 3)))
    assert [row.number for row in found.rows] == [0, 1, 2]
    assert not found.numbered


def test_classes_csv_with_numbers_and_what_is_ignored(tmp_path: Path) -> None:
    rows = "Index,Name,Ignore\n7,void,0\n\n3,sky,1\n255,car,0\n"
    found = table(tmp_path, "classes.csv", rows)
    assert found.numbered
    assert [(row.name, row.number, row.ignored) for row in found.rows] == [
        ("void", 7, False),
        ("sky", 3, True),
        ("car", 255, False),
    ]


def test_the_file_of_another_name_and_a_byte_order_mark(tmp_path: Path) -> None:
    found = table(tmp_path, "class_dict.csv", "\ufeffname,r,g,b\nroad,1,2,3\n")
    assert found.labels(None) == (Label("road", (1, 2, 3)),)


def test_classes_txt_takes_colours_from_the_palette_or_from_voc(tmp_path: Path) -> None:
    found = table(tmp_path, "classes.txt", "background\n\nlight brown cat\n")
    assert found.labels(((9, 8, 7), (6, 5, 4))) == (Label("background", (9, 8, 7)), Label("light brown cat", (6, 5, 4)))
    assert found.labels(((9, 8, 7),))[1].color == voc_color(1) == (128, 0, 0)


def test_labelmap_txt(tmp_path: Path) -> None:
    text = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:128,0,0:head,tail:\nignored:255,255,255::\n"
    found = table(tmp_path, "labelmap.txt", text)
    assert found.labels(None) == (Label("background", (0, 0, 0)), Label("cat", (128, 0, 0)))


def test_label_colors_txt(tmp_path: Path) -> None:
    found = table(tmp_path, "label_colors.txt", "64 128 64\tAnimal\n0 0 0\t\tVoid\n128 0 192 Lane marks\n")
    assert found.labels(None) == (Label("Animal", (64, 128, 64)), Label("Lane marks", (128, 0, 192)))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("classes.csv", "road,1,2,3\n", r"classes\.csv: the first line must name the columns"),
        ("classes.csv", "name,r,g,b\nroad,1,2,256\n", r"classes\.csv:2: a colour is three numbers"),
        ("classes.csv", "name,r,g,b\nroad,1,,3\n", r"classes\.csv:2: a colour is three numbers"),
        ("classes.csv", "name,index\nroad,-1\n", r"classes\.csv:2: index must be .* got '-1'"),
        ("classes.csv", "name,ignore\nroad,maybe\n", r"classes\.csv:2: ignore must be 1 or 0, got 'maybe'"),
        ("classes.csv", "name,index\nroad,0\ncar,0\n", "the number 0 is given 2 times"),
        ("classes.csv", "name,r,g,b\nroad,1,2,3\ncar,1,2,3\n", r"the colour \(1, 2, 3\) is given 2 times"),
        ("classes.csv", "name,r\n,1\n", "a colour is three numbers"),
        ("classes.csv", "name,index\n ,1\n", "a class has no name"),
        ("classes.txt", "road\ncar\nroad\n", "the name road is given 2 times"),
        ("classes.txt", "# only a remark\n", "needs 1 to 254 classes, got 0"),
        ("classes.txt", "\n", "needs 1 to 254 classes, got 0"),
        ("classes.txt", "\n".join(map(str, range(255))), "needs 1 to 254 classes, got 255"),
        ("labelmap.txt", "cat\n", r"labelmap\.txt:1: a colour is three numbers"),
        ("label_colors.txt", "1 2 3\n", r"label_colors\.txt:1: expected 'r g b name', got '1 2 3'"),
    ],
)
def test_a_table_that_cannot_be_read_names_the_line(name: str, text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=message):
        table(tmp_path, name, text)


@pytest.mark.parametrize("name", ["classes.txt", "classes.csv"])
def test_a_table_that_is_no_text(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match=rf"{name}: not a text file"):
        read_class_table(tmp_path)


def test_two_tables_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("road\n")
    (tmp_path / "labelmap.txt").write_text("road:1,2,3::\n")
    with pytest.raises(DatasetError, match=r"2 class tables, classes\.txt and labelmap\.txt: keep one"):
        read_class_table(tmp_path)
