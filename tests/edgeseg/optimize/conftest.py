"""A world with a known answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import accumulate
from math import inf

import pytest
from hypothesis import strategies as st

from edgeseg.optimize.budget import Budget
from edgeseg.optimize.measurements import Confirmation, Estimate, Impossible
from edgeseg.optimize.space import Space, Trial, Variant, Weights

LAYERS = 6
"""Of the net that the world is about, how many may stay in float."""


def finished(variants: Iterable[Variant]) -> list[Variant]:
    """Return the files there can be of these variants: of a mixed one as many as it has layers."""
    return [
        replace(variant, float_layers=count) if count else variant
        for variant in variants
        for count in (range(1, LAYERS + 1) if variant.precision == "mixed" else [0])
    ]


class KilledError(BaseException):
    """Stands for a kill: nothing catches it."""


@dataclass
class FakeWorkshop:
    """Answers from tables, counts what it is asked, and minds the order in which it is asked."""

    latencies: dict[Trial, float]
    scores: dict[Variant, float]
    """Of mixed ones by number of layers in float."""
    layer_count: int = LAYERS
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

    def layers(self, variant: Variant) -> int:
        self._call("layers", variant)
        assert variant.precision == "mixed" and variant.float_layers is None
        return self.layer_count

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
) -> tuple[float, float] | None:
    """Return the least and the highest mIoU that a search may come to, by looking at everything; None for no mIoU.

    The least: of each mixed family only the file with the fewest layers in float is looked at. Others may be met.
    """
    floor = -inf if budget.max_drop is None else original - budget.max_drop / 100

    def in_budget(variants: Iterable[Variant]) -> list[float]:
        fast = {trial.variant for trial, latency in latencies.items() if latency <= budget.latency_ms}
        return [scores[variant] for variant in variants if variant in fast and scores[variant] >= floor]

    mixed = [variant for variant in scores if variant.precision == "mixed"]
    plain = [variant for variant in scores if variant.precision != "mixed"]
    chosen = []
    for family in {replace(variant, float_layers=None) for variant in mixed}:
        exact = scores[replace(family, precision="float32")]
        least = exact - 0.3 / 100 - 1e-9 if budget.max_drop is None else floor
        if scores[replace(family, precision="int8")] < least:
            ladder = (replace(family, float_layers=count) for count in range(1, LAYERS + 1))
            chosen += [variant for variant in ladder if scores[variant] >= least][:1]
    found = in_budget([*plain, *chosen])
    return (max(found), max(in_budget(scores))) if found else None


@pytest.fixture(scope="session")
def fake_workshop() -> type[FakeWorkshop]:
    """The class, since test modules cannot import each other."""
    return FakeWorkshop


@pytest.fixture(scope="session")
def best_by_brute_force() -> Callable[
    [dict[Trial, float], dict[Variant, float], Budget, float], tuple[float, float] | None
]:
    return brute_force


@pytest.fixture(scope="session")
def plain_world() -> Callable[[], FakeWorkshop]:
    """Return a function that makes the same world again.

    float32 takes 16 ms, bf16 8, int8 and QAT 4, ONNX Runtime twice that; int8 loses 2 points, QAT .4, bf16 .1. Each of
    six layers in float takes .4 ms more and gives .3 points back.
    """
    speed = {"float32": 16.0, "bf16": 8.0, "int8": 4.0, "mixed": 4.0, "qat": 4.0}
    loss = {"float32": 0.0, "bf16": 0.001, "int8": 0.02, "mixed": 0.02, "qat": 0.004}

    def takes(variant: Variant) -> float:
        arithmetic = speed[variant.precision] + 0.4 * (variant.float_layers or 0)
        engine = 1 if variant.engine == "openvino" else 2
        return arithmetic * variant.resolution**2 * (1 - variant.prune) * engine

    def scores(variant: Variant) -> float:
        lost = loss[variant.precision] - 0.003 * (variant.float_layers or 0)
        return 0.7 - lost - 0.2 * (1 - variant.resolution) - 0.05 * variant.prune

    files = finished(Space().variants({"openvino": ("float32", "bf16", "int8"), "onnxruntime": ("float32", "int8")}))
    return lambda: FakeWorkshop({Trial(v, 1): takes(v) for v in files}, {v: scores(v) for v in files})


@pytest.fixture(scope="session")
def killed() -> type[BaseException]:
    return KilledError


@st.composite
def monotone_worlds(draw: st.DrawFn) -> FakeWorkshop:
    """A world in which the search's assumptions hold, with as many ties as small whole numbers bring."""
    space = Space((1.0, 0.75, 0.5), (0.0, 0.3, 0.5), threads=(1, 2))
    able = {"openvino": ("float32", "bf16", "int8"), "onnxruntime": ("float32", "int8")}
    variants = space.variants(able)
    kinds = sorted({variant.kind for variant in variants if variant.precision != "mixed"})
    pixels = {1.0: draw(st.integers(4, 9)), 0.75: draw(st.integers(2, 4)), 0.5: draw(st.integers(1, 2))}
    channels = {0.0: draw(st.integers(4, 9)), 0.3: draw(st.integers(2, 4)), 0.5: draw(st.integers(1, 2))}
    speed = {(kind, count): draw(st.integers(1, 8)) for kind in kinds for count in (1, 2)}
    uneven = {key: draw(st.integers(0, 3)) for key in speed}
    slower = [0, *ladder(draw, 3)]
    better = [0, *ladder(draw, 4)]

    def takes(variant: Variant, count: int) -> int:
        kind = (replace(variant, precision="int8") if variant.precision == "mixed" else variant).kind
        work = pixels[variant.resolution] * channels[variant.prune]
        more = uneven[kind, count] * (variant.resolution == 1.0) * (variant.prune == 0.0)
        return work * (speed[kind, count] + slower[variant.float_layers or 0]) + more

    latencies = {
        Trial(variant, count): float(takes(variant, count)) for variant in finished(variants) for count in (1, 2)
    }
    losses = st.integers(0, 12)
    small = {1.0: 0, 0.75: draw(losses), 0.5: 0}
    small[0.5] = small[0.75] + draw(losses)
    thin = {0.0: 0, 0.3: draw(losses), 0.5: 0}
    thin[0.5] = thin[0.3] + draw(losses)
    bf16 = draw(losses)
    rough = {("float32", engine): 0 for engine in able} | {("bf16", "openvino"): bf16}
    rough |= {(precision, engine): bf16 + draw(losses) for precision in ("int8", "qat") for engine in able}

    def loses(variant: Variant) -> int:
        arithmetic = rough[("int8", variant.engine) if variant.precision == "mixed" else variant.kind]
        gained = better[variant.float_layers or 0]
        return (
            small[variant.resolution] + thin[variant.prune] + (max(bf16, arithmetic - gained) if gained else arithmetic)
        )

    scores = {variant: 0.7 - loses(variant) / 1000 for variant in finished(variants)}
    return FakeWorkshop(latencies, scores, spread=draw(st.sampled_from((0.0, 0.002, 0.02))))


def ladder(draw: st.DrawFn, step: int) -> list[int]:
    """Return a number for each count of layers in float, none below the one before it."""
    return list(accumulate(draw(st.lists(st.integers(0, step), min_size=LAYERS, max_size=LAYERS))))


@pytest.fixture(scope="session")
def worlds() -> st.SearchStrategy[FakeWorkshop]:
    return monotone_worlds()
