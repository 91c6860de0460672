"""The training loop: batch, terms, backward, clip, step, EMA, log, atomic checkpoint."""

import json
import math
import signal
import sys
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from paramrel.checkpoint import Checkpoints, Progress, save_weights
from paramrel.data import DataSet
from paramrel.devices import choose_device, described, make_cuda_deterministic
from paramrel.errors import UserError
from paramrel.files import append_text, write_text
from paramrel.method import Method
from paramrel.networks import initialise
from paramrel.progress import progress
from paramrel.rng import Rng
from paramrel.settings import Precision, Runtime, Train

FIT_VALUES = 1 << 28
"""Most pixels that ``Method.fit`` and ``Method.finish`` are given (1 GiB as float32): a random part of the images of
larger sets."""

PART_VALUES = 1 << 26
"""Most pixels of them that are made at a time."""


class NotFinite(UserError):
    """A loss or a gradient became NaN or infinite."""


class Stopped(UserError):
    """SIGTERM or Ctrl-C: the state was saved; the same command goes on from it."""


def train(
    method: Method, data: DataSet, seed: int, settings: Train, runtime: Runtime, run: Path, state: Path, cell: str = ""
) -> float:
    """Train ``method`` and write ``run``/model.safetensors (averaged weights) and ``run``/metrics.jsonl.

    ``state`` holds the checkpoints, the one after the last step too (the caller removes it once the weights have been
    read); a killed run that is started again goes on from it, to bit-identical weights on the same machine. ``cell``:
    name of the training, kept with weights and checkpoints. Returns the seconds spent, earlier tries included. Raises
    ``NotFinite`` with step, term and last good checkpoint; ``Stopped`` on SIGTERM or Ctrl-C.
    """
    device = prepare(method, data, seed, runtime, settings.precision)
    if not method.trained:
        save_weights(run / "model.safetensors", method, cell)
        write_text(run / "metrics.jsonl", "")
        return 0.0
    rng = Rng((seed, data.name), device)
    images = torch.from_numpy(data.load("train").images)
    images = images.to(device) if fits(images, device) else images
    batches = Batches(len(images), settings.batch_size, Rng((seed, data.name, "order")), images.device)
    parameters = [p for p in method.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters, settings.learning_rate, settings.betas, weight_decay=settings.weight_decay, fused=True
    )
    ema = Average(method, settings.ema_decay)
    checkpoints = Checkpoints(state, cell)
    before = checkpoints.load(method, ema, optimiser)
    log = Log(checkpoints.log, before.step, checkpoints.last)
    if settings.compile:
        for network in method.children():
            network.compile()
    started = time.monotonic() - before.seconds
    method.train()
    with StopSignal() as stop:
        for step in progress(range(before.step, settings.steps), first=before.step, total=settings.steps):
            batch = data.to_model(images[batches.indices(step)].to(device), rng.at("data", step))
            batch = mirror_half(batch, rng.at("flip", step)) if settings.flip else batch
            with torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
                method.progress = step / settings.steps
                terms = method.loss(batch, rng.at("loss", step))
            optimiser.zero_grad(set_to_none=True)
            terms.total.backward()
            norm = torch.nn.utils.clip_grad_norm_(parameters, settings.clip_norm)
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(settings, step, batches.per_epoch)
            optimiser.step()
            ema.update(method, step)
            log.add(step, {"loss": terms.total.detach(), **terms.reported, "grad_norm": norm.detach()})
            done = step + 1
            stopping = stop.requested
            due = done % runtime.checkpoint_every == 0 or done == settings.steps or stopping
            if due or done % runtime.log_every == 0:
                log.flush()
            if due:
                checkpoints.save(Progress(done, time.monotonic() - started), method, ema, optimiser)
            if stopping:
                raise Stopped(f"stopped after step {done}; the same command goes on from {checkpoints.last}")
    ema.module.eval()
    if type(method).finish is not Method.finish:
        cast(Method, ema.module).finish(some_images(data, rng.at("finish")), rng.at("finish"))
    save_weights(run / "model.safetensors", ema.module, cell)
    write_text(run / "metrics.jsonl", log.path.read_text())
    return time.monotonic() - started


def prepare(method: Method, data: DataSet, seed: int, runtime: Runtime, precision: Precision = "fp32") -> torch.device:
    """Threads, determinism, first weights and closed-form parts; the method is moved to the returned device."""
    device = choose_device(runtime)
    torch.set_num_threads(runtime.threads)
    if device.type == "cuda":
        make_cuda_deterministic(precision)
    print(described(device, precision, runtime.threads), file=sys.stderr, flush=True)
    rng = Rng((seed, "init"))
    initialise(method, rng)
    if type(method).fit is not Method.fit:
        method.fit(some_images(data, rng.at("fit")), rng.at("fit"))
    method.to(device)
    return device


def some_images(data: DataSet, rng: Rng) -> np.ndarray:
    """The training images as evaluation sees them, (N, C, H, W): all, or of large sets as many as memory is for. A
    part at a time is made, so that what is needed on the way is small."""
    n, most = data.size("train"), FIT_VALUES // data.n_dims
    rows = np.arange(n) if n <= most else rng.permutation("images", n)[:most].sort().values.cpu().numpy()
    images = np.empty((len(rows), *data.shape), np.uint8 if data.binary else np.float32)
    n_parts = -(-images.size // PART_VALUES)
    for part in np.array_split(np.arange(len(rows)), n_parts):
        images[part] = data.evaluation_images("train", rows[part])[0]
    return images


def fits(images: Tensor, device: torch.device) -> bool:
    """Whether the uint8 images take less than a quarter of the device's free memory."""
    return device.type == "cpu" or images.nbytes < torch.cuda.mem_get_info(device)[0] / 4


class Batches:
    """Which images make up the batch of a step: a pure function of (seed, data set, step).

    Every epoch is a fresh order of all images, on the device that the images are on; the last, incomplete batch is
    dropped.
    """

    def __init__(self, n_images: int, batch_size: int, rng: Rng, device: str | torch.device = "cpu") -> None:
        if batch_size > n_images:
            raise UserError(f"batch_size {batch_size} is more than the {n_images} training images: lower it")
        self.n_images, self.batch_size, self.rng, self.device = n_images, batch_size, rng, device
        self.per_epoch = n_images // batch_size
        self.epoch, self.order = -1, torch.empty(0)

    def indices(self, step: int) -> Tensor:
        """Indices of the step's images, (batch_size,), int64."""
        epoch, position = divmod(step, self.per_epoch)
        if epoch != self.epoch:
            order = self.rng.at(epoch).permutation("images", self.n_images)
            self.epoch, self.order = epoch, order.to(self.device)
        return self.order[position * self.batch_size : (position + 1) * self.batch_size]


def mirror_half(images: Tensor, rng: Rng) -> Tensor:
    """Each of (N, C, H, W) mirrored left to right with probability 1/2."""
    chosen = rng.uniform("mirror", (len(images),)) < 0.5
    return torch.where(chosen[:, None, None, None], images.flip(-1), images)


def learning_rate(settings: Train, step: int, steps_per_epoch: int = 1) -> float:
    """Linear warm-up, then constant or half a cosine to 0: a pure function of the step (0-based)."""
    if settings.schedule == "infodiffusion":
        return settings.learning_rate * official_rate(step // steps_per_epoch, settings.steps / steps_per_epoch)
    warm = min(1.0, (step + 1) / settings.warmup_steps) if settings.warmup_steps else 1.0
    if settings.schedule == "constant":
        return settings.learning_rate * warm
    past = max(0, step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * past))


def official_rate(epoch: int, n_epochs: float) -> float:
    """Learning rate of an epoch (0-based) in the official InfoDiffusion code, in units of its nominal rate.

    1, then 2, then 2 (1 + cos(pi (epoch - 2)/n))/(1 + cos(pi/n)): one epoch of warm-up to twice the nominal rate, and
    a cosine that its scheduler starts an epoch late and a little above 2.
    """
    if epoch < 2:
        return 1.0 + epoch
    return 2 * (1 + math.cos(math.pi * (epoch - 2) / n_epochs)) / (1 + math.cos(math.pi / n_epochs))


class Average(AveragedModel):
    """Exponential moving average of the weights, with decay min(decay, (1 + n) / (10 + n)) after n averaged steps.

    n comes from the loop: torch's own update reads its counter from the device, which a GPU would be waited for.
    """

    def __init__(self, method: Method, decay: float) -> None:
        super().__init__(method)
        self.decay = decay

    @torch.no_grad()
    def update(self, method: Method, n: int) -> None:
        """Average the weights of ``method`` in; its buffers are taken as they are."""
        average: list[Tensor] = list(self.module.parameters())
        current: list[Tensor] = list(method.parameters())
        if n == 0:
            torch._foreach_copy_(average, current)
        else:
            torch._foreach_lerp_(average, current, 1 - min(self.decay, (1 + n) / (10 + n)))
        for kept, buffer in zip(self.module.buffers(), method.buffers(), strict=True):
            kept.copy_(buffer)
        self.n_averaged.fill_(n + 1)


class Log:
    """metrics.jsonl: one line per step. Values stay on the device until ``flush``, so that a GPU never waits."""

    def __init__(self, path: Path, first: int, checkpoint: Path) -> None:
        self.path, self.checkpoint = path, checkpoint
        self.pending: list[tuple[int, dict[str, Tensor]]] = []
        lines = path.read_text().splitlines() if path.exists() and first else []
        write_text(path, "".join(f"{line}\n" for line in lines[:first]))

    def add(self, step: int, terms: dict[str, Tensor]) -> None:
        self.pending.append((step, terms))

    def flush(self) -> None:
        """Write what is pending. Raises ``NotFinite`` at the first value that is NaN or infinite."""
        values = torch.stack([torch.stack(list(terms.values())) for _, terms in self.pending]).float().cpu().numpy()
        lines = []
        for (step, terms), row in zip(self.pending, values, strict=True):
            for term, value in zip(terms, row, strict=True):
                if not np.isfinite(value):
                    last = f"last good checkpoint: {self.checkpoint}"
                    raise NotFinite(
                        f"{term} is {value} at step {step}: lower the learning rate or clip_norm; "
                        f"{last if self.checkpoint.exists() else 'there is no checkpoint yet'}"
                    )
            numbers = {term: float(f"{value:.6g}") for term, value in zip(terms, row, strict=True)}
            lines.append(json.dumps({"step": step, **numbers}) + "\n")
        append_text(self.path, "".join(lines))
        self.pending.clear()


class StopSignal:
    """Turns SIGTERM and Ctrl-C into a request that the loop honours after its step."""

    def __init__(self) -> None:
        self.requested = False
        self.old: dict[int, Any] = {}

    def __enter__(self) -> "StopSignal":
        self.old = {number: signal.signal(number, self._request) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def _request(self, *_: object) -> None:
        self.requested = True

    def __exit__(self, *_: object) -> None:
        for number, handler in self.old.items():
            signal.signal(number, handler)
