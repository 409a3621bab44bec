"""Training of the representation (Section 3.2)."""

import copy
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from timm.optim import AdamP
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR
from tqdm import tqdm

from reconpatch.representation.learned import Learned
from reconpatch.representation.linear_maps import linear_map
from reconpatch.representation.loss import relaxed_contrastive_loss
from reconpatch.representation.networks import RepresentationNetwork, update_average
from reconpatch.representation.similarity import label_spread, pseudo_labels
from reconpatch.settings.representation import LinearMapSettings, RepresentationSettings
from reconpatch.utils.errors import InputError

DELAY = 10
"""Seconds after which a training shows its progress, so that short ones do not fill the log."""

HISTORY = ["epoch", "loss", "learning_rate", "labels_near_zero", "labels_near_one"]


def train(
    patches: npt.NDArray[np.floating],
    settings: RepresentationSettings,
    seed: int,
    *,
    device: torch.device,
    description: str = "training",
    after_epoch: Callable[[int, RepresentationNetwork], None] = lambda epoch, network: None,
) -> tuple[RepresentationNetwork, pd.DataFrame]:
    """Train f and g on patch features and return them with their history.

    Every epoch uses all patches once, in mini-batches; the last, incomplete one is left out. The
    learning rate falls to zero along one cosine over all steps. Beside the patches, memory is that
    of a handful of ``batch_size x batch_size`` matrices.

    Args:
        patches: patch features ``(N, h, w, D)``, possibly memory-mapped.
        settings: all settings of the training.
        seed: the seed of the initial weights and of the order of the patches.
        device: the device of the networks.
        description: the name of the work in the progress bar.
        after_epoch: called after each epoch, and before the first with epoch 0, with the epoch and
            the network.

    Returns:
        The trained network, and a frame with the columns ``epoch`` (from 1), ``loss`` (the mean
        over the epoch's steps), and, for the epoch's last step, ``learning_rate``,
        ``labels_near_zero`` and ``labels_near_one`` (see ``label_spread``).

    Raises:
        InputError: there are fewer patches than a mini-batch needs, or the loss is not finite.
    """
    flat = patches.reshape(-1, patches.shape[-1])
    steps = len(flat) // settings.batch_size
    if steps == 0:
        raise InputError(
            f"{len(flat)} patches do not fill one mini-batch of {settings.batch_size}: lower "
            "batch_size, or train on more images."
        )
    network = RepresentationNetwork(flat.shape[1], settings, seed)
    shift, scale = _input_scaling(flat, settings)
    if settings.initialization == "principal_components":
        start = LinearMapSettings(kind="principal_components", dimension=settings.dimension)
        network.f.load_state_dict(linear_map(patches, start, seed).state_dict())
    network, shift, scale = network.to(device), shift.to(device), scale.to(device)
    average = copy.deepcopy(network).requires_grad_(False)
    optimizer = AdamP(
        network.parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        nesterov=settings.nesterov,
    )
    scheduler = CosineAnnealingLR(optimizer, max(1, settings.epochs * steps))
    order = np.random.default_rng(seed)
    history = []
    after_epoch(0, _on_patches(network, shift, scale))
    with tqdm(
        total=settings.epochs * steps, desc=description, unit="step", delay=DELAY
    ) as progress:
        for epoch in range(1, settings.epochs + 1):
            shuffled = epoch_order(len(patches), patches[0, ..., 0].size, settings.sampling, order)
            total = torch.zeros((), device=device)
            for step in range(steps):
                rows = shuffled[step * settings.batch_size : (step + 1) * settings.batch_size]
                batch = torch.from_numpy(flat[rows]).to(device, network.f.weight.dtype)
                if settings.input_scaling != "none":
                    batch = (batch - shift) / scale
                with torch.autocast(device.type, torch.bfloat16, settings.mixed_precision):
                    zbar, z = average(batch), network(batch)
                labels = pseudo_labels(zbar.to(batch.dtype), settings)
                loss = relaxed_contrastive_loss(
                    z.to(batch.dtype),
                    labels,
                    settings.margin,
                    detach_mean_distance=settings.detach_mean_distance,
                )
                if settings.loss_reduction == "pairs":
                    loss = loss / len(batch)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
                update_average(average, network, settings.ema_momentum)
                total += loss.detach()
                progress.update()
            mean_loss = total.item() / steps
            if not np.isfinite(mean_loss):
                raise InputError(
                    f"The loss is {mean_loss} in epoch {epoch}: lower learning_rate "
                    f"{settings.learning_rate}, or look for features that are not finite."
                )
            rate = scheduler.get_last_lr()[0]
            after_epoch(epoch, _on_patches(network, shift, scale))
            spread = label_spread(labels)
            history.append(dict(zip(HISTORY, (epoch, mean_loss, rate, *spread), strict=True)))
            progress.set_postfix(epoch=epoch, loss=f"{mean_loss:.4f}")
    return _on_patches(network, shift, scale), pd.DataFrame(history, columns=HISTORY)


def learn(
    patches: npt.NDArray[np.floating],
    settings: RepresentationSettings,
    seed: int,
    *,
    device: torch.device,
    description: str,
) -> Learned:
    """Return ``representation``: f and g; ``snapshots``: f after ``epochs_kept``; ``training``.

    Raises:
        InputError: as ``train``.
    """
    snapshots: dict[str, Tensor] = {}

    def keep(epoch: int, network: RepresentationNetwork) -> None:
        if epoch in settings.epochs_kept:
            for name, tensor in network.f.state_dict().items():
                snapshots[f"{epoch}.{name}"] = tensor.detach().cpu().clone()

    network, history = train(
        patches, settings, seed, device=device, description=description, after_epoch=keep
    )
    return Learned(
        {"representation": dict(network.state_dict()), "snapshots": snapshots},
        {"training": history},
    )


def epoch_order(
    images: int,
    places: int,
    sampling: Literal["patches", "images", "positions"],
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """Return an epoch's order of the patches ``(images, places)`` laid flat, each once.

    ``patches`` shuffles all patches. ``images`` takes one image after the other, in random order,
    so that a mini-batch has patches of a few images; ``positions`` does the same with the places in
    the image.
    """
    rows = np.arange(images * places).reshape(images, places)
    if sampling == "patches":
        return rng.permutation(rows.size)
    groups = rows if sampling == "images" else rows.T
    return np.concatenate([rng.permutation(group) for group in rng.permutation(groups)])


def _input_scaling(
    flat: npt.NDArray[np.floating], settings: RepresentationSettings
) -> tuple[Tensor, Tensor]:
    """The values to subtract from each channel of a patch, and to divide it by."""
    if settings.input_scaling == "none":
        return torch.zeros(flat.shape[1]), torch.ones(flat.shape[1])
    scale = torch.from_numpy(flat.std(axis=0, dtype=np.float64)).float()
    # A constant channel is not scaled.
    scale[scale == 0] = 1
    return torch.from_numpy(flat.mean(axis=0, dtype=np.float64)).float(), scale


@torch.no_grad()
def _on_patches(
    network: RepresentationNetwork, shift: Tensor, scale: Tensor
) -> RepresentationNetwork:
    """Return a copy of a network for scaled patches that takes unscaled ones."""
    folded = copy.deepcopy(network)
    folded.f.weight.div_(scale)
    folded.f.bias.sub_(folded.f.weight @ shift)
    return folded
