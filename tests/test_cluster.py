"""What Slurm would refuse is said before the first job; its clients are replaced by small programs."""

from pathlib import Path

import pytest

from paramrel.errors import UserError
from suite.graph.cluster import CLIENTS, check
from suite.graph.status import never_submitted, why

SBATCH = """#!/bin/sh
echo "$@" >> {log}
case "$*" in *--partition=nowhere*) echo "sbatch: error: invalid partition specified: nowhere" >&2; exit 1;; esac
"""

LOG = """[Sun Nov 29 10:02:32 2026]
Error in rule train:
    message: SLURM sbatch failed. The error message was 'sbatch: error: Memory specification can not be satisfied
sbatch: error: Batch job submission failed: Requested node configuration is not available'.
    sbatch call:
        sbatch --parsable
    jobid: 7
    log: logs/train/digits/ae-default/seed0.log (check log file(s) for error details)
[Sun Nov 29 10:02:40 2026]
Error in group encode:
    message: SLURM sbatch failed. The error message was 'sbatch: error: invalid account'.
    jobs:
        rule encode:
            jobid: 3
            log: logs/encode/digits/pca-default/seed0.log (check log file(s) for error details)
        rule explore:
            jobid: 4
            log: logs/explore/digits/pca-default/seed0.log (check log file(s) for error details)
[Sun Nov 29 10:02:50 2026]
Error in rule train:
    message: SLURM-job '6' failed, SLURM status is: 'NODE_FAIL'.
    jobid: 9
    log: logs/train/digits/vae-default/seed0.log, logs/slurm/6.log (check log file(s) for error details)
"""


@pytest.fixture
def clients(tmp_path, monkeypatch) -> Path:
    """A folder of clients that do nothing; sbatch knows every partition but one, and writes down what it is asked."""
    for name in CLIENTS:
        program = tmp_path / name
        program.write_text(SBATCH.format(log=tmp_path / "asked") if name == "sbatch" else "#!/bin/sh\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_each_request_is_tried_once_and_nothing_is_submitted(clients):
    train = {"slurm_partition": "gpu", "gres": "gpu:1", "gpu": 0, "mem_mb": 3000, "slurm_extra": "--signal=TERM@120"}
    check([train, train | {"mem_mb": 6000}, {"slurm_partition": "cpu", "slurm_account": "mine"}], lambda name: name)
    asked = (clients / "asked").read_text().splitlines()
    assert len(asked) == 2 and all("--test-only" in line for line in asked)
    assert sum("--partition=gpu --gres=gpu:1 --signal=TERM@120" in line for line in asked) == 1, "and no --gpus"


def test_a_refused_partition_an_account_of_others_and_missing_clients_are_named(clients):
    with pytest.raises(UserError, match="slurm_partition=nowhere: invalid partition specified: nowhere"):
        check([{"slurm_partition": "nowhere"}], lambda name: name)

    def refuse(name: str) -> None:
        raise ValueError(f"no {name}\nyours: genai")

    with pytest.raises(UserError, match="slurm_account=strangers: no strangers yours: genai"):
        check([{"slurm_account": "strangers"}], refuse)
    (clients / "sacct").unlink()
    with pytest.raises(UserError, match="sacct not found"):
        check([], lambda name: name)


def test_what_was_never_submitted_is_not_called_killed(tmp_path):
    (tmp_path / "snakemake.log").write_text(LOG)
    refused = never_submitted(tmp_path / "snakemake.log")
    assert refused == {
        "logs/train/digits/ae-default/seed0.log": "Memory specification can not be satisfied Batch job submission "
        "failed: "
        "Requested node configuration is not available",
        "logs/encode/digits/pca-default/seed0.log": "invalid account",
        "logs/explore/digits/pca-default/seed0.log": "invalid account",
    }
    log = tmp_path / "cell.log"
    log.write_text("")
    assert why(log, {str(log): "invalid account"}) == "never submitted: invalid account"
    assert "killed" in why(log, refused)
    log.write_text("device: cpu, precision fp32, 1 thread\n  3%| 3/100 [1.00it/s]\n")
    assert "killed" in why(log, {str(log): "invalid account"}), "it ran"
    log.write_text("error: loss is nan at step 4\n  3%| 3/100 [1.00it/s]\n")
    assert why(log, {}) == "error: loss is nan at step 4"
