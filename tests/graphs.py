"""What the tests of whole graphs share: a small project, Snakemake in it, and methods that are slow or broken."""

import contextlib
import difflib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from suite.graph.results import NOT_REPEATABLE
from tests.conftest import TINY_PRESET, run

SLOW = '''
"""A toy that trains slowly on demand: a linear autoencoder that sleeps before every step."""

import os
import time

from torch import nn

from paramrel.method import Codes, LossTerms, Method
from paramrel.settings import Frozen


class SlowConfig(Frozen):
    pause: float = 1.0


class ToySlow(Method):
    name = "toy_slow"
    title = "Slow toy"
    source = "a test"
    Config = SlowConfig
    variants = {"a": {}, "b": {"pause": 1.1}, "c": {"pause": 2.5}}

    def __init__(self, data, net, config):
        super().__init__(data, net, config)
        self.down, self.up = nn.Linear(data.n_dims, net.latent_dim), nn.Linear(net.latent_dim, data.n_dims)

    def loss(self, batch, rng):
        time.sleep(float(os.environ.get("TOY_SLEEP", 0)) * self.config.pause)
        if "TOY_STEPS" in os.environ:  # one letter per step that was made, tries that were killed included
            with open(f"{os.environ['TOY_STEPS']}/{self.config.pause}", "a") as file:
                file.write("x")
        x = batch.flatten(1)
        total = (self.up(self.down(x)) - x).square().mean()
        return LossTerms(total, {"mse": total.detach()})

    def encode(self, x):
        return Codes(self.down(x.flatten(1)))
'''

BROKEN = '''
"""A toy whose training fails."""

from paramrel.method import Codes, Method


class ToyBroken(Method):
    name = "toy_broken"
    title = "Broken toy"
    source = "a test"

    def __init__(self, data, net, config):
        from torch import nn
        super().__init__(data, net, config)
        self.linear = nn.Linear(2, 2)

    def loss(self, batch, rng):
        raise RuntimeError("this toy is broken")

    def encode(self, x):
        return Codes(x.flatten(1))
'''


OFFLINE = '''
"""Python reads this file at its start: from here on, there is no network, and who asks for it is written down."""

import os
import socket


def refuse(what):
    with open(os.environ["ATTEMPTS"], "a") as file:
        file.write(f"{what}\\n")
    raise OSError(f"no network in this test: {what}")


def guarded(connect):
    def guard(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            refuse(address)
        return connect(self, address)

    return guard


socket.socket.connect = guarded(socket.socket.connect)
socket.socket.connect_ex = guarded(socket.socket.connect_ex)
for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr"):  # a name server is a network too
    setattr(socket, name, lambda *host, **_: refuse(host))
'''

RENDERED = "shapes3d_rendered_16"
"""A data set that is prepared first, and is neither binary nor a table."""

FEW_TREES = {"dci": {"n_trees": 2, "n_folds": 1, "n_items": 200}, "dci_progressive": {"n_trees": 2, "n_items": 200}}

AHEAD = {"variants": {"ahead": {"z_source": "ahead", "theta_dropout": 0.2}}}

EVERY_METHOD = {
    "datasets": ["digits_binarized", RENDERED, "breast_cancer_mixed"],
    "per_dataset": {
        RENDERED: {"methods": ["pca", "bfn_c", "bfn_discretised", "paramrel_c", "paramrel_discretised"]},
        "breast_cancer_mixed": {"methods": ["columns", "paramrel_mixed"]},
    },
    "per_method": dict.fromkeys(("paramrel_c", "paramrel_discretised", "paramrel_mixed"), AHEAD),
    "evaluate": TINY_PRESET["evaluate"] | {"options": FEW_TREES},
}
"""Changes of the tiny preset after which every registered method has a cell: no data set takes all of them. Variants
that differ from each other in settings only are made on the digits."""


def write_preset(project: Path, **changes) -> Path:
    """Make ``tiny`` the only preset of a project, with one seed and ``changes``."""
    preset = TINY_PRESET | {"seeds": [0]} | changes
    (project / "params.yaml").write_text(yaml.safe_dump({"preset": "tiny", "presets": {"tiny": preset}}))
    return project


def snakemake(project: Path, *arguments: str, timeout: int = 1800, **env: str) -> subprocess.CompletedProcess:
    """Run Snakemake in a project to its end."""
    return run("snakemake", "--cores", "2", *arguments, cwd=project, timeout=timeout, PYTHONPATH=str(project), **env)


def planned(project: Path) -> dict[str, int]:
    """How many jobs of each rule a direct Snakemake would run."""
    said = snakemake(project, "--dry-run", "--quiet", "rules")
    assert said.returncode == 0, said.stderr
    return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", said.stdout + said.stderr, re.MULTILINE)}


def start(project: Path, *command: str, **env: str) -> subprocess.Popen:
    """Start a command in a project, in a process group of its own, with its output in ``project``/out.log.

    Ctrl-C reaches it even where these tests run in the background, whose children ignore it.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        command,
        cwd=project,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(project)} | env,
        stdout=(project / "out.log").open("a"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of results/ or runs/ that must not differ between two runs: not those that hold seconds."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith((*NOT_REPEATABLE, "run.json", "timing-"))
    }


def differences(ours: dict[str, bytes], theirs: dict[str, bytes]) -> list[str]:
    """What differs between two such folders: the name of each file, of a text with the lines that differ."""
    found = [f"{name}: only in one" for name in sorted(ours.keys() ^ theirs.keys())]
    for name in sorted(ours.keys() & theirs.keys()):
        if ours[name] == theirs[name]:
            continue
        found.append(name)
        if name.endswith((".csv", ".json", ".jsonl", ".md", ".tex")):
            lines = (each[name].decode().splitlines() for each in (ours, theirs))
            changed = [line for line in difflib.unified_diff(*lines, lineterm="", n=0) if line[0] in "+-"][2:]
            found += [line[:500] for line in changed[:6]]
    return found


def commands_in(folder: Path, name: str) -> list[int]:
    """Processes that run ``paramrel NAME`` in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            here = entry.name.isdigit() and (entry / "cwd").resolve() == folder.resolve()
        except OSError:
            continue
        if here and any(Path(os.fsdecode(word)).name == "paramrel" for word in words[:2]) and name.encode() in words:
            found.append(int(entry.name))
    return found


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def wait_for(what: Callable[[], object], seconds: float, why: str) -> object:
    """The first true value of ``what``."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = what()
        if found:
            return found
        time.sleep(0.2)
    raise TimeoutError(f"{why} did not happen in {seconds} s")
