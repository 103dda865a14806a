from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from edgeseg_export.instances.parity.matching import MATCH_IOU, SCORE_MARGIN, match, pair
from edgeseg_export.instances.parity.objects import Seen
from edgeseg_export.instances.parity.overlap import overlaps
from edgeseg_runtime.instances.region import EMPTY, Region
from tests.export.instances.results import Drawn, result, seen

CAT: Drawn = (4, 4, 24, 24, 0, 0.9)
DOG: Drawn = (30, 10, 50, 30, 1, 0.8)

sides = st.tuples(st.integers(0, 45), st.integers(0, 30), st.integers(2, 15), st.integers(2, 10))
rectangles = sides.map(lambda side: (side[0], side[1], side[0] + side[2], side[1] + side[3]))
objects = st.lists(
    st.tuples(rectangles, st.integers(0, 1), st.floats(0.5, 1)).map(lambda one: (*one[0], one[1], one[2])), max_size=8
)


class TestOverlap:
    @given(st.lists(rectangles, max_size=4), st.lists(rectangles, max_size=4))
    def test_it_is_the_iou_of_whole_masks(self, one: list[tuple[int, ...]], other: list[tuple[int, ...]]) -> None:
        def drawn(box: tuple[int, ...]) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
            mask = np.zeros((50, 70), np.bool_)
            mask[box[1] : box[3], box[0] : box[2]] = True
            mask[box[1], box[0]] = False  # a corner is missing, so that regions are not their boxes
            return mask

        def region(box: tuple[int, ...]) -> Region:
            return Region(box[1], box[0], drawn(box)[box[1] : box[3], box[0] : box[2]])

        found = overlaps([region(box) for box in one], [region(box) for box in other])
        assert found.shape == (len(one), len(other))
        for row, mine in enumerate(one):
            for column, theirs in enumerate(other):
                both, either = drawn(mine) & drawn(theirs), drawn(mine) | drawn(theirs)
                assert found[row, column] == pytest.approx(both.sum() / either.sum())

    def test_what_has_no_pixel_overlaps_nothing(self) -> None:
        assert overlaps([EMPTY], [EMPTY, Region(0, 0, np.ones((2, 2), np.bool_))]).tolist() == [[0, 0]]


class TestPairs:
    @given(objects)
    def test_everything_is_its_own_twin(self, drawn: list[Drawn]) -> None:
        found = match(seen(drawn), seen(drawn))
        assert found.agreement == 1
        assert (found.missed, found.extra, found.at_threshold) == ((), (), 0)
        assert np.all(found.iou == 1)
        assert np.all(found.labels[:, 0] == found.labels[:, 1])
        assert np.all(found.moves == 0)

    @given(objects, objects)
    def test_pairs_are_one_to_one_and_overlap_enough(self, one: list[Drawn], other: list[Drawn]) -> None:
        mine, theirs = result(one), result(other)
        shares = overlaps(mine.regions, theirs.regions)
        pairs = pair(shares, mine, theirs)
        assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
        assert all(shares[place] >= MATCH_IOU for place in pairs)
        free = [
            (row, column)
            for row, column in np.argwhere(shares >= MATCH_IOU)
            if row not in dict(pairs) and column not in dict(pairs).values()
        ]
        assert not free  # nothing that could be paired is left over

    @given(st.lists(rectangles, min_size=1, max_size=6), st.integers(0, 2**32 - 1))
    def test_twins_that_moved_by_a_pixel_are_those_of_the_exact_assignment(
        self, boxes: list[tuple[int, ...]], seed: int
    ) -> None:
        """Large rectangles far from each other: the sum of IoUs has its maximum at the twins, too."""
        shift = np.random.default_rng(seed).integers(-1, 2, (len(boxes), 2))
        one = [(20 * i, 3, 20 * i + 15, 18 + box[1] // 3, i % 2, 0.9) for i, box in enumerate(boxes)]
        other = [
            (x0 + int(dx), y0 + int(dy), x1 + int(dx), y1 + int(dy), label, score)
            for (x0, y0, x1, y1, label, score), (dx, dy) in zip(one, shift, strict=True)
        ]
        mine, theirs = result(one, scale=3), result(other, scale=3)
        shares = overlaps(mine.regions, theirs.regions)
        rows, columns = linear_sum_assignment(-shares)
        assert pair(shares, mine, theirs) == [
            (row, column) for row, column in zip(rows, columns, strict=True) if shares[row, column] >= MATCH_IOU
        ]

    def test_a_twin_is_not_given_up_for_two_worse_pairs(self) -> None:
        """IoUs: twins 1, each with the third object 2/3. The exact assignment of all sums would take .67 + .67 > 1."""
        one = [(0, 0, 20, 10, 0, 0.9), (4, 0, 24, 10, 0, 0.8)]
        other = [(4, 0, 24, 10, 0, 0.9), (8, 0, 28, 10, 0, 0.8)]
        mine, theirs = result(one), result(other)
        shares = overlaps(mine.regions, theirs.regions)
        assert shares[1, 0] == 1
        assert shares[0, 0] + shares[1, 1] > shares[1, 0]
        assert pair(shares, mine, theirs) == [(1, 0)]

    def test_the_own_class_comes_first(self) -> None:
        """Two objects on nearly the same pixels, one of each class, the other file's moved towards the wrong twin."""
        one = [(0, 0, 20, 10, 0, 0.9), (2, 0, 22, 10, 1, 0.8)]
        other = [(2, 0, 22, 10, 0, 0.9), (0, 0, 20, 10, 1, 0.8)]
        found = match(seen(one), seen(other))
        assert found.labels.tolist() == [[0, 0], [1, 1]]
        assert found.iou == pytest.approx([18 / 22] * 2)

    def test_masks_without_a_pixel_are_paired_by_their_boxes(self) -> None:
        """Between two pixels' centres there is none."""
        sliver = result([(10, 10, 20, 11, 0, 0.9), (30, 10, 40, 11, 0, 0.8)])
        thin = replace(sliver, boxes=sliver.boxes + np.array([0, 0.6, 0, -0.2], np.float32))
        assert [region.area for region in thin.regions] == [0, 0]
        found = match(Seen(thin, thin), Seen(thin, thin))
        assert (found.missed, found.extra, found.agreement) == ((), (), 1)


class TestNumbers:
    def test_a_hand_made_picture(self) -> None:
        found = match(seen([CAT, DOG]), seen([(5, 4, 25, 24, 0, 0.88), (0, 30, 10, 40, 1, 0.7)]))
        assert (found.originals, found.artifacts) == (2, 2)
        assert found.iou == pytest.approx([19 / 21])
        assert found.scores == pytest.approx(np.array([[0.9, 0.88]]))
        assert found.moves.tolist() == [[1, 0, 1, 0]]
        assert (found.missed, found.extra, found.at_threshold) == ((1,), (1,), 0)
        assert found.agreement == pytest.approx(19 / 21 / 2)

    def test_another_class_is_a_pair_and_no_agreement(self) -> None:
        found = match(seen([CAT]), seen([(*CAT[:4], 1, 0.9)]))
        assert found.labels.tolist() == [[0, 1]]
        assert (found.missed, found.extra) == ((), ())
        assert found.agreement == 0

    def test_moves_are_in_pixels_of_the_input(self) -> None:
        """The frame is twice the input's size."""
        found = match(seen([(8, 8, 48, 48, 0, 0.9)], scale=2), seen([(10, 8, 50, 48, 0, 0.9)], scale=2))
        assert found.moves.tolist() == [[1, 0, 1, 0]]

    def test_nothing_on_either_side_agrees(self) -> None:
        assert match(seen([]), seen([])).agreement == 1
        assert match(seen([CAT]), seen([])).agreement == 0


class TestAtTheThreshold:
    @pytest.mark.parametrize(
        ("original", "artifact", "excused"),
        [
            (0.51, 0.49, True),
            (0.49, 0.51, True),
            (0.5, 0.5 - 0.9 * SCORE_MARGIN, True),
            (0.51 + SCORE_MARGIN, 0.49, False),  # it lost more than the margin
            (0.49 - SCORE_MARGIN, 0.51, False),
            (0.9, None, False),
            (None, 0.51, False),
        ],
    )
    def test_only_a_twin_with_nearly_the_score_excuses(
        self, original: float | None, artifact: float | None, excused: bool
    ) -> None:
        def path(score: float | None) -> list[Drawn]:
            return [] if score is None else [(*CAT[:5], score)]

        found = match(seen(path(original)), seen(path(artifact)))
        assert found.at_threshold == excused
        assert len(found.missed) + len(found.extra) == (not excused)
        assert found.agreement == 0  # on the screen it is gone or there

    def test_a_moved_threshold_is_no_excuse_however_little_it_moved(self) -> None:
        """The artifact gives the same score, and does not count it."""
        candidates = [(*CAT[:5], 0.505)]
        assert match(seen(candidates), seen(candidates, threshold=0.51)).missed == (0,)
        candidates = [(*CAT[:5], 0.495)]
        assert match(seen(candidates), seen(candidates, threshold=0.49)).extra == (0,)

    def test_another_class_or_place_does_not_excuse(self) -> None:
        assert match(seen([(*CAT[:4], 0, 0.51)]), seen([(*CAT[:4], 1, 0.49)])).missed == (0,)
        assert match(seen([(*CAT[:5], 0.51)]), seen([(*DOG[:4], 0, 0.49)])).missed == (0,)

    def test_a_candidate_excuses_one_object(self) -> None:
        twice = [(*CAT[:5], 0.51), (*CAT[:5], 0.52)]
        found = match(seen(twice), seen([(*CAT[:5], 0.49)]))
        assert (len(found.missed), found.at_threshold) == (1, 1)
