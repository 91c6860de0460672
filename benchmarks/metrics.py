"""Speed of TAD and DCI against the straightforward way, and peak memory: `python benchmarks/metrics.py`.

TAD: 10,000 x 64 codes and 40 attributes, one rank transform against a scikit-learn call per latent and attribute (one
call each; the official code makes two). DCI: boosted trees of 6 factors, two processes against one. Both in one run,
each twice, the faster counts. Numbers are of this machine and what else runs on it; they are printed, never asserted.
Where others use the cores too, look at the processor seconds: their balance is what two free cores would give.
"""

import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from joblib import Parallel, delayed, parallel_config
from sklearn.metrics import roc_auc_score

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # run as a script, this file would hide the package metrics
from metrics.dci import fit  # noqa: E402
from metrics.tad import auroc_matrix, tad  # noqa: E402

N_JOBS = 2


def seconds(run: Callable[[], object], repeats: int = 2) -> float:
    """Shortest wall time of a few runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def spin() -> int:
    """A second or so of arithmetic: what the machine gives to two processes, whatever they do."""
    return sum(i * i for i in range(10_000_000))


def straightforward(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(A, d) AUROCs, one scikit-learn call each."""
    scores = np.array([[roc_auc_score(attribute, code) for code in z.T] for attribute in y.T])
    return np.maximum(scores, 1 - scores)


def benchmark_tad(rng: np.random.Generator) -> None:
    y = rng.random((10_000, 40)) < rng.uniform(0.1, 0.5, 40)
    z = (rng.normal(size=(10_000, 64)) + np.eye(40, 64)[y.argmax(1)]).astype(np.float32)
    assert np.allclose(auroc_matrix(z, y), straightforward(z, y), atol=1e-9)
    slow, fast, whole = (
        seconds(lambda: straightforward(z, y)),
        seconds(lambda: auroc_matrix(z, y), 5),
        seconds(lambda: tad(z, y), 5),
    )
    print(f"TAD, 10,000 x 64 codes, 40 attributes: scikit-learn per latent and attribute {slow:.2f} s")
    print(f"  AUROC matrix {fast:.4f} s: {slow / fast:.0f} times faster")
    print(f"  TAD, ATTRS and redundancy {whole:.4f} s: {slow / whole:.0f} times faster")


def benchmark_dci(rng: np.random.Generator) -> None:
    n_values = (10, 10, 10, 8, 4, 15)
    y = np.stack([rng.integers(0, n, 1500) for n in n_values], 1)
    z = rng.normal(size=(1500, 10)) + y @ rng.normal(size=(6, 10)) / 4
    splits = [(np.arange(1500) % 5 != i, np.arange(1500) % 5 == i) for i in range(2)]
    splits = [(np.flatnonzero(train), np.flatnonzero(test)) for train, test in splits]
    with parallel_config(n_jobs=N_JOBS):
        fit(z, y, splits, 1, 0)  # processes start and import once, seconds
        workers = [psutil.Process(pid) for pid in dict(Parallel()(delayed(peak_mib)() for _ in range(8 * N_JOBS)))]
        both = seconds(lambda: Parallel(batch_size=1)(delayed(spin)() for _ in range(N_JOBS)))
        before = [worker.cpu_times().user for worker in workers]
        together = seconds(lambda: fit(z, y, splits, 40, 0), 2)
        spent = [worker.cpu_times().user - start for worker, start in zip(workers, before, strict=True)]
    alone = seconds(lambda: fit(z, y, splits, 40, 0), 2)
    print(f"DCI, 1,500 x 10 codes, 6 factors, 2 splits, 40 trees: one process {alone:.1f} s")
    print(f"  {N_JOBS} processes {together:.1f} s: {alone / together:.2f} times faster")
    shares = ", ".join(f"{share:.1f} s" for share in spent)
    print(f"  processor time of each, both runs: {shares}: {sum(spent) / max(spent):.2f} times faster on free cores")
    print(f"  (two busy loops side by side do {N_JOBS * seconds(spin) / both:.2f} times the work of one here and now)")


def peak_mib() -> tuple[int, int]:
    """(process id, largest resident set so far in MiB) of the process that runs this."""
    return os.getpid(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    rng = np.random.default_rng(0)
    benchmark_tad(rng)
    benchmark_dci(rng)
    with parallel_config(n_jobs=N_JOBS):
        workers = dict(Parallel()(delayed(peak_mib)() for _ in range(8 * N_JOBS)))
    own = peak_mib()[1]
    print(f"Peak memory: {own + sum(workers.values())} MiB ({own} here, {list(workers.values())} in the processes)")


if __name__ == "__main__":
    main()
