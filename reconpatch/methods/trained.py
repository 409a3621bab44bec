"""The seam for methods whose networks train by epochs on layer maps.

A method's file has its networks, its losses and its patch scores. All else is here: epochs and
their draws, checkpoints, scoring in blocks, the file of the fitted method, and what a run takes.

The test images are scored at several epochs (``runs/detection.py``), so that a table can tell the
last epoch from the best on the test images. No training sees them, and none stops by them.
"""

from abc import abstractmethod
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from reconpatch.methods.by_epochs import EpochMethod, EpochRecipe
from reconpatch.methods.method import Needs, Shape, Sizes, TrainingSet
from reconpatch.settings.features import FeatureSettings

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn

    from reconpatch.detection.scores import Scores
    from reconpatch.features.layer_maps import LayerMaps
    from reconpatch.utils.epochs import Checkpoint


class TrainedRecipe(EpochRecipe):
    """A trained method's settings; ``batch_size`` is in images, all where there are fewer."""

    reads = "layer maps"

    features: FeatureSettings = FeatureSettings(layers=(1, 2, 3))


T = TypeVar("T", bound=TrainedRecipe)


class TrainedMethod(EpochMethod[T], Generic[T]):
    """Networks that train by epochs on layer maps.

    An image's score is the maximum of its smoothed map.

    Attributes:
        shapes: ``(C, h, w)`` of the layers' maps, finest first.
        network: all that is learned, in parameters and buffers.
    """

    shapes: tuple[Shape, ...]
    network: "nn.Module"

    @abstractmethod
    def build(self) -> "nn.Module":
        """Return the networks for maps of ``shapes``, on torch's default device.

        Initial weights are drawn from torch's generator, which the seed has set.

        Raises:
            InputError: the method cannot work on maps of these shapes.
        """

    def prepare(self, maps: "LayerMaps", category: str) -> None:
        """Set what the network takes from all training maps before the first epoch."""

    @abstractmethod
    def optimizer(self) -> "torch.optim.Optimizer":
        """Return what steps on the network's parameters."""

    @abstractmethod
    def losses(self, maps: "list[Tensor]", random: "np.random.Generator") -> "Iterator[Tensor]":
        """Yield the losses of a mini-batch; after each a step is taken.

        Args:
            maps: of each layer, ``(B, C, h, w)``, in single precision on the network's device.
            random: for the losses' own draws.
        """

    def schedule(self, optimizer: "torch.optim.Optimizer", epochs: float) -> None:
        """Set the rates of a mini-batch's steps: by default they stay as they are.

        Args:
            optimizer: what is stepped with.
            epochs: how many are done, with the share of this one's mini-batches.
        """

    @abstractmethod
    def patch_scores(self, maps: "list[Tensor]") -> "Tensor":
        """Return the scores ``(B, h, w)`` on the finest layer's grid; maps are as in ``losses``."""

    @classmethod
    def needs(cls, recipe: T, sizes: Sizes, *, on_gpu: bool) -> Needs:
        """Return the model's bytes, and steps and memory of its training, rehearsed without values.

        The peak is the training's: weights, gradients and the optimiser's state, and what a
        mini-batch takes on its way there and back.
        """
        batch = min(recipe.batch_size, sizes.train_images)
        rehearsed = _rehearse(cls, recipe, sizes.shapes, batch)
        steps = recipe.epochs * (sizes.train_images // batch) * rehearsed.steps
        return Needs(steps, 0, rehearsed.model_bytes, rehearsed.working_bytes)

    def fit_epochs(
        self, training: TrainingSet, checkpoint: "Checkpoint | None" = None
    ) -> Iterator[int]:
        """Train the network that ``build`` makes; see ``EpochMethod``."""
        import torch

        from reconpatch.utils.epochs import train_by_epochs

        maps: LayerMaps = training.patches
        self.shapes = tuple(maps.shapes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(training.seed)
            self.network = self.build().to(self.device)
        self.prepare(maps, training.category)
        optimizer = self.optimizer()
        yield from train_by_epochs(
            self.network,
            optimizer,
            self.recipe.epochs,
            lambda epoch: self._epoch(maps, optimizer, training.seed, epoch),
            loss_of=self.name(),
            description=f"{training.category} {self.name()}",
            checkpoint=checkpoint,
        )

    def _epoch(
        self, maps: "LayerMaps", optimizer: "torch.optim.Optimizer", seed: int, epoch: int
    ) -> float:
        """Take an epoch's steps and return their mean loss."""
        import numpy as np
        import torch

        from reconpatch.features.layer_maps import LayerMaps
        from reconpatch.utils.epochs import step

        random = np.random.default_rng([seed, epoch])
        size = min(self.recipe.batch_size, len(maps))
        batches = random.permutation(len(maps))[: len(maps) // size * size].reshape(-1, size)
        self.network.train()
        total, steps = torch.zeros((), device=self.device), 0
        for done, rows in enumerate(batches):
            self.schedule(optimizer, epoch - 1 + done / len(batches))
            batch = self.on_device(LayerMaps(maps.packed[rows], maps.shapes))
            for loss in self.losses(batch, random):
                step(optimizer, loss)
                total += loss.detach()
                steps += 1
        mean: float = total.item() / steps
        return mean

    def on_device(self, maps: "LayerMaps") -> "list[Tensor]":
        """Return each layer's maps ``(N, C, h, w)`` in single precision on the device."""
        return [layer.to(self.device).float() for layer in maps.layers()]

    def score(self, maps: "LayerMaps") -> "Scores":
        """Return patch scores, and the largest of each smoothed map."""
        from tqdm import tqdm

        from reconpatch.detection.scores import Scores
        from reconpatch.utils.epochs import DELAY
        from reconpatch.utils.halving import Blocks

        self.network.eval()
        parts, blocks = [], Blocks(self.recipe.batch_size)
        with tqdm(total=len(maps), desc=self.name(), unit="image", delay=DELAY) as progress:
            for part in blocks(self._score, maps):
                parts.append(part)
                progress.update(len(part.images))
        return Scores.joined(parts)

    def _score(self, maps: "LayerMaps") -> "Scores":
        import torch

        from reconpatch.detection.smoothed import smoothed_scores

        with torch.no_grad():
            patches = self.patch_scores(self.on_device(maps))
        return smoothed_scores(patches.cpu().numpy(), self.recipe)

    def tensors(self) -> "dict[str, Tensor]":
        """Return the network's parameters and buffers, and the shapes that it is for."""
        import torch

        state = {f"network.{n}": t.detach().cpu() for n, t in self.network.state_dict().items()}
        return {"shapes": torch.tensor(self.shapes), **state}

    def load(self, tensors: "dict[str, Tensor]") -> None:
        """Take the network's parameters and buffers, and the shapes that it is for."""
        self.shapes = tuple((c, h, w) for c, h, w in tensors["shapes"].tolist())
        network, prefix = self.build(), "network."
        network.load_state_dict(
            {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        )
        self.network = network.to(self.device)

    def counts(self) -> dict[str, int]:
        """Return the number of the parameters that are trained."""
        return {"parameters": sum(p.numel() for p in self.network.parameters())}


class Rehearsed(NamedTuple):
    """What a training takes.

    Attributes:
        steps: of a mini-batch.
        model_bytes: of the fitted method.
        working_bytes: of tensors, at the peak of a mini-batch.
    """

    steps: int
    model_bytes: int
    working_bytes: int


@cache
def _rehearse(
    kind: type[TrainedMethod[Any]], recipe: TrainedRecipe, shapes: tuple[Shape, ...], images: int
) -> Rehearsed:
    """Take the steps of two mini-batches of ``images`` on torch's device ``meta``."""
    import numpy as np
    import torch

    from reconpatch.utils.epochs import step
    from reconpatch.utils.live_bytes import LiveBytes

    meta = torch.device("meta")
    method = kind(recipe, meta)
    method.shapes = shapes
    with LiveBytes() as live:
        with meta:
            method.network = method.build()
        optimizer, steps = method.optimizer(), 0
        # The optimiser's state is there from the second on.
        for _ in range(2):
            maps = [torch.empty(images, *shape, device=meta) for shape in shapes]
            for loss in method.losses(maps, np.random.default_rng(0)):
                step(optimizer, loss)
                steps += 1
    model_bytes = sum(tensor.nbytes for tensor in method.network.state_dict().values())
    return Rehearsed(steps // 2, model_bytes + 24 * len(shapes), live.peak)
