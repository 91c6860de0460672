"""Finding members: what is broken is said in one line and stops nobody else; where members may come from."""

import sys

import pytest

from metrics import METRICS, check_options
from paramrel import registry
from paramrel.data import DATASETS
from paramrel.errors import UserError
from paramrel.method import METHODS
from paramrel.registry import PLUGINS, search
from suite.commands.listing import listing
from suite.graph.config import parse, resolve
from suite.graph.names import metric_names, metrics_name
from tests.conftest import TINY_PRESET

METRIC = """
from metrics._base import Metric, Value

class Toy(Metric):
    name = "toy_mean"
    version = 1
    title = "mean of the codes"
    direction = "none"
    range = (-10.0, 10.0)
    needs = ("z",)
    source = "this test"

    def compute(self, arrays, seed):
        return Value(float(arrays["z"].mean()), len(arrays["z"]))
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Writes a file and names it as a plugin."""
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "toy.py"):
        (tmp_path / name).write_text(text)
        monkeypatch.setenv(PLUGINS, name)
        registry._find.cache_clear()
        registry._plugin.cache_clear()

    yield write
    registry._find.cache_clear()
    registry._plugin.cache_clear()


def test_everything_of_the_project_is_sound():
    assert not METHODS.broken and not DATASETS.broken and not METRICS.broken
    assert {"vae", "paramrel_d"} <= set(METHODS.members) and "auroc" in METRICS.members


def test_a_file_of_the_user_s_is_a_member_like_any_other(plugin):
    plugin(METRIC)
    assert METRICS.get("toy_mean").title == "mean of the codes" and set(METRICS.members) > {"toy_mean", "auroc"}
    assert "toy_mean" not in METHODS.members and not METRICS.broken


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "from metrics",
            "import nothere\nfrom metrics",
            r"cannot be imported \(ModuleNotFoundError: No module named 'nothere'\)",
        ),
        ("class Toy", "class Toy(", r"cannot be imported \(SyntaxError: "),
        ("class Toy", "raise SystemExit(3)\nclass Toy", r"cannot be imported \(SystemExit: 3\)"),
        ('    title = "mean of the codes"\n', "", "class Toy: title is missing"),
        ("    range = (-10.0, 10.0)\n", "", "class Toy: range is missing"),
        ("    version = 1\n", "", "class Toy: version is missing"),
        ("version = 1", "version = '1'", r"class Toy: version: .*valid integer \(got '1'\)"),
        ('"none"', '"up"', "class Toy: direction: .*'higher', 'lower' or 'none'"),
        ("(-10.0, 10.0)", "(-10.0,)", r"class Toy: range.1: Field required"),
        ("def compute", "def compote", "class Toy: compute is not defined"),
        ('"toy_mean"', '"toy mean"', "class Toy: name 'toy mean': letters"),
        ('"toy_mean"', '"auroc"', "two are called 'auroc'"),
    ],
)
def test_a_broken_member_is_one_line_and_the_others_go_on(plugin, capsys, old, new, says):
    assert old in METRIC
    plugin(METRIC.replace(old, new))
    ((name, reason),) = METRICS.broken.items()
    with pytest.raises(UserError, match=says) as caught:
        METRICS.get(name)
    assert "toy.py" in reason and "\n" not in reason and str(caught.value) == reason
    assert name == {"toy mean": "toy mean", "auroc": "auroc"}.get(new.strip('"'), "toy_mean")
    assert f"{name:24} broken: {reason}" in listing("metrics") and METRICS.get("accuracy").name == "accuracy"


def test_a_class_without_a_name_is_said_and_helpers_are_not(plugin):
    plugin(METRIC.replace('    name = "toy_mean"\n', "") + "\nclass _Helper(Toy):\n    pass\n")
    assert METRICS.broken == {"Toy": "toy.py: class Toy: name is missing: say what it is called"}
    plugin(METRIC.replace('    name = "toy_mean"\n', "") + "\nclass Child(Toy):\n    name = 'child'\n")
    assert not METRICS.broken and "child" in METRICS.members


def test_a_file_that_is_not_there_is_one_line(plugin, tmp_path):
    plugin("")
    (tmp_path / "toy.py").unlink()
    with pytest.raises(UserError, match=r"^toy.py: cannot be imported \(FileNotFoundError"):
        METRICS.get("toy")
    with pytest.raises(UserError, match="unknown metric 'aurok': did you mean 'auroc'.*; broken: toy$"):
        METRICS.get("aurok")


def test_only_what_needs_a_broken_member_fails(plugin, capsys):
    plugin("import nothere\n" + METRIC)
    check_options({"toy_mean": {"x": 1}})
    preset = TINY_PRESET | {"evaluate": {"metrics": ["auroc", "toy_mean"]}}
    params = parse({"preset": "t", "presets": {"t": preset, "u": TINY_PRESET}}, "params")
    assert "toy_mean" not in metric_names(resolve(params, "u").evaluate)
    assert capsys.readouterr().err.count("warning: metric is left out: toy.py: cannot be imported") == 1
    with pytest.raises(UserError, match=r"^toy.py: cannot be imported"):
        metrics_name(resolve(params, "t").evaluate)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a metric, where Python finds it."""
    (tmp_path / "site/toy_package").mkdir(parents=True)
    (tmp_path / "site/toy_package/__init__.py").write_text("")
    (tmp_path / "site/toy_package/mean.py").write_text(METRIC)
    (tmp_path / "site/toy_package/worse.py").write_text("import nothere\n")
    (tmp_path / "site/toy_package/_helper.py").write_text("import nothere\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    yield tmp_path / "site"
    for name in [name for name in sys.modules if name.startswith("toy_package")]:
        del sys.modules[name]
    registry._installed.cache_clear()


@pytest.mark.parametrize("named", ["toy_package", "toy_package.mean", "toy_package.mean:Toy"])
def test_an_installed_package_names_its_members_as_entry_points(package, named):
    (package / "toy-1.0.dist-info").mkdir()
    (package / "toy-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (package / "toy-1.0.dist-info/entry_points.txt").write_text(f"[paramrel.metrics]\ntoy = {named}\n")
    registry._installed.cache_clear()
    assert METRICS.get("toy_mean").__module__ == "toy_package.mean"
    assert set(METRICS.broken) == ({"worse"} if named == "toy_package" else set())


def test_a_package_may_be_named_by_a_call_and_one_that_is_not_there_is_said(package, monkeypatch):
    monkeypatch.setattr(registry, "_SEARCHED", {})
    search("paramrel.metrics", "toy_package")
    search("paramrel.metrics", "toy_package")
    search("paramrel.metrics", "toy_nowhere")
    assert METRICS.get("toy_mean") and METRICS.get("toy_mean").__module__ == "toy_package.mean"
    assert METRICS.broken["toy_nowhere"].startswith("toy_nowhere cannot be imported (ModuleNotFoundError")
    assert METRICS.broken["worse"].startswith(f"{package}/toy_package/worse.py: cannot be imported")
