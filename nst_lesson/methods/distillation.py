"""The algebra of distilling a network with a metric of its own: what lesson 10 shows and the trainer uses.

A student with few channels is compared with a wide teacher through a linear head W (teacher's channels, student's
channels). Nothing here ever forms the wide W F.
"""

from __future__ import annotations

from torch import Tensor


def products(a: Tensor, b: Tensor) -> Tensor:
    """A B' / (H W) of features a (B, C, H, W) and b (B, D, H, W): (B, C, D). products(f, f) is the Gram matrix."""
    return a.flatten(2) @ b.flatten(2).transpose(1, 2) / (a.shape[2] * a.shape[3])


def layer_errors(head: Tensor, g: Tensor, cross: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Relative squared errors of W F against T, |W F - T|^2 / |T|^2, and of their Gram matrices: two scalars.

    With S = W'W both follow from the products G = F F', C = T F' and A = T T' without ever forming the wide W F:
    |W F - T|^2 = tr(S G) - 2 tr(W' C) + tr(A), and |W G W' - A|^2 = tr(S G S G) - 2 tr(W' A W G) + |A|^2.
    Sums run over the batch before the division, so that a picture to which the teacher hardly responds has no more
    say than others (divided one by one, such pictures made the student shrink all that it predicts).
    """
    sg = head.T @ head @ g
    energy = wanted.diagonal(dim1=1, dim2=2).sum()
    feature = sg.diagonal(dim1=1, dim2=2).sum() - 2 * (head * cross).sum() + energy
    gram = (sg * sg.transpose(1, 2)).sum() - 2 * ((head.T @ wanted @ head) * g).sum()
    squares = wanted.square().sum()
    return feature / energy, (gram + squares) / squares
