"""What changes no metric of codes: order, scale and shift of latents, names of labels, types, memory, what is
constant."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from metrics import metric, metrics

SMALL = {
    "dci": {"n_trees": 3, "n_folds": 1},
    "dci_progressive": {"n_trees": 2, "n_folds": 1},
    "factor_vae": {"n_train": 200, "n_eval": 200},
}
FORESTS = ("auroc_forest", "accuracy_forest")
BY_SCALE = ("tad_nashae", "attrs_nashae", "active_units", "kl")
"""Their definitions have a unit: a range of .2, the prior's N(0, I)."""
OF_CODES = sorted(
    name for name, cls in metrics().items() if set(cls.needs) <= {"z", "y", "z_std"} and name not in FORESTS
)
FREE = [name for name in OF_CODES if name not in BY_SCALE]
QUICK = settings(max_examples=3, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
SEEDS = st.integers(0, 10_000)


def codes(seed: int, n: int = 80, d: int = 4) -> dict[str, np.ndarray]:
    """Codes on a grid of 1/64, which single precision and shifts hold exactly, and three binary factors."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, (n, 3))
    z = rng.normal(size=(n, d))
    z[:, :3] += 2 * y
    return {"z": np.round(64 * z) / 64, "y": y, "z_std": np.ones((n, d))}


def value(name: str, arrays: dict[str, np.ndarray]) -> float:
    return metric(name, SMALL.get(metrics()[name].family or name, {}))(arrays, 0).value


@pytest.mark.parametrize("name", OF_CODES)
class TestCodes:
    @QUICK
    @given(seed=SEEDS)
    def test_the_order_of_latents(self, name, seed):
        base = codes(seed)
        order = np.random.default_rng(seed).permutation(4)
        moved = base | {"z": base["z"][:, order], "z_std": base["z_std"][:, order]}
        assert value(name, moved) == pytest.approx(value(name, base), abs=1e-3 if "auroc" in name else 1e-9)

    @QUICK
    @given(seed=SEEDS)
    def test_types_and_memory(self, name, seed):
        base = codes(seed)
        expected = value(name, base)
        wide = np.zeros((80, 8))
        wide[:, ::2] = base["z"]
        for z in (np.asfortranarray(base["z"]), wide[:, ::2], base["z"].astype(">f8"), base["z"].astype(np.longdouble)):
            assert value(name, base | {"z": z}) == expected
        single = value(name, base | {"z": base["z"].astype(np.float32)})
        assert single == pytest.approx(expected, abs=2e-3 if "auroc" in name or "accuracy" in name else 1e-6)
        for y in (np.asfortranarray(base["y"]), base["y"].astype(np.uint8), base["y"].astype(float)):
            assert value(name, base | {"y": y}) == expected

    @QUICK
    @given(seed=SEEDS, names=st.permutations([3, -7, 100, 2000]))
    def test_names_of_labels(self, name, seed, names):
        base = codes(seed)
        renamed = np.sort(names[:2])[base["y"]]
        assert value(name, base | {"y": renamed}) == value(name, base)
        words = np.array(["absent", "there"])[base["y"]]
        assert value(name, base | {"y": words}) == value(name, base)

    @QUICK
    @given(seed=SEEDS)
    def test_a_constant_label_more(self, name, seed):
        base = codes(seed)
        more = np.concatenate((base["y"][:, :1], np.full((80, 1), 5), base["y"][:, 1:]), 1)
        assert value(name, base | {"y": more}) == value(name, base)


@pytest.mark.parametrize("name", [name for name in OF_CODES if name not in ("kl", "tad_nashae", "attrs_nashae")])
@QUICK
@given(seed=SEEDS, constant=st.sampled_from([0.0, 0.1, -3e7, 1e-30]))
def test_a_constant_latent_more(name, seed, constant):
    """Completeness is an entropy in base d, and the mean over latents of modularity leaves it out."""
    base = codes(seed)
    more = base | {"z": np.insert(base["z"], 1, constant, 1), "z_std": np.ones((80, 5))}
    if name == "dci_completeness":
        found, expected = (np.array(metric(name, SMALL["dci"])(one, 0).extra["per_factor"]) for one in (more, base))
        assert (1 - found) * np.log(5) == pytest.approx((1 - expected) * np.log(4), abs=1e-6)
    else:
        assert value(name, more) == pytest.approx(value(name, base), abs=1e-3 if "auroc" in name else 1e-9)


@pytest.mark.parametrize("name", FREE)
@QUICK
@given(seed=SEEDS, exponent=st.integers(-200, 34), shift=st.integers(-1000, 1000))
def test_scale_and_shift_of_latents(name, seed, exponent, shift):
    base = codes(seed)
    expected, near = value(name, base), 1e-3 if "auroc" in name else 1e-9
    assert value(name, base | {"z": base["z"] * 10.0**exponent}) == pytest.approx(expected, abs=near)
    assert value(name, base | {"z": base["z"] + shift}) == pytest.approx(expected, abs=near)
    own = 10.0 ** np.random.default_rng(seed).integers(-100, 30, 4)
    assert value(name, base | {"z": base["z"] * own}) == pytest.approx(expected, abs=near)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-160, 1e-38, 1, 1e30])
def test_no_scale_is_too_small(scale):
    base = codes(0)
    for name in FREE:
        assert value(name, base | {"z": base["z"] * scale}) == pytest.approx(value(name, base), abs=1e-3), name


@QUICK
@given(seed=SEEDS, sizes=st.lists(st.integers(2, 25), min_size=2, max_size=4), n=st.integers(30, 100))
def test_perfect_codes_score_1_and_ties_do_not_decide(seed, sizes, n):
    """Values that one or two items have make batches in which several factors stay fixed."""
    rng = np.random.default_rng(seed)
    y = np.stack([rng.integers(0, size, n) for size in sizes], 1)
    y[:2] = [[0] * len(sizes), [1] * len(sizes)]
    if any(len(np.unique(column)) > n / 2 for column in y.T):
        return
    own, order = rng.uniform(0.01, 100, len(sizes)), rng.permutation(len(sizes))
    for z in (y.astype(float), (y * own)[:, order], (y * own).astype(np.float32), np.tile(y, 2), np.exp(-y / 10.0)):
        assert value("factor_vae", {"z": z, "y": y}) == pytest.approx(1)


def test_forests_do_not_care_about_scale_and_memory():
    base = codes(0, n=40)
    base["y"] = base["y"][:, 0]
    for name in FORESTS:
        assert value(name, base | {"z": np.asfortranarray(base["z"] * 2.0**-700)}) == value(name, base)
