"""Lists of dependencies agree and miss nothing that is imported; the version stands once; a wheel is a whole course."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from hatchling.build import build_wheel
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import nst_lesson

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MODULES = sorted((ROOT / "nst_lesson").rglob("*.py"))
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
DISTRIBUTIONS = {"PIL": "pillow", "skimage": "scikit-image", "yaml": "pyyaml"}  # where a module is named otherwise
ON_COLAB = {"ipython", "ipywidgets", "matplotlib", "numpy", "pillow", "platformdirs", "requests"}
ON_COLAB |= {"scikit-image", "scipy", "torch", "torchvision", "tqdm", "traitlets", "urllib3"}  # always there
LAB_ROOM = ROOT / "nst_lesson" / "course"  # loaded by the command line alone, when asked for
EXTRA_OF = {"films.py": ["film"], "export.py": ["export"]}  # imported when asked for, with one line where it is missing


def requirements(*groups):
    lists = PROJECT["optional-dependencies"] | {"core": PROJECT["dependencies"]}
    return [Requirement(text) for group in groups for text in lists[group]]


def source_of(path):
    """The Python of a module, or of a notebook's cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return text
    cells = (cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code")
    return "\n".join(line for cell in cells for line in "".join(cell["source"]).splitlines() if line[:1] not in "%!")


def imported(path):
    """The distributions outside the standard library whose modules a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(source_of(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
    others = names - sys.stdlib_module_names - {"nst_lesson"}
    return {canonicalize_name(DISTRIBUTIONS.get(name, name)) for name in others}


@pytest.mark.parametrize("path", [*MODULES, *LESSONS], ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_imported_is_required(path):
    groups = ("core", "lab") if path.is_relative_to(LAB_ROOM) else ("core", *EXTRA_OF.get(path.name, ()))
    assert imported(path) <= {canonicalize_name(requirement.name) for requirement in requirements(*groups)}


def test_what_is_required_is_imported():
    used = set().union(*map(imported, [*MODULES, *LESSONS]))
    assert {canonicalize_name(requirement.name) for requirement in requirements("core")} <= used


def test_the_setup_cell_installs_what_colab_may_lack():
    """Of the core; its values are names of modules, which here are those of the distributions."""
    notebook = json.loads((ROOT / "notebooks/00_start_here.ipynb").read_text(encoding="utf-8"))
    sources = ("".join(cell["source"]) for cell in notebook["cells"])
    (setup,) = (source for source in sources if "REPOSITORY, BRANCH = " in source)
    named = set(ast.literal_eval(re.search(r"for m in (\(.*?\)) if", setup)[1]))
    assert named == {requirement.name for requirement in requirements("core")} - ON_COLAB


def test_dependencies_have_lower_bounds_only():
    for requirement in requirements("core", *PROJECT["optional-dependencies"]):
        if requirement.name != PROJECT["name"]:
            assert [bound.operator for bound in requirement.specifier] == [">="], str(requirement)


def test_the_version_stands_once():
    assert "version" in PROJECT["dynamic"] and "version" not in PROJECT
    assert re.fullmatch(r"\d+\.\d+\.\d+", nst_lesson.__version__)


def test_the_changelog_and_the_citation_are_of_this_version():
    changes = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name in changes if name != "Unreleased"][0] == nst_lesson.__version__
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == nst_lesson.__version__ and citation["license"] == PROJECT["license"]
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


def test_nothing_is_listed_twice():
    names = [canonicalize_name(requirement.name) for requirement in requirements("core", "lab")]
    twice = {name for name in names if names.count(name) > 1}
    assert twice == {"ipywidgets"}  # Colab has 7, and JupyterLab 4, in `lab`, wants 8
    extra = [canonicalize_name(requirement.name) for requirement in requirements("test")]
    assert set(extra) & set(names) == set()
    assert len(extra) == len(set(extra))


def test_environment_yml_lists_python_pip_and_this_project():
    python, pip, project = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    assert python == f"python {PROJECT['requires-python']}"
    assert pip == "pip"
    (line,) = project["pip"]
    extras = re.fullmatch(r"-e \.\[(.+)\]", line)[1].split(",")
    assert set(extras) <= set(PROJECT["optional-dependencies"])


def test_whoever_takes_the_course_gets_the_same_without_the_test_tools():
    makefile, readme = ((ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", "README.md"))
    assert 'pip install -e ".[lab]"' in readme
    assert "-e .[lab]" in yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"][-1]["pip"]
    assert "-e .[lab]" in (ROOT / ".binder" / "requirements.txt").read_text().splitlines()
    assert "READY := .venv/.ready-lab\n" in makefile and '-e ".[$*]"' in makefile
    for target in re.findall(r"make ([a-z]+)", (ROOT / ".devcontainer" / "devcontainer.json").read_text()):
        assert re.search(rf"^{target}: \$\(READY\)", makefile, re.MULTILINE)
    assert json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())["postCreateCommand"]
    docker = (ROOT / "Dockerfile").read_text()
    assert "RUN make install" in docker and 'CMD ["make", "lab"]' in docker


def test_every_action_is_pinned_by_commit():
    workflows = [path.read_text() for path in (ROOT / ".github" / "workflows").glob("*.yml")]
    used = [line for text in workflows for line in re.findall(r"uses: (.*)", text)]
    assert used and all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}  # v[\d.]+", line) for line in used)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The contents of a wheel of this tree, unpacked as pip would."""
    folder, before = tmp_path_factory.mktemp("wheel"), Path.cwd()
    os.chdir(ROOT)  # hatchling builds what is in the current folder
    try:
        wheel = folder / build_wheel(str(folder))
    finally:
        os.chdir(before)
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def test_a_wheel_has_the_package_data_and_lessons_and_nothing_else(installed):
    (metadata,) = installed.glob("nst_lesson-*.dist-info")
    assert metadata.name == f"nst_lesson-{nst_lesson.__version__}.dist-info"
    assert "nst-lesson = nst_lesson.cli.main:main" in (metadata / "entry_points.txt").read_text(encoding="utf-8")
    assert (installed / "nst_lesson" / "py.typed").is_file()
    assert list((installed / "nst_lesson" / "data").rglob("*.py")) == []
    assert {path.name for path in installed.iterdir()} == {"nst_lesson", metadata.name}
    tracked = subprocess.run(["git", "ls-files", "data", "notebooks"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git clone")
    missing = [name for name in tracked.stdout.splitlines() if not (installed / "nst_lesson" / name).is_file()]
    assert missing == []


def test_an_installed_wheel_finds_its_own_data_and_lessons(installed, tmp_path):
    code = (
        "import nst_lesson as nst; from nst_lesson.course import files; "
        "print(nst.data_dir(), files.find_lesson('00').parent); "
        "nst.load_image(nst.style_names()[0], 32); nst.load_backbone('pocket')"
    )
    environment = os.environ | {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    package = installed / "nst_lesson"
    assert result.stdout.split() == [str(package / "data"), str(package / "notebooks")]
