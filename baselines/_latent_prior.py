"""Latent DDIM (DiffAE, arXiv 2111.15640, section 4): a learned prior over codes, for unconditional samples."""

import torch.nn.functional as F
from torch import Tensor, nn

from baselines._diffusion import Diffusion
from paramrel.networks import starts_at_zero, time_embedding
from paramrel.points import Scatter
from paramrel.rng import Rng


class LatentPrior(Scatter):
    """A noise predictor on standardised codes (N, d) and its DDIM sampler.

    DiffAE trains it in a second stage on the finished codes. Here it learns beside the model, in the one training
    loop, from codes without gradient standardised by their batch; the mean and standard deviation that sampling
    needs are measured once, on the averaged weights, when training is done. Squared error in place of DiffAE's
    absolute error; T = 1000 and constant beta = .008 as there.
    """

    N_BLOCKS = 3

    def __init__(self, dim: int, width: int) -> None:
        super().__init__(dim)
        self.dim, self.width = dim, width
        self.diffusion = Diffusion(1000, 0.008, 0.008)
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU())
        self.enter = nn.Linear(dim, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for _ in range(self.N_BLOCKS))
        self.modulations = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(self.N_BLOCKS))
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(self.N_BLOCKS))
        self.leave = nn.Linear(width, dim)
        starts_at_zero(self.leave)

    def forward(self, z_t: Tensor, t: Tensor) -> Tensor:
        """eps predicted from z_t (N, d) and t (N,) in 1..T."""
        embedded = self.time(time_embedding(t / self.diffusion.n_times, self.width))
        h = self.enter(z_t)
        for norm, modulation, layer in zip(self.norms, self.modulations, self.layers, strict=True):
            scale, shift = modulation(embedded).chunk(2, 1)
            h = h + layer(F.silu(norm(h) * (1 + scale) + shift))
        return self.leave(h).float()

    def loss(self, z: Tensor, rng: Rng) -> Tensor:
        """Mean squared error of eps, a scalar; no gradient reaches z (N, d)."""
        z = z.detach().float()
        z = (z - z.mean(0)) / (z.std(0, correction=0) + 1e-6)
        t = self.diffusion.draw_times(rng.stratified("t", len(z)))
        eps = rng.normal("eps", tuple(z.shape))
        return (self(self.diffusion.diffuse(z, t, eps), t) - eps).square().mean()

    def sample(self, n: int, rng: Rng, n_steps: int) -> Tensor:
        """n codes, (n, d)."""
        noise = rng.normal("latent", (n, self.dim))
        return self.place(self.diffusion.sample(self, noise, n_steps))
