"""Typed settings that methods and the training loop read. Frozen: a run never changes its own configuration."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Frozen(BaseModel):
    """Base of all settings: immutable, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Network(Frozen):
    """Widths of the U-Net and of the encoder (Table 5 of the paper: channels and channel multipliers)."""

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
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: autocast of the networks; losses stay in float32."""
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
    """Steps between lines of metrics.jsonl."""
    trainings_per_gpu: int = Field(1, ge=1)
    """Jobs that share a GPU of this machine, where one alone does not fill it."""
