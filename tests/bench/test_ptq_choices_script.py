"""The script on a small network: which choices it compares, what it counts, what it keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import ptq_choices
from edgeseg.data.procedural import ProceduralData, ProceduralSpec
from edgeseg.models import build
from edgeseg.training.checkpoint import BEST, Checkpoint, save_checkpoint
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import UserError
from ptq_choices import CHOSEN, FLOAT, ChoicesConfig, Row, compare_choices, markdown

pytestmark = pytest.mark.usefixtures("one_thread")
DATA = "procedural:64x64,n=72"


def rows(base: float, losses: dict[str, float]) -> list[Row]:
    """Rows of one engine."""
    lost = [Row("openvino", choice, base - points / 100, points, 0.99, 1.0) for choice, points in losses.items()]
    return [Row("openvino", FLOAT, base, 0.0, 1.0, 0.0), *lost]


def test_runs_are_added_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {"unet": rows(0.7, {"NNCF": 0.2}), "fast_scnn": rows(0.6, {"NNCF": 0.4, "other": -0.1})}
    monkeypatch.setattr(ptq_choices, "compare_choices", lambda run, _: iter(found[run.name]))
    config = ChoicesConfig(tmp_path / "ptq.json")
    ptq_choices.ptq_choices(Path("zoo/unet"), Path("zoo/fast_scnn"), config=config)
    found["unet"] = rows(0.71, {"NNCF": 0.3})
    ptq_choices.ptq_choices(Path("other/unet"), config=config)
    written = json.loads(config.out.read_text(encoding="utf-8"))
    assert {run: [row["drop_points"] for row in of["rows"]] for run, of in written.items()} == {
        "unet": [0.0, 0.3], "fast_scnn": [0.0, 0.4, -0.1],
    }  # fmt: skip
    capsys.readouterr()
    ptq_choices.ptq_choices(config=config)
    assert capsys.readouterr().out.splitlines() == [
        "| engine | choice | unet | fast_scnn |",
        "| --- | --- | --- | --- |",
        "| openvino | float32 | 71.00 % | 60.00 % |",
        "| openvino | NNCF | 0.30 | 0.40 |",
        "| openvino | other | – | -0.10 |",
    ]
    assert markdown(written).count("\n") == 4


def test_without_runs_and_table_there_is_nothing_to_print(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name some"):
        ptq_choices.ptq_choices(config=ChoicesConfig(tmp_path / "ptq.json"))
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run of a network that was not trained."""
    folder = tmp_path_factory.mktemp("ptq") / "run"
    labels = ProceduralData(ProceduralSpec.parse(DATA), "val").labels
    contract = Contract(labels, 64, 64)
    torch.manual_seed(0)
    net = build("fast_scnn", len(labels), contract.size)
    checkpoint = Checkpoint("fast_scnn", contract, 1, config={"data": DATA, "split": "train", "val_split": "val"})
    save_checkpoint(folder / BEST, net, checkpoint)
    yield folder


@pytest.mark.slow
def test_every_choice_is_made_and_compared_with_its_engine_s_float_file(run: Path) -> None:
    found = list(compare_choices(run, ChoicesConfig(calibration_count=64, pictures=6)))
    for engine, count in (("onnxruntime", 12), ("openvino", 2)):
        first, *others, chosen = [row for row in found if row.engine == engine]
        assert (first.choice, first.drop_points, first.agreement) == (FLOAT, 0.0, 1.0)
        assert len(others) == count and len({row.choice for row in others}) == count
        assert chosen.choice == CHOSEN
        assert (chosen.mean_iou, chosen.agreement) in {(row.mean_iou, row.agreement) for row in others}
        for row in [*others, chosen]:
            assert row.drop_points == pytest.approx(100 * (first.mean_iou - row.mean_iou))
            assert 0 < row.agreement <= 1 and row.seconds > 0
