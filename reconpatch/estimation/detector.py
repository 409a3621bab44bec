"""What the estimators have in common: a method of the suite, on images of one's own.

They follow scikit-learn, with two departures that inspection suggests: a higher score is more
anomalous, and ``predict`` says True for an anomalous image.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import ValidationError
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from reconpatch.datasets.category import GOOD, Category, Sample
from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.detection.scores import Array, Scores
from reconpatch.estimation.false_alarms import enough, few_images, threshold_at
from reconpatch.estimation.model_folder import Model, read_model, write_model
from reconpatch.estimation.sources import Source, as_files, as_sources
from reconpatch.features.arrays import write_arrays
from reconpatch.features.backbones import Backbone
from reconpatch.features.layer_maps import LayerMaps
from reconpatch.features.pretrained import load_backbone
from reconpatch.features.store import Split
from reconpatch.methods.layer import LayerMethod
from reconpatch.methods.method import Method, TrainingSet
from reconpatch.settings.base import readable
from reconpatch.settings.features import ExtractionSettings
from reconpatch.settings.recipe import Recipe
from reconpatch.utils.devices import set_up_torch
from reconpatch.utils.errors import InputError
from reconpatch.utils.provenance import Stopwatch

CHUNK = 512
"""Images that are scored at once, so that memory does not grow with their number."""


class Detector(BaseEstimator):  # type: ignore[misc]
    """A method that is fitted on normal images and scores others.

    Args:
        backbone: a preset's name or one of timm's.
        size: pixels of a side after resizing.
        resize_to: ``square`` squeezes the whole image; ``shorter_side`` keeps its shape, and then
            ``crop`` must say which middle square is kept.
        crop: side of that square in pixels; None keeps the whole image.
        seed: decides every draw.
        false_alarm_rate: the share of normal images that may be called anomalous.
        device: ``cpu``, ``cuda``, ``cuda:N``, or ``auto`` for a GPU where there is one.
        threads: CPU threads; other numbers may change the last bits.
        weights: the folder of local weight files.

    Attributes:
        threshold_: the image score above which an image is called anomalous.
        map_threshold_: the same for the highest value of an image's anomaly map.
        training_scores_: the training images' scores ``(N,)``, each by a method that leaves the
            image out as far as the method can; both thresholds come from such scores.
        fitted_images_: how many images it is fitted on.
        recipe_: the method's settings, as a suite has them.
        method_: the fitted method.
        backbone_: the network whose features it reads.
        weights_sha256_: the hash of the backbone's weights.
    """

    method: ClassVar[type[Method[Any]]]
    threshold_: float
    map_threshold_: float
    training_scores_: Array
    fitted_images_: int
    recipe_: Recipe
    weights_sha256_: str
    backbone_: Backbone
    _sources: list[Source]
    method_: Method[Any]
    _representation: dict[str, Tensor]

    def __init__(
        self,
        *,
        backbone: str = "efficientnet_lite0",
        size: int = 224,
        resize_to: str = "square",
        crop: int | None = None,
        seed: int = 0,
        false_alarm_rate: float = 0.05,
        device: str = "auto",
        threads: int = 2,
        weights: str | PathLike[str] = "weights",
    ) -> None:
        self.backbone = backbone
        self.size = size
        self.resize_to = resize_to
        self.crop = crop
        self.seed = seed
        self.false_alarm_rate = false_alarm_rate
        self.device = device
        self.threads = threads
        self.weights = weights

    def recipe(self) -> Recipe:
        """Return the method's settings, as a suite has them.

        Raises:
            InputError: a parameter has an impossible value.
        """
        features = {
            "backbone": self.backbone,
            "resize": self.size,
            "resize_to": self.resize_to,
            "crop": self.crop,
        }
        try:
            return self.method.Recipe.model_validate({"features": features, **self._settings()})
        except ValidationError as error:
            name = type(self).__name__
            raise InputError(f"{name} cannot be set like this: {readable(error)}") from None

    def _settings(self) -> dict[str, Any]:
        """The method's own part of its recipe."""
        return {}

    def fit(self, images: Any, y: object = None) -> Self:
        """Learn from normal images what is normal, and choose the thresholds.

        Args:
            images: as ``as_sources`` takes them; two or more.
            y: ignored; scikit-learn passes it.

        Raises:
            InputError: an image cannot be read, there are fewer than two, a parameter has an
                impossible value, or the backbone's weights are not to be had.
        """
        recipe = self.recipe()
        if not 0 < self.false_alarm_rate < 1:
            raise InputError(
                f"false_alarm_rate {self.false_alarm_rate} must lie between 0 and 1: 0.05 is 5 %."
            )
        sources = as_sources(images)
        if len(sources) < 2:
            raise InputError(
                f"One image ({_named(sources[0])}) is not enough to learn from: the threshold "
                "comes from images that are left out. Give two normal images or more, better "
                f"{enough(self.false_alarm_rate)}."
            )
        features = recipe.train_extraction.features
        with (
            set_up(self.device, self.threads) as device,
            TemporaryDirectory(prefix="reconpatch-", ignore_cleanup_errors=True) as work,
        ):
            backbone = load_backbone(features.backbone, features.layers, Path(self.weights), device)
            patches = _patches(
                sources, "train", recipe.train_extraction, backbone, self.threads, Path(work)
            )
            representation = self._learned(patches, recipe, device)
            method = _new_method(self.method, recipe, device, representation)
            scores = self._fit(method, patches)
            # The method that is kept lets go of the training images' features.
            tensors = {name: tensor.cpu().clone() for name, tensor in method.tensors().items()}
            self.method_ = _new_method(self.method, recipe, device, representation)
            self.method_.load(tensors)
        self.backbone_, self._representation = backbone, representation
        self.recipe_, self.weights_sha256_ = recipe, backbone.weights.sha256
        self.training_scores_ = scores.images
        highest = _maps(scores, recipe).max(axis=(1, 2))
        self.threshold_ = threshold_at(scores.images, self.false_alarm_rate)
        self.map_threshold_ = threshold_at(highest, self.false_alarm_rate)
        self._sources, self.fitted_images_ = sources, len(sources)
        if told := few_images(len(scores.images), len(sources), self.false_alarm_rate):
            warnings.warn(told, stacklevel=2)
        return self

    def add(self, images: Any) -> Self:
        """Fit anew, on all images that it is fitted on and these.

        Raises:
            NotFittedError: ``fit`` or ``load`` comes first.
            InputError: as ``fit``; or the model comes from a folder, and the images that it was
                fitted on were no files, or are no longer where they were.
        """
        check_is_fitted(self, "threshold_")
        if not self._sources:
            raise InputError(
                "This model was fitted on arrays or PIL images, which its folder does not have. "
                "Fit anew with all images."
            )
        gone = [path for path in self._sources if isinstance(path, Path) and not path.exists()]
        if gone:
            raise InputError(
                f"To add images, those that the model was fitted on are read again, and {gone[0]} "
                f"is gone ({len(gone)} in all). Put them back, or fit anew with all images."
            )
        return self.fit([*self._sources, *as_sources(images)])

    def _fit(self, method: Method[Any], patches: Any) -> Scores:
        """Fit on training patches; return the images' scores, each by a method without it."""
        training = TrainingSet(patches, self.seed, "images")
        method.fit(training)
        return method.score_training(training)

    def examine(self, images: Any) -> Scores:
        """Return scores of images ``(N,)`` and of their patches ``(N, h, w)``.

        All other results follow from these. Up to ``CHUNK`` images have the very scores that the
        workflow gives them as a category's test images.

        Raises:
            NotFittedError: ``fit`` or ``load`` comes first.
            InputError: an image cannot be read.
        """
        check_is_fitted(self, "threshold_")
        sources = as_sources(images)
        parts = []
        with set_up(str(self.method_.device), self.threads):
            for start in range(0, len(sources), CHUNK):
                with TemporaryDirectory(prefix="reconpatch-", ignore_cleanup_errors=True) as work:
                    patches = _patches(
                        sources[start : start + CHUNK],
                        "test",
                        self.recipe_.test_extraction,
                        self.backbone_,
                        self.threads,
                        Path(work),
                    )
                    parts.append(self.method_.score(patches))
        return Scores.joined(parts)

    def score_samples(self, images: Any) -> Array:
        """Return a score an image ``(N,)``; higher is more anomalous. Raises as ``examine``."""
        return self.examine(images).images

    def anomaly_maps(self, images: Any) -> Array:
        """Return maps ``(N, size, size)`` of what the backbone sees. Raises as ``examine``."""
        return self.maps_of(self.examine(images))

    def maps_of(self, scores: Scores) -> Array:
        """Return the anomaly maps ``(N, size, size)`` of what ``examine`` returned."""
        check_is_fitted(self, "threshold_")
        return _maps(scores, self.recipe_)

    def predict(self, images: Any) -> npt.NDArray[np.bool_]:
        """Return whether each image ``(N,)`` is above ``threshold_``. Raises as ``examine``."""
        anomalous: npt.NDArray[np.bool_] = self.score_samples(images) > self.threshold_
        return anomalous

    def save(self, folder: str | PathLike[str]) -> None:
        """Write the fitted method to a new folder, as safetensors and JSON.

        The backbone's weights are not among them, but their hash is.

        Raises:
            NotFittedError: ``fit`` comes first.
            InputError: the folder exists and is not empty.
        """
        check_is_fitted(self, "threshold_")
        params = self.get_params()
        # Those belong to the machine.
        for name in ("device", "threads", "weights"):
            del params[name]
        model = Model(
            estimator=type(self).__name__,
            parameters=params,
            recipe=self.recipe_.model_dump(mode="json"),
            weights_sha256=self.weights_sha256_,
            threshold=self.threshold_,
            map_threshold=self.map_threshold_,
            training_scores=tuple(self.training_scores_.tolist()),
            fitted_images=self.fitted_images_,
            images=_places(self._sources),
        )
        write_model(Path(folder), model, self.method_.tensors(), self._representation)

    @classmethod
    def load(
        cls,
        folder: str | PathLike[str],
        *,
        device: str = "auto",
        threads: int = 2,
        weights: str | PathLike[str] = "weights",
    ) -> Self:
        """Return what ``save`` wrote to a folder.

        Raises:
            InputError: the folder holds no model of this class, a file of it is damaged, or the
                backbone's weights are not to be had or not those that it was fitted with.
        """
        place = Path(folder)
        model, tensors, representation = read_model(place)
        if model.estimator != cls.__name__:
            raise InputError(
                f"{place} holds a model of {model.estimator}, not of {cls.__name__}; load it with "
                f"reconpatch.{model.estimator}.load or reconpatch.load."
            )
        try:
            found = cls(**model.parameters, device=device, threads=threads, weights=weights)
            recipe = cls.method.Recipe.model_validate(model.recipe)
        except (TypeError, ValidationError) as error:
            raise InputError(
                f"{place} was written by another version of reconpatch ({error}); fit anew."
            ) from None
        features = recipe.features
        with set_up(device, threads) as where:
            backbone = load_backbone(features.backbone, features.layers, Path(weights), where)
            if backbone.weights.sha256 != model.weights_sha256:
                raise InputError(
                    f"The weights of {features.backbone} from {backbone.weights.source} have the "
                    f"SHA-256 {backbone.weights.sha256}, but {place} was fitted with "
                    f"{model.weights_sha256}. Put those weights back, or fit anew."
                )
            found.method_ = _new_method(cls.method, recipe, where, representation)
            found.method_.load(tensors)
        found.backbone_, found._representation = backbone, representation
        found._sources = [Path(image) for image in model.images]
        found.fitted_images_ = model.fitted_images
        found.recipe_, found.weights_sha256_ = recipe, model.weights_sha256
        found.threshold_, found.map_threshold_ = model.threshold, model.map_threshold
        found.training_scores_ = np.array(model.training_scores, dtype=np.float32)
        return found

    def _learned(self, patches: Any, recipe: Recipe, device: torch.device) -> dict[str, Tensor]:
        """The representation that the method's learner makes, by tensor; empty without one."""
        if self.method.learner is None:
            return {}
        learned = import_module(self.method.learner).learn(
            patches, recipe.learned, self.seed, device=device, description="images training"
        )
        tensors = learned.tensors["representation"].items()
        return {name: tensor.detach().contiguous().cpu() for name, tensor in tensors}


def _places(sources: list[Source]) -> tuple[str, ...]:
    """Where all images lie; empty if one is no file."""
    files = [str(source.absolute()) for source in sources if isinstance(source, Path)]
    return tuple(files) if len(files) == len(sources) else ()


def _named(source: Source) -> str:
    return str(source) if isinstance(source, Path) else "a PIL image, array or tensor"


def _maps(scores: Scores, recipe: Recipe) -> Array:
    return anomaly_maps(scores.patches, recipe.features.size, recipe.maps)


def _new_method(
    kind: type[Method[Any]],
    recipe: Recipe,
    device: torch.device,
    representation: dict[str, Tensor],
) -> Method[Any]:
    """A method that is not fitted yet, with its representation."""
    method = kind(recipe, device)
    if isinstance(method, LayerMethod):
        weight, bias = representation["f.weight"], representation["f.bias"]
        method.layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
        method.layer.load_state_dict({"weight": weight, "bias": bias})
    return method


def _patches(
    sources: list[Source],
    split: Split,
    settings: ExtractionSettings,
    backbone: Backbone,
    threads: int,
    work: Path,
) -> Any:
    """Images' patch features or layer maps, as the workflow makes them, mapped from ``work``."""
    samples = tuple(Sample(path, GOOD, None) for path in as_files(sources, work))
    train, test = (samples, ()) if split == "train" else ((), samples)
    category = Category("own", "images", None, train, test, sha256="")
    shapes = write_arrays(
        category, settings, backbone, work, threads=threads, batch_size=None, watch=Stopwatch()
    )
    found = np.load(work / f"{split}.npy", mmap_mode="c")
    return LayerMaps(found, shapes) if shapes else found


@contextmanager
def set_up(device: str, threads: int) -> Iterator[torch.device]:
    """Compute as the workflow's steps do, and leave torch as it was."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    matmul, cudnn = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        yield set_up_torch(device, threads)
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        torch.backends.cuda.matmul.allow_tf32 = matmul
        torch.backends.cudnn.allow_tf32 = cudnn
