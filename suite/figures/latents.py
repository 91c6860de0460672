"""What single latents stand for: importances for factors, and traversals below them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metrics._labels import columns, varying
from suite.config import Preset
from suite.figures._files import Contender, Files
from suite.figures.curves import headnote
from suite.strips import pixels
from suite.style import NORMAL, PAGE, SMALL, TALLEST, nothing, plt

PANELS_PER_ROW = 3


@dataclass(frozen=True)
class Panel:
    """One method: its name, the importances (d, k) of its latents for factors, and traversals of a few latents."""

    title: str
    importance: np.ndarray
    factors: tuple[str, ...]
    traversed: np.ndarray | None = None
    """(T, frames, C, H, W)."""
    dims: tuple[int, ...] = ()
    """The T latents."""


def main_factor(importance: np.ndarray) -> np.ndarray:
    """The factor that each latent matters most for, (d, k) to (d,)."""
    return importance.argmax(1)


def reading_order(importance: np.ndarray) -> np.ndarray:
    """Latents by their main factor, and among those of one factor the most important first: (d, k) to (d,).

    A disentangled code then shows as a staircase.
    """
    return np.lexsort((-importance.max(1), main_factor(importance)))


def panels_figure(panels: list[Panel]) -> Figure:
    """Importances above, traversals below, a column for each panel."""
    n_columns = min(PANELS_PER_ROW, len(panels))
    n_rows = -(-len(panels) // n_columns)
    size = (PAGE / PANELS_PER_ROW * n_columns, min(3.3 * n_rows, TALLEST))
    figure, axes = plt.subplots(
        2 * n_rows, n_columns, figsize=size, squeeze=False, height_ratios=[2.4, 1.0] * n_rows, layout="constrained"
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for i, panel in enumerate(panels):
        row, column = divmod(i, n_columns)
        _draw_importance(axes[2 * row, column], panel)
        if panel.traversed is not None:
            _draw_traversal(axes[2 * row + 1, column], panel)
    return figure


def _draw_importance(axis: Axes, panel: Panel) -> None:
    order = reading_order(panel.importance)
    axis.set_axis_on()
    latents = [f"z[{j}]" for j in order] if len(order) <= 20 else False
    seaborn.heatmap(
        panel.importance[order], ax=axis, cmap="Greys", vmin=0, vmax=1, cbar=False, yticklabels=latents, rasterized=True
    )
    axis.set_title(panel.title, fontsize=NORMAL)
    axis.tick_params(length=0, labelrotation=0)
    axis.set_xticks(np.arange(len(panel.factors)) + 0.5, panel.factors, rotation=60, ha="right", fontsize=SMALL)


def _draw_traversal(axis: Axes, panel: Panel) -> None:
    scale = max(1, 32 // panel.traversed.shape[-1])
    strips = [pixels(frames, scale) for frames in panel.traversed]
    axis.imshow(np.concatenate(strips), interpolation="nearest")
    main = main_factor(panel.importance)
    for i, dim in enumerate(panel.dims):
        text = f"z[{dim}] {panel.factors[main[dim]]}"
        axis.text(-4, (i + 0.5) * len(strips[0]), text, ha="right", va="center", fontsize=SMALL)


def importance_panels(preset: Preset, runs: Path) -> list[Panel]:
    """A panel for every row of the benchmark whose importances were measured, in the preset's order."""
    files, panels = Files(preset, runs), []
    for contender in files.contenders:
        cell = files.shown(contender)
        if cell is None:
            continue
        extra = files.measured(cell).get("dci", {}).get("extra", {})
        if "importance" in extra:
            arrays, _ = files.arrays(cell, ("y", "y_names", "traversed", "traversed_dims"))
            shown = varying(columns(arrays["y"]))
            factors = tuple(str(arrays["y_names"].ravel()[j]) for j in shown)
            dims = tuple(int(dim) for dim in arrays.get("traversed_dims", ()))
            panels.append(
                Panel(_title(contender), np.array(extra["importance"]), factors, arrays.get("traversed"), dims)
            )
    return panels


def importance(preset: Preset, runs: Path) -> Figure:
    """Importances of latents for factors, and traversals of the latents that vary most, for every method."""
    panels = importance_panels(preset, runs)
    if not panels:
        return nothing("no data set of this preset has factors")
    figure = panels_figure(panels)
    headnote(figure, Files(preset, runs).missing("metrics"))
    return figure


def _title(contender: Contender) -> str:
    return f"{contender.label}\n{contender.data_title}"
