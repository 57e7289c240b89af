"""Training: the loop against one by hand, and that stopping, killing or crashing loses nothing."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from readings import Readings
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

import nst_lesson as nst
from nst_lesson.cli.main import main
from nst_lesson.errors import LessonError, ParameterError
from nst_lesson.methods import checkpoint as checkpoint_module
from nst_lesson.methods.checkpoint import Checkpoint, TrainingState
from nst_lesson.methods.training import PATIENCE, SCHEDULES, Hardware, evaluate, train
from nst_lesson.networks import models
from nst_lesson.networks.models import load_model, save_model
from nst_lesson.networks.transformer import TransformationNetwork
from nst_lesson.paths import data_dir, locked
from nst_lesson.pictures.images import load_image
from nst_lesson.pictures.photographs import Draws, Photographs

KILLS = 3


class Tint(nn.Module):
    """The smallest network that can be trained: a color matrix and an offset."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.color = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.color(x)


def to_gray(network, photographs):
    """A loss with two terms: be near the gray picture, and not too bright."""
    painted = network(photographs)
    gray = photographs.mean(1, keepdim=True)
    return {"near": (painted - gray).square().mean(), "dark": 0.1 * painted.square().mean()}


def photographs(**options):
    return Photographs(**{"size": 16, "seed": 3, "crops": 10} | options)


def weights(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def trained(steps, **options):
    """The weights after some steps, and the losses on the way."""
    network = Tint()
    losses = [step.loss for step in train(network, to_gray, photographs(), steps=steps, batch_size=3, **options)]
    return weights(network), losses


def test_the_loss_of_a_fast_network_has_its_own_defaults():
    vgg, painting, photos = nst.load_backbone("pocket"), nst.load_image("wave", 64), torch.rand(2, 3, 48, 48)
    network = nst.TransformationNetwork(0.1)
    written = {"content_weight": 1.0, "style_weight": 10.0, "tv_weight": 5.0, "content_layers": ["relu3_3"]}
    by_default = nst.stylizing_loss(vgg, painting)(network, photos)
    assert by_default == nst.stylizing_loss(vgg, painting, **written, style_layers=nst.STYLE_LAYERS)(network, photos)
    more_style = nst.stylizing_loss(vgg, painting, style_weight=20.0)(network, photos)
    torch.testing.assert_close(more_style["style"], 2 * by_default["style"])
    torch.testing.assert_close(more_style["content"], by_default["content"])


def test_what_the_caller_does_between_steps_is_in_no_steps_seconds(monkeypatch):
    drawn = 0.0  # seconds that the caller has spent
    clock = time.monotonic
    monkeypatch.setattr("nst_lesson.methods.training.time.monotonic", lambda: clock() + drawn)
    for step in train(Tint(), to_gray, photographs(), steps=3, batch_size=3):
        assert step.waited <= step.seconds < 1000
        drawn += 1000.0


def test_the_validation_loss_is_the_mean_over_the_same_samples_and_changes_nothing():
    network, data = Tint(), photographs(crops=7)
    before = weights(network)
    found = evaluate(network, to_gray, data, count=7, batch_size=3)
    wanted = to_gray(network, torch.stack([data[0, number][0] for number in range(7)]))
    assert found == pytest.approx({name: term.item() for name, term in wanted.items()}, rel=1e-5)  # order of sums
    assert evaluate(network, to_gray, data, count=7, batch_size=3) == found
    assert network.training and equal(weights(network), before)


def test_a_validation_that_fails_leaves_the_network_in_training_and_none_at_all_is_refused():
    def breaks(network, photographs):
        raise RuntimeError

    network = Tint()
    with pytest.raises(RuntimeError):
        evaluate(network, breaks, photographs(), count=2)
    assert network.training
    with pytest.raises(ParameterError, match="count is 0"):
        evaluate(network, to_gray, photographs(), count=0)


# ---- photographs, read by the loop


def test_what_cannot_be_read_is_replaced_counted_and_named(folder, caplog):
    data = Photographs(str(folder), size=8)
    seen = [step.index for step in train(Tint(), to_gray, data, steps=4, batch_size=2)]
    assert seen == [1, 2, 3, 4]
    (line,) = caplog.messages
    assert line.startswith("1 files could not be read and were skipped: ") and line.endswith("broken.jpg")


def test_nothing_readable_is_one_line(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(LessonError, match="none of the 1 image files can be read; the first is .*a.jpg"):
        next(train(Tint(), to_gray, Photographs(str(tmp_path)), steps=1))


def test_workers_draw_the_same():
    assert trained(4, hardware=Hardware(workers=2))[1] == trained(4)[1]


# ---- the loop


def test_the_loop_is_the_one_written_by_hand():
    network, data = Tint(), photographs()
    adam = torch.optim.Adam(network.parameters(), lr=0.01)
    batches = torch.stack([data[draw][0] for draw in Draws(10, 3, 0, 12)]).split(3)
    losses = []
    for batch in batches:
        adam.zero_grad()
        loss = sum(to_gray(network, batch).values())
        loss.backward()
        adam.step()
        losses.append(loss.item())
    found, values = trained(4, learning_rate=0.01)
    # channels last sums in another order
    torch.testing.assert_close(found, weights(network), atol=1e-6, rtol=1e-5)
    assert values == pytest.approx(losses, rel=1e-5)


def test_a_step_tells_what_it_measured():
    *_, step = train(Tint(), to_gray, photographs(), steps=2, batch_size=3)
    assert step.index == 2 and step.loss == sum(step.terms.values()) and set(step.terms) == {"near", "dark"}
    assert 0 <= step.waited <= step.seconds


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0; give at least 1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; give a number above 0"),
        ({"checkpoint": Checkpoint("x.safetensors", every=0)}, "checkpoint_every is 0"),
        ({"schedule": "linear"}, "unknown schedule 'linear'.*choose one of constant, cosine"),
        ({"hardware": Hardware(workers=-1)}, "workers is -1"),
        ({"hardware": Hardware(precision="fp8")}, "unknown precision 'fp8'.*choose one of no, bf16, fp16"),
        ({"hardware": Hardware(precision="fp16")}, "'fp16' wants a GPU"),
    ],
    ids=str,
)
def test_bad_settings_are_one_line_errors(options, message):
    with pytest.raises(ParameterError, match=message):
        next(train(Tint(), to_gray, photographs(), **{"steps": 1} | options))


def test_a_folder_with_files_of_ones_own_is_no_place_to_train(tmp_path, capfd):
    for name in ("model.safetensors", "preview.jpg"):
        (tmp_path / name).write_text("mine")
        assert main(["train", "fast", "wave", "--out", str(tmp_path), *SMALL]) == 2
        assert f"{name} is there, and not of a training" in capfd.readouterr().err
        assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
        (tmp_path / name).unlink()


def test_a_frozen_network_is_said_to_be():
    with pytest.raises(ParameterError, match=r"call network.requires_grad_\(True\)"):
        next(train(load_model("wave"), to_gray, photographs(), steps=1))
    with torch.no_grad(), pytest.raises(ParameterError, match="gradients are off"):
        next(train(Tint(), to_gray, photographs(), steps=1))


# ---- checkpoints


def test_a_run_that_is_left_goes_on_bit_for_bit(tmp_path):
    whole, losses = trained(9)
    checkpoint = Checkpoint(tmp_path / "deep" / "checkpoint.safetensors")
    for stop in (2, 5):  # left twice, in the middle of an epoch
        for step in train(Tint(), to_gray, photographs(), steps=9, batch_size=3, checkpoint=checkpoint):
            if step.index == stop:
                break
    rest, tail = trained(9, checkpoint=checkpoint)
    assert tail == losses[5:]
    assert equal(rest, whole)


def test_a_run_can_be_lengthened(tmp_path):
    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors")
    trained(3, checkpoint=checkpoint)
    assert equal(trained(6, checkpoint=checkpoint)[0], trained(6)[0])
    assert trained(6, checkpoint=checkpoint)[1] == []  # it is at its end already


def test_a_training_can_have_another_precision_than_the_one_before_it():
    (exact,), (rounded,), (again,) = (
        trained(1, hardware=Hardware(precision=precision))[1] for precision in ("no", "bf16", "no")
    )
    assert exact == again != rounded and rounded == pytest.approx(exact, rel=0.05)


def test_a_step_reads_its_numbers_at_once():
    loop = train(Tint(), to_gray, photographs(), steps=4, batch_size=3)
    next(loop), next(loop)
    with Readings() as readings:
        next(loop)
    assert readings.count <= 2  # Adam's count of its steps, one of each parameter, which lie in the main memory


def test_the_skipped_files_are_remembered(folder, tmp_path, caplog):
    data, checkpoint = Photographs(str(folder), size=8), Checkpoint(tmp_path / "c.safetensors")
    for _ in train(Tint(), to_gray, data, steps=4, batch_size=2, checkpoint=checkpoint):
        pass
    for _ in train(Tint(), to_gray, data, steps=5, batch_size=2, checkpoint=checkpoint):
        pass
    assert caplog.text.count("1 files could not be read") == 2


def test_a_checkpoint_of_another_training_is_refused_and_kept(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    wave, nocturne = (Checkpoint(path, settings={"style": style}) for style in ("wave", "nocturne"))
    trained(2, checkpoint=wave)
    before = path.read_bytes()
    with pytest.raises(LessonError, match="of another training .style 'wave' there and 'nocturne' here."):
        trained(4, checkpoint=nocturne)
    with pytest.raises(LessonError, match="learning_rate 0.001 there and 0.1 here"):
        trained(4, checkpoint=wave, learning_rate=0.1)
    assert path.read_bytes() == before


def test_a_checkpoint_of_a_network_of_another_form_is_refused_and_changes_nothing(tmp_path):
    data, checkpoint = photographs(size=16), Checkpoint(tmp_path / "checkpoint.safetensors", every=1)
    next(train(TransformationNetwork(0.05), to_gray, data, steps=2, checkpoint=checkpoint))
    wider = TransformationNetwork(0.1)
    before = weights(wider)
    with pytest.raises(LessonError, match="of a network of another form"):
        next(train(wider, to_gray, data, steps=2, checkpoint=checkpoint))
    assert equal(weights(wider), before)


class Dropping(Tint):
    """A network that draws from torch's generator."""

    def forward(self, x):
        return nn.functional.dropout(self.color(x), 0.5)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_run_goes_on_bit_for_bit_with_dropout_and_any_schedule(tmp_path, schedule):
    def losses_until(stop, checkpoint=None):
        losses = []
        loop = train(network := Dropping(), to_gray, photographs(), steps=6, checkpoint=checkpoint, schedule=schedule)
        for step in loop:
            losses.append(step.loss)
            if step.index == stop:
                break
        loop.close()
        return losses, weights(network)

    torch.manual_seed(1)
    whole, wanted = losses_until(6)
    torch.manual_seed(1)
    head, _ = losses_until(2, tmp_path / "c.safetensors")
    torch.manual_seed(2)  # another process has another generator
    tail, found = losses_until(6, tmp_path / "c.safetensors")
    assert head + tail == whole and equal(found, wanted)


def test_the_cosine_falls_from_the_learning_rate_to_zero_as_torchs_does():
    network = Tint()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    torchs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
    for step in range(10):
        assert 0.1 * SCHEDULES["cosine"](step / 10) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step(), torchs.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0)


def test_a_falling_rate_with_other_steps_is_said_a_constant_one_is_not(tmp_path, caplog):
    for schedule in SCHEDULES:
        for steps in (2, 4):
            trained(steps, checkpoint=tmp_path / schedule, schedule=schedule)
    (line,) = caplog.messages
    assert line.startswith("this training was begun for 2 steps: from step 2 on")


def test_fewer_steps_than_are_done_are_said(tmp_path, caplog):
    trained(3, checkpoint=tmp_path / "c.safetensors")
    assert trained(2, checkpoint=tmp_path / "c.safetensors")[1] == []
    assert caplog.messages == ["the checkpoint is of step 3 already, past the 2 asked for"]


# ---- what a checkpoint knows about the pictures


def make_pictures(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        Image.new("RGB", (20 + number, 20), (40 * number, 90, 200 - 40 * number)).save(folder / f"{name}.png")
    return folder


def train_on(folder, checkpoint, steps):
    data = Photographs(folder, size=8)
    return [step.loss for step in train(Tint(), to_gray, data, steps=steps, batch_size=2, checkpoint=checkpoint)]


def test_a_folder_may_be_written_otherwise_or_moved(tmp_path, caplog, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_pictures(tmp_path / "coco", *"abcd")
    wanted = train_on("coco", "whole.safetensors", 6)
    found = train_on("coco", "c.safetensors", 2) + train_on("./coco/", "c.safetensors", 4)
    (tmp_path / "coco").rename(tmp_path / "moved")
    assert found + train_on(tmp_path / "moved", "c.safetensors", 6) == wanted
    assert not caplog.messages


@pytest.mark.parametrize("change", ["gone", "changed"])
def test_photographs_that_are_no_longer_there_are_said(tmp_path, caplog, change):
    folder, path = make_pictures(tmp_path / "all", *"abcd"), tmp_path / "c.safetensors"
    train_on(folder, path, 2)
    for name in "bd":
        if change == "gone":
            (folder / f"{name}.png").unlink()
        else:
            Image.new("RGB", (99, 99)).save(folder / f"{name}.png")
    assert len(train_on(folder, path, 4)) == 2
    assert caplog.messages[0].startswith("2 of the 4 photographs of this training are gone or changed (such as b.png)")


def test_other_photographs_are_another_training(tmp_path):
    train_on(make_pictures(tmp_path / "one", "a", "b"), tmp_path / "c.safetensors", 2)
    with pytest.raises(LessonError, match="of another training .its 2 photographs, such as a.png, are not among the 1"):
        train_on(make_pictures(tmp_path / "two", "c"), tmp_path / "c.safetensors", 4)


# ---- what a file may hold


def rewritten(path, change):
    """The file with its tensors and its header changed by `change`(tensors, header), as another program would."""
    with safe_open(path, "pt") as file:
        metadata = dict(file.metadata())
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    header = json.loads(metadata["training"])
    change(tensors, header)
    save_file(tensors, path, metadata=metadata | {"training": json.dumps(header)})


DAMAGES = {
    "no optimizer": lambda tensors, header: [tensors.pop(name) for name in list(tensors) if "optimizer" in name],
    "no weight": lambda tensors, header: tensors.pop("network.color.bias"),
    "cut random": lambda tensors, header: tensors.update(random=tensors["random"][:9].clone()),
    **{f"no {key}": lambda tensors, header, key=key: header.pop(key) for key in ("settings", "step", "skipped")},
    **{f"{key} a list": lambda tensors, header, key=key: header.update({key: [1]}) for key in ("settings", "step")},
    "another weight": lambda tensors, header: tensors["network.color.bias"].add_(1e-6),
    "another type": lambda tensors, header: tensors.update(random=tensors["random"].long()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_checkpoint_that_was_changed_is_refused_and_kept(tmp_path, damage):
    path = tmp_path / "c.safetensors"
    trained(2, checkpoint=path)
    rewritten(path, DAMAGES[damage])
    before, network = path.read_bytes(), Tint()
    with pytest.raises(LessonError, match="cannot be read .*: delete it to start anew"):
        next(train(network, to_gray, photographs(), steps=4, batch_size=3, checkpoint=path))
    assert path.read_bytes() == before and equal(weights(network), weights(Tint()))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.7, 0.9, 0.9999])
@pytest.mark.parametrize("bit", [1, 64])
def test_a_flipped_bit_in_a_checkpoint_is_refused(tmp_path, share, bit):
    path = tmp_path / "c.safetensors"
    trained(2, checkpoint=path)
    data = bytearray(path.read_bytes())
    data[int(share * len(data))] ^= bit
    path.write_bytes(data)
    with pytest.raises(LessonError, match="cannot be read"):
        trained(4, checkpoint=path)


# ---- a training that has died


def dying(after, **terms):
    """A loss that has other terms after so many steps."""
    count = iter(range(100))

    def loss(network, batch):
        zero = 0 * network(batch).mean()
        values = terms if next(count) >= after else {"style": 1.0, "tv": 0.1}
        return {name: value + zero for name, value in values.items()}

    return loss


@pytest.mark.parametrize(
    ("terms", "message"),
    [({"style": 1.0, "tv": 0.0}, "its pictures are of one color"), ({"style": 20.0, "tv": 0.1}, "its loss stays far")],
    ids=["flat", "risen"],
)
@pytest.mark.parametrize(("steps", "died"), [(100, 4 + PATIENCE), (7, 7)], ids=["in the middle", "at the end"])
def test_a_dead_training_ends_in_one_line_and_keeps_the_checkpoint_before(tmp_path, terms, message, steps, died):
    checkpoint = Checkpoint(tmp_path / "c.safetensors", every=1)
    with pytest.raises(LessonError, match=f"the training has died by step {died}: {message}.*: lower learning_rate"):
        list(train(Tint(), dying(4, **terms), photographs(), steps=steps, batch_size=3, checkpoint=checkpoint))
    resumed = train(Tint(), dying(99), photographs(), steps=steps, batch_size=3, checkpoint=checkpoint)
    assert next(resumed).index == 5


def test_a_step_far_off_is_no_death():
    spike = iter([1.0, 300.0, *[1.0] * 9])

    def loss(network, batch):
        return {"style": next(spike) + 0 * network(batch).mean()}

    assert len(list(train(Tint(), loss, photographs(), steps=10, batch_size=3))) == 10


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_a_truncated_checkpoint_is_refused_and_kept(tmp_path, share):
    path = tmp_path / "checkpoint.safetensors"
    trained(2, checkpoint=Checkpoint(path))
    path.write_bytes(broken := path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(LessonError, match="checkpoint.safetensors cannot be read .*: delete it to start anew"):
        trained(4, checkpoint=Checkpoint(path))
    assert path.read_bytes() == broken


def test_a_full_disk_is_one_line_and_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.safetensors"
    trained(2, checkpoint=Checkpoint(path))
    before = path.read_bytes()

    def full(tensors, file, metadata):
        Path(file).write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint_module, "save_file", full)
    with pytest.raises(LessonError, match="cannot write the checkpoint .*No space left.*; an older one is as it was"):
        trained(4, checkpoint=Checkpoint(path))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_loss_that_is_no_number_stops_the_run_and_leaves_the_checkpoint_before(tmp_path):
    path = tmp_path / "checkpoint.safetensors"

    def breaks(network, batch):
        breaks.calls += 1
        return {"loss": network(batch).mean() * (torch.nan if breaks.calls > 3 else 1)}

    breaks.calls = 0
    options = {"steps": 9, "batch_size": 3, "checkpoint": Checkpoint(path, every=2)}
    with pytest.raises(LessonError, match="the loss is nan at step 4: lower learning_rate"):
        list(train(Tint(), breaks, photographs(), **options))
    network = Tint()
    state = TrainingState(network, torch.optim.Adam(network.parameters(), lr=1e-3), pictures=photographs().pictures)
    Checkpoint(path).load(state, {"batch": 3, "learning_rate": 1e-3, "schedule": "constant", "precision": "no"})
    assert (state.step, state.skipped) == (2, set())
    assert all(tensor.isfinite().all() for tensor in network.state_dict().values())


# ---- whole processes


def command(out, *options, steps=24):
    """A training so small that a step takes some hundredths of a second, with a checkpoint every second step."""
    small = "--width 0.1 --size 64 --batch-size 2 --workers 0 --checkpoint-every 2 --report-every 1 --device cpu"
    module = ["-m", "nst_lesson", "train", "fast", "wave", "--out", str(out), "--steps", str(steps)]
    return [sys.executable, *module, *small.split(), *options]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The model of a run that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole")
    subprocess.run(command(out), check=True, capture_output=True)
    return load_file(out / "model.safetensors")


@pytest.mark.parametrize(
    "kills", [KILLS, pytest.param(20, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])], ids=lambda n: f"{n} kills"
)
def test_killed_at_any_moment_it_follows_the_uninterrupted_run(tmp_path, kills):
    """SIGKILL after a random number of reported steps and a random moment more, so that some fall into a write."""
    steps = 8 * kills  # more than are done from one kill to the next: two or three here
    subprocess.run(command(tmp_path / "whole", steps=steps), check=True, capture_output=True)
    moments = random.Random(kills)
    done, status = 0, None
    while status != 0:
        process = subprocess.Popen(command(tmp_path, steps=steps), stdout=subprocess.PIPE, text=True)
        if done < kills:
            for _ in range(moments.randrange(1, 4)):
                process.stdout.readline()
            time.sleep(moments.uniform(0, 0.1))
            process.kill()
            done += 1
        process.communicate()
        status = process.returncode
    assert done == kills
    assert equal(load_file(tmp_path / "model.safetensors"), load_file(tmp_path / "whole" / "model.safetensors"))


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_finishes_the_step_keeps_it_and_says_so(tmp_path, uninterrupted, sent, status):
    options = {"stdout": subprocess.PIPE, "text": True, "start_new_session": True}
    process = subprocess.Popen(command(tmp_path, "--checkpoint-every", "1000", "--workers", "1"), **options)
    process.stdout.readline()
    kill = os.killpg if sent == signal.SIGINT else os.kill  # a terminal's Ctrl-C reaches the workers too
    kill(process.pid, sent)
    out, _ = process.communicate()
    assert process.returncode == status
    assert "the same command goes on from there" in out.splitlines()[-1]
    rest = subprocess.run(command(tmp_path, "--workers", "1"), check=True, capture_output=True, text=True).stdout
    stopped = int(out.splitlines()[-1].split()[3].rstrip(";"))
    assert rest.splitlines()[0].startswith(f"step {stopped + 1} ")
    assert equal(load_file(tmp_path / "model.safetensors"), uninterrupted)


def test_two_processes_follow_one_with_twice_the_batch(tmp_path):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    commands = (
        command(tmp_path / "one", "--batch-size", "4", steps=6),
        [*launcher, *command(tmp_path / "two", "--batch-size", "2", steps=6)[1:]],
    )
    one, two = (subprocess.run(words, capture_output=True, text=True) for words in commands)
    losses = [[float(line.split()[3]) for line in run.stdout.splitlines() if "loss" in line] for run in (one, two)]
    assert len(losses[0]) == 6, one.stderr[-2000:] + two.stderr[-2000:]
    # gradients are summed in another order, and Adam's first steps take the sign of the smallest of them
    assert losses[1] == pytest.approx(losses[0], rel=5e-3)


def test_16_bit_training_follows_32_bit_training(tmp_path):
    found = {}
    for precision in ("no", "bf16"):
        run = subprocess.run(
            command(tmp_path / precision, "--precision", precision, steps=8), capture_output=True, text=True, check=True
        )
        found[precision] = [float(line.split()[3]) for line in run.stdout.splitlines() if "loss" in line]
    # bfloat16 keeps three digits, and a training amplifies their loss
    assert found["bf16"] == pytest.approx(found["no"], rel=0.1)
    assert found["bf16"] != found["no"]


@pytest.mark.parametrize("kind", [str, Path, Checkpoint])
def test_a_checkpoint_may_be_a_path(tmp_path, kind):
    trained(2, checkpoint=kind(tmp_path / "c.safetensors"))
    assert trained(3, checkpoint=kind(tmp_path / "c.safetensors"))[1] == trained(3)[1][2:]


def test_a_second_training_into_one_folder_is_refused(tmp_path, capsys):
    with locked(tmp_path, "training"):
        assert (
            main(["train", "fast", "wave", "--out", str(tmp_path), "--size", "64", "--width", "0.1", "--steps", "1"])
            == 2
        )
    (line,) = capsys.readouterr().err.splitlines()
    assert "another training is writing into" in line
    assert not list(tmp_path.glob("*.safetensors"))


SMALL = "--size 64 --width 0.1 --batch-size 1 --workers 0 --device cpu --report-every 1".split()


@pytest.fixture
def fast(tmp_path, monkeypatch, capfd):
    """Trains in an empty folder; gives the exit status and what was printed."""
    monkeypatch.chdir(tmp_path)

    def call(*options, style="wave"):
        status = main(["train", "fast", style, "--out", "out", *SMALL, *options])
        return status, *capfd.readouterr()

    return call


def test_the_command_names_the_model_keeps_a_preview_and_says_when_nothing_is_left(fast, tmp_path):
    command = ("--steps", "2", "--preview", "rocket")
    status, out, _ = fast(*command)
    assert status == 0
    assert (
        out.splitlines()[-1]
        == "to paint with it: nst-lesson stylize PHOTO --model out/model.safetensors -o painted.png"
    )
    before = (tmp_path / "out" / "preview.jpg").read_bytes()
    assert load_image(tmp_path / "out" / "preview.jpg").shape == (1, 3, 342, 512)
    status, out, _ = fast(*command)
    assert status == 0 and "nothing left to do: out has all 2 steps" in out
    assert (tmp_path / "out" / "preview.jpg").read_bytes() == before
    assert fast("--steps", "3", "--preview", "rocket")[0] == 0
    assert (tmp_path / "out" / "preview.jpg").read_bytes() != before


def test_the_painting_is_known_by_what_it_is(fast, tmp_path):
    shutil.copy(data_dir() / "styles" / "wave.jpg", tmp_path / "mine.jpg")
    assert fast("--steps", "1")[0] == 0
    assert fast("--steps", "2", style="./mine.jpg")[0] == 0
    status, _, err = fast("--steps", "3", style="cubist")
    assert status == 2 and "of another training (style " in err


def test_a_training_can_start_from_another_network(fast, tmp_path):
    torch.manual_seed(5)
    begun = TransformationNetwork(0.1)
    save_model(begun, tmp_path / "begun.safetensors")
    status, _, _ = fast("--steps", "1", "--start", "begun.safetensors", "--learning-rate", "1e-9")
    assert status == 0
    torch.testing.assert_close(weights(load_model("out/model.safetensors")), weights(load_model("begun.safetensors")))
    status, _, err = fast("--steps", "2", "--learning-rate", "1e-9")
    assert status == 2 and "of another training (start " in err
    save_model(TransformationNetwork(0.2), tmp_path / "wide.safetensors")
    for start, message in {"wide.safetensors": "--width is 0.1", "any_style": "not a network for one painting"}.items():
        status, _, err = fast("--steps", "1", "--start", start)
        assert status == 2 and message in err


def test_a_learning_rate_that_kills_is_one_line(fast):
    status, _, err = fast("--steps", "8", "--learning-rate", "1000")
    assert status == 2 and "the training has died by step 8" in err.splitlines()[-1]


def test_a_full_disk_as_the_model_is_saved_is_one_line_and_leaves_the_checkpoint(fast, tmp_path, monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(models, "save_file", full)
    status, _, err = fast("--steps", "2")
    assert status == 2
    (line,) = err.splitlines()
    assert "cannot write" in line and "No space left" in line
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["checkpoint.safetensors"]
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert "nothing left to do" in fast("--steps", "2")[1]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows chooses its own encoding")
def test_a_name_that_the_terminal_cannot_show_costs_no_model(tmp_path):
    make_pictures(tmp_path / "all", "a", "b")
    (tmp_path / "all" / "фото.jpg").write_bytes(b"x")
    run = subprocess.run(
        [*command("out", "--images", "all", steps=2), "--preview", "rocket"],
        cwd=tmp_path,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
    )
    assert run.returncode == 0 and b"Traceback" not in run.stderr
    assert rb"\u0444\u043e\u0442\u043e.jpg" in run.stderr
    assert (tmp_path / "out" / "model.safetensors").exists()


BAD_NUMBERS = {
    **dict.fromkeys(("size", "steps", "batch-size", "checkpoint-every", "report-every"), ("nan", "-1", "0", 2**70)),
    **dict.fromkeys(("seed", "workers"), ("nan", "1.5", "-1", 2**70)),
    **dict.fromkeys(("learning-rate", "width", "activation-scale"), ("nan", "inf", "-1", "0", 2**70)),
    **dict.fromkeys(("content-weight", "style-weight", "tv-weight"), ("nan", "inf", "-1", 2**70)),
    "style-size": ("0", "-5", 2**70),
}


@pytest.mark.parametrize("option", BAD_NUMBERS)
def test_a_bad_number_is_one_line_that_names_the_option_before_anything_is_made(fast, tmp_path, option):
    for value in BAD_NUMBERS[option]:
        status, out, err = fast(f"--{option}={value}")
        assert (status, out) == (2, "")
        (line,) = err.splitlines()
        assert f"--{option}: give a" in line and str(value) in line
    assert not list(tmp_path.iterdir())


def test_out_that_is_a_file_is_one_line(fast, tmp_path):
    (tmp_path / "out").write_text("mine")
    status, _, err = fast()
    assert status == 2 and err.splitlines() == ["nst-lesson: out is a file: --out names a folder"]
    assert (tmp_path / "out").read_text() == "mine"


def test_bad_input_to_the_command_is_one_line(tmp_path, capsys):
    assert main(["train", "fast", "wave", "--out", str(tmp_path), "--images", str(tmp_path / "nowhere")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("nst-lesson: there is no folder")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--report-every", "0"], "argument --report-every: give a whole number from 1 to"),
        (["--images", "broken", "--workers", "1"], "none of the 1 image files can be read; the first is broken/a.jpg"),
    ],
    ids=["report", "worker"],
)
def test_bad_input_to_the_command_is_one_line_also_from_a_worker(tmp_path, options, message):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.jpg").write_bytes(b"x")
    result = subprocess.run(command("out", *options), cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"nst-lesson: {message}")
