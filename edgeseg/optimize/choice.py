"""The choice and its reason in words, or what came nearest and would help."""

from __future__ import annotations

from collections.abc import Sequence

from edgeseg.optimize.budget import Budget
from edgeseg.optimize.records import Outcome
from edgeseg.optimize.table import Row, front_of, rows


def reason(outcome: Outcome, budget: Budget) -> str:
    """Say why the best trial is the choice. There must be one."""
    table = rows(outcome)
    best = next(row for row in table if row.trial == outcome.best and row.trial is not None)
    assert best.latency_ms is not None and best.mean_iou is not None and best.drop is not None
    side = "below" if best.drop >= 0 else "above"
    lost = f"{abs(best.drop):.2f} points {side} the original's {100 * outcome.original:.2f}"
    allowed = "" if budget.max_drop is None else f", {budget.max_drop:g} are allowed"
    sentences = [
        f"{best.title}: {best.latency_ms:.2f} ms from picture to mask, {budget.latency_ms:g} are allowed; "
        f"{best.mean_iou:.2f} mIoU, {lost}{allowed}.",
        f"Of the trials that hold the budget it has the highest mIoU; {_count(outcome, budget)}.",
    ]
    better = [row for row in table if row.mean_iou is not None and row.mean_iou > best.mean_iou and row is not best]
    if better:
        other = min(better, key=lambda row: row.latency_ms or 0.0)
        sentences.append(f"The next above it, {other.title} with {other.mean_iou:.2f}, is out: {other.verdict}.")
    faster = [row for row in front_of(table) if (row.latency_ms or 0.0) < best.latency_ms]
    if faster:
        other = faster[-1]
        sentences.append(f"The next faster, {other.title}, takes {other.latency_ms:.2f} ms for {other.mean_iou:.2f}.")
    return " ".join(sentences)


def nearest(outcome: Outcome, budget: Budget) -> tuple[Row | None, str]:
    """Return the trial that came nearest to a budget that nothing meets, how far off it is and what would help."""
    table = [row for row in rows(outcome) if row.latency_ms is not None]
    unfinished = "" if outcome.finished else " Time was up before everything was tried; --resume goes on."
    if not table:
        first = next((record.verdict for record in outcome.records if record.verdict), "nothing was tried")
        return None, f"no trial could be measured: {first}.{unfinished}"
    in_time = [row for row in table if (row.latency_ms or 0.0) <= budget.latency_ms]
    scored = [row for row in in_time if _known(row) is not None]
    if scored:
        row = max(scored, key=lambda each: (_known(each) or 0.0, -(each.latency_ms or 0.0)))
        text = _accuracy_short(row, outcome, budget)
    else:
        row = min(in_time or table, key=lambda each: each.latency_ms or 0.0)
        text = _latency_short(row, budget)
    advice = "; ".join(_advice(table, row, outcome, budget))
    return row, f"nearest is {row.title}: {text}. What would help: {advice}.{unfinished}"


def _known(row: Row) -> float | None:
    return row.mean_iou if row.mean_iou is not None else row.quick_mean_iou


def _accuracy_short(row: Row, outcome: Outcome, budget: Budget) -> str:
    """Say what a trial that is fast enough lacks."""
    assert row.latency_ms is not None
    fast = f"{row.latency_ms:.2f} ms holds {budget.latency_ms:g} ms"
    if row.mean_iou is None:
        return f"{fast}, but it {row.verdict} (seen on a few pictures)"
    assert row.drop is not None
    if budget.max_drop is None or row.drop <= budget.max_drop:
        return f"{fast}, {row.mean_iou:.2f} mIoU, but {row.verdict}"
    return (
        f"{fast}, but its {row.mean_iou:.2f} mIoU is {row.drop:.2f} points below the original's "
        f"{100 * outcome.original:.2f}, {row.drop - budget.max_drop:.2f} more than allowed"
    )


def _latency_short(row: Row, budget: Budget) -> str:
    assert row.latency_ms is not None
    over = row.latency_ms - budget.latency_ms
    if over <= 0:
        return f"{row.latency_ms:.2f} ms holds {budget.latency_ms:g} ms, but {row.verdict}"
    share = 100 * over / budget.latency_ms
    return f"{row.latency_ms:.2f} ms, {over:.2f} ms ({share:.0f} %) over the {budget.latency_ms:g} allowed"


def _advice(table: Sequence[Row], row: Row, outcome: Outcome, budget: Budget) -> list[str]:
    """List what would make the budget hold, the sure things first."""
    assert row.latency_ms is not None
    found = []
    if row.drop is not None and budget.max_drop is not None and row.drop > budget.max_drop:
        found.append(f"--max-drop {_up(row.drop)}, which it meets")
    slow = [each for each in table if (each.latency_ms or 0.0) > budget.latency_ms]
    if slow := [each for each in slow if _may_be_accurate(each, outcome, budget)]:
        other = min(slow, key=lambda each: each.latency_ms or 0.0)
        unsure = "" if other.drop is not None else " if its masks are good enough"
        found.append(f"--latency {_up(other.latency_ms or 0.0)}ms, which {other.title} meets{unsure}")
    precisions = {record.variant.precision for record in outcome.records}
    if row.latency_ms > budget.latency_ms:
        found.append("smaller --resolutions, more --prune or more --threads than were tried")
    elif missing := [name for name in ("mixed", "qat") if name not in precisions]:
        found.append(f"{' and '.join(missing)} among --precisions")
    else:
        found.append("more --epochs, resolutions or prune shares between those tried, or a stronger original")
    return found


def _may_be_accurate(row: Row, outcome: Outcome, budget: Budget) -> bool:
    """Whether a trial that was timed is not known to lose too much; it may have no score."""
    assert row.trial is not None
    return outcome.record(row.trial.variant).ceiling >= budget.floor(outcome.original)


def _count(outcome: Outcome, budget: Budget) -> str:
    scored = sum(record.mean_iou is not None for record in outcome.records)
    timed = sum(bool(record.latency_ms) for record in outcome.records)
    looked = f"of {len(outcome.records)} files {timed} were timed and {scored} scored on all pictures"
    if not outcome.finished:
        return f"{looked} when time was up, so a better one may exist"
    if not budget.gain_points:
        return f"{looked}, and no other can be better"
    return f"{looked}, and no other can be better by more than training is worth ({budget.gain_points:g} points)"


def _up(value: float) -> str:
    """Round up to two digits, so that the bound is met."""
    return f"{-(-value * 100 // 1) / 100:g}"
