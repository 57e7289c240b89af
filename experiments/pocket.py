"""Train the pocket network: a slim VGG-19 that judges pictures as Oxford's VGG-16 does (Hinton et al. 2015).

What matters is what an optimizer makes of the student: it searches for just those pictures which the student takes
for right. So the student learns from three
kinds of pictures: crops of photographs and paintings, such crops mixed and drowned in noise, and pictures that are
being painted *as the student itself judges them*, at many settings. On all of them its features and their Gram matrices
are compared with the teacher's.

Linear heads bring the student's features to the teacher's. When training ends, each head W becomes the square map
(W'W)^(1/2), which keeps every distance |W F| and every Gram distance |W G W'| at the student's own width.

    NST_LESSON_WEIGHTS=DIR python experiments/pocket.py train --images DIR --paintings DIR --state FILE
    NST_LESSON_WEIGHTS=DIR python experiments/pocket.py export --images DIR --paintings DIR --state FILE \\
        --validation DIR --out pocket.safetensors

`train` goes on from FILE if it is there. With one thread (OMP_NUM_THREADS=1) it leaves the other cores to others.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

import nst_lesson as nst
from nst_lesson.methods.distillation import layer_errors, products, square_root
from nst_lesson.networks.backbones import CHANNELS, STYLE_LAYERS, VGG
from nst_lesson.paths import atomic_path

CONTENT_LAYERS = ("relu3_3", "relu4_2")
LAYERS = (*STYLE_LAYERS, *CONTENT_LAYERS)  # those that get a metric
SHALLOW_LAYERS = ("relu1_1", "relu2_1")
# Of the teacher's channels at each layer, the directions with the most energy: more than a student can follow.
RANKS = dict(zip(LAYERS, (24, 96, 160, 288, 320, 192, 320), strict=True))
SHARES = {"relu1_1": 0.3, "relu2_1": 0.6, "relu3_1": 1.0, "relu4_1": 0.2, "relu5_1": 0.05}  # a painter's choice
SIZE = 160  # pixels of a crop
HEAD_BATCHES = 60  # of four pictures, for the heads to begin with
RATES = (0.007, 1e-3)  # of Muon for filters, of Adam for biases
# What each layer's error counts. An optimizer brings the shallow Gram matrices nearest, so their errors show first.
FEATURE_WEIGHTS = dict(zip(LAYERS, (1.0, 3.0, 2.0, 1.0, 0.5, 0.7, 0.7), strict=True))
GRAM_WEIGHTS = dict(zip(STYLE_LAYERS, (2.0, 24.0, 30.0, 6.0, 1.5), strict=True))


class Teacher:
    """Oxford's VGG-16: its features at LAYERS, each layer divided by its mean activation over the bundled photographs.

    The channels of a layer are *not* brought to one mean as Gatys et al. 2016 do it: Oxford's few channels that hardly
    ever fire would then have most of the say where they do (one of relu1_1 up to 80 % of a painting's Gram matrix).
    """

    def __init__(self) -> None:
        self.network = nst.load_backbone("vgg16-caffe")
        photos = [self.network(nst.load_image(name, 256), LAYERS) for name in nst.photo_names()]
        self.scale = {k: 1 / float(np.mean([f[k].mean().item() for f in photos])) for k in LAYERS}
        self.basis: dict[str, Tensor] = {}

    def __call__(self, image: Tensor, layers: Sequence[str] = LAYERS) -> dict[str, Tensor]:
        """Features of `image` (B, 3, H, W) in [0, 1]: {name: (B, C, H', W')}, float32; differentiable."""
        with torch.autocast("cpu", torch.bfloat16):
            found = self.network(image.contiguous(memory_format=torch.channels_last), layers)
        return {k: f.float() * self.scale[k] for k, f in found.items()}

    @torch.no_grad()
    def find_basis(self, images: Tensor) -> None:
        """Choose for each layer the RANKS directions of most energy over `images`, each image counting alike."""
        for name, f in self(images).items():
            gram = products(f, f)
            gram = (gram / gram.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]).sum(0)
            self.basis[name] = torch.linalg.eigh(gram)[1].flip(1)[:, : RANKS[name]].contiguous()

    def project(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Features in the basis, {name: (B, RANKS, H', W')}: what a student is compared with."""
        return {k: (f.permute(0, 2, 3, 1) @ self.basis[k]).permute(0, 3, 1, 2) for k, f in features.items()}


class Student(nn.Module):
    """The pocket trunk and one linear head W (teacher's directions, pocket's channels) for each of LAYERS.

    Heads begin at the least-squares optimum (`fit_heads`) and are trained with the trunk from there. Fitted anew to the
    last pictures at every step they would overfit, at relu5_1 to half the error that new pictures show, and what the
    trunk then learns serves those pictures alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk = VGG(CHANNELS["pocket"])
        for conv in self.trunk.body:
            if isinstance(conv, nn.Conv2d):
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                nn.init.zeros_(conv.bias)
        shapes = {k: (rank, CHANNELS["pocket"][int(k[4]) - 1][int(k[6]) - 1]) for k, rank in RANKS.items()}
        self.heads = nn.ParameterDict({k: torch.zeros(shape) for k, shape in shapes.items()})

    def forward(self, image: Tensor, layers: Sequence[str] = LAYERS) -> dict[str, Tensor]:
        """The trunk's own features of `image` (B, 3, H, W), before any head: {name: (B, C, H', W')}, float32."""
        with torch.autocast("cpu", torch.bfloat16):
            found = self.trunk(image.contiguous(memory_format=torch.channels_last), layers)
        return {k: f.float() for k, f in found.items()}


def read_images(*folders: Path, smallest: int = 256) -> list[Tensor]:
    """Every JPEG of the folders as uint8 (3, H, W); those whose shorter side is under `smallest` pixels are enlarged.

    Raises FileNotFoundError for a folder without one.
    """
    images = []
    for folder in folders:
        if not (paths := sorted(folder.glob("*.jpg"))):
            raise FileNotFoundError(f"no JPEG in {folder}")
        for path in paths:
            image = Image.open(path).convert("RGB")
            if min(image.size) < smallest:
                factor = smallest / min(image.size)
                image = image.resize((math.ceil(image.width * factor), math.ceil(image.height * factor)), Image.LANCZOS)
            images.append(torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous())
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

    def noise(self) -> Tensor:
        """Uniform noise (3, size, size) in [0, 1]."""
        return torch.rand(3, self.size, self.size, generator=self.generator)

    def spoiled(self) -> Tensor:
        """A crop as it looks at the start of an optimization: mixed with another crop, with noise, or noise alone."""
        crop = self.one()
        if self.uniform(0, 1) < 0.5:
            crop = torch.lerp(crop, self.one(), self.uniform(0, 0.5))
        return torch.lerp(crop, self.noise(), self.uniform(0, 1) ** 2)


@dataclass
class Lesson:
    """Pictures (B, 3, H, W), the teacher's projected features of them, and the Gram matrices of these, by layer."""

    pictures: Tensor
    features: dict[str, Tensor]
    grams: dict[str, Tensor]


class Gallery:
    """Pictures with the teacher's answers, which cost more than the student's step: each is used several times.

    When it is full, a new picture takes the place of the oldest.
    """

    def __init__(self, count: int, size: int) -> None:
        self.pictures = torch.zeros(count, size, size, 3, dtype=torch.float16)
        sides = {k: size >> (int(k[4]) - 1) for k in LAYERS}
        self.features = {k: torch.zeros(count, n, n, RANKS[k], dtype=torch.float16) for k, n in sides.items()}
        self.grams = {k: torch.zeros(count, rank, rank) for k, rank in RANKS.items()}
        self.filled = self.next = self.hung = 0
        self.lock = threading.Lock()

    def __len__(self) -> int:
        return self.filled

    @torch.no_grad()
    def put(self, pictures: Tensor, features: dict[str, Tensor]) -> None:
        """Hang up pictures (B, 3, H, W) with their projected features."""
        for i in range(len(pictures)):
            grams = {name: products(f[i : i + 1], f[i : i + 1])[0] for name, f in features.items()}
            with self.lock:
                self.pictures[self.next] = pictures[i].permute(1, 2, 0)
                for name, f in features.items():
                    self.features[name][self.next] = f[i].permute(1, 2, 0)
                    self.grams[name][self.next] = grams[name]
                self.next = (self.next + 1) % len(self.pictures)
                self.filled = min(self.filled + 1, len(self.pictures))
                self.hung += 1

    def draw(self, count: int, generator: torch.Generator) -> Lesson:
        """`count` of its pictures, chosen at random."""
        chosen = torch.randint(self.filled, (count,), generator=generator)
        with self.lock:
            features = {k: f[chosen].permute(0, 3, 1, 2).float() for k, f in self.features.items()}
            return Lesson(self.pictures[chosen].permute(0, 3, 1, 2).float(), features, _pick(self.grams, chosen))


def _pick(tensors: dict[str, Tensor], chosen: Tensor) -> dict[str, Tensor]:
    return {k: t[chosen] for k, t in tensors.items()}


def energy(x: Tensor) -> Tensor:
    """|x|^2 of each sample: (B,)."""
    return x.flatten(1).square().sum(1)


class Easel:
    """Pictures on their way from a photograph, or noise, to a painting, as the current student judges them.

    Each lives for 20 to 200 steps of Adam, long enough for what the student overlooks to show up, and has settings of
    its own: the style weight, the layers' shares, the smoothness, the learning rate, with content or without.
    """

    def __init__(self, photos: Crops, paintings: Crops, count: int) -> None:
        self.photos, self.paintings = photos, paintings
        self.pictures, self.content, self.style, self.m, self.v = torch.zeros(5, count, 3, photos.size, photos.size)
        self.shares = torch.zeros(count, len(STYLE_LAYERS))  # times the style weight
        self.content_weight, self.tv_weight, self.rate, self.age, self.life = torch.zeros(5, count)

    def begin(self, i: int) -> None:
        """Put a new picture in place i."""
        photos, uniform = self.photos, self.photos.uniform
        self.content[i] = photos.one() if uniform(0, 1) < 0.85 else self.paintings.one()
        self.style[i] = self.paintings.one() if uniform(0, 1) < 0.8 else photos.one()
        kind, noise = uniform(0, 1), photos.noise()
        mixture = torch.lerp(self.content[i], noise, uniform(0.2, 0.8))
        self.pictures[i] = self.content[i] if kind < 0.65 else noise if kind < 0.8 else mixture
        tilt = uniform(0, 1) if uniform(0, 1) < 0.5 else float(uniform(0, 1) < 0.6)  # 0: equal shares, 1: SHARES
        jitter = torch.exp(0.4 * torch.randn(len(STYLE_LAYERS), generator=photos.generator))
        shares = torch.tensor([SHARES[name] for name in STYLE_LAYERS]) ** tilt * jitter
        self.shares[i] = shares / shares.sum() * 300 ** uniform(0, 1)
        self.content_weight[i] = float(uniform(0, 1) < 0.9)  # the others are textures
        self.tv_weight[i], self.rate[i] = uniform(0, 20), uniform(0.015, 0.04)
        self.life[i], self.age[i] = int(20 * 10 ** uniform(0, 1)), 0
        self.m[i] = self.v[i] = 0

    def student_targets(self, student: Student, chosen: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Gram matrices of the paintings, features of the photographs at relu4_2, as the student has them."""
        with torch.no_grad():
            grams = {k: products(f, f) for k, f in student(self.style[chosen], STYLE_LAYERS).items()}
            return grams, student(self.content[chosen], ("relu4_2",))["relu4_2"]

    def student_loss(self, student: Student, features: dict[str, Tensor], targets: Any, chosen: Tensor) -> Tensor:
        """The relative style transfer objective behind the student's heads, without smoothness: (B,)."""
        grams, content = targets
        metric = student.heads["relu4_2"].T @ student.heads["relu4_2"]
        square = [(products(f, f) * metric).sum((1, 2)) for f in (features["relu4_2"] - content, content)]
        loss = self.content_weight[chosen] * square[0] / square[1]
        for share, (name, gram) in zip(self.shares[chosen].T, grams.items(), strict=True):
            metric = student.heads[name].T @ student.heads[name]
            change, whole = metric @ (products(features[name], features[name]) - gram), metric @ gram
            loss = loss + share * (change * change.mT).sum((1, 2)) / (whole * whole.mT).sum((1, 2))
        return loss

    def move(self, chosen: Tensor, gradient: Tensor) -> None:
        """One step of Adam along `gradient` and that of the smoothness, clamped to [0, 1]."""
        x = self.pictures[chosen].requires_grad_()
        smoothness = sum((d.square().flatten(1).mean(1) for d in (x.diff(dim=2), x.diff(dim=3))), torch.zeros(()))
        gradient = gradient + torch.autograd.grad((self.tv_weight[chosen] * smoothness).sum(), x)[0]
        self.age[chosen] += 1
        age, rate = (t[chosen].view(-1, 1, 1, 1) for t in (self.age, self.rate))
        m = self.m[chosen] = torch.lerp(self.m[chosen], gradient, 0.1)
        v = self.v[chosen] = torch.lerp(self.v[chosen], gradient**2, 0.01)
        step = (m / (1 - 0.9**age)) / ((v / (1 - 0.99**age)).sqrt() + 1e-12)
        self.pictures[chosen] = (x.detach() - rate * step).clamp(0, 1)

    def visit(self, student: Student, chosen: Tensor, moves: int = 4) -> Tensor:
        """Paint on for some moves, and show the chosen pictures (B, 3, H, W)."""
        for i in chosen.tolist():
            if self.age[i] >= self.life[i]:
                self.begin(i)
        targets = self.student_targets(student, chosen)
        for _ in range(moves):
            x = self.pictures[chosen].requires_grad_()
            loss = self.student_loss(student, student(x), targets, chosen)
            self.move(chosen, torch.autograd.grad(loss.sum(), x)[0])
        return self.pictures[chosen]


def distillation_loss(student: Student, mine: dict[str, Tensor], lesson: Lesson) -> tuple[Tensor, dict[str, float]]:
    """The feature errors of all layers plus the Gram errors of the style layers, and both by name.

    `mine` are the student's features of the lesson's pictures. The last two pictures do for the shallow layers, which
    have positions in plenty.
    """
    loss, terms = torch.zeros(()), {}
    for name in LAYERS:
        part = slice(-2 if name in SHALLOW_LAYERS else None, None)
        f, t, wanted = (x[name][part] for x in (mine, lesson.features, lesson.grams))
        g, cross = products(f, f), products(t, f)
        error, gram = layer_errors(student.heads[name], g, cross, wanted)
        loss, terms[name] = loss + FEATURE_WEIGHTS[name] * error, error.item()
        if name in STYLE_LAYERS:
            loss, terms[f"gram {name}"] = loss + GRAM_WEIGHTS[name] * gram, gram.item()
    return loss, terms


class Muon(torch.optim.Optimizer):
    """Momentum whose matrices are orthogonalized before each step (Jordan et al. 2024), for convolution weights.

    Five Newton-Schulz iterations with Jordan's coefficients bring all singular values near one, in bfloat16 as he has
    it.
    """

    def __init__(self, parameters: Iterable[Any], lr: float = 0.02, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "keep_norm": True})

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter by its orthogonalized Nesterov momentum."""
        for group in self.param_groups:
            for p in group["params"]:
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                x = torch.lerp(p.grad, buffer, group["momentum"]).flatten(1)
                x = (x / (x.norm() + 1e-7)).bfloat16()
                for _ in range(5):
                    xx = x @ x.T
                    x = 3.4445 * x + (-4.7750 * xx + 2.0315 * xx @ xx) @ x
                norm = self.state[p].setdefault("norm", p.norm())
                p.add_(x.view_as(p), alpha=-group["lr"] * norm.item() / math.sqrt(2 * len(p)))
                if group["keep_norm"]:  # filters that grow make rates fade, and biases small
                    p.mul_(norm / p.norm())


class Trainer:
    """A training that can be interrupted: everything but the gallery, which fills again, is in `state_dict`.

    For the first tenth of `minutes` the student sees the gallery alone: its own judgment is no guide yet to what an
    optimizer will show it. The learning rate falls to zero in the last nine tenths.
    """

    def __init__(self, teacher: Teacher, photos: list[Tensor], paintings: list[Tensor], minutes: float, seed: int):
        torch.manual_seed(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.teacher, self.minutes, self.gone, self.index = teacher, minutes, 0.0, 0
        self.photos, self.paintings = (Crops(images, SIZE, self.generator) for images in (photos, paintings))
        self.gallery, self.easel = Gallery(300, SIZE), Easel(self.photos, self.paintings, count=8)
        self.turn = 0
        self.student = Student()
        convs = [m for m in self.student.trunk.body if isinstance(m, nn.Conv2d)]
        groups = [{"params": [m.weight for m in convs]}, {"params": [*self.student.heads.values()], "keep_norm": False}]
        self.optimizers = Muon(groups), torch.optim.Adam([m.bias for m in convs])
        teacher.find_basis(torch.stack([self.fresh() for _ in range(60)]))
        fit_heads(self.student, teacher, (torch.stack([self.fresh() for _ in range(4)]) for _ in range(HEAD_BATCHES)))
        self.average = copy.deepcopy(self.student)

    def fresh(self) -> Tensor:
        """A new picture (3, SIZE, SIZE)."""
        return fresh(self.photos, self.paintings)

    def hang(self) -> None:
        """Keep the gallery full of new pictures, four for every step: the work of a thread of its own."""
        os.nice(5)  # of this thread alone, on Linux
        generator = torch.Generator().manual_seed(1_000_000 + self.index)
        photos, paintings = (Crops(c.images, SIZE, generator) for c in (self.photos, self.paintings))
        start = self.index
        while self.gone < self.minutes:
            if self.gallery.hung > 120 + 4 * (self.index - start):
                time.sleep(0.05)
                continue
            picture = fresh(photos, paintings)[None]
            with torch.no_grad():
                self.gallery.put(picture, self.teacher.project(self.teacher(picture)))

    def step(self) -> dict[str, float]:
        """One step on four pictures of the gallery; every fourth, two being painted are hung there. Errors by name."""
        while len(self.gallery) < 100:
            time.sleep(0.1)
        lesson = self.gallery.draw(4, self.generator)
        if self.index % 4 == 0 and self.gone > 0.1 * self.minutes:
            chosen = (torch.arange(2) + self.turn) % len(self.easel.age)
            self.turn = int(chosen[-1]) + 1
            painted = self.easel.visit(self.student, chosen)
            with torch.no_grad():
                self.gallery.put(painted, self.teacher.project(self.teacher(painted)))
        loss, terms = distillation_loss(self.student, self.student(lesson.pictures), lesson)
        self.student.zero_grad()
        loss.backward()
        share = min(1, (self.index + 1) / 100, (1 - self.gone / self.minutes) / 0.9)
        for optimizer, rate in zip(self.optimizers, RATES, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * max(0.0, share)
            optimizer.step()
        self.index += 1
        decay = min(0.995, self.index / (self.index + 10))
        with torch.no_grad():
            for a, p in zip(self.average.parameters(), self.student.parameters(), strict=True):
                a.lerp_(p, 1 - decay)
        return terms

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed training needs."""
        easel = {k: v for k, v in vars(self.easel).items() if isinstance(v, Tensor)}
        plain = {"index": self.index, "gone": self.gone, "turn": self.turn, "generator": self.generator.get_state()}
        networks = {"student": self.student.state_dict(), "average": self.average.state_dict()}
        kept = {"basis": self.teacher.basis, "easel": easel}
        return plain | networks | kept | {"optimizers": [o.state_dict() for o in self.optimizers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.index, self.gone, self.turn = state["index"], state["gone"], state["turn"]
        self.generator.set_state(state["generator"])
        self.student.load_state_dict(state["student"])
        self.average.load_state_dict(state["average"])
        self.teacher.basis = state["basis"]
        vars(self.easel).update(state["easel"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)


def fresh(photos: Crops, paintings: Crops) -> Tensor:
    """A new picture (3, SIZE, SIZE): half of them are plain photographs, a quarter plain paintings."""
    kind = photos.uniform(0, 1)
    if kind < 0.75:
        return (photos if kind < 0.5 else paintings).one()
    return (photos if kind < 0.9 else paintings).spoiled()


@torch.no_grad()
def fit_heads(student: Student, teacher: Teacher, batches: Iterable[Tensor]) -> None:
    """Set the heads to the least-squares optimum C G^-1, with G = F F' and C = T F' summed over all `batches`."""
    sums: dict[str, list[Tensor]] = {}
    for image in batches:
        features, target = student(image), teacher.project(teacher(image))
        for name, t in target.items():
            f = features[name]
            new = products(f, f).sum(0), products(t, f).sum(0)
            sums[name] = [a + b for a, b in zip(sums.get(name, (0, 0)), new, strict=True)]
    for name, (g, cross) in sums.items():
        ridge = 1e-4 * g.diagonal().mean() * torch.eye(len(g))  # keeps a silent channel from making G singular
        student.heads[name].data = torch.linalg.solve(g + ridge, cross.T).T.contiguous()


def pocket_network(student: Student) -> VGG:
    """The network that ships: the trunk, and for each head W the symmetric square root of W'W as its metric map."""
    network = VGG(CHANNELS["pocket"], metric_layers=LAYERS)
    network.body.load_state_dict(student.trunk.body.state_dict())
    for name in LAYERS:
        head = student.heads[name].detach()
        network.metric[name].weight.data = square_root(head.T @ head)[:, :, None, None]
    network.requires_grad_(False).eval()
    # Activations grow to 1e11 in training, and maps of 1e-12 are zero in 16 bits: bring each layer's mean to one.
    photo, before = nst.load_image("chelsea", 256), 1.0
    relus = [name for name in network.layers if name.startswith("relu")]
    means = {name: f.mean().item() for name, f in student.trunk(photo, relus).items()}
    for name, mean in means.items():
        conv = name.replace("relu", "conv")
        network.body.get_parameter(f"{conv}.weight").mul_(before / mean)
        network.body.get_parameter(f"{conv}.bias").div_(mean)
        if name in LAYERS:
            network.metric[name].weight.mul_(mean)
        before = mean
    return network


@torch.no_grad()
def evaluate(student: Student, teacher: Teacher, images: Sequence[Tensor]) -> dict[str, dict[str, float]]:
    """How near the student comes on `images` (3, H, W), by layer: relative feature error, and how Gram distances agree.

    The error counts what the student could follow at most (see RANKS) and no more. `rank` is Spearman's correlation
    between the pocket network's Gram distances and the teacher's own over all pairs of images, `ratio` the median of
    their quotients (1 is perfect).
    """
    network: VGG = pocket_network(student)
    errors: dict[str, list[float]] = {name: [] for name in LAYERS}
    grams: dict[str, tuple[list[Tensor], list[Tensor]]] = {name: ([], []) for name in LAYERS}
    for image in images:
        whole, features, mapped = teacher(image[None]), student(image[None]), network(image[None], LAYERS)
        for name, t in teacher.project(whole).items():
            f = features[name]
            error, _ = layer_errors(student.heads[name], products(f, f), products(t, f), products(t, t))
            errors[name].append(error.item())
            for kept, shown in zip(grams[name], (mapped[name], whole[name]), strict=True):
                kept.append(products(shown, shown).flatten())
    table = {}
    for name, (mine, wanted) in grams.items():
        near, true = (F.pdist(torch.stack(g)).square().numpy() for g in (mine, wanted))
        rank, ratio = scipy.stats.spearmanr(near, true).statistic, np.median(near / true)
        table[name] = {"error": float(np.mean(errors[name])), "rank": float(rank), "ratio": float(ratio)}
    return table


def save_half(network: nn.Module, path: Path, record: dict[str, str]) -> None:
    """Write a network's weights as 16-bit floats, with `record` in the file's metadata; whole or not at all."""
    state = {k: v.detach().half().contiguous() for k, v in network.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata=record)


def main(argv: Sequence[str] | None = None) -> None:
    """`train` writes its state every two minutes; `export` makes the pocket network of the averaged student."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    train, export = (commands.add_parser(name) for name in ("train", "export"))
    for command in (train, export):
        command.add_argument("--images", type=Path, required=True, help="training photographs")
        command.add_argument("--paintings", type=Path, nargs="+", required=True, help="folders of paintings")
        command.add_argument("--state", type=Path, required=True, help="the state of the training")
        command.add_argument("--minutes", type=float, default=100, help="of training, in all")
        command.add_argument("--seed", type=int, default=0)
    export.add_argument("--validation", type=Path, required=True)
    export.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)

    torch.set_flush_denormal(True)
    trainer = Trainer(Teacher(), read_images(args.images), read_images(*args.paintings), args.minutes, args.seed)
    if args.state.exists():  # its basis too: heads speak of the directions that the basis names
        trainer.load_state_dict(torch.load(args.state))
    _train(trainer, args.state) if args.command == "train" else _export(trainer, args.validation, args.out)


def _train(trainer: Trainer, path: Path) -> None:
    """Train until the minutes are gone; every two of them write the state and print the mean errors."""

    def save() -> None:
        with atomic_path(path) as temporary:
            torch.save(trainer.state_dict(), temporary)
        means = {k: round(float(np.mean(values)), 4) for k, values in recent.items()}
        print(json.dumps({"step": trainer.index, "minutes": round(trainer.gone, 1), **means}), flush=True)
        recent.clear()

    recent: dict[str, list[float]] = {}
    saved = last = time.monotonic()
    threading.Thread(target=trainer.hang, daemon=True).start()
    while trainer.gone < trainer.minutes:
        for name, value in trainer.step().items():
            recent.setdefault(name, []).append(value)
        now = time.monotonic()
        trainer.gone, last = trainer.gone + (now - last) / 60, now
        if now - saved > 120:
            save()
            saved = now
    save()


def _export(trainer: Trainer, validation: Path, out: Path) -> None:
    """Print how near the averaged student comes, and write it as the pocket network."""
    student, teacher = trainer.average, trainer.teacher
    images = [crop(image, 256) for image in read_images(validation)]
    for name, row in evaluate(student, teacher, images).items():
        print(name, "  ".join(f"{k} {v:.3f}" for k, v in row.items()))
    record = {"from": "Oxford's VGG-16; see data/README.md", "steps": str(trainer.index)}
    save_half(pocket_network(student), out, record)


def crop(image: Tensor, size: int) -> Tensor:
    """The middle `size` x `size` pixels of a uint8 image (3, H, W), as float32 in [0, 1]."""
    top, left = ((n - size) // 2 for n in image.shape[1:])
    return image[:, top : top + size, left : left + size].float() / 255


if __name__ == "__main__":
    main()
