"""`edgeseg info`."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeseg.cli.console import answer_json
from edgeseg_runtime.errors import CheckpointError, ModelFileError

if TYPE_CHECKING:
    from edgeseg_runtime.contract import Contract

CHECKPOINT, BEST = ".safetensors", "best.safetensors"
MANIFEST = "manifest.json"


def info(path: Path, /, *, json: bool = False) -> None:
    """Show what is in a model file or a run.

    PATH is an .onnx or OpenVINO .xml file, a folder that an export wrote, a run
    folder, or a .safetensors checkpoint. Neither torch nor the run's data is
    needed.

    For example:

      edgeseg info runs/camvid
      edgeseg info runs/camvid/export/openvino-int8 --json

    Parameters
    ----------
    json
        Print everything as JSON.
    """
    described = describe(path)
    if json:
        answer_json(described)
        return
    print("\n".join(_lines(described)))


def describe(path: Path) -> dict[str, Any]:
    """Return what `path` holds as plain JSON values. Raises ModelFileError, CheckpointError or ContractError."""
    if path.suffix == CHECKPOINT and path.is_file():
        return _checkpoint(path)
    if (path / BEST).is_file():
        return _checkpoint(path / BEST)
    if (path / MANIFEST).is_file():
        return _export(path)
    from edgeseg_runtime.segmenter import model_file

    if path.is_file() and path.suffix not in (".onnx", ".xml"):
        raise ModelFileError(f"{path} is neither a model (.onnx, .xml) nor a checkpoint ({CHECKPOINT})")
    return _model(model_file(path))


def _checkpoint(path: Path) -> dict[str, Any]:
    from edgeseg.cli.checkpoint_header import read_header
    from edgeseg_runtime.contract import Contract

    header = read_header(path)
    if missing := [key for key in ("model", "contract", "metrics", "config") if key not in header]:
        raise CheckpointError(f"{path}: the description lacks {', '.join(missing)}")
    return {
        "kind": "checkpoint",
        **_files(path),
        "model": header["model"],
        "parameters": header["parameters"],
        "epoch": header.get("epoch"),
        "pruned_layers": len(header.get("channels", {})),
        "quantized": header.get("quantized", False),
        "metrics": header["metrics"],
        "contract": asdict(Contract.from_dict(header["contract"])),
        "config": header["config"],
    }


def _model(path: Path) -> dict[str, Any]:
    from edgeseg.cli.model_metadata import read_metadata
    from edgeseg_runtime.contract import CONTRACT_KEY, PRECISION_KEY, Contract

    metadata = read_metadata(path)
    contract = metadata.get(CONTRACT_KEY)
    return {
        "kind": "model",
        **_files(path),
        "format": "OpenVINO" if path.suffix == ".xml" else "ONNX",
        "precision": metadata.get(PRECISION_KEY),
        "contract": None if contract is None else asdict(Contract.from_json(contract)),
    }


def _export(path: Path) -> dict[str, Any]:
    """Describe every model of an export, or a choice of `optimize`; what was rejected lies deeper and is only named."""
    try:
        manifest = json_module.loads((path / MANIFEST).read_text(encoding="utf-8"))
        artifacts = manifest["artifacts"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{path / MANIFEST} cannot be read: {error!r}") from error
    files = sorted(file for file in (*path.glob("*"), *path.glob("*/*")) if file.suffix in (".onnx", ".xml"))
    return {
        "kind": "export",
        "path": str(path),
        "facts": manifest.get("facts", {}),
        "models": [_model(file) for file in files],
        "rejected": [item["name"] for item in artifacts if not item.get("passed", True)],
    }


def _files(path: Path) -> dict[str, Any]:
    """Return path, size and hash; OpenVINO's weights lie beside the .xml and belong to it."""
    from edgeseg_runtime.files import sha256

    weights = path.with_suffix(".bin")
    described = {"file": str(path), "bytes": path.stat().st_size, "sha256": sha256(path)}
    if path.suffix == ".xml" and weights.is_file():
        described |= {"weights_bytes": weights.stat().st_size, "weights_sha256": sha256(weights)}
    return described


def _lines(described: dict[str, Any]) -> list[str]:
    if described["kind"] == "export":
        facts = [f"  {key}: {value}" for key, value in described["facts"].items()]
        rejected = ", ".join(described["rejected"]) or "none"
        head = [f"export {described['path']}", *facts, f"  rejected by the parity gate: {rejected}"]
        contract = next((model["contract"] for model in described["models"]), None)
        return [*head, *(line for model in described["models"] for line in _head(model)), *_contract_lines(contract)]
    return [*_head(described), *_contract_lines(described["contract"])]


def _head(described: dict[str, Any]) -> list[str]:
    size = described["bytes"] + described.get("weights_bytes", 0)
    lines = [f"{described['kind']} {described['file']}", f"  size: {size / 1e6:.2f} MB"]
    lines += [f"  sha256: {described['sha256']}"]
    if "weights_sha256" in described:
        lines += [f"  sha256 of the weights: {described['weights_sha256']}"]
    if described["kind"] == "model":
        precision = described["precision"] or "not stated (run in float32)"
        return [*lines, f"  precision: {precision}", f"  format: {described['format']}"]
    lines += [f"  network: {described['model']}, {described['parameters'] / 1e6:.2f} M parameters"]
    if described["pruned_layers"]:
        lines += [f"  pruned: the shapes of {described['pruned_layers']} layers"]
    if described["quantized"]:
        lines += ["  quantised: holds the quantisers of quantisation-aware training"]
    lines += [f"  epoch: {described['epoch']}"]
    scores = {name: value for name, value in described["metrics"].items() if isinstance(value, float)}
    return [*lines, *(f"  {name}: {value:.4f}" for name, value in scores.items())]


def _contract_lines(raw: dict[str, Any] | None) -> list[str]:
    if raw is None:
        return ["  contract: none; --contract FILE gives one when the model is run"]
    from edgeseg_runtime.contract import OUTPUTS, Contract

    contract: Contract = Contract.from_dict(raw)
    labels = "\n".join(f"    {index:3} {label.name}  rgb{label.color}" for index, label in enumerate(contract.labels))
    return [
        f"  task: {contract.task}",
        f"  input: {contract.height}×{contract.width} {contract.color_order}, {contract.resize}, "
        f"{contract.interpolation}, mean {_short(contract.mean)}, std {_short(contract.std)}",
        f"  output: {contract.output} ({', '.join(OUTPUTS[contract.output])})",
        *_selection_lines(contract),
        f"  ignore index: {contract.ignore_index}",
        f"  labels:\n{labels}",
    ]


def _selection_lines(contract: Contract) -> list[str]:
    """Say which candidates are objects; nothing for models of another task."""
    chosen = contract.selection
    if chosen is None:
        return []
    return [
        f"  objects: at most {chosen.limit}, whose boxes overlap by at most {chosen.overlap:.4g} within a class",
        f"  scores from: {', '.join(_thresholds(contract, chosen.thresholds))}",
    ]


def _thresholds(contract: Contract, values: tuple[float, ...]) -> list[str]:
    if len(set(values)) == 1:
        return [f"{values[0]:.4g}"]
    return [f"{name} {value:.4g}" for name, value in zip(contract.names, values, strict=True)]


def _short(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.4g}" for value in values)
