"""Training by epochs, which goes on to the same bits after a kill."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from tqdm import tqdm

from reconpatch.utils.errors import InputError
from reconpatch.utils.files import atomic_write

DELAY = 10
"""Seconds after which a training shows its progress."""


class Checkpoint(NamedTuple):
    """Where a training is kept while it is under way.

    Attributes:
        path: the file.
        made_of: names what the training rests on; a file of another training is written over.
        seconds: how long a training goes on between two writes; 0 writes after every epoch.
    """

    path: Path
    made_of: str
    seconds: float = 0.0


def train_by_epochs(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    take: Callable[[int], float],
    *,
    loss_of: str,
    description: str,
    checkpoint: Checkpoint | None = None,
) -> Iterator[int]:
    """Take epochs one by one, and yield the number of each that is done, from 1.

    A checkpoint has the network's and the optimiser's state. A training that finds one of its own
    yields that epoch first and goes on from there; it ends with the bits of one that was never
    broken off, as long as an epoch's draws follow from its number.

    Args:
        network: what is trained, where it lives.
        optimizer: of its parameters.
        epochs: how many.
        take: takes the steps of the epoch of a number, and returns their mean loss.
        loss_of: what an error says that the loss is of.
        description: what the progress bar calls the work.
        checkpoint: the file, written aside and renamed; None keeps none.

    Raises:
        InputError: the loss is no longer finite, or the checkpoint is damaged.
    """
    done = 0
    if checkpoint and (state := _read(checkpoint)):
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        done = state["epoch"]
        yield done
    written = time.monotonic()
    with tqdm(total=epochs, initial=done, desc=description, unit="epoch", delay=DELAY) as progress:
        for epoch in range(done + 1, epochs + 1):
            loss = take(epoch)
            if not math.isfinite(loss):
                raise InputError(
                    f"{loss_of}'s loss is {loss} in epoch {epoch}: lower its learning_rate "
                    f"{optimizer.defaults['lr']}, or look for features that are not finite."
                )
            if checkpoint and time.monotonic() - written >= checkpoint.seconds:
                state = {
                    "made_of": checkpoint.made_of,
                    "epoch": epoch,
                    "network": network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                }
                with atomic_write(checkpoint.path) as aside:
                    torch.save(state, aside)
                written = time.monotonic()
            progress.set_postfix(loss=f"{loss:.4g}")
            progress.update()
            yield epoch


def step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Take a step down a loss."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _read(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """The state that a training of the same ``made_of`` left; None without."""
    path = checkpoint.path
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(
            f"{path} cannot be read as a checkpoint ({type(error).__name__}); delete it, and "
            "the training starts anew"
        ) from None
    return state if state["made_of"] == checkpoint.made_of else None
