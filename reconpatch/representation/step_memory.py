"""What a training step takes in memory: apart from the step, so that the plan needs no torch."""

from reconpatch.settings.representation import RepresentationSettings


def step_memory(inputs: int, settings: RepresentationSettings) -> int:
    """Return the bytes that a step has in arrays at its peak, its networks and mini-batch included.

    With P weights, the largest matrix of W, a mini-batch ``(B, D)``, and outputs d of f and p of g,
    that is

        4 (2.5 B D + max(5 P + 5 B^2 + B d + 3 B p, 6 P + 2 W + B^2)).

    The first is in the loss: both networks, AdamP's two means and the last gradients; five matrices
    of labels, distances and products; the embeddings. The second is in the optimiser. The
    mini-batch counts as it is stored, once more for its scaled or widened copy, and half for that
    of mixed precision.

    Not counted is what libraries take for themselves: on a GPU, CUDA's context (some 500 MiB) and
    cuBLAS's workspaces (32 MiB a stream).
    """
    batch, f = settings.batch_size, settings.dimension
    g = settings.projection_dimension
    weights = (inputs + 1) * f + (f + 1) * (g or 0)
    largest = max(inputs, g or 0) * f
    in_loss = 5 * weights + 5 * batch**2 + batch * (f + 3 * (g or f))
    in_optimizer = 6 * weights + 2 * largest + batch**2
    return 10 * batch * inputs + 4 * max(in_loss, in_optimizer)
