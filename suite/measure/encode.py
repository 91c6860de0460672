"""Everything that needs a trained model, once: codes, reconstructions, generated images, losses, as plain arrays."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from paramrel.checkpoint import load_weights
from paramrel.data import DataSet, Split, dataset
from paramrel.devices import choose_device, described, make_cuda_deterministic
from paramrel.errors import Unsupported, UserError
from paramrel.files import read_record, write_arrays, write_record
from paramrel.latent_usage import derangement, swapped_losses
from paramrel.method import Codes, Method
from paramrel.rng import Rng
from paramrel.settings import Runtime
from paramrel.uses import images_per_batch
from suite.graph.cells import Cell
from suite.graph.chain import check, made_of, packed
from suite.graph.config import Evaluate
from suite.graph.hashing import file_sha256
from suite.graph.names import codes_name, timing_name
from suite.measure.commit import code
from suite.measure.showcase import TIMES, Context, showcase

LOADED = 10_000
"""Images that are made float at a time."""
N_ATTENDED = 8
"""Held-out images of which it is kept what the decoder reads where: the first of those drawn."""
N_SHOWN = 64
"""Held-out images on which uses are shown: the first of those drawn."""


def encode(cell: Cell, evaluate: Evaluate, runtime: Runtime, run: Path) -> Path:
    """Write ``run``/codes-<hash>.npz from ``run``/model.safetensors, and beside it timing-<hash>.json.

    Arrays: z, z_std, z_sampled (N, d), y (N,) or (N, k) with y_names (k,), attributes (N, A) with attribute_names (A,)
    (not for classes) of the images that probes see; z_other_type (N, d) of the same images as another type of data;
    x_test, y_test (M, ...) and, where the method can: progressive_z (S, N, d) at flow times progressive_s (S,);
    decoded, reconstructed, reconstructed_permuted, generated, generated_permuted, sampled (M, C, H, W), loss_<kind> (P,
    M) at loss_points, nll_data and nll_kl (M,), of tables nll_columns (M, C) with column_classes (C,), 0 for continuous
    columns; probe_x, probe_y for class agreement; the arrays of ``suite.measure.showcase`` on the first 64 of x_test.
    Where the method cannot make NAME, skipped/NAME is the reason; so with token_attention (8, d, H, W) of the first of
    x_test. Apart from what must be the same, in timing-<hash>.json: seconds per image of ``generated``, None where
    there is none, which weights these are the codes of, and the commit that made them. Raises ``UserError`` where the
    data are no longer those of the training.
    """
    made_by = code()  # before the work, in which the checkout may change
    data, (model, device) = dataset(cell.dataset), trained(cell, runtime, run)
    said = made_of(run)
    _check_data(data, run / "run.json")
    rng = Rng((cell.seed, cell.dataset, "evaluate"), device)
    with torch.no_grad():
        images, seconds = _images(model, data, evaluate, rng)
        arrays = _codes(model, data, evaluate, rng) | images
        arrays |= _uses(model, data, arrays, evaluate, rng) | _attention(model, arrays, rng.at("attention"))
    path = run / codes_name(evaluate)
    write_arrays(path, arrays | packed(said))
    timing = {
        "sampling_seconds_per_image": seconds and round(seconds, 6),
        "sampling_steps": evaluate.sampling_steps,
        "device": device.type,
        "code": made_by,
    }
    write_record(run / timing_name(evaluate), timing | said | {"codes_sha256": file_sha256(path)})
    return path


def _check_data(data: DataSet, record: Path) -> None:
    """A set that is a choice of what lies in a folder may have changed since."""
    if record.exists() and read_record(record, "data_sha256")["data_sha256"] != data.fingerprint():
        raise UserError(
            f"{data.name} is no longer the data of {record.parent}: put its files back as they were, or remove that "
            f"folder "
            "and train again"
        )


def trained(cell: Cell, runtime: Runtime, run: Path) -> tuple[Method, torch.device]:
    """The trained method in evaluation mode, and the device it is on. Raises ``UserError`` if it is not trained, and if
    the weights are not what its training made."""
    if not (run / "model.safetensors").exists():
        raise UserError(f"{cell} is not trained ({run}/model.safetensors is missing): run paramrel train first")
    check(run, "model.safetensors", "run.json")
    torch.set_num_threads(runtime.threads)
    device = choose_device(runtime)
    if device.type == "cuda":
        make_cuda_deterministic()
    print(described(device, "fp32", runtime.threads), file=sys.stderr, flush=True)
    model = cell.build()
    load_weights(run / "model.safetensors", model)
    return model.to(device).eval(), device


def _codes(model: Method, data: DataSet, evaluate: Evaluate, rng: Rng) -> dict[str, np.ndarray]:
    """Codes, progressive codes, labels and attributes of the images that probes see."""
    splits: tuple[Split, ...] = ("train", "test") if data.probe_on == "all" else ("test",)
    codes, labels, seen, progressive = [], [], [], _Progressive(model, rng.at("progressive"))
    for split in splits:
        chosen = np.arange(data.size(split)) if evaluate.n_codes is None else drawn(data, split, evaluate.n_codes)
        for rows in np.array_split(chosen, -(-len(chosen) // LOADED)):
            images, part = data.evaluation_images(split, rows)
            for x in batches(model, images, rng.device):
                codes.append(_encoded(model, x))
                progressive.add(x)
            labels.append(part)
            seen.append((split, rows))
    z, y = torch.cat([c.mean for c in codes]), np.concatenate(labels)
    arrays = {"z": z.cpu().numpy(), "y": y, "y_names": np.array(data.label_names)}
    arrays |= progressive.arrays() | _other_type(model, data, seen, rng.device)
    attributes = data.attributes(y)
    if attributes is None:
        arrays |= _skipped("attributes", "attribute_names", reason="the data set has classes, no attributes")
    else:
        arrays |= {"attributes": attributes[0], "attribute_names": np.array(attributes[1])}
    if model.no_code is not None:
        del arrays["z"]
        return arrays | _skipped("z", "z_std", "z_sampled", reason=model.no_code)
    if codes[0].std is None:
        return arrays | _skipped("z_std", "z_sampled", reason="the code is deterministic")
    std = torch.cat([c.std for c in codes if c.std is not None])
    sampled = z + std * rng.normal("z sampled", tuple(z.shape))
    return arrays | {"z_std": std.cpu().numpy(), "z_sampled": sampled.cpu().numpy()}


def _encoded(model: Method, x: Tensor) -> Codes:
    """Codes of images; of no numbers, (N, 0), where the method has none: what asks it for images at codes says why
    not."""
    return model.encode(x) if model.no_code is None else Codes(torch.zeros(len(x), 0, device=x.device))


class _Progressive:
    """Codes z_s at every flow time of ``TIMES``, batch by batch."""

    def __init__(self, model: Method, rng: Rng) -> None:
        self.model, self.rng = model, rng
        self.parts: list[Tensor] = []
        self.reason: str | None = None

    def add(self, x: Tensor) -> None:
        if self.reason is None:
            at = self.rng.at(len(self.parts))
            try:
                self.parts.append(torch.stack([self.model.encode_at(x, s, at.at(f"s={s}")).mean.cpu() for s in TIMES]))
            except Unsupported as reason:
                self.reason = str(reason)

    def arrays(self) -> dict[str, np.ndarray]:
        if self.reason is not None:
            return _skipped("progressive_z", "progressive_s", reason=self.reason)
        return {"progressive_z": torch.cat(self.parts, 1).numpy(), "progressive_s": np.array(TIMES)}


def _other_type(
    model: Method, data: DataSet, seen: list[tuple[Split, np.ndarray]], device: torch.device
) -> dict[str, np.ndarray]:
    """Codes of the images ``seen``, rows of splits, as data of another type."""
    try:
        parts = (data.other_type(split, rows) for split, rows in seen)
        codes = [model.encode(x).mean for images in parts for x in batches(model, images, device)]
    except Unsupported as reason:
        return _skipped("z_other_type", reason=str(reason))
    return {"z_other_type": torch.cat(codes).cpu().numpy()}


def _uses(
    model: Method, data: DataSet, codes: dict[str, np.ndarray], evaluate: Evaluate, rng: Rng
) -> dict[str, np.ndarray]:
    """What ``suite.measure.showcase`` shows on the first images of x_test."""
    x = torch.from_numpy(codes["x_test"][:N_SHOWN]).float().to(rng.device)
    mean = std = torch.zeros(0, device=rng.device)
    if "z" in codes:
        z = torch.from_numpy(codes["z"]).to(rng.device)
        mean, std = z.mean(0), z.std(0)
    context = Context(model, x, mean, std, rng.at("uses"), evaluate.sampling_steps)
    arrays, reasons = showcase(context)
    missing = {f"skipped/{name}": np.array(reason) for name, reason in reasons.items()}
    return {name: _small(array, data) for name, array in arrays.items()} | missing


def _attention(model: Method, arrays: dict[str, np.ndarray], rng: Rng) -> dict[str, np.ndarray]:
    """What the decoder reads of each latent, float16."""
    x = torch.from_numpy(arrays["x_test"][:N_ATTENDED]).float().to(rng.device)
    try:
        return {"token_attention": model.attention(x, rng).half().cpu().numpy()}
    except Unsupported as reason:
        return _skipped("token_attention", reason=str(reason))


def _images(model: Method, data: DataSet, evaluate: Evaluate, rng: Rng) -> tuple[dict[str, np.ndarray], float | None]:
    """What the decoder makes of held-out images, as many samples, and the seconds per generated image."""
    x, labels = data.evaluation_images("test", drawn(data, "test", evaluate.n_images))
    probe_x, probe_y = data.evaluation_images("train", drawn(data, "train", evaluate.n_probe_images))
    arrays = {"x_test": x, "y_test": labels, "probe_x": probe_x, "probe_y": probe_y}
    arrays |= {"binary": np.array(True)} if data.binary else _skipped("binary", reason="the images are not binary")
    z = torch.cat([_encoded(model, batch).mean for batch in batches(model, x, rng.device)])
    moved = z[derangement(len(z), rng.at("permuted codes"))]
    steps = evaluate.sampling_steps
    generate = _batched(model, lambda x, z, at: model.generate(z, at, steps))
    sample = _batched(model, lambda x, z, at: model.sample(len(x), at, steps))
    reconstruct = _batched(model, lambda x, z, at: model.reconstruct(x, z))
    makers: dict[str, Callable[[], Tensor]] = {
        "decoded": lambda: _batched(model, lambda x, z, at: model.decode(z))(x, z, rng),
        "reconstructed": lambda: reconstruct(x, z, rng),
        "reconstructed_permuted": lambda: reconstruct(x, moved, rng),
        "generated": lambda: generate(x, z, rng.at("generate")),
        "generated_permuted": lambda: generate(x, moved, rng.at("generate")),
        "sampled": lambda: sample(x, z, rng.at("sampled")),
    }
    seconds: dict[str, float] = {}
    for name, make in makers.items():
        started = time.perf_counter()
        try:
            arrays[name] = _small(make().float().cpu().numpy(), data)
        except Unsupported as reason:
            arrays |= _skipped(name, reason=str(reason))
        else:
            seconds[name] = (time.perf_counter() - started) / len(x)
    return arrays | _losses(model, x, rng) | _likelihood(model, x, rng), seconds.get("generated")


def drawn(data: DataSet, split: Split, n: int) -> np.ndarray:
    """Rows of n images of a split, the same for every method and seed.

    Drawn, as the splits of some data sets are in the order of their labels.
    """
    names: dict[Split, str] = {"train": "probe images", "test": "held-out images"}
    return Rng((names[split], data.name)).permutation("images", data.size(split))[:n].numpy()


def _losses(model: Method, x: np.ndarray, rng: Rng) -> dict[str, np.ndarray]:
    names = ("own", "permuted", "mean", "prior")
    try:
        parts = [
            swapped_losses(model, batch, rng.at("usage", i)) for i, batch in enumerate(batches(model, x, rng.device))
        ]
    except Unsupported as reason:
        return _skipped("loss_points", *(f"loss_{name}" for name in names), reason=str(reason))
    joined = {f"loss_{name}": torch.cat([losses[name] for _, losses in parts], 1).cpu().numpy() for name in names}
    return joined | {"loss_points": np.array(parts[0][0])}


def _likelihood(model: Method, x: np.ndarray, rng: Rng) -> dict[str, np.ndarray]:
    try:
        parts = [model.nll(batch, rng.at("nll", i)) for i, batch in enumerate(batches(model, x, rng.device))]
    except Unsupported as reason:
        return _skipped("nll_data", "nll_kl", "nll_columns", reason=str(reason))
    names = ("nll_data", "nll_kl")
    arrays = {name: torch.cat([getattr(p, name[4:]) for p in parts]).cpu().numpy() for name in names}
    if model.data.columns and parts[0].channels is not None:
        arrays["nll_columns"] = torch.cat([p.channels for p in parts if p.channels is not None]).cpu().numpy()
        arrays["column_classes"] = np.array([column.n_classes or 0 for column in model.data.columns])
    return arrays


def batches(model: Method, images: np.ndarray, device: torch.device) -> list[Tensor]:
    """Images as methods take them, in batches of about equal size that fit into memory."""
    n_batches = -(-len(images) // images_per_batch(model))
    return [part.float().to(device) for part in torch.from_numpy(images).tensor_split(n_batches)]


def _batched(
    model: Method, make: Callable[[Tensor, Tensor, Rng], Tensor]
) -> Callable[[np.ndarray, Tensor, Rng], Tensor]:
    """``make`` on a batch at a time, each with a stream of its own."""

    def run(images: np.ndarray, z: Tensor, rng: Rng) -> Tensor:
        parts = batches(model, images, rng.device)
        pairs = zip(parts, z.tensor_split(len(parts)), strict=True)
        return torch.cat([make(x, codes, rng.at(i)) for i, (x, codes) in enumerate(pairs)])

    return run


def _small(array: np.ndarray, data: DataSet) -> np.ndarray:
    """uint8 in place of float32 where the data are binary and all values are 0 or 1."""
    return array.astype(np.uint8) if data.binary and np.isin(array, (0, 1)).all() else array


def _skipped(*names: str, reason: str) -> dict[str, np.ndarray]:
    return {f"skipped/{name}": np.array(reason) for name in names}
