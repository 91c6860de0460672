"""The whole graph at miniature size, in a copy of the project; a new method is one new file."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from suite.results import FIGURE_NAMES
from tests.conftest import TINY_PRESET, run

TOY = '''
"""A toy method: the mean brightness of rows."""

from paramrel.method import Codes, Untrained


class RowMeans(Untrained):
    name = "toy_row_means"
    title = "Row means"
    source = "a test"

    def encode(self, x):
        return Codes(x.mean((1, 3)))
'''


@pytest.fixture
def project(checkout: Path) -> Path:
    """A clean copy whose parameter file holds the tiny preset."""
    preset = TINY_PRESET | {"seeds": [0]}
    (checkout / "params.yaml").write_text(yaml.safe_dump({"preset": "tiny", "presets": {"tiny": preset}}))
    return checkout


def snakemake(project: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess:
    return run("snakemake", "--cores", "2", *arguments, cwd=project, timeout=1000, PYTHONPATH=str(project), **env)


def rewrite(project: Path, **changes) -> None:
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["presets"]["tiny"] |= changes
    path.write_text(yaml.safe_dump(params))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that must not differ between two runs (runs.csv holds seconds)."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "runs.csv"
    }


def test_the_whole_graph(project):
    results = project / "results/tiny"
    results.mkdir(parents=True)
    (results / "table2.md").write_text("committed by somebody")

    # 1. committed results are not taken for work done
    first = snakemake(project)
    assert first.returncode == 0, first.stderr
    table = (results / "table2.md").read_text()
    assert "VAE" in table and "ParamReL_d (ahead)" in table and "committed by somebody" not in table
    assert "shuffled labels" in table
    for name in FIGURE_NAMES:
        assert (results / f"figures/{name}.png").stat().st_size > 1000

    # 2. a second run has nothing to do
    second = snakemake(project)
    assert second.returncode == 0 and "Nothing to be done" in second.stdout + second.stderr

    # 3. a changed setting retrains what it touches and nothing else
    rewrite(project, per_method={"vae": {"train": {"steps": 13}}})
    planned = snakemake(project, "--dry-run").stdout
    assert planned.count("rule train:") == 1 and "vae-default" in planned
    rewrite(project, per_method={})
    assert "Nothing to be done" in "".join(snakemake(project).stdout + snakemake(project).stderr)

    # 4. a new method is one new file: it is in the graph, the contract tests and the table
    (project / "baselines/toy.py").write_text(TOY)
    collected = run(
        "python", "-m", "pytest", "tests/test_methods.py", "--collect-only", cwd=project, PYTHONPATH=str(project)
    )
    assert "toy_row_means" in collected.stdout
    contract = run(
        "python", "-m", "pytest", "tests/test_methods.py", "-k", "toy_row_means", cwd=project, PYTHONPATH=str(project)
    )
    assert contract.returncode == 0, contract.stdout
    planned = snakemake(project, "--dry-run").stdout
    assert "toy_row_means-default" in planned and "rule train:" in planned
    assert planned.count("rule train:") == 1, "what was trained stays"
    third = snakemake(project)
    assert third.returncode == 0, third.stderr
    assert "Row means" in (results / "table2.md").read_text()


@pytest.mark.slow
def test_two_clean_copies_give_the_same_bytes(project):
    results = project / "results/tiny"
    assert snakemake(project).returncode == 0
    made = contents(results)
    for folder in ("runs", "state", "results/tiny", ".snakemake"):
        shutil.rmtree(project / folder)
    assert snakemake(project).returncode == 0
    assert contents(results) == made


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--config", "preset=quik"), "did you mean 'quick'"),
        (("--config", "preset=small"), "PARAMREL_DATA is not set"),
        (("--config", "params=none.yaml"), "cannot read none.yaml"),
        (("--config", "preste=small"), "unknown key 'preste': did you mean 'preset'"),
    ],
)
def test_mistakes_stop_the_graph_with_one_line(checkout, arguments, message):
    cache = str(checkout / "cache")  # what this machine has prepared before does not count
    done = snakemake(checkout, "--dry-run", *arguments, PARAMREL_DATA="", PARAMREL_CACHE=cache)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode != 0 and len(errors) == 1 and message in errors[0], done.stderr
    assert "Traceback" not in done.stderr


def test_a_results_folder_that_cannot_be_written_stops_the_graph_at_once(project):
    (project / "results").mkdir(exist_ok=True)
    (project / "results/tiny").write_text("a file where the folder should be")
    done = snakemake(project)
    assert done.returncode != 0 and "error: cannot write results/tiny" in done.stderr
    assert not (project / "runs").exists()


def test_another_parameter_file_is_merged_and_written_out(project):
    overlay = project / "mine.yaml"
    overlay.write_text(
        yaml.safe_dump({"presets": {"mine": {"extends": "tiny", "methods": ["pixels"]}}, "preset": "mine"})
    )
    done = snakemake(project, "--configfile", "mine.yaml", "--dry-run", "--printshellcmds")
    assert done.returncode == 0, done.stderr
    assert "--method pixels" in done.stdout and "--config state/configs/" in done.stdout


def test_the_linter_is_content(checkout):
    done = snakemake(checkout, "--lint")
    assert done.returncode == 0, done.stderr + done.stdout
