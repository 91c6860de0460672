"""Own images from the shell: `paramrel train --images FOLDER` and `paramrel encode --model FOLDER` (docs/api.md)."""

from pathlib import Path
from typing import Annotated

import typer

from paramrel.errors import UserError

OwnImages = Annotated[
    Path | None,
    typer.Option("--images", help="Your own images in place of a data set: a folder, or an .npz file."),
]
Labels = Annotated[bool, typer.Option("--labels", help="The folder that holds an image is its class.")]
Size = Annotated[int | None, typer.Option("--size", min=1, help="Side that images are resized to; none: as they are.")]
Steps = Annotated[int, typer.Option("--steps", min=1, help="Training steps, with --images.")]
Setting = Annotated[list[str] | None, typer.Option("--set", help="Setting with --images, repeatable: latent_dim=16.")]
ModelFolder = Annotated[Path | None, typer.Option("--model", help="Folder of a model that was trained on own images.")]


def one_of(**given: object) -> None:
    """Raises ``UserError`` unless exactly one of the options is given."""
    named = [f"--{name}" for name, value in given.items() if value]
    if len(named) != 1:
        options = " or ".join(f"--{name}" for name in given)
        raise UserError(f"give {options}, one of them" + (f", not {' and '.join(named)}" if named else ""))


def train_own(
    source: Path,
    name: str,
    variant: str | None,
    seed: int,
    steps: int,
    labels: bool,
    size: int | None,
    settings: list[str],
    out: Path | None,
) -> None:
    """Train a method on own images and save the model. Nothing is written where the input is wrong."""
    from paramrel.api import images, train
    from suite.graph.written import parse_yaml

    if out is None:
        raise UserError("--out FOLDER is missing: where the model is to be saved")
    if (out / "model.json").exists():
        raise UserError(f"{out} holds a model already: choose another --out, or delete it")
    found = images(source, "folder" if labels else None, size=size)
    for note in found.notes:
        print(f"note: {note}")
    print(f"{len(found.train)} images to train on, {len(found.test)} held out")
    pairs = (setting.partition("=") for setting in settings)
    parsed = {key: parse_yaml(value, f"--set {key}") for key, _, value in pairs}
    model = train(name, found, variant=variant, steps=steps, seed=seed, threads=1, **parsed)
    print(model.save(out))


def encode_own(model: Path, source: Path | None, size: int | None, labels: bool, out: Path | None) -> None:
    """Write z of own images (and y, y_names where folders are classes) for ``paramrel evaluate``."""
    import numpy as np

    from paramrel.api import Model, images
    from paramrel.files import write_arrays

    if source is None or out is None or out.suffix != ".npz":
        raise UserError("with --model give --images FOLDER and --out CODES.npz")
    loaded, found = Model.load(model), images(source, "folder" if labels else None, size=size, test=0.0)
    arrays = {"z": loaded.encode(found.train)}
    if labels:
        arrays |= {"y": np.array(found.classes)[found.train_labels]}
    write_arrays(out, arrays)
    print(f"{out}: {len(arrays['z'])} codes of {arrays['z'].shape[1]} numbers")
