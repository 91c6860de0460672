"""The round trip image, (code, subcode), image: the algebra on untrained networks, and the numbers on trained ones."""

import pytest
import torch

from paramrel.data import dataset
from paramrel.flows import ContinuousFlow
from paramrel.rng import Rng
from paramrel.sampling import integrate
from paramrel.settings import Runtime
from paramrel.training import train
from suite.graph.cells import find
from suite.graph.config import load, resolve
from tests.conftest import ROOT
from tests.toys import BinnedDigits, build, images

RNG = Rng((0, "round trip"))
DATA = {
    "paramrel_d": dataset("digits_binarized"),
    "paramrel_c": dataset("digits"),
    "paramrel_discretised": BinnedDigits(),
}


@pytest.mark.parametrize("name", DATA)
class TestUntrained:
    @pytest.fixture
    def model(self, name):
        with torch.no_grad():
            yield build(name, DATA[name])

    def test_every_pixel_of_the_start_reads_as_the_image(self, model):
        if model.data.binary:
            pytest.skip("untrained, a discrete decoder reads nothing from theta")
        x = images(model.data, 32)
        z = model.encode(x).mean
        v = model.round_trip.start(x, z, RNG)
        assert torch.equal(model.flow.to_images(model.round_trip.read(v, z)), x)

    def test_only_noise_that_misleads_is_drawn_again(self, model):
        if model.data.binary:
            pytest.skip("untrained, a discrete decoder reads nothing from theta")
        x, one = images(model.data, 32), torch.ones(32)
        z, flow = model.encode(x).mean, model.flow
        first = flow.to_v(flow.mean_state(flow.to_flow(x), one), one) + RNG.normal("v", (32, *model.subcode_shape))
        kept = model.round_trip.start(x, z, RNG) == first
        assert kept.float().mean() > 0.9
        if not kept.all():
            assert (flow.to_images(model.round_trip.read(first, z)) != x)[~kept].any()

    def test_the_steps_of_render_are_undone(self, model):
        x, kappa = images(model.data, 4), model.flow.kappa(torch.ones(1))
        z = model.encode(x).mean
        start = model.round_trip.start(x, z, RNG)
        back = integrate(model.flow, model._output, model.invert(x, z, RNG, 10), z, 0.0, 1.0, 10)
        plain = integrate(model.flow, model._output, start, z, 1.0, 0.0, 10)
        plain = integrate(model.flow, model._output, plain, z, 0.0, 1.0, 10)
        error, plain_error = ((end - start).div(kappa).square().mean().sqrt() for end in (back, plain))
        assert error < 0.01 and error < plain_error / 3

    def test_the_subcode_is_of_the_stream_alone(self, model):
        x = images(model.data, 4)
        z = model.encode(x).mean
        first, second, other = (model.invert(x, z, Rng((key,)), 3) for key in (1, 1, 2))
        assert torch.equal(first, second) and not torch.equal(first, other)

    def test_rendered_images_have_the_values_of_the_data(self, model):
        z, subcode = RNG.normal("z", (4, 8)), RNG.normal("subcode", (4, *model.subcode_shape))
        assert torch.isin(model.render(z, subcode, 3), torch.as_tensor(model.data.centres).float()).all()


def test_a_flow_resolves_bins_that_are_wider_than_its_noise():
    values = tuple(k / 16 for k in range(17))
    assert ContinuousFlow(1e-3**0.5, values).resolves  # half a bin is .0625 in [-1, 1], the noise .0316
    assert not ContinuousFlow(0.1, values).resolves


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """ParamReL of a preset of params.yaml, trained as there, and 64 held-out images."""

    def make(preset: str, data: str, name: str):
        cell = find(resolve(load(ROOT / "params.yaml"), preset), data, name, "ahead", 0)
        folder, model = tmp_path_factory.mktemp(name), cell.build()
        train(model, dataset(data), 0, cell.train, Runtime(device="cpu", threads=1), folder / "run", folder / "state")
        return model.eval(), images(dataset(data), 64)

    return make


@pytest.mark.slow
@torch.no_grad()
def test_discrete_data_return_bit_by_bit(trained):
    with torch.enable_grad():
        model, x = trained("quick", "digits_binarized", "paramrel_d")
    z = model.encode(x).mean
    subcode = model.invert(x, z, RNG, 20)
    assert torch.equal(model.render(z, subcode, 20), x)
    assert 0.9 < subcode.std() < 1.1
    start = model.round_trip.start(x, z, RNG)
    subcode = integrate(model.flow, model._output, start, z, 1.0, 0.0, 20, "euler", fixed_point=5)
    end = integrate(model.flow, model._output, subcode, z, 0.0, 1.0, 20, "euler")
    assert torch.equal(model.flow.to_images(model.round_trip.read(end, z)), x)
    assert 0.9 < subcode.std() < 1.1


@pytest.mark.slow
@torch.no_grad()
def test_grey_data_return_within_1e_4(trained):
    with torch.enable_grad():
        model, x = trained("grey", "digits", "paramrel_c")
    z = model.encode(x).mean
    subcode = model.invert(x, z, RNG, 20)
    assert (model.render(z, subcode, 20) - x).square().mean() < 1e-4
    assert 0.9 < subcode.std() < 1.1
