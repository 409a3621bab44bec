"""The parts of a suite's work on a GPU, counted; what runs share counts once."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby

from reconpatch.planning.counting import Work, times
from reconpatch.planning.network_work import (
    aggregation_work,
    backbone_work,
    refinement_step,
    refining,
)
from reconpatch.planning.space import feature_bytes, pool_bytes
from reconpatch.planning.workload import RunWork, Workload
from reconpatch.runs.diagnosis import LEFT_OUT
from reconpatch.settings.composed import Refined
from reconpatch.settings.recipe import Recipe
from reconpatch.suites.runs import Run


@dataclass
class Part:
    """A part of a suite's work: of how many things it is, and how much there is of each unit."""

    count: int = 0
    work: Work = field(default_factory=Counter)

    def add(self, work: Work, count: int = 1) -> None:
        """Add the work of ``count`` more things."""
        self.count += count
        self.work += work


def suite_work(workload: Workload) -> dict[str, Part]:
    """Return the parts of a suite's work, by name.

    Not counted: what ``inspect``, time measurements, figures and report do, and methods without a
    ``counter``.
    """
    jobs = sum(workload.jobs.values())
    return {
        "jobs started": Part(jobs, Counter({"processes": jobs})),
        **_extractions(workload),
        **_methods(workload),
        **_refinements(workload),
        **_evaluations(workload),
    }


def _extractions(workload: Workload) -> dict[str, Part]:
    decoding, backbone, aggregation, writing = Part(), Part(), Part(), Part()
    for extraction in workload.extractions:
        images = workload.images[extraction.dataset, extraction.category]
        count = images.test + (images.train if "train" in extraction.settings.splits else 0)
        settings = extraction.settings.features
        decoding.add(Counter({"decoded images": count}), count)
        backbone.add(times(backbone_work(settings), count), count)
        aggregation.add(times(aggregation_work(settings), count), count)
        size = sum(feature_bytes(workload, extraction).values())
        writing.add(Counter({"written bytes": size}), count)
    return {
        "images decoded": decoding,
        "images through a backbone": backbone,
        "images aggregated": aggregation,
        "images' features written": writing,
    }


def _methods(workload: Workload) -> dict[str, Part]:
    learning, fitting, scoring, diagnosing, members = (Part() for _ in range(5))
    for work in workload.learned:
        if counter := work.counter:
            learning.add(counter.learning(work.recipe, work.sizes))
    for batch in workload.batches:
        works = [workload.work(run) for run in batch.runs if isinstance(run.recipe, Recipe)]
        for _, sharing in groupby(sorted(works, key=_shared), key=_shared):
            group = list(sharing)
            counter = group[0].counter
            if counter is None:
                continue
            recipes = [work.recipe for work in group]
            fitting.add(counter.fitting(recipes, group[0].sizes), len(group))
            for work in group:
                scoring.add(counter.scoring(work.recipe, work.sizes))
                diagnosing.add(counter.diagnosing(work.recipe, work.sizes, LEFT_OUT))
    for work in workload.members:
        if counter := work.counter:
            members.add(counter.training_scores(work.recipe, work.sizes))
    return {
        "representations learned": learning,
        "methods fitted": fitting,
        "test sets scored": scoring,
        "methods diagnosed": diagnosing,
        "training sets scored": members,
    }


def _shared(work: RunWork) -> tuple[str, str, str, int]:
    """What runs have in common that a batch fits together."""
    recipe = work.recipe
    learned = recipe.learned.key if recipe.learned else ""
    return recipe.train_extraction.key, recipe.method, learned, work.run.seed


def _refinements(workload: Workload) -> dict[str, Part]:
    simulated, scored, drawn, trained, refined = (Part() for _ in range(5))
    for run in workload.refinements:
        assert isinstance(run.recipe, Refined)
        settings = run.recipe.refinement
        members = [workload.work(member) for member in run.members]
        size = members[0].recipe.features.size
        images, tests = members[0].sizes.train_images, members[0].sizes.test_images
        pixels = images * size**2
        simulated.add(
            Counter(
                {
                    "decoded images": images,
                    "simulated pixels": settings.pool * pixels,
                    "written bytes": pool_bytes(workload, run),
                }
            )
        )
        for member in members:
            features = member.recipe.features
            seen = times(backbone_work(features) + aggregation_work(features), settings.pool)
            maps = Counter({"map pixels": (settings.pool + 1) * pixels})
            scored.add(times(seen, images) + maps)
            if counter := member.counter:
                scored.work += counter.scoring_left_out(member.recipe, member.sizes, settings.pool)
        batch = min(settings.batch_size, images)
        steps = settings.epochs * (images // batch)
        shown = steps * batch * size**2
        # RGB, one byte a channel; map and mask, in single precision.
        copied = Counter({"copied bytes": (3 + 4 + 4) * shown})
        drawn.add(Counter({"drawn pixels": shown}) + copied)
        trained.add(times(refinement_step(settings, size, batch), steps))
        refined.add(times(refining(settings, size), tests) + Counter({"decoded images": tests}))
    return {
        "sets of defects simulated": simulated,
        "sets of defects scored": scored,
        "refinements' batches drawn": drawn,
        "refinements trained": trained,
        "test sets refined": refined,
    }


def _evaluations(workload: Workload) -> dict[str, Part]:
    part = Part()
    for run in workload.runs:
        images = workload.images[run.dataset, run.category]
        size = _crop(run)
        pixels = images.test * size**2
        evaluated = pixels if images.has_masks else 0
        maps = len(run.members) * pixels
        part.add(Counter({"map pixels": maps, "evaluated pixels": evaluated}))
    return {"runs evaluated": part}


def _crop(run: Run) -> int:
    recipe = run.members[0].recipe
    assert isinstance(recipe, Recipe)
    return recipe.features.size
