from __future__ import annotations

import json
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeseg.data.instances.open import open_instances, splits
from edgeseg_runtime.errors import DatasetError
from tests.edgeseg.data.instances.objects import bits, drawn, refusal, samples
from tests.edgeseg.data.samples import rows, write, write_picture

HEIGHT, WIDTH = 4, 6
CATEGORIES = [{"id": 7, "name": "dog", "color": [1, 2, 3]}, {"id": 3, "name": "cat"}]
JSON = "annotations/instances_train2017.json"
Json = dict[str, Any]


def outline(left: float, top: float, right: float, bottom: float) -> list[float]:
    return [left, top, right, top, right, bottom, left, bottom]


def annotation(number: int, category: int, segmentation: Any, image: int = 1, **more: Any) -> Json:
    return {"id": number, "image_id": image, "category_id": category, "segmentation": segmentation} | more


def put(root: Path, *annotations: Json, pictures: int = 1, categories: list[Json] | None = None) -> Path:
    images = [{"id": k, "file_name": f"{k}.jpg", "height": HEIGHT, "width": WIDTH} for k in range(1, pictures + 1)]
    for image in images:
        write_picture(root / f"images/train2017/{image['file_name']}", HEIGHT, WIDTH)
    listed = CATEGORIES if categories is None else categories
    write(root / JSON, json.dumps({"images": images, "annotations": annotations, "categories": listed}))
    return root


def test_objects_are_told_apart_and_may_overlap(tmp_path: Path) -> None:
    put(
        tmp_path,
        annotation(1, 7, [outline(0, 0, 4, 3)]),
        annotation(2, 3, [outline(1, 1, 2, 2), outline(4, 3, 6, 4)]),
        annotation(3, 7, {"size": [HEIGHT, WIDTH], "counts": [20, 4]}),
    )
    data = open_instances(str(tmp_path), "train")
    assert [(label.name, label.color) for label in data.labels] == [("cat", (128, 0, 0)), ("dog", (1, 2, 3))]
    sample = data.read(0)
    assert sample.image.shape == (HEIGHT, WIDTH, 3)
    (first, big), (second, parts), (third, column) = drawn(sample)
    assert (first, second, third) == (1, 0, 1)
    assert np.array_equal(big, rows("1111..", "1111..", "1111..", "......"))
    assert np.array_equal(parts, rows("......", ".1....", "......", "....11"))
    assert np.array_equal(column, rows(".....1", ".....1", ".....1", ".....1"))
    assert [each.box for each in sample.instances] == [(0, 0, 4, 3), (1, 1, 6, 4), (5, 0, 6, 4)]
    assert data.description == "COCO instances, train: 1 picture, 3 objects, 2 classes"


@pytest.mark.parametrize("segmentation", [{"size": [HEIGHT, WIDTH], "counts": [0, 8, 16]}, [outline(0, 0, 2, 4)]])
def test_crowds_keep_their_flag_whether_outlined_or_encoded(segmentation: Any, tmp_path: Path) -> None:
    put(tmp_path, annotation(1, 7, segmentation, iscrowd=1), annotation(2, 3, [outline(0, 0, 1, 1)]))
    data = open_instances(str(tmp_path), "train")
    crowd, cat = data.read(0).instances
    assert (crowd.crowd, crowd.label, crowd.box) == (True, 1, (0, 0, 2, 4))
    assert not cat.crowd
    assert data.description.endswith("1 object, 2 classes; 1 crowd; no object of dog")


def test_pictures_without_objects_belong_to_the_set(tmp_path: Path) -> None:
    found = samples(put(tmp_path, annotation(1, 3, [outline(0, 0, 1, 1)], image=2), pictures=3), "train")
    assert {name: len(sample.instances) for name, sample in found.items()} == {"1": 0, "2": 1, "3": 0}


def test_objects_without_a_pixel_are_left_out_and_counted(tmp_path: Path) -> None:
    put(
        tmp_path,
        annotation(1, 3, [outline(1.6, 1.6, 2.4, 2.4)]),  # between the centres
        annotation(2, 3, [outline(-9, -9, -2, -2)]),  # outside
        annotation(3, 3, {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}),
        annotation(4, 3, [outline(1.4, 1.4, 1.6, 1.6)]),  # one centre
        annotation(5, 7, [outline(4, -5, 40, 2)]),  # cut off by the picture's border
    )
    data = open_instances(str(tmp_path), "train")
    assert "2 objects, 2 classes; 3 objects without a pixel left out" in data.description
    tiny, truncated = data.read(0).instances
    assert (tiny.box, tiny.region.area) == ((1, 1, 2, 2), 1)
    assert (truncated.box, truncated.region.area) == ((4, 0, 6, 2), 4)


def test_a_category_called_void_is_a_crowd_of_all_and_background_is_nothing(tmp_path: Path) -> None:
    categories = [{"id": 1, "name": "background"}, {"id": 2, "name": "void"}, {"id": 3, "name": "cat"}]
    marks = [annotation(k, k, [outline(k, 0, k + 1, 1)]) for k in (1, 2, 3)]
    data = open_instances(str(put(tmp_path, *marks, categories=categories)), "train")
    assert [label.name for label in data.labels] == ["cat"]
    assert [(each.box[0], each.crowd) for each in data.read(0).instances] == [(2, True), (3, False)]


def test_the_reader_can_be_sent_to_a_worker(tmp_path: Path) -> None:
    data = open_instances(str(put(tmp_path, annotation(1, 3, [outline(0, 0, 2, 1)]))), "train")
    sample = pickle.loads(pickle.dumps(data)).read(0)
    assert [each.box for each in sample.instances] == [(0, 0, 2, 1)]


def test_a_set_of_boxes_is_told(tmp_path: Path) -> None:
    write_picture(tmp_path / "images/a.jpg", 40, 40)
    images = [{"id": 1, "file_name": "a.jpg", "height": 40, "width": 40}]
    marks = [annotation(1, 3, [outline(2, 2, 30, 20)]), annotation(2, 3, [outline(5, 25, 25, 38)])]
    content = {"images": images, "annotations": marks, "categories": CATEGORIES}
    write(tmp_path / "annotations.json", json.dumps(content))
    assert "every object fills its box: these seem to be boxes" in open_instances(str(tmp_path), "all").description
    marks[0]["segmentation"] = [[2, 2, 30, 2, 16, 20]]
    write(tmp_path / "annotations.json", json.dumps(content))
    assert "boxes" not in open_instances(str(tmp_path), "all").description


# --- bad input: one report, each with file, picture, annotation and reason ---


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (annotation(5, 3, [[1, 1, 2, 2]]), "a shape of at least 3 points is needed, got 2"),
        (annotation(5, 3, [[1, 1, 2, 2, 3]]), "an even count of numbers, got 5"),
        (annotation(5, 3, [[1, 1, 2, float("nan"), 3, 3]]), "a polygon is a list of finite numbers"),
        (annotation(5, 3, [[1, 1, 2, float("inf"), 3, 3]]), "a polygon is a list of finite numbers"),
        (annotation(5, 9, [outline(0, 0, 1, 1)]), "the category id 9 is not in the file's list of categories"),
        (annotation(5, 3, {"size": [WIDTH, HEIGHT], "counts": [24]}), "its RLE is of the size [6, 4] (height, width)"),
        (annotation(5, 3, {"size": [-4, -6], "counts": [24]}), "its RLE is of the size [-4, -6] (height, width)"),
        (annotation(5, 3, {"size": [HEIGHT, WIDTH], "counts": [30, -6]}), "an RLE needs a list of lengths from 0"),
        (
            annotation(5, 3, [], bbox=[0, 0, 2, 2]),
            "has a box, but no mask: 'segmentation' must hold polygons or an RLE",
        ),
        (annotation(5, 3, None), "has no outline"),
        (annotation(5, 3, [outline(0, 0, 1, 1)], bbox=[3, 3, -2, 1]), "its box has a negative size, -2×1"),
        (annotation(5, 3, [[1, 1, 2, 2]], iscrowd=1), "a shape of at least 3 points is needed, got 2"),
    ],
)
def test_a_bad_annotation_is_named_with_its_reason_and_can_be_skipped(bad: Json, reason: str, tmp_path: Path) -> None:
    put(tmp_path, bad, annotation(6, 3, [outline(0, 0, 1, 1)], image=2), pictures=2)
    first, line = refusal(tmp_path, "train").splitlines()
    assert first.endswith("split train: 1 bad file (--skip-bad goes on without)")
    assert line.startswith(f"  {tmp_path / JSON}: 1.jpg, annotation 5: ") and reason in line
    data = open_instances(str(tmp_path), "train", skip_bad=True)
    assert [data.name(index) for index in range(len(data))] == ["2"]
    assert "1 bad file left out" in data.description


def test_ids_that_are_given_twice(tmp_path: Path) -> None:
    put(tmp_path, *(annotation(number, 3, [outline(0, 0, 1, 1)]) for number in (4, 5, 4, 6, 6)))
    said = refusal(tmp_path, "train")
    assert "2 bad files" in said
    for number in (4, 6):
        assert f"{tmp_path / JSON}: annotation {number}: its id is given more than once" in said
    assert len(open_instances(str(tmp_path), "train", skip_bad=True).read(0).instances) == 5


def test_pictures_that_are_missing_or_of_another_size(tmp_path: Path) -> None:
    put(tmp_path, pictures=3)
    (tmp_path / "images/train2017/1.jpg").unlink()
    write_picture(tmp_path / "images/train2017/2.jpg", WIDTH, HEIGHT)
    said = refusal(tmp_path, "train")
    assert f"{tmp_path / JSON}: lists the picture 1.jpg, which is not there" in said
    assert "picture 2 (2.jpg) is 6×4 px, its picture 4×6" in said
    assert len(open_instances(str(tmp_path), "train", skip_bad=True)) == 1


def test_negative_picture_sizes(tmp_path: Path) -> None:
    put(tmp_path)
    text = (tmp_path / JSON).read_text().replace('"height": 4', '"height": -4')
    write(tmp_path / JSON, text)
    assert "picture 1 (1.jpg) is 6×-4 px, its picture 6×4" in refusal(tmp_path, "train")


def test_nothing_usable_and_splits_that_are_not_there(tmp_path: Path) -> None:
    put(tmp_path, annotation(1, 3, [[1, 1, 2, 2]]))
    with pytest.raises(DatasetError, match="split train: no file can be used"):
        open_instances(str(tmp_path), "train", skip_bad=True)
    assert "the split 'val' is not there; splits that hold pictures: train" in refusal(tmp_path, "val")
    assert splits(str(tmp_path)) == ("train",)


@pytest.mark.slow
def test_a_large_file_is_opened_in_little_memory(tmp_path: Path) -> None:
    """What is kept is where each annotation is: the outlines stay on disk, however many there are."""
    put(tmp_path, pictures=2)
    square = json.dumps([[0.25, 0.25, 1.75, 0.25, 1.75, 1.75] * 41])
    with (tmp_path / JSON).open("w") as handle:
        images = [{"id": k, "file_name": f"{k}.jpg", "height": HEIGHT, "width": WIDTH} for k in (1, 2)]
        handle.write(f'{{"images": {json.dumps(images)}, "categories": {json.dumps(CATEGORIES)}, "annotations": [')
        for number in range(40_000):
            image = 1 if number < 3 else 9
            handle.write(f'{{"id": {number}, "image_id": {image}, "category_id": 3, "segmentation": {square}}},\n')
        handle.write('{"id": -1, "image_id": 2, "category_id": 7, "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]}]}')
    assert (tmp_path / JSON).stat().st_size > 60_000_000
    tracemalloc.start()
    data = open_instances(str(tmp_path), "train", skip_bad=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [len(data.read(index).instances) for index in (0, 1)] == [3, 1]
    assert peak < 12_000_000


# --- real pictures ---


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of COCO's tool, under NumPy 2
def test_real_objects_are_what_cocos_own_tool_reads(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Encoded masks are the same; outlined ones differ on the rim alone, for the tool rounds outlines to a fifth of a
    pixel, and their areas do so by chance: neither larger nor smaller on the whole."""
    coco = pytest.importorskip("pycocotools.coco")
    tools = pytest.importorskip("pycocotools.mask")
    cv2 = pytest.importorskip("cv2")
    root, overlaps, growth = real_data / "tinycoco", [], []
    for split, pictures, objects in (("train", 32, 288), ("val", 6, 136)):
        reference = coco.COCO(str(root / f"annotations/instances_{split}2017.json"))
        found = samples(root, split)
        assert len(found) == pictures and sum(len(sample.instances) for sample in found.values()) == objects
        names = [label.name for label in open_instances(str(root), split).labels]
        for image in reference.loadImgs(reference.getImgIds()):
            sample = found[Path(image["file_name"]).stem]
            listed = reference.loadAnns(reference.getAnnIds(image["id"]))
            for item, ours in zip(listed, sample.instances, strict=True):
                theirs = reference.annToMask(item)
                assert (names[ours.label], ours.crowd) == (
                    reference.loadCats(item["category_id"])[0]["name"],
                    bool(item["iscrowd"]),
                )
                mask = bits(ours, sample)
                rim = cv2.dilate(theirs, np.ones((3, 3))) != cv2.erode(theirs, np.ones((3, 3)))
                assert ((mask != theirs) & ~rim).sum() <= 5  # where parts meet, and at the picture's border
                if isinstance(item["segmentation"], dict):
                    assert np.array_equal(mask, theirs)
                x, y, width, height = tools.toBbox(tools.encode(np.asfortranarray(mask)))
                assert ours.box == (x, y, x + width, y + height)
                assert ours.region.area == tools.area(tools.encode(np.asfortranarray(mask)))
                overlaps.append((mask & theirs).sum() / (mask | theirs).sum())
                growth.append(mask.sum() / theirs.sum() - 1)
    capsys.readouterr()  # the tool tells of itself
    assert len(overlaps) == 424 and np.mean(overlaps) > 0.99 and min(overlaps) > 0.8
    assert abs(np.mean(growth)) < 0.001
