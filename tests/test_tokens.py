"""Concept tokens: what a token knows, who reads it, and the options that come with them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from baselines._diffusion import Diffusion
from paramrel.attention import TokenAttention, Tokens, recorded_shares
from paramrel.data import dataset
from paramrel.errors import Unsupported, UserError
from paramrel.flows import ContinuousFlow, DiscreteFlow, DiscretisedFlow, MixedFlow, Part
from paramrel.method import method
from paramrel.networks import Decoder, Encoder, UNet, initialise, n_parameters
from paramrel.rng import Rng
from paramrel.settings import Network
from paramrel.times import ddpm_snr, ddpm_time, ddpm_times
from tests.conftest import TINY_NETWORK
from tests.toys import build, images

RNG = Rng((0, "tokens"))
TOKENS = Network(**TINY_NETWORK.model_dump() | {"conditioning": "tokens"})
TAKERS = {
    "paramrel_d": "digits_binarized", "paramrel_c": "digits", "diffae": "digits", "info_diffusion": "digits",
    "encdiff": "digits",
}  # fmt: skip
every_taker = pytest.mark.parametrize("name", TAKERS)
every_kind = pytest.mark.parametrize(
    ("name", "data"), [("paramrel_c", "digits"), ("paramrel_d", "digits_binarized"), ("paramrel_d", "digits")],
    ids=["continuous", "binary", "17 classes"],
)  # fmt: skip
CENTRES = tuple(((torch.arange(16) + 0.5) / 16).tolist())
FLOWS = {
    "continuous": ContinuousFlow(1e-3, CENTRES),
    "discretised": DiscretisedFlow(0.03, CENTRES),
    "discrete": DiscreteFlow(2, 9.0),
    "five classes": DiscreteFlow(5, 3.6, tuple(torch.linspace(0, 1, 5).tolist())),
}
every_flow = pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)


def with_tokens(**settings) -> Network:
    return Network(**TOKENS.model_dump() | settings)


def stirred(net: Network, n_in: int = 1, n_out: int = 1) -> UNet:
    """A U-Net whose last layer is not 0."""
    unet = UNet(n_in, n_out, net)
    initialise(unet, RNG)
    torch.nn.init.normal_(unet.out.weight, generator=torch.Generator().manual_seed(0))
    return unet.eval()


def given(n: int = 4, side: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    return RNG.normal("x", (n, 1, side, side)), RNG.uniform("u", (n,)), RNG.normal("z", (n, 8))


class TestTokens:
    def test_each_token_knows_its_own_latent_and_nothing_else(self):
        tokens = Tokens(TOKENS)
        initialise(tokens, RNG)
        jacobian = torch.autograd.functional.jacobian(lambda z: tokens(z[None])[0], RNG.normal("z", (8,)))
        strength = jacobian.abs().sum(1)  # (token, latent)
        assert (strength.diagonal() > 1e-3).all()
        assert strength.count_nonzero() == 8

    def test_they_are_what_a_plain_mlp_of_each_latent_makes(self):
        tokens, z = Tokens(TOKENS), RNG.normal("z", (5, 8))
        initialise(tokens, RNG)
        made = tokens(z)
        assert made.shape == (5, 8, TOKENS.token_dim)
        for i in range(8):
            h = z[:, i : i + 1]
            for k, layer in enumerate(tokens.layers):
                h = F.linear(h if k == 0 else F.silu(h), layer.weight[i].T, layer.bias[i, 0])
            assert torch.allclose(made[:, i], h, atol=1e-6)

    def test_two_latents_of_one_value_make_different_tokens(self):
        tokens = Tokens(TOKENS)
        initialise(tokens, RNG)
        for value in (0.0, 1.0):
            made = tokens(torch.full((1, 8), value))[0]
            assert torch.pdist(made).min() > 0.1


class TestNetwork:
    def test_a_change_of_the_code_or_the_time_changes_the_output(self):
        unet, (x, u, z) = stirred(TOKENS), given()
        base = unet(x, u, z)
        assert base.shape == x.shape
        for changed in (unet(x, 1 - u, z), *(unet(x, u, z + 2 * torch.eye(8)[i]) for i in range(8))):
            assert (changed - base).square().mean() > 1e-6 * base.square().mean()

    def test_the_code_modulates_nothing_without_attention(self):
        unet, (x, u, z) = stirred(TOKENS), given()
        assert unet.condition.latent is None and len(unet.condition.dims) == 1
        for module in unet.modules():
            if isinstance(module, TokenAttention):
                torch.nn.init.zeros_(module.out.weight)
        assert torch.equal(unet(x, u, z), unet(x, u, -z))

    def test_gradient_reaches_every_token_and_every_parameter(self):
        unet = stirred(TOKENS)
        unet(*given()).square().sum().backward()
        for layer in unet.condition.tokens.layers:
            assert (layer.weight.grad.flatten(1).abs().sum(1) > 0).all()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in unet.parameters())

    def test_the_levels_that_read_are_chosen(self):
        def readers(**settings) -> list[str]:
            modules = UNet(1, 1, with_tokens(**settings)).named_modules()
            return [name for name, module in modules if isinstance(module, TokenAttention)]

        assert len(readers()) == len(readers(token_levels=[0, 1])) == 6
        assert readers(token_levels=[0]) == ["down.levels.0.0.read", "up.levels.1.0.read"]
        lowest = ["down.levels.1.0.read", "middle.before.read", "middle.after.read", "up.levels.0.0.read"]
        assert readers(token_levels=[1]) == lowest
        assert not any(isinstance(module, TokenAttention) for module in UNet(1, 1, TINY_NETWORK).modules())

    def test_a_transformer_block_adds_attention_among_positions_and_a_feed_forward_layer(self):
        plain, whole = (TokenAttention(8, with_tokens(token_transformer=flag)) for flag in (False, True))
        initialise(plain, RNG)
        initialise(whole, RNG)
        h, tokens = RNG.normal("h", (2, 8, 4, 4)), RNG.normal("tokens", (2, 8, 32))
        moved = h.clone()
        moved[:, :, 0, 0] += 1
        elsewhere = (slice(None), slice(None), slice(1, None), slice(1, None))
        # group normalisation looks at all positions in both; attention among positions does so far more
        change = {
            name: (read(moved, tokens) - read(h, tokens))[elsewhere].abs().mean()
            for name, read in (("plain", plain), ("whole", whole))
        }
        assert change["whole"] > change["plain"]
        assert n_parameters(whole) - n_parameters(plain) == (2 * 8 + 3 * 8 * 9 + 8 * 9) + (2 * 8 + 9 * 32 + 33 * 8)

    def test_encoders_and_plain_decoders_have_no_tokens(self):
        for build_one in (
            lambda net: Encoder(1, 6, (8, 8), net, time=True),
            lambda net: Decoder(1, (8, 8), net),
        ):
            assert build_one(TOKENS).state_dict().keys() == build_one(TINY_NETWORK).state_dict().keys()

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"token_heads": 3}, "token_heads=3 does not divide the 4 channels of level 0"),
            ({"token_levels": [2]}, "must be some of the 2 levels 0 to 1"),
            ({"token_levels": []}, "must be some of the 2 levels 0 to 1"),
            ({"adagn": "eq12", "channels": 8}, "z modulates nothing: choose one"),
        ],
    )
    def test_settings_that_do_not_fit_are_errors(self, settings, message):
        with pytest.raises(ValueError, match=message):
            with_tokens(**settings)
        assert Network(**TINY_NETWORK.model_dump() | {"token_heads": 3, "token_levels": [2]}), "nothing reads there"

    def test_tables_have_no_positions_to_read(self):
        data = dataset("breast_cancer_mixed")
        cls = method("paramrel_mixed")
        with pytest.raises(UserError, match="use adagn for tables"):
            cls(data, TOKENS, cls.Config())
        with pytest.raises(ValueError, match="columns have their own"):
            cls.Config(times="ddpm")


class TestShares:
    def test_they_sum_to_1_and_weigh_the_values(self):
        read = TokenAttention(8, with_tokens(token_heads=1))
        initialise(read, RNG)
        h, tokens = RNG.normal("h", (2, 8, 4, 3)), RNG.normal("tokens", (2, 8, 32))
        shares = read.shares(h, tokens)
        assert shares.shape == (2, 8, 4, 3) and torch.allclose(shares.sum(1), torch.ones(2, 4, 3), atol=1e-6)
        values = read.key_value(tokens)[..., 8:]
        mixed = torch.einsum("ndhw,ndc->nchw", shares, values)
        assert torch.allclose(read(h, tokens), h + read.out(mixed), atol=1e-5)

    def test_recording_leaves_the_network_as_it_was(self):
        unet, arguments = stirred(with_tokens(token_transformer=True)), given()
        base = unet(*arguments)
        with recorded_shares(unet) as shares:
            assert torch.equal(unet(*arguments), base)
        assert [tuple(share.shape[1:]) for share in shares] == [(8, 8, 8)] + 4 * [(8, 4, 4)] + [(8, 8, 8)]
        unet(*arguments)
        assert len(shares) == 6

    @every_taker
    def test_methods_show_what_their_decoders_read(self, name):
        data = dataset(TAKERS[name])
        built, x = build(name, data, TOKENS), images(data, 3)
        with torch.no_grad():
            shares = built.attention(x, RNG)
            assert shares.shape == (3, 8, 8, 8) and (shares >= 0).all()
            assert torch.allclose(shares.sum(1), torch.ones(3, 8, 8), atol=1e-4)
            assert torch.equal(shares, built.attention(x, RNG))

    def test_they_are_among_the_arrays_of_methods_that_have_them_and_of_no_others(self):
        from suite.measure.encode import _attention

        data = dataset("digits")
        arrays = {"x_test": images(data, 20).numpy()}
        with torch.no_grad():
            found = _attention(build("paramrel_c", data, TOKENS), arrays, RNG)["token_attention"]
            assert found.shape == (8, 8, 8, 8) and found.dtype == np.float16
            assert list(_attention(build("paramrel_c", data), arrays, RNG)) == ["skipped/token_attention"]

    @pytest.mark.parametrize("name", ["paramrel_d", "vae", "pca", "diffae"])
    def test_methods_without_tokens_say_so(self, name):
        data = dataset("digits_binarized")
        with pytest.raises(Unsupported, match="reads no tokens"):
            build(name, data).attention(images(data, 2), RNG)


class TestUnshuffle:
    def test_it_is_the_same_network_on_rearranged_pixels(self):
        half, plain = stirred(with_tokens(unshuffle=2), 1, 1), stirred(TOKENS, 4, 4)
        assert half.state_dict().keys() == plain.state_dict().keys()
        x, u, z = given()
        assert torch.equal(half(x, u, z), F.pixel_shuffle(plain(F.pixel_unshuffle(x, 2), u, z), 2))

    @pytest.mark.parametrize("factor", [1, 2, 4])
    def test_every_network_keeps_its_shape(self, factor):
        net = Network(**TINY_NETWORK.model_dump() | {"unshuffle": factor})
        x, u, z = RNG.normal("x", (2, 3, 16, 8)), RNG.uniform("u", (2,)), RNG.normal("z", (2, 8))
        assert UNet(3, 5, net)(x, u, z).shape == (2, 5, 16, 8)
        assert Encoder(3, 6, (16, 8), net, time=True)(x, u).shape == (2, 6)
        assert Decoder(3, (16, 8), net)(z).shape == x.shape

    def test_sides_that_it_does_not_divide_are_an_error(self):
        net = Network(**TINY_NETWORK.model_dump() | {"unshuffle": 3})
        with pytest.raises(UserError, match="unshuffle=3 does not divide the sides of 8x8 images"):
            Encoder(1, 6, (8, 8), net, time=True)


class TestTraining:
    @every_taker
    def test_a_few_steps_lower_the_loss(self, name):
        data = dataset(TAKERS[name])
        built = build(name, data, with_tokens(unshuffle=2), stir=0).train()
        x = images(data, 200)
        optimiser = torch.optim.AdamW(built.parameters(), 5e-3)
        losses = []
        for step in range(40):
            total = built.loss(x[RNG.at(step).permutation("i", len(x))[:64]], RNG.at(step)).total
            optimiser.zero_grad()
            total.backward()
            optimiser.step()
            losses.append(total.item())
        assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:5]), losses

    def test_a_point_has_no_noise_and_no_kl(self):
        data = dataset("digits_binarized")
        built, x = build("paramrel_d", data, TOKENS, posterior="point"), images(data, 16)
        assert built.encode(x).std is None and built.encoder.out.out_features == 8
        assert "kl" not in built.loss(x, RNG).reported
        seen = []
        hook = built.decoder.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[2]))
        for noise in ("a", "b"):  # the encoder sees x without noise, and draws none
            static = build("paramrel_d", data, TOKENS, posterior="point", encoder="static")
            static.decoder = built.decoder
            static.loss(x, RNG.at(noise))
        hook.remove()
        assert torch.equal(seen[0], seen[1])
        with pytest.raises(ValueError, match="point has no KL"):
            method("paramrel_d").Config(posterior="point", gamma=0.9, lambda_mmd=0.2)

    @every_kind
    @pytest.mark.parametrize("times", ["uniform", "ddpm"])
    def test_dropped_images_weigh_what_is_asked(self, name, data, times):
        data, x = dataset(data), images(dataset(data), 16)
        base = {"theta_dropout": 1.0, "times": times, "lambda_mmd": 0.0}
        once, thrice = (build(name, data, dropped_weight=w, **base).loss(x, RNG) for w in (1.0, 3.0))
        assert torch.allclose(3 * once.total, thrice.total)
        term = "flow" if times == "uniform" else "eps"
        assert torch.equal(once.reported[term], thrice.reported[term]), "reported without the weight"
        seen = {"theta_dropout": 0.0, "times": times, "lambda_mmd": 0.0}
        same = [build(name, data, dropped_weight=w, **seen).loss(x, RNG).total for w in (1.0, 3.0)]
        assert torch.equal(*same)

    @every_kind
    @pytest.mark.parametrize("config", [{"gamma": 0.5, "lambda_mmd": 0.6}, {"lambda_mmd": 2.0}], ids=["kl", "mmd"])
    def test_the_bottleneck_is_regularised_with_tokens_too(self, name, data, config):
        data, x = dataset(data), images(dataset(data), 16)
        built, free = (build(name, data, TOKENS, **c) for c in (config, {"lambda_mmd": 0.0}))
        terms, plain = built.loss(x, RNG), free.loss(x, RNG)
        kl, weight = 1 - built.config.gamma, built.config.gamma + built.config.lambda_mmd - 1
        expected = plain.total + kl * terms.reported["kl"] / data.n_dims + weight * terms.reported["mmd"]
        assert terms.total.item() == pytest.approx(expected.item(), rel=1e-5) and terms.total != plain.total

    def test_with_ddpm_times_dropped_images_count_by_their_squared_error(self):
        data, x = dataset("digits"), images(dataset("digits"), 16)
        built = build(
            "paramrel_c", data, theta_dropout=1.0, times="ddpm", lambda_mmd=0.0, encoder="static", posterior="point"
        )
        error = (2 * (built.decode(built.encode(x).mean) - x)).square().mean()
        assert torch.allclose(built.loss(x, RNG).total, error, rtol=1e-5)


class TestNoFlow:
    @pytest.mark.parametrize(("name", "data"), [("paramrel_d", "digits_binarized"), ("paramrel_c", "digits")])
    def test_the_decoder_depends_on_neither_theta_nor_time(self, name, data):
        data = dataset(data)
        built, x = build(name, data, TOKENS, theta_dropout=1.0), images(data, 6)
        flow, z = built.flow, built.encode(x).mean
        made = []
        with torch.no_grad():
            for time in (0.1, 0.9):
                u = torch.full((6,), time)
                for noise in ("a", "b"):
                    theta = flow.sample(flow.to_flow(x), u, RNG.at(noise))
                    made.append(flow.expectation(built._output(theta, u, z)))
            assert all(torch.equal(one, built.decode(z)) for one in made)
            assert torch.allclose(
                built.generate(z, RNG, 5),
                flow.to_images(flow.mode(built._output(flow.prior(tuple(x.shape)), torch.zeros(6), z))),
            )
        assert not torch.allclose(built.decode(z), built.decode(-z), atol=1e-3)

    def test_the_loss_does_not_see_theta(self):
        data, x = dataset("digits"), images(dataset("digits"), 16)
        settings = {"encoder": "static", "posterior": "point", "lambda_mmd": 0.0}
        control, flow = (build("paramrel_c", data, TOKENS, theta_dropout=p, **settings) for p in (1.0, 0.5))
        losses = {
            name: {built.loss(x, RNG.at(i)).total.item() for i in range(3)}
            for name, built in (("control", control), ("flow", flow))
        }
        assert len(losses["control"]) == 1 and len(losses["flow"]) == 3


class TestTimes:
    @every_flow
    def test_time_at_is_the_inverse_of_beta(self, flow):
        u = torch.linspace(0, 1, 11, dtype=torch.float64)
        assert torch.allclose(flow.time_at(flow.beta(u)), u, atol=1e-9)

    def test_a_flow_of_several_kinds_has_no_such_time(self):
        mixed = MixedFlow((Part(FLOWS["continuous"], (0,)), Part(FLOWS["discrete"], (1,))))
        with pytest.raises(Unsupported, match="flows of their own"):
            mixed.time_at(torch.ones(1))

    @every_flow
    def test_the_loss_is_half_the_rate_of_beta_times_the_squared_error(self, flow):
        images_ = (RNG.uniform("pixels", (50, 1, 2, 2)) * 0.999 * 5).floor() / 4
        x = flow.to_flow(images_.clamp(0, 1).round() if flow is FLOWS["discrete"] else images_)
        u = RNG.uniform("u", (50,))
        state = flow.sample(x, u, RNG)
        n_out = flow.channels(1)[2]
        output = flow.output(RNG.normal("out", (50, n_out, 2, 2)), state, u)
        exact = u.double().requires_grad_()
        (rate,) = torch.autograd.grad(flow.beta(exact).sum(), exact)
        expected = (rate / 2).float()[:, None, None, None] * flow.squared_error(x, output)
        assert torch.allclose(flow.loss(x, output, u), expected, rtol=1e-4)

    @every_flow
    def test_the_squared_error_is_that_of_the_direction(self, flow):
        images_ = (RNG.uniform("pixels", (50, 1, 2, 2)) * 0.999 * 5).floor() / 4
        x = flow.to_flow(images_.clamp(0, 1).round() if flow is FLOWS["discrete"] else images_)
        one, u = torch.ones(50), RNG.uniform("u", (50,))
        output = flow.output(RNG.normal("out", (50, flow.channels(1)[2], 2, 2)), flow.sample(x, u, RNG), u)
        clean = flow.to_v(flow.mean_state(x, one), one) / flow.kappa(one).reshape(-1, *[1] * 3)
        if isinstance(flow, DiscreteFlow) and flow.n_classes > 2:
            clean = flow.to_v(flow.mean_state(x, one), one) / flow.kappa(one).reshape(-1, *[1] * 4)
        difference = (clean - flow.direction(output)).square()
        difference = difference.sum(-1) if difference.ndim == 5 else difference
        assert torch.allclose(flow.squared_error(x, output), difference, rtol=1e-3, atol=1e-4)

    def test_ratios_and_times_are_inverse(self):
        t = torch.linspace(0.001, 1, 50, dtype=torch.float64)
        assert torch.allclose(ddpm_time(ddpm_snr(t)), t, rtol=1e-9)

    @every_flow
    def test_times_have_the_ratios_of_ddpms_own_schedule(self, flow):
        u = ddpm_times(flow, RNG.stratified("u", 20_000))
        assert u.min() >= 0 and u.max() <= 1
        schedule = Diffusion(1000, 1e-4, 0.02)
        ratios = (schedule.signal[1:] / schedule.noise[1:]).double().square()
        reached = ratios[ratios <= flow.beta(torch.ones((), dtype=torch.float64))].log()
        mine = flow.beta(u.double()).log()
        for quantile in (0.05, 0.25, 0.5, 0.75, 0.95):
            assert torch.quantile(mine, quantile).item() == pytest.approx(
                torch.quantile(reached, quantile).item(), abs=0.1
            )

    @every_flow
    def test_their_density_integrates_to_1_and_reweights_to_the_flow_loss(self, flow):
        """p(u) = |dt/du|/(1 - t_first): E_p[w(u) g(u)/p(u)] is the integral of w g over the times that it covers, and
        E_p[beta(u) g(u)] is the integral of beta g p: what training with the noise's squared error minimises."""
        lowest = flow.time_at(ddpm_snr(torch.ones((), dtype=torch.float64)))
        u = torch.linspace(0, 1, 400_001, dtype=torch.float64) ** 4 * (1 - lowest) + lowest  # dense near u = 0
        u.requires_grad_()
        t = ddpm_time(flow.beta(u))
        density = -torch.autograd.grad(t.sum(), u)[0] / (1 - t[-1]).detach()
        weight = torch.autograd.grad(flow.beta(u).sum(), u)[0] / 2
        u, beta = u.detach(), flow.beta(u.detach())
        assert torch.trapezoid(density, u).item() == pytest.approx(1, abs=1e-3)
        g = 1 / (1 + beta)  # the squared error of the best estimate of N(0, 1) data
        drawn = ddpm_times(flow, RNG.stratified("u", 50_000)).double()

        def at(values: Tensor) -> Tensor:
            return torch.from_numpy(np.interp(drawn.numpy(), u.numpy(), values.numpy()))

        exact = torch.trapezoid(weight * g, u).item()
        assert (at(weight) * at(g) / at(density)).mean().item() == pytest.approx(exact, rel=0.03)
        noise = torch.trapezoid(beta * g * density, u).item()
        assert (flow.beta(drawn) / (1 + flow.beta(drawn))).mean().item() == pytest.approx(noise, rel=5e-3)

    @every_kind
    def test_training_with_them_minimises_the_squared_error_at_their_ratios(self, name, data):
        """beta(u) |x - xhat|^2, whatever x is made of: a number, or the one of K classes."""
        data, x = dataset(data), images(dataset(data), 16)
        built = build(name, data, times="ddpm", encoder="static", posterior="point", lambda_mmd=0.0)
        u = ddpm_times(built.flow, RNG.stratified("u", 16))
        values = built.flow.to_flow(x)
        output = built._output(built.flow.sample(values, u, RNG.at("theta")), u, built.encode(x).mean)
        error = built.flow.beta(u) * built.flow.squared_error(values, output).flatten(1).sum(1)
        terms = built.loss(x, RNG)
        assert terms.reported["eps"].item() == pytest.approx(error.mean().item(), rel=1e-5)
        assert terms.total.item() == pytest.approx(error.mean().item() / data.n_dims, rel=1e-5)

    def test_training_with_them_minimises_the_error_of_the_noise(self):
        """The reported loss is the mean of beta(u) |x - xhat|^2 at those times."""
        data, x = dataset("digits"), images(dataset("digits"), 16)
        built = build("paramrel_c", data, times="ddpm", encoder="static", posterior="point", lambda_mmd=0.0)
        terms = built.loss(x, RNG)
        u = ddpm_times(built.flow, RNG.stratified("u", 16))
        values = built.flow.to_flow(x)
        theta = built.flow.sample(values, u, RNG.at("theta"))
        xhat = built._output(theta, u, built.encode(x).mean)
        kappa = built.flow.kappa(u)[:, None, None, None]
        v = built.flow.to_v(theta, u)
        noise, implied = v - kappa * values, v - kappa * xhat
        assert terms.reported["eps"].item() == pytest.approx(
            (noise - implied).square().flatten(1).sum(1).mean().item(), rel=1e-4
        )
        assert "flow" not in terms.reported

    def test_the_likelihood_is_the_flows_own_whatever_training_used(self):
        data, x = dataset("digits"), images(dataset("digits"), 16)
        first, second = (build("paramrel_c", data, times=times).nll(x, RNG) for times in ("uniform", "ddpm"))
        assert torch.equal(first.total, second.total)
