"""One use of a trained cell's codes: a picture, and its arrays beside it."""

from pathlib import Path

import torch

from paramrel.data import dataset
from paramrel.errors import UserError
from paramrel.files import check_writable, write_arrays
from paramrel.rng import Rng
from suite.graph.cells import Cell, run_dir
from suite.graph.config import Preset
from suite.measure.encode import batches, drawn, trained
from suite.measure.showcase import USES, Context, showcase
from suite.show.strips import draw_flow, strips_page
from suite.show.style import COLUMN, plt, save
from suite.show.tables import label


def use_codes(use: str, cell: Cell, preset: Preset, runs: Path, out: Path, rows: range, n_steps: int) -> None:
    """Write ``out`` (.png or .pdf) and ``out``.npz of a use on the held-out images ``rows``, in the order in which
    ``suite.measure.encode`` draws them.

    Traversals are scaled by the spread of the codes of all held-out images. Raises ``UserError`` where the cell is
    not trained, cannot do this, or there are no such images.
    """
    data = dataset(cell.dataset)
    if rows.stop > data.size("test"):
        raise UserError(f"{cell.dataset} has {data.size('test')} held-out images, none up to {rows.stop}")
    check_writable(out.parent)
    model, device = trained(cell, preset.runtime, run_dir(runs, cell))
    images = data.evaluation_images("test", slice(None))[0]
    with torch.no_grad():
        z = torch.cat([model.encode(batch).mean for batch in batches(model, images, device)])
        chosen = drawn(data, "test", rows.stop)[rows.start :]
        x = torch.from_numpy(images[chosen]).float().to(device)
        rng = Rng((cell.seed, cell.dataset, "use"), device)
        arrays, reasons = showcase(Context(model, x, z.mean(0), z.std(0), rng, n_steps), (use,))
    if USES[use].arrays[0] not in arrays:
        raise UserError(f"{cell.method} cannot {use}: {reasons[USES[use].arrays[0]]}")
    title = f"{label(cell.method, cell.variant)}, seed {cell.seed}"
    if use == "flow":
        figure, axis = plt.subplots(figsize=(COLUMN, 2.4), layout="constrained")
        draw_flow(axis, arrays, title)
    else:
        figure = strips_page(data.title, title, USES[use].strips(arrays), cell.method)
    save(figure, out.with_suffix(""), (out.suffix[1:],))
    write_arrays(out.with_suffix(".npz"), arrays)
