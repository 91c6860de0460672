"""Pictures: what methods make of images and of codes, one block of rows per method."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from metrics import Arrays
from paramrel.method import methods
from suite.graph.cells import Cell
from suite.graph.config import Preset
from suite.show.figures._contenders import Contender, Files
from suite.show.figures.latents import reading_order
from suite.show.strips import GAP, IMAGES, LABEL, TILE, Block, PageSizes, Strip, draw_flow, page, wrapped
from suite.show.style import COLUMN, plt

Strips = tuple[Strip, ...]

N_IMAGES = 11
"""Images in a row, at most."""
RECONSTRUCTIONS = {
    "decoded": "z alone, one step",
    "generated": "drawn anew, own z",
    "generated_permuted": "drawn anew, another's z",
    "reconstructed": "all that is kept, own z",
    "reconstructed_permuted": "all that is kept, another's z",
}
ROUND_TRIPS = {
    "round_trip": "z and subcode",
    "round_trip_permuted": "another's z, own subcode",
    "from_code": "z alone",
}
WITHOUT_SUBCODE = {"round_trip": "z alone", "round_trip_permuted": "another's z"}
DETAIL = PageSizes(label=0, tile=128)
WIDE = PageSizes(label=0, images=LABEL + IMAGES)
GRID = PageSizes(label=0, images=8 * (TILE + GAP), columns=3)
N_SAMPLES, N_DETAIL = 64, 5
N_ATTENDED = 4
BRIGHT = 4
"""Equal shares (1/d each) of a token that is shown at full brightness."""


def _first(images: np.ndarray) -> np.ndarray:
    """As many images as a row holds."""
    return images[: min(N_IMAGES, PageSizes().fits(images))]


def _page(
    preset: Preset,
    runs: Path,
    names: dict[str, str],
    rows: Callable[[Arrays], Strips],
    *,
    why: tuple[str, ...],
    source: bool = False,
    layout: PageSizes | None = None,
    nobody: str = "no method of this preset does this",
    also: Callable[[Files, Cell], Arrays] = lambda files, cell: {},
) -> Figure:
    """A block per method with ``rows`` of the arrays ``names``, and at a data set's end the reasons why methods lack
    those of ``why``; with ``source``, a row of the images themselves before. ``also`` is given to ``rows`` as well."""
    files = Files(preset, runs)
    blocks: list[Block] = []
    for data in files.datasets(files.contenders):
        mine = [contender for contender in files.contenders if contender.dataset == data]
        section = mine[0].data_title
        made: list[Block] = []
        reasons: dict[tuple[str, str], list[str]] = {}
        for contender in mine:
            cell = files.shown(contender)
            if cell is None:
                reasons.setdefault(("", "no codes: not trained, or failed"), []).append(contender.label)
                continue
            arrays, lacking = files.arrays(cell, (*names, "x_test"))
            if source and not made:
                made.append(Block(section, "", (Strip("source", (_first(arrays["x_test"]),)),)))
            found = rows({**arrays, **also(files, cell)})
            if found:
                made.append(_block(section, contender, found))
            for name in why:
                if name in lacking:
                    reasons.setdefault((names[name] if found else "", lacking[name]), []).append(contender.label)
        texts = [
            f"{', '.join(labels)}: {f'no “{row}”, ' if row else ''}{reason}."
            for (row, reason), labels in reasons.items()
        ]
        blocks += made if any(block.method for block in made) else []
        blocks += [Block(section, "", text=text) for text in texts]
    return page(blocks, layout) if any(block.rows for block in blocks) else files.nothing(nobody, "codes")


def _block(section: str, contender: Contender, rows: Strips) -> Block:
    return Block(section, contender.label, rows, contender.method, contender.order)


def reconstructions(preset: Preset, runs: Path) -> Figure:
    """Held-out images and what each method makes of their codes; another image's code shows whether z matters."""

    def rows(arrays: Arrays) -> Strips:
        kept = dict(RECONSTRUCTIONS)
        if "reconstructed" in arrays and np.array_equal(arrays["reconstructed"], arrays.get("decoded", ())):
            kept = {name: text for name, text in kept.items() if not name.startswith("reconstructed")}
        return tuple(Strip(text, (_first(arrays[name]),)) for name, text in kept.items() if name in arrays)

    return _page(preset, runs, RECONSTRUCTIONS, rows, why=("decoded", "generated", "reconstructed"), source=True)


def round_trips(preset: Preset, runs: Path) -> Figure:
    """Images to (z, subcode) and back."""

    def rows(arrays: Arrays) -> Strips:
        kept = ROUND_TRIPS if "subcode" in arrays else WITHOUT_SUBCODE
        return tuple(Strip(text, (_first(arrays[name]),)) for name, text in kept.items() if name in arrays)

    return _page(preset, runs, ROUND_TRIPS | {"subcode": ""}, rows, why=("round_trip", "from_code"), source=True)


def samples(preset: Preset, runs: Path) -> Figure:
    """Images drawn from each method's prior."""

    def rows(arrays: Arrays) -> Strips:
        if "samples" not in arrays:
            return ()
        images = arrays["samples"][:N_SAMPLES]
        n = min(8, GRID.fits(images))
        return tuple(Strip("", (images[i : i + n],)) for i in range(0, max(n, len(images) - len(images) % n), n))

    nobody = "no method of this preset samples"
    return _page(preset, runs, {"samples": "samples"}, rows, why=("samples",), layout=GRID, nobody=nobody)


def samples_detail(preset: Preset, runs: Path) -> Figure:
    """The first samples, enlarged."""

    def rows(arrays: Arrays) -> Strips:
        if "samples" not in arrays:
            return ()
        images = arrays["samples"][:N_DETAIL]
        return (Strip("", (images[: DETAIL.fits(images)],)),)

    nobody = "no method of this preset samples"
    return _page(preset, runs, {"samples": "samples"}, rows, why=("samples",), layout=DETAIL, nobody=nobody)


def generation(preset: Preset, runs: Path) -> Figure:
    """One part of an image's encoding kept, the other drawn."""

    def rows(arrays: Arrays) -> Strips:
        kept = {"fixed_z": "z kept", "fixed_subcode": "subcode kept"}
        ticks = ("x", "", "", "", "draws")
        return tuple(
            Strip(text if i == 0 else "", (arrays["x_test"][i : i + 1], images), ticks if not number and not i else ())
            for number, (name, text) in enumerate(kept.items())
            if name in arrays
            for i, images in enumerate(arrays[name][:2])
        )

    return _page(preset, runs, {"fixed_z": "", "fixed_subcode": ""}, rows, why=("fixed_z",))


def time_varying(preset: Preset, runs: Path) -> Figure:
    """Codes along the flow with one subcode."""

    def rows(arrays: Arrays) -> Strips:
        if "time_varying" not in arrays:
            return ()
        pairs = zip(arrays["time_varying"][:3], arrays["time_source"], strict=False)
        times = tuple(f"{s:g}" for s in arrays["progressive_s"])
        return tuple(
            Strip("z at flow time s" if i == 0 else "", (frames, x[None]), (*times, "x") if i == 0 else ())
            for i, (frames, x) in enumerate(pairs)
        )

    names = dict.fromkeys(("time_varying", "time_source", "progressive_s"), "")
    return _page(preset, runs, names, rows, why=("time_varying",))


def interpolation(preset: Preset, runs: Path) -> Figure:
    """From one image to another."""

    def rows(arrays: Arrays) -> Strips:
        if "interpolated" not in arrays:
            return ()
        a, b = np.array_split(arrays["x_test"][:16], 2)
        wanted = (("interpolated", 0, "lerp"), ("interpolated", 1, ""), ("interpolated_slerp", 0, "slerp"))
        n_frames = arrays["interpolated"].shape[1]
        ticks = ("a", *(f"{i / (n_frames - 1):.3g}".removeprefix("0") or "0" for i in range(n_frames)), "b")
        return tuple(
            Strip(text, (a[i : i + 1], arrays[name][i], b[i : i + 1]), ticks if number == 0 else ())
            for number, (name, i, text) in enumerate(wanted)
            if i < len(arrays[name])
        )

    names = {"interpolated": "", "interpolated_slerp": ""}
    return _page(preset, runs, names, rows, why=("interpolated",))


def traversal(preset: Preset, runs: Path) -> Figure:
    """One latent at a time from -3 to 3 standard deviations."""

    def rows(arrays: Arrays) -> Strips:
        if "traversed" not in arrays:
            return ()
        pairs = list(zip(arrays["traversed_dims"], arrays["traversed"], strict=True))
        half = [""] * (arrays["traversed"].shape[1] // 2 - 1)
        ticks = ("−3 std", *half, "mean", *half, "+3 std")
        return tuple(Strip(f"z[{dim}]", (frames,), ticks if i == 0 else ()) for i, (dim, frames) in enumerate(pairs))

    names = {"traversed": "", "traversed_dims": ""}
    return _page(preset, runs, names, rows, why=("traversed",))


def attention_image(image: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The image, then it as each token's readers see it: as bright as the token's share, fully from ``BRIGHT`` equal
    shares on. (C, H, W) and (d, H, W) to (d + 1, C, H, W) in [0, 1]."""
    return np.concatenate((image[None], image[None] * np.minimum(1, shares * len(shares) / BRIGHT)[:, None]))


def attention(preset: Preset, runs: Path) -> Figure:
    """What positions read which token, on a few held-out images."""

    def rows(arrays: Arrays) -> Strips:
        if "token_attention" not in arrays:
            return ()
        shares = arrays["token_attention"].astype(np.float32)
        order = reading_order(arrays["importance"]) if "importance" in arrays else np.arange(shares.shape[1])
        texts = ["x", *(str(j) for j in order)]
        shown = [attention_image(x, s[order]) for x, s in zip(arrays["x_test"][:N_ATTENDED], shares, strict=False)]
        return tuple(
            row for i, images in enumerate(shown) for row in wrapped("", images, WIDE, texts if i == 0 else ())
        )

    def importance(files: Files, cell: Cell) -> Arrays:
        found = files.measured(cell).get("dci", {}).get("extra", {})
        return {"importance": np.array(found["importance"])} if "importance" in found else {}

    nobody = "no method of this preset has a decoder that reads tokens"
    return _page(preset, runs, {"token_attention": ""}, rows, why=(), also=importance, layout=WIDE, nobody=nobody)


def flow(preset: Preset, runs: Path) -> Figure:
    """The Bayesian flow at the pixel that varies most: density of many draws, and some of them as lines."""
    files, shown = Files(preset, runs), {}
    for contender in files.contenders:
        cell = files.shown(contender)
        if cell is None or (contender.dataset, contender.method) in shown:
            continue  # the variants of a method share its flow
        arrays = files.arrays(cell, ("flow_paths", "flow_x"))[0]
        if "flow_paths" in arrays:
            shown[contender.dataset, contender.method] = (contender, arrays)
    if not shown:
        return files.nothing("no method of this preset has a flow", "codes")
    n_columns = min(2, len(shown))
    n_rows = -(-len(shown) // n_columns)
    figure, axes = plt.subplots(
        n_rows, n_columns, figsize=(COLUMN * n_columns, 2.2 * n_rows), squeeze=False, layout="constrained"
    )
    for axis in axes.flat[len(shown) :]:
        axis.set_axis_off()
    for axis, (contender, arrays) in zip(axes.flat, shown.values(), strict=False):
        draw_flow(axis, arrays, f"{methods()[contender.method].title}, {contender.data_title}")
    return figure
