"""Drawings of the networks and of the method, from the code: the module tree is run once without numbers ("meta").

A drawing shows what is there: every convolution, residual block, attention and linear layer in the order in which it is
called, with channels and sizes as they come out, and where u and z enter. The overview names functions by looking
them up, so that it cannot name one that is gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch import nn

from paramrel.flows import Flow
from paramrel.methods._paramrel import ParamRel
from paramrel.networks import Condition, Decoder, Down, Encoder, Head, Middle, ReadingBlock, UNet, Up, n_parameters
from suite.cells import Cell
from suite.style import NORMAL, PAGE, plt, save

CONTAINERS = (UNet, Encoder, Decoder, Down, Middle, Up, Head, nn.ModuleList, nn.Sequential)
"""Modules that are looked into; every other one with weights is a layer of the drawing."""
FACES = {
    "ResBlock": "#CFE6F5",
    "ReadingBlock": "#CDEBDD",
    "Attention": "#F6D5C3",
    "Conv2d": "#E8E8E8",
    "Linear": "#E8E8E8",
}
ENTERS = {"u": "#0072B2", "z": "#D55E00"}


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
    def text(self) -> str:
        """Kind and channels."""
        return f"{self.kind} {self.n_in}→{self.shape[0]}"

    @property
    def size(self) -> str:
        """Height and width of its output, if it has them."""
        return "x".join(map(str, self.shape[1:]))


def layers(network: nn.Module, *inputs: torch.Tensor | None) -> list[Layer]:
    """The layers of a network that is given ``inputs``, all on the device "meta"."""
    found: list[Layer] = []
    condition = next((part for part in network.children() if isinstance(part, Condition)), None)
    known = [] if condition is None else [name for name, part in (("u", condition.time), ("z", condition.latent)) if part is not None]  # fmt: skip

    def note(name: str):
        def hook(module: nn.Module, given: tuple, out: torch.Tensor) -> None:
            enters = known if len(getattr(module, "modulations", ())) == len(known) else []
            enters = [*enters, "z"] if isinstance(module, ReadingBlock) else enters
            found.append(
                Layer(name, type(module).__name__, given[0].shape[1], tuple(out.shape[1:]), tuple(enters), n_parameters(module))
            )  # fmt: skip

        return hook

    handles = [part.register_forward_hook(note(name)) for name, part in _drawn(network)]
    with torch.no_grad():
        network(*inputs)
    for handle in handles:
        handle.remove()
    return found


def _drawn(network: nn.Module, prefix: str = "") -> list[tuple[str, nn.Module]]:
    """The modules that are layers of the drawing, with their names."""
    found = []
    for name, part in network.named_children():
        if isinstance(part, CONTAINERS):
            found += _drawn(part, f"{prefix}{name}.")
        elif not isinstance(part, Condition | nn.GroupNorm | nn.SiLU) and n_parameters(part):
            found.append((prefix + name, part))
    return found


@dataclass(frozen=True)
class Networks:
    """What there is to draw of a cell."""

    title: str
    encoders: dict[str, list[Layer]]
    """By the setting of ``encoder``: vanilla and progressive."""
    unet: list[Layer]
    parameters: dict[str, int]
    """Of each network."""
    condition: int
    """Width of the embeddings of u and z."""
    seen: tuple[int, ...]
    """Shape of theta as the encoder sees it."""
    given: tuple[int, ...]
    """Shape of theta as the decoder sees it."""
    out: tuple[int, ...]
    """Shape of the decoder's output."""
    latent_dim: int


def networks(cell: Cell, title: str) -> Networks:
    """The networks of a cell of ParamReL at its widths."""
    encoders, counts = {}, {}
    with torch.device("meta"):
        u, z = torch.zeros(1), torch.zeros(1, cell.network.latent_dim)
        for kind in ("vanilla", "progressive"):
            changed = cell.config.model_copy(update={"encoder": kind})
            model = Cell(cell.dataset, cell.method, cell.variant, cell.seed, cell.network, cell.train, changed).build()
            n_colours, *side = model.data.shape
            seen, given, out = ((n, *side) for n in model.flow.channels(n_colours))
            encoders[kind] = layers(model.encoder, torch.zeros(1, *seen), u)
            counts[f"{kind} encoder"] = n_parameters(model.encoder)
        unet = layers(model.decoder, torch.zeros(1, *given), u, z)
        counts["decoder"] = n_parameters(model.decoder)
    width = model.decoder.condition.dim
    return Networks(title, encoders, unet, counts, width, seen, given, out, cell.network.latent_dim)


def draw(chosen: Networks, folder: Path) -> list[Path]:
    """Write the drawings as svg below ``folder``; returns their paths."""
    made = {
        "architecture_distributions": distributions(),
        "architecture_overview": overview(chosen),
        "architecture_unet": unet(chosen),
        "architecture_encoders": encoders(chosen),
    }
    for name, figure in made.items():
        save(figure, folder / name, ("svg",))
    return [folder / f"{name}.svg" for name in made]


# Networks: boxes from top to bottom, and up again.

WIDE, HIGH, PITCH = 1.42, 0.15, 0.21
"""Inches: a box, and from box to box."""


def unet(chosen: Networks) -> Figure:
    """The decoder (Fig. 7b): down on the left, the bottleneck below, up on the right."""
    down, middle, up = _stages(chosen.unet)
    sizes = list(dict.fromkeys(layer.size for layer in reversed(up)))  # a head is above the way down
    lefts = {size: [layer for layer in down if layer.size == size] for size in sizes}
    rights = {size: [layer for layer in up if layer.size == size] for size in sizes}
    tallest = [max(len(lefts[size]), len(rights[size])) for size in sizes]
    height = (sum(tallest) + len(middle)) * PITCH + 0.16 * len(sizes) + 1.0
    figure, axis = _canvas(PAGE, height)
    y = height - 0.62
    axis.text(0.05, height - 0.18, f"Decoder (UNet), {chosen.title}", weight="bold", fontsize=NORMAL)
    axis.text(0.05, height - 0.36, f"θ {_by(chosen.given)}, z ({chosen.latent_dim}) and u to {_by(chosen.out)}; {chosen.parameters['decoder']:,} parameters")  # fmt: skip
    left, right = 1.0, PAGE - 1.0 - WIDE
    ends: dict[str, tuple[float, float]] = {}
    previous, places = None, {}
    for size, rows in zip(sizes, tallest, strict=True):
        axis.axhspan(y - rows * PITCH, y + 0.02, color="0.97", zorder=0)
        axis.text(0.05, y - rows * PITCH / 2, f"{size}", va="center", color="0.3")
        for i, layer in enumerate(lefts[size]):
            at = y - (i + 0.5) * PITCH
            _box(axis, layer, left, at, side=-1)
            if previous:
                _arrow(axis, (left + WIDE / 2, previous), (left + WIDE / 2, at + HIGH / 2))
            previous = at - HIGH / 2
            ends[size] = (left + WIDE, at)
        for i, layer in enumerate(rights[size]):
            places[layer.name] = y - rows * PITCH + (i + 0.5) * PITCH
        y -= rows * PITCH + 0.16
    centre = (PAGE - WIDE) / 2
    axis.text(centre + WIDE + 0.12, y - len(middle) * PITCH / 2 - 0.05, "bottleneck", va="center", color="0.3")
    for i, layer in enumerate(middle):
        at = y - 0.05 - (i + 0.5) * PITCH
        _box(axis, layer, centre, at, side=1 if i == 0 else -1)
        if i == 0:
            _arrow(axis, (left + WIDE / 2, previous), (centre, at), bend="angle,angleA=-90,angleB=180,rad=3")
        else:
            _arrow(axis, (centre + WIDE / 2, previous), (centre + WIDE / 2, at + HIGH / 2))
        previous = at - HIGH / 2
    before, width = (centre + WIDE, at), middle[-1].shape[0]
    for i, layer in enumerate(up):
        at = places[layer.name]
        _box(axis, layer, right, at, side=1)
        if i == 0:
            _arrow(axis, before, (right + WIDE / 2, at - HIGH / 2), bend="angle,angleA=0,angleB=90,rad=3")
        else:
            _arrow(axis, before, (right + WIDE / 2, at - HIGH / 2))
        if layer.n_in > width and layer.size in ends:  # the map of the way down comes along
            x_end, y_end = ends[layer.size]
            _arrow(axis, (x_end, y_end), (right, at), colour="0.45", style="--")
            axis.text((x_end + right) / 2, (y_end + at) / 2 + 0.03, f"skip, {layer.n_in - width} channels", ha="center", color="0.35")  # fmt: skip
        before, width = (right + WIDE / 2, at + HIGH / 2), layer.shape[0]
    _key(axis, 0.05, 0.2, chosen.condition, ENTERS)
    return figure


def encoders(chosen: Networks) -> Figure:
    """Both encoders (Fig. 8): vanilla, and progressive with u in every block."""
    n = max(map(len, chosen.encoders.values()))
    height = n * PITCH + 1.2
    figure, axis = _canvas(PAGE, height)
    for i, (kind, found) in enumerate(chosen.encoders.items()):
        x = 0.75 + i * PAGE / 2
        axis.text(x - 0.6, height - 0.18, f"({'ab'[i]}) {kind} encoder", weight="bold", fontsize=NORMAL)
        axis.text(x - 0.6, height - 0.36, f"θ {_by(chosen.seen)}{' and u' if kind == 'progressive' else ''}; {chosen.parameters[f'{kind} encoder']:,} parameters; {chosen.title}")  # fmt: skip
        previous = None
        for row, layer in enumerate(found):
            y = height - 0.62 - row * PITCH
            _box(axis, layer, x, y, side=-1)
            if layer.size and (row == 0 or found[row - 1].size != layer.size):
                axis.text(x + WIDE + 0.12, y, layer.size, va="center", color="0.3")
            if layer.name.startswith("middle") and not found[row - 1].name.startswith("middle"):
                axis.text(x + WIDE + 0.12, y, "bottleneck", va="center", color="0.3")
            if previous is not None:
                _arrow(axis, (x + WIDE / 2, previous), (x + WIDE / 2, y + HIGH / 2))
            previous = y - HIGH / 2
        axis.text(x + WIDE / 2, previous - 0.14, f"mean ({chosen.latent_dim}), log-variance ({chosen.latent_dim})", ha="center", va="center")  # fmt: skip
    _key(axis, 0.15, 0.2, chosen.condition, {"u": ENTERS["u"]})
    return figure


def _stages(found: Sequence[Layer]) -> tuple[list[Layer], list[Layer], list[Layer]]:
    """Layers of the way down, of the bottleneck, and of the way up with what follows."""
    down = [layer for layer in found if layer.name.startswith("down.")]
    middle = [layer for layer in found if layer.name.startswith("middle.")]
    return down, middle, [layer for layer in found if layer not in down and layer not in middle]


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _canvas(width: float, height: float) -> tuple[Figure, plt.Axes]:
    """A figure whose coordinates are inches."""
    figure = plt.figure(figsize=(width, height))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, width), ylim=(0, height))
    axis.set_axis_off()
    return figure, axis


def _box(axis: plt.Axes, layer: Layer, x: float, y: float, side: int) -> None:
    """A layer at (x, y); what enters it is shown at its left (side -1) or right (1)."""
    _rounded(axis, x, y, WIDE, HIGH, FACES.get(layer.kind, "#D8F0D8"))
    text = layer.text if layer.size else f"{layer.kind} {layer.n_in}→{layer.shape[0]}"
    axis.text(x + WIDE / 2, y - 0.005, text, ha="center", va="center")
    for i, name in enumerate(layer.enters):
        centre = x - 0.12 - 0.17 * i if side < 0 else x + WIDE + 0.12 + 0.17 * i
        axis.plot([centre], [y], marker="o", ms=8, color=ENTERS[name])
        axis.text(centre, y - 0.005, name, ha="center", va="center", color="white", weight="bold")


def _key(axis: plt.Axes, x: float, y: float, width: int, shown: dict[str, str]) -> None:
    """What the discs mean."""
    for i, (name, colour) in enumerate(shown.items()):
        axis.plot([x + 0.1 + 2.35 * i], [y], marker="o", ms=8, color=colour)
        axis.text(x + 0.1 + 2.35 * i, y - 0.005, name, ha="center", va="center", color="white", weight="bold")
        meant = {"u": "flow time", "z": "latent"}[name]
        axis.text(x + 0.22 + 2.35 * i, y, f"{meant}, embedded in {width} numbers", va="center")
    axis.text(x + 2.35 * len(shown), y, "by AdaGN: scale and shift per channel", va="center")


def _rounded(axis: plt.Axes, x: float, y: float, width: float, height: float, face: str, edge: str = "0.4") -> None:
    shape = FancyBboxPatch((x, y - height / 2), width, height, boxstyle="round,pad=0,rounding_size=0.03", fc=face, ec=edge, lw=0.5)  # fmt: skip
    axis.add_patch(shape)


def _arrow(axis: plt.Axes, start, end, *, colour: str = "0.2", style: str = "-", bend: str = "arc3") -> None:
    axis.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=5, lw=0.6, color=colour, ls=style, shrinkA=0, shrinkB=0, connectionstyle=bend)
    )  # fmt: skip


# The method: what happens in a step, and where z comes from.


def _name(owner: type, attribute: str) -> str:
    """ "Flow.send", after a look at whether there is such a thing."""
    return f"{owner.__name__}.{getattr(owner, attribute).__name__}"


def _node(axis: plt.Axes, x: float, y: float, text: str, code: str = "", width: float = 1.05, face: str = "white") -> None:  # fmt: skip
    """A box centred at (x, y) with a formula and, below it, what the code calls it."""
    _rounded(axis, x - width / 2, y, width, 0.36, face)
    axis.text(x, y + (0.065 if code else 0), text, ha="center", va="center", fontsize=NORMAL)
    if code:
        axis.text(x, y - 0.085, code, ha="center", va="center", color="0.35", family="monospace")


def distributions() -> Figure:
    """One step of a Bayesian flow network (Fig. 1a) and of ParamReL (Fig. 1b): who makes which distribution."""
    height = 3.85
    figure, axis = _canvas(PAGE, height)
    for i, title in enumerate(("(a) Bayesian flow network", "(b) ParamReL")):
        x, with_z = i * PAGE / 2, bool(i)
        given = "θ, z, u" if with_z else "θ, u"
        axis.text(x + 0.1, height - 0.15, title, weight="bold", fontsize=NORMAL)
        theta, x_data = (x + 0.75, 3.3), (x + 2.8, 3.3)
        _node(axis, *theta, "θ at u", _name(Flow, "sample"), face="#CFE6F5", width=1.15)
        _node(axis, *x_data, "data x", _name(Flow, "to_flow"), width=1.15)
        decoder, output, receiver = (x + 0.75, 2.25), (x + 0.75, 1.65), (x + 0.75, 1.05)
        sender, noisy, after = (x + 2.8, 1.65), (x + 2.8, 1.05), (x + 1.78, 0.4)
        _node(axis, *decoder, f"ψ({given})", "decoder: UNet", face="#E8E8E8", width=1.25)
        _node(axis, *output, f"output p_O(x | {given})", _name(Flow, "output"), width=1.4)
        _node(axis, *receiver, "receiver p_R = E p_S", _name(Flow, "draw"), width=1.4)
        _node(axis, *sender, "sender p_S(y | x; α)", _name(Flow, "send"), width=1.4)
        _node(axis, *noisy, "noisy sample y", width=1.15)
        _node(axis, *after, "Bayesian update: θ at u'", _name(Flow, "update"), face="#CFE6F5", width=1.75)
        _down(axis, decoder, output), _down(axis, output, receiver), _down(axis, sender, noisy)
        _down(axis, x_data, sender)
        _arrow(axis, (noisy[0], noisy[1] - 0.18), (after[0] + 0.4, after[1] + 0.18))
        _arrow(axis, (receiver[0], receiver[1] - 0.18), (after[0] - 0.4, after[1] + 0.18), style="--")
        _arrow(axis, (receiver[0] + 0.7, receiver[1] + 0.05), (noisy[0] - 0.575, noisy[1] + 0.4), colour="#7B3F60")
        axis.text(x + 1.78, 1.5, "KL: flow loss", ha="center", va="center", color="#7B3F60", rotation=0)
        if with_z:
            code = (x + 1.78, 2.72)
            _node(axis, *code, "z ~ q(z | θ, u)", "encoder: Encoder", face="#F6D5C3", width=1.2)
            _arrow(axis, (theta[0] + 0.4, theta[1] - 0.18), (code[0] - 0.3, code[1] + 0.18))
            _arrow(axis, (code[0] - 0.3, code[1] - 0.18), (decoder[0] + 0.5, decoder[1] + 0.18))
            axis.text(code[0] + 0.05, code[1] - 0.36, "pulled to N(0, I)\nby KL and MMD", va="center", color="#7B3F60")
        _arrow(axis, (theta[0] - 0.2, theta[1] - 0.18), (decoder[0] - 0.2, decoder[1] + 0.18))
    axis.text(
        0.1, 0.03, "Solid: training, y from the data. Dashed: sampling, y from what the output draws.", color="0.3"
    )
    return figure


def _down(axis: plt.Axes, above: tuple[float, float], below: tuple[float, float]) -> None:
    _arrow(axis, (above[0], above[1] - 0.18), (below[0], below[1] + 0.18))


def overview(chosen: Networks) -> Figure:
    """The chain of sampling and encoding (Fig. 2), and where z comes from in training."""
    height = 4.2
    figure, axis = _canvas(PAGE, height)
    axis.text(0.1, height - 0.15, f"(a) Generation, u from 0 to 1 in n steps: {_name(ParamRel, 'generate')}; {chosen.title}", weight="bold", fontsize=NORMAL)  # fmt: skip
    xs, y = (0.75, 2.95, 5.15), 3.55
    for i, x in enumerate(xs):
        at = ("u = 0", "u = i/n", "u = 1")[i]
        _node(axis, x, y, f"θ at {at}", _by(chosen.given), face="#CFE6F5", width=1.1)
        _node(axis, x, y - 0.75, "ψ", f"UNet → {_by(chosen.out)}", face="#E8E8E8", width=1.3)
        last = f"{Flow.mode.__name__}" if i == 2 else f"{Flow.send.__name__}({Flow.draw.__name__})"
        _node(axis, x + 1.05, y - 0.75, "p_O" if i == 2 else "p_O, y", last, width=0.75)
        _arrow(axis, (x, y - 0.18), (x, y - 0.57))
        _arrow(axis, (x + 0.65, y - 0.75), (x + 0.675, y - 0.75))
        if i < 2:
            _arrow(axis, (x + 0.55, y), (xs[i + 1] - 0.55, y))
            _arrow(axis, (x + 1.05, y - 0.57), (x + 1.05, y - 0.02))
            axis.text(x + 1.1, y + 0.07, Flow.update.__name__, ha="center", color="0.35", family="monospace")
        else:
            _arrow(axis, (x + 1.05, y - 0.57), (x + 1.05, y - 0.2))
            axis.text(x + 1.05, y - 0.12, "image", ha="center")
        _arrow(axis, (x, y - 1.32), (x, y - 0.93), colour=ENTERS["z"])
    axis.plot([xs[0], xs[-1]], [y - 1.32, y - 1.32], color=ENTERS["z"], lw=0.8)
    axis.text(xs[-1] + 0.08, y - 1.32, f"z ({chosen.latent_dim}), once per image: N(0, I), or", va="center")
    axis.text(xs[-1] + 0.08, y - 1.46, "of an image by its encoder", va="center")
    axis.text(0.1, 1.75, "(b) Training: which θ the code z is read from (z_source)", weight="bold", fontsize=NORMAL)
    sources = (
        ("self", "from the same θ:\nz tells nothing new", "θ at u", "as published"),
        ("ahead", "from θ at s ~ U(u, 1):\nz tells what is to come", "θ at s", "ours"),
        ("data", "from θ at s = 1:\nz tells everything", "θ at 1", "ours"),
    )
    for i, (setting, why, source, whose) in enumerate(sources):
        x = 0.1 + i * PAGE / 3
        axis.text(x, 1.5, f"{setting} ({whose})", weight="bold")
        _node(axis, x + 0.42, 1.15, source, width=0.75, face="#CFE6F5")
        _node(axis, x + 1.52, 1.15, f"q: z ({chosen.latent_dim})", width=0.85, face="#F6D5C3")
        _node(axis, x + 0.42, 0.5, "θ at u", width=0.75, face="#CFE6F5")
        _node(axis, x + 1.52, 0.5, "ψ, flow loss", width=0.95, face="#E8E8E8")
        _arrow(axis, (x + 0.795, 1.15), (x + 1.095, 1.15))
        _arrow(axis, (x + 0.795, 0.5), (x + 1.045, 0.5))
        _arrow(axis, (x + 1.52, 0.97), (x + 1.52, 0.68), colour=ENTERS["z"])
        if setting == "self":
            axis.text(x + 0.5, 0.83, "the same", color="0.35", va="center")
            axis.plot([x + 0.42, x + 0.42], [0.68, 0.97], color="0.35", lw=1.5)
        axis.text(x, 0.14, why, va="center", color="0.3")
    return figure
