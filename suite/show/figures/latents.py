"""What single latents stand for: importances for factors, and traversals below them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.figure import Figure

from suite.graph.config import Preset
from suite.show.figures._contenders import Files
from suite.show.figures.curves import headnote
from suite.show.strips import pixels
from suite.show.style import NORMAL, PAGE, SMALL, plt

COLUMNS = 3
"""Panels side by side; more where they would be too many rows."""
MATRIX, STRIP, TITLES = 2.3, 0.2, 0.75
"""Inches: height of a matrix, of a traversal, and of what is written around them."""
HIGHEST = 26.0
"""Inches: a higher figure gets more columns. More than a page, as panels in many columns could not be read on one."""
N_TRAVERSED = 6
"""Traversals of a panel, at most."""
MOST_NAMED = 20
"""Latents, and factors, that are named; of more, every so many."""


@dataclass(frozen=True)
class Panel:
    """One method: its name, the importances (d, k) of its latents for factors, and traversals of a few latents."""

    method: str
    title: str
    importance: np.ndarray
    factors: tuple[str, ...]
    traversed: np.ndarray | None = None
    """(T, frames, C, H, W) in [0, 1]."""
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


def leading(importance: np.ndarray, dims: tuple[int, ...], n: int) -> list[int]:
    """Up to n of the latents ``dims``: the most important one for each factor, the most important of these first, in
    the order of factors."""
    found: dict[int, int] = {}
    for dim in sorted(dims, key=lambda j: -importance[j].max()):
        found.setdefault(int(importance[dim].argmax()), dim)
    return [dim for _, dim in sorted(list(found.items())[:n])]


def places(panels: list[Panel], n_columns: int) -> list[tuple[int, int]]:
    """(row, column) of each panel: in order, but a method with several panels that fit into a row begins a new one."""
    found, at = [], 0
    for i, panel in enumerate(panels):
        n_own = sum(other.method == panel.method for other in panels)
        begins = i == 0 or panels[i - 1].method != panel.method
        if begins and n_own > 1 and at % n_columns + n_own > n_columns:
            at += -at % n_columns
        found.append(divmod(at, n_columns))
        at += 1
    return found


def panels_figure(panels: list[Panel]) -> Figure:
    """Importances above, traversals below, a column for each panel."""
    n_strips = max((len(panel.dims) for panel in panels if panel.traversed is not None), default=0)
    height = MATRIX + STRIP * n_strips + TITLES
    n_columns = min(COLUMNS, len(panels))
    while (n_rows := max(row for row, _ in places(panels, n_columns)) + 1) * height > HIGHEST and n_columns < len(
        panels
    ):
        n_columns += 1
    figure, axes = plt.subplots(
        2 * n_rows,
        n_columns,
        figsize=(PAGE / COLUMNS * n_columns, height * n_rows),
        squeeze=False,
        layout="constrained",
        height_ratios=[MATRIX, max(STRIP * n_strips, 0.01)] * n_rows,
    )
    for axis in axes.flat:
        axis.set_axis_off()
    largest = max(panel.importance.max() for panel in panels)
    for panel, (row, column) in zip(panels, places(panels, n_columns), strict=True):
        image = _draw_importance(axes[2 * row, column], panel, largest)
        if panel.traversed is not None:
            _draw_traversal(axes[2 * row + 1, column], panel)
    bar = figure.colorbar(image, ax=axes[:2], shrink=0.6, aspect=40, pad=0.01)
    bar.set_label("importance of the latent for the factor")
    return figure


def _draw_importance(axis: Axes, panel: Panel, largest: float) -> Collection:
    order, n_factors = reading_order(panel.importance), len(panel.factors)
    axis.set_axis_on()
    every, some = (-(-n // MOST_NAMED) for n in (len(order), n_factors))
    seaborn.heatmap(panel.importance[order], ax=axis, cmap="Greys", vmin=0, vmax=largest, cbar=False, rasterized=True)
    axis.set_title(panel.title, fontsize=NORMAL)
    axis.tick_params(length=0)
    axis.set_yticks(np.arange(0, len(order), every) + 0.5, [f"z[{j}]" for j in order[::every]], rotation=0)
    names = [name.replace("_", " ") for name in panel.factors[::some]]
    turned = {"rotation": 90} if some > 1 else {"rotation": 45, "ha": "right"}
    axis.set_xticks(np.arange(0, n_factors, some) + 0.5, names, fontsize=SMALL, **turned)
    for spine in axis.spines.values():
        spine.set_visible(True)
    return axis.collections[0]


def _draw_traversal(axis: Axes, panel: Panel) -> None:
    assert panel.traversed is not None
    scale = max(1, 32 // panel.traversed.shape[-1])
    strips = [pixels(frames, scale) for frames in panel.traversed]
    axis.imshow(np.concatenate(strips), interpolation="nearest")
    main = main_factor(panel.importance)
    for i, dim in enumerate(panel.dims):
        text = f"z[{dim}]: {panel.factors[main[dim]].replace('_', ' ')}"
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
            values = np.array(extra["importance"])
            title = f"{contender.label}\n{contender.data_title}"
            frames = files.frames(cell)
            if "traversed" not in frames:
                panels.append(Panel(contender.method, title, values, tuple(extra["factors"])))
                continue
            known = [int(dim) for dim in frames["dims"]]
            dims = leading(values, tuple(known), N_TRAVERSED)
            shown = frames["traversed"][0, [known.index(dim) for dim in dims]] / np.float32(255)
            panels.append(Panel(contender.method, title, values, tuple(extra["factors"]), shown, tuple(dims)))
    return panels


def importance(preset: Preset, runs: Path) -> Figure:
    """Importances of latents for factors, and traversals of the latents that matter most, for every method."""
    panels = importance_panels(preset, runs)
    if not panels:
        return Files(preset, runs).nothing("no data set of this preset has factors", "metrics")
    figure = panels_figure(panels)
    headnote(figure, Files(preset, runs).missing("metrics"))
    return figure
