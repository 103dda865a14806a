"""What `edgeseg predict` writes for instance models, read back by COCO's tool and by edgeseg's own readers."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edgeseg.cli.app import run
from edgeseg.data.instances.open import open_instances
from edgeseg.data.open import open_data
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.segmenter import Segmenter
from tests.instance_model import instance_contract, write_instance_model

NAMES = ("red", "green", "blue")


def picture(seed: int, height: int, width: int) -> Image:
    """A dark picture with shapes in some of the model's twelve blocks: discs with a hole, bars, and two bars in one."""
    rng = np.random.default_rng(seed)
    image = np.zeros((48, 64, 3), np.uint8)
    for block in rng.permutation(12)[:5]:
        y, x = 16 * (block // 4), 16 * (block % 4)
        part, colour = image[y : y + 16, x : x + 16], (np.eye(3)[rng.integers(3)] * 255).tolist()
        if rng.random() < 0.5:
            cv2.circle(part, (8, 8), 6, colour, cv2.FILLED)
            cv2.circle(part, (8, 8), 2, (0, 0, 0), cv2.FILLED)
        else:
            part[2:14, 2:6] = part[2:14, 10:14] = colour
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST)  # type: ignore[return-value]


@pytest.fixture(params=["prototypes", "detections"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_instance_model(instance_contract(request.param), tmp_path / "model.onnx")


@pytest.fixture
def data(tmp_path: Path, model: Path) -> Path:
    """A folder whose `images` holds pictures, one of them of nothing."""
    (tmp_path / "data" / "images").mkdir(parents=True)
    for seed, (name, size) in enumerate({"a.png": (48, 64), "b.png": (96, 200), "c.png": (31, 47)}.items()):
        cv2.imwrite(str(tmp_path / "data" / "images" / name), picture(seed, *size))
    cv2.imwrite(str(tmp_path / "data" / "images" / "dark.png"), np.zeros((48, 64, 3), np.uint8))
    return tmp_path / "data"


def results(model: Path, data: Path) -> dict[str, InstanceResult]:
    """What the model says of each picture, by stem."""
    segmenter, found = Segmenter.load(model), {}
    for path in sorted((data / "images").iterdir()):
        image = cv2.imread(str(path))
        assert image is not None
        result = segmenter(image.astype(np.uint8))
        assert isinstance(result, InstanceResult)
        found[path.stem] = result
    assert sum(map(len, found.values())) > 10 and len(found["dark"]) == 0
    return found


def predict(model: Path, data: Path, *flags: str) -> int:
    return run(["predict", str(model), str(data / "images"), *flags])


def masks_of(result: InstanceResult) -> list[npt.NDArray[np.bool_]]:
    masks = []
    for region in result.regions:
        mask = np.zeros((result.height, result.width), np.bool_)
        rows, columns = region.inside.shape
        mask[region.top : region.top + rows, region.left : region.left + columns] = region.inside
        masks.append(mask)
    return masks


def read_back(data: Path, wanted: dict[str, InstanceResult]) -> None:
    """Assert that the set in `data` holds each picture's objects: class and every pixel, in whatever order."""
    found = open_instances(str(data), "all")
    places = {label.name: index for index, label in enumerate(found.labels)}
    seen = {}
    for index in range(len(found)):
        sample = found.read(index)
        told = []
        for instance in sample.instances:
            mask = np.zeros(sample.image.shape[:2], np.bool_)
            rows, columns = instance.region.inside.shape
            top, left = instance.region.top, instance.region.left
            mask[top : top + rows, left : left + columns] = instance.region.inside
            told.append((instance.label, mask.tobytes()))
        seen[Path(found.name(index)).stem] = sorted(told)
    assert seen == {
        name: sorted(
            (places[NAMES[label]], mask.tobytes()) for label, mask in zip(result.labels, masks_of(result), strict=True)
        )
        for name, result in wanted.items()
    }


def test_coco_is_the_default_and_both_files_are_read_back(
    model: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(model, data, "--out", str(data), "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["format"], answer["written"]) == ("coco", 4)
    wanted = results(model, data)
    read_back(data, wanted)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of COCO's tool, under NumPy 2
def test_cocos_tool_scores_the_results_against_themselves(model: Path, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    out = tmp_path / "out"
    assert predict(model, data, "--out", str(out), "--format", "coco") == 0
    truth = COCO(str(out / "annotations.json"))
    found = truth.loadRes(str(out / "predictions.json"))
    wanted = results(model, data)
    assert [image["file_name"] for image in truth.dataset["images"]] == [f"{name}.png" for name in sorted(wanted)]
    for image in truth.dataset["images"]:
        result = wanted[Path(image["file_name"]).stem]
        told = found.loadAnns(found.getAnnIds(imgIds=[image["id"]]))
        assert [one["category_id"] - 1 for one in told] == result.labels.tolist()
        np.testing.assert_allclose([one["score"] for one in told], result.scores, atol=1e-6)
        boxes = np.array([one["bbox"] for one in told]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        np.testing.assert_allclose(boxes, result.boxes, atol=2e-3)
        for one, mask in zip(told, masks_of(result), strict=True):
            np.testing.assert_array_equal(found.annToMask(one), mask)
    evaluation = COCOeval(truth, found, "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)


def test_labelme_is_read_back_with_holes_and_pieces(model: Path, data: Path) -> None:
    assert predict(model, data, "--out", str(data), "--format", "labelme") == 0
    wanted = results(model, data)
    content = json.loads((data / "a.json").read_text())
    assert {shape["group_id"] for shape in content["shapes"]} == set(range(1, len(wanted["a"]) + 1))
    assert len(content["shapes"]) > len(wanted["a"])  # some are in two pieces
    read_back(data, wanted)


def test_yolo_is_read_back_with_holes_and_pieces(model: Path, data: Path) -> None:
    assert predict(model, data, "--out", str(data), "--format", "yolo") == 0
    read_back(data, results(model, data))


def test_png_gives_objects_and_classes_that_are_read_back(model: Path, data: Path) -> None:
    assert predict(model, data, "--out", str(data / "masks"), "--format", "png", "--overlay") == 0
    (data / "masks" / "classes.csv").rename(data / "classes.csv")
    wanted = results(model, data)
    for name, result in wanted.items():
        objects = cv2.imread(str(data / "masks" / "objects" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        assert objects is not None and objects.dtype == np.uint16
        expected = np.zeros(objects.shape, np.uint16)
        for place, mask in reversed(list(enumerate(masks_of(result), 1))):
            expected[mask] = place
        np.testing.assert_array_equal(objects, expected)
        overlay = data / "masks" / f"{name}.overlay.jpg"
        assert overlay.stat().st_size > 0
        overlay.unlink()
    read = open_data(str(data), "all")
    for index in range(len(read)):
        np.testing.assert_array_equal(read.read(index).mask, wanted[read.name(index)].mask)


def test_nothing_unfinished_is_left_and_old_results_are_replaced(model: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for _ in range(2):
        for form in ("coco", "labelme", "yolo", "png"):
            assert predict(model, data, "--out", str(out / form), "--format", form) == 0
    assert not [path for path in out.rglob("*") if "partial" in path.name]
    assert sorted(path.name for path in (out / "coco").iterdir()) == ["annotations.json", "predictions.json"]
    assert len(list((out / "yolo" / "labels").iterdir())) == 4


def test_unreadable_pictures_are_left_out_of_the_set(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "images" / "broken.jpg").write_text("no picture")
    assert predict(model, data, "--out", str(tmp_path / "out")) == 2
    assert "broken.jpg is damaged" in capsys.readouterr().err
    images = json.loads((tmp_path / "out" / "annotations.json").read_text())["images"]
    assert [image["file_name"] for image in images] == ["a.png", "b.png", "c.png", "dark.png"]


def test_info_tells_outputs_and_selection(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(model)]) == 0
    told = capsys.readouterr().out
    contract = Segmenter.load(model).contract
    assert "task: instance" in told
    assert f"output: {contract.output} (boxes, " in told
    assert "objects: at most 100, whose boxes overlap by at most 0.6 within a class" in told
    assert "scores from: 0.05" in told
