from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from edgeseg.data.augment_config import AugmentConfig
from edgeseg.data.augmentation import Pair, augmentation
from edgeseg.data.base import Sample
from edgeseg.data.procedural import ProceduralData, ProceduralSpec
from edgeseg.data.rare import RareClasses
from edgeseg.data.sampling import Draw, RareClassSampler
from edgeseg.data.torch_dataset import TrainingSet
from edgeseg.data.varied import CACHE_BYTES
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.preprocess import to_input, to_input_mask

DATA = ProceduralData(ProceduralSpec(48, 64, n=12), "train")
CONTRACT = Contract(DATA.labels, 40, 60)


@pytest.fixture(autouse=True)
def one_opencv_thread() -> Iterator[None]:
    """OpenCV's threads do not survive the fork that makes a loader's workers."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


def strong(cache_bytes: int = CACHE_BYTES) -> TrainingSet:
    return TrainingSet(DATA, CONTRACT, augmentation("strong", CONTRACT), seed=3, cache_bytes=cache_bytes)


def mixing(cache_bytes: int = CACHE_BYTES) -> TrainingSet:
    """Everything that takes other pictures, and what spoils them."""
    pieces = AugmentConfig(mosaic=0.5, classmix=0.5, copy_paste=0.5, noise=0.5, jpeg=0.5, cutout=0.5, class_crop=0.5)
    augment = augmentation("strong", CONTRACT, pieces)
    return TrainingSet(DATA, CONTRACT, augment, seed=3, rare_temperature=0.05, cache_bytes=cache_bytes)


def batches(dataset: TrainingSet, workers: int, sampler: Any = None) -> list[tuple[Tensor, Tensor]]:
    loader = DataLoader(dataset, batch_size=5, num_workers=workers, sampler=sampler)
    return [(images, masks) for images, masks in loader]


def same(first: list[tuple[Tensor, Tensor]], second: list[tuple[Tensor, Tensor]]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in pairs)


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_without_augmentation_an_item_is_what_the_runtime_gives_the_model(resize: str, order: str) -> None:
    contract = Contract(DATA.labels, 40, 60, resize=resize, color_order=order)  # type: ignore[arg-type]
    dataset = TrainingSet(DATA, contract, augmentation("none", contract), seed=0)
    assert len(dataset) == 12
    for index in (0, 11):
        image, mask = dataset[index]
        sample = DATA.read(index)
        assert image.dtype == mask.dtype == torch.uint8
        assert np.array_equal(image.numpy(), to_input(sample.image, contract))
        assert np.array_equal(mask.numpy(), to_input_mask(sample.mask, contract))


@pytest.mark.parametrize("make", [strong, mixing, lambda: mixing(cache_bytes=5 * 4 * 40 * 60)])
def test_the_number_of_workers_changes_nothing(make: Callable[[], TrainingSet]) -> None:
    dataset = make()
    dataset.set_epoch(2)
    alone = batches(dataset, 0)
    assert [tuple(images.shape) for images, _ in alone] == [(5, 40, 60, 3), (5, 40, 60, 3), (2, 40, 60, 3)]
    assert same(alone, batches(dataset, 2))


def test_what_is_drawn_depends_on_seed_epoch_and_item() -> None:
    dataset = strong()
    first = [dataset[index] for index in range(12)]
    assert same(first, [dataset[index] for index in range(12)])
    assert same(first[::-1], [dataset[index] for index in reversed(range(12))])
    dataset.set_epoch(1)
    assert not same(first, [dataset[index] for index in range(12)])
    dataset.set_epoch(0)
    assert same(first, [dataset[index] for index in range(12)])
    other = TrainingSet(DATA, CONTRACT, augmentation("strong", CONTRACT), seed=4)
    assert not same(first, [other[index] for index in range(12)])


def test_persistent_workers_learn_of_the_new_epoch() -> None:
    dataset = strong()
    loader = DataLoader(dataset, batch_size=4, num_workers=2, persistent_workers=True)
    for epoch in (0, 1, 2):
        dataset.set_epoch(epoch)
        found = [(images, masks) for images, masks in loader]
        fresh = strong()
        fresh.set_epoch(epoch)
        expected = [(images, masks) for images, masks in DataLoader(fresh, batch_size=4)]
        assert same(found, expected)


def test_rare_classes_come_the_same_with_any_number_of_workers() -> None:
    dataset = mixing()
    sampler = RareClassSampler(dataset.rare, len(dataset), seed=3, epoch=1)
    dataset.set_epoch(1)
    assert same(batches(dataset, 0, sampler), batches(dataset, 2, sampler))


def test_a_picture_that_is_drawn_again_is_varied_anew() -> None:
    dataset = strong()
    assert same([dataset[4]], [dataset[Draw(4)]])
    assert not same([dataset[Draw(4, 0)]], [dataset[Draw(4, 1)]])
    assert same([dataset[Draw(4, 1)]], [dataset[Draw(4, 1)]])


def test_a_picture_is_cropped_on_the_class_that_it_was_drawn_for() -> None:
    augment = augmentation("none", CONTRACT, AugmentConfig(zoom_in=4))
    dataset = TrainingSet(DATA, CONTRACT, augment, seed=0)
    missed = 0
    for index in range(12):
        for label in np.unique(dataset.picture(index).mask):
            for repeat in range(5):
                assert (dataset[Draw(index, repeat, int(label))][1] == label).float().mean() > 0
                missed += not (dataset[Draw(index, repeat)][1] == label).any()
    assert missed > 20


@pytest.mark.parametrize("kept", [0, 5, 12])
def test_rare_classes_are_counted_at_the_contracts_size(kept: int) -> None:
    masks = [to_input_mask(DATA.read(index).mask, CONTRACT) for index in range(12)]
    counts = np.array([[np.sum(mask == label) for label in range(len(DATA.labels))] for mask in masks])
    expected = RareClasses.of(counts, 40 * 60, 0.05)
    found = mixing(kept * 4 * 40 * 60).rare
    assert np.array_equal(found.probabilities, expected.probabilities)
    assert all(np.array_equal(one, two) for one, two in zip(found.holders, expected.holders, strict=True))


def test_a_pair_is_what_the_runtime_makes_of_a_picture() -> None:
    for dataset in (strong(), strong(cache_bytes=0)):
        pair = dataset.picture(7)
        sample = DATA.read(7)
        assert isinstance(pair, Pair)
        assert np.array_equal(pair.image, to_input(sample.image, CONTRACT))
        assert np.array_equal(pair.mask, to_input_mask(sample.mask, CONTRACT))
        assert pair.wanted is None


def test_the_callers_random_numbers_are_left_alone() -> None:
    dataset = strong()
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    dataset[0]
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("kept", [0, 5])
def test_a_smaller_cache_gives_the_same_items(kept: int) -> None:
    for make in (strong, mixing):
        whole, part = make(), make(cache_bytes=kept * 4 * 40 * 60)
        assert same([whole[k] for k in range(12)], [part[k] for k in range(12)])


def test_pictures_are_decoded_once() -> None:
    class Counting(ProceduralData):
        reads = 0

        def read(self, index: int) -> Sample:
            Counting.reads += 1
            return super().read(index)

    dataset = TrainingSet(Counting(DATA.spec, "train"), CONTRACT, augmentation("light", CONTRACT), seed=0)
    for _ in range(3):
        for index in range(12):
            dataset[index]
    assert Counting.reads == 12


def test_a_set_can_be_sent_to_another_process() -> None:
    for dataset in (strong(), mixing()):
        copy = pickle.loads(pickle.dumps(dataset))
        assert same([dataset[1]], [copy[1]])
