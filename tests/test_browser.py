"""The course in a browser: JupyterLab with its widgets, and the exported pages from the disk.

Needs Chromium (`apt-get install chromium`, or Google Chrome). Each test leaves pictures of what it saw in .browser/.
No page may ask anything of another machine.
"""

import io
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
import requests
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image, ImageChops
from tiny import reduced

from nst_lesson.course import pages
from nst_lesson.course.files import find_lesson, lessons
from nst_lesson.course.lesson import Lesson
from nst_lesson.course.slides import workshop_deck, write_slides
from nst_lesson.networks.backbones import STYLE_LAYERS
from nst_lesson.pictures.images import load_image, save_image

playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install playwright")
expect = playwright.expect  # waits; a bare assert on the page would meet it between two messages of the kernel

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
PICTURES = Path(__file__).parents[1] / ".browser"
PATIENCE = 600  # seconds after which something hangs, also on a busy machine
expect.set_options(timeout=1000 * PATIENCE)
HERE = ("127.0.0.1", "localhost")
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium, then these tests run"),
    pytest.mark.timeout(1500),
]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as engine:
        # Chromium's own sandbox needs rights that a container does not give, and its /dev/shm is small there.
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser, request):
    """new_page(**options): a page in a window of its own; at the end a picture of it, and nothing asked elsewhere."""
    opened, elsewhere = [], []

    def note(asked):
        host = urlsplit(asked.url).hostname
        if asked.url.startswith(("http", "ws")) and host not in HERE:
            elsewhere.append(asked.url)

    def make(**options):
        page = browser.new_context(**{"viewport": {"width": 1280, "height": 1000}} | options).new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.on("request", note)
        opened.append(page)
        return page

    yield make
    for number, page in enumerate(opened):
        keep(page, f"{request.node.name}-end{number or ''}")
        page.context.close()
    assert elsewhere == []


def keep(shown, name):
    """Keep a picture of a page's window, or of a part of the page, in .browser/."""
    PICTURES.mkdir(exist_ok=True)
    shown.screenshot(path=PICTURES / f"{re.sub(r'[^-.a-z0-9_]+', '-', name.lower())}.png")


# ---------------------------------------------------------------------------------------------------------- JupyterLab


class Lab:
    """JupyterLab on a free port, with its token, over a folder of notebooks; none of the user's settings."""

    def __init__(self, folder: Path) -> None:
        self.folder, runtime = folder / "notebooks", folder / "runtime"
        self.folder.mkdir()
        self.token = secrets.token_hex(16)
        places = {name: str(folder / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
        places |= {f"JUPYTERLAB_{name}_DIR": str(folder / name.lower()) for name in ("SETTINGS", "WORKSPACES")}
        options = ["--no-browser", "--ServerApp.port=0", f"--ServerApp.root_dir={self.folder}"]
        options.append(f"--IdentityProvider.token={self.token}")
        options += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        quiet = folder / "settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
        quiet.parent.mkdir(parents=True)
        quiet.write_text('{"fetchNews": "false", "checkForUpdates": false}')
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *options],
                env=os.environ | places | {"JUPYTER_RUNTIME_DIR": str(runtime)},
                stdout=log,
                stderr=log,
            )
        self.url = self._address(runtime)

    def _address(self, runtime: Path) -> str:
        """The server's address, once it has written down its port and answers."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            for path in runtime.glob("jpserver-*.json"):
                try:
                    url = json.loads(path.read_text())["url"].rstrip("/")
                    requests.get(f"{url}/api", timeout=5)
                    return url
                except (OSError, ValueError):
                    pass  # half written, or not listening yet
            time.sleep(0.1)
        raise RuntimeError(f"JupyterLab does not start: {self.log.read_text()[-3000:]}")

    def write(self, name, *sources):
        """A notebook with these code cells."""
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        cells = [new_code_cell(source) for source in sources]
        nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), self.folder / name)

    def copy(self, lesson, *more, extras=True, **values):
        """A lesson without outputs, with other parameters, and with `more` code cells at its end; returns its name."""
        path = find_lesson(lesson)
        read = Lesson.read(path)
        notebook = reduced(
            read.notebook if extras else read.main_experiment(), out_dir=str(self.folder / "out"), **values
        )
        notebook.cells += [new_code_cell(source) for source in more]
        nbformat.write(notebook, self.folder / path.name)
        return path.name

    def open(self, page, name):
        """Show a notebook and wait for its kernel."""
        page.goto(f"{self.url}/lab/tree/{name}?reset&token={self.token}")
        page.locator(".jp-NotebookPanel .jp-CodeCell").first.wait_for()
        page.locator(".jp-StatusBar-TextItem", has_text="Python 3 (ipykernel) | Idle").wait_for()

    def open_and_run(self, page, name):
        """Show a notebook, choose Run All Cells in its menu, and wait for the end; no cell may fail."""
        self.open(page, name)
        page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        cells = nbformat.read(self.folder / name, as_version=4).cells
        page.wait_for_function(  # cells that are far down come into the page late
            """count => [...document.querySelectorAll('.jp-NotebookPanel .jp-OutputArea-output')]
                .some(output => output.textContent.includes('Traceback (most recent call last)')) ||
                [...document.querySelectorAll('.jp-NotebookPanel .jp-CodeCell .jp-InputPrompt')]
                .filter(prompt => /\\[\\d+\\]/.test(prompt.textContent)).length === count""",
            arg=sum(cell.cell_type == "code" and "jupyter" not in cell.metadata for cell in cells),  # hidden: no prompt
        )
        failed = page.locator(".jp-OutputArea-output", has_text="Traceback (most recent call last)")
        assert failed.all_inner_texts() == []

    def end_kernels(self):
        """Free the cores and the memory for the next test."""
        headers = {"Authorization": f"token {self.token}"}
        for kernel in requests.get(f"{self.url}/api/kernels", headers=headers).json():
            requests.delete(f"{self.url}/api/kernels/{kernel['id']}", headers=headers)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.process.terminate()
    lab.process.wait(PATIENCE)


@pytest.fixture
def lab(server):
    yield server
    server.end_kernels()


def run_cell(page, source):
    """Run the cell with this text again, as a student would, and return what it prints."""
    cell = page.locator(".jp-CodeCell", has=page.locator(".cm-content", has_text=source))
    cell.locator(".cm-content").click()
    before = cell.locator(".jp-InputPrompt").inner_text()
    page.keyboard.press("Control+Enter")
    done = "([cell, before]) => /\\d/.test(cell.textContent) && cell.textContent !== before"
    page.wait_for_function(done, arg=[cell.locator(".jp-InputPrompt").element_handle(), before])
    return cell.locator(".jp-OutputArea").inner_text().strip()


def wait_for_another(page, picture, before):
    """Wait until a picture has another address than `before`, and return it."""
    page.wait_for_function("([e, before]) => e.src !== before", arg=[picture.element_handle(), before])
    return picture.get_attribute("src")


def move(page, slider, part):
    """Press the mouse on the track of one of ipywidgets' sliders, at this part of its length."""
    slider.scroll_into_view_if_needed()
    box = slider.locator(".noUi-base").bounding_box()
    page.mouse.click(box["x"] + part * box["width"], box["y"] + box["height"] / 2)


def seen(locator):
    """What a part of the page looks like."""
    return Image.open(io.BytesIO(locator.screenshot())).convert("RGB")


def test_lesson_00_runs(new_page, lab):
    page = new_page()
    lab.open_and_run(page, lab.copy("00", size=128, steps=5))
    pictures = page.locator(".jp-NotebookPanel .jp-OutputArea img")
    assert pictures.count() >= 10
    pictures.nth(3).scroll_into_view_if_needed()
    keep(page, "lesson-00")


def test_lesson_03_runs_and_explores_an_own_picture(new_page, lab, tmp_path):
    page = new_page()
    lab.open_and_run(page, lab.copy("03", extras=False, size=128, steps=5))
    save_image(load_image("rocket", 200), tmp_path / "mine.jpg")
    explorer = page.locator(".jp-OutputArea .widget-vbox", has=page.get_by_text("Your picture")).first
    matrices = explorer.locator("img").nth(1)
    shown = wait_for_another(page, matrices, None)
    explorer.scroll_into_view_if_needed()
    keep(page, "lesson-03-explorer")

    explorer.locator("select").nth(2).select_option("relu2_1")
    shown = wait_for_another(page, matrices, shown)
    with page.expect_file_chooser() as chooser:
        explorer.get_by_role("button", name="Your picture").click()
    chooser.value.set_files(tmp_path / "mine.jpg")
    expect(explorer.locator("select").first).to_have_value("your picture 1")
    wait_for_another(page, matrices, shown)
    expect(explorer).to_contain_text("relu2_1: G and A are 64 × 64")


def test_lesson_04_paints_live_while_the_kernel_answers_and_stops(new_page, lab):
    page = new_page()
    endless = 'main["steps"] = live.bar.max = 10**6'
    asked = 'print("at step", live.step and live.step.index)'
    lab.open_and_run(page, lab.copy("04", endless, asked, extras=False, size=128, steps=5))
    live = page.locator(".jp-OutputArea .widget-vbox", has=page.locator(".widget-hprogress"))
    run, stop = (live.locator("button", has_text=name) for name in ("Run", "Stop"))
    picture = live.locator("img")
    expect(stop).to_be_disabled()
    first = picture.get_attribute("src")
    run.click()
    second = wait_for_another(page, picture, first)
    wait_for_another(page, picture, second)
    assert re.search(r"at step \d+", run_cell(page, "at step"))
    expect(run).to_be_disabled()  # it still paints
    expect(stop).to_be_enabled()
    live.scroll_into_view_if_needed()
    keep(page, "lesson-04-live")
    stop.click()
    expect(run).to_be_enabled()
    expect(stop).to_be_disabled()
    step = run_cell(page, "at step")
    shown = picture.get_attribute("src")
    expect(live.locator(".widget-hprogress .widget-label")).to_have_text(step.removeprefix("at "))
    assert run_cell(page, "at step") == step and picture.get_attribute("src") == shown


def test_a_lesson_that_was_not_run_shows_its_stored_pictures(new_page, lab):
    """JupyterLab does not trust it and takes the handlers out of stored sliders: both pictures must be seen."""
    page = new_page()
    shutil.copy(find_lesson("05"), lab.folder)
    lab.open(page, "05_what_matters.ipynb")
    before, after = (page.locator(f".jp-RenderedHTMLCommon img[alt={name}]") for name in ("photo", "painted"))
    before.scroll_into_view_if_needed()
    for picture in (before, after):
        page.wait_for_function("e => e.complete && e.naturalWidth > 0", arg=picture.element_handle())
    keep(after.locator("xpath=../.."), "stored")
    left, right = before.bounding_box(), after.bounding_box()
    assert left["width"] == pytest.approx(right["width"], abs=1) and left["x"] == pytest.approx(right["x"], abs=1)


WIDGETS = (
    "import nst_lesson as nst; from skimage.segmentation import slic\n"
    "photo, painting = nst.load_image('chelsea', 160), nst.load_image('nocturne', 160)\n"
    "pocket = nst.load_backbone('pocket')",
    "nst.BeforeAfter(photo, photo.flip(3), labels=('photo', 'mirrored'))",
    "nst.PictureSlider({f'step {n}': photo * n / 4 for n in range(1, 5)}, 'brightness')",
    "nst.LayerExplorer(pocket, {'photo': photo, 'painting': painting}, ['relu1_1', 'relu2_1'])",
    "nst.StyleMixer(photo, painting, pocket, steps=3, size=256)",
)
PAINTERS = (
    "import nst_lesson as nst; from skimage.segmentation import slic\nphoto = nst.load_image('chelsea', 160)",
    "painter = nst.MaskPainter(photo); painter",
    "mask = painter.mask[0, 0].nonzero()\n"
    "print('painted', len(mask), *(mask.amin(0).tolist() + mask.amax(0).tolist() if len(mask) else []))",
    "regions = slic(photo[0].permute(1, 2, 0).numpy(), n_segments=40)\n"
    "clicker = nst.MaskPainter(photo, regions, chosen=[regions[0, 0]]); clicker",
    "inside = sum((regions == label).sum() for label in clicker.chosen)\n"
    "print('chosen', clicker.chosen, int(clicker.mask.sum()), inside)",
    "print('under the pointer', regions[60, 80], regions[0, 0])",
    "print('right of the middle', *regions[53, 80::4])",  # where each press of an arrow key leads
)


def test_sliders_move_what_they_promise(new_page, lab):
    page = new_page()
    lab.write("widgets.ipynb", *WIDGETS)
    lab.open_and_run(page, "widgets.ipynb")
    cells = page.locator(".jp-CodeCell")

    plain = [cells.nth(n).locator("input[type=range]") for n in (1, 2)]
    for slider in plain:
        slider.scroll_into_view_if_needed()
        shown = slider.locator("xpath=preceding-sibling::*[1]")
        before = seen(shown)
        slider.focus()
        for _ in range(2):  # JupyterLab would take the arrow keys for itself
            page.keyboard.press("ArrowLeft")
        assert int(slider.input_value()) == {"100": 48, "3": 1}[slider.get_attribute("max")]
        assert ImageChops.difference(before, seen(shown)).getbbox()
    keep(page, "sliders")

    explorer, mixer = cells.nth(3), cells.nth(4)
    feature_map = explorer.locator("img").nth(1)
    shown = wait_for_another(page, feature_map, None)
    move(page, explorer.locator(".widget-slider"), 0.6)
    wait_for_another(page, feature_map, shown)
    expect(explorer).to_contain_text(re.compile(r"channel (9|10) of 16"))
    keep(page, "layer-explorer")
    assert [slider.get_attribute("aria-label") for slider in page.get_by_role("slider").all()][2:] == [
        "channel", *STYLE_LAYERS, "β / α",
    ]  # fmt: skip

    picture = mixer.locator("img")
    shown = picture.get_attribute("src")
    move(page, mixer.locator(".widget-slider").first, 0.1)
    wait_for_another(page, picture, shown)
    expect(mixer.locator(".widget-hprogress")).to_contain_text("step 3")
    keep(page, "style-mixer")


def test_a_mask_is_painted_and_erased(new_page, lab):
    page = new_page()
    lab.write("masks.ipynb", *PAINTERS)
    lab.open_and_run(page, "masks.ipynb")
    cell = page.locator(".jp-CodeCell").nth(1)
    canvas = cell.locator("canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()  # 160 x 106 pixels of the picture on 384 x 254 of the page
    scale = box["width"] / 160

    def drag(*points):
        places = [(box["x"] + scale * x, box["y"] + scale * y) for x, y in points]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=8)
        page.mouse.up()

    def painted():
        values = [int(value) for value in run_cell(page, "painted").split()[1:]]
        canvas.scroll_into_view_if_needed()
        return values

    assert painted() == [0]
    drag((40, 50), (100, 50))
    keep(page, "mask-painted")
    count, *bounds = painted()
    half = 14 / 2  # the brush: a twelfth of 160, rounded up
    assert count == pytest.approx(60 * 2 * half + 3.14 * half**2, rel=0.03)
    assert bounds == pytest.approx([50 - half, 40 - half, 50 + half, 100 + half], abs=1.5)

    cell.get_by_label("Erase").check()
    drag((70, 0), (70, 106))
    assert painted()[0] == pytest.approx(count - (2 * half) ** 2, rel=0.03)
    keep(page, "mask-erased")
    cell.get_by_role("button", name="Clear").click()
    assert painted() == [0]


def test_regions_are_taken_into_a_mask_and_out_of_it(new_page, lab):
    page = new_page()
    lab.write("masks.ipynb", *PAINTERS)
    lab.open_and_run(page, "masks.ipynb")
    canvas = page.locator(".jp-CodeCell").nth(3).locator("canvas")
    canvas.scroll_into_view_if_needed()
    below, corner = map(int, run_cell(page, "under the pointer").split()[3:])
    canvas.scroll_into_view_if_needed()
    scale = canvas.bounding_box()["width"] / 160

    def click(x, y):
        canvas.locator("xpath=..").click(position={"x": scale * (x + 0.5), "y": scale * (y + 0.5)})

    def chosen():
        labels, count, wanted = re.fullmatch(r"chosen \[(.*)\] (\d+) (\d+)", run_cell(page, "print('chosen'")).groups()
        canvas.scroll_into_view_if_needed()
        assert count == wanted
        return [int(label) for label in labels.split(",") if label]

    assert chosen() == [corner]
    before = seen(canvas)
    click(80, 60)
    assert ImageChops.difference(before, seen(canvas)).getbbox()
    keep(page, "mask-regions")
    assert chosen() == sorted([corner, below])
    click(0, 0)
    assert chosen() == [below]


def test_a_mask_is_made_by_keyboard(new_page, lab):
    page = new_page()
    lab.write("masks.ipynb", *PAINTERS)
    lab.open_and_run(page, "masks.ipynb")
    cells = page.locator(".jp-CodeCell")
    painter, clicker = (cells.nth(n).get_by_role("application") for n in (1, 3))

    def press(board, *keys):
        board.focus()  # JupyterLab would take the arrow keys and Enter for itself
        for key in keys:
            page.keyboard.press(key)
        assert board.evaluate("e => document.activeElement === e")
        assert board.locator("div").is_visible()  # the cross

    def painted():
        return [int(value) for value in run_cell(page, "painted").split()[1:]]

    press(painter, "Space")
    count, top, left, bottom, right = painted()
    assert count == pytest.approx(3.14 * 7**2, rel=0.05)  # the brush: a twelfth of 160, rounded up
    assert [top + bottom, left + right] == pytest.approx([106, 160], abs=2)  # in the middle
    press(painter, *["ArrowUp"] * 3, *["Shift+ArrowLeft"] * 2, "Enter")
    assert painted()[1:] == [top - 12, left - 2, bottom, right]
    press(painter, *["ArrowDown"] * 100, "Space")
    assert painted()[1:] == [top - 12, left - 2, 105, right]  # the cross stays in the picture
    keep(page, "mask-keyboard-painted")

    along = [int(label) for label in run_cell(page, "right of the middle").split()[4:]]
    middle, corner = along[0], int(run_cell(page, "under the pointer").split()[4])
    steps = next(n for n, label in enumerate(along) if label != middle)
    press(clicker, "Space", *["ArrowRight"] * steps, "Enter")
    keep(page, "mask-keyboard-regions")
    chosen = run_cell(page, "print('chosen'")
    assert chosen.startswith(f"chosen {sorted([corner, middle, along[steps]])} ")
    press(clicker, "Space", *["ArrowLeft"] * steps, "Space")
    assert run_cell(page, "print('chosen'").startswith(f"chosen [{corner}] ")


# --------------------------------------------------------------------------------------------------------------- pages


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The index of the exported lessons, as `nst-lesson html` writes it."""
    return pages.write_site(list(lessons().values()), tmp_path_factory.mktemp("site")).as_uri()


def test_every_page_is_reached_from_the_index_and_its_sliders_move(new_page, site):
    page, moved = new_page(), []
    page.goto(site)
    keep(page, "index")
    links = page.locator("li a")
    assert links.count() == len(lessons())
    for number, name in enumerate(lessons()):
        links.nth(number).click()
        page.wait_for_url(f"**/{name}.html")
        assert page.locator("h1").first.inner_text().startswith(name[:2])
        broken = "images => images.filter(e => !(e.complete && e.naturalWidth)).length"
        assert page.locator("main img").evaluate_all(broken) == 0
        for slider in page.locator("input[type=range]").all():
            shown = slider.locator("xpath=preceding-sibling::*[1]")
            before = seen(shown)
            slider.press("Home")
            assert ImageChops.difference(before, seen(shown)).getbbox()
            moved.append(slider.get_attribute("aria-label"))
            keep(page, f"page-{name}-slider")
        page.go_back()
    assert any("over" in label for label in moved)  # a before/after slider
    assert not all("over" in label for label in moved)  # and one over several pictures


def test_no_page_is_wider_than_a_phone(new_page, site):
    page = new_page(**PHONE, color_scheme="dark")
    width = PHONE["viewport"]["width"]
    for name in ("index", *lessons()):
        page.goto(site.replace("index.html", f"{name}.html"))
        keep(page, f"phone-{name}")
        wide = """[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1
            && !e.closest('pre, table, math')).map(e => e.outerHTML.slice(0, 200)).slice(0, 5)"""
        assert page.evaluate("document.documentElement.scrollWidth") <= width, page.evaluate(wide)
        scrolling = "blocks => blocks.filter(e => e.scrollWidth > e.clientWidth + 1).length"
        assert page.locator("main .jp-InputArea pre:visible").evaluate_all(scrolling) == 0  # code wraps


def test_the_site_is_walked_and_searched_without_a_server(new_page, site):
    page, names = new_page(), list(lessons())
    page.goto(site)
    page.get_by_label("Search").fill("gram NOISE")
    page.locator("#found a").first.click()
    page.wait_for_url("**/03_gram_matrices.html#*")
    contents = page.locator(".contents")
    assert contents.evaluate("e => e.open")
    found = page.url
    contents.locator("li a").nth(3).click()
    expect(page).not_to_have_url(found)
    page.locator("a[rel=next]").first.click()
    page.wait_for_url(f"**/{names[4]}.html")
    solution = page.locator("details", has=page.get_by_text("Solution", exact=True)).first
    code = solution.locator("pre")
    assert not code.is_visible()
    solution.locator("summary").click()
    assert code.is_visible() and "def " in code.inner_text()
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    assert not page.locator(".contents").evaluate("e => e.open")


def test_slides_fill_the_window_one_by_one(new_page, tmp_path):
    count = write_slides(tmp_path / "slides.html", workshop_deck())
    page = new_page(viewport={"width": 1280, "height": 720}, color_scheme="dark")
    page.goto((tmp_path / "slides.html").as_uri())
    over = "slides => slides.filter(e => e.scrollHeight > e.clientHeight + 1 || e.clientHeight != innerHeight).length"
    assert page.locator(".jp-Cell").evaluate_all(over) == 0
    for number in range(1, count):
        page.keyboard.press("PageDown")
        page.wait_for_function("n => Math.abs(scrollY - n * innerHeight) < 1", arg=number)
    keep(page, "slides-last")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    keep(page, "slides-phone")
