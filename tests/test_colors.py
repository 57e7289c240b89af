"""Colors against their definitions."""

import torch
from torch.nn import functional as F

from nst_lesson.pictures.colors import LUMA, keep_luminance, match_colors


def picture(height, width, seed=0):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def brightness(image):
    return (image * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(1)


def test_luminance_is_of_the_one_and_the_hue_of_the_other():
    painted, photo = picture(20, 30), picture(20, 30, 1)
    mixed = keep_luminance(painted, photo)
    torch.testing.assert_close(brightness(mixed), brightness(painted), atol=1e-5, rtol=0)
    mine, wanted = (x - brightness(x)[:, None] for x in (mixed, photo))
    assert (F.cosine_similarity(mine, wanted, dim=1)[mine.norm(dim=1) > 1e-3] > 0.999).all()
    assert mixed.min() >= 0 and mixed.max() <= 1


def test_a_picture_keeps_its_own_luminance_and_gray_stays_gray():
    photo = picture(20, 30)
    torch.testing.assert_close(keep_luminance(photo, photo), photo, atol=1e-6, rtol=0)
    gray = picture(20, 30)[:, :1].expand(-1, 3, -1, -1)
    torch.testing.assert_close(keep_luminance(photo, gray)[:, 0], brightness(photo), atol=1e-6, rtol=0)


def test_colors_are_matched_in_mean_and_covariance():
    image, reference = 0.3 + 0.2 * picture(40, 50), 0.4 + 0.1 * picture(30, 60, 1)
    matched = match_colors(image, reference)
    mine, wanted = matched[0].flatten(1), reference[0].flatten(1)
    torch.testing.assert_close(mine.mean(1), wanted.mean(1), atol=1e-3, rtol=0)
    torch.testing.assert_close(mine.cov(), wanted.cov(), atol=1e-4, rtol=0.02)  # EPSILON stands in both roots
