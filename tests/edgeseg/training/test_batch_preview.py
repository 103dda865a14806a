from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from edgeseg.data.augmentation import augmentation
from edgeseg.data.open import open_data
from edgeseg.data.sampling import RareClassSampler
from edgeseg.data.torch_dataset import TrainingSet
from edgeseg.training.batch_preview import BATCH, GAP, LINE, TILE_WIDTH, first_items, legend, write_batch
from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.draw import color_table, overlay
from edgeseg_runtime.errors import OutputError

LABELS = (Label("road", (200, 10, 20)), Label("Gehweg ß", (0, 250, 30)))


def items(count: int, size: tuple[int, int] = (80, 160)) -> list[tuple[Tensor, Tensor]]:
    random = np.random.default_rng(0)
    found = []
    for _ in range(count):
        mask = np.zeros(size, np.uint8)
        mask[:, size[1] // 2 :] = 1
        mask[: size[0] // 4] = 255
        image = random.integers(0, 256, (*size, 3)).astype(np.uint8)
        found.append((torch.from_numpy(image), torch.from_numpy(mask)))
    return found


def written(path: Path, found: list[tuple[Tensor, Tensor]], contract: Contract) -> Any:
    write_batch(path / BATCH, found, contract)
    picture = cv2.imread(str(path / BATCH))
    assert picture is not None
    assert [file.name for file in path.iterdir()] == [BATCH]
    return picture


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_pictures_stand_beside_themselves_with_their_masks(order: Any, tmp_path: Path) -> None:
    contract = Contract(LABELS, 80, 160, color_order=order)
    found = items(3)
    picture = written(tmp_path, found, contract)
    tile = TILE_WIDTH * 80 // 160
    assert picture.shape == (2 * (tile + GAP) + LINE, 4 * (TILE_WIDTH + GAP), 3)
    for index, (image, mask) in enumerate(found):
        top, left = index // 2 * (tile + GAP), index % 2 * 2 * (TILE_WIDTH + GAP)
        plain = picture[top : top + tile, left : left + TILE_WIDTH]
        covered = picture[top : top + tile, left + TILE_WIDTH + GAP : left + 2 * TILE_WIDTH + GAP]
        bgr = image.numpy()[..., ::-1] if order == "rgb" else image.numpy()
        large = np.repeat(np.repeat(bgr, 2, 0), 2, 1)  # twice its size
        assert np.array_equal(plain, large)
        expected = overlay(large, np.repeat(np.repeat(mask.numpy(), 2, 0), 2, 1), color_table(contract))
        assert np.array_equal(covered[tile // 4 :], expected[tile // 4 :])
        assert set(np.unique(covered[: tile // 4])) == {90, 230}  # stripes where it is ignored
    assert (picture[tile + GAP : -LINE, 2 * (TILE_WIDTH + GAP) :] == 255).all()  # the empty place


def test_large_pictures_are_made_small(tmp_path: Path) -> None:
    contract = Contract(LABELS, 480, 640)
    assert written(tmp_path, items(2, (480, 640)), contract).shape[1] == 4 * (TILE_WIDTH + GAP)


def test_the_legend_shows_every_class_in_its_colour() -> None:
    drawn = legend(Contract(LABELS, 80, 160), 900)
    assert drawn.shape == (LINE, 900, 3)
    for label in LABELS:
        assert (drawn == label.color[::-1]).all(2).sum() >= 12 * 12
    assert (drawn == 230).all(2).any()


def test_a_long_legend_goes_on_in_new_lines() -> None:
    labels = tuple(Label(f"class number {index}", (index, 100, 255 - index)) for index in range(60))
    drawn = legend(Contract(labels, 80, 160), 700)
    assert drawn.shape[0] % LINE == 0
    assert drawn.shape[0] > 5 * LINE
    for label in labels:
        assert (drawn == label.color[::-1]).all(2).sum() >= 12 * 12
    assert (drawn[:, -GAP // 2 :] == 255).all()  # nothing runs out of it


def test_a_name_that_is_wider_than_the_picture_is_cut_off() -> None:
    assert legend(Contract((Label("x" * 200, (1, 2, 3)), *LABELS), 80, 160), 300).shape == (2 * LINE, 300, 3)


class TestFirstItems:
    @pytest.fixture
    def dataset(self) -> TrainingSet:
        data = open_data("procedural:64x64,n=12", "train")
        contract = Contract(data.labels, 64, 64)
        return TrainingSet(data, contract, augmentation("strong", contract), seed=2, rare_temperature=0.05)

    @pytest.mark.parametrize("batch", [4, 12])
    def test_are_those_that_the_network_is_shown_first(self, dataset: TrainingSet, batch: int) -> None:
        sampler = RareClassSampler(dataset.rare, 12)
        loader: DataLoader[Any] = DataLoader(dataset, batch, sampler=sampler)
        found = first_items(loader)
        assert len(found) == min(8, batch)
        dataset.set_epoch(1)
        sampler.set_epoch(1)
        images, masks = next(iter(loader))
        assert torch.equal(torch.stack([image for image, _ in found]), images[:8])
        assert torch.equal(torch.stack([mask for _, mask in found]), masks[:8])


def test_a_folder_that_cannot_be_written_to_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot make the folder"):
        write_batch(tmp_path / "file" / BATCH, items(2), Contract(LABELS, 80, 160))
