"""Networks from files: checkpoints, the files of pytorch/examples, headers that lie."""

import json
import re
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

import nst_lesson as nst
from nst_lesson.errors import LessonError

BATCH = {"network": "style", "settings": '{"width": 0.1, "normalization": "batch"}'}


def picture(height, width, seed=0):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


# ---- the checkpoint of a training


@pytest.mark.parametrize("any_style", [False, True], ids=["one style", "any style"])
def test_a_stopped_training_can_be_looked_at(tmp_path, any_style):
    torch.manual_seed(0)
    network = nst.AnyStyleNetwork(width=0.1) if any_style else nst.TransformationNetwork(0.1)

    def loss(painter, batch):
        return {"gray": (painter(batch) - 0.5).square().mean()}

    file = tmp_path / "checkpoint.safetensors"
    for step in nst.train(network, loss, nst.Photographs(size=32, crops=4), steps=9, batch_size=1, checkpoint=file):
        if step.index == 2:
            break
    again = nst.load_model(file)
    assert json.dumps(again.settings) == json.dumps(network.settings)
    wanted = network.state_dict()
    assert all(torch.equal(weight, wanted[name]) for name, weight in again.state_dict().items())
    assert not again.training and not any(p.requires_grad for p in again.parameters())


@pytest.mark.parametrize("name", ["wave", "any_style"])
def test_loading_draws_no_random_numbers(name):
    before = torch.get_rng_state()
    network = nst.load_model(name)
    assert torch.equal(torch.get_rng_state(), before)
    assert {weight.device.type for weight in network.state_dict().values()} == {"cpu"}


def test_a_network_in_use_does_not_hold_its_file(tmp_path):
    torch.manual_seed(0)
    save_file(nst.TransformationNetwork(0.1, "batch").state_dict(), tmp_path / "m.safetensors", metadata=BATCH)
    network = nst.load_model(tmp_path / "m.safetensors")
    before = network(picture(32, 32))
    (tmp_path / "m.safetensors").write_bytes(bytes((tmp_path / "m.safetensors").stat().st_size))
    assert torch.equal(network(picture(32, 32)), before)


# ---- pytorch/examples, fast_neural_style: an independent module of that form


class Conv(nn.Module):
    def __init__(self, before, after, kernel, stride=1, upsample=None):
        super().__init__()
        self.pad, self.upsample = kernel // 2, upsample
        self.conv2d = nn.Conv2d(before, after, kernel, stride)

    def forward(self, x):
        if self.upsample:
            x = F.interpolate(x, mode="nearest", scale_factor=self.upsample)
        return self.conv2d(F.pad(x, [self.pad] * 4, mode="reflect"))


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1, self.in1 = Conv(channels, channels, 3), nn.InstanceNorm2d(channels, affine=True)
        self.conv2, self.in2 = Conv(channels, channels, 3), nn.InstanceNorm2d(channels, affine=True)

    def forward(self, x):
        return x + self.in2(self.conv2(torch.relu(self.in1(self.conv1(x)))))


class TransformerNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.in1 = Conv(3, 32, 9), nn.InstanceNorm2d(32, affine=True)
        self.conv2, self.in2 = Conv(32, 64, 3, 2), nn.InstanceNorm2d(64, affine=True)
        self.conv3, self.in3 = Conv(64, 128, 3, 2), nn.InstanceNorm2d(128, affine=True)
        self.res1, self.res2, self.res3, self.res4, self.res5 = (Residual(128) for _ in range(5))
        self.deconv1, self.in4 = Conv(128, 64, 3, upsample=2), nn.InstanceNorm2d(64, affine=True)
        self.deconv2, self.in5 = Conv(64, 32, 3, upsample=2), nn.InstanceNorm2d(32, affine=True)
        self.deconv3 = Conv(32, 3, 9)

    def forward(self, x):
        for number in (1, 2, 3):
            x = torch.relu(getattr(self, f"in{number}")(getattr(self, f"conv{number}")(x)))
        for number in range(1, 6):
            x = getattr(self, f"res{number}")(x)
        x = torch.relu(self.in4(self.deconv1(x)))
        x = torch.relu(self.in5(self.deconv2(x)))
        return self.deconv3(x)


@pytest.fixture(scope="module")
def theirs():
    """Such a network with weights of seed 0, normalizations included, whose colors are spread beyond 0 to 255."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = TransformerNet().eval()
        for name, weight in network.named_parameters():
            if re.search(r"in\d\.", name):
                nn.init.normal_(weight, mean=float(name.endswith("weight")), std=0.3)
        nn.init.normal_(network.deconv3.conv2d.weight, std=2.0)
        nn.init.constant_(network.deconv3.conv2d.bias, 127)
    return network


def old_state(network):
    """The weights as files from before torch 0.4 have them: with statistics that nothing uses."""
    state = network.state_dict()
    norms = [name for name, module in network.named_modules() if isinstance(module, nn.InstanceNorm2d)]
    return state | {f"{name}.{kind}": torch.zeros(32) for name in norms for kind in ("running_mean", "running_var")}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize("size", [(64, 96), (16, 40)])
def test_a_file_of_pytorch_examples_paints_as_it_does_there(theirs, tmp_path, zipped, size):
    torch.save(old_state(theirs), tmp_path / "candy.pth", _use_new_zipfile_serialization=zipped)
    network = nst.load_model(tmp_path / "candy.pth")
    assert sum(weight.numel() for weight in network.parameters()) == 1_679_235
    photo = picture(*size)
    with torch.no_grad():
        wanted, painted = theirs(photo * 255), network(photo)
    assert (wanted < 0).any() and (wanted > 255).any()  # or nothing would be clamped
    torch.testing.assert_close(painted, wanted.clamp(0, 255) / 255, atol=1e-4, rtol=0)
    nst.save_model(network, tmp_path / "mine.safetensors")
    assert (nst.load_model(tmp_path / "mine.safetensors")(photo) - painted).abs().mean() < 1 / 255


def test_another_file_of_torch_is_one_line_and_runs_nothing(tmp_path):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    files = {"other.pth": {"a": torch.zeros(1)}, "evil.pth": {"a": Evil()}, "list.pth": [1], "cut.pth": None}
    for name, content in files.items():
        torch.save(content, tmp_path / name)
    (tmp_path / "cut.pth").write_bytes((tmp_path / "other.pth").read_bytes()[:700])
    for name in files:
        with pytest.raises(LessonError, match=f"{name} is not a model of this course: ") as caught:
            nst.load_model(tmp_path / name)
        said = str(caught.value)
        assert "\n" not in said and len(said) < 400 and "\\x1b" not in said and "weights_only" not in said
    assert not (tmp_path / "ran").exists()


# ---- headers that lie


def test_a_width_that_does_not_fit_is_one_line_and_takes_no_memory(tmp_path):
    widths = ("Infinity", "NaN", "-1", "40", "1e9", "1e300", '"wide"', "null", "[1]")
    weights = nst.TransformationNetwork(0.1).state_dict()
    for number, width in enumerate(widths):
        header = {"network": "style", "settings": f'{{"width": {width}}}'}
        save_file(weights, tmp_path / f"{number}.safetensors", metadata=header)
    code = (
        "import resource, sys, nst_lesson as nst\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for file in sys.argv[1:]:\n"
        "    try: nst.load_model(file)\n"
        "    except nst.LessonError as error: print(error)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    command = [sys.executable, "-c", code, *map(str, sorted(tmp_path.iterdir()))]
    *messages, megabytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(messages) == len(widths)
    assert all("safetensors is not a model of this course: " in message for message in messages)
    assert int(megabytes) < 200


@pytest.mark.parametrize(
    "header",
    [
        {"network": "nobody", "settings": "{}"},
        {"network": "style", "settings": "{"},
        {"network": "style", "settings": "[]"},
        {"network": "style", "settings": '{"depth": 3}'},
        {"network": "style", "settings": '{"output": "laser"}'},
        {"network": "style"},
        {"network": "any_style", "settings": '{"width": 0}'},
        {"width": "wide"},
        {"training": "{}"},
        {},
    ],
    ids=str,
)
def test_a_header_that_makes_no_sense_is_one_line(tmp_path, header):
    save_file(nst.TransformationNetwork(0.1).state_dict(), tmp_path / "m.safetensors", metadata=header)
    with pytest.raises(LessonError, match="m.safetensors is not a model of this course: .") as caught:
        nst.load_model(tmp_path / "m.safetensors")
    assert "\n" not in str(caught.value)
