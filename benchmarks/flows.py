"""Speed and memory of ParamReL over each flow: ``python benchmarks/flows.py [--device cpu|cuda] [--channels 16]``.

For 8x8 and 28x28 images and every precision: images per second of a training step (loss, backward, clipping, AdamW,
average of the weights; as in ``paramrel.training``) and of ancestral samples, with the peak memory of each. Every
number comes from a process of its own, so that peaks do not mix; "MiB before" is what torch and the weights take of
them. Images are drawn at random: no data files are needed. Printed, never asserted.
"""

import argparse
import itertools
import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import torch

from paramrel.data import DataSet
from paramrel.method import Method, method
from paramrel.networks import initialise, n_parameters
from paramrel.rng import Rng
from paramrel.settings import Network
from paramrel.training import Average

FLOWS = {"paramrel_d": (2, "discrete"), "paramrel_c": (16, "discretised"), "paramrel_discretised": (16, "discretised")}
"""Bins and kind of data of every flow."""


class Noise(DataSet):
    """Random images: only their shape and their bins count here."""

    name = title = source = licence = "noise"
    levels = 255

    def __init__(self, side: int, bins: int, kind: str) -> None:
        self.shape, self.bins, self.kind = (1, side, side), bins, kind
        self.binarise = "threshold" if bins == 2 else "no"

    def load(self, split: str) -> None:
        raise NotImplementedError

    def draw(self, n: int, rng: Rng) -> torch.Tensor:
        stored = (rng.uniform("noise", (n, *self.shape)) * 256).to(torch.uint8)
        return self.to_model(stored, rng)


def reason_against(device: str, precision: str) -> str | None:
    """Why this machine cannot run a row, or None."""
    if device == "cuda" and not torch.cuda.is_available():
        return "torch sees no GPU"
    if device == "cuda" and precision == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return f"{torch.cuda.get_device_name()} has no bf16"
    return None


def seconds_per_call(call: Callable[[int], object], device: str, seconds: float) -> float:
    """Mean time of a call after two that warm up; at least three are measured."""

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    for i in range(2):
        call(i)
    wait()
    started, n = time.perf_counter(), 0
    while n < 3 or time.perf_counter() - started < seconds:
        call(n)
        n += 1
        if device == "cuda" and n % 10 == 0:
            wait()
    wait()
    return (time.perf_counter() - started) / n


def peak_mib(device: str) -> float:
    """Largest memory so far: of the GPU's tensors, or of this process."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def trainer(model: Method, data: Noise, batch: int, rng: Rng, precision: str) -> Callable[[int], None]:
    """One step of the training loop."""
    parameters = list(model.parameters())
    optimiser = torch.optim.AdamW(parameters, 1e-3, fused=True)
    average = Average(model, 0.9999)
    images = data.draw(batch, rng)

    def step(i: int) -> None:
        with torch.autocast(rng.device.type, torch.bfloat16, enabled=precision == "bf16"):
            terms = model.loss(images, rng.at(i))
        optimiser.zero_grad(set_to_none=True)
        terms.total.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step()
        average.update(model, i)

    return step


def sampler(model: Method, batch: int, n_steps: int, rng: Rng, precision: str) -> Callable[[int], None]:
    """Ancestral samples from the prior."""

    def sample(i: int) -> None:
        with torch.no_grad(), torch.autocast(rng.device.type, torch.bfloat16, enabled=precision == "bf16"):
            model.sample(batch, rng.at(i), n_steps)

    return sample


def measure(
    name: str, side: int, precision: str, phase: str, options: argparse.Namespace
) -> tuple[int, float, float, float]:
    """Parameters, images per second, MiB before and at the peak of a phase; for a process of its own."""
    torch.set_num_threads(options.threads)
    rng = Rng(("benchmark",), torch.device(options.device))
    cls, data = method(name), Noise(side, *FLOWS[name])
    net = Network(channels=options.channels, multipliers=(1, 2, 4), blocks=1, groups=8, latent_dim=32)
    model = cls(data, net, cls.Config(**cls.variants["ahead"]))
    initialise(model, Rng(("benchmark",)))
    model.to(rng.device)
    before = peak_mib(options.device)
    if phase == "training":
        call = trainer(model, data, options.batch, rng, precision)
    else:
        call = sampler(model.eval(), options.batch, options.steps, rng, precision)
    rate = options.batch / seconds_per_call(call, options.device, options.seconds)
    return n_parameters(model), rate, before, peak_mib(options.device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--flows", nargs="+", choices=FLOWS, default=list(FLOWS))
    parser.add_argument("--sides", type=int, nargs="+", default=[8, 28])
    parser.add_argument("--precisions", nargs="+", choices=("fp32", "bf16"), default=["fp32", "bf16"])
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=20, help="of the sampler")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0, help="measured per number")
    options = parser.parse_args()
    place = torch.cuda.get_device_name() if options.device == "cuda" and torch.cuda.is_available() else "CPU"
    print(
        f"{place}, torch {torch.__version__}, {options.threads} thread(s), batch {options.batch}, {options.channels} "
        f"channels, {options.steps} sampling steps\n\n"
        "| method | image | precision | M parameters | trained/s | peak MiB | sampled/s | peak MiB | MiB before |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    for side, name, precision in itertools.product(options.sides, options.flows, options.precisions):
        reason = reason_against(options.device, precision)
        if reason:
            print(f"| {name} | {side}x{side} | {precision} | skipped: {reason} | | | | | |")
            continue
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
            (n, trained, before, at_training), (_, sampled, _, at_sampling) = (
                pool.submit(measure, name, side, precision, phase, options).result()
                for phase in ("training", "sampling")
            )
        print(
            f"| {name} | {side}x{side} | {precision} | {n / 1e6:.2f} | {trained:.0f} | {at_training:.0f} "
            f"| {sampled:.1f} | {at_sampling:.0f} | {before:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
