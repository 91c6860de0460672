"""Tables from rows.csv: the same rows give the same bytes, as csv, GitHub markdown and LaTeX."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from metrics import metric
from paramrel.data import dataset
from paramrel.files import write_text
from paramrel.method import method
from suite.statistics import Summary, summarise

PUBLISHED = Path(__file__).with_name("published.csv")
DASH = "–"
FLOORS = ("chance", "shuffled labels")


@dataclass(frozen=True)
class Measured:
    """One measured cell of a table: the summary over seeds, or the reason why there is none."""

    summary: Summary | None
    note: str = ""


def label(name: str, variant: str) -> str:
    """Row label of a method: title, and the variant in brackets unless there is one only."""
    title = method(name).title
    return title if variant == "default" else f"{title} ({variant})"


def method_rows(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """(method, variant) in order of appearance."""
    return list(rows[["method", "variant"]].drop_duplicates().itertuples(index=False, name=None))


def measured(rows: pd.DataFrame, data: str, name: str, variant: str, metric_name: str) -> Measured:
    """One cell over all seeds; "skipped" data sets and dashes keep their reasons."""
    mine = rows[
        (rows.dataset == data) & (rows.method == name) & (rows.variant == variant)
        & (rows.metric == metric_name) & (rows.fold == "mean")
    ]  # fmt: skip
    values = mine.value.dropna().to_numpy(float)
    if len(values):
        return Measured(summarise(values))
    return Measured(None, mine.note.iloc[0] if len(mine) else "not run")


def chance(rows: pd.DataFrame, data: str, metric_name: str) -> float | None:
    """The metric's chance level on a data set."""
    found = rows[(rows.dataset == data) & (rows.metric == metric_name)].chance.dropna()
    return float(found.iloc[0]) if len(found) else None


def shuffled(rows: pd.DataFrame, data: str, metric_name: str) -> float | None:
    """What the metric gives on shuffled labels of a data set: the control."""
    found = rows[(rows.dataset == data) & (rows.metric == metric_name) & (rows.fold == "shuffled")].value.dropna()
    return float(found.iloc[0]) if len(found) else None


def floors(rows: pd.DataFrame, data: str, digits: Mapping[str, int], heading: Callable[[str], str]) -> dict[str, dict[str, str]]:  # fmt: skip
    """The last lines of a data set's table: chance levels, and the control on shuffled labels if there is one.

    ``digits`` gives the metrics and how they are shown, ``heading`` the column of a metric.
    """
    lines = {}
    for line, level_of in zip(FLOORS, (chance, shuffled), strict=True):
        levels = {name: level_of(rows, data, name) for name in digits}
        if line == "chance" or any(level is not None for level in levels.values()):
            lines[line] = {
                heading(name): DASH if level is None else f"{level:.{digits[name]}f}" for name, level in levels.items()
            }
    return lines


def published(data: str, name: str, variant: str, metric_name: str) -> pd.Series | None:
    """The paper's number for a cell, if it prints one."""
    table = pd.read_csv(PUBLISHED, keep_default_na=False)
    found = table[
        (table.dataset == data) & (table.method == name) & (table.variant == variant) & (table.metric == metric_name)
    ]
    return None if found.empty else found.iloc[0]


def show(summary: Summary | None, digits: int = 4) -> str:
    """ "0.9941 ± 0.0008", or "0.9941" for one seed, or a dash."""
    if summary is None:
        return DASH
    text = f"{summary.mean:.{digits}f}"
    return text if summary.half_width is None else f"{text} ± {summary.half_width:.{digits}f}"


def table2(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Table 2 of the paper: what a linear probe reads from the codes. Returns the table and its notes."""
    notes: list[str] = []
    lines = [{"method": label(*key)} | _table2_line(rows, key, notes) for key in method_rows(rows)]
    last: dict[str, dict[str, str]] = {}
    for data in rows.dataset.unique():
        floor = floors(rows, data, {"auroc": 4, "accuracy": 3}, lambda name, data=data: _heading(data, name))
        for line, shown in floor.items():
            last[line] = last.get(line, {"method": line}) | shown
    frame = pd.DataFrame([*lines, *last.values()]).fillna(DASH)
    for data in rows.dataset.unique():
        for name in ("auroc", "accuracy"):
            _mark_best(frame, _heading(data, name))
        if dataset(data).probe_on == "all":
            notes.append(
                f"{dataset(data).title}: probes see the codes of all images (the set is too small to hold out a "
                "fifth); training sees no label, and the probe's folds are held out."
            )
    notes += _seeds_note(rows)
    return frame, notes


def _table2_line(rows: pd.DataFrame, key: tuple[str, str], notes: list[str]) -> dict[str, str]:
    line = {}
    for data in rows.dataset.unique():
        for name, digits in (("auroc", 4), ("accuracy", 3)):
            paper = published(data, *key, name)
            if paper is not None:
                dagger = " †" if name == "auroc" and paper.is_auroc == "no" else ""
                line[f"{dataset(data).title} {metric(name).title}, published"] = f"{paper['mean']:.3f}{dagger}"
                if dagger and not any(note.startswith("†") for note in notes):
                    notes.append("† an accuracy on non-binarised images, copied from another paper (arXiv 2306.08757).")
            line[_heading(data, name)] = show(measured(rows, data, *key, name).summary, digits)
    return line


USAGE = (
    ("loss_own", 2), ("loss_permuted", 2), ("loss_mean", 2), ("loss_prior", 2), ("permuted_ratio", 2),
    ("agreement", 3), ("auroc_sampled", 4), ("active_units", 1), ("kl", 1), ("mse_from_code", 4),
    ("bit_accuracy_from_code", 3), ("bits_per_dim", 3), ("nats_continuous", 3), ("bits_categorical", 3),
)  # fmt: skip


DISENTANGLEMENT = (
    ("dci", 3), ("dci_completeness", 3), ("dci_informativeness", 3), ("factor_vae", 3), ("tad", 3), ("attrs", 1),
    ("mig", 3), ("modularity", 3), ("dci_progressive", 3),
)  # fmt: skip

IMAGES = (
    ("mse", 5), ("psnr", 2), ("ssim", 4), ("bit_error", 4), ("notblur", 3), ("notblur_from_code", 3),
    ("round_trip", 6), ("round_trip_permuted", 4), ("subcode_std", 3), ("smoothness", 4), ("smoothness_max", 4),
)  # fmt: skip

PROGRESSIVE = (("auroc", 4), ("auroc_progressive", 4), ("accuracy", 3), ("accuracy_progressive", 3))


def usage_table(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Is the latent used? One line per method that has a code with a decoder. Returns the table and its notes."""
    frame, notes = _by_data_set(rows, USAGE)
    notes.append(
        "loss: nats per held-out image, at u = 0.3 for flows and diffusions (u = 1 - t/T) and of the whole image for "
        "autoencoders: compare within a row. permuted/own = 1 and agreement at chance mean that the decoder ignores z. "
        "AE and DiffAE have no prior on z: for them z = 0 and prior z are points like any other."
    )
    notes.append(
        "bits/dim is a bound: it includes the KL of z, except where z is the receiver's own noise (self). An MMD "
        "alone does not keep that KL small."
    )
    return frame, notes + _warnings(rows) + _seeds_note(rows)


def disentanglement_table(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """What single latents tell of factors and attributes, where a data set has them. Returns the table and its notes."""
    has = rows[rows.metric.isin(("dci", "tad")) & rows.value.notna()].dataset.unique()
    frame, notes = _by_data_set(rows[rows.dataset.isin(has)], DISENTANGLEMENT)
    if frame.empty:
        notes.append("No data set of this preset has factors or attributes.")
    return frame, notes + _seeds_note(rows)


def images_table(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """How near and how sharp images come back. Returns the table and its notes."""
    frame, notes = _by_data_set(rows, IMAGES)
    notes.append(
        "MSE to sharpness ratio: from all that the method keeps of an image, which for ParamReL is theta_1 and says "
        "nothing of z (latent_usage does). Round trip: image to (z, subcode) by the deterministic sampler backwards, "
        "and forwards again; for DiffAE and InfoDiffusion both are the same. Interpolation: 8 pairs, 9 images each."
    )
    return frame, notes + _seeds_note(rows)


def progressive_table(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """What probes read from codes along the flow. Returns the table and its notes."""
    flows = rows[rows.metric.eq("auroc_progressive") & rows.value.notna()]
    keys = set(flows[["dataset", "method", "variant"]].itertuples(index=False, name=None))
    mine = rows[[key in keys for key in rows[["dataset", "method", "variant"]].itertuples(index=False, name=None)]]
    frame, notes = _by_data_set(mine, PROGRESSIVE)
    if frame.empty:
        notes.append("No method of this preset has codes along a flow.")
    return frame, notes + _seeds_note(rows)


def _by_data_set(rows: pd.DataFrame, columns: Sequence[tuple[str, int]]) -> tuple[pd.DataFrame, list[str]]:
    """One line per data set and method that has any of the metrics (name, digits), chance levels, and the reasons of
    dashes. Metrics that nothing of the preset has are left out."""
    columns = [column for column in columns if rows[rows.metric == column[0]].value.notna().any()]
    lines, notes = [], []
    for data in rows.dataset.unique():
        found = False
        for key in method_rows(rows[rows.dataset == data]):
            cells = {name: measured(rows, data, *key, name) for name, _ in columns}
            if all(cell.summary is None for cell in cells.values()):
                continue
            found = True
            line = {"data set": dataset(data).title, "method": label(*key)}
            lines.append(line | {_title(name): show(cells[name].summary, digits) for name, digits in columns})
            reasons = sorted({cell.note for cell in cells.values() if cell.summary is None})
            notes += [f"{label(*key)}: {DASH} because {'; '.join(reasons)}."] if reasons else []
        for line, shown in floors(rows, data, dict(columns), _title).items() if found else ():
            if any(level != DASH for level in shown.values()):
                lines.append({"data set": dataset(data).title, "method": line} | shown)
    headings = ["data set", "method", *(_title(name) for name, _ in columns)]
    return pd.DataFrame(lines, columns=headings), list(dict.fromkeys(notes))


def _warnings(rows: pd.DataFrame) -> list[str]:
    """Trained methods whose posterior collapsed, and those that learned nothing that a probe or an image shows."""
    found = []
    for data in rows.dataset.unique():
        floor = measured(rows, data, "untrained", "default", "accuracy").summary
        by_chance = chance(rows, data, "agreement")
        for key in method_rows(rows):
            accuracy, agreement, units = (
                measured(rows, data, *key, name).summary for name in ("accuracy", "agreement", "active_units")
            )
            if not method(key[0]).trained:
                continue
            where = f"{label(*key)} on {dataset(data).title}"
            if units is not None and units.mean < COLLAPSED:
                found.append(
                    f"{where}: {units.mean:.1f} active units: most of its posterior has collapsed to the prior."
                )
            better = floor is None or accuracy is None or accuracy.mean > floor.mean
            if not better and (agreement is None or by_chance is None or agreement.mean <= by_chance):
                found.append(f"{where}: no better than the untrained encoder in accuracy or in class agreement.")
    return found


COLLAPSED = 5
"""Active units below which a table says that a method collapsed."""


def _seeds_note(rows: pd.DataFrame) -> list[str]:
    n = rows.seed.nunique()
    if n == 1:
        return ["One seed: no interval can be given."]
    return [f"Mean over {n} seeds ± half width of the 95 % t-interval."]


def _title(name: str) -> str:
    chosen = metric(name)
    return f"{chosen.title} {arrow(chosen.direction)}".strip()


def _heading(data: str, name: str) -> str:
    return f"{dataset(data).title} {_title(name)}"


def arrow(direction: str) -> str:
    """Which way is better."""
    return {"higher": "↑", "lower": "↓"}.get(direction, "")


def _mark_best(frame: pd.DataFrame, column: str) -> None:
    """Bold the best mean of a column of shown values; the arrow in the heading says which way."""
    if column not in frame:
        return
    means = {i: _mean(text) for i, text in frame[column].items() if frame.method[i] not in FLOORS}
    means = {i: mean for i, mean in means.items() if not math.isnan(mean)}
    if means:
        best = (max if column.endswith("↑") else min)(means.values())
        for i, mean in means.items():
            if mean == best:
                frame.loc[i, column] = f"**{frame.loc[i, column]}**"


def _mean(text: str) -> float:
    return math.nan if text == DASH else float(text.split(" ")[0])


TABLES: dict[str, tuple[str, Callable[[pd.DataFrame], tuple[pd.DataFrame, list[str]]]]] = {
    "table2": ("Table 2: linear probes of the codes", table2),
    "latent_usage": ("Latent usage", usage_table),
    "disentanglement": ("Disentanglement", disentanglement_table),
    "images": ("Reconstructions, round trips and interpolations", images_table),
    "progressive": ("Codes along the flow", progressive_table),
}
"""Caption and maker of every table, by the name of its files."""


def write_table(frame: pd.DataFrame, notes: Sequence[str], caption: str, stem: Path) -> None:
    """``stem``.csv, .md and .tex."""
    plain = frame.map(lambda text: text.replace("**", ""))
    write_text(stem.with_suffix(".csv"), plain.to_csv(index=False, lineterminator="\n"))
    markdown = frame.to_markdown(index=False, disable_numparse=True)
    write_text(
        stem.with_suffix(".md"), "\n".join([f"**{caption}**", "", markdown, "", *(f"- {note}" for note in notes), ""])
    )
    write_text(stem.with_suffix(".tex"), _latex(frame, notes, caption))


def _latex(frame: pd.DataFrame, notes: Sequence[str], caption: str) -> str:
    """A booktabs table; needs the LaTeX packages booktabs and graphicx."""
    body = frame.rename(columns=_tex).map(_tex).to_latex(index=False, column_format="l" + "r" * (frame.shape[1] - 1))
    text = " ".join(_tex(note) for note in notes)
    return (
        "\\begin{table}\n\\centering\n"
        f"\\caption{{{_tex(caption)}. {text}}}\n"
        f"\\resizebox{{\\linewidth}}{{!}}{{%\n{body.rstrip()}%\n}}\n\\end{{table}}\n"
    )


def _tex(text: str) -> str:
    """Escape for LaTeX; **bold** becomes \\textbf."""
    for plain, escaped in (("\\", r"\textbackslash{}"), ("&", r"\&"), ("%", r"\%"), ("_", r"\_"), ("#", r"\#"), ("<", r"$<$"), (">", r"$>$")):  # fmt: skip
        text = text.replace(plain, escaped)
    for plain, escaped in (("±", r"$\pm$"), ("↑", r"$\uparrow$"), ("↓", r"$\downarrow$"), ("†", r"$\dagger$"), (DASH, "--")):  # fmt: skip
        text = text.replace(plain, escaped)
    return rf"\textbf{{{text[2:-2]}}}" if text.startswith("**") else text
