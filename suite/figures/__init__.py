"""Figures from saved arrays and logs: the same arrays give the same bytes."""

import json
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from paramrel.data import dataset
from paramrel.files import write_atomically
from paramrel.method import methods
from suite.captions import CAPTIONS
from suite.cells import Cell, cells, run_dir
from suite.config import Preset
from suite.evaluate import read_codes
from suite.names import codes_name
from suite.results import USE_FIGURES
from suite.strips import Strip, draw_flow, nothing, padded, show, strips_figure
from suite.tables import DASH, label
from suite.uses import USES

N_COLUMNS = 12
METADATA = {"png": {"Software": None}, "pdf": {"Creator": None, "Producer": None, "CreationDate": None}}
IMAGE_ROWS = (
    ("decoded", "z alone, one step"),
    ("generated", "drawn anew with own z"),
    ("generated_permuted", "drawn anew with another's z"),
    ("reconstructed", "all that is kept, own z"),
    ("reconstructed_permuted", "all that is kept, another's z"),
)


def colours() -> dict[str, tuple[float, float, float]]:
    """One colour-blind safe colour per method, the same in every figure."""
    names = sorted(methods())
    palette = sns.color_palette("colorblind", 10) + sns.color_palette("dark", 10)
    return dict(zip(names, palette, strict=False))


def first_seed(preset: Preset) -> list[Cell]:
    """The preset's cells of its first seed."""
    return [cell for cell in cells(preset) if cell.seed == preset.seeds[0]]


def _read(preset: Preset, runs: Path, cell: Cell) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """A cell's arrays, and why a trained method lacks others, by name; sanity rows need no reason."""
    arrays, skipped = read_codes(run_dir(runs, cell) / codes_name(preset.evaluate))
    return arrays, {name: f"{DASH} {reason}" for name, reason in skipped.items() if methods()[cell.method].trained}


def reconstructions(preset: Preset, runs: Path) -> Figure:
    """Held-out images and what each method makes of their codes; another image's code shows whether z matters."""
    strips: list[Strip] = []
    for cell in first_seed(preset):
        arrays, reasons = _read(preset, runs, cell)
        title = dataset(cell.dataset).title
        if (title, "source") not in [(head, text) for head, text, _ in strips]:
            strips.append((title, "source", arrays["x_test"][:N_COLUMNS]))
        head = label(cell.method, cell.variant)
        for name, text in IMAGE_ROWS:
            keeps_nothing_else = name.startswith("reconstructed") and np.array_equal(
                arrays.get("reconstructed"), arrays.get("decoded")
            )
            if name in arrays and not keeps_nothing_else:
                strips.append((head, text, arrays[name][:N_COLUMNS]))
                head = ""
            elif name in reasons and not name.endswith("permuted"):
                strips.append((head, text, reasons[name]))
                head = ""
    return strips_figure(strips)


def samples(preset: Preset, runs: Path) -> Figure:
    """Images drawn from each method's prior."""
    grids: list[tuple[str, np.ndarray | str]] = []
    for cell in first_seed(preset):
        arrays, reasons = _read(preset, runs, cell)
        shown = arrays | reasons
        if "samples" in shown:
            grids.append((f"{label(cell.method, cell.variant)}\n{dataset(cell.dataset).title}", shown["samples"]))
    if not grids:
        return nothing("no method of this preset samples")
    n_columns = min(4, len(grids))
    n_rows = -(-len(grids) // n_columns)
    figure, axes = plt.subplots(n_rows, n_columns, figsize=(1.8 * n_columns, 2.15 * n_rows), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (title, images) in zip(axes.flat, grids, strict=False):
        axis.set_title(title, fontsize=7)
        if isinstance(images, str):
            axis.text(0.5, 0.5, textwrap.fill(images, 24), ha="center", va="center", fontsize=6)
            continue
        rows = [
            np.concatenate(list(padded(images[i : i + 8])), axis=1) for i in range(0, len(images) - len(images) % 8, 8)
        ]
        show(axis, np.concatenate(rows, axis=0))
    figure.tight_layout()
    return figure


def training_curves(preset: Preset, runs: Path) -> Figure:
    """Losses against steps, a running mean over 25 steps, one thin line per seed."""
    frames = []
    for cell in cells(preset):
        lines = (run_dir(runs, cell) / "metrics.jsonl").read_text().splitlines()
        if lines:
            frame = pd.DataFrame([json.loads(line) for line in lines]).drop(columns=["step"])
            frames.append((cell, frame.rolling(25, min_periods=1).mean()))
    if not frames:
        return nothing("no method of this preset is trained")
    variants = list(dict.fromkeys((cell.dataset, cell.method, cell.variant) for cell, _ in frames))
    n_columns = min(4, len(variants))
    n_rows = -(-len(variants) // n_columns)
    figure, axes = plt.subplots(n_rows, n_columns, figsize=(2.0 * n_columns, 1.9 * n_rows), squeeze=False)
    styles = ("-", "--", ":", "-.")
    for axis in axes.flat[len(variants) :]:
        axis.set_axis_off()
    for axis, (data, name, variant) in zip(axes.flat, variants, strict=False):
        for cell, frame in frames:
            if (cell.dataset, cell.method, cell.variant) == (data, name, variant):
                terms = [
                    column for column in frame if column not in ("loss", "grad_norm") and not column.startswith("mmd")
                ]
                for style, term in zip(styles, terms, strict=False):
                    first = cell.seed == preset.seeds[0]
                    axis.plot(frame[term], style, color=colours()[name], lw=0.9, label=term if first else None)
        axis.set_title(f"{label(name, variant)}\n{dataset(data).title}", fontsize=7)
        axis.set_xlabel("step", fontsize=7)
        axis.tick_params(labelsize=6)
        axis.set_yscale("log")
        axis.legend(fontsize=6, frameon=False)
    for axis in axes[:, 0]:
        axis.set_ylabel("nats/image", fontsize=7)
    figure.tight_layout()
    return figure


def use_figure(use: str) -> Callable[[Preset, Path], Figure]:
    """The figure of a use: what every method makes of the first held-out images, or why it does not."""

    def draw(preset: Preset, runs: Path) -> Figure:
        strips: list[Strip] = []
        for cell in first_seed(preset):
            arrays, reasons = _read(preset, runs, cell)
            head = f"{label(cell.method, cell.variant)}\n{dataset(cell.dataset).title}"
            main = USES[use].arrays[0]
            if main in arrays:
                rows = USES[use].strips(arrays)
                strips += [(head if i == 0 else "", text, images) for i, (text, images) in enumerate(rows)]
            elif main in reasons:
                strips.append((head, "", reasons[main]))
        return strips_figure(strips) if strips else nothing("no method of this preset does this")

    return draw


def flow(preset: Preset, runs: Path) -> Figure:
    """The Bayesian flow at the pixel that varies most (Fig. 6): density of many draws, and some of them as lines."""
    shown = {}
    for cell in first_seed(preset):
        arrays = _read(preset, runs, cell)[0]
        if "flow_paths" in arrays:
            shown.setdefault((cell.dataset, cell.method), arrays)  # the variants of a method share its flow
    if not shown:
        return nothing("no method of this preset has a flow")
    figure, axes = plt.subplots(1, len(shown), figsize=(3.2 * len(shown), 2.4), squeeze=False)
    for axis, ((data, name), arrays) in zip(axes[0], shown.items(), strict=True):
        draw_flow(axis, arrays, f"{methods()[name].title}\n{dataset(data).title}")
    figure.tight_layout()
    return figure


@dataclass(frozen=True)
class FigureEntry:
    """One figure of a preset: its words and its maker."""

    caption: str
    """What is drawn, and which figure of the paper it corresponds to."""
    alt: str
    """What is plotted, for screen readers."""
    make: Callable[[Preset, Path], Figure]
    """The figure of a preset from the runs below a folder: the same files, the same figure."""


MAKERS: dict[str, Callable[[Preset, Path], Figure]] = {
    "reconstructions": reconstructions,
    "samples": samples,
    "training_curves": training_curves,
    "flow": flow,
}
MAKERS |= {figure: use_figure(use) for use, figure in USE_FIGURES.items() if figure not in MAKERS}

FIGURES: dict[str, FigureEntry] = {
    name: FigureEntry(caption.text, caption.alt, MAKERS[name]) for name, caption in CAPTIONS.items() if name in MAKERS
}
"""Figures of the workflow by the name of their files, in the order in which a report shows them."""


def save(figure: Figure, stem: Path, suffixes: tuple[str, ...] = ("png", "pdf")) -> None:
    """``stem``.png and .pdf without time stamps."""
    for suffix in suffixes:
        write_atomically(
            stem.with_suffix(f".{suffix}"),
            lambda temporary, suffix=suffix: figure.savefig(
                temporary, format=suffix, dpi=150, metadata=METADATA[suffix]
            ),
        )
    plt.close(figure)
