"""EncDiff: a diffusion model whose noise predictor reads concept tokens by cross-attention (arXiv 2402.09712)."""

from typing import ClassVar

from pydantic import ValidationError

from baselines.diffae import DiffAe, DiffAeConfig
from paramrel.data import DataSet
from paramrel.errors import UserError
from paramrel.settings import Network


class EncDiff(DiffAe[DiffAeConfig]):
    """Squared error of eps predicted from (x_t, t, tokens): an encoder gives N scalars (``network.latent_dim``; 20 in
    the paper), each becomes a token by a small MLP of its own, and the U-Net reads them by cross-attention, in
    transformer blocks after its residual blocks. No regulariser.

    As in the paper, unlike ``diffae``: the tokens, whatever the preset's ``network.conditioning``, and whole
    transformer blocks (self-attention, cross-attention, feed-forward). That is up to a third more parameters than the
    other methods have with AdaGN (docs/parameters.md).
    Deviations: diffusion of the pixels, not of the latent of a VQ autoencoder that is trained before; squared error in
    place of the absolute error of its configuration; this suite's encoder trunk, U-Net widths and T = 1000 linear
    schedule, so that rows differ in the conditioning alone (its configuration: 64 x [1, 2, 4, 4], tokens of 16 numbers,
    8 heads, a schedule from .0015 to .0155 that is linear in sqrt(beta)); tokens of ``network.token_dim`` numbers by
    MLPs of two hidden layers of 64 with SiLU; one head in the self-attention, an ungated feed-forward layer, no
    normalised projection around the blocks; a latent DDIM beside it, as DiffAE has one, so that codes can be drawn (no
    gradient of it reaches the codes). Presets with short trainings set ``parametrisation: v``, as for DiffAE.
    """

    name = "encdiff"
    version = 1
    title = "EncDiff"
    source = "T. Yang, C. Lan, Y. Lu, N. Zheng, arXiv 2402.09712"
    Config = DiffAeConfig
    network: ClassVar = {"conditioning": "tokens", "token_transformer": True}

    def __init__(self, data: DataSet, net: Network, config: DiffAeConfig) -> None:
        super().__init__(data, _with_tokens(net), config)


def _with_tokens(net: Network) -> Network:
    """``net`` with concept tokens. Raises ``UserError`` where its widths do not allow them."""
    try:
        return Network(**net.model_dump() | EncDiff.network)
    except ValidationError as error:
        raise UserError(f"encdiff: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error
