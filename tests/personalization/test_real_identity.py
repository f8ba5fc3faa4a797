"""Stage II against real recognisers on a real photograph: the surrogate's similarity falls, and by how much.

What is real: photos, detector, surrogate, held-out judge, and an autoencoder (TAESD for FLUX.2, 32 latent
channels) in the place of a Stable Diffusion VAE. What is not: the denoiser, which predicts no noise, so that
the one-step prediction is the latent with the noise of t < 20 left in it. So the figures say what the
gradient does through a real autoencoder, alignment and recogniser; nothing of pictures a model generates.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from visard.diffusion.backbone import Backbone, Posterior
from visard.diffusion.conditioning import Conditioning
from visard.diffusion.schedule import NoiseSchedule
from visard.faces.recognizer import Recognizer
from visard.faces.scrfd import OnnxNetwork, Scrfd
from visard.faces.weights import load_weights
from visard.images import center_crop, read_image, to_tensor
from visard.personalization.decoupling import Decoupling, Stage
from visard.personalization.identity import IdentityLoss, find_landmarks, prototypes
from visard.personalization.settings import DecouplingSettings
from visard.zoo.folder import load
from visard.zoo.table import find

pytestmark = pytest.mark.real

SIDE = 128
STEPS = 6
CHANNELS = 32
WIDTH = 64


class Squash(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x / 3).tanh() * 3


class Block(nn.Module):
    """Three convolutions beside a shortcut; `pool` is the wide path that the innermost blocks have."""

    def __init__(self, *, wide: bool = False) -> None:
        super().__init__()
        convs = [nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in range(3)]
        self.conv = nn.Sequential(convs[0], nn.ReLU(), convs[1], nn.ReLU(), convs[2])
        self.pool: nn.Module | None = None
        if wide:
            into, back = (
                nn.Conv2d(WIDTH, 4 * WIDTH, 1, bias=False),
                nn.Conv2d(4 * WIDTH, WIDTH, 1, bias=False),
            )
            self.pool = nn.Sequential(into, nn.GroupNorm(4, 4 * WIDTH), nn.ReLU(), back)

    def forward(self, x: Tensor) -> Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        return (self.conv(x) + x).relu()


def encoder() -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(3, WIDTH, 3, padding=1), Block()]
    for level in range(3):
        layers.append(nn.Conv2d(WIDTH, WIDTH, 3, 2, 1, bias=False))
        layers += [Block(wide=level == 2) for _ in range(3)]
    return nn.Sequential(*layers, nn.Conv2d(WIDTH, CHANNELS, 3, padding=1))


def decoder() -> nn.Sequential:
    layers: list[nn.Module] = [Squash(), nn.Conv2d(CHANNELS, WIDTH, 3, padding=1), nn.ReLU()]
    for level in range(3):
        layers += [Block(wide=level == 0) for _ in range(3)]
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False)]
    return nn.Sequential(*layers, Block(), nn.Conv2d(WIDTH, 3, 3, padding=1))


class Autoencoder:
    """A real TAESD, and a denoiser that predicts no noise, where a backbone is asked for."""

    factor = 8
    vae = SimpleNamespace(config=SimpleNamespace(latent_channels=CHANNELS))

    def __init__(self, models: Path) -> None:
        self.encoder, self.decoder = encoder(), decoder()
        for network, name in ((self.encoder, "encoder"), (self.decoder, "decoder")):
            load_weights(network, models / f"taef2_{name}.pth")
            network.eval().requires_grad_(False)
        config = {"_class_name": "DDPMScheduler", "beta_schedule": "scaled_linear", "beta_end": 0.012}
        self.schedule = NoiseSchedule.from_config({**config, "beta_start": 0.00085})

    def encode(self, images: Tensor) -> Posterior:
        mean = self.encoder((images + 1) / 2)
        return Posterior(mean, torch.zeros_like(mean))

    def decode(self, latents: Tensor) -> Tensor:
        picture: Tensor = self.decoder(latents) * 2 - 1
        return picture

    def predict_x0(self, zt: Tensor, t: Tensor, text: Conditioning) -> Tensor:
        return self.schedule.x0(zt, torch.zeros_like(zt), t)


def models_of(real_data: Path) -> tuple[Scrfd, Mapping[str, Recognizer]]:
    models = real_data / "models"
    detector = Scrfd(OnnxNetwork(models / "scrfd_500m_kps.onnx"), sizes=(192,))
    files = {
        "mobilefacenet_y1": "mobilefacenet-y1-128d.safetensors",
        "reidentification_0095": "openvino/face-reidentification-retail-0095.xml",
    }
    return detector, {
        name: cast("Recognizer", load(find(name), models / file)) for name, file in files.items()
    }


def test_stage_two_lowers_the_surrogates_similarity(
    real_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    person = real_data / "photos" / "person-512"
    protected, *others = (
        to_tensor(center_crop(read_image(file), SIDE))[None]
        for file in [*sorted((person / "set_A").iterdir())[:1], *sorted((person / "set_B").iterdir())]
    )
    detector, recognizers = models_of(real_data)
    surrogate = recognizers["mobilefacenet_y1"]
    autoencoder = Autoencoder(real_data / "models")
    with torch.no_grad():
        rebuilt = autoencoder.decode(autoencoder.encode(protected).mean)
    error = float((rebuilt - protected).square().mean())
    assert error < 0.01, "the autoencoder is not read as it was trained"

    clean = torch.cat(others)
    known = dict(
        zip(
            recognizers,
            prototypes(list(recognizers.values()), clean, find_landmarks(detector, clean)),
            strict=True,
        )
    )
    landmarks = find_landmarks(detector, protected)
    settings = DecouplingSettings(t_max=20, rho=0.0)
    decoupling = Decoupling(
        cast("Backbone", autoencoder),
        settings,
        identity=IdentityLoss([surrogate], detector, [known[surrogate.name]]),
        fallback=landmarks,
        autocast=nullcontext,
        generator=torch.Generator().manual_seed(0),
    )
    text = Conditioning(torch.zeros(1, 1, 1))

    def similarity(recognizer: Recognizer, image: Tensor) -> float:
        points = find_landmarks(detector, image)[0]
        assert points is not None
        with torch.no_grad():
            return float(recognizer.embed_faces(image, points[None])[0] @ known[recognizer.name])

    perturbed = protected
    for _ in range(STEPS):
        perturbed, figures = decoupling.step(perturbed, protected, text, Stage.IDENTITY)
        assert figures.found + figures.fallback == 1
    with torch.no_grad():
        after = autoencoder.decode(autoencoder.encode(perturbed).mean).clamp(-1, 1)
    rows = {
        each.name: [similarity(each, image) for image in (protected, rebuilt.clamp(-1, 1), perturbed, after)]
        for each in recognizers.values()
    }
    with capsys.disabled():
        largest = float((perturbed - protected).abs().max())
        print(f"\n1 photo, {STEPS} steps of Stage II, change at most {largest:.3f} of [-1, 1], no denoiser:")
        print(f"reconstruction error {error:.5f}; similarity to the prototype of {len(others)} other photos")
        for name, (photo, picture, photo_after, picture_after) in rows.items():
            role = "surrogate" if name == surrogate.name else "held out"
            print(f"  {name} ({role}): photo {photo:.3f} -> {photo_after:.3f}, ", end="")
            print(f"through the autoencoder {picture:.3f} -> {picture_after:.3f}")
    assert float((perturbed - protected).abs().max()) <= settings.radius + 1e-5
    _, before, _, lowered = rows[surrogate.name]
    assert lowered < before - 0.2
