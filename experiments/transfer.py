"""One photograph in one manner through two networks: what lesson 04 shows stored, in data/transfer/.

    NST_LESSON_WEIGHTS=FOLDER python experiments/transfer.py  # minutes; --device cuda where there is a GPU

The settings are lesson 04's defaults; only the network differs: `pocket`, and `vgg16-caffe`, Oxford's own VGG-16.
results.json has each run's settings, seconds and terms, and the style term of Gatys et al. 2016 at each layer of the
VGG-16, between the photograph and the painting at half the size.
"""

from __future__ import annotations

import argparse
import json

import torch
import torch.nn.functional as F

import nst_lesson as nst

OUT = nst.data_dir() / "transfer"
CONTENT, STYLE, SIZE, STEPS = "chelsea", "nocturne", 384, 120


def paper_terms() -> dict[str, float]:
    """{layer: 1/(4 N^2 M^2) sum (G - A)^2} of the photograph against the painting, cut to its size."""
    vgg, content = nst.load_backbone("vgg16-caffe"), nst.load_image(CONTENT, SIZE // 2)
    style = F.interpolate(nst.load_image(STYLE, SIZE // 2), content.shape[2:], mode="bilinear")
    with torch.no_grad():
        ours, theirs = (vgg(image, nst.STYLE_LAYERS) for image in (content, style))
    terms = {k: nst.style_loss(nst.gram_matrix(ours[k]), nst.gram_matrix(theirs[k]), "gatys") for k in ours}
    return {layer: float(f"{term.item():.4g}") for layer, term in terms.items()}


def main() -> None:
    """Run both networks, and write results.json and a JPEG of each result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", nargs="+", default=["pocket", "vgg16-caffe"], help="run these only")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    path = OUT / "results.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"runs": {}}
    runs = found["runs"]
    content, style = (nst.load_image(name, SIZE, device=options.device) for name in (CONTENT, STYLE))
    for name in options.backbone:
        backbone = nst.load_backbone(name, device=options.device)
        for step in nst.transfer(content, style, backbone, steps=STEPS):
            if step.index % 20 == 0:
                print(f"{name}: step {step.index} of {STEPS}, {step.seconds:.0f} s, loss {step.loss:.3f}", flush=True)
        nst.to_pil(step.image).save(OUT / f"{name}.jpg", quality=88)
        terms = {term: float(f"{value:.4g}") for term, value in step.terms.items()}
        runs[name] = {"picture": f"{name}.jpg", "steps": STEPS, "seconds": round(step.seconds, 1), "terms": terms}
    if "vgg16-caffe" in options.backbone:
        found["paper_terms"] = paper_terms()
    settings = {"content": CONTENT, "style": STYLE, "size": SIZE}
    path.write_text(json.dumps({"settings": settings} | found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
