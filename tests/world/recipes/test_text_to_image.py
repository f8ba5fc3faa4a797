"""From rendered sets to a model folder: autoencoder, decoder, UNet and text encoder, a step each."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from support.blobs import save, stand_in
from visard.diffusion.backbone import Backbone
from visard.errors import ModelError
from visard.world.recipes import Job, build
from visard.world.recipes.autoencoder import FOLDER
from visard.world.recipes.text_to_image import IDENTIFIER_LENGTH, draw_timesteps


@pytest.fixture
def job(tmp_path: Path) -> Job:
    for first, split in enumerate(("base", "regressor")):
        save(stand_in(3, 3, first=10 * first), tmp_path / "data" / split)
    return Job(tmp_path / "data", tmp_path / "models", steps=1)


def test_three_recipes_make_a_model_folder(job: Job) -> None:
    build("autoencoder", job)
    build("decoder", job)
    scores = build("text-to-image", job)
    backbone = Backbone.load(job.out / FOLDER)
    backbone.freeze()
    assert backbone.resolution == 128
    assert backbone.schedule.prediction_type == "v_prediction"
    assert backbone.vae.config.scaling_factor != 0.18215  # measured, not copied
    assert scores["validation error"] > 0
    assert (job.out / FOLDER / "unet.md").exists()
    table = backbone.text_encoder.get_input_embeddings().weight
    length = table[backbone.tokenizer("sks").input_ids[1]].norm()
    assert float(length) == pytest.approx(IDENTIFIER_LENGTH, rel=1e-2)


def test_the_whole_model_begins_with_an_earlier_generation(job: Job) -> None:
    build("autoencoder", job)
    build("text-to-image", job)
    again = replace(job, out=job.out.parent / "again", start=job.out, steps=None, minutes=0)
    build("autoencoder", again)
    build("text-to-image", again)
    before, after = (Backbone.load(each.out / FOLDER) for each in (job, again))
    for part, network in before.networks.items():
        later = after.networks[part].state_dict()
        assert all(torch.equal(tensor, later[name]) for name, tensor in network.state_dict().items()), part


def test_the_autoencoder_comes_first(job: Job) -> None:
    with pytest.raises(ModelError, match="autoencoder"):
        build("text-to-image", job)


def test_every_timestep_is_drawn_and_those_in_the_middle_more_often() -> None:
    drawn = draw_timesteps(100_000, 1000, torch.Generator().manual_seed(0))
    counts = torch.bincount(drawn, minlength=1000).reshape(10, 100).sum(1) / 10_000
    assert drawn.min() == 0
    assert drawn.max() == 999
    assert counts.min() > 0.5  # the noisiest tenth, where colours are decided, and the cleanest
    assert counts[4:6].min() > 1.2
