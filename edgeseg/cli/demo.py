"""`edgeseg demo`: the whole job, as the commands a user would give, on the built-in pictures."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cyclopts import Parameter

from edgeseg.cli.console import answer_json, note, progress
from edgeseg.cli.demo_steps import Steps, verb
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.extras import require
from edgeseg_runtime.files import remove, write_json

RUN, REJECTED, CLIP, VIDEO, PICTURE, RESULT = "run", "rejected", "clip.mp4", "annotated.mp4", "demo.png", "demo.json"
PACKAGES = {
    "train": ("torch", "torchvision", "lightning", "tensorboard", "safetensors", "matplotlib"),
    "export": ("onnx", "onnxscript", "onnxsim", "openvino", "nncf"),
}


@Parameter(name="*")
@dataclass(frozen=True)
class DemoConfig:
    """Where it goes, and how much is done."""

    out: Path = Path("runs/demo")
    """Folder for everything; a demo that lies there is replaced, anything else is left alone."""
    quick: bool = False
    """Small pictures, a short training and a short clip: shows that it works, not how well."""
    json: bool = False
    """Print what was reached, and where it is, as JSON."""


@dataclass(frozen=True)
class Size:
    """How much a demo does."""

    data: str
    training: tuple[str, ...]
    """Flags of `edgeseg train`."""
    bench_seconds: float
    clip_frames: int
    clip_size: tuple[int, int]


FULL = Size(
    "procedural:192x256,n=480",
    ("--size", "192", "256", "--epochs", "8", "--lr", "0.004", "--warmup", "0.1"),
    bench_seconds=1.0,
    clip_frames=300,
    clip_size=(384, 512),
)
QUICK = Size(
    "procedural:64x96,n=160",
    ("--size", "64", "96", "--epochs", "10", "--lr", "0.008", "--warmup", "0.1", "--ema", "0.97", "--workers", "0"),
    bench_seconds=0.05,
    clip_frames=20,
    clip_size=(128, 192),
)
ALWAYS = ("--class-weights", "log", "--augment", "light")
CLIP_FPS = 25.0


def demo(*, config: DemoConfig | None = None) -> None:
    """Do the whole job on the built-in pictures, offline.

    Trains a small model, exports it to ONNX and OpenVINO in float and int8 behind
    the parity gate, shows the gate refusing two spoilt copies, measures every file,
    and streams a generated drive to an annotated video. Opens nothing. The exit
    code is 1 if a gate refuses what is sound, or lets pass what was spoilt.

    For example:

      edgeseg demo
      edgeseg demo --out runs/quick --quick --json
    """
    config = config or DemoConfig()
    for extra, packages in PACKAGES.items():
        for package in packages:
            require(package, extra)
    clear(config.out)
    # with --json, stdout is for the one answer; the bench's table joins the talk
    aside: AbstractContextManager[Any] = redirect_stdout(sys.stderr) if config.json else nullcontext()
    with aside:
        result = perform(config.out, QUICK if config.quick else FULL)
    write_json(config.out / RESULT, result)
    if config.json:
        answer_json(result)
    total = sum(result["seconds"].values())
    note(f"\nDone in {int(total // 60)} min {int(total % 60)} s. What there is to look at:")
    for what, path in result["files"].items():
        note(f"  {what:<22} {path}")


def clear(out: Path) -> None:
    """Make room for a demo: remove what an earlier one made in `out`, and nothing else.

    Raises ConfigError when `out` is a file, or a folder that holds other things than a demo.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is a file; name a folder")
    if out.is_dir() and any(out.iterdir()):
        if not (out / RESULT).is_file():
            raise ConfigError(f"--out {out} holds something that is no demo; name another folder")
        note(f"{out}: replacing the demo that was there")
    # written first: it marks the folder as a demo's, also if this one is interrupted
    write_json(out / RESULT, {"finished": False})
    for name in (RUN, REJECTED, CLIP, VIDEO, PICTURE):
        remove(out / name)


def perform(out: Path, size: Size) -> dict[str, Any]:
    """Do every step in `out` and return what was reached, as plain JSON values. Raises what the verbs raise."""
    steps, run, export = Steps(total=6), out / RUN, out / RUN / "export"
    with steps.step("train", "Fast-SCNN on built-in street scenes (synthetic: no evidence of accuracy elsewhere)"):
        verb("train", "--data", size.data, *size.training, *ALWAYS, "--out", str(run))
    with steps.step("export", "ONNX and OpenVINO in float and int8; every file must draw the original's masks"):
        verb("export", str(run), "--int8")
    with steps.step("gate", "two spoilt copies of the int8 file, which must be refused"):
        from edgeseg.cli.demo_faults import refuse_faults

        refused = refuse_faults(run, export / "onnx-int8" / "model.onnx", out / REJECTED)
    with steps.step("bench", "every file on this machine, a frame's whole way from picture to mask"):
        threads = str(min(2, _cores()))
        seconds = str(size.bench_seconds)
        verb("bench", str(export), "--data", size.data, "--threads", threads, "--seconds", seconds)
    bench = json.loads((export / "bench.json").read_text(encoding="utf-8"))
    best = best_row(bench)
    with steps.step("stream", f"a generated drive through the file to deploy, {best['name']} in {best['engine']}"):
        from edgeseg.cli.demo_clip import write_clip

        write_clip(out / CLIP, size.clip_frames, size.clip_size, CLIP_FPS, progress)
        model = ("--model", best["file"], "--engine", best["engine"])
        verb("stream", *model, "--source", str(out / CLIP), "--video", str(out / VIDEO))
    with steps.step("picture", "validation scenes, their truth, and the masks of the original and of int8"):
        from edgeseg.cli.demo_strip import write_strip

        write_strip(out / PICTURE, run, int8_file(bench), size.data)
    return {
        "finished": True,
        "seconds": steps.seconds,
        "mean_iou": {row["name"]: row["mean_iou"] for row in bench["rows"]},
        "refused": [asdict(refusal) for refusal in refused],
        "verdict": bench["verdicts"][-1]["text"],
        "deployed": {name: best[name] for name in ("name", "engine", "precision", "file")},
        "files": {
            "picture": str(out / PICTURE),
            "annotated video": str(out / VIDEO),
            "parity report": str(export / "report.html"),
            "what the gate refused": str(out / REJECTED / "report.html"),
            "speed and accuracy": str(export / "bench.png"),
            "training curves": str(run / "curves.png"),
            "the model to deploy": best["file"],
        },
    }


def best_row(bench: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a bench.json that its last verdict says to deploy."""
    use = bench["verdicts"][-1]["use"]
    rows = {f"{row['name']} · {row['engine']} · {row['threads']}": row for row in bench["rows"]}
    row: dict[str, Any] = rows[use]
    return row


def int8_file(bench: dict[str, Any]) -> Path:
    """Return the fastest int8 file of a bench.json."""
    rows = [row for row in bench["rows"] if row["precision"] == "int8"]
    return Path(min(rows, key=lambda row: row["p50_ms"])["file"])


def _cores() -> int:
    from edgeseg_runtime.machine import usable_cores

    return usable_cores()
