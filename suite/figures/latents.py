"""Figures of what single latents stand for: importances and traversals side by side, and what each token's readers see."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metrics._labels import columns, varying
from suite.config import Preset
from suite.figures._files import Contender, Files
from suite.style import NORMAL, PAGE, SMALL, TALLEST, nothing, plt

PANELS_PER_ROW = 3
GAP = 1
"""Pixels between images."""
N_IMAGES = 4
"""Example images of a picture of attention."""


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
    figure, axes = plt.subplots(2 * n_rows, n_columns, figsize=size, squeeze=False, height_ratios=[2.0, 1.2] * n_rows)
    for axis in axes.flat:
        axis.set_axis_off()
    for i, panel in enumerate(panels):
        row, column = divmod(i, n_columns)
        _draw_importance(axes[2 * row, column], panel)
        if panel.traversed is not None:
            _draw_traversal(axes[2 * row + 1, column], panel)
    figure.tight_layout()
    return figure


def _draw_importance(axis: Axes, panel: Panel) -> None:
    order = reading_order(panel.importance)
    axis.set_axis_on()
    axis.imshow(panel.importance[order], cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axis.set_title(panel.title, fontsize=NORMAL)
    axis.set_xticks(range(len(panel.factors)), panel.factors, rotation=60, ha="right", fontsize=SMALL)
    axis.set_yticks(
        range(len(order)), [f"z[{j}]" for j in order] if len(order) <= 20 else [""] * len(order), fontsize=SMALL
    )
    axis.tick_params(length=0)


def _draw_traversal(axis: Axes, panel: Panel) -> None:
    _draw_sheet(axis, panel.traversed)
    height = panel.traversed.shape[3] + GAP
    main = main_factor(panel.importance)
    for i, dim in enumerate(panel.dims):
        text = f"z[{dim}]\n{panel.factors[main[dim]]}"
        axis.text(-1, (i + 0.5) * height, text, ha="right", va="center", fontsize=SMALL)


def sheet(rows: np.ndarray) -> np.ndarray:
    """Images (R, n, C, H, W) side by side, a row below the other, white between: (height, width, 3)."""
    r, n, c, h, w = rows.shape
    framed = np.ones((r, n, 3, h + GAP, w + GAP), np.float32)
    framed[..., :h, :w] = np.broadcast_to(rows, (r, n, 3, h, w)) if c == 1 else rows
    return framed.transpose(0, 3, 1, 4, 2).reshape(r * (h + GAP), n * (w + GAP), 3)[:-GAP, :-GAP]


def _draw_sheet(axis: Axes, rows: np.ndarray) -> None:
    axis.imshow(sheet(rows).clip(0, 1), interpolation="nearest")


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
    return panels_figure(panels) if panels else nothing("no data set of this preset has factors")


def attention_image(image: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The image, then it as each token's readers see it: brightness is the share of the token over its largest share
    among positions. (C, H, W) and (d, H, W) to (d + 1, C, H, W) in [0, 1]."""
    strength = shares / shares.max((1, 2), keepdims=True).clip(1e-12)
    return np.concatenate((image[None], image[None] * strength[:, None]))


def attention(preset: Preset, runs: Path) -> Figure:
    """What positions read which token, on a few held-out images, for every method whose decoder reads tokens."""
    files = Files(preset, runs)
    shown: list[tuple[str, np.ndarray]] = []
    for contender in files.contenders:
        cell = files.shown(contender)
        arrays = {} if cell is None else files.arrays(cell, ("x_test", "token_attention"))[0]
        if "token_attention" in arrays:
            pairs = zip(arrays["x_test"], arrays["token_attention"].astype(np.float32), strict=False)
            rows = [attention_image(image, shares) for image, shares in list(pairs)[:N_IMAGES]]
            shown.append((_title(contender), np.stack(rows)))
    if not shown:
        return nothing("no method of this preset has a decoder that reads tokens")
    heights = [len(rows) for _, rows in shown]
    widest = max(rows.shape[1] for _, rows in shown)
    figure, axes = plt.subplots(
        len(shown), 1, figsize=(min(0.42 * widest, PAGE), min(0.42 * sum(heights) + 0.3 * len(shown), TALLEST)), squeeze=False, height_ratios=heights
    )  # fmt: skip
    for axis, (title, rows) in zip(axes.flat, shown, strict=True):
        axis.set_axis_off()
        axis.set_title(f"{title}: image, then each token", fontsize=NORMAL, loc="left")
        _draw_sheet(axis, rows)
    figure.tight_layout()
    return figure


def _title(contender: Contender) -> str:
    return f"{contender.label}\n{contender.data_title}"
