"""`paramrel sample`, `paramrel interpolate` and so on: one command for each use of codes."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from paramrel.errors import UserError
from suite.commands.oneline import one_line_errors
from suite.commands.options import Config, DataName, MethodName, PresetName, Runs, Seed, Variant, find_cell
from suite.graph.results import USE_FIGURES

HELP = {
    "sample": "Draw images: code and everything else from the prior.",
    "generate": "Draw images that keep one part of an image's encoding: its code, or its subcode.",
    "reconstruct": "Encode and render images: from code and subcode, with another's code, from the code alone.",
    "vary-time": "Render images from their codes along the flow, z_s for growing s.",
    "interpolate": "Render what lies between two images: the code by lerp or slerp, the subcode by slerp.",
    "traverse": "Render an image with one latent at a time moved from -3 to 3 standard deviations.",
    "flow": "Draw the Bayesian flow of one pixel.",
}


def use_commands() -> dict[str, Callable[..., None]]:
    """The commands by name."""
    return {use: one_line_errors(_command(use)) for use in USE_FIGURES}


def _command(use: str) -> Callable[..., None]:
    def command(
        dataset: DataName,
        method: MethodName,
        variant: Variant = None,
        seed: Seed = None,
        preset: PresetName = None,
        config: Config = Path("params.yaml"),
        runs: Runs = Path("runs"),
        out: Annotated[
            Path, typer.Option("--out", help="Picture (.png or .pdf); its arrays go beside it as .npz.")
        ] = Path(f"{USE_FIGURES[use]}.png"),
        first: Annotated[int, typer.Option("--first", min=0, help="First held-out image to take.")] = 0,
        images: Annotated[int, typer.Option("--images", min=4, max=500, help="Held-out images to take.")] = 16,
        steps: Annotated[
            int | None, typer.Option("--steps", min=1, help="Sampler's steps; the preset's if none.")
        ] = None,
    ) -> None:
        if out.suffix not in (".png", ".pdf"):
            raise UserError(f"--out {out}: the picture is .png or .pdf")
        chosen, cell = find_cell(config, preset, dataset, method, variant, seed)
        from suite.show.use import use_codes

        use_codes(use, cell, chosen, runs, out, range(first, first + images), steps or chosen.evaluate.sampling_steps)
        print(f"{out} {out.with_suffix('.npz')}")

    command.__doc__ = HELP[use]
    return command
