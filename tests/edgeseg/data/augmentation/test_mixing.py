from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgeseg.data.augmentation.geometry import Flip
from edgeseg.data.augmentation.mixing import ClassMix, CopyPaste, Mosaic, partner, paste
from edgeseg.data.augmentation.pair import Fill, Pair, seeded

FILL = Fill((51, 102, 153), 255)


def stay(pair: Pair, generator: Any) -> Pair:
    return pair


MIXES = [
    lambda share, vary=stay: Mosaic(share, vary),
    lambda share, vary=stay: ClassMix(share, vary, FILL),
    lambda share, vary=stay: CopyPaste(share, vary),
]


@pytest.mark.parametrize("make", MIXES)
class TestEach:
    def test_a_picture_that_is_its_mask_stays_it(self, make: Any, shelf: Any) -> None:
        for seed in range(30):
            out = make(1.0, Flip(0.5))(shelf.pairs[seed % 6], seeded(seed), seed % 6, shelf)
            assert out.image.shape == (72, 96, 3)
            assert out.image.dtype == out.mask.dtype == np.uint8
            for channel in range(3):
                assert np.array_equal(out.image[..., channel], out.mask)

    def test_happens_to_its_share(self, make: Any, shelf: Any) -> None:
        mix = make(0.25)
        mixed = [mix(shelf.pairs[0], seeded(seed), 0, shelf) is not shelf.pairs[0] for seed in range(400)]
        assert 0.18 < np.mean(mixed) < 0.32
        assert make(0.0)(shelf.pairs[0], seeded(0), 0, shelf) is shelf.pairs[0]

    def test_leaves_the_album_alone(self, make: Any, shelf: Any) -> None:
        before = [(pair.image.copy(), pair.mask.copy()) for pair in shelf.pairs]
        for seed in range(10):
            make(1.0)(shelf.pairs[seed % 6], seeded(seed), seed % 6, shelf)
        for pair, (image, mask) in zip(shelf.pairs, before, strict=True):
            assert np.array_equal(pair.image, image)
            assert np.array_equal(pair.mask, mask)

    def test_the_same_seed_asks_for_the_same_partners(self, make: Any, shelf: Any) -> None:
        one = make(1.0)(shelf.pairs[1], seeded(3), 1, shelf)
        asked = list(shelf.asked)
        shelf.asked.clear()
        two = make(1.0)(shelf.pairs[1], seeded(3), 1, shelf)
        assert asked == shelf.asked
        assert np.array_equal(one.image, two.image)

    def test_partners_are_varied(self, make: Any, shelf: Any) -> None:
        seen = []

        def vary(pair: Pair, generator: Any) -> Pair:
            seen.append(pair)
            return replace(pair, image=pair.image // 2 + 100)

        out = make(1.0, vary)(shelf.pairs[0], seeded(1), 0, shelf)
        assert seen
        assert (out.image >= 100).any()

    def test_a_set_of_one_picture_is_mixed_with_itself(self, make: Any, shelf: Any) -> None:
        alone = replace(shelf, pairs=shelf.pairs[5:], asked=[])
        out = make(1.0)(alone.pairs[0], seeded(0), 0, alone)
        assert set(alone.asked) == {0}
        assert set(np.unique(out.mask)) <= {0, 1, 2, 3, 255}


def test_partners_are_all_others_alike(shelf: Any) -> None:
    for seed in range(1000):
        partner(2, shelf, stay, seeded(seed))
    seen = Counter(shelf.asked)
    assert set(seen) == {0, 1, 3, 4, 5}
    assert all(160 < count < 240 for count in seen.values())  # three standard deviations are 38


class TestClassMix:
    def test_half_of_the_classes_go_over_where_they_lie(self, shelf: Any) -> None:
        chosen = Counter[int]()
        for seed in range(200):
            own, other = shelf.pairs[0], shelf.pairs[5]
            pair = replace(shelf, pairs=[own, other], asked=[])
            out = ClassMix(1.0, stay, FILL)(own, seeded(seed), 0, pair)
            # other has the classes 0..3; which two were taken shows where they lie
            taken = [label for label in range(4) if (out.mask[other.mask == label] == label).all()]
            fits = [
                pick
                for pick in ([a, b] for a in range(4) for b in range(a + 1, 4))
                if np.array_equal(out.mask, np.where(np.isin(other.mask, pick), other.mask, own.mask))
            ]
            assert len(fits) == 1
            assert set(fits[0]) <= set(taken)
            chosen.update(fits[0])
        assert all(70 < chosen[label] < 130 for label in range(4))  # three standard deviations are 21

    @pytest.mark.parametrize(("classes", "taken"), [(1, 0), (2, 1), (3, 1), (5, 2)])
    def test_half_is_rounded_down(self, classes: int, taken: int, shelf: Any) -> None:
        other = np.zeros((72, 96), np.uint8)
        other[:, :80] = np.arange(80) % classes + 10
        other[:, 80:] = 255  # is no class, and never pasted
        own = Pair(np.zeros((72, 96, 3), np.uint8), np.zeros((72, 96), np.uint8))
        pair = replace(shelf, pairs=[own, Pair(np.repeat(other[..., None], 3, 2), other)], asked=[])
        for seed in range(10):
            out = ClassMix(1.0, stay, FILL)(own, seeded(seed), 0, pair)
            assert len(set(np.unique(out.mask)) - {0}) == taken
            assert not (out.mask == 255).any()


class TestCopyPaste:
    def test_the_rare_class_comes_from_a_picture_that_holds_it(self, shelf: Any) -> None:
        rare = shelf.rare.probabilities
        pasted = 0
        for seed in range(300):
            shelf.asked.clear()
            out = CopyPaste(1.0, stay)(shelf.pairs[0], seeded(seed), 0, shelf)
            label = next(iter({0, 1, 2, 3} & set(out.mask[30:40, 50:70].ravel().tolist()) & {3}), None)
            if label == 3:
                pasted += 1
                assert shelf.asked == [5]
                expected = shelf.pairs[0].mask.copy()
                expected[30:40, 50:70] = 3
                assert np.array_equal(out.mask, expected)
        assert pasted / 300 == pytest.approx(rare[3], abs=0.09)

    def test_whoever_varies_the_other_knows_what_it_was_chosen_for(self, shelf: Any) -> None:
        wanted = []

        def vary(pair: Pair, generator: Any) -> Pair:
            wanted.append(pair.wanted)
            return pair

        for seed in range(40):
            out = CopyPaste(1.0, vary)(shelf.pairs[0], seeded(seed), 0, shelf)
            assert (out.mask == wanted[-1]).any()
            assert out.wanted is None
        assert None not in wanted


class TestMosaic:
    def test_four_pictures_meet_at_a_point(self, shelf: Any) -> None:
        pairs = []
        for index in range(6):
            mask = np.full((72, 96), index, np.uint8)
            pairs.append(Pair(np.repeat(mask[..., None], 3, 2), mask))
        album = replace(shelf, pairs=pairs, asked=[])
        centres = []
        for seed in range(100):
            album.asked.clear()
            mask = Mosaic(1.0, stay)(pairs[0], seeded(seed), 0, album).mask
            assert len(album.asked) == 3
            assert mask[0, 0] == 0  # its own; the others are others
            corners = [int(mask[0, -1]), int(mask[-1, 0]), int(mask[-1, -1])]
            assert corners == album.asked
            row, column = int((mask[:, 0] == 0).sum()), int((mask[0] == 0).sum())
            if corners[1] != 0 and corners[0] != 0:
                expected = np.empty_like(mask)
                expected[:row, :column], expected[:row, column:] = 0, corners[0]
                expected[row:, :column], expected[row:, column:] = corners[1], corners[2]
                assert np.array_equal(mask, expected)
                centres.append((row / 72, column / 96))
        low, high = np.min(centres, axis=0), np.max(centres, axis=0)
        assert np.all((low >= 0.24) & (low < 0.3) & (high > 0.7) & (high <= 0.76))

    def test_every_part_is_a_window_at_full_scale(self, shelf: Any) -> None:
        rows, columns = np.indices((72, 96)).astype(np.uint8)
        ramps = Pair(np.stack([rows, columns, rows], 2), np.zeros((72, 96), np.uint8))
        album = replace(shelf, pairs=[ramps] * 6, asked=[])
        starts = set()
        for seed in range(20):
            image = Mosaic(1.0, stay)(ramps, seeded(seed), 0, album).image.astype(int)
            down, across = np.diff(image[:, 0, 0]), np.diff(image[0, :, 1])
            assert np.sum(down != 1) <= 1  # the one jump is where the parts meet
            assert np.sum(across != 1) <= 1
            starts.add((image[0, 0, 0], image[0, 0, 1]))
        assert len(starts) > 10

    def test_its_own_part_keeps_the_class_that_it_was_chosen_for(self, shelf: Any) -> None:
        own = replace(shelf.pairs[5], wanted=3)
        others = replace(shelf, pairs=shelf.pairs[:5], asked=[])
        for seed in range(30):
            assert (Mosaic(1.0, stay)(own, seeded(seed), 0, others).mask == 3).any()


def test_pasting_is_a_choice_for_every_pixel(shelf: Any) -> None:
    own, other = shelf.pairs[0], Pair(shelf.pairs[5].image + 100, shelf.pairs[5].mask)
    out = paste(own, other, np.array([1, 3]))
    chosen = np.isin(other.mask, [1, 3])
    assert np.array_equal(out.mask, np.where(chosen, other.mask, own.mask))
    assert np.array_equal(out.image, np.where(chosen[..., None], other.image, own.image))
