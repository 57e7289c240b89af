"""The exercises of lesson 08: right answers in other styles pass, and each classic mistake is named."""

from __future__ import annotations

import numpy
import pytest
import torch
from exercises import verdict

import nst_lesson as nst


def moments(x):
    return x.mean((2, 3), keepdim=True), (x.var((2, 3), keepdim=True, correction=0) + 1e-5).sqrt()


def normal(content, style, scale=True, add=True, subtract=True, divide=True, over=(2, 3), correction=0, epsilon=1e-5):
    def of(x):
        return x.mean(over, keepdim=True), (x.var(over, keepdim=True, correction=correction) + epsilon).sqrt()

    (mean, deviation), (new_mean, new_deviation) = of(content), of(style)
    x = content - mean if subtract else content
    x = x / deviation if divide else x
    x = x * new_deviation if scale else x
    return x + new_mean if add else x


def one_by_one(content, style):
    """Every channel of every picture on its own."""
    result = torch.empty_like(content)
    for b in range(content.shape[0]):
        for c in range(content.shape[1]):
            mine, theirs = content[b, c], style[b, c]
            result[b, c] = (mine - mine.mean()) / (mine.std(correction=0) + 1e-5) * theirs.std(correction=0)
            result[b, c] += theirs.mean()
    return result


def variances(content, style):
    (mean, deviation), (new_mean, new_deviation) = moments(content), moments(style)
    return new_deviation**2 * (content - mean) / deviation**2 + new_mean


def shifted_first(content, style):
    (mean, deviation), (new_mean, new_deviation) = moments(content), moments(style)
    return ((content - mean) / deviation + new_mean) * new_deviation


def no_epsilon(content, style):
    mean, deviation = content.mean((2, 3), keepdim=True), content.std((2, 3), keepdim=True, correction=0)
    new = style.std((2, 3), keepdim=True, correction=0)
    return new * (content - mean) / deviation + style.mean((2, 3), keepdim=True)


def in_place(content, style):
    result = normal(content, style)
    content.data.copy_(result)
    return result


def power(matrix, exponent):
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.clamp_min(1e-5) ** exponent) @ vectors.T


def wct(content, style, white=-0.5, colored=0.5, center=True, add=True, divide=None, order="white first"):
    mine, theirs = (x[0].flatten(1).double() for x in (content, style))
    mean, new_mean = mine.mean(1, keepdim=True), theirs.mean(1, keepdim=True)

    def covariance(x, m):
        return (x - m) @ (x - m).T / (x.shape[1] if divide is None else x.shape[1] - divide)

    whiten, color = power(covariance(mine, mean), white), power(covariance(theirs, new_mean), colored)
    x = mine - mean if center else mine
    x = color @ whiten @ x if order == "white first" else whiten @ color @ x
    return (x + new_mean if add else x).view_as(content).float()


def by_svd(content, style):
    """The roots by singular values, in numpy."""
    mine, theirs = (x[0].flatten(1).double().numpy() for x in (content, style))
    mean, new_mean = mine.mean(1, keepdims=True), theirs.mean(1, keepdims=True)
    u, s, _ = numpy.linalg.svd((mine - mean) / numpy.sqrt(mine.shape[1]), full_matrices=False)
    v, t, _ = numpy.linalg.svd((theirs - new_mean) / numpy.sqrt(theirs.shape[1]), full_matrices=False)
    colored = v @ numpy.diag(t) @ v.T @ u @ numpy.diag(1 / numpy.maximum(s, 1e-5**0.5)) @ u.T @ (mine - mean) + new_mean
    return torch.from_numpy(colored).view_as(content)


def by_cholesky(content, style):
    mine, theirs = (x[0].flatten(1).double() for x in (content, style))
    mean, new_mean = mine.mean(1, keepdim=True), theirs.mean(1, keepdim=True)
    factors = [torch.linalg.cholesky((x - m) @ (x - m).T / x.shape[1]) for x, m in ((mine, mean), (theirs, new_mean))]
    return (factors[1] @ torch.linalg.inv(factors[0]) @ (mine - mean) + new_mean).view_as(content)


def unclamped(content, style):
    def power(x, exponent):
        values, vectors = torch.linalg.eigh(x.cov(correction=0))
        return vectors @ torch.diag(values**exponent) @ vectors.T

    mine, theirs = (x[0].flatten(1).double() for x in (content, style))
    moved = power(theirs, 0.5) @ power(mine, -0.5) @ (mine - mine.mean(1, keepdim=True))
    return (moved + theirs.mean(1, keepdim=True)).view_as(content)


def unclamped_style(content, style):
    """Right for the photograph; of the painting's eigenvalues, rounding takes some of those that are 0 below."""

    def power(x, exponent, least):
        values, vectors = torch.linalg.eigh(x.cov(correction=0))
        return vectors @ torch.diag(values.clamp_min(least) ** exponent) @ vectors.T

    mine, theirs = (x[0].flatten(1) for x in (content, style))
    moved = power(theirs, 0.5, -1.0) @ power(mine, -0.5, 1e-5) @ (mine - mine.mean(1, keepdim=True))
    return (moved + theirs.mean(1, keepdim=True)).view_as(content)


def entry_by_entry(content, style):
    """Roots of the covariances' entries."""
    mine, theirs = (x[0].flatten(1) for x in (content, style))
    whiten = torch.linalg.inv(mine.cov(correction=0).sqrt())
    moved = theirs.cov(correction=0).sqrt() @ whiten @ (mine - mine.mean(1, keepdim=True))
    return (moved + theirs.mean(1, keepdim=True)).view_as(content)


def with_power(power, dtype=torch.float32, scale=1.0, add="style"):
    """An answer to exercise 3 from power(covariance, exponent), such as a wrong one."""

    def answer(content, style):
        mine, theirs = (x[0].flatten(1).to(dtype) for x in (content, style))
        moved = power(scale * theirs.cov(correction=0), 0.5) @ power(scale * mine.cov(correction=0), -0.5)
        moved = moved @ (mine - mine.mean(1, keepdim=True))
        return (moved + (theirs if add == "style" else mine).mean(1, keepdim=True)).view_as(content)

    return answer


def of_eigenvalues(recompose, raised=lambda values: values.clamp_min(1e-5)):
    """A power of a matrix, as recompose(E, D) has it."""

    def power(matrix, exponent):
        values, vectors = torch.linalg.eigh(matrix)
        return recompose(vectors, torch.diag(raised(values) ** exponent))

    return power


def product(e, d):
    return e @ d @ e.T


def sums_for_covariances(content, style):
    """Not divided by the number of positions."""
    mine, theirs = (x[0].flatten(1) for x in (content, style))
    ours, others = (x - x.mean(1, keepdim=True) for x in (mine, theirs))
    moved = power(others @ others.T, 0.5) @ power(ours @ ours.T, -0.5) @ ours
    return (moved + theirs.mean(1, keepdim=True)).view_as(content)


def never_centered(content, style):
    mine, theirs = (x[0].flatten(1) for x in (content, style))
    moved = power(theirs @ theirs.T / theirs.shape[1], 0.5) @ power(mine @ mine.T / mine.shape[1], -0.5) @ mine
    return moved.view_as(content)


def transported(content, style):
    mine, wanted = nst.moments(content), nst.moments(style)
    return (nst.transport(mine, wanted) @ (content.flatten(2) - mine[0]) + wanted[0]).view_as(content)


def in_the_leaf(content, style):
    content.sub_(content.mean((2, 3), keepdim=True))
    return content


def only_whitened(content, style, add=False):
    mine, theirs = content[0].flatten(1), style[0].flatten(1)
    mine = mine - mine.mean(1, keepdim=True)
    white = power(mine @ mine.T / mine.shape[1], -0.5) @ mine
    return (white + theirs.mean(1, keepdim=True) if add else white).view_as(content)


def second_moments(content, style):
    mine, theirs = (x[0].flatten(1) for x in (content, style))
    whiten, color = power(mine @ mine.T / mine.shape[1], -0.5), power(theirs @ theirs.T / theirs.shape[1], 0.5)
    return (color @ whiten @ (mine - mine.mean(1, keepdim=True)) + theirs.mean(1, keepdim=True)).view_as(content)


def blended(given, weights, normalize=True, root=False):
    total = sum(weights) if normalize else 1.0
    mean = sum(w * m for w, (m, _) in zip(weights, given, strict=True)) / total
    if root:
        return mean, (sum(w * d**2 for w, (_, d) in zip(weights, given, strict=True)) / total).sqrt()
    return mean, sum(w * d for w, (_, d) in zip(weights, given, strict=True)) / total


def stacked(given, weights):
    share = torch.tensor(weights) / sum(weights)
    return [torch.einsum("n,nbcij->bcij", share, torch.stack(parts)) for parts in zip(*given, strict=True)]


def changes_them(given, weights):
    for mean, _ in given:
        mean.mul_(2)
    return blended(given, weights)


def changes_weights(given, weights):
    whole = sum(weights)
    for number in range(len(weights)):
        weights[number] /= whole
    return blended(given, weights)


def stopped_early(losses, patience):
    """Looks at the patience before it looks at the loss."""
    best = 0
    for index, loss in enumerate(losses):
        if index - best >= patience:
            break
        if loss < losses[best]:
            best = index
    return best


def kept(losses, patience, better=lambda new, old: new < old, late=0):
    best = 0
    for index, loss in enumerate(losses):
        if better(loss, losses[best]):
            best = index
        elif index - best >= patience + late:
            break
    return best


def counting(losses, patience):
    """With a counter that starts anew at each best."""
    best, place, waited = float("inf"), 0, 0
    for index, loss in enumerate(losses):
        waited += 1
        if loss < best:
            best, place, waited = loss, index, 0
        if waited == patience:
            return place
    return place


def last_where_nothing_stops_it(losses, patience):
    best = kept(losses, patience)
    return best if where_it_stops(losses, patience) - best >= patience else len(losses) - 1


def against_the_last(losses, patience):
    """With a counter that starts anew whenever a loss is below the one before it."""
    seen, since = losses[:1], 0
    while since < patience and len(seen) < len(losses):
        since += 1
        if losses[len(seen)] < seen[-1]:
            since = 0
        seen = losses[: len(seen) + 1]
    return seen.index(min(seen))


def counting_on(losses, patience):
    """With a counter that never starts anew."""
    best = waited = 0
    for index, loss in enumerate(losses):
        if loss < losses[best]:
            best = index
        elif index:
            waited += 1
        if waited == patience:
            break
    return best


def until_the_first_rise(losses, patience):
    index = 0
    while index + 1 < len(losses) and losses[index + 1] <= losses[index]:
        index += 1
    return index


def where_it_stops(losses, patience):
    best = 0
    for index, loss in enumerate(losses):
        best = index if loss < losses[best] else best
        if index - best >= patience:
            return index
    return len(losses) - 1


def says_nothing_at_the_end(losses, patience):
    return None if len(losses) < patience else kept(losses, patience)


RIGHT = [
    ("adain", normal),
    ("adain", one_by_one),
    ("whiten_color", wct),
    ("whiten_color", with_power(power)),
    ("whiten_color", by_svd),
    ("blend_moments", stacked),
    ("stop_early", counting),
    ("stop_early", lambda losses, patience: numpy.int64(kept(losses, patience))),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_another_style_of_answer_is_right(name, answer):
    assert verdict(getattr(nst.check, name), answer) == f"{name}: correct"


WRONG = [
    ("adain", lambda c, s: normal(c, s, scale=False, add=False), "only normalizes"),
    ("adain", lambda c, s: normal(c, s, add=False), "does not add the style's mean"),
    ("adain", lambda c, s: normal(c, s, scale=False), "does not multiply"),
    ("adain", lambda c, s: normal(c, s, divide=False), "does not divide by the content's"),
    ("adain", lambda c, s: normal(c, s, subtract=False), "does not subtract the content's mean"),
    ("adain", shifted_first, "scale first"),
    ("adain", lambda c, s: normal(c, s, epsilon=1e-3), "too large: 1e-5"),
    ("adain", variances, "uses variances"),
    ("adain", lambda c, s: normal(c, s, over=(0, 2, 3)), "batch dimension"),
    ("adain", lambda c, s: normal(c, s, over=(1, 2, 3)), "mixes the channels"),
    ("adain", lambda c, s: normal(c, s, correction=1), "N - 1"),
    ("adain", lambda c, s: normal(s, c), "are swapped"),
    ("adain", no_epsilon, "NaN or inf"),
    ("adain", in_place, "modifies its input"),
    ("adain", in_the_leaf, "modifies its input"),
    ("adain", lambda c, s: normal(c, s, scale=False, divide=False), "leaves the deviations"),
    ("adain", lambda c, s: normal(c, s).detach(), "detaches the graph"),
    ("adain", lambda c, s: normal(c, s).relu(), "it is not the style's deviation * (content - its mean)"),
    ("whiten_color", only_whitened, "only whitens"),
    ("whiten_color", lambda c, s: only_whitened(c, s, add=True), "whitens and adds the mean"),
    ("whiten_color", lambda c, s: wct(c, s, add=False), "does not add the style's mean"),
    ("whiten_color", lambda c, s: wct(c, s, center=False), "does not subtract the content's mean"),
    ("whiten_color", lambda c, s: wct(c, s, white=0.0), "does not whiten first"),
    ("whiten_color", lambda c, s: wct(c, s, -1.0, 1.0), "the powers are not"),
    ("whiten_color", lambda c, s: wct(c, s, 0.5), "the first power is not"),
    ("whiten_color", lambda c, s: wct(c, s, order="color first"), "colors first"),
    ("whiten_color", normal, "that is adain"),
    ("whiten_color", lambda c, s: wct(c, s, divide=1), "N - 1"),
    ("whiten_color", second_moments, "not centered"),
    ("whiten_color", transported, "the nearest map of section 3.1"),
    ("whiten_color", with_power(of_eigenvalues(lambda e, d: e.T @ d @ e), torch.float64), "the columns of E"),
    ("whiten_color", with_power(of_eigenvalues(lambda e, d: e @ d @ e)), "only the last E is transposed"),
    ("whiten_color", with_power(of_eigenvalues(lambda e, d: d @ e.T)), "only the last E is transposed"),
    ("whiten_color", with_power(of_eigenvalues(lambda e, d: e @ d)), "only the last E is transposed"),
    ("whiten_color", with_power(lambda matrix, p: matrix.clamp_min(1e-5) ** p), "powers of the entries"),
    ("whiten_color", with_power(of_eigenvalues(product, lambda x: x.clamp_min(1e-8))), "raise eigenvalues below 1e-5"),
    ("whiten_color", with_power(of_eigenvalues(product, lambda x: x + 1e-5)), "raise eigenvalues below 1e-5"),
    ("whiten_color", with_power(power, scale=1 / 3), "by the number of positions alone"),
    ("whiten_color", with_power(power, add="content"), "adds the content's mean"),
    ("whiten_color", sums_for_covariances, "number of its own positions"),
    ("whiten_color", never_centered, "not centered"),
    ("whiten_color", entry_by_entry, "NaN or inf"),
    ("whiten_color", unclamped, "without any variance"),
    ("whiten_color", by_cholesky, "the map is another one"),
    ("whiten_color", unclamped_style, "fewer positions than channels"),
    ("blend_moments", lambda m, w: blended(m, w, normalize=False), "not divided by their sum"),
    ("blend_moments", lambda m, w: blended(m, [x / len(w) for x in w], normalize=False), "number of paintings"),
    ("blend_moments", lambda m, w: blended(m, torch.tensor(w).softmax(0).tolist()), "softmax"),
    ("blend_moments", lambda m, w: blended(m, [1.0] * len(m)), "all paintings alike"),
    ("blend_moments", lambda m, w: blended(m, w, root=True), "blends variances"),
    ("blend_moments", lambda m, w: (blended(m, w)[0], m[0][1]), "the means only"),
    ("blend_moments", lambda m, w: (m[0][0], blended(m, w)[1]), "the deviations only"),
    ("blend_moments", lambda m, w: blended(m, w)[::-1], "are swapped"),
    ("blend_moments", lambda m, w: m[w.index(max(w))], "only the painting with the largest weight"),
    ("blend_moments", lambda m, w: tuple(x.abs() for x in blended(m, w)), "it is not the sum of share * mean"),
    ("blend_moments", lambda m, w: blended(m, w)[0], "two tensors"),
    ("blend_moments", changes_them, "modifies the moments"),
    ("blend_moments", changes_weights, "modifies the list of weights"),
    ("stop_early", lambda losses, patience: losses.index(min(losses)), "after the stop"),
    ("stop_early", lambda losses, n: losses.index(min(losses[: n + 1])), "counts from the first look"),
    ("stop_early", against_the_last, "below all before it"),
    ("stop_early", counting_on, "never starts anew"),
    ("stop_early", until_the_first_rise, "stops at the first rise"),
    ("stop_early", where_it_stops, "where training stops"),
    ("stop_early", last_where_nothing_stops_it, "return the best so far"),
    ("stop_early", lambda losses, patience: kept(losses, patience, late=1), "one look too long"),
    ("stop_early", stopped_early, "one look too early"),
    ("stop_early", lambda losses, patience: kept(losses, patience, late=-1), "one look too early"),
    ("stop_early", lambda losses, patience: kept(losses, patience) + 1, "counts looks from 1"),
    ("stop_early", lambda losses, patience: losses[kept(losses, patience)], "returns the loss"),
    ("stop_early", lambda losses, patience: kept(losses, patience, lambda new, old: new <= old), "not a new best"),
    ("stop_early", says_nothing_at_the_end, "returns None where"),
    ("stop_early", lambda losses, patience: "the third", "the index of a look"),
]


@pytest.mark.parametrize(("name", "answer", "reason"), WRONG)
def test_a_wrong_answer_is_named(name, answer, reason):
    line = verdict(getattr(nst.check, name), answer)
    assert line.startswith(f"{name}: not yet") and reason in line
