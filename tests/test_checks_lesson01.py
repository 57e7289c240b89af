"""The exercises of lesson 01: right answers in other styles pass, and each classic mistake is named."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from exercises import verdict

import nst_lesson as nst


def judge(x, *, least=-3, most=100, none=lambda x: x.min() >= 0):
    """The rule with a place for each mistake."""
    if x.max() > most:
        return "0 to 255"
    if x.min() < least:
        return "twice"
    return "forgotten" if none(x) else "right"


BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))


def pool(field, jump):
    return field + jump, 2 * jump


def table(size, *, blocks=BLOCKS, pool=pool, side=lambda size, jump: size // jump, n=lambda before, m: before,
          parameters=lambda n, m, s: 9 * n * m + m, cost=lambda n, m, s: 9 * n * m * s * s,
          grow=2, start=1):  # fmt: skip
    """VGG-19's table with a place for each mistake."""
    rows, before, field, jump, halvings = {}, 3, start, 1, 1
    for block, (count, m) in enumerate(blocks, 1):
        for i in range(1, count + 1):
            field += grow * jump
            s, channels = side(size, halvings), n(before, m)
            rows[f"conv{block}_{i}"] = m, s, parameters(channels, m, s), cost(channels, m, s), field
            before = m
        (field, jump), halvings = pool(field, jump), 2 * halvings
    return rows


def pooled_early(size):
    """Each pooling's window is in the field of the last convolution before it already."""
    rows = table(size)
    for block, (count, _) in enumerate(BLOCKS, 1):
        name = f"conv{block}_{count}"
        rows[name] = (*rows[name][:-1], rows[name][-1] + 2 ** (block - 1))
    return rows


def without(rows, layer):
    return {name: row for name, row in rows.items() if name != layer}


def pixels(layers, position, *, off=1, padding=lambda p, jump: p * jump, early=False, start=1):
    """The recurrence with a place for each mistake."""
    field, jump, first = start, 1, 0
    for kernel, stride, p in layers:
        new = jump * stride
        field += (kernel - off) * (new if early else jump)
        first -= padding(p, new if early else jump)
        jump = new
    return first + position * jump, first + position * jump + field - 1


def emptied(layers, position):
    result = pixels(layers, position)
    layers.clear()
    return result


def centered(layers, position):
    """As if every padding kept the field around its position."""
    first, last = pixels(layers, position, padding=lambda p, jump: 0)
    jump, field = math.prod(s for _, s, _ in layers), last - first + 1
    return first - (field - jump) / 2, first - (field - jump) / 2 + field - 1


def walked(network, x, wanted, *, keep=lambda before, after: after.clone(), stop=True, deepest=max):
    found = {}
    for index, module in enumerate(network):
        before, x = x, module(x)
        if index in wanted:
            found[index] = keep(before, x)
        if stop and index == deepest(wanted):
            break
    return found


def stopped_before(network, x, wanted):
    found = {}
    for index, module in enumerate(network):
        if index >= max(wanted):
            break
        x = module(x)
        if index in wanted:
            found[index] = x.clone()
    return found


def later_outputs(network, x, wanted):
    outputs = walked(network, x, range(len(network)), stop=False)
    return {index: outputs[index + 1] for index in wanted}


def out_of_place(network, x, wanted):
    for module in network:
        if isinstance(module, torch.nn.ReLU):
            module.inplace = False
    return walked(network, x, wanted, keep=lambda before, after: after)


def hooked(network, x, wanted):
    found = {}
    for i in wanted:
        network[i].register_forward_hook(lambda module, _, output, i=i: found.update({i: output.clone()}))
    network[: max(wanted) + 1](x)
    return found


def unhooked(network, x, wanted):
    found = hooked(network, x, wanted)
    for module in network:
        module._forward_hooks.clear()
    return found


def by_deviation(x):
    """Thresholds copied from one photograph's printed numbers."""
    deviation = x.std()
    return (
        "forgotten" if deviation < 0.35 else "right" if deviation < 1.5 else "twice" if deviation < 10 else "0 to 255"
    )


def switched(network, x, wanted):
    return walked(network.eval(), x, wanted)


def sorting(network, x, wanted):
    wanted.sort()
    return walked(network, x, wanted)


# Right answers in another style: float64, another order of the sums, plain numbers of other types.
RIGHT = [
    ("name_the_mistake", lambda x: judge(x, least=-2.2, most=20)),
    ("name_the_mistake", lambda x: "0 to 255" if x.mean() > 50 else judge(x, none=lambda x: not (x < 0).any())),
    ("vgg_table", lambda size: {k: [float(v) for v in row] for k, row in reversed(table(size).items())}),
    ("vgg_table", lambda size: {k: tuple(np.int64(v) for v in row) for k, row in table(size).items()}),
    ("pixels_seen", lambda layers, i: torch.tensor(pixels(layers, i))),
    ("pixels_seen", lambda layers, i: [float(v) for v in pixels(layers, i)]),
    ("features_at", lambda n, x, wanted: {i: n[: i + 1](x) for i in wanted}),
    ("features_at", lambda n, x, wanted: out_of_place(copy.deepcopy(n), x, wanted)),
    ("features_at", unhooked),
]  # fmt: skip


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_a_right_answer_in_another_style_passes(name, answer):
    assert verdict(getattr(nst.check, name), answer) == f"{name}: correct"


def never_chained(network, x, wanted):
    found = {}
    for index, layer in enumerate(network):
        y = layer(x)
        if index in wanted:
            found[index] = y.clone()
        if index == max(wanted):
            return found


def freezing(network, x, wanted):
    network.requires_grad_(False)
    return walked(network, x, wanted)


def cloned_at_the_end(network, x, wanted):
    return {index: y.clone() for index, y in walked(network, x, wanted, keep=lambda before, after: after).items()}


def named_by(least=lambda x: x.min() < 0, twice=lambda x: x.min() < -3):
    def answer(x):
        if x.max() > 100:
            return "0 to 255"
        return "twice" if twice(x) else "right" if least(x) else "forgotten"

    return answer


WRONG = [
    ("name_the_mistake", named_by(least=lambda x: x.min() <= 0), "0 itself may be one"),
    ("name_the_mistake", named_by(least=lambda x: x.max() - x.min() > 1), "look at the smallest"),
    ("name_the_mistake", by_deviation, "a night photograph"),
    ("vgg_table", lambda size: table(size, side=lambda size, j: round(size / j)), "at size 108: a pooling rounds down"),
    ("features_at", switched, "to eval mode"),
    ("features_at", sorting, "modifies the list of wanted layers"),
    ("name_the_mistake", lambda x: "right", "an ordinary photograph, not normalized, ranges from 0.0 to"),
    ("name_the_mistake", lambda x: judge(x, none=lambda x: x.max() <= 1), "a dark photograph, normalized, ranges"),
    ("name_the_mistake", lambda x: judge(x, none=lambda x: x.max() <= 1), "has no value below 0"),
    ("name_the_mistake", lambda x: judge(x, most=800), "only values up to 255 reach the hundreds"),
    ("name_the_mistake", lambda x: judge(x, most=5), "normalized twice, ranges"),
    ("name_the_mistake", lambda x: judge(x, least=-9), "a bright photograph, normalized twice, ranges"),
    ("name_the_mistake", lambda x: judge(x, least=-1), "no picture goes below (0 - 0.485) / 0.229 = -2.1"),
    (
        "name_the_mistake",
        lambda x: "twice" if x.max() > 3 and x.max() < 100 else judge(x, least=-99),
        "look at the smal",
    ),
    ("name_the_mistake", lambda x: judge(x).upper(), "it returns 'RIGHT': return one of 'right', 'forgotten'"),
    ("name_the_mistake", lambda x: x.min() < 0, "return one of"),
    ("name_the_mistake", lambda x: judge(x.sub_(1)), "modifies its input"),
    ("vgg_table", lambda size: list(table(size).values()), "returns a list"),
    (
        "vgg_table",
        lambda size: table(size, blocks=((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))),
        "the convolutions of VGG-16",
    ),
    ("vgg_table", lambda size: without(table(size), "conv3_2"), "there is no 'conv3_2'"),
    ("vgg_table", lambda size: table(size) | {"pool5": (512, 7, 0, 0, 268)}, "no convolution 'pool5'"),
    ("vgg_table", lambda size: {k: row[:3] for k, row in table(size).items()}, "conv1_1 needs 5 numbers"),
    ("vgg_table", lambda size: table(size, blocks=(*BLOCKS[:4], (4, 1024))), "channels of conv5_1 at size 224: the ch"),
    (
        "vgg_table",
        lambda size: table(size, side=lambda size, j: size / j),
        "side of conv4_1 at size 100: a pooling takes",
    ),
    ("vgg_table", lambda size: table(size, side=lambda size, j: -(-size // j)), "at size 100: a pooling rounds down"),
    ("vgg_table", lambda size: table(size, side=lambda size, j: size // (2 * j)), "halves once too often"),
    ("vgg_table", lambda size: table(size, side=lambda size, j: size), "does not halve often enough"),
    (
        "vgg_table",
        lambda size: table(size, n=lambda before, m: m),
        "conv1_1 gets the three colors; your number is that of 64 channels in",
    ),
    (
        "vgg_table",
        lambda size: table(size, n=lambda before, m: 3 if before == 3 else m),
        "conv2_1 gets the 64 channels of the layer before; your number is that of 128",
    ),
    ("vgg_table", lambda size: table(size, parameters=lambda n, m, s: 9 * n * m), "forgets the biases"),
    ("vgg_table", lambda size: table(size, parameters=lambda n, m, s: 9 * n * m + n), "bias per input channel"),
    ("vgg_table", lambda size: table(size, parameters=lambda n, m, s: 9 * n * m + 1), "a single bias"),
    ("vgg_table", lambda size: table(size, parameters=lambda n, m, s: 3 * n * m + m), "3 positions per window"),
    ("vgg_table", lambda size: table(size, parameters=lambda n, m, s: 9 * m + m), "it forgets the input channels, or"),
    ("vgg_table", lambda size: table(size, parameters=lambda n, m, s: (9 * n + 1) * m * s * s), "serve everywhere"),
    ("vgg_table", lambda size: table(size, cost=lambda n, m, s: 9 * n * m), "forgets the positions"),
    ("vgg_table", lambda size: table(size, cost=lambda n, m, s: 18 * n * m * s * s), "counts flops"),
    ("vgg_table", lambda size: table(size, cost=lambda n, m, s: (9 * n + 1) * m * s * s), "counts the biases"),
    ("vgg_table", lambda size: table(size, cost=lambda n, m, s: 9 * n * m * s), "by one side only"),
    (
        "vgg_table",
        lambda size: table(size, cost=lambda n, m, s: 9 * m * s * s),
        "multiply_adds of conv1_1 at size 224: it f",
    ),
    ("vgg_table", lambda size: table(size, cost=lambda n, m, s: 7), "7 where 86,704,128 is right"),
    ("vgg_table", lambda size: table(size, pool=lambda field, jump: (field, 2 * jump)), "forgets the poolings"),
    (
        "vgg_table",
        lambda size: table(size, pool=lambda field, jump: (field + 2 * jump, 2 * jump)),
        "a pooling adds one jump, that before it",
    ),
    (
        "vgg_table",
        lambda size: table(size, pool=lambda field, jump: (field + jump, jump)),
        "jump does not grow, or is not added",
    ),
    ("vgg_table", lambda size: table(size, pool=lambda field, jump: (field, jump)), "windows are forgotten"),
    ("vgg_table", lambda size: table(size, grow=3), "field of conv1_1 at size 224: it adds 3 jumps"),
    ("vgg_table", lambda size: table(size, start=0), "starts from 0"),
    ("vgg_table", lambda size: table(size, grow=1), "or adds 1 jump per convolution"),
    ("vgg_table", pooled_early, "field of conv1_2 at size 224: it adds a block's pooling before"),
    ("name_the_mistake", lambda x: judge(x, least=-7), "a pale photograph, normalized twice"),
    ("pixels_seen", lambda layers, i: pixels(layers, i, padding=lambda p, jump: 0), "leaves out the padding"),
    ("pixels_seen", lambda layers, i: pixels(layers, i, padding=lambda p, jump: p), "counts the padding in pixels"),
    ("pixels_seen", lambda layers, i: pixels(layers, i, padding=lambda p, jump: -p * jump), "to the wrong side"),
    ("pixels_seen", lambda layers, i: (max(pixels(layers, i)[0], 0), pixels(layers, i)[1]), "it cuts off at 0"),
    ("pixels_seen", lambda layers, i: (pixels(layers, i)[0], pixels(layers, i)[1] + 1), "one too far"),
    ("pixels_seen", lambda layers, i: pixels(layers, i)[::-1], "the two are swapped"),
    ("pixels_seen", lambda layers, i: (pixels(layers, i)[0], 1 - pixels(layers, i)[0] + pixels(layers, i)[1]), "width"),
    ("pixels_seen", lambda layers, i: pixels(layers, i, start=0), "starts from a field of 0"),
    ("pixels_seen", lambda layers, i: pixels(layers, i, early=True), "updates the jump first"),
    ("pixels_seen", lambda layers, i: pixels([(k, 1, p) for k, _, p in layers], i), "it ignores the strides"),
    ("pixels_seen", lambda layers, i: pixels(layers[::-1], i), "in the wrong order"),
    ("pixels_seen", centered, "that needs VGG's padding"),
    ("pixels_seen", lambda layers, i: pixels(layers, 0), "(layers [(7, 2, 3), (3, 2, 0), (5, 1, 1), (2, 3, 1)"),
    ("pixels_seen", lambda layers, i: pixels(layers, i)[0], "return two numbers"),
    ("pixels_seen", lambda layers, i: (0, 1000), "0, 1000 where"),
    ("pixels_seen", emptied, "modifies its input"),
    ("features_at", lambda *a: walked(*a, keep=lambda before, after: after), "overwritten its output"),
    ("features_at", lambda *a: walked(*a, keep=lambda before, after: before.clone()), "what goes into layer"),
    ("features_at", later_outputs, "the output of the layer after"),
    (
        "features_at",
        lambda *a: walked(*a, deepest=lambda wanted: wanted[-1]),
        "wanted is not sorted: of [2, 1] it gives [1]",
    ),
    ("features_at", stopped_before, "of [1, 2] it gives [1]: layer 2, the deepest one wanted, has to run"),
    ("features_at", out_of_place, "switches inplace off"),
    ("features_at", hooked, "leaves its hooks"),
    ("features_at", lambda *a: walked(*a, stop=False), "runs on after layer 2"),
    ("features_at", never_chained, "it runs only the layers that are wanted"),
    ("features_at", freezing, "it freezes weights"),
    ("features_at", cloned_at_the_end, "clone it at once"),
    ("features_at", lambda *a: list(walked(*a).values()), "returns a list"),
    (
        "features_at",
        lambda n, x, wanted: {i: n[i](x.clone()) for i in wanted},
        "it runs only the layers that are wanted",
    ),
    ("features_at", lambda n, x, wanted: walked(n, x, range(max(wanted) + 1)), "its keys are [0, 1, 2]"),
    ("features_at", lambda *a: walked(*a, keep=lambda before, after: after.detach().clone()), "detaches the graph"),
    ("features_at", lambda *a: walked(*a, keep=lambda _, x: 2 * x - x.detach()), "its gradient is not"),
    ("features_at", lambda *a: walked(*a, keep=lambda before, after: after[0].clone()), "returns the shape"),
    ("features_at", lambda *a: walked(*a, keep=lambda before, after: 2 * after), "wrong values"),
]


@pytest.mark.parametrize(("name", "answer", "reason"), WRONG)
def test_a_wrong_answer_is_named(name, answer, reason):
    line = verdict(getattr(nst.check, name), answer)
    assert line.startswith(f"{name}: not yet") and reason in line


def test_the_table_asked_for_is_that_of_the_network_itself():
    convolutions = [m for m in nst.load_backbone("random-vgg19").body if isinstance(m, torch.nn.Conv2d)]
    assert [row[0] for row in table(224).values()] == [m.out_channels for m in convolutions]
    assert [row[2] for row in table(224).values()] == [sum(p.numel() for p in m.parameters()) for m in convolutions]
    assert table(224)["conv5_1"][4] == 156  # as lesson 01 measures it
    assert verdict(nst.check.vgg_table, table) == "vgg_table: correct"
