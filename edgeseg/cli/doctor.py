"""`edgeseg doctor`."""

from __future__ import annotations

from typing import Any

from edgeseg.cli.console import answer_json
from edgeseg_runtime.errors import MissingExtraError

INT8_FLAGS = ("avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm")


def doctor(*, json: bool = False) -> None:
    """Show what this machine can run.

    For example:

      edgeseg doctor
      edgeseg doctor --json > machine.json

    Parameters
    ----------
    json
        Print everything as JSON.
    """
    facts = examine()
    if json:
        answer_json(facts)
        return
    print("\n".join(_lines(facts)))


def examine() -> dict[str, Any]:
    """Return the machine's facts, engines, extras, display and cameras, and a verdict for each thing one may do."""
    from edgeseg_runtime.machine import machine_facts
    from edgeseg_runtime.sinks import window_problem
    from edgeseg_runtime.sources import cameras

    facts = machine_facts()
    facts["engines"] = engines()
    facts["missing"] = missing_packages(facts["packages"])
    facts["window_problem"] = window_problem()
    facts["cameras"] = cameras()
    facts["verdicts"] = verdicts(facts)
    return facts


def engines() -> dict[str, Any]:
    """Return, by engine, its devices and precisions, or the line that installs it."""
    from edgeseg_runtime.engines import ENGINES

    return {name: _capabilities(kind) for name, kind in ENGINES.items()}


def _capabilities(kind: Any) -> dict[str, Any]:
    try:
        found = kind.capabilities()
    except MissingExtraError as error:
        return {"missing": str(error)}
    return {"reads": list(found.suffixes), "devices": list(found.devices), "precisions": list(found.precisions)}


def missing_packages(installed: dict[str, str]) -> dict[str, str]:
    """Return the pip line for every optional package that is not installed."""
    from edgeseg_runtime.machine import PACKAGES

    return {
        name: f"pip install 'edgeseg[{extra}]'" for name, extra in PACKAGES.items() if extra and name not in installed
    }


def verdicts(facts: dict[str, Any]) -> dict[str, str]:
    """Return a sentence for each thing one may want to do here."""
    running = [
        f"{name} ({', '.join(found['devices'])})" for name, found in facts["engines"].items() if "devices" in found
    ]
    absent = [found["missing"] for found in facts["engines"].values() if "missing" in found]
    return {
        "stream": f"yes, with {' and '.join(running)}" + "".join(f"; {line}" for line in absent),
        "window": f"no: {facts['window_problem']}" if facts["window_problem"] else "yes",
        "camera": f"yes, {', '.join(facts['cameras'])}" if facts["cameras"] else "no: there is no /dev/video*",
        "int8": _int8(facts["cpu"]["flags"]),
        "bf16": _bf16(facts["engines"]),
        "train": _with("torch", facts),
        "export": _with("nncf", facts),
        "opencv": _opencv(facts["packages"]),
    }


def _int8(flags: list[str]) -> str:
    having = [flag for flag in INT8_FLAGS if flag in flags]
    if having:
        return f"yes, with int8 dot products in hardware ({', '.join(having)})"
    return "runs, but this processor has no int8 dot products: measure whether it is worth it with edgeseg bench"


def _bf16(engines: dict[str, Any]) -> str:
    able = [name for name, found in engines.items() if "bf16" in found.get("precisions", ())]
    return f"yes, in {', '.join(able)}" if able else "no: no installed engine computes in it on this processor"


def _with(package: str, facts: dict[str, Any]) -> str:
    missing = facts["missing"].get(package)
    return f"yes, {package} {facts['packages'][package]}" if missing is None else f"no: {missing}"


def _opencv(packages: dict[str, str]) -> str:
    both = [name for name in ("opencv-python", "opencv-python-headless") if name in packages]
    if len(both) == 2:
        return "two builds lie over each other: pip uninstall both, then install the one you want"
    return f"yes, {both[0]} {packages[both[0]]}" if both else "yes, a build that pip does not know"


def _lines(facts: dict[str, Any]) -> list[str]:
    from edgeseg_runtime.machine import CPU_FLAGS

    cpu, memory = facts["cpu"], facts["memory_bytes"]
    lines = [
        f"python {facts['python']} on {facts['os']}",
        f"processor: {cpu['model']}, {cpu['architecture']}, {cpu['cores']} cores"
        + (f", {memory / 2**30:.1f} GiB of memory" if memory else ""),
        *(f"  {flag}: {CPU_FLAGS[flag]}" for flag in cpu["flags"]),
        "packages:",
        *(f"  {name} {version}" for name, version in facts["packages"].items()),
        *(f"  {name} is not installed: {line}" for name, line in facts["missing"].items()),
        "engines:",
    ]
    for name, found in facts["engines"].items():
        text = found.get("missing") or (
            f"devices {', '.join(found['devices'])}; precisions {', '.join(found['precisions'])}; "
            f"reads {', '.join(found['reads'])}"
        )
        lines.append(f"  {name}: {text}")
    return [*lines, "verdicts:", *(f"  {name}: {text}" for name, text in facts["verdicts"].items())]
