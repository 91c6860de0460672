"""What Slurm would refuse, asked once before the first job: Snakemake's plugin asks for each job, and a group whose
account it refuses waits without a word."""

import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from paramrel.errors import UserError

CLIENTS = ("sbatch", "squeue", "scancel", "sacct", "sacctmgr")
"""What the plugin calls: sacct to find an account where none is named, sacctmgr to check one that is."""

OPTIONS = {
    "slurm_account": "--account={}",
    "slurm_partition": "--partition={}",
    "gres": "--gres={}",
    "gpu": "--gpus={}",
    "constraint": "--constraint={}",
    "qos": "--qos={}",
    "slurm_extra": "{}",
}
"""Resources of a job that name something of the cluster, as sbatch is told of them."""


def check(jobs: Iterable[Mapping[str, Any]], check_account: Callable[[str], Any]) -> None:
    """Raises ``UserError`` if a client of Slurm's is missing, or if Slurm would refuse what one of ``jobs`` (resources)
    asks for. ``check_account`` raises an exception for an account that is not the user's."""
    lacking = [name for name in CLIENTS if shutil.which(name) is None]
    if lacking:
        raise UserError(f"{', '.join(lacking)} not found: run Snakemake where Slurm's clients are, on a login node")
    asked = {tuple((name, job[name]) for name in OPTIONS if job.get(name)) for job in jobs}
    for account in sorted({str(dict(names)["slurm_account"]) for names in asked if "slurm_account" in dict(names)}):
        try:
            check_account(account)
        except Exception as error:
            raise UserError(f"slurm_account={account}: {_first_line(str(error))} (slurm/config.yaml)") from error
    for names in sorted(asked, key=str):
        _test(dict(names))


def _test(names: dict[str, Any]) -> None:
    """Ask sbatch, which submits nothing, whether a job with these options could be."""
    options = [word for name, value in names.items() for word in shlex.split(OPTIONS[name].format(value))]
    done = subprocess.run(
        ["sbatch", "--test-only", "--ntasks=1", "--time=1", *options, "--wrap=true"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        said = done.stderr.replace("sbatch: error:", "").replace("allocation failure:", "")
        wanted = ", ".join(f"{name}={value}" for name, value in names.items())
        raise UserError(f"Slurm refuses a job with {wanted}: {_first_line(said)} (slurm/config.yaml)")


def _first_line(text: str) -> str:
    return " ".join(text.split())[:300]
