"""Pages of small images with labels, and the flow picture: what several figures and commands draw.

Every image is shown with a whole number of device pixels per pixel, so that 8x8 digits stay squares.
"""

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from suite.measure.folded import folded
from suite.show.style import NORMAL, SMALL, TALLEST, look, plt

DPI = 300
LABEL, IMAGES, MARGIN = 240, 776, 40
"""Width of labels, of images and between columns of a page, in device pixels."""
TILE, GAP, PART_GAP, ROW_GAP = 64, 4, 12, 4
"""Side of an image, and what is left between images, between parts of a row, and above a row with a label."""
HEAD, SECTION, TICKS, TEXT_LINE, AFTER = 36, 58, 30, 30, 16
"""Heights of a block's title, a section's title, a row of ticks, a line of text, and the space after a block."""
GREY = 128
N_LINES = 8
"""Paths of a flow that are drawn as lines."""


@dataclass(frozen=True)
class Strip:
    """Images side by side, each part (n, C, H, W) in [0, 1], with a label at the left and ticks above the images."""

    label: str
    parts: tuple[np.ndarray, ...]
    ticks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Block:
    """Rows of one method, or a text, in a section (a data set)."""

    section: str
    head: str
    rows: tuple[Strip, ...] = ()
    method: str | None = None
    """Whose marker goes before the head."""
    order: int = 0
    """Of the variant."""
    text: str = ""


@dataclass(frozen=True)
class PageSizes:
    """Sizes of a page, in device pixels."""

    label: int = LABEL
    images: int = IMAGES
    tile: int = TILE
    columns: int | None = None
    """None: one, or two where there is enough for two; always more where two would be too high."""

    @property
    def width(self) -> int:
        return self.label + self.images

    def scale(self, images: np.ndarray) -> int:
        """Device pixels per pixel of images."""
        return max(1, self.tile // max(folded(images[:1]).shape[2:]))

    def fits(self, images: np.ndarray) -> int:
        """How many images fit into a row."""
        side = folded(images[:1]).shape[3] * self.scale(images)
        return max(1, self.images // (side + GAP))


def wrapped(
    label: str, images: np.ndarray, layout: PageSizes | None = None, ticks: Sequence[str] = ()
) -> tuple[Strip, ...]:
    """As few rows as hold the images, of equal length but for the last; each image with its tick."""
    n_rows = -(-len(images) // (layout or PageSizes()).fits(images))
    n = -(-len(images) // max(1, n_rows))
    return tuple(
        Strip(label if start == 0 else "", (images[start : start + n],), tuple(ticks[start : start + n]))
        for start in range(0, len(images), n)
    )


def page(blocks: Sequence[Block], layout: PageSizes | None = None) -> Figure:
    """The blocks from top to bottom, in as many columns as keep the figure under ``TALLEST``.

    A section is named where it begins and again at the top of a column.
    """
    layout = layout or PageSizes()
    columns = _columns(blocks, layout)
    height = max(_height(column, layout) for column in columns)
    width = len(columns) * layout.width + (len(columns) + 1) * MARGIN
    canvas = np.full((height + MARGIN, width, 3), 255, np.uint8)
    figure = plt.figure(figsize=(width / DPI, len(canvas) / DPI), dpi=DPI)
    axis = figure.add_axes((0, 0, 1, 1))
    for i, column in enumerate(columns):
        _draw_column(axis, canvas, column, MARGIN + i * (layout.width + MARGIN), layout)
    axis.imshow(canvas, extent=(0, width, len(canvas), 0), interpolation="nearest", aspect="auto", zorder=0)
    axis.set(xlim=(0, width), ylim=(len(canvas), 0))
    axis.set_axis_off()
    return figure


def _columns(blocks: Sequence[Block], layout: PageSizes) -> list[list[Block]]:
    """The blocks in columns of about the same height."""
    heights = [_block_height(block, layout) for block in blocks]
    total = sum(heights) + SECTION * len({block.section for block in blocks})
    n = layout.columns or (2 if total > 1000 and len(blocks) > 2 else 1)
    tallest = int(TALLEST * DPI) - 2 * MARGIN
    n = max(n, math.ceil(total / tallest))
    columns = [list(blocks)]
    for limit in range(total // n, tallest + 1, 10):
        columns = _filled(blocks, heights, limit)
        if len(columns) <= n:
            break
    return columns


def _filled(blocks: Sequence[Block], heights: Sequence[int], limit: int) -> list[list[Block]]:
    """Columns of at most ``limit`` (one block fits always); a section's title is part of its column."""
    columns: list[list[Block]] = []
    used, section = limit, None
    for block, height in zip(blocks, heights, strict=True):
        needed = height + (SECTION if block.section != section else 0)
        if used + needed > limit:
            columns.append([])
            used, needed = 0, height + SECTION
        columns[-1].append(block)
        used, section = used + needed, block.section
    return columns


def _height(blocks: Sequence[Block], layout: PageSizes) -> int:
    """Height of blocks in one column, section titles included."""
    titles = sum(i == 0 or blocks[i - 1].section != block.section for i, block in enumerate(blocks))
    return titles * SECTION + sum(_block_height(block, layout) for block in blocks)


def _block_height(block: Block, layout: PageSizes) -> int:
    rows = sum(_row_height(row, layout) for row in block.rows)
    return (HEAD if block.head else 0) + rows + TEXT_LINE * len(_lines(block, layout)) + AFTER


def _row_height(row: Strip, layout: PageSizes) -> int:
    images = row.parts[0]
    side = folded(images[:1]).shape[2] * layout.scale(images)
    return side + GAP + (ROW_GAP if row.label else 0) + (TICKS if row.ticks else 0)


def _lines(block: Block, layout: PageSizes) -> list[str]:
    return textwrap.wrap(block.text, int(layout.width / (0.52 * SMALL * DPI / 72))) if block.text else []


def _draw_column(axis: plt.Axes, canvas: np.ndarray, column: Sequence[Block], x: int, layout: PageSizes) -> None:
    y, section = 0, None
    for block in column:
        if block.section != section:
            section = block.section
            fits = layout.width / (0.68 * DPI / 72 * len(section))  # so that it ends before the next column
            axis.text(
                x, y + SECTION - 12, section, fontsize=max(SMALL, min(NORMAL + 0.5, fits)), weight="bold", va="baseline"
            )
            y += SECTION
        if block.head:
            at = x
            if block.method:
                axis.plot([x + 10], [y + 15], ms=4, ls="", **look(block.method, block.order).mark)
                at += 30
            axis.text(at, y + 25, block.head, fontsize=SMALL + 0.5, weight="bold", va="baseline")
            y += HEAD
        for row in block.rows:
            y = _draw_row(axis, canvas, row, x, y, layout)
        for line in _lines(block, layout):
            axis.text(x, y + 23, line, fontsize=SMALL, va="baseline", color="0.25")
            y += TEXT_LINE
        y += AFTER


def _draw_row(axis: plt.Axes, canvas: np.ndarray, row: Strip, x: int, y: int, layout: PageSizes) -> int:
    """Draws a row at y and returns where the next one begins."""
    left, ticks = x + layout.label, iter(row.ticks)
    y += (ROW_GAP if row.label else 0) + (TICKS if row.ticks else 0)
    for part in row.parts:
        strip = pixels(part, layout.scale(part))
        high, wide = strip.shape[:2]
        canvas[y : y + high, left : left + wide] = strip[:, : canvas.shape[1] - left]
        pitch = wide / len(part)
        for i, tick in zip(range(len(part)), ticks, strict=False):
            axis.text(left + (i + 0.5) * pitch, y - 6, tick, fontsize=SMALL, ha="center", va="baseline", color="0.35")
        left += wide + PART_GAP
    if row.label:
        text = textwrap.fill(row.label, 18)
        axis.text(x + layout.label - 10, y + high / 2, text, fontsize=SMALL, ha="right", va="center", linespacing=0.95)
    return y + high


def pixels(images: np.ndarray, scale: int) -> np.ndarray:
    """Images (n, C, H, W) in [0, 1] side by side, with grey between and around them, uint8 (H', W', 3)."""
    whole = np.clip(np.rint(folded(images).astype(np.float32) * 255), 0, 255).astype(np.uint8)
    whole = whole.transpose(0, 2, 3, 1)
    whole = np.repeat(whole, 3, axis=3) if whole.shape[3] == 1 else whole
    large = whole.repeat(scale, axis=1).repeat(scale, axis=2)
    edge = GAP // 2
    return np.concatenate(np.pad(large, ((0, 0), (edge, edge), (edge, edge), (0, 0)), constant_values=GREY), axis=1)


def strips_page(section: str, head: str, strips: Iterable[tuple[str, np.ndarray]], method: str) -> Figure:
    """One method's rows of images, (label, images) each."""
    rows = tuple(row for text, images in strips for row in wrapped(text, images))
    return page([Block(section, head, rows, method)])


def draw_flow(axis: plt.Axes, arrays: dict[str, np.ndarray], title: str) -> None:
    """Density of ``flow_paths`` (T + 1, n), scaled at each flow time, with some paths as lines.

    A line's colour is its pixel's value, dark for 0 and bright for 1.
    """
    paths, values = arrays["flow_paths"], arrays["flow_x"]
    times = np.linspace(0, 1, len(paths))
    low, high = np.quantile(paths, (0.002, 0.998))
    edges = np.linspace(low, high, 61)
    density = np.stack([np.histogram(np.clip(at, low, high), edges)[0] for at in paths], 1)
    axis.imshow(
        np.sqrt(density / density.max(0)),
        origin="lower",
        aspect="auto",
        extent=(0, 1, low, high),
        cmap="Greys",
        interpolation="nearest",
    )
    for path, value in zip(paths.T[:N_LINES], values[:N_LINES], strict=True):
        axis.plot(times, np.clip(path, low, high), lw=0.8, color=plt.get_cmap("viridis")(0.9 * float(value)))
    axis.set(title=title, xlabel="flow time u (0: prior, 1: data)", ylabel="theta, as the networks see it")
