"""trials.jsonl: a line for every finished measurement, so that a search that was killed goes on where it was.

The search is a function of what it is told. Told the same again from the journal it takes the same way, up to where
it was killed, without measuring anything twice. Lines are facts about the model; budgets are not in them, so another
budget can be tried on the same journal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from math import inf, isfinite
from pathlib import Path
from typing import Any

from edgeseg.optimize.measurements import Confirmation, Estimate, Impossible, Workshop
from edgeseg.optimize.space import Trial, Variant, Weights
from edgeseg_runtime.errors import ConfigError, OutputError
from edgeseg_runtime.files import write_text

SCHEMA = 1


class Journal:
    """The measurements of a search on disk. Use `begin` or `resume` to get one."""

    def __init__(self, path: Path, known: dict[str, Any]) -> None:
        self.path, self._known = path, known

    @classmethod
    def begin(cls, path: Path, settings: Mapping[str, Any]) -> Journal:
        """Start an empty journal; `settings` are what its measurements depend on.

        Raises ConfigError when there already is one.
        """
        if path.exists():
            raise ConfigError(f"{path} holds a search; go on with --resume, or choose another --out")
        write_text(path, _line({"step": "settings", "schema": SCHEMA, "settings": dict(settings)}))
        return cls(path, {})

    @classmethod
    def resume(cls, path: Path, settings: Mapping[str, Any]) -> Journal:
        """Read a journal back. A last line cut off by a kill is dropped; what it told is measured again.

        Raises ConfigError when there is none, when it is damaged elsewhere, or when it was made with other settings.
        """
        try:
            text = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"--resume: there is no search in {path.parent} ({error.strerror})") from error
        whole = text[: text.rfind(b"\n") + 1]
        lines = [_parse(path, number, line) for number, line in enumerate(whole.splitlines(), 1)]
        if not lines or lines[0].get("step") != "settings" or lines[0].get("schema") != SCHEMA:
            raise ConfigError(
                f"{path} is damaged: its first line does not hold a search's settings; remove {path.parent}"
            )
        _check_same(path, lines[0].get("settings"), settings)
        known = {}
        for number, line in enumerate(lines[1:], 2):
            if not _is_measurement(line):
                raise ConfigError(f"{path} is damaged in line {number}; remove that line to measure it again")
            known[_key(line["step"], line["about"])] = line
        if len(whole) < len(text):
            os.truncate(path, len(whole))
        return cls(path, known)

    def trained(self) -> list[Weights]:
        """Return the weights that were trained."""
        lines = (line for line in self._known.values() if line["step"] == "train" and "result" in line)
        return [_weights(line["about"]) for line in lines]

    def recall(self, step: str, about: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the line of a measurement that was made, or None."""
        return self._known.get(_key(step, about))

    def add(self, step: str, about: Mapping[str, Any], **answer: Any) -> None:
        """Append a line and see it onto the disk. Raises OutputError."""
        line = {"step": step, "about": dict(about), **answer}
        try:
            with self.path.open("ab", buffering=0) as handle:
                handle.write(_line(line).encode())
                os.fsync(handle.fileno())
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error
        self._known[_key(step, about)] = line


class Recorded:
    """A Workshop that asks another one only for what its journal does not hold."""

    def __init__(self, workshop: Workshop, journal: Journal) -> None:
        self.workshop, self.journal = workshop, journal

    def original(self) -> float:
        """See Workshop."""
        return float(self._once("original", {}, self.workshop.original))

    def latency(self, trial: Trial) -> float:
        """See Workshop."""
        return float(self._once("latency", trial.as_dict(), lambda: self.workshop.latency(trial)))

    def train(self, weights: Weights) -> None:
        """See Workshop."""
        self._once("train", asdict(weights), lambda: self.workshop.train(weights))

    def layers(self, variant: Variant) -> int:
        """See Workshop."""
        return int(self._once("layers", variant.as_dict(), lambda: self.workshop.layers(variant)))

    def quick_score(self, variant: Variant) -> Estimate:
        """See Workshop."""
        about = variant.as_dict()
        return _estimate(self._once("quick_score", about, lambda: asdict(self.workshop.quick_score(variant))))

    def score(self, variant: Variant) -> float:
        """See Workshop."""
        return float(self._once("score", variant.as_dict(), lambda: self.workshop.score(variant)))

    def confirm(self, trial: Trial) -> Confirmation:
        """See Workshop."""
        return _confirmation(self._once("confirm", trial.as_dict(), lambda: asdict(self.workshop.confirm(trial))))

    def _once(self, step: str, about: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        line = self.journal.recall(step, about)
        if line is None:
            try:
                result = make()
            except Impossible as error:
                self.journal.add(step, about, impossible=str(error))
                raise
            self.journal.add(step, about, result=result)
            return result
        if "impossible" in line:
            raise Impossible(line["impossible"])
        return line["result"]


def _share(raw: Any) -> float:
    """Return an mIoU, or a share of pixels or channels. Raises ValueError."""
    if not 0 <= float(raw) <= 1:
        raise ValueError
    return float(raw)


def _positive(raw: Any) -> float:
    """Return milliseconds. Raises ValueError."""
    if not 0 < float(raw) < inf:
        raise ValueError
    return float(raw)


def _weights(about: Mapping[str, Any]) -> Weights:
    return Weights(_share(about["prune"]), bool(about["qat"]))


def _estimate(raw: Mapping[str, Any]) -> Estimate:
    ceiling = float(raw["ceiling"])
    if not isfinite(ceiling):
        raise ValueError
    return Estimate(_share(raw["mean_iou"]), ceiling)


def _confirmation(raw: Mapping[str, Any]) -> Confirmation:
    refusal = raw["refusal"]
    return Confirmation(
        _positive(raw["latency_ms"]), _share(raw["agreement"]), None if refusal is None else str(refusal)
    )


_READERS: Mapping[str, Callable[[Any], object]] = {
    "original": _share,
    "latency": _positive,
    "train": str,
    "layers": int,
    "quick_score": _estimate,
    "score": _share,
    "confirm": _confirmation,
}
"""Step → what reads its result, and fails for what is none."""


def _is_measurement(line: Mapping[str, Any]) -> bool:
    """Whether a line holds what `Journal.add` writes; it comes from a file that people can edit."""
    try:
        read = _READERS[line["step"]]
        if "impossible" not in line:
            read(line["result"])
        if line["step"] == "train":
            _weights(line["about"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return False
    return isinstance(line.get("about"), dict) and isinstance(line.get("impossible", ""), str)


def _key(step: str, about: Mapping[str, Any]) -> str:
    return json.dumps([step, dict(about)], sort_keys=True)


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"


def _parse(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path} is damaged in line {number} ({error}); remove that line to measure it again"
        ) from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path} is damaged in line {number}; remove that line to measure it again")
    return value


def _check_same(path: Path, before: Any, now: Mapping[str, Any]) -> None:
    before = before if isinstance(before, dict) else {}
    # through JSON, which knows no tuples
    wanted = json.loads(json.dumps(dict(now)))
    for name in sorted(wanted):
        if before.get(name) != wanted.get(name):
            raise ConfigError(
                f"--resume: {path} was measured with {name} {before.get(name)!r}, now it is {wanted.get(name)!r}; "
                f"keep it, or choose another --out"
            )
