"""The convolution of doubled features: the same values and gradients as doubling first, for less arithmetic."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nst_lesson.networks.upsampling import upsampling


@pytest.mark.parametrize("shape", [(2, 3, 5, 8), (1, 3, 1, 1), (1, 3, 4, 1)])
def test_it_is_the_reflected_convolution_of_the_doubled_features(shape):
    torch.manual_seed(0)
    ours = nn.Sequential(*upsampling(3, 4)).double()
    plain = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")).double()
    plain.load_state_dict(ours.state_dict())  # the same names, so that files of either fit the other
    x = torch.rand(shape, dtype=torch.float64, requires_grad=True)
    results = [network(x) for network in (ours, plain)]
    torch.testing.assert_close(*results)
    probe = torch.rand_like(results[0])
    gradients = [
        torch.autograd.grad((result * probe).sum(), (x, *network.parameters()))
        for result, network in zip(results, (ours, plain), strict=True)
    ]
    torch.testing.assert_close(*gradients)


def test_it_keeps_channels_last_in_memory():
    x = torch.rand(1, 3, 6, 7).to(memory_format=torch.channels_last)
    assert nn.Sequential(*upsampling(3, 4))(x).is_contiguous(memory_format=torch.channels_last)
