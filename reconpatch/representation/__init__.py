"""The trained representation: f, g, their averages, similarities, loss (Eqs. 1-8)."""

from reconpatch.representation.file import load_representation_layer
from reconpatch.representation.learned import Learned
from reconpatch.representation.linear_maps import linear_map
from reconpatch.representation.loss import relaxed_contrastive_loss
from reconpatch.representation.networks import RepresentationNetwork, update_average
from reconpatch.representation.similarity import pseudo_labels
from reconpatch.representation.training import train

__all__ = [
    "Learned",
    "RepresentationNetwork",
    "linear_map",
    "load_representation_layer",
    "pseudo_labels",
    "relaxed_contrastive_loss",
    "train",
    "update_average",
]
