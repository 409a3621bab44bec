"""The step that learns what runs share: ReConPatch's f and g, a control's linear map (Eqs. 1-8)."""

from importlib import import_module
from typing import TYPE_CHECKING

from safetensors.torch import save_file

from reconpatch.representation.learned import Learned
from reconpatch.utils.files import atomic_write
from reconpatch.utils.provenance import Stopwatch, provenance
from reconpatch.utils.record import is_current, write_record

if TYPE_CHECKING:
    from reconpatch.runs.recipe_run import RecipeRun


def learn(run: "RecipeRun") -> None:
    """Make the run's representation, unless its recipe has none or the one on disk is current.

    Raises:
        InputError: a training fails, or a linear map has no such dimension.
    """
    folder, learner, made_of = (
        run.representation_folder,
        run.method_class.learner,
        run.representation_fingerprint,
    )
    if folder is None or is_current(folder / "learning.json", made_of):
        return
    assert learner
    watch = Stopwatch()
    with watch("training"):
        learned: Learned = import_module(learner).learn(
            run.train_features.read("train"),
            run.recipe.learned,
            run.run.seed,
            device=run.device,
            description=f"{run.run.category} training",
        )
    for name, tensors in learned.tensors.items():
        with atomic_write(folder / f"{name}.safetensors") as aside:
            save_file({key: tensor.contiguous().cpu() for key, tensor in tensors.items()}, aside)
    for name, table in learned.tables.items():
        with atomic_write(folder / f"{name}.parquet") as aside:
            table.to_parquet(aside)
    files = [f"{name}.safetensors" for name in learned.tensors]
    files += [f"{name}.parquet" for name in learned.tables]
    content = {**watch.record(), **provenance(run.device)}
    write_record(folder / "learning.json", made_of, content, files)
