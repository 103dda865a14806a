from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg.optimize.budget import Budget
from edgeseg.optimize.search import search
from edgeseg.optimize.space import PRECISIONS, Space, Trial, Variant, Weights

if TYPE_CHECKING:
    from tests.edgeseg.optimize.conftest import FakeWorkshop

    MakeWorld = Callable[[], FakeWorkshop]
    BruteForce = Callable[[dict[Trial, float], dict[Variant, float], Budget, float], tuple[float, float] | None]

ABLE = {"openvino": ("float32", "bf16", "int8"), "onnxruntime": ("float32", "int8")}
VARIANTS = Space().variants(ABLE)
F32, BF16, INT8, _, QAT = (Variant(1.0, 0.0, name, "openvino") for name in PRECISIONS)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_choice_is_what_brute_force_finds(
    worlds: st.SearchStrategy[FakeWorkshop], best_by_brute_force: BruteForce, data: st.DataObject
) -> None:
    world = data.draw(worlds)
    budget = Budget(
        data.draw(st.integers(1, 120)) + 0.5, data.draw(st.sampled_from((None, 0.0, 0.45, 1.05, 3.05))), min_gain=0.0
    )
    outcome = search(VARIANTS, (1, 2), budget, world)
    wanted = best_by_brute_force(world.latencies, world.scores, budget, world.original_score)
    if wanted is None:
        assert outcome.best is None
        return
    assert outcome.best is not None and outcome.finished
    record = outcome.record(outcome.best.variant)
    assert record.mean_iou == world.scores[outcome.best.variant]
    assert wanted[0] <= record.mean_iou <= wanted[1]
    assert record.confirmed[outcome.best.threads].latency_ms == world.latencies[outcome.best] <= budget.latency_ms


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_it_pays_for_no_more_than_it_must(
    worlds: st.SearchStrategy[FakeWorkshop], best_by_brute_force: BruteForce, data: st.DataObject
) -> None:
    world = data.draw(worlds)
    budget = Budget(data.draw(st.integers(1, 120)) + 0.5, data.draw(st.sampled_from((None, 1.05, 3.05))))
    outcome = search(VARIANTS, (1, 2), budget, world)
    wanted = best_by_brute_force(world.latencies, world.scores, budget, world.original_score)
    assert (outcome.best is None) == (wanted is None)
    if outcome.best is not None and wanted is not None:
        assert world.scores[outcome.best.variant] >= wanted[0] - budget.gain
    assert world.calls["latency"] <= len(world.latencies)
    assert max(world.calls["score"], world.calls["quick_score"]) < len(world.scores)
    fitting = {trial.variant.weights for trial, ms in world.latencies.items() if ms <= budget.latency_ms}
    needed = {step for weights in fitting for step in weights.lineage}
    assert set(world.trained) <= needed, "weights were trained of which nothing could be fast enough"


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_every_number_in_the_outcome_was_measured(worlds: st.SearchStrategy[FakeWorkshop], data: st.DataObject) -> None:
    world = data.draw(worlds)
    outcome = search(VARIANTS, (1, 2), Budget(data.draw(st.integers(1, 120)) + 0.5), world)
    asked = set(world.asked)
    for record in outcome.records:
        for threads in record.latency_ms:
            assert ("latency", Trial(record.variant, threads)) in asked
        assert (record.estimate is None) == (("quick_score", record.variant) not in asked)
        assert (record.mean_iou is None) == (("score", record.variant) not in asked)
        for threads in record.confirmed:
            assert ("confirm", Trial(record.variant, threads)) in asked
        is_best = outcome.best is not None and outcome.best.variant == record.variant
        assert (record.verdict is None) == is_best, "what is out says why, and only that"


def test_a_generous_budget_takes_two_measurements(plain_world: MakeWorld) -> None:
    world = plain_world()
    outcome = search(VARIANTS, (1,), Budget(100.0, 0.5), world)
    assert outcome.best == Trial(F32, 1)
    assert dict(world.calls) == {"original": 1, "latency": 1, "quick_score": 1, "score": 1, "confirm": 1}


def test_nothing_is_trained_once_both_bounds_hold(plain_world: MakeWorld) -> None:
    world = plain_world()
    outcome = search(VARIANTS, (1,), Budget(4.5, 2.5), world)
    assert outcome.best == Trial(INT8, 1)
    assert world.trained == []
    assert "not trained: it could gain" in str(outcome.record(QAT).verdict)


def test_qat_is_trained_where_calibrated_int8_loses_too_much(plain_world: MakeWorld) -> None:
    world = plain_world()
    outcome = search(VARIANTS, (1,), Budget(4.5, 0.5), world)
    assert outcome.best == Trial(QAT, 1)
    assert world.trained == [Weights(0.0, True)], "and nothing is pruned, since QAT was enough"
    assert "loses at least" in str(outcome.record(INT8).verdict)


def test_the_least_pruned_net_comes_first_and_is_pruned_before_qat(plain_world: MakeWorld) -> None:
    world = plain_world()
    space = Space(resolutions=(1.0,))
    outcome = search(space.variants(ABLE), (1,), Budget(3.0, 2.5), world)
    assert outcome.best == Trial(replace(QAT, prune=0.3), 1)
    assert world.trained == [Weights(0.3), Weights(0.3, True)]


def test_a_hopeless_family_costs_two_measurements(plain_world: MakeWorld) -> None:
    world = plain_world()
    outcome = search(VARIANTS, (1,), Budget(0.1, 0.5), world)
    assert outcome.best is None and outcome.finished
    assert world.calls["latency"] == 2 * 7
    assert world.calls["quick_score"] == 0 and world.trained == []


def test_a_file_that_the_gate_refuses_is_no_choice(plain_world: MakeWorld) -> None:
    world = plain_world()
    world.refused = frozenset({BF16})
    outcome = search(VARIANTS, (1,), Budget(9.0, min_gain=10.0), world)
    assert outcome.best == Trial(INT8, 1)
    assert outcome.record(BF16).verdict == "refused by the parity gate: pixel agreement: 0.9"


def test_the_finished_file_has_the_last_word_on_latency(plain_world: MakeWorld) -> None:
    world = plain_world()
    world.slower_when_finished = 1.5
    outcome = search(VARIANTS, (1,), Budget(9.0, min_gain=10.0), world)
    assert outcome.record(BF16).verdict == "too slow: the finished file takes 12.00 ms"
    assert outcome.best is not None and world.latencies[outcome.best] * 1.5 <= 9.0


def test_of_equal_scores_the_faster_number_of_threads_is_taken(plain_world: MakeWorld) -> None:
    world = plain_world()
    world.latencies |= {Trial(v, 2): world.latencies[Trial(v, 1)] * (0.6 if v.prune == 0 else 2) for v in world.scores}
    outcome = search(VARIANTS, (2, 1), Budget(100.0), world)
    assert outcome.best == Trial(F32, 2)


def test_settings_that_cannot_be_had_are_left_out_and_say_why(plain_world: MakeWorld) -> None:
    world = plain_world()
    world.impossible = frozenset({F32, replace(F32, resolution=0.5)})
    world.untrainable = frozenset({Weights(0.0, True), Weights(0.3)})
    outcome = search(VARIANTS, (1,), Budget(3.0, 2.5), world)
    assert outcome.record(F32).verdict == "the net does not take this size"
    assert outcome.record(replace(QAT, prune=0.3)).verdict == "a layer would be empty"
    assert outcome.best is None or outcome.best.variant.prune == 0.5


def test_once_time_is_up_the_best_so_far_stands(plain_world: MakeWorld) -> None:
    whole = plain_world()
    complete = search(VARIANTS, (1,), Budget(4.5, min_gain=0.0), whole)
    seen = []
    for allowed in range(sum(whole.calls.values())):
        world = plain_world()
        answers = iter([True] * allowed)
        outcome = search(VARIANTS, (1,), Budget(4.5, min_gain=0.0), world, proceed=partial(next, answers, False))
        assert sum(world.calls.values()) == allowed + 1 or outcome.finished
        seen.append((outcome.finished, outcome.best))
    assert seen[0] == (False, None)
    assert (False, Trial(INT8, 1)) in seen
    assert seen[-1] == (True, complete.best)


@pytest.mark.parametrize("kill_after", [0, 5])
def test_a_kill_is_not_swallowed(plain_world: MakeWorld, killed: type[BaseException], kill_after: int) -> None:
    world = plain_world()
    world.kill_after = kill_after
    with pytest.raises(killed):
        search(VARIANTS, (1,), Budget(4.5), world)
