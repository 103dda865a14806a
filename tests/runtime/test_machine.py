from __future__ import annotations

import json
import os
from importlib import metadata

import numpy as np
import pytest

from edgeseg_runtime.machine import CPU_FLAGS, cpu_flags, cpu_model, machine_facts, memory_bytes

X86 = """processor\t: 0
model name\t: Intel(R) Xeon(R) Platinum 8358 CPU @ 2.60GHz
flags\t\t: fpu avx2 fma avx512f avx512_vnni amx_int8x
"""
PI = """processor\t: 0
Features\t: fp asimd crc32 asimddp
CPU part\t: 0xd0b

Revision\t: c04170
Model\t\t: Raspberry Pi 5 Model B Rev 1.0
"""


@pytest.mark.parametrize(
    ("text", "model", "flags"),
    [
        (X86, "Intel(R) Xeon(R) Platinum 8358 CPU @ 2.60GHz", ["avx2", "fma", "avx512f", "avx512_vnni"]),
        (PI, "Raspberry Pi 5 Model B Rev 1.0", ["asimd", "asimddp"]),
        ("", None, []),
    ],
)
def test_the_processor_is_read_from_cpuinfo(text: str, model: str | None, flags: list[str]) -> None:
    assert cpu_model(text) == model
    assert cpu_flags(text) == flags


def test_the_memory_is_read_from_meminfo() -> None:
    assert memory_bytes("MemTotal:        3884360 kB\nMemFree: 1 kB\n") == 3884360 * 1024
    assert memory_bytes("") is None


def test_the_facts_are_this_machines_and_plain_json() -> None:
    facts = machine_facts()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["packages"]["numpy"] == np.__version__
    assert facts["packages"]["onnxruntime"] == metadata.version("onnxruntime")
    assert 1 <= facts["cpu"]["cores"] <= (os.cpu_count() or 1)
    assert set(facts["cpu"]["flags"]) <= set(CPU_FLAGS)
    assert facts["cpu"]["model"]


def test_packages_that_are_not_installed_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "numpy":
            raise metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(metadata, "version", version)
    assert "numpy" not in machine_facts()["packages"]
