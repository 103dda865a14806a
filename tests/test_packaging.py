"""The wheel, as a device gets it: only the base dependencies, in an environment that has nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgeseg_runtime.contract import Contract

if TYPE_CHECKING:
    from tests.conftest import ColourClip, TinyModel

ROOT = Path(__file__).parents[1]
PACKAGES = {"edgeseg", "edgeseg_export", "edgeseg_bench", "edgeseg_runtime"}
FRAMES = 20

LOOK = """
import importlib.metadata, importlib.util, json, pathlib, sysconfig
absent = ["torch", "torchvision", "onnx", "openvino", "nncf", "matplotlib", "lightning", "export", "runtime",
          "benchmarks", "tests"]
print(json.dumps({
    "present": [name for name in absent if importlib.util.find_spec(name)],
    "site": sorted(path.name for path in pathlib.Path(sysconfig.get_paths()["purelib"]).iterdir()),
    "homes": [importlib.util.find_spec(name).origin for name in ("edgeseg", "edgeseg_runtime", "edgeseg_bench")],
}))
"""


def command(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that has to succeed, out of reach of the checkout's own packages."""
    clean = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }
    done = subprocess.run([str(part) for part in arguments], cwd=cwd, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}: {done.stderr}{done.stdout}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def device(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The binaries of an environment into which only the wheel and what it asks for were installed."""
    folder = tmp_path_factory.mktemp("device")
    venv.create(folder, with_pip=True)
    pip = (folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    command(*pip, wheel, "--constraint", ROOT / "constraints.txt", cwd=folder)
    return folder / "bin"


def test_the_wheel_holds_the_four_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    kinds = {Path(name).suffix for name in names if ".dist-info/" not in name}
    assert kinds <= {".py", ".typed", ".html", ".css", ".js", ".svg"}  # no weights, no pictures


def test_a_device_gets_no_training_stack_and_no_stray_names(device: Path, tmp_path: Path) -> None:
    seen = json.loads(command(device / "python", "-c", LOOK, cwd=tmp_path).stdout)
    assert seen["present"] == []
    assert set(seen["site"]) >= PACKAGES
    assert all(str(device.parent) in home for home in seen["homes"])  # and not the checkout


def test_a_clip_is_streamed_there(
    device: Path, tiny_model: TinyModel, colour_clip: ColourClip, colour_contract: Contract, tmp_path: Path
) -> None:
    model = tiny_model(colour_contract, tmp_path / "model.onnx")
    clip = colour_clip(tmp_path / "clip.avi", frames=FRAMES)
    stream = (device / "edgeseg", "stream", "--model", model, "--source", clip, "--json")

    summary = json.loads(command(*stream, "--none", cwd=tmp_path).stdout)
    assert (summary["emitted"], summary["dropped"], summary["ended"]) == (FRAMES, 0, "end")
    assert summary["engine"] == "onnxruntime"

    command(*stream, "--jsonl", tmp_path / "areas.jsonl", cwd=tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "areas.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == FRAMES
    names = colour_contract.names
    assert [max(line["area"], key=line["area"].get) for line in lines] == [names[i % 3] for i in range(FRAMES)]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--help"], 0, "edgeseg COMMAND"),
        (["train", "--data", "x", "--out", "y"], 2, "pip install 'edgeseg[train]'"),
        (["stream", "--model", "absent.onnx", "--source", "absent.mp4", "--none"], 2, "absent.mp4"),
    ],
)
def test_what_is_not_there_is_named(device: Path, arguments: list[str], code: int, words: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(device / "edgeseg"), *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert words in done.stdout + done.stderr and "Traceback" not in done.stderr
