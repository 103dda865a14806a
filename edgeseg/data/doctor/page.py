"""The diagnosis on one self-contained page: findings with examples, classes with theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from edgeseg.data.doctor.classes import ignored_share
from edgeseg.data.doctor.examples import STRANGE, class_examples, tiles
from edgeseg.data.doctor.findings import SEVERITIES, Finding
from edgeseg.data.doctor.run import Diagnosis
from edgeseg.data.doctor.seen import plural
from edgeseg.data.doctor.table import CHECKS
from edgeseg_runtime.files import write_text
from edgeseg_runtime.progress import Progress, silent

PER_CLASS, PER_CHECK, LISTED = 2, 4, 20
"""Pictures shown for a class and for a check, and files listed for a check."""


def write_page(path: Path, diagnosis: Diagnosis, facts: Mapping[str, str], progress: Progress = silent) -> None:
    """Write one HTML file with everything inside it. `facts` is shown as it is given."""
    template = Template(files("edgeseg.data.doctor").joinpath("page.html").read_text("utf-8"))
    seen = diagnosis.seen
    checks = list(dict.fromkeys(finding.check for finding in diagnosis.findings))
    sections = [_section(diagnosis, check) for check in progress(checks, "drawing problems", len(checks))]
    numbers = range(len(seen.labels))
    examples = [_class(diagnosis, index) for index in progress(numbers, "drawing classes", len(numbers))]
    legend = [*((label.name, label.color) for label in seen.labels), ("label outside the class table", STRANGE)]
    page = template.substitute(
        title=escape(seen.collection.spec),
        lead=_lead(diagnosis),
        findings="".join(sections) or "<p>Nothing to tell.</p>",
        splits=_splits(diagnosis),
        balance=_balance(diagnosis),
        legend="".join(f"<li>{_swatch(color)}{escape(name)}</li>" for name, color in legend),
        examples="".join(examples),
        facts="".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items()),
    )
    write_text(path, page)


def _lead(diagnosis: Diagnosis) -> str:
    errors, warnings, remarks = (len(diagnosis.of(severity)) for severity in SEVERITIES)
    level, word = ("fail", "errors") if errors else ("warn", "warnings") if warnings else ("pass", "sound")
    collection = diagnosis.seen.collection
    text = f"{escape(collection.title)}, {len(collection.items)} pictures, {len(collection.labels)} classes"
    named = ((errors, "error"), (warnings, "warning"), (remarks, "remark"))
    counts = ", ".join(plural(count, name) for count, name in named)
    return f'<p><span class="badge {level}">{word}</span> {text}: {counts}.</p>'


def _section(diagnosis: Diagnosis, name: str) -> str:
    check = CHECKS[name]
    found = [finding for finding in diagnosis.findings if finding.check == name]
    level = {"error": "fail", "warning": "warn", "info": "note"}[check.severity]
    lines = "".join(f"<li>{_split(finding)}{escape(finding.message)}</li>" for finding in found[:LISTED])
    rest = f"<li>… and {len(found) - LISTED} more</li>" if len(found) > LISTED else ""
    shown = list(dict.fromkeys(position for finding in found for position in finding.pictures))[:PER_CHECK]
    rows = "".join(_row(diagnosis, position) for position in shown)
    return (
        f'<h3><span class="badge {level}">{check.severity}</span> {name}</h3>'
        f"<p>{escape(check.meaning)} <em>{escape(check.mend)}</em></p><ul>{lines}{rest}</ul>{_files(found)}"
        f'<div class="pair">{rows}</div>'
    )


def _split(finding: Finding) -> str:
    return f"<strong>{escape(finding.split)}</strong>: " if finding.split else ""


def _files(found: Iterable[Finding]) -> str:
    lines = [path for finding in found for path in finding.files]
    lines += [" = ".join(group) for finding in found for group in finding.groups]
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines[:LISTED])
    more = f"<li>… and {len(lines) - LISTED} more (all are in --json)</li>" if len(lines) > LISTED else ""
    return f"<details><summary>files ({len(lines)})</summary><ul>{items}{more}</ul></details>"


def _row(diagnosis: Diagnosis, position: int) -> str:
    item = diagnosis.seen.looks[position].item
    figures = "".join(
        f'<figure><img src="{uri}" alt="{kind} of {escape(item.name)}"><figcaption>{kind}</figcaption></figure>'
        for kind, uri in tiles(diagnosis.seen, position)
    )
    name = f"<p><strong>{escape(item.name)}</strong> {escape(item.split)}</p>"
    return f'<div class="row">{name}<div class="tiles">{figures}</div></div>' if figures else ""


def _class(diagnosis: Diagnosis, index: int) -> str:
    label = diagnosis.seen.labels[index]
    rows = "".join(_row(diagnosis, position) for position in class_examples(diagnosis.seen, index, PER_CLASS))
    title = f"<h3>{_swatch(label.color)}{escape(label.name)}</h3>"
    return f'{title}<div class="pair">{rows}</div>' if rows else ""


def _splits(diagnosis: Diagnosis) -> str:
    rows = [
        f"<td>{escape(split)}</td><td>{total:,}</td><td>{good:,}</td>"
        f"<td>{100 * ignored_share(diagnosis.seen, split):.2f} %</td>"
        for split, (total, good) in diagnosis.counts.items()
    ]
    return _table(("split", "pictures", "usable", "ignored pixels"), rows)


def _balance(diagnosis: Diagnosis) -> str:
    """Return one row a class, with a bar and the number of pictures for each split."""
    splits = diagnosis.seen.splits
    rows_of = {(row.name, row.split): row for row in diagnosis.classes}
    largest = max((row.share for row in rows_of.values()), default=0) or 1
    rows = []
    for label in diagnosis.seen.labels:
        cells = [f"<td>{_swatch(label.color)}{escape(label.name)}</td>"]
        for split in splits:
            row = rows_of[label.name, split]
            width, color = 100 * row.share / largest, "rgb({},{},{})".format(*label.color)
            bar = f'<span class="bar"><i style="width:{width:.1f}%;background:{color}"></i></span>'
            cells.append(f"<td>{bar}</td><td>{100 * row.share:.2f} %</td><td>{row.pictures:,}</td>")
        rows.append("".join(cells))
    header = ["class", *(text for split in splits for text in (split, "pixels", "pictures"))]
    return _table(header, rows)


def _table(header: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title in header)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in rows)}</tbody></table>"


def _swatch(color: Sequence[int]) -> str:
    red, green, blue = color
    return f'<span class="swatch" style="background:rgb({red},{green},{blue})"></span>'
