"""Scores along a training: what is measured are the averaged weights of the checkpoint."""

import torch
from torch.optim.swa_utils import AveragedModel

from benchmarks.along import averaged, measure
from paramrel.checkpoint import STATE, Checkpoints, Progress
from suite.graph.cells import make_cell
from suite.graph.config import parse, resolve
from tests.conftest import TINY_PRESET


def test_the_averaged_weights_are_measured(tmp_path):
    written = TINY_PRESET | {"datasets": ["shapes3d_rendered_16"], "methods": ["paramrel_c"]}
    cell = make_cell(
        resolve(parse({"preset": "t", "presets": {"t": written}}, "p"), "t"),
        "shapes3d_rendered_16",
        "paramrel_c",
        "ahead",
        0,
    )
    trained, model = cell.build(), cell.build().eval()
    ema = AveragedModel(trained)
    with torch.no_grad():
        for p in trained.parameters():
            p.add_(1)
    (tmp_path / "metrics.jsonl").write_text("{}\n" * 5000)
    Checkpoints(tmp_path).save(Progress(5000, 1.0), trained, ema, torch.optim.AdamW(trained.parameters()))
    assert averaged(tmp_path / STATE, model) == 5000
    assert all(torch.equal(mine, p) for mine, p in zip(model.parameters(), ema.module.parameters(), strict=True))
    scores = measure(cell, model, torch.device("cpu"), n_codes=200, trees=2)
    assert set(scores) == {"dci", "dci_completeness", "dci_informativeness", "factor_vae"}
    assert all(0 <= score <= 1 for score in scores.values())
