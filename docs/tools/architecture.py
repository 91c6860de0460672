"""Tables of the networks' layers, from the code: ``python -m docs.tools.architecture`` prints them
(docs/architecture.md).

The module tree is run once without numbers (device "meta"). A table has every convolution, residual block, attention
and linear layer in the order in which it is called, with channels and sizes as they come out, and where u and z enter.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from paramrel.networks import Condition, Decoder, Down, Encoder, Head, Middle, ReadingBlock, UNet, Up, n_parameters
from suite.graph.cells import Cell, make_cell
from suite.graph.config import load, resolve

ROOT = Path(__file__).resolve().parent.parent.parent
CONTAINERS = (UNet, Encoder, Decoder, Down, Middle, Up, Head, nn.ModuleList, nn.Sequential)
"""Modules that are looked into; every other one with weights is a layer of a table."""


@dataclass(frozen=True)
class Layer:
    """A layer of a network, in the order of calls."""

    name: str
    """As in the module tree: down.levels.0.1."""
    kind: str
    n_in: int
    shape: tuple[int, ...]
    """Of its output, without the batch."""
    enters: tuple[str, ...]
    """What modulates it or, as tokens, is read by it: "u", "z"."""
    n_parameters: int

    @property
    def size(self) -> str:
        """Height and width of its output, if it has them."""
        return "x".join(map(str, self.shape[1:]))


def layers(network: nn.Module, *inputs: torch.Tensor | None) -> list[Layer]:
    """The layers of a network that is given ``inputs``, all on the device "meta"."""
    found: list[Layer] = []
    condition = next((part for part in network.children() if isinstance(part, Condition)), None)
    known = (
        []
        if condition is None
        else [name for name, part in (("u", condition.time), ("z", condition.latent)) if part is not None]
    )

    def note(name: str):
        def hook(module: nn.Module, given: tuple, out: torch.Tensor) -> None:
            enters = known if len(getattr(module, "modulations", ())) == len(known) else []
            enters = [*enters, "z"] if isinstance(module, ReadingBlock) else enters
            found.append(
                Layer(
                    name,
                    type(module).__name__,
                    given[0].shape[1],
                    tuple(out.shape[1:]),
                    tuple(enters),
                    n_parameters(module),
                )
            )

        return hook

    handles = [part.register_forward_hook(note(name)) for name, part in _leaves(network)]
    with torch.no_grad():
        network(*inputs)
    for handle in handles:
        handle.remove()
    return found


def _leaves(network: nn.Module, prefix: str = "") -> list[tuple[str, nn.Module]]:
    """The modules that are layers of a table, with their names."""
    found = []
    for name, part in network.named_children():
        if isinstance(part, CONTAINERS):
            found += _leaves(part, f"{prefix}{name}.")
        elif not isinstance(part, Condition | nn.GroupNorm | nn.SiLU) and n_parameters(part):
            found.append((prefix + name, part))
    return found


@dataclass(frozen=True)
class Networks:
    """The networks of a cell, layer by layer."""

    title: str
    encoders: dict[str, list[Layer]]
    """By the setting of ``encoder``: vanilla and progressive."""
    unet: list[Layer]
    parameters: dict[str, int]
    """Of each network."""


def networks(cell: Cell, title: str) -> Networks:
    """The networks of a cell of ParamReL at its widths."""
    encoders, counts = {}, {}
    with torch.device("meta"):
        u, z = torch.zeros(1), torch.zeros(1, cell.network.latent_dim)
        for kind in ("vanilla", "progressive"):
            changed = cell.config.model_copy(update={"encoder": kind})
            model = Cell(cell.dataset, cell.method, cell.variant, cell.seed, cell.network, cell.train, changed).build()
            n_colours, *side = model.data.shape
            seen, given, _ = ((n, *side) for n in model.flow.channels(n_colours))
            encoders[kind] = layers(model.encoder, torch.zeros(1, *seen), u)
            counts[f"{kind} encoder"] = n_parameters(model.encoder)
        unet = layers(model.decoder, torch.zeros(1, *given), u, z)
        counts["decoder"] = n_parameters(model.decoder)
    return Networks(title, encoders, unet, counts)


def tables(chosen: Networks) -> str:
    """The layers of decoder and encoder as Markdown."""
    parts = {
        "Decoder (`UNet`)": (chosen.unet, chosen.parameters["decoder"]),
        "Encoder (`encoder: progressive`)": (chosen.encoders["progressive"], chosen.parameters["progressive encoder"]),
    }
    return "\n\n".join(_table(f"{name}, {chosen.title}: {n:,} parameters", found) for name, (found, n) in parts.items())


def _table(title: str, found: list[Layer]) -> str:
    head = ["| layer | kind | channels in, out | size | modulated by | parameters |", "| --- " * 6 + "|"]
    lines = [
        f"| {layer.name} | {layer.kind} | {layer.n_in}, {layer.shape[0]} | {layer.size or '–'} | "
        f"{', '.join(layer.enters) or '–'} | {layer.n_parameters:,} |"
        for layer in found
    ]
    return "\n".join([f"**{title}**", "", *head, *lines])


def main() -> None:
    """Print the tables of docs/architecture.md."""
    paper = resolve(load(ROOT / "params.yaml"), "paper")
    cell = make_cell(paper, "fashionmnist_binarized", "paramrel_d", "ahead", 0)
    print(tables(networks(cell, "preset `paper`, Fashion-MNIST")))


if __name__ == "__main__":
    main()
