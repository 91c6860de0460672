"""Dots, bars and matrices: every seed of every method, and what lies behind a number."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from metrics import metric
from paramrel.data import dataset
from suite.graph.config import Preset
from suite.show.figures._contenders import Contender, Files
from suite.show.figures.curves import grid, headnote
from suite.show.statistics import summarise
from suite.show.style import NORMAL, PAGE, SMALL, TALLEST, broken, legend, look, plt
from suite.show.tables import arrow

SEEDS = ("auroc", "accuracy", "agreement", "permuted_ratio", "dci", "tad")
"""Metrics of the figure of seeds; those without a value on a data set are left out there."""
LOGARITHMIC = ("permuted_ratio",)
"""Metrics that may spread over decades."""
MAX_LATENTS = 32
PANELS, MOST_PANELS = 6, 8
"""Matrices side by side, and how many in two rows; beyond these more rows."""
BEYOND = 20
"""Times the median from which on a point is named instead of shown: it would press all others together."""
NARROW = 12
"""Letters of a heading's line above a matrix."""
MATRIX, ROW = 3.3, 0.13
"""Inches: height of a matrix, and of a method's row."""


def _titled(name: str) -> str:
    """A metric's title with its unit and the better direction."""
    chosen = metric(name)
    unit = f" ({chosen.unit})" if chosen.unit and chosen.unit != chosen.title else ""
    return f"{chosen.title}{unit} {arrow(chosen.direction)}".strip()


def seeds(preset: Preset, runs: Path) -> Figure:
    """Every seed as a mark, the mean with its interval as a line: one row of panels per data set."""
    files = Files(preset, runs)
    measured = {c: [row for row in map(files.measured, c.cells) if row] for c in files.contenders}
    parts = []
    for data in files.datasets(files.contenders):
        mine = {c: rows for c, rows in measured.items() if c.dataset == data and rows}
        names = [name for name in SEEDS if any(name in row for rows in mine.values() for row in rows)]
        if names:
            parts.append((data, mine, names))
    if not parts:
        return files.nothing("no cell of this preset is measured", "metrics")
    heights = [0.55 + ROW * len(mine) for _, mine, _ in parts]
    n_columns = math.ceil(sum(heights) / (TALLEST - 0.5))
    n_rows = -(-len(parts) // n_columns)
    size = (PAGE * n_columns, max(heights) * n_rows + 0.1 if n_columns > 1 else sum(heights) + 0.1)
    figure = plt.figure(figsize=size, layout="constrained")
    columns = figure.subfigures(1, n_columns, squeeze=False)[0]
    panels = [
        part for i, column in enumerate(columns) for part in _stacked(column, heights[i * n_rows : (i + 1) * n_rows])
    ]
    for part, (data, mine, names) in zip(panels, parts, strict=True):
        part.suptitle(dataset(data).title, fontsize=NORMAL, weight="bold")
        axes = part.subplots(1, len(names), sharey=True, squeeze=False)[0]
        for axis, name in zip(axes, names, strict=True):
            _dots(axis, name, mine)
        axes[0].set_yticks(range(len(mine)), [contender.label for contender in mine])
        axes[0].set_ylim(len(mine) - 0.4, -0.6)
    headnote(figure, files.missing("metrics"))
    return figure


def _stacked(figure: Figure | SubFigure, heights: list[float]) -> list[SubFigure]:
    """Parts of a figure, one below the other."""
    return list(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])


def _dots(axis: plt.Axes, name: str, mine: dict[Contender, list[dict]]) -> None:
    """One metric: a row per method."""
    every = np.array([row[name]["value"] for rows in mine.values() for row in rows if name in row])
    decades = name in LOGARITHMIC and every.min() > 0 and every.max() > 10 * every.min()
    if decades:
        axis.set_xscale("log")
        wide = every.max() > 30 * every.min()  # so that numbers do not run into each other
        axis.xaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5), numticks=9))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter(NullFormatter())
    else:
        axis.xaxis.set_major_locator(MaxNLocator(3))
    by_chance = None
    for y, (contender, rows) in enumerate(mine.items()):
        values = np.array([row[name]["value"] for row in rows if name in row])
        by_chance = next((row[name]["chance"] for row in rows if name in row), by_chance)
        if not len(values):
            continue
        style, summary = look(*contender.key[::2]), summarise(values)
        if summary.half_width is not None:
            low, high = summary.mean - summary.half_width, summary.mean + summary.half_width
            low = max(low, values.min() / 2) if decades else low  # a t-interval may go below 0
            axis.plot([low, high], [y, y], color=style.colour, lw=1.2, alpha=0.9)
            axis.plot([summary.mean], [y], marker="|", ms=8, color=style.colour)
        axis.plot(values, np.full(len(values), y), ls="", alpha=0.75, **style.mark)
    axis.margins(x=0.08)
    low, high = axis.get_xlim()
    if by_chance is not None and low <= by_chance <= high:
        axis.axvline(by_chance, ls=":", color="0.4", lw=0.8)
    axis.set_xlim(low, high)  # chance does not widen it: methods lie close together
    axis.set_xlabel(_titled(name))
    axis.grid(axis="y", color="0.92", lw=0.5)
    axis.set_axisbelow(True)


def tad(preset: Preset, runs: Path) -> Figure:
    """Bars of TAD over the matrices of AUROC behind them; data sets side by side."""
    files = Files(preset, runs)
    found: dict[str, dict[Contender, list[dict]]] = {}
    for contender in files.contenders:
        rows = [row["tad"] for row in map(files.measured, contender.cells) if "tad" in row]
        if rows:
            found.setdefault(contender.dataset, {})[contender] = rows
    if not found:
        return files.nothing("no data set of this preset has attributes", "metrics")
    n_rows = [max(min(2, -(-len(mine) // PANELS)), -(-len(mine) // MOST_PANELS)) for mine in found.values()]
    height = max(0.6 + ROW * len(mine) + (MATRIX + 0.25) * n for mine, n in zip(found.values(), n_rows, strict=True))
    figure = plt.figure(figsize=(PAGE * len(found), height + 0.3), layout="constrained")
    parts = figure.subfigures(1, len(found), squeeze=False)[0]
    for part, (data, mine), n in zip(parts, found.items(), n_rows, strict=True):
        part.suptitle(dataset(data).title, fontsize=NORMAL, weight="bold")
        bars, matrices = _stacked(part, [0.5 + ROW * len(mine), (MATRIX + 0.25) * n])
        _bars(bars.subplots(), mine)
        _matrices(matrices, mine, n)
    headnote(figure, files.missing("metrics"))
    return figure


def _bars(axis: plt.Axes, mine: dict[Contender, list[dict]]) -> None:
    for y, (contender, rows) in enumerate(mine.items()):
        values = np.array([row["value"] for row in rows])
        captured = np.mean([_captured(row).sum() for row in rows])
        style = look(*contender.key[::2])
        axis.barh([y], [values.mean()], height=0.65, color=style.colour, alpha=0.45)
        axis.plot(values, np.full(len(values), y), ls="", **style.mark)
        axis.annotate(
            f"{captured:.3g} captured", (values.max(), y), xytext=(6, 0), textcoords="offset points", va="center"
        )
    axis.set_yticks(range(len(mine)), [contender.label for contender in mine])
    axis.set_ylim(len(mine) - 0.4, -0.6)
    axis.margins(x=0.12)
    axis.set_xlim(left=0)
    axis.set_xlabel(_titled("tad"))


def _captured(row: dict) -> np.ndarray:
    return np.array([attribute["captured"] for attribute in row["extra"]["attributes"]])


def _matrices(part: SubFigure, mine: dict[Contender, list[dict]], n_rows: int) -> None:
    """AUROC of every latent for every attribute, .5 white to 1 black; of the first seed that is there."""
    axes = part.subplots(n_rows, -(-len(mine) // n_rows), squeeze=False, sharey=True)
    for axis in axes.flat[len(mine) :]:
        axis.set_axis_off()
    for axis, (contender, rows) in zip(axes.flat, mine.items(), strict=False):
        names = [attribute["name"].replace("_", " ") for attribute in rows[0]["extra"]["attributes"]]
        auroc = np.array(rows[0]["extra"]["auroc"], float)
        best = np.argsort(-np.nan_to_num(auroc).max(0), kind="stable")[:MAX_LATENTS]
        shown = auroc[:, np.sort(best)] if auroc.shape[1] > MAX_LATENTS else auroc
        image = axis.imshow(shown, cmap="Greys", vmin=0.5, vmax=1, aspect="auto", interpolation="nearest")
        captured = np.flatnonzero(_captured(rows[0]))
        axis.plot(np.nan_to_num(shown).argmax(1)[captured], captured, ls="", marker="o", ms=1.8, color="#D55E00")
        step = -(-len(names) // int(MATRIX * 0.85 / 0.095))
        axis.set_yticks(range(0, len(names), step), names[::step])
        axis.tick_params(length=1.5)
        axis.xaxis.set_major_locator(MaxNLocator(2, integer=True))
        axis.set_title(broken(contender.label, NARROW), fontsize=SMALL)
        wide = auroc.shape[1] > MAX_LATENTS
        axis.set_xlabel(f"{MAX_LATENTS} of {auroc.shape[1]} latents" if wide else "latent")
    bar = part.colorbar(image, ax=axes, shrink=0.5, aspect=30, pad=0.01)
    bar.set_label("AUROC")


def rate_distortion(preset: Preset, runs: Path) -> Figure:
    """KL of the code against the data's part of the bound; dashed lines of the same bound."""

    def point(files: Files, cell) -> tuple[float, float] | None:
        arrays = files.arrays(cell, ("nll_kl", "nll_data"))[0]
        return (arrays["nll_kl"].mean(dtype=float), arrays["nll_data"].mean(dtype=float)) if len(arrays) == 2 else None

    labels = ("rate: KL of z to its prior (nats/image)", "distortion: data term (nats/image)")
    return _scatter(preset, runs, point, *labels, reads="codes", equal_sums=True)


def likelihood_auroc(preset: Preset, runs: Path) -> Figure:
    """AUROC of the probe against the likelihood bound."""

    def point(files: Files, cell) -> tuple[float, float] | None:
        rows = files.measured(cell)
        names = ("bits_per_dim", "auroc")
        return tuple(rows[name]["value"] for name in names) if all(name in rows for name in names) else None

    return _scatter(preset, runs, point, _titled("bits_per_dim"), _titled("auroc"), reads="metrics")


def _scatter(
    preset: Preset, runs: Path, point: Callable, x: str, y: str, *, reads: str, equal_sums: bool = False
) -> Figure:
    """A panel per data set, a mark per method and seed."""
    files = Files(preset, runs)
    found: dict[str, dict[Contender, np.ndarray]] = {}
    for contender in files.contenders:
        known = [at for cell in contender.cells if (at := point(files, cell)) is not None]
        if known:
            found.setdefault(contender.dataset, {})[contender] = np.array(known)
    if not found:
        return files.nothing("no method of this preset has a likelihood", reads)
    n_named = len({contender.key for mine in found.values() for contender in mine})
    figure, axes = grid(len(found), 2, 2.4, extra=0.3 + 0.06 * n_named, n_named=n_named)
    for axis, (data, mine) in zip(axes, found.items(), strict=False):
        far, title = beyond(mine), dataset(data).title
        for contender in far:
            mine = {other: its for other, its in mine.items() if other != contender}
        if far:
            said = [f"{c.label} at {points[:, 0].mean():.4g}, {points[:, 1].mean():.4g}" for c, points in far.items()]
            title += "\nbeyond the axes: " + "; ".join(said)
        for contender, points in mine.items():
            axis.plot(*points.T, ls="", ms=4.5, alpha=0.85, **look(*contender.key[::2]).mark)
        axis.margins(0.08)
        if equal_sums:
            _equal_sums(axis, np.concatenate(list(mine.values())).sum(1))
        axis.set(xlabel=x, ylabel=y)
        axis.set_title(title, fontsize=SMALL if far else NORMAL)
    legend(figure, [contender.key for mine in found.values() for contender in mine])
    headnote(figure, files.missing(reads))
    return figure


def beyond(mine: dict[Contender, np.ndarray]) -> dict[Contender, np.ndarray]:
    """The methods with a point (n, 2) of which a coordinate is more than ``BEYOND`` times the methods' median."""
    typical = np.median([np.abs(points).mean(0) for points in mine.values()], 0)
    return {
        c: points for c, points in mine.items() if (np.abs(points) > BEYOND * typical).any() and (typical > 0).all()
    }


def _equal_sums(axis: plt.Axes, sums: np.ndarray) -> None:
    """Dashed lines x + y = constant through the cloud."""
    left, right = max(axis.get_xlim()[0], -0.02 * axis.get_xlim()[1]), axis.get_xlim()[1]  # a rate is not below 0
    limits = axis.get_ylim()
    style: dict[str, Any] = {
        "color": "0.4",
        "fontsize": SMALL,
        "bbox": {"fc": "white", "ec": "none", "pad": 0.4},
        "zorder": 0.5,
    }
    for total in MaxNLocator(6).tick_values(sums.min(), sums.max()):
        axis.plot([left, right], [total - left, total - right], ls="--", color="0.8", lw=0.6, zorder=0)
        if total > 0 and left < total - limits[0] < right:
            axis.text(total - limits[0], limits[0], f"{total:g} nats", ha="center", va="bottom", **style)
        elif limits[0] < total - right < limits[1]:
            axis.text(right, total - right, f"{total:g} nats", ha="right", va="center", **style)
    axis.set(xlim=(left, right), ylim=limits)
