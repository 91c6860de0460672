"""What results consist of: light names, for the workflow to read without importing what draws them."""

RESULTS_VERSION = 2
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

FIGURE_NAMES = ("reconstructions", "training_curves", *USE_FIGURES.values())

TABLE_NAMES = ("table2", "latent_usage", "disentanglement", "images", "progressive")

NOT_REPEATABLE = ("runs.csv", "report.html")
"""Results that hold seconds, memory and commits: no two runs give the same bytes."""
