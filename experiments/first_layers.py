"""The pocket network beside VGG-19's own first layers: what lesson 10 shows stored. It takes some minutes.

    python experiments/first_layers.py TEACHERS

TEACHERS is the folder with the weights of both teachers that `python experiments/pocket.py train` needs: Oxford's own
first layers of VGG-19 (Simonyan & Zisserman 2014, CC BY 4.0), folded to torchvision's input, and the encoder of Wang et
al. 2020. Pictures are painted with VGG-19 as it is and with pocket. Distances are compared with those of the
*normalized* VGG-19: each channel scaled to fit what the encoder makes of it. Numbers and pictures go into
data/distillation/.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import scipy.stats
import torch
from pocket import Teacher  # experiments/pocket.py, beside this file
from torch import Tensor

import nst_lesson as nst

OUT = nst.data_dir() / "distillation"
LAYERS = ("relu1_1", "relu2_1", "relu3_1")  # the style layers that both networks have
JUDGED_AT = ("relu2_2", "relu3_4")  # of VGG-19: no run here optimizes them
CONTENT, STYLE, SIZE, STEPS, SEED = "chelsea", "wave", 224, 150, 0
CROPS, CROP = 44, 128  # of the bundled photographs and paintings, to compare distances on
STYLE_WEIGHT, TV_WEIGHT, TEXTURE_TV = 300.0, 20.0, 0.05

Network = Callable[[Tensor, Sequence[str]], dict[str, Tensor]]


@torch.no_grad()
def agreement(network: Network, judge: Network, pictures: Tensor) -> dict[str, dict[str, float]]:
    """How well Gram distances of a network go with a judge's, over all pairs of pictures (N, 3, H, W), by layer.

    `rank` is Spearman's correlation, `ratio` the median of the quotients of relative distances: each network's are
    divided by its own mean Gram energy, so that its scale does not count.
    """
    table = {}
    for name in LAYERS:
        grams = [torch.cat([nst.gram_matrix(net(x[None], [name])[name]) for x in pictures]) for net in (network, judge)]
        near, true = (torch.pdist(gram.flatten(1)).square() / gram.flatten(1).square().sum(1).mean() for gram in grams)
        rank = float(scipy.stats.spearmanr(near, true).statistic)
        table[name] = {"rank": round(rank, 4), "ratio": round((near / true).median().item(), 3)}
    return table


def paint(network: Network) -> dict[str, nst.Step]:
    """Last steps of a reconstruction, a texture and a transfer that ask for nothing deeper than relu3_1."""
    photo, painting = nst.load_image(CONTENT, SIZE), nst.load_image(STYLE, SIZE)
    runs = {
        "reconstruction": nst.reconstruct(photo, network, LAYERS[-1:], steps=STEPS, seed=SEED),
        "texture": nst.synthesize_texture(painting, network, LAYERS, steps=STEPS, tv_weight=TEXTURE_TV, seed=SEED),
        "transfer": nst.transfer(
            photo,
            painting,
            network,
            content_layers=LAYERS[-1:],
            style_layers=LAYERS,
            style_weight=STYLE_WEIGHT,
            tv_weight=TV_WEIGHT,
            steps=STEPS,
        ),
    }
    last = {}
    for name, run in runs.items():
        for step in run:
            last[name] = step
    return last


def judged(kind: str, image: Tensor, vgg: Network) -> dict[str, float]:
    """Distances to the target as VGG-19 sees them where nobody optimized: features of a reconstruction, else Grams."""
    photo, painting = nst.load_image(CONTENT, SIZE), nst.load_image(STYLE, SIZE)
    if kind == "reconstruction":
        far = {name: nst.content_distance(image, photo, vgg, name) for name in JUDGED_AT}
    else:
        far = nst.style_distance(image, painting, vgg, JUDGED_AT)
    return {name: float(f"{value:.4g}") for name, value in far.items()}


def main() -> None:
    """Compare, and write results.json and the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teachers", type=Path)
    teacher = Teacher(parser.parse_args().teachers)
    names = [*nst.photo_names(), *nst.style_names()]
    crops = nst.Photographs(size=CROP, seed=SEED, crops=CROPS, bundled=names)
    pictures = torch.stack([crops[0, index][0] for index in range(CROPS)])
    teacher.calibrate(pictures)

    def normalized(image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """VGG-19's features, each channel scaled."""
        return {name: f * teacher.scale[name] for name, f in teacher.true(image, layers).items()}

    networks = {"vgg19": teacher.true, "pocket": nst.load_backbone("pocket")}
    table = {"pocket": agreement(networks["pocket"], normalized, pictures)}
    by_seed = [agreement(nst.load_backbone("random", seed=seed), normalized, pictures) for seed in range(3)]
    table["random, median of 3"] = {
        layer: {key: round(statistics.median(one[layer][key] for one in by_seed), 4) for key in ("rank", "ratio")}
        for layer in LAYERS
    }
    table["vgg19, not normalized"] = agreement(teacher.true, normalized, pictures)
    print(json.dumps(table, indent=1))
    runs = {}
    for name, network in networks.items():
        for kind, step in paint(network).items():
            file = f"{kind}-{name}.jpg"
            nst.to_pil(step.image).save(OUT / file, quality=85)
            runs[f"{kind}, {name}"] = {"picture": file} | judged(kind, step.image, teacher.true)
            print(runs[f"{kind}, {name}"], flush=True)
    settings = {"content": CONTENT, "style": STYLE, "size": SIZE, "steps": STEPS, "layers": LAYERS, "crops": CROPS}
    text = json.dumps({"settings": settings, "agreement": table, "runs": runs}, indent=1)
    (OUT / "results.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
