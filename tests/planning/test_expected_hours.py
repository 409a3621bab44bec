"""Counts of a GPU's work against torch's own counter, real steps, and sums made by hand."""

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import pytest
import torch
from rich.console import Console
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from reconpatch.detection import coreset, memory_bank
from reconpatch.detection.coreset import CONTENDERS, greedy_coreset
from reconpatch.detection.memory_bank import MemoryBank
from reconpatch.detection.scoring import score
from reconpatch.methods.method import Sizes
from reconpatch.methods.patchcore import PatchCoreRecipe
from reconpatch.methods.reconpatch import ReConPatchRecipe
from reconpatch.planning import gpu_time, memory_bank_work
from reconpatch.planning.counting import FREE, KERNELS, counted
from reconpatch.planning.gpu_time import assumptions, cards, gpu_seconds, host_seconds
from reconpatch.planning.hours import expected_hours
from reconpatch.planning.memory_bank_work import coreset_work, fitting, search_work, step_work
from reconpatch.planning.network_work import PIXELS, backbone_work, refinement_step
from reconpatch.planning.suite_work import suite_work
from reconpatch.planning.workload import Workload
from reconpatch.refinement.losses import focal_loss, l1_loss
from reconpatch.refinement.network import RefinementNetwork
from reconpatch.representation.networks import RepresentationNetwork
from reconpatch.representation.step import TrainingStep
from reconpatch.settings.detection import DetectionSettings
from reconpatch.settings.features import FeatureSettings
from reconpatch.settings.refinement import RefinementSettings
from reconpatch.settings.representation import PoolingSettings, RepresentationSettings
from tests.devices import CUDA, PretendedGpu

needs_no_faiss_gpu = pytest.mark.skipif(
    hasattr(faiss, "StandardGpuResources"), reason="faiss-gpu wants a GPU that is there"
)
D, d, p, B = 24, 12, 10, 40
SMALL = RepresentationSettings(dimension=d, projection_dimension=p, batch_size=B)


class Operations(TorchDispatchMode):
    """How many operations compute something on real tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not func.is_view:
            self.names[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def real_step() -> TrainingStep:
    network = RepresentationNetwork(D, SMALL, seed=0)
    return TrainingStep(network, SMALL, [1e-3], without_reads=True)


def test_a_steps_flops_are_those_of_the_real_step_and_of_a_hand() -> None:
    step, batch = real_step(), torch.randn(B, D)
    with FlopCounterMode(display=False) as torchs:
        step(batch)
    forward = 2 * B * (D * d + d * p)
    # f and g twice forward (network and average); backward into both weights and g's input; then
    # labels, and the loss with its gradient.
    hand = 2 * forward + forward + 2 * B * d * p + 2 * B * B * p * 3
    counts = step_work(D, SMALL)
    assert counts["FLOPs"] == hand
    # torch's counter leaves out both products that are added to squared distances in place.
    assert torchs.get_total_flops() == hand - 2 * 2 * B * B * p
    assert counts["FP64 FLOPs"] == 0


def test_a_steps_kernels_are_the_real_steps_operations() -> None:
    step, batch = real_step(), torch.randn(B, D)
    with Operations() as real:
        step(batch)
    names = Counter({name: n for name, n in real.names.items() if name not in FREE})
    assert 200 < names.total() < 320
    more = sum(n * (KERNELS[name] - 1) for name, n in names.items() if name in KERNELS)
    assert step_work(D, SMALL)["launches"] == names.total() + more


def test_bytes_are_what_operations_read_and_write() -> None:
    a, rows = torch.empty(6, 4), torch.tensor([0, 3])
    assert counted(lambda: a + a)["bytes"] == 3 * 96
    # Two rows are read and written; so are their two numbers.
    assert counted(lambda: a.index_select(0, rows))["bytes"] == 2 * 32 + 16
    assert counted(lambda: a.T.view(4, 6)) == {}
    double = torch.empty(6, 4, dtype=torch.float64)
    assert counted(lambda: double @ double.T)["FP64 FLOPs"] == 2 * 6 * 6 * 4


def test_a_backbones_flops_are_the_published_ones() -> None:
    """ResNet-18 takes 1.8 GMAC an image of 224 pixels, nearly all of them up to its last map."""
    work = backbone_work(FeatureSettings(backbone="resnet18", layers=(4,)))
    assert work["FLOPs"] / 2 == pytest.approx(1.82e9, rel=0.01)
    at_once = PIXELS // 224**2
    # 20 convolutions and 20 normalisations, 17 ReLUs, 8 sums, a pooling, and what scales images.
    assert work["launches"] * at_once == pytest.approx(66 + 10, abs=6)


def test_a_refinement_step_is_the_real_one() -> None:
    settings = RefinementSettings(width=4, rates=(1, 2))
    network = RefinementNetwork(settings, seed=0)
    images, (maps, masks) = torch.zeros(2, 3, 16, 16), torch.zeros(2, 2, 16, 16)
    with FlopCounterMode(display=False) as torchs:
        logits = network(images, maps)
        (focal_loss(logits, masks, 2.0, 0.75) + l1_loss(logits, masks)).backward()
    assert refinement_step(settings, 16, 2)["FLOPs"] == torchs.get_total_flops()


def test_a_coresets_flops_are_the_real_selections(monkeypatch: pytest.MonkeyPatch) -> None:
    count, share = 3000, 0.1
    features = torch.randn(count, 8)
    done = counted(lambda: greedy_coreset(features, 300, 0))
    lowered = 2 * 8 * count * 300
    compared = 2 * 8 * CONTENDERS**2
    batches = (done["FLOPs"] - lowered) / compared
    assert batches in range(1, 10)
    changed = dict(assumptions())
    key = "batches of centres"
    changed[key] = changed[key]._replace(value=batches / 300)
    monkeypatch.setattr(memory_bank_work, "assumptions", lambda: changed)
    work = coreset_work(count, 8, share)
    assert work["FLOPs"] == lowered + batches * compared
    assert work["greedy choices"] == 300


def test_a_coreset_that_recipes_share_is_counted_once() -> None:
    sizes = Sizes(20, 10, 784, 64)
    one, ten = (
        PatchCoreRecipe.model_validate({"detection": {"coreset_share": share}})
        for share in (0.01, 0.1)
    )
    assert fitting([one, ten], sizes) == fitting([ten], sizes)
    pooled = one.model_copy(update={"representation": PoolingSettings(dimension=32)})
    assert fitting([one, pooled], sizes) == fitting([one], sizes) + fitting([pooled], sizes)


EVERY_PATCH = {"coreset_share": 0.01, "reweighting": "every_patch", "squared_distances": False}


def test_a_searchs_flops_are_a_hands() -> None:
    recipe = PatchCoreRecipe.model_validate({"detection": EVERY_PATCH})
    sizes = Sizes(200, 10, 784, 64)
    queries, bank = 10 * 784, 1568
    # Each query once, and all stars once in each of two calls.
    assert search_work(recipe, sizes, 10, 2)["FLOPs"] == 2 * 64 * bank * (queries + 2 * bank)
    plain = recipe.model_copy(update={"detection": DetectionSettings(reweighting="none")})
    assert search_work(plain, sizes, 10, 2)["FLOPs"] == 2 * 64 * bank * queries


class Kernels(PretendedGpu):
    """The kernels of what runs on a pretended GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def operate(self, func: Any, args: Any, kwargs: Any) -> Any:
        name = func.overloadpacket.__name__
        if not func.is_view and name not in FREE:
            self.count += KERNELS.get(name, 1)
        return super().operate(func, args, kwargs)


@needs_no_faiss_gpu
@pytest.mark.parametrize("rows", [1000, 24, 12])
def test_a_calls_kernels_are_nearly_those_of_the_real_scores(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a bank of 50 vectors of 8 dimensions, and 3 images of 16 patches."""
    block = rows * 4 * (50 + 11 * 8)
    for module in (memory_bank, memory_bank_work):
        monkeypatch.setattr(module, "BLOCK" if module is memory_bank else "SEARCHED", block)
    recipe = PatchCoreRecipe.model_validate({"detection": EVERY_PATCH})
    with torch.inference_mode(), Kernels() as real:
        bank = MemoryBank(torch.randn(50, 8, device=CUDA))
        queries = torch.randn(48, 8, device=CUDA)
        real.count = 0
        score(bank, queries, (4, 4), recipe.detection)
    counts = search_work(recipe, Sizes(313, 3, 16, 8), 3, 1)
    assert real.count <= counts["launches"] <= 1.2 * real.count


@needs_no_faiss_gpu
@pytest.mark.parametrize("rows", [30_000, 1000])
def test_a_coresets_kernels_are_nearly_those_of_the_real_selection(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = rows * 4 * CONTENDERS
    monkeypatch.setattr(coreset, "BLOCK", block)
    monkeypatch.setattr(memory_bank_work, "COMPARED", block)
    batches = 0
    run = coreset._run

    def counting(*args: Any) -> Any:
        nonlocal batches
        batches += 1
        return run(*args)

    monkeypatch.setattr(coreset, "_run", counting)
    torch.manual_seed(0)
    with torch.inference_mode(), Kernels() as real:
        features = torch.randn(3000, 8, device=CUDA)
        real.count = 0
        greedy_coreset(features, 300, 0)
    changed = dict(assumptions())
    key = "batches of centres"
    changed[key] = changed[key]._replace(value=batches / 300)
    monkeypatch.setattr(memory_bank_work, "assumptions", lambda: changed)
    # The first point is another batch, which weighs less beside many.
    assert coreset_work(3000, 8, 0.1)["launches"] == pytest.approx(real.count, rel=0.2)


def test_a_card_twice_as_fast_halves_what_arithmetic_takes() -> None:
    given, (card, *_) = assumptions(), cards()
    work = Counter({"launches": 1.0, "FLOPs": 1e15})
    before = gpu_seconds(work, card, given)
    assert before == 1e15 / (given["share of FLOPs"].value * card.flops)
    assert gpu_seconds(work, card._replace(flops=2 * card.flops), given) == before / 2
    # What launches take stays.
    many = Counter({"launches": 1e9, "FLOPs": 1e12})
    assert gpu_seconds(many, card, given) == pytest.approx(1e4)
    assert gpu_seconds(many, card._replace(flops=2 * card.flops), given) == pytest.approx(1e4)
    graph = Counter({"replays": 1e9, "FLOPs": 1e15, "bytes": 1e15, "FP64 FLOPs": 1e14})
    assert gpu_seconds(graph, card, given) == pytest.approx(
        2500 + before + 1e15 / (0.7 * 936e9) + 1e14 / (0.5 * 0.556e12)
    )


def test_decoding_is_shared_among_threads_and_simulation_is_not() -> None:
    given = assumptions()
    assert host_seconds(Counter({"decoded images": 100.0, "bytes": 1e20}), given) == 100 * 0.04 / 2
    assert host_seconds(Counter({"simulated pixels": 1e9}), given) == pytest.approx(300)


def test_a_suites_parts_are_a_hands(made_up: Workload) -> None:
    parts = suite_work(made_up)
    train, test = 209 + 224, 83 + 150
    # As it is, half, changed (its test images alone), and the ensemble's second member.
    images = 3 * train + 4 * test
    assert parts["images decoded"].work == {"decoded images": images}
    assert parts["images through a backbone"].count == images
    # A step is the same whichever category; seeds, three representations, three epochs.
    assert parts["representations learned"].count == 12
    steps = sum(work.needs().steps for work in made_up.learned)
    assert parts["representations learned"].work["launches"] == 3 * steps
    kernels = step_work(152, made_up.learned[0].recipe.learned)["launches"]  # type: ignore[arg-type]
    assert parts["representations learned"].work["replays"] == kernels * steps
    # One epoch shows each image once; the last, incomplete mini-batch of four is left out.
    shown = 2 * 5 * (208 + 224) * 224**2
    assert parts["refinements' batches drawn"].work["drawn pixels"] == shown
    # Each image as it is and three times changed has its map made once.
    assert parts["sets of defects scored"].work["map pixels"] == 2 * 4 * train * 224**2
    assert parts["runs evaluated"].count == len(made_up.runs)


def printed(workload: Workload) -> str:
    console = Console(width=400)
    with console.capture() as capture:
        console.print(expected_hours(workload))
    return capture.get()


def test_every_number_that_is_used_is_printed_and_every_one_printed_is_used(
    made_up: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = printed(made_up)
    for name in ("cards.csv", "assumptions.csv"):
        _, *rows = csv.reader(Path(gpu_time.__file__).with_name(name).open())
        assert all(row[-1] in text for row in rows)
    parts = suite_work(made_up)
    used = {unit for part in parts.values() for unit in part.work}
    given = assumptions()
    assert used - set(given) == {"FLOPs", "FP64 FLOPs", "bytes"}
    assert set(given) - used == {
        "share of FLOPs",
        "share of bandwidth",
        "batches of centres",
        "threads",
    }
    hours = next(line for line in text.splitlines() if "with the host's" in line).split()[-3:]
    expected = [
        sum(host_seconds(q.work, given) + gpu_seconds(q.work, card, given) for q in parts.values())
        for card in cards()
    ]
    assert [float(h) for h in hours] == pytest.approx([e / 3600 for e in expected], abs=0.005)


def test_what_the_host_does_can_be_added_up(made_up: Workload) -> None:
    text, given = printed(made_up), assumptions()
    rows = text[text.index("of which the host") : text.index("Hours of a part")].splitlines()[1:]
    totals = dict.fromkeys(given, 0.0)
    for row in rows:
        for unit in given:
            if f"  {unit}  " in row:
                count, hours = (float(t.replace(",", "")) for t in row.split()[-2:])
                threads = given["threads"].value if given[unit].threaded else 1
                assert hours == pytest.approx(count * given[unit].value / threads / 3600, abs=6e-4)
                totals[unit] += count
    parts = suite_work(made_up).values()
    for unit in given.keys() - {"launches", "replays"}:
        assert totals[unit] == pytest.approx(sum(part.work[unit] for part in parts), rel=1e-6)


def test_without_graphs_each_kernel_is_launched(made_up: Workload) -> None:
    work = suite_work(made_up)["representations learned"].work
    launches = work["launches"] + work["replays"]
    told = next(t for t in printed(made_up).splitlines() if "cuda_graph: off" in t)
    # So small a training waits for nothing else.
    hours = f"{launches * assumptions()['launches'].value / 3600:.2f}"
    assert told.count(hours) == len(cards())


def test_methods_that_do_not_count_their_work_are_named(
    made_up: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reconpatch.methods.patchcore import PatchCore

    assert "do not count" not in printed(made_up)
    monkeypatch.setattr(PatchCore, "counter", None)
    assert "Nor methods that do not count their work: PatchCore." in printed(made_up)


def test_a_recipe_in_half_precision_copies_half(made_up: Workload) -> None:
    work = made_up.works[0]
    recipe = work.recipe
    assert isinstance(recipe, ReConPatchRecipe)
    features = recipe.features.model_copy(update={"stored_as": "float16"})
    half = replace(work, recipe=recipe.model_copy(update={"features": features}))
    copied = [
        memory_bank_work.learning(each.recipe, each.sizes)["copied bytes"] for each in (work, half)
    ]
    assert copied[0] == 2 * copied[1] == 4 * work.sizes.train_patches * 152
