"""What a model file says of itself, read without running it: on machines that lack its engine or precision too."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from edgeseg_runtime.contract import CONTRACT_KEY, PRECISION_KEY
from edgeseg_runtime.errors import ModelFileError


def read_metadata(path: Path) -> dict[str, str]:
    """Return the contract's JSON and the precision, by their keys, where the file carries them.

    Raises ModelFileError when the file is damaged.
    """
    return _from_ir(path) if path.suffix == ".xml" else _from_onnx(path)


def _from_ir(path: Path) -> dict[str, str]:
    """OpenVINO keeps `rt_info` as one element a step of the path, the value in an attribute."""
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ModelFileError(f"{path} is damaged or no OpenVINO model: {error}") from error
    if root.tag != "net":
        raise ModelFileError(f"{path} is no OpenVINO model: its first element is <{root.tag}>")
    found = {key: root.find("rt_info/" + key.replace(".", "/")) for key in (CONTRACT_KEY, PRECISION_KEY)}
    return {key: node.attrib["value"] for key, node in found.items() if node is not None and "value" in node.attrib}


def _from_onnx(path: Path) -> dict[str, str]:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # nothing will be run
    settings.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a dozen unrelated types; all mean that the file is no good
        raise ModelFileError(f"{path} is damaged or no ONNX model: {str(error).splitlines()[0]}") from error
    return dict(session.get_modelmeta().custom_metadata_map)
