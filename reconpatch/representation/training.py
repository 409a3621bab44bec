"""Training of the representation (Section 3.2)."""

import copy
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from reconpatch.representation.captured_step import CapturedStep
from reconpatch.representation.learned import Learned
from reconpatch.representation.linear_maps import linear_map
from reconpatch.representation.networks import RepresentationNetwork
from reconpatch.representation.patch_reader import patch_reader
from reconpatch.representation.similarity import label_spread
from reconpatch.representation.step import TrainingStep, cosine
from reconpatch.representation.step_memory import step_memory
from reconpatch.settings.representation import LinearMapSettings, RepresentationSettings
from reconpatch.utils.devices import captures_graphs
from reconpatch.utils.errors import InputError

DELAY = 10
"""Seconds after which a training shows its progress, so that short ones do not fill the log."""

ROWS = 2048
"""Patches that are in double precision at once, to find each channel's deviation."""

HISTORY = ["epoch", "loss", "learning_rate", "labels_near_zero", "labels_near_one"]


def train(
    patches: npt.NDArray[np.floating],
    settings: RepresentationSettings,
    seed: int,
    *,
    device: torch.device,
    description: str = "training",
    after_epoch: Callable[[int, RepresentationNetwork], None] = lambda epoch, network: None,
    cuda_graph: bool = True,
    _on_gpu: bool | None = None,
) -> tuple[RepresentationNetwork, pd.DataFrame]:
    """Train f and g on patch features and return them with their history.

    Every epoch draws all patches once, without regard to the image or place they come from, in
    mini-batches; the last, incomplete one is left out. The learning rate falls from its start to
    zero along one cosine over all steps.

    On a CPU mini-batches are gathered from the patches as they lie, perhaps on disk. On a GPU the
    patches are copied there if they fit, else mini-batch by mini-batch while it computes; no step
    waits for the host, and losses are read once an epoch. Memory beside the patches is that of
    ``step_memory``, on a GPU up to twice that.

    Args:
        patches: patch features ``(N, h, w, D)``, possibly memory-mapped.
        settings: every choice of the training.
        seed: decides the initial weights and the order of the patches.
        device: where the networks live.
        description: what the progress bar calls the work.
        after_epoch: called with the epoch and the network as it then is, also before the first
            (epoch 0).
        cuda_graph: whether a GPU may replay the steps as a CUDA graph, with the same results.
        _on_gpu: for tests, whether to take the path of a GPU; by default as ``device`` says.

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
    scaling = _input_scaling(flat, settings, device)
    if settings.initialization == "principal_components":
        start = LinearMapSettings(kind="principal_components", dimension=settings.dimension)
        network.f.load_state_dict(linear_map(patches, start, seed).state_dict())
    network = network.to(device)
    on_gpu = device.type == "cuda" if _on_gpu is None else _on_gpu
    rates = cosine(settings.learning_rate, settings.epochs * steps)
    step = TrainingStep(network, settings, rates, scaling, without_reads=on_gpu)
    take = CapturedStep(step, device) if device.type == "cuda" and cuda_graph else step
    # A graph has memory of its own, beside what the steps before it took.
    beside = 2 * step_memory(flat.shape[1], settings)
    reader = patch_reader(flat, settings.batch_size, device, beside=beside, on_gpu=on_gpu)
    rng = np.random.default_rng(seed)

    def draw() -> npt.NDArray[np.int64]:
        rows = epoch_order(len(patches), patches[0, ..., 0].size, settings.sampling, rng)
        return rows[: steps * settings.batch_size].reshape(steps, -1)

    order, history = draw(), []
    after_epoch(0, _on_patches(network, scaling))
    with tqdm(
        total=settings.epochs * steps, desc=description, unit="step", delay=DELAY
    ) as progress:
        for epoch in range(1, settings.epochs + 1):
            step.total.zero_()
            for batch in reader.epoch(order):
                take(batch)
                progress.update()
            if epoch < settings.epochs:
                # A GPU is still at the steps of this one.
                order = draw()
            # Here alone the host waits for it.
            spread = label_spread(step.labels)
            total, *shares = torch.cat([step.total.to(spread.dtype)[None], spread]).tolist()
            mean_loss = total / steps
            if not np.isfinite(mean_loss):
                raise InputError(
                    f"The loss is {mean_loss} in epoch {epoch}: lower learning_rate "
                    f"{settings.learning_rate}, or look for features that are not finite."
                )
            after_epoch(epoch, _on_patches(network, scaling))
            row = (epoch, mean_loss, rates[epoch * steps], *shares)
            history.append(dict(zip(HISTORY, row, strict=True)))
            progress.set_postfix(epoch=epoch, loss=f"{mean_loss:.4f}")
    return _on_patches(network, scaling), pd.DataFrame(history, columns=HISTORY)


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
        patches,
        settings,
        seed,
        device=device,
        description=description,
        after_epoch=keep,
        cuda_graph=captures_graphs(),
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
    flat: npt.NDArray[np.floating], settings: RepresentationSettings, device: torch.device
) -> tuple[Tensor, Tensor] | None:
    """What is taken from each channel of a patch, and what it is then divided by."""
    if settings.input_scaling == "none":
        return None
    mean = flat.mean(axis=0, dtype=np.float64)
    shift = torch.from_numpy(mean).float()
    scale = torch.from_numpy(_deviation(flat, mean)).float()
    # A channel that never varies has nothing to scale.
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    return shift.to(device), scale.to(device)


def _deviation(
    flat: npt.NDArray[np.floating], mean: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The standard deviation of each channel; NumPy's own makes two wider copies of all patches."""
    total = np.zeros_like(mean)
    for start in range(0, len(flat), ROWS):
        squares = np.square(flat[start : start + ROWS] - mean)
        # Row after row, which is the order of NumPy's own sum.
        total = np.add.reduce(np.vstack([total, squares]))
    deviation: npt.NDArray[np.float64] = np.sqrt(total / len(flat))
    return deviation


@torch.no_grad()
def _on_patches(
    network: RepresentationNetwork, scaling: tuple[Tensor, Tensor] | None
) -> RepresentationNetwork:
    """Return a copy of a network for scaled patches that takes unscaled ones."""
    folded = copy.deepcopy(network)
    if scaling:
        shift, scale = scaling
        folded.f.weight.div_(scale)
        folded.f.bias.sub_(folded.f.weight @ shift)
    return folded
