"""The whole graph at miniature size, in a copy of the project; a new method is one new file."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from suite.graph.results import FIGURE_NAMES
from suite.measure.commit import in_words
from tests.conftest import run
from tests.graphs import (
    BROKEN,
    EVERY_METHOD,
    OFFLINE,
    RENDERED,
    contents,
    differences,
    planned,
    snakemake,
    write_preset,
)

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
    return write_preset(checkout)


def rewrite(project: Path, **changes) -> None:
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["presets"]["tiny"] |= changes
    path.write_text(yaml.safe_dump(params))


def test_the_whole_graph(project, tmp_path):
    results = project / "results/tiny"
    results.mkdir(parents=True)
    (results / "table2.md").write_text("committed by somebody")
    assert paramrel(project, "status").count("waiting") >= 1 + len(FIGURE_NAMES)

    # 1. committed results are not taken for work done; no rule uses the network
    (project / "sitecustomize.py").write_text(OFFLINE)
    attempts = {"ATTEMPTS": str(tmp_path / "attempts")}
    for place in ("http://127.0.0.1:9", "http://example.org"):
        probe = f"import urllib.request; urllib.request.urlopen('{place}')"
        blocked = run("python", "-c", probe, cwd=project, PYTHONPATH=str(project), **attempts)
        assert "no network in this test" in blocked.stderr
    assert len((tmp_path / "attempts").read_text().splitlines()) == 2
    (tmp_path / "attempts").unlink()
    first = snakemake(project, "--profile", "local", **attempts)
    assert first.returncode == 0, first.stderr
    assert not (tmp_path / "attempts").exists(), (tmp_path / "attempts").read_text()
    (project / "sitecustomize.py").unlink()
    table = (results / "table2.md").read_text()
    assert "VAE" in table and "ParamReL_d (ahead)" in table and "committed by somebody" not in table
    assert "shuffled labels" in table
    for name in FIGURE_NAMES:
        assert (results / f"figures/{name}.png").stat().st_size > 1000

    # 2. a second run has nothing to do
    second = snakemake(project)
    assert second.returncode == 0 and "Nothing to be done" in second.stdout + second.stderr

    # a figure that is removed is made again, and nothing else is
    kept = contents(results)
    (results / "figures/flow.png").unlink()
    again = snakemake(project)
    assert again.returncode == 0 and not differences(contents(results), kept)
    assert re.findall(r"(?m)^(?:local)?rule (\w+):", again.stderr + again.stdout) == ["figure", "all"]

    # every number can be traced to its run, and what is there is known
    done = paramrel(project, "status")
    assert "No Snakemake is at work" in done and "tables done" in done and "jobs left" not in done
    value = re.search(r"^VAE,([\d.]+)", (results / "table2.csv").read_text(), re.MULTILINE).group(1)
    chain = paramrel(project, "trace", "table2", "VAE", "AUROC")
    record = json.loads(next(project.glob("runs/*/vae-default/*/run.json")).read_text())
    measured = json.loads(next(project.glob("runs/*/vae-default/*/metrics-*.json")).read_text())
    encoded = json.loads(next(project.glob("runs/*/vae-default/*/timing-*.json")).read_text())
    for fact in (
        value,
        record["hash"],
        record["data_sha256"][:12],
        record["machine"]["processor"],
        '"seed": 0',
        record["lock_sha256"][:12],
        f"by {in_words(measured['code'])}, BLAS kernels {measured['blas']};",
        f"encoded by {in_words(encoded['code'])}",
        f"cost: {record['seconds']} s, {record['peak_memory_mib']} MiB",
    ):
        assert fact in chain, f"{fact} is not in\n{chain}"
    assert "BUT" not in chain and "NOTHING" not in chain
    assert f"sampling_seconds_per_image {encoded['sampling_seconds_per_image']}" in paramrel(
        project, "trace", "cost", "VAE", "sampling"
    )
    codes = next(project.glob("runs/*/vae-default/*/codes-*.npz"))
    kept = codes.read_bytes()
    codes.write_bytes(b"other codes")
    assert "BUT the file has changed" in paramrel(project, "trace", "table2", "vae-default", "accuracy")
    codes.write_bytes(kept)

    # edited results are made again
    (results / "table2.md").write_text(table.replace("VAE", "the best"))
    edited = snakemake(project)
    assert edited.returncode == 0 and "to be made anew" in edited.stderr and "rule encode" not in edited.stderr
    assert (results / "table2.md").read_text() == table

    # the page has every figure, and frames of every method that makes images; Snakemake's own report needs no network
    page = (results / "report.html").read_text()
    assert page.count("<img ") == len(FIGURE_NAMES) and "was not drawn" not in page and "is not there" not in page
    explored = json.loads(re.search(r'id="frames">(.*?)</script>', page).group(1))
    assert {"PCA", "VAE", "DiffAE", "ParamReL_d (ahead)"} <= {one["method"] for one in explored}
    assert any(one["along"] for one in explored) and "None: every training that the preset names" in page
    (project / "sitecustomize.py").write_text(OFFLINE)
    own = snakemake(project, "--report", "graph.html", **attempts)
    assert own.returncode == 0, own.stderr
    assert not (tmp_path / "attempts").exists(), (tmp_path / "attempts").read_text()
    assert "report_page" in (project / "graph.html").read_text()
    (project / "sitecustomize.py").unlink()

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
    assert "toy_row_means-default" in planned and planned.count("rule fit:") == 1
    assert "rule train:" not in planned, "what was trained stays"
    third = snakemake(project)
    assert third.returncode == 0, third.stderr
    assert "Row means" in (results / "table2.md").read_text()


def paramrel(project: Path, *arguments: str) -> str:
    done = run("paramrel", *arguments, cwd=project, PYTHONPATH=str(project))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_fails_is_summed_up_and_the_rest_goes_on(project):
    (project / "baselines/toy_broken.py").write_text(BROKEN)
    write_preset(project, methods=["pixels", "toy_broken"])
    failed = snakemake(project, "--retries", "1")
    summary = failed.stdout + failed.stderr
    assert failed.returncode != 0
    asked = [set(line.replace(",", "").split()) for line in summary.splitlines() if "resources:" in line]
    assert any(words >= {"mem_mb=3000", "runtime=720"} for words in asked), asked
    assert any(words >= {"mem_mb=6000", "runtime=1440"} for words in asked), "a retry must ask for more memory and time"
    assert "1 failed; the same command tries them again" in summary
    log = next(project.glob("logs/train/digits_binarized/toy_broken-default/*.log")).relative_to(project)
    assert f"log: {log}" in summary and "this toy is broken" in summary
    assert list(project.glob("runs/*/pixels-default/*/metrics-*.json")), "what could be done was not done"
    assert not (project / "results/tiny/table2.csv").exists()
    paramrel(project, "table", "--partial")
    table = (project / "results/tiny/table2.md").read_text()
    broken = next(line for line in table.splitlines() if line.startswith("| Broken toy"))
    reason = re.search(r"– (\w): not trained: failed, or not run yet", table)
    assert reason and f"– {reason[1]} " in broken and "| raw pixels" in table
    states = json.loads(paramrel(project, "status", "--json"))
    assert {entry["state"] for entry in states if "pixels" in entry["cell"]} == {"done"}
    assert [entry["state"] for entry in states if "broken" in entry["cell"]] == ["failed"] + ["waiting"] * 3


@pytest.mark.slow
@pytest.mark.timeout(4000)
def test_two_clean_copies_give_the_same_bytes_under_snakemake_and_dvc(project, tmp_path):
    # a method of each kind; all of them: tests/test_slurm.py
    write_preset(project, **EVERY_METHOD, methods=["pca", "vae", "diffae", "paramrel_d"])
    other = tmp_path / "other"
    shutil.copytree(project, other)
    done = snakemake(project)
    assert done.returncode == 0, done.stderr[-3000:]
    made = contents(project / "results/tiny")
    assert run("git", "init", "-q", cwd=other).returncode == 0  # DVC wants a repository
    done = run("dvc", "repro", cwd=other, timeout=1800, PYTHONPATH=str(other), DVC_NO_ANALYTICS="1")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert len(list(other.glob("runs/*/*/*/run.json"))) > 10, "it must really train"
    assert not differences(contents(other / "results/tiny"), made)


def test_what_was_trained_by_hand_is_not_trained_again_for_a_card_that_is_missing(project):
    write_preset(project, datasets=[RENDERED], methods=["pca", "vae"])
    paramrel(project, "train", "--dataset", RENDERED, "--method", "vae", "--seed", "0")
    jobs = planned(project)
    assert jobs["fit"] == 1 and jobs["encode"] == 2 and "train" not in jobs


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


def test_the_picture_in_the_docs_is_the_graph(checkout):
    said = snakemake(checkout, "--rulegraph").stdout
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', said))
    edges = {(names[one], names[other]) for one, other in re.findall(r"(\d+) -> (\d+)", said)}
    assert ("data", "train") in edges and ("control", "tables") in edges
    drawn = (checkout / "docs/rulegraph.svg").read_text()
    shown = dict(re.findall(r"<title>(\d+)</title>.*?<text [^>]*>(\w+)</text>", drawn, re.DOTALL))
    arrows = {(shown[one], shown[other]) for one, other in re.findall(r"<title>(\d+)&#45;&gt;(\d+)</title>", drawn)}
    assert arrows == edges, "make docs/rulegraph.svg anew, as docs/pipeline.md says"
