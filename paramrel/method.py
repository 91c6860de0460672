"""The method seam: what the training loop, the evaluation and the figures ask of a method."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from pydantic import ValidationError
from torch import Tensor, nn

from paramrel.data import DataSet
from paramrel.errors import Unsupported
from paramrel.registry import Registry, search
from paramrel.rng import Rng
from paramrel.settings import Frozen, Network

Swap = Callable[[Tensor], Tensor]
"""Own codes (N, d) to the codes that the decoder is given: identity, permuted within the batch, prior, ..."""


@dataclass(frozen=True)
class LossTerms:
    """One training step's losses.

    ``total`` (scalar) is what is optimised: (nats per image)/D plus weighted unitless terms, so that gradient
    clipping, weights and learning rate mean the same at 8x8 and at 64x64. ``reported`` are detached batch means:
    nats per image for likelihood terms and KL, unitless for MMD.
    """

    total: Tensor
    reported: dict[str, Tensor]


@dataclass(frozen=True)
class Codes:
    """Codes of N images: ``mean`` (N, d); ``std`` (N, d) of the posterior, or None for a deterministic code."""

    mean: Tensor
    std: Tensor | None = None


@dataclass(frozen=True)
class Nll:
    """Negative log-likelihood bound per image in nats, in parts (N,): ``total`` is the bound."""

    data: Tensor
    """-log p(x | z), or flow loss plus reconstruction term."""
    kl: Tensor
    """KL of q(z | x) to the prior over codes; 0 where the bound has none."""
    channels: Tensor | None = None
    """``data`` by channel (N, C), if the method tells: the columns of a table."""

    @property
    def total(self) -> Tensor:
        return self.data + self.kl


class NoConfig(Frozen):
    """Settings of a method that has none."""


C = TypeVar("C", bound=Frozen)
"""Type of a method's settings: its ``Config``."""


class Method(nn.Module, ABC, Generic[C]):
    """A method. A new one is one new file in a place that is searched (``paramrel.registry``): a subclass with a name.

    Images come in as ``DataSet.to_model`` gives them: float (N, C, H, W), {0, 1} if binary, else in [0, 1].
    Images go out as pixel probabilities or values in [0, 1]. What a method cannot do stays as it is here and
    raises ``Unsupported(reason)``; tables show a dash with that reason.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """Raise it when a change here changes what is computed (it is part of every run's hash)."""
    title: ClassVar[str]
    source: ClassVar[str]
    trained: ClassVar[bool] = True
    """False: ``fit`` is all there is; no optimiser step is made."""
    no_code: ClassVar[str | None] = None
    """Why it has no code, where it has none: ``encode`` then raises ``Unsupported`` with this reason."""
    tables: ClassVar[bool] = False
    """Whether it makes sense on a table whose columns have different types (a data set of kind "mixed")."""
    Config: ClassVar[type[Frozen]] = NoConfig
    network: ClassVar[Mapping[str, Any]] = {}
    """Settings of the network that make the method what it is, whatever a preset says."""
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": {}}
    """Rows of the benchmark: variant name to settings that differ from ``Config``'s defaults."""

    def __init__(self, data: DataSet, net: Network, config: C) -> None:
        super().__init__()
        self.data, self.net, self.config = data, net, config
        self.progress = 1.0
        """Fraction of the training done, set by the loop before every step; for warm-ups."""

    @classmethod
    def own_fault(cls) -> str | None:
        """What is wrong with the declared rows, or None: there must be one, with settings that ``Config`` takes."""
        if not cls.variants:
            return "variants is empty: name one row"
        for variant, settings in cls.variants.items():
            try:
                cls.Config(**{key: value for key, value in settings.items() if key not in ("network", "train")})
            except ValidationError as error:
                first = error.errors()[0]
                return f"variants.{variant}: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        return None

    @classmethod
    def skip(cls, data: DataSet) -> str | None:
        """Why this method cannot run on ``data``, or None."""
        if data.kind == "mixed" and not cls.tables:
            return "it is made for images, and this is a table whose columns have different types: paramrel_mixed"
        return None

    def fit(self, images: np.ndarray, rng: Rng) -> None:
        """Closed-form preparation on training images (N, C, H, W), as evaluation sees them: all of them, or a random
        choice of 2^28 pixels of larger sets."""

    def finish(self, images: np.ndarray, rng: Rng) -> None:
        """Closed-form completion after the last step, on the averaged weights; images as for ``fit``."""

    @abstractmethod
    def loss(self, batch: Tensor, rng: Rng) -> LossTerms:
        """Losses of one batch; all noise comes from ``rng``, a stream of this step."""

    @abstractmethod
    def encode(self, x: Tensor) -> Codes:
        """Semantic codes of images, without noise."""

    def decode(self, z: Tensor) -> Tensor:
        """Images from codes alone, in one deterministic step, (N, C, H, W) in [0, 1]."""
        raise Unsupported("it has no decoder")

    def reconstruct(self, x: Tensor, z: Tensor) -> Tensor:
        """Images from all that the method keeps of ``x``, with ``z`` in place of its own code."""
        return self.decode(z)

    def encode_at(self, x: Tensor, s: float, rng: Rng) -> Codes:
        """Progressive codes z_s: what the method knows of ``x`` at flow time s in (0, 1]; s = 1 is ``encode``."""
        raise Unsupported("its code has no flow time")

    def invert(self, x: Tensor, z: Tensor, rng: Rng, n_steps: int) -> Tensor:
        """Stochastic subcode of ``x`` at fixed ``z``, N(0, I) where all is well: deterministic up to the one draw
        that makes discrete data continuous. (N, ``subcode_shape``)."""
        raise Unsupported("it has no stochastic subcode")

    def render(self, z: Tensor, subcode: Tensor, n_steps: int) -> Tensor:
        """Images from code and subcode, deterministic: the way back of ``invert``. (N, C, H, W) in [0, 1]."""
        raise Unsupported("it has no stochastic subcode")

    def paths(self, x: Tensor, n_steps: int, rng: Rng) -> Tensor:
        """The flow of each image from prior to data as its networks see it, (n_steps + 1, N, ...)."""
        raise Unsupported("it has no flow")

    def attention(self, x: Tensor, rng: Rng) -> Tensor:
        """What the decoder's positions read of each latent of ``x``: shares (N, d, H, W) that sum to 1 over d, mean
        over layers, heads and times. Only with a code that is read as tokens."""
        raise Unsupported("its decoder reads no tokens")

    @property
    def subcode_shape(self) -> tuple[int, ...] | None:
        """Shape of one image's stochastic subcode, or None if the method has none."""
        return None

    @property
    def no_subcode(self) -> str:
        """Why ``subcode_shape`` is None, where it is."""
        return "its code alone makes the image: nothing else is drawn"

    def generate(self, z: Tensor, rng: Rng, n_steps: int) -> Tensor:
        """Images at fixed codes, everything else drawn anew (conditional generation)."""
        raise Unsupported("it generates nothing")

    def draw_codes(self, n: int, rng: Rng, n_steps: int) -> Tensor:
        """n codes from the prior over codes, (n, d): N(0, I) unless the method has learned another."""
        return rng.normal("z", (n, self.net.latent_dim))

    @property
    def code_mean(self) -> Tensor | float:
        """Mean of the prior over codes, (d,) or 0."""
        return 0.0

    def sample(self, n: int, rng: Rng, n_steps: int) -> Tensor:
        """n images from the prior."""
        raise Unsupported("it has no prior over codes")

    def nll(self, x: Tensor, rng: Rng) -> Nll:
        """Bound on the negative log-likelihood."""
        raise Unsupported("it has no likelihood")

    def decoder_loss(self, x: Tensor, swap: Swap, rng: Rng) -> dict[str, Tensor]:
        """The decoder's loss in nats per image, (N,), with codes swapped, at named points (``paramrel.noise``)."""
        raise Unsupported("its decoder has no likelihood")


class Untrained(Method[C], ABC):
    """Base of sanity rows: no optimiser step."""

    trained = False

    def loss(self, batch: Tensor, rng: Rng) -> LossTerms:
        raise Unsupported(f"{self.name} is not trained")


METHODS: Registry[Method[Any]] = Registry("method", "paramrel.methods", Method)
search(METHODS.group, "paramrel.methods")


def methods() -> dict[str, type[Method]]:
    """All methods by name."""
    return METHODS.members


def method(name: str) -> type[Method]:
    """The method class called ``name``. Raises ``UserError`` with a suggestion if there is none."""
    return METHODS.get(name)
