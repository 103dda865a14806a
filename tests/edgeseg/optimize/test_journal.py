from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgeseg.optimize.budget import Budget
from edgeseg.optimize.journal import Journal, Recorded
from edgeseg.optimize.measurements import Impossible
from edgeseg.optimize.records import Outcome
from edgeseg.optimize.search import search
from edgeseg.optimize.space import Space, Trial, Variant, Weights
from edgeseg_runtime.errors import ConfigError

if TYPE_CHECKING:
    from tests.edgeseg.optimize.conftest import FakeWorkshop

SETTINGS = {"checkpoint": "abc", "epochs": 3, "prune": (0.0, 0.3)}
ABLE = {"openvino": ("float32", "bf16", "int8"), "onnxruntime": ("float32", "int8")}
VARIANTS = Space((1.0, 0.5), (0.0, 0.3)).variants(ABLE)
BUDGET = Budget(4.5, 0.6)


@pytest.fixture
def world(plain_world: Callable[[], FakeWorkshop]) -> Callable[[], FakeWorkshop]:
    """Return a function that makes the same world again; its choice needs a training, and some of it is impossible."""

    def make() -> FakeWorkshop:
        made = plain_world()
        made.impossible = frozenset({Variant(1.0, 0.0, "int8", "onnxruntime")})
        return made

    return make


def facts(outcome: Outcome) -> object:
    return outcome.best, outcome.original, [asdict(record) for record in outcome.records]


def test_after_a_kill_at_any_point_the_rest_is_done_once(
    world: Callable[[], FakeWorkshop], killed: type[BaseException], tmp_path: Path
) -> None:
    plain = world()
    wanted = search(VARIANTS, (1,), BUDGET, plain)
    assert wanted.best == Trial(Variant(1.0, 0.0, "qat", "openvino"), 1)
    total = len(plain.asked)
    for kill_after in range(total):
        path = tmp_path / f"{kill_after}.jsonl"
        first, second = world(), world()
        first.kill_after = kill_after
        with pytest.raises(killed):
            search(VARIANTS, (1,), BUDGET, Recorded(first, Journal.begin(path, SETTINGS)))
        second.trained = list(first.trained)
        outcome = search(VARIANTS, (1,), BUDGET, Recorded(second, Journal.resume(path, SETTINGS)))
        assert facts(outcome) == facts(wanted)
        assert first.asked + second.asked == plain.asked, "nothing is measured twice, nothing is left out"


def test_a_finished_search_is_told_again_without_measuring(world: Callable[[], FakeWorkshop], tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    wanted = search(VARIANTS, (1,), BUDGET, Recorded(world(), Journal.begin(path, SETTINGS)))
    again = world()
    assert facts(search(VARIANTS, (1,), BUDGET, Recorded(again, Journal.resume(path, SETTINGS)))) == facts(wanted)
    assert again.asked == []


def test_another_budget_goes_on_from_the_same_facts(world: Callable[[], FakeWorkshop], tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    search(VARIANTS, (1,), BUDGET, Recorded(world(), Journal.begin(path, SETTINGS)))
    looser = Budget(9.0, 0.6)
    fresh, again = world(), world()
    wanted = search(VARIANTS, (1,), looser, fresh)
    outcome = search(VARIANTS, (1,), looser, Recorded(again, Journal.resume(path, SETTINGS)))
    assert outcome.best == wanted.best
    assert len(again.asked) < len(fresh.asked)


def test_a_grid_that_is_given_mixed_precision_goes_on_from_the_same_facts(
    plain_world: Callable[[], FakeWorkshop], tmp_path: Path
) -> None:
    path, budget = tmp_path / "trials.jsonl", Budget(6.2, 0.5)
    without = Space(precisions=("float32", "bf16", "int8")).variants(ABLE)
    first, second, fresh = plain_world(), plain_world(), plain_world()
    assert search(without, (1,), budget, Recorded(first, Journal.begin(path, SETTINGS))).best is None
    assert "float_layers" not in path.read_text(encoding="utf-8"), "what was written before there was mixed precision"
    variants = Space(precisions=("float32", "bf16", "int8", "mixed")).variants(ABLE)
    second.trained = list(first.trained)
    outcome = search(variants, (1,), budget, Recorded(second, Journal.resume(path, SETTINGS)))
    assert outcome.best == Trial(Variant(1.0, 0.0, "mixed", "openvino", 5), 1)
    assert facts(outcome) == facts(search(variants, (1,), budget, fresh))
    assert not set(first.asked) & set(second.asked)


def test_another_bound_builds_other_mixes_from_the_same_facts(
    plain_world: Callable[[], FakeWorkshop], tmp_path: Path
) -> None:
    path = tmp_path / "trials.jsonl"
    first, again = plain_world(), plain_world()
    mixed = [Trial(Variant(1.0, 0.0, "mixed", "openvino", count), 1) for count in (4, 5)]
    looser, tight = Budget(6.2, 0.85), Budget(6.2, 0.5)
    assert search(VARIANTS, (1,), tight, Recorded(first, Journal.begin(path, SETTINGS))).best == mixed[1]
    assert search(VARIANTS, (1,), looser, Recorded(again, Journal.resume(path, SETTINGS))).best == mixed[0]
    assert again.calls["layers"] == 0 and not set(first.asked) & set(again.asked)


def test_every_measurement_is_a_line(world: Callable[[], FakeWorkshop], tmp_path: Path) -> None:
    path, made = tmp_path / "trials.jsonl", world()
    search(VARIANTS, (1,), BUDGET, Recorded(made, Journal.begin(path, SETTINGS)))
    first, *lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert first == {
        "step": "settings",
        "schema": 1,
        "settings": {"checkpoint": "abc", "epochs": 3, "prune": [0.0, 0.3]},
    }
    assert [line["step"] for line in lines] == [step for step, _ in made.asked]
    latency = next(line for line in lines if line["step"] == "latency")
    assert set(latency["about"]) == {"resolution", "prune", "precision", "engine", "threads"}
    assert isinstance(latency["result"], float)
    assert {"step", "about", "impossible"} in [set(line) for line in lines]


def test_a_last_line_cut_off_is_measured_again(world: Callable[[], FakeWorkshop], tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    wanted = search(VARIANTS, (1,), BUDGET, Recorded(world(), Journal.begin(path, SETTINGS)))
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for end in range(last, len(whole)):
        path.write_bytes(whole[:end])
        again = world()
        again.trained = [Weights(0.0, True)]
        outcome = search(VARIANTS, (1,), BUDGET, Recorded(again, Journal.resume(path, SETTINGS)))
        assert facts(outcome) == facts(wanted)
        assert len(again.asked) == 1
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "damage",
    [
        "{broken",
        "[1]",
        "\x00\x00",
        '{"step": "score"}',
        '{"step": "score", "about": {}}',
        '{"step": "score", "about": 5, "result": 0.5}',
        '{"step": "score", "about": {}, "result": null}',
        '{"step": "score", "about": {}, "result": "high"}',
        '{"step": "layers", "about": {}, "result": Infinity}',
        '{"step": "quick_score", "about": {}, "result": 0.5}',
        '{"step": "quick_score", "about": {}, "result": {"mean_iou": 0.5}}',
        '{"step": "confirm", "about": {}, "result": {"latency_ms": [], "agreement": 1, "refusal": null}}',
        '{"step": "latency", "about": {}, "impossible": 3}',
        '{"step": ["latency"], "about": {}, "result": 1.0}',
        '{"step": "score", "about": {}, "result": NaN}',
        '{"step": "score", "about": {}, "result": 7}',
        '{"step": "latency", "about": {}, "result": 0}',
        '{"step": "latency", "about": {}, "result": Infinity}',
        '{"step": "quick_score", "about": {}, "result": {"mean_iou": 0.5, "ceiling": NaN}}',
        "[" * 100_000,
        '{"step": "train", "about": {}, "result": null}',
        '{"step": "train", "about": {"prune": "much", "qat": true}, "result": null}',
        '{"step": "guess", "about": {}, "result": 1.0}',
    ],
)
def test_other_damage_names_the_line(damage: str, world: Callable[[], FakeWorkshop], tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    search(VARIANTS, (1,), BUDGET, Recorded(world(), Journal.begin(path, SETTINGS)))
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[3] = damage
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"trials\.jsonl is damaged in line 4"):
        Journal.resume(path, SETTINGS)


@pytest.mark.parametrize(
    "text", ["", '{"step": "score", "about": {}, "result": 1}\n', '{"step": "settings", "schema": 9}\n']
)
def test_a_first_line_that_is_no_settings_is_damage(text: str, tmp_path: Path) -> None:
    (tmp_path / "trials.jsonl").write_text(text)
    with pytest.raises(ConfigError, match="damaged: its first line"):
        Journal.resume(tmp_path / "trials.jsonl", SETTINGS)


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    Journal.begin(path, SETTINGS)
    Journal.resume(path, SETTINGS)
    with pytest.raises(ConfigError, match="was measured with epochs 3, now it is 4"):
        Journal.resume(path, SETTINGS | {"epochs": 4})


def test_what_measurements_no_longer_depend_on_is_not_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    Journal.begin(path, SETTINGS)
    Journal.resume(path, {"checkpoint": "abc"})
    with pytest.raises(ConfigError, match="was measured with pictures None, now it is 8"):
        Journal.resume(path, {"checkpoint": "abc", "pictures": 8})


def test_a_search_is_not_written_over_and_not_resumed_from_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    with pytest.raises(ConfigError, match="--resume: there is no search in"):
        Journal.resume(path, SETTINGS)
    Journal.begin(path, SETTINGS)
    with pytest.raises(ConfigError, match="holds a search; go on with --resume"):
        Journal.begin(path, SETTINGS)


def test_what_is_impossible_stays_impossible(world: Callable[[], FakeWorkshop], tmp_path: Path) -> None:
    trial = Trial(Variant(1.0, 0.0, "int8", "onnxruntime"), 1)
    made = world()
    with pytest.raises(Impossible, match="does not take this size"):
        Recorded(made, Journal.begin(tmp_path / "trials.jsonl", SETTINGS)).latency(trial)
    again = Recorded(world(), Journal.resume(tmp_path / "trials.jsonl", SETTINGS))
    with pytest.raises(Impossible, match="does not take this size"):
        again.latency(trial)
    assert made.calls["latency"] == 1
