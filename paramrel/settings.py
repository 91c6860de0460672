"""Typed settings that methods and the training loop read. Frozen: a run never changes its own configuration."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Precision = Literal["fp32", "tf32", "bf16"]


class Frozen(BaseModel):
    """Base of all settings: immutable, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    later: ClassVar[tuple[str, ...]] = ()
    """Fields that were added after results had been committed. While such a field has its default it is not recorded,
    so that a new option leaves the hashes of the runs that do without it as they are. What its default computes must
    then never change; a class names its own fields, those of its bases count too."""

    def recorded(self) -> dict[str, Any]:
        """What is hashed and written into run records: plain values of every field, defaults filled in, but of the
        fields in ``later`` only those that differ from their default."""
        late = {name for cls in type(self).__mro__ for name in vars(cls).get("later", ())}
        kept = {name: field.default for name, field in type(self).model_fields.items() if name in late}
        same = {name for name, default in kept.items() if getattr(self, name) == default}
        return self.model_dump(mode="json", exclude=same)


class Network(Frozen):
    """Widths of the U-Net and of the encoder (Table 5 of the paper: channels and channel multipliers)."""

    later = (
        "unshuffle",
        "conditioning",
        "token_dim",
        "token_heads",
        "token_levels",
        "token_transformer",
        "head_channels",
    )

    channels: int = Field(32, ge=2, multiple_of=2)
    """Channels of the first level."""
    multipliers: tuple[Annotated[int, Field(ge=1)], ...] = Field((1, 2, 4), min_length=1)
    """Channel multiplier of each level; the side is halved between levels."""
    blocks: int = Field(2, ge=1)
    """Residual blocks per level."""
    groups: int = Field(8, ge=1)
    """Groups of every group normalisation; must divide every level's channels."""
    latent_dim: int = Field(32, ge=1)
    """d, the number of latent dimensions."""
    adagn: Literal["single", "eq12"] = "single"
    """How u and z modulate a block: after one group normalisation, or nested with a second as in Eq. 12."""
    unshuffle: int = Field(1, ge=1)
    """Side of the squares of pixels that become channels on the way in and pixels again on the way out (space to
    depth): networks work at 1/unshuffle of the image's side, which it must divide. 1: none."""
    head_channels: int = Field(0, ge=0)
    """Channels of a head at full resolution, which U-Net and decoder then end in: two 3x3 convolutions, in the U-Net
    with its input beside them. Needed where ``unshuffle`` > 1 and images are grey or coloured: without it no layer sees
    single pixels, and what is generated is noise. Allowed at any ``unshuffle``. 0: none."""
    conditioning: Literal["adagn", "tokens"] = "adagn"
    """How z enters a U-Net. adagn: it modulates every block, like u. tokens: each latent is made a token by a small MLP
    of its own, and positions read the tokens by cross-attention (after EncDiff, arXiv 2402.09712); u modulates."""
    token_dim: int = Field(32, ge=1)
    """Width of a token."""
    token_heads: int = Field(4, ge=1)
    """Heads of the cross-attention; must divide the channels of every level that reads tokens."""
    token_levels: tuple[Annotated[int, Field(ge=0)], ...] | Literal["all"] = "all"
    """Levels of the U-Net (0: the top) whose every block reads the tokens. The bottleneck belongs to the lowest."""
    token_transformer: bool = False
    """A whole transformer block in place of the cross-attention: self-attention of positions before it, a feed-forward
    layer after it. The self-attention compares all pairs of positions: leave out large levels (``token_levels``)."""

    @model_validator(mode="after")
    def _groups_divide_channels(self) -> "Network":
        for multiplier in self.multipliers:
            if (self.channels * multiplier) % self.groups:
                raise ValueError(
                    f"groups={self.groups} does not divide the {self.channels * multiplier} channels "
                    f"of multiplier {multiplier}: choose groups that divide channels * multiplier"
                )
            if self.adagn == "eq12" and self.channels * multiplier < 4 * self.groups:
                raise ValueError(
                    f"adagn=eq12 needs at least 4 channels per group, here {self.channels * multiplier} channels in "
                    f"{self.groups} groups: with fewer its outer normalisation erases z; lower groups"
                )
        return self

    @model_validator(mode="after")
    def _levels_read_tokens(self) -> "Network":
        if self.conditioning == "adagn":
            return self
        if self.adagn == "eq12":
            raise ValueError("adagn=eq12 nests z in u, and with conditioning=tokens z modulates nothing: choose one")
        n_levels = len(self.multipliers)
        if self.token_levels == () or any(level >= n_levels for level in self.reading_levels):
            raise ValueError(
                f"token_levels={list(self.reading_levels)} must be some of the {n_levels} levels 0 to {n_levels - 1}"
            )
        for level in self.reading_levels:
            if (self.channels * self.multipliers[level]) % self.token_heads:
                raise ValueError(
                    f"token_heads={self.token_heads} does not divide the {self.channels * self.multipliers[level]} "
                    f"channels of level {level}: choose heads that divide channels * multiplier"
                )
        return self

    @property
    def reading_levels(self) -> tuple[int, ...]:
        """Levels that read tokens; none with AdaGN."""
        if self.conditioning == "adagn":
            return ()
        return tuple(range(len(self.multipliers))) if self.token_levels == "all" else self.token_levels


class Train(Frozen):
    """The training loop. Every field changes the result, so every field is part of a run's hash."""

    steps: int = Field(1000, ge=1)
    """Optimiser steps. Give this or ``epochs`` in a preset."""
    batch_size: int = Field(128, ge=2)
    """Images per step. (Two at least: the MMD compares pairs.)"""
    learning_rate: float = Field(1e-3, gt=0)
    schedule: Literal["constant", "cosine", "infodiffusion"] = "cosine"
    """After the warm-up: constant, or half a cosine down to 0. infodiffusion: the official InfoDiffusion code's rates,
    one per epoch (``training.official_rate``); ``warmup_steps`` is not used."""
    warmup_steps: int = Field(50, ge=0)
    """Steps over which the learning rate rises linearly from 0."""
    betas: tuple[float, float] = (0.9, 0.99)
    """AdamW's moments (the BFN paper's setting)."""
    weight_decay: float = Field(0.01, ge=0)
    clip_norm: float = Field(5.0, gt=0)
    """Largest gradient norm of the per-dimension loss."""
    ema_decay: float = Field(0.9999, ge=0, lt=1)
    """Exponential moving average of the weights, which is what is evaluated; warmed up as (1 + n) / (10 + n)."""
    flip: bool = False
    """Mirror each training image left to right with probability 1/2. Never when codes are extracted."""
    precision: Precision = "fp32"
    """tf32: products of float32 may round their factors to 10 bits, where the GPU can; on processors it is fp32. bf16:
    autocast of the networks; losses stay in float32."""
    compile: bool = False
    """``torch.compile`` of the networks."""


class Runtime(Frozen):
    """Where and how often; nothing here is part of a run's hash."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(1, ge=1)
    """CPU threads per job. Two jobs of one thread beat one of two (and sums are rounded alike everywhere)."""
    checkpoint_every: int = Field(200, ge=1)
    """Steps between checkpoints."""
    log_every: int = Field(50, ge=1)
    """Steps between writes to metrics.jsonl, which has a line per step; NaN is noticed at the next one."""
    trainings_per_gpu: int = Field(1, ge=1)
    """Jobs that share a GPU of this machine, where one alone does not fill it."""
