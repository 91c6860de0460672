"""The graph under DVC: nothing is stale, nothing is done twice, and everything can be had again."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import TINY_PRESET, run
from tests.graphs import FEW_TREES, RENDERED, contents, differences, planned, snakemake, write_preset

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
METHODS = ["pca", "pixels", "vae"]
N_CELLS = len(METHODS) + 1
"""The methods on digits, one of them on a set that is prepared."""


def dvc(project: Path, *arguments: str, fails: bool = False) -> str:
    done = run("dvc", *arguments, cwd=project, timeout=1800, PYTHONPATH=str(project), DVC_NO_ANALYTICS="1")
    assert fails or done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def git(project: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    done = subprocess.run(["git", *identity, *arguments], cwd=project, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(project: Path, message: str) -> str:
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", message)
    return git(project, "rev-parse", "HEAD")


def reproduce(project: Path) -> dict[str, set[str]]:
    """`dvc repro`; which methods were trained, encoded and evaluated by it, from the logs that it wrote."""
    shutil.rmtree(project / "logs", ignore_errors=True)
    dvc(project, "repro")
    return {
        stage: {path.parent.name.split("-")[0] for path in (project / f"logs/{stage}").rglob("*.log")}
        for stage in ("train", "encode", "evaluate")
    }


def unchanged(project: Path) -> bool:
    said = dvc(project, "repro")
    return "Running stage" not in said and "Data and pipelines are up to date" in said


def change(project: Path, **settings) -> None:
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["presets"]["tiny"] |= settings
    path.write_text(yaml.safe_dump(params))


@pytest.fixture
def origin(checkout: Path) -> Path:
    """A repository with a miniature preset, as its author has it before the first run."""
    sets = {"evaluate": TINY_PRESET["evaluate"] | {"options": FEW_TREES}}
    sets |= {"datasets": ["digits_binarized", RENDERED], "per_dataset": {RENDERED: {"methods": ["pca"]}}}
    write_preset(checkout, methods=METHODS, **sets)
    shutil.rmtree(checkout / "results")
    (checkout / "dvc.lock").unlink(missing_ok=True)
    git(checkout, "init", "-q", "-b", "main")
    dvc(checkout, "remote", "add", "--default", "--force", "store", str(checkout.parent / "store"))
    commit(checkout, "code")
    return checkout


def test_nothing_is_stale_and_nothing_is_done_twice(origin, tmp_path):
    # A clean clone makes everything, then there is nothing to do, for DVC as for Snakemake.
    everything = reproduce(origin)
    assert all(set(METHODS) == made for made in everything.values())
    assert unchanged(origin)
    assert planned(origin) == {}
    first = commit(origin, "first results")
    made = contents(origin / "results/tiny")
    dvc(origin, "push")
    assert not git(origin, "ls-files", "runs", "prepared") and "results/tiny/table2.csv" in git(origin, "ls-files")
    assert "auroc" in dvc(origin, "metrics", "show")
    dvc(origin, "plots", "show")
    assert (origin / "dvc_plots/index.html").exists()

    # Another clone, pulled: nothing to do; only what is quick to draw is drawn again by a direct Snakemake.
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(origin), str(clone))
    dvc(clone, "pull")
    assert (clone / f"prepared/{RENDERED}-v1/card.json").exists() and not list((clone / "prepared").glob(".*"))
    assert unchanged(clone)
    assert not {"data", "fit", "train", "encode", "evaluate"} & set(planned(clone))

    # A pulled checkpoint is evaluated without training: other images, same weights.
    settings = yaml.safe_load((clone / "params.yaml").read_text())["presets"]["tiny"]["evaluate"]
    change(clone, evaluate=settings | {"n_images": 30})
    jobs = planned(clone)
    assert jobs["encode"] == jobs["evaluate"] == N_CELLS and not {"fit", "train"} & set(jobs)
    git(clone, "checkout", "-q", "params.yaml")

    # Trap 1, kept files and other settings: what a changed number of steps touches is trained again, nothing else.
    # Trap 4, orphans: the superseded training leaves runs/.
    old = next((clone / "runs/digits_binarized/vae-default").iterdir())
    change(clone, per_method={"vae": {"train": {"steps": 7}}})
    assert reproduce(clone)["train"] == {"vae"}
    assert not old.exists() and len(list(old.parent.iterdir())) == 1
    record = json.loads((next(old.parent.iterdir()) / "run.json").read_text())
    assert record["resolved"]["train"]["steps"] == 7
    assert contents(clone / "results/tiny") != made
    assert "vae-default" in dvc(clone, "metrics", "diff") and "pca-default" not in dvc(clone, "metrics", "diff")
    second = commit(clone, "seven steps")
    changed = contents(clone / "results/tiny")

    # To the first revision and back: time stamps and orders of checkout mean nothing.
    for revision, expected in ((first, made), (second, changed)):
        git(clone, "checkout", "-q", revision)
        dvc(clone, "checkout")
        assert unchanged(clone)
        assert not differences(contents(clone / "results/tiny"), expected)
        assert not {"fit", "train", "encode", "evaluate"} & set(planned(clone))

    # An added method trains itself only; trap 3: committed results are not taken for results of the new list.
    change(clone, methods=[*METHODS, "untrained"])
    assert all(made == {"untrained"} for made in reproduce(clone).values())
    assert "untrained encoder" in (clone / "results/tiny/table2.md").read_text()

    # Trap 2, edited code: a declared version retrains what it touches; an edit that declares nothing retrains nothing,
    # and DVC still looks.
    source = clone / "baselines/vae.py"
    text = source.read_text()
    source.write_text(text + "\n# a remark\n")
    assert "Running stage 'benchmark'" in dvc(clone, "repro")
    assert planned(clone) == {}
    versioned = re.sub(r"(?m)^    version = \d+$", "    version = 99", text)
    source.write_text(versioned)
    assert versioned != text and planned(clone)["train"] == 1

    # Results of another configuration are not taken for this one's after a change and back.
    source.write_text(text)
    change(clone, methods=["pca"])
    assert snakemake(clone).returncode == 0
    change(clone, methods=[*METHODS, "untrained"])
    # drawn figures lie in a folder of their configuration, so those of before are copied
    assert set(planned(clone)) == {"tables", "figure", "report_page", "all", "total"}
