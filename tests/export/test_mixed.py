from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_export.mixed import Found, MixedSearch, Trial, fewest_float_layers
from edgeseg_export.parity.compare import Reference
from edgeseg_export.parity.deployed import deployed_path
from edgeseg_export.parity.faults import plant, swap_labels
from edgeseg_export.parity.gate import MaskGate
from edgeseg_export.parity.pictures import Picture
from edgeseg_runtime.errors import GateFailed
from edgeseg_runtime.segmenter import Segmenter


class Fake:
    """Layers with a known cost each; what is in float costs nothing."""

    def __init__(self, costs: Sequence[float]) -> None:
        self.costs = {f"layer {index}": cost for index, cost in enumerate(costs)}
        self.measured: dict[tuple[str, ...], float] = {}
        self.ranked = 0

    def rank(self) -> list[str]:
        self.ranked += 1
        return sorted(self.costs, key=lambda name: -self.costs[name])

    def evaluate(self, float_layers: tuple[str, ...]) -> float:
        self.measured[float_layers] = sum(cost for name, cost in self.costs.items() if name not in float_layers)
        return self.measured[float_layers]


def search(fake: Fake, bound: float) -> Found:
    return fewest_float_layers(fake.rank, lambda layers: (fake.evaluate(layers), True), bound)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=70), st.floats(0, 30))
def test_it_finds_the_fewest_and_measured_both_sides(costs: list[float], bound: float) -> None:
    fake = Fake(costs)
    found = search(fake, bound)
    ranking = fake.rank()
    # by brute force over every beginning of the ranking
    fewest = next(count for count in range(len(costs) + 1) if fake_drop(fake, ranking[:count]) <= bound)
    assert len(found.float_layers) == fewest
    assert found.float_layers == tuple(ranking[:fewest])
    assert fake.measured[found.float_layers] == found.drop <= bound
    if fewest:
        assert fake.measured[tuple(ranking[: fewest - 1])] > bound
    assert len(found.trials) <= 16  # 2 log2(70) and a few, not 70


def fake_drop(fake: Fake, float_layers: Sequence[str]) -> float:
    return sum(cost for name, cost in fake.costs.items() if name not in float_layers)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=40), st.floats(-5, 5))
def test_what_it_returns_was_measured_to_hold_even_where_the_drop_jumps_about(drops: list[float], bound: float) -> None:
    names = [str(index) for index in range(len(drops) - 1)]
    try:
        found = fewest_float_layers(lambda: names, lambda layers: (drops[len(layers)], True), bound)
    except GateFailed:
        assert drops[0] > bound
        assert drops[-1] > bound
    else:
        assert drops[len(found.float_layers)] == found.drop <= bound
        assert not found.float_layers or drops[len(found.float_layers) - 1] > bound


def test_layers_are_not_ranked_where_int8_holds() -> None:
    fake = Fake([1, 2, 3])
    assert search(fake, 6).float_layers == ()
    assert fake.ranked == 0


def test_the_nearest_is_named_where_nothing_holds() -> None:
    drops = {0: 3.0, 1: 2.0, 2: 1.25, 3: 1.5}
    with pytest.raises(GateFailed, match=r"the nearest loses 1\.250 with 2 of 3 layers in float, allowed is 1$"):
        fewest_float_layers(lambda: ["a", "b", "c"], lambda layers: (drops[len(layers)], True), 1.0)


@given(st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=1, max_size=40), st.floats(-5, 5))
def test_what_it_returns_passed_the_gate(tried: list[tuple[float, bool]], bound: float) -> None:
    names = [str(index) for index in range(len(tried) - 1)]
    try:
        found = fewest_float_layers(lambda: names, lambda layers: tried[len(layers)], bound)
    except GateFailed:
        assert not any(passed and drop <= bound for drop, passed in (tried[0], tried[-1]))
    else:
        drop, passed = tried[len(found.float_layers)]
        assert passed and drop == found.drop <= bound
        assert all(trial == Trial(trial.float_layers, *tried[trial.float_layers]) for trial in found.trials)


def test_a_file_within_the_bound_that_the_gate_refuses_is_not_enough() -> None:
    tried = [(0.2, False), (0.4, False), (0.1, True)]
    found = fewest_float_layers(lambda: ["a", "b"], lambda layers: tried[len(layers)], 0.5)
    assert found.float_layers == ("a", "b")
    with pytest.raises(
        GateFailed, match=r"loses 0\.200 with 0 of 1 layers in float, allowed is 0\.5, and the .* refuses"
    ):
        fewest_float_layers(lambda: ["a"], lambda layers: tried[len(layers)], 0.5)


def test_a_network_without_layers_to_put_back() -> None:
    with pytest.raises(GateFailed, match="with 0 of 0 layers"):
        fewest_float_layers(list, lambda _: (2.0, True), 1.0)


@pytest.fixture
def pictures(trained: Any) -> Reference:
    reference: Reference = trained.reference
    return reference


def test_a_file_is_found_written_and_told_about(trained: Any, pictures: Reference, tmp_path: Path) -> None:
    def build(path: Path, float_layers: Sequence[str]) -> None:
        path.parent.mkdir(parents=True)
        if len(float_layers) < 3:
            plant(trained.onnx, path, swap_labels)
        else:
            shutil.copy(trained.onnx, path)

    finder = MixedSearch(MaskGate(pictures), 0.5, lambda *_: ())
    path = tmp_path / "export" / "onnx-int8" / "model.onnx"
    found = finder.settle(build, lambda: list("abcdef"), trained.onnx, path)
    assert found.float_layers == ("a", "b", "c")
    assert found.unit == "mIoU points"
    assert abs(found.drop) < 0.01 < found.int8_drop
    assert [trial.float_layers for trial in found.trials] == [0, 1, 2, 4, 3]
    assert set(found.p50_ms) == {"float32", "int8", "mixed"}
    assert min(found.p50_ms.values()) > 0
    assert path.read_bytes() == trained.onnx.read_bytes()
    assert "3 layers in float, drop " in str(found)
    assert str(found).split("; ")[0].endswith("mIoU points (allowed 0.5, and the gate refuses int8 alone)")
    assert [item.name for item in path.parent.iterdir()] == ["model.onnx"]


def test_without_truth_pixels_are_counted(trained: Any, pictures: Reference, tmp_path: Path) -> None:
    bare = [Picture(name, pictures.pictures[index].image, None) for index, name in enumerate(pictures.names[:4])]
    original = deployed_path(Segmenter.load(trained.onnx), pictures.contract)
    reference = Reference.of(original, bare, pictures.contract)

    def build(path: Path, _: Sequence[str]) -> None:
        path.parent.mkdir(parents=True)
        plant(trained.onnx, path, swap_labels)

    with pytest.raises(GateFailed, match=r"onnx-int8: .*in % of pixels: the nearest loses [\d.]+ with 0 of 2"):
        MixedSearch(MaskGate(reference), 0.5, lambda *_: ()).settle(
            build, lambda: ["a", "b"], trained.onnx, tmp_path / "onnx-int8" / "model.onnx"
        )
    assert not list(tmp_path.iterdir())
