"""Tables with a line per data set and method: usage of the latent, likelihood, disentanglement, images, the flow."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from metrics import metric
from paramrel.data import dataset
from paramrel.method import method
from suite.show.tables.entries import (
    DASH,
    Reasons,
    floor_lines,
    frame_of,
    label,
    last_notes,
    mark_best,
    measured,
    method_rows,
    title_of,
    value_cell,
)

USAGE = (
    "loss_own", "loss_permuted", "loss_mean", "loss_prior", "permuted_ratio", "agreement", "auroc_sampled", "active_units",
    "kl", "mse_from_code", "bit_accuracy_from_code",
)  # fmt: skip
LIKELIHOOD = ("bits_per_dim", "distortion", "rate", "nats_continuous", "bits_categorical")
DISENTANGLEMENT = (
    "dci", "dci_completeness", "dci_informativeness", "factor_vae", "tad", "attrs", "mig", "modularity", "dci_progressive",
    "tad_progressive",
)  # fmt: skip
IMAGES = (
    "mse", "mse_permuted", "psnr", "ssim", "bit_error", "notblur", "notblur_from_code", "round_trip", "round_trip_permuted",
    "subcode_std", "smoothness", "smoothness_max",
)  # fmt: skip
PROGRESSIVE = ("auroc", "auroc_progressive", "accuracy", "accuracy_progressive")

LINE = ["dataset", "method", "variant"]
"""What a line of a table is of."""
UNRANKED = {
    "loss_own": "losses of different kinds of decoders are compared within a line",
    "permuted_ratio": "losses of different kinds of decoders are compared within a line",
    "distortion": "who pays more in rate has less of it: their sum is the bound",
    "psnr": "infinite, which is the best and in no mean, where every image is met exactly; MSE has the same order",
}
"""Metrics in which no line is marked as the best, and why."""
COLLAPSED = 5
"""Active units below which a table says that a method collapsed."""


def usage_table(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Is the latent used? Returns the table and its notes."""
    frame, notes = by_data_set(rows, USAGE)
    notes.append(
        f"{_where_losses_are(rows)} permuted/own = 1 and agreement at chance mean that the decoder ignores z. Chance is the share of the "
        "largest class; a decoder that ignores z and makes classes as often as the data gets the sum of their squared shares, "
        "which is less, and images that the probe cannot read, such as noisy ones, get anything. "
        "z = 0 and prior z: mean and draws of the method's prior, N(0, I) but for points: of DiffAE, EncDiff and InfoDiffusion "
        "their latent diffusion, of ParamReL the Gaussian that they are scattered like. AE has none: N(0, I)."
    )
    return frame, [*notes, *_warnings(rows), *last_notes(frame, rows)]


def _where_losses_are(rows: pd.DataFrame) -> str:
    """At which noise losses are compared. The first version of the metrics took a flow time."""
    if (rows[rows.metric == "permuted_ratio"].metric_version > 1).any():
        return (
            "loss: nats per held-out image, at noise of half of the data's range for flows and diffusions (SNR/2 |x − xhat|², "
            "the bound's loss per unit of ln SNR), and of the whole image for autoencoders; of tables at u = 0.3."
        )
    return (
        "loss: nats per held-out image, at u = 0.3 for flows and diffusions (u = 1 − t/T) and of the whole image for "
        "autoencoders. At the same u a flow and a diffusion see an image through different noise, so their losses may be "
        "far apart."
    )


def likelihood_table(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Bounds on the likelihood, and their parts. Returns the table and its notes."""
    frame, notes = by_data_set(rows, LIKELIHOOD)
    notes.append(
        "Of held-out images. Distortion: the data term of the bound; rate: the KL of z that is part of it; both in nats "
        "per image. bits/dim = (distortion + rate) / (D ln 2), an upper bound on −log2 p(x) per dimension. The rate of "
        "ParamReL (self) is 0 because z is the receiver's own noise there; its KL to the prior is in `latent_usage`. An "
        "MMD alone does not keep the rate small. A code that is a point is given a tenth of the codes' standard deviation as "
        "width: some 2.3 nats per latent, in return for a bound."
    )
    return frame, [*notes, *last_notes(frame, rows)]


def disentanglement_table(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """What single latents tell of factors and attributes, where a data set has them. Returns the table and its notes."""
    has = set(rows[rows.metric.isin(("dci", "tad")) & rows.value.notna()].dataset) | unmeasured(rows, "dataset")
    mine = rows[rows.dataset.isin(has)]
    frame, notes = by_data_set(mine, DISENTANGLEMENT)
    if mine.empty:
        notes.append("No data set of this preset has factors or attributes.")
    return frame, [*notes, *last_notes(frame, rows)]


def images_table(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """How near and how sharp images come back. Returns the table and its notes."""
    frame, notes = by_data_set(rows, IMAGES)
    notes.append(
        "MSE to sharpness ratio: from all that the method keeps of an image, which for ParamReL is theta_1 and says "
        "nothing of z (latent_usage does). Round trip: image to (z, subcode) by the deterministic sampler backwards, "
        "and forwards again; for diffusion models both are the same. Interpolation: 8 pairs, 9 images each."
    )
    return frame, [*notes, *last_notes(frame, rows)]


def progressive_table(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """What probes read from codes along the flow. Returns the table and its notes."""
    flows = rows[rows.metric.eq("auroc_progressive") & rows.value.notna()]
    keys = set(flows[LINE].itertuples(index=False, name=None)) | unmeasured(rows, LINE)
    has = [key in keys for key in rows[LINE].itertuples(index=False, name=None)]
    mine = rows[pd.Series(has, index=rows.index, dtype=bool)]
    frame, notes = by_data_set(mine, PROGRESSIVE)
    if mine.empty:
        notes.append("No method of this preset has codes along a flow.")
    return frame, [*notes, *last_notes(frame, rows)]


def unmeasured(rows: pd.DataFrame, by: str | list[str]) -> set[Any]:
    """Data sets, or (data set, method, variant), that were to run and have no value of any metric: what they could have
    is not known."""
    planned = rows[rows.cell != ""]
    return {key for key, values in planned.groupby(by).value if values.isna().all()}


def by_data_set(rows: pd.DataFrame, names: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """One line per data set and method that has any of the metrics, floors, and notes: the reasons of dashes, and
    which methods have no line. Metrics that nothing of the preset has are left out."""
    asked, names = names, [name for name in names if rows[rows.metric == name].value.notna().any()]
    reasons, lines, absent, lost = Reasons(), [], {}, unmeasured(rows, LINE)
    for data in rows.dataset.unique():
        first = len(lines)
        for key in method_rows(rows[rows.dataset == data]):
            if not names and (data, *key) not in lost:
                continue
            cells = {name: measured(rows, data, *key, name) for name in names or asked}
            if any(cell.summary for cell in cells.values()):
                line = {"data set": dataset(data).title, "method": label(*key)}
                lines.append(line | {title_of(name): value_cell(cells[name], name, reasons) for name in names})
            else:
                why = "; ".join(dict.fromkeys(cell.note for cell in cells.values()))
                absent.setdefault((data, why), []).append(label(*key))
        if len(lines) > first:
            floors = floor_lines(rows, data, names, title_of)
            lines += [{"data set": dataset(data).title, "method": line} | cells for line, cells in floors.items()]
    frame = frame_of(lines, ["data set", "method", *map(title_of, names)])
    for name in names:
        if name not in UNRANKED:
            for title in frame["data set"].unique():
                mark_best(frame, title_of(name), metric(name).direction, frame.index[frame["data set"] == title])
    notes = [f"{DASH} in all columns, {dataset(data).title}: {', '.join(who)}: {why}." for (data, why), who in absent.items()]  # fmt: skip
    return frame, [*reasons.notes, *notes, *_unranked(names)]


def _unranked(names: Sequence[str]) -> list[str]:
    """Which columns have an arrow and no marks."""
    why: dict[str, list[str]] = {}
    for name in names:
        if name in UNRANKED:
            why.setdefault(UNRANKED[name], []).append(metric(name).title)
    return [f"No marks in {' and '.join(map(repr, titles))}: {reason}." for reason, titles in why.items()]


def _warnings(rows: pd.DataFrame) -> list[str]:
    """Trained methods whose posterior collapsed, and those that learned nothing that a probe or an image shows."""
    found = []
    for data in rows.dataset.unique():
        floor = measured(rows, data, "untrained", "default", "accuracy").summary
        levels = rows[(rows.dataset == data) & (rows.metric == "agreement")].chance.dropna()
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
            if not better and (agreement is None or levels.empty or agreement.mean <= levels.iloc[0]):
                found.append(f"{where}: no better than the untrained encoder in accuracy or in class agreement.")
    return found
