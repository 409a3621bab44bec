"""What every method of the registry promises, and what the memory banks share."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save, save_file

from reconpatch.detection.scores import Scores
from reconpatch.methods.memory_bank import MemoryBankMethod
from reconpatch.methods.method import Method, TrainingSet
from reconpatch.methods.patchcore import PatchCore
from reconpatch.methods.registry import METHODS
from reconpatch.settings.recipe import Recipe
from reconpatch.utils.errors import InputError
from tests.methods.layer_maps import made_up

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)
TRAINING = TrainingSet(RNG.normal(size=(6, 4, 5, 12)).astype(np.float32), 3, "made up")
TEST = RNG.normal(size=(3, 4, 5, 12)).astype(np.float32)
ON_MAPS = TrainingSet(made_up(6, 0), 3, "made up")
TEST_MAPS = made_up(3, 1)
BANKS = [name for name, kind in METHODS.items() if issubclass(kind, MemoryBankMethod)]


def data(method: str) -> tuple[TrainingSet, Any]:
    """What a method is fitted on and scores."""
    on_maps = METHODS[method].Recipe.reads == "layer maps"
    return (ON_MAPS, TEST_MAPS) if on_maps else (TRAINING, TEST)


def recipe(method: str, share: float) -> Recipe:
    settings = {"dimension": 8, "epochs": 1, "batch_size": 16, "projection_dimension": 4}
    fields = METHODS[method].Recipe.model_fields
    if "detection" not in fields:
        small = {"epochs": 2, "batch_size": 2, "width": 8, "layers": 2, "steps": 2, "blocks": 2}
        own = {**small, "coreset_share": share}
        chosen = {name: value for name, value in own.items() if name in fields}
        features = {"resize": 40, "crop": 40}
        return METHODS[method].Recipe.model_validate({"features": features, **chosen})
    known = fields["representation"].annotation
    chosen = {k: v for k, v in settings.items() if k in known.model_fields}
    return METHODS[method].Recipe.model_validate(
        {"representation": chosen, "detection": {"coreset_share": share}}
    )


def new(method: str, folder: Path, share: float = 0.2) -> Method[Any]:
    """A method of the registry, its representation learned."""
    kind, chosen = METHODS[method], recipe(method, share)
    if kind.learner and not (folder / "representation.safetensors").exists():
        __import__(kind.learner)
        learned = sys.modules[kind.learner].learn(
            TRAINING.patches, chosen.learned, 0, device=CPU, description="learning"
        )
        save_file(learned.tensors["representation"], folder / "representation.safetensors")
    return kind(chosen, CPU, folder if kind.learner else None)


@pytest.mark.parametrize("name", METHODS)
def test_a_loaded_method_scores_as_the_fitted_one(name: str, tmp_path: Path) -> None:
    training, test = data(name)
    fitted = new(name, tmp_path)
    fitted.fit(training)
    loaded = new(name, tmp_path)
    loaded.load(load(save(fitted.tensors())))
    pairs = [(fitted.score(test), loaded.score(test))]
    if METHODS[name].score_training is not Method.score_training:
        pairs.append((fitted.score_training(training), loaded.score_training(training)))
    for ours, theirs in pairs:
        assert np.array_equal(ours.images, theirs.images)
        assert np.array_equal(ours.patches, theirs.patches)
    assert loaded.counts() == fitted.counts()


@pytest.mark.parametrize("name", METHODS)
def test_an_images_scores_do_not_depend_on_those_beside_it(name: str, tmp_path: Path) -> None:
    training, test = data(name)
    method = new(name, tmp_path)
    method.fit(training)
    together, alone = method.score(test), method.score(test[1:2])
    np.testing.assert_allclose(alone.images[0], together.images[1], rtol=1e-5)
    np.testing.assert_allclose(alone.patches[0], together.patches[1], rtol=1e-5)


@pytest.mark.parametrize("name", BANKS)
def test_methods_fitted_together_are_those_fitted_alone(name: str, tmp_path: Path) -> None:
    shares = (0.1, 0.5, 0.2)
    alone = [new(name, tmp_path, share) for share in shares]
    together = type(alone[0]).fit_all(
        [method.recipe for method in alone], TRAINING, CPU, alone[0].folder
    )
    for method, other in zip(alone, together, strict=True):
        method.fit(TRAINING)
        assert np.array_equal(method.score(TEST).patches, other.score(TEST).patches)
    assert [method.counts()["memory_bank"] for method in alone] == [12, 60, 24]


def test_patchcores_of_several_dimensions_share_a_group() -> None:
    recipes = [
        PatchCore.Recipe(
            representation={"dimension": dimension}, detection={"coreset_share": share}
        )
        for dimension, share in ((12, 0.1), (4, 0.2), (4, 0.5), (None, 0.2))
    ]
    for recipe, together in zip(recipes, PatchCore.fit_all(recipes, TRAINING, CPU), strict=True):
        alone = PatchCore(recipe, CPU)
        alone.fit(TRAINING)
        assert np.array_equal(alone.score(TEST).patches, together.score(TEST).patches)


@pytest.mark.parametrize("name", BANKS)
def test_a_training_image_is_scored_without_its_own_vectors(name: str, tmp_path: Path) -> None:
    method = new(name, tmp_path)
    method.fit(TRAINING)
    scores = method.score_training(TRAINING)
    for image in range(len(TRAINING.patches)):
        alone = method.score_left_out(TRAINING.patches[image : image + 1], image)
        np.testing.assert_allclose(scores.patches[image], alone.patches[0], rtol=1e-5)
        others = new(name, tmp_path)
        kept = method.indices // 20 != image
        vectors = method.tensors()["vectors"][kept]
        others.load({"vectors": vectors, "indices": method.indices[kept]})
        assert np.array_equal(
            alone.patches, others.score(TRAINING.patches[image : image + 1]).patches
        )
    first = method.score_training(TRAINING, images=2)
    assert np.array_equal(first.patches, scores.patches[:2])


class PlainRecipe(Recipe):
    method: str = "plain"


class Plain(Method[PlainRecipe]):
    Recipe = PlainRecipe

    def fit(self, training: TrainingSet) -> None: ...

    def score(self, patches: Any) -> Scores:
        return Scores.of(torch.as_tensor(patches).sum(dim=-1))

    def tensors(self) -> dict[str, torch.Tensor]:
        return {}

    def load(self, tensors: dict[str, torch.Tensor]) -> None: ...


def test_what_a_method_cannot_do_is_said_with_its_name() -> None:
    method = Plain(PlainRecipe(), CPU)
    for work in (lambda: method.score_training(TRAINING), lambda: method.score_left_out(TEST, 0)):
        with pytest.raises(InputError, match=r"^plain cannot .* Leave it out of them\.$"):
            work()
    assert torch.equal(method.represent(TEST), torch.from_numpy(TEST).flatten(0, 2))


def test_an_image_scores_as_its_highest_patch() -> None:
    found = Plain(PlainRecipe(), CPU).score(TEST)
    np.testing.assert_allclose(found.images, TEST.sum(axis=-1).max(axis=(1, 2)), rtol=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_a_methods_file_says_where_it_comes_from(name: str) -> None:
    head = sys.modules[METHODS[name].__module__].__doc__ or ""
    assert METHODS[name].name() == METHODS[name].Recipe().method == name
    for said in ("Paper: ", "Reads: ", "Learns: "):
        assert said in head


def test_patchcore_pools_to_its_dimension_and_scores_as_its_paper_and_code_do() -> None:
    chosen = PatchCore.Recipe.model_validate({"representation": {"dimension": 4}})
    pooled = PatchCore(chosen, CPU).represent(TEST)
    expected = TEST.reshape(-1, 4, 3).mean(axis=2)
    np.testing.assert_allclose(pooled.numpy(), expected, rtol=1e-5, atol=1e-6)
    assert (chosen.detection.reweighting, chosen.detection.squared_distances) == ("top_patch", True)
