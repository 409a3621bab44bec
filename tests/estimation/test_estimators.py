"""The estimators: the DAG's scores on somebody's own images, in scikit-learn's form."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks as checks

import reconpatch as package
from reconpatch.datasets.mvtec_layout import read_mvtec_layout
from reconpatch.estimation.detector import Detector, threshold_at
from reconpatch.estimation.estimators import (
    CFA,
    CFLOW,
    ESTIMATORS,
    RD4AD,
    SPADE,
    FastFlow,
    MHPatchcore,
    PaDiM,
    PatchCore,
    ReConPatch,
    load,
)
from reconpatch.estimation.streaming import stream
from reconpatch.features.extract import extract
from reconpatch.runs.detection import detect
from reconpatch.runs.learning import learn
from reconpatch.runs.recipe_run import RecipeRun
from reconpatch.runs.score_files import read_scores
from reconpatch.suites.runs import Run
from reconpatch.utils.devices import set_up_torch
from reconpatch.utils.errors import InputError
from tests.estimation.conftest import SMALL

PIXELS = np.random.default_rng(0).integers(256, size=(2, 60, 90, 3), dtype=np.uint8)


def scored_by_the_dag(detector: Detector, washer: Path, results: Path) -> RecipeRun:
    threads, exact = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    device = set_up_torch("cpu", 1)
    recipe = detector.recipe()
    run = RecipeRun(Run("own", "washer", recipe, detector.seed), results, device)
    category = read_mvtec_layout(washer, "own")
    extraction = recipe.train_extraction
    place = results / "features" / "own" / "washer" / extraction.key
    extract(category, extraction, place, weights_folder=results, device=device, threads=1)
    learn(run)
    list(detect([run]))
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(exact)
    return run


@pytest.mark.parametrize("name", ["patchcore", "reconpatch"])
def test_the_dag_gives_the_same_bits(
    name: str, washer: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    detector = request.getfixturevalue(name)
    run = scored_by_the_dag(detector, washer, tmp_path)
    expected = read_scores(run.folder / "patch_scores.npz")
    category = read_mvtec_layout(washer, "own")
    images = [Image.open(sample.image) for sample in category.test]
    for given in ([sample.image for sample in category.test], images):
        found = detector.examine(given)
        assert np.array_equal(found.images, expected.images)
        assert np.array_equal(found.patches, expected.patches)
    training = run.method().score_training(run.training_set)
    assert np.array_equal(detector.training_scores_, training.images)


@pytest.mark.parametrize("name", ["patchcore", "reconpatch"])
def test_a_model_comes_back_from_its_folder(
    name: str, washer: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    detector = request.getfixturevalue(name)
    detector.save(tmp_path / "model")
    again = load(tmp_path / "model", device="cpu", threads=1)
    assert type(again) is type(detector)
    assert again.get_params() == detector.get_params()
    assert again.recipe_ == detector.recipe_
    assert (again.threshold_, again.map_threshold_) == (
        detector.threshold_,
        detector.map_threshold_,
    )
    assert np.array_equal(again.training_scores_, detector.training_scores_)
    images = washer / "test" / "chip"
    assert np.array_equal(again.score_samples(images), detector.score_samples(images))
    again.save(tmp_path / "copy")
    for file in (tmp_path / "model").iterdir():
        assert file.suffix in (".json", ".safetensors")
        assert (tmp_path / "copy" / file.name).read_bytes() == file.read_bytes()


def test_what_is_wrong_with_a_model_is_said(
    patchcore: PatchCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="holds no fitted model"):
        load(tmp_path)
    folder = tmp_path / "model"
    patchcore.save(folder)
    with pytest.raises(InputError, match="already exists"):
        patchcore.save(folder)
    with pytest.raises(InputError, match=r"holds a model of PatchCore, not of ReConPatch"):
        ReConPatch.load(folder)
    record = (folder / "model.json").read_text()
    foreign = record.replace(patchcore.weights_sha256_, "0" * 64)
    (folder / "model.json").write_text(foreign)
    with pytest.raises(InputError, match="Put those weights back"):
        load(folder, device="cpu", threads=1)
    for damaged in (record[:-100], '{"estimator": "PatchCore"}'):
        (folder / "model.json").write_text(damaged)
        with pytest.raises(InputError, match=r"model\.json is damaged"):
            load(folder)
    (folder / "model.json").write_text(record)
    tensors = bytearray((folder / "model.safetensors").read_bytes())
    tensors[-1] ^= 1
    (folder / "model.safetensors").write_bytes(tensors)
    with pytest.raises(InputError, match=r"model\.safetensors is missing or damaged"):
        load(folder)


def test_the_threshold_keeps_its_false_alarm_rate() -> None:
    rng = np.random.default_rng(0)
    for count, rate in ((19, 0.05), (49, 0.1), (30, 0.25)):
        alarms = [
            scores[-1] > threshold_at(scores[:-1], rate)
            for scores in rng.standard_normal((20000, count + 1))
        ]
        # The standard error is below 0.0031.
        assert rate - 1 / (count + 1) - 0.01 < np.mean(alarms) < rate + 0.01
    assert threshold_at(np.array([3.0, 1.0, 2.0]), 0.01) == 3


def test_the_threshold_comes_from_the_training_images_alone(patchcore: PatchCore) -> None:
    # Of six scores and a seventh, the chance to be above the last but none is 1 in 7.
    scores = np.sort(patchcore.training_scores_)
    assert patchcore.threshold_ == scores[5]
    assert (scores > 0).all()


def test_predictions_and_maps_follow_from_the_scores(patchcore: PatchCore, washer: Path) -> None:
    images = washer / "test" / "chip"
    scores = patchcore.score_samples(images)
    assert np.array_equal(patchcore.predict(images), scores > patchcore.threshold_)
    maps = patchcore.anomaly_maps(images)
    assert maps.shape == (3, 96, 96)
    masks = [
        np.array(Image.open(path).resize((96, 96))) > 0
        for path in sorted((washer / "ground_truth" / "chip").iterdir())
    ]
    for anomaly_map, mask in zip(maps, masks, strict=True):
        assert anomaly_map[mask].mean() > 1.5 * anomaly_map[~mask].mean()


def test_images_of_all_kinds_are_the_same_image(patchcore: PatchCore, tmp_path: Path) -> None:
    files = [tmp_path / "a.png", tmp_path / "b.bmp"]
    for file, pixels in zip(files, PIXELS, strict=True):
        Image.fromarray(pixels).save(file)
    tensors = torch.from_numpy(PIXELS).permute(0, 3, 1, 2)
    kinds = [
        tmp_path,
        str(tmp_path),
        files,
        [str(file) for file in files],
        PIXELS,
        list(PIXELS),
        tensors,
        list(tensors),
        [Image.fromarray(pixels) for pixels in PIXELS],
        [files[0], PIXELS[1]],
    ]
    expected = patchcore.score_samples(kinds[0])
    assert len(expected) == 2
    for kind in kinds[1:]:
        assert np.array_equal(patchcore.score_samples(kind), expected)
    # One image alone goes through the backbone in a batch of its own.
    for one in (files[0], Image.open(files[0])):
        assert patchcore.score_samples(one) == pytest.approx(expected[:1], rel=1e-4)


def test_grey_colour_and_alpha_of_any_size(patchcore: PatchCore) -> None:
    grey = PIXELS[0, ..., 0]
    same = [
        grey,
        grey[..., None],
        np.repeat(grey[..., None], 3, axis=2),
        np.dstack([grey, grey, grey, grey]),
        torch.from_numpy(grey),
        torch.from_numpy(grey)[None],
        Image.fromarray(grey),
    ]
    scores = patchcore.score_samples(same)
    assert scores == pytest.approx(np.full(7, scores[0]), rel=1e-4)
    sizes = [np.full(size, 99, dtype=np.uint8) for size in ((1, 1), (40, 300), (301, 30, 3))]
    assert np.isfinite(patchcore.score_samples(sizes)).all()


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        ([], "no image in the list"),
        (5, "int cannot be read as images"),
        (PIXELS[0, ..., 0], "put a single image into a list"),
        (PIXELS / 255, "values of type float64"),
        ([PIXELS[0, 0, 0]], r"has the shape \(3,\)"),
        ([torch.from_numpy(PIXELS[0])], r"has the shape \(60, 90, 3\)"),
        ([Image.new("I;16", (9, 9))], "more than 8 bits"),
        ([Path("nowhere.png")], r"nowhere.png cannot be read"),
        (Path("tests"), "tests holds no image"),
    ],
)
def test_what_is_no_image_is_said(patchcore: PatchCore, images: object, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        patchcore.score_samples(images)


def test_too_few_images_are_said(washer: Path) -> None:
    good = sorted((washer / "train" / "good").iterdir())
    with pytest.raises(InputError, match=r"000\.png\) is not enough .* better 19"):
        PatchCore().fit(good[:1])
    with pytest.warns(UserWarning, match="2 images are too few .* 1 in 3"):
        PatchCore(**{**SMALL, "false_alarm_rate": 0.05}).fit(good[:2])


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"false_alarm_rate": 5}, "0.05 is 5 %"),
        ({"size": 0}, "PatchCore cannot be set like this: features.resize"),
        ({"coreset_share": 2}, "detection.coreset_share"),
        ({"backbone": "nosuch"}, "Backbone nosuch is neither"),
        ({"resize_to": "shorter_side"}, "crop none keeps the whole image"),
    ],
)
def test_impossible_settings_are_said_when_it_is_fitted(
    settings: dict[str, object], complaint: str, washer: Path
) -> None:
    with pytest.raises(InputError, match=complaint):
        PatchCore(**settings).fit(washer / "train" / "good")


def test_a_failed_fit_leaves_the_earlier_one(patchcore: PatchCore, washer: Path) -> None:
    before = patchcore.score_samples(washer / "test" / "chip")
    with pytest.raises(InputError):
        patchcore.fit([washer / "nowhere.png", washer / "nowhere.png"])
    assert np.array_equal(patchcore.score_samples(washer / "test" / "chip"), before)


@pytest.mark.parametrize(
    "detector",
    [
        PaDiM(size=64, false_alarm_rate=0.25, device="cpu", threads=1),
        SPADE(size=64, false_alarm_rate=0.25, device="cpu", threads=1),
        MHPatchcore(**SMALL),
    ],
)
def test_the_other_methods(detector: Detector, washer: Path, tmp_path: Path) -> None:
    detector.fit(washer / "train" / "good").save(tmp_path / "model")
    images = washer / "test" / "chip"
    again = package.load(tmp_path / "model", device="cpu", threads=1)
    assert np.array_equal(again.score_samples(images), detector.score_samples(images))
    assert detector.score_samples(images).min() > np.median(detector.training_scores_)


@pytest.mark.parametrize("kind", [CFA, CFLOW, FastFlow, RD4AD])
def test_a_trained_method_has_its_threshold_from_images_held_out(
    kind: type[Detector], washer: Path, tmp_path: Path
) -> None:
    own = {**SMALL, "epochs": 1, "held_out": 1 / 3}
    del own["coreset_share"]
    detector = kind(**own)
    good = sorted((washer / "train" / "good").iterdir())
    detector.fit(good).save(tmp_path / "model")
    assert detector.fitted_images_ == 6
    assert len(detector.training_scores_) == 2
    # They are the scores of images that it has not seen, as anybody would get them.
    scores = detector.score_samples(good)
    assert np.isin(detector.training_scores_, scores).all()
    again = package.load(tmp_path / "model", device="cpu", threads=1)
    assert np.array_equal(again.score_samples(good), scores)
    with pytest.raises(InputError, match="holds out 0"):
        kind(**{**own, "held_out": 0.01}).fit(good)


def test_images_added_later_count_as_if_they_had_been_there(washer: Path, tmp_path: Path) -> None:
    for path in sorted((washer / "train" / "good").iterdir()):
        shutil.copy(path, tmp_path)
    good = sorted(tmp_path.glob("*.png"))
    whole = PatchCore(**SMALL).fit(good)
    PatchCore(**SMALL).fit(good[:4]).save(tmp_path / "model")
    again = load(tmp_path / "model", device="cpu", threads=1)
    again.add(good[4:])
    assert again.fitted_images_ == 6
    assert again.threshold_ == whole.threshold_
    assert np.array_equal(again.training_scores_, whole.training_scores_)
    good[0].unlink()
    with pytest.raises(InputError, match=rf"{good[0].name} is gone \(1 in all\)"):
        load(tmp_path / "model", device="cpu", threads=1).add(good[5:])
    from_arrays = PatchCore(**SMALL).fit(np.stack([np.array(Image.open(p)) for p in good[1:4]]))
    assert from_arrays.add(good[4]).fitted_images_ == 4
    from_arrays.save(tmp_path / "arrays")
    with pytest.raises(InputError, match="fitted on arrays or PIL images"):
        load(tmp_path / "arrays", device="cpu", threads=1).add(good[4])


def test_a_stream_of_images_is_scored_as_it_comes(patchcore: PatchCore, washer: Path) -> None:
    chips = sorted((washer / "test" / "chip").iterdir())
    asked = []

    def camera() -> Iterator[Path]:
        for image in [*chips, washer / "gone.png", *chips]:
            asked.append(image)
            yield image

    found = stream(patchcore, camera(), at_once=2)
    assert asked == []
    first = next(found)
    assert asked == chips[:2]
    expected = patchcore.examine(chips)
    whole = [first, *found]
    assert [finding.image for finding in whole] == asked
    assert "gone.png cannot be read" in str(whole[3].trouble)
    assert whole[3].scores is None
    for finding, score in zip(whole[:3] + whole[4:], np.tile(expected.images, 2), strict=True):
        assert finding.scores is not None
        assert finding.scores.images[0] == pytest.approx(score, rel=1e-5)
        assert finding.anomalous == (finding.scores.images[0] > patchcore.threshold_)


@pytest.mark.parametrize("kind", ESTIMATORS.values())
def test_scikit_learns_checks_of_parameters(kind: type[Detector]) -> None:
    name = kind.__name__
    checks.check_parameters_default_constructible(name, kind())
    checks.check_no_attributes_set_in_init(name, kind())
    checks.check_get_params_invariance(name, kind())
    checks.check_set_params(name, kind())
    checks.check_estimator_repr(name, kind())
    checks.check_estimator_cloneable(name, kind())
    checks.check_do_not_raise_errors_in_init_or_set_params(name, kind())


def test_a_clone_is_set_alike_and_not_fitted(patchcore: PatchCore, tmp_path: Path) -> None:
    again = clone(patchcore)
    assert again.get_params() == patchcore.get_params()
    for call in (again.score_samples, again.anomaly_maps, again.predict, again.save):
        with pytest.raises(NotFittedError, match="PatchCore instance is not fitted yet"):
            call(tmp_path)
    assert "coreset_share=0.1" in repr(again)


def test_the_package_has_them_and_stays_light() -> None:
    assert {name: getattr(package, name) for name in ESTIMATORS} == ESTIMATORS
    assert set(ESTIMATORS) < set(dir(package))
    with pytest.raises(AttributeError, match="nosuch"):
        _ = package.nosuch
    program = "import sys, reconpatch; assert not {'torch', 'sklearn', 'numpy'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", program], check=True)
