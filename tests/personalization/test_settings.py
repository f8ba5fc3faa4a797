"""Settings: the paper's defaults, the dial, presets, and errors that name the setting."""

from __future__ import annotations

from typing import Any

import pytest

from visard.errors import InputError
from visard.personalization.settings import (
    DecouplingSettings,
    FineTuningSettings,
    LoraSettings,
    PersonalizationSettings,
    PreviewSettings,
    PriorSettings,
    PromptSettings,
)
from visard.settings import from_toml, to_toml


def test_defaults_are_the_papers() -> None:
    settings = PersonalizationSettings()
    decoupling, tuning = settings.decoupling, settings.fine_tuning
    assert (decoupling.rounds, decoupling.pgd_steps, decoupling.step, decoupling.radius) == (
        10,
        8,
        0.008,
        0.08,
    )
    assert (decoupling.rho, decoupling.tau, decoupling.anchor) == (0.1, 0.03, "original")
    assert (decoupling.pixel_range, decoupling.stage_split) == ("[-1,1]", "carry")
    assert (tuning.steps, tuning.batch, tuning.prior_weight, settings.learning_rate) == (1000, 2, 1.0, 5e-7)
    assert (settings.prior.count, settings.prompts.instance) == (200, "a photo of sks person")
    assert settings.train_text_encoder


def test_settings_survive_toml() -> None:
    settings = PersonalizationSettings(
        method="lora", decoupling=DecouplingSettings(rho=0.3, floor="impostor")
    )
    assert from_toml(PersonalizationSettings, to_toml(settings)) == settings


@pytest.mark.parametrize(("level", "rho"), [("low", 0.5), ("medium", 0.3), ("high", 0.1)])
def test_the_privacy_dial(level: str, rho: float) -> None:
    assert PersonalizationSettings().with_privacy(level).decoupling.rho == rho


def test_an_unknown_privacy_level_is_refused() -> None:
    with pytest.raises(InputError, match="low, medium, high"):
        PersonalizationSettings().with_privacy("extreme")


def test_a_preset_changes_what_it_names_and_nothing_else() -> None:
    preset = {"fine_tuning": {"learning_rate": 2e-4, "steps": 400}, "decoupling": {"t_max": 300}}
    settings = PersonalizationSettings(seed=3).with_preset(preset)
    assert settings.fine_tuning == FineTuningSettings(learning_rate=2e-4, steps=400)
    assert settings.decoupling == DecouplingSettings(t_max=300)
    assert settings.seed == 3


def test_a_preset_with_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match=r"decoupling\.radius"):
        PersonalizationSettings().with_preset({"decoupling": {"radiu": 0.1}})


def test_lora_has_its_own_learning_rate() -> None:
    assert PersonalizationSettings(method="lora").learning_rate == LoraSettings().learning_rate == 1e-4


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: DecouplingSettings(rho=1.5), "decoupling.rho"),
        (lambda: DecouplingSettings(radius=-0.1), "decoupling.radius"),
        (lambda: DecouplingSettings(tau=0.0), "decoupling.tau"),
        (lambda: DecouplingSettings(step=float("nan")), "decoupling.step"),
        (lambda: DecouplingSettings(t_max=0), "decoupling.t_max"),
        (lambda: DecouplingSettings(decoder=""), "decoupling.decoder"),
        (lambda: FineTuningSettings(learning_rate=0.0), "fine_tuning.learning_rate"),
        (lambda: FineTuningSettings(beta2=1.0), "fine_tuning.beta2"),
        (lambda: FineTuningSettings(clip_norm=-1.0), "fine_tuning.clip_norm"),
        (lambda: PersonalizationSettings(fine_tuning=FineTuningSettings(steps=19)), "fine_tuning.steps"),
        (lambda: LoraSettings(rank=0), "lora.rank"),
        (lambda: PriorSettings(count=0), "prior.count"),
        (lambda: PreviewSettings(every=0), "previews.every"),
        (lambda: PromptSettings(instance=" "), "prompts.instance"),
        (lambda: PromptSettings(instance="a photo of person"), "prompts.prior"),
    ],
)
def test_impossible_values_are_named(make, name: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=name) as error:
        make()
    assert error.value.advice


def test_what_a_run_needs_follows_from_its_settings() -> None:
    assert PersonalizationSettings().needs_identity
    assert not PersonalizationSettings(defence="none").needs_identity
    assert not PersonalizationSettings(decoupling=DecouplingSettings(rho=1.0)).needs_identity
    assert PersonalizationSettings(decoupling=DecouplingSettings(rho=1.0, schedule="joint")).needs_identity
    plain = FineTuningSettings(prior_weight=0.0)
    assert not PersonalizationSettings(fine_tuning=plain).needs_class_pictures
    assert PersonalizationSettings(
        fine_tuning=plain, decoupling=DecouplingSettings(floor="impostor")
    ).needs_class_pictures


@pytest.mark.parametrize(
    "changes",
    [{"defence": "none"}, {"decoupling": {"schedule": "joint"}}, {"decoupling": {"radius": 0.0}}],
)
def test_a_dial_that_turns_nothing_is_known(changes: dict[str, Any]) -> None:
    assert PersonalizationSettings().has_dial
    assert not PersonalizationSettings().with_preset(changes).has_dial


def test_captions_that_do_not_name_the_person_are_known() -> None:
    prompts = PersonalizationSettings().prompts
    assert prompts.untaught([None, None]) == ""
    assert prompts.untaught(["a man outdoors", None]) == ""  # that photo is taught by the usual words
    assert prompts.untaught(["a man outdoors", "sks person smiling"]) == ""
    assert prompts.untaught(["a man outdoors", "a person smiling"]) == "sks"
