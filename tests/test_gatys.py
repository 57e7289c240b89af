"""The optimization loop against loops written by hand, and what `transfer` and its siblings promise."""

import inspect
import itertools
import math
from collections.abc import Iterable, Mapping

import pytest
import torch
import torch.nn.functional as F
from readings import Readings
from torch import Tensor

from nst_lesson.errors import LessonError, ParameterError
from nst_lesson.methods import gatys
from nst_lesson.methods.gatys import (
    STARTS,
    Step,
    coarse_to_fine,
    optimize,
    reconstruct,
    solver,
    start_image,
    synthesize_texture,
    transfer,
)
from nst_lesson.methods.lbfgs import LBFGS
from nst_lesson.methods.losses import content_loss, gram_matrix, style_loss, total_variation
from nst_lesson.methods.objective import Content, Objective, Patches, Smoothness, Style, transfer_terms
from nst_lesson.networks.backbones import STYLE_LAYERS, VGG, load_backbone
from nst_lesson.pictures.images import load_image

OPTIMIZERS = ("lbfgs", "adam")
ADAM_RATE = gatys.LEARNING_RATES["adam"]


def picture(height: int = 32, width: int = 32, seed: int = 0) -> Tensor:
    """A smooth random picture: noise at an eighth of the size, enlarged."""
    coarse = torch.rand(1, 3, max(1, height // 8), max(1, width // 8), generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)


def total(terms: Mapping[str, Tensor]) -> Tensor:
    """The loss that is the sum of its terms."""
    return torch.stack(list(terms.values())).sum()


CONTENT, STYLE = picture(32, 40), picture(36, 32, seed=1)


class Counter:
    """A backbone that notes whether each call was for the moving image (which needs a gradient) or for a target."""

    def __init__(self, backbone: VGG) -> None:
        self.backbone, self.moving, self.still = backbone, 0, 0

    def __call__(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        self.moving, self.still = self.moving + image.requires_grad, self.still + (not image.requires_grad)
        return self.backbone(image, layers)


@pytest.fixture(scope="module")
def tiny() -> VGG:
    """A VGG with every layer that the defaults name, narrow enough for milliseconds, random but always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VGG(((4,), (6,), (8,), (8, 8), (8,))).requires_grad_(False)


def run(steps: Iterable[Step]) -> list[Step]:
    """Every step, as a list."""
    return list(steps)


def make_objective(backbone, *, content=None, style=None, tv_weight: float = 0.0, **weights) -> Objective:
    """The objective of `transfer` as it is, but without a smoothness term unless it is asked for."""
    return Objective(backbone, transfer_terms(content, style, tv_weight=tv_weight, **weights))


def images_equal(a: list[Step], b: list[Step]) -> bool:
    """Whether two runs show the same pictures, bit for bit."""
    return all(torch.equal(x.image, y.image) for x, y in zip(a, b, strict=True))


# ---- the objective


def test_the_objective_is_the_weighted_mean_over_layers(tiny):
    weights = {"content_weight": 2, "style_weight": 30, "tv_weight": 4}
    layers = ("relu2_1", "relu4_2")
    objective = make_objective(tiny, content=CONTENT, style=STYLE, content_layers=layers, **weights)
    image = picture(32, 40, seed=2)
    terms = objective(image)
    mine, target, painted = (tiny(x, tiny.layers) for x in (image, CONTENT, STYLE))
    content = (content_loss(mine["relu2_1"], target["relu2_1"]) + content_loss(mine["relu4_2"], target["relu4_2"])) / 2
    shares = dict(zip(STYLE_LAYERS, (0.3, 0.6, 1.0, 0.2, 0.05), strict=True))
    distances = {k: style_loss(gram_matrix(mine[k]), gram_matrix(painted[k])) for k in shares}
    style = sum(share / 2.15 * distances[k] for k, share in shares.items())
    wanted = {"content": 2 * content, "style": 30 * style, "tv": 4 * total_variation(image)}
    torch.testing.assert_close(terms, wanted)
    torch.testing.assert_close(total(terms), sum(wanted.values()))


def test_layers_with_weights_count_by_their_share(tiny):
    image = picture(32, 40, seed=2)
    errors = [make_objective(tiny, style=STYLE, style_layers=(k,))(image)["style"] for k in ("relu1_1", "relu3_1")]
    layers = {"relu1_1": 3.0, "relu2_1": 0.0, "relu3_1": 1.0}
    style = make_objective(tiny, style=STYLE, style_layers=layers)(image)["style"]
    torch.testing.assert_close(style, 0.75 * errors[0] + 0.25 * errors[1])


def test_total_variation_goes_with_the_formulas_of_the_other_terms(tiny):
    objective = make_objective(tiny, content=CONTENT, tv_weight=2.0, normalization="mean")
    image = picture(32, 40, seed=2)
    torch.testing.assert_close(objective(image)["tv"], 2 * total_variation(image, "mean"))


@pytest.mark.parametrize(
    ("zero", "left"),
    [("content_weight", {"style", "tv"}), ("style_weight", {"content", "tv"}), ("tv_weight", {"content", "style"})],
)
def test_a_weight_of_zero_leaves_its_term_out(tiny, zero, left):
    step = next(transfer(CONTENT, STYLE, tiny, **{zero: 0}))
    assert set(step.terms) == left
    assert step.loss == sum(step.terms.values())


def test_total_variation_alone_needs_no_network():
    def unused(image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        raise AssertionError("no term needs features")

    noise = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    smoothed = run(transfer(noise, STYLE, unused, content_weight=0, style_weight=0, tv_weight=1, steps=20))
    assert smoothed[-1].loss < 0.1 * smoothed[0].loss


def test_nothing_to_optimize_is_an_error(tiny):
    with pytest.raises(ParameterError, match="every weight is zero"):
        next(transfer(CONTENT, STYLE, tiny, content_weight=0, style_weight=0, tv_weight=0))


def test_targets_are_computed_once(tiny):
    counter = Counter(tiny)
    run(transfer(CONTENT, STYLE, counter, steps=4))
    assert counter.still == 2


# ---- the loop


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_one_step_is_one_evaluation(tiny, optimizer):
    counter = Counter(tiny)
    for step in transfer(CONTENT, STYLE, counter, steps=6, optimizer=optimizer):
        assert counter.moving == step.index


def test_adam_is_the_loop_written_by_hand(tiny):
    objective = make_objective(tiny, content=CONTENT, style=STYLE)
    image = CONTENT.clone().requires_grad_()
    adam = torch.optim.Adam([image], lr=0.05)
    for step in optimize(CONTENT, objective, 8, solver("adam", 0.05)):
        adam.zero_grad()
        loss = total(objective(image))
        loss.backward()
        adam.step()
        with torch.no_grad():
            image.clamp_(0, 1)
        assert torch.equal(step.image, image.detach())
        # the package adds the terms as Python floats
        assert step.loss == pytest.approx(loss.item(), rel=1e-6)


def test_lbfgs_is_the_loop_written_by_hand(tiny):
    objective = make_objective(tiny, content=CONTENT, style=STYLE, tv_weight=0.3)
    image = CONTENT.clone().requires_grad_()
    lbfgs = LBFGS([image])

    def closure() -> Tensor:
        lbfgs.zero_grad()
        loss = total(objective(image))
        loss.backward()
        return loss

    for step in optimize(CONTENT, objective, 12, "lbfgs"):
        lbfgs.step(closure)
        with torch.no_grad():
            image.clamp_(0, 1)
        assert torch.equal(step.image, image.detach())


def test_lbfgs_carries_its_curvature_from_step_to_step():
    start, steps = torch.full((1, 3, 4, 4), 0.75), 60
    carried = run(optimize(start, ill_conditioned, steps))[-1].loss
    image = start
    for _ in range(steps):  # a new optimizer every time has no memory: normalized steepest descent
        image = next(optimize(image, ill_conditioned, 1)).image
    assert carried < 0.05 * ill_conditioned(image)["valley"].item()


def ill_conditioned(image: Tensor) -> dict[str, Tensor]:
    """A valley whose curvature differs a thousandfold between pixels; its floor is a picture of 0.25."""
    stiffness = torch.logspace(0, 3, image.numel()).view_as(image)
    return {"valley": (stiffness * (image - 0.25).square()).sum()}


def test_adam_takes_its_settings(tiny):
    objective = make_objective(tiny, content=CONTENT, style=STYLE)
    image = CONTENT.clone().requires_grad_()
    adam = torch.optim.Adam([image], lr=0.02, betas=(0.99, 0.9), eps=0.1)
    for step in optimize(CONTENT, objective, 4, solver("adam", 0.02, betas=[0.99, 0.9], eps=0.1)):
        adam.zero_grad()
        total(objective(image)).backward()
        adam.step()
        image.data.clamp_(0, 1)
        assert torch.equal(step.image, image.detach())


def test_lbfgs_does_not_creep_up_once_it_has_arrived():
    """At the ends of the pixels' range its curvature can go wrong: then it must start anew."""
    image, layers = load_image("coffee", 96), ["relu1_1"]
    losses = [step.loss for step in reconstruct(image, load_backbone("pocket"), layers, steps=200, tv_weight=0.1)]
    assert losses[-1] < 2.5 * min(losses)


def test_an_objective_may_be_a_scalar(tiny):
    objective = make_objective(tiny, content=CONTENT, style=STYLE)
    named = run(optimize(CONTENT, objective, 4))
    plain = run(optimize(CONTENT, lambda image: total(objective(image)), 4))
    assert images_equal(named, plain)
    assert plain[0].terms == {"loss": plain[0].loss}


def test_any_optimizer_of_torch_can_be_passed_in(tiny):
    steps = run(transfer(CONTENT, STYLE, tiny, steps=20, optimizer=lambda pixels: torch.optim.RMSprop(pixels, lr=0.01)))
    assert steps[-1].loss < steps[0].loss


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_reads_its_numbers_at_once(tiny, optimizer):
    """On a GPU each reading waits for all that was asked of it: the terms come by one `tolist`, and nothing else does.

    Torch's Adam reads the count of its steps, which it keeps in the main memory.
    """
    mask = (CONTENT.mean(1, keepdim=True) > 0.5).float()  # what a mask is at a layer does not change from step to step
    terms = {"style": (20.0, Style(STYLE, where=mask)), "content": (1.0, Content(CONTENT)), "tv": (20.0, Smoothness())}
    loop = optimize(CONTENT, Objective(tiny, terms), 6, optimizer)
    next(loop), next(loop)
    with Readings() as readings:
        next(loop)
    assert readings.count == {"adam": 1, "lbfgs": 0}[optimizer]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_loss_falls(tiny, optimizer):
    steps = run(transfer(CONTENT, STYLE, tiny, steps=30, optimizer=optimizer))
    assert steps[-1].loss < 0.5 * steps[0].loss


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_steps_report_what_they_measured(tiny, optimizer):
    steps = run(transfer(CONTENT, STYLE, tiny, steps=5, optimizer=optimizer))
    assert [step.index for step in steps] == [1, 2, 3, 4, 5]
    first = make_objective(tiny, content=CONTENT, style=STYLE, tv_weight=20.0)(CONTENT)  # transfer's default weights
    assert steps[0].terms == pytest.approx({name: term.item() for name, term in first.items()}, rel=1e-6)
    seconds = [step.seconds for step in steps]
    assert seconds[0] > 0 and seconds == sorted(seconds)
    for step in steps:
        assert step.loss == sum(step.terms.values())
        assert step.image.shape == CONTENT.shape and step.image.dtype == torch.float32 and not step.image.requires_grad


def test_the_loss_of_a_step_is_of_the_picture_before_it(tiny):
    objective = make_objective(tiny, content=CONTENT, style=STYLE)
    steps = run(optimize(STYLE[..., :32, :].repeat(1, 1, 1, 2)[..., :40], objective, 4, "adam"))
    for before, after in itertools.pairwise(steps):
        assert after.loss == pytest.approx(total(objective(before.image)).item(), rel=1e-6)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_pictures_stay_in_range(tiny, optimizer):
    wild = solver(optimizer, {"adam": 0.5, "lbfgs": 1.0}[optimizer])  # half the range: Adam would leave it at once
    for step in transfer(CONTENT, STYLE, tiny, steps=10, optimizer=wild, style_weight=1e5):
        assert step.image.min() >= 0 and step.image.max() <= 1


def test_the_loss_of_the_last_picture_is_what_was_found(tiny):
    # Clamped only for show, L-BFGS's pictures would have another loss than its variable: 5 to 100 times this one's.
    objective = make_objective(tiny, content=CONTENT, style=STYLE)
    steps = run(optimize(CONTENT, objective, 30))
    assert any((step.image == 0).any() or (step.image == 1).any() for step in steps)  # the clamp had work to do
    for before, after in itertools.pairwise(steps):
        assert after.loss == pytest.approx(total(objective(before.image)).item(), rel=1e-6)


def test_adam_is_projected_and_not_only_clamped_for_show(tiny):
    # A variable that had left the range would need many steps to come back; a projected one follows at once.
    def brightness(image: Tensor) -> dict[str, Tensor]:
        return {"push": push * image.mean()}

    push, loop = -1.0, optimize(CONTENT, brightness, 12, solver("adam", 0.5))
    white = next(itertools.islice(loop, 3, None)).image
    assert white.min() == 1
    push = 1000.0
    assert next(loop).image.max() < 1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_holds_a_copy(tiny, optimizer):
    calm = run(transfer(CONTENT, STYLE, tiny, steps=6, optimizer=optimizer))
    spoiled = []
    for step in transfer(CONTENT, STYLE, tiny, steps=6, optimizer=optimizer):
        spoiled.append(Step(step.index, step.image.clone(), step.loss, step.terms, step.seconds))
        step.image.fill_(0.5)
        step.terms.clear()
    assert images_equal(calm, spoiled)
    assert len({step.image.data_ptr() for step in calm}) == 6


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("start", ["content", "given"])
def test_inputs_are_left_alone(tiny, optimizer, start):
    content, style, given = CONTENT.clone(), STYLE.clone(), picture(32, 40, seed=3)
    before = given.clone()
    run(transfer(content, style, tiny, steps=3, optimizer=optimizer, start=given if start == "given" else start))
    assert torch.equal(content, CONTENT) and torch.equal(style, STYLE) and torch.equal(given, before)
    assert not content.requires_grad and not given.requires_grad


def test_a_run_can_be_stopped_early(tiny):
    counter = Counter(tiny)
    loop = transfer(CONTENT, STYLE, counter, steps=100)
    for step in loop:
        if step.index == 3:
            break
    loop.close()
    assert counter.moving == 3
    assert next(loop, None) is None


def test_a_run_goes_on_from_a_given_picture(tiny):
    whole = run(transfer(CONTENT, STYLE, tiny, steps=3, optimizer="adam"))
    again = next(transfer(CONTENT, STYLE, tiny, optimizer="adam", start=whole[1].image))
    assert again.terms == whole[2].terms


# ---- seeds and starts


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_seed_fixes_the_run(tiny, optimizer):
    options = {"steps": 5, "start": "noise", "optimizer": optimizer}
    first = run(transfer(CONTENT, STYLE, tiny, seed=7, **options))
    torch.rand(5)  # the global generator plays no part
    second = run(transfer(CONTENT, STYLE, tiny, seed=7, **options))
    other = run(transfer(CONTENT, STYLE, tiny, seed=8, **options))
    assert images_equal(first, second)
    assert [s.loss for s in first] == [s.loss for s in second]
    assert not torch.equal(first[-1].image, other[-1].image)


def test_noise_does_not_touch_the_global_generator():
    torch.manual_seed(3)
    wanted = torch.rand(4)
    torch.manual_seed(3)
    start_image(CONTENT, "noise", 5)
    assert torch.equal(torch.rand(4), wanted)


def test_starts():
    noise = start_image(CONTENT, "noise", 4)
    assert torch.equal(start_image(CONTENT, "content"), CONTENT)
    assert torch.equal(start_image(CONTENT, "noise*content", 4), noise * CONTENT)
    torch.testing.assert_close(start_image(CONTENT, "noise+content", 4), noise / 2 + CONTENT / 2)
    given = picture(32, 40, seed=5)
    assert torch.equal(start_image(CONTENT, given), given)
    assert noise.min() >= 0 and noise.max() <= 1
    # mean and deviation of 3,840 uniform numbers: within five standard errors
    assert noise.mean().item() == pytest.approx(0.5, abs=5 * 0.2887 / 3840**0.5)
    assert noise.std().item() == pytest.approx(12**-0.5, abs=0.02)


@pytest.mark.parametrize("start", STARTS)
def test_every_start_paints(tiny, start):
    steps = run(transfer(CONTENT, STYLE, tiny, steps=15, start=start))
    assert steps[-1].loss < steps[0].loss


# ---- what goes wrong


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_loss_that_is_no_number_says_what_to_change(tiny, optimizer):
    calls = []

    def objective(image: Tensor) -> dict[str, Tensor]:  # as a network does that overflows
        calls.append(image)
        return {"style": image.square().sum() * (math.nan if len(calls) == 3 else 1)}

    with pytest.raises(LessonError, match=r"the loss is nan at step 3 .*lower learning_rate") as caught:
        run(optimize(CONTENT, objective, 10, optimizer))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_weights_beyond_all_numbers_are_reported(tiny, optimizer):
    with pytest.raises(LessonError, match=r"the loss is inf at step 1 .*weights closer together"):
        run(transfer(CONTENT, STYLE, tiny, steps=2, style_weight=1e39, optimizer=optimizer))


def test_a_network_that_gives_nan_is_reported_at_the_first_step():
    def broken(image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        return {name: image * math.nan for name in layers}

    for optimizer in OPTIMIZERS:
        with pytest.raises(LessonError, match="the loss is nan at step 1"):
            run(transfer(CONTENT, STYLE, broken, steps=5, optimizer=optimizer))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "sgd"}, r"unknown optimizer 'sgd' \(choose one of lbfgs, adam\)"),
        ({"steps": 0}, "steps is 0; give at least 1"),
        ({"steps": -3}, "steps is -3"),
        ({"start": "nois"}, r"unknown start 'nois': did you mean 'noise'\? \(choose one of content, noise"),
        ({"start": torch.rand(1, 3, 8, 8)}, r"start has the shape \(1, 3, 8, 8\); it must be \(1, 3, 32, 40\)"),
        ({"normalization": "gaty"}, "unknown normalization 'gaty': did you mean 'gatys'"),
        ({"style_weight": -1.0}, "the weight of style is -1.0; give a finite number, 0 or more"),
        ({"content_weight": math.nan}, "the weight of content is nan"),
        ({"tv_weight": math.inf}, "the weight of tv is inf"),
        ({"style_layers": ("relu9_9",)}, "unknown layer .*'relu9_9'"),
        ({"content_layers": ("conv",)}, "unknown layer .*'conv'"),
        ({"style_layers": {"relu1_1": -1.0}}, "the weight of relu1_1 is -1.0; give a finite number, 0 or more"),
        ({"style_layers": {"relu1_1": 0.0}}, "no layer has a weight"),
        ({"content_layers": ()}, "no layer has a weight"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_bad_settings_are_one_line_errors(tiny, options, message):
    with pytest.raises(ParameterError, match=message) as caught:
        next(transfer(CONTENT, STYLE, tiny, **options))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sgd", {}, "unknown optimizer"),
        ("lbfgs", {"learning_rate": 0.0}, "learning_rate is 0.0; give a number above 0"),
        ("adam", {"learning_rate": -1.0}, "learning_rate is -1.0"),
        ("adam", {"learning_rate": math.nan}, "learning_rate is nan"),
        ("adam", {"lr": 0.1}, "'adam' cannot have these settings"),
        ("adam", {"betas": [0.9]}, "'adam' cannot have these settings"),
        ("adam", {"betas": [0.9, 1.0]}, "'adam' cannot have these settings"),
        ("adam", {"eps": -1.0}, "'adam' cannot have these settings"),
        ("lbfgs", {"betas": [0.9, 0.99]}, "'lbfgs' cannot have these settings"),
    ],
)
def test_bad_settings_of_a_solver_are_one_line_errors(name, options, message):
    with pytest.raises(ParameterError, match=message) as caught:
        solver(name, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "bad",
    [
        torch.rand(3, 32, 40),
        torch.rand(1, 1, 32, 40),
        torch.rand(2, 3, 32, 40),
        torch.rand(1, 4, 32, 40),
        torch.rand(1, 3, 0, 40),
        torch.zeros(1, 3, 32, 40, dtype=torch.uint8),
        "chelsea",
        None,
    ],
    ids=lambda bad: str(tuple(bad.shape)) if isinstance(bad, Tensor) else repr(bad),
)
@pytest.mark.parametrize("which", ["content", "style"])
def test_pictures_of_the_wrong_kind_are_named(tiny, bad, which):
    with pytest.raises(ParameterError, match=f"{which} is .*give a float tensor"):
        next(transfer(**{"content": CONTENT, "style": STYLE, which: bad}, backbone=tiny))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("of_network", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_pictures_and_networks_of_any_precision_go_together(kind, of_network, optimizer):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = VGG(((4,), (6,), (8,), (8, 8), (8,))).requires_grad_(False).to(of_network)
    steps = run(transfer(CONTENT.to(kind), STYLE.to(kind), network, steps=5, optimizer=optimizer))
    assert steps[-1].image.dtype == (torch.float64 if kind == torch.float64 else torch.float32)
    assert steps[-1].loss < steps[0].loss
    alike = next(transfer(CONTENT, STYLE, network, steps=1)).loss
    assert steps[0].loss == pytest.approx(alike, rel=0.05)  # bfloat16 has 8 bits: a picture is rounded by 0.2 %


def test_pictures_too_small_for_the_network_are_one_line_errors(tiny):
    with pytest.raises(LessonError, match="too small"):
        next(transfer(picture(8, 8), STYLE, tiny))


# ---- the other methods


def test_coarse_to_fine_shares_its_steps_and_grows(tiny):
    content, style = picture(128, 96), picture(80, 128, seed=1)
    seen: list[tuple[int, ...]] = []

    def spy(image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        seen.extend([image.shape[2:]] if not image.requires_grad else [])
        return tiny(image, layers)

    steps = run(coarse_to_fine(content, style, spy, levels=3, steps=8))
    assert [step.index for step in steps] == list(range(1, 9))
    sizes = [tuple(step.image.shape[2:]) for step in steps]
    assert sizes == 2 * [(32, 24)] + 3 * [(64, 48)] + 3 * [(128, 96)]
    # each level's targets are of its own size, the style's as well as the content's
    assert sorted(seen) == [(20, 32), (32, 24), (40, 64), (64, 48), (80, 128), (128, 96)]
    seconds = [step.seconds for step in steps]
    assert seconds == sorted(seconds)


def test_coarse_to_fine_with_one_level_is_transfer(tiny):
    assert images_equal(
        run(coarse_to_fine(CONTENT, STYLE, tiny, levels=1, steps=4, style_weight=10)),
        run(transfer(CONTENT, STYLE, tiny, steps=4, style_weight=10)),
    )


def test_coarse_to_fine_goes_on_from_the_level_before(tiny):
    content = picture(64, 64)
    steps = run(coarse_to_fine(content, picture(64, 64, seed=1), tiny, levels=2, steps=20, optimizer="adam"))
    enlarged = F.interpolate(steps[9].image, (64, 64), mode="bicubic", antialias=True).clamp(0, 1)
    # one step of Adam moves a pixel by at most its learning rate
    assert (steps[10].image - enlarged).abs().max() <= ADAM_RATE * 1.001
    assert (steps[10].image - content).abs().max() > 2 * ADAM_RATE


def test_coarse_to_fine_takes_odd_sizes_and_a_start(tiny):
    content, start = picture(67, 51), picture(67, 51, seed=4)
    steps = run(coarse_to_fine(content, STYLE, tiny, levels=2, steps=2, start=start, optimizer="adam"))
    assert [tuple(step.image.shape[2:]) for step in steps] == [(34, 26), (67, 51)]
    small = F.interpolate(start, (34, 26), mode="bilinear", antialias=True)
    assert (steps[0].image - small).abs().max() < 0.1  # far nearer to the start than to the content


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": 0}, "levels is 0"),
        ({"levels": 9}, "levels is 9"),
        ({"levels": 3, "steps": 2}, "steps is 2; give at least 1 for each of the 3 levels"),
        ({"start": torch.rand(1, 3, 8, 8)}, "start has the shape"),
    ],
    ids=["none", "too many", "steps", "start"],
)
def test_coarse_to_fine_bad_settings(tiny, options, message):
    with pytest.raises(ParameterError, match=message):
        next(coarse_to_fine(picture(64, 64), picture(64, 64, seed=1), tiny, **options))


def test_a_bare_name_of_a_layer_does_everywhere(tiny):
    one = run(transfer(CONTENT, STYLE, tiny, steps=2, content_layers="relu2_1", style_layers="relu1_1"))
    two = run(transfer(CONTENT, STYLE, tiny, steps=2, content_layers=["relu2_1"], style_layers=("relu1_1",)))
    assert images_equal(one, two)
    assert next(reconstruct(CONTENT, tiny, "relu2_1")).loss == next(reconstruct(CONTENT, tiny, ["relu2_1"])).loss
    textures = [next(synthesize_texture(STYLE, tiny, layers)) for layers in ("relu1_1", ["relu1_1"])]
    assert textures[0].loss == textures[1].loss


@pytest.mark.parametrize("method", [transfer, coarse_to_fine])
def test_masks_several_styles_and_patches_work_in_every_transfer(tiny, method):
    left = torch.zeros(1, 1, 32, 40, dtype=torch.bool)
    left[..., :20] = True
    styles = {
        "left": (1.0, Style(STYLE, where=left)),
        "right": (0.5, Style(picture(48, 48, seed=5), where=~left)),
        "marks": (0.1, Patches(STYLE, "relu2_1")),
    }
    options = {"levels": 2} if method is coarse_to_fine else {}
    steps = run(method(CONTENT, styles, tiny, steps=16, **options))
    assert set(steps[-1].terms) == {"content", *styles, "tv"}
    for name in ("left", "right"):
        assert steps[-1].terms[name] < steps[-8].terms[name]


def test_style_layers_are_those_of_the_styles_that_name_none(tiny):
    styles = {"one": (1.0, Style(STYLE)), "two": (1.0, Style(STYLE, "relu2_1"))}
    step = next(transfer(CONTENT, styles, tiny, style_layers="relu1_1", style_weight=10.0))
    wanted = {
        name: next(transfer(CONTENT, STYLE, tiny, style_layers=layer, style_weight=10.0)).terms["style"]
        for name, layer in (("one", "relu1_1"), ("two", "relu2_1"))
    }
    assert {name: step.terms[name] for name in wanted} == pytest.approx(wanted)


def test_reconstruct_brings_the_pixels_back_from_a_shallow_layer(tiny):
    steps = run(reconstruct(CONTENT, tiny, ("conv1_1",), steps=60))
    errors = [(step.image - CONTENT).square().mean().item() for step in (steps[0], steps[-1])]
    assert errors[1] < 0.01 * errors[0]
    assert set(steps[0].terms) == {"content"}


def test_reconstruct_from_the_picture_itself_has_nothing_to_do(tiny):
    for step in reconstruct(CONTENT, tiny, steps=3, start="content"):
        assert step.loss == 0 and torch.equal(step.image, CONTENT)


def test_texture_has_the_size_asked_for_and_nears_the_style(tiny):
    steps = run(synthesize_texture(STYLE, tiny, size=(40, 24), steps=25))
    assert all(step.image.shape == (1, 3, 40, 24) for step in steps)
    assert set(steps[0].terms) == {"style"}
    assert steps[-1].loss < 0.1 * steps[0].loss
    assert next(synthesize_texture(STYLE, tiny)).image.shape == STYLE.shape


def test_texture_starts_from_the_seed_s_noise(tiny):
    a, b = (next(synthesize_texture(STYLE, tiny, seed=seed, optimizer="adam")).image for seed in (1, 2))
    assert (a - start_image(STYLE, "noise", 1)).abs().max() <= ADAM_RATE * 1.001
    assert not torch.equal(a, b)


@pytest.mark.parametrize("method", [reconstruct, synthesize_texture])
def test_the_methods_name_a_picture_of_the_wrong_kind(tiny, method):
    with pytest.raises(ParameterError, match="give a float tensor"):
        next(method(torch.rand(3, 8, 8), tiny))


def test_defaults_are_shared():
    """The three methods agree on what "default" means."""
    shared = ("steps", "optimizer", "seed")
    defaults = [
        {name: inspect.signature(f).parameters[name].default for name in shared}
        for f in (transfer, reconstruct, synthesize_texture)
    ]
    assert defaults[0] == defaults[1] == defaults[2]
