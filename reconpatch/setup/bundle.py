"""Pack the weights and settings of a suite into one file, for a machine without a network."""

import io
import tarfile
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from reconpatch.features.pretrained import find_weights
from reconpatch.features.weights import Weights
from reconpatch.fetching.catalogue import load_catalogue
from reconpatch.suites.runs import backbones
from reconpatch.suites.suite import Suite
from reconpatch.utils.files import atomic_write, hash_of

MIB = 2**20
README = """Suite {suite} of the ReConPatch benchmark, for a machine without a network

1. On that machine, in a checkout of the same version with its Python packages installed:
     tar -xf {file}
     sha256sum -c SHA256SUMS
   The file holds config/ (settings and suites) and weights/.
2. It holds no data sets, because of their licences. Bring these:
{datasets}
3. reconpatch doctor --suite {suite} --data-root {data_root}
4. snakemake --cores all --config suite={suite} data_root={data_root}

{packages}"""


def write_bundle(
    suite: Suite, data_root: Path, config: Path, weights_folder: Path, output: Path
) -> None:
    """Pack what a suite needs besides data sets and packages, and print the sizes.

    The same content gives the same bytes. Missing weights are downloaded.

    Raises:
        InputError: weights are missing and cannot be downloaded.
    """
    settings = sorted(path for path in config.rglob("*") if path.is_file())
    files = {f"config/{path.relative_to(config)}": path for path in settings}
    packages = ""
    for name in backbones(suite):
        weights = find_weights(name, weights_folder)
        if weights.architecture:
            packages += f"The weights of {weights.source} come with requirements.txt.\n"
        else:
            files[f"weights/{_name(name, weights)}"] = weights.path
    with atomic_write(output) as aside:
        sums = "".join(f"{hash_of(path)}  {name}\n" for name, path in sorted(files.items()))
        readme = README.format(
            suite=suite.name,
            data_root=data_root,
            file=output.name,
            datasets=_datasets(suite, config) or "     (none)\n",
            packages=packages,
        )
        total = sum(path.stat().st_size for path in files.values())
        with (
            tarfile.open(aside, "w") as archive,
            tqdm(desc=output.name, total=total, unit="B", unit_scale=True) as bar,
        ):
            _add(archive, "BUNDLE.txt", io.BytesIO(readme.encode()), len(readme.encode()))
            _add(archive, "SHA256SUMS", io.BytesIO(sums.encode()), len(sums.encode()))
            for name, path in sorted(files.items()):
                with path.open("rb") as file:
                    _add(archive, name, file, path.stat().st_size)
                bar.update(path.stat().st_size)
    _print(files, output, readme)


def _name(backbone: str, weights: Weights) -> str:
    """The file name under which the other machine looks for the weights."""
    if weights.path.stem.startswith(backbone):
        return weights.path.name
    return f"{backbone}{weights.path.suffix}"


def _add(archive: tarfile.TarFile, name: str, content: io.BufferedIOBase, size: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = size
    archive.addfile(entry, content)


def _datasets(suite: Suite, config: Path) -> str:
    catalogue = load_catalogue(config)
    return "".join(
        f"     {dataset.title}: {dataset.archive} into {root.parent}/, or unpacked into {root}/\n"
        f"       SHA-256 {dataset.sha256}\n"
        f"       {dataset.page} ({dataset.licence})\n"
        for name, root in (suite.roots(catalogue) | suite.extra_datasets).items()
        for dataset in [catalogue[name]]
    )


def _print(files: dict[str, Path], output: Path, readme: str) -> None:
    parts = Counter({"settings": 0})
    for name, path in files.items():
        parts["settings" if name.startswith("config/") else name] += path.stat().st_size
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, size in parts.items():
        table.add_row(name, f"{size / MIB:.1f} MiB")
    table.add_row(str(output), f"{output.stat().st_size / MIB:.1f} MiB", style="bold")
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    console.print(f"\n{readme}", markup=False)
