"""Every file of a cell is of the others, or every reader says that it is not."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from metrics import METRICS as MEASURES
from paramrel.checkpoint import save_weights
from paramrel.errors import UserError
from paramrel.files import read_record, sweep, write_arrays, write_record, write_text
from suite.graph.cells import Cell, cells
from suite.graph.chain import check, check_codes, faults, finished, made_of, packed, said_by_npz, stale
from suite.graph.config import Preset
from suite.graph.hashing import file_sha256
from suite.graph.names import codes_name, control_name, explorer_name, metrics_name, timing_name
from suite.measure import provenance
from suite.measure.evaluate import evaluate, read_codes
from suite.measure.provenance import write_run
from suite.measure.rows import collect
from suite.measure.runs import read_log
from suite.show.figures._contenders import Files
from suite.show.report.embedded import QUALITIES
from suite.show.report.explorer import explorer

PRESET = Preset(
    datasets=("digits_binarized",),
    methods=("pca", "pixels"),
    seeds=(0, 1),
    evaluate={"metrics": ["auroc"], "n_images": 8},
)
CODES, TIMING = codes_name(PRESET.evaluate), timing_name(PRESET.evaluate)
METRICS, CONTROL, EXPLORER = (name(PRESET.evaluate) for name in (metrics_name, control_name, explorer_name))
EVERY = ("model.safetensors", "run.json", "metrics.jsonl", TIMING, CODES, METRICS, CONTROL, EXPLORER)


def make(run: Path, cell: Cell, value: float = 0.5) -> None:
    """All files of a cell, by the functions that write them, of made-up contents."""
    layer = torch.nn.Linear(2, 2)
    for number in layer.parameters():
        torch.nn.init.constant_(number, cell.seed + value)
    save_weights(run / "model.safetensors", layer, cell.path)
    write_text(run / "metrics.jsonl", "".join(json.dumps({"step": i, "loss": value}) + "\n" for i in range(9)))
    state = run.parents[3] / "state" / cell.path
    provenance.begin(state)
    write_run(run, cell, PRESET.runtime, "0" * 64, 1.0, provenance.trained_by(state))
    said = made_of(run)
    rng = np.random.default_rng(cell.seed)
    write_arrays(run / CODES, {"z": rng.normal(size=(40, 3)), "y": np.arange(40) % 4} | packed(said))
    timing = {"sampling_seconds_per_image": None, "sampling_steps": 3, "device": "cpu", "code": provenance.code()}
    write_record(run / TIMING, timing | said | {"codes_sha256": file_sha256(run / CODES)})
    declared = MEASURES.get("auroc")
    row = {
        "metric": "auroc",
        "metric_version": declared.version,
        "direction": declared.direction,
        "unit": declared.unit,
        "n": 9,
        "value": value,
        "chance": 0.5,
        "note": "",
        "folds": [],
    }
    measured = {"input": CODES, "input_sha256": file_sha256(run / CODES), "rows": [row], "made_of": said}
    write_record(run / METRICS, measured)
    write_record(run / CONTROL, measured)
    pictures = {"source": np.zeros((1, 1, 4, 4), np.uint8), "skipped/traversed": np.array("a toy")}
    write_arrays(run / EXPLORER, pictures | packed(made_of(run, run / CODES)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A folder of runs of two methods and two seeds."""
    runs = tmp_path_factory.mktemp("whole") / "runs"
    for cell in cells(PRESET):
        make(runs / cell.path, cell)
    return runs


@pytest.fixture
def runs(whole, tmp_path, monkeypatch) -> Path:
    """A copy of it, for damage."""
    shutil.copytree(whole, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


@pytest.fixture
def run(runs) -> Path:
    """The folder of one of its cells."""
    return runs / cells(PRESET)[0].path


def readers(runs: Path) -> dict[str, Callable[[], object]]:
    """Everything that reads files of cells, each with what it makes of them."""
    chosen = cells(PRESET)

    def figures() -> object:
        files = Files(PRESET, runs)
        arrays = [[array.tolist() for array in files.arrays(cell, ("z", "y"))[0].values()] for cell in chosen]
        return arrays, [files.measured(cell) for cell in chosen], [files.log(cell).to_dict() for cell in chosen]

    return {
        "table": lambda: [frame.drop(columns="seconds", errors="ignore").to_csv() for frame in collect(PRESET, runs)],
        "figures": figures,
        "report": lambda: explorer([(cell, runs / cell.path) for cell in chosen], PRESET.evaluate, QUALITIES[0]),
        "log": lambda: [read_log(runs / cell.path) for cell in chosen],
        "weights": lambda: [check(runs / cell.path, *EVERY) for cell in chosen],
        "codes": lambda: [
            [array.tolist() for array in read_codes(runs / cell.path / CODES)[0].values()] for cell in chosen
        ],
    }


def test_files_that_are_of_each_other_have_no_fault(whole):
    for cell in cells(PRESET):
        run = whole / cell.path
        assert not list(faults(run, *EVERY)) and finished(run) and stale(run, CODES, METRICS, CONTROL, EXPLORER) == []
    for read in readers(whole).values():
        read()


def test_a_retrained_cell_makes_everything_of_it_stale(run):
    make(run.parent / "again" / run.name, cells(PRESET)[0], value=0.7)
    for name in ("model.safetensors", "run.json", "metrics.jsonl"):
        shutil.copy(run.parent / "again" / run.name / name, run / name)
    assert set(stale(run, CODES, METRICS, CONTROL, EXPLORER)) == {CODES, TIMING, METRICS, CONTROL, EXPLORER}
    with pytest.raises(UserError, match="timing-.* is not of the weights that are here: delete .* run snakemake again"):
        check_codes(run / CODES)
    with pytest.raises(UserError, match="not of the weights"):
        evaluate(run / CODES, ("auroc",), 0)


def test_codes_of_another_cell_are_refused(runs, run):
    other = runs / cells(PRESET)[2].path
    shutil.copy(other / CODES, run / CODES)
    assert set(stale(run, CODES, METRICS, CONTROL, EXPLORER)) == {CODES, TIMING, METRICS, CONTROL, EXPLORER}
    with pytest.raises(UserError, match="codes-.* is of another cell, digits_binarized/pixels-|not of the codes"):
        evaluate(run / CODES, ("auroc",), 0)
    shutil.copy(other / TIMING, run / TIMING)
    with pytest.raises(UserError, match="is of another cell, digits_binarized/"):
        evaluate(run / CODES, ("auroc",), 0)


@pytest.mark.parametrize("name", [METRICS, CONTROL, EXPLORER])
def test_what_is_of_another_cells_codes_is_made_anew_alone(runs, run, name):
    shutil.copy(runs / cells(PRESET)[1].path / name, run / name)
    assert stale(run, CODES, METRICS, CONTROL, EXPLORER) == [name]
    with pytest.raises(UserError, match=f"{name} is of another cell"):
        check_codes(run / CODES, name)


@pytest.mark.parametrize("name", [CODES, TIMING])
def test_half_of_what_an_encoding_makes_is_made_anew(run, name):
    (run / name).unlink()
    assert stale(run, CODES, METRICS, CONTROL, EXPLORER) == [TIMING if name == CODES else CODES]


def test_a_folder_that_is_no_cells_is_anybodys(tmp_path, run):
    shutil.copy(run / CODES, tmp_path / "codes-mine.npz")
    check_codes(tmp_path / "codes-mine.npz")
    np.savez(tmp_path / "x.npz", z=np.eye(3))
    assert said_by_npz(tmp_path / "x.npz") == {}


def test_files_of_earlier_versions_are_taken_with_a_note(run, capsys, monkeypatch):
    monkeypatch.setattr("suite.graph.chain._NOTED", set())
    with np.load(run / CODES) as file:
        arrays = {name: file[name] for name in file.files if name != "made_of"}
    np.savez_compressed(run / CODES, **arrays)
    record = read_record(run / METRICS) | {"input_sha256": file_sha256(run / CODES)}
    (run / METRICS).write_text(json.dumps({key: value for key, value in record.items() if key != "made_of"}))
    timing = read_record(run / TIMING)
    (run / TIMING).write_text(json.dumps({"weights_sha256": timing["weights_sha256"], "code": timing["code"]}))
    check_codes(run / CODES, METRICS)
    assert "older than the record of what it is of" in capsys.readouterr().err


DAMAGES = ("flip", "truncate", "zero", "swap", "vanish", "edit")


def damage(path: Path, kind: str, other: Path, rng: random.Random) -> bool:
    """Damage a file; False where the kind does not apply to it."""
    data = bytearray(path.read_bytes())
    if kind == "vanish":
        path.unlink()
    elif kind == "swap":
        data[:] = other.read_bytes()
    elif kind == "truncate":
        del data[rng.randrange(1, len(data)) :]
    elif kind == "zero":
        begin = rng.randrange(len(data) - 1)
        data[begin:] = bytes(len(data) - begin)
    elif kind == "flip":
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif path.suffix == ".json":
        data[:] = bytes(data).replace(b"0", b"1", 3).replace(b"_sha256", b"_sha257", 1)
    else:
        return False
    if kind != "vanish":
        path.write_bytes(data)
    return True


def one_damage(whole: Path, runs: Path, number: int) -> None:
    """Damage one file; every reader refuses it in one line, or makes of it what it made before, or less."""
    rng = random.Random(number)
    before = {name: read() for name, read in readers(whole).items()}
    chosen = cells(PRESET)
    cell, other = rng.sample(chosen, 2)
    name, kind = EVERY[number % len(EVERY)], DAMAGES[number // len(EVERY) % len(DAMAGES)]
    path = runs / cell.path / name
    if not damage(path, kind, runs / other.path / name, rng):
        return
    for reader, read in readers(runs).items():
        try:
            found = read()
        except UserError as error:
            assert "\n" not in str(error), f"{kind} {name}: {reader} says more than a line: {error}"
        else:
            assert found == before[reader] or kind == "vanish", f"{kind} {name}: used silently by {reader}"


@pytest.mark.parametrize("number", range(0, 48, 5))
def test_damage_is_noticed_or_does_no_harm(whole, runs, number):
    one_damage(whole, runs, number)


@pytest.mark.long
@pytest.mark.parametrize("number", range(48, 248))
def test_two_hundred_damages_are_noticed_or_do_no_harm(whole, runs, number):
    one_damage(whole, runs, number)


def test_a_record_says_what_is_wrong_with_it(tmp_path):
    path = tmp_path / "record.json"
    write_record(path, {"a": 1.5, "b": "µ"})
    assert read_record(path, "a") == {"a": 1.5, "b": "µ"}
    path.write_text(path.read_text().replace("1.5", "1.6"))
    with pytest.raises(
        UserError, match="is damaged or was edited .*another content.*: delete it and run snakemake again"
    ):
        read_record(path)
    for text, said in (("{", "Expecting"), ("[]", "no record"), ("{}", "it has no a"), ("[" * 100_000, "recursion")):
        path.write_text(text)
        with pytest.raises(UserError, match=f"damaged or was edited .*{said}"):
            read_record(path, "a")


def test_what_killed_processes_left_is_swept(tmp_path):
    for name in (".model.safetensors.abcd1234.safetensors", ".run.json.abcd_234.json", "run.json", ".keep.me.safe"):
        (tmp_path / name).write_text("")
    sweep(tmp_path, "run.json")
    assert not (tmp_path / ".run.json.abcd_234.json").exists() and len(list(tmp_path.iterdir())) == 3
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"run.json", ".keep.me.safe"}
