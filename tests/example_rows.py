"""A small long table for tests of tables: three methods, three metrics, chosen values."""

import pandas as pd

from metrics import metrics
from suite.measure.rows import ROW_COLUMNS
from suite.measure.runs import RUN_COLUMNS
from suite.show.tables import Entry, Table

BASES = (("pca", "default", 0.9), ("vae", "default", 0.95), ("paramrel_d", "self", 0.8))
CHANCE = {"auroc": 0.5, "accuracy": 0.1, "agreement": 0.1}


def row(data: str, name: str, variant: str, seed: int, metric: str, value: float | None, **more) -> dict:
    """One sound row; a row without value says why."""
    declared = metrics()[metric]
    return {
        "dataset": data,
        "data_sha256": "0" * 12,
        "method": name,
        "variant": variant,
        "seed": seed,
        "cell": f"{seed:010x}",
        "metric": metric,
        "metric_version": declared.version,
        "fold": "mean",
        "value": value,
        "n": 10,
        "chance": CHANCE.get(metric),
        "direction": declared.direction,
        "unit": declared.unit,
        "note": "" if value is not None else "it generates nothing",
    } | more


def table(found: list[dict]) -> pd.DataFrame:
    """Rows as ``read_rows`` gives them."""
    return pd.DataFrame(found, columns=list(ROW_COLUMNS)).astype({"value": float, "chance": float})


def example(
    seeds=(0, 1, 2), data: str = "mnist_binarized", bases=BASES, metrics=("auroc", "accuracy", "agreement")
) -> pd.DataFrame:
    """AUROC grows by .01 with the seed; PCA generates nothing."""
    return table(
        [
            row(
                data,
                name,
                variant,
                seed,
                metric,
                None if name == "pca" and metric == "agreement" else base + 0.01 * seed * (metric == "auroc"),
            )
            for name, variant, base in bases
            for seed in seeds
            for metric in metrics
        ]
    )


def runs_of(rows: pd.DataFrame, **more: str) -> pd.DataFrame:
    """Lines of runs.csv for every cell of some rows, as ``read_runs`` gives them."""
    cells = rows[["dataset", "method", "variant", "seed", "cell"]].drop_duplicates()
    trained = {
        "parameters": "850000",
        "parameters_encoder": "250000",
        "parameters_decoder": "600000",
        "seconds": "50.0",
        "peak_memory_mib": "900",
        "steps": "700",
        "batch_size": "128",
        "epochs": "62.4",
        "learning_rate": "0.002",
        "channels": "16",
        "multipliers": "1 2 4",
        "latent_dim": "32",
        "settings": "{}",
        "device": "cpu",
        "commit": "abc",
        "dirty": "False",
        "processor": "a processor",
        "torch": "2",
    }
    lines = [dict.fromkeys(RUN_COLUMNS, "") | trained | more | line for line in cells.astype(str).to_dict("records")]
    return pd.DataFrame(lines, columns=list(RUN_COLUMNS))


def headings(table: Table) -> list[str]:
    """What stands above the columns of a table."""
    return [column.heading for column in table.columns]


def entry(table: Table, line: str, heading: str) -> Entry:
    """The entry of the one line that has a key of this text."""
    (column,) = (column for column in table.columns if column.heading == heading)
    keys = [column for column in table.columns if column.key]
    (found,) = (found for found in table.lines if line in [found[key].text for key in keys])
    return found[column]


def texts(table: Table, heading: str) -> dict[str, str]:
    """The entries of a column in words, by method; by setting in Table 5."""
    (column,) = (column for column in table.columns if column.heading == heading)
    (key,) = (column for column in table.columns if column.heading in ("method", "setting"))
    return {line[key].text: table.text(line[column]) for line in table.lines}
