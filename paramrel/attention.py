"""Attention of the networks: among positions, and of positions to the tokens that a code is made of.

Tokens are after EncDiff (T. Yang et al., arXiv 2402.09712): each latent speaks to the decoder for itself, and every
position chooses whom it listens to.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paramrel.errors import Unsupported
from paramrel.settings import Network

TOKEN_WIDTH = 64
"""Hidden width of the small MLPs that make tokens."""


class Attention(nn.Module):
    """Single-head self-attention over positions, with a residual connection."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, h: Tensor) -> Tensor:
        n, c, height, width = h.shape
        q, k, v = self.qkv(self.norm(h)).flatten(2).transpose(1, 2).chunk(3, -1)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, c, height, width)
        return h + self.out(mixed)


class FeedForward(nn.Module):
    """Two layers on each position by itself, four times as wide between, with a residual connection."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels)
        self.enter = nn.Conv2d(channels, 4 * channels, 1)
        self.leave = nn.Conv2d(4 * channels, channels, 1)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.leave(F.gelu(self.enter(self.norm(h))))


class ParallelLinear(nn.Module):
    """``n`` linear layers side by side, one matrix product for all: (n, N, n_in) to (n, N, n_out)."""

    def __init__(self, n: int, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n, n_in, n_out))
        self.bias = nn.Parameter(torch.empty(n, 1, n_out))

    def draw(self, generator: torch.Generator) -> None:
        """Weights and biases uniform within 1/sqrt(n_in). Biases too: they tell tokens apart where z is 0."""
        bound = 1 / math.sqrt(self.weight.shape[1])
        for parameter in (self.weight, self.bias):
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class Tokens(nn.Module):
    """Codes z (N, d) to tokens (N, d, token_dim): token i is a small MLP of its own of z_i and of nothing else."""

    def __init__(self, net: Network) -> None:
        super().__init__()
        widths = (1, TOKEN_WIDTH, TOKEN_WIDTH, net.token_dim)
        self.layers = nn.ModuleList(ParallelLinear(net.latent_dim, n_in, n_out) for n_in, n_out in pairwise(widths))

    def forward(self, z: Tensor) -> Tensor:
        h = self.layers[0](z.T[:, :, None])
        for layer in self.layers[1:]:
            h = layer(F.silu(h))
        return h.transpose(0, 1)


class TokenAttention(nn.Module):
    """Every position of h (N, C, H, W) reads the tokens (N, d, token_dim), with a residual connection.

    With ``token_transformer`` self-attention (one head) comes before and a feed-forward layer after.
    """

    def __init__(self, channels: int, net: Network) -> None:
        super().__init__()
        self.heads = net.token_heads
        self.before = Attention(channels, net.groups) if net.token_transformer else nn.Identity()
        self.norm = nn.GroupNorm(net.groups, channels)
        self.query = nn.Conv2d(channels, channels, 1)
        self.key_value = nn.Linear(net.token_dim, 2 * channels)
        self.out = nn.Conv2d(channels, channels, 1)
        self.after = FeedForward(channels, net.groups) if net.token_transformer else nn.Identity()

    def forward(self, h: Tensor, tokens: Tensor) -> Tensor:
        h = self.before(h)
        mixed = F.scaled_dot_product_attention(*self._parts(h, tokens))
        return self.after(h + self.out(mixed.transpose(2, 3).reshape(h.shape)))

    def shares(self, h: Tensor, tokens: Tensor) -> Tensor:
        """How much of what each position reads is of each token, mean over heads: (N, d, H, W), sums to 1 over d."""
        q, k, _ = self._parts(self.before(h), tokens)
        weights = (q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])).softmax(-1).mean(1)
        return weights.transpose(1, 2).reshape(len(h), -1, *h.shape[2:])

    def _parts(self, h: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (N, heads, H W, C/heads); keys and values (N, heads, d, C/heads)."""
        q = self.query(self.norm(h)).flatten(2).transpose(1, 2)
        k, v = self.key_value(tokens).chunk(2, -1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        return q, k, v


@contextmanager
def recorded_shares(network: nn.Module) -> Iterator[list[Tensor]]:
    """While it is open, a forward pass of ``network`` adds the ``shares`` of each of its token attentions to the list
    that is given: (N, d, h, w) at the layer's own resolution, in the order of the layers."""
    found: list[Tensor] = []
    readers = [module for module in network.modules() if isinstance(module, TokenAttention)]
    hooks = [
        module.register_forward_pre_hook(lambda module, given: found.append(module.shares(*given)))
        for module in readers
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def mean_shares(shares: list[Tensor], side: tuple[int, int]) -> Tensor:
    """Mean over layers, each enlarged to ``side`` (height, width) by repeating its values: (N, d, H, W).

    Raises ``Unsupported`` where no layer reads tokens.
    """
    if not shares:
        raise Unsupported("its decoder reads no tokens")
    return torch.stack([F.interpolate(share.float(), size=side, mode="nearest") for share in shares]).mean(0)
