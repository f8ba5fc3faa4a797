import math
from pathlib import Path
from statistics import mean, stdev

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.image.fid import FrechetInceptionDistance

from support.kits import write_brisque
from visard.errors import ModelError
from visard.metrics import METRICS
from visard.metrics.attributes import attribute_agreement, mean_agreement, self_agreement
from visard.metrics.brisque import BrisqueModel, brisque, brisque_features, fit_aggd, fit_ggd, mscn
from visard.metrics.frechet import ENOUGH, fid, frechet, kid, kid_between_people
from visard.metrics.naturalness import naturalness_distance


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Given(torch.nn.Module):
    num_features = 5

    def forward(self, features: Tensor) -> Tensor:
        return features


def test_fid_of_identical_sets_is_zero_also_below_full_rank() -> None:
    for count in (4, 300):
        features = torch.randn(count, 16, generator=generator())
        assert fid(features, features) == pytest.approx(0.0, abs=1e-8)


def test_fid_of_known_gaussians_has_the_closed_form() -> None:
    # Same correlation, scaled: tr(S + 4S - 2 * 2S) = tr S. Whitened so that the sample moments are exact.
    white = torch.randn(500, 5, generator=generator()).double()
    white = white - white.mean(0)
    white = white @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(white.T))).T
    shift = torch.tensor([1.0, 2.0, 0.0, 0.0, 0.0]).double()
    spread = torch.tensor([1.0, 2.0, 3.0, 0.5, 1.0]).double()
    assert fid(white * spread, 2 * white * spread + shift) == pytest.approx(
        float(spread.square().sum()) + 5.0
    )


def test_fid_agrees_with_torchmetrics() -> None:
    x, y = torch.randn(200, 5, generator=generator()), 1.5 * torch.randn(150, 5, generator=generator(1)) + 0.3
    metric = FrechetInceptionDistance(feature=Given())
    metric.update(x.double(), real=False)
    metric.update(y.double(), real=True)
    assert fid(x, y) == pytest.approx(float(metric.compute()), rel=1e-5)


def test_kid_is_unbiased_and_sees_a_difference() -> None:
    values, moved = [], []
    for seed in range(40):
        x, y = torch.randn(2, 60, 8, generator=generator(seed))
        values.append(kid(x, y))
        moved.append(kid(x, y + 1))
    assert abs(mean(values)) < 3 * stdev(values) / 40**0.5
    assert min(moved) > 0.5


def test_kid_between_people_is_unbiased_where_both_sets_show_the_same_people() -> None:
    """Twelve people, four pictures each: one distribution, seen twice; then the second set moves."""
    whose, values, naive, moved = torch.arange(12).repeat_interleave(4), [], [], []
    for seed in range(40):
        draw = generator(seed)
        people = torch.randn(12, 8, generator=draw).repeat_interleave(4, 0)
        x, y = (people + 0.3 * torch.randn(48, 8, generator=draw) for _ in range(2))
        values.append(kid_between_people(x, y, whose, whose))
        naive.append(kid(x, y))
        moved.append(kid_between_people(x, y + 1, whose, whose))
    assert abs(mean(values)) < 3 * stdev(values) / 40**0.5
    assert mean(naive) < -3 * stdev(naive) / 40**0.5
    assert mean(moved) > 0.5
    assert math.isnan(kid_between_people(x, y, torch.zeros(48), torch.zeros(48)))


def test_small_sets_say_so() -> None:
    x, one = torch.randn(10, 4, generator=generator()), torch.zeros(10).long()
    assert "biased" in frechet(x, x, "toy", one, one).note
    assert math.isnan(frechet(x[:1], x, "toy", one[:1], one).fid)
    many, whose = torch.randn(ENOUGH, 4, generator=generator()), torch.zeros(ENOUGH).long()
    assert frechet(many, many, "toy", whose, whose).note == ""


def test_kid_of_several_people_is_between_them_and_has_an_interval() -> None:
    whose = torch.arange(6).repeat_interleave(4)
    x, y = torch.randn(2, 24, 8, generator=generator())
    found = frechet(x, y, "toy", whose, whose)
    assert found.kid == pytest.approx(kid_between_people(x, y, whose, whose))
    assert found.kid_interval[0] < found.kid < found.kid_interval[1]
    one = frechet(x[:4], y[:4], "toy", whose[:4], whose[:4])
    assert one.kid == pytest.approx(kid(x[:4], y[:4]))
    assert math.isnan(one.kid_interval[0])  # of one person there is nothing to leave out


def natural(count: int = 1, seed: int = 0, side: int = 96) -> Tensor:
    """Pictures with a 1/f spectrum, as photos have."""
    noise = torch.randn(count, 3, side, side, generator=generator(seed))
    fy, fx = torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None]
    falling = 1 / (fy**2 + fx**2).sqrt().clamp(min=1 / side)
    field = torch.fft.irfft2(torch.fft.rfft2(noise) * falling, s=(side, side))
    return (0.35 * field / field.std((2, 3), keepdim=True)).clamp(-1, 1)


@pytest.mark.parametrize("level", [-1.0, 0.0, 0.3, 1.0])
def test_features_of_a_flat_picture_are_finite(level: float) -> None:
    features = brisque_features(torch.full((1, 3, 32, 32), level))
    assert features.shape == (1, 36)
    assert features.isfinite().all()


def test_features_follow_noise_and_blur() -> None:
    picture = natural()
    kernel = torch.ones(3, 1, 3, 3) / 9
    blurred, noisy = [picture], [picture]
    for step in range(3):
        blurred.append(F.conv2d(F.pad(blurred[-1], (1, 1, 1, 1), mode="reflect"), kernel, groups=3))
        noisy.append(picture + 0.08 * (step + 1) * torch.randn(picture.shape, generator=generator(step)))
    variance = [[float(brisque_features(x)[0, 1]) for x in series] for series in (blurred, noisy)]
    assert variance[0] == sorted(variance[0], reverse=True)
    assert variance[1] == sorted(variance[1])
    far = naturalness_distance(torch.cat([picture, noisy[1], noisy[3], blurred[3]]), natural(30, seed=7))
    assert far[0] < far[1] < far[2]
    assert far[0] < far[3]


@pytest.mark.parametrize("shape", [1.0, 2.0])
def test_shape_of_a_known_distribution_is_recovered(shape: float) -> None:
    source = generator(3)
    size = torch.randn(1, 200_000, generator=source).abs().double()
    if shape == 1.0:  # Laplace
        size = torch.empty(1, 200_000, dtype=torch.float64).exponential_(1.0, generator=source)
    side = torch.rand(size.shape, generator=source, dtype=torch.float64)
    even = torch.where(side < 0.5, -size, size)
    found, variance = fit_ggd(even)
    assert float(found) == pytest.approx(shape, rel=0.03)
    assert float(variance) == pytest.approx(float(even.var()), rel=0.01)
    lopsided = torch.where(side < 1 / 3, -size, 2 * size)  # twice as wide on the right, and as often there
    found, mean, left, right = fit_aggd(lopsided)
    assert float(found) == pytest.approx(shape, rel=0.03)
    assert float(right / left) == pytest.approx(4.0, rel=0.05)
    assert float(mean) == pytest.approx(float(lopsided.mean()), rel=0.05)


def test_coefficients_are_centred_and_of_unit_scale() -> None:
    coefficients = mscn(((natural() + 1) * 127.5).mean(1, keepdim=True).double())
    assert abs(float(coefficients.mean())) < 0.05
    assert 0.3 < float(coefficients.std()) < 1.1


def test_model_file_is_read_and_scored(tmp_path: Path) -> None:
    model, ranges = write_brisque(tmp_path)
    loaded = BrisqueModel.load(model, ranges)
    features = torch.ones(1, 36, dtype=torch.float64)  # scaled: all zero
    expected = 2 * math.exp(-0.5 * 2) - math.exp(-0.5 * 0.25) + 10
    assert float(loaded.score(features)) == pytest.approx(expected)
    picture = natural(2)
    assert torch.equal(brisque(picture, loaded), loaded.score(brisque_features(picture)))
    model.write_text("not a model")
    with pytest.raises(ModelError, match="allmodel"):
        BrisqueModel.load(model, ranges)


def test_attributes_agree_with_the_person() -> None:
    photos = {
        "glasses": torch.tensor([[1.0, 0.0], [1.0, 0.0]]),
        "hair": torch.tensor([[0.2, 0.8], [0.4, 0.6]]),
    }
    same = attribute_agreement(photos, photos)
    assert same["glasses"] == 1.0
    assert attribute_agreement({"glasses": torch.tensor([[0.0, 1.0]])}, photos) == {"glasses": 0.0}
    assert self_agreement(photos)["hair"] == pytest.approx(0.8)
    assert mean_agreement(same) == pytest.approx((1 + same["hair"]) / 2)


def test_every_metric_says_what_it_is() -> None:
    for name, row in METRICS.items():
        assert row.name == name
        assert row.low < row.high
        assert row.measure.__doc__
