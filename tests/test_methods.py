"""Contract of every registered method, and what the models do."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from paramrel.data import DataSet, dataset, datasets
from paramrel.errors import Unsupported, UserError
from paramrel.latent_usage import derangement, swapped_losses
from paramrel.method import Method, method, methods
from paramrel.networks import initialise
from paramrel.rng import Rng
from tests.conftest import TINY_NETWORK
from tests.toys import BinnedDigits

RNG = Rng((0, "tests"))
EVERY = [(name, variant) for name, cls in methods().items() for variant in cls.variants]
TRAINED = [(name, variant) for name, variant in EVERY if method(name).trained]
WITHOUT_CODE = {"bfn_c", "bfn_d", "bfn_discretised"}


EMBEDDED = ("digits_binarized", "digits", "breast_cancer_mixed", "shapes3d_rendered_16")


def data_for(name: str):
    """The first of the sets that need no files on which the method runs."""
    for data in EMBEDDED:
        if method(name).skip(dataset(data)) is None:
            return dataset(data)
    raise AssertionError(f"{name} runs on no data set")


def small(name: str) -> DataSet:
    """The same, but of 8x8 grey digits where images in bins are wanted: a training takes a fifth of the time."""
    return BinnedDigits() if data_for(name).kind == "discretised" else data_for(name)


def build(name: str, variant: str, data: DataSet | None = None) -> Method:
    cls, data = method(name), data or data_for(name)
    built = cls(data, TINY_NETWORK, cls.Config(**cls.variants[variant]))
    initialise(built, RNG)
    built.fit(data.evaluation_images("train")[0], RNG)
    return built


def images(built: Method, n: int) -> torch.Tensor:
    return torch.from_numpy(built.data.evaluation_images("train")[0][:n]).float()


def train(built: Method, steps: int, batch: int = 64, rate: float = 5e-3) -> list[dict[str, float]]:
    """A bare loop; returns the reported terms of every step."""
    x = images(built, 1000)
    optimiser = torch.optim.AdamW(built.parameters(), rate)
    history = []
    for step in range(steps):
        terms = built.loss(x[RNG.at(step).permutation("i", len(x))[:batch]], RNG.at(step))
        optimiser.zero_grad()
        terms.total.backward()
        optimiser.step()
        history.append({"loss": terms.total.item()} | {k: v.item() for k, v in terms.reported.items()})
    built.eval()
    return history


@pytest.mark.parametrize(("name", "variant"), EVERY)
class TestContract:
    def test_declares_itself(self, name, variant):
        cls = method(name)
        assert cls.name == name and cls.title and cls.source and cls.version >= 1
        assert all(cls.skip(dataset(data)) is None or len(cls.skip(dataset(data))) > 5 for data in datasets())
        with pytest.raises(ValueError):
            cls.Config(no_such_setting=1)

    def test_loss_is_a_finite_scalar_with_reported_terms(self, name, variant):
        built = build(name, variant)
        if not built.trained:
            with pytest.raises(Unsupported):
                built.loss(images(built, 4), RNG)
            return
        terms = built.loss(images(built, 16), RNG)
        assert terms.total.shape == () and torch.isfinite(terms.total)
        assert terms.reported and all(v.shape == () and not v.requires_grad for v in terms.reported.values())
        again = built.loss(images(built, 16), RNG)
        assert torch.equal(terms.total, again.total), "the loss must be a function of (batch, rng)"

    def test_first_weights_come_from_the_stream_alone(self, name, variant):
        first = build(name, variant).state_dict()
        torch.manual_seed(77)
        second = build(name, variant).state_dict()
        assert all(torch.equal(first[key], second[key]) for key in first)

    def test_codes_are_deterministic_and_one_row_per_image(self, name, variant):
        built = build(name, variant)
        x = images(built, 6)
        assert (built.no_code is not None) == (name in WITHOUT_CODE)
        if built.no_code is not None:
            with pytest.raises(Unsupported, match=built.no_code):
                built.encode(x)
            return
        codes = built.encode(x)
        assert codes.mean.shape[0] == 6 and codes.mean.ndim == 2 and torch.isfinite(codes.mean).all()
        assert torch.equal(codes.mean, built.encode(x).mean)
        assert torch.allclose(codes.mean[2:4], built.encode(x[2:4]).mean, atol=1e-5), (
            "codes must not depend on the batch"
        )
        assert codes.std is None or (codes.std.shape == codes.mean.shape and (codes.std > 0).all())

    def test_images_are_in_range_or_a_reason_is_given(self, name, variant):
        built = build(name, variant).eval()
        x = images(built, 4)
        z = torch.zeros(4, 1) if built.no_code else built.encode(x).mean
        for make in (
            lambda: built.decode(z),
            lambda: built.reconstruct(x, z),
            lambda: built.generate(z, RNG, 3),
            lambda: built.sample(4, RNG, 3),
        ):
            try:
                made = make()
            except Unsupported as reason:
                assert len(str(reason)) > 5
            else:
                assert made.shape == x.shape and made.min() >= 0 and made.max() <= 1
                assert torch.equal(made, make())

    def test_the_likelihood_is_per_image_or_a_reason_is_given(self, name, variant):
        built = build(name, variant).eval()
        x = images(built, 6)
        if method(name).nll is Method.nll or name == "ae":
            with pytest.raises(Unsupported, match=r"\w+ \w+"):
                built.nll(x, RNG)
            return
        nll = built.nll(x, RNG)
        assert nll.total.shape == (6,) and torch.isfinite(nll.total).all() and (nll.kl >= 0).all()

    def test_losses_with_swapped_codes_are_per_image_or_a_reason_is_given(self, name, variant):
        built = build(name, variant).eval()
        x = images(built, 6)
        if method(name).decoder_loss is Method.decoder_loss or name in WITHOUT_CODE | {"columns"}:
            with pytest.raises(Unsupported, match=r"\w+ \w+"):
                swapped_losses(built, x, RNG)
            return
        points, losses = swapped_losses(built, x, RNG)
        assert set(losses) == {"own", "permuted", "mean", "prior"}
        assert all(loss.shape == (len(points), 6) and torch.isfinite(loss).all() for loss in losses.values())


@pytest.mark.parametrize(("name", "variant"), TRAINED)
class TestTraining:
    def test_every_parameter_gets_a_gradient(self, name, variant):
        built = build(name, variant)
        train(built, 1)
        built.loss(images(built, 16), RNG).total.backward()
        assert not [key for key, p in built.named_parameters() if p.grad is None]

    def test_training_lowers_the_loss(self, name, variant):
        built = build(name, variant, small(name))
        losses = [terms["loss"] for terms in train(built, 60)]
        assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_unknown_methods_are_answered_with_a_suggestion():
    with pytest.raises(UserError, match="did you mean 'vae'"):
        method("vea")


def test_a_derangement_moves_every_image():
    moved = derangement(17, RNG)
    assert sorted(moved.tolist()) == list(range(17)) and (moved != torch.arange(17)).all()


def test_doubling_a_batch_leaves_likelihood_terms_alone():
    built = build("vae", "default").eval()
    x = images(built, 8)
    once = built.nll(x, RNG)
    mean, log_var = built._posterior(x.repeat(2, 1, 1, 1))
    assert torch.allclose(mean[:8], mean[8:]) and torch.allclose(log_var[:8], log_var[8:])
    assert torch.allclose(once.kl.mean(), built.nll(x.repeat(2, 1, 1, 1), RNG).kl.mean(), rtol=1e-5)


def test_the_total_is_per_dimension():
    built = build("vae", "default")
    terms = built.loss(images(built, 16), RNG)
    expected = (terms.reported["reconstruction"] + terms.reported["kl"]) / built.data.n_dims
    assert torch.allclose(terms.total, expected)


def test_kl_warmup_starts_at_nothing_and_ends_at_the_elbo():
    cls = method("vae")
    built = cls(dataset("digits_binarized"), TINY_NETWORK, cls.Config(kl_warmup=0.5))
    initialise(built, RNG)
    totals = {}
    for built.progress in (0.0, 0.25, 0.5, 1.0):
        terms = built.loss(images(built, 16), RNG)
        totals[built.progress] = (terms.total * built.data.n_dims - terms.reported["reconstruction"]) / terms.reported[
            "kl"
        ]
    assert [round(value.item(), 3) for value in totals.values()] == [0, 0.5, 1, 1]


def test_codes_of_a_trained_vae_carry_the_class_and_its_decoder_uses_them():
    built = build("vae", "default")
    train(built, 250)
    x, y = images(built, 1000), torch.from_numpy(built.data.load("train").labels[:1000])
    with torch.no_grad():
        z = built.encode(x).mean.numpy()
        losses = swapped_losses(built, x[:200], RNG)[1]
        right = ((built.decode(torch.from_numpy(z)) > 0.5) == x.bool()).float().mean()
    assert LogisticRegression(max_iter=500).fit(z[:700], y[:700]).score(z[700:], y[700:]) > 0.5
    assert losses["permuted"].mean() > 1.3 * losses["own"].mean()
    assert right > 0.82


@pytest.fixture(scope="module")
def look_ahead():
    """ParamReL_d (ahead) after a short training."""
    built = build("paramrel_d", "ahead")
    train(built, 250)
    return built


def test_the_decoder_uses_codes_that_look_ahead(look_ahead):
    with torch.no_grad():
        points, losses = swapped_losses(look_ahead, images(look_ahead, 300), RNG)
    at = points.index("noise=0.5")
    assert losses["permuted"][at].mean() > 1.2 * losses["own"][at].mean()


def test_the_decoder_ignores_codes_as_published(look_ahead):
    published = build("paramrel_d", "self")
    train(published, 250)
    with torch.no_grad():
        points, losses = swapped_losses(published, images(published, 300), RNG)
    at = points.index("noise=0.5")
    assert losses["permuted"][at].mean() < 1.1 * losses["own"][at].mean()


def test_theta_1_reconstructs_with_any_code(look_ahead):
    x = images(look_ahead, 64)
    with torch.no_grad():
        z = look_ahead.encode(x).mean
        own, other = look_ahead.reconstruct(x, z), look_ahead.reconstruct(x, z.roll(1, 0))
    for made in (own, other):
        assert ((made > 0.5) == x.bool()).float().mean() > 0.97


def test_joint_paths_and_data_codes_train_too():
    cls = method("paramrel_d")
    for settings in (
        {"path": "joint"},
        {"z_source": "data"},
        {"encoder": "vanilla"},
        {"gamma": 0.5, "lambda_mmd": 1.0},
    ):
        built = cls(dataset("digits_binarized"), TINY_NETWORK, cls.Config(**settings))
        initialise(built, RNG)
        losses = [terms["flow"] for terms in train(built, 60)]
        assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_pca_is_scikit_learns():
    from sklearn.decomposition import PCA

    built = build("pca", "default")
    x = images(built, 1428)
    theirs = PCA(8, svd_solver="full").fit(x.flatten(1).numpy().astype("float64"))
    ours = built.encode(x).mean.numpy()
    assert abs(abs(ours) - abs(theirs.transform(x.flatten(1).numpy()))).max() < 1e-3
    assert ((built.decode(built.encode(x).mean) - x) ** 2).mean() < x.var(0).mean()
