"""Images of textures, which simulated defects are filled with."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage import data

from reconpatch.datasets.images import list_images, open_image
from reconpatch.utils.errors import InputError

PACKAGED = (data.brick, data.grass, data.gravel)
"""The textures among the images that scikit-image's package itself carries."""


@dataclass(frozen=True)
class Textures:
    """A source of texture images.

    Attributes:
        source: where they come from, in words.
        paths: the image files; none where scikit-image's stand in.
    """

    source: str
    paths: tuple[Path, ...] = ()

    @property
    def names(self) -> str:
        """What a run that drew from it rests on: the files' names and sizes."""
        return " ".join(f"{p.parent.name}/{p.name}:{p.stat().st_size}" for p in self.paths)

    def draw(self, size: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        """Return a random square of a random image, RGB ``(size, size, 3)``.

        An image that is too small for it is enlarged.

        Raises:
            InputError: the image cannot be read.
        """
        if self.paths:
            image = open_image(self.paths[rng.integers(len(self.paths))])
        else:
            image = Image.fromarray(PACKAGED[rng.integers(len(PACKAGED))]()).convert("RGB")
        if (scale := size / min(image.size)) > 1:
            image = image.resize((round(scale * image.width), round(scale * image.height)))
        left, top = (int(rng.integers(side - size + 1)) for side in image.size)
        return np.asarray(image.crop((left, top, left + size, top + size)))


SHIPPED = Textures("scikit-image's " + ", ".join(texture.__name__ for texture in PACKAGED))
"""What stands in for DTD where it is not here."""


def find_textures(folder: Path) -> Textures:
    """Return the images of a folder in DTD's layout, or scikit-image's where there is no folder.

    Args:
        folder: has ``images/<class>/*.jpg``, as the Describable Textures Dataset unpacks (Cimpoi et
            al., CVPR 2014).

    Raises:
        InputError: the folder is there and has no images in that layout.
    """
    if not folder.is_dir():
        return SHIPPED
    paths = tuple(
        path for part in sorted((folder / "images").glob("*/")) for path in list_images(part)
    )
    if not paths:
        raise InputError(
            f"{folder} holds no images/<class>/*.jpg; unpack DTD there (docs/data.md), or remove "
            "the folder, and textures that scikit-image carries take its place"
        )
    classes = len({path.parent for path in paths})
    return Textures(f"DTD, {len(paths)} images of {classes} classes", paths)
