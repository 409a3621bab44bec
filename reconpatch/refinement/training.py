"""Training of the refinement network on simulated defects (Appendix D)."""

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from reconpatch.refinement.losses import focal_loss, l1_loss
from reconpatch.refinement.network import RefinementNetwork
from reconpatch.refinement.pool import Pool
from reconpatch.settings.refinement import RefinementSettings
from reconpatch.utils.epochs import Checkpoint, train_by_epochs


def train_refinement(
    pool: Pool,
    settings: RefinementSettings,
    seed: int,
    *,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
    description: str = "refinement",
) -> RefinementNetwork:
    """Train the network and return it.

    An epoch takes every training image once, in mini-batches, as it is or with one of its simulated
    defects; the last, incomplete mini-batch is left out unless it is the only one. An epoch's draws
    follow from the seed and its number.

    Args:
        pool: the training images with their simulated versions.
        settings: every choice of the training.
        seed: decides the initial weights and all draws.
        device: where the network lives.
        checkpoint: where the training is kept, to go on from after a kill; None keeps it nowhere.
        description: what the progress bar calls the work.

    Raises:
        InputError: the loss is no longer finite, or the checkpoint is damaged.
    """
    network = RefinementNetwork(settings, seed).to(device)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
    )

    def take(epoch: int) -> float:
        if settings.schedule == "cosine":
            # At the epoch's middle, so that the last is not lost.
            passed = (epoch - 0.5) / settings.epochs
            falling = (1 + math.cos(math.pi * passed)) / 2
            optimizer.param_groups[0]["lr"] = falling * settings.learning_rate
        return _epoch(network, optimizer, pool, settings, [seed, epoch], device)

    for _ in train_by_epochs(
        network,
        optimizer,
        settings.epochs,
        take,
        loss_of="The refinement network",
        description=description,
        checkpoint=checkpoint,
    ):
        pass
    return network.eval()


def _epoch(
    network: RefinementNetwork,
    optimizer: torch.optim.Optimizer,
    pool: Pool,
    settings: RefinementSettings,
    seed: list[int],
    device: torch.device,
) -> float:
    """Take an epoch's steps and return their mean loss."""
    random = np.random.default_rng(seed)
    images, versions = pool.images.shape[:2]
    order = np.arange(images)
    random.shuffle(order)
    normal = random.random(images) < settings.normal_share
    shown = np.where(normal, 0, random.integers(1, versions, size=(images,)))
    size = min(settings.batch_size, images)
    steps = images // size
    total = torch.zeros((), device=device)
    network.train()
    for batch in _prepared(pool, order[: steps * size].reshape(steps, size), shown):
        pixels, maps, masks = (tensor.to(device) for tensor in batch)
        logits = network(pixels, maps)
        loss = focal_loss(logits, masks, settings.focal_gamma, settings.focal_alpha)
        loss = loss + settings.l1_weight * l1_loss(logits, masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.detach()
    mean: float = total.item() / steps
    return mean


def _prepared(
    pool: Pool, batches: npt.NDArray[np.int64], shown: npt.NDArray[np.int64]
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield mini-batches of the pool, each prepared while the step before it is taken."""
    with ThreadPoolExecutor(1) as worker:
        prepared: deque[Future[tuple[Tensor, Tensor, Tensor]]] = deque()
        for rows in batches:
            prepared.append(worker.submit(pool.batch, rows, shown[rows]))
            if len(prepared) > 1:
                yield prepared.popleft().result()
        yield prepared.popleft().result()
