"""The exercises of lesson 06: right answers in other styles pass, and each classic mistake is named."""

from __future__ import annotations

import math

import numpy
import pytest
import torch
import torch.nn.functional as F
from exercises import verdict

import nst_lesson as nst


def norm(x, weight, bias, eps=1e-5, over=(2, 3), correction=0, divisor=lambda v, eps: (v + eps).sqrt()):
    mean, variance = x.mean(over, keepdim=True), x.var(over, correction=correction, keepdim=True)
    return (x - mean) / divisor(variance, eps) * weight[:, None, None] + bias[:, None, None]


def norm_by_squares(x, weight, bias, eps=1e-5, middle=0):
    spread = (x.square().mean((2, 3), keepdim=True) + eps).sqrt()
    return (x - middle * x.mean((2, 3), keepdim=True)) / spread * weight[:, None, None] + bias[:, None, None]


def norm_in_loops(x, weight, bias, eps=1e-5):
    """In float64, one channel of one picture after the other."""
    rows = []
    for picture in x.double():
        for channel, w, b in zip(picture, weight, bias, strict=True):
            spread = (channel.square().mean() - channel.mean() ** 2 + eps) ** 0.5
            rows.append((channel - channel.mean()) * w / spread + b)
    return torch.stack(rows).view(x.shape)


def norm_in_place(x, weight, bias, eps=1e-5):
    x -= x.mean((2, 3), keepdim=True)
    return norm(x, weight, bias, eps)


def norm_of_constants(x, weight, bias, eps=1e-5):
    mean = x.mean((2, 3), keepdim=True).detach()
    variance = x.var((2, 3), correction=0, keepdim=True).detach()
    return (x - mean) / (variance + eps).sqrt() * weight[:, None, None] + bias[:, None, None]


def up(x, weight, bias, mode="nearest", padding="reflect", margin=None):
    margin = weight.shape[-1] // 2 if margin is None else margin
    return F.conv2d(F.pad(F.interpolate(x, scale_factor=2, mode=mode), [margin] * 4, padding), weight, bias)


def up_by_layers(x, weight, bias):
    side = weight.shape[-1]
    layer = torch.nn.Conv2d(3, 4, side, padding=side // 2, padding_mode="reflect")
    return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, torch.nn.Upsample(scale_factor=2)(x))


def up_in_double(x, weight, bias):
    large = x.double().repeat_interleave(2, 2).repeat_interleave(2, 3)
    large = F.pad(large, [weight.shape[-1] // 2] * 4, "reflect")
    return F.conv2d(large, weight.double()) + bias.double().view(1, -1, 1, 1)


def transposed(x, weight, bias, **output):
    return F.conv_transpose2d(x, weight.transpose(0, 1), bias, 2, weight.shape[-1] // 2, **output)


def convolved_before(x, weight, bias):
    return F.interpolate(F.conv2d(F.pad(x, [weight.shape[-1] // 2] * 4, "reflect"), weight, bias), scale_factor=2)


def padded_before(x, weight, bias, margin=None):
    margin = weight.shape[-1] // 2 if margin is None else margin
    return F.conv2d(F.interpolate(F.pad(x, [margin] * 4, "reflect"), scale_factor=2), weight, bias)


def padded_twice(x, weight, bias):
    margin = weight.shape[-1] // 2
    large = F.pad(F.interpolate(x, scale_factor=2), [margin] * 4, "reflect")
    return F.conv2d(large, weight, bias, padding=margin)


def up_in_place(x, weight, bias):
    x.clamp_(0.2, 0.8)
    return up(x, weight, bias)


def block(x, first, second):
    return x + second(torch.relu(first(x)))


def block_by_layers(x, first, second):
    correction = first(x)
    correction.relu_()  # in place, and on a tensor of its own
    return torch.add(second(correction), x)


def block_in_place(x, first, second):
    x += second(torch.relu(first(x)))
    return x


def terms(network, photographs, vgg, grams, target=None, mix=False, layer="relu3_3"):
    """The content of a batch, and the style of each layer, both summed over the batch."""
    painted = network(photographs)
    mine = vgg(painted, [layer, *grams])
    theirs = vgg(photographs if target is None else target(painted), [layer])
    if mix:
        mine |= {k: f.permute(1, 0, 2, 3).flatten(1)[None, :, :, None] for k, f in mine.items() if k != layer}
    content = nst.content_loss(mine[layer], theirs[layer])
    return content, torch.stack([nst.style_loss(nst.gram_matrix(mine[k]), g) for k, g in grams.items()])


def combined(combine, **options):
    """An answer that combines content and the styles of all layers, both summed over the photographs; n of these."""
    return lambda *a: combine(*terms(*a, **options), len(a[1]))


def one_by_one(network, photographs, vgg, grams):
    """Picture by picture, with the formulas written out in float64."""
    total = 0.0
    for photograph in photographs.split(1):
        mine = vgg(network(photograph), [*grams, "relu3_3"])
        f, p = mine["relu3_3"].double(), vgg(photograph, ["relu3_3"])["relu3_3"].double()
        total += (f - p).norm() ** 2 / p.norm() ** 2
        for name, gram in grams.items():
            features = mine[name][0].flatten(1)
            difference = (features @ features.T / features.shape[1] - gram[0]).norm()
            total += 10 * (difference / gram.norm()) ** 2 / len(grams)
    return total / len(photographs)


def asking_by_name(network, photographs, vgg, grams):
    """One layer at a time, each asked for by its name alone."""
    painted = network(photographs)
    content = nst.content_loss(vgg(painted, "relu3_3")["relu3_3"], vgg(photographs, "relu3_3")["relu3_3"])
    styles = [nst.style_loss(nst.gram_matrix(vgg(painted, k)[k]), gram) for k, gram in grams.items()]
    return right_loss(content, torch.stack(styles), len(photographs))


def by_order(network, photographs, vgg, grams):
    content, *styles = vgg(network(photographs), ["relu3_3", *grams]).values()
    target = vgg(photographs, ["relu3_3"])["relu3_3"]
    terms = [nst.style_loss(nst.gram_matrix(f), g) for f, g in zip(styles, grams.values(), strict=True)]
    return right_loss(nst.content_loss(content, target), torch.stack(terms), len(photographs))


def styles_by_order(network, photographs, vgg, grams):
    content, _ = terms(network, photographs, vgg, grams)
    found = vgg(network(photographs), list(grams)).values()
    styles = [nst.style_loss(nst.gram_matrix(f), g) for f, g in zip(found, grams.values(), strict=True)]
    return right_loss(content, torch.stack(styles), len(photographs))


def with_all_layers(network, photographs, vgg, grams):
    mine = vgg(network(photographs), ["relu3_3", *grams])
    return sum(nst.style_loss(nst.gram_matrix(features), grams[name]) for name, features in mine.items())


def with_smoothness(network, *a, weight=5, count=1):
    return combined(right_loss)(network, *a) + weight * nst.total_variation(network(a[0])) / count


def padded_at_two_sides(x, weight, bias):
    margin = weight.shape[-1] // 2
    return F.conv2d(F.pad(F.interpolate(x, scale_factor=2), (margin, 0, margin, 0), mode="reflect"), weight, bias)


def tiled(x, weight, bias):
    return F.conv2d(F.pad(x.repeat(1, 1, 2, 2), [weight.shape[-1] // 2] * 4, mode="reflect"), weight, bias)


def style_turned_around(network, photographs, vgg, grams):
    mine, theirs = vgg(network(photographs), ["relu3_3", *grams]), vgg(photographs, ["relu3_3"])
    style = sum(
        nst.style_loss(gram.expand(len(photographs), -1, -1), nst.gram_matrix(mine[k])) for k, gram in grams.items()
    )
    return (nst.content_loss(mine["relu3_3"], theirs["relu3_3"]) + 10 * style / len(grams)) / len(photographs)


def without_content_layer(network, photographs, vgg, grams):
    mine, theirs = vgg(network(photographs), list(grams)), vgg(photographs, ["relu3_3"])
    return nst.content_loss(mine["relu3_3"], theirs["relu3_3"])


def turned_around(network, photographs, vgg, grams):
    mine, theirs = vgg(network(photographs), ["relu3_3"])["relu3_3"], vgg(photographs, ["relu3_3"])["relu3_3"]
    style = terms(network, photographs, vgg, grams)[1].mean()
    return (nst.content_loss(theirs, mine) + 10 * style) / len(photographs)


def style_of_the_photographs(network, *a):
    return (terms(network, *a)[0] + 10 * terms(lambda x: x, *a)[1].mean()) / len(a[0])


def network_without_gradient(network, photographs, vgg, grams):
    with torch.no_grad():
        painted = network(photographs)
    content, styles = terms(lambda _: painted.requires_grad_(), photographs, vgg, grams)
    return (content + 10 * styles.mean()) / len(photographs)


def goes_backward(*a):
    loss = combined(right_loss)(*a)
    loss.backward(retain_graph=True)
    return loss


def right_loss(content, styles, n):
    return (content + 10 * styles.mean()) / n


def restarting(step, place, batch, n, batches=lambda n, batch: math.ceil(n / batch)):
    epoch, index = divmod(step - 1, batches(n, batch))
    return epoch, index * batch + place


def counted(step, place, batch, n):
    """One sample after the other; as numpy's numbers."""
    epoch = position = 0
    for _ in range((step - 1) * batch + place):
        position += 1
        if position == n:
            epoch, position = epoch + 1, 0
    return [numpy.int64(epoch), numpy.int64(position)]


RIGHT = [
    ("instance_norm", norm),
    ("instance_norm", norm_in_loops),
    ("instance_norm", lambda x, w, b, eps=1e-5: F.instance_norm(x, weight=w, bias=b, eps=eps)),
    ("residual_block", block),
    ("residual_block", block_by_layers),
    ("resize_convolution", up),
    ("resize_convolution", up_by_layers),
    ("resize_convolution", up_in_double),
    ("fast_loss", one_by_one),
    ("fast_loss", asking_by_name),
    ("fast_loss", combined(right_loss)),  # the target with its graph, which leads nowhere
    ("draw_of", counted),
    ("draw_of", lambda step, place, batch, n: divmod(batch * step - batch + place, n)),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_another_style_of_answer_is_right(name, answer):
    assert verdict(getattr(nst.check, name), answer) == f"{name}: correct"


WRONG = [
    ("instance_norm", lambda *a: norm(*a, over=(0, 2, 3)), "batch normalization"),
    ("instance_norm", lambda *a: norm(*a, over=(1, 2, 3)), "layer normalization"),
    ("instance_norm", lambda *a: norm(*a, over=(0, 1, 2, 3)), "over everything"),
    ("instance_norm", lambda *a: norm(*a, over=(3,)), "each row"),
    ("instance_norm", lambda *a: norm(*a, correction=1), "unbiased variance"),
    ("instance_norm", lambda *a: norm(*a, divisor=lambda v, eps: v + eps), "divides by the variance"),
    ("instance_norm", lambda *a: norm(*a, divisor=lambda v, eps: v.sqrt()), "gives NaN"),
    ("instance_norm", lambda *a: norm(*a, divisor=lambda v, eps: v.sqrt() + eps), "adds eps to the deviation"),
    ("instance_norm", lambda *a: norm(*a, divisor=lambda v, eps: (v + 1e-5).sqrt()), "ignores the eps"),
    ("instance_norm", lambda *a: norm(*a, divisor=lambda v, eps: v.clamp_min(eps).sqrt()), "add them"),
    ("instance_norm", lambda x, w, b, eps=1e-5: norm(x, w * 0 + 1, b * 0, eps), "affine part is missing"),
    ("instance_norm", lambda x, w, b, eps=1e-5: norm(x, w * 0 + 1, b, eps), "forgets the weight"),
    ("instance_norm", lambda x, w, b, eps=1e-5: norm(x, w, b * 0, eps), "forgets the bias"),
    ("instance_norm", lambda x, w, b, eps=1e-5: norm(x, b, w, eps), "weight and bias are exchanged"),
    ("instance_norm", norm_by_squares, "subtract the mean before you square"),
    ("instance_norm", lambda *a: norm_by_squares(*a, middle=1), "subtract the mean before you square"),
    ("instance_norm", norm_in_place, "modifies its input"),
    ("instance_norm", lambda *a: norm(*a).detach(), "detaches the graph"),
    ("instance_norm", norm_of_constants, "do not detach them"),
    ("instance_norm", lambda x, w, b, eps=1e-5: norm(x, w.detach(), b.detach(), eps), "reaches weight and bias"),
    ("instance_norm", lambda *a: norm(*a).flatten(1), "returns the shape"),
    ("residual_block", lambda x, f, g: g(f(x).relu()), "leaves out x"),
    ("residual_block", lambda x, f, g: x + g(f(x)), "leaves out the ReLU"),
    ("residual_block", lambda x, f, g: x + g(f(x)).relu(), "only ReLU after the second layer"),
    ("residual_block", lambda x, f, g: block(x, f, lambda y: g(y).relu()), "must be able to subtract"),
    ("residual_block", lambda *a: block(*a).relu(), "after the sum"),
    ("residual_block", lambda x, f, g: x + g(f(x.relu())), "before the first layer"),
    ("residual_block", lambda x, f, g: x.relu() + g(f(x).relu()), "the ReLU of x"),
    ("residual_block", lambda x, f, g: f(x).relu() + g(f(x).relu()), "what the first layer made"),
    ("residual_block", lambda x, f, g: g(x + f(x).relu()), "before the second layer"),
    ("residual_block", lambda x, f, g: block(x, f, f), "first layer twice"),
    ("residual_block", lambda x, f, g: block(x, g, g), "second layer twice"),
    ("residual_block", lambda x, f, g: block(x, g, f), "exchanged"),
    ("residual_block", lambda x, f, g: x * g(f(x).relu()), "it multiplies"),
    ("residual_block", lambda x, f, g: block(x, f, g) / 2, "the mean of the two"),
    ("residual_block", lambda x, f, g: 3 * block(x, f, g), "not x + second(ReLU(first(x)))"),
    ("residual_block", lambda x, f, g: block(x, f, g)[:1], "returns the shape"),
    ("residual_block", block_in_place, "modifies its input"),
    ("residual_block", lambda x, f, g: x.detach() + g(f(x).relu()), "a part of it is detached"),
    ("residual_block", lambda x, f, g: x + g(f(x).relu()).detach(), "reaches the input or the layers"),
    ("resize_convolution", lambda *a: up(*a, mode="bilinear"), "bilinearly"),
    ("resize_convolution", lambda *a: up(*a, padding="constant"), "pads with zeros"),
    ("resize_convolution", lambda *a: up(*a, padding="replicate"), "repeats the border"),
    ("resize_convolution", lambda *a: transposed(*a, output_padding=1), "draws a checkerboard"),
    ("resize_convolution", transposed, "its size is that of a transposed convolution"),
    ("resize_convolution", convolved_before, "convolves before it upsamples"),
    ("resize_convolution", padded_before, "pads before it upsamples, which doubles"),
    ("resize_convolution", lambda *a: padded_before(*a, margin=1), "pads before it upsamples: the border"),
    ("resize_convolution", padded_twice, "it pads twice as far"),
    ("fast_loss", styles_by_order, "is each layer taken by its name"),
    ("resize_convolution", lambda *a: up(*a)[:, :, ::2, ::2], "leave its stride at 1"),
    ("resize_convolution", lambda *a: up(*a) + 1, "its nearest pixels and then padded"),
    ("resize_convolution", lambda x, w, b: F.pad(x, (2, 2), mode="reflect"), "four numbers here: left, right, top"),
    ("resize_convolution", lambda *a: up(*a, margin=1), "it pads too little: k // 2 on each"),
    ("resize_convolution", padded_at_two_sides, "it pads too little: k // 2 on each"),
    ("resize_convolution", lambda *a: up(*a, margin=0), "does not pad, or not on all four sides"),
    ("resize_convolution", tiled, "tiles four copies"),
    ("resize_convolution", lambda x, w, b: F.conv2d(x, w, b, padding="same"), "does not upsample"),
    ("resize_convolution", lambda x, w, b: up(x, w, None), "forgets the bias"),
    ("resize_convolution", up_in_place, "modifies its input"),
    ("resize_convolution", lambda *a: up(*a).detach(), "detaches the graph"),
    ("resize_convolution", lambda x, w, b: up(x, w.detach(), b), "reaches weight and bias"),
    ("fast_loss", combined(right_loss, target=lambda p: p), "not the network's own output"),
    ("fast_loss", combined(lambda c, s, n: 10 * s.mean() / n), "missing or zero"),
    ("fast_loss", combined(lambda c, s, n: c / n), "style term is missing"),
    ("fast_loss", combined(lambda c, s, n: c + 10 * s.mean()), "sums over the batch"),
    ("fast_loss", combined(lambda c, s, n: c / n + 10 * s.mean()), "sums style over the batch"),
    ("fast_loss", combined(lambda c, s, n: c + 10 * s.mean() / n), "sums content over the batch"),
    ("fast_loss", combined(lambda c, s, n: (c + 10 * s.sum()) / n), "sums over the style layers"),
    ("fast_loss", combined(lambda c, s, n: c + 10 * s.sum()), "style layers and over the batch"),
    ("fast_loss", combined(lambda c, s, n: (c + 10 * s.sum() / 4) / n), "divides style by 4: there are 3 layers"),
    ("fast_loss", combined(lambda c, s, n: (c + 10 * s.sum() / 5) / n), "divides style by 5: there are 4 layers"),
    ("fast_loss", combined(lambda c, s, n: (c + 10 * s.mean()) / 4), "divides by 4: there are 3 photographs"),
    ("fast_loss", combined(lambda c, s, n: (c + 10 * s.mean()) / 3), "divides by 3: there are 2 photographs"),
    ("fast_loss", combined(lambda c, s, n: c / n + 10 * s.mean(), mix=True), "side by side"),
    ("fast_loss", combined(right_loss, mix=True), "then it divides"),
    ("fast_loss", combined(right_loss, layer="relu4_2"), "content at relu4_2: relu3_3 is asked for"),
    ("fast_loss", combined(right_loss, layer="relu3_1"), "content at relu3_1: relu3_3 is asked for"),
    ("fast_loss", combined(lambda c, s, n: (c + 20 * s.mean()) / n), "weight is 20, as in lesson 04: here it is 10"),
    ("fast_loss", with_smoothness, "adds smoothness"),
    ("fast_loss", lambda *a: with_smoothness(*a, weight=20, count=len(a[1])), "adds smoothness"),
    ("fast_loss", combined(lambda c, s, n: (c + s.mean()) / n), "forgets the style weight"),
    ("fast_loss", combined(lambda c, s, n: (10 * c + s.mean()) / n), "weights are exchanged"),
    ("fast_loss", turned_around, "divides by the energy of the target"),
    ("fast_loss", style_turned_around, "the second argument: that is the painting's"),
    ("fast_loss", without_content_layer, "'relu3_3', which it has not asked vgg in that call"),
    ("fast_loss", style_of_the_photographs, "takes style from the photographs"),
    ("fast_loss", network_without_gradient, "reaches the network's weights"),
    ("fast_loss", torch.no_grad()(one_by_one), "reaches the network's weights"),
    ("fast_loss", combined(lambda c, s, n: right_loss(c.detach(), s, n)), "its content term gives the network no"),
    ("fast_loss", combined(lambda c, s, n: right_loss(c, s.detach(), n)), "its style term gives the network no"),
    ("fast_loss", goes_backward, "it calls backward()"),
    ("fast_loss", lambda *a: one_by_one(*a).item(), "returns a float"),
    ("fast_loss", lambda n, p, v, g: one_by_one(torch.nn.Identity(), p, v, g), "never calls the network"),
    ("fast_loss", lambda n, p, v, g: v(n(p), g)["relu3_3"].sum(), "looks for the layer 'relu3_3'"),
    ("fast_loss", by_order, "is each layer taken by its name"),
    ("fast_loss", with_all_layers, "grams has no 'relu3_3'"),
    ("fast_loss", combined(lambda c, s, n: (c + 10 * s.mean()) / n + 1), "both relative, each the mean"),
    ("fast_loss", lambda n, p, v, g: v(p, ["relu9_9"]), ": unknown layer 'relu9_9'"),
    ("draw_of", lambda s, p, b, n: divmod(s * b + p, n), "counts steps from 0"),
    ("draw_of", lambda s, p, b, n: divmod((s - 1) * b + p - 1, n), "counts places from 1"),
    ("draw_of", lambda s, p, b, n: divmod((s - 1) * b, n), "forgets the place"),
    ("draw_of", lambda s, p, b, n: (((s - 1) * b + p) // n, (s - 1) * b + p), "runs on"),
    ("draw_of", lambda s, p, b, n: (((s - 1) * b + p) // n + 1, ((s - 1) * b + p) % n), "counts epochs from 1"),
    ("draw_of", lambda s, p, b, n: divmod((s - 1) * b + p, n)[::-1], "exchanged"),
    ("draw_of", lambda s, p, b, n: ((s - 1) * b // n, ((s - 1) * b + p) % n), "has an epoch of its own"),
    ("draw_of", restarting, "reaches over the end goes on"),
    ("draw_of", lambda *a: (restarting(*a)[0], restarting(*a)[1] % a[3]), "wraps its last batch around"),
    ("draw_of", lambda *a: restarting(*a, batches=lambda n, b: max(1, n // b)), "no photograph is left out"),
    ("draw_of", lambda s, p, b, n: (((s - 1) * b + p) / n, ((s - 1) * b + p) % n), "// instead of /"),
    ("draw_of", lambda s, p, b, n: ((s - 1) * b + p) % n, "a pair (epoch, position) is expected"),
    ("draw_of", lambda s, p, b, n: divmod((s - 1) * min(b, n) + p, n), "it is number 9"),
]


@pytest.mark.parametrize(("name", "answer", "reason"), WRONG)
def test_a_wrong_answer_is_named(name, answer, reason):
    line = verdict(getattr(nst.check, name), answer)
    assert line.startswith(f"{name}: not yet") and reason in line
