from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgeseg.data.instances.collection import ObjectsAsClasses, open_objects
from edgeseg.data.instances.convert import write_coco
from edgeseg.data.instances.open import open_instances, splits
from edgeseg_runtime.errors import DatasetError, OutputError
from tests.edgeseg.data.instances.objects import full, samples
from tests.edgeseg.data.instances.test_coco import annotation, outline
from tests.edgeseg.data.instances.test_coco import put as put_coco
from tests.edgeseg.data.instances.test_pennfudan import put as put_people
from tests.edgeseg.data.samples import rows


def converted(root: str, out: Path, *, skip_bad: bool = False) -> dict[str, int]:
    collection = open_objects(root)
    written = write_coco(collection, [item.split for item in collection.items], out, skip_bad=skip_bad, workers=2)
    return dict(written.pictures)


def same_objects(one: Path | str, other: Path, split: str) -> int:
    """Check that two sets hold the same objects; return how many."""
    first, second = (open_instances(str(each), split) for each in (one, other))
    assert [label.name for label in first.labels] == [label.name for label in second.labels]
    assert [label.color for label in first.labels] == [label.color for label in second.labels]
    count = 0
    for index in range(len(first)):
        a, b = first.read(index), second.read(index)
        assert first.name(index) == second.name(index) and np.array_equal(a.image, b.image)
        for ours, theirs in zip(a.instances, b.instances, strict=True):
            assert (ours.label, ours.crowd, ours.box) == (theirs.label, theirs.crowd, theirs.box)
            assert np.array_equal(ours.region.inside, theirs.region.inside)
            count += 1
    assert len(first) == len(second)
    return count


def test_objects_crowds_and_empty_pictures_survive(tmp_path: Path) -> None:
    marks = [
        annotation(1, 3, [outline(0, 0, 4, 3)]),
        annotation(2, 7, [outline(1, 1, 3, 4)]),  # overlaps
        annotation(3, 7, [outline(0, 3, 6, 4)], image=2, iscrowd=1),
    ]
    root = put_coco(tmp_path / "in", *marks, pictures=3)
    assert converted(str(root), tmp_path / "out") == {"train": 3}
    assert same_objects(root, tmp_path / "out", "train") == 3
    original, copy = root / "images/train2017/1.jpg", tmp_path / "out/images/train/1.jpg"
    assert original.read_bytes() == copy.read_bytes()


def test_drawn_and_undivided_sets(tmp_path: Path) -> None:
    spec = "procedural:48x64,n=4"
    assert converted(spec, tmp_path / "a") == {"train": 4, "val": 1, "test": 1, "calibration": 1}
    assert same_objects(spec, tmp_path / "a", "train") > 10
    home = put_people(tmp_path / "people", "A1")
    write_coco(open_objects(str(home)), ["all"], tmp_path / "b")
    assert (tmp_path / "b/annotations/instances_default.json").is_file()
    assert splits(str(tmp_path / "b")) == ("all",)
    assert len(samples(tmp_path / "b", "all")["A1"].instances) == 2


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of COCO's tool, under NumPy 2
def test_cocos_own_tool_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    converted("procedural:48x64,n=4", tmp_path / "out")
    tool = coco.COCO(str(tmp_path / "out/annotations/instances_train.json"))
    capsys.readouterr()  # it tells of itself
    data = open_instances("procedural:48x64,n=4", "train")
    for number, image in enumerate(tool.loadImgs(sorted(tool.getImgIds()))):
        sample = data.read(number)
        assert image["file_name"] == f"{data.name(number)}.png"
        found = tool.loadAnns(tool.getAnnIds(image["id"]))
        for item, each in zip(found, sample.instances, strict=True):
            assert np.array_equal(tool.annToMask(item), full(each.region, 48, 64))
            x, y, width, height = item["bbox"]
            assert (x, y, x + width, y + height) == each.box and item["area"] == each.region.area
            assert tool.loadCats(item["category_id"])[0]["name"] == data.labels[each.label].name


def test_bad_files_stop_it_unless_skipped_and_nothing_half_written_is_left(tmp_path: Path) -> None:
    root = put_coco(
        tmp_path / "in", annotation(1, 3, [[1, 1, 2, 2]]), annotation(2, 3, [outline(0, 0, 1, 1)], 2), pictures=2
    )
    with pytest.raises(DatasetError, match="1 bad file"):
        converted(str(root), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert converted(str(root), tmp_path / "out", skip_bad=True) == {"train": 1}
    with pytest.raises(OutputError, match="is there already"):
        converted(str(root), tmp_path / "out")


def test_ids_count_through_a_file(tmp_path: Path) -> None:
    root = put_people(tmp_path / "in", "A1", "A2", "A3")
    converted(str(root), tmp_path / "out")
    content = json.loads((tmp_path / "out/annotations/instances_train.json").read_text())
    assert [each["id"] for each in content["annotations"]] == list(range(1, 7))
    assert [each["image_id"] for each in content["annotations"]] == [1, 1, 2, 2, 3, 3]


def test_objects_as_classes(tmp_path: Path) -> None:
    marks = [
        annotation(1, 3, [outline(1, 1, 2, 2)]),
        annotation(2, 7, [outline(0, 0, 4, 3)]),
        annotation(3, 7, [outline(4, 0, 6, 4)], iscrowd=1),
    ]
    data = ObjectsAsClasses(open_instances(str(put_coco(tmp_path, *marks)), "train"))
    assert len(data) == 1 and data.name(0) == "1" and [label.name for label in data.labels] == ["cat", "dog"]
    assert np.array_equal(data.read(0).mask, rows("1111xx", "1011xx", "1111xx", "xxxxxx"))
