"""PNI: a memory bank whose vectors count only where place and neighbours make them likely.

Paper: Bae, Lee and Kim, "PNI: Industrial Anomaly Detection using Position and Neighborhood
Information", ICCV 2023. Its public code has no licence, and was neither run nor taken from.

Reads: patch features. Learns: a network that tells from the patches around which kind of patch is
in the middle; and how often each kind was at each place.

Settings of the paper: WideResNet-101 at 480 px, a memory bank C_emb of 1 % of the patches, 2,048 of
them as kinds C_dist, 9 x 9 patches around, a network of 10 layers of 2,048 channels, 15 epochs of
mini-batches of 2,048 with a rate of 1e-3 that falls to a tenth every 5, a temperature of 2: those
here, with the suite's backbone and size. A tenth of the training images judges the epochs.

Departs from its paper: its refinement network, which is trained on simulated defects, is left out.
C_dist is never larger than C_emb, of which it is a part. Where the paper says no more, layers are
linear, normalised over the mini-batch and rectified; zeros stand around the image; the network is
that of the epoch with the least cross-entropy on the images that were held out.
"""

from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from reconpatch.methods.by_epochs import EpochMethod, EpochRecipe
from reconpatch.methods.method import Needs, Sizes, TrainingSet
from reconpatch.settings.base import Count, Positive, Share
from reconpatch.utils.errors import InputError

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch
    from torch import Tensor

    from reconpatch.detection.scores import Scores
    from reconpatch.features.store import Patches
    from reconpatch.methods.pni_network import KindNetwork
    from reconpatch.utils.epochs import Checkpoint

BLOCK = 2**28
"""Bytes of what surrounds the patches that are worked on together: 256 MiB, or one patch's."""


class PNIRecipe(EpochRecipe):
    """PNI's settings; ``batch_size`` is in patches.

    Attributes:
        coreset_share: the share of training patches in the memory bank, C_emb.
        kinds: how many of these stand for kinds of patches, C_dist; all where there are fewer.
        neighbourhood: patches of a side of the square around a patch, p.
        left_out: which patch of the square the network is not given. The paper leaves out the
            centre; its public code the patch to the right, so that what is to be told is seen.
        layers: hidden ones of the network.
        width: their channels.
        decay_epochs: after how many epochs the rate falls to a tenth, again and again.
        temperature: what the network's outputs are divided by before their softmax.
        held_out: the share of training images that judge the epochs.
    """

    method: Literal["PNI"] = "PNI"
    coreset_share: Share = 0.01
    kinds: Count = 2048
    neighbourhood: Annotated[int, Field(ge=3)] = 9
    left_out: Literal["centre", "right_of_centre"] = "centre"
    layers: Count = 10
    width: Count = 2048
    epochs: Count = 15
    batch_size: Annotated[int, Field(ge=2)] = 2048
    learning_rate: Positive = 1e-3
    decay_epochs: Count = 5
    temperature: Positive = 2.0
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.neighbourhood % 2 == 0:
            raise ValueError(f"neighbourhood {self.neighbourhood} must be odd, to have a centre")
        return self


class PNI(EpochMethod[PNIRecipe]):
    """Distances to the likely part of a memory bank.

    Attributes:
        vectors: the memory bank C_emb, ``(M, D)``; its first K are C_dist.
        owners: the training image of each, ``(M,)``.
        kinds: the nearest of C_dist to each, ``(M,)``.
        seen: the nearest of C_dist to each training patch, ``(N, h, w)``.
        histogram: how often each of C_dist is seen at each place, ``(h w, K)``.
        network: from a patch's surroundings to its kind.
    """

    Recipe = PNIRecipe
    vectors: "Tensor"
    owners: "Tensor"
    kinds: "Tensor"
    seen: "Tensor"
    histogram: "Tensor"
    network: "KindNetwork"

    @classmethod
    def needs(cls, recipe: PNIRecipe, sizes: Sizes, *, on_gpu: bool) -> Needs:
        """Return the bytes of memory bank, kinds and network, and the peak, in the training.

        There the features are in single precision, the network stands five times (its weights, the
        best so far, gradients, and the optimiser's two), and a mini-batch's surroundings and
        activations are kept. The coreset's own peak may be above that.
        """
        from reconpatch.detection.coreset import coreset_memory, coreset_size

        count, vector = sizes.train_patches, 4 * sizes.dimension
        bank = coreset_size(count, recipe.coreset_share)
        kinds = min(recipe.kinds, bank)
        inputs = (recipe.neighbourhood**2 - 1) * sizes.dimension
        widths = [inputs, *[recipe.width] * recipe.layers, kinds]
        weights = sum((a + 1) * b for a, b in pairwise(widths)) + 2 * recipe.width * recipe.layers
        normalisation = recipe.layers * (8 * recipe.width + 8)
        kept = bank * (vector + 16) + 4 * count
        batch = min(recipe.batch_size, count)
        activations = inputs + 3 * recipe.width * recipe.layers + 3 * kinds
        training = 20 * weights + 4 * batch * activations
        features = vector * count
        coreset = coreset_memory(count, sizes.dimension, on_gpu=on_gpu)
        held_out = held_out_images(recipe, sizes.train_images, 0).sum()
        steps = (sizes.train_images - held_out) * sizes.places // batch
        return Needs(
            recipe.epochs * max(1, int(steps)),
            0,
            kept + 4 * weights + normalisation,
            features + max(coreset, kept + training),
        )

    def fit_epochs(
        self, training: TrainingSet, checkpoint: "Checkpoint | None" = None
    ) -> Iterator[int]:
        """Keep the memory bank and each place's kinds, then train the network.

        Raises:
            InputError: there are fewer than two training images; or as ``EpochMethod``.
        """
        import torch
        from torch import nn

        from reconpatch.utils.epochs import train_by_epochs

        count = len(training.patches)
        if count < 2:
            raise InputError("PNI needs two training images or more: some judge its network.")
        features = self.represent(training.patches)
        self._remember(features, training)
        held_out = held_out_images(self.recipe, count, training.seed)
        own, others = (
            np.flatnonzero(images.repeat(self.seen[0].numel())) for images in (~held_out, held_out)
        )
        judges = torch.from_numpy(others).to(self.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(training.seed)
            trained = self._build().to(self.device)
        self.network = deepcopy(trained).requires_grad_(False).eval()
        least = torch.tensor(torch.inf, device=self.device)
        # All that an epoch goes on from, for checkpoints.
        state = nn.ModuleDict({"trained": trained, "best": self.network})
        state.register_buffer("least", least)
        optimizer = torch.optim.Adam(trained.parameters(), lr=self.recipe.learning_rate)

        def take(epoch: int) -> float:
            falls = (epoch - 1) // self.recipe.decay_epochs
            optimizer.param_groups[0]["lr"] = self.recipe.learning_rate / 10**falls
            order = np.random.default_rng([training.seed, epoch]).permutation(own)
            rows = torch.from_numpy(order).to(self.device)
            loss = self._epoch(trained, optimizer, features, rows)
            judged = self._judge(trained, features, judges)
            if judged < least:
                least.copy_(judged)
                self.network.load_state_dict(trained.state_dict())
            return loss

        yield from train_by_epochs(
            state,
            optimizer,
            self.recipe.epochs,
            take,
            loss_of=self.name(),
            description=f"{training.category} {self.name()}",
            checkpoint=checkpoint,
        )

    def _remember(self, features: "Tensor", training: TrainingSet) -> None:
        """Keep the memory bank, and which kind each training patch is of."""
        from reconpatch.detection.coreset import coreset_size, select_coreset
        from reconpatch.detection.memory_bank import MemoryBank

        images, h, w, _ = training.patches.shape
        size = coreset_size(len(features), self.recipe.coreset_share)
        chosen = select_coreset(features, size, training.seed, f"{training.category} coreset")
        vectors = features[chosen.to(features.device)]
        _, kinds = MemoryBank(vectors[: self.recipe.kinds]).nearest(features)
        kinds = kinds.cpu()
        seen = kinds.int().view(images, h, w)
        self._take(vectors, chosen // (h * w), kinds[chosen], seen)

    def _take(self, vectors: "Tensor", owners: "Tensor", kinds: "Tensor", seen: "Tensor") -> None:
        import torch

        self.vectors = vectors.to(self.device)
        self.owners, self.kinds = owners.to(self.device), kinds.to(self.device)
        self.seen = seen.to(self.device)
        self.mean = self.vectors.mean(dim=0)
        self.norms = (self.vectors - self.mean).square().sum(dim=1)
        by_place = seen.flatten(1).long()
        places, count = by_place.shape[1], min(self.recipe.kinds, len(vectors))
        cells = torch.arange(places) * count + by_place
        histogram = torch.bincount(cells.flatten(), minlength=places * count)
        self.histogram = histogram.view(places, count).to(self.device)

    def _build(self) -> "KindNetwork":
        from reconpatch.methods.pni_network import KindNetwork

        side = self.recipe.neighbourhood
        return KindNetwork(
            self.vectors.shape[1],
            self.histogram.shape[1],
            side=side,
            absent=side**2 // 2 + (self.recipe.left_out == "right_of_centre"),
            hidden=[self.recipe.width] * self.recipe.layers,
        )

    def _epoch(
        self,
        network: "KindNetwork",
        optimizer: "torch.optim.Optimizer",
        features: "Tensor",
        rows: "Tensor",
    ) -> float:
        """Take a step for each mini-batch of training patches, and return the mean loss."""
        import torch
        from torch.nn.functional import cross_entropy

        from reconpatch.utils.epochs import step

        size = min(self.recipe.batch_size, len(rows))
        batches = rows[: len(rows) // size * size].split(size)
        kinds = self.seen.flatten().long()
        network.train()
        total = torch.zeros((), device=self.device)
        for some in batches:
            loss = cross_entropy(network(features, some, self.grid), kinds[some])
            step(optimizer, loss)
            total += loss.detach()
        mean: float = total.item() / len(batches)
        return mean

    def _judge(self, network: "KindNetwork", features: "Tensor", rows: "Tensor") -> "Tensor":
        """The mean cross-entropy of training patches."""
        import torch
        from torch.nn.functional import cross_entropy

        kinds = self.seen.flatten().long()
        network.eval()
        total = torch.zeros((), device=self.device)
        with torch.no_grad():
            for some in rows.split(self._rows):
                outputs = network(features, some, self.grid)
                total += cross_entropy(outputs, kinds[some], reduction="sum")
        return total / len(rows)

    @property
    def grid(self) -> tuple[int, int]:
        """``(h, w)``."""
        _, h, w = self.seen.shape
        return h, w

    @property
    def _rows(self) -> int:
        """How many patches' surroundings ``BLOCK`` holds."""
        inputs = (self.recipe.neighbourhood**2 - 1) * self.vectors.shape[1]
        return max(1, BLOCK // (4 * inputs))

    def score(self, patches: "Patches") -> "Scores":
        """Return distances to the likely vectors, and the largest of each smoothed map."""
        return self._score(patches, None)

    def score_training(self, training: TrainingSet, images: int | None = None) -> "Scores":
        """Score training images without their vectors, and without what they add to the places.

        The network has been trained on most of them; that stays.
        """
        from tqdm import tqdm

        from reconpatch.detection.scores import Scores
        from reconpatch.utils.epochs import DELAY

        patches = training.patches[:images]
        described = f"{training.category} training scores"
        turns = tqdm(range(len(patches)), desc=described, unit="image", delay=DELAY)
        return Scores.joined(self._score(patches[i : i + 1], i) for i in turns)

    def score_left_out(self, patches: "Patches", image: int) -> "Scores":
        """Score without a training image's vectors, and without what it adds to the places."""
        return self._score(patches, image)

    def _score(self, patches: "Patches", left_out: int | None) -> "Scores":
        from tqdm import tqdm

        from reconpatch.detection.scores import Scores
        from reconpatch.utils.epochs import DELAY
        from reconpatch.utils.halving import Blocks

        parts, blocks = [], Blocks(max(1, self._rows // self.seen[0].numel()))
        with tqdm(total=len(patches), desc=self.name(), unit="image", delay=DELAY) as progress:
            for part in blocks(lambda some: self._score_block(some, left_out), patches):
                parts.append(part)
                progress.update(len(part.images))
        return Scores.joined(parts)

    def _score_block(self, patches: "Patches", left_out: int | None) -> "Scores":
        import torch

        from reconpatch.detection.smoothed import smoothed_scores

        features = self.represent(patches)
        everywhere = torch.arange(len(features), device=self.device)
        with torch.no_grad():
            distances = [
                self._distances(features, rows, left_out) for rows in everywhere.split(self._rows)
            ]
        scores = torch.cat(distances).view(-1, *self.grid)
        return smoothed_scores(scores.cpu().numpy(), self.recipe)

    def _distances(self, features: "Tensor", rows: "Tensor", left_out: int | None) -> "Tensor":
        """``-log max p(patch | c) T(p(c | place, surroundings))`` of patches ``(n,)``.

        Over c of C_emb, with ``p(patch | c) = exp(-|patch - c|)``: the distance to the nearest c
        that is likely. T is 1 for those whose kind is likelier than ``1 / (2 |C_emb|)``, and for
        the likeliest, should an image that is left out have all others.
        """
        import torch

        likely = self._probabilities(features, rows, left_out)[:, self.kinds]
        norms = self.norms.expand(len(rows), -1)
        if left_out is not None:
            likely = likely.masked_fill(self.owners == left_out, -1)
        allowed = (likely > 1 / (2 * len(self.vectors))) | (likely == likely.amax(1, keepdim=True))
        patches = features[rows]
        ranks = torch.addmm(norms, patches - self.mean, (self.vectors - self.mean).T, alpha=-2)
        nearest = ranks.masked_fill_(~allowed, torch.inf).argmin(dim=1)
        distances: Tensor = (patches - self.vectors[nearest]).norm(dim=1)
        return distances

    def _probabilities(self, features: "Tensor", rows: "Tensor", left_out: int | None) -> "Tensor":
        """The probabilities of kinds ``(n, K)``: the mean of the two, by surroundings and place."""
        import torch

        outputs = self.network(features, rows, self.grid)
        places = rows % len(self.histogram)
        counts, images = self.histogram[places], len(self.seen)
        if left_out is not None:
            own = self.seen[left_out].flatten().long()[places]
            counts[torch.arange(len(rows), device=self.device), own] -= 1
            images -= 1
        by_surroundings = (outputs / self.recipe.temperature).softmax(dim=1)
        found: Tensor = (by_surroundings + counts / images) / 2
        return found

    def tensors(self) -> "dict[str, Tensor]":
        """Return the memory bank, the kinds of the training patches, and the network."""
        kept = {name: getattr(self, name).cpu() for name in ("vectors", "owners", "kinds", "seen")}
        return kept | {f"network.{n}": t.cpu() for n, t in self.network.state_dict().items()}

    def load(self, tensors: "dict[str, Tensor]") -> None:
        """Take the memory bank, the kinds of the training patches, and the network."""
        self._take(*(tensors[name] for name in ("vectors", "owners", "kinds", "seen")))
        network = self._build()
        prefix = "network."
        network.load_state_dict(
            {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        )
        self.network = network.to(self.device).requires_grad_(False).eval()

    def counts(self) -> dict[str, int]:
        """Return the sizes of memory bank, kinds and network."""
        parameters = sum(parameter.numel() for parameter in self.network.parameters())
        size, dimension = self.vectors.shape
        return {
            "memory_bank": size,
            "dimension": dimension,
            "kinds": self.histogram.shape[1],
            "parameters": parameters,
        }


def held_out_images(recipe: PNIRecipe, count: int, seed: int) -> "npt.NDArray[np.bool_]":
    """Return which training images judge the epochs: one at least, and not all."""
    held = np.zeros(count, np.bool_)
    size = min(count - 1, max(1, round(recipe.held_out * count)))
    held[np.random.default_rng([seed, 0]).permutation(count)[:size]] = True
    return held
