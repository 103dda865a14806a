from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg.data.open import open_data, recognise, splits
from edgeseg_runtime.errors import DatasetError
from tests.edgeseg.data.samples import masks, refusal, rows, write, write_picture

HEIGHT, WIDTH = 4, 8
LABELS = "1 0.125 0.25 0.5 0.25 0.5 0.75 0.125 0.75\n"  # columns 1 to 3, rows 1 and 2
TRUTH = rows("........", ".222....", ".222....", "........")
NAMES = "names: [cat, dog]\n"


def put(root: Path, pictures: str = "images/train", table: str = "data.yaml", text: str = NAMES) -> Path:
    write_picture(root / pictures / "a.jpg", HEIGHT, WIDTH)
    write(root / pictures.replace("images", "labels") / "a.txt", LABELS)
    write(root / table, text)
    return root


@pytest.mark.parametrize(
    ("pictures", "table", "text", "split"),
    [
        ("images/train", "data.yaml", NAMES, "train"),
        ("images/val", "dataset.yaml", "path: .\nval: images/val\nnames: {0: cat, 1: dog}\n", "val"),
        (
            "valid/images",
            "data.yaml",
            "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: [cat, dog]\n",
            "val",
        ),
        ("test/images", "data.yml", "test: test/images\nnames: [cat, dog]\n", "test"),
        ("train/images", "classes.txt", "cat\ndog\n", "train"),
        ("images", "classes.txt", "cat\ndog\n", "all"),
        ("here/images/one", "data.yaml", "path: here\ntrain: [images/one]\nnames: [cat, dog]\n", "train"),
        ("images/one/deeper", "data.yaml", "train: images\nnames: {'0': cat, '1': dog}\n", "train"),
        ("images/Validation", "classes.txt", "# animals\ncat\ndog\n", "val"),
        ("here/images", "data.yaml", "path: /where/it/was/made\ntrain: here/images\nnames: [cat, dog]\n", "train"),
        ("train/images", "data.yaml", "train: Set-1/train/images\ntest: ../test/images\nnames: [cat, dog]\n", "train"),
    ],
)
def test_layouts(pictures: str, table: str, text: str, split: str, tmp_path: Path) -> None:
    put(tmp_path, pictures, table, text)
    assert splits(str(tmp_path)) == (split,)
    assert np.array_equal(masks(tmp_path, split)["a"], TRUTH)
    assert [label.name for label in recognise(str(tmp_path)).labels] == ["background", "cat", "dog"]


def test_small_polygons_lie_on_large_ones(tmp_path: Path) -> None:
    put(tmp_path)
    write(tmp_path / "labels/train/a.txt", LABELS + "0 0 0 1 0 1 1 0 1\n")
    assert np.array_equal(masks(tmp_path, "train")["a"], np.where(TRUTH, TRUTH, 1))


@pytest.mark.parametrize("text", ["", "\n\n", None])
def test_a_picture_without_labels_is_background(text: str | None, tmp_path: Path) -> None:
    put(tmp_path)
    write_picture(tmp_path / "images/train/b.jpg", HEIGHT, WIDTH)
    if text is not None:
        write(tmp_path / "labels/train/b.txt", text)
    assert not masks(tmp_path, "train")["b"].any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(1, WIDTH), st.integers(1, HEIGHT))
def test_boxes_of_whole_pixels_survive(
    tmp_path_factory: pytest.TempPathFactory, left: int, top: int, columns: int, lines: int
) -> None:
    right, bottom = min(WIDTH, left + columns), min(HEIGHT, top + lines)
    root = put(tmp_path_factory.mktemp("y"))
    places = [(left, top), (right, top), (right, bottom), (left, bottom)]
    write(root / "labels/train/a.txt", "0 " + " ".join(f"{x / WIDTH:.6f} {y / HEIGHT:.6f}" for x, y in places))
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[top:bottom, left:right] = 1
    assert np.array_equal(masks(root, "train")["a"], expected)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2 0 0 1 0 1 1", "line 2: the class is a number in 0..1, got '2'"),
        ("-1 0 0 1 0 1 1", "the class is a number in 0..1, got '-1'"),
        ("1.0 0 0 1 0 1 1", "the class is a number in 0..1, got '1.0'"),
        ("1 0.5 0.5 0.1 0.1", "is a box of a detection set (class x y width height), not a polygon"),
        ("1 0 0 1 0 1", "a polygon needs x and y of at least 3 points, got 5 numbers"),
        ("1 0 0", "a polygon needs x and y of at least 3 points, got 2 numbers"),
        ("1 0 0 8 0 8 4", "coordinates are shares of the picture, 0..1, got 8"),
        ("1 0 0 1 0 1 -1", "coordinates are shares of the picture, 0..1, got -1"),
        ("1 0 0 1 0 1 nan", "'coordinate' must be a number, got 'nan'"),
        ("1 0 0 1 0 1 x", "'coordinate' must be a number, got 'x'"),
    ],
)
def test_a_bad_line_is_named_with_its_reason(line: str, reason: str, tmp_path: Path) -> None:
    put(tmp_path)
    write(tmp_path / "labels/train/a.txt", LABELS + line + "\n")
    said = refusal(tmp_path, "train").splitlines()
    assert len(said) == 2
    assert said[1].startswith(f"  {tmp_path}/labels/train/a.txt: line 2: ") and reason in said[1]


def test_points_a_little_outside_are_cut_off(tmp_path: Path) -> None:
    put(tmp_path)
    write(tmp_path / "labels/train/a.txt", "0 -0.01 -0.02 1.03 0 1.01 1.01 0 1.02\n")
    assert (masks(tmp_path, "train")["a"] == 1).all()


def test_other_bad_files(tmp_path: Path) -> None:
    put(tmp_path)
    (tmp_path / "labels/train/a.txt").write_bytes(b"1 0 0 1 0 1 1 \xff")
    write(tmp_path / "labels/train/gone.txt", LABELS)
    said = refusal(tmp_path, "train")
    assert "2 bad files" in said
    assert "a.txt: not a text file in UTF-8 that can be read" in said
    assert "gone.txt: has no picture of its name" in said


@pytest.mark.parametrize("entry", ["../images/a.jpg", "lists/../images/a.jpg", "images/a.jpg"])
def test_lists_of_pictures(entry: str, tmp_path: Path) -> None:
    table = "train: lists/train.txt\nval: lists/val.txt\nnames: [cat, dog]\n"
    put(tmp_path, "images", text=table)
    write_picture(tmp_path / "images/b.png", HEIGHT, WIDTH)
    write(tmp_path / "labels/b.txt", "")
    write(tmp_path / "lists/train.txt", f"{entry}\n{entry}\n")
    write(tmp_path / "lists/val.txt", "../images/b.png\n../images/c.png\n")
    assert splits(str(tmp_path)) == ("train", "val")
    assert np.array_equal(masks(tmp_path, "train")["a"], TRUTH)
    assert "val.txt: line 2: there is no picture ../images/c.png" in refusal(tmp_path, "val")
    assert [pair.image.name for pair in recognise(str(tmp_path)).splits["val"].pairs] == ["b.png"]


def test_a_split_without_any_label_is_no_background(tmp_path: Path) -> None:
    put(tmp_path, text="train: images/train\nval: images/val\ntest: images/test\nnames: [cat, dog]\n")
    (tmp_path / "labels/train/a.txt").write_text(LABELS)
    for split in ("val", "test"):
        write_picture(tmp_path / f"images/{split}/b.jpg", HEIGHT, WIDTH)
    assert "images/val: not one of its 1 pictures has a label file, such as" in refusal(tmp_path, "val")
    assert "the split 'test' has pictures, but not one label file" in refusal(tmp_path, "test")
    assert splits(str(tmp_path)) == ("train",)


def test_no_split_is_lost_in_silence(tmp_path: Path) -> None:
    put(tmp_path, text="train: images/train\nval: images/val\ntest: images/away\nnames: [cat, dog]\n")
    (tmp_path / "labels/train/a.txt").write_text(LABELS, encoding="utf-8-sig")  # with a byte order mark
    write_picture(tmp_path / "images/val/b.jpg", HEIGHT, WIDTH)
    write(tmp_path / "labels/val/b.txt", "")  # nothing in any picture of val
    assert splits(str(tmp_path)) == ("train", "val")
    assert np.array_equal(masks(tmp_path, "train")["a"], TRUTH)
    assert not masks(tmp_path, "val")["b"].any()
    assert "data.yaml: names images/away for test, which is not there" in refusal(tmp_path, "test")
    write(tmp_path / "data.yaml", "train: images/train\nval: images/away\nnames: [cat, dog]\n")
    assert "data.yaml: names images/away for val, which is not there" in refusal(tmp_path, "val")
    write(tmp_path / "data.yaml", "train: images/train\ntest: test.txt\nnames: [cat, dog]\n")
    write(tmp_path / "test.txt", "images/gone.jpg\n")
    assert "test.txt: line 1: there is no picture images/gone.jpg" in refusal(tmp_path, "test")


def test_the_folders_of_roboflows_client(tmp_path: Path) -> None:
    names = "train: Set-1/train/images\nval: Set-1/valid/images\ntest: ../test/images\nnames: [cat, dog]\n"
    for split in ("train", "valid", "test"):
        put(tmp_path, f"{split}/images", text=names)
    assert splits(str(tmp_path)) == ("train", "val", "test")
    for split in splits(str(tmp_path)):
        assert np.array_equal(masks(tmp_path, split)["a"], TRUTH)


def test_labels_in_capitals_and_two_pictures_of_a_name(tmp_path: Path) -> None:
    put(tmp_path)
    (tmp_path / "labels/train/a.txt").rename(tmp_path / "labels/train/a.TXT")
    assert np.array_equal(masks(tmp_path, "train")["a"], TRUTH)
    write_picture(tmp_path / "images/train/a.png", HEIGHT, WIDTH)
    assert "a.png: has the same name as a.jpg: keep one of them" in refusal(tmp_path, "train")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("train: images/train\n", "data.yaml: has no list of names"),
        ("names: {1: cat, 2: dog}\n", "data.yaml: names must be numbered 0, 1, 2, …, got 1, 2"),
        ("names: {0: cat, b: dog}\n", "data.yaml: names must be numbered 0, 1, 2, …, got 0, 'b'"),
        ("names: [yes, no]\n", "data.yaml: YAML takes a name for True; write it in quotes"),
        ("names: [cat, cat]\n", "data.yaml: the class 'cat' is named 2 times"),
        ("names: [cat\n", "data.yaml cannot be read: "),
    ],
)
def test_a_broken_table(text: str, reason: str, tmp_path: Path) -> None:
    said = refusal(put(tmp_path, text=text), "train")
    assert reason in said
    assert "\n" not in said


def test_names_are_asked_for(tmp_path: Path) -> None:
    put(tmp_path)
    (tmp_path / "data.yaml").unlink()
    assert "holds YOLO labels but no class names; add data.yaml with names, or classes.txt" in refusal(
        tmp_path, "train"
    )


def test_label_folders_of_masks_are_another_set(tmp_path: Path) -> None:
    put(tmp_path, table="classes.txt", text="cat\ndog\n")
    (tmp_path / "labels/train/a.txt").unlink()
    assert recognise(str(tmp_path)).title == "folder images/SPLIT + masks/SPLIT"
    with pytest.raises(DatasetError, match=r"a\.jpg: has no mask in"):
        open_data(str(tmp_path), "train")
