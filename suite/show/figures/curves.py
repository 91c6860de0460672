"""Curves: metrics along the flow, losses along the training."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from metrics import metrics
from paramrel.data import dataset
from suite.graph.config import Preset
from suite.show.figures._contenders import Contender, Files
from suite.show.statistics import summarise
from suite.show.style import COLUMN, PAGE, SMALL, TALLEST, broken, legend, look, plt

TERMS = (("-", "data term"), ("--", "KL of z"), (":", "latent diffusion"))
FIRST = ("auroc_progressive",)
"""Metrics whose curves come first; others follow by name."""
WIDEST = 31
"""Letters of a heading's line above a training."""
MANY = 16
"""Names of a legend that a column of a paper still has room for."""
SMOOTHING = 25
"""Logged steps of a running mean."""


def headnote(figure: Figure, text: str) -> None:
    """What is missing, over a figure with a constrained layout."""
    if text:
        width = int(figure.get_figwidth() * 72 / (0.53 * SMALL))
        figure.suptitle(textwrap.fill(text, width), fontsize=SMALL, color="0.3")


def progressive(preset: Preset, runs: Path) -> Figure:
    """Every metric that keeps a curve over s, with a band over seeds."""
    files = Files(preset, runs)
    found: dict[tuple[str, str], dict[Contender, list[dict]]] = {}
    for contender in files.contenders:
        for cell in contender.cells:
            for name, row in files.measured(cell).items():
                if "curve" in row["extra"] and "s" in row["extra"]:
                    found.setdefault((name, contender.dataset), {}).setdefault(contender, []).append(row)
    if not found:
        return files.nothing("no metric of codes along a flow is measured in this preset", "metrics")
    shown = sorted({name for name, _ in found}, key=lambda name: (name not in FIRST, name))
    data = files.datasets(contender for panel in found.values() for contender in panel)
    panels = [(name, chosen) for chosen in data for name in shown if (name, chosen) in found]
    n_named = len({contender.key for panel in panels for contender in found[panel]})
    figure, axes = grid(len(panels), 2, 1.9, extra=max(0.5, 0.045 * n_named), n_named=n_named)
    for axis, panel in zip(axes, panels, strict=False):
        _progressive(axis, *panel, found[panel])
    legend(figure, [contender.key for panel in panels for contender in found[panel]], lines=True)
    headnote(figure, files.missing("metrics"))
    return figure


def _progressive(axis: plt.Axes, name: str, data: str, found: dict[Contender, list[dict]]) -> None:
    metric = metrics()[name]
    for contender, rows in found.items():
        style, s = look(*contender.key[::2]), rows[0]["extra"]["s"]
        summaries = [summarise(np.array(at)) for at in zip(*(row["extra"]["curve"] for row in rows), strict=True)]
        means = np.array([summary.mean for summary in summaries])
        axis.plot(s, means, ls=style.line, **style.mark)
        if len(rows) > 1:
            half = np.array([summary.half_width for summary in summaries])
            axis.fill_between(s, means - half, means + half, color=style.colour, alpha=0.18, lw=0)
    by_chance = next((row["chance"] for rows in found.values() for row in rows if row["chance"] is not None), None)
    if by_chance is not None:
        axis.axhline(by_chance, ls=":", color="0.4", lw=0.8)
    title = getattr(metric, "of", metric).title
    axis.set(xlabel="flow time s of the code z_s", ylabel=title, title=dataset(data).title, xlim=(0, 1.03))


def training_curves(preset: Preset, runs: Path) -> Figure:
    """Terms of the objective against steps, a thin line per seed."""
    files = Files(preset, runs)
    logs = {contender: [log for log in map(files.log, contender.cells) if len(log)] for contender in files.contenders}
    logs = {contender: found for contender, found in logs.items() if found}
    if not logs:
        return files.nothing("no method of this preset is trained", "log")
    figure, axes = grid(len(logs), 4, 1.55, width=PAGE / 4, extra=0.3)
    layout = axes[0].get_gridspec()
    assert layout is not None, "axes of a grid have one"
    used, columns = set(), layout.ncols
    for i, (axis, (contender, found)) in enumerate(zip(axes, logs.items(), strict=False)):
        used |= _training(axis, contender, found)
        axis.set_title(f"{broken(contender.label, WIDEST)}\n{contender.data_title}", fontsize=SMALL)
        axis.set_xlabel("step" if i >= len(logs) - columns else "")
        axis.set_ylabel("nats or error, per image" if i % columns == 0 else "")
    handles = [Line2D([], [], ls=style, color="0.2", label=text) for style, text in TERMS if style in used]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    headnote(figure, files.missing("log"))
    return figure


def _training(axis: plt.Axes, contender: Contender, logs: Sequence[pd.DataFrame]) -> set[str]:
    """Draws one panel and returns the line styles that it has."""
    colour, used, values = look(contender.method).colour, set(), []
    for log in logs:
        for term in log.columns.difference(["step", "loss", "grad_norm"], sort=False):
            if term.startswith("mmd"):
                continue  # it has no unit
            style = {"kl": "--", "latent": ":"}.get(term, "-")
            smooth = log[term].rolling(SMOOTHING, min_periods=1).mean()
            axis.plot(log["step"], smooth, ls=style, color=colour, lw=0.8)
            used.add(style)
            values.append(smooth[smooth > 0])
    positive = pd.concat(values)
    axis.set_yscale("log")
    # whole decades, so that no minor tick needs a number
    axis.set_ylim(10 ** math.floor(math.log10(positive.min())), 10 ** math.ceil(math.log10(positive.max()) + 1e-9))
    axis.yaxis.set_major_locator(LogLocator(numticks=5))
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.xaxis.set_major_locator(MaxNLocator(3))
    return used


def grid(
    n: int, columns: int, height: float, *, width: float = COLUMN, extra: float = 0.0, n_named: int = 0
) -> tuple[Figure, list[plt.Axes]]:
    """A figure of n panels of ``width`` x ``height`` inches and their axes in order: ``columns`` side by side, or more
    where they would be too many rows. ``extra`` is room for a legend, of ``n_named`` names: with many of them one panel
    is as wide as a page, or a legend of one column would take its height."""
    columns = min(n, max(columns, math.ceil(n / int((TALLEST - extra) / height))))
    rows = -(-n // columns)
    narrowest = PAGE if n_named > MANY else COLUMN
    size = (max(width * columns, narrowest), height * rows + extra)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for axis in axes.flat[n:]:
        axis.set_axis_off()
    return figure, list(axes.flat)
