"""Train the pocket network: a quarter-width VGG-19 with VGG-19's own metric (Hinton et al. 2015, Wang et al. 2020).

The student sees photographs, paintings, noisy mixtures, and what an optimizer will show it: pictures that are half way
from a photograph to a painting *as the student itself judges them*. Linear heads bring its features to those of the
normalized VGG-19; when training ends, each head W of a style layer becomes the square map (W'W)^(1/2), which keeps
every Gram distance |W G W'| at the student's own width.

    python experiments/pocket.py train --images DIR --paintings DIR --teachers DIR --student student.safetensors
    python experiments/pocket.py export --images DIR --teachers DIR --student student.safetensors --validation DIR \\
        --out data/weights/pocket.safetensors
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.stats
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nst_lesson.methods.distillation import layer_errors, products, square_root
from nst_lesson.networks.backbones import CONVS, STYLE_LAYERS, VGG, WIDTHS
from nst_lesson.paths import atomic_path

TRUE_LAYERS = ("relu1_1", "relu2_1", "relu3_1")  # where VGG-19's own weights are at hand
INNER_LAYERS = tuple(f"relu{b}_{i}" for b, n in enumerate(CONVS["pocket"], start=1) for i in range(2, n + 1))
METRIC_LAYERS = (*STYLE_LAYERS, "relu4_2")  # the style layers and the default content layer
GUIDE_WEIGHT = 0.3  # what carries no metric of its own guides the trunk, with less say


class Teacher(nn.Module):
    """The features that the student learns to give.

    The published encoder of Wang et al. 2020 gives all layers. At the style layers its features f are mapped to the
    normalized VGG-19 by W f + b; the target is M [f, 1] with M = ([W b]'[W b])^(1/2), which has the same distances
    and Gram distances at a quarter of the width (without the ReLU that follows the map). "true:relu1_1" ... are
    VGG-19's own first layers, each channel scaled to fit what the encoder makes of it.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.true = VGG((2, 2, 4), WIDTHS["vgg19"][:3], padding_mode="reflect")
        weights = load_numbered(folder / "vgg19_conv1_1_to_conv3_4.safetensors")
        convs = [m for m in self.true.body if isinstance(m, nn.Conv2d)]
        for conv, (weight, bias) in zip(convs, weights, strict=True):
            conv.weight.data, conv.bias.data = weight, bias
        encoder = load_file(folder / "vgg19_16x_encoder.safetensors")
        self.encoder = VGG(CONVS["pocket"], WIDTHS["pocket"], padding_mode="reflect")
        self.encoder.body.load_state_dict({k: v for k, v in encoder.items() if "_to_" not in k and "input" not in k})
        self.encoder.normalize_with((0, 0, 0), (1, 1, 1))  # its first layer does that
        self.input = (encoder["input.weight"], encoder["input.bias"])
        self.maps = {
            f"relu{b}_1": torch.cat([encoder[f"conv{b}_1_to_vgg19.{p}"].view(c, -1) for p in ("weight", "bias")], 1)
            for b, c in enumerate(WIDTHS["vgg19"], start=1)
        }
        self.square = {name: square_root(w.T @ w)[:, :, None, None] for name, w in self.maps.items()}
        self.scale = {name: torch.ones(()) for name in TRUE_LAYERS}
        self.requires_grad_(False).to(memory_format=torch.channels_last)

    @torch.no_grad()
    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Targets of `image` (B, 3, H, W) in [0, 1] at every layer: {name: (B, C, H', W')}, float32."""
        with torch.autocast(image.device.type, torch.bfloat16):
            out = self.encoder(F.conv2d(image, *self.input), STYLE_LAYERS + INNER_LAYERS)
            true = self.true(image, TRUE_LAYERS)
        out = {name: f.float() for name, f in out.items()}
        for name, square in self.square.items():
            out[name] = F.conv2d(with_one(out[name]), square)
        return out | {f"true:{name}": f.float() * self.scale[name] for name, f in true.items()}

    @torch.no_grad()
    def calibrate(self, images: Tensor) -> None:
        """Fit the scale of each true channel t to the encoder's p over `images`: <p, t> / <t, t>."""
        encoder = self.encoder(F.conv2d(images, *self.input), TRUE_LAYERS)
        for name, t in self.true(images, TRUE_LAYERS).items():
            p = F.relu(F.conv2d(with_one(encoder[name]), self.maps[name][:, :, None, None]))
            self.scale[name] = ((p * t).sum((0, 2, 3)) / t.square().sum((0, 2, 3)).clamp_min(1e-12)).view(1, -1, 1, 1)


def with_one(features: Tensor) -> Tensor:
    """Features (B, C, H, W) with a channel of ones behind them, which turns a bias into a weight."""
    return torch.cat([features, torch.ones_like(features[:, :1])], 1)


def load_numbered(path: Path) -> Iterator[tuple[Tensor, Tensor]]:
    """(weight, bias) of each convolution of a file in torchvision's names (features.N.weight), in order of N."""
    state = load_file(path)
    for index in sorted({int(k.split(".")[1]) for k in state}):
        yield state[f"features.{index}.weight"], state[f"features.{index}.bias"]


class Student(nn.Module):
    """The pocket trunk and one linear head W (teacher's channels, pocket's channels) per target.

    Heads are not trained by gradient: `fit` keeps each at the least-squares optimum for what the trunk gives (variable
    projection, Golub & Pereyra 1973), so the trunk never waits for its heads.
    """

    def __init__(self, teacher: dict[str, Tensor]) -> None:
        super().__init__()
        self.trunk = VGG(CONVS["pocket"], WIDTHS["pocket"], padding_mode="reflect")
        for conv in self.trunk.body:
            if isinstance(conv, nn.Conv2d):
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                nn.init.zeros_(conv.bias)
        shapes = {k: (t.shape[1], WIDTHS["pocket"][block_of(k) - 1]) for k, t in teacher.items()}
        self.heads = nn.ParameterDict({k: torch.zeros(shape) for k, shape in shapes.items()}).requires_grad_(False)
        self.products: dict[str, tuple[Tensor, Tensor]] = {}

    def fit(self, name: str, gram: Tensor, cross: Tensor, forget: float = 0.05) -> None:
        """Set a head to C G^-1 with running averages of G = F F' and C = T F'; each batch (B, ., .) weighs `forget`."""
        new = (gram.detach().sum(0), cross.detach().sum(0))
        old = self.products.get(name, new)
        g, cross = self.products[name] = tuple(torch.lerp(o, n, forget) for o, n in zip(old, new, strict=True))
        ridge = 1e-4 * g.diagonal().mean() * torch.eye(len(g))  # keeps a silent channel from making G singular
        self.heads[name].data = torch.linalg.solve(g + ridge, cross.T).T.contiguous()

    def forward(self, image: Tensor, layers: Sequence[str] = STYLE_LAYERS + INNER_LAYERS) -> dict[str, Tensor]:
        """The trunk's own features of `image` (B, 3, H, W), before any head: {name: (B, C, H', W')}, float32."""
        with torch.autocast(image.device.type, torch.bfloat16):
            return {k: v.float() for k, v in self.trunk(image, layers).items()}


def block_of(name: str) -> int:
    """2 for "relu2_1" and for "true:relu2_1"."""
    return int(name[-3])


def read_images(folder: Path, smallest: int = 0) -> list[Tensor]:
    """Every JPEG of a folder as uint8 (3, H, W); those whose shorter side is under `smallest` pixels are enlarged."""
    images = []
    for path in sorted(folder.glob("*.jpg")):
        image = Image.open(path).convert("RGB")
        if min(image.size) < smallest:
            factor = smallest / min(image.size)
            image = image.resize((math.ceil(image.width * factor), math.ceil(image.height * factor)), Image.LANCZOS)
        images.append(torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous())
    if not images:
        raise FileNotFoundError(f"no JPEG in {folder}")
    return images


class Crops:
    """Random square crops of a list of images, at random scale, flipped, with mild changes of color."""

    def __init__(self, images: list[Tensor], size: int, generator: torch.Generator) -> None:
        self.images, self.size, self.generator = images, size, generator

    def uniform(self, low: float, high: float) -> float:
        """One number from U(low, high)."""
        return low + (high - low) * torch.rand((), generator=self.generator).item()

    def one(self) -> Tensor:
        """One crop (3, size, size), float32 in [0, 1]."""
        image = self.images[int(self.uniform(0, len(self.images) - 1e-6))]
        side = int(self.uniform(self.size, max(self.size + 1, min(2.2 * self.size, min(image.shape[1:])))))
        top, left = (int(self.uniform(0, n - side + 1 - 1e-6)) for n in image.shape[1:])
        crop = image[None, :, top : top + side, left : left + side].float() / 255
        crop = F.interpolate(crop, size=(self.size, self.size), mode="bilinear", antialias=True, align_corners=False)[0]
        if self.uniform(0, 1) < 0.5:
            crop = crop.flip(2)
        if self.uniform(0, 1) < 0.5:
            gain = torch.empty(3, 1, 1).uniform_(0.7, 1.3, generator=self.generator)
            crop = (crop * gain).clamp(0, 1) ** self.uniform(0.7, 1.4)
        return crop

    def batch(self, count: int) -> Tensor:
        """`count` crops (count, 3, size, size)."""
        return torch.stack([self.one() for _ in range(count)])

    def spoiled(self, count: int) -> Tensor:
        """Crops as they look at the start of an optimization: mixed with another crop, with noise, or noise alone."""
        out = self.batch(count)
        for i in range(count):
            other = self.one() if self.uniform(0, 1) < 0.5 else out[i]
            noise = torch.rand(out[i].shape, generator=self.generator)
            out[i] = torch.lerp(out[i], other, self.uniform(0, 0.5))
            out[i] = torch.lerp(out[i], noise, self.uniform(0, 1) ** 2)
        return out


class HalfOptimized:
    """Pictures on their way from a photograph to a painting, moved one Adam step per call by the current student."""

    def __init__(self, photos: Crops, paintings: Crops, count: int) -> None:
        self.photos, self.paintings = photos, paintings
        self.life = [0] * count
        self.x = torch.zeros(count, 3, photos.size, photos.size)
        self.m, self.v = torch.zeros_like(self.x), torch.zeros_like(self.x)
        self.content, self.style = torch.zeros_like(self.x), torch.zeros_like(self.x)
        self.age = torch.zeros(count, 1, 1, 1)

    def step(self, student: Student) -> Tensor:
        """Move every picture one step on and return them (count, 3, size, size)."""
        for i, life in enumerate(self.life):
            if self.age[i] >= life:
                self.life[i] = int(self.photos.uniform(10, 120))
                self.content[i], self.style[i] = self.photos.one(), self.paintings.one()
                self.x[i] = self.content[i] if self.photos.uniform(0, 1) < 0.7 else self.photos.spoiled(1)[0]
                self.m[i], self.v[i], self.age[i] = 0, 0, 0
        x = self.x.clone().requires_grad_()
        with torch.no_grad():
            style = {k: products(v, v) for k, v in student(self.style, STYLE_LAYERS).items()}
            content = student(self.content, ("relu4_2",))["relu4_2"]
        mine = student(x, (*STYLE_LAYERS, "relu4_2"))
        loss = ((mine["relu4_2"] - content).square().flatten(1).sum(1) / content.square().flatten(1).sum(1)).sum()
        for name, gram in style.items():
            square = student.heads[name].detach().T @ student.heads[name].detach()
            change = square @ (products(mine[name], mine[name]) - gram)
            energy = (square @ gram @ square @ gram).diagonal(dim1=1, dim2=2).sum(1)
            loss = loss + 200 * ((change * change.transpose(1, 2)).sum((1, 2)) / energy).sum()
        (gradient,) = torch.autograd.grad(loss, x)
        self.age += 1
        self.m.lerp_(gradient, 0.1), self.v.lerp_(gradient**2, 0.01)
        step = (self.m / (1 - 0.9**self.age)) / ((self.v / (1 - 0.99**self.age)).sqrt() + 1e-12)
        self.x = (self.x - 0.03 * step).clamp(0, 1)
        return self.x.clone()


def distillation_loss(student: Student, image: Tensor, target: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """The feature errors of all layers plus the Gram errors of the style layers, and the feature errors by name."""
    loss, terms, features = torch.zeros(()), {}, student(image)
    for name, t in target.items():
        f = features[name.removeprefix("true:")]
        g, cross, wanted = products(f, f), products(t, f), products(t, t)
        student.fit(name, g, cross)
        error, gram = layer_errors(student.heads[name], g, cross, wanted)
        terms[name] = error.item()
        weight = 1.0 if name in STYLE_LAYERS else GUIDE_WEIGHT
        loss = loss + weight * (error if name in INNER_LAYERS else error + gram)
    return loss, terms


@dataclass
class DistillStep:
    """One step of training: its index, loss, the error per layer, and the averaged student so far."""

    index: int
    loss: float
    terms: dict[str, float]
    student: Student


def distill(
    teacher: Teacher,
    photos: list[Tensor],
    paintings: list[Tensor],
    *,
    minutes: float,
    sizes: Sequence[int] = (128, 160),
    seed: int = 0,
) -> Iterator[DistillStep]:
    """Train a student for `minutes` on seven pictures a step, and yield each step.

    The time is shared equally among crops of `sizes` pixels, small ones first; the learning rate falls as a cosine of
    the time gone. Convolutions are trained by Muon (Jordan et al. 2024; half the steps of AdamW here), biases by
    Adam, heads by least squares.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    crops, art = Crops(photos, sizes[0], generator), Crops(paintings, sizes[0], generator)
    teacher.calibrate(crops.batch(64))
    student = Student(teacher(crops.batch(1)))
    average = copy.deepcopy(student)
    pool = HalfOptimized(crops, art, count=2)
    convs = [m.weight for m in student.trunk.body if isinstance(m, nn.Conv2d)]
    biases = [m.bias for m in student.trunk.body if isinstance(m, nn.Conv2d)]
    optimizers = {Muon(convs): 0.015, torch.optim.Adam(biases): 1e-3}
    start, index = time.monotonic(), 0
    while (gone := (time.monotonic() - start) / 60 / minutes) < 1:
        size = sizes[int(gone * len(sizes))]
        if size != crops.size:
            crops, art = Crops(photos, size, generator), Crops(paintings, size, generator)
            pool = HalfOptimized(crops, art, count=2)
        images = [crops.batch(3), art.batch(1), crops.spoiled(1)]
        # Early on the student's own judgment is no guide to what an optimizer will show it.
        images.append(pool.step(student) if gone > 0.4 else crops.batch(2))
        x = torch.cat(images).contiguous(memory_format=torch.channels_last)
        loss, terms = distillation_loss(student, x, teacher(x))
        student.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(convs + biases, 5.0)
        for optimizer, rate in optimizers.items():
            optimizer.param_groups[0]["lr"] = rate * min(1, (index + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * gone))
            optimizer.step()
        index += 1
        decay = min(0.999, index / (index + 10))
        with torch.no_grad():
            for a, p in zip(average.trunk.parameters(), student.trunk.parameters(), strict=True):
                a.lerp_(p, 1 - decay)
        yield DistillStep(index, loss.item(), terms, average)


class Muon(torch.optim.Optimizer):
    """Momentum whose matrices are orthogonalized before each step (Jordan et al. 2024), for convolution weights.

    Five Newton-Schulz iterations with Jordan's coefficients bring all singular values near one. torch.optim.Muon does
    the same in bfloat16 for matrices alone; on a CPU its products take ten times as long as these in float32.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float = 0.02, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter by its orthogonalized Nesterov momentum."""
        for group in self.param_groups:
            for p in group["params"]:
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                x = torch.lerp(p.grad, buffer, group["momentum"]).flatten(1)
                x = x / (x.norm() + 1e-7)
                for _ in range(5):
                    xx = x @ x.T
                    x = 3.4445 * x + (-4.7750 * xx + 2.0315 * xx @ xx) @ x
                p.add_(x.view_as(p), alpha=-group["lr"])


@torch.no_grad()
def fit_heads(student: Student, teacher: Teacher, batches: Iterable[Tensor]) -> None:
    """Set the heads of a student, such as an averaged one, to the least-squares optimum over all `batches`."""
    student.products.clear()
    for count, image in enumerate(batches, start=1):
        features = student(image)
        for name, t in teacher(image).items():
            f = features[name.removeprefix("true:")]
            student.fit(name, products(f, f), products(t, f), forget=1 / count)


def pocket_network(student: Student) -> VGG:
    """The network that ships: the trunk, and for each head W the symmetric square root of W'W as its metric map.

    |W D W'| = |M D M'| for M = (W'W)^(1/2) and every D, so Gram distances stay the same at a fraction of the width.
    """
    network = VGG(CONVS["pocket"], WIDTHS["pocket"], padding_mode="reflect", metric_layers=METRIC_LAYERS)
    network.body.load_state_dict(student.trunk.body.state_dict())
    for name in METRIC_LAYERS:
        head = student.heads[name].detach()
        network.metric[name].weight.data = square_root(head.T @ head)[:, :, None, None]
    return network.requires_grad_(False).eval()


@torch.no_grad()
def evaluate(student: Student, teacher: Teacher, images: Sequence[Tensor]) -> dict[str, dict[str, float]]:
    """How near the student comes on `images` (3, H, W), by layer: relative feature error, and how Gram distances agree.

    `rank` is Spearman's correlation between the pocket network's Gram distances and the teacher's over all pairs of
    images, `ratio` the median of their quotients (1 is perfect).
    """
    network, errors = pocket_network(student), {name: [] for name in student.heads}
    grams: dict[str, tuple[list[Tensor], list[Tensor]]] = {name: ([], []) for name in STYLE_LAYERS}
    for image in images:
        target, features = teacher(image[None]), student(image[None])
        for name, t in target.items():
            f = features[name.removeprefix("true:")]
            error, _ = layer_errors(student.heads[name], products(f, f), products(t, f), products(t, t))
            errors[name].append(error.item())
        for name, mine in network(image[None], STYLE_LAYERS).items():
            for kept, f in zip(grams[name], (mine, target[name]), strict=True):
                kept.append(products(f, f).flatten())
    table = {name: {"error": float(np.mean(values))} for name, values in errors.items()}
    for name, (mine, wanted) in grams.items():
        near, true = (F.pdist(torch.stack(g)).square().numpy() for g in (mine, wanted))
        table[name] |= {
            "rank": float(scipy.stats.spearmanr(near, true).statistic),
            "ratio": float(np.median(near / true)),
        }
    return table


def save_state(network: nn.Module, path: Path, record: dict) -> None:
    """Write a network's weights as safetensors, with `record` in the file's metadata; whole or not at all."""
    state = {k: v.detach().contiguous().clone() for k, v in network.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata={k: str(v) for k, v in record.items()})


def main(argv: Sequence[str] | None = None) -> None:
    """`train` writes the averaged student every few minutes; `export` makes the pocket network of it and its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    train, export = (commands.add_parser(name) for name in ("train", "export"))
    for command in (train, export):
        command.add_argument("--images", type=Path, required=True, help="training photographs")
        command.add_argument("--teachers", type=Path, required=True, help="the two files of teachers' weights")
        command.add_argument("--student", type=Path, required=True, help="the student with its heads")
    train.add_argument("--paintings", type=Path, required=True)
    train.add_argument("--minutes", type=float, default=46)
    train.add_argument("--sizes", type=int, nargs="+", default=[128, 160], help="crops in pixels, in order")
    train.add_argument("--seed", type=int, default=0)
    export.add_argument("--validation", type=Path, required=True)
    export.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)
    _train(args) if args.command == "train" else _export(args)


def _train(args: argparse.Namespace) -> None:
    photos, paintings, teacher = read_images(args.images, 256), read_images(args.paintings, 256), Teacher(args.teachers)
    options = {k: getattr(args, k) for k in ("minutes", "sizes", "seed")}
    crops = Crops(photos + 10 * paintings, args.sizes[-1], torch.Generator().manual_seed(args.seed))
    start, saved, recent = time.monotonic(), 0.0, []

    def save(step: DistillStep) -> None:
        """Write the averaged student with heads of its own."""
        fit_heads(step.student, teacher, (crops.batch(8) for _ in range(40)))
        save_state(step.student, args.student, options | {"steps": step.index})

    for step in distill(teacher, photos, paintings, **options):
        recent.append(step.terms)
        now = time.monotonic() - start
        if now - saved > 240:
            mean = {k: round(float(np.mean([t[k] for t in recent])), 4) for k in STYLE_LAYERS}
            print(json.dumps({"step": step.index, "minutes": round(now / 60, 1), **mean}), flush=True)
            save(step)
            saved, recent = now, []
    save(step)


def _export(args: argparse.Namespace) -> None:
    photos, teacher = read_images(args.images, 256), Teacher(args.teachers)
    teacher.calibrate(Crops(photos, 128, torch.Generator().manual_seed(0)).batch(64))
    images = [crop(image, 256) for image in read_images(args.validation, 256)]
    student = Student(teacher(images[0][None]))
    student.load_state_dict(load_file(args.student))
    for name, row in evaluate(student, teacher, images).items():
        print(name, "  ".join(f"{k} {v:.3f}" for k, v in row.items()))
    save_state(pocket_network(student), args.out, {"from": "VGG-19 and its 16x encoder; see data/README.md"})


def crop(image: Tensor, size: int) -> Tensor:
    """The middle `size` x `size` pixels of a uint8 image (3, H, W), as float32 in [0, 1]."""
    top, left = ((n - size) // 2 for n in image.shape[1:])
    return image[:, top : top + size, left : left + size].float() / 255


if __name__ == "__main__":
    main()
