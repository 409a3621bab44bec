import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from reconpatch.datasets.source import READERS, Source, load_category, reader_code
from reconpatch.utils.errors import InputError


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"layout": "mvtec"}, "layout mvtec needs a root"),
        ({"layout": "elpv", "root": "/data"}, "layout elpv has no root"),
        ({"layout": "mvtec", "root": "/data", "train": 5}, "leave out split_seed, train"),
        ({"layout": "demo", "root": "/data", "split_seed": 5}, "leave out split_seed, train"),
        ({"layout": "elpv", "train": 0}, "greater than or equal to 1"),
        ({"layout": "elpv", "trian": 5}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Source.model_validate({"dataset": "set", **settings})


def test_source_survives_a_round_trip() -> None:
    source = Source(layout="mvtec", dataset="mvtec", root=Path("data/mvtec"))
    assert Source.model_validate_json(source.model_dump_json()) == source


def test_category_in_the_mvtec_layout(category_folder: Path) -> None:
    source = Source(layout="mvtec", dataset="mvtec", root=category_folder.parent)
    bottle = category_folder.rename(category_folder.with_name("bottle"))
    category = load_category(source, "bottle")
    assert category.kind == "object"
    assert category.train[0].image.parent == bottle / "train" / "good"


def test_elpv_under_a_name_of_its_own() -> None:
    pytest.importorskip("elpv_dataset", reason="elpv-dataset is not installed")
    source = Source(layout="elpv", dataset="cells", train=5, test_per_class=4)
    category = load_category(source, "poly")
    assert (category.dataset, len(category.train), len(category.test)) == ("cells", 5, 8)


def test_categories_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="The demo has no category bottle; it has washer and we"):
        load_category(Source(layout="demo", dataset="demo", root=tmp_path), "bottle")
    with pytest.raises(InputError, match="ELPV has no category bottle; it has mono and poly"):
        load_category(Source(layout="elpv", dataset="elpv"), "bottle")


def test_every_layout_has_a_reader_and_its_code_a_fingerprint() -> None:
    layouts = get_args(Source.model_fields["layout"].annotation)
    assert set(READERS) == set(layouts)
    prints = {
        layout: reader_code(
            Source(layout=layout, dataset="set", root=None if layout == "elpv" else Path("data"))
        )
        for layout in layouts
    }
    assert prints["mvtec"] == prints["demo"] != prints["elpv"]


def test_room_loads_without_torch() -> None:
    # The workflow imports this room to plan its jobs; torch would add seconds to every start.
    code = "import reconpatch.datasets, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
