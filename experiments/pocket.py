"""Train the pocket network: a slim VGG-19 that judges pictures as Oxford's VGG-16 does (Hinton et al. 2015).

What matters is what an optimizer makes of the student: it searches for just those pictures which the student takes
for right. So the student learns from three kinds of pictures: crops of photographs and paintings, such crops mixed and
drowned in noise, and pictures that are being painted *as the student itself judges them*, at many settings. On all of
them its features and their Gram matrices are compared with the teacher's; and of every picture that is being painted
the student has to say how its Gram matrices differ from those of its painting.

Linear heads bring the student's features to the teacher's. When training ends, each head W becomes the square map
(W'W)^(1/2), which keeps every distance |W F| and every Gram distance |W G W'| at the student's own width.

    NST_LESSON_WEIGHTS=DIR python experiments/pocket.py train --images DIR --paintings DIR --state FILE
    NST_LESSON_WEIGHTS=DIR python experiments/pocket.py export --images DIR --paintings DIR --state FILE \\
        --validation DIR --out pocket.safetensors

`train` goes on from FILE if it is there, else from the pocket network that `--start` names, or from nothing. It wants
a GPU (`--device cuda`), where a step takes about a tenth of a second (NVIDIA H200), and some processor cores that cut
pictures for it (`--workers`).
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.stats
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

import nst_lesson as nst
from nst_lesson.methods.distillation import layer_errors, products
from nst_lesson.networks.backbones import CHANNELS, STYLE_LAYERS, VGG
from nst_lesson.paths import atomic_path
from nst_lesson.pictures.colors import square_root

CONTENT_LAYERS = ("relu3_3", "relu4_2")
LAYERS = (*STYLE_LAYERS, *CONTENT_LAYERS)  # those that get a metric
# Of the teacher's channels at each layer, the directions with the most energy: more than a student can follow.
RANKS = dict(zip(LAYERS, (24, 96, 160, 288, 320, 192, 320), strict=True))
SHARES = {"relu1_1": 0.3, "relu2_1": 0.6, "relu3_1": 1.0, "relu4_1": 0.2, "relu5_1": 0.05}  # a painter's choice
SIZE = 192  # pixels of a crop
# Pictures of a step: new ones, and those being painted, each with its painting and its photograph. EASEL stand there.
FRESH, PAINTED, EASEL = 20, 20, 80
COMMISSIONS = 2  # new ones a step
HEAD_BATCHES = 12  # of FRESH pictures, for the heads to begin with
RATES = (0.007, 1e-3)  # of Muon for filters, of Adam for biases
# What each layer's error counts. An optimizer brings the shallow Gram matrices nearest, so their errors show first.
FEATURE_WEIGHTS = dict(zip(LAYERS, (1.0, 3.0, 2.0, 1.0, 0.5, 0.7, 0.7), strict=True))
GRAM_WEIGHTS = dict(zip(STYLE_LAYERS, (2.0, 24.0, 30.0, 6.0, 2.5), strict=True))
PAINTED_WEIGHTS = dict(zip(STYLE_LAYERS, (2.0, 2.5, 3.0, 4.0, 10.0), strict=True))
# Three times the relative Gram distance to the painting that VGG-16 leaves in its own pictures (100 steps, 384 px).
NEAR = dict(zip(STYLE_LAYERS, (0.007, 0.004, 0.01, 0.19, 0.5), strict=True))


class Teacher:
    """Oxford's VGG-16: its features at LAYERS, each layer divided by its mean activation over the bundled photographs.

    The channels of a layer are *not* brought to one mean as Gatys et al. 2016 do it: Oxford's few channels that hardly
    ever fire would then have most of the say where they do (one of relu1_1 up to 80 % of a painting's Gram matrix).
    """

    def __init__(self, device: torch.device) -> None:
        self.network = nst.load_backbone("vgg16-caffe", device=device)
        photos = [self.network(nst.load_image(name, 256, device=device), LAYERS) for name in nst.photo_names()]
        self.scale = {k: 1 / float(np.mean([f[k].mean().item() for f in photos])) for k in LAYERS}
        self.basis: dict[str, Tensor] = {}

    def __call__(self, image: Tensor, layers: Sequence[str] = LAYERS) -> dict[str, Tensor]:
        """Features of `image` (B, 3, H, W) in [0, 1]: {name: (B, C, H', W')}, float32; differentiable."""
        with torch.autocast(image.device.type, torch.bfloat16):
            found = self.network(image.contiguous(memory_format=torch.channels_last), layers)
        return {k: f.float() * self.scale[k] for k, f in found.items()}

    @torch.no_grad()
    def find_basis(self, batches: Iterable[Tensor]) -> None:
        """Choose for each layer the RANKS directions of most energy over all images, each image counting alike."""
        grams: dict[str, Tensor | float] = dict.fromkeys(LAYERS, 0.0)
        for images in batches:
            for name, f in self(images).items():
                gram = products(f, f)
                grams[name] = grams[name] + (gram / gram.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]).sum(0)
        for name, gram in grams.items():
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
        with torch.autocast(image.device.type, torch.bfloat16):
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
        largest = max(1.0, min(image.shape[1:]) / self.size)
        side = int(self.size * largest ** self.uniform(0, 1))  # up to the whole painting, as it is used
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


class Commission(NamedTuple):
    """A picture to be painted: three pictures (3, H, W) and, as tensors without dimensions or (5,), its settings."""

    content: Tensor
    style: Tensor
    start: Tensor
    shares: Tensor  # of the style layers, times the style weight
    content_weight: Tensor
    tv_weight: Tensor
    rate: Tensor  # of Adam
    life: Tensor  # steps of Adam


class Supply(IterableDataset):
    """Without end: FRESH new pictures (FRESH, 3, SIZE, SIZE), and COMMISSIONS commissions for the easel."""

    def __init__(self, photos: list[Tensor], paintings: list[Tensor], seed: int) -> None:
        self.photos, self.paintings, self.seed = photos, paintings, seed

    def __iter__(self) -> Iterator[tuple[Tensor, list[Commission]]]:
        worker = get_worker_info()
        generator = torch.Generator().manual_seed(self.seed + 1_000_003 * (worker.id if worker else 0))
        photos, paintings = (Crops(images, SIZE, generator) for images in (self.photos, self.paintings))
        while True:
            pictures = torch.stack([fresh(photos, paintings) for _ in range(FRESH)])
            yield pictures, [commission(photos, paintings) for _ in range(COMMISSIONS)]


def fresh(photos: Crops, paintings: Crops) -> Tensor:
    """A new picture (3, SIZE, SIZE): half of them are plain photographs, a quarter plain paintings."""
    kind = photos.uniform(0, 1)
    if kind < 0.75:
        return (photos if kind < 0.5 else paintings).one()
    return (photos if kind < 0.9 else paintings).spoiled()


def commission(photos: Crops, paintings: Crops) -> Commission:
    """A photograph, a painting, a start and settings, as a student of the course might choose them."""
    uniform = photos.uniform
    content = photos.one() if uniform(0, 1) < 0.85 else paintings.one()
    style = paintings.one() if uniform(0, 1) < 0.8 else photos.one()
    kind, noise = uniform(0, 1), photos.noise()
    mixture = torch.lerp(content, noise, uniform(0.2, 0.8))
    start = content if kind < 0.65 else noise if kind < 0.8 else mixture
    tilt = uniform(0, 1) if uniform(0, 1) < 0.5 else float(uniform(0, 1) < 0.6)  # 0: equal shares, 1: SHARES
    jitter = torch.exp(0.4 * torch.randn(len(STYLE_LAYERS), generator=photos.generator))
    shares = torch.tensor([SHARES[name] for name in STYLE_LAYERS]) ** tilt * jitter
    shares = shares / shares.sum() * 300 ** uniform(0, 1)
    content_weight = float(uniform(0, 1) < 0.9)  # the others are textures
    rest = content_weight, uniform(0, 20), uniform(0.015, 0.04), int(20 * 10 ** uniform(0, 1))
    return Commission(content, style, start, shares, *map(torch.tensor, rest))


def energy(x: Tensor) -> Tensor:
    """|x|^2 of each sample: (B,)."""
    return x.flatten(1).square().sum(1)


class Easel:
    """Pictures on their way from a photograph, or noise, to a painting, as the current student judges them.

    Each lives for 20 to 200 steps of Adam, long enough for what the student overlooks to show up.
    """

    def __init__(self, commissions: Sequence[Commission], device: torch.device) -> None:
        columns = (torch.stack(column).to(device) for column in zip(*commissions, strict=True))
        self.content, self.style, self.pictures, self.shares, self.content_weight, self.tv_weight, self.rate, life = (
            columns
        )
        self.m, self.v = torch.zeros_like(self.pictures), torch.zeros_like(self.pictures)
        self.age, self.life = torch.zeros(len(commissions)), life.float().cpu()  # there, nobody waits for a GPU

    def accept(self, commissions: Iterable[Commission], places: range) -> None:
        """Begin the commissions in those of `places` whose pictures are done; what finds no place is dropped."""
        done = [i for i in places if self.age[i] >= self.life[i]]
        for i, new in zip(done, commissions, strict=False):
            self.content[i], self.style[i], self.pictures[i] = new.content, new.style, new.start
            self.shares[i], self.content_weight[i], self.tv_weight[i] = new.shares, new.content_weight, new.tv_weight
            self.rate[i], self.life[i], self.age[i] = new.rate, new.life, 0
            self.m[i] = self.v[i] = 0

    def student_targets(self, student: Student, chosen: slice) -> tuple[dict[str, Tensor], Tensor]:
        """Gram matrices of the paintings, features of the photographs at relu4_2, as the student has them."""
        with torch.no_grad():
            grams = {k: products(f, f) for k, f in student(self.style[chosen], STYLE_LAYERS).items()}
            return grams, student(self.content[chosen], ("relu4_2",))["relu4_2"]

    def student_loss(self, student: Student, features: dict[str, Tensor], targets: Any, chosen: slice) -> Tensor:
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

    def move(self, chosen: slice, gradient: Tensor) -> None:
        """One step of Adam along `gradient` and that of the smoothness, clamped to [0, 1]."""
        x = self.pictures[chosen].detach().requires_grad_()
        smoothness = sum(d.square().flatten(1).mean(1) for d in (x.diff(dim=2), x.diff(dim=3)))
        gradient = gradient + torch.autograd.grad((self.tv_weight[chosen] * smoothness).sum(), x)[0]
        self.age[chosen] += 1
        age, rate = (t[chosen].to(x.device).view(-1, 1, 1, 1) for t in (self.age, self.rate))
        m = self.m[chosen] = torch.lerp(self.m[chosen], gradient, 0.1)
        v = self.v[chosen] = torch.lerp(self.v[chosen], gradient**2, 0.01)
        step = (m / (1 - 0.9**age)) / ((v / (1 - 0.99**age)).sqrt() + 1e-12)
        self.pictures[chosen] = (x.detach() - rate * step).clamp(0, 1)

    def paint(self, student: Student, places: range, moves: int = 4) -> Tensor:
        """Paint on for some moves; then the pictures in `places` with their paintings and photographs, (3 B, 3, H, W).

        In this order, as `distillation_loss` wants it.
        """
        chosen = slice(places.start, places.stop)
        targets = self.student_targets(student, chosen)
        for _ in range(moves):
            x = self.pictures[chosen].clone().requires_grad_()
            loss = self.student_loss(student, student(x), targets, chosen)
            self.move(chosen, torch.autograd.grad(loss.sum(), x)[0])
        return torch.cat([self.pictures[chosen], self.style[chosen], self.content[chosen]])


def distillation_loss(
    student: Student, mine: dict[str, Tensor], target: dict[str, Tensor], painted: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """What the student, with features `mine`, has wrong of the `target` (projected features); the sum, and by name.

    - At all layers the relative squared error of the features, at the style layers that of their Gram matrices.
    - The first `painted` samples are pictures that are being painted, as many after them their paintings, in the same
      order. An optimizer brings their Gram matrices together as the student sees them; what is left between them as
      the teacher sees them is what the student overlooks. Hence at the style layers the error of this *difference*,
      relative to the difference itself and to what VGG-16 leaves of it in its own pictures (NEAR).
    """
    loss, terms = torch.zeros((), device=target["relu1_1"].device), {}
    for name in LAYERS:
        f, t, head = mine[name], target[name], student.heads[name]
        g, wanted = products(f, f), products(t, t)
        error, gram = layer_errors(head, g, products(t, f), wanted)
        loss, terms[name] = loss + FEATURE_WEIGHTS[name] * error, error
        if name in STYLE_LAYERS:
            styles = wanted[painted : 2 * painted]
            true = wanted[:painted] - styles
            astray = head @ (g[:painted] - g[painted : 2 * painted]) @ head.T - true
            astray = (energy(astray) / (energy(true) + NEAR[name] * energy(styles))).mean()
            loss = loss + GRAM_WEIGHTS[name] * gram + PAINTED_WEIGHTS[name] * astray
            terms |= {f"gram {name}": gram, f"painted {name}": astray}
    return loss, {name: term.detach() for name, term in terms.items()}


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
                norm = self.state[p].setdefault("norm", p.norm().item())
                p.add_(x.view_as(p), alpha=-group["lr"] * norm / math.sqrt(2 * len(p)))
                if group["keep_norm"]:  # filters that grow make rates fade, and biases small
                    p.mul_(norm / p.norm())


class Trainer:
    """A training that can be interrupted; the easel's pictures begin anew then, and the supply, so give another seed.

    The learning rate falls to zero in the last nine tenths of `minutes`.
    """

    def __init__(
        self,
        teacher: Teacher,
        supply: Iterable[Any],
        minutes: float,
        device: torch.device,
        seed: int,
        start: dict[str, Tensor] | None = None,  # weights of a trunk
    ) -> None:
        torch.manual_seed(seed)
        self.teacher, self.minutes, self.gone, self.index, self.device = teacher, minutes, 0.0, 0, device
        self.supply = iter(supply)
        self.student = Student().to(device)
        if start is not None:
            self.student.trunk.body.load_state_dict(start)
        convs = [m for m in self.student.trunk.body if isinstance(m, nn.Conv2d)]
        groups = [{"params": [m.weight for m in convs]}, {"params": [*self.student.heads.values()], "keep_norm": False}]
        self.optimizers = Muon(groups), torch.optim.Adam([m.bias for m in convs])
        batches = [next(self.supply) for _ in range(max(HEAD_BATCHES, EASEL // COMMISSIONS))]
        self.easel = Easel([new for _, several in batches for new in several][:EASEL], device)
        pictures = [pictures.to(device) for pictures, _ in batches[:HEAD_BATCHES]]
        teacher.find_basis(pictures)
        fit_heads(self.student, teacher, pictures)
        self.average = copy.deepcopy(self.student)

    def step(self) -> dict[str, Tensor]:
        """One step on new pictures and on a part of those being painted. Errors by name, on the device."""
        pictures, commissions = next(self.supply)
        first = self.index * PAINTED % EASEL
        places = range(first, first + PAINTED)
        self.easel.accept(commissions, places)
        painted = self.easel.paint(self.student, places)
        pictures = torch.cat([painted, pictures.to(self.device, non_blocking=True)])
        with torch.no_grad():
            target = self.teacher.project(self.teacher(pictures))
        loss, terms = distillation_loss(self.student, self.student(pictures), target, PAINTED)
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
        networks = {"student": self.student.state_dict(), "average": self.average.state_dict()}
        plain = {"index": self.index, "gone": self.gone, "basis": self.teacher.basis}
        return plain | networks | {"optimizers": [o.state_dict() for o in self.optimizers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.index, self.gone = state["index"], state["gone"]
        self.student.load_state_dict(state["student"])
        self.average.load_state_dict(state["average"])
        self.teacher.basis = {k: basis.to(self.device) for k, basis in state["basis"].items()}
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)


def read_trunk(path: Path) -> dict[str, Tensor]:
    """The filters and biases of a pocket network that `export` wrote, in float32: {name in `VGG.body`: weights}."""
    return {k.removeprefix("body."): w.float() for k, w in load_file(path).items() if k.startswith("body.")}


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
        ridge = (
            1e-4 * g.diagonal().mean() * torch.eye(len(g), device=g.device)
        )  # keeps a silent channel from making G singular
        student.heads[name].data = torch.linalg.solve(g + ridge, cross.T).T.contiguous()


def pocket_network(student: Student) -> VGG:
    """The network that ships: the trunk, and for each head W the symmetric square root of W'W as its metric map."""
    student = copy.deepcopy(student).cpu()
    network = VGG(CHANNELS["pocket"], metric_layers=LAYERS)
    network.body.load_state_dict(student.trunk.body.state_dict())
    for name in LAYERS:
        head = student.heads[name].detach()
        network.metric[name].weight.data = square_root(head.T @ head, smallest=0)[:, :, None, None]
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
    network = pocket_network(student).to(images[0].device)
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
        near, true = (F.pdist(torch.stack(g)).square().cpu().numpy() for g in (mine, wanted))
        rank, ratio = scipy.stats.spearmanr(near, true).statistic, np.median(near / true)
        table[name] = {"error": float(np.mean(errors[name])), "rank": float(rank), "ratio": float(ratio)}
    return table


def save_half(network: nn.Module, path: Path, record: dict[str, str]) -> None:
    """Write a network's weights as 16-bit floats, with `record` in the file's metadata; whole or not at all."""
    state = {k: v.detach().half().contiguous() for k, v in network.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata=record)


def main(argv: Sequence[str] | None = None) -> None:
    """`train` writes its state every 30 seconds; `export` makes the pocket network of the averaged student."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    train, export = (commands.add_parser(name) for name in ("train", "export"))
    for command in (train, export):
        command.add_argument("--images", type=Path, required=True, help="training photographs")
        command.add_argument("--paintings", type=Path, nargs="+", required=True, help="folders of paintings")
        command.add_argument("--state", type=Path, required=True, help="the state of the training")
        command.add_argument("--minutes", type=float, default=100, help="of training, in all")
        command.add_argument("--seed", type=int, default=0)
        command.add_argument("--device", default="cpu")
        command.add_argument("--workers", type=int, default=0, help="processes that cut pictures")
    train.add_argument("--start", type=Path, help="a pocket network whose filters the student begins with")
    export.set_defaults(start=None)
    export.add_argument("--validation", type=Path, required=True)
    export.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)

    device = torch.device(args.device)
    pictures = Supply(read_images(args.images), read_images(*args.paintings), args.seed)
    supply = DataLoader(pictures, None, num_workers=args.workers, pin_memory=device.type == "cuda")
    trainer = Trainer(Teacher(device), supply, args.minutes, device, args.seed, args.start and read_trunk(args.start))
    torch.set_float32_matmul_precision("high")  # from here on: Gram matrices on a GPU with errors of a thousandth
    if args.state.exists():  # its basis too: heads speak of the directions that the basis names
        trainer.load_state_dict(torch.load(args.state, map_location=device))
    _train(trainer, args.state) if args.command == "train" else _export(trainer, args.validation, args.out)


def _train(trainer: Trainer, path: Path) -> None:
    """Train until the minutes are gone; every half a minute write the state and print the mean errors since then."""

    def save() -> None:
        with atomic_path(path) as temporary:
            torch.save(trainer.state_dict(), temporary)
        means = {k: round(float(total) / (trainer.index - start), 4) for k, total in sums.items()}
        print(json.dumps({"step": trainer.index, "minutes": round(trainer.gone, 1), **means}), flush=True)

    sums: dict[str, Tensor] = {}
    saved = last = time.monotonic()
    start = trainer.index
    while trainer.gone < trainer.minutes:
        for name, value in trainer.step().items():
            sums[name] = sums[name] + value if name in sums else value
        now = time.monotonic()
        trainer.gone, last = trainer.gone + (now - last) / 60, now
        if now - saved > 30:
            save()
            sums, saved, start = {}, now, trainer.index
    if sums:
        save()


def _export(trainer: Trainer, validation: Path, out: Path) -> None:
    """Print how near the averaged student comes, and write it as the pocket network."""
    student, teacher = trainer.average, trainer.teacher
    images = [crop(image, 256).to(trainer.device) for image in read_images(validation)]
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
