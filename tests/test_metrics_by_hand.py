"""Metrics against straightforward loops on random inputs: the definitions, written a second time and slowly."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler

from metrics import metric
from metrics.dci import completeness, completeness_per_factor, disentanglement, disentanglement_per_code
from paramrel.errors import Unsupported, UserError

SEEDS = st.integers(0, 10_000)


def attribute_codes(seed: int, n: int = 120, d: int = 5, n_attributes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Codes of every kind (continuous, tied, of small range, with an outlier, constant) and attributes of which some
    may be copies or constant."""
    rng = np.random.default_rng(seed)
    y = (rng.random((n, n_attributes)) < rng.uniform(0.05, 0.95, n_attributes)).astype(int)
    if seed % 3 == 0:
        y[:, -1] = y[:, 0] ^ (rng.random(n) < 0.05)
    if seed % 4 == 0:
        y[:, 1] = seed % 8 > 0
    z = rng.normal(size=(n, d)) + y[:, rng.integers(0, n_attributes, d)] * rng.uniform(0, 4, d)
    z[:, 0] = z[:, 0].round(int(rng.integers(0, 3)))
    z[:, 1] *= rng.choice([0.01, 1])
    z[rng.integers(n), 2] = rng.choice([0, 100])
    z[:, 3] *= rng.integers(0, 2)
    return z.astype(np.float32), y


def one_auroc(labels: np.ndarray, code: np.ndarray) -> float:
    exact = roc_auc_score(labels, code)
    return max(exact, 1 - exact)


def one_grid_auroc(labels: np.ndarray, code: np.ndarray) -> float:
    """Both directions' predictors at 101 thresholds, rates sorted apart, areas of the right ends."""
    low, high = code.min(), code.max()
    if high - low <= np.float32(0.2):
        return 0.5
    areas = []
    for above in (True, False):
        false_rates, true_rates = [], []
        for i in range(101):
            threshold = np.float32(i) * np.float32(0.01) * (high - low) + low
            predicted = code >= threshold if above else code < threshold
            false_rates.append(predicted[labels == 0].mean())
            true_rates.append(predicted[labels == 1].mean())
        false_rates, true_rates = sorted(false_rates), sorted(true_rates)
        areas.append(sum((false_rates[i] - false_rates[i - 1]) * true_rates[i] for i in range(1, 101)))
    return max(areas)


def tad_by_hand(z: np.ndarray, y: np.ndarray, one) -> tuple[float, int]:
    """(TAD, ATTRS) attribute by attribute, latent by latent."""
    total, captured = 0.0, 0
    for a in range(y.shape[1]):
        if len(set(y[:, a])) == 1:
            continue
        scores = sorted(one(y[:, a], z[:, j]) for j in range(z.shape[1]))
        own = mutual_info_score(y[:, a], y[:, a])
        shared = max((mutual_info_score(y[:, a], y[:, b]) for b in range(y.shape[1]) if b != a), default=0)
        if scores[-1] >= 0.75 - 1e-12 and shared / own <= 0.2:
            total += scores[-1] - scores[-2]
            captured += 1
    return total, captured


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
@pytest.mark.parametrize(("suffix", "one"), [("", one_auroc), ("_nashae", one_grid_auroc)])
def test_tad_and_attrs(suffix, one, seed):
    z, y = attribute_codes(seed)
    value, number = metric(f"tad{suffix}")({"z": z, "y": y}, seed), metric(f"attrs{suffix}")({"z": z, "y": y}, seed)
    assert (value.value, number.value) == pytest.approx(tad_by_hand(z, y, one), abs=1e-6)
    splits = list(KFold(5, shuffle=True, random_state=seed).split(z))
    for fold in (0, 4):
        train = splits[fold][0]
        assert (value.folds[fold], number.folds[fold]) == pytest.approx(tad_by_hand(z[train], y[train], one), abs=1e-6)


def auroc_by_pairs(positive: np.ndarray, score: np.ndarray) -> float:
    wins = score[positive][:, None] - score[~positive][None]
    return float(((wins > 0) + 0.5 * (wins == 0)).mean())


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, n_classes=st.integers(2, 4), folds=st.sampled_from(["stratified", "plain"]))
@example(seed=9490, n_classes=4, folds="plain")  # a fold lacks a class
def test_auroc_and_accuracy(seed, n_classes, folds):
    rng = np.random.default_rng(seed)
    y = np.stack([rng.permutation(np.arange(100) % n_classes), rng.permutation(np.arange(100) % 2)], 1)
    z = rng.normal(size=(100, 4)) * [1, 10, 0.1, 1] + y[:, :1]
    splitter = (StratifiedKFold if folds == "stratified" else KFold)(5, shuffle=True, random_state=seed)
    splits = [(labels, list(splitter.split(z, labels))) for labels in y.T]
    if any(set(labels[part]) != set(labels) for labels, found in splits for split in found for part in split):
        with pytest.raises(UserError, match="a fold lacks a class"):
            metric("auroc", {"folds": folds})({"z": z, "y": y}, seed)
        return
    areas, hits = [], []
    for labels, found in splits:
        for train, test in found:
            scaler = StandardScaler().fit(z[train])
            model = LogisticRegression(max_iter=1000).fit(scaler.transform(z[train]), labels[train])
            p = model.predict_proba(scaler.transform(z[test]))
            chosen = range(p.shape[1]) if p.shape[1] > 2 else [1]
            areas.append(np.mean([auroc_by_pairs(labels[test] == c, p[:, c]) for c in chosen]))
            hits.append(np.mean(p.argmax(1) == labels[test]))
    for name, values in (("auroc", areas), ("accuracy", hits)):
        found = metric(name, {"folds": folds})({"z": z, "y": y}, seed)
        assert found.value == pytest.approx(np.mean(values), abs=1e-9)
        assert found.folds == pytest.approx(np.reshape(values, (2, 5)).mean(0), abs=1e-9)


def entropy_score(shares: list[float]) -> float:
    """1 - entropy over its maximum, of shares plus 1e-11 each, normalised."""
    lifted = [share + 1e-11 for share in shares]
    total = sum(lifted)
    return 1 + sum(share / total * math.log(share / total) for share in lifted) / math.log(len(lifted))


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, d=st.integers(2, 8), k=st.integers(2, 6))
def test_disentanglement_and_completeness_of_an_importance_matrix(seed, d, k):
    rng = np.random.default_rng(seed)
    matrix = rng.random((d, k)) ** rng.integers(1, 20) * (rng.random((d, k)) < rng.uniform(0.3, 1))
    matrix[0, 0] += 0.1
    rows, columns = [entropy_score(row) for row in matrix.tolist()], [entropy_score(c) for c in matrix.T.tolist()]
    assert disentanglement_per_code(matrix) == pytest.approx(rows, abs=1e-9)
    assert completeness_per_factor(matrix) == pytest.approx(columns, abs=1e-9)
    total = matrix.sum()
    assert disentanglement(matrix) == pytest.approx(sum(rows * matrix.sum(1)) / total, abs=1e-9)
    assert completeness(matrix) == pytest.approx(sum(columns * matrix.sum(0)) / total, abs=1e-9)


def test_entropies_that_cannot_be_taken_are_no_silent_nan():
    with pytest.raises(Unsupported, match="at least two factors"):
        disentanglement(np.ones((3, 1)))
    with pytest.raises(Unsupported, match="at least two latents"):
        completeness(np.ones((1, 3)))


@pytest.mark.parametrize("seed", range(3))
def test_dci_is_that_of_a_plain_loop_over_factors(seed):
    rng = np.random.default_rng(seed)
    y = np.stack([rng.integers(0, 2, 500), rng.integers(0, 4, 500), rng.integers(0, 3, 500)], 1)
    z = (rng.normal(size=(500, 6)) + y @ rng.normal(size=(3, 6))).astype(np.float32)
    train, test = next(KFold(5, shuffle=True, random_state=seed).split(z))
    matrix, hits = np.zeros((6, 3)), []
    for j in range(3):
        model = GradientBoostingClassifier(n_estimators=20, random_state=seed).fit(z[train], y[train, j])
        matrix[:, j] = model.feature_importances_
        hits.append(model.score(z[test], y[test, j]))
    d = sum(entropy_score(row) * sum(row) for row in matrix.tolist()) / matrix.sum()
    c = np.mean([entropy_score(column) for column in matrix.T.tolist()])
    for name, expected in (("dci", d), ("dci_completeness", c), ("dci_informativeness", np.mean(hits))):
        found = metric(name, {"n_trees": 20, "n_folds": 1})({"z": z, "y": y}, seed)
        assert found.value == pytest.approx(expected, abs=0.01), name  # another seed of the trees changes .003 to .008
    found = metric("dci", {"n_trees": 20, "n_folds": 1})({"z": z, "y": y}, seed)
    assert np.array(found.extra["importance"]) == pytest.approx(matrix, abs=0.02)


def information(a: np.ndarray, b: np.ndarray) -> float:
    """Mutual information in nats from counts."""
    total = 0.0
    for i in set(a.tolist()):
        for j in set(b.tolist()):
            joint = np.mean((a == i) & (b == j))
            if joint:
                total += joint * math.log(joint / (np.mean(a == i) * np.mean(b == j)))
    return total


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_mig_and_modularity(seed):
    rng = np.random.default_rng(seed)
    y = np.stack([rng.integers(0, 2, 90), rng.integers(0, 4, 90), rng.integers(0, 3, 90)], 1)
    z = rng.normal(size=(90, 4)) + y @ rng.normal(size=(3, 4))
    edges = [np.linspace(code.min(), code.max(), 21)[1:-1] for code in z.T]
    bins = np.stack([np.digitize(code, edge) for code, edge in zip(z.T, edges, strict=True)], 1)
    matrix = np.array([[information(code, factor) for factor in y.T] for code in bins.T])
    gaps, modular = [], []
    for j, factor in enumerate(y.T):
        best, second = sorted(matrix[:, j])[:-3:-1]
        gaps.append((best - second) / information(factor, factor))
    for row in matrix:
        best = row.argmax()
        modular.append(1 - sum(row[j] ** 2 for j in range(3) if j != best) / (row[best] ** 2 * 2))
    assert metric("mig")({"z": z, "y": y}).value == pytest.approx(np.mean(gaps), abs=1e-9)
    assert metric("modularity")({"z": z, "y": y}).value == pytest.approx(np.mean(modular), abs=1e-9)


def test_sharpness_ratio():
    rng = np.random.default_rng(0)
    x, made = rng.random((5, 2, 6, 7)), rng.random((5, 2, 6, 7)) / 3

    def variance(image: np.ndarray) -> float:
        found = []
        for channel in image:
            for i in range(1, 5):
                for j in range(1, 6):
                    around = channel[i - 1, j] + channel[i + 1, j] + channel[i, j - 1] + channel[i, j + 1]
                    found.append(around - 4 * channel[i, j])
        return float(np.var(found))

    ratios = sorted(variance(b) / variance(a) for a, b in zip(x, made, strict=True))
    assert metric("notblur")({"x_test": x, "reconstructed": made}).value == pytest.approx(ratios[2])
