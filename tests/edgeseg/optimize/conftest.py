"""A world with a known answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

import pytest
from hypothesis import strategies as st

from edgeseg.optimize.budget import Budget
from edgeseg.optimize.measurements import Confirmation, Estimate, Impossible
from edgeseg.optimize.space import Space, Trial, Variant, Weights


class KilledError(BaseException):
    """Stands for a kill: nothing catches it."""


@dataclass
class FakeWorkshop:
    """Answers from tables, counts what it is asked, and minds the order in which it is asked."""

    latencies: dict[Trial, float]
    scores: dict[Variant, float]
    original_score: float = 0.7
    spread: float = 0.01
    """How far above the truth the ceiling of a quick score lies."""
    refused: frozenset[Variant] = frozenset()
    impossible: frozenset[Variant] = frozenset()
    untrainable: frozenset[Weights] = frozenset()
    slower_when_finished: float = 1.0
    kill_after: float = inf
    calls: Counter[str] = field(default_factory=Counter)
    trained: list[Weights] = field(default_factory=list)
    asked: list[tuple[str, object]] = field(default_factory=list)

    def original(self) -> float:
        self._call("original", None)
        return self.original_score

    def latency(self, trial: Trial) -> float:
        self._call("latency", trial)
        if trial.variant in self.impossible:
            raise Impossible("the net does not take this size")
        return self.latencies[trial]

    def train(self, weights: Weights) -> None:
        self._call("train", weights)
        if weights in self.untrainable:
            raise Impossible("a layer would be empty")
        self.trained.append(weights)

    def quick_score(self, variant: Variant) -> Estimate:
        self._call("quick_score", variant)
        return Estimate(self.scores[variant], self.scores[variant] + self.spread)

    def score(self, variant: Variant) -> float:
        self._call("score", variant)
        return self.scores[variant]

    def confirm(self, trial: Trial) -> Confirmation:
        self._call("confirm", trial)
        refusal = "pixel agreement: 0.9" if trial.variant in self.refused else None
        return Confirmation(self.latencies[trial] * self.slower_when_finished, 0.99, refusal)

    def _call(self, step: str, about: object) -> None:
        if sum(self.calls.values()) >= self.kill_after:
            raise KilledError
        assert (step, about) not in self.asked, f"{step} of {about} was asked for twice"
        if isinstance(about, Variant) and about.weights.trained:
            assert about.weights in self.trained, f"{about} was scored before it was trained"
        self.calls[step] += 1
        self.asked.append((step, about))


def brute_force(
    latencies: dict[Trial, float], scores: dict[Variant, float], budget: Budget, original: float
) -> float | None:
    """Return the highest mIoU that holds the budget, by looking at everything; None where nothing holds it."""
    floor = -inf if budget.max_drop is None else original - budget.max_drop / 100
    fit = [
        scores[trial.variant]
        for trial, latency in latencies.items()
        if latency <= budget.latency_ms and scores[trial.variant] >= floor
    ]
    return max(fit, default=None)


@pytest.fixture(scope="session")
def fake_workshop() -> type[FakeWorkshop]:
    """The class, since test modules cannot import each other."""
    return FakeWorkshop


@pytest.fixture(scope="session")
def best_by_brute_force() -> Callable[[dict[Trial, float], dict[Variant, float], Budget, float], float | None]:
    return brute_force


@pytest.fixture(scope="session")
def killed() -> type[BaseException]:
    return KilledError


@st.composite
def monotone_worlds(draw: st.DrawFn) -> FakeWorkshop:
    """A world in which the search's assumptions hold, with as many ties as small whole numbers bring."""
    space = Space((1.0, 0.75, 0.5), (0.0, 0.3, 0.5), threads=(1, 2))
    able = {"openvino": ("float32", "bf16", "int8"), "onnxruntime": ("float32", "int8")}
    variants = space.variants(able)
    pixels = {1.0: draw(st.integers(4, 9)), 0.75: draw(st.integers(2, 4)), 0.5: draw(st.integers(1, 2))}
    channels = {0.0: draw(st.integers(4, 9)), 0.3: draw(st.integers(2, 4)), 0.5: draw(st.integers(1, 2))}
    speed = {(kind, count): draw(st.integers(1, 8)) for kind in sorted({v.kind for v in variants}) for count in (1, 2)}
    latencies = {
        Trial(variant, count): float(
            pixels[variant.resolution] * channels[variant.prune] * speed[variant.kind, count]
            + draw(st.integers(0, 3)) * (variant.resolution == 1.0) * (variant.prune == 0.0)
        )
        for variant in variants
        for count in (1, 2)
    }
    losses = st.integers(0, 12)
    small = {1.0: 0, 0.75: draw(losses), 0.5: 0}
    small[0.5] = small[0.75] + draw(losses)
    thin = {0.0: 0, 0.3: draw(losses), 0.5: 0}
    thin[0.5] = thin[0.3] + draw(losses)
    bf16 = draw(losses)
    rough = {("float32", engine): 0 for engine in able} | {("bf16", "openvino"): bf16}
    rough |= {(precision, engine): bf16 + draw(losses) for precision in ("int8", "qat") for engine in able}
    lost = {v: small[v.resolution] + thin[v.prune] + rough[v.kind] for v in variants}
    scores = {variant: 0.7 - points / 1000 for variant, points in lost.items()}
    return FakeWorkshop(latencies, scores, spread=draw(st.sampled_from((0.0, 0.002, 0.02))))


@pytest.fixture(scope="session")
def worlds() -> st.SearchStrategy[FakeWorkshop]:
    return monotone_worlds()
