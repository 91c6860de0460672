"""Uses of codes on a few held-out images: arrays for ``encode``, rows of pictures for figures and commands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metrics import Arrays
from paramrel import uses
from paramrel.errors import Unsupported
from paramrel.latent_usage import derangement
from paramrel.method import Method
from paramrel.rng import Rng

Strips = list[tuple[str, np.ndarray]]
"""Rows of a picture: a label and images (n, C, H, W) in [0, 1]."""

N_DRAWS, N_FRAMES, N_DIMS, N_STOPS = 8, 9, 4, 11
TIMES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9, 1.0)
"""Flow times s of progressive codes."""
N_PATHS, N_PATH_STEPS = 2000, 50


@dataclass(frozen=True)
class Context:
    """What a use is shown on: a method in evaluation mode, images (N, C, H, W), and codes' spread over the data."""

    method: Method
    x: Tensor
    z_mean: Tensor
    z_std: Tensor
    rng: Rng
    n_steps: int

    @property
    def moved(self) -> Tensor:
        """Codes of x, each given to another image."""
        z = self.method.encode(self.x).mean
        return z[derangement(len(z), self.rng.at("moved"))]


@dataclass(frozen=True)
class Use:
    """One use: the arrays it makes (the main ones by name) and how they are shown."""

    arrays: tuple[str, ...]
    make: Callable[[Context], Mapping[str, Tensor | str]]
    """Arrays, or why a part of them is missing."""
    strips: Callable[[Arrays], Strips]


def _samples(c: Context) -> dict[str, Tensor]:
    return {"samples": uses.unconditional(c.method, len(c.x), c.rng.at("sample"), c.n_steps)}


def _conditional(c: Context) -> dict[str, Tensor]:
    x, rng = c.x[:2], c.rng.at("conditional")
    return {f"fixed_{part}": uses.conditional(c.method, x, part, N_DRAWS, rng, c.n_steps) for part in ("z", "subcode")}


def _reconstruction(c: Context) -> dict[str, Tensor | str]:
    rng = c.rng.at("reconstruction")
    subcode = uses.subcodes(c.method, c.x, c.method.encode(c.x).mean, rng, c.n_steps)
    made = {
        "round_trip_source": c.x,
        "round_trip": uses.reconstruction(c.method, c.x, rng, c.n_steps, None, subcode),
        "round_trip_permuted": uses.reconstruction(c.method, c.x, rng, c.n_steps, c.moved, subcode),
        "subcode": "it has no stochastic subcode" if subcode is None else subcode,
    }
    try:
        made["from_code"] = uses.from_code(c.method, c.x)
    except Unsupported as reason:
        made["from_code"] = str(reason)
    return made


def _time_varying(c: Context) -> dict[str, Tensor]:
    x = c.x[:4]
    return {"time_varying": uses.time_varying(c.method, x, TIMES, c.rng.at("time"), c.n_steps), "time_source": x}


def _interpolation(c: Context) -> dict[str, Tensor]:
    a, b = c.x[:16].tensor_split(2)
    a = a[: len(b)]
    rng = c.rng.at("interpolation")
    return {
        "interpolated": uses.interpolation(c.method, a, b, N_FRAMES, rng, c.n_steps, "lerp"),
        "interpolated_slerp": uses.interpolation(c.method, a, b, N_FRAMES, rng, c.n_steps, "slerp"),
    }


def _traversal(c: Context) -> dict[str, Tensor]:
    dims = uses.busiest(c.z_std, N_DIMS)
    rng = c.rng.at("traversal")
    frames = uses.traversal(c.method, c.x[:1], dims, c.z_mean, c.z_std, rng, c.n_steps, N_STOPS)[0]
    return {"traversed": frames, "traversed_dims": torch.tensor(dims)}


def _flow(c: Context) -> dict[str, Tensor]:
    """The flow at the pixel that varies most, for many draws: (N_PATH_STEPS + 1, N_PATHS). (At the first where the
    networks see several numbers for a pixel, as for K > 2 classes.)"""
    x = c.x[torch.arange(N_PATHS, device=c.x.device) % len(c.x)]
    seen = c.method.paths(x, N_PATH_STEPS, c.rng.at("paths")).flatten(2)
    pixel = int(c.x.std(0).argmax()) if seen.shape[2] == c.x[0].numel() else 0
    return {"flow_paths": seen[:, :, pixel], "flow_x": x.flatten(1)[:, pixel]}


def _rows(name: str, text: str, n: int) -> Callable[[Arrays], Strips]:
    """The first n of (N, frames, C, H, W), a row each."""
    return lambda arrays: [(text if i == 0 else "", row) for i, row in enumerate(arrays[name][:n])]


def _conditional_strips(arrays: Arrays) -> Strips:
    z, subcode = arrays["fixed_z"], arrays["fixed_subcode"]
    return _rows("fixed_z", "z fixed, subcode drawn", 2)({"fixed_z": z}) + _rows("s", "subcode fixed, z drawn", 2)(
        {"s": subcode}
    )


def _reconstruction_strips(arrays: Arrays) -> Strips:
    rows = (
        ("round_trip_source", "source"),
        ("round_trip", "z and subcode"),
        ("round_trip_permuted", "another's z, own subcode"),
        ("from_code", "z alone"),
    )
    return [(text, arrays[name][:N_STOPS]) for name, text in rows if name in arrays]


def _interpolation_strips(arrays: Arrays) -> Strips:
    return _rows("interpolated", "lerp", 2)(arrays) + _rows("interpolated_slerp", "slerp", 1)(arrays)


def _traversal_strips(arrays: Arrays) -> Strips:
    pairs = zip(arrays["traversed_dims"], arrays["traversed"], strict=True)
    return [(f"z[{dim}], -3 to 3 std", frames) for dim, frames in pairs]


def _time_strips(arrays: Arrays) -> Strips:
    text = f"z_s, s = {TIMES[0]:g} to 1; x"
    pairs = zip(arrays["time_varying"][:3], arrays["time_source"], strict=False)
    rows = [np.concatenate((frames, x[None])) for frames, x in pairs]
    return [(text if i == 0 else "", row) for i, row in enumerate(rows)]


USES: dict[str, Use] = {
    "sample": Use(("samples",), _samples, lambda arrays: [("", arrays["samples"])]),
    "generate": Use(("fixed_z", "fixed_subcode"), _conditional, _conditional_strips),
    "reconstruct": Use(
        ("round_trip", "round_trip_permuted", "subcode", "from_code"),
        _reconstruction,
        _reconstruction_strips,
    ),
    "vary-time": Use(("time_varying",), _time_varying, _time_strips),
    "interpolate": Use(("interpolated", "interpolated_slerp"), _interpolation, _interpolation_strips),
    "traverse": Use(("traversed",), _traversal, _traversal_strips),
    "flow": Use(("flow_paths",), _flow, lambda arrays: []),
}
"""The name is the command's (``paramrel NAME``)."""


def showcase(context: Context, names: tuple[str, ...] = tuple(USES)) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays of the uses that the method offers, and the reasons why others are missing (by name of the array)."""
    arrays: dict[str, np.ndarray] = {}
    reasons: dict[str, str] = {}
    made: Mapping[str, Tensor | str]
    for name in names:
        try:
            made = USES[name].make(context)
        except Unsupported as reason:
            made = dict.fromkeys(USES[name].arrays, str(reason))
        reasons |= {key: value for key, value in made.items() if isinstance(value, str)}
        arrays |= {key: value.cpu().numpy() for key, value in made.items() if not isinstance(value, str)}
    return arrays, reasons
