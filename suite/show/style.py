"""How figures look: one colour and marker per method everywhere, sizes of type, files without time stamps."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from paramrel.files import write_atomically
from suite.show.tables import label

SMALL, NORMAL = 6, 7
"""Points. Nothing is smaller than 6 in print."""
COLUMN, PAGE = 3.4, 7.1
"""Inches: one column of a paper, and both."""
LETTER = 0.046
"""Inches: a letter of ``SMALL`` type, about."""
TALLEST = 12.0
"""Inches: higher figures go on in a further column."""
CHOSEN = {
    "ae": ("#56B4E9", "v"), "beta_vae": ("#E69F00", "<"), "diffae": ("#009E73", "^"), "encdiff": ("#00513B", ">"),
    "info_diffusion": ("#CC79A7", "P"), "info_vae": ("#D55E00", "s"), "paramrel_c": ("#0072B2", "o"),
    "paramrel_d": ("#7F3700", "D"), "paramrel_discretised": ("#003F63", "X"), "paramrel_mixed": ("#7B3F60", "v"),
    "vae": ("#A6A6A6", "<"), "columns": ("#000000", "^"), "ica": ("#808080", ">"), "pca": ("#8A6A1F", "P"),
    "pixels": ("#882255", "s"), "untrained": ("#44AA99", "o"), "bfn_c": ("#332288", "^"), "bfn_d": ("#999933", "D"),
    "bfn_discretised": ("#DDCC77", "X"),
}  # fmt: skip
"""Colours and markers of methods that are often shown together: Okabe and Ito's colours without yellow (too light on
white), darker shades of them, greys, some of Tol's. Colours that share a marker are told apart by everybody (a test).
A method that is not here gets a colour and a marker from its name."""
FURTHER = ("*", "d", "p", "h")
"""Markers of methods that are not in ``CHOSEN``."""
LINES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 4)))
FILLS = ("full", "open", "left", "right", "top")
"""Variants of a method: its colour and marker with another line and filling; six and five, so that thirty differ."""
SHADES = (("black", 0.0), ("black", 0.4), ("white", 0.4), ("black", 0.7), ("white", 0.6))
"""What is mixed into the colour of a method's first five variants, and how much; of the next five; and so on: without
lines twenty-five marks differ."""
METADATA = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "svg": {"Date": None},
}

matplotlib.rcParams.update(
    {
        "font.size": SMALL,
        "axes.titlesize": NORMAL,
        "axes.labelsize": SMALL,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "legend.fontsize": SMALL,
        "figure.dpi": 200,
        "savefig.dpi": "figure",
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "lines.linewidth": 1.0,
        "lines.markersize": 3.5,
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "pdf.fonttype": 42,
        "svg.fonttype": "none",
        "svg.hashsalt": "paramrel",
        "figure.constrained_layout.h_pad": 0.04,
        "figure.constrained_layout.w_pad": 0.04,
    }
)


@dataclass(frozen=True)
class Look:
    """A method's colour and marker, and a variant's line and filling."""

    colour: str
    marker: str
    line: Any = LINES[0]
    fill: str = FILLS[0]

    @property
    def mark(self) -> dict[str, Any]:
        """Marker options of ``plot``."""
        is_open = self.fill == "open"
        return {
            "marker": self.marker,
            "color": self.colour,
            "fillstyle": "full" if is_open else self.fill,
            "markerfacecolor": "white" if is_open else self.colour,
            "markerfacecoloralt": "white",
            "markeredgewidth": 0.7,
        }


@cache
def look_of(name: str) -> Look:
    """A method's look: chosen, or else from a hash of its name, so that a new method changes no other one's."""
    return Look(*CHOSEN[name]) if name in CHOSEN else derived(name)


def derived(name: str) -> Look:
    """A hue of the HUSL circle (equal saturation and lightness), and one of ``FURTHER``, from a hash of the name."""
    import seaborn  # slow, and seldom needed

    hashed = hashlib.sha256(name.encode()).digest()
    (colour,) = seaborn.husl_palette(1, h=hashed[0] / 256, s=0.9, l=0.5)
    return Look(to_hex(colour), FURTHER[hashed[1] % len(FURTHER)])


def look(name: str, order: int = 0) -> Look:
    """The look of a method's variant; ``order`` is its place among the variants."""
    base, shade = look_of(name), SHADES[order // len(FILLS) % len(SHADES)]
    return Look(shaded(base.colour, *shade), base.marker, LINES[order % len(LINES)], FILLS[order % len(FILLS)])


def shaded(colour: str, other: str, share: float) -> str:
    """A colour with a share of another in it."""
    if not share:
        return colour
    mixed = (1 - share) * np.array(to_rgb(colour)) + share * np.array(to_rgb(other))
    return to_hex((mixed[0], mixed[1], mixed[2]))


def broken(name: str, widest: int) -> str:
    """A method's name in lines: in one if that is at most ``widest`` letters; else its variant on a line of its own,
    and lines broken at blanks and underscores where they are longer."""
    if len(name) <= widest:
        return name
    lines = [""]
    for part in name.replace(" (", "\n(").replace("_", "_\0").replace(" ", " \0").split("\0"):
        fits = len((lines[-1] + part).split("\n")[-1]) <= widest
        lines = [*lines[:-1], lines[-1] + part] if fits else [*lines, part]
    return "\n".join(line.rstrip(" ") for line in lines if line)


def nothing(reason: str) -> Figure:
    """A small figure that says why it is empty."""
    figure = plt.figure(figsize=(COLUMN, 0.5))
    figure.text(0.5, 0.5, f"nothing to show: {reason}", ha="center", va="center", fontsize=NORMAL, wrap=True)
    return figure


def legend(figure: Figure, shown: Iterable[tuple[str, str, int]], *, lines: bool = False) -> None:
    """A legend below the figure of (method, variant, order), in the order of the table."""
    handles = []
    for name, variant, order in dict.fromkeys(shown):
        style = look(name, order)
        handles.append(Line2D([], [], ls=style.line if lines else "", label=label(name, variant), **style.mark))
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = max(1, int(figure.get_figwidth() / (0.45 + longest * LETTER)))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(columns, len(handles)), handlelength=2.4)


def _without_backgrounds(figure: Figure | SubFigure) -> None:
    for part in figure.subfigs:
        part.patch.set_visible(False)
        _without_backgrounds(part)


def save(figure: Figure, stem: Path, suffixes: tuple[str, ...] = ("png", "pdf")) -> None:
    """``stem``.png and .pdf without time stamps; closes the figure.

    Parts of a figure have no background of their own: the layout puts its corner at 0 in one run and at -0 in the next.
    """
    _without_backgrounds(figure)
    for suffix in suffixes:
        write_atomically(
            stem.with_suffix(f".{suffix}"),
            partial(figure.savefig, format=suffix, metadata=METADATA[suffix]),
        )
    plt.close(figure)
