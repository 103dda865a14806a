from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as mask_tool
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edgeseg.data.instances.base import Instance
from edgeseg.training.instances.average_precision import InstanceScores, evaluate_instances
from edgeseg_runtime.contract import Label
from edgeseg_runtime.errors import DatasetError
from edgeseg_runtime.instances.region import Region
from tests.edgeseg.training.instances.scenes import LABELS, Guess, Guesser, Scenes, drawn, rectangle, truthful

NAMES = tuple(label.name for label in LABELS)
CAT, DOG, BIRD = range(3)


def one_picture(objects: Sequence[Instance], guesses: Sequence[Guess]) -> InstanceScores:
    return evaluate_instances(Guesser([guesses]), Scenes([((150, 150), objects)]), NAMES)


class TestWhatIsFoundExactly:
    def test_all_scores_are_one(self) -> None:
        objects = [Instance(CAT, rectangle(5, 5, 20, 20)), Instance(DOG, rectangle(30, 30, 50, 50))]
        scenes = Scenes([((60, 90), objects[:1]), ((150, 150), [*objects, Instance(CAT, rectangle(0, 0, 100, 110))])])
        scores = evaluate_instances(truthful(scenes), scenes, NAMES)
        for one in (scores.mask, scores.box):
            assert (one.ap, one.ap50, one.ap75, one.small, one.medium, one.large) == pytest.approx((1,) * 6)
            assert one.classes[:2] == pytest.approx((1, 1))
        for point in scores.points[:2]:
            assert (point.precision, point.recall, point.f1) == (1, 1, 1)
            assert 0.05 < point.threshold < 0.9
        assert [point.objects for point in scores.points] == [3, 1, 0]

    def test_a_class_that_is_not_there_has_no_score(self) -> None:
        scores = one_picture([Instance(CAT, rectangle(5, 5, 20, 20))], [Guess(CAT, 0.9, rectangle(5, 5, 20, 20))])
        assert math.isnan(scores.mask.classes[BIRD])
        assert math.isnan(scores.mask.large)
        bird = scores.points[BIRD]
        assert math.isnan(bird.recall) and math.isnan(bird.f1) and bird.threshold == 0.5
        told = scores.as_dict(NAMES)
        assert told["classes"]["bird"]["mask_ap"] is None
        assert told["mask_ap"] == pytest.approx(1)
        assert told["mask_ap_large"] is None
        json.dumps(told, allow_nan=False)


class TestByHand:
    """Areas under the curve of precision over recall, read at 0, 0.01, … 1: 101 places."""

    objects = (Instance(CAT, rectangle(5, 5, 20, 20)), Instance(CAT, rectangle(60, 60, 20, 20)))

    def test_a_wrong_one_between_two_right_ones(self) -> None:
        scores = one_picture(
            self.objects,
            [
                Guess(CAT, 0.9, self.objects[0].region),
                Guess(CAT, 0.8, rectangle(100, 5, 20, 20)),
                Guess(CAT, 0.7, self.objects[1].region),
            ],
        )
        # recall 0 to 0.5 at precision 1, above that at 2/3
        expected = (51 + 50 * 2 / 3) / 101
        assert (scores.mask.ap, scores.mask.ap50, scores.mask.small) == pytest.approx((expected,) * 3)
        assert scores.box.ap == pytest.approx(expected)
        cat = scores.points[CAT]
        assert (cat.precision, cat.recall, cat.f1) == pytest.approx((2 / 3, 1, 0.8))

    def test_one_of_two_found(self) -> None:
        scores = one_picture(self.objects, [Guess(CAT, 0.9, self.objects[0].region)])
        assert scores.mask.ap == pytest.approx(51 / 101)
        cat = scores.points[CAT]
        assert (cat.precision, cat.recall, cat.f1) == pytest.approx((1, 0.5, 2 / 3))

    def test_found_twice_is_wrong_once(self) -> None:
        region = self.objects[0].region
        scores = one_picture(self.objects[:1], [Guess(CAT, 0.9, region), Guess(CAT, 0.3, region)])
        assert scores.mask.ap == pytest.approx(1)
        cat = scores.points[CAT]
        assert (cat.precision, cat.recall) == (1, 1)
        assert cat.threshold == pytest.approx(0.6)  # half way between the two

    def test_masks_and_boxes_are_judged_apart(self) -> None:
        half = Region(5, 5, np.arange(400).reshape(20, 20) // 20 < 12)  # the upper 12 of 20 rows, in the whole box
        scores = one_picture(self.objects[:1], [Guess(CAT, 0.9, half)])
        # an IoU of 12/20 reaches the thresholds 0.5, 0.55 and 0.6 of the ten
        assert scores.mask.ap == pytest.approx(0.3)
        assert (scores.mask.ap50, scores.mask.ap75) == pytest.approx((1, 0))
        assert scores.box.ap == pytest.approx(1)

    def test_nothing_found_is_zero_and_not_unknown(self) -> None:
        scores = one_picture(self.objects, [])
        assert (scores.mask.ap, scores.box.ap50) == (0, 0)
        cat = scores.points[CAT]
        assert (cat.recall, cat.f1, cat.threshold) == (0, 0, 0.5)
        assert math.isnan(cat.precision)

    def test_the_wrong_class_is_not_found(self) -> None:
        scores = one_picture(self.objects[:1], [Guess(DOG, 0.9, self.objects[0].region)])
        assert scores.mask.ap == 0
        assert math.isnan(scores.mask.classes[DOG])  # there is no dog to miss
        dog = scores.points[DOG]
        assert (dog.precision, dog.f1) == (0, 0)

    def test_what_lies_in_a_crowd_is_not_wrong(self) -> None:
        crowd = Instance(CAT, rectangle(90, 90, 50, 50), crowd=True)
        inside = [Guess(CAT, 0.95, rectangle(90 + 12 * step, 90, 12, 20)) for step in range(4)]
        scores = one_picture([self.objects[0], crowd], [*inside, Guess(CAT, 0.4, self.objects[0].region)])
        assert scores.mask.ap == pytest.approx(1)
        cat = scores.points[CAT]
        assert (cat.precision, cat.recall, cat.objects) == (1, 1, 1)

    def test_given_thresholds_are_kept_to(self) -> None:
        scenes = Scenes([((150, 150), self.objects)])
        guesses = [Guess(CAT, 0.9, self.objects[0].region), Guess(CAT, 0.3, self.objects[1].region)]
        scores = evaluate_instances(Guesser([guesses]), scenes, NAMES, thresholds=(0.5, 0.1, 0.2))
        assert scores.thresholds == (0.5, 0.1, 0.2)
        assert (scores.points[CAT].recall, scores.points[CAT].precision) == (0.5, 1)
        assert scores.mask.ap == pytest.approx(1)  # which no threshold changes


def direct(truth: Path, found: list[dict[str, Any]], kind: str, exact_areas: bool = False) -> COCOeval:
    """Score as pycocotools' own examples do, from files."""
    with redirect_stdout(StringIO()):
        data = COCO(str(truth))
        if exact_areas:
            for one in data.anns.values():
                one["area"] = float(mask_tool.area(data.annToRLE(one)))
        answers = data.loadRes(found)
        evaluation = COCOeval(data, answers, kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def as_json(region: Region, height: int, width: int) -> dict[str, Any]:
    whole = np.zeros((height, width), np.uint8)
    whole[region.top :, region.left :][: region.inside.shape[0], : region.inside.shape[1]] = region.inside
    encoded = mask_tool.encode(np.asfortranarray(whole))
    return {"size": [height, width], "counts": encoded["counts"].decode()}


def to_files(scenes: Scenes, guesser: Guesser, folder: Path) -> tuple[Path, dict[str, list[dict[str, Any]]]]:
    """Write scenes and guesses as a data set's makers would."""
    annotations: list[dict[str, Any]] = []
    images = []
    found: dict[str, list[dict[str, Any]]] = {"segm": [], "bbox": []}
    for number, (sample, guesses) in enumerate(zip(scenes.samples, guesser.guesses, strict=True)):
        height, width = sample.image.shape[:2]
        images.append({"id": 70 + number, "height": height, "width": width})
        for one in sample.instances:
            rle = as_json(one.region, height, width)
            annotations.append({
                "id": 500 + len(annotations), "image_id": 70 + number, "category_id": one.label + 1,
                "iscrowd": int(one.crowd), "segmentation": rle,
                "bbox": mask_tool.toBbox(rle).tolist(), "area": int(mask_tool.area(rle)),
            })  # fmt: skip
        for guess in guesses:
            rle = as_json(guess.region, height, width)
            said = {"image_id": 70 + number, "category_id": guess.label + 1, "score": guess.score}
            found["segm"].append({**said, "segmentation": rle})
            top, left, shape = guess.region.top, guess.region.left, guess.region.inside.shape
            found["bbox"].append({**said, "bbox": [left, top, shape[1], shape[0]]})
    categories = [{"id": number, "name": name} for number, name in enumerate(NAMES, 1)]
    path = folder / "truth.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path, found


def matched_by_hand(scenes: Scenes, guesser: Guesser, label: int) -> tuple[list[tuple[float, bool]], int]:
    """Match as COCO's paper says, at an IoU of one half: the surest first, each to the best that is left."""
    told: list[tuple[float, bool]] = []
    objects = 0
    for sample, guesses in zip(scenes.samples, guesser.guesses, strict=True):
        height, width = sample.image.shape[:2]

        def pixels(region: Region, height: int = height, width: int = width) -> Any:
            whole = np.zeros((height, width), bool)
            whole[region.top :, region.left :][: region.inside.shape[0], : region.inside.shape[1]] = region.inside
            return whole

        true = [pixels(one.region) for one in sample.instances if one.label == label and not one.crowd]
        crowds = [pixels(one.region) for one in sample.instances if one.label == label and one.crowd]
        objects += len(true)
        taken: set[int] = set()
        for guess in sorted((one for one in guesses if one.label == label), key=lambda one: -one.score):
            mine = pixels(guess.region)
            overlaps = [(mine & one).sum() / (mine | one).sum() for one in true]
            free = [index for index in range(len(true)) if index not in taken and overlaps[index] >= 0.5]
            if free:
                taken.add(max(free, key=lambda index: overlaps[index]))
                told.append((guess.score, True))
            elif not any((mine & one).sum() / mine.sum() >= 0.5 for one in crowds):
                told.append((guess.score, False))
    return told, objects


@pytest.mark.parametrize("seed", range(4))
class TestRandomScenes:
    def test_average_precision_is_what_pycocotools_tells_of_the_files(self, seed: int, tmp_path: Path) -> None:
        scenes, guesser = drawn(seed)
        scores = evaluate_instances(guesser, scenes, NAMES)
        path, found = to_files(scenes, guesser, tmp_path)
        for kind, mine in (("segm", scores.mask), ("bbox", scores.box)):
            stats = direct(path, found[kind], kind).stats
            numbers = (mine.ap, mine.ap50, mine.ap75, mine.small, mine.medium, mine.large)
            assert np.nan_to_num(numbers, nan=-1) == pytest.approx(stats[:6], abs=1e-12)
            assert 0 < mine.ap < 1

    def test_the_best_threshold_is_better_than_every_other(self, seed: int) -> None:
        scenes, guesser = drawn(seed)
        scores = evaluate_instances(guesser, scenes, NAMES)
        for label, point in enumerate(scores.points):
            told, objects = matched_by_hand(scenes, guesser, label)
            assert point.objects == objects

            def at(threshold: float, told: Any = told, objects: int = objects) -> tuple[float, float, float]:
                kept = [right for score, right in told if score >= threshold]
                hits = sum(kept)
                return hits / len(kept), hits / objects, 2 * hits / (len(kept) + objects)

            assert (point.precision, point.recall, point.f1) == pytest.approx(at(point.threshold))
            assert point.f1 == pytest.approx(max(at(score)[2] for score, _ in told))
            assert all(abs(score - point.threshold) > 1e-3 or score < 0.06 for score, _ in told)


def test_pictures_without_any_object_cannot_be_scored() -> None:
    crowd = Instance(CAT, rectangle(0, 0, 20, 20), crowd=True)
    scenes = Scenes([((40, 40), [crowd]), ((30, 30), [])])
    with pytest.raises(DatasetError, match="none of the 2 pictures has an object"):
        evaluate_instances(truthful(scenes), scenes, NAMES)


def test_other_classes_are_refused() -> None:
    scenes = Scenes([((40, 40), [Instance(CAT, rectangle(0, 0, 20, 20))])])
    with pytest.raises(DatasetError, match="the model knows 2 classes"):
        evaluate_instances(truthful(scenes), scenes, NAMES[:2])


def test_nothing_is_printed_and_progress_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    scenes, guesser = drawn(0, pictures=3)
    told: list[tuple[str, int | None]] = []

    def progress(items: range, label: str, total: int | None = None) -> range:
        told.append((label, total))
        return items

    evaluate_instances(guesser, scenes, NAMES, progress)  # type: ignore[arg-type]
    assert told == [("scoring", 3)]
    assert capsys.readouterr() == ("", "")


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_coco_itself() -> None:
    """Pictures, categories and crowds as COCO gives them; the guesses are its objects, moved and thinned out."""
    root = Path(os.environ.get("EDGESEG_DATA", "../shared/data")) / "tinycoco"
    path = root / "annotations" / "instances_train2017.json"
    with redirect_stdout(StringIO()):
        source = COCO(str(path))
    random = np.random.default_rng(0)
    categories = sorted(source.cats)
    pictures, guesses, found = [], [], []
    for picture in sorted(source.imgs):
        size = (source.imgs[picture]["height"], source.imgs[picture]["width"])
        objects, said = [], []
        for one in source.loadAnns(source.getAnnIds(imgIds=picture)):
            whole = source.annToMask(one).astype(bool)
            label = categories.index(one["category_id"])
            if not whole.any():
                continue
            objects.append(Instance(label, Region(0, 0, whole), bool(one["iscrowd"])))
            if random.random() < 0.2:
                continue
            reach = int(random.integers(1, 9))
            moved = np.roll(whole, tuple(random.integers(-reach, reach + 1, 2)), (0, 1))
            moved = cv2.erode(moved.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) if reach > 5 else moved
            if moved.any():
                said.append(Guess(label, float(np.float32(random.random())), Region(0, 0, moved)))
                rle = as_json(said[-1].region, *size)
                found.append(
                    {
                        "image_id": picture,
                        "category_id": one["category_id"],
                        "score": said[-1].score,
                        "segmentation": rle,
                    }
                )
        pictures.append((size, objects))
        guesses.append(said)
    scenes = Scenes(pictures)
    scenes.labels = tuple(Label(str(number), (0, 0, 0)) for number in categories)
    scores = evaluate_instances(Guesser(guesses), scenes, tuple(str(number) for number in categories))
    stats = direct(path, found, "segm", exact_areas=True).stats
    mine = scores.mask
    assert (mine.ap, mine.ap50, mine.ap75, mine.small, mine.medium, mine.large) == pytest.approx(stats[:6], abs=1e-12)
    assert 0.1 < mine.ap < 0.9
