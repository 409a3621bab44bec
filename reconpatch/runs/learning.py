"""The step that learns what runs share: ReConPatch's f and g, a control's linear map (Eqs. 1-8)."""

from importlib import import_module
from typing import TYPE_CHECKING

from reconpatch.utils.files import is_current, write_json
from reconpatch.utils.provenance import Stopwatch, provenance

if TYPE_CHECKING:
    from reconpatch.runs.recipe_run import RecipeRun


def learn(run: "RecipeRun") -> None:
    """Make the run's representation, unless its recipe has none or the one on disk is current.

    Raises:
        InputError: a training fails, or a linear map has no such dimension.
    """
    folder, learner = run.representation_folder, run.method_class.learner
    if folder is None or is_current(folder / "learning.json", run.representation_fingerprint):
        return
    assert learner
    watch = Stopwatch()
    with watch("training"):
        import_module(learner).learn(
            run.train_features.patches("train"),
            run.recipe.learned,
            run.run.seed,
            device=run.device,
            folder=folder,
            description=f"{run.run.category} training",
        )
    record = {
        "fingerprint": run.representation_fingerprint,
        **watch.record(),
        **provenance(run.device),
    }
    write_json(folder / "learning.json", record)
