"""Tables of what stands in runs.csv: sizes (Table 4), settings (Table 5) and cost; and ablations, which need
settings."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd

from paramrel.data import dataset
from paramrel.method import method
from suite.measure.runs import uncommitted
from suite.show.statistics import summarise
from suite.show.tables import published
from suite.show.tables.by_data_set import by_data_set
from suite.show.tables.entries import DASH, DATA_SET, METHOD, Column, Entry, Line, Note, Origin, Table, of_summary
from suite.show.tables.from_rows import data_entry, last_notes, lines_of, method_entry, metrics_of

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
SETTING, DIFFERING = Column("setting", key=True), Column("settings")
PARAMETERS, TRAINING, PER_SECOND = Column("parameters, M"), Column("training, s", "lower"), Column("images/s", "higher")
SAMPLING, DEVICE = Column("sampling, ms per image", "lower"), Column("device")
MEMORY, GPU_MEMORY = Column("peak memory, MiB", "lower"), Column("peak GPU memory, MiB", "lower")
COST = (PARAMETERS, TRAINING, PER_SECOND, SAMPLING, MEMORY, GPU_MEMORY, DEVICE)


def table4(rows: pd.DataFrame, runs: pd.DataFrame | None = None) -> Table:
    """Table 4 of the paper: size of encoder and decoder, MB of 10^6 bytes of float32."""
    lines = []
    for data in dict.fromkeys([*rows.dataset.unique(), "celeba"]):
        mine = _trained(runs, data)
        for key in dict.fromkeys([*_keys(mine), *(published.keys("4", [data]))]):
            of_key = mine[(mine.method == key[0]) & (mine.variant == key[1])]
            line = {DATA_SET: data_entry(data), METHOD: method_entry(*key)}
            for part, name in PARTS.items():
                printed = published.find("4", data, name)
                why = _absent(runs) if of_key.empty else _no_part(of_key, part)
                line[Column(f"{part}, MB", published=True)] = published.entry(printed[printed.method == key[0]])
                line[Column(f"{part}, MB")] = _size(of_key, f"parameters_{part}", 4, "4 bytes each, in 10^6", why)
            lines.append(Line(line))
    columns = [Column(f"{part}, MB", published=is_published) for part in PARTS for is_published in (True, False)]
    note = (
        "The same for every seed. MB: 10^6 bytes of float32. Published: for CelebA and one ParamReL, whose variants "
        "do not differ in size. Why the "
        "printed sizes do not follow from the printed widths: docs/parameters.md."
    )
    return Table((DATA_SET, METHOD, *columns), tuple(lines), (note,))


def table5(rows: pd.DataFrame, runs: pd.DataFrame | None = None) -> Table:
    """Table 5 of the paper: settings, of every data set; several values where methods differ."""
    here = list(rows.dataset.unique())
    sets = [*here, *(data for data in PAPER5 if data not in here)]
    lines = []
    for name, title in SETTINGS.items():
        line = {SETTING: Entry(text=title, name=name)}
        for data in sets:
            if data in PAPER5:
                printed = published.find("5", data, name, ("", ""))
                line[Column(dataset(data).title, published=True)] = published.entry(printed)
            if data in here:
                line[Column(f"{dataset(data).title}, here")] = _setting(_trained(runs, data), data, name, _absent(runs))
        lines.append(Line(line))
    missing = [dataset(data).title for data in sets if data not in here]
    remarks = [
        "Here: of the trained methods, the same for every seed; several values where methods differ. bins of a "
        "binary set: 2. epochs: passes over the "
        f"training images. {DASH}: the paper does not say.",
        *([f"Not in this preset: {', '.join(missing)}; the published settings are shown."] if missing else []),
    ]
    return Table(tuple(lines[0].entries), tuple(lines), tuple(remarks))


def cost_table(rows: pd.DataFrame, runs: pd.DataFrame | None = None) -> Table:
    """What a training costs. Seconds and memory are not the same in any two runs."""
    runs = NONE if runs is None else runs
    timed = _numbers(runs, "sampling_seconds_per_image").notna().any() if len(runs) else False
    lines = []
    for data in runs.dataset.unique():
        for key in _keys(runs[runs.dataset == data]):
            mine = runs[(runs.dataset == data) & (runs.method == key[0]) & (runs.variant == key[1])]
            keys = {DATA_SET: data_entry(data), METHOD: method_entry(*key)}
            lines.append(Line(keys | _cost(mine, method(key[0]).trained, bool(timed))))
    remarks = (
        "Mean over seeds ± half width of the 95 % t-interval (number of seeds). Seconds are wall-clock, of trainings "
        "that "
        "shared the machine with others: compare orders of magnitude. Peak memory: of the whole training process, "
        "Python "
        "and torch included. No two runs give the same numbers, so this table is no part of what must be reproduced. "
        "Sampling: images from given codes in the preset's sampling_steps, one step for autoencoders.",
        *(f"{text}." for text in uncommitted(runs)),
    )
    return Table((DATA_SET, METHOD, *COST), tuple(lines), remarks if lines else (f"No line: {NO_RUNS}.",))


def _cost(runs: pd.DataFrame, trained: bool, timed: bool) -> dict[Column, Entry]:
    """The costs of a method's runs on one data set; ``timed``: whether any method's sampling was timed."""
    seconds, steps, batch = (_numbers(runs, column) for column in ("seconds", "steps", "batch_size"))
    sampling = 1000 * _numbers(runs, "sampling_seconds_per_image")
    untrained = None if trained else "not trained by steps"
    no_samples = "it makes no images of codes" if sampling.isna().all() and timed else None
    no_gpu = "no GPU" if set(runs.device) == {"cpu"} else None
    rate = steps * batch / seconds
    return {
        PARAMETERS: _size(runs, "parameters", 1, "in 10^6", OLDER),
        TRAINING: _of_runs(seconds, runs, "seconds", 1),
        PER_SECOND: _of_runs(rate, runs, "seconds", 0, untrained, "steps x batch_size / seconds: "),
        SAMPLING: _of_runs(sampling, runs, "sampling_seconds_per_image", 2, no_samples, "1,000 x: "),
        MEMORY: _of_runs(_numbers(runs, "peak_memory_mib"), runs, "peak_memory_mib", 0),
        GPU_MEMORY: _of_runs(_numbers(runs, "peak_gpu_memory_mib"), runs, "peak_gpu_memory_mib", 0, no_gpu),
        DEVICE: Entry(text=", ".join(runs.device.unique())),
    }


def ablations_table(rows: pd.DataFrame, runs: pd.DataFrame | None = None) -> Table:
    """Variants of the methods that have several, beside the settings in which they differ."""
    whole = rows[(rows.cell != "") & (rows.fold == "mean")]
    several = whole.groupby(["dataset", "method"]).variant.nunique()
    kept = set(several[several > 1].index)
    has = [pair in kept for pair in zip(rows.dataset, rows.method, strict=True)]
    mine = rows[pd.Series(has, index=rows.index, dtype=bool)]
    table = by_data_set(mine, metrics_of("ablations"))
    said = {} if runs is None else _differences(runs)
    unknown = False
    for line in table.lines:
        if not line.floor:
            found = said.get((line[DATA_SET].name, line[METHOD].name))
            unknown = unknown or found is None
            line.entries[DIFFERING] = found or Entry(text=DASH)
    notes: list[Note] = []
    if mine.empty:
        notes.append("No method of this preset has two variants; preset ablations has.")
    elif unknown:
        notes.append(f"settings {DASH}: {NO_RUNS if runs is None else OLDER}.")
    notes.append("settings: those in which the variants of a method differ, its own and those of network and training.")
    columns = (*table.columns[:2], DIFFERING, *table.columns[2:])
    return replace(table, columns=columns).with_remarks(*notes, *last_notes(table.lines, mine))


def _differences(runs: pd.DataFrame) -> dict[tuple[str, str], Entry]:
    """(data set, method-variant) -> the settings in which the method's variants on this data set differ."""
    found = {}
    for (data, name), mine in runs[runs.settings != ""].groupby(["dataset", "method"]):
        settings = {variant: json.loads(text) for variant, text in zip(mine.variant, mine.settings, strict=True)}
        keys = sorted({key for of_variant in settings.values() for key in of_variant})
        varying = [key for key in keys if len({json.dumps(s.get(key)) for s in settings.values()}) > 1]
        for variant, of_variant in settings.items():
            lines = lines_of(mine[mine.variant == variant])
            text = ", ".join(f"{key} = {of_variant.get(key)}" for key in varying)
            origin = Origin("runs.csv", lines, "settings", "those that differ")
            found[data, method_entry(name, variant).name] = Entry(text=text, origin=origin)
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


def _size(runs: pd.DataFrame, column: str, each: int, how: str, why_not: str) -> Entry:
    """A number of parameters in millions, or of their bytes: all seeds have the same."""
    counts = _numbers(runs, column).dropna() if column in runs else pd.Series(dtype=float)
    if counts.empty:
        return Entry(reason=why_not)
    origin = Origin("runs.csv", lines_of(runs.loc[counts.index]), column, how)
    return Entry(each * counts.iloc[0] / 1e6, digits=2, origin=origin)


def _setting(runs: pd.DataFrame, data: str, name: str, absent: str) -> Entry:
    declared = dataset(data)
    if name in ("bins", "shape"):
        value = declared.bins if name == "bins" else "x".join(map(str, declared.shape))
        return Entry(text=str(value), origin=Origin(f"data set {data}", (), name, "declared by the data set"))
    if runs.empty:
        return Entry(reason=absent if absent == NO_RUNS else "nothing is trained on it")
    values = [value for value in runs[name].drop_duplicates() if value != ""]
    if not values:
        return Entry(reason=OLDER)
    lines = lines_of(runs[runs[name] != ""])
    return Entry(text=", ".join(values), origin=Origin("runs.csv", lines, name, "every value that occurs"))


def _of_runs(
    values: pd.Series, runs: pd.DataFrame, column: str, digits: int, why_not: str | None = None, how: str = ""
) -> Entry:
    """Mean over seeds of a number of runs.csv, or a dash."""
    known = values[np.isfinite(values)]
    if why_not is not None or known.empty:
        return Entry(reason=why_not or OLDER)
    origin = Origin("runs.csv", lines_of(runs.loc[known.index]), column, f"{how}mean over seeds ± half width (seeds)")
    return of_summary(summarise(known.to_numpy()), digits, origin)
