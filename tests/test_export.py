"""ONNX files: the same picture as torch's at any size, metadata that say what goes in, one line where it cannot be."""

import json

import pytest
import torch

import nst_lesson as nst
from nst_lesson.cli import main as cli
from nst_lesson.networks.export import META, export_onnx

onnxruntime = pytest.importorskip("onnxruntime")
SIZES = [(85, 128), (64, 64), (97, 51), (130, 131), (17, 18)]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "wave.onnx"
    export_onnx(nst.load_model("wave"), path)
    return path


def test_it_paints_the_same_at_any_size(file):
    network, session = nst.load_model("wave"), onnxruntime.InferenceSession(file)
    for number, size in enumerate(SIZES):
        image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(number))
        (painted,) = session.run(None, {"image": image.numpy()})
        torch.testing.assert_close(torch.from_numpy(painted), nst.stylize(network, image), atol=1e-4, rtol=0)


def test_the_network_stays_as_it_was(tmp_path):
    network = nst.TransformationNetwork(0.1).train()
    export_onnx(network, tmp_path / "a.onnx")
    assert all(part.training for part in network.modules())


def test_the_file_says_what_goes_in_and_out(file):
    session = onnxruntime.InferenceSession(file)
    said = session.get_modelmeta().custom_metadata_map
    assert {name: said[name] for name in META} == META
    assert json.loads(said["settings"])["width"] == 0.5
    assert [x.name for x in (*session.get_inputs(), *session.get_outputs())] == list(META)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("any_style", "-o", "x.onnx"), "an any-style network cannot be exported"),
        (("nobody", "-o", "x.onnx"), "unknown model 'nobody'"),
        (("wave", "-o", "x.pt"), "end the name in .onnx"),
    ],
)
def test_what_cannot_be_exported_is_one_line(tmp_path, monkeypatch, capfd, arguments, part):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["export", *arguments]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert part in line and not list(tmp_path.iterdir())
