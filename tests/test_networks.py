"""Networks: shapes, explicit initialisation, and that conditions have an effect."""

import pytest
import torch

from paramrel.networks import Decoder, Encoder, UNet, initialise, n_parameters, time_embedding
from paramrel.rng import Rng
from paramrel.settings import Network
from tests.conftest import TINY_NETWORK

RNG = Rng((0,))


def built(network):
    initialise(network, RNG)
    return network.eval()


@pytest.mark.parametrize("side", [(8, 8), (28, 28), (7, 13)])
def test_shapes_for_odd_and_even_sides(side):
    x, u, z = RNG.normal("x", (3, 2, *side)), RNG.uniform("u", (3,)), RNG.normal("z", (3, 8))
    assert built(UNet(2, 5, TINY_NETWORK))(x, u, z).shape == (3, 5, *side)
    assert built(Encoder(2, 6, side, TINY_NETWORK, time=True))(x, u).shape == (3, 6)
    assert built(Decoder(2, side, TINY_NETWORK))(z).shape == (3, 2, *side)


def test_initial_weights_come_from_the_stream_alone():
    first = built(UNet(1, 1, TINY_NETWORK)).state_dict()
    torch.manual_seed(123)
    second = built(UNet(1, 1, TINY_NETWORK)).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = UNet(1, 1, TINY_NETWORK)
    initialise(other, Rng((1,)))
    assert any(not torch.equal(first[name], tensor) for name, tensor in other.state_dict().items())


def test_time_and_latent_change_what_the_unet_computes():
    net = built(UNet(1, 1, TINY_NETWORK))
    torch.nn.init.normal_(net.out.weight, generator=torch.Generator().manual_seed(0))
    x, u, z = RNG.normal("x", (4, 1, 8, 8)), RNG.uniform("u", (4,)), RNG.normal("z", (4, 8))
    base = net(x, u, z)
    for changed in (net(x, 1 - u, z), net(x, u, -z)):
        assert (changed - base).square().mean() > 1e-3 * base.square().mean()


def test_a_vanilla_encoder_ignores_time_and_a_progressive_one_does_not():
    x, u = RNG.normal("x", (4, 1, 8, 8)), RNG.uniform("u", (4,))
    vanilla = built(Encoder(1, 6, (8, 8), TINY_NETWORK, time=False))
    progressive = built(Encoder(1, 6, (8, 8), TINY_NETWORK, time=True))
    assert torch.equal(vanilla(x, u), vanilla(x, 1 - u))
    assert not torch.allclose(progressive(x, u), progressive(x, 1 - u), atol=1e-4)


def test_the_unet_starts_at_output_zero():
    x, u, z = RNG.normal("x", (2, 1, 8, 8)), RNG.uniform("u", (2,)), RNG.normal("z", (2, 8))
    assert torch.equal(built(UNet(1, 1, TINY_NETWORK))(x, u, z), torch.zeros(2, 1, 8, 8))


def test_time_embedding_separates_nearby_times():
    embedded = time_embedding(torch.tensor([0.5, 0.5, 0.51]), 16)
    assert torch.equal(embedded[0], embedded[1])
    assert (embedded[0] - embedded[2]).norm() > 0.1


def test_every_parameter_can_learn():
    net = UNet(1, 1, TINY_NETWORK)
    initialise(net, RNG)
    torch.nn.init.ones_(net.out.weight)
    net(RNG.normal("x", (2, 1, 8, 8)), RNG.uniform("u", (2,)), RNG.normal("z", (2, 8))).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_groups_that_do_not_divide_are_named():
    with pytest.raises(ValueError, match="groups=8 does not divide the 12 channels"):
        Network(channels=12, groups=8)


def test_parameter_count_of_the_quick_preset_is_that_of_the_prototypes():
    net = Network(channels=16, multipliers=(1, 2, 4), blocks=1, groups=8, latent_dim=32)
    total = n_parameters(Encoder(1, 64, (8, 8), net, time=True)) + n_parameters(UNet(1, 1, net))
    assert 0.8e6 < total < 1.0e6


def with_head(**changed):
    return Network(**TINY_NETWORK.model_dump() | {"head_channels": 3} | changed)


@pytest.mark.parametrize("unshuffle", [1, 2, 4])
def test_a_head_keeps_the_shape_and_the_u_net_still_starts_at_0(unshuffle):
    net = with_head(unshuffle=unshuffle)
    x, u, z = RNG.normal("x", (3, 2, 8, 12)), RNG.uniform("u", (3,)), RNG.normal("z", (3, 8))
    assert torch.equal(built(UNet(2, 5, net))(x, u, z), torch.zeros(3, 5, 8, 12))
    decoded = built(Decoder(2, (8, 12), net))(z)
    assert decoded.shape == x.shape and decoded.std() > 0


def test_a_head_sees_single_pixels_beside_the_squares():
    """Pixels of a square are one position of the trunk: its output is cut off here, and the head still tells them
    apart."""
    unet = built(UNet(1, 1, with_head(unshuffle=4)))
    torch.nn.init.ones_(unet.head.conv_out.weight)
    torch.nn.init.zeros_(unet.out.weight)
    x, u, z = torch.zeros(1, 1, 8, 8), torch.zeros(1), torch.zeros(1, 8)
    changed = x.clone()
    changed[0, 0, 3, 3] = 1
    difference = (unet(changed, u, z) - unet(x, u, z)).detach()[0, 0] != 0
    near = torch.zeros(8, 8, dtype=torch.bool)
    near[1:6, 1:6] = True
    assert difference[near].any() and not difference[~near].any()


def test_every_parameter_under_a_head_can_learn():
    net = UNet(1, 1, with_head(unshuffle=2))
    initialise(net, RNG)
    torch.nn.init.ones_(net.head.conv_out.weight)
    net(RNG.normal("x", (2, 1, 8, 8)), RNG.uniform("u", (2,)), RNG.normal("z", (2, 8))).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_a_head_of_no_channels_is_no_head():
    assert UNet(1, 1, with_head(head_channels=0)).state_dict().keys() == UNet(1, 1, TINY_NETWORK).state_dict().keys()
    with pytest.raises(ValueError, match="head_channels"):
        Network(head_channels=-1)
