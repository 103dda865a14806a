"""What this machine is: the facts without which a latency means nothing."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

CPU_FLAGS = {
    "avx2": "float32 on 8 lanes",
    "fma": "fused multiply-add",
    "avx512f": "float32 on 16 lanes",
    "avx_vnni": "int8 dot products on 32 lanes",
    "avx512_vnni": "int8 dot products on 64 lanes",
    "avx512_bf16": "bf16 dot products",
    "amx_int8": "int8 matrix tiles",
    "amx_bf16": "bf16 matrix tiles",
    "asimd": "float32 on 4 lanes (Arm)",
    "asimddp": "int8 dot products (Arm)",
    "i8mm": "int8 matrix products (Arm)",
    "bf16": "bf16 matrix products (Arm)",
    "sve": "scalable vectors (Arm)",
}
"""Processor features, as Linux spells them, that decide how fast a network runs, and what each brings."""

PACKAGES = {
    "numpy": "",
    "opencv-python": "",
    "opencv-python-headless": "",
    "onnxruntime": "",
    "onnxruntime-gpu": "",
    "openvino": "openvino",
    "nncf": "export",
    "onnx": "export",
    "onnxsim": "export",
    "torch": "train",
    "torchvision": "train",
    "lightning": "train",
    "matplotlib": "plot",
}
"""Distributions whose versions change results, and the extra of edgeseg that brings each; empty: none does."""


def machine_facts() -> dict[str, Any]:
    """Return what a measurement has to be read with, as plain JSON values.

    `cpu` holds model, architecture, cores (those this process may use) and flags; `packages` the versions of
    what is installed; `memory_bytes` is the machine's, None where Linux does not tell.
    """
    text = _read("/proc/cpuinfo")
    return {
        "python": platform.python_version(),
        "os": f"{platform.system()} {platform.release()}",
        "cpu": {
            "model": cpu_model(text) or platform.processor() or platform.machine(),
            "architecture": platform.machine(),
            "cores": usable_cores(),
            "flags": cpu_flags(text),
        },
        "memory_bytes": memory_bytes(_read("/proc/meminfo")),
        "packages": installed_packages(),
    }


def usable_cores() -> int:
    """Return the number of logical cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_model(cpuinfo: str) -> str | None:
    """Return the processor's name from the text of /proc/cpuinfo; on Arm boards that is the board's name."""
    return _field(cpuinfo, "model name") or _field(cpuinfo, "Model") or _field(cpuinfo, "Hardware")


def cpu_flags(cpuinfo: str) -> list[str]:
    """Return those of CPU_FLAGS that the text of /proc/cpuinfo lists, in the table's order."""
    present = set((_field(cpuinfo, "flags") or _field(cpuinfo, "Features") or "").split())
    return [flag for flag in CPU_FLAGS if flag in present]


def memory_bytes(meminfo: str) -> int | None:
    """Return the machine's memory in bytes from the text of /proc/meminfo."""
    total = _field(meminfo, "MemTotal")
    return int(total.split()[0]) * 1024 if total else None


def installed_packages() -> dict[str, str]:
    """Return the versions of those of PACKAGES that are installed."""
    versions = ((name, _version(name)) for name in PACKAGES)
    return {name: version for name, version in versions if version is not None}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _field(text: str, key: str) -> str | None:
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux, or a sandbox without /proc
        return ""
