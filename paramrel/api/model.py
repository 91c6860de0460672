"""A trained model: train it on your images, keep it in a folder, and use its codes."""

import json
import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from paramrel import CODE_VERSION, uses
from paramrel.api._pixels import Layout, from_model, to_uint8
from paramrel.api._settings import sorted_out
from paramrel.api.sources import Images
from paramrel.checkpoint import load_weights, save_weights
from paramrel.data import DataSet
from paramrel.data._own import declared_images
from paramrel.errors import Unsupported, UserError
from paramrel.files import write_json
from paramrel.method import Method, method
from paramrel.rng import Rng
from paramrel.settings import Network, Runtime, Train
from paramrel.training import choose_device
from paramrel.training import train as train_method

FORMAT = 1
"""Of ``model.json``. A model of another format is refused."""
WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
N_MEASURED = 2_000
"""Training images whose codes tell how far latents spread, at most."""
Device = Literal["auto", "cpu", "cuda"]
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Model:
    """A trained method. Images go in as for ``paramrel.images`` and come out as float32 in [0, 1], in the order of axes
    of the images it was trained on. Every draw is a function of ``seed``; ``steps`` are the sampler's.

    What a method cannot do raises ``paramrel.errors.Unsupported`` with the reason.
    """

    trained: Method[Any]
    train: Train
    variant: str
    seed: int
    layout: Layout
    z_mean: Array
    """Mean (d,) of the codes of training images."""
    z_std: Array
    """Their standard deviation (d,)."""

    @property
    def data(self) -> DataSet:
        """Declaration of the images it was trained on; the images themselves only in the process that trained it."""
        return self.trained.data

    @property
    def device(self) -> torch.device:
        """The device of its weights."""
        return next((tensor.device for tensor in self.trained.state_dict().values()), torch.device("cpu"))

    def __repr__(self) -> str:
        side = "x".join(map(str, self.data.shape))
        return (
            f"Model({self.trained.name}, {self.variant}, {self.train.steps} steps, seed {self.seed}, images {side}, "
            f"{len(self.z_mean)} latents, on {self.device})"
        )

    def encode(self, images: Array) -> Array:
        """Codes (N, d), float32, without noise."""
        return self._in_batches(lambda x: self.trained.encode(x).mean, images)

    def decode(self, z: Array) -> Array:
        """Images from codes (N, d) alone, in one deterministic step."""
        return self._images(self.trained.decode, self._codes(z))

    def sample(self, n: int, seed: int = 0, steps: int = 50) -> Array:
        """n images from the prior."""
        check_counts(n=n, steps=steps)
        with torch.no_grad():
            made = self.trained.sample(n, self._rng("sample", seed), steps)
        return from_model(made.cpu().numpy(), self.layout)

    def generate(self, z: Array, seed: int = 0, steps: int = 50) -> Array:
        """One image for each code (N, d); what the code does not fix is drawn."""
        return self._images(
            lambda codes: self.trained.generate(codes, self._rng("generate", seed), steps), self._codes(z)
        )

    def reconstruct(self, images: Array, seed: int = 0, steps: int = 50) -> Array:
        """Images encoded (code, and subcode where the method has one) and rendered again."""
        return self._used(lambda x: uses.reconstruction(self.trained, x, self._rng("reconstruct", seed), steps), images)

    def traverse(
        self, images: Array, dims: Sequence[int] | None = None, n: int = 11, seed: int = 0, steps: int = 50
    ) -> Array:
        """Each latent of ``dims`` moved from -3 to 3 standard deviations around its mean in n stops, all else fixed:
        (N, len(dims), n, ...). None: the eight that vary most."""
        check_counts(n=n, steps=steps)
        if not len(self.z_mean):
            raise Unsupported(f"{self.trained.name} has no code")
        mean, std = (torch.from_numpy(part).to(self.device) for part in (self.z_mean, self.z_std))
        chosen = uses.busiest(std, 8) if dims is None else tuple(dims)
        wrong = [dim for dim in chosen if not 0 <= dim < len(std)]
        if wrong:
            raise UserError(f"dims: there is no latent {wrong[0]}; the code has {len(std)}, 0 to {len(std) - 1}")
        rng = self._rng("traverse", seed)
        return self._used(lambda x: uses.traversal(self.trained, x, chosen, mean, std, rng, steps, n), images)

    def interpolate(
        self, first: Array, second: Array, n: int = 9, kind: uses.Interpolation = "lerp", seed: int = 0, steps: int = 50
    ) -> Array:
        """n images from each of ``first`` to its partner in ``second``, ends included: (N, n, ...)."""
        check_counts(n=n, steps=steps)
        if kind not in get_args(uses.Interpolation):
            raise UserError(f"kind={kind!r}: give one of {', '.join(get_args(uses.Interpolation))}")
        a, b = self._tensor(first), self._tensor(second)
        if len(a) != len(b):
            raise UserError(f"{len(a)} first images but {len(b)} second ones: give pairs")
        with torch.no_grad():
            made = uses.interpolation(self.trained, a, b, n, self._rng("interpolate", seed), steps, kind)
        return from_model(made.cpu().numpy(), self.layout)

    def log_likelihood(self, images: Array, seed: int = 0) -> Array:
        """Lower bound on log p(x) in nats per image, (N,): one draw of code and flow time per image."""
        rng = self._rng("likelihood", seed)
        with torch.no_grad():
            parts = [-self.trained.nll(x, rng.at(i)).total.cpu() for i, x in enumerate(self._parts(images))]
        return torch.cat(parts).numpy()

    def save(self, folder: str | Path) -> Path:
        """Write weights and description into a folder (made if missing)."""
        path = Path(folder).expanduser()
        if path.exists() and not path.is_dir():
            raise UserError(f"{path} is a file: give a folder")
        path.mkdir(parents=True, exist_ok=True)
        save_weights(path / WEIGHTS, self.trained)
        write_json(path / DESCRIPTION, self.description())
        return path

    def description(self) -> dict[str, Any]:
        """What ``load`` needs beside the weights, as plain values."""
        return {
            "format": FORMAT,
            "method": self.trained.name,
            "method_version": self.trained.version,
            "code_version": CODE_VERSION,
            "variant": self.variant,
            "config": self.trained.config.recorded(),
            "network": self.trained.net.recorded(),
            "train": self.train.recorded(),
            "seed": self.seed,
            "data": {
                "name": self.data.name,
                "shape": list(self.data.shape),
                "binary": self.data.binary,
                "classes": list(self.data.class_names),
                "layout": self.layout,
            },
            "codes": {"mean": self.z_mean.tolist(), "std": self.z_std.tolist()},
            "versions": {
                "paramrel-benchmark": _installed(),
                "torch": torch.__version__,
                "python": platform.python_version(),
            },
        }

    @classmethod
    def load(cls, folder: str | Path, device: Device = "auto") -> "Model":
        """A model from the folder that ``save`` wrote; neither its images nor a parameter file are needed.

        Raises ``UserError`` where the folder holds none, where it is damaged, or of another version of the method.
        """
        path = Path(folder).expanduser()
        try:
            said = json.loads((path / DESCRIPTION).read_text())
            found = method(said["method"])
            known = said["format"], said["method_version"], said["code_version"]
            if known != (FORMAT, found.version, CODE_VERSION):
                raise UserError(f"{path} is a model of another version of {found.name}: train it again")
            declared = said["data"]
            data = declared_images(
                declared["name"], tuple(declared["shape"]), declared["binary"], tuple(declared["classes"]), {}
            )
            model = found(data, Network(**said["network"]), found.Config(**said["config"]))
            codes = (np.asarray(said["codes"][part], np.float32) for part in ("mean", "std"))
            settings = Train(**said["train"])
        except FileNotFoundError as error:
            raise UserError(
                f"{path} holds no model ({DESCRIPTION} is missing): give a folder that Model.save wrote"
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path / DESCRIPTION} is damaged ({error}): save the model again") from error
        load_weights(path / WEIGHTS, model)
        model.to(choose_device(_runtime(device))).eval()
        return cls(model, settings, said["variant"], said["seed"], declared["layout"], *codes)

    def _tensor(self, images: Array) -> Tensor:
        """Images as the method takes them, on its device. Raises ``UserError`` for another shape or other values."""
        values, _ = to_uint8(images, self.layout if np.ndim(images) == 4 and self.layout != "NHW" else None)
        if values.shape[1:] != self.data.shape:
            given, wanted = ("x".join(map(str, shape)) for shape in (values.shape[1:], self.data.shape))
            raise UserError(f"images are {given} (channels, height, width), the model was trained on {wanted}")
        if self.data.binary:
            if not np.isin(values, (0, 255)).all():
                raise UserError(
                    "the model was trained on binary images: give images of two values, such as images > 0.5"
                )
            values = values // 255
        # A plain order in memory, whatever the user's: the last bits of a convolution depend on it.
        stored = torch.from_numpy(np.ascontiguousarray(values)).clone(memory_format=torch.contiguous_format)
        return self.data.to_model(stored, Rng(("api",))).to(self.device)

    def _codes(self, z: Array) -> Tensor:
        codes = torch.as_tensor(np.asarray(z), dtype=torch.float32)
        if codes.ndim != 2 or codes.shape[1] != len(self.z_mean):
            raise UserError(f"codes must be (N, {len(self.z_mean)}), not {tuple(codes.shape)}")
        if not torch.isfinite(codes).all():
            raise UserError("codes hold NaN or infinity")
        return codes.to(self.device)

    def _rng(self, name: str, seed: int) -> Rng:
        return Rng((seed, self.data.name, name), self.device)

    def _parts(self, images: Array) -> list[Tensor]:
        return list(self._tensor(images).split(uses.images_per_batch(self.trained)))

    def _run(self, make: Callable[[Tensor], Tensor], x: Tensor) -> Array:
        with torch.no_grad():
            return make(x).float().cpu().numpy()

    def _in_batches(self, make: Callable[[Tensor], Tensor], images: Array) -> Array:
        return np.concatenate([self._run(make, part) for part in self._parts(images)])

    def _used(self, make: Callable[[Tensor], Tensor], images: Array) -> Array:
        return from_model(self._run(make, self._tensor(images)), self.layout)

    def _images(self, make: Callable[[Tensor], Tensor], codes: Tensor) -> Array:
        return from_model(self._run(make, codes), self.layout)


def train(
    name: str,
    images: Images,
    *,
    variant: str | None = None,
    steps: int = 2000,
    seed: int = 0,
    device: Device = "auto",
    threads: int | None = None,
    **settings: Any,
) -> Model:
    """Train the method ``name`` on images and return the model.

    ``settings`` are those of network, training and method by their names (``latent_dim=16``, ``learning_rate=1e-3``,
    ``theta_dropout=0.6``); ``variant`` is a row of the benchmark (``paramrel list methods``). Without them: a small
    U-Net on maps of at most 16x16, batches of 64, AdamW at .002 with half a cosine. The same images, settings and seed
    give the same weights on the same kind of machine and number of ``threads`` (None: as torch has them). Raises
    ``UserError`` for unknown names, with a suggestion, and for a method that cannot have such images, with the reason.
    """
    if not isinstance(images, Images):
        raise UserError(
            f"train takes what paramrel.images gives, not {type(images).__name__}: train(name, images(...))"
        )
    check_counts(steps=steps)
    if not isinstance(seed, int) or seed < 0:
        raise UserError(f"seed={seed}: give a whole number from 0 on")
    cls, data = method(name), images.data
    reason = cls.skip(data)
    if reason is not None:
        raise UserError(f"{name} does not run on {data.name}: {reason}")
    network, settled, config, chosen = sorted_out(cls, data, variant, steps, settings)
    model = cls(data, network, config)
    runtime = _runtime(device, threads=threads or torch.get_num_threads(), checkpoint_every=settled.steps + 1)
    with tempfile.TemporaryDirectory() as scratch:
        train_method(model, data, seed, settled, runtime, Path(scratch) / "run", Path(scratch) / "state")
        load_weights(Path(scratch) / "run" / WEIGHTS, model)
    model.eval()
    mean, std = _spread(model, data)
    return Model(model, settled, chosen, seed, images.layout, mean, std)


def check_counts(**counts: int) -> None:
    """Raises ``UserError`` unless every number is a whole one above 0."""
    for name, value in counts.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"{name}={value}: give a whole number above 0")


def _runtime(device: Device, **settings: int) -> Runtime:
    if device not in get_args(Device):
        raise UserError(f"device={device!r}: give one of {', '.join(get_args(Device))}")
    return Runtime(device=device, **settings)


def _spread(model: Method[Any], data: DataSet) -> tuple[Array, Array]:
    """Mean and standard deviation (d,) of the codes of training images."""
    device = next((tensor.device for tensor in model.state_dict().values()), torch.device("cpu"))
    rows = np.arange(min(N_MEASURED, data.size("train")))
    x = torch.from_numpy(data.evaluation_images("train", rows)[0]).float()
    try:
        with torch.no_grad():
            z = torch.cat([model.encode(part.to(device)).mean for part in x.split(uses.images_per_batch(model))]).cpu()
    except Unsupported:
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    return z.mean(0).numpy(), z.std(0, correction=0).numpy()


def _installed() -> str:
    try:
        return version("paramrel-benchmark")
    except PackageNotFoundError:
        return "not installed"
