"""The autoencoder's recipe: colours pass from the first step, and the loss counts what it says."""

import torch
from diffusers import AutoencoderKL

from visard.diffusion.blueprints import BLUEPRINTS
from visard.world.recipes.autoencoder import FACE_WEIGHT, face_mask, reconstruction_loss, start_as_passage


def test_colours_pass_before_anything_is_learnt() -> None:
    torch.manual_seed(0)
    cells = torch.rand(8, 3, 2, 2) * 1.6 - 0.8
    pictures = cells.repeat_interleave(32, 2).repeat_interleave(32, 3)
    correlations = []
    for prepare in (lambda vae: None, start_as_passage):
        vae = AutoencoderKL(**BLUEPRINTS["micro"].vae)
        prepare(vae)
        with torch.no_grad():
            outputs = vae.decode(vae.encode(pictures).latent_dist.mean).sample
        means = torch.stack([pictures.mean((2, 3)).flatten(), outputs.mean((2, 3)).flatten()])
        correlations.append(float(torch.corrcoef(means)[0, 1]))
    assert correlations[1] > 0.4 > correlations[0]


def test_the_posterior_begins_narrow() -> None:
    vae = AutoencoderKL(**BLUEPRINTS["micro"].vae)
    start_as_passage(vae)
    with torch.no_grad():
        posterior = vae.encode(torch.rand(1, 3, 32, 32)).latent_dist
    assert float(posterior.std.median()) < 0.3


def test_face_mask_is_one_inside_the_box_alone() -> None:
    mask = face_mask(torch.tensor([[2.0, 1.0, 5.0, 3.0]]), 8)
    assert mask.shape == (1, 1, 8, 8)
    assert float(mask.sum()) == 4 * 3
    assert float(mask[0, 0, 1, 2]) == float(mask[0, 0, 3, 5]) == 1.0


def test_a_wrong_face_costs_more_than_a_wrong_wall() -> None:
    pictures = torch.zeros(1, 3, 8, 8)
    weight = 1 + (FACE_WEIGHT - 1) * face_mask(torch.tensor([[0.0, 0.0, 3.0, 7.0]]), 8)
    face, wall = pictures.clone(), pictures.clone()
    face[..., 1] = 0.5
    wall[..., 6] = 0.5
    costs = [float(reconstruction_loss(output, pictures, weight)[0]) for output in (face, wall)]
    assert costs[0] > 1.5 * costs[1] > 0
    assert float(reconstruction_loss(pictures, pictures, weight)[0]) == 0
