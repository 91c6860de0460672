"""Tables with a line per data set and method: usage of the latent, likelihood, disentanglement, images, the flow.

Which metrics stand in which table, and in which order, is declared by the metrics (``Metric.places``).
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from metrics import metric
from paramrel.data import dataset
from paramrel.method import method
from suite.show.tables.entries import DASH, DATA_SET, METHOD, Line, Styled, Table, mark_best
from suite.show.tables.from_rows import (
    PerSeed,
    data_entry,
    floor_lines,
    label,
    last_notes,
    method_entry,
    method_rows,
    metric_column,
    metrics_of,
    value_entry,
)

LINE = ["dataset", "method", "variant"]
"""What a line of a table is of."""
COLLAPSED = 5
"""Active units below which a table says that a method collapsed."""


def usage_table(rows: pd.DataFrame) -> Table:
    """Is the latent used?"""
    table = by_data_set(rows, metrics_of("latent_usage"))
    note = (
        f"{_where_losses_are(rows)} permuted/own = 1 and agreement at chance mean that the decoder ignores z. Chance "
        f"is the share of the "
        "largest class; a decoder that ignores z and makes classes as often as the data gets the sum of their "
        "squared shares, "
        "which is less, and images that the probe cannot read, such as noisy ones, get anything. "
        "z = 0 and prior z: mean and draws of the method's prior, N(0, I) but for points: of DiffAE, EncDiff and "
        "InfoDiffusion "
        "their latent diffusion, of ParamReL the Gaussian that they are scattered like. AE has none: N(0, I)."
    )
    return table.with_remarks(note, *_warnings(rows), *last_notes(table.lines, rows))


def _where_losses_are(rows: pd.DataFrame) -> str:
    """At which noise losses are compared. The first version of the metrics took a flow time."""
    if (rows[rows.metric == "permuted_ratio"].metric_version > 1).any():
        return (
            "loss: nats per held-out image, at noise of half of the data's range for flows and diffusions (SNR/2 |x "
            "− xhat|², "
            "the bound's loss per unit of ln SNR), and of the whole image for autoencoders; of tables at u = 0.3."
        )
    return (
        "loss: nats per held-out image, at u = 0.3 for flows and diffusions (u = 1 − t/T) and of the whole image for "
        "autoencoders. At the same u a flow and a diffusion see an image through different noise, so their losses "
        "may be "
        "far apart."
    )


def likelihood_table(rows: pd.DataFrame) -> Table:
    """Bounds on the likelihood, and their parts."""
    table = by_data_set(rows, metrics_of("likelihood"))
    note = (
        "Of held-out images. Distortion: the data term of the bound; rate: the KL of z that is part of it; both in "
        "nats "
        "per image. bits/dim = (distortion + rate) / (D ln 2), an upper bound on −log2 p(x) per dimension. The rate of "
        "ParamReL (self) is 0 because z is the receiver's own noise there; its KL to the prior is in ",
        Styled("latent_usage", "code"),
        ". An MMD alone does not keep the rate small. A code that is a point is given a tenth of the codes' standard "
        "deviation as width: some 2.3 nats per latent, in return for a bound.",
    )
    return table.with_remarks(note, *last_notes(table.lines, rows))


def disentanglement_table(rows: pd.DataFrame) -> Table:
    """What single latents tell of factors and attributes, where a data set has them."""
    has = set(rows[rows.metric.isin(("dci", "tad")) & rows.value.notna()].dataset) | unmeasured(rows, "dataset")
    mine = rows[rows.dataset.isin(has)]
    none = ["No data set of this preset has factors or attributes."] if mine.empty else []
    table = by_data_set(mine, metrics_of("disentanglement"))
    return table.with_remarks(*none, *last_notes(table.lines, rows))


def images_table(rows: pd.DataFrame) -> Table:
    """How near and how sharp images come back."""
    table = by_data_set(rows, metrics_of("images"))
    note = (
        "MSE to sharpness ratio: from all that the method keeps of an image, which for ParamReL is theta_1 and says "
        "nothing of z (latent_usage does). Round trip: image to (z, subcode) by the deterministic sampler backwards, "
        "and forwards again; for diffusion models both are the same. Interpolation: 8 pairs, 9 images each."
    )
    return table.with_remarks(note, *last_notes(table.lines, rows))


def progressive_table(rows: pd.DataFrame) -> Table:
    """What probes read from codes along the flow."""
    flows = rows[rows.metric.eq("auroc_progressive") & rows.value.notna()]
    keys = set(flows[LINE].itertuples(index=False, name=None)) | unmeasured(rows, LINE)
    has = [key in keys for key in rows[LINE].itertuples(index=False, name=None)]
    mine = rows[pd.Series(has, index=rows.index, dtype=bool)]
    none = ["No method of this preset has codes along a flow."] if mine.empty else []
    table = by_data_set(mine, metrics_of("progressive"))
    return table.with_remarks(*none, *last_notes(table.lines, rows))


def unmeasured(rows: pd.DataFrame, by: str | list[str]) -> set[Any]:
    """Data sets, or (data set, method, variant), that were to run and have no value of any metric: what they could have
    is not known."""
    planned = rows[rows.cell != ""]
    return {key for key, values in planned.groupby(by).value if values.isna().all()}


def by_data_set(rows: pd.DataFrame, names: Sequence[str]) -> Table:
    """One line per data set and method that has any of the metrics, then floors; the remarks say which methods have no
    line. Metrics that nothing of the preset has are left out."""
    kept = [name for name in names if rows[rows.metric == name].value.notna().any()]
    columns = [metric_column(name) for name in kept]
    lines: list[Line] = []
    lost = unmeasured(rows, LINE)
    per_seed = PerSeed(rows)
    absent: dict[tuple[str, str], list[str]] = {}
    for data in rows.dataset.unique():
        keys = method_rows(rows[rows.dataset == data])
        if not kept:  # no metric has a value: those that failed on everything are named
            keys = [key for key in keys if (data, *key) in lost]
        mine, without = _lines(per_seed, data, keys, kept or names)
        floors = floor_lines(rows, data, columns) if mine else []
        for column in columns:
            if not metric(column.metric).unranked:
                mark_best(mine, column)
        lines += [Line({DATA_SET: data_entry(data)} | line.entries, line.floor) for line in [*mine, *floors]]
        for who, why in without:
            absent.setdefault((data, why), []).append(who)
    notes = [
        f"{DASH} in all columns, {dataset(data).title}: {', '.join(who)}: {why}." for (data, why), who in absent.items()
    ]
    return Table((DATA_SET, METHOD, *columns), tuple(lines), (*notes, *_unranked(kept)))


def _lines(
    per_seed: PerSeed, data: str, keys: Sequence[tuple[str, str]], names: Sequence[str]
) -> tuple[list[Line], list[tuple[str, str]]]:
    """The lines of a data set's methods; and the methods that have none of the metrics, with the reasons."""
    lines, absent = [], []
    for key in keys:
        found = {name: per_seed.measured(data, *key, name) for name in names}
        if any(one.summary for one in found.values()):
            entries = {metric_column(name): value_entry(one, name) for name, one in found.items()}
            lines.append(Line({METHOD: method_entry(*key)} | entries))
        else:
            absent.append((label(*key), "; ".join(dict.fromkeys(one.note for one in found.values()))))
    return lines, absent


def _unranked(names: Sequence[str]) -> list[str]:
    """Which columns have an arrow and no marks."""
    why: dict[str, list[str]] = {}
    for name in names:
        if metric(name).unranked:
            why.setdefault(metric(name).unranked, []).append(metric(name).title)
    return [f"No marks in {' and '.join(map(repr, titles))}: {reason}." for reason, titles in why.items()]


def _warnings(rows: pd.DataFrame) -> list[str]:
    """Trained methods whose posterior collapsed, and those that learned nothing that a probe or an image shows."""
    found = []
    per_seed = PerSeed(rows)
    for data in rows.dataset.unique():
        floor = per_seed.measured(data, "untrained", "default", "accuracy").summary
        levels = rows[(rows.dataset == data) & (rows.metric == "agreement")].chance.dropna()
        for key in method_rows(rows):
            accuracy, agreement, units = (
                per_seed.measured(data, *key, name).summary for name in ("accuracy", "agreement", "active_units")
            )
            if not method(key[0]).trained:
                continue
            where = f"{label(*key)} on {dataset(data).title}"
            if units is not None and units.mean < COLLAPSED:
                found.append(
                    f"{where}: {units.mean:.1f} active units: most of its posterior has collapsed to the prior."
                )
            better = floor is None or accuracy is None or accuracy.mean > floor.mean
            if not better and (agreement is None or levels.empty or agreement.mean <= levels.iloc[0]):
                found.append(f"{where}: no better than the untrained encoder in accuracy or in class agreement.")
    return found
