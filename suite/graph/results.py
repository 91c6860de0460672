"""What results consist of: light names, for the workflow to read without importing what draws them."""

RESULTS_VERSION = 11
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

FIGURE_NAMES = (
    "reconstructions", "round_trips", "samples", "samples_detail", "generation", "time_varying", "interpolation",
    "traversal", "flow", "progressive", "tad", "seeds", "importance", "attention", "training_curves", "rate_distortion",
    "likelihood_auroc",
)  # fmt: skip
"""Figures, each a .png and a .pdf, in the order of the page."""

TABLE_NAMES = (
    "table2", "table3", "table4", "table5", "latent_usage", "likelihood", "disentanglement", "images", "progressive",
    "ablations", "statistics", "cost",
)  # fmt: skip
"""Tables, each a .csv, a .md and a .tex."""

NOT_REPEATABLE = ("runs.csv", "cost.csv", "cost.md", "cost.tex", "report.html")
"""Results that hold seconds, memory and commits: no two runs give the same bytes."""
