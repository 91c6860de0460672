"""Frames for the report's explorer: a few held-out images with every latent moved, and with codes along the flow."""

from pathlib import Path

import numpy as np
import torch

from paramrel import uses
from paramrel.data import DataSet, dataset
from paramrel.errors import Unsupported
from paramrel.files import write_arrays
from paramrel.method import Method
from paramrel.rng import Rng
from paramrel.settings import Runtime
from suite.graph.cells import Cell
from suite.graph.chain import check_codes, made_of, packed
from suite.graph.config import Evaluate
from suite.graph.names import codes_name, explorer_name
from suite.measure.encode import trained
from suite.measure.evaluate import read_codes
from suite.measure.folded import folded
from suite.measure.showcase import N_STOPS, TIMES

N_SOURCES, MAX_DIMS, MAX_STEPS = 2, 64, 10


def explore(cell: Cell, evaluate: Evaluate, runtime: Runtime, run: Path) -> Path:
    """Write ``run``/explorer-<hash>.npz from the cell's weights and codes. Images are uint8, (..., C, H, W).

    ``source`` (n, ...) held-out images and ``source_labels`` (n,); ``own`` (n, ...) rendered from their own codes;
    ``traversed`` (n, k, 11, ...): latent ``dims`` (k,) at mean + (-3 ... 3) std of the codes that probes see, all
    else of the image fixed; ``own_at`` (n, k) where the image's own code lies, in those std; ``along`` (n, S, ...)
    from z_s at flow times ``along_s`` (S,), the subcode fixed. Where there is none, skipped/NAME is the reason. A
    sampler takes at most 10 steps. Of more than 64 latents, those that vary most.
    """
    check_codes(run / codes_name(evaluate))
    codes, _ = read_codes(run / codes_name(evaluate))
    said = made_of(run, run / codes_name(evaluate))
    (model, device), data = trained(cell, runtime, run), dataset(cell.dataset)
    x = torch.from_numpy(codes["x_test"][:N_SOURCES]).float().to(device)
    z = torch.from_numpy(codes["z"]).to(device)
    rng, n_steps = Rng((cell.seed, cell.dataset, "explorer"), device), min(evaluate.sampling_steps, MAX_STEPS)
    with torch.no_grad():
        arrays = frames(model, x, z.mean(0), z.std(0), rng, n_steps)
    arrays["source_labels"] = np.array([_label(data, y) for y in codes["y_test"][:N_SOURCES]])
    path = run / explorer_name(evaluate)
    write_arrays(path, arrays | packed(said))
    return path


def frames(
    model: Method, x: torch.Tensor, mean: torch.Tensor, std: torch.Tensor, rng: Rng, n_steps: int
) -> dict[str, np.ndarray]:
    """The arrays of ``explore`` but for the labels; ``mean`` and ``std`` (d,) of codes over the data."""
    arrays: dict[str, np.ndarray] = {"source": _bytes(x)}
    try:
        own = model.encode(x).mean
        dims = uses.busiest(std, MAX_DIMS)
        moved = uses.traversal(model, x, dims, mean, std, rng, n_steps, N_STOPS)
        arrays["own"] = _bytes(uses.reconstruction(model, x, rng.at("invert"), n_steps))  # the same subcode
        arrays |= {"traversed": _bytes(moved), "dims": np.array(dims)}
        arrays["own_at"] = ((own - mean) / std.clamp_min(1e-12))[:, list(dims)].cpu().numpy()
    except Unsupported as reason:
        arrays["skipped/traversed"] = np.array(str(reason))
    try:
        arrays["along"] = _bytes(uses.time_varying(model, x, TIMES, rng, n_steps))
        arrays["along_s"] = np.array(TIMES)
    except Unsupported as reason:
        arrays["skipped/along"] = np.array(str(reason))
    return arrays


def _bytes(images: torch.Tensor) -> np.ndarray:
    """Images in [0, 1] as uint8; rows of a table as squares of grey values."""
    values = (images.float().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    if values.shape[-2:] != (1, 1):
        return values
    squares = folded(values.reshape(-1, *values.shape[-3:]) / np.float32(255))
    return np.rint(squares * 255).astype(np.uint8).reshape(*values.shape[:-3], *squares.shape[1:])


def _label(data: DataSet, y: np.ndarray) -> str:
    """The labels of an image in words; of attributes, those that it has."""
    values = [names[int(value)] for names, value in zip(data.value_names, np.atleast_1d(y), strict=True)]
    if data.label_kind == "attributes":
        has = [name for name, value in zip(data.label_names, values, strict=True) if value == "yes"]
        return ", ".join(has) or "none of the attributes"
    return ", ".join(f"{name} {value}" for name, value in zip(data.label_names, values, strict=True))
