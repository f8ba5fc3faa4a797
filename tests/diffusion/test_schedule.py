from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler

from visard.diffusion.blueprints import SCHEDULER
from visard.diffusion.schedule import NoiseSchedule
from visard.errors import ModelError

T = torch.tensor([0, 1, 250, 999])


def schedule(prediction_type: str) -> NoiseSchedule:
    return NoiseSchedule.from_config({**SCHEDULER, "prediction_type": prediction_type})


@pytest.fixture
def latents() -> torch.Tensor:
    return torch.randn(4, 4, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def noise() -> torch.Tensor:
    return torch.randn(4, 4, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_true_output_recovers_latents_and_noise(prediction_type, latents, noise):
    s = schedule(prediction_type)
    zt = s.add_noise(latents, noise, T)
    output = s.target(latents, noise, T)
    torch.testing.assert_close(s.x0(zt, output, T), latents, rtol=0, atol=1e-12)
    torch.testing.assert_close(s.noise(zt, output, T), noise, rtol=0, atol=1e-12)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_agrees_with_diffusers(prediction_type, latents, noise):
    s = schedule(prediction_type)
    reference = DDPMScheduler.from_config({**SCHEDULER, "prediction_type": prediction_type})
    z0, eps = latents.float(), noise.float()
    zt = s.add_noise(z0, eps, T)
    torch.testing.assert_close(zt, reference.add_noise(z0, eps, T))
    if prediction_type == "v_prediction":
        torch.testing.assert_close(s.target(z0, eps, T), reference.get_velocity(z0, eps, T))
    for row, t in enumerate(T):
        expected = reference.step(eps[row], int(t), zt[row], generator=torch.Generator()).pred_original_sample
        torch.testing.assert_close(s.x0(zt[row], eps[row], t), expected, rtol=1e-4, atol=1e-4)


def test_both_parameterisations_of_one_guess_give_one_x0(latents, noise):
    epsilon, velocity = schedule("epsilon"), schedule("v_prediction")
    zt = epsilon.add_noise(latents, noise, T)
    guess = velocity.target(latents + 0.1, noise - 0.2, T)
    as_noise = velocity.noise(zt, guess, T)
    torch.testing.assert_close(epsilon.x0(zt, as_noise, T), velocity.x0(zt, guess, T))


def test_half_precision_output_is_not_amplified_in_half_precision(latents, noise):
    s = schedule("epsilon")
    zt = s.add_noise(latents.float(), noise.float(), T).bfloat16()
    x0 = s.x0(zt, noise.bfloat16(), T)
    assert x0.dtype == torch.float32


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({**SCHEDULER, "prediction_type": "sample"}, "predicts 'sample'"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler"}, "flow-matching"),
        ({**SCHEDULER, "prediction_type": "epsilon", "rescale_betas_zero_snr": True}, "pure noise"),
    ],
)
def test_schedules_that_cannot_work_are_refused(config, reason):
    with pytest.raises(ModelError, match=reason):
        NoiseSchedule.from_config(config)
