from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeseg.data.base import IGNORE
from edgeseg.data.open import open_data, recognise, splits
from edgeseg_runtime.errors import DatasetError
from edgeseg_runtime.preprocess import Mask
from tests.edgeseg.data.samples import masks, refusal, rows, write, write_mask, write_picture

HEIGHT, WIDTH = 4, 6
CATEGORIES = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]  # not in order, with gaps
Json = dict[str, Any]


def outline(left: float, top: float, right: float, bottom: float) -> list[float]:
    return [left, top, right, top, right, bottom, left, bottom]


def annotation(category: int, segmentation: Any, image: Any = 1, **more: Any) -> Json:
    return {"id": 11, "image_id": image, "category_id": category, "segmentation": segmentation} | more


def content(*annotations: Json, images: list[Json] | None = None) -> Json:
    listed = images or [{"id": 1, "file_name": "a.jpg", "height": HEIGHT, "width": WIDTH}]
    return {"info": {"year": 2017}, "images": listed, "annotations": list(annotations), "categories": CATEGORIES}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_picture(tmp_path / "images/train2017/a.jpg", HEIGHT, WIDTH)
    return tmp_path


def put(root: Path, *annotations: Json, images: list[Json] | None = None) -> Path:
    write(root / "annotations/instances_train2017.json", json.dumps(content(*annotations, images=images)))
    return root


def drawn(root: Path, *annotations: Json) -> Mask:
    return masks(put(root, *annotations), "train")["a"]


def test_categories_become_classes_in_the_order_of_their_ids(root: Path) -> None:
    put(root, annotation(3, [outline(0, 0, 2, 1)]), annotation(7, [outline(3, 2, 6, 4)]))
    data = open_data(str(root), "train")
    assert [label.name for label in data.labels] == ["background", "cat", "dog"]
    assert np.array_equal(data.read(0).mask, rows("11....", "......", "...222", "...222"))
    assert data.description == "COCO instances, train: 1 pictures, 3 classes"


@pytest.mark.parametrize("group", ["pets", "cat"])
def test_a_group_of_categories_is_no_class_unless_it_is_used(group: str, root: Path) -> None:
    listed = [{"id": 0, "name": group, "supercategory": "none"}, {"id": 1, "name": "cat", "supercategory": group}]
    listed.append({"id": 2, "name": "none", "supercategory": "none"})
    for category, names in ((1, ["background", "cat", "none"]), (0, ["background", "pets", "cat", "none"])):
        file = content(annotation(category, [outline(0, 0, 2, 1)])) | {"categories": listed}
        write(root / "annotations/instances_train2017.json", json.dumps(file))
        if category == 0 and group == "cat":
            assert "the class 'cat' is named 2 times" in refusal(root, "train")
        else:
            assert [label.name for label in open_data(str(root), "train").labels] == names


def test_what_one_split_alone_uses_is_no_group_in_the_others(root: Path) -> None:
    listed = [{"id": 0, "name": "pets", "supercategory": "none"}, {"id": 1, "name": "cat", "supercategory": "pets"}]
    for split, category in (("train", 0), ("val", 1)):
        file = content(annotation(category, [outline(0, 0, 2, 1)])) | {"categories": listed}
        write(root / f"annotations/instances_{split}2017.json", json.dumps(file))
        write_picture(root / f"images/{split}2017/a.jpg", HEIGHT, WIDTH)
    assert [label.name for label in recognise(str(root)).labels] == ["background", "pets", "cat"]
    assert [int(masks(root, split)["a"].max()) for split in ("train", "val")] == [1, 2]
    file = content(annotation(1, [outline(0, 0, 2, 1)])) | {"categories": listed}
    write(root / "annotations/instances_train2017.json", json.dumps(file))
    file["categories"] = listed[1:]  # a group that one file does not even list
    write(root / "annotations/instances_val2017.json", json.dumps(file))
    assert [label.name for label in recognise(str(root)).labels] == ["background", "cat"]


def test_paths_of_windows_are_found(root: Path) -> None:
    write_picture(root / "images/train2017/day/b.jpg", HEIGHT, WIDTH)
    put(root, images=[{"id": 1, "file_name": "day\\b.jpg", "height": HEIGHT, "width": WIDTH}])
    assert len(open_data(str(root), "train")) == 1


def test_small_objects_lie_on_large_ones_whatever_the_order(root: Path) -> None:
    small, large = annotation(3, [outline(1, 1, 2, 2)]), annotation(7, [outline(0, 0, 4, 3)])
    expected = rows("2222..", "2122..", "2222..", "......")
    assert np.array_equal(drawn(root, small, large), expected)
    assert np.array_equal(drawn(root, large, small), expected)


def test_polygons_of_one_object_are_one_area_even_where_they_overlap(root: Path) -> None:
    mask = drawn(root, annotation(3, [outline(0, 0, 3, 2), outline(2, 1, 5, 3)]))
    assert np.array_equal(mask, rows("111...", "11111.", "..111.", "......"))


@pytest.mark.parametrize("counts", [[5, 2, 2, 2, 13], "5220;", None])
def test_run_lengths(counts: Any, root: Path) -> None:
    # down the columns of 4: 5 off, 2 on, 2 off, 2 on
    if counts is None:
        tool = pytest.importorskip("pycocotools.mask")
        bits = np.asfortranarray(rows("......", ".11...", ".11...", "......"))
        counts = tool.encode(bits)["counts"].decode()
    mask = drawn(root, annotation(3, {"size": [HEIGHT, WIDTH], "counts": counts}))
    assert np.array_equal(mask, rows("......", ".11...", ".11...", "......"))


def test_crowds_are_ignored_but_for_the_objects_on_them(root: Path) -> None:
    crowd = annotation(3, {"size": [HEIGHT, WIDTH], "counts": [0, 16, 8]}, iscrowd=1)
    mask = drawn(root, annotation(7, [outline(1, 1, 2, 2)]), crowd)
    assert np.array_equal(mask, rows("xxxx..", "x2xx..", "xxxx..", "xxxx.."))


def test_a_picture_without_annotations_is_background(root: Path) -> None:
    assert not drawn(root).any()


def test_pictures_come_in_the_order_of_their_names(root: Path) -> None:
    write_picture(root / "images/train2017/b.jpg", HEIGHT, WIDTH)
    images = [{"id": 2, "file_name": "b.jpg"}, {"id": 1, "file_name": "a.jpg"}]
    put(root, annotation(3, [outline(0, 0, 2, 1)], 2), images=images)
    found = masks(root, "train")
    assert list(found) == ["a", "b"]
    assert not found["a"].any() and found["b"].any()


def test_the_reader_can_be_sent_to_a_worker(root: Path) -> None:
    data = open_data(str(put(root, annotation(3, [outline(0, 0, 2, 1)]))), "train")
    assert np.array_equal(pickle.loads(pickle.dumps(data)).read(0).mask, data.read(0).mask)


# --- where things lie ---


@pytest.mark.parametrize(
    ("annotations", "pictures", "split"),
    [
        ("annotations/instances_val2014.json", "val2014", "val"),
        ("annotations/instances_val2017.json", "images/val", "val"),
        ("annotations/instances_mine.json", "images", "mine"),
        ("annotations/instances_default.json", "images", "all"),
        ("annotations/val.json", "val", "val"),
        ("valid/_annotations.coco.json", "valid", "val"),
        ("annotations.json", "images", "all"),
        ("_annotations.coco.json", ".", "all"),
        ("annotations/instances_Train.json", "images/Train", "train"),
        ("annotations/Validation.json", "Validation", "val"),
        ("Test/_annotations.coco.json", "Test", "test"),
        ("annotations/default.json", "images", "all"),
        ("result.json", "images", "all"),
    ],
)
def test_layouts(annotations: str, pictures: str, split: str, tmp_path: Path) -> None:
    write_picture(tmp_path / pictures / "a.jpg", HEIGHT, WIDTH)
    write(tmp_path / annotations, json.dumps(content(annotation(3, [outline(0, 0, 2, 1)]))))
    assert splits(str(tmp_path)) == (split,)
    assert (masks(tmp_path, split)["a"] == 1).sum() == 2


@pytest.mark.parametrize("name", ["images/a.jpg", "../../label-studio/media/upload/4/a.jpg"])
def test_label_studios_names_are_found(name: str, tmp_path: Path) -> None:
    write_picture(tmp_path / "images/a.jpg", HEIGHT, WIDTH)
    images = [{"id": 1, "file_name": name}]
    write(tmp_path / "result.json", json.dumps(content(annotation(3, [outline(0, 0, 2, 1)])) | {"images": images}))
    assert (masks(tmp_path, "all")["a"] == 1).sum() == 2
    images.append({"id": 2, "file_name": "images/b/a.jpg"})  # which of them is images/a.jpg?
    write(tmp_path / "result.json", json.dumps(content() | {"images": images}))
    said = refusal(tmp_path, "all")
    assert "lists the picture images/b/a.jpg, which is not there" in said
    assert (f"lists the picture {name}, which" in said) == (name != "images/a.jpg")


@pytest.mark.parametrize("text", ["[1, 2]", "{", "{}"])
def test_other_results_are_not_label_studios(text: str, tmp_path: Path) -> None:
    write(tmp_path / "result.json", text)
    with pytest.raises(DatasetError, match="fits no known layout"):
        recognise(str(tmp_path))


def test_two_years_keep_their_names(root: Path) -> None:
    put(root)
    write_picture(root / "images/train2014/a.jpg", HEIGHT, WIDTH)
    write(root / "annotations/instances_train2014.json", json.dumps(content()))
    assert splits(str(root)) == ("train2014", "train2017")


def test_other_json_files_are_no_coco(tmp_path: Path) -> None:
    write(tmp_path / "annotations.json", '{"shapes": []}')
    with pytest.raises(DatasetError, match="fits no known layout"):
        recognise(str(tmp_path))


def test_names_and_ids_in_any_script(root: Path) -> None:
    write_picture(root / "images/train2017/été/ф.jpg", HEIGHT, WIDTH)
    images = [{"id": "ß", "file_name": "été/ф.jpg", "height": HEIGHT, "width": WIDTH}]
    text = json.dumps(content(annotation(3, [outline(0, 0, 2, 1)], "ß"), images=images), ensure_ascii=False, indent=1)
    write(root / "annotations/instances_train2017.json", text)
    assert (masks(root, "train")["ф"] == 1).sum() == 2


# --- bad input: one report, each with its reason ---

JSON = "annotations/instances_train2017.json"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (annotation(3, [[1, 1, 2, 2]]), "a.jpg, annotation 11: a shape of at least 3 points is needed, got 2"),
        (annotation(3, [[1, 1, 2, 2, 3]]), "an even count of numbers, got 5"),
        (annotation(3, []), "has no outline: 'segmentation' must hold polygons or an RLE"),
        (annotation(3, None), "has no outline"),
        (annotation(5, [outline(0, 0, 1, 1)]), "the category id 5 is not in the file's list of categories"),
        (annotation(3, {"size": [WIDTH, HEIGHT], "counts": [24]}), r"its RLE is of the size [6, 4] (height, width)"),
        (annotation(3, {"size": [HEIGHT, WIDTH], "counts": [5]}), "the RLE covers 5 px, its size is 6×4 = 24 px"),
        (annotation(3, {"size": [HEIGHT, WIDTH], "counts": "é"}), "the RLE is not a string of COCO's"),
        (annotation(3, {"size": [HEIGHT, WIDTH]}), "its RLE has no 'counts'"),
        ({"id": 11, "image_id": 1, "segmentation": [outline(0, 0, 1, 1)]}, "has no 'category_id'"),
        (annotation(3, [outline(0, 0, 1, 1)], iscrowd="1"), "'iscrowd' must be 0 or 1, got '1'"),
    ],
)
def test_a_bad_annotation_is_named_with_its_reason_and_can_be_skipped(bad: Json, reason: str, root: Path) -> None:
    write_picture(root / "images/train2017/b.jpg", HEIGHT, WIDTH)
    images = [{"id": index, "file_name": f"{name}.jpg"} for index, name in ((1, "a"), (2, "b"))]
    put(root, bad, annotation(7, [outline(0, 0, 1, 1)], 2), images=images)
    first, line = refusal(root, "train").splitlines()
    assert first.endswith("split train: 1 bad file (--skip-bad goes on without)")
    assert line.startswith(f"  {root / JSON}: a.jpg, annotation 11: ") and reason in line
    assert open_data(str(root), "train", skip_bad=True).name(0) == "b"


def test_a_size_that_cannot_be_compared_is_no_size(root: Path) -> None:
    images: list[Json] = [{"id": 1, "file_name": "a.jpg", "height": float(HEIGHT), "width": float(WIDTH)}]
    assert len(open_data(str(put(root, images=images)), "train")) == 1
    images[0] |= {"height": str(HEIGHT)}
    assert f"image 1: 'height' must be a whole number, got '{HEIGHT}'" in refusal(put(root, images=images), "train")


def test_pictures_that_are_missing_or_of_another_size(root: Path) -> None:
    images = [
        {"id": 1, "file_name": "a.jpg", "height": WIDTH, "width": HEIGHT},
        {"id": 2, "file_name": "gone.jpg", "height": HEIGHT, "width": WIDTH},
    ]
    put(root, annotation(3, [outline(0, 0, 1, 1)], 9), annotation(3, [outline(0, 0, 1, 1)], 9), images=images)
    said = refusal(root, "train")
    assert "3 bad files" in said
    assert "picture 1 (a.jpg) is 4×6 px, its picture 6×4 (once turned upright as its EXIF orientation says)" in said
    assert "lists the picture gone.jpg, which is not there" in said
    assert "2 annotations are of pictures that it does not list" in said


def break_json(found: Json) -> str:
    return json.dumps(found)[:-9]


def drop_id(found: Json) -> str:
    del found["images"][0]["id"]
    return json.dumps(found)


def repeat_image(found: Json) -> str:
    found["images"] *= 2
    return json.dumps(found)


def repeat_category(found: Json) -> str:
    found["categories"].append({"id": 3, "name": "owl"})
    return json.dumps(found)


def repeat_name(found: Json) -> str:
    found["categories"].append({"id": 4, "name": "cat"})
    return json.dumps(found)


def no_category(found: Json) -> str:
    found["categories"] = [{"id": 1}]
    return json.dumps(found)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (break_json, "is not JSON"),
        (drop_id, "image without id: has no 'id'"),
        (repeat_image, "image 1: its id is given twice"),
        (repeat_category, "category 3: its id is given twice"),
        (repeat_name, "the class 'cat' is named 2 times"),
        (no_category, "category 1: has no 'name'"),
    ],
)
def test_a_broken_file_is_one_line(damage: Callable[[Json], str], reason: str, root: Path) -> None:
    found = json.loads(json.dumps(content(annotation(3, [outline(0, 0, 1, 1)]))))
    write(root / JSON, damage(found))
    said = refusal(root, "train")
    assert f"instances_train2017.json: {reason}" in said
    assert "\n" not in said


def test_splits_with_other_categories(root: Path) -> None:
    put(root)
    other = content() | {"categories": [{"id": 3, "name": "owl"}]}
    write(root / "annotations/instances_val2017.json", json.dumps(other))
    assert "instances_val2017.json has other categories than instances_train2017.json" in refusal(root, "train")


# --- panoptic and stuff ---


def put_panoptic(root: Path, *segments: Json) -> Path:
    listed = {"id": 5, "image_id": 1, "file_name": "a.png", "segments_info": list(segments)}
    found = content(listed) | {"categories": [*CATEGORIES, {"id": 200, "name": "sky", "color": [70, 130, 180]}]}
    write(root / "annotations/panoptic_train2017.json", json.dumps(found))
    ids = np.zeros((HEIGHT, WIDTH), np.int32)
    ids[:, :2], ids[:, 2:5] = 70_000, 258
    write_mask(root / "annotations/panoptic_train2017/a.png", np.dstack([ids >> 16, ids >> 8 & 255, ids & 255]))
    return root


def test_panoptic_segments(root: Path) -> None:
    put_panoptic(root, {"id": 70_000, "category_id": 200}, {"id": 258, "category_id": 3, "iscrowd": 1})
    data = open_data(str(root), "train")
    assert [label.name for label in data.labels] == ["cat", "dog", "sky"]
    assert data.labels[2].color == (70, 130, 180)
    assert np.array_equal(data.read(0).mask, np.tile([2, 2, 0, 0, 0, IGNORE], (HEIGHT, 1)))


def test_panoptic_mistakes(root: Path) -> None:
    assert "1 segments are not in the annotations: 70000" in refusal(
        put_panoptic(root, {"id": 258, "category_id": 3}), "train"
    )
    put_panoptic(root, {"id": 258, "category_id": 4}, {"id": 70_000, "category_id": 3})
    assert "segment 258: the category id 4 is not in the file's list" in refusal(root, "train")
    put_panoptic(root, {"id": 258}, {"id": 70_000, "category_id": 3})
    assert "segment 258: has no 'category_id'" in refusal(root, "train")
    write_mask(root / "annotations/panoptic_train2017/a.png", np.zeros((HEIGHT, WIDTH)))
    assert "a panoptic mask holds segment ids as 8-bit R, G and B" in refusal(root, "train")
    (root / "annotations/panoptic_train2017/a.png").unlink()
    assert "a.jpg: has no mask in" in refusal(root, "train")


def test_stuff(root: Path) -> None:
    found = content() | {"categories": [{"id": 92, "name": "banner"}, {"id": 183, "name": "other"}]}
    write(root / "annotations/stuff_train2017.json", json.dumps(found))
    write_mask(
        root / "annotations/stuff_train2017_pixelmaps/a.png", rows("...aab", "...aab", "......", "bbbbbb", a=92, b=183)
    )
    assert np.array_equal(masks(root, "train")["a"], rows("xxx001", "xxx001", "xxxxxx", "111111"))
    assert open_data(str(root), "train").description.startswith("COCO stuff")


def test_instances_come_first_and_the_others_can_be_asked_for(root: Path) -> None:
    put(root)
    put_panoptic(root, {"id": 70_000, "category_id": 200}, {"id": 258, "category_id": 3})
    assert recognise(str(root)).title == "COCO instances"
    assert recognise(str(root), "coco-panoptic").title == "COCO panoptic"
    assert "fits no known layout" in refusal(root, "train", "coco-stuff")


# --- real pictures ---


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_real_objects_are_where_cocos_own_tool_sees_them(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    datasets = pytest.importorskip("torchvision.datasets")
    root = real_data / "tinycoco"
    differ = total = 0
    for split in ("train", "val"):
        data = open_data(str(root), split)
        names = [label.name for label in data.labels]
        reference = datasets.CocoDetection(
            str(root / f"images/{split}2017"), str(root / f"annotations/instances_{split}2017.json")
        )
        tool = coco.COCO(str(root / f"annotations/instances_{split}2017.json"))
        by_name = {data.name(index): index for index in range(len(data))}
        assert len(by_name) == len(reference)
        for image_id, (picture, objects) in zip(reference.ids, reference, strict=True):
            found = [(tool.annToMask(item).astype(bool), item) for item in objects]
            expected = np.zeros(picture.size[::-1], np.uint8)
            for bits, item in found:
                if item["iscrowd"]:
                    expected[bits] = IGNORE
            for bits, item in sorted(found, key=lambda pair: -int(pair[0].sum())):
                if not item["iscrowd"]:
                    expected[bits] = names.index(tool.loadCats(item["category_id"])[0]["name"])
            sample = data.read(by_name[Path(tool.loadImgs(image_id)[0]["file_name"]).stem])
            assert sample.image.shape[:2] == expected.shape
            differ += int((sample.mask != expected).sum())
            total += expected.size
    assert differ / total < 0.001  # pixels on rims
