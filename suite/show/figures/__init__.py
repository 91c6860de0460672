"""Figures from saved arrays, measured rows and logs: the same files give the same bytes.

Cells that are missing or failed are left out and named; what a preset does not have at all gives a small figure that
says so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from suite.graph.config import Preset
from suite.show.captions import CAPTIONS
from suite.show.figures import curves, distributions, latents, pictures
from suite.show.style import save

__all__ = ["FIGURES", "FigureEntry", "save"]


@dataclass(frozen=True)
class FigureEntry:
    """One figure of a preset: its words and its maker."""

    caption: str
    """What is drawn, and which figure of the paper it corresponds to."""
    alt: str
    """What is plotted, for screen readers."""
    make: Callable[[Preset, Path], Figure]
    """The figure of a preset from the runs below a folder."""


MAKERS: dict[str, Callable[[Preset, Path], Figure]] = {
    maker.__name__: maker
    for maker in (
        pictures.reconstructions,
        pictures.round_trips,
        pictures.samples,
        pictures.samples_detail,
        pictures.generation,
        pictures.time_varying,
        pictures.interpolation,
        pictures.traversal,
        pictures.flow,
        curves.progressive,
        curves.training_curves,
        distributions.tad,
        distributions.seeds,
        distributions.rate_distortion,
        distributions.likelihood_auroc,
        latents.importance,
        pictures.attention,
    )
}

FIGURES: dict[str, FigureEntry] = {
    name: FigureEntry(caption.text, caption.alt, MAKERS[name]) for name, caption in CAPTIONS.items()
}
"""Figures of the workflow by the name of their files, in the order in which a report shows them."""
