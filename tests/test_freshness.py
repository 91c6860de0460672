"""What is made again, and what is not, as Snakemake plans it; on a project of made-up files, of which none is
computed."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from paramrel.files import read_record, write_record, write_text
from suite.graph.cells import cells
from suite.graph.hashing import file_sha256
from suite.graph.plan import Plan, write_stamp
from suite.graph.results import FIGURE_NAMES
from tests.conftest import ROOT
from tests.graphs import planned, snakemake
from tests.test_chain import PRESET, make


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A project in a folder with a name that a shell would take apart, in which everything was made."""
    project = tmp_path_factory.mktemp("made") / "a folder $(touch x)"
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        if not name.startswith(("results/", "docs/", "tests/")) and (ROOT / name).is_file():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, project / name)
    write_params(project)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(project)
        for cell in cells(PRESET):
            make(project / "runs" / cell.path, cell)
        plan = Plan.read({})
        for stamp, files in plan.stamped().items():
            for path in files:
                write_text(Path(path), path)
            write_stamp(Path(stamp), files, plan.evidence())
        for name in FIGURE_NAMES:
            for path in plan.figure(name):
                write_text(Path(plan.drawn, Path(path).name), path)
            write_stamp(Path(plan.drawn, f"{name}.json"), plan.figure(name), plan.evidence(), Path(plan.drawn))
        for name in ("drawn", *(Path(stamp).name for stamp in plan.stamped())):
            write_text(Path(plan.due(name)), "")
        for path in Path(plan.built).rglob("*"):
            os.utime(path, (1, 1))  # older than the results
    return project


def write_params(project: Path, **more) -> None:
    preset = PRESET.model_dump(mode="json", exclude_none=True)
    (project / "params.yaml").write_text(yaml.safe_dump({"preset": "tiny", "presets": {"tiny": preset} | more}))


@pytest.fixture
def project(made, tmp_path) -> Path:
    """A copy, in which the times of files are those of the first."""
    copy = tmp_path / made.name
    shutil.copytree(made, copy)
    return copy


def rules(project: Path, *arguments: str) -> set[str]:
    """Rules of which a Snakemake with these arguments would run a job."""
    said = snakemake(project, "--dry-run", "--quiet", "rules", *arguments)
    assert said.returncode == 0, said.stderr
    return set(re.findall(r"^(\w+) +\d+$", said.stdout + said.stderr, re.MULTILINE)) - {"total", "all"}


def test_what_was_made_stays_whatever_the_profile_and_other_presets(project):
    assert planned(project) == {}
    write_params(project, another={"extends": "tiny", "seeds": [5]})
    assert rules(project, "--workflow-profile", "none") == set()
    assert not list(project.rglob("x")), "a shell read the name of the folder"


def test_a_cell_that_was_trained_again_is_measured_again(project):
    """Also where its weights are not the same to the bit."""
    run = project / "runs" / cells(PRESET)[0].path
    record = read_record(run / "run.json")
    make(project / "elsewhere" / run.parent.name / run.name, cells(PRESET)[0], value=0.7)
    shutil.copy(project / "elsewhere" / run.parent.name / run.name / "model.safetensors", run)
    write_record(run / "run.json", record | {"weights_sha256": file_sha256(run / "model.safetensors")})
    done = snakemake(project, "--dry-run")
    assert "Removed, for it is not of its cell's weights" in done.stderr
    assert len(re.findall(r"rule encode:", done.stdout)) == 1
    again = rules(project)
    assert again >= {"encode", "evaluate", "draw", "figure", "tables", "report_page"} and "fit" not in again


def test_who_forces_a_training_has_everything_of_it_made_anew(project):
    assert rules(project, "--forcerun", "fit", "--", "tables") == {"fit", "encode", "evaluate", "control", "tables"}
    assert rules(project, "--forcerun", "tables", "--", "tables") == {"tables"}


@pytest.mark.parametrize(
    "name",
    [
        "table2.md",
        "figures/flow.png",
        pytest.param("metrics.json", marks=pytest.mark.slow),
        pytest.param("report.html", marks=pytest.mark.slow),
    ],
)
def test_a_result_is_never_up_to_date_without_its_stamp(project, name):
    target = f"results/tiny/{name}"
    assert rules(project, "--", target) == set()
    (project / target).write_text("edited")
    wanted = {"report.html": "report_page", "figures/flow.png": "figure"}.get(name, "tables")
    assert wanted in rules(project, "--", target)
    write_params(project)
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["presets"]["tiny"]["seeds"] = [1, 0]
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    assert wanted in rules(project, "--", target), "of another configuration"
