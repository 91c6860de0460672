"""Uses of codes: what stays fixed, what moves, where paths begin and end, and who cannot do what."""

import numpy as np
import pytest
import torch

from paramrel import uses
from paramrel.data import dataset
from paramrel.errors import Unsupported
from paramrel.method import Method
from paramrel.rng import Rng
from suite.measure.showcase import N_DIMS, N_DRAWS, N_FRAMES, N_STOPS, TIMES, USES, Context, showcase
from tests.toys import BinnedDigits, build, images

RNG = Rng((0, "uses"))
N_STEPS = 3
DATA = {
    "paramrel_d": dataset("digits_binarized"),
    "paramrel_c": dataset("digits"),
    "paramrel_discretised": BinnedDigits(),
}


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(params=DATA)
def model(request) -> Method:
    """A ParamReL of every flow, untrained, with weights that matter."""
    return build(request.param, DATA[request.param], stir=0.3)


@pytest.fixture
def shown(model, monkeypatch) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Codes and subcodes that ``render`` is asked for."""
    asked, render = [], model.render
    monkeypatch.setattr(model, "render", lambda z, sub, n: asked.append((z, sub)) or render(z, sub, n))
    return asked


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal up to the rounding of another batch size, which can flip the mode of a pixel on the edge."""
    return ((a - b).abs() < 1e-3).float().mean().item() > 0.98


class TestInterpolants:
    a, b = RNG.normal("a", (5, 16)), RNG.normal("b", (5, 16))

    @pytest.mark.parametrize("mix", [uses.lerp, uses.slerp])
    def test_ends_are_ends_and_order_does_not_matter(self, mix):
        assert torch.allclose(mix(self.a, self.b, 0.0), self.a, atol=1e-6)
        assert torch.allclose(mix(self.a, self.b, 1.0), self.b, atol=1e-6)
        assert torch.allclose(mix(self.a, self.b, 0.3), mix(self.b, self.a, 0.7), atol=1e-6)

    def test_slerp_keeps_the_norm_and_walks_the_angle_evenly(self):
        a, b = (v / v.norm(dim=1, keepdim=True) for v in (self.a, self.b))
        whole = (a * b).sum(1).acos()
        for weight in (0.25, 0.5, 0.9):
            c = uses.slerp(a, b, weight)
            assert torch.allclose(c.norm(dim=1), torch.ones(5), atol=1e-5)
            assert torch.allclose((a * c).sum(1).acos(), weight * whole, atol=1e-4)
        assert (uses.lerp(a, b, 0.5).norm(dim=1) < 0.95).all()

    def test_slerp_of_images_takes_an_image_as_one_vector(self):
        a, b = self.a.reshape(5, 1, 4, 4), self.b.reshape(5, 1, 4, 4)
        assert torch.allclose(uses.slerp(a, b, 0.4).flatten(1), uses.slerp(self.a, self.b, 0.4), atol=1e-6)

    @pytest.mark.parametrize("factor", [1.0, 2.0, -1.0])
    def test_parallel_and_opposite_rows_are_interpolated_linearly(self, factor):
        mixed = uses.slerp(self.a, factor * self.a, 0.25)
        assert torch.allclose(mixed, uses.lerp(self.a, factor * self.a, 0.25), atol=1e-5)


class TestEveryFlow:
    def test_conditional_generation_keeps_one_part_and_draws_the_other(self, model, shown):
        x = images(model.data, 3)
        z = model.encode(x).mean
        made = uses.conditional(model, x, "z", 4, RNG, N_STEPS)
        assert made.shape == (3, 4, 1, 8, 8) and made.min() >= 0 and made.max() <= 1
        codes, subs = (part.unflatten(0, (3, 4)) for part in shown[0])
        assert torch.equal(codes, z[:, None].expand(-1, 4, -1))
        assert (subs[:, 1:] != subs[:, :1]).all() and (subs[1:] != subs[:1]).all(), "every draw is another"
        assert subs.mean().abs() < 0.2 and abs(subs.std() - 1) < 0.15
        uses.conditional(model, x, "subcode", 4, RNG, N_STEPS)
        codes, subs = (part.unflatten(0, (3, 4)) for part in shown[1])
        assert torch.equal(subs, model.invert(x, z, RNG.at("invert"), N_STEPS)[:, None].expand_as(subs))
        assert (codes[:, 1:] != codes[:, :1]).all() and abs(codes.std() - 1) < 0.25

    def test_reconstruction_is_inversion_then_rendering(self, model, shown):
        x = images(model.data, 3)
        z = model.encode(x).mean
        made = uses.reconstruction(model, x, RNG, N_STEPS)
        subcode = model.invert(x, z, RNG, N_STEPS)
        assert torch.equal(shown[0][0], z) and torch.equal(shown[0][1], subcode)
        assert torch.equal(made, model.render(z, subcode, N_STEPS))
        uses.reconstruction(model, x, RNG, N_STEPS, z.roll(1, 0))
        assert torch.equal(shown[-1][0], z.roll(1, 0)), "another's code"
        assert torch.equal(shown[-1][1], subcode), "the own subcode, made with the own code"

    def test_time_varying_codes_end_in_the_round_trip_and_keep_the_subcode(self, model, shown):
        x = images(model.data, 2)
        frames = uses.time_varying(model, x, (0.1, 0.5, 1.0), RNG, N_STEPS)
        assert frames.shape == (2, 3, 1, 8, 8)
        codes, subs = (part.unflatten(0, (2, 3)) for part in shown[0])
        assert torch.equal(subs, subs[:, :1].expand_as(subs))
        assert torch.equal(codes[:, -1], model.encode(x).mean) and (codes[:, 0] != codes[:, 1]).any()
        assert same(frames[:, -1], uses.reconstruction(model, x, RNG.at("invert"), N_STEPS))

    @pytest.mark.parametrize("kind", ["lerp", "slerp"])
    def test_interpolations_begin_and_end_in_the_round_trips(self, model, shown, kind):
        x = images(model.data, 4)
        frames = uses.interpolation(model, x[:2], x[2:], 5, RNG, N_STEPS, kind)
        assert frames.shape == (2, 5, 1, 8, 8)
        assert same(frames[:, 0], uses.reconstruction(model, x[:2], RNG.at("a"), N_STEPS))
        assert same(frames[:, -1], uses.reconstruction(model, x[2:], RNG.at("b"), N_STEPS))
        codes, subs = (part.unflatten(0, (2, 5)) for part in shown[0])
        z = model.encode(x).mean
        mix = getattr(uses, kind)
        assert torch.allclose(codes[:, 2], mix(z[:2], z[2:], 0.5), atol=1e-5)
        assert torch.allclose(subs[:, 2], uses.slerp(subs[:, 0], subs[:, -1], 0.5), atol=1e-5)

    def test_a_traversal_moves_its_dimension_only(self, model, shown):
        x, d = images(model.data, 2), model.net.latent_dim
        mean, std = torch.linspace(-1, 1, d), torch.linspace(0.5, 2, d)
        frames = uses.traversal(model, x, (5, 1), mean, std, RNG, N_STEPS, 7)
        assert frames.shape == (2, 2, 7, 1, 8, 8)
        codes = torch.cat([z for z, _ in shown]).unflatten(0, (2, 2, 7))
        subs = torch.cat([sub for _, sub in shown]).unflatten(0, (2, 14))
        assert torch.equal(subs, subs[:, :1].expand_as(subs))
        z = model.encode(x).mean
        for row, dim in enumerate((5, 1)):
            others = [i for i in range(d) if i != dim]
            assert torch.equal(codes[:, row][..., others], z[:, None, others].expand(-1, 7, -1))
            expected = mean[dim] + torch.linspace(-3, 3, 7) * std[dim]
            assert torch.allclose(codes[:, row, :, dim], expected.expand(2, -1))

    def test_batches_do_not_change_what_is_made(self, model, monkeypatch):
        x = images(model.data, 3)
        whole = uses.conditional(model, x, "z", 4, RNG, N_STEPS)
        monkeypatch.setattr(uses, "images_per_batch", lambda method: 5)
        assert same(uses.conditional(model, x, "z", 4, RNG, N_STEPS), whole)

    def test_unconditional_images_are_the_methods_samples(self, model):
        assert torch.equal(uses.unconditional(model, 3, RNG, N_STEPS), model.sample(3, RNG, N_STEPS))

    def test_z_alone_is_one_step(self, model):
        x = images(model.data, 3)
        assert torch.equal(uses.from_code(model, x), model.decode(model.encode(x).mean))


def test_the_busiest_latents_come_first():
    assert uses.busiest(torch.tensor([0.1, 2.0, 0.5, 2.0]), 3) == (1, 3, 2)


def test_larger_images_and_networks_get_smaller_batches():
    small = build("paramrel_d", DATA["paramrel_d"])
    assert uses.images_per_batch(small) == 500
    assert uses.images_per_batch(small, 24 * 4 * 4 * 64 * 10) == 10
    assert uses.images_per_batch(small, 1.0) == 1


def context(method: Method, n: int = 8) -> Context:
    x = images(method.data, n)
    z = method.encode(x).mean
    return Context(method, x, z.mean(0), z.std(0), RNG, N_STEPS)


@pytest.fixture
def few_paths(monkeypatch):
    monkeypatch.setattr("suite.measure.showcase.N_PATHS", 40)
    monkeypatch.setattr("suite.measure.showcase.N_PATH_STEPS", 6)


@pytest.mark.usefixtures("few_paths")
class TestShowcase:
    def test_every_use_of_paramrel_makes_its_arrays_and_a_picture(self, model):
        arrays, reasons = showcase(context(model))
        assert not reasons
        for use in USES.values():
            assert set(use.arrays) <= set(arrays)
            for text, row in use.strips(arrays):
                assert isinstance(text, str) and row.ndim == 4 and row.shape[1:] == (1, 8, 8)
                assert row.min() >= 0 and row.max() <= 1
        assert all(np.isfinite(array).all() for array in arrays.values())
        assert arrays["fixed_z"].shape == arrays["fixed_subcode"].shape == (2, N_DRAWS, 1, 8, 8)
        assert arrays["interpolated"].shape == (4, N_FRAMES, 1, 8, 8)
        assert arrays["traversed"].shape == (N_DIMS, N_STOPS, 1, 8, 8)
        assert arrays["time_varying"].shape == (4, len(TIMES), 1, 8, 8)
        assert arrays["subcode"].shape[1:] == model.subcode_shape

    def test_the_flow_starts_at_the_prior_and_ends_at_the_pixel(self, model):
        arrays, _ = showcase(context(model), ("flow",))
        paths, values = arrays["flow_paths"], arrays["flow_x"]
        assert paths.shape == (7, 40) and values.shape == (40,) and values.std() > 0
        assert (paths[0] == paths[0, 0]).all() and abs(paths[0, 0]) < 1e-6
        assert np.corrcoef(paths[-1], values)[0, 1] > 0.99

    def test_only_what_is_asked_for_is_made(self, model):
        arrays, reasons = showcase(context(model), ("sample",))
        assert set(arrays) == {"samples"} and not reasons

    def test_a_method_without_a_subcode_shows_its_code_alone_and_says_the_rest(self):
        vae = build("vae", DATA["paramrel_d"])
        made = context(vae)
        arrays, reasons = showcase(made)
        assert reasons["fixed_z"] == reasons["fixed_subcode"] == "its code alone makes the image: nothing else is drawn"
        assert reasons["time_varying"] == "its code has no flow time" and reasons["flow_paths"] == "it has no flow"
        decoded = vae.decode(vae.encode(made.x).mean).numpy()
        assert np.array_equal(arrays["round_trip"], arrays["from_code"]) and "subcode" not in arrays
        assert np.array_equal(arrays["round_trip"], decoded)
        assert np.allclose(arrays["interpolated"][:, 0], decoded[:4], atol=1e-5)
        assert np.allclose(arrays["interpolated"][:, -1], decoded[4:], atol=1e-5)

    def test_a_method_without_a_decoder_gives_a_reason_for_every_use(self):
        with pytest.raises(Unsupported, match="it has no decoder"):
            uses.from_code(build("untrained", DATA["paramrel_d"]), images(DATA["paramrel_d"], 2))
        arrays, reasons = showcase(context(build("untrained", DATA["paramrel_d"])))
        assert not arrays and set(reasons) == {name for use in USES.values() for name in use.arrays}
        assert all(len(reason) > 5 for reason in reasons.values())

    def test_codes_alone_need_an_estimate_at_the_prior(self):
        model = build("paramrel_c", DATA["paramrel_c"], parametrisation="eps")
        arrays, reasons = showcase(context(model))
        assert "round_trip" in arrays and "from_code" not in arrays
        assert list(reasons) == ["from_code"] and "eps" in reasons["from_code"]
        with pytest.raises(Unsupported, match="eps"):
            uses.from_code(model, images(model.data, 2))
