"""An ensemble's run: its members' scores, fused (Eq. 11)."""

from dataclasses import dataclass
from pathlib import Path

import torch

from reconpatch.detection.ensemble import fuse
from reconpatch.runs.evaluation import evaluate_scores
from reconpatch.runs.metrics import write_metrics
from reconpatch.runs.recipe_run import RecipeRun
from reconpatch.settings.composed import Ensemble
from reconpatch.suites.runs import Run
from reconpatch.utils.fingerprint import code_fingerprint, fingerprint
from reconpatch.utils.provenance import Stopwatch, provenance
from reconpatch.utils.record import is_current
from reconpatch.utils.steps import STEPS


@dataclass(frozen=True)
class EnsembleRun:
    """A run that fuses others, with its places on disk."""

    run: Run
    results: Path
    device: torch.device

    def measure(self) -> None:
        """Fuse the members' scores and write ``metrics.json``, unless it is current.

        Raises:
            InputError: a member's training images cannot be scored, or their scores do not vary.
        """
        assert isinstance(self.run.recipe, Ensemble)
        deviation = self.run.recipe.deviation
        members = [RecipeRun(member, self.results, self.device) for member in self.run.members]
        watch = Stopwatch()
        with watch("training scores"):
            read = [member.member() for member in members]
        code = code_fingerprint(*STEPS["fuse"])
        first = members[0]
        maps_key = first.recipe.maps.key
        made_of = fingerprint(deviation, maps_key, *(print_ for _, print_ in read), code)
        folder = self.results / "runs" / self.run.id
        if is_current(folder / "metrics.json", made_of):
            return
        with watch("fusion"):
            images, maps = fuse(
                [member for member, _ in read],
                first.recipe.features.size,
                first.recipe.maps,
                deviation,
            )
        with watch("evaluation"):
            measured, replicates = evaluate_scores(first.test_features, images, maps)
        steps = {"fusion": {**watch.record(), **provenance(self.device)}}
        write_metrics(self.run, folder, first.test_features, measured, replicates, steps, made_of)
