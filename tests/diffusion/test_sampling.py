from __future__ import annotations

import pytest
import torch

from visard.diffusion.sampling import generate, picture_generator
from visard.diffusion.schedulers import SCHEDULERS
from visard.errors import InputError

PROMPT = "a photo of sks person"


def test_pictures_are_pictures(backbone):
    pictures = generate(backbone, PROMPT, 3, seed=0, steps=3)
    assert pictures.shape == (3, 3, 32, 32)
    assert pictures.dtype == torch.float32
    assert bool((pictures.abs() <= 1).all())
    assert bool(pictures.isfinite().all())


def test_a_seed_is_a_picture(tiny):
    first, again, other = (generate(tiny, PROMPT, 2, seed=seed, steps=2) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=0.01)
    assert not torch.allclose(first[0], first[1], atol=0.01)
    assert not torch.allclose(first[1], other[0], atol=0.01)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_pictures_do_not_depend_on_how_they_are_batched(tiny, scheduler):
    together = generate(tiny, PROMPT, 5, seed=1, steps=3, batch=5, scheduler=scheduler)
    in_twos = generate(tiny, PROMPT, 5, seed=1, steps=3, batch=2, scheduler=scheduler)
    last_two = generate(tiny, PROMPT, 2, seed=1, steps=3, first=3, scheduler=scheduler)
    torch.testing.assert_close(in_twos, together, rtol=0, atol=1e-4)
    torch.testing.assert_close(last_two, together[3:], rtol=0, atol=1e-4)


def test_generators_differ_in_seed_and_in_index():
    draws = {
        (seed, index): torch.rand(1, generator=picture_generator(seed, index)).item()
        for seed in range(10)
        for index in range(10)
    }
    assert len(set(draws.values())) == 100


def test_prompt_guidance_and_negative_prompt_reach_the_model(tiny):
    plain = generate(tiny, PROMPT, 1, seed=0, steps=2, guidance=1)
    assert not torch.equal(plain, generate(tiny, PROMPT, 1, seed=0, steps=2, guidance=5))
    assert not torch.equal(plain, generate(tiny, "a hat", 1, seed=0, steps=2, guidance=1))
    against = generate(tiny, PROMPT, 1, seed=0, steps=2, guidance=5, negative_prompt="a hat")
    assert not torch.equal(against, generate(tiny, PROMPT, 1, seed=0, steps=2, guidance=5))
    # Guided away from itself, a prompt is as if there were no guidance.
    same = generate(tiny, PROMPT, 1, seed=0, steps=2, guidance=5, negative_prompt=PROMPT)
    torch.testing.assert_close(same, plain, rtol=0, atol=1e-4)


def test_progress_counts_every_step_of_every_picture(tiny):
    calls: list[tuple[str, int, int]] = []
    generate(tiny, PROMPT, 3, seed=0, steps=2, batch=2, progress=lambda *call, **figures: calls.append(call))
    assert calls == [("sampling", done, 6) for done in (2, 4, 5, 6)]


def test_no_pictures_is_an_empty_batch(tiny):
    assert generate(tiny, PROMPT, 0, seed=0).shape == (0, 3, 32, 32)


def test_unknown_samplers_are_refused_with_the_known_ones(tiny):
    with pytest.raises(InputError, match="dpm"):
        generate(tiny, PROMPT, 1, seed=0, scheduler="magic")


def test_sampling_leaves_the_global_generator_alone(tiny):
    before = torch.get_rng_state()
    generate(tiny, PROMPT, 2, seed=0, steps=2, scheduler="euler-a")
    assert torch.equal(torch.get_rng_state(), before)
