"""Models that tell objects apart, through the verbs that classes of pixels go through too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgeseg.cli.app import run
from edgeseg.cli.pictures import calibration_set
from edgeseg.data.instances.collection import ObjectsAsClasses
from edgeseg.data.instances.open import open_instances
from edgeseg.data.open import open_data
from edgeseg.training.checkpoint import BEST, Checkpoint, load_deployable, read_checkpoint, save_checkpoint
from edgeseg.training.runlog import read_metrics
from edgeseg_export.onnx_file import export_onnx
from edgeseg_runtime.errors import CalibrationError
from edgeseg_runtime.progress import silent

DATA, MODEL = "procedural:64x96,n=24", "yolact_shufflenet_v2_x0_5"
SMALL = ["--data", DATA, "--size", "64", "96", "--batch", "4", "--workers", "0"]
SMALL += ["--device", "cpu", "--precision", "float32"]


@pytest.fixture(scope="session")
def objects_run(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    """The folder of a run that finds some objects, made by the verb. Read it, leave it as it is."""
    out = tmp_path_factory.mktemp("verbs") / "objects"
    flags = ["--model", MODEL, "--augment", "none", "--lr", "0.005", "--ema", "0.5", "--score-every", "4"]
    assert run(["train", *SMALL, *flags, "--epochs", "8", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def objects_file(objects_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_onnx(load_deployable(objects_run)[0].eval(), path)
    return path


class TestTrain:
    def test_the_answer_is_one_json_document(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        flags = ["--model", MODEL, "--epochs", "1", "--out", str(tmp_path / "run"), "--json"]
        assert run(["train", *SMALL, *flags]) == 0
        shown = capsys.readouterr()
        answer = json.loads(shown.out)
        (row,) = read_metrics(tmp_path / "run" / "metrics.csv")
        assert answer.keys() == {"out", "best_epoch", "best_mask_ap", "epochs", "seconds"}
        assert answer["best_mask_ap"] == row["mask_ap"]
        assert "24 train and 6 val pictures" in shown.err
        assert f"epoch 1/1  loss {row['loss']:.4f}  val mask AP {row['mask_ap']:.4f}" in shown.err

    @pytest.mark.parametrize(
        ("given", "complaint"),
        [
            (["--model", MODEL, "--loss", "dice"], "--loss dice: yolact_shufflenet_v2_x0_5 learns by the losses"),
            (["--model", MODEL, "--sample", "rare"], "--sample rare: pictures are drawn by"),
            (["--model", MODEL, "--teacher", "{run}"], "--teacher {run}: what is imitated are classes of pixels"),
            (["--model", MODEL, "--qat"], "--qat starts from a trained network; name its run with --init"),
            (["--model", "yolact_vgg"], "model 'yolact_vgg' is unknown; choose one of fast_scnn"),
            (["--model", "unet", "--init", "{run}"], "is yolact_shufflenet_v2_x0_5; leave --model away"),
            (["--model", "fast_scnn", "--teacher", "{run}"], "which tells objects apart"),
        ],
    )
    def test_mistakes_are_one_line(
        self,
        objects_run: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        given: list[str],
        complaint: str,
    ) -> None:
        flags = [text.format(run=objects_run) for text in given]
        assert run(["train", *SMALL, *flags, "--out", str(tmp_path / "run")]) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("edgeseg: ")]
        assert len(lines) == 1
        assert complaint.format(run=objects_run) in lines[0]
        assert not (tmp_path / "run" / "config.yaml").exists()

    def test_data_without_objects_is_refused(
        self, real_masks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        flags = ["--data", str(real_masks), "--model", MODEL, "--out", str(tmp_path / "run")]
        assert run(["train", *flags]) == 2
        assert "tells classes apart, but not objects" in capsys.readouterr().err


@pytest.fixture
def real_masks(tmp_path: Path) -> Path:
    """A folder of pictures with a class for each pixel."""
    folder = tmp_path / "masks"
    assert run(["data", "convert", "--data", "procedural:32x32,n=4", "--split", "train", "--out", str(folder)]) == 0
    return folder


class TestEvaluate:
    def test_a_run_scores_what_its_training_said(self, objects_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["eval", str(objects_run), "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert (answer.pop("model"), answer.pop("pictures")) == (str(objects_run), 6)
        metrics = read_checkpoint(objects_run / BEST).metrics
        assert metrics["mask_ap50"] > 0.02
        classes, told = answer.pop("classes"), metrics.pop("classes")
        assert answer == pytest.approx(metrics)
        assert {name: pytest.approx(values) for name, values in told.items()} == classes

    @pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
    def test_an_exported_file_scores_like_its_run(
        self, objects_run: Path, objects_file: Path, capsys: pytest.CaptureFixture[str], engine: str
    ) -> None:
        assert run(["eval", str(objects_file), "--data", DATA, "--engine", engine, "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        metrics = read_checkpoint(objects_run / BEST).metrics
        for name in ("mask_ap", "box_ap", "mean_recall"):
            assert answer[name] == pytest.approx(metrics[name], abs=0.01)

    def test_an_exported_file_needs_no_torch(self, objects_file: Path) -> None:
        program = (
            "import sys\nfor name in ('torch', 'torchvision', 'lightning', 'onnx'):\n    sys.modules[name] = None\n"
            "from edgeseg.cli.app import run\nsys.exit(run(sys.argv[1:]))"
        )
        command = [sys.executable, "-c", program, "eval", str(objects_file), "--data", DATA, "--json"]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["pictures"] == 6

    def test_the_tables_show_classes_and_sizes(self, objects_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["eval", str(objects_run)]) == 0
        shown = capsys.readouterr().out
        metrics = read_checkpoint(objects_run / BEST).metrics
        assert all(name in shown for name in ("car", "person", "AP75", "medium", "from score"))
        assert f"{100 * metrics['mask_ap']:.2f}" in shown and f"{100 * metrics['box_ap50']:.2f}" in shown

    @pytest.mark.parametrize(
        ("given", "complaint"),
        [
            (["{run}", "--flip"], "--scales and --flip average classes of pixels"),
            (["{model}"], "does not say what it was trained on"),
            (["{run}", "--split", "nope"], "has no split 'nope'"),
        ],
    )
    def test_mistakes_are_one_line(
        self,
        objects_run: Path,
        objects_file: Path,
        capsys: pytest.CaptureFixture[str],
        given: list[str],
        complaint: str,
    ) -> None:
        assert run(["eval", *(text.format(run=objects_run, model=objects_file) for text in given)]) == 2
        error = capsys.readouterr().err
        assert complaint in error
        assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["optimize", "{run}", "--latency", "5ms", "--out", "{out}"],
    ],
)
def test_verbs_for_classes_alone_say_so(
    objects_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run([text.format(run=objects_run, out=tmp_path / "out") for text in arguments]) == 2
    error = capsys.readouterr().err
    assert "yolact_shufflenet_v2_x0_5, which tells objects apart" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


class TestCalibration:
    """Pictures that int8 is calibrated on, of models of either task."""

    def of(self, objects_run: Path, folder: Path, data: str) -> Checkpoint:
        module, checkpoint = load_deployable(objects_run)
        described = Checkpoint(checkpoint.model, checkpoint.contract, 1, config={"data": data, "split": "train"})
        save_checkpoint(folder / BEST, module.net, described)
        return read_checkpoint(folder / BEST)

    def test_they_are_drawn_and_compared(self, objects_run: Path, tmp_path: Path) -> None:
        checkpoint = self.of(objects_run, tmp_path, "procedural:64x96,n=80")
        found = calibration_set(checkpoint, None, 70, 0, progress=silent)
        assert len(found.pictures) == 70
        assert not found.audit.missing_classes

    def test_classes_that_are_missing_are_named(self, objects_run: Path, tmp_path: Path) -> None:
        with pytest.raises(CalibrationError, match="too few"):
            calibration_set(self.of(objects_run, tmp_path, DATA), None, 64, 0, progress=silent)


def test_objects_as_classes_are_where_the_semantic_truth_has_them() -> None:
    objects: Any = ObjectsAsClasses(open_instances("procedural:64x96,n=8", "train"))
    pixels = open_data("procedural:64x96,n=8", "train")
    names = [label.name for label in pixels.labels]
    assert len(objects) == len(pixels)
    for index in range(len(pixels)):
        one, other = objects.read(index), pixels.read(index)
        assert objects.name(index) == pixels.name(index)
        assert (one.image == other.image).all()
        for label, entry in enumerate(objects.labels):
            assert ((one.mask == label) <= (other.mask == names.index(entry.name))).all()
        assert set(one.mask[one.mask < 255].tolist()) <= {0, 1}
