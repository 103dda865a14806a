"""The search for mixed files, in a world whose answers are known: see `plain_world`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from edgeseg.optimize.budget import Budget
from edgeseg.optimize.search import search
from edgeseg.optimize.space import Space, Trial, Variant, Weights

if TYPE_CHECKING:
    from tests.edgeseg.optimize.conftest import FakeWorkshop

    MakeWorld = Callable[[], FakeWorkshop]

ABLE = {"openvino": ("float32", "bf16", "int8"), "onnxruntime": ("float32", "int8")}
VARIANTS = Space().variants(ABLE)
ONLY = Space(resolutions=(1.0,), prunes=(0.0,), precisions=("mixed",), engines=("openvino",)).variants(ABLE)
INT8, MIXED = ONLY


def layers(count: int, prune: float = 0.0) -> Variant:
    return replace(MIXED, float_layers=count, prune=prune)


def built(world: FakeWorkshop) -> set[object]:
    """Return how many layers in float were looked at, and of what."""
    about = [what.variant if isinstance(what, Trial) else what for _, what in world.asked]
    return {each for each in about if isinstance(each, Variant) and each.precision == "mixed"}


def test_the_fewest_layers_that_hold_the_drop_win(plain_world: MakeWorld) -> None:
    world = plain_world()
    outcome = search(VARIANTS, (1,), Budget(6.2, 0.5), world)
    assert outcome.best == Trial(layers(5), 1)
    assert outcome.record(MIXED).verdict == "settled: 5 of 6 layers in float are the fewest that will do"
    assert outcome.record(layers(6)).verdict == "too slow: 6.40 ms"
    assert "against the original, 0.5 are allowed" in str(outcome.record(layers(4)).verdict)
    assert world.trained == [], "QAT could gain less than is allowed to be lost"


def test_what_is_met_on_the_way_and_scores_higher_is_taken(plain_world: MakeWorld) -> None:
    outcome = search(VARIANTS, (1,), Budget(6.5, 0.5), plain_world())
    assert outcome.best == Trial(layers(6), 1)
    assert outcome.record(MIXED).verdict == "settled: 5 of 6 layers in float are the fewest that will do"
    assert outcome.record(layers(5)).verdict == f"{Trial(layers(6), 1)} is better"


def test_a_mix_that_was_found_counts_when_the_time_is_up(plain_world: MakeWorld) -> None:
    whole = plain_world()
    search(ONLY, (1,), Budget(7.0, 0.5), whole)
    cut_short = []
    for allowed in range(sum(whole.calls.values())):
        answers = iter([True] * allowed)
        outcome = search(ONLY, (1,), Budget(7.0, 0.5), plain_world(), proceed=partial(next, answers, False))
        found = [record for record in outcome.records if record.confirmed]
        assert (outcome.best is not None) == bool(found)
        cut_short.append(outcome.best is not None and not outcome.finished)
    assert any(cut_short)


def test_where_int8_holds_the_drop_no_mix_is_built(plain_world: MakeWorld) -> None:
    for gain in (None, 0.0):
        world = plain_world()
        outcome = search(ONLY, (1,), Budget(7.0, 2.5, gain), world)
        assert outcome.best == Trial(INT8, 1)
        assert built(world) == set() and world.calls["layers"] == 0
        verdict = str(outcome.record(MIXED).verdict)
        assert verdict.startswith("not built: it could gain 2.00 points" if gain is None else "nothing to add: int8")


def test_where_int8_is_too_slow_no_mix_is_built(plain_world: MakeWorld) -> None:
    world = plain_world()
    outcome = search(ONLY, (1,), Budget(3.0, 0.5), world)
    assert outcome.best is None and built(world) == set() and world.calls["layers"] == 0
    assert dict(world.calls) == {"original": 1, "latency": 1}
    assert outcome.record(MIXED).verdict == "too slow: 1× · int8 · openvino already takes 4.00 ms"


def test_where_float_itself_loses_too_much_no_mix_is_built(plain_world: MakeWorld) -> None:
    world = plain_world()
    small = Space((0.5,), (0.0,), ("mixed",), ("openvino",)).variants(ABLE)
    outcome = search(small, (1,), Budget(9.0, 0.5), world)
    assert outcome.best is None and built(world) == set()
    verdict = str(outcome.record(replace(MIXED, resolution=0.5)).verdict)
    assert verdict.startswith("0.5× · float32 · openvino already loses at least 9.00 points")


def test_where_all_that_would_do_is_too_slow_it_says_so(plain_world: MakeWorld) -> None:
    world = plain_world()
    outcome = search(ONLY, (1,), Budget(5.0, 0.5), world)
    assert outcome.best is None
    assert outcome.record(MIXED).verdict == (
        f"no mix will do: {layers(3)} is too slow: 5.20 ms, and with fewer it is not good enough"
    )
    scored = {what for step, what in world.asked if step in ("quick_score", "score")}
    assert not scored & {layers(3), layers(4), layers(6)}, "what is too slow was not scored"


def test_where_layers_give_nothing_back_it_says_so(plain_world: MakeWorld) -> None:
    world = plain_world()
    world.scores |= {variant: 0.68 for variant in world.scores if variant.precision == "mixed"}
    outcome = search(ONLY, (1,), Budget(9.0, 0.5), world)
    assert outcome.best is None
    assert str(outcome.record(MIXED).verdict).startswith(f"no mix will do: {layers(6)} loses at least 1.00 points")
    world = plain_world()
    world.layer_count = 0
    outcome = search(ONLY, (1,), Budget(9.0, 0.5), world)
    assert outcome.record(MIXED).verdict == "no mix will do: it has no layers to put back"


@pytest.mark.parametrize("refused", [{5}, {1, 2, 3, 4, 5}])
def test_a_mix_has_to_pass_the_gate(refused: set[int], plain_world: MakeWorld) -> None:
    world = plain_world()
    world.refused = frozenset(layers(count) for count in refused)
    outcome = search(ONLY, (1,), Budget(7.0, 0.5), world)
    assert outcome.best == Trial(layers(6), 1)
    assert str(outcome.record(layers(5)).verdict).startswith("refused by the parity gate")


def test_int8_that_the_gate_refuses_is_not_enough(plain_world: MakeWorld) -> None:
    world = plain_world()
    world.refused = frozenset({INT8, layers(1)})
    outcome = search(ONLY, (1,), Budget(5.0, 2.5), world)
    assert outcome.best == Trial(layers(2), 1)
    assert outcome.record(MIXED).verdict == "settled: 2 of 6 layers in float are the fewest that will do"


def test_without_a_drop_it_is_held_against_float_of_its_own_size(plain_world: MakeWorld) -> None:
    world = plain_world()
    small = Space((0.5,), (0.0,), ("mixed",), ("openvino",)).variants(ABLE)
    outcome = search(small, (1,), Budget(9.0), world)
    assert outcome.best == Trial(replace(layers(6), resolution=0.5), 1)
    lost = str(outcome.record(replace(layers(4), resolution=0.5)).verdict)
    assert lost == "loses 0.80 points of mIoU against 0.5× · float32 · openvino, 0.3 are allowed"


def test_a_pruned_net_is_trained_for_its_mix(plain_world: MakeWorld) -> None:
    world = plain_world()
    world.scores = {variant: score + 0.03 * variant.prune for variant, score in world.scores.items()}
    space = Space((1.0,), (0.0, 0.3), ("float32", "int8", "mixed"), ("openvino",))
    outcome = search(space.variants(ABLE), (1,), Budget(4.3, 1.6), world)
    assert outcome.best == Trial(layers(4, prune=0.3), 1)
    assert world.trained == [Weights(0.3)]


def test_a_mix_that_cannot_be_had_is_not_enough(plain_world: MakeWorld) -> None:
    world = plain_world()
    world.impossible = frozenset({layers(2)})
    outcome = search(ONLY, (1,), Budget(6.2, 1.5), world)
    assert outcome.best == Trial(layers(4), 1)
    assert outcome.record(layers(2)).verdict == "the net does not take this size"


def test_int8_that_cannot_be_had_has_no_mix(plain_world: MakeWorld) -> None:
    world = plain_world()
    world.impossible = frozenset({INT8})
    outcome = search(ONLY, (1,), Budget(9.0, 0.5), world)
    assert outcome.best is None and built(world) == set()
    assert outcome.record(MIXED).verdict == "the net does not take this size"


def test_a_mix_needs_int8_beside_it(plain_world: MakeWorld) -> None:
    with pytest.raises(KeyError):
        search((MIXED,), (1,), Budget(9.0, 0.5), plain_world())
