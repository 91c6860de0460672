"""The first screen: a short table per data set, and sentences that are written from the rows."""

import pandas as pd

from paramrel.data import dataset
from paramrel.method import method
from suite.show.statistics import Summary
from suite.show.tables import Table, in_words, label, method_rows
from suite.show.tables.by_data_set import by_data_set
from suite.show.tables.from_rows import PerSeed, metrics_of

IGNORED = 1.05
"""A decoder whose loss with another image's code is less than this times its loss with the image's own ignores it."""

Key = tuple[str, str]


def headline(rows: pd.DataFrame, data: str) -> Table:
    """What codes tell and whether decoders use them: one line per method of a data set, chance levels last."""
    return by_data_set(rows[rows.dataset == data], metrics_of("headline"))


def sentences(rows: pd.DataFrame) -> list[str]:
    """What the headline says, in words; every number comes from the rows."""
    said = []
    for data in rows.dataset.unique():
        said += _probes(rows, data) + _usage(rows, data)
    whole = rows[rows.value.notna() & (rows.fold == "mean")]
    n = whole.groupby(["dataset", "method", "variant"]).seed.nunique()
    if len(n) and n.max() == 1:
        said.append("One seed: no interval can be given, and small differences between methods mean nothing.")
    elif len(n):
        few = "" if n.min() == n.max() else f" (some methods have {n.min()} only)"
        said.append(f"Means over {n.max()} seeds{few}; ± is the half width of the 95 % t-interval.")
    return said


def _probes(rows: pd.DataFrame, data: str) -> list[str]:
    """Best probe, and what needs no training."""
    found = _summaries(rows, data, "auroc")
    trained = sorted((key for key in found if method(key[0]).trained), key=lambda key: -found[key].mean)
    rest = sorted((key for key in found if key not in trained), key=lambda key: -found[key].mean)
    if not trained:
        return []
    text = (
        f"On {dataset(data).title}, a linear probe reads labels best from {label(*trained[0])}: AUROC "
        f"{in_words(found[trained[0]])}"
    )
    if len(trained) > 1:
        one, other = (found[key] for key in trained[:2])
        then = "and from" if in_words(one) == in_words(other) else "then"
        text += f", {then} {label(*trained[1])}: {in_words(other)}{_overlap(one, other)}"
    text += "."
    if rest:
        beaten = [key for key in trained if found[key].mean > found[rest[0]].mean]
        text += (
            f" Without any training: {', '.join(f'{label(*key)} {in_words(found[key])}' for key in rest[:2])}; "
            f"{len(beaten)} of {len(trained)} trained methods {'is' if len(beaten) == 1 else 'are'} above the better "
            f"of them."
        )
    return [text]


def _overlap(one: Summary, other: Summary) -> str:
    if one.half_width is None or other.half_width is None:
        return ""
    apart = abs(one.mean - other.mean) > one.half_width + other.half_width
    return "; their intervals do not overlap" if apart else "; their intervals overlap"


def _usage(rows: pd.DataFrame, data: str) -> list[str]:
    """Which decoders use the latent."""
    ratio, agreement = _summaries(rows, data, "permuted_ratio"), _summaries(rows, data, "agreement")
    ignoring = [f"{label(*key)} ({in_words(found, 2)})" for key, found in ratio.items() if found.mean < IGNORED]
    said = []
    if ignoring:
        said.append(
            f"On {dataset(data).title}, {len(ignoring)} of {len(ratio)} decoders hardly "
            f"{'uses its latent' if len(ignoring) == 1 else 'use their latents'}: with another image's code the loss "
            f"is less "
            f"than {IGNORED} times that with the image's own: {', '.join(ignoring)}."
        )
    elif ratio:
        least = min(ratio, key=lambda key: ratio[key].mean)
        said.append(
            f"On {dataset(data).title}, every decoder uses its latent: with another image's code its loss grows at "
            f"least "
            f"{in_words(ratio[least], 2)}-fold ({label(*least)})."
        )
    if agreement:
        best = max(agreement, key=lambda key: agreement[key].mean)
        levels = rows[(rows.dataset == data) & (rows.metric == "agreement")].chance.dropna()
        chance = None if levels.empty else levels.iloc[0]
        text = (
            f"On {dataset(data).title}, images generated with a fixed code keep the source's labels most often for "
            f"{label(*best)}: class agreement {in_words(agreement[best], 3)}"
        )
        lost = [
            f"{label(*key)} ({in_words(one, 3)})" for key, one in agreement.items() if chance and one.mean <= chance
        ]
        text += "" if chance is None else f" (chance {chance:.3f})"
        text += (
            f"; no more often than the share of the largest class, as where the code is not used or the probe cannot "
            f"read the "
            f"images, for {', '.join(lost)}."
            if lost
            else "."
        )
        said.append(text)
    return said


def _summaries(rows: pd.DataFrame, data: str, name: str) -> dict[Key, Summary]:
    mine = rows[rows.dataset == data]
    per_seed = PerSeed(mine)
    found = {key: per_seed.measured(data, *key, name).summary for key in method_rows(mine)}
    return {key: summary for key, summary in found.items() if summary is not None}
