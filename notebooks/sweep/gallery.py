"""Write gallery.html and table.csv about the runs of a sweep, which runs.json lists: `python gallery.py FOLDER`."""

from __future__ import annotations

import csv
import html
import itertools
import json
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sweep</title>
<style>
  :root {{ --line: #d5d9de; --bad: #b00020; }}
  @media (prefers-color-scheme: dark) {{ :root {{ --line: #3a414a; --bad: #ff8a94; }} }}
  body {{ font: 15px/1.4 system-ui, sans-serif; margin: 1rem; }}
  .scroll {{ overflow-x: auto; margin-bottom: 1.5rem; }}
  table {{ border-collapse: collapse; }}
  td, th {{ padding: 0.3rem 0.6rem; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }}
  .grid td {{ min-width: min(9rem, 40vw); }}
  .grid img {{ width: min(18rem, 42vw); height: auto; display: block; }}
  .numbers th {{ cursor: pointer; white-space: nowrap; }}
  .failed {{ color: var(--bad); white-space: pre-wrap; overflow-wrap: break-word; max-width: min(18rem, 42vw); }}
  .numbers .failed {{ min-width: 16rem; max-width: 30rem; }}
</style>
<p>{done} of {all} runs finished. A picture leads to its run; a click on a heading of the table sorts it.</p>
{grids}
<div class="scroll"><table class="numbers">
<thead><tr>{headings}</tr></thead>
<tbody>
{rows}
</tbody>
</table></div>
<script>
  document.querySelectorAll(".numbers th").forEach((heading, column) => heading.addEventListener("click", () => {{
    const body = document.querySelector(".numbers tbody");
    const text = row => row.children[column].textContent;
    const order = (a, b) => isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
    const sorted = [...body.rows].sort((a, b) => order(text(a), text(b)));
    if (heading.dataset.up) sorted.reverse();
    heading.dataset.up = heading.dataset.up ? "" : "1";
    body.append(...sorted);
  }}));
</script>
</html>
"""
BAR = re.compile(r"\d+%\||it/s|s/it")  # a line of a progress bar


def read(folder: Path, run: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """A row: the run, its parameters and every number of its results (`terms.style` for {"terms": {"style": 1.0}}),
    without lists and what lies deeper; or how it failed."""
    row = {"run": run, **parameters}
    try:
        record = json.loads((folder / run / "results.json").read_text(encoding="utf-8"))
        results, about = (
            record["results"],
            {key: record[key] for key in ("total_seconds", "peak_memory_mb") if key in record},
        )
    except FileNotFoundError:
        return row | {"failed": reason(folder / run / "log.txt")}
    except (ValueError, KeyError, TypeError):
        return row | {"failed": "results.json is damaged: remove it and start the sweep again"}
    numbers = {}
    for name, value in results.items():
        inner = {f"{name}.{key}": number for key, number in value.items()} if isinstance(value, dict) else {name: value}
        numbers |= {key: number for key, number in inner.items() if isinstance(number, (int, float))}
    return row | record.get("parameters", {}) | numbers | about


def reason(log: Path) -> str:
    """The last lines of a log, without what is left of progress bars."""
    if not log.exists():
        return "not started"
    lines = [line.split("\r")[-1].strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    said = [line for line in lines if line and not BAR.search(line)]
    return "\n".join(said[-3:]) or "it ended without a word: most likely memory or time ran out"


def picture(folder: Path, row: dict[str, Any]) -> str:
    """A run as a cell of a grid: its picture, which leads to its page, or why there is none."""
    place = folder / row["run"]
    pictures = sorted(place.glob("*.png"), key=lambda path: path.name != "stylized.png")
    pages = [*sorted(place.glob("*.html")), *sorted(place.glob("*.ipynb"))]
    shown = f'<div class="failed">{html.escape(row["failed"])}</div>' if "failed" in row else "finished"
    if pictures and "failed" not in row:
        shown = f'<img alt="{html.escape(row["run"])}" loading="lazy" src="{address(folder, pictures[0])}">'
    return f'<td><a href="{address(folder, pages[0])}">{shown}</a></td>' if pages else f"<td>{shown}</td>"


def address(folder: Path, path: Path) -> str:
    """A file as a page in the folder links to it."""
    return html.escape(quote(path.relative_to(folder).as_posix()))


def grids(folder: Path, rows: list[dict[str, Any]], names: list[str]) -> str:
    """The pictures as grids: rows and columns are the first two parameters that vary, each of the others a grid."""
    several = [name for name in names if len({str(row.get(name)) for row in rows}) > 1]
    down, across, *others = [*several, "", ""] if len(several) < 2 else several
    text = []
    for values, group in itertools.groupby(
        sorted(rows, key=lambda r: place(rows, r, others)), lambda r: [r.get(o) for o in others]
    ):
        part = list(group)
        title = ", ".join(f"{name} {show(value)}" for name, value in zip(others, values, strict=True) if name)
        columns = unique(row.get(across, "") for row in part)
        heads = "".join(f"<th>{html.escape(show(value))}</th>" for value in columns)
        lines = []
        for value in unique(row.get(down, "") for row in part):
            found = [
                [r for r in part if r.get(down, "") == value and r.get(across, "") == column] for column in columns
            ]
            cells = "".join(picture(folder, runs[0]) if runs else "<td></td>" for runs in found)
            lines.append(f"<tr><th>{html.escape(show(value))}</th>{cells}</tr>")
        corner = html.escape(f"{down} ↓ {across} →" if across else down)
        text.append(f"<h2>{html.escape(title)}</h2>" if title else "")
        table = "\n".join(lines)
        text.append(f'<div class="scroll"><table class="grid"><tr><th>{corner}</th>{heads}</tr>\n{table}</table></div>')
    return "\n".join(text)


def place(rows: list[dict[str, Any]], row: dict[str, Any], names: list[str]) -> list[int]:
    """Where the values of a row stand among all, in the order of the sweep."""
    return [unique(other.get(name) for other in rows).index(row.get(name)) for name in names]


def unique(values: Any) -> list[Any]:
    """The values, each once, in order; some may be lists."""
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def main(folder: Path) -> None:
    """Write both files. Parameters that are the same in all runs are left out of the page, not of the table."""
    sweep = json.loads((folder / "runs.json").read_text(encoding="utf-8"))
    rows = [read(folder, run, parameters) for run, parameters in sweep["runs"].items()]
    names = list(dict.fromkeys(name for row in rows for name in row))
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows(rows)
    shown = [name for name in names if name in ("run", "failed") or len({str(row.get(name)) for row in rows}) > 1]
    lines = []
    for row in rows:
        kinds = (' class="failed"' if name == "failed" else "" for name in shown)
        cells = (
            f"<td{kind}>{html.escape(show(row.get(name, '')))}</td>" for kind, name in zip(kinds, shown, strict=True)
        )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    page = PAGE.format(
        done=sum("failed" not in row for row in rows),
        all=len(rows),
        grids=grids(folder, rows, sweep["grid"]),
        headings="".join(f"<th>{html.escape(name)}</th>" for name in shown),
        rows="\n".join(lines),
    )
    (folder / "gallery.html").write_text(page, encoding="utf-8")


def show(value: object) -> str:
    """A number with four digits, anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
