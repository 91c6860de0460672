"""Metrics of images: by hand, by identity, and at their edges."""

import numpy as np
import pytest

from metrics import metric
from metrics.reconstruction import ssim
from paramrel.errors import Unsupported, UserError


def images(n: int = 6, side: int = 16, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, channels, side, side))


def test_errors_by_hand():
    x = images()
    case = {"x_test": 0.9 * x, "reconstructed": 0.9 * x + 0.1}
    assert metric("mse")(case).value == pytest.approx(0.01) and metric("psnr")(case).value == pytest.approx(20)
    other = case | {"reconstructed_permuted": 1 - case["x_test"]}
    assert metric("mse_permuted")(other).value == pytest.approx(np.square(1 - 2 * case["x_test"]).mean())
    bits = np.zeros((2, 1, 4, 4), np.uint8)
    wrong = bits.copy()
    wrong[0, 0, 0] = 1
    assert metric("bit_error")({"x_test": bits, "reconstructed": wrong, "binary": np.array(True)}).value == 4 / 32
    with pytest.raises(Unsupported, match="PSNR is infinite"):
        metric("psnr")({"x_test": x, "reconstructed": x})
    for name in ("mse", "ssim", "notblur"):
        with pytest.raises(UserError, match=r"x_test must be \(M, C, H, W\) with M = 6, C = 3, H = 15"):
            metric(name)({"x_test": x, "reconstructed": x[:, :, 1:]})


def test_ssim_is_1_on_copies_symmetric_and_the_luminance_term_on_constant_images():
    a, b = images(seed=0), images(seed=1)
    assert ssim(a, a) == pytest.approx(1) and ssim(a, b) == pytest.approx(ssim(b, a)) and (ssim(a, b) < 0.2).all()
    flat = np.full((1, 1, 12, 12), 0.2), np.full((1, 1, 12, 12), 0.6)
    assert ssim(*flat)[0] == pytest.approx((2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4))
    assert ssim(a, 1 - a).mean() < 0


@pytest.mark.parametrize(("side", "window"), [(8, 7), (13, 11)])
def test_ssim_is_its_definition_at_every_position(side, window):
    a, b = images(1, side, 1, seed=0), images(1, side, 1, seed=1)
    offsets = np.arange(window) - window // 2
    weights = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    values = []
    for i in range(side - window + 1):
        for j in range(side - window + 1):
            p, q = (image[0, 0, i : i + window, j : j + window] for image in (a, b))
            mp, mq = (weights * p).sum(), (weights * q).sum()
            vp, vq, cov = (
                (weights * (u - mu) * (v - mv)).sum()
                for u, mu, v, mv in ((p, mp, p, mp), (q, mq, q, mq), (p, mp, q, mq))
            )
            values.append((2 * mp * mq + 1e-4) * (2 * cov + 9e-4) / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4)))
    assert ssim(a, b)[0] == pytest.approx(np.mean(values), abs=1e-12)


def test_notblur_sees_blur_noise_and_copies():
    rng = np.random.default_rng(0)
    x = (rng.random((10, 1, 16, 16)) > 0.5).astype(float)
    blurred = (x + np.roll(x, 1, 2) + np.roll(x, 1, 3) + np.roll(x, (1, 1), (2, 3))) / 4
    copy = metric("notblur")({"x_test": x, "reconstructed": x})
    assert copy.value == 1 and copy.note == "not blurred" and copy.extra["tick"] is True
    soft = metric("notblur")({"x_test": x, "reconstructed": blurred})
    assert soft.value < 0.2 and soft.note == "blurred" and soft.extra["tick"] is False
    noisy = metric("notblur_from_code")({"x_test": blurred, "decoded": x})
    assert noisy.value > 2 and noisy.note == "noisy"
    half = metric("notblur")({"x_test": x, "reconstructed": 0.5 * x})
    assert half.value == pytest.approx(0.25), "the variance goes with the square of the contrast"
    flat = x.copy()
    flat[:3] = 0.5
    value = metric("notblur")({"x_test": flat, "reconstructed": x})
    assert value.n == 7 and "3 sources without an edge left out" in value.note
    with pytest.raises(Unsupported, match="no source image has an edge"):
        metric("notblur")({"x_test": np.zeros_like(x), "reconstructed": x})


def test_smoothness_of_a_fade_and_of_a_jump():
    a, b = images(4, seed=0), images(4, seed=1)
    weights = np.linspace(0, 1, 11)[None, :, None, None, None]
    fade = (1 - weights) * a[:, None] + weights * b[:, None]
    jump = np.where(weights < 0.5, a[:, None], b[:, None])
    distance = np.sqrt(np.square(a - b).mean((1, 2, 3))).mean()
    for interpolated, mean, largest in ((fade, distance / 10, distance / 10), (jump, distance / 10, distance)):
        assert metric("smoothness")({"interpolated": interpolated}).value == pytest.approx(mean)
        assert metric("smoothness_max")({"interpolated": interpolated}).value == pytest.approx(largest)
    with pytest.raises(UserError, match="F >= 2"):
        metric("smoothness")({"interpolated": fade[:, :1]})
