"""What codes are for: one function per use, for every method that offers the parts (see ``Method``).

Images come in and go out as (N, C, H, W) in [0, 1]. A method without a stochastic subcode uses its code alone where
a use has both; a method that cannot do a use at all raises ``Unsupported`` with the reason.
"""

from typing import Literal

import torch
from torch import Tensor

from paramrel.errors import Unsupported
from paramrel.method import Method
from paramrel.rng import Rng

Interpolation = Literal["lerp", "slerp"]


def lerp(a: Tensor, b: Tensor, weight: float) -> Tensor:
    """(1 - weight) a + weight b."""
    return (1 - weight) * a + weight * b


def slerp(a: Tensor, b: Tensor, weight: float) -> Tensor:
    """Spherical interpolation, row by row: along the great arc, (sin((1 - w) o) a + sin(w o) b)/sin o.

    Eq. 13 of the paper names image 1 in both terms; this is Shoemake's formula. Rows that are (nearly) parallel, or
    opposite, where the arc is not unique, are interpolated linearly.
    """
    flat_a, flat_b = a.flatten(1), b.flatten(1)
    cosine = torch.nn.functional.cosine_similarity(flat_a, flat_b, dim=1).clamp(-1, 1)
    angle = cosine.acos().reshape(-1, *[1] * (a.ndim - 1))
    sine = angle.sin()
    on_arc = (((1 - weight) * angle).sin() * a + (weight * angle).sin() * b) / sine.clamp_min(1e-12)
    return torch.where(sine > 1e-3, on_arc, lerp(a, b, weight))


def rendered(method: Method, z: Tensor, subcode: Tensor | None, n_steps: int) -> Tensor:
    """Images of codes with their subcodes, or of codes alone where the method has no subcode."""
    return method.decode(z) if subcode is None else method.render(z, subcode, n_steps)


def subcodes(method: Method, x: Tensor, z: Tensor, rng: Rng, n_steps: int) -> Tensor | None:
    """The images' stochastic subcodes, or None where the method has none."""
    return None if method.subcode_shape is None else method.invert(x, z, rng, n_steps)


def unconditional(method: Method, n: int, rng: Rng, n_steps: int) -> Tensor:
    """n images from the prior: everything drawn."""
    return method.sample(n, rng, n_steps)


def conditional(
    method: Method, x: Tensor, fixed: Literal["z", "subcode"], n_draws: int, rng: Rng, n_steps: int
) -> Tensor:
    """Images that keep one part of each x's encoding while the other is drawn from its prior: (N, n_draws, C, H, W).

    ``fixed="z"``: what z holds stays and details vary (Fig. 3 a, b); ``fixed="subcode"``: the reverse. Raises
    ``Unsupported`` for a method without a subcode.
    """
    if method.subcode_shape is None:
        raise Unsupported(method.no_subcode)
    z = method.encode(x).mean
    if fixed == "z":
        subs = rng.normal("subcode", (len(x), n_draws, *method.subcode_shape))
        return _rendered_all(method, z[:, None].expand(-1, n_draws, -1), subs, n_steps)
    codes = method.draw_codes(len(x) * n_draws, rng.at("codes"), n_steps).reshape(len(x), n_draws, -1)
    subcode = subcodes(method, x, z, rng.at("invert"), n_steps)
    return _rendered_all(method, codes, _repeat(subcode, n_draws), n_steps)


def reconstruction(
    method: Method, x: Tensor, rng: Rng, n_steps: int, z: Tensor | None = None, subcode: Tensor | None = None
) -> Tensor:
    """x from (z, subcode): inverted and rendered again with its own code, or with ``z`` in its place at rendering.

    ``subcode`` saves the inversion where it was made before. Near-exact with its own code says little of z, since the
    subcode holds the rest; rendered with another's code shows what z decides.
    """
    own = method.encode(x).mean
    if subcode is None:
        subcode = subcodes(method, x, own, rng, n_steps)
    return rendered(method, own if z is None else z, subcode, n_steps)


def from_code(method: Method, x: Tensor) -> Tensor:
    """x from z alone, in one step."""
    return method.decode(method.encode(x).mean)


def time_varying(method: Method, x: Tensor, times: tuple[float, ...], rng: Rng, n_steps: int) -> Tensor:
    """x with its subcode fixed and the progressive codes z_s for s in ``times``: (N, len(times), C, H, W).

    The subcode is that of z_1; the image at s shows what z_s knows (section 5.2.2 of the paper, Fig. 3 c).
    """
    codes = torch.stack([method.encode_at(x, s, rng.at(f"s={s}")).mean for s in times], 1)
    subcode = subcodes(method, x, method.encode(x).mean, rng.at("invert"), n_steps)
    return _rendered_all(method, codes, _repeat(subcode, len(times)), n_steps)


def interpolation(
    method: Method, a: Tensor, b: Tensor, n: int, rng: Rng, n_steps: int, kind: Interpolation = "lerp"
) -> Tensor:
    """n images from each a to each b, ends included: z by ``kind``, the subcode by slerp. (N, n, C, H, W)."""
    mix = slerp if kind == "slerp" else lerp
    weights = torch.linspace(0, 1, n).tolist()
    z_a, z_b = method.encode(a).mean, method.encode(b).mean
    sub_a = subcodes(method, a, z_a, rng.at("a"), n_steps)
    sub_b = subcodes(method, b, z_b, rng.at("b"), n_steps)
    codes = torch.stack([mix(z_a, z_b, weight) for weight in weights], 1)
    if sub_a is None or sub_b is None:
        return _rendered_all(method, codes, None, n_steps)
    return _rendered_all(method, codes, torch.stack([slerp(sub_a, sub_b, weight) for weight in weights], 1), n_steps)


def traversal(
    method: Method, x: Tensor, dims: tuple[int, ...], mean: Tensor, std: Tensor, rng: Rng, n_steps: int, n: int = 11
) -> Tensor:
    """Each latent of ``dims`` set to mean + k std for n values of k from -3 to 3, all else of x fixed.

    ``mean`` and ``std`` (d,) are those of codes of the evaluation images. (N, len(dims), n, C, H, W).
    """
    z = method.encode(x).mean
    subcode = subcodes(method, x, z, rng.at("invert"), n_steps)
    codes = z[:, None, None].repeat(1, len(dims), n, 1)
    for row, dim in enumerate(dims):
        codes[:, row, :, dim] = mean[dim] + torch.linspace(-3, 3, n, device=z.device) * std[dim]
    images = _rendered_all(method, codes.flatten(1, 2), _repeat(subcode, len(dims) * n), n_steps)
    return images.unflatten(1, (len(dims), n))


def _repeat(values: Tensor | None, n: int) -> Tensor | None:
    """(N, ...) to (N, n, ...)."""
    return None if values is None else values[:, None].expand(-1, n, *values.shape[1:])


def _rendered_all(method: Method, codes: Tensor, subs: Tensor | None, n_steps: int) -> Tensor:
    """``rendered`` of codes (N, n, d) and subcodes (N, n, ...) in batches sized to memory: (N, n, C, H, W)."""
    size = images_per_batch(method)
    parts = codes.flatten(0, 1).split(size)
    sub_parts = [None] * len(parts) if subs is None else subs.flatten(0, 1).split(size)
    shown = torch.cat([rendered(method, z, sub, n_steps) for z, sub in zip(parts, sub_parts, strict=True)])
    return shown.unflatten(0, codes.shape[:2])


def busiest(std: Tensor, n: int) -> tuple[int, ...]:
    """The n latents that vary most over the data, in descending order: what a traversal shows first."""
    return tuple(std.argsort(descending=True, stable=True)[:n].tolist())


def images_per_batch(method: Method, budget: float = 2e9) -> int:
    """Images per forward pass so that the activations stay below ``budget`` bytes: 1 to 500.

    A fixed function of network and image size, never of the machine, since batch size can change the last bits of a
    result. About 24 maps of the top level's channels live at the same time, halving in size from level to level.
    """
    _, height, width = method.data.shape
    return int(max(1, min(500, budget // (24 * 4 * method.net.channels * height * width))))
