"""Networks for the rows of a table: the residual blocks of ``networks`` with linear layers in place of convolutions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paramrel.errors import UserError
from paramrel.networks import Condition, Given, starts_at_zero
from paramrel.settings import Network


class MlpBlock(nn.Module):
    """Residual block on (N, n_in): GN, SiLU, linear; GN, modulation by every condition in turn, SiLU, linear.

    Nested normalisation (``adagn="eq12"``) as in ``networks.ResBlock``.
    """

    def __init__(self, n_in: int, n_out: int, net: Network, condition_dims: list[int]) -> None:
        super().__init__()
        self.norm_in = nn.GroupNorm(net.groups, n_in)
        self.linear_in = nn.Linear(n_in, n_out)
        self.norm_out = nn.GroupNorm(net.groups, n_out)
        nested = net.adagn == "eq12" and len(condition_dims) == 2
        self.norm_between = nn.GroupNorm(net.groups, n_out) if nested else None
        self.modulations = nn.ModuleList(nn.Linear(dim, 2 * n_out) for dim in condition_dims)
        self.linear_out = nn.Linear(n_out, n_out)
        self.shortcut = nn.Linear(n_in, n_out) if n_in != n_out else nn.Identity()

    def forward(self, h: Tensor, given: Given) -> Tensor:
        out = self.norm_out(self.linear_in(F.silu(self.norm_in(h))))
        pairs = list(zip(self.modulations, given.embeddings, strict=True))
        for i, (linear, condition) in enumerate(pairs if self.norm_between is None else reversed(pairs)):
            if i and self.norm_between is not None:
                out = self.norm_between(out)
            scale, shift = linear(condition).chunk(2, 1)
            out = out * (1 + scale) + shift
        return self.shortcut(h) + self.linear_out(F.silu(out))


class Mlp(nn.Module):
    """Trunk: (N, n_in, 1, 1) to (N, n_out), the blocks of every level one after another.

    Widths are ``channels`` times each multiplier, ``blocks`` blocks of each. u and z enter every block where there are
    any (``time``, ``latent``), as in the U-Net. The output is linear in the input and in the last sum of blocks,
    without the U-Net's last normalisation: it would take the magnitude from a row's numbers, and much of a table is
    linear.
    """

    def __init__(self, n_in: int, n_out: int, net: Network, *, time: bool, latent: bool = False) -> None:
        super().__init__()
        if latent and net.conditioning == "tokens":
            raise UserError("conditioning=tokens needs images, whose positions read the tokens: use adagn for tables")
        self.condition = Condition(net, time=time, latent=latent)
        widths = [net.channels * multiplier for multiplier in net.multipliers for _ in range(net.blocks)]
        self.linear_in = nn.Linear(n_in, widths[0])
        pairs = zip([widths[0], *widths], widths, strict=False)
        self.blocks = nn.ModuleList(MlpBlock(before, width, net, self.condition.dims) for before, width in pairs)
        self.out = nn.Linear(n_in + widths[-1], n_out)

    def forward(self, x: Tensor, u: Tensor | None = None, z: Tensor | None = None) -> Tensor:
        given = self.condition(u, z)
        x = x.flatten(1)
        h = self.linear_in(x)
        for block in self.blocks:
            h = block(h, given)
        return self.out(torch.cat((x, h), 1))


class MlpDecoder(Mlp):
    """Parameter decoder psi(theta_u, z, u) of rows: (N, n_in, 1, 1) to (N, n_out, 1, 1)."""

    def __init__(self, n_in: int, n_out: int, net: Network) -> None:
        super().__init__(n_in, n_out, net, time=True, latent=True)
        starts_at_zero(self.out)

    def forward(self, x: Tensor, u: Tensor | None = None, z: Tensor | None = None) -> Tensor:
        return super().forward(x, u, z)[:, :, None, None]
