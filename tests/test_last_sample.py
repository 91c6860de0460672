"""The ablation of the Bayesian update: what a flow says that hears only its last sender sample."""

import pytest
import torch

from paramrel.data import dataset
from paramrel.errors import Unsupported
from paramrel.flows import LastSample
from paramrel.method import method
from paramrel.rng import Rng
from tests.test_flows import FLOWS, RNG, assert_standard_normal, images, network, noise_in_v, times
from tests.toys import build, train
from tests.toys import images as held_out

N = 20
every_flow = pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)


@every_flow
class TestEveryFlow:
    def test_it_hears_the_accuracy_of_the_last_step(self, flow):
        u = torch.arange(1, N + 1, dtype=torch.float64) / N
        alphas = torch.tensor([flow.alpha(i, N) for i in range(1, N + 1)], dtype=torch.float64)
        assert torch.allclose(flow.beta(LastSample(flow, N).heard(u)), alphas, rtol=1e-9)

    @pytest.mark.parametrize("i", [2, 10, N])
    def test_an_update_of_any_state_is_a_sample_of_the_last_step(self, flow, i):
        forgets, x = LastSample(flow, N), flow.to_flow(images(flow, 4000))
        alpha, u = flow.alpha(i, N), times(4000, i / N)
        state = flow.sample(x, times(4000, 0.7), RNG.at("before"))
        updated = forgets.update(state, flow.send(x, alpha, RNG.at("y")), flow.beta(u[:1]), alpha)
        assert_standard_normal(noise_in_v(flow, updated, x, forgets.heard(u)))
        assert_standard_normal(noise_in_v(flow, forgets.sample(x, u, RNG), x, forgets.heard(u)))

    def test_up_to_the_first_step_it_is_the_flow_itself(self, flow):
        forgets, x = LastSample(flow, N), flow.to_flow(images(flow, 8))
        u, out = times(8, 0.5 / N), network(flow, 8)
        state, same = flow.sample(x, u, RNG), forgets.sample(x, u, RNG)
        assert torch.allclose(state, same, atol=1e-5)
        losses = [f.loss(x, f.output(out, state, u), u) for f in (flow, forgets)]
        assert torch.allclose(*losses, rtol=1e-4, atol=1e-6)

    def test_a_loss_keeps_the_weight_of_its_time(self, flow):
        forgets, x = LastSample(flow, N), flow.to_flow(images(flow, 8))
        u = times(8, 0.8)
        output = forgets.output(network(flow, 8), forgets.sample(x, u, RNG), u)
        assert torch.equal(forgets.loss(x, output, u), flow.loss(x, output, u))

    def test_codes_are_read_without_noise_from_what_the_last_step_says(self, flow):
        forgets, shown = LastSample(flow, N), images(flow, 8)
        u, x = times(8, 1.0), flow.to_flow(shown)
        assert torch.allclose(forgets.noise_free(shown, u), forgets.mean_state(x, u), rtol=1e-5, atol=1e-6)
        assert (forgets.mean_state(x, u) - flow.mean_state(x, u)).abs().max() > 1e-3 * flow.mean_state(x, u).abs().max()

    def test_it_does_only_what_a_flow_without_memory_can(self, flow):
        forgets = LastSample(flow, N)
        for refused in (
            lambda: forgets.alpha(1, N + 1),
            lambda: forgets.to_v(flow.prior((1, 1, 1, 1)), times(1, 1.0)),
            lambda: forgets.from_v(flow.prior((1, 1, 1, 1)), times(1, 1.0)),
        ):
            with pytest.raises(Unsupported, match="update: last_sample"):
                refused()


@pytest.fixture(scope="module")
def trained():
    """ParamReL_d after equal trainings, with its memory and without."""
    settings = {"theta_dropout": 0.2, "lambda_mmd": 0.1}
    return {
        u: train(build("paramrel_d", dataset("digits_binarized"), update=u, **settings), 80)
        for u in ("bayes", "last_sample")
    }


def test_a_flow_without_memory_is_trained_and_its_bound_is_worse(trained):
    x = held_out(dataset("digits_binarized"), 300)
    with torch.no_grad():
        bounds = {name: built.nll(x, Rng((0, "bound"))).data.mean() for name, built in trained.items()}
    ignorant = 64 * 9 / 2  # mean over u of K beta_1 u ||e_x - p||^2 with p = 1/2
    assert bounds["bayes"] < bounds["last_sample"] < ignorant / 2


def test_it_samples_in_the_steps_that_it_knows_and_has_no_subcode(trained):
    built, x = trained["last_sample"], held_out(dataset("digits_binarized"), 4)
    with torch.no_grad():
        z = built.encode(x).mean
        made = built.generate(z, Rng((0, "made")), N)
        assert made.shape == x.shape and set(made.unique().tolist()) <= {0.0, 1.0}
        assert built.subcode_shape is None
        with pytest.raises(Unsupported, match="for 20 steps"):
            built.generate(z, Rng((0, "made")), N + 1)


def test_columns_with_accuracies_of_their_own_cannot_have_it():
    with pytest.raises(ValueError, match="last_sample"):
        method("paramrel_mixed").Config(update="last_sample")


class TestNoiseFree:
    flow = FLOWS["discrete, K = 2"]

    def test_binary_images_give_the_mean_state_bit_for_bit(self):
        shown = images(self.flow, 50)
        u = RNG.uniform("u", (50,))
        assert torch.equal(self.flow.noise_free(shown, u), self.flow.mean_state(self.flow.to_flow(shown), u))

    def test_grey_values_give_the_mean_over_their_bernoulli_draws(self):
        grey, u = torch.full((1, 1, 1, 1), 0.3), times(1, 0.6)
        ends = [self.flow.noise_free(torch.full((1, 1, 1, 1), end), u) for end in (0.0, 1.0)]
        assert torch.allclose(self.flow.noise_free(grey, u), 0.7 * ends[0] + 0.3 * ends[1])
