"""The baselines: identities between them, scales of their losses, sizes, and that they keep what they say."""

import math

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from baselines._observation import Gaussian
from paramrel import uses
from paramrel.data import dataset
from paramrel.divergences import kl_standard_normal
from paramrel.errors import Unsupported
from paramrel.latent_usage import swapped_losses
from paramrel.method import LossTerms, Method, method, methods
from paramrel.networks import budget, initialise, n_parameters
from paramrel.rng import Rng
from suite.graph.cells import cells
from suite.graph.config import load, resolve
from suite.measure.showcase import USES, Context, showcase
from tests.conftest import ROOT, TINY_NETWORK
from tests.toys import Repeated, train

RNG = Rng((0, "baselines"))
AUTOENCODERS = ("ae", "vae", "beta_vae", "info_vae")
DIFFUSIONS = ("diffae", "info_diffusion", "encdiff")
BASELINES = AUTOENCODERS + DIFFUSIONS


def build(name: str, data: str = "digits_binarized", **settings) -> Method:
    cls = method(name)
    built = cls(dataset(data), TINY_NETWORK, cls.Config(**settings))
    initialise(built, RNG)
    stir(built)
    return built


def stir(built: Method) -> None:
    """Weights of the last layers away from 0, so that a comparison of losses sees every part."""
    for layer in built.modules():
        if getattr(layer, "zero_init", False):
            torch.nn.init.normal_(layer.weight, std=0.1, generator=torch.Generator().manual_seed(1))


def images(built: Method, n: int = 16) -> torch.Tensor:
    return torch.from_numpy(built.data.evaluation_images("train")[0][:n]).float()


def as_point(built: Method, point: Method) -> None:
    """Give a Gaussian encoder the weights of a point encoder, and almost no variance."""
    weights = dict(point.state_dict())
    d = built.net.latent_dim
    for key in ("encoder.out.weight", "encoder.out.bias"):
        mine = torch.zeros_like(built.state_dict()[key])
        mine[:d] = weights[key]
        mine[d:] = -60.0 if key.endswith("bias") else 0.0
        weights[key] = mine
    built.load_state_dict(weights)


def assert_same(first: LossTerms, second: LossTerms, names: tuple[str, ...]) -> None:
    assert torch.allclose(first.total, second.total, rtol=1e-5, atol=1e-7)
    for name in names:
        assert torch.allclose(first.reported[name], second.reported[name], rtol=1e-5), name


@pytest.mark.parametrize("data", ["digits_binarized", "digits"])
class TestIdentities:
    def test_beta_1_is_the_vae(self, data):
        vae, beta = build("vae", data), build("beta_vae", data, beta=1)
        assert_same(vae.loss(images(vae), RNG), beta.loss(images(vae), RNG), ("reconstruction", "kl"))

    def test_beta_0_trains_the_data_term_of_a_stochastic_code_alone(self, data):
        beta = build("beta_vae", data, beta=0)
        terms = beta.loss(images(beta), RNG)
        assert terms.reported["kl"] > 0
        assert torch.allclose(terms.total, terms.reported["reconstruction"] / beta.data.n_dims)

    def test_beta_0_without_variance_is_the_autoencoder(self, data):
        ae, beta = build("ae", data), build("beta_vae", data, beta=0)
        beta.decoder = ae.decoder  # matched in size to another encoder: not the same number of blocks
        as_point(beta, ae)
        assert_same(ae.loss(images(ae), RNG), beta.loss(images(ae), RNG), ("reconstruction",))

    def test_infovae_with_kl_weight_1_and_no_mmd_is_the_vae(self, data):
        vae, info = build("vae", data), build("info_vae", data, alpha=0, lambda_mmd=1)
        assert_same(vae.loss(images(vae), RNG), info.loss(images(vae), RNG), ("reconstruction", "kl"))

    @pytest.mark.parametrize("scaling", ["elbo", "official"])
    def test_infodiffusion_without_regularisers_is_diffae(self, data, scaling):
        diffae = build("diffae", data)
        info = build("info_diffusion", data, posterior="point", zeta=1, lambda_mmd=0, scaling=scaling)
        assert_same(diffae.loss(images(info), RNG), info.loss(images(info), RNG), ("eps", "latent"))

    def test_a_gaussian_infodiffusion_without_variance_is_diffae_too(self, data):
        diffae, info = build("diffae", data), build("info_diffusion", data, zeta=1, lambda_mmd=0)
        info.prior = diffae.prior
        as_point(info, diffae)
        assert_same(diffae.loss(images(info), RNG), info.loss(images(info), RNG), ("eps", "latent"))

    @pytest.mark.parametrize("name", BASELINES)
    def test_doubling_a_batch_changes_no_term(self, data, name):
        # the V-statistic: whether the U-statistic may see copies is tested with the divergences
        settings = {"kernel": "infodiffusion"} if name.startswith("info") else {}
        built = build(name, data, **settings)
        x = images(built)
        once = built.loss(x, Rng((0, "doubled")))
        twice = built.loss(x.repeat(2, 1, 1, 1), Repeated((0, "doubled")))
        assert_same(once, twice, tuple(once.reported))


@pytest.mark.parametrize("name", ["vae", "info_vae", "info_diffusion"])
def test_regularisers_pull_codes_to_the_prior(name):
    """A wrong sign would push them away."""
    settings = {"vae": {}, "info_vae": {"lambda_mmd": 50}, "info_diffusion": {"lambda_mmd": 50}}[name]
    built = build(name, **settings)
    with torch.no_grad():
        built.encoder.out.bias[: built.net.latent_dim] = 3.0
    before = built.encode(images(built, 200)).mean.mean()
    train(built, 40)
    assert built.encode(images(built, 200)).mean.mean().abs() < 0.8 * before


def test_v_prediction_is_eps_prediction_with_another_weight():
    """The squared error of v is that of the eps it implies, over abar_t."""
    x = images(build("diffae"), 32)
    for t in (1, 200, 600):
        built = build("diffae", parametrisation="v", n_times=1000)
        built.diffusion.draw_times = lambda u, t=t: torch.full((len(u),), t)
        terms = built.loss(x, RNG)
        eps, times = RNG.normal("eps", tuple(x.shape)), torch.full((32,), t)
        implied = built._eps(built.diffusion.diffuse(2 * x - 1, times, eps), times, built.encode(x).mean)
        expected = (implied - eps).square().mean() / built.diffusion.signal[t] ** 2
        assert torch.allclose(terms.reported["v"] / 64, expected, rtol=2e-2 if t == 1 else 1e-3)
        assert torch.allclose(terms.total, terms.reported["v"] / 64 + terms.reported["latent"])


def test_both_parametrisations_learn_and_v_uses_the_code_more():
    """Images of noise and a code: nearer to the code's source with v, after the same few steps."""
    x, errors = images(build("diffae"), 400), {}
    for parametrisation in ("eps", "v"):
        built = train(build("diffae", parametrisation=parametrisation), 300)
        with torch.no_grad():
            z = built.encode(x).mean
            own, other = built.generate(z, RNG, 20), built.generate(z.roll(1, 0), RNG, 20)
        errors[parametrisation] = ((own - x).square().mean() / (other - x).square().mean()).item()
    assert errors["v"] < min(errors["eps"], 0.9), errors


class TestScales:
    def test_elbo_is_nats_per_dimension(self):
        built = build("beta_vae", "digits", beta=3)
        terms = built.loss(images(built), RNG)
        nats = terms.reported["reconstruction"] + 3 * terms.reported["kl"]
        assert torch.allclose(terms.total, nats / 64)

    def test_official_is_mean_squared_error_of_images_in_minus_1_to_1_plus_the_summed_kl(self):
        built = build("beta_vae", "digits", beta=3, scaling="official")
        x = images(built)
        z = built._draw(x, RNG)
        error = (2 * x - 1 - (2 * built.decoder(z) - 1)).square().mean()
        assert torch.allclose(built.loss(x, RNG).total, error + 3 * built.loss(x, RNG).reported["kl"])

    def test_official_is_an_elbo_with_beta_of_half_the_dimensions(self):
        """(2/D)(nats at sigma = 1 in [-1, 1] + D/2 KL), up to a constant: the gradients are the same."""
        official = build("vae", "digits", scaling="official")
        x, d = images(official), official.data.n_dims
        official.loss(x, RNG).total.backward()
        gradients = [p.grad.clone() for p in official.parameters()]
        official.zero_grad()
        z = official._draw(x, RNG)
        mean, log_var = official._posterior(x)
        elbo = official.observation.training_nll(official.decoder(z), x).mean()
        (2 / d * (elbo + d / 2 * kl_standard_normal(mean, log_var).mean())).backward()
        for expected, p in zip(gradients, official.parameters(), strict=True):
            assert torch.allclose(expected, p.grad, atol=1e-5, rtol=1e-3)

    def test_official_on_binary_images_is_an_elbo_with_beta_of_all_dimensions(self):
        built = build("vae", scaling="official")
        terms = built.loss(images(built), RNG)
        assert torch.allclose(terms.total, (terms.reported["reconstruction"] + 64 * terms.reported["kl"]) / 64)

    def test_official_scaling_collapses_the_vae_and_elbo_does_not(self):
        spread = {}
        for scaling in ("elbo", "official"):
            built = train(build("vae", scaling=scaling, kl_warmup=0.5), 250)
            with torch.no_grad():
                spread[scaling] = built.encode(images(built, 500)).mean.std(0).max()
        assert spread["official"] < 0.1 < 0.3 < spread["elbo"]

    def test_the_kl_of_infodiffusion_counts_per_dimension_or_whole(self):
        for scaling, scale in (("elbo", 64), ("official", 1)):
            built = build("info_diffusion", zeta=0.5, lambda_mmd=0.5, scaling=scaling)
            terms = built.loss(images(built), RNG)
            expected = terms.reported["eps"] / 64 + terms.reported["latent"] + 0.5 * terms.reported["kl"] / scale
            assert torch.allclose(terms.total, expected)


def test_capacity_holds_the_kl_at_a_rising_target():
    built = build("beta_vae", beta=10, capacity=5)
    for built.progress in (0.0, 0.5, 1.0):
        terms = built.loss(images(built), RNG)
        nats = terms.reported["reconstruction"] + 10 * (terms.reported["kl"] - 5 * built.progress).abs()
        assert torch.allclose(terms.total, nats / 64)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("info_vae", {"alpha": 0, "lambda_mmd": 0.1}, "may not be negative"),
        ("info_diffusion", {"zeta": 0.5, "lambda_mmd": 0.1}, "may not be negative"),
        ("info_diffusion", {"zeta": 0.5, "lambda_mmd": 1, "posterior": "point"}, "point has no KL"),
        ("beta_vae", {"capacity": 25, "kl_warmup": 0.5}, "two schedules"),
        ("diffae", {"beta_first": 0.1, "beta_last": 0.01}, "swap them"),
    ],
)
def test_settings_that_contradict_each_other_are_errors(name, settings, message):
    with pytest.raises(ValueError, match=message):
        method(name).Config(**settings)


class TestGaussian:
    def test_the_learned_scale_becomes_the_error_of_the_decoder(self):
        built = train(build("ae", "digits"), 250)
        x = images(built, 1000)
        with torch.no_grad():
            error = (built.decode(built.encode(x).mean) - x).square().mean().sqrt()
        assert built.observation.log_std.exp().item() == pytest.approx(error.item(), rel=0.25)

    def test_training_and_reported_terms_agree_where_sigma_is_wider_than_a_bin(self):
        data = dataset("digits")
        observation = Gaussian(data, learned=False)
        x = images(build("ae", "digits"), 100).clamp(0.25, 0.75)  # the outermost bins hold all of the tails
        out = torch.full_like(x, 0.4)
        assert torch.allclose(observation.training_nll(out, x)[:5], observation.nll(out, x)[:5], rtol=0.1)

    def test_reported_likelihoods_are_probabilities(self):
        built = train(build("vae", "digits", kl_warmup=0.5), 150)
        with torch.no_grad():
            nll = built.nll(images(built, 300), RNG)
        assert (nll.data > 0).all() and nll.total.mean() < 64 * math.log(17)


@pytest.mark.parametrize("data", ["digits_binarized", "digits"])
class TestDiffusions:
    @pytest.fixture(scope="class", params=DIFFUSIONS)
    def trained(self, request):
        """v: eps all but leaves out the noisy times, and so the code, in so short a training."""
        sets = ("digits_binarized", "digits")
        return {data: train(build(request.param, data, parametrisation="v"), 300) for data in sets}

    def test_inversion_then_rendering_returns_the_image(self, trained, data):
        built, errors = trained[data], []
        x = images(built, 64)
        with torch.no_grad():
            z = built.encode(x).mean
            for n in (5, 20, 80):
                subcode = built.invert(x, z, RNG, n)
                assert subcode.shape == (64, *built.subcode_shape)
                errors.append((built.render(z, subcode, n) - x).square().mean().item())
        assert errors[0] >= errors[1] >= errors[2] and errors[2] < 2e-3, errors

    def test_the_code_is_passed_at_every_step(self, trained, data):
        built = trained[data]
        x, seen = images(built, 4), []
        z = built.encode(x).mean
        hook = built.decoder.register_forward_pre_hook(lambda module, given: seen.append(given[2]))
        encoder_calls = []
        other = built.encoder.register_forward_hook(lambda *_: encoder_calls.append(1))
        with torch.no_grad():
            built.render(z, built.invert(x, z, RNG, 7), 7)
        hook.remove()
        other.remove()
        assert len(seen) == 14 and all(torch.equal(given, z) for given in seen) and not encoder_calls

    def test_the_decoder_uses_the_code(self, trained, data):
        built = trained[data]
        with torch.no_grad():
            points, losses = swapped_losses(built, images(built, 300), RNG)
        at = points.index("noise=0.5")
        assert losses["permuted"][at].mean() > 1.2 * losses["own"][at].mean()

    def test_own_codes_make_images_nearer_to_the_source(self, trained, data):
        built = trained[data]
        x = images(built, 300)
        with torch.no_grad():
            z = built.encode(x).mean
            own, other = built.generate(z, RNG, 20), built.generate(z.roll(1, 0), RNG, 20)
        assert (own - x).square().mean() < 0.9 * (other - x).square().mean()

    def test_sampled_codes_have_the_moments_of_codes(self, trained, data):
        built = trained[data]
        built.finish(built.data.evaluation_images("train")[0], RNG)
        with torch.no_grad():
            codes = built.encode(images(built, 1400)).mean
            drawn = built.prior.sample(500, RNG, 20)
        assert (drawn.mean(0) - codes.mean(0)).abs().max() < 0.6 * codes.std(0).max()  # so short a training
        assert 0.5 < (drawn.std(0).mean() / codes.std(0).mean()) < 2


def test_the_bound_of_infodiffusion_is_a_bound_with_every_part():
    built = train(build("info_diffusion", zeta=0.9, lambda_mmd=0.2), 200)
    x = images(built, 400)
    with torch.no_grad():
        nll = built.nll(x, RNG)
    assert nll.kl.mean() > 0
    # a fair coin per pixel costs 44 nats; no model of 8x8 digits needs less than 12
    assert 12 < nll.total.mean() < 2000


def test_what_a_baseline_cannot_do_it_says():
    x = images(build("ae"), 2)
    reasons = {}
    for name, call in {
        "ae prior": lambda: build("ae").sample(2, RNG, 2),
        "ae nll": lambda: build("ae").nll(x, RNG),
        "vae subcode": lambda: build("vae").invert(x, x, RNG, 2),
        "diffae decode": lambda: build("diffae").decode(build("diffae").encode(x).mean),
    }.items():
        with pytest.raises(Unsupported) as caught:
            call()
        reasons[name] = str(caught.value)
    assert all(len(reason) > 10 for reason in reasons.values())


def shown(built: Method, n: int = 16) -> tuple[dict, dict]:
    """Uses of codes of a method in evaluation mode: arrays, and reasons for what is missing."""
    x = images(built.eval(), n)
    with torch.no_grad():
        z = built.encode(x).mean
        return showcase(Context(built, x, z.mean(0), z.std(0), RNG.at("uses"), 6))


NO_DRAW = ("fixed_z", "fixed_subcode")
NO_FLOW = {"time_varying": "no flow time", "flow_paths": "no flow"}
NO_SUBCODE = {"fixed_z": "nothing else is drawn", "fixed_subcode": "nothing else", "subcode": "no stochastic subcode"}
MISSING = dict.fromkeys(AUTOENCODERS, NO_FLOW | NO_SUBCODE)
MISSING |= dict.fromkeys(DIFFUSIONS, NO_FLOW | {"from_code": "does not say what the image is"})
MISSING["ae"] = MISSING["ae"] | {"samples": "no prior"}
"""What a baseline does not offer, and part of the reason. All else it has to make."""


@pytest.mark.parametrize("data", ["digits_binarized", "digits", "shapes3d_rendered_16"])
@pytest.mark.parametrize("name", BASELINES)
def test_every_use_is_made_or_has_a_reason(name, data):
    built = build(name, data)
    arrays, reasons = shown(built)
    missing = MISSING[name]
    assert set(reasons) == set(missing)
    assert all(missing[array] in reason for array, reason in reasons.items()), reasons
    for use in USES.values():
        assert all((array in arrays) != (array in reasons) for array in use.arrays)
    shape = built.data.shape
    expected = {"round_trip": (16,), "interpolated": (8, 9), "interpolated_slerp": (8, 9), "traversed": (4, 11)}
    expected |= {"samples": (16,), "from_code": (16,), **dict.fromkeys(NO_DRAW, (2, 8))}
    for array, leading in expected.items():
        if array in arrays:
            assert arrays[array].shape == leading + shape, array
            assert arrays[array].min() >= 0 and arrays[array].max() <= 1, array


@pytest.mark.parametrize("name", ["vae", "diffae"])
def test_uses_keep_what_they_say_they_keep(name):
    built = train(build(name, "digits"), 300)
    built.finish(built.data.evaluation_images("train")[0], RNG)
    arrays, _ = shown(built)
    trip = torch.from_numpy(arrays["round_trip"])
    ends = torch.from_numpy(arrays["interpolated"])[:, [0, -1]]
    assert torch.allclose(ends[:, 0], trip[:8], atol=1e-3) and torch.allclose(ends[:, 1], trip[8:], atol=1e-3)
    x = images(built, 16)
    middle = ends.new_tensor(arrays["interpolated"][:, 4])
    assert ((middle - x[:8]).square().mean() < (x[8:] - x[:8]).square().mean()).item()
    moves = torch.from_numpy(arrays["traversed"]).diff(dim=1).square().mean((1, 2, 3, 4))
    assert (moves > 1e-5).all(), "the busiest latents change the image"
    if name == "diffae":
        subcode = arrays["subcode"]
        assert 0.7 < subcode.std() < 1.3 and abs(subcode.mean()) < 0.3
        spread = {array: torch.from_numpy(arrays[array]).std(1).mean().item() for array in NO_DRAW}
        assert all(value > 0.02 for value in spread.values()), "what is drawn anew changes the image"


def test_codes_drawn_beside_a_fixed_subcode_are_the_methods_own():
    """Not N(0, I) where the method has learned where its codes lie."""
    built = build("diffae")
    built.prior.measure(5 + 0.1 * RNG.normal("far", (100, built.net.latent_dim)))
    drawn = []
    hook = built.decoder.register_forward_pre_hook(lambda module, given: drawn.append(given[2]))
    with torch.no_grad():
        uses.conditional(built, images(built, 2), "subcode", 8, RNG, 3)
    hook.remove()
    with torch.no_grad():
        assert torch.allclose(drawn[-1], built.prior.sample(16, RNG.at("codes"), 3))


PARAMS = load(ROOT / "params.yaml")


@pytest.mark.parametrize("preset", sorted(set(PARAMS.presets) - {"table"}))  # a table has other networks
def test_parameters_are_matched_within_ten_percent(preset, monkeypatch):
    """Per preset and data set: every trained method against ParamReL's encoder and U-Net."""
    from suite.graph import cells as cells_module

    monkeypatch.setattr(cells_module, "_n_images", lambda name: 1000)  # sizes do not depend on the files
    chosen = resolve(PARAMS, preset)
    known = dict.fromkeys((*chosen.datasets, *chosen.per_dataset))  # also sets that a user may put in
    for data in known:
        monkeypatch.setattr(type(dataset(data)), "check_available", lambda self: None)
    counts = {}
    for cell in cells(chosen.model_copy(update={"datasets": tuple(known), "seeds": (0,)})):
        if method(cell.method).trained and method(cell.method).no_code is None:
            with torch.device("meta"):
                built = cell.build()
            ours = budget(dataset(cell.dataset).shape, cell.network)
            counts[cell.dataset, cell.method, cell.variant] = n_parameters(built) / ours
    assert chosen.methods != "all" or {name for _, name, _ in counts} >= set(BASELINES)
    assert counts and all(0.9 <= share <= 1.1 for share in counts.values()), counts


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 16, 16), (3, 32, 32), (3, 64, 64)])
@pytest.mark.parametrize("name", [name for name in methods() if name in BASELINES])
def test_every_shape_can_be_matched(name, shape, monkeypatch):
    from paramrel.settings import Network

    data = dataset("digits")
    monkeypatch.setattr(type(data), "shape", shape)
    levels = (1, 2, 4) if shape[1] < 64 else (1, 2, 2, 2)  # with three, the smallest decoder of 64x64 is 13 % too large
    for net in (
        Network(channels=16, multipliers=levels, blocks=1, groups=8, latent_dim=32),
        Network(channels=64, multipliers=(1, 2, 2, 2), blocks=2, groups=8, latent_dim=64),
    ):
        with torch.device("meta"):
            built = method(name)(data, net, method(name).Config())
        assert 0.95 <= n_parameters(built) / budget(shape, built.net) <= 1.05


@pytest.mark.parametrize("preset", [name for name in PARAMS.presets if name.startswith("tokens")])
def test_tokens_have_as_many_parameters_as_adagn(preset, monkeypatch):
    """Within twelve percent for one method and number of latents; with whole transformer blocks within a third."""
    from suite.graph import cells as cells_module

    monkeypatch.setattr(cells_module, "_n_images", lambda name: 1000)
    chosen = resolve(PARAMS, preset).model_copy(update={"seeds": (0,)})
    compared = []
    for data in chosen.datasets:
        monkeypatch.setattr(type(dataset(data)), "check_available", lambda self: None)
        for cell in cells(chosen):
            with torch.device("meta"):
                built = cell.build()
            if built.net.conditioning == "tokens":
                plain = built.net.model_copy(update={"conditioning": "adagn", "token_transformer": False})
                share = n_parameters(built) / budget(built.data.shape, plain)
                assert 0.9 <= share <= (1.33 if cell.network.token_transformer else 1.12), (str(cell), share)
                compared.append(cell.method)
    assert "paramrel_c" in compared


def test_a_trained_infovae_code_carries_the_class():
    built = train(build("info_vae"), 250)
    x, y = images(built, 1000), torch.from_numpy(built.data.load("train").labels[:1000])
    with torch.no_grad():
        z = built.encode(x).mean.numpy()
    assert LogisticRegression(max_iter=500).fit(z[:700], y[:700]).score(z[700:], y[700:]) > 0.5
