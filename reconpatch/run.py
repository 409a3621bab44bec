"""A run on disk: the files that its three steps leave and read.

A run's folder holds

==========================  =====================================================================
representation.safetensors  f and g (ReConPatch only)
training.parquet            loss and learning rate an epoch (ReConPatch only)
training.json               seconds, memory, machine of the training (ReConPatch only)
memory_bank.safetensors     the coreset's vectors and their indices among the training patches
scores.parquet              a row a test image: image, defect, anomalous, score
patch_scores.npz            the test images' patch scores, from which maps are drawn
detection.json              seconds, memory, machine of the detection
metrics.json                the metrics, and all of the above's stories together
==========================  =====================================================================
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file

from reconpatch.detection import build_memory_bank, represent, score
from reconpatch.evaluation import evaluate
from reconpatch.features import FeatureStore
from reconpatch.files import read_json, whole, write_json
from reconpatch.provenance import Stopwatch, provenance
from reconpatch.recipe import Recipe
from reconpatch.representation import load_representation_layer, save_representation, train


def train_run(
    features: Path, recipe: Recipe, seed: int, folder: Path, device: torch.device
) -> None:
    """Train the representation of a ReConPatch recipe; ``training.json`` is written last."""
    assert recipe.representation, "PatchCore has nothing to train"
    store = FeatureStore(features)
    watch = Stopwatch()
    with watch("training"):
        network, history = train(
            store.patches("train"),
            recipe.representation,
            seed,
            device=device,
            description=f"{store.category.name} training",
        )
    save_representation(network, folder / "representation.safetensors")
    with whole(folder / "training.parquet") as aside:
        history.to_parquet(aside)
    write_json(folder / "training.json", {**watch.story(), **provenance(device)})


def detect_run(
    features: Path, recipe: Recipe, seed: int, folder: Path, device: torch.device
) -> None:
    """Build the run's memory bank and score the test images; ``detection.json`` is written last."""
    store = FeatureStore(features)
    category = store.category
    layer = None
    if recipe.representation:
        layer = load_representation_layer(folder / "representation.safetensors")
    train_patches, test_patches = store.patches("train"), store.patches("test")
    watch = Stopwatch()
    with watch("representation"):
        train_features = represent(train_patches, layer, device)
    with watch("coreset"):
        bank, indices = build_memory_bank(
            train_features, recipe.detection, seed, description=f"{category.name} coreset"
        )
    with watch("scoring"):
        test_features = represent(test_patches, layer, device)
        scores = score(bank, test_features, test_patches.shape[1:3], recipe.detection)
    with whole(folder / "memory_bank.safetensors") as aside:
        save_file({"vectors": bank.vectors.cpu(), "indices": indices}, aside)
    with whole(folder / "patch_scores.npz") as aside, aside.open("wb") as file:
        np.savez_compressed(file, patch_scores=scores.patches)
    table = pd.DataFrame(
        {
            "image": [str(sample.image) for sample in category.test],
            "defect": [sample.defect for sample in category.test],
            "anomalous": [sample.anomalous for sample in category.test],
            "score": scores.images,
        }
    )
    with whole(folder / "scores.parquet") as aside:
        table.to_parquet(aside)
    counts = {
        "training_images": len(train_patches),
        "training_patches": len(train_features),
        "memory_bank": len(bank.vectors),
        "dimension": bank.vectors.shape[1],
    }
    story = {"counts": counts, **watch.story(), **provenance(device)}
    write_json(folder / "detection.json", story)


def evaluate_run(features: Path, recipe: Recipe, seed: int, folder: Path) -> None:
    """Measure the run and write ``metrics.json``: its figures with all that they rest on."""
    store = FeatureStore(features)
    category = store.category
    table = pd.read_parquet(folder / "scores.parquet")
    with np.load(folder / "patch_scores.npz") as archive:
        patch_scores = archive["patch_scores"]
    watch = Stopwatch()
    with watch("evaluation"):
        measured = evaluate(
            table["score"].to_numpy(),
            patch_scores,
            table["anomalous"].to_numpy(),
            store.masks() if category.has_masks else None,
            recipe.detection,
        )
    steps: dict[str, Any] = {
        "features": store.story,
        "detection": read_json(folder / "detection.json"),
        "evaluation": watch.story(),
    }
    if recipe.representation:
        steps["training"] = read_json(folder / "training.json")
    write_json(
        folder / "metrics.json",
        {
            "dataset": category.dataset,
            "category": category.name,
            "kind": category.kind,
            "method": recipe.method,
            "seed": seed,
            **measured,
            "test_images": {
                "normal": int((~table["anomalous"]).sum()),
                "anomalous": int(table["anomalous"].sum()),
            },
            "recipe_key": recipe.key,
            "recipe": recipe.model_dump(mode="json"),
            "steps": steps,
        },
    )
