from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from edgeseg.cli.app import run
from edgeseg_runtime.contract import Contract

if TYPE_CHECKING:
    from tests.conftest import TinyModel


def describe(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run(["info", str(path), "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def write_checkpoint(path: Path, contract: Contract | dict[str, Any]) -> Path:
    described = {
        "edgeseg": "0.1.0",
        "model": "fast_scnn",
        "contract": json.loads(contract.to_json()) if isinstance(contract, Contract) else contract,
        "epoch": 7,
        "metrics": {"mean_iou": 0.61234, "classes": {"red": {"iou": 0.5}}},
        "config": {"data": "camvid"},
    }
    tensors: dict[str, np.ndarray[Any, Any]] = {
        "a": np.zeros((3, 4), np.float32),
        "b": np.zeros(5, np.float32),
        "c": np.zeros((), np.int64),
    }
    save_file(tensors, path, metadata={"edgeseg": json.dumps(described)})
    return path


@pytest.mark.parametrize("suffix", ["onnx", "xml"])
def test_a_model_file_tells_its_contract_precision_size_and_hash(
    tmp_path: Path,
    colour_contract: Contract,
    tiny_model: TinyModel,
    suffix: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tiny_model(colour_contract, tmp_path / "model.onnx", precision="int8")
    if suffix == "xml":
        openvino = pytest.importorskip("openvino")
        model = openvino.Core().read_model(file)
        model.set_rt_info(colour_contract.to_json(), ["edgeseg", "contract"])
        model.set_rt_info("int8", ["edgeseg", "precision"])
        file = tmp_path / "model.xml"
        openvino.save_model(model, file)
    told = describe(file, capsys)
    assert (told["kind"], told["precision"], told["bytes"]) == ("model", "int8", file.stat().st_size)
    assert told["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert Contract.from_dict(told["contract"]) == colour_contract
    assert ("weights_sha256" in told) == (suffix == "xml")
    assert run(["info", str(file)]) == 0
    text = capsys.readouterr().out
    assert all(part in text for part in ("precision: int8", "24×32", "2 blue  rgb(0, 0, 255)", told["sha256"]))


def test_a_run_tells_what_its_best_checkpoint_holds(
    tmp_path: Path, colour_contract: Contract, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_checkpoint(tmp_path / "best.safetensors", colour_contract)
    told = describe(tmp_path, capsys)
    assert told == describe(file, capsys)
    assert (told["kind"], told["model"], told["epoch"], told["parameters"]) == ("checkpoint", "fast_scnn", 7, 18)
    assert told["config"] == {"data": "camvid"}
    assert Contract.from_dict(told["contract"]) == colour_contract
    assert run(["info", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert all(part in text for part in ("fast_scnn", "epoch: 7", "mean_iou: 0.6123"))


def test_an_export_tells_every_model_and_what_was_rejected(
    tmp_path: Path, colour_contract: Contract, tiny_model: TinyModel, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("onnx-float32", "onnx-int8", "rejected/openvino-int8"):
        (tmp_path / folder).mkdir(parents=True)
        tiny_model(colour_contract, tmp_path / folder / "model.onnx")
    artifacts = [{"name": "onnx-float32", "passed": True}, {"name": "openvino-int8", "passed": False}]
    (tmp_path / "manifest.json").write_text(json.dumps({"facts": {"model": "unet"}, "artifacts": artifacts}))
    told = describe(tmp_path, capsys)
    assert [Path(model["file"]).parent.name for model in told["models"]] == ["onnx-float32", "onnx-int8"]
    assert (told["kind"], told["rejected"], told["facts"]) == ("export", ["openvino-int8"], {"model": "unet"})
    assert run(["info", str(tmp_path)]) == 0
    assert "rejected by the parity gate: openvino-int8" in capsys.readouterr().out


def test_a_model_without_a_contract_says_so(
    tmp_path: Path, colour_contract: Contract, tiny_model: TinyModel, capsys: pytest.CaptureFixture[str]
) -> None:
    import onnx

    bare = onnx.load(tiny_model(colour_contract, tmp_path / "model.onnx"))
    del bare.metadata_props[:]
    onnx.save(bare, tmp_path / "model.onnx")
    assert describe(tmp_path, capsys)["contract"] is None
    assert run(["info", str(tmp_path)]) == 0
    assert "contract: none; --contract" in capsys.readouterr().out


def broken(kind: str, folder: Path, contract: Contract) -> Path:
    """Write something that is not what it says, and return where."""
    file = write_checkpoint(folder / "c.safetensors", contract)
    whole = file.read_bytes()
    match kind:
        case "missing":
            return folder / "nothing"
        case "text":
            (folder / "notes.txt").write_text("no model")
            return folder / "notes.txt"
        case "cut":
            file.write_bytes(whole[:100])
        case "short":
            file.write_bytes(whole[:5])
        case "no json":
            file.write_bytes(whole[:8] + b"#" * (len(whole) - 8))
        case "list":
            file.write_bytes((2).to_bytes(8, "little") + b"[]")
        case "foreign":
            save_file({"a": np.zeros(3, np.float32)}, file)
        case "lacking":
            save_file({"a": np.zeros(3, np.float32)}, file, metadata={"edgeseg": '{"model": "unet"}'})
        case "bad contract":
            write_checkpoint(file, {"labels": []})
        case "manifest":
            (folder / "manifest.json").write_text("{}")
            return folder
        case "xml" | "other xml":
            (folder / "model.xml").write_text("<net>" if kind == "xml" else "<html/>")
            return folder / "model.xml"
        case "onnx":
            (folder / "model.onnx").write_bytes(b"no model")
            return folder / "model.onnx"
    return file


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "there is no model at"),
        ("text", "neither a model (.onnx, .xml) nor a checkpoint"),
        ("cut", "damaged"),
        ("short", "damaged"),
        ("no json", "damaged"),
        ("list", "damaged"),
        ("foreign", "not the description"),
        ("lacking", "lacks contract, metrics, config"),
        ("bad contract", "contract"),
        ("manifest", "manifest.json cannot be read"),
        ("onnx", "damaged or no ONNX model"),
        ("xml", "damaged or no OpenVINO model"),
        ("other xml", "its first element is <html>"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_exit_code_2(
    tmp_path: Path, colour_contract: Contract, kind: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["info", str(broken(kind, tmp_path, colour_contract))]) == 2
    talk = capsys.readouterr().err
    assert message in talk
    assert talk.count("\n") == 1
