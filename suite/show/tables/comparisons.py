"""Differences between methods over seeds, and what of them is more than chance."""

from dataclasses import replace
from itertools import combinations

import pandas as pd

from metrics import metric
from paramrel.method import method
from suite.show.statistics import compare, holm, smallest_p
from suite.show.tables.entries import DATA_SET, METHOD, Column, Entry, Line, Origin, Table, of_summary
from suite.show.tables.from_rows import data_entry, lines_of, method_entry, method_rows, metric_column, metrics_of, of

METRIC, AGAINST = Column("metric", key=True), Column("against", key=True)
DIFFERENCE, P, HOLM = Column("difference"), Column("p"), Column("p (Holm)")
LEVEL = 0.05
FIRST_MINUS_SECOND = "first lines minus second ones, seed by seed: "


def statistics_table(rows: pd.DataFrame) -> Table:
    """Paired differences with intervals, sign-flip permutation test and Holm's correction.

    A family of tests is a data set and a metric, and in it every pair with a ParamReL row (all pairs of trained methods
    where a preset has none).
    """
    lines: list[Line] = []
    for data in rows.dataset.unique():
        for name in metrics_of("statistics"):
            lines += _family(rows, data, name)
    seeds = {line[DIFFERENCE].n for line in lines if line[P].value is not None}
    return Table((DATA_SET, METRIC, METHOD, AGAINST, DIFFERENCE, P, HOLM), tuple(lines), tuple(_notes(lines, seeds)))


def pairs(keys: list[tuple[str, str]]) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Which methods are compared, the first with the second."""
    ours = [key for key in keys if key[0].startswith("paramrel")]
    if not ours:
        return list(combinations([key for key in keys if method(key[0]).trained], 2))
    return [(key, other) for key in ours for other in keys if other not in ours] + list(combinations(ours, 2))


def _family(rows: pd.DataFrame, data: str, name: str) -> list[Line]:
    """The lines of one data set and metric; methods without a value have none."""
    values = {key: _by_seed(of(rows, data, *key, name)) for key in method_rows(rows[rows.dataset == data])}
    keys = {DATA_SET: data_entry(data), METRIC: Entry(text=metric_column(name).heading, name=name)}
    lines = []
    for first, second in pairs([key for key, found in values.items() if len(found)]):
        compared = _compared(values[first], values[second], metric(name).digits)
        lines.append(Line(keys | {METHOD: method_entry(*first), AGAINST: method_entry(*second)} | compared))
    _correct([line for line in lines if line[P].value is not None])
    return lines


def _compared(first: pd.DataFrame, second: pd.DataFrame, digits: int) -> dict[Column, Entry]:
    """Difference and p of two methods over the seeds that both have; p (Holm) where there is no p to correct."""
    common = first.index.intersection(second.index)
    if common.empty:
        return dict.fromkeys((DIFFERENCE, P, HOLM), Entry(reason="no seed in common"))
    one, two = first.loc[common], second.loc[common]
    found = compare(one.value.to_numpy(), two.value.to_numpy())
    how = FIRST_MINUS_SECOND + "mean ± half width (seeds)"
    origin = Origin("rows.csv", tuple(one.line), "value", how, tuple(two.line))
    difference = replace(of_summary(found.difference, digits, origin), signed=True)
    if found.p is None:
        return {DIFFERENCE: difference} | dict.fromkeys((P, HOLM), Entry(reason="one seed: no test"))
    origin = replace(origin, how=FIRST_MINUS_SECOND + "two-sided sign-flip test")
    return {DIFFERENCE: difference, P: Entry(found.p, digits=4, origin=origin)}


def _correct(tested: list[Line]) -> None:
    """Put p (Holm) into the lines of one family that have a p."""
    how = f"p, corrected for the {len(tested)} tests of this data set and metric"
    for line, p in zip(tested, holm([line[P].value for line in tested]), strict=True):
        line.entries[HOLM] = Entry(p, digits=4, origin=replace(line[P].origin, how=how))


def _by_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """Value and line in the file of the rows of one entry that have a value, by seed."""
    found = rows[rows.value.notna()]
    lines = list(lines_of(found))
    return pd.DataFrame({"value": found.value.to_numpy(float), "line": lines}, index=found.seed).sort_index()


def _notes(lines: list[Line], seeds: set[int]) -> list[str]:
    if not lines:
        return ["No two methods of this preset have a value of one metric on one data set."]
    notes = [
        "difference: method − against, paired by seed; mean ± half width of the 95 % t-interval (number of seeds). The "
        "metric's arrow says which sign is better. Methods without a value have no line; the other tables say why.",
    ]
    if seeds:
        notes.append(
            "p: two-sided sign-flip permutation test of the paired differences (all 2^n patterns up to 13 seeds). p (Holm): corrected for "
            "all tests of the same data set and metric."
        )
    for n in sorted(seeds):
        least = smallest_p(n)
        said = f"With {n} seeds a two-sided p cannot go under {least:.4g}"
        notes.append(
            f"{said}: nothing here can be significant at {LEVEL:g}, however large; the intervals say how large differences "
            "may be."
            if least > LEVEL
            else f"{said}, before correction."
        )
    return notes
