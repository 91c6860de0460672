"""Tables of what stands in runs.csv: sizes (Table 4), settings (Table 5) and cost; and ablations, which need settings."""

import json

import numpy as np
import pandas as pd

from paramrel.data import dataset
from paramrel.method import method
from suite.measure.runs import uncommitted
from suite.show.statistics import summarise
from suite.show.tables import published
from suite.show.tables.by_data_set import by_data_set
from suite.show.tables.entries import DASH, Origin, Reasons, Shown, frame_of, label, last_notes, lines_of, show

NONE = pd.DataFrame(columns=["dataset", "method", "variant"], dtype=str)
NO_RUNS = "it needs runs.csv, which is not here"
OLDER = "runs.csv is of an older version and does not say"
PARTS = {"encoder": "encoder_mb", "decoder": "decoder_mb"}
SETTINGS = {
    "bins": "bins", "latent_dim": "latent dim", "batch_size": "batch size", "learning_rate": "learning rate",
    "shape": "data shape", "multipliers": "channel mult", "channels": "channels", "epochs": "epochs", "steps": "steps",
    "device": "device",
}  # fmt: skip
"""Lines of Table 5, by their names in runs.csv (bins and shape: of the data set)."""
PAPER5 = ("fashionmnist_binarized", "mnist_binarized", "celeba", "shapes3d", "cifar10")
ABLATED = (
    "auroc", "auroc_other_type", "accuracy", "agreement", "permuted_ratio", "active_units", "kl", "auroc_progressive", "mse_from_code",
    "bits_per_dim", "distortion", "rate", "dci", "tad",
)  # fmt: skip


def table4(rows: pd.DataFrame, runs: pd.DataFrame | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Table 4 of the paper: size of encoder and decoder, MB of 10^6 bytes of float32. Returns table and notes."""
    reasons, lines = Reasons(), []
    for data in dict.fromkeys([*rows.dataset.unique(), "celeba"]):
        mine = _trained(runs, data)
        keys = list(dict.fromkeys([*_keys(mine), *(published.keys("4", [data]))]))
        for key in keys:
            of_key = mine[(mine.method == key[0]) & (mine.variant == key[1])]
            line = {"data set": dataset(data).title, "method": label(*key)}
            for part, name in PARTS.items():
                printed = published.find("4", data, name)
                line[f"{part}, MB, published"] = published.cell(printed[printed.method == key[0]])
                why = _absent(runs) if of_key.empty else _no_part(of_key, part)
                line[f"{part}, MB"] = _size(of_key, f"parameters_{part}", 4, "4 bytes each, in 10^6", reasons, why)
            lines.append(line)
    headings = ["data set", "method", *(f"{part}, MB{end}" for part in PARTS for end in (", published", ""))]
    notes = [
        *reasons.notes,
        "The same for every seed. MB: 10^6 bytes of float32. Published: for CelebA and one ParamReL, whose variants do not differ in size. Why the "
        "printed sizes do not follow from the printed widths: docs/parameters.md.",
    ]
    return frame_of(lines, headings), notes


def table5(rows: pd.DataFrame, runs: pd.DataFrame | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Table 5 of the paper: settings, of every data set; several values where methods differ. Returns table and notes."""
    here, reasons = list(rows.dataset.unique()), Reasons()
    sets = [*here, *(data for data in PAPER5 if data not in here)]
    lines = []
    for name, title in SETTINGS.items():
        line: dict[str, str] = {"setting": title}
        for data in sets:
            heading = dataset(data).title
            if data in PAPER5:
                line[f"{heading}, published"] = published.cell(published.find("5", data, name, ("", "")))
            if data in here:
                line[f"{heading}, here"] = _setting(_trained(runs, data), data, name, reasons, _absent(runs))
        lines.append(line)
    missing = [dataset(data).title for data in sets if data not in here]
    notes = [
        *reasons.notes,
        "Here: of the trained methods, the same for every seed; several values where methods differ. bins of a binary set: 2. epochs: passes over the "
        f"training images. {DASH}: the paper does not say.",
        *([f"Not in this preset: {', '.join(missing)}; the published settings are shown."] if missing else []),
    ]
    return frame_of(lines, list(lines[0])), notes


def cost_table(rows: pd.DataFrame, runs: pd.DataFrame | None = None) -> tuple[pd.DataFrame, list[str]]:
    """What a training costs. Seconds and memory are not the same in any two runs. Returns the table and its notes."""
    lines, reasons = [], Reasons()
    runs = NONE if runs is None else runs
    timed = _numbers(runs, "sampling_seconds_per_image").notna().any() if len(runs) else False
    for data in runs.dataset.unique():
        for key in _keys(runs[runs.dataset == data]):
            mine = runs[(runs.dataset == data) & (runs.method == key[0]) & (runs.variant == key[1])]
            seconds, steps, batch = (_numbers(mine, column) for column in ("seconds", "steps", "batch_size"))
            sampling = 1000 * _numbers(mine, "sampling_seconds_per_image")
            untrained = None if method(key[0]).trained else "not trained by steps"
            no_samples = "it makes no images of codes" if sampling.isna().all() and timed else None
            lines.append({
                "data set": dataset(data).title,
                "method": label(*key),
                "parameters, M": _size(mine, "parameters", 1, "in 10^6", reasons, OLDER),
                "training, s ↓": _of_runs(seconds, mine, "seconds", 1, reasons),
                "images/s ↑": _of_runs(steps * batch / seconds, mine, "seconds", 0, reasons, untrained, "steps x batch_size / seconds: "),
                "sampling, ms per image ↓": _of_runs(sampling, mine, "sampling_seconds_per_image", 2, reasons, no_samples, "1,000 x: "),
                "peak memory, MiB ↓": _of_runs(_numbers(mine, "peak_memory_mib"), mine, "peak_memory_mib", 0, reasons),
                "peak GPU memory, MiB ↓": _of_runs(_numbers(mine, "peak_gpu_memory_mib"), mine, "peak_gpu_memory_mib", 0, reasons, "no GPU" if set(mine.device) == {"cpu"} else None),
                "device": Shown(", ".join(mine.device.unique())),
            })  # fmt: skip
    columns = (
        "data set", "method", "parameters, M", "training, s ↓", "images/s ↑", "sampling, ms per image ↓", "peak memory, MiB ↓",
        "peak GPU memory, MiB ↓", "device",
    )  # fmt: skip
    notes = [
        *reasons.notes,
        "Mean over seeds ± half width of the 95 % t-interval (number of seeds). Seconds are wall-clock, of trainings that "
        "shared the machine with others: compare orders of magnitude. Peak memory: of the whole training process, Python "
        "and torch included. No two runs give the same numbers, so this table is no part of what must be reproduced. "
        "Sampling: images from given codes in the preset's sampling_steps, one step for autoencoders.",
        *(f"{text}." for text in uncommitted(runs)),
    ]
    return frame_of(lines, columns), notes if lines else [f"No line: {NO_RUNS}."]


def ablations_table(rows: pd.DataFrame, runs: pd.DataFrame | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Variants of the methods that have several, beside the settings in which they differ. Returns table and notes."""
    whole = rows[(rows.cell != "") & (rows.fold == "mean")]
    several = whole.groupby(["dataset", "method"]).variant.nunique()
    kept = set(several[several > 1].index)
    has = [pair in kept for pair in zip(rows.dataset, rows.method, strict=True)]
    mine = rows[pd.Series(has, index=rows.index, dtype=bool)]
    frame, notes = by_data_set(mine, ABLATED)
    frame.insert(2, "settings", "", allow_duplicates=False)
    frame["settings"] = frame["settings"].astype(object)
    said = {} if runs is None else _differences(runs)
    names = {
        (dataset(data).title, label(name, variant)): (data, name, variant)
        for data, name, variant in mine[["dataset", "method", "variant"]].drop_duplicates().itertuples(index=False)
    }
    for i in frame.index:
        key = names.get((frame.loc[i, "data set"], frame.loc[i, "method"]))
        frame.loc[i, "settings"] = "" if key is None else said.get(key, DASH)
    if mine.empty:
        notes.append("No method of this preset has two variants; preset ablations has.")
    elif DASH in set(frame["settings"]):
        notes.append(f"settings {DASH}: {NO_RUNS if runs is None else OLDER}.")
    notes.append("settings: those in which the variants of a method differ, its own and those of network and training.")
    return frame, [*notes, *last_notes(frame, mine)]


def _differences(runs: pd.DataFrame) -> dict[tuple[str, str, str], Shown]:
    """(data set, method, variant) -> the settings in which the method's variants on this data set differ."""
    found = {}
    for (data, name), mine in runs[runs.settings != ""].groupby(["dataset", "method"]):
        settings = {variant: json.loads(text) for variant, text in zip(mine.variant, mine.settings, strict=True)}
        keys = sorted({key for of_variant in settings.values() for key in of_variant})
        varying = [key for key in keys if len({json.dumps(s.get(key)) for s in settings.values()}) > 1]
        for variant, of_variant in settings.items():
            lines = lines_of(mine[mine.variant == variant])
            text = ", ".join(f"{key} = {of_variant.get(key)}" for key in varying)
            found[data, name, variant] = Shown(text, Origin("runs.csv", lines, "settings", "those that differ"))
    return found


def _trained(runs: pd.DataFrame | None, data: str) -> pd.DataFrame:
    """The trained runs on a data set."""
    if runs is None:
        return NONE
    return runs[(runs.dataset == data) & runs.method.map(lambda name: method(name).trained).astype(bool)]


def _keys(runs: pd.DataFrame) -> list[tuple[str, str]]:
    return list(runs[["method", "variant"]].drop_duplicates().itertuples(index=False, name=None))


def _absent(runs: pd.DataFrame | None) -> str:
    return NO_RUNS if runs is None else "not in this preset"


def _numbers(runs: pd.DataFrame, column: str) -> pd.Series:
    return pd.to_numeric(runs[column], errors="coerce").astype(float)


def _no_part(runs: pd.DataFrame, part: str) -> str:
    return OLDER if (runs.parameters_encoder == "").all() else f"it has no {part}"


def _size(runs: pd.DataFrame, column: str, each: int, how: str, reasons: Reasons, why_not: str) -> Shown:
    """A number of parameters in millions, or of their bytes: all seeds have the same."""
    counts = _numbers(runs, column).dropna() if column in runs else pd.Series(dtype=float)
    if counts.empty:
        return reasons.dash(why_not)
    return Shown(
        f"{each * counts.iloc[0] / 1e6:.2f}", Origin("runs.csv", lines_of(runs.loc[counts.index]), column, how)
    )


def _setting(runs: pd.DataFrame, data: str, name: str, reasons: Reasons, absent: str) -> Shown:
    declared = dataset(data)
    if name in ("bins", "shape"):
        value = declared.bins if name == "bins" else "x".join(map(str, declared.shape))
        return Shown(str(value), Origin(f"data set {data}", (), name, "declared by the data set"))
    if runs.empty:
        return reasons.dash(absent if absent == NO_RUNS else "nothing is trained on it")
    values = [value for value in runs[name].drop_duplicates() if value != ""]
    if not values:
        return reasons.dash(OLDER)
    lines = lines_of(runs[runs[name] != ""])
    return Shown(", ".join(values), Origin("runs.csv", lines, name, "every value that occurs"))


def _of_runs(values: pd.Series, runs: pd.DataFrame, column: str, places: int, reasons: Reasons, why_not: str | None = None, how: str = "") -> Shown:  # fmt: skip
    """Mean over seeds of a number of runs.csv, or a dash."""
    known = values[np.isfinite(values)]
    if why_not is not None or known.empty:
        return reasons.dash(why_not or OLDER)
    origin = Origin("runs.csv", lines_of(runs.loc[known.index]), column, f"{how}mean over seeds ± half width (seeds)")
    return Shown(show(summarise(known.to_numpy()), places, n=True), origin)
