"""The sweep: four runs on two workers, of which one is killed and comes back, and one fails for good."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny import write_lesson

from nst_lesson.course.lesson import read_parameters

SNAKEFILE = Path(__file__).resolve().parents[1] / "notebooks" / "sweep" / "Snakefile"
PARAMETERS = """\
style: str = "nocturne"  # a name
steps: int = 2  # of it
out_dir: str = ""  # where results go"""
# Each run notes that it began; one is killed the first time, as for want of memory, and one never works.
LESSON = """\
import json, os, pathlib, signal
out = pathlib.Path(out_dir)
tries = pathlib.Path(f"tries-{style}-{steps}")
tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
if (style, steps) == ("wave", 3) and tries.read_text() == "x":
    os.kill(os.getpid(), signal.SIGKILL)
assert (style, steps) != ("cubist", 2), "this one never works"
results = {"loss": steps / 7, "curve": [1], "terms": {"style": steps / 9, "x": {}}}
record = {"results": results, "peak_memory_mb": 5, "threads": os.environ["OMP_NUM_THREADS"]}
(out / "results.json").write_text(json.dumps(record))"""

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform == "win32", reason="snakemake's shell commands want a Unix shell"),
]


def sweep(folder, *more):
    """Run the sweep of a folder's config.yaml into its folder `out`."""
    options = ["--configfile", folder / "config.yaml", "--directory", folder / "out", "--cores", 2, "--keep-going"]
    command = [sys.executable, "-m", "snakemake", "-s", SNAKEFILE, *options, *more]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The folder of the sweep after it, and its first outcome."""
    folder = tmp_path_factory.mktemp("sweep")
    lesson = write_lesson(folder / "tiny.ipynb", LESSON, parameters=PARAMETERS)
    grid = {"style": ["wave", "cubist"], "steps": [2, 3]}
    config = {"lesson": str(lesson), "grid": grid, "retries": 1, "threads": 1}
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return folder, sweep(folder)


def tries(folder):
    return {path.name: len(path.read_text()) for path in (folder / "out").glob("tries-*")}


def test_one_is_retried_one_is_reported_and_the_rest_go_on(swept):
    folder, outcome = swept
    assert outcome.returncode != 0  # one run failed, and the caller is told
    done = {path.parent.name for path in (folder / "out").glob("*/results.json")}
    assert done == {f"style-{s}_steps-{n}" for s in ("wave", "cubist") for n in (2, 3)} - {"style-cubist_steps-2"}
    others = dict.fromkeys(tries(folder), 1)
    assert tries(folder) == others | {"tries-wave-3": 2, "tries-cubist-2": 2}


def test_threads_are_capped_and_parameters_recorded_for_a_repetition(swept):
    folder, _ = swept
    results = folder / "out" / "style-wave_steps-3" / "results.json"
    record = json.loads(results.read_text())
    assert record["threads"] == "1"
    assert record["parameters"] == {"style": "wave", "steps": 3} and record["lesson"] == "tiny"
    assert read_parameters(results) == record["parameters"]


def test_the_gallery_and_the_table_have_every_run_and_the_failure(swept):
    folder, _ = swept
    page = (folder / "out" / "gallery.html").read_text()
    assert "3 of 4 runs finished" in page and "this one never works" in page and "<th>loss</th>" in page
    assert "<th>wave</th>" in page and "<th>2</th><th>3</th>" in page  # the grid
    assert page.count('<td><a href="style-') == 4 and 'href="style-wave_steps-3/tiny.html"' in page
    with (folder / "out" / "table.csv").open(newline="") as file:
        rows = {row["run"]: row for row in csv.DictReader(file)}
    assert len(rows) == 4
    assert float(rows["style-wave_steps-3"]["loss"]) == pytest.approx(3 / 7)
    assert float(rows["style-wave_steps-3"]["terms.style"]) == pytest.approx(3 / 9)
    failed = rows["style-cubist_steps-2"]
    assert "this one never works" in failed["failed"] and (failed["style"], failed["steps"]) == ("cubist", "2")
    assert "%|" not in failed["failed"]


def test_a_damaged_result_and_a_log_of_bars_are_rows_as_well(tmp_path):
    runs = {f"a-{a}_b-{b}_c-{c}": {"a": a, "b": b, "c": c} for a in (1, 2) for b in ([1], [2]) for c in "xy"}
    (tmp_path / "runs.json").write_text(json.dumps({"grid": ["a", "b", "c"], "runs": runs}))
    cut, barred = (tmp_path / name for name in list(runs)[:2])
    for folder in (cut, barred):
        folder.mkdir()
    (cut / "results.json").write_text('{"results": {"loss"')
    (barred / "log.txt").write_text("begin\n 10%|#  | 1/9\r 20%|## | 2/9 [00:01, 1.2it/s]\nnst-lesson: no <wave>\n")
    subprocess.run([sys.executable, SNAKEFILE.with_name("gallery.py"), tmp_path], check=True)
    page = (tmp_path / "gallery.html").read_text()
    assert page.count('class="grid"') == 2 and "<h2>c x</h2>" in page
    assert "results.json is damaged" in page and "begin\nnst-lesson: no &lt;wave&gt;" in page and "%|" not in page
    assert page.count("not started") == 2 * 6  # in the grids and in the table


def test_finished_runs_are_not_repeated(swept, tmp_path):
    folder, _ = swept
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    before = tries(copy)
    assert sweep(copy).returncode != 0
    assert {name: n - before[name] for name, n in tries(copy).items() if n != before[name]} == {"tries-cubist-2": 2}


def test_a_path_and_a_list_reach_the_command_line_as_it_takes_them(tmp_path):
    grid = {"style": ["/my pictures/a.jpg", "wave"], "style_layers": [["relu1_1", "relu2_1"]]}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"lesson": "04", "grid": grid}))
    outcome = sweep(tmp_path, "--dry-run", "--printshellcmds")
    assert outcome.returncode == 0, outcome.stderr
    assert "-p style '/my pictures/a.jpg' -p style_layers relu1_1,relu2_1 -o" in outcome.stdout
    assert re.search(r"style-_my_pictures_a.jpg_style_layers-relu1_1,relu2_1-\w{8}/results.json", outcome.stdout)
    assert "style-wave_style_layers-relu1_1,relu2_1/results.json" in outcome.stdout


def test_lists_of_lists_and_runs_without_extras(tmp_path):
    grid = {"styles": [["wave", "a,b.jpg"], [["x"], ["y", "z"]]]}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"lesson": "04", "extras": False, "grid": grid}))
    outcome = sweep(tmp_path, "--dry-run", "--printshellcmds")
    assert outcome.returncode == 0, outcome.stderr
    assert """-p styles '["wave", "a,b.jpg"]' --no-extras -o""" in outcome.stdout
    assert """-p styles '[["x"], ["y", "z"]]' --no-extras -o""" in outcome.stdout


def test_every_combination_is_a_run_of_its_own(tmp_path):
    styles = ["a b.jpg", "a_b.jpg", "a/b.jpg", "a:b.jpg", "x" * 300 + "1", "x" * 300 + "2", "a,b", ["a", "c"]]
    grid = {"style": styles, "steps": [1, 1.0, "one"]}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"lesson": "04", "grid": grid}))
    outcome = sweep(tmp_path, "--dry-run")
    assert outcome.returncode == 0, outcome.stderr
    names = re.findall(r"^ *output: (\S+)/results.json", outcome.stdout, re.MULTILINE)
    assert len(set(names)) == len(names) == len(styles) * 3
    assert all(len(name) < 200 for name in names)


def test_two_runs_of_one_name_are_refused(tmp_path):
    grid = {"a": ["1_b-2", 1], "b": [3, "2_b-3"]}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"lesson": "04", "grid": grid}))
    outcome = sweep(tmp_path, "--dry-run")
    assert outcome.returncode != 0 and "two runs of the grid would be called a-1_b-2_b-3" in outcome.stderr


def test_nothing_of_a_name_or_a_value_is_run_by_the_shell(tmp_path):
    lesson = write_lesson(tmp_path / "tiny.ipynb")
    odd = ["$(touch made)", "; touch made;", "`touch made`", "a' 'b", "{wildcards.run}"]
    config = {"lesson": str(lesson), "grid": {name: [name] for name in odd}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    outcome = sweep(tmp_path)
    assert outcome.returncode != 0 and not list(tmp_path.rglob("made"))
    (log,) = (tmp_path / "out").glob("*/log.txt")
    assert "unknown parameter '$(touch made)'" in log.read_text()  # as it was written
