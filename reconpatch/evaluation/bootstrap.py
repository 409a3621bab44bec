"""How much image metrics vary with the choice of test images: a stratified bootstrap over them.

``U[i, j]`` is the number of pairs of an anomalous score of image i that exceeds a normal score of
image j; ties count half. If image i is drawn ``w[i]`` times and has ``P[i]`` anomalous and ``Q[i]``
normal scores, the AUROC of the draw is ``(w U w) / ((w P) (w Q))``. One matrix product gives all
replicates; nothing is scored or sorted again. The sums are multiples of one half far below 2^53, so
that doubles hold them exactly.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Labels = npt.NDArray[np.bool_]
ScoreArray = npt.NDArray[np.floating]


def resamplings(anomalous: Labels, replicates: int, seed: int) -> Counts:
    """Return how often each replicate draws each of N labelled images, ``(replicates, N)``.

    A replicate draws, with replacement, as many anomalous and as many normal images as there are.
    The counts depend on the labels and the seed alone. Methods with the same counts are paired
    image by image: the replicates of their difference, or of an average over training seeds, are
    the difference or average of their replicates. Categories have different images: to average
    over them, give each its own seed.

    Raises:
        ValueError: one of the classes is empty.
    """
    if anomalous.all() or not anomalous.any():
        raise ValueError("AUROC needs normal and anomalous images")
    rng = np.random.default_rng(seed)
    counts = np.empty((replicates, len(anomalous)), dtype=np.int64)
    for members in (anomalous, ~anomalous):
        size = int(members.sum())
        counts[:, members] = rng.multinomial(size, np.full(size, 1 / size), size=replicates)
    return counts


def image_replicates(scores: ScoreArray, anomalous: Labels, counts: Counts) -> Floats:
    """Return each replicate's exact image AUROC, ``(R,)``. Memory: a few N x N matrices.

    It is NaN for a replicate that draws no score of one class.

    Args:
        scores: ``(N,)``.
        anomalous: the images' labels, ``(N,)``.
        counts: how often each image is drawn, ``(R, N)``; all ones give the plain AUROC.

    Raises:
        ValueError: a score is not a number.
    """
    check_numbers(scores)
    ahead = (scores[:, None] > scores) + (scores[:, None] == scores) / 2
    ahead *= anomalous[:, None] & ~anomalous
    return pair_replicates(ahead, anomalous, ~anomalous, counts)


def precision_recall_replicates(
    scores: ScoreArray, anomalous: Labels, counts: Counts
) -> tuple[Floats, Floats]:
    """Return each replicate's exact average precision and largest F1 score, ``(R,)`` each.

    Takes and raises what :func:`image_replicates` does; so does it give NaN.
    """
    check_numbers(scores)
    order = np.argsort(-scores, kind="stable")
    last_of_equal = np.append(np.diff(scores[order]) != 0, True)
    drawn = counts[:, order]
    true, false = (
        (drawn * labels[order]).cumsum(axis=1)[:, last_of_equal]
        for labels in (anomalous, ~anomalous)
    )
    return precision_recall_of(true, false)


def precision_recall_of(true: Counts, false: Counts) -> tuple[Floats, Floats]:
    """Return average precision and largest F1 score, ``(R,)``, of counts ``(R, T)``.

    They count the anomalous and the normal scores at or above T thresholds, from the highest; the
    last is below all scores. Where a row has no score of one class both are NaN.
    """
    total = true[:, -1]
    gained = np.diff(true, prepend=0, axis=1)
    with np.errstate(invalid="ignore"):
        precision = np.nan_to_num(true / (true + false))
        precisions = (gained * precision).sum(axis=1) / total
        best = (2 * true / (total[:, None] + true + false)).max(axis=1)
    missing = (total == 0) | (false[:, -1] == 0)
    return np.where(missing, np.nan, precisions), np.where(missing, np.nan, best)


def interval(replicates: Floats, level: float = 0.95) -> tuple[float, float]:
    """Return the ends of the central interval with ``level`` of the replicates, NaN left out."""
    low, high = np.nanquantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def check_numbers(scores: ScoreArray) -> None:
    """Raise a ValueError if a score is not a number."""
    # The minimum is NaN if any score is, and computing it takes no memory.
    if np.isnan(scores.min()):
        raise ValueError("a score is not a number, so that it has no rank")


def pair_replicates(
    ahead: Floats, positives: Labels | Counts, negatives: Labels | Counts, counts: Counts
) -> Floats:
    """Return the AUROC of each draw, ``(R,)``, of ``U (N, N)``, ``P`` and ``Q``; see the module."""
    weights = counts.astype(np.float64)
    pairs: Floats = (weights @ positives) * (weights @ negatives)
    ahead_pairs: Floats = ((weights @ ahead) * weights).sum(axis=1)
    return np.divide(ahead_pairs, pairs, out=np.full_like(pairs, np.nan), where=pairs > 0)
