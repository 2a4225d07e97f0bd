"""What was known, as of when: point-in-time features with information labels, data age and feed age."""

from remit.features.build import Grid, build, grid_of
from remit.features.definitions import FEATURES
from remit.features.errors import FeatureError
from remit.features.feature import Catalogue, Column, Feature, catalogue
from remit.features.known import Tables
from remit.features.panel import Panel, panel
from remit.features.peers import LEAST_PEERS, of_peers, ties
from remit.features.training import earlier_instants, training_frame, training_frames

__all__ = [
    "FEATURES",
    "LEAST_PEERS",
    "Catalogue",
    "Column",
    "Feature",
    "FeatureError",
    "Grid",
    "Panel",
    "Tables",
    "build",
    "catalogue",
    "earlier_instants",
    "grid_of",
    "of_peers",
    "panel",
    "ties",
    "training_frame",
    "training_frames",
]
