"""Write gallery.html and table.csv about the runs of a sweep: `python gallery.py FOLDER RUN...`."""

from __future__ import annotations

import csv
import html
import json
import sys
from pathlib import Path

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Sweep</title>
<style>
  body {{ font: 15px/1.4 sans-serif; margin: 1rem; }}
  td, th {{ padding: 0.3rem 0.7rem; text-align: left; border-bottom: 1px solid #ddd; }}
  th {{ cursor: pointer; }}
  img {{ height: 160px; display: block; }}
  .failed {{ color: #b00020; white-space: pre-wrap; }}
</style>
<p>{done} of {all} runs finished. A click on a heading sorts.</p>
<table>
<thead><tr><th>picture</th>{headings}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
<script>
  document.querySelectorAll("th").forEach((heading, column) => heading.addEventListener("click", () => {{
    const body = document.querySelector("tbody");
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


def read(folder: Path, run: str) -> dict[str, object]:
    """A row: the run, its parameters and every number of its results (`terms.style` for {"terms": {"style": 1.0}}),
    without lists and what lies deeper; or how it failed."""
    try:
        record = json.loads((folder / run / "results.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        log = folder / run / "log.txt"
        lines = log.read_text(encoding="utf-8").strip().splitlines() if log.exists() else ["not started"]
        return {"run": run, "failed": "\n".join(lines[-3:])}
    numbers = {}
    for name, value in record["results"].items():
        inner = {f"{name}.{key}": number for key, number in value.items()} if isinstance(value, dict) else {name: value}
        numbers |= {key: number for key, number in inner.items() if isinstance(number, (int, float))}
    return {"run": run, **record.get("parameters", {}), **numbers, "peak_memory_mb": record["peak_memory_mb"]}


def main(folder: Path, runs: list[str]) -> None:
    """Write both files. Parameters that are the same in all runs are left out of the page, not of the table."""
    rows = [read(folder, run) for run in runs]
    names = list(dict.fromkeys(name for row in rows for name in row))
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows(rows)
    done = [row for row in rows if "failed" not in row]
    shown = [name for name in names if len({str(row.get(name)) for row in done}) > 1 or name in ("run", "failed")]
    lines = []
    for row in rows:
        pictures = sorted((folder / str(row["run"])).glob("*.png"), key=lambda path: path.name != "stylized.png")[:1]
        addresses = [html.escape(path.relative_to(folder).as_posix()) for path in pictures]
        image = "".join(f'<img alt="{html.escape(str(row["run"]))}" src="{address}">' for address in addresses)
        cells = "".join(
            f'<td class="{"failed" if name == "failed" else ""}">{html.escape(format_value(row.get(name, "")))}</td>'
            for name in shown
        )
        lines.append(f"<tr><td>{image}</td>{cells}</tr>")
    headings = "".join(f"<th>{html.escape(name)}</th>" for name in shown)
    page = PAGE.format(done=len(done), all=len(rows), headings=headings, rows="\n".join(lines))
    (folder / "gallery.html").write_text(page, encoding="utf-8")


def format_value(value: object) -> str:
    """A number with four digits, anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
