"""Making models that tell objects apart smaller, by the verbs: QAT, pruning, sensitivity, mixed int8."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from edgeseg.cli import latency
from edgeseg.cli.app import run
from edgeseg.compress.channels import channel_plan
from edgeseg.config import (
    DataConfig,
    MachineConfig,
    ModelConfig,
    OptimConfig,
    TrainConfig,
    flatten,
    load_config,
    save_config,
)
from edgeseg.data.instances.procedural import ProceduralObjects
from edgeseg.data.procedural import ProceduralSpec
from edgeseg.models.cost import count_macs, count_parameters
from edgeseg.models.instances.registry import build_instance
from edgeseg.training.checkpoint import BEST, Checkpoint, load_checkpoint, read_checkpoint, save_checkpoint
from edgeseg.training.prune import START
from edgeseg.training.start import resolve
from edgeseg_bench.frames import pattern
from edgeseg_bench.subjects import load
from edgeseg_export.instances.deployable import InstanceDeployable
from edgeseg_runtime.contract import Contract, Selection
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.preprocess import to_input
from edgeseg_runtime.segmenter import Segmenter

DATA, MODEL, SIZE = "procedural:64x96,n=72", "yolact_bricknet_s", (64, 96)
DETECTOR = "maskrcnn_mobilenet_v2_fpn"


@pytest.fixture(scope="module")
def prunable(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    """The folder of a run that has learnt nothing and takes some of its noise for objects. Leave it as it is."""
    folder = tmp_path_factory.mktemp("verbs") / "prunable"
    data = ProceduralObjects(ProceduralSpec.parse(DATA), "train")
    selection = Selection((0.3,) * len(data.labels), overlap=0.3)
    contract = Contract(data.labels, *SIZE, task="instance", output="prototypes", selection=selection)
    torch.manual_seed(0)
    net: Any = build_instance(MODEL, len(data.labels), SIZE)
    frames = torch.from_numpy(np.stack([to_input(data.read(index).image, contract) for index in range(8)]))
    with torch.no_grad():
        for _ in range(20):  # statistics of real pictures
            InstanceDeployable(net, contract).raw(frames)
        for head in net.maps.heads:
            head.logits.weight.mul_(25)
            head.logits.bias.fill_(-2)
            head.coefficients.weight.mul_(10)
    given = TrainConfig(
        DataConfig(DATA, size=SIZE, workers=0, augment="none"),
        folder,
        ModelConfig(MODEL),
        optim=OptimConfig(epochs=1, lr=0.001),
        machine=MachineConfig(device="cpu", precision="float32"),
    )
    config = resolve(given)
    save_config(config, folder / "config.yaml")
    save_checkpoint(folder / BEST, net.eval(), Checkpoint(MODEL, contract, 1, {}, flatten(config)))
    return folder


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Mask R-CNN that has learnt nothing."""
    folder = tmp_path_factory.mktemp("verbs") / "detector"
    labels = ProceduralObjects(ProceduralSpec.parse(DATA), "val").labels
    contract = Contract(labels, *SIZE, task="instance", output="detections", selection=Selection((0.5,) * len(labels)))
    net = build_instance(DETECTOR, len(labels), SIZE)
    save_checkpoint(folder / BEST, net, Checkpoint(DETECTOR, contract, 1, config={"data": DATA}))
    return folder


def slow(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


def only_line(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("edgeseg: ")]
    return line


@pytest.fixture(scope="module")
def rounded(prunable: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that went on from `prunable` with int8's rounding in place."""
    out = tmp_path_factory.mktemp("verbs") / "rounded"
    flags = ["--data", DATA, "--qat", "--init", str(prunable), "--epochs", "1", "--workers", "0", "--device", "cpu"]
    assert run(["train", *flags, "--augment", "none", "--out", str(out)]) == 0
    return out


class TestRounding:
    def test_a_run_learns_with_int8s_rounding_in_place(self, rounded: Path, capsys: pytest.CaptureFixture[str]) -> None:
        checkpoint = read_checkpoint(rounded / BEST)
        assert checkpoint.quantized
        assert (checkpoint.model, checkpoint.contract.size) == (MODEL, SIZE)
        assert run(["eval", str(rounded), "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        for name in ("mask_ap", "box_ap50", "mean_recall"):
            assert answer[name] == pytest.approx(checkpoint.metrics[name], abs=1e-6)

    @pytest.mark.slow
    def test_its_files_show_what_was_trained(
        self, rounded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "export"
        assert run(["export", str(rounded), "--int8", "--out", str(out), "--json"]) == 0
        shown = capsys.readouterr()
        assert "trained for int8: there are only int8 files" in shown.err
        parity = json.loads(shown.out)["parity"]
        assert parity.keys() == {"onnx-int8", "openvino-int8"}
        for name, entry in parity.items():
            assert entry["verdict"]["passed"], name
            assert entry["objects"]["original"] > 10
            assert (entry["objects"]["missed"], entry["objects"]["extra"]) == (0, 0)
            assert entry["mask_iou"] > 0.999
            assert Segmenter.load(out / name).precision == "int8"
        bench = ["--original", str(rounded), "--threads", "1", "--seconds", "0.02", "--json"]
        assert run(["bench", str(out), *bench]) == 0
        rows = json.loads(capsys.readouterr().out)["rows"]
        assert [row["precision"] for row in rows if row["engine"] == "pytorch"] == ["fake int8"]

    @pytest.mark.parametrize(
        ("given", "complaint"),
        [
            (["--calibration", "pictures"], "was trained for int8 (--qat) and has its own ranges; leave it away"),
            (["--max-drop", "0.3"], "was trained for int8 (--qat) and has its own ranges; leave it away"),
        ],
    )
    def test_there_is_nothing_to_calibrate(
        self, rounded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], complaint: str
    ) -> None:
        assert run(["export", str(rounded), "--int8", *given, "--out", str(tmp_path / "out")]) == 2
        assert complaint in only_line(capsys)
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("verb", "complaint"),
        [
            (
                ["prune", "{run}", "--ratio", "0.3", "--out", "{out}"],
                "prune the network first, then train it with --qat",
            ),
            (["sensitivity", "{run}", "--out", "{out}"], "name the run it started from"),
        ],
    )
    def test_it_comes_last(
        self, rounded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: list[str], complaint: str
    ) -> None:
        assert run([text.format(run=rounded, out=tmp_path / "out") for text in verb]) == 2
        assert complaint in only_line(capsys)
        assert not (tmp_path / "out").exists()

    def test_a_detector_is_refused(self, detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "out"
        assert run(["train", "--data", DATA, "--qat", "--init", str(detector), "--out", str(out)]) == 2
        assert f"--qat: {DETECTOR} chooses its regions in the middle of the network" in only_line(capsys)
        assert not out.exists()


class TestPruning:
    def prune(self, source: Path, out: Path, *flags: str) -> int:
        return run(["prune", str(source), "--out", str(out), *flags])

    def test_a_run_is_pruned_and_fine_tuned(
        self, prunable: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "run"
        assert self.prune(prunable, out, "--ratio", "0.3", "--epochs", "1", "--json") == 0
        shown = capsys.readouterr()
        answer = json.loads(shown.out)
        own, _ = load_checkpoint(prunable / BEST)
        best, tuned = load_checkpoint(out / BEST)
        assert answer["before"]["macs"] == count_macs(own, SIZE)
        assert answer["after"]["macs"] == count_macs(best, SIZE) < 0.8 * answer["before"]["macs"]
        assert answer["after"]["parameters"] == count_parameters(best)
        assert answer["after"]["mask_ap_pruned"] == read_checkpoint(out / START).metrics["mask_ap"]
        assert answer["after"]["mask_ap"] == tuned.metrics["mask_ap"]
        assert tuned.channels == channel_plan(best)
        assert f"{prunable / BEST}: val mask AP {answer['before']['mask_ap']:.4f}" in shown.err
        before, now = (load_config(folder / "config.yaml") for folder in (prunable, out))
        differs = {name for name in {**before, **now} if before.get(name) != now.get(name)}
        assert differs == {"out", "init", "lr"}  # and no teacher

    @pytest.mark.slow
    def test_what_is_left_is_exported_and_rounded_like_any_other(self, prunable: Path, tmp_path: Path) -> None:
        pruned, rounded = tmp_path / "pruned", tmp_path / "rounded"
        assert self.prune(prunable, pruned, "--macs", "0.5", "--criterion", "l1", "--no-teacher") == 0
        assert run(["export", str(pruned), "--max-changed-objects", "10", "--min-mask-iou", "0.9"]) == 0  # for bf16
        flags = ["--data", DATA, "--qat", "--init", str(pruned), "--epochs", "1", "--workers", "0", "--device", "cpu"]
        assert run(["train", *flags, "--out", str(rounded)]) == 0
        assert run(["export", str(rounded)]) == 0
        files = [pruned / "export" / "onnx-float32" / "model.onnx", rounded / "export" / "onnx-int8" / "model.onnx"]
        floats, ints = (file.stat().st_size for file in files)
        assert floats < 0.6 * 4 * count_parameters(load_checkpoint(prunable / BEST)[0])
        assert ints < 0.5 * floats

    @pytest.mark.slow
    def test_a_latency_is_measured(self, prunable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The clock is replaced: a network takes as many milliseconds as it has millions of parameters."""
        monkeypatch.setattr(latency, "float_latency_ms", lambda net, *_, **__: count_parameters(net) / 1e6)
        now = count_parameters(load_checkpoint(prunable / BEST)[0]) / 1e6
        flags = ["--latency", f"{0.6 * now}ms", "--criterion", "l1", "--threads", "1", "--no-finetune"]
        assert self.prune(prunable, tmp_path / "run", *flags) == 0
        assert 0.5 * now < count_parameters(load_checkpoint(tmp_path / "run" / START)[0]) / 1e6 <= 0.6 * now

    @pytest.mark.slow
    @pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
    def test_the_clock_runs_an_export_that_finds_nothing(
        self, prunable: Path, monkeypatch: pytest.MonkeyPatch, engine: Any
    ) -> None:
        net, checkpoint = load_checkpoint(prunable / BEST)
        seen: list[int] = []

        def watched(case: Any) -> Any:
            segmenter = Segmenter.load(case.file, engine=case.engine)
            assert segmenter.contract.labels == checkpoint.contract.labels
            for frame in pattern(2, *SIZE):
                result = segmenter(frame)
                assert isinstance(result, InstanceResult)
                seen.append(len(result))
            return load(case)

        monkeypatch.setattr(latency, "load", watched)
        assert 0 < latency.float_latency_ms(net, checkpoint.contract, engine=engine, seconds=0.01) < 1e4
        assert seen == [0, 0]

    @pytest.mark.parametrize(
        ("flags", "code", "complaint"),
        [
            (["--ratio", "0.3", "--teacher", "x"], 2, "--teacher x: what is imitated are classes of pixels, and "),
            (["--ratio", "0.3", "--data", "nowhere"], 2, "nowhere"),
            (["--latency", "5"], 2, "with its unit, such as 12ms"),
            slow(["--ratio", "0.99", "--criterion", "l1"], 2, "a ratio of 0.99 would empty a layer; at most 0.8"),
            slow(["--macs", "0.0001", "--criterion", "l1"], 1, "cannot reach 0.0001 of the MACs: the nearest is"),
            slow(
                ["--ratio", "0.3", "--data", "procedural:64x96,n=4"],
                2,
                "--batch 8 is more than the 4 training pictures",
            ),
        ],
    )
    def test_mistakes_leave_nothing_behind(
        self,
        prunable: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        flags: list[str],
        code: int,
        complaint: str,
    ) -> None:
        assert self.prune(prunable, tmp_path / "run", *flags) == code
        assert complaint in only_line(capsys)
        assert not (tmp_path / "run").exists()

    def test_networks_that_cannot_be_pruned(
        self, detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.prune(detector, tmp_path / "run", "--ratio", "0.3") == 2
        error = only_line(capsys)
        assert f"holds {DETECTOR}, which chooses its regions in the middle of the network" in error
        assert "yolact_*" in error
        assert not (tmp_path / "run").exists()


@pytest.mark.slow
class TestSensitivity:
    def test_layers_are_ranked_by_objects(
        self, prunable: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        flags = ["--count", "6", "--calibration-count", "64", "--seconds", "0.02", "--out", str(tmp_path)]
        assert run(["sensitivity", str(prunable), *flags, "--top", "4"]) == 0
        shown = capsys.readouterr()
        title = "objects that change (1 − panoptic quality) with one layer in int8, % of 6 pictures"
        assert title in " ".join(shown.out.split())
        found = json.loads((tmp_path / "sensitivity.json").read_text(encoding="utf-8"))
        shares = [row["disagreement"] for row in found["rows"]]
        assert len(shares) > 40
        assert shares == sorted(shares, reverse=True)
        assert 0 < shares[0] <= 1
        assert {"openvino int8", "onnxruntime int8"} <= found["p50_ms"].keys()
        picture = cv2.imread(str(tmp_path / "sensitivity.png"))
        assert picture is not None and picture.std() > 10
