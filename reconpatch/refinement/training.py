"""Training of the refinement network on simulated defects (Appendix D)."""

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from reconpatch.refinement.losses import focal_loss, l1_loss
from reconpatch.refinement.network import RefinementNetwork
from reconpatch.refinement.pool import Pool
from reconpatch.settings.refinement import RefinementSettings
from reconpatch.utils.errors import InputError
from reconpatch.utils.files import atomic_write


def train_refinement(
    pool: Pool,
    settings: RefinementSettings,
    seed: int,
    *,
    device: torch.device,
    checkpoint: Path,
    made_of: str,
    description: str = "refinement",
) -> RefinementNetwork:
    """Train the network and return it.

    An epoch takes every training image once, in mini-batches, as it is or with one of its simulated
    defects; the last, incomplete mini-batch is left out unless it is the only one. After every
    epoch the network's and the optimiser's state are written to ``checkpoint``; an epoch's draws
    follow from the seed and its number, so that a training that goes on from there ends with the
    bits of one that was never broken off.

    Args:
        pool: the training images with their simulated versions.
        settings: every choice of the training.
        seed: decides the initial weights and all draws.
        device: where the network lives.
        checkpoint: the file; what it holds of a training of the same ``made_of`` is gone on from.
        made_of: names what the training rests on.
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
    done = 0
    if (state := _read(checkpoint)) and state["made_of"] == made_of:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        done = state["epoch"]
    with tqdm(
        total=settings.epochs, initial=done, desc=description, unit="epoch", delay=10
    ) as progress:
        for epoch in range(done + 1, settings.epochs + 1):
            if settings.schedule == "cosine":
                # At the epoch's middle, so that the last is not lost.
                passed = (epoch - 0.5) / settings.epochs
                falling = (1 + math.cos(math.pi * passed)) / 2
                optimizer.param_groups[0]["lr"] = falling * settings.learning_rate
            loss = _epoch(network, optimizer, pool, settings, [seed, epoch], device)
            if not np.isfinite(loss):
                raise InputError(
                    f"The refinement network's loss is {loss} in epoch {epoch}: lower its "
                    f"learning_rate {settings.learning_rate}."
                )
            state = {
                "made_of": made_of,
                "epoch": epoch,
                "network": network.state_dict(),
                "optimizer": optimizer.state_dict(),
            }
            with atomic_write(checkpoint) as aside:
                torch.save(state, aside)
            progress.set_postfix(loss=f"{loss:.4f}")
            progress.update()
    return network.eval()


def _read(checkpoint: Path) -> dict[str, Any] | None:
    if not checkpoint.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(
            f"{checkpoint} cannot be read as a checkpoint ({type(error).__name__}); delete it, and "
            "the training starts anew"
        ) from None
    return state


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
