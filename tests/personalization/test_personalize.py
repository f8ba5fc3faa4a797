"""Whole runs: what they write, that no defence is radius 0, and that stopping anywhere changes nothing."""

from __future__ import annotations

import json
import random
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from personalization.fakes import FakeDetector, photos, recognizer
from personalization.runs import MOVES, SETTINGS, same, start, weights, with_decoupling
from visard.diffusion.backbone import Backbone
from visard.errors import BusyError, InputError, TrainingError
from visard.personalization.checkpoint import FORMAT
from visard.personalization.encoding import encoded
from visard.personalization.fine_tuning import FineTuning, Losses, PhotoSet
from visard.personalization.iddm import Call, Iddm, Move
from visard.personalization.identity import prototypes
from visard.personalization.record import Record
from visard.personalization.session import Session
from visard.personalization.settings import (
    FineTuningSettings,
    OutputSettings,
    PersonalizationSettings,
    PreviewSettings,
)
from visard.personalization.streams import DataOrder
from visard.settings import from_toml
from visard.storage import claimed

LORA = replace(SETTINGS, method="lora")
Fresh = Callable[[], Backbone]


class StopError(Exception):
    """A run stopped from outside."""


def stop_at(count: int, at: str = "personalization"):  # type: ignore[no-untyped-def]
    def progress(stage: str, done: int, total: int, **figures: float) -> None:
        if stage == at and done == count:
            raise StopError

    return progress


def test_dreambooth_writes_a_model_that_loads_and_nothing_of_the_photos(
    tmp_path: Path, backbone: Backbone, cache: Path
) -> None:
    calls: list[tuple[int, int]] = []
    result = start(
        tmp_path / "alice",
        backbone,
        cache,
        progress=lambda stage, done, total, **_: (
            calls.append((done, total)) if stage == "personalization" else None
        ),
    )
    assert calls == [(done, MOVES) for done in range(1, MOVES + 1)]
    loaded = Backbone.load(result.model)
    assert all(
        torch.equal(value, backbone.unet.state_dict()[name])
        for name, value in loaded.unet.state_dict().items()
    )
    assert sorted(each.name for each in result.folder.iterdir()) == ["history.json", "model", "run.toml"]
    text = (result.folder / "run.toml").read_text() + (result.folder / "history.json").read_text()
    assert "alice" not in text
    assert str(tmp_path) not in text
    assert Path(backbone.source).parent.name not in text


def test_run_toml_reproduces_the_run(tmp_path: Path, fresh: Fresh, cache: Path) -> None:
    first = start(tmp_path / "first", fresh(), cache)
    record = from_toml(Record, tmp_path / "first" / "run.toml")
    assert record.settings == SETTINGS
    assert set(record.recognizers) == {"fake0", "fake1"}
    assert record.photos == {"reference": 2, "protected": 2}
    assert "torch" in record.versions
    assert same(weights(first), weights(start(tmp_path / "second", fresh(), cache, settings=record.settings)))


def test_the_history_tells_every_round(tmp_path: Path, backbone: Backbone, cache: Path) -> None:
    result = start(tmp_path / "run", backbone, cache)
    assert json.loads((tmp_path / "run" / "history.json").read_text()) == result.history
    assert [row["round"] for row in result.history] == [1, 2]
    for row in result.history:
        assert {
            "reference_loss",
            "protected_loss",
            "prior_loss",
            "reconstruction",
            "S",
            "s_fake0",
            "s_fake1",
        } <= row.keys()
        assert -1 <= row["S"] <= 1
    # carry: T_rec is 1 in both rounds of 3 steps, so 2 identity steps on 2 photos
    assert [row["faces"] for row in result.history] == [{"found": 4, "fallback": 0, "skipped": 0}] * 2


@pytest.mark.parametrize("method", ["dreambooth", "lora"])
def test_radius_zero_is_no_defence_to_the_last_bit(
    tmp_path: Path, fresh: Fresh, cache: Path, method: str
) -> None:
    settings = replace(SETTINGS, method=method)
    surrogate = recognizer(0)
    none = start(tmp_path / "a", fresh(), cache, replace(settings, defence="none"), surrogates=[surrogate])
    assert surrogate.calls == 1  # in the making of it; the run has not asked
    zero = start(tmp_path / "b", fresh(), cache, with_decoupling(settings, radius=0.0))
    iddm = start(tmp_path / "c", fresh(), cache, settings)
    assert same(weights(none), weights(zero))
    assert not same(weights(none), weights(iddm))


def test_rho_one_never_calls_a_recogniser_in_a_run(tmp_path: Path, backbone: Backbone, cache: Path) -> None:
    surrogate = recognizer(0)
    result = start(tmp_path / "run", backbone, cache, with_decoupling(rho=1.0), surrogates=[surrogate])
    assert surrogate.calls == 1
    assert all("S" not in row for row in result.history)


def test_rho_zero_never_evaluates_the_reconstruction_in_a_run(
    tmp_path: Path, backbone: Backbone, cache: Path
) -> None:
    result = start(tmp_path / "run", backbone, cache, with_decoupling(rho=0.0))
    assert all("reconstruction" not in row for row in result.history)


@pytest.mark.parametrize("anchor", ["original", "round"])
def test_the_references_never_change_and_the_ball_holds(
    tmp_path: Path, backbone: Backbone, cache: Path, anchor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions: list[Session] = []
    seen: list[torch.Tensor] = []
    build = Session.__init__

    def spy(self, *arguments, **options):  # type: ignore[no-untyped-def]
        build(self, *arguments, **options)
        sessions.append(self)

    def progress(stage: str, done: int, total: int, **figures: float) -> None:
        if stage == "personalization":
            seen.append(sessions[0].iddm.images)

    monkeypatch.setattr(Session, "__init__", spy)
    settings = with_decoupling(anchor=anchor, step=0.05, radius=0.08)
    start(tmp_path / "run", backbone, cache, settings, progress=progress)
    reference, originals = photos()[:2], photos()[2:]
    assert torch.equal(sessions[0].photos.reference, reference)
    assert torch.equal(sessions[0].photos.originals, originals)
    furthest = [(images - originals).abs().max().item() for images in seen]
    assert all(images.abs().max() <= 1 for images in seen)
    # Three steps of .05 a round: anchored at the originals both rounds share one ball, else each has its own.
    assert max(furthest) <= (0.08 if anchor == "original" else 0.16) + 1e-6
    if anchor == "round":
        assert max(furthest) > 0.08 + 1e-3


@pytest.mark.parametrize(
    "settings", [SETTINGS, LORA, with_decoupling(anchor="round", schedule="joint", draws=2)]
)
def test_stopped_anywhere_and_resumed_is_the_uninterrupted_run(
    tmp_path: Path, fresh: Fresh, cache: Path, settings
) -> None:  # type: ignore[no-untyped-def]
    whole = start(tmp_path / "whole", fresh(), cache, settings)
    for count in sorted(random.Random(7).sample(range(1, MOVES + 1), 4)):
        with pytest.raises(StopError):
            start(tmp_path / "stopped", fresh(), cache, settings, progress=stop_at(count))
    resumed = start(tmp_path / "stopped", fresh(), cache, settings)
    assert same(weights(whole), weights(resumed))
    assert whole.history == resumed.history


@pytest.mark.parametrize("settings", [SETTINGS, LORA])
def test_a_short_run_stopped_while_its_model_is_written_goes_on(
    tmp_path: Path, fresh: Fresh, cache: Path, settings: PersonalizationSettings
) -> None:
    """Over before the first checkpoint was due: what it has written is its own all the same."""
    settings = replace(settings, output=OutputSettings(checkpoint_every=60.0))
    whole = start(tmp_path / "whole", fresh(), cache, settings)
    with pytest.raises(StopError):
        start(tmp_path / "stopped", fresh(), cache, settings, progress=stop_at(1, at="writing model"))
    assert any((tmp_path / "stopped" / name).exists() for name in ("model", "lora.safetensors"))
    resumed = start(tmp_path / "stopped", fresh(), cache, settings)
    assert same(weights(whole), weights(resumed))
    assert whole.history == resumed.history
    assert not (tmp_path / "stopped" / "checkpoint").exists()


def test_without_turns_all_photos_are_one_set_and_a_stopped_run_goes_on(
    tmp_path: Path, fresh: Fresh, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = replace(SETTINGS.fine_tuning, alternate=False)
    settings = replace(SETTINGS, defence="none", fine_tuning=together)
    seen: list[tuple[int, list[int]]] = []
    take = DataOrder.take

    def noted(order: DataOrder, count: int) -> list[int]:
        chosen = take(order, count)
        seen.append((order.size, chosen))
        return chosen

    monkeypatch.setattr(DataOrder, "take", noted)
    whole = start(tmp_path / "whole", fresh(), cache, settings)
    visits = [chosen[0] for size, chosen in seen if size == len(photos())]
    assert len(visits) == settings.fine_tuning.steps
    assert set(visits[: len(photos())]) == set(range(len(photos())))
    with pytest.raises(StopError):
        start(tmp_path / "stopped", fresh(), cache, settings, progress=stop_at(4))
    assert same(weights(whole), weights(start(tmp_path / "stopped", fresh(), cache, settings)))
    turns = start(tmp_path / "turns", fresh(), cache, replace(settings, fine_tuning=SETTINGS.fine_tuning))
    assert not same(weights(whole), weights(turns))
    with pytest.raises(InputError, match="optimises X' between turns"):
        replace(SETTINGS, fine_tuning=together)


def test_a_finished_run_is_returned_as_it_is(tmp_path: Path, fresh: Fresh, cache: Path) -> None:
    first = start(tmp_path / "run", fresh(), cache)

    def never(stage: str, done: int, total: int, **figures: float) -> None:
        raise AssertionError("a finished run does no work")

    again = start(tmp_path / "run", fresh(), cache, progress=never)
    assert (again.model, again.history) == (first.model, first.history)
    with pytest.raises(InputError, match=r"decoupling\.rho"):
        start(tmp_path / "run", fresh(), cache, with_decoupling(rho=0.9))
    with pytest.raises(InputError, match="other photos or models"):
        start(tmp_path / "run", fresh(), cache, photos=photos(seed=3))


def test_a_checkpoint_of_another_run_is_refused_and_names_the_difference(
    tmp_path: Path, fresh: Fresh, cache: Path
) -> None:
    with pytest.raises(StopError):
        start(tmp_path / "run", fresh(), cache, progress=stop_at(2))
    with pytest.raises(InputError, match=r"settings\.decoupling\.rho \(0\.4 then, 0\.5 now\)"):
        start(tmp_path / "run", fresh(), cache, with_decoupling(rho=0.5))
    with pytest.raises(InputError, match="differs in photos"):
        start(tmp_path / "run", fresh(), cache, photos=photos(seed=3))
    with pytest.raises(InputError, match=r"recognisers\.fake1"):
        start(tmp_path / "run", fresh(), cache, surrogates=[recognizer(0)])
    previews = replace(SETTINGS, previews=PreviewSettings(count=1, sampler_steps=1))
    with pytest.raises(StopError):  # previews change no weight, so they may change between sittings
        start(tmp_path / "run", fresh(), cache, previews, progress=stop_at(3))
    start(tmp_path / "run", fresh(), cache, with_decoupling(rho=0.5), resume=False)


def test_a_recogniser_read_otherwise_is_another_one(tmp_path: Path, fresh: Fresh, cache: Path) -> None:
    """The weights are the same; a wrong order of channels, once corrected, must not pass for the old run."""
    start(tmp_path / "run", fresh(), cache, surrogates=[recognizer(0)])
    corrected = recognizer(0)
    corrected.spec = replace(corrected.spec, channels="BGR")
    with pytest.raises(InputError, match="other photos or models"):
        start(tmp_path / "run", fresh(), cache, surrogates=[corrected])


def test_beginning_anew_leaves_nothing_of_the_run_before(tmp_path: Path, fresh: Fresh, cache: Path) -> None:
    drawn = replace(SETTINGS, previews=PreviewSettings(count=1, sampler_steps=1))
    start(tmp_path / "run", fresh(), cache, drawn)
    start(tmp_path / "run", fresh(), cache, LORA, resume=False)
    assert sorted(each.name for each in (tmp_path / "run").iterdir()) == [
        "history.json",
        "lora.kohya.safetensors",
        "lora.safetensors",
        "run.toml",
    ]


@pytest.mark.parametrize("resume", [True, False])
def test_what_is_no_runs_is_neither_removed_nor_written_over(
    tmp_path: Path, fresh: Fresh, cache: Path, resume: bool
) -> None:
    mine = tmp_path / "run" / "other.safetensors"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    note = tmp_path / "run" / "checkpoint" / "note.txt"
    note.parent.mkdir()
    note.write_text("mine")
    start(tmp_path / "run", fresh(), cache, LORA, resume=resume)
    assert (mine.read_bytes(), note.read_text()) == (b"mine", "mine")
    (tmp_path / "full" / "model").mkdir(parents=True)
    with pytest.raises(InputError, match="holds model, and no run that has written it"):
        start(tmp_path / "full", fresh(), cache, resume=resume)
    state = tmp_path / "protected" / "checkpoint" / "00000001" / "state.json"
    state.parent.mkdir(parents=True)
    state.write_text(json.dumps({"format": FORMAT, "run_key": {"photos": "others"}}))
    with pytest.raises(InputError, match="is no personalisation's"):
        start(tmp_path / "protected", fresh(), cache, resume=resume)
    assert state.exists()


def test_a_finished_run_without_its_model_is_made_again(tmp_path: Path, fresh: Fresh, cache: Path) -> None:
    first = start(tmp_path / "run", fresh(), cache, LORA)
    before = weights(first)
    first.model.unlink()
    assert same(weights(start(tmp_path / "run", fresh(), cache, LORA)), before)


def test_every_turn_trains_on_its_own_photos(
    tmp_path: Path, fresh: Fresh, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two photos in X_c and three in X_0: X_c as it is, X' as the last round left it, X_c alone enrolled."""
    trained: list[tuple[Tensor, list[str]]] = []
    images: list[Tensor] = []
    enrolled: list[Tensor] = []
    step, closing_round = FineTuning.step, Iddm._make

    def seen_step(self: FineTuning, chosen: PhotoSet) -> Losses:
        trained.append((chosen.posterior.mean.clone(), list(chosen.prompts)))
        return step(self, chosen)

    def seen_move(self: Iddm, move: Move) -> object:
        if move.kind is Call.PROTECTED:
            images.append(self.images.clone())
        return closing_round(self, move)

    def seen_prototypes(recognizers: object, people: Tensor, landmarks: object) -> list[Tensor]:
        enrolled.append(people)
        return prototypes(recognizers, people, landmarks)  # type: ignore[arg-type]

    monkeypatch.setattr(FineTuning, "step", seen_step)
    monkeypatch.setattr(Iddm, "_make", seen_move)
    monkeypatch.setattr("visard.personalization.session.prototypes", seen_prototypes)
    five, captions = photos(5), [f"a photo of sks person {index}" for index in range(5)]
    start(tmp_path / "run", fresh(), cache, photos=five, captions=captions)
    (people,) = enrolled
    assert torch.equal(people, five[:2])
    clean = encoded(fresh(), five[:2]).mean
    reference = [mean for mean, prompts in trained if prompts == captions[:2]]
    protected = [mean for mean, prompts in trained if prompts == captions[2:]]
    assert len(reference) + len(protected) == len(trained) == 7
    assert all(torch.allclose(each, clean, atol=1e-5) for each in reference)
    assert len(protected) == len(images)
    for mean, now in zip(protected, images, strict=True):
        assert torch.allclose(mean, encoded(fresh(), now).mean, atol=1e-5)
    assert not torch.equal(images[0], five[2:])  # the first round has perturbed them already
    assert not torch.equal(images[0], images[-1])


def test_checkpoints_are_private_and_gone_when_the_run_is_done(
    tmp_path: Path, fresh: Fresh, cache: Path
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(StopError):
        start(folder, fresh(), cache, progress=stop_at(5, at="checkpoint"))
    assert stat.S_IMODE((folder / "checkpoint").stat().st_mode) == 0o700
    assert [each.name for each in (folder / "checkpoint").iterdir()] == ["00000005"]
    start(folder, fresh(), cache)
    assert not (folder / "checkpoint").exists()


def test_lora_writes_both_files_and_they_work(tmp_path: Path, fresh: Fresh, cache: Path) -> None:
    from visard.diffusion.lora import load_lora

    trained = fresh()
    result = start(tmp_path / "run", trained, cache, LORA)
    assert sorted(each.name for each in result.folder.iterdir()) == [
        "history.json", "lora.kohya.safetensors", "lora.safetensors", "run.toml",
    ]  # fmt: skip
    loaded = fresh()
    load_lora(loaded, result.model)
    z, t, prompts = (
        torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0)),
        torch.tensor([500]),
        ["a photo"],
    )
    with torch.no_grad():
        ours, theirs = (each.predict(z, t, each.embed_text(prompts)) for each in (trained, loaded))
    torch.testing.assert_close(ours, theirs)


def test_previews_change_nothing_but_the_folder(tmp_path: Path, fresh: Fresh, cache: Path) -> None:
    plain = start(tmp_path / "plain", fresh(), cache)
    settings = replace(SETTINGS, previews=PreviewSettings(count=2, every=2, sampler_steps=1))
    shown = start(tmp_path / "shown", fresh(), cache, settings)
    assert [each.name for each in (tmp_path / "shown" / "previews").iterdir()] == ["round-02.png"]
    assert same(weights(plain), weights(shown))


def test_the_impostor_floor_runs_and_changes_the_result(tmp_path: Path, fresh: Fresh, cache: Path) -> None:
    paper = start(tmp_path / "a", fresh(), cache)
    floored = start(tmp_path / "b", fresh(), cache, with_decoupling(floor="impostor"))
    assert not same(weights(paper), weights(floored))


def test_captions_replace_the_instance_prompt(tmp_path: Path, fresh: Fresh, cache: Path) -> None:
    plain = start(tmp_path / "a", fresh(), cache)
    captioned = start(
        tmp_path / "b", fresh(), cache, captions=["a photo of sks person with glasses", None, None, None]
    )
    assert not same(weights(plain), weights(captioned))


def test_two_runs_in_one_folder_are_refused(tmp_path: Path, backbone: Backbone, cache: Path) -> None:
    with claimed(tmp_path / "run"), pytest.raises(BusyError, match="at work"):
        start(tmp_path / "run", backbone, cache)


def test_a_run_that_diverges_stops_with_advice(tmp_path: Path, backbone: Backbone, cache: Path) -> None:
    with torch.no_grad():
        backbone.text_encoder.get_input_embeddings().weight[-1] = torch.nan
    settings = replace(
        SETTINGS,
        defence="none",
        fine_tuning=FineTuningSettings(steps=7, learning_rate=1e-3, prior_weight=0.0),
    )
    with pytest.raises(TrainingError, match="learning rate"):
        start(tmp_path / "run", backbone, cache, settings)
    assert not (tmp_path / "run" / "model").exists()


def test_a_defence_without_surrogates_is_refused(tmp_path: Path, backbone: Backbone, cache: Path) -> None:
    with pytest.raises(InputError, match="surrogate"):
        start(tmp_path / "run", backbone, cache, surrogates=[])


def test_photos_are_checked_before_anything_is_made(tmp_path: Path, backbone: Backbone, cache: Path) -> None:
    detector = FakeDetector(script=[[[]] * 4])
    with pytest.raises(InputError, match="no face"):
        start(tmp_path / "run", backbone, cache, detector=detector)
    assert not (tmp_path / "run").exists()


def test_beginning_anew_keeps_the_old_model_until_the_new_run_can_begin(
    tmp_path: Path, fresh: Fresh, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start(tmp_path / "run", fresh(), cache, LORA)
    before = weights(first)

    def fail(*_: object, **__: object) -> None:
        raise InputError("There is no such decoder.", "Name another.")

    with monkeypatch.context() as patch:
        patch.setattr("visard.personalization.session.load_decoder", fail)
        with pytest.raises(InputError, match="no such decoder"):
            start(tmp_path / "run", fresh(), cache, LORA, resume=False)
    assert same(weights(first), before)
    again = start(tmp_path / "run", fresh(), cache, replace(LORA, seed=5), resume=False)
    assert not same(weights(again), before)


def test_a_finished_run_whose_history_is_gone_is_returned(tmp_path: Path, fresh: Fresh, cache: Path) -> None:
    first = start(tmp_path / "run", fresh(), cache, LORA)
    (tmp_path / "run" / "history.json").unlink()
    again = start(tmp_path / "run", fresh(), cache, LORA)
    assert (again.model, again.history) == (first.model, [])


def test_a_history_of_another_program_is_not_written_over(tmp_path: Path, fresh: Fresh, cache: Path) -> None:
    mine = tmp_path / "run" / "history.json"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(InputError, match=r"holds history\.json"):
        start(tmp_path / "run", fresh(), cache, LORA)
    assert mine.read_text() == "mine"
