"""What all methods that train by epochs share, on a toy: an autoencoder of noised pixels."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from reconpatch.methods.method import Sizes, TrainingSet
from reconpatch.methods.registry import METHODS
from reconpatch.methods.trained import TrainedMethod, TrainedRecipe
from reconpatch.utils.epochs import Checkpoint
from reconpatch.utils.errors import InputError
from reconpatch.utils.live_bytes import LiveBytes
from tests.methods.layer_maps import SHAPES, made_up

CPU = torch.device("cpu")
MAPS, TEST = made_up(7, 0), made_up(3, 1)


class ToyRecipe(TrainedRecipe):
    method: Literal["toy"] = "toy"
    epochs: int = 4
    batch_size: int = 2
    learning_rate: float = 0.05


class Toy(TrainedMethod[ToyRecipe]):
    Recipe = ToyRecipe

    def build(self) -> nn.Module:
        width = self.shapes[0][0]
        return nn.Sequential(nn.Conv2d(width, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, width, 1))

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.network.parameters(), lr=self.recipe.learning_rate)

    def losses(self, maps: list[Tensor], random: np.random.Generator) -> Iterator[Tensor]:
        for _ in range(2):
            noise = torch.from_numpy(random.normal(size=maps[0].shape)).to(maps[0])
            yield mse_loss(self.network(maps[0] + noise), maps[0])

    def patch_scores(self, maps: list[Tensor]) -> Tensor:
        return (self.network(maps[0]) - maps[0]).norm(dim=1)


def toy(**settings: float) -> Toy:
    recipe = {"features": {"resize": 40, "crop": 40}, **settings}
    return Toy(ToyRecipe.model_validate(recipe), CPU)


def training(seed: int = 3) -> TrainingSet:
    return TrainingSet(MAPS, seed, "made up")


TRAINED = [Toy, *(m for m in METHODS.values() if issubclass(m, TrainedMethod))]
SIZES = Sizes(7, 3, 24, 30, SHAPES)


def small(kind: type[TrainedMethod[Any]], device: torch.device) -> TrainedMethod[Any]:
    recipe = {"features": {"resize": 40, "crop": 40}, "epochs": 2, "batch_size": 2}
    return kind(kind.Recipe.model_validate(recipe), device)


def same(one: Toy, other: Toy) -> bool:
    kept, others = one.tensors(), other.tensors()
    return all(torch.equal(kept[name], others[name]) for name in kept | others)


def test_a_training_that_was_killed_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "this")
    unbroken, killed, resumed = toy(), toy(), toy()
    scores = [unbroken.score(TEST).images for _ in unbroken.fit_epochs(training())]
    epochs = killed.fit_epochs(training(), checkpoint)
    assert [next(epochs), next(epochs)] == [1, 2]
    epochs.close()
    along = {e: resumed.score(TEST).images for e in resumed.fit_epochs(training(), checkpoint)}
    assert list(along) == [2, 3, 4]
    assert all(np.array_equal(scores[epoch - 1], found) for epoch, found in along.items())
    assert same(resumed, unbroken)
    assert not same(killed, unbroken)
    other = toy()
    assert list(other.fit_epochs(training(), checkpoint._replace(made_of="that"))) == [1, 2, 3, 4]
    assert same(other, unbroken)
    checkpoint.path.write_bytes(b"half")
    with pytest.raises(InputError, match="delete it"):
        list(toy().fit_epochs(training(), checkpoint))


def test_a_short_training_leaves_no_checkpoint(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "this", 60)
    assert len(list(toy().fit_epochs(training(), checkpoint))) == 4
    assert not checkpoint.path.exists()


def test_the_seed_alone_decides_and_torchs_own_generator_is_left_alone() -> None:
    one, again, other = toy(), toy(), toy()
    state = torch.get_rng_state()
    one.fit(training())
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(0)
    again.fit(training())
    other.fit(training(4))
    assert same(one, again)
    assert not same(one, other)


def test_a_loss_that_is_not_finite_is_named_with_what_to_do() -> None:
    maps = made_up(4, 0)
    maps.packed[1] = torch.nan
    with pytest.raises(InputError, match=r"toy's loss is nan in epoch 1: .*learning_rate 0\.05"):
        toy().fit(TrainingSet(maps, 0, ""))


@pytest.mark.parametrize(
    ("epochs", "scored"),
    [(1, (1,)), (4, (1, 2, 3, 4)), (25, (3, 5, 8, 10, 13, 15, 18, 20, 23, 25)), (200, None)],
)
def test_test_images_are_scored_at_ten_epochs_at_most(
    epochs: int, scored: tuple[int, ...] | None
) -> None:
    found = Toy.scored_epochs(toy(epochs=epochs).recipe)
    assert found == (scored or tuple(range(20, 201, 20)))


@pytest.mark.parametrize(("batch", "steps"), [(2, 3), (7, 1), (50, 1)])
def test_steps_are_counted_as_they_are_taken(batch: int, steps: int) -> None:
    method = toy(batch_size=batch)
    needs = Toy.needs(method.recipe, SIZES, on_gpu=False)
    assert needs.steps == 2 * steps * method.recipe.epochs


@pytest.mark.parametrize("kind", TRAINED, ids=lambda kind: kind.__name__)
def test_a_training_takes_the_bytes_that_it_says(kind: type[TrainedMethod[Any]]) -> None:
    method = small(kind, CPU)
    needs = kind.needs(method.recipe, SIZES, on_gpu=False)
    with LiveBytes() as live:
        method.fit(training())
    assert needs.model_bytes == sum(t.nbytes for t in method.tensors().values())
    assert 0.8 * live.peak < needs.working_bytes < 1.2 * live.peak


@pytest.mark.parametrize("kind", TRAINED, ids=lambda kind: kind.__name__)
def test_all_of_an_epoch_is_on_the_device_until_its_end_is_read(
    kind: type[TrainedMethod[Any]],
) -> None:
    """A device without values takes every step, and fails where the host asks for one."""
    method = small(kind, torch.device("meta"))
    with pytest.raises(RuntimeError) as error:
        method.fit(training())
    *_, inside = (entry for entry in error.traceback if entry.name == "_epoch")
    assert "total.item()" in str(inside.statement), error.value
    scores = method.patch_scores(method.on_device(TEST))
    assert (scores.device.type, scores.shape) == ("meta", TEST.shape)


def test_an_epoch_takes_each_image_once_in_an_order_of_its_own() -> None:
    seen: list[list[int]] = []
    pixels = MAPS.layers()[0]

    class Watching(Toy):
        def losses(self, maps: list[Tensor], random: np.random.Generator) -> Iterator[Tensor]:
            seen.append(
                [int((pixels == own).flatten(1).all(dim=1).int().argmax()) for own in maps[0]]
            )
            return super().losses(maps, random)

    Watching(toy(batch_size=3, epochs=2).recipe, CPU).fit(training())
    # Of seven images the last, incomplete mini-batch is left out.
    assert [len(batch) for batch in seen] == [3, 3, 3, 3]
    epochs = [tuple(seen[0] + seen[1]), tuple(seen[2] + seen[3])]
    assert all(len(set(epoch)) == 6 for epoch in epochs)
    assert epochs[0] != epochs[1]
    seen.clear()
    # Unless it is the only one.
    Watching(toy(batch_size=50, epochs=1).recipe, CPU).fit(training())
    assert sorted(seen[0]) == list(range(7))


def test_scoring_along_a_training_changes_nothing() -> None:
    watched, alone = toy(), toy()
    for _ in watched.fit_epochs(training()):
        watched.score(TEST)
    alone.fit(training())
    assert same(watched, alone)
