"""A real Slurm on one machine, for tests: munge, one controller and three nodes that claim four processors and 64 GB.

    python tests/slurm_cluster.py up      # installs Debian's packages if they are missing (root), starts, prints sinfo
    python tests/slurm_cluster.py down    # stops what `up` started

Everything lies in one folder ($PARAMREL_SLURM, default /tmp/paramrel-slurm) but for /etc/slurm/slurm.conf, a link to
it: jobs of Snakemake's plugin forget SLURM_CONF. A machine that has a Slurm of its own is left alone. Node n3 claims
two GPUs (device files that are none), so that requests for them can be tested: it is the partition gpu, the others are
cpu, and main has all. Memory limits are not enforced: there are no control groups. Accounts would need a database:
`bin/sacctmgr` in the folder says that there is one, genai.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
NODES = ("n1", "n2", "n3")
FIRST_PORT = 27017
LINK = Path("/etc/slurm/slurm.conf")
"""Where every program of Slurm looks."""

CONF = """
ClusterName=paramrel
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
# A short credential: a job that lost its node may start again after seconds, not minutes.
AuthInfo=socket={home}/munge.socket,cred_expire=5
StateSaveLocation={home}/controller
SlurmdSpoolDir={home}/spool-%n
SlurmctldPidFile={home}/controller.pid
SlurmdPidFile={home}/%n.pid
SlurmctldLogFile={home}/controller.log
SlurmdLogFile={home}/%n.log
# No control groups and no binding: works in containers, and three nodes fit on one machine.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_min_interval=100000
# Finished jobs stay in squeue, which is asked because there is no accounting.
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MinJobAge=600
SlurmdTimeout=10
SlurmctldTimeout=10
BatchStartTimeout=10
KillWait=5
UnkillableStepTimeout=180
ReturnToService=2
MpiDefault=none
GresTypes=gpu
"""


def home() -> Path:
    """The folder that holds the cluster."""
    return Path(os.environ.get("PARAMREL_SLURM", "/tmp/paramrel-slurm"))


def missing() -> str | None:
    """Why no cluster can be had here, or None. Installs the packages if that is possible."""
    if LINK.exists() and LINK.resolve() != home() / "slurm.conf":
        return f"this machine has a Slurm of its own ({LINK})"
    if os.getuid() != 0:
        return "only root can start Slurm's daemons for the default place of its configuration"
    programs = ("slurmctld", "slurmd", "sbatch", "srun", "squeue", "munged")
    lacking = [name for name in programs if _which(name) is None]
    if not lacking:
        return None
    if shutil.which("apt-get") is None:
        return f"{', '.join(lacking)} are not installed, and there is no apt-get to install them"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=env, **quiet)
    done = subprocess.run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES], env=env, **quiet, timeout=600
    )
    lacking = [name for name in programs if _which(name) is None]
    return f"apt-get could not install {', '.join(lacking)}: {done.stderr.strip()[-300:]}" if lacking else None


def _which(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def up() -> None:
    """Start the cluster; returns when a job has run on it. Starts what is not running and leaves the rest."""
    root, user = home(), subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    root.mkdir(mode=0o755, parents=True, exist_ok=True)
    (root / "controller").mkdir(exist_ok=True)
    host = socket.gethostname().split(".")[0]
    lines = [CONF.format(host=host, port=FIRST_PORT, user=user, home=root)]
    for index, node in enumerate(NODES):
        gres = " Gres=gpu:2" if node == NODES[-1] else ""
        lines.append(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={FIRST_PORT + 1 + index} CPUs=4"
            f" RealMemory=64000{gres} State=UNKNOWN\n"
        )
        (root / f"spool-{node}").mkdir(exist_ok=True)
    lines.append(f"PartitionName=main Nodes={','.join(NODES)} Default=YES MaxTime=24:00:00 DefMemPerCPU=500 State=UP\n")
    lines.append(f"PartitionName=cpu Nodes={','.join(NODES[:-1])} MaxTime=24:00:00 DefMemPerCPU=500 State=UP\n")
    lines.append(f"PartitionName=gpu Nodes={NODES[-1]} MaxTime=24:00:00 DefMemPerCPU=500 State=UP\n")
    (root / "slurm.conf").write_text("".join(lines))
    (root / "gres.conf").write_text(
        "".join(f"NodeName={NODES[-1]} Name=gpu File=/dev/{name}\n" for name in ("null", "zero"))
    )
    (root / "bin").mkdir(exist_ok=True)
    (root / "bin/sacctmgr").write_text("#!/bin/sh\necho genai\n")
    (root / "bin/sacctmgr").chmod(0o755)
    (root / "cgroup.conf").write_text("CgroupAutomount=no\nConstrainCores=no\nConstrainRAMSpace=no\n")
    LINK.parent.mkdir(exist_ok=True)
    LINK.unlink(missing_ok=True)
    LINK.symlink_to(root / "slurm.conf")
    _munge(root)
    if not _alive("controller"):
        _daemon("slurmctld", "-f", str(root / "slurm.conf"))
    for node in NODES:
        start_node(node)
    for _ in range(120):
        states = slurm("sinfo", "-h", "-N", "-p", "main", "-o", "%N %t").split()[1::2]
        if len(states) == len(NODES) and set(states) <= {"idle", "mix", "alloc"}:
            break
        for node in NODES:  # left down or drained by an earlier life
            slurm("scontrol", "update", f"nodename={node}", "state=resume", check=False)
        time.sleep(0.5)
    else:
        sys.exit(f"error: not every node came up ({states}): see {root}/*.log")
    slurm("srun", "-n1", "true")


def _munge(root: Path) -> None:
    if _alive("munged"):
        return
    key = root / "munge.key"
    if not key.exists():
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
    files = {name: root / f"munge.{name}" for name in ("socket", "seed", "log")}
    _daemon(
        "munged",
        "--force",
        f"--socket={files['socket']}",
        f"--key-file={key}",
        f"--seed-file={files['seed']}",
        f"--log-file={files['log']}",
        f"--pid-file={root / 'munged.pid'}",
        "--num-threads=2",
    )


def start_node(node: str) -> None:
    """Start (again) the daemon of a node."""
    if not _alive(node):
        _daemon("slurmd", "-N", node, "-f", str(home() / "slurm.conf"))


def kill_node(node: str) -> None:
    """What a power cut does: SIGKILL for the node's daemon and for everything that runs on it."""
    daemon = _pid(node)
    steps = [pid for pid in _processes() if f"SLURMD_NODENAME={node}" in _environ(pid)]
    for pid in [daemon, *_stepds(node), *steps]:
        if pid:
            _kill(pid, signal.SIGKILL)


def down() -> None:
    """Cancel every job, stop every daemon that ``up`` started, remove the folder."""
    if not home().exists():
        return
    slurm("scancel", "--user", str(os.getuid()), check=False)
    for _ in range(40):
        if not slurm("squeue", "-h", "-t", "RUNNING,COMPLETING", check=False).strip():
            break
        time.sleep(0.5)
    for name in (*NODES, "controller", "munged"):
        pid = _pid(name)
        if pid:
            _kill(pid, signal.SIGTERM)
        for _ in range(50):
            if not _alive(name):
                break
            time.sleep(0.1)
        else:
            _kill(pid, signal.SIGKILL)
    shutil.rmtree(home(), ignore_errors=True)
    if LINK.is_symlink() and LINK.readlink() == home() / "slurm.conf":
        LINK.unlink()


def slurm(*command: str, check: bool = True) -> str:
    """Output of one of Slurm's commands on this cluster."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _daemon(name: str, *arguments: str) -> None:
    done = subprocess.run([_which(name), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: {name} did not start: {(done.stderr or done.stdout).strip()}")


def _pid(name: str) -> int | None:
    """The daemon's process, by its pid file, if it still is that daemon."""
    try:
        pid = int((home() / f"{name}.pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    except (OSError, ValueError):
        return None
    return pid if "slurm" in command or "munged" in command else None


def _alive(name: str) -> bool:
    return _pid(name) is not None


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _environ(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def _stepds(node: str) -> list[int]:
    """Processes that watch over the node's jobs: they have its spool folder's sockets, and its name in no variable."""
    found = []
    for pid in _processes():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            continue
        if command.startswith("slurmstepd") and any(
            f"SLURMD_NODENAME={node}" in _environ(int(child)) for child in children
        ):
            found.append(pid)
    return found


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


if __name__ == "__main__":
    if sys.argv[1:] == ["up"]:
        reason = missing()
        if reason:
            sys.exit(f"error: {reason}")
        up()
        print(slurm("sinfo", "-N"))
    elif sys.argv[1:] == ["down"]:
        down()
    else:
        sys.exit(__doc__)
