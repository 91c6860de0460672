"""What results consist of: light names, for the workflow to read without importing what draws them."""

RESULTS_VERSION = 1
"""Raise it when the same rows and arrays would give other tables or figures; the workflow then makes them anew."""

FIGURE_NAMES = ("reconstructions", "samples", "training_curves")
