"""Preprocessing: what each view does to a picture, and what none may do."""

from __future__ import annotations

import pytest
import torch
from skimage.restoration import denoise_tv_chambolle
from torch import Tensor

from support.tiny import tiny_pipeline
from visard.attacks.denoising import total_variation
from visard.attacks.purification import backbone_views, purified, through_autoencoder
from visard.attacks.views import AS_IT_IS, VIEWS, blur, crop, flip, shrink
from visard.diffusion.backbone import Backbone


def pictures(count: int = 2, side: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 5, 5, generator=generator) * 1.6 - 0.8
    return torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(-1, 1)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    loaded = Backbone.load(tiny_pipeline(tmp_path_factory.mktemp("model") / "tiny"))
    loaded.freeze()
    return loaded


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_gives_pictures_and_leaves_its_input(name: str) -> None:
    given = pictures()
    before = given.clone()
    shown = VIEWS[name](given)
    assert shown.shape == given.shape
    assert shown.dtype == torch.float32
    assert shown.abs().max() <= 1 + 1e-5
    assert torch.equal(given, before)
    assert torch.equal(shown, VIEWS[name](given))  # the same whenever it is looked at
    assert torch.equal(shown, given) == (name == AS_IT_IS)
    assert (shown - given).abs().mean() < 0.5


def test_flip_blur_crop_and_shrink() -> None:
    given = pictures()
    assert torch.equal(flip(flip(given)), given)
    plain = torch.full((1, 3, 32, 32), 0.3)
    for shown in (blur(plain, 1.0), crop(plain, 0.8), shrink(plain, 0.5), total_variation(plain, 0.1)):
        assert torch.allclose(shown, plain, atol=1e-5)
    noisy = given + 0.2 * torch.randn(given.shape, generator=torch.Generator().manual_seed(1))
    assert (blur(noisy, 2.0) - given).abs().mean() < (noisy - given).abs().mean()


def test_total_variation_agrees_with_another_implementation() -> None:
    """scikit-image minimises |u - g|^2 / 2 + weight TV(u): the same with weight = strength."""
    given = pictures(1)
    noisy = given + 0.1 * torch.randn(given.shape, generator=torch.Generator().manual_seed(2))
    mine = total_variation(noisy, 0.1, iterations=300)[0, :1]
    alone = total_variation(noisy[:, :1], 0.1, iterations=300)[0, 0]
    theirs = denoise_tv_chambolle(noisy[0, 0].numpy().astype("float64"), weight=0.1, eps=0, max_num_iter=300)
    assert torch.allclose(alone, torch.from_numpy(theirs).float(), atol=0.01)
    assert mine.shape == (1, 32, 32)
    assert (total_variation(noisy, 0.1) - given).abs().mean() < (noisy - given).abs().mean()


def test_the_autoencoder_is_a_view(backbone: Backbone) -> None:
    given = pictures(side=backbone.resolution)
    shown = through_autoencoder(given, backbone)
    with torch.no_grad():
        expected = backbone.decode(backbone.encode(given).mean).clamp(-1, 1)
    assert torch.allclose(shown, expected, atol=1e-5)
    assert through_autoencoder(pictures(side=48), backbone).shape[-1] == backbone.resolution


def test_purification_undoes_the_noise_it_adds(backbone: Backbone) -> None:
    """A model that knows the noise that was put in gives the autoencoder's picture back, at any strength."""
    given = pictures(side=backbone.resolution)
    expected = through_autoencoder(given, backbone)
    drawn = torch.randn(backbone.encode(given).mean.shape, generator=torch.Generator().manual_seed(0))

    class Oracle:
        """Knows the noise."""

        schedule, resolution, device = backbone.schedule, backbone.resolution, backbone.device
        encode, decode, embed_text = backbone.encode, backbone.decode, backbone.embed_text

        def predict(self, z: Tensor, t: Tensor, text: object) -> Tensor:
            return drawn

    for strength in (0.1, 0.3):
        assert torch.allclose(purified(given, Oracle(), strength), expected, atol=1e-3)  # type: ignore[arg-type]
    assert set(backbone_views(backbone)) == {"autoencoder", "purified 0.1", "purified 0.2", "purified 0.3"}
    for view in backbone_views(backbone).values():
        assert view(given).shape == given.shape
