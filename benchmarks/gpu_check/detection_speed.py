"""The seconds and memory of coresets and of scoring, at the sizes of real categories."""

from collections.abc import Iterator
from functools import partial

from benchmarks.gpu_check.check import Check, Outcome
from benchmarks.gpu_check.compare import together
from benchmarks.gpu_check.detection import drawn, recipe
from benchmarks.gpu_check.meter import DevicePeak, seconds_of
from benchmarks.gpu_check.setup import Patches, Setup
from reconpatch.detection.coreset import coreset_memory, coreset_size, select_coreset
from reconpatch.methods.method import Sizes as RunSizes
from reconpatch.methods.method import TrainingSet
from reconpatch.methods.patchcore import PatchCore


def checks(setup: Setup) -> Iterator[Check]:
    """Time the selection of a coreset of 1 %, then fitting and scoring as a run does them."""
    for patches in setup.sizes.coresets:
        shape = f"{patches.places:,} x {patches.dimension}"
        yield Check(f"coreset, {shape}, 1 %", partial(_coreset, setup, patches))
    for patches in setup.sizes.coresets:
        what = f"fit on {patches.places:,}, score {setup.sizes.tests * patches.side**2:,} patches"
        yield Check(what, partial(_detection, setup, patches))


def _coreset(setup: Setup, patches: Patches) -> Outcome:
    features = drawn(patches, 0, setup.device).flatten(0, 2)
    count = coreset_size(len(features), 0.01)
    with DevicePeak(setup.device) as peak:
        seconds = seconds_of(lambda: select_coreset(features, count, 0), setup.device, 1)
    stated = coreset_memory(*features.shape, on_gpu=setup.on_gpu)
    return together(Outcome({"taken_s": seconds}), peak.beside(stated))


def _detection(setup: Setup, patches: Patches) -> Outcome:
    """Patch features come from the host; the plan's bytes count what lies on the device."""
    training = TrainingSet(drawn(patches, 0, setup.device).cpu().numpy(), 0, "drawn")
    tests = drawn(patches._replace(images=setup.sizes.tests), 1, setup.device).cpu().numpy()
    fitted: list[PatchCore] = []

    def fit() -> None:
        # The one before must not lie beside it.
        fitted.clear()
        fitted.append(PatchCore(recipe(), setup.device))
        fitted[0].fit(training)

    with DevicePeak(setup.device) as peak:
        to_fit = seconds_of(fit, setup.device, 1)
        to_score = seconds_of(lambda: fitted[0].score(tests), setup.device, 1)
    sizes = RunSizes(patches.images, len(tests), patches.side**2, patches.dimension)
    planned = PatchCore.needs(recipe(), sizes, on_gpu=setup.on_gpu).working_bytes
    rate = len(tests) * patches.side**2 / to_score
    values = Outcome({"taken_s": to_score, "fit_s": to_fit, "patches_a_second": rate})
    return together(values, peak.beside(planned))
