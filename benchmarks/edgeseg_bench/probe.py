"""Start-up time and memory of a model in a process of its own: `python -m edgeseg_bench.probe MODEL ENGINE THREADS`."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from edgeseg_bench.subjects import Case
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.engines import engine_for
from edgeseg_runtime.segmenter import Segmenter

PROBE_SIZE = (480, 640)
"""Rows and columns of the black frame that is segmented first."""


def probe(case: Case) -> dict[str, Any]:
    """Measure a case in a fresh process. Raises RuntimeError with what it said when that fails."""
    command = [sys.executable, "-m", "edgeseg_bench.probe", str(case.file), case.engine, str(case.threads)]
    if case.contract is not None:
        command.append(case.contract.to_json())
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the probe of {case.file} ended with {done.returncode}: {done.stderr.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def measure(file: Path, engine: str, threads: int, contract: Contract | None = None) -> dict[str, Any]:
    """Return load_ms (file to compiled model), first_mask_ms (the first frame after that) and peak_rss_bytes.

    Starting Python and importing the engine come before and are not timed; their memory is part of the peak.
    """
    engine_for(file, engine).capabilities()  # imports the engine
    frame = np.zeros((*PROBE_SIZE, 3), np.uint8)
    started = perf_counter()
    segmenter = Segmenter.load(file, engine=engine, threads=threads, contract=contract)
    loaded = perf_counter()
    segmenter(frame)
    finished = perf_counter()
    return {
        "load_ms": round(1e3 * (loaded - started), 3),
        "first_mask_ms": round(1e3 * (finished - loaded), 3),
        "peak_rss_bytes": peak_rss_bytes(),
    }


def peak_rss_bytes() -> int:
    """Return the largest resident memory this process has had.

    From /proc, because `getrusage` starts a new program with the peak of the process that started it.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts KiB, macOS bytes


def main(arguments: list[str]) -> None:
    """Print the measurement as JSON."""
    file, engine, threads, *contract = arguments
    given = Contract.from_json(contract[0]) if contract else None
    print(json.dumps(measure(Path(file), engine, int(threads), given)))


if __name__ == "__main__":
    main(sys.argv[1:])
