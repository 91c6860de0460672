"""Identities that hold for every Bayesian flow, and what is special to each. Reference values:
test_flow_reference.py."""

import pytest
import torch
from scipy.special import logsumexp

from paramrel.flows import ContinuousFlow, DiscreteFlow, DiscretisedFlow, hide
from paramrel.rng import Rng
from tests.n_steps import n_step_loss, revert

RNG = Rng((0, "flows"))
GREY = tuple(k / 16 for k in range(17))
BINS = tuple((2 * k + 1) / 32 for k in range(16))
FLOWS = {
    "discrete, K = 2": DiscreteFlow(2, 9.0),
    "discrete, K = 5": DiscreteFlow(5, 3.6, tuple(k / 4 for k in range(5))),
    "continuous": ContinuousFlow(0.03, GREY),
    "discretised": DiscretisedFlow(1e-3**0.5, BINS),
}
every_flow = pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)
gaussian_flow = pytest.mark.parametrize("flow", [FLOWS["continuous"], FLOWS["discretised"]], ids=["cts", "disc"])


def images(flow, n: int, side: int = 1) -> torch.Tensor:
    """(n, 1, side, side) of the flow's grey values, each about as often."""
    k = len(flow.centres)
    index = RNG.permutation("images", n * side * side) % k
    return torch.tensor(flow.centres)[index].reshape(n, 1, side, side)


def network(flow, n: int, side: int = 1, scale: float = 0.5) -> torch.Tensor:
    """What a network might return."""
    return scale * RNG.normal("network", (n, flow.channels(1)[2], side, side))


def times(n: int, u: float) -> torch.Tensor:
    return torch.full((n,), u)


def noise_in_v(flow, state, x, u):
    """v - kappa x of a state: N(0, 1) where the state is a flow sample of x at u."""
    return flow.to_v(state, u) - flow.to_v(flow.mean_state(x, u), u)


def assert_standard_normal(values: torch.Tensor) -> None:
    """Mean, variance and kurtosis within four standard errors."""
    values = values.double()
    n = values.numel()
    assert values.mean().abs() < 4 / n**0.5
    assert (values.square().mean() - 1).abs() < 4 * (2 / n) ** 0.5
    assert (values.pow(4).mean() - 3).abs() < 4 * (96 / n) ** 0.5


@every_flow
class TestEveryFlow:
    def test_accuracies_sum_to_beta(self, flow):
        for n in (1, 7, 100):
            alphas = torch.tensor([flow.alpha(i, n) for i in range(1, n + 1)], dtype=torch.float64)
            beta = flow.beta(torch.arange(1, n + 1, dtype=torch.float64) / n)
            assert torch.allclose(alphas.cumsum(0), beta, rtol=1e-9)
        assert flow.beta(torch.zeros(1)) == 0

    def test_values_and_images_are_inverse(self, flow):
        x = images(flow, 40)
        assert torch.allclose(flow.to_images(flow.to_flow(x)), x)

    def test_there_is_one_prior_and_no_data_in_it(self, flow):
        prior = flow.prior((2, 1, 3, 3))
        seen = 2 / flow.n_classes - 1 if isinstance(flow, DiscreteFlow) else 0.0  # 2 theta - 1, or mu
        assert torch.allclose(flow.network_input(prior), torch.full((2, flow.channels(1)[0], 3, 3), seen))
        zero = torch.zeros(2)
        assert torch.equal(flow.sample(flow.to_flow(images(flow, 2, 3)), zero, RNG), prior)
        assert torch.equal(flow.from_v(flow.to_v(RNG.normal("state", prior.shape), zero + 1), zero), prior)
        assert torch.equal(hide(prior + 1, torch.tensor([True, False]))[0], prior[0])

    def test_channels_are_those_of_the_inputs(self, flow):
        n_seen, n_in, _ = flow.channels(3)
        state, u = flow.prior((2, 3, 4, 4)), times(2, 0.5)
        assert flow.network_input(state).shape == (2, n_seen, 4, 4)
        assert flow.decoder_input(state, u).shape == (2, n_in, 4, 4)

    def test_n_updates_reproduce_the_flows_mean_and_variance(self, flow):
        n, x = 8, flow.to_flow(images(flow, 60_000))
        state = flow.prior(x.shape)
        for i in range(1, n + 1):
            alpha = flow.alpha(i, n)
            state = flow.update(state, flow.send(x, alpha, RNG.at("send", i)), flow.beta(times(1, (i - 1) / n)), alpha)
            if i in (5, n):
                assert_standard_normal(noise_in_v(flow, state, x, times(len(x), i / n)))

    @pytest.mark.parametrize("u", [0.02, 0.4, 1.0])
    def test_a_flow_sample_is_a_gaussian_channel_in_v(self, flow, u):
        x = flow.to_flow(images(flow, 60_000))
        u = times(len(x), u)
        assert_standard_normal(noise_in_v(flow, flow.sample(x, u, RNG), x, u))
        clean = flow.to_v(flow.mean_state(x, u), u)
        assert torch.allclose(clean, flow.kappa(u)[0] * clean_data(flow, x), rtol=1e-4, atol=1e-5)

    def test_a_continued_path_has_the_marginal_of_the_later_time(self, flow):
        x = flow.to_flow(images(flow, 60_000))
        u, s = times(len(x), 0.3), times(len(x), 0.8)
        carried = flow.continue_path(flow.sample(x, u, RNG.at("u")), x, u, s, RNG.at("s"))
        assert_standard_normal(noise_in_v(flow, carried, x, s))
        stayed = flow.continue_path(carried, x, s, s, RNG.at("stay"))
        assert torch.allclose(stayed, carried, atol=1e-6)

    def test_update_and_revert_are_inverse(self, flow):
        x, u = flow.to_flow(images(flow, 50, 3)), times(50, 0.6)
        state, alpha, beta = flow.sample(x, u, RNG), flow.alpha(7, 10), flow.beta(times(1, 0.6))
        y = flow.send(x, alpha, RNG)
        after = flow.update(state, y, beta, alpha)
        assert (after - state).abs().max() > 0.01
        assert torch.allclose(revert(flow, after, y, beta, alpha), state, atol=1e-4)

    @pytest.mark.parametrize("u", [1e-3, 0.3, 1.0])
    def test_v_and_state_are_inverse(self, flow, u):
        u = times(50, u)
        state = flow.sample(flow.to_flow(images(flow, 50, 3)), u, RNG)
        v = flow.to_v(state, u)
        assert torch.allclose(flow.to_v(flow.from_v(v, u), u), v, rtol=1e-4, atol=1e-5)
        assert torch.allclose(flow.network_input(flow.from_v(v, u)), flow.network_input(state), atol=1e-5)

    @pytest.mark.parametrize("u", [0.1, 0.5, 1.0])
    def test_the_loss_is_half_the_slope_of_beta_times_the_squared_error(self, flow, u):
        x = flow.to_flow(images(flow, 50, 3))
        time = torch.tensor(u, requires_grad=True)
        (slope,) = torch.autograd.grad(flow.beta(time), time)
        u = times(50, u)
        output = flow.output(network(flow, 50, 3), flow.sample(x, u, RNG), u)
        squared = (clean_data(flow, x) - flow.direction(output)).square()
        squared = squared.sum(-1) if squared.ndim > x.ndim else squared
        assert torch.allclose(flow.loss(x, output, u), slope / 2 * squared, rtol=1e-3, atol=1e-4)

    def test_items_with_a_hidden_theta_weigh_as_at_the_start_in_gaussian_flows_and_as_at_u_in_the_discrete(self, flow):
        x, u, zero = flow.to_flow(images(flow, 50, 3)), times(50, 0.7), times(50, 0.0)
        output = flow.output(network(flow, 50, 3), flow.prior(tuple(x.shape)), zero)
        hidden = torch.arange(50) % 2 == 0
        loss = flow.loss(x, output, u, hidden)
        expected = flow.loss(x, output, u if isinstance(flow, DiscreteFlow) else torch.where(hidden, 0.0, u))
        assert torch.equal(loss, expected) and torch.equal(loss[~hidden], flow.loss(x, output, u)[~hidden])

    def test_the_continuous_time_loss_is_the_limit_of_the_n_step_loss(self, flow):
        n, i, n_items = 500, 251, 100_000
        x = flow.to_flow(images(flow, n_items))
        u = times(n_items, (i - 1) / n)
        state = flow.mean_state(x, u)
        output = flow.output(network(flow, 1).expand(n_items, -1, -1, -1), state, u)
        steps = n_step_loss(flow, x, output, i, n, RNG, n_draws=20).mean()
        limit = flow.loss(x, output, times(n_items, (i - 0.5) / n)).mean()
        assert steps.item() == pytest.approx(limit.item(), rel=0.05)

    def test_draws_follow_the_output_distribution(self, flow):
        n = 50_000
        x, u = flow.to_flow(images(flow, 1)), times(1, 0.2)
        output = flow.output(network(flow, 1), flow.sample(x, u, RNG), u)
        many = repeated(output, n)
        drawn = flow.to_images(flow.draw(many, RNG))
        assert abs(drawn.mean() - flow.expectation(output).item()) < 4 * drawn.std() / n**0.5 + 1e-6
        if not isinstance(flow, ContinuousFlow):  # whose only value is xhat
            assert torch.isin(drawn, torch.tensor(flow.centres)).all()
            assert flow.to_images(flow.mode(output)) == drawn.flatten().mode().values

    def test_at_the_end_a_sure_theta_outweighs_a_doubting_network(self, flow):
        x, one = flow.to_flow(images(flow, 500)), times(500, 1.0)
        state = flow.mean_state(x, one)
        output = flow.output(network(flow, 500), state, one)
        assert torch.equal(flow.read(state, output), x if isinstance(flow, DiscreteFlow) else flow.mode(output))
        assert torch.equal(flow.read(flow.prior(tuple(x.shape)), output), flow.mode(output))

    def test_the_reconstruction_term_is_a_distribution_over_the_values(self, flow):
        values = torch.tensor(flow.centres).reshape(-1, 1, 1, 1)
        u = times(len(values), 1.0)
        state = flow.mean_state(flow.to_flow(values[:1]).expand(len(values), 1, 1, 1), u)
        output = flow.output(network(flow, 1).expand(len(values), -1, -1, -1), state, u)
        log_p = -flow.reconstruction_nll(flow.to_flow(values), output).flatten()
        assert log_p.double().exp().sum().item() == pytest.approx(1, abs=1e-5)


def clean_data(flow, x: torch.Tensor) -> torch.Tensor:
    """x as ``direction`` estimates it: x itself, -1 and 1, or (K e_x - 1)/sqrt(K)."""
    if not isinstance(flow, DiscreteFlow):
        return x
    if flow.n_classes == 2:
        return 2.0 * x - 1
    return (flow.n_classes * flow.one_hot(x) - 1) / flow.n_classes**0.5


def repeated(output, n: int):
    """The output distribution of one item, n times."""
    if isinstance(output, torch.Tensor):
        return output.expand(n, *output.shape[1:])
    return type(output)(*(part.expand(n, *part.shape[1:]) for part in output))


class TestOutputZero:
    """A U-Net starts at output 0: what each flow makes of that."""

    @pytest.mark.parametrize("u", [1e-3, 0.5, 1.0])
    def test_gaussian(self, u):
        u = times(20, u)
        for parametrisation in ("eps", "mix", "x"):
            for kind, n_out in ((ContinuousFlow, 1), (DiscretisedFlow, 2)):
                flow = kind(0.03, BINS, parametrisation)
                mu = flow.sample(flow.to_flow(images(flow, 20, 2)), u, RNG)
                expected = {"eps": mu / flow.gamma(u)[0], "mix": mu, "x": torch.zeros_like(mu)}[parametrisation]
                output = flow.output(torch.zeros(20, n_out, 2, 2), mu, u)
                mean = output if kind is ContinuousFlow else output.mean
                clipped = expected.clamp(-1, 1) if kind is ContinuousFlow else expected
                assert torch.allclose(mean, clipped, rtol=1e-5)

    def test_gaussian_at_the_prior(self):
        zero, out = torch.zeros(3), RNG.normal("out", (3, 2, 1, 1))
        mu = torch.zeros(3, 1, 1, 1)
        eps = DiscretisedFlow(0.03, BINS, "eps").output(out, mu, zero)
        assert torch.equal(eps.mean, mu) and torch.equal(eps.std, mu + 1), (
            "below u_min the prior, whatever the network says"
        )
        mix = DiscretisedFlow(0.03, BINS, "mix").output(out, mu, zero)
        assert torch.allclose(mix.mean, out[:, :1]) and torch.allclose(mix.std, out[:, 1:].exp())

    @pytest.mark.parametrize("k", [2, 5])
    def test_discrete(self, k):
        flow = DiscreteFlow(k)
        output = flow.output(torch.zeros(2, flow.channels(1)[2], 3, 3))
        assert torch.allclose(output.exp(), torch.full((2, 1, 3, 3, k), 1 / k))


class TestDiscretised:
    means = torch.tensor([-30.0, -1.0, -0.93, 0.0, 0.2, 1.0, 5.0])[:, None]
    stds = torch.tensor([1e-3, 0.02, 0.3, 1.0, 10.0])
    flow = FLOWS["discretised"]

    def outputs(self):
        mean, std = torch.broadcast_tensors(self.means, self.stds)
        kind = type(self.flow.output(torch.zeros(1, 2, 1, 1), torch.zeros(1, 1, 1, 1), torch.ones(1)))
        return kind(mean.contiguous(), std.contiguous())

    def test_probabilities_sum_to_one_however_sharp_or_far(self):
        log_p = self.flow.bin_log_probs(self.outputs()).double().numpy()
        assert abs(logsumexp(log_p, axis=-1)).max() < 2e-6

    def test_the_mode_is_the_likeliest_bin_and_the_direction_its_expectation(self):
        output = self.outputs()
        p = self.flow.bin_log_probs(output).exp()
        centres = self.flow.flow_centres(p)
        assert torch.allclose(self.flow.direction(output), p @ centres, atol=2e-6)
        chosen = p.gather(-1, ((self.flow.mode(output) + 1) * 8 - 0.5).round().long().unsqueeze(-1)).squeeze(-1)
        assert torch.allclose(chosen, p.amax(-1), rtol=1e-5)

    def test_the_gradient_of_the_expectation_is_that_of_the_sum(self):
        mean, std = torch.linspace(-1.2, 1.2, 9).requires_grad_(), torch.linspace(0.05, 2, 9).requires_grad_()
        output = type(self.outputs())(mean, std)
        ours = torch.autograd.grad(self.flow.direction(output).sum(), (mean, std))
        summed = (self.flow.bin_log_probs(output).exp() * self.flow.flow_centres(mean)).sum()
        theirs = torch.autograd.grad(summed, (mean, std))
        for one, other in zip(ours, theirs, strict=True):
            assert torch.allclose(one, other, atol=1e-5)


class TestTwoClasses:
    """K = 2 is a Gaussian flow of x = -1, 1 with kappa = sqrt(beta_1) u: state, update and output."""

    flow = FLOWS["discrete, K = 2"]

    def test_networks_see_tanh_of_kappa_v(self):
        u = times(50, 0.4)
        state = self.flow.sample(self.flow.to_flow(images(self.flow, 50, 3)), u, RNG)
        seen = torch.tanh(self.flow.kappa(u)[0] * self.flow.to_v(state, u))
        assert torch.allclose(self.flow.network_input(state), seen, atol=1e-6)
        assert torch.allclose(seen, 2 * state.softmax(-1)[..., 1] - 1, atol=1e-6)

    def test_an_update_is_that_of_a_gaussian_with_the_difference_of_the_senders_coordinates(self):
        x = self.flow.to_flow(images(self.flow, 50, 3))
        gaussian, u, s = FLOWS["continuous"], times(50, 0.4), times(50, 0.5)
        alpha, beta = self.flow.alpha(5, 10), self.flow.beta(times(1, 0.4))
        state, y = self.flow.sample(x, u, RNG.at("state")), self.flow.send(x, alpha, RNG.at("y"))
        after = self.flow.to_v(self.flow.update(state, y, beta, alpha), s)
        mu = self.flow.to_v(state, u) * beta.sqrt() / (1 + beta)
        mu = gaussian.update(mu, (y[..., 1] - y[..., 0]) / (2 * alpha), beta, alpha)
        beta_s = self.flow.beta(times(1, 0.5))
        assert torch.allclose(after, mu * (1 + beta_s) / beta_s.sqrt(), atol=1e-4)

    def test_the_exact_output_for_even_odds_is_what_networks_see(self):
        # p(x = 1 | theta) = theta_1 where both classes are as likely: xhat = tanh(kappa v) = 2 theta_1 - 1
        state = self.flow.sample(self.flow.to_flow(images(self.flow, 50, 3)), times(50, 0.4), RNG)
        exact = state.log_softmax(-1)
        assert torch.allclose(self.flow.direction(exact), self.flow.network_input(state), atol=1e-6)


def test_more_classes_give_one_channel_per_class_and_colour():
    flow = DiscreteFlow(n_classes=4)
    x = torch.randint(0, 4, (2, 3, 5, 5), generator=torch.Generator().manual_seed(0))
    net_in = flow.network_input(flow.mean_state(x, torch.ones(2)))
    assert net_in.shape == (2, 12, 5, 5)
    # a network that returns what it sees, sharpened, names the right classes
    assert torch.equal(flow.output(10 * net_in).argmax(-1), x)


@gaussian_flow
def test_fourier_features_tell_neighbouring_values_apart_only_where_noise_lets_them(flow):
    x = flow.to_flow(torch.tensor(flow.centres).reshape(-1, 1, 1, 1))
    for u, low, high in ((1.0, 0.5, 2.1), (0.1, 0.0, 1e-6)):
        u = times(len(x), u)
        features = flow.decoder_input(flow.mean_state(x, u), u)[:, 1:]
        assert low <= features.diff(dim=0).abs().amax(1).min() and features.abs().max() <= 1
        assert features.diff(dim=0).abs().max() <= high


class TestEntropy:
    """With the exact posterior as output, flow loss plus reconstruction is the entropy of the data: the integral of
    half the slope of beta times the smallest squared error is I(x; theta_1) (I-MMSE), the rest is H(x | theta_1)."""

    p = torch.tensor([0.05, 0.4, 0.1, 0.3, 0.15])
    n = 60_000

    def data(self):
        """Class indices in exactly the shares p, and the entropy in nats."""
        index = torch.repeat_interleave(torch.arange(5), (self.p * self.n).round().long())
        return index.reshape(-1, 1, 1, 1), -(self.p * self.p.log()).sum()

    def assert_is_entropy(self, loss, reconstruction, entropy):
        total = (loss + reconstruction).flatten(1).sum(1).double()
        error = total.std() / len(total) ** 0.5  # stratified times: the true error is smaller
        assert error < 0.02 * entropy
        assert (total.mean() - entropy).abs() < 3 * error

    def test_discrete(self):
        flow, (x, entropy) = DiscreteFlow(5, 3.6), self.data()
        u, one = RNG.stratified("u", len(x)), torch.ones(len(x))

        def posterior(state):
            return (state + self.p.log()).log_softmax(-1)

        theta, theta_1 = flow.sample(x, u, RNG.at("theta")), flow.sample(x, one, RNG.at("theta 1"))
        reconstruction = flow.reconstruction_nll(x, posterior(theta_1))
        assert reconstruction.mean() < 0.5 * entropy
        self.assert_is_entropy(flow.loss(x, posterior(theta), u), reconstruction, entropy)

    def test_gaussian(self):
        centres = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9])
        flow, (index, entropy) = ContinuousFlow(0.2, tuple(centres.tolist())), self.data()
        x, values = flow.to_flow(centres[index]), flow.to_flow(centres)
        u, one = RNG.stratified("u", len(x)), torch.ones(len(x))

        def posterior(mu, u):
            """log p(class | mu): v = kappa x + n, so the log-likelihood is kappa v x - kappa^2 x^2/2."""
            beta = flow.beta(u).reshape(-1, 1, 1, 1, 1)
            evidence = mu.unsqueeze(-1) * (1 + beta) * values - beta * values.square() / 2
            return (self.p.log() + evidence).log_softmax(-1)

        mu, mu_1 = flow.sample(x, u, RNG.at("theta")), flow.sample(x, one, RNG.at("theta 1"))
        xhat = (posterior(mu, u).exp() * values).sum(-1)
        reconstruction = -posterior(mu_1, one).gather(-1, index.unsqueeze(-1)).squeeze(-1)
        assert 0.01 * entropy < reconstruction.mean() < 0.5 * entropy
        self.assert_is_entropy(flow.loss(x, xhat, u), reconstruction, entropy)
