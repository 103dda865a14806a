"""Which picture comes when: pictures with rare classes more often than others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from torch.utils.data import Sampler

from edgeseg.data.augmentation.pair import seeded
from edgeseg.data.rare import RareClasses
from edgeseg_runtime.errors import ConfigError

_STREAM = 1
"""Sets the order of the pictures apart from how each of them is varied, which has the same seed."""


@dataclass(frozen=True)
class Draw:
    """A picture to train on, as a sampler asks for it."""

    index: int
    repeat: int = 0
    """How often it was drawn before in the same epoch: each time it is varied anew."""
    label: int | None = None
    """Class that it was drawn for."""


class RareClassSampler(Sampler[Draw]):
    """Draws as many pictures as there are, with replacement, by the distribution of their rare classes.

    Like a DistributedSampler that drops the last: all processes draw the same sequence, a function of (seed, epoch)
    alone, and each of the `replicas` takes every so manieth of it, beginning at its `rank`; `set_epoch` comes before
    each epoch.
    """

    def __init__(
        self, rare: RareClasses, length: int, *, seed: int = 0, replicas: int = 1, rank: int = 0, epoch: int = 0
    ) -> None:
        if not 0 <= rank < replicas:
            raise ConfigError(f"the rank must be between 0 and {replicas - 1}, got {rank}")
        self.rare, self.seed, self.replicas, self.rank, self.epoch = rare, seed, replicas, rank, epoch
        self.share = length // replicas

    def set_epoch(self, epoch: int) -> None:
        """Draw another sequence from now on."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.share

    def __iter__(self) -> Iterator[Draw]:
        generator = seeded(self.seed, self.epoch, stream=_STREAM)
        labels, pictures = self.rare.draws(self.share * self.replicas, generator)
        before: Counter[int] = Counter()
        for number, (label, index) in enumerate(zip(labels.tolist(), pictures.tolist(), strict=True)):
            if number % self.replicas == self.rank:
                yield Draw(index, before[index], label)
            before[index] += 1
