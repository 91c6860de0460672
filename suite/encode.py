"""Everything that needs a trained model, once: codes, reconstructions, generated images, losses, as plain arrays."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from paramrel.checkpoint import load_weights
from paramrel.data import DataSet, dataset
from paramrel.errors import Unsupported
from paramrel.files import write_atomically
from paramrel.latent_usage import derangement, swapped_losses
from paramrel.method import Method
from paramrel.rng import Rng
from paramrel.settings import Runtime
from paramrel.training import choose_device, make_cuda_deterministic
from suite.cells import Cell
from suite.config import Evaluate
from suite.names import codes_name

CHUNK = 500
"""Images per forward pass."""
LOADED = 10_000
"""Images that are made float at a time."""
N_SAMPLES = 64

Arrays = dict[str, np.ndarray]


def encode(cell: Cell, evaluate: Evaluate, runtime: Runtime, run: Path) -> Path:
    """Write ``run``/codes-<hash>.npz from ``run``/model.safetensors.

    Arrays: z, z_std, z_sampled (N, d), y (N,) or (N, k) with y_names (k,), attributes (N, A) with attribute_names (A,)
    (not for classes) of the images that probes see; x_test, y_test (M, ...) and, where
    the method can: decoded, reconstructed, reconstructed_permuted, generated, generated_permuted (M, C, H, W),
    samples (64, C, H, W), loss_<kind> (P, M) at loss_points, nll_data and nll_kl (M,); probe_x, probe_y for class
    agreement. Where the method cannot make NAME, skipped/NAME is the reason.
    """
    torch.set_num_threads(runtime.threads)
    device = choose_device(runtime)
    if device.type == "cuda":
        make_cuda_deterministic()
    data, model = dataset(cell.dataset), cell.build()
    load_weights(run / "model.safetensors", model)
    model.to(device).eval()
    rng = Rng((cell.seed, cell.dataset, "evaluate"), device)
    with torch.no_grad():
        arrays = _codes(model, data, rng) | _images(model, data, evaluate, rng)
    path = run / codes_name(evaluate)
    write_atomically(path, lambda temporary: np.savez_compressed(temporary, **arrays))
    return path


def _codes(model: Method, data: DataSet, rng: Rng) -> Arrays:
    """Codes, labels and attributes of the images that probes see."""
    splits = ("train", "test") if data.probe_on == "all" else ("test",)
    codes, labels = [], []
    for split in splits:
        for rows in np.array_split(np.arange(data.size(split)), -(-data.size(split) // LOADED)):
            images, part = data.evaluation_images(split, rows)
            codes += [model.encode(x) for x in _chunks(images, rng.device)]
            labels.append(part)
    z, y = torch.cat([c.mean for c in codes]), np.concatenate(labels)
    arrays = {"z": z.cpu().numpy(), "y": y, "y_names": np.array(data.label_names)}
    attributes = data.attributes(y)
    if attributes is None:
        arrays |= _skipped("attributes", "attribute_names", reason="the data set has classes, no attributes")
    else:
        arrays |= {"attributes": attributes[0], "attribute_names": np.array(attributes[1])}
    if codes[0].std is None:
        return arrays | _skipped("z_std", "z_sampled", reason="the code is deterministic")
    std = torch.cat([c.std for c in codes])
    sampled = z + std * rng.normal("z sampled", tuple(z.shape))
    return arrays | {"z_std": std.cpu().numpy(), "z_sampled": sampled.cpu().numpy()}


def _images(model: Method, data: DataSet, evaluate: Evaluate, rng: Rng) -> Arrays:
    """What the decoder makes of held-out images."""
    x, labels = data.evaluation_images("test", slice(evaluate.n_images))
    chosen = Rng(("probe images", data.name)).permutation("images", data.size("train"))[: evaluate.n_probe_images]
    probe_x, probe_y = data.evaluation_images("train", chosen.numpy())
    arrays = {"x_test": x, "y_test": labels, "probe_x": probe_x, "probe_y": probe_y}
    arrays |= {"binary": np.array(True)} if data.binary else _skipped("binary", reason="the images are not binary")
    z = torch.cat([model.encode(batch).mean for batch in _chunks(x, rng.device)])
    moved = z[derangement(len(z), rng.at("permuted codes"))]
    steps = evaluate.sampling_steps
    generate = _chunked(lambda x, z, at: model.generate(z, at, steps))
    reconstruct = _chunked(lambda x, z, at: model.reconstruct(x, z))
    makers: dict[str, Callable[[], Tensor]] = {
        "decoded": lambda: _chunked(lambda x, z, at: model.decode(z))(x, z, rng),
        "reconstructed": lambda: reconstruct(x, z, rng),
        "reconstructed_permuted": lambda: reconstruct(x, moved, rng),
        "generated": lambda: generate(x, z, rng.at("generate")),
        "generated_permuted": lambda: generate(x, moved, rng.at("generate")),
        "samples": lambda: model.sample(N_SAMPLES, rng.at("sample"), steps),
    }
    for name, make in makers.items():
        try:
            arrays[name] = _compact(make(), data)
        except Unsupported as reason:
            arrays |= _skipped(name, reason=str(reason))
    return arrays | _losses(model, x, rng) | _likelihood(model, x, rng)


def _losses(model: Method, x: np.ndarray, rng: Rng) -> Arrays:
    names = ("own", "permuted", "mean", "prior")
    try:
        parts = [swapped_losses(model, batch, rng.at("usage", i)) for i, batch in enumerate(_chunks(x, rng.device))]
    except Unsupported as reason:
        return _skipped("loss_points", *(f"loss_{name}" for name in names), reason=str(reason))
    joined = {f"loss_{name}": torch.cat([losses[name] for _, losses in parts], 1).cpu().numpy() for name in names}
    return joined | {"loss_points": np.array(parts[0][0])}


def _likelihood(model: Method, x: np.ndarray, rng: Rng) -> Arrays:
    try:
        parts = [model.nll(batch, rng.at("nll", i)) for i, batch in enumerate(_chunks(x, rng.device))]
    except Unsupported as reason:
        return _skipped("nll_data", "nll_kl", reason=str(reason))
    return {name: torch.cat([getattr(p, name[4:]) for p in parts]).cpu().numpy() for name in ("nll_data", "nll_kl")}


def _chunks(images: np.ndarray, device: torch.device) -> list[Tensor]:
    """Images as methods take them, at most ``CHUNK`` at a time, in parts of about equal size."""
    return [part.float().to(device) for part in torch.from_numpy(images).tensor_split(-(-len(images) // CHUNK))]


def _chunked(make: Callable[[Tensor, Tensor, Rng], Tensor]) -> Callable[[np.ndarray, Tensor, Rng], Tensor]:
    """``make`` on at most ``CHUNK`` images at a time, each with a stream of its own."""

    def run(images: np.ndarray, z: Tensor, rng: Rng) -> Tensor:
        pairs = zip(_chunks(images, rng.device), z.tensor_split(-(-len(z) // CHUNK)), strict=True)
        return torch.cat([make(x, codes, rng.at(i)) for i, (x, codes) in enumerate(pairs)])

    return run


def _compact(images: Tensor, data: DataSet) -> np.ndarray:
    """uint8 where all values are 0 or 1, else float32."""
    array = images.float().cpu().numpy()
    return array.astype(np.uint8) if data.binary and np.isin(array, (0, 1)).all() else array


def _skipped(*names: str, reason: str) -> Arrays:
    return {f"skipped/{name}": np.array(reason) for name in names}
