"""All that the report page shows, put into its template."""

from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from reconpatch.reporting.answer import answer, limits
from reconpatch.reporting.claims import Judged
from reconpatch.reporting.drawings.style import DPI
from reconpatch.reporting.formats import METRICS, NOT_RUN, reasons
from reconpatch.reporting.page.ambiguities import document, swings
from reconpatch.reporting.page.categories import category_views, data_uri
from reconpatch.reporting.page.claim_view import ClaimView, claim_views
from reconpatch.reporting.page.provenance_summary import Record, provenance_summary, steps
from reconpatch.reporting.page.recipe_view import recipe_views
from reconpatch.reporting.page.table_view import table_view
from reconpatch.suites.cells import AVERAGE, left_out
from reconpatch.suites.experiments import title
from reconpatch.suites.runs import Run
from reconpatch.suites.suite import Suite

WIDTH, INCH = 1500, 130
"""Pixels that a figure has at most, and those of the page that an inch of it takes."""

HEADLINES = {"table5": "MVTec AD's place", "table7": "BTAD's place"}
ELPV = (
    "Photographs of solar cells: ELPV (Buerhop-Lutz et al. 2018; Deitsch et al. 2019, 2021), "
    "CC BY-NC-SA 4.0."
)


def page(
    suite: Suite,
    tables: dict[str, pd.DataFrame],
    files: Mapping[str, str],
    headline: str,
    judged: Sequence[Judged],
    records: Sequence[tuple[Run, Record]],
    missing: int,
    results: Path,
    figures: Path,
    ambiguities: Path,
) -> str:
    """Return the page's HTML.

    Args:
        suite: what was measured.
        tables: the tidy tables by name.
        files: the tables' files to paste, by their paths.
        headline: the sentence that it begins with.
        judged: the claims.
        records: the measured runs, each with what its ``metrics.json`` tells.
        missing: how many runs are not measured.
        results: the folder of all results.
        figures: the folder of the drawn figures.
        ambiguities: the page that says what the paper leaves open.
    """
    environment = Environment(
        loader=PackageLoader("reconpatch.reporting.page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    claims = claim_views(judged)
    drawn = _drawings(suite, figures)
    found = steps(records)
    swung = swings(suite, tables)
    tally = Counter(each.verdict for each in judged)
    context = {
        "suite": suite,
        "headline": headline,
        "answer": answer(suite, tables),
        "limits": limits(suite, tables),
        "tested": any(each.verdict != "not tested" for each in judged),
        "titles": title,
        "tables": [_sheet(suite, name, claims, files, tidy) for name, tidy in tables.items()],
        "figures": list(drawn.values()),
        "not_drawn": [
            f"{title(n)} ({left_out(suite, n) or 'not asked for'})"
            for n in suite.experiments.figures
            if n not in drawn
        ],
        "claims": claims,
        "tally": [
            (said, tally[said]) for said in ("holds", "does not hold", "cannot tell", "not tested")
        ],
        "unsupported": [claim for claim in claims if claim.judged.supported is False],
        "headlines": _headlines(tables),
        "data": _data(suite),
        "models": list(dict.fromkeys(model.label for model in suite.models.values())),
        "attributions": [ELPV] * any(d.source.layout == "elpv" for d in suite.datasets),
        "records": records,
        "missing": missing,
        "total_seconds": sum(step.total for step in found),
        "steps": found,
        "provenance": provenance_summary(records),
        "recipes": recipe_views(suite, records),
        "categories": list(category_views(suite, results)),
        "document": document(ambiguities),
        "swings": swung,
        "metrics": METRICS,
        "swept": {swing.setting: swing.table for swing in swung},
    }
    return environment.get_template("page.html").render(**context, parts=_parts(context))


def _parts(context: Mapping[str, Any]) -> dict[str, str]:
    """The headings of the sections that have something to show, in order."""
    topics = {entry["of"].topic for entry in (*context["tables"], *context["figures"])}
    parts = [
        (True, "summary", "Summary"),
        (context["tested"], "claims", "The paper's claims"),
        (context["tables"], "tables", "Tables"),
        (context["figures"] or context["not_drawn"], "figures", "Figures"),
        (context["categories"], "categories", "Category by category"),
        ("robustness" in topics, "robustness", "Robustness"),
        ("ensembles" in topics, "ensembles", "Ensembles"),
        ("refinement" in topics, "refinement", "Refinement"),
        (context["swings"], "sensitivity", "Sensitivity"),
        (context["steps"], "cost", "Time and memory"),
        # What the suite has to say comes first.
        (context["claims"] and not context["tested"], "claims", "The paper's claims"),
        (True, "ambiguities", "What the paper leaves open"),
        (True, "contradictions", "Where the paper contradicts itself"),
        (context["records"], "provenance", "Provenance"),
    ]
    return {name: heading for there, name, heading in parts if there}


def _sheet(
    suite: Suite,
    name: str,
    claims: Sequence[ClaimView],
    files: Mapping[str, str],
    tidy: pd.DataFrame,
) -> dict[str, Any]:
    about = [c for c in claims if any(row.found.check.table == name for row in c.rows)]
    return {
        "name": name,
        "title": title(name),
        "of": suite.experiments.tables[name],
        "view": table_view(tidy),
        "reasons": reasons(tidy),
        "files": [
            (
                form,
                f"{name}.{ending}",
                b64encode(files[f"tables/{name}.{ending}"].encode()).decode(),
            )
            for form, ending in (("CSV", "csv"), ("Markdown", "md"), ("LaTeX", "tex"))
        ],
        "verdicts": [(c.judged.claim.name, c.judged.verdict, c.anchor) for c in about],
    }


def _drawings(suite: Suite, folder: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for name, figure in suite.experiments.figures.items():
        path = folder / f"{name}.png"
        if not path.is_file():
            continue
        with Image.open(path) as picture:
            small = picture.convert("RGB")
        inches = small.width / DPI
        small.thumbnail((WIDTH, 10 * WIDTH))
        found[name] = {
            "name": name,
            "title": title(name),
            "of": figure,
            "source": data_uri(small),
            "width": round(inches * INCH),
            "height": round(inches * INCH * small.height / small.width),
        }
    return found


def _headlines(tables: Mapping[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """The averages of the tables that compare the methods category by category."""
    tiles = []
    for name in [name for name in HEADLINES if name in tables]:
        ours = tables[name][tables[name]["reason"] != NOT_RUN]
        for metric in ours["metric"].unique():
            view = table_view(ours[ours["metric"] == metric])
            for row in view.rows:
                if row.name == AVERAGE and any(figure.measured for figure in row.cells):
                    names = (column.name for column in view.columns)
                    heading = f"Average {METRICS[metric].name}, {HEADLINES[name]}"
                    figures = list(zip(names, row.cells, strict=True))
                    tiles.append({"heading": heading, "figures": figures})
    return tiles


def _data(suite: Suite) -> dict[str, list[str]]:
    """The categories' names, by what they stand for."""
    return {
        stands_for: [place.name.replace("_", " ") for place in suite.places(stands_for)]
        for stands_for in dict.fromkeys(dataset.stands_for for dataset in suite.datasets)
    }
