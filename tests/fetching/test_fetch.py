"""A data set in its place, however it came, and whatever killed it on the way."""

import hashlib
import io
import shutil
import tarfile
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from reconpatch.datasets.mvtec_layout import read_mvtec_layout
from reconpatch.fetching.catalogue import Dataset, known_datasets, load_catalogue
from reconpatch.fetching.fetch import fetch
from reconpatch.utils.errors import InputError
from tests.fetching.conftest import HASTY, PROCESSES, Mirror, refuse, serve
from tests.fetching.test_archive import below

FOLDERS = {
    "train/good": (400, "{:03}.png"),
    "test/good": (3, "{:03}.png"),
    "test/broken": (3, "{:03}.png"),
    "ground_truth/broken": (3, "{:03}_mask.png"),
}
CATEGORIES = ("cap", "lid")


def tiny_files() -> dict[str, bytes]:
    """The files of a small data set, with an archive's further files about it."""
    rng = np.random.default_rng(0)
    files = {"top/license.txt": b"do as you like"}
    for category in CATEGORIES:
        for folder, (count, names) in FOLDERS.items():
            for number in range(count):
                content = io.BytesIO()
                Image.fromarray(rng.integers(0, 256, (10, 10, 3), dtype=np.uint8)).save(
                    content, "png"
                )
                files[f"top/{category}/{folder}/{names.format(number)}"] = content.getvalue()
    return files


def pack(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz", preset=0) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


FILES = tiny_files()
ARCHIVE = pack(FILES)
PLACED = {name.removeprefix("top/"): content for name, content in FILES.items()}


def write_catalogue(config: Path, url: str, *, must_be_accepted: bool = False) -> Dataset:
    """Write a catalogue that has the small data set alone, and return that."""
    entry = {
        "title": "Tiny",
        "archive": "tiny.tar.xz",
        "mirrors": [url],
        "sha256": hashlib.sha256(ARCHIVE).hexdigest(),
        "page": "https://tiny.example",
        "licence": "CC BY-NC-SA 4.0",
        "must_be_accepted": must_be_accepted,
        "unpacked_gib": 0.01,
        "entries": 1000,
    }
    folder = config / "datasets"
    folder.mkdir(parents=True)
    (folder / "catalogue.yaml").write_text(yaml.safe_dump({"tiny": entry}))
    rows = [
        f"tiny,{category},{place},{count},{names}\n"
        for category in CATEGORIES
        for place, (count, names) in FOLDERS.items()
    ]
    (folder / "inventory.csv").write_text("dataset,category,folder,files,names\n" + "".join(rows))
    return load_catalogue(config)["tiny"]


@pytest.fixture
def tiny(tmp_path: Path, mirror: Mirror) -> Dataset:
    mirror.script = [serve(ARCHIVE)]
    return write_catalogue(tmp_path / "config", mirror.url)


def placed(root: Path) -> dict[str, bytes]:
    """The data set's files, without the stamp."""
    files = below(root)
    assert files.pop("fetched.json", b"")
    return files


def bring(dataset: Dataset, root: Path, *, accepted: bool = False) -> None:
    fetch(dataset, root, accepted=accepted, policy=HASTY)


def test_dtd_has_47_textures_of_120_photographs() -> None:
    dtd = known_datasets()["dtd"]
    assert [folder.files for folder in dtd.folders] == 47 * [120]


def test_ones_own_data_sets_stand_beside_the_known_ones(tmp_path: Path) -> None:
    assert load_catalogue(tmp_path) == known_datasets()
    tiny = write_catalogue(tmp_path, "http://tiny.example")
    assert load_catalogue(tmp_path) == {**known_datasets(), "tiny": tiny}
    catalogue = tmp_path / "datasets" / "catalogue.yaml"
    catalogue.write_text(catalogue.read_text().replace("tiny:", "mvtec:"))
    assert load_catalogue(tmp_path)["mvtec"].title == "Tiny"
    (tmp_path / "datasets" / "inventory.csv").unlink()
    with pytest.raises(InputError, match=r"inventory\.csv is missing"):
        load_catalogue(tmp_path)


def test_download_unpacks_in_place_and_leaves_nothing_else(
    tmp_path: Path, tiny: Dataset, mirror: Mirror
) -> None:
    root = tmp_path / "data" / "tiny"
    bring(tiny, root)
    assert placed(root) == PLACED
    left = [p for p in (tmp_path / "data" / ".fetching").iterdir() if p.suffix != ".lock"]
    assert not left
    # A second call only looks, and works without any mirror.
    mirror.script, mirror.asked = [refuse(404)], []
    bring(tiny, root)
    assert not mirror.asked


def test_local_archive_serves_and_stays(tmp_path: Path, tiny: Dataset, mirror: Mirror) -> None:
    root = tmp_path / "data" / "tiny"
    root.mkdir(parents=True)
    archive = tmp_path / "data" / "tiny.tar.xz"
    # Packed by someone else, with the categories at its top.
    archive.write_bytes(pack(PLACED))
    bring(tiny, root)
    assert placed(root) == PLACED
    assert archive.exists()
    assert not mirror.asked


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({**FILES, "top/../../out.txt": b"x"}, "leads out of the folder"),
        ({n: c for n, c in FILES.items() if "/lid/" not in n}, "no folder in it has all of cap"),
        ({n: c for n, c in FILES.items() if "003.png" not in n}, r"data/tiny/cap/train/good/003"),
        ({**FILES, "top/cap/test/good/001.png": b"x"}, r"cap/test/good/001.png is truncated"),
    ],
    ids=["traversal", "category missing", "image missing", "image damaged"],
)
def test_bad_local_archive_puts_nothing_in_place(
    tmp_path: Path, tiny: Dataset, files: dict[str, bytes], complaint: str
) -> None:
    root = tmp_path / "data" / "tiny"
    root.parent.mkdir()
    archive = root.parent / "tiny.tar.xz"
    archive.write_bytes(pack(files))
    with pytest.raises(InputError, match=complaint):
        bring(tiny, root)
    assert not root.exists()
    archive.write_bytes(ARCHIVE)
    bring(tiny, root)
    assert placed(root) == PLACED


def test_folder_that_is_not_whole_is_named_file_by_file_and_left_alone(
    tmp_path: Path, tiny: Dataset, mirror: Mirror
) -> None:
    root = tmp_path / "tiny"
    bring(tiny, root)
    (root / "cap/train/good/004.png").unlink()
    cut = root / "cap/test/broken/001.png"
    cut.write_bytes(cut.read_bytes()[:-50])
    (root / "lid/ground_truth/broken/002_mask.png").rename(
        root / "lid/ground_truth/broken/2_mask.png"
    )
    (root / "lid/test/odd").mkdir()
    before = below(root)
    with pytest.raises(InputError) as error:
        bring(tiny, root)
    assert str(error.value).splitlines() == [
        f"Tiny in {root} is not as published:",
        f"- {root}/cap/train/good/004.png is missing",
        f"- {root}/lid/ground_truth/broken/002_mask.png is missing; 2_mask.png, which does not "
        "belong there, may be it: rename it",
        f"- {root}/lid/test/odd does not belong to lid of Tiny; move it away",
        f"- {cut} is truncated or not an image; replace it with a whole copy, "
        "or delete it if it does not belong to the category",
        f"Repair these files, or move {root} away and the next run fetches the data set anew.",
    ]
    assert below(root) == before


def test_licence_is_shown_and_asked_for_before_a_download_alone(
    tmp_path: Path, mirror: Mirror
) -> None:
    tiny = write_catalogue(tmp_path / "config", mirror.url, must_be_accepted=True)
    mirror.script = [serve(ARCHIVE)]
    with pytest.raises(InputError, match=r"CC BY-NC-SA 4.0(.|\n)*accept_tiny_licence=true"):
        bring(tiny, tmp_path / "a" / "tiny")
    assert not mirror.asked
    bring(tiny, tmp_path / "a" / "tiny", accepted=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "tiny.tar.xz").write_bytes(ARCHIVE)
    bring(tiny, tmp_path / "b" / "tiny")
    assert placed(tmp_path / "a" / "tiny") == placed(tmp_path / "b" / "tiny") == PLACED


def test_no_mirror_says_where_to_put_what(tmp_path: Path, tiny: Dataset, mirror: Mirror) -> None:
    mirror.script = [refuse(404)]
    with pytest.raises(InputError) as error:
        bring(tiny, tmp_path / "tiny")
    for word in ("answered 404", f"Save it as {tmp_path}/tiny.tar.xz", "https://tiny.example"):
        assert word in str(error.value)


def start(dataset: Dataset, root: Path) -> ForkServerProcess:
    process = PROCESSES.Process(target=fetch, args=(dataset, root), kwargs={"accepted": True})
    process.start()
    return process


@pytest.mark.parametrize("origin", ["download", "local archive"])
def test_killed_at_any_moment_the_next_run_ends_verified(
    tmp_path: Path, tiny: Dataset, mirror: Mirror, origin: str
) -> None:
    """kill -9 at ten random moments of the way to the end, each on what the one before left."""
    root = tmp_path / "data" / "tiny"
    root.parent.mkdir()
    mirror.script = [serve(ARCHIVE, rate=4 * len(ARCHIVE))]
    if origin == "local archive":
        (root.parent / "tiny.tar.xz").write_bytes(ARCHIVE)
    began = time.monotonic()
    start(tiny, root.with_name("unbroken")).join()
    seconds = time.monotonic() - began
    assert placed(root.with_name("unbroken")) == PLACED
    rng = np.random.default_rng(0)
    caught_unpacking = 0
    for moment in rng.uniform(0, seconds, 10):
        process = start(tiny, root)
        process.join(moment)
        process.kill()
        process.join()
        caught_unpacking += (root.parent / ".fetching" / "tiny.unpacking").exists()
        # In place whole or not at all.
        if root.exists():
            assert placed(root) == PLACED
            root.rename(tmp_path / f"done-{moment}")
    assert caught_unpacking
    bring(tiny, root)
    assert placed(root) == PLACED
    assert not (root.parent / ".fetching" / "tiny.unpacking").exists()


def test_two_processes_leave_one_good_copy(tmp_path: Path, tiny: Dataset, mirror: Mirror) -> None:
    root = tmp_path / "data" / "tiny"
    both = [start(tiny, root) for _ in range(2)]
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert placed(root) == PLACED
    assert len(mirror.asked) == 1


def test_visa_comes_in_the_layout_of_mvtec(tmp_path: Path, mirror: Mirror) -> None:
    tiny = write_catalogue(tmp_path / "config", mirror.url)
    visa = tiny.model_copy(
        update={
            "layout": "visa",
            "folders": tuple(
                f.model_copy(update={"category": "cap", "folder": place, "files": n, "names": ""})
                for f, place, n in zip(
                    tiny.folders,
                    ("train/good", "test/good", "test/bad", "ground_truth/bad"),
                    (2, 1, 1, 1),
                    strict=False,
                )
            ),
        }
    )
    image = FILES["top/cap/train/good/000.png"]
    rows = [
        ("train", "normal", "Images/Normal/0000.JPG", ""),
        ("train", "normal", "Images/Normal/0002.JPG", ""),
        ("test", "normal", "Images/Normal/0001.JPG", ""),
        ("test", "anomaly", "Images/Anomaly/000.JPG", "cap/Data/Masks/Anomaly/000.png"),
    ]
    listed = "object,split,label,image,mask\n" + "".join(
        f"cap,{split},{label},cap/Data/{name},{mask}\n" for split, label, name, mask in rows
    )
    files = {f"cap/Data/{name}": image for _, _, name, _ in rows}
    files |= {"cap/Data/Masks/Anomaly/000.png": image, "split_csv/1cls.csv": listed.encode()}
    (tmp_path / "tiny.tar.xz").write_bytes(pack(files))
    bring(visa, tmp_path / "visa")
    cap = read_mvtec_layout(tmp_path / "visa" / "cap", "visa")
    assert [sample.image.name for sample in cap.train] == ["0000.JPG", "0002.JPG"]
    assert [(s.image.name, s.defect) for s in cap.test] == [
        ("000.JPG", "bad"),
        ("0001.JPG", "good"),
    ]
    assert cap.has_masks
    # A list that leads elsewhere moves nothing there.
    shutil.rmtree(tmp_path / "visa")
    for bad in (listed.replace("cap,train", "../..,train"), listed.replace("cap/Data", "/etc")):
        files["split_csv/1cls.csv"] = bad.encode()
        (tmp_path / "tiny.tar.xz").write_bytes(pack(files))
        with pytest.raises(InputError, match="leads out of the folder"):
            bring(visa, tmp_path / "visa")
        assert not (tmp_path / "visa").exists()
        assert not (tmp_path / "train").exists()
