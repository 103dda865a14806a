from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgeseg.data.doctor.page import write_page
from edgeseg.data.doctor.run import Diagnosis, diagnose
from tests.edgeseg.data.samples import write

SIDE = 60
Json = dict[str, Any]


def outline(left: float, top: float, right: float, bottom: float) -> list[float]:
    """Return a box without a corner."""
    across, down = right - (right - left) / 3, top + (bottom - top) / 3
    return [left, top, across, top, right, down, right, bottom, left, bottom]


def box(left: float, top: float, right: float, bottom: float) -> list[float]:
    return [left, top, right, top, right, bottom, left, bottom]


def mark(image: int, category: int, points: list[float], **more: Any) -> Json:
    return {"image_id": image, "category_id": category, "segmentation": [points]} | more


def put(root: Path, *marks: Json, pictures: int = 3) -> Path:
    images = [{"id": k, "file_name": f"{k}.png", "height": SIDE, "width": SIDE} for k in range(1, pictures + 1)]
    (root / "images").mkdir(parents=True, exist_ok=True)
    for k in range(1, pictures + 1):
        noise = np.random.default_rng(k).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        assert cv2.imwrite(str(root / f"images/{k}.png"), noise)
    annotations = [{"id": number, **each} for number, each in enumerate(marks)]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    write(root / "annotations.json", json.dumps(content))
    return root


def found(root: Path) -> Diagnosis:
    return diagnose(str(root), task="instance", workers=1)


def messages(root: Path) -> dict[str, str]:
    return {finding.check: finding.message for finding in found(root).findings}


SOUND = [mark(k, 1 + k % 2, outline(5, 5, 40, 40), bbox=[5, 5, 35, 35]) for k in (1, 2, 3)]


def test_a_sound_set_has_nothing_to_tell(tmp_path: Path) -> None:
    assert messages(put(tmp_path, *SOUND)) == {}


@pytest.mark.parametrize(
    ("more", "check", "message"),
    [
        (mark(1, 2, outline(5, 5, 41, 40)), "object-twice", "1 pair on 1 of 3 pictures"),
        (mark(2, 2, outline(5, 5, 25, 25), bbox=[30, 30, 9, 9]), "object-box", "1 object on 1 of 3 pictures"),
        (mark(2, 2, outline(7.6, 7.6, 8.4, 8.4)), "object-empty", "1 object on 1 of 3 pictures"),
        (mark(3, 2, outline(50, 50, 53, 53)), "object-tiny", "1 object on 1 of 3 pictures"),
    ],
)
def test_odd_objects_are_found_on_their_pictures(more: Json, check: str, message: str, tmp_path: Path) -> None:
    diagnosis = found(put(tmp_path, *SOUND, more))
    (finding,) = diagnosis.findings
    assert (finding.check, finding.message, finding.split) == (check, message, "all")
    assert finding.files == (str(tmp_path / f"images/{more['image_id']}.png"),)
    assert finding.pictures == (more["image_id"] - 1,)


def test_objects_of_two_classes_or_with_a_crowd_are_not_labelled_twice(tmp_path: Path) -> None:
    other = mark(1, 1, outline(5, 5, 40, 40))
    crowd = mark(1, 2, outline(5, 5, 40, 40), iscrowd=1, bbox=[0, 0, 60, 60])
    assert messages(put(tmp_path, *SOUND, other, crowd)) == {}


def test_boxes_instead_of_outlines(tmp_path: Path) -> None:
    boxes = [mark(k, 1 + k % 2, box(5, 5, 40, 40)) for k in (1, 2, 3)]
    assert messages(put(tmp_path, *boxes)) == {"objects-are-boxes": "each of 3 objects fills its box"}
    assert "objects-are-boxes" not in messages(put(tmp_path, *boxes, mark(1, 1, outline(20, 42, 55, 58))))


def test_pictures_without_objects(tmp_path: Path) -> None:
    assert messages(put(tmp_path, *SOUND[:2])) == {"picture-without-objects": "1 of 3 pictures"}


def test_bad_files_and_repeated_ids_are_errors(tmp_path: Path) -> None:
    root = put(tmp_path, *SOUND, mark(2, 9, outline(5, 5, 20, 20)))
    text = (root / "annotations.json").read_text().replace('"id": 1, "image_id"', '"id": 0, "image_id"')
    write(root / "annotations.json", text)
    (root / "images/3.png").write_bytes(b"")
    diagnosis = found(root)
    said = [finding.message for finding in diagnosis.of("error")]
    assert len(said) == 3
    assert any("annotation 0: its id is given more than once" in line for line in said)
    assert any("2.png, annotation 3: the category id 9 is not in the file's list" in line for line in said)
    assert any("the file is empty" in line for line in said)
    assert diagnosis.counts == {"all": (3, 1)}


def test_copies_and_classes_are_looked_at_too(tmp_path: Path) -> None:
    root = put(tmp_path, *SOUND[:2], mark(3, 1, outline(9, 9, 50, 50)))
    (root / "images/3.png").write_bytes((root / "images/1.png").read_bytes())
    assert "labels-disagree" in messages(root)
    assert (
        "no mask has a pixel of dog" in messages(put(tmp_path / "b", mark(1, 1, outline(5, 5, 40, 40))))["class-absent"]
    )


def test_the_page_shows_objects(tmp_path: Path) -> None:
    diagnosis = found(put(tmp_path, *SOUND, mark(3, 2, outline(50, 50, 53, 53))))
    write_page(tmp_path / "x.html", diagnosis, {})
    text = (tmp_path / "x.html").read_text()
    assert "object-tiny" in text and text.count("data:image/webp") >= 4


def test_the_built_in_set() -> None:
    diagnosis = diagnose("procedural:48x64,n=4", task="instance", splits=["train"])
    assert not diagnosis.of("error") and diagnosis.counts == {"train": (4, 4)}
    assert {finding.check for finding in diagnosis.findings} >= {"object-tiny"}
