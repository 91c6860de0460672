"""Networks of all methods: one residual block, an encoder trunk, a U-Net and a plain decoder.

Time u and latent z enter residual blocks by adaptive group normalisation: the block normalises once, then
modulates by u and by z, each with scale and shift. Eq. 12 of the paper nests two group normalisations; with
few channels per group the outer one erases what z did, with one channel per group exactly, so it is an option
(``adagn: eq12``) and asks for at least four. With ``conditioning: tokens`` z modulates nothing; blocks read it as
tokens, by cross-attention (``paramrel.attention``).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paramrel.attention import Attention, ParallelLinear, TokenAttention, Tokens
from paramrel.errors import UserError
from paramrel.rng import Rng
from paramrel.settings import Network


def starts_at_zero(layer: nn.Module) -> None:
    """Mark a layer whose weights ``initialise`` sets to 0."""
    layer.zero_init = True  # type: ignore[assignment]  # torch types a module's attributes as tensors


def initialise(module: nn.Module, rng: Rng) -> None:
    """Draw all weights of convolutions and linear layers anew from ``rng``, by their names; biases are 0.

    Kaiming-uniform with a = sqrt(5), torch's default, but independent of global state and of the order in which
    modules were made. Layers marked by ``starts_at_zero`` do (the last layer of a U-Net).
    """
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            if getattr(layer, "zero_init", False):
                nn.init.zeros_(layer.weight)
            else:
                nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=rng.generator(name))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, ParallelLinear):
            layer.draw(rng.generator(name))


def time_embedding(u: Tensor, dim: int) -> Tensor:
    """Sinusoidal embedding of 1000 u: (N,) in [0, 1] to (N, dim)."""
    half = dim // 2
    frequencies = torch.exp(-math.log(10_000) * torch.arange(half, device=u.device) / half)
    angles = 1000 * u.float()[:, None] * frequencies
    return torch.cat((angles.sin(), angles.cos()), 1)


class Given(NamedTuple):
    """What blocks are conditioned on."""

    embeddings: list[Tensor]
    """By modulation, in the order u, z: those that exist, each (N, 4 channels)."""
    tokens: Tensor | None = None
    """By attention: (N, d, token_dim)."""


class Condition(nn.Module):
    """Embeds u and z for the blocks, or nothing where a net does without: u to a vector of 4 x channels; z to another,
    or to tokens (``net.conditioning``)."""

    def __init__(self, net: Network, *, time: bool, latent: bool) -> None:
        super().__init__()
        self.channels = net.channels
        self.dim = 4 * net.channels
        tokens = net.conditioning == "tokens"
        self.time = _mlp(net.channels, self.dim) if time else None
        self.latent = _mlp(net.latent_dim, self.dim) if latent and not tokens else None
        self.tokens = Tokens(net) if latent and tokens else None

    def forward(self, u: Tensor | None, z: Tensor | None) -> Given:
        embedded = []
        if self.time is not None:
            assert u is not None, "a network that knows the time is given it"
            embedded.append(self.time(time_embedding(u, self.channels)))
        if self.latent is not None:
            embedded.append(self.latent(z))
        return Given(embedded, None if self.tokens is None else self.tokens(z))

    @property
    def dims(self) -> list[int]:
        """Width of each embedding."""
        return [self.dim] * sum(part is not None for part in (self.time, self.latent))


def _mlp(n_in: int, n_out: int) -> nn.Module:
    return nn.Sequential(nn.Linear(n_in, n_out), nn.SiLU(), nn.Linear(n_out, n_out), nn.SiLU())


class ResBlock(nn.Module):
    """Residual block: GN, SiLU, conv; GN, modulation by every condition in turn, SiLU, conv; plus shortcut.

    ``adagn="eq12"``: modulation by z, a second GN, modulation by u, as Eq. 12 prints it.
    """

    def __init__(self, n_in: int, n_out: int, net: Network, condition_dims: list[int]) -> None:
        super().__init__()
        self.norm_in = nn.GroupNorm(net.groups, n_in)
        self.conv_in = nn.Conv2d(n_in, n_out, 3, padding=1)
        self.norm_out = nn.GroupNorm(net.groups, n_out)
        nested = net.adagn == "eq12" and len(condition_dims) == 2
        self.norm_between = nn.GroupNorm(net.groups, n_out) if nested else None
        self.modulations = nn.ModuleList(nn.Linear(dim, 2 * n_out) for dim in condition_dims)
        self.conv_out = nn.Conv2d(n_out, n_out, 3, padding=1)
        self.shortcut = nn.Conv2d(n_in, n_out, 1) if n_in != n_out else nn.Identity()

    def forward(self, h: Tensor, given: Given) -> Tensor:
        out = self.conv_in(F.silu(self.norm_in(h)))
        out = self.norm_out(out)
        pairs = list(zip(self.modulations, given.embeddings, strict=True))
        for i, (linear, condition) in enumerate(pairs if self.norm_between is None else reversed(pairs)):
            if i and self.norm_between is not None:
                out = self.norm_between(out)
            scale, shift = linear(condition)[:, :, None, None].chunk(2, 1)
            out = out * (1 + scale) + shift
        return self.shortcut(h) + self.conv_out(F.silu(out))


class ReadingBlock(ResBlock):
    """A residual block whose positions then read the tokens."""

    def __init__(self, n_in: int, n_out: int, net: Network, condition_dims: list[int]) -> None:
        super().__init__(n_in, n_out, net, condition_dims)
        self.read = TokenAttention(n_out, net)

    def forward(self, h: Tensor, given: Given) -> Tensor:
        return self.read(super().forward(h, given), given.tokens)


def make_block(n_in: int, n_out: int, level: int, net: Network, condition: Condition) -> ResBlock:
    """A block at a level (0: the top), which reads the tokens if ``condition`` makes some and the level is to."""
    reads = condition.tokens is not None and level in net.reading_levels
    return (ReadingBlock if reads else ResBlock)(n_in, n_out, net, condition.dims)


class Middle(nn.Module):
    """Bottleneck: block, attention, block. The only attention among positions (paper, appendix C.2)."""

    def __init__(self, net: Network, condition: Condition) -> None:
        super().__init__()
        channels, lowest = net.channels * net.multipliers[-1], len(net.multipliers) - 1
        self.before = make_block(channels, channels, lowest, net, condition)
        self.attention = Attention(channels, net.groups)
        self.after = make_block(channels, channels, lowest, net, condition)

    def forward(self, h: Tensor, given: Given) -> Tensor:
        return self.after(self.attention(self.before(h, given)), given)


class Down(nn.Module):
    """The way down: pixels to channels (``net.unshuffle``), blocks per level, the side halved between levels. Returns
    the last map of every level."""

    def __init__(self, n_in: int, net: Network, condition: Condition) -> None:
        super().__init__()
        self.unshuffle = net.unshuffle
        width = net.channels
        self.conv_in = nn.Conv2d(n_in * net.unshuffle**2, width, 3, padding=1)
        self.levels = nn.ModuleList()
        self.halve = nn.ModuleList()
        for level, multiplier in enumerate(net.multipliers):
            if level:
                self.halve.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
            blocks = nn.ModuleList()
            for _ in range(net.blocks):
                blocks.append(make_block(width, net.channels * multiplier, level, net, condition))
                width = net.channels * multiplier
            self.levels.append(blocks)

    def forward(self, x: Tensor, given: Given) -> list[Tensor]:
        h, maps = self.conv_in(F.pixel_unshuffle(x, self.unshuffle)), []
        for level, blocks in enumerate(self.levels):
            h = self.halve[level - 1](h) if level else h
            for block in blocks.children():
                h = block(h, given)
            maps.append(h)
        return maps


def bottom_shape(net: Network, height: int, width: int) -> tuple[int, int, int]:
    """(C, H, W) of the lowest level."""
    return net.channels * net.multipliers[-1], *level_sides(net, height, width)[-1]


class Encoder(nn.Module):
    """Encoder trunk: the way down, the bottleneck, then a linear layer on the flattened map.

    ``time=True``: u enters every block (Fig. 8b, "progressive"); False: not (Fig. 8a, "vanilla").
    Input (N, n_in, H, W), output (N, n_out): for instance mean and log-variance side by side.
    """

    def __init__(self, n_in: int, n_out: int, side: tuple[int, int], net: Network, *, time: bool) -> None:
        super().__init__()
        self.condition = Condition(net, time=time, latent=False)
        self.down = Down(n_in, net, self.condition)
        channels, height, width = bottom_shape(net, *side)
        self.middle = Middle(net, self.condition)
        self.norm = nn.GroupNorm(net.groups, channels)
        self.out = nn.Linear(channels * height * width, n_out)

    def forward(self, x: Tensor, u: Tensor | None = None) -> Tensor:
        given = self.condition(u, None)
        h = self.middle(self.down(x, given)[-1], given)
        return self.out(F.silu(self.norm(h)).flatten(1))


class Up(nn.Module):
    """The way up: blocks per level, then a convolution and nearest-neighbour doubling to the level above.

    With ``skips`` the first block of every level also sees the way down's last map of that level (one skip per
    level: "shallower" than InfoDiffusion's U-Net, paper C.2). The convolution comes before the doubling: a
    quarter of the work for the same reach. ``extra`` blocks are dealt to the levels in turn, the lowest first.
    """

    def __init__(self, net: Network, condition: Condition, *, skips: bool, extra: int = 0) -> None:
        super().__init__()
        widths = [net.channels * multiplier for multiplier in net.multipliers]
        self.levels = nn.ModuleList()
        self.resize = nn.ModuleList()
        for i, width in enumerate(reversed(widths)):
            n_blocks = net.blocks + extra // len(widths) + (i < extra % len(widths))
            level = len(widths) - 1 - i
            first = make_block(2 * width if skips else width, width, level, net, condition)
            rest = [make_block(width, width, level, net, condition) for _ in range(n_blocks - 1)]
            self.levels.append(nn.ModuleList([first, *rest]))
        for below, above in zip(widths[:0:-1], widths[-2::-1], strict=True):
            self.resize.append(nn.Conv2d(below, above, 3, padding=1))

    def forward(self, h: Tensor, sides: list[tuple[int, int]], given: Given, maps: list[Tensor]) -> Tensor:
        """``sides``: height and width of every level; ``maps``: skips of every level or none; both from the top."""
        for level, blocks in enumerate(self.levels):
            h = torch.cat((h, maps[-1 - level]), 1) if maps else h
            for block in blocks.children():
                h = block(h, given)
            if level < len(self.resize):
                h = F.interpolate(self.resize[level](h), size=sides[-2 - level], mode="nearest")
        return h


def level_sides(net: Network, height: int, width: int) -> list[tuple[int, int]]:
    """Height and width of every level, from the top; every halving rounds up.

    Raises ``UserError`` unless ``unshuffle`` divides the image's sides.
    """
    if height % net.unshuffle or width % net.unshuffle:
        raise UserError(f"unshuffle={net.unshuffle} does not divide the sides of {height}x{width} images: lower it")
    sides = [(height // net.unshuffle, width // net.unshuffle)]
    for _ in net.multipliers[1:]:
        sides.append(((sides[-1][0] + 1) // 2, (sides[-1][1] + 1) // 2))
    return sides


class Head(nn.Module):
    """Two convolutions at full resolution, (N, width, H, W) to (N, n_out, H, W), with the pixels of another map of
    ``n_beside`` channels beside them, where there is one.

    Networks that work on squares of pixels (``net.unshuffle``) have no other way to treat a pixel by its neighbours.
    """

    def __init__(self, width: int, n_beside: int, n_out: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(width + n_beside, width, 3, padding=1)
        self.conv_out = nn.Conv2d(width, n_out, 3, padding=1)

    def forward(self, *maps: Tensor) -> Tensor:
        return self.conv_out(F.silu(self.conv_in(torch.cat(maps, 1))))


class UNet(nn.Module):
    """Conditional U-Net psi(theta_u, z, u): (N, n_in, H, W) to (N, n_out, H, W); its output is 0 at first."""

    def __init__(self, n_in: int, n_out: int, net: Network) -> None:
        super().__init__()
        self.net = net
        self.condition = Condition(net, time=True, latent=True)
        self.down = Down(n_in, net, self.condition)
        self.middle = Middle(net, self.condition)
        self.up = Up(net, self.condition, skips=True)
        self.norm = nn.GroupNorm(net.groups, net.channels * net.multipliers[0])
        n_pixel = net.head_channels or n_out
        self.out = nn.Conv2d(net.channels * net.multipliers[0], n_pixel * net.unshuffle**2, 3, padding=1)
        self.head = Head(n_pixel, n_in, n_out) if net.head_channels else None
        starts_at_zero(self.out if self.head is None else self.head.conv_out)

    def forward(self, x: Tensor, u: Tensor, z: Tensor) -> Tensor:
        given = self.condition(u, z)
        maps = self.down(x, given)
        h = self.middle(maps[-1], given)
        h = self.up(h, level_sides(self.net, *x.shape[2:]), given, maps)
        h = F.pixel_shuffle(self.out(F.silu(self.norm(h))), self.net.unshuffle)
        return h if self.head is None else self.head(h, x)


class Decoder(nn.Module):
    """Decoder of the autoencoders: z (N, d) to (N, n_out, H, W), the U-Net's way up without skips.

    It has no way down, so it gets ``extra`` blocks to have as many parameters as its rivals (``matched``). z is its
    input, so it reads no tokens.
    """

    def __init__(self, n_out: int, side: tuple[int, int], net: Network, *, extra: int = 0) -> None:
        super().__init__()
        self.net, self.side = net, side
        self.bottom = bottom_shape(net, *side)
        self.linear = nn.Linear(net.latent_dim, math.prod(self.bottom))
        nothing = Condition(net, time=False, latent=False)
        self.middle = Middle(net, nothing)
        self.up = Up(net, nothing, skips=False, extra=extra)
        self.norm = nn.GroupNorm(net.groups, net.channels * net.multipliers[0])
        n_pixel = net.head_channels or n_out
        self.out = nn.Conv2d(net.channels * net.multipliers[0], n_pixel * net.unshuffle**2, 3, padding=1)
        self.head = Head(n_pixel, 0, n_out) if net.head_channels else None

    def forward(self, z: Tensor) -> Tensor:
        nothing = Given([])
        h = self.middle(self.linear(z).reshape(-1, *self.bottom), nothing)
        h = self.up(h, level_sides(self.net, *self.side), nothing, [])
        h = F.pixel_shuffle(self.out(F.silu(self.norm(h))), self.net.unshuffle)
        return h if self.head is None else self.head(h)


def n_parameters(module: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def budget(shape: tuple[int, int, int], net: Network) -> int:
    """Parameters of ParamReL on images of ``shape``: progressive encoder and U-Net. Baselines are matched to it."""
    n_channels, side = shape[0], shape[1:]
    with torch.device("meta"):
        encoder = Encoder(n_channels, 2 * net.latent_dim, side, net, time=True)
        return n_parameters(encoder) + n_parameters(UNet(n_channels, n_channels, net))


def matched(build: Callable[[int], nn.Module], n_wanted: int) -> nn.Module:
    """``build(size)`` for the size (0, 1, 2, ...) whose number of parameters is nearest to ``n_wanted``.

    ``build`` must give more parameters for larger sizes.
    """

    def count(size: int) -> int:
        with torch.device("meta"):
            return n_parameters(build(size))

    size = 0
    while count(size + 1) <= n_wanted:
        size += 1
    nearer_above = count(size + 1) - n_wanted < abs(n_wanted - count(size))
    return build(size + nearer_above)
