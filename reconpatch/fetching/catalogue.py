"""What is known of the data sets that can be fetched: ``catalogue.yaml`` and ``inventory.csv``."""

import csv
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from reconpatch.settings.base import Settings, readable
from reconpatch.settings.yaml_files import read_yaml
from reconpatch.utils.errors import InputError


class Folder(Settings):
    """A folder of a category as published.

    Attributes:
        folder: its path below the category.
        files: how many files it has.
        names: a format that turns a number from 0 into a file name; empty where not known.
    """

    category: str
    folder: str
    files: int = Field(ge=0)
    names: str = ""


class Dataset(Settings):
    """A data set that can be fetched.

    Attributes:
        name: what suites call it.
        title: its name in messages.
        archive: its archive's file name; a local copy must have this name too.
        mirrors: addresses of the archive.
        page: where a person can download it.
        must_be_accepted: whether users must accept the licence before a download.
        layout: how the files lie in the archive: in category folders, or as in VisA's.
        unpacked_gib: the most that the archive may unpack to, in GiB.
        entries: the most files and folders that it may have.
        textures: those of its categories that are textures, the others being objects; None where
            that is not said.
        pixels: width and height of a category's images, where all of them have one size.
        folders: its folders as published.
    """

    name: str
    title: str
    archive: str
    mirrors: tuple[str, ...]
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    page: str
    licence: str
    must_be_accepted: bool = False
    layout: Literal["folders", "visa"] = "folders"
    unpacked_gib: float = Field(gt=0)
    entries: int = Field(gt=0)
    textures: tuple[str, ...] | None = None
    pixels: dict[str, tuple[int, int]] = Field(default_factory=dict)
    folders: tuple[Folder, ...]

    @property
    def categories(self) -> tuple[str, ...]:
        """The names of its categories, sorted."""
        return tuple(sorted({folder.category for folder in self.folders}))

    @property
    def accepting(self) -> str:
        """The setting that accepts its licence."""
        return f"accept_{self.name}_licence"


def load_catalogue(config: Path) -> dict[str, Dataset]:
    """Return the data sets that can be fetched, by name.

    They are those that the package knows and those of ``config/datasets``, if that folder holds
    files of the same form. An entry there replaces the package's entry of the same name.

    Raises:
        InputError: the files hold unknown names or impossible values.
    """
    own = config / "datasets"
    return known_datasets() | (_read(own) if (own / "catalogue.yaml").is_file() else {})


@cache
def known_datasets() -> dict[str, Dataset]:
    """Return the data sets that the package knows, by name."""
    return _read(Path(__file__).parent)


def _read(folder: Path) -> dict[str, Dataset]:
    catalogue, inventory = folder / "catalogue.yaml", folder / "inventory.csv"
    if not inventory.is_file():
        raise InputError(
            f"{inventory} is missing; it must list the folders of the data sets in {catalogue}."
        )
    try:
        folders: dict[str, list[dict[str, str]]] = defaultdict(list)
        with inventory.open(newline="") as lines:
            for row in csv.DictReader(lines):
                folders[row["dataset"]].append({key: row[key] for key in Folder.model_fields})
        return {
            name: Dataset.model_validate({**entry, "name": name, "folders": folders[name]})
            for name, entry in read_yaml(catalogue).items()
        }
    except ValidationError as error:
        raise InputError(f"{catalogue} is not a catalogue: {readable(error)}") from None
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{catalogue} is not a catalogue ({error}).") from None


def check_licence(dataset: Dataset, accepted: bool, settings: str = "") -> None:
    """Raise an error if the licence must be accepted and is not.

    Raises:
        InputError: the message shows the licence and the command that accepts it, with the further
            ``settings``.
    """
    if dataset.must_be_accepted and not accepted:
        raise InputError(
            f"{dataset.title} can be downloaded once you have accepted its licence:\n"
            f"  {dataset.licence}\n  {dataset.page}\n"
            f"If you do, set {dataset.accepting}: true in config/config.yaml, or add it to the "
            f"command:\n  snakemake --cores all --config {settings}{dataset.accepting}=true"
        )
