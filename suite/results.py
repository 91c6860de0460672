"""What results consist of: light names, for the workflow to read without importing what draws them."""

from suite.captions import CAPTIONS

RESULTS_VERSION = 3
"""Raise it when the same rows and arrays would give other tables or figures; the workflow then makes them anew."""

USE_FIGURES = {
    "sample": "samples",
    "generate": "generation",
    "reconstruct": "round_trips",
    "vary-time": "time_varying",
    "interpolate": "interpolation",
    "traverse": "traversal",
    "flow": "flow",
}
"""Uses of codes: the command of each (``paramrel NAME``), and its figure."""

FIGURE_NAMES = tuple(CAPTIONS)

TABLE_NAMES = ("table2", "latent_usage", "disentanglement", "images", "progressive")
