"""Patch features on a plane by UMAP, for a look at the feature space (Figures 3 and S1)."""

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


def sample_patches(images: int, h: int, w: int, count: int, seed: int) -> tuple[Indices, Indices]:
    """Draw at most ``count`` of the ``images * h * w`` patches, spread over all images.

    One patch is drawn from each of ``count`` stretches of equal length, so that an image's share is
    less than two patches off an equal one (a stretch at either end may or may not fall to it), and
    within an image all heights are seen.

    Returns:
        The patches' rows among the patches ``(images, h, w)`` laid flat, rising, ``(n,)``; and
        their places in the image's grid, as row and column, ``(n, 2)``.
    """
    total = images * h * w
    count = min(count, total)
    edges = np.arange(count + 1) * total // count
    rows = np.random.default_rng(seed).integers(edges[:-1], edges[1:])
    return rows, np.stack(np.unravel_index(rows % (h * w), (h, w)), axis=1)


def embed(features: npt.NDArray[np.floating], seed: int) -> npt.NDArray[np.float32]:
    """Return UMAP coordinates ``(n, 2)`` of features ``(n, d)``; their unit has no meaning.

    UMAP's own defaults (15 neighbours, Euclidean) on one thread, so that the same seed gives the
    same bits. Below 4,096 features it compares all pairs, from there on it searches approximately.

    Raises:
        ValueError: there are no more features than UMAP wants neighbours.
    """
    # Compiles when it is imported: the first time takes up to a minute.
    from umap import UMAP

    umap = UMAP(random_state=seed, n_jobs=1)
    if len(features) <= umap.n_neighbors:
        raise ValueError(f"UMAP needs more than {umap.n_neighbors} features, not {len(features)}")
    coordinates: npt.NDArray[np.float32] = umap.fit_transform(features)
    return coordinates
