from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import stats
from torch.utils.data import DistributedSampler

from edgeseg.data.rare import RareClasses
from edgeseg.data.sampling import Draw, RareClassSampler
from edgeseg_runtime.errors import ConfigError

LENGTH = 40
COUNTS = np.zeros((LENGTH, 3), np.int64)
COUNTS[:, 0], COUNTS[:8, 1], COUNTS[3, 2] = 8000, 1000, 500
RARE = RareClasses.of(COUNTS, 10_000, 0.2)


def test_pictures_come_as_often_as_the_formula_says() -> None:
    expected = np.zeros(LENGTH)
    weights = np.exp((1 - COUNTS.sum(0) / COUNTS.sum()) / 0.2)
    shares = weights / weights.sum()
    expected += shares[0] / 40
    expected[:8] += shares[1] / 8
    expected[3] += shares[2]
    sampler = RareClassSampler(RARE, LENGTH)
    seen: Counter[int] = Counter()
    for epoch in range(200):
        sampler.set_epoch(epoch)
        seen.update(draw.index for draw in sampler)
    found = np.array([seen[index] for index in range(LENGTH)])
    assert found.sum() == 200 * LENGTH
    assert stats.chisquare(found, expected * found.sum()).pvalue > 0.01


def test_the_class_that_a_picture_is_drawn_for_is_in_it() -> None:
    for draw in RareClassSampler(RARE, LENGTH, seed=5):
        assert draw.label is not None
        assert COUNTS[draw.index, draw.label] > 0


def test_what_comes_twice_is_told_apart() -> None:
    draws = list(RareClassSampler(RARE, LENGTH))
    assert len({(draw.index, draw.repeat) for draw in draws}) == LENGTH
    for index, count in Counter(draw.index for draw in draws).items():
        assert [draw.repeat for draw in draws if draw.index == index] == list(range(count))


def test_the_sequence_depends_on_seed_and_epoch_alone() -> None:
    def sequence(seed: int, epoch: int) -> list[Draw]:
        sampler = RareClassSampler(RARE, LENGTH, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert sequence(1, 2) == sequence(1, 2)
    different = [sequence(1, 2), sequence(2, 1), sequence(1, 3), sequence(0, 3)]
    assert all(one != two for number, one in enumerate(different) for two in different[:number])
    again = RareClassSampler(RARE, LENGTH)
    assert list(again) == list(again)


@pytest.mark.parametrize("replicas", [1, 2, 3, 7])
def test_processes_share_one_sequence(replicas: int) -> None:
    samplers = [RareClassSampler(RARE, LENGTH, seed=2, replicas=replicas, rank=rank) for rank in range(replicas)]
    shares = [list(sampler) for sampler in samplers]
    assert {len(share) for share in shares} == {len(samplers[0])} == {LENGTH // replicas}
    whole = list(RareClassSampler(RARE, LENGTH // replicas * replicas, seed=2))
    assert [draw for turn in zip(*shares, strict=True) for draw in turn] == whole


def test_shares_are_as_long_as_a_distributed_samplers() -> None:
    for length in range(1, 30):
        for replicas in range(1, 6):
            if length >= replicas:
                reference = DistributedSampler(range(length), replicas, 0, drop_last=True)  # type: ignore[var-annotated, arg-type]
                assert len(RareClassSampler(RARE, length, replicas=replicas)) == len(reference)


@pytest.mark.parametrize("rank", [-1, 2])
def test_a_rank_that_is_none_is_refused(rank: int) -> None:
    with pytest.raises(ConfigError, match=f"the rank must be between 0 and 1, got {rank}"):
        RareClassSampler(RARE, LENGTH, replicas=2, rank=rank)
