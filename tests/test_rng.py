"""Every draw is a pure function of its key."""

import torch

from paramrel.rng import Rng, derive_seed


def test_same_key_same_numbers_whatever_was_drawn_before():
    first = Rng((1,)).at("loss", 7).normal("eps", (5,))
    torch.manual_seed(3)
    torch.rand(10)
    Rng((1,)).at("loss", 6).normal("eps", (50,))
    assert torch.equal(first, Rng((1,)).at("loss", 7).normal("eps", (5,)))


def test_streams_leave_global_state_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    Rng((0,)).uniform("x", (100,))
    assert torch.equal(torch.rand(3), expected)


def test_every_part_of_a_key_matters():
    draws = [Rng(key).normal(name, (4,)) for key in ((0,), (1,), (0, 1), (0, "1")) for name in ("a", "b")]
    for i, one in enumerate(draws):
        for other in draws[i + 1 :]:
            assert not torch.equal(one, other)


def test_seeds_are_the_same_on_every_machine():
    assert derive_seed(0, "init") == 5178188355558464636


def test_stratified_times_hit_every_stratum_once():
    u = Rng((0,)).stratified("u", 64)
    assert sorted((u * 64).long().tolist()) == list(range(64))
    assert not torch.equal(u, u.sort().values)
    assert u.min() >= 0 and u.max() < 1
