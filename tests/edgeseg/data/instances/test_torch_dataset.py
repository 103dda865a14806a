from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.ops import masks_to_boxes

from edgeseg.data.augment_config import AugmentConfig
from edgeseg.data.instances.augment import instance_augmentation
from edgeseg.data.instances.base import Instance, InstanceSample
from edgeseg.data.instances.procedural import ProceduralObjects
from edgeseg.data.instances.torch_dataset import InstanceTrainingSet, Target, collate
from edgeseg.data.procedural import ProceduralSpec
from edgeseg.data.sampling import Draw
from edgeseg.data.varied import CACHE_BYTES
from edgeseg_runtime.contract import Contract, Label, Selection
from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.preprocess import to_input, to_input_mask
from tests.edgeseg.data.instances.objects import full

DATA = ProceduralObjects(ProceduralSpec(48, 64, n=10), "train")
INSTANCE: Any = {"task": "instance", "output": "prototypes", "selection": Selection((0.5, 0.5))}
CONTRACT = Contract(DATA.labels, 40, 60, **INSTANCE)


@pytest.fixture(autouse=True)
def one_opencv_thread() -> Iterator[None]:
    """OpenCV's threads do not survive the fork that makes a loader's workers."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


def strong(cache_bytes: int = CACHE_BYTES, seed: int = 3) -> InstanceTrainingSet:
    pieces = AugmentConfig(mosaic=0.5, copy_paste=0.7, cutout=0.3, warp=0.5, rotate=20)
    return InstanceTrainingSet(
        DATA, CONTRACT, instance_augmentation("strong", CONTRACT, pieces), seed, cache_bytes=cache_bytes
    )


def same(first: tuple[Tensor, Target], second: tuple[Tensor, Target]) -> bool:
    return torch.equal(first[0], second[0]) and all(torch.equal(first[1][k], second[1][k]) for k in first[1])


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_without_augmentation_an_item_is_what_the_runtime_gives_the_model(resize: str, order: str) -> None:
    contract = Contract(DATA.labels, 40, 60, resize=resize, color_order=order, **INSTANCE)  # type: ignore[arg-type]
    dataset = InstanceTrainingSet(DATA, contract, instance_augmentation("none", contract), seed=0)
    assert len(dataset) == 10
    for index in (0, 5, 9):
        frame, target = dataset[index]
        sample = DATA.read(index)
        assert frame.dtype == torch.uint8 and np.array_equal(frame.numpy(), to_input(sample.image, contract))
        expected = []
        for each in sample.instances:
            stored = full(each.region, 48, 64).astype(np.uint8)
            mask = to_input_mask(stored, contract) == 1  # padding is 255
            if mask.any():
                expected.append((each.label, mask))
        assert len(expected) > 2
        assert target["labels"].tolist() == [label for label, _ in expected]
        assert np.array_equal(target["masks"].numpy().astype(bool), np.stack([mask for _, mask in expected]))


def test_targets_have_the_types_and_boxes_that_models_take() -> None:
    dataset = strong()
    seen = 0
    for epoch in range(4):
        dataset.set_epoch(epoch)
        for index in range(10):
            _, target = dataset[index]
            count = len(target["labels"])
            seen += count
            assert {key: value.dtype for key, value in target.items()} == {
                "boxes": torch.float32,
                "labels": torch.int64,
                "masks": torch.uint8,
                "crowd": torch.bool,
            }
            assert target["boxes"].shape == (count, 4) and target["masks"].shape == (count, 40, 60)
            if count:
                assert target["masks"].flatten(1).any(1).all()
                # torchvision's boxes end at the last pixel, ours behind it
                theirs = masks_to_boxes(target["masks"]) + torch.tensor([0, 0, 1, 1])
                assert torch.equal(target["boxes"], theirs)
    assert seen > 100


class Given:
    """Pictures with given objects, or none."""

    labels = (Label("cat", (1, 1, 1)), Label("dog", (2, 2, 2)))
    description = "given"

    def __init__(self, *objects: tuple[Instance, ...]) -> None:
        self.objects = objects

    def __len__(self) -> int:
        return len(self.objects)

    def name(self, index: int) -> str:
        return str(index)

    def read(self, index: int) -> InstanceSample:
        return InstanceSample(np.full((100, 120, 3), 90, np.uint8), self.objects[index])


def test_pictures_without_objects_and_objects_too_small_for_the_input() -> None:
    point, square = (Instance(1, Region(50, 50, np.ones((n, n), np.bool_)), crowd=n > 1) for n in (1, 20))
    contract = Contract(Given.labels, 10, 12, **INSTANCE)
    dataset = InstanceTrainingSet(
        Given((), (point,), (point, square)), contract, instance_augmentation("none", contract), 0
    )
    frames, targets = collate([dataset[index] for index in range(3)])
    assert frames.shape == (3, 10, 12, 3)
    assert [len(target["labels"]) for target in targets] == [0, 0, 1]
    assert targets[0]["boxes"].shape == (0, 4) and targets[0]["masks"].shape == (0, 10, 12)
    assert targets[2]["crowd"].tolist() == [True] and targets[2]["boxes"].tolist() == [[5, 5, 7, 7]]


@pytest.mark.parametrize("kept", [0, 4, 10])
def test_neither_workers_nor_cache_change_an_item(kept: int) -> None:
    alone, dataset = strong(), strong(kept * 3 * 40 * 60)
    for epoch in (0, 1):
        alone.set_epoch(epoch)
        dataset.set_epoch(epoch)
        expected = [alone[index] for index in range(10)]
        loader = DataLoader(dataset, batch_size=4, num_workers=2 * (kept == 4), collate_fn=collate)
        found = [item for frames, targets in loader for item in zip(frames, targets, strict=True)]
        assert all(same(one, two) for one, two in zip(expected, found, strict=True))


def test_what_is_drawn_depends_on_seed_epoch_item_and_repeat() -> None:
    dataset = strong()
    first = dataset[2]
    assert same(first, dataset[2]) and same(first, dataset[Draw(2)])
    assert not same(first, dataset[Draw(2, 1)])
    assert not torch.equal(strong(seed=4)[2][0], first[0])
    dataset.set_epoch(1)
    assert not torch.equal(dataset[2][0], first[0])
    dataset.set_epoch(0)
    assert same(first, dataset[2])


def test_a_set_can_be_sent_to_another_process() -> None:
    dataset = strong()
    assert same(pickle.loads(pickle.dumps(dataset))[1], dataset[1])


def test_the_callers_random_numbers_are_left_alone() -> None:
    dataset = strong()
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    dataset[0]
    assert torch.equal(torch.rand(3), expected)
