"""The lessons as Colab runs them: `make colab-check`.

Colab has an older Jupyter (ipywidgets 7, IPython 7), its own torch, no papermill, and opens a notebook in an empty
folder. Here stands an environment like it: the packages that Colab has and that are large are linked from this one,
the old ones are installed, and the course comes by `git clone` from a bare clone of this one.
"""

import json
import os
import shutil
import subprocess
import sysconfig
import venv
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tiny import reduced

from nst_lesson.course.files import lessons
from nst_lesson.course.lesson import Lesson
from nst_lesson.course.publish import ADDRESS

ROOT = Path(__file__).resolve().parents[1]
LINKED = ("matplotlib", "pillow", "requests", "scikit-image", "scipy", "torch", "torchvision", "tqdm")
OLD = ("ipykernel==6.17.1", "ipython==7.34.0", "ipython-genutils", "pytest", "pytest-timeout")
WIDGETS = ("ipywidgets==7.7.1", "widgetsnbextension==3.6.1", "jupyterlab-widgets==1.1.1")
OWN = {"pip", "setuptools"}  # each environment has its own
OFFLINE = {"PIP_INDEX_URL": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "PIP_RETRIES": "0"}
STAND_IN = """
enabled = []


class _widgets:
    _installed_url = None


def enable_custom_widget_manager():
    enabled.append(True)
    _widgets._installed_url = "https://colab.invalid/manager.js"
"""

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]


def with_requirements(texts):
    """The distributions that are asked for and installed here, and all that they need."""
    found, wanted, seen = {}, [Requirement(text) for text in texts], set()
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        if str(requirement) in seen or name in OWN:
            continue
        seen.add(str(requirement))
        found[name] = metadata.distribution(name)
        extras = ["", *requirement.extras]
        needed = map(Requirement, found[name].requires or ())
        wanted += [r for r in needed if not r.marker or any(r.marker.evaluate({"extra": extra}) for extra in extras)]
    return found.values()


class Colab:
    """An environment like Colab's in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder / "venv", with_pip=True)
        places = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
        self.python = Path(sysconfig.get_path("scripts", "venv", places)) / "python"
        site = Path(sysconfig.get_path("purelib", "venv", places))
        lent = with_requirements(LINKED)
        for distribution in lent:
            for top in {path.parts[0] for path in distribution.files} - {"..", "__pycache__"}:
                if not (site / top).exists():
                    (site / top).symlink_to(distribution.locate_file(top))
        fixed = folder / "fixed.txt"  # pip must leave alone what is only linked
        fixed.write_text("".join(f"{d.name}=={d.version}\n" for d in lent))
        hidden = ("PYTHONPATH", "VIRTUAL_ENV", "NST_LESSON_CACHE")
        self.environment = {key: value for key, value in os.environ.items() if key not in hidden}
        self.environment |= {"PIP_CONSTRAINT": str(fixed), "IPYTHONDIR": str(folder / "ipython")}
        self.environment |= {"NST_LESSON_CACHE": str(folder / "cache")}
        self.pip("install", *OLD, f"setuptools>={metadata.version('setuptools')}")  # torch asks for a new one
        self.pip("install", "--no-deps", *WIDGETS)
        notebook = site / "notebook-6.5.7.dist-info"  # which widgetsnbextension asks for, and no kernel loads
        notebook.mkdir()
        (notebook / "METADATA").write_text("Metadata-Version: 2.1\nName: notebook\nVersion: 6.5.7\n")
        (site / "google" / "colab").mkdir(parents=True)
        (site / "google" / "colab" / "__init__.py").write_text("")
        (site / "google" / "colab" / "output.py").write_text(STAND_IN)
        (site / "sitecustomize.py").write_text("import google.colab.output\n")
        self.remote = folder / "course.git"
        subprocess.run(["git", "clone", "-q", "--bare", str(ROOT), str(self.remote)], check=True)
        subprocess.run(["git", "-C", str(self.remote), "update-ref", "refs/heads/lessons", "HEAD"], check=True)
        self.address = self.remote.as_uri()

    def pip(self, *arguments):
        command = [self.python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
        subprocess.run(command, env=self.environment, check=True)

    def versions(self):
        """What is installed, {name: version}."""
        code = "import json, importlib.metadata as m; print(json.dumps({d.name: d.version for d in m.distributions()}))"
        out = subprocess.run([self.python, "-c", code], env=self.environment, capture_output=True, check=True)
        return json.loads(out.stdout)

    def notebook(self, lesson, **values):
        """A lesson of the clone with other parameters, and with the clone's address as its repository."""
        show = ["git", "--git-dir", str(self.remote), "show", f"HEAD:notebooks/{lesson}.ipynb"]
        notebook = reduced(nbformat.reads(subprocess.check_output(show, text=True, encoding="utf-8"), 4), **values)
        for cell in notebook.cells:
            cell.source = ADDRESS.sub(f'REPOSITORY, BRANCH = "{self.address}", "lessons"', cell.source)
        return notebook

    def execute(self, notebook, place: Path, **variables):
        """Run all cells in a new kernel of the environment, from the folder `place`."""
        place.mkdir(parents=True, exist_ok=True)
        client = NotebookClient(notebook, km=Kernel(self.python), timeout=900, resources={})
        return client.execute(cwd=str(place), env=self.environment | variables)


class Kernel(AsyncKernelManager):
    """A kernel of another interpreter."""

    def __init__(self, python: Path) -> None:
        super().__init__()
        self.python = str(python)

    @property
    def kernel_spec(self) -> KernelSpec:
        """How it is started."""
        return KernelSpec(argv=[self.python, "-m", "ipykernel_launcher", "-f", "{connection_file}"], language="python")


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git clone")
    return Colab(tmp_path_factory.mktemp("colab"))


def printed(notebook):
    """All that the cells print."""
    return "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))


def setup_then(colab, code):
    """The setup cell of the lessons, twice, and then `code`."""
    (setup,) = [cell for cell in colab.notebook("00_start_here").cells if ADDRESS.search(cell.source)]
    cells = [nbformat.v4.new_code_cell(source) for source in (setup.source, setup.source, code)]
    return nbformat.v4.new_notebook(cells=cells)


def test_the_setup_adds_what_is_missing_and_leaves_the_rest_alone(colab):
    """It runs first, in Drive: a folder with spaces. Then again in a new kernel, without any network."""
    before, place = colab.versions(), colab.folder / "content/drive/My Drive/Colab Notebooks"
    code = "import nst_lesson as nst, sys; print(nst.data_dir(), len([p for p in sys.path if 'nst_lesson' in p]))"
    clone = place / "nst_lesson_course"
    for variables, said in (({}, ["To keep your work, choose File > Save a copy in Drive."]), (OFFLINE, [])):
        lines = printed(colab.execute(setup_then(colab, code), place, **variables)).splitlines()
        assert lines == [*said, f"{clone / 'data'} 1"]
        colab.address = (colab.folder / "gone.git").as_uri()
    colab.address = colab.remote.as_uri()
    commits = subprocess.check_output(["git", "-C", str(clone), "rev-list", "--count", "HEAD"], text=True)
    assert commits == "1\n"
    after = colab.versions()
    assert {name: after[name] for name in before} == before
    assert {"accelerate", "safetensors"} <= after.keys() - before.keys()


@pytest.mark.parametrize("lesson", lessons())
def test_a_lesson_runs(colab, lesson):
    place = colab.folder / "content" / lesson
    values = {"size": 128, "steps": 2, "out_dir": "drive/out"}
    known = Lesson.read(lessons()[lesson]).parameters
    notebook = colab.notebook(lesson, **{name: value for name, value in values.items() if name in known})
    colab.execute(notebook, place)
    assert (place / "drive/out/results.json").is_file()
    shutil.rmtree(place / "nst_lesson_course")  # 11 clones are many


def test_the_widgets_work_with_ipywidgets_7(colab):
    clone = colab.folder / "clone"
    subprocess.run(["git", "clone", "-q", "--depth", "1", colab.address, str(clone)], check=True)
    tests = [f"tests/test_{name}.py" for name in ("widgets", "sliders", "masks")]
    command = [colab.python, "-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider", *tests]
    environment = colab.environment | {"PYTHONPATH": str(clone)}
    result = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-5000:]


def test_a_painter_asks_colab_for_its_widget_manager(colab):
    code = (
        "import torch, nst_lesson as nst, google.colab.output as output\n"
        "bundle = nst.MaskPainter(torch.zeros(1, 3, 8, 8))._repr_mimebundle_()\n"
        "print(output.enabled, bundle[1])"
    )
    text = printed(colab.execute(setup_then(colab, code), colab.folder / "content/painter"))
    assert "\n[True]" in text and "https://colab.invalid/manager.js" in text
