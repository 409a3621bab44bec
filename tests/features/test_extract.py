import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from reconpatch.datasets.category import Category, Sample
from reconpatch.features.aggregation import patch_features
from reconpatch.features.arrays import write_arrays
from reconpatch.features.extract import extract
from reconpatch.features.pretrained import load_backbone
from reconpatch.features.store import FeatureStore
from reconpatch.fetching.download import hash_of
from reconpatch.settings.features import AugmentationSettings, ExtractionSettings, FeatureSettings
from reconpatch.utils.errors import InputError
from reconpatch.utils.provenance import Stopwatch
from tests.devices import CUDA, PretendedGpu

SETTINGS = FeatureSettings(backbone="test_resnet", resize=80, crop=64)


@pytest.fixture(autouse=True)
def weights_folder(tmp_path: Path, tiny_weights: dict[str, Tensor]) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    save_file(tiny_weights, folder / "test_resnet.safetensors")
    return folder


@pytest.fixture
def category(tmp_path: Path) -> Category:
    """Three training and two test images; the last one has its left half marked as defective."""
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for path in paths:
        pixels = rng.integers(256, size=(80, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    mask = np.zeros((80, 80), dtype=np.uint8)
    mask[:, :40] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    samples = [Sample(path, "good", None) for path in paths[:4]]
    bad = Sample(paths[4], "scratch", tmp_path / "mask.png")
    return Category("mine", "widget", None, tuple(samples[:3]), (samples[3], bad), "0" * 64)


def extracted(
    category: Category,
    folder: Path,
    batch_size: int = 16,
    settings: FeatureSettings = SETTINGS,
    augmentation: AugmentationSettings | None = None,
) -> FeatureStore:
    return extract(
        category,
        ExtractionSettings(features=settings, augmentation=augmentation),
        folder / "features",
        weights_folder=category.test[0].image.parent / "weights",
        device=torch.device("cpu"),
        threads=2,
        batch_size=batch_size,
    )


def test_an_images_features_do_not_depend_on_its_batch(
    category: Category, tmp_path: Path, weights_folder: Path
) -> None:
    store = extracted(category, tmp_path, batch_size=2)
    backbone = load_backbone("test_resnet", (2, 3), weights_folder, torch.device("cpu"))
    for split, samples in (("train", category.train), ("test", category.test)):
        found = store.patches(split)
        assert found.shape == (len(samples), 8, 8, 48 + 192)
        assert found.dtype == np.float32
        for row, sample in enumerate(samples):
            with Image.open(sample.image) as image:
                pixels = torch.from_numpy(np.asarray(image)[8:72, 8:72].copy()).permute(2, 0, 1)
            alone = patch_features(backbone(pixels[None]), SETTINGS)[0]
            np.testing.assert_allclose(found[row], alone, rtol=1e-4, atol=1e-5)


def test_memory_that_does_not_do_for_a_batch_does_for_parts_of_it(
    category: Category, tmp_path: Path
) -> None:
    expected = extracted(category, tmp_path / "whole", batch_size=3)
    tried = []

    def refuse(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if isinstance(module, nn.Conv2d):
            tried.append(len(inputs[0]))
            if len(inputs[0]) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory.")

    handle = nn.modules.module.register_module_forward_pre_hook(refuse)
    try:
        found = extracted(category, tmp_path / "parts", batch_size=3)
    finally:
        handle.remove()
    assert max(tried) == 3
    for split in ("train", "test"):
        np.testing.assert_allclose(
            found.patches(split), expected.patches(split), rtol=1e-4, atol=1e-5
        )


def test_a_store_tells_its_masks_images_settings_and_weights(
    category: Category, tmp_path: Path
) -> None:
    extracted(category, tmp_path)
    store = FeatureStore(tmp_path / "features")
    assert not store.masks()[0].any()
    assert store.masks()[1].tolist() == [[True] * 32 + [False] * 32] * 64
    assert store.category == category
    assert ExtractionSettings.model_validate(store.record["settings"]).features == SETTINGS
    assert store.record["weights"]["source"] == f"folder {tmp_path / 'weights'}"


def test_a_backbone_that_is_loaded_again_has_the_very_weights(
    category: Category, tmp_path: Path, weights_folder: Path, tiny_weights: dict[str, Tensor]
) -> None:
    store = extracted(category, tmp_path)
    backbone = store.backbone(weights_folder, torch.device("cpu"))
    with Image.open(category.test[0].image) as image:
        pixels = torch.from_numpy(np.asarray(image)[8:72, 8:72].copy()).permute(2, 0, 1)
    again = patch_features(backbone(pixels[None]), SETTINGS)[0]
    np.testing.assert_allclose(again, store.patches("test")[0], rtol=1e-4, atol=1e-5)
    moved = {n: t + 1 if n == "conv1.0.weight" else t for n, t in tiny_weights.items()}
    assert any(moved[name] is not tiny_weights[name] for name in moved)
    save_file(moved, weights_folder / "test_resnet.safetensors")
    with pytest.raises(
        InputError, match=r"Put those weights back, or delete .*features"
    ) as refused:
        store.backbone(weights_folder, torch.device("cpu"))
    changed = hash_of(weights_folder / "test_resnet.safetensors")
    assert changed != store.record["weights"]["sha256"]
    for sha256 in (changed, store.record["weights"]["sha256"]):
        assert sha256 in str(refused.value)


def test_an_extraction_that_fails_leaves_no_complete_looking_folder(
    category: Category, tmp_path: Path
) -> None:
    last = category.test[1].image
    last.write_bytes(last.read_bytes()[:200])
    with pytest.raises(InputError, match=last.name):
        extracted(category, tmp_path)
    left = {path.name for path in (tmp_path / "features").iterdir()}
    assert not {name for name in left if "part" in name}
    assert not left & {"test.npy", "features.json"}


def test_a_second_extraction_that_fails_leaves_no_record_of_the_first(
    category: Category, tmp_path: Path
) -> None:
    extracted(category, tmp_path)
    category.test[1].image.write_bytes(b"")
    with pytest.raises(InputError):
        extracted(replace(category, sha256="1" * 64), tmp_path)
    assert not (tmp_path / "features" / "features.json").exists()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


@pytest.mark.parametrize(
    ("file", "spoil", "anew"),
    [
        ("masks.npy", Path.touch, False),
        ("category.json", Path.unlink, False),
        ("masks.npy", Path.unlink, True),
        ("train.npy", Path.unlink, True),
        ("features.json", Path.unlink, True),
        ("features.json", truncate, True),
    ],
)
def test_features_that_are_current_stay(
    category: Category, tmp_path: Path, file: str, spoil: Callable[[Path], None], anew: bool
) -> None:
    store = extracted(category, tmp_path)
    before = (store.folder / "test.npy").stat().st_mtime_ns
    spoil(store.folder / file)
    again = extracted(category, tmp_path)
    assert ((again.folder / "test.npy").stat().st_mtime_ns != before) == anew
    assert again.category == category
    assert again.patches("train").shape[0] == len(category.train)


def test_other_images_settings_or_weights_are_extracted_anew(
    category: Category, tmp_path: Path, weights_folder: Path, tiny_weights: dict[str, Tensor]
) -> None:
    prints = [extracted(category, tmp_path).record["fingerprint"]]
    other = replace(category, sha256="1" * 64)
    prints.append(extracted(other, tmp_path).record["fingerprint"])
    scaled = SETTINGS.model_copy(update={"scaling": "unit_norm"})
    prints.append(extracted(other, tmp_path, settings=scaled).record["fingerprint"])
    doubled = {name: tensor * 2 for name, tensor in tiny_weights.items()}
    save_file(doubled, weights_folder / "test_resnet.safetensors")
    prints.append(extracted(other, tmp_path, settings=scaled).record["fingerprint"])
    assert len(set(prints)) == len(prints)
    norms = np.linalg.norm(FeatureStore(tmp_path / "features").patches("test"), axis=-1)
    np.testing.assert_allclose(norms, 1, rtol=1e-5)


def test_features_of_images_that_moved_name_the_new_places(
    category: Category, tmp_path: Path
) -> None:
    before = (extracted(category, tmp_path).folder / "test.npy").stat().st_mtime_ns
    there = tmp_path / "there"
    there.mkdir()

    def moved(sample: Sample) -> Sample:
        return replace(sample, image=Path(shutil.copy(sample.image, there)))

    elsewhere = replace(
        category,
        train=tuple(moved(sample) for sample in category.train),
        test=tuple(moved(sample) for sample in category.test),
    )
    shutil.copytree(tmp_path / "weights", there / "weights")
    store = extracted(elsewhere, tmp_path)
    assert store.category == elsewhere
    assert (store.folder / "test.npy").stat().st_mtime_ns == before


def test_half_precision_halves_the_files_and_keeps_three_digits(
    category: Category, tmp_path: Path
) -> None:
    whole = extracted(category, tmp_path).patches("train")
    half_settings = SETTINGS.model_copy(update={"stored_as": "float16"})
    half = extracted(category, tmp_path / "half", settings=half_settings).patches("train")
    assert half.nbytes * 2 == whole.nbytes
    np.testing.assert_allclose(half, whole, rtol=1e-3, atol=1e-6)


def test_augmented_test_images_leave_the_training_images_alone(
    category: Category, tmp_path: Path
) -> None:
    plain = extracted(category, tmp_path / "plain")
    changed = AugmentationSettings(brightness=0.5)
    spared = extracted(category, tmp_path / "spared", augmentation=changed)
    assert len(spared.patches("train")) == 0
    assert spared.patches("test").shape == plain.patches("test").shape
    assert not np.array_equal(spared.patches("test"), plain.patches("test"))
    both = changed.model_copy(update={"training_images": True})
    touched = extracted(category, tmp_path / "touched", augmentation=both)
    assert touched.patches("train").shape == plain.patches("train").shape
    assert not np.array_equal(touched.patches("train"), plain.patches("train"))
    assert len({store.record["fingerprint"] for store in (plain, spared, touched)}) == 3


def test_the_identity_augmentation_changes_no_feature_and_no_mask(
    category: Category, tmp_path: Path
) -> None:
    nothing = AugmentationSettings(
        rotation=0, translation=0, brightness=0, contrast=0, blur_sigma=0, training_images=True
    )
    plain = extracted(category, tmp_path / "plain")
    same = extracted(category, tmp_path / "same", augmentation=nothing)
    np.testing.assert_array_equal(same.patches("train"), plain.patches("train"))
    np.testing.assert_array_equal(same.patches("test"), plain.patches("test"))
    np.testing.assert_array_equal(same.masks(), plain.masks())


def test_features_that_are_not_finite_are_refused_with_their_image(
    category: Category, tmp_path: Path, weights_folder: Path, tiny_weights: dict[str, Tensor]
) -> None:
    damaged = {name: tensor.clone() for name, tensor in tiny_weights.items()}
    next(iter(damaged.values())).fill_(float("nan"))
    save_file(damaged, weights_folder / "test_resnet.safetensors")
    with pytest.raises(InputError, match=f"Features of {category.train[0].image} are not finite"):
        extracted(category, tmp_path)
    assert not (tmp_path / "features" / "train.npy").exists()


def test_an_image_that_changes_after_it_was_listed_is_refused(
    category: Category, tmp_path: Path
) -> None:
    changed = category.train[1].image
    listed = replace(category, hashes={str(changed): hash_of(changed)})
    Image.new("RGB", (80, 80), "red").save(changed)
    with pytest.raises(InputError, match=f"{changed} was changed after the images were listed"):
        extracted(listed, tmp_path)
    assert not (tmp_path / "features" / "features.json").exists()


@pytest.mark.skipif(
    hasattr(faiss, "StandardGpuResources"), reason="faiss-gpu wants a GPU that is there"
)
@pytest.mark.parametrize("aggregation", ["concatenate", "none"])
def test_a_gpu_writes_the_features_that_a_cpu_does(
    aggregation: Any, category: Category, tmp_path: Path, weights_folder: Path
) -> None:
    settings = ExtractionSettings(features=SETTINGS.model_copy(update={"aggregation": aggregation}))
    for device in (torch.device("cpu"), CUDA):
        with torch.inference_mode(), PretendedGpu():
            backbone = load_backbone("test_resnet", (2, 3), weights_folder, device)
            assert {p.device for p in backbone.network.parameters()} == {device}
            write_arrays(
                category,
                settings,
                backbone,
                tmp_path / device.type,
                threads=1,
                batch_size=2,
                watch=Stopwatch(),
            )
    for name in ("train.npy", "test.npy"):
        here, there = (np.load(tmp_path / kind / name) for kind in ("cpu", "cuda"))
        np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-5)
