"""What holds the repository together: one list of dependencies, committed results that say what they should."""

import hashlib
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
import yaml

from paramrel.method import method
from suite.graph.config import load, resolve
from suite.measure.rows import read_rows
from suite.measure.runs import read_runs
from suite.show.tables import in_words, label, measured, method_rows
from tests.conftest import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def package(requirement: str) -> str:
    return re.split(r"[<>=!~\[; ]", requirement)[0].lower()


def test_the_lock_pins_every_dependency_by_hash():
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    locked = {entry["name"]: entry for entry in lock["package"]}
    wanted = PYPROJECT["project"]["dependencies"] + PYPROJECT["project"]["optional-dependencies"]["slurm"]
    for requirement in wanted + PYPROJECT["dependency-groups"]["dev"]:
        entry = locked[package(requirement)]
        assert all(wheel["hash"].startswith("sha256:") for wheel in entry["wheels"])
    ours = next(entry for entry in locked.values() if entry["source"].get("editable") == ".")
    assert {d["name"] for d in ours["dependencies"]} == {package(r) for r in PYPROJECT["project"]["dependencies"]}
    assert "--hash=sha256:" in (ROOT / "requirements-uv.txt").read_text()


def test_the_conda_environment_repeats_no_list():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    assert pip == ["-e .[slurm]"]
    assert {item.split("=")[0] for item in environment["dependencies"] if isinstance(item, str)} == {"python", "pip"}


def recorded(folder: Path) -> str:
    """DVC's hash of a folder: over the names and hashes of its files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    entries = [
        {"md5": hashlib.md5(path.read_bytes()).hexdigest(), "relpath": path.relative_to(folder).as_posix()}
        for path in files
    ]
    entries.sort(key=lambda entry: entry["relpath"].split("/"))
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no git checkout: what is committed cannot be told")
def test_dvc_records_the_committed_results(tmp_path):
    """Of HEAD: `make quickstart` writes seconds and commits of its own into the working tree."""
    archive = tmp_path / "head.zip"
    subprocess.run(["git", "archive", "-o", archive, "HEAD", "dvc.lock", "results/quick"], cwd=ROOT, check=True)
    shutil.unpack_archive(archive, tmp_path)
    lock = tmp_path / "dvc.lock"
    (results,) = yaml.safe_load(lock.read_text())["stages"]["tables"]["outs"]
    assert results["path"] == "results/quick"
    assert results["md5"] == recorded(tmp_path / "results/quick"), (
        "results/ and dvc.lock are of different runs: dvc repro"
    )


QUICK5 = ROOT / "results/quick5/rows.csv"


@pytest.mark.parametrize(
    ("method", "variant", "metric", "low", "high"),
    [
        ("vae", "default", "auroc", 0.993, 0.998),
        ("vae", "default", "bit_accuracy_from_code", 0.93, 1),
        ("vae", "default", "active_units", 10, 32),
        ("paramrel_d", "self", "auroc", 0.97, 0.99),
        ("paramrel_d", "self", "agreement", 0.05, 0.2),
        ("paramrel_d", "self", "permuted_ratio", 0.97, 1.05),
        ("paramrel_d", "self_dropout", "auroc", 0.99, 1),
        ("paramrel_d", "self_dropout", "permuted_ratio", 1.4, 100),
        ("paramrel_d", "self_dropout", "agreement", 0.5, 1),
        ("paramrel_d", "ahead", "auroc", 0.99, 1),
        ("paramrel_d", "ahead", "permuted_ratio", 3, 100),
        ("paramrel_d", "ahead", "agreement", 0.7, 1),
        ("paramrel_d", "ahead", "mse_from_code", 0, 0.06),
        ("paramrel_d", "ahead", "round_trip", 0, 0),
        ("paramrel_d", "ahead", "subcode_std", 0.95, 1.05),
        ("paramrel_c", "self", "agreement", 0.05, 0.2),
        ("paramrel_c", "ahead", "agreement", 0.4, 1),
        ("paramrel_c", "ahead", "round_trip", 0, 1e-6),
        ("paramrel_discretised", "ahead", "agreement", 0.4, 1),
    ],
)
def test_five_seeds_tell_sound_from_broken(method, variant, metric, low, high):
    """Bands that prototypes set for these settings; outside of them something is broken, not unlucky."""
    data = "shapes3d_rendered_16" if method in ("paramrel_c", "paramrel_discretised") else "digits_binarized"
    found = measured(read_rows(QUICK5), data, method, variant, metric).summary
    assert found.n == 5 and low <= found.mean <= high


def test_real_digits_are_as_the_embedded_ones():
    """MNIST, preset small: the VAE is above PCA, and codes that look ahead are used."""
    rows = read_rows(ROOT / "results/small/rows.csv")

    def value(method: str, variant: str, metric: str) -> float:
        return measured(rows, "mnist_binarized", method, variant, metric).summary.mean

    assert value("vae", "default", "accuracy") > max(0.88, value("pca", "default", "accuracy"))
    assert value("paramrel_d", "ahead", "agreement") >= 0.7 > 0.3 > value("paramrel_d", "self", "agreement")


def test_tokens_disentangle():
    """At equal steps D is .25 above AdaGN's, and the best configuration has at least .70: three seeds at 16x16 each."""

    def mean(preset: str, variant: str) -> float:
        rows = read_rows(ROOT / "results" / preset / "rows.csv")
        found = measured(rows, "shapes3d_rendered_16_large", "paramrel_c", variant, "dci").summary
        assert found.n == 3
        return found.mean

    assert mean("tokens_decisive", "tokens_20") >= mean("tokens_decisive", "adagn_20") + 0.25
    assert mean("tokens_long", "tokens_best_mmd") >= max(0.70, mean("tokens_long", "tokens_best") + 0.05)


HEADLINE = (
    ("pca", "default"),
    ("vae", "default"),
    ("info_diffusion", "default"),
    ("paramrel_d", "self"),
    ("paramrel_d", "ahead"),
)


COLUMNS = (("auroc", 4), ("accuracy", 3), ("agreement", 3), ("permuted_ratio", 2))


def quoted(preset: str, dataset: str, keys: Iterable[tuple[str, str]], columns: Sequence[tuple[str, int]]) -> list[str]:
    """Lines of a markdown table, from committed rows; the first column is left to the reader of the line."""
    rows = read_rows(ROOT / "results" / preset / "rows.csv")
    return [
        "".join(f" {in_words(measured(rows, dataset, *key, m).summary, digits)} |" for m, digits in columns)
        for key in keys
    ]


def headline() -> list[str]:
    """The lines of the README's table, from the committed rows."""
    lines = quoted("quick5", "digits_binarized", HEADLINE, COLUMNS)
    return [f"| {label(*key)} |{line}" for key, line in zip(HEADLINE, lines, strict=True)]


def by_variant(name: str, preset: str, dataset: str, columns: Sequence[tuple[str, int]]) -> list[str]:
    """The lines of a table of a method's variants."""
    names = resolve(load(ROOT / "params.yaml"), preset).per_method[name].variants
    lines = quoted(preset, dataset, [(name, variant) for variant in names], columns)
    return [f"| `{variant}` |{line}" for variant, line in zip(names, lines, strict=True)]


SEARCH = (("agreement", 3), ("auroc", 4), ("accuracy", 3), ("bits_per_dim", 3), ("kl", 1), ("permuted_ratio", 2))
ABLATED = (
    ("auroc", 4), ("auroc_progressive", 4), ("agreement", 3), ("permuted_ratio", 2), ("kl", 1), ("bits_per_dim", 3),
)  # fmt: skip
MIXED = (
    ("nats_continuous", 3),
    ("bits_categorical", 3),
    ("bits_per_dim", 3),
    ("auroc", 4),
    ("accuracy", 3),
    ("agreement", 3),
    ("permuted_ratio", 2),
)


TOKENS = (
    ("dci", 3), ("dci_completeness", 3), ("dci_informativeness", 3), ("factor_vae", 3), ("tad", 2), ("attrs", 1),
    ("agreement", 3), ("permuted_ratio", 1), ("mse_from_code", 4), ("bits_per_dim", 2),
)  # fmt: skip

REAL = (("auroc", 4), ("agreement", 3), ("permuted_ratio", 2), ("bits_per_dim", 3))

FACES = (
    ("tad", 2), ("attrs", 1), ("dci", 3), ("auroc", 4), ("agreement", 3), ("permuted_ratio", 2), ("mse_from_code", 4),
    ("bits_per_dim", 2),
)  # fmt: skip


@pytest.mark.parametrize(
    ("page", "table"),
    [
        ("disentanglement", ("paramrel_c", "tokens_decisive", "shapes3d_rendered_16_large", TOKENS)),
        ("disentanglement", ("paramrel_c", "tokens", "shapes3d_rendered_16_large", TOKENS)),
        ("disentanglement", ("paramrel_c", "tokens_celeba", "celeba_subset_32", FACES)),
        ("disentanglement", ("paramrel_c", "tokens_long", "shapes3d_rendered_16_large", TOKENS)),
        ("disentanglement", ("paramrel_c", "tokens_32", "shapes3d_rendered_32", TOKENS)),
        ("results", ("paramrel_d", "ablations", "digits_binarized", ABLATED)),
        ("variants", ("paramrel_d", "search_digits", "digits_binarized", SEARCH)),
        ("variants", ("paramrel_d", "search_mnist", "mnist_binarized", SEARCH)),
        ("mixed_table", ("paramrel_mixed", "table", "breast_cancer_mixed", MIXED)),
    ],
)
def test_pages_show_the_committed_numbers(page, table):
    text = (ROOT / f"docs/{page}.md").read_text()
    missing = [line for line in by_variant(*table) if line not in text]
    assert not missing, "\n".join(missing)


def git(*arguments: str) -> str:
    """What git says, or nothing where there is no git, or no checkout."""
    if shutil.which("git") is None:
        return ""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.strip()


COMMITTED = [Path(name).name for name in git("ls-tree", "--name-only", "HEAD", "results/").splitlines()]


@pytest.mark.skipif(git("rev-parse", "--is-shallow-repository") != "false", reason="no git checkout with its history")
@pytest.mark.parametrize("preset", COMMITTED)
def test_committed_results_are_of_committed_code(preset, tmp_path):
    """Of HEAD: every commit that a run names is in the history, and no run was of changes on top of one."""
    table = tmp_path / "runs.csv"
    table.write_text(git("show", f"HEAD:results/{preset}/runs.csv") + "\n")
    runs = read_runs(table)
    history = set(git("rev-list", "HEAD").split())
    for column in {"commit", "encoded_by", "measured_by"} & set(runs):
        named = {text.removeprefix("commit ") for text in runs[column] if text}
        assert named <= history, f"{column}: {', '.join(named - history)}"
    assert set(runs.dirty) == {"False"}


def test_a_training_that_presets_share_has_the_same_numbers_in_each():
    """Trained once per preset, on different days and machines of one kind; another kind of processor rounds
    otherwise."""
    known: dict[tuple[str, ...], tuple[str, str]] = {}
    shared = 0
    for path in sorted(ROOT.glob("results/*/rows.csv")):
        runs = read_runs(path.parent / "runs.csv").set_index("cell")
        made_on = (runs.processor + ", " + runs.capability + ", torch " + runs.torch).to_dict()
        rows = read_rows(path)
        for row in rows[rows.cell.isin(runs.index)].itertuples():
            key = (made_on[row.cell], row.cell, row.metric, str(row.metric_version), row.fold)
            preset, value = known.setdefault(key, (path.parent.name, str(row.value)))
            assert value == str(row.value), f"{key}: {value} in {preset}, {row.value} in {path.parent.name}"
            shared += preset != path.parent.name
    assert shared > 1000


def test_committed_results_name_no_place_of_the_machine_that_made_them():
    """A reader has other folders, and the same bytes are to come from any."""
    texts = [path for path in (ROOT / "results").rglob("*") if path.suffix in {".html", ".md", ".csv", ".json", ".tex"}]
    absolute = re.compile(r"(?<![\w./:])/(?:[\w.-]+/)*(?:runs|state|logs|results)/")
    assert texts and not [path for path in texts if absolute.search(path.read_text())]


REFERENCES = {
    "independent columns": ("columns", "independent"), "chain of regressions": ("columns", "chain"),
    "PCA, 8 components": ("pca", "default"), "the columns themselves": ("pixels", "default"),
}  # fmt: skip


def test_the_page_of_the_mixed_table_shows_the_committed_references():
    """They do not depend on the seed, so the page leaves out the intervals, ± 0."""
    page = (ROOT / "docs/mixed_table.md").read_text()
    lines = quoted("table", "breast_cancer_mixed", REFERENCES.values(), MIXED[:5])
    shown = [f"| {name} |{re.sub(r' ± 0[.0]+ ', ' ', line)}" for name, line in zip(REFERENCES, lines, strict=True)]
    missing = [line for line in shown if line not in page]
    assert not missing, "\n".join(missing)


LINEAR = (("pca", "default"), ("ica", "default"), ("untrained", "default"))
CONTROLS = (
    *LINEAR,
    ("vae", "default"),
    ("beta_vae", "default"),
    ("diffae", "adagn"),
    ("diffae", "tokens"),
    ("info_diffusion", "adagn"),
    ("info_diffusion", "tokens"),
    ("encdiff", "default"),
)


ON_SHAPES = (
    *((name, "default") for name in ("pca", "ica", "ae", "vae", "diffae", "encdiff", "info_diffusion")),
    *(("paramrel_c", variant) for variant in ("self", "self_dropout", "ahead")),
    ("paramrel_discretised", "ahead"),
)
SHAPES = (("dci", 3), ("tad", 2), ("auroc", 4), ("agreement", 3), ("permuted_ratio", 2), ("bits_per_dim", 3))

ON_REAL = (
    *(("paramrel_d", variant) for variant in ("self", "self_dropout", "ahead")),
    *((name, "default") for name in ("pca", "vae", "ae", "info_diffusion", "diffae", "encdiff")),
)
ON_FACES = (
    *((name, "default") for name in ("pca", "ica", "ae", "vae", "diffae", "encdiff", "info_diffusion")),
    *(
        (name, variant)
        for name in ("paramrel_c", "paramrel_discretised")
        for variant in ("self", "self_dropout", "ahead")
    ),
)


@pytest.mark.parametrize(
    ("page", "preset", "dataset", "keys", "columns"),
    [
        ("disentanglement", "tokens", "shapes3d_rendered_16_large", CONTROLS, TOKENS),
        ("disentanglement", "tokens_long", "shapes3d_rendered_16_large", LINEAR, TOKENS),
        ("disentanglement", "tokens_32", "shapes3d_rendered_32", LINEAR, TOKENS),
        ("results", "quick5", "shapes3d_rendered_16", ON_SHAPES, SHAPES),
        ("results", "small", "mnist_binarized", ON_REAL, REAL),
        ("results", "small", "fashionmnist_binarized", ON_REAL, REAL),
        ("results", "small", "celeba_subset_32", ON_FACES, FACES),
    ],
)
def test_pages_show_the_committed_controls(page, preset, dataset, keys, columns):
    text = (ROOT / f"docs/{page}.md").read_text()
    lines = quoted(preset, dataset, keys, columns)
    shown = [f"| {label(*key)} |{line}" for key, line in zip(keys, lines, strict=True)]
    missing = [line for line in shown if line not in text]
    assert not missing, "\n".join(missing)


def test_the_page_of_loss_scales_shows_the_committed_ablation():
    keys = [(name, variant) for name in ("diffae", "info_diffusion") for variant in ("eps", "v")]
    columns = (("agreement", 3), ("permuted_ratio", 2), ("auroc", 4), ("accuracy", 3))
    page = (ROOT / "docs/loss_scales.md").read_text()
    missing = [line for line in quoted("ablations", "digits_binarized", keys, columns) if line not in page]
    assert not missing, "\n".join(missing)


README = (ROOT / "README.md").read_text()


def prose(text: str) -> str:
    """Markdown without code, tables, headings, pictures and the targets of links."""
    text = re.sub(r"```.*?```", "", text, flags=re.S)
    text = re.sub(r"^[|#!].*$", "", text, flags=re.M)
    return re.sub(r"\]\([^)]*\)", "]", text)


def test_the_readme_shows_the_committed_numbers():
    missing = [line for line in headline() if line not in README]
    assert not missing, "\n".join(missing)
    assert "@" not in re.sub(r"https?://\S+", "", README), "an unfilled placeholder"
    rows = read_rows(ROOT / "results/quick5/rows.csv")
    trained = [key for key in method_rows(rows[rows.dataset == "digits_binarized"]) if method(key[0]).trained]
    found = [measured(rows, "digits_binarized", *key, "auroc").summary for key in trained]
    best = max(summary.mean for summary in found if summary)
    assert best - measured(rows, "digits_binarized", "pca", "default", "auroc").summary.mean < 0.002


def test_the_readme_is_short():
    words = re.findall(r"[A-Za-z][\w'-]*", re.sub(r"\]\([^)]*\)", "]", README))
    assert len(words) <= 700
    sentences = [s for s in re.split(r"(?<=[.!?:])\s+|\n\n", prose(README)) if len(s.split()) > 2]
    assert sum(len(s.split()) for s in sentences) / len(sentences) < 18


@pytest.mark.parametrize(
    "page", sorted(p.relative_to(ROOT).as_posix() for p in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
)
def test_links_and_pictures_of_the_docs_are_there(page):
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.S)
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    assert not [target for target in targets if target and not ((ROOT / page).parent / target).exists()]


def test_the_citation_is_complete():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "version", "license"} <= set(cited)
    assert cited["version"] == PYPROJECT["project"]["version"] and cited["license"] == PYPROJECT["project"]["license"]
