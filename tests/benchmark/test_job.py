from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.bench import JOB, LINEUP, SAMPLING, camera
from visard.benchmark import job, result, unit
from visard.benchmark.people import load_strangers
from visard.benchmark.protocol import Protocol, Unit, build_protocol, parse_overrides
from visard.benchmark.result import read_result
from visard.benchmark.unit import UnitJob, picture_file
from visard.benchmark.workshop import Workshop
from visard.errors import InputError, TrainingError
from visard.kits import open_kit
from visard.personalization import personalize
from visard.personalization.settings import PersonalizationSettings

FIRST = Unit(7, "none", 0)
LAST = Unit(8, "0.1", 0)


def again(out: Path, protocol: Protocol, kit: str, of: job.Job = JOB) -> None:
    job.run(of, protocol, out, kit=kit, camera=camera)


def stored(out: Path, which: Unit) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((which.folder(out) / "result.json").read_text())
    return content


def never(*_: object, **__: object) -> None:
    raise AssertionError("this was done already")


def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UnitJob, "train", never)
    monkeypatch.setattr(UnitJob, "generate", never)


def test_every_unit_is_finished_and_says_what_it_is(bench: Path, protocol: Protocol) -> None:
    results = job.finished(bench)
    assert {result.unit for result in results} == set(JOB.units)
    result = stored(bench, LAST)
    assert result["unit"] == {"person": 8, "arm": "0.1", "seed": 0}
    assert result["settings"]["decoupling"]["rho"] == 0.1
    assert result["settings"]["fine_tuning"]["steps"] == 4  # the kit's preset
    assert result["models"] == protocol.models
    assert set(protocol.models) == {"tiny", "one", "arcface", "adaface", "base model"}
    assert {"visard", "torch", "diffusers"} <= set(result["versions"])
    assert set(result["seconds"]) == {"train", "generate", "score"}
    assert set(result["scores"]["judges"]) == {"arcface", "adaface"}
    assert set(result["scores"]["surrogates"]) == {"one"}
    for prompt in SAMPLING.prompts:
        assert all(picture_file(LAST.folder(bench), prompt, index).is_file() for index in range(2))


def test_models_are_deleted_unless_kept(bench: Path, protocol: Protocol, kit: str) -> None:
    assert not (FIRST.folder(bench) / "run" / "model").exists()
    assert (FIRST.folder(bench) / "run" / "run.toml").is_file()
    kept = replace(JOB, people=(7,), arms=("none",), seeds=(1,), keep_models=True)
    again(bench, protocol, kit, kept)
    assert (Unit(7, "none", 1).folder(bench) / "run" / "model" / "unet").is_dir()
    assert len(job.finished(bench)) == 5


def test_finished_units_are_skipped(
    bench: Path, protocol: Protocol, kit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Workshop, "__call__", never)
    monkeypatch.setattr(job, "class_posteriors", never)
    monkeypatch.setattr(job.Studio, "__call__", never)
    said: list[tuple[str, int, int]] = []
    job.run(
        JOB,
        protocol,
        bench,
        kit=kit,
        progress=lambda stage, done, total, **_: said.append((stage, done, total)),
    )
    assert said == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": "of another unit", "scores": {}}'])
def test_a_damaged_result_is_scored_again_from_the_pictures(
    bench: Path, protocol: Protocol, kit: str, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_training(monkeypatch)
    before = stored(bench, FIRST)["scores"]
    (FIRST.folder(bench) / "result.json").write_text(content)
    assert len(job.finished(bench)) == 3
    again(bench, protocol, kit)
    assert stored(bench, FIRST)["scores"] == before
    assert set(stored(bench, FIRST)["seconds"]) == {"score"}


def test_a_unit_scored_by_other_rules_is_scored_anew(
    bench: Path, protocol: Protocol, kit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pictures stay, nothing is trained, and what that took is still known."""
    no_training(monkeypatch)
    before = stored(bench, FIRST)
    assert read_result(FIRST, protocol, bench) is not None
    monkeypatch.setattr(result, "SCORING", result.SCORING + 1)
    assert read_result(FIRST, protocol, bench) is None
    Workshop(bench, kit)(FIRST)
    found = read_result(FIRST, protocol, bench)
    assert found is not None
    assert found.scores == before["scores"]
    assert found.seconds["train"] == before["seconds"]["train"]


@pytest.mark.parametrize("part", ["settings", "models", "rules"])
def test_a_unit_made_otherwise_is_made_anew(bench: Path, protocol: Protocol, kit: str, part: str) -> None:
    """A method, model or rule that has changed since: the pictures there are another unit's."""
    folder = FIRST.folder(bench)
    file = picture_file(folder, SAMPLING.prompts[0], 0)
    before = file.read_bytes()
    said = json.loads((folder / "unit.json").read_text())
    said[part] = {"settings": {}, "models": {}, "rules": 0}[part]
    (folder / "leaked" / "a-photo").mkdir(parents=True)
    (folder / "unit.json").write_text(json.dumps(said))
    file.write_bytes(picture_file(folder, SAMPLING.prompts[0], 1).read_bytes())
    (folder / "result.json").unlink()
    again(bench, protocol, kit)
    assert file.read_bytes() == before
    assert not (folder / "leaked").exists()
    assert set(stored(bench, FIRST)["seconds"]) == {"train", "generate", "score"}


def test_whoever_has_a_partner_keeps_it(bench: Path, protocol: Protocol, kit: str) -> None:
    """Pictures exchanged among those whose own are there, whoever else is in the folder."""
    (bench / "people" / "6").mkdir()  # photographed, but never drawn
    pair = replace(JOB, arms=("none", "strangers"))
    again(bench, protocol, kit, pair)
    assert UnitJob(Unit(7, "strangers", 0), protocol, bench).drawn_by == Unit(8, "none", 0)
    (bench / "people" / "6").rmdir()
    again(bench, protocol, kit, replace(pair, people=(6, 7, 8)))
    assert UnitJob(Unit(7, "strangers", 0), protocol, bench).drawn_by == Unit(8, "none", 0)
    assert UnitJob(Unit(8, "strangers", 0), protocol, bench).drawn_by == Unit(7, "none", 0)


def test_a_model_draws_again_at_another_guidance(bench: Path, protocol: Protocol, kit: str) -> None:
    """At its own, or at full strength, it draws the same pictures; models stay where it is asked for."""
    own, other = f"none@{protocol.settings.prior.guidance:g}", "none@9"
    asked = replace(JOB, people=(7,), arms=("none", own, other, "strength-1", "strength-0.2"), seeds=(1,))
    again(bench, protocol, kit, asked)
    assert UnitJob(Unit(7, other, 1), protocol, bench).drawn_by == Unit(7, "none", 1)

    def drawn(arm: str) -> list[bytes]:
        folder = Unit(7, arm, 1).folder(bench)
        return [
            picture_file(folder, prompt, index).read_bytes()
            for prompt in SAMPLING.prompts
            for index in range(SAMPLING.pictures)
        ]

    assert drawn(own) == drawn("strength-1") == drawn("none") != drawn(other)
    assert drawn("none") != drawn("strength-0.2") != drawn(other)


def test_scoring_anew_leaves_the_models_that_were_kept(bench: Path, protocol: Protocol, kit: str) -> None:
    asked = replace(JOB, people=(7,), arms=("none",), seeds=(2,), keep_models=True)
    again(bench, protocol, kit, asked)
    work = UnitJob(Unit(7, "none", 2), protocol, bench)
    result = json.loads((work.folder / "result.json").read_text())
    (work.folder / "result.json").write_text(json.dumps(result | {"scoring": -1}))
    again(bench, protocol, kit, replace(asked, keep_models=False))
    after = json.loads((work.folder / "result.json").read_text())
    assert (after["scores"], after["scoring"]) == (result["scores"], result["scoring"])
    assert work.has_model


def test_a_kit_with_another_describer_does_not_score(bench: Path, protocol: Protocol, kit: str) -> None:
    described = replace(protocol, scored_by={"describer": "of another kit"})
    described.claim(bench)
    with pytest.raises(InputError, match="describer of the kit small is not the one"):
        Workshop(bench, kit)
    protocol.claim(bench)
    Workshop(bench, kit)


def test_a_model_that_is_gone_does_not_draw_again(bench: Path, protocol: Protocol, kit: str) -> None:
    with pytest.raises(TrainingError, match=r"model of person 7 is gone, and none@9 draws from it"):
        again(bench, protocol, kit, replace(JOB, people=(7,), arms=("none@9",)))


def test_a_damaged_picture_is_made_again_and_is_the_same(bench: Path, protocol: Protocol, kit: str) -> None:
    folder = LAST.folder(bench)
    file = picture_file(folder, SAMPLING.prompts[1], 1)
    before = file.read_bytes()
    file.write_bytes(before[:40])
    (folder / "result.json").unlink()
    again(bench, protocol, kit)
    assert file.read_bytes() == before


def test_an_interrupted_unit_goes_on(
    original: Path, protocol: Protocol, kit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in training, then in sampling, then before scoring: the end is as if nothing had happened."""
    out = tmp_path / "bench"
    short = replace(JOB, people=(8,), arms=("0.1",))

    def stop(stage: str, done: int, total: int, **_: float) -> None:
        if stage == personalize.STAGE and done == 3:
            raise KeyboardInterrupt

    whole_run = personalize.run

    def stopping_run(*args: Any, **options: Any) -> Any:
        return whole_run(*args, **{**options, "progress": stop})

    with monkeypatch.context() as patch:
        patch.setattr(personalize, "run", stopping_run)
        with pytest.raises(KeyboardInterrupt):
            again(out, protocol, kit, short)
    assert any((LAST.folder(out) / "run" / "checkpoint").iterdir())

    save, saved = unit.save_image, []

    def stopping_save(picture: Any, file: Path) -> None:
        saved.append(file)
        if len(saved) == 2:
            raise KeyboardInterrupt
        save(picture, file)

    with monkeypatch.context() as patch:
        patch.setattr(unit, "save_image", stopping_save)
        with pytest.raises(KeyboardInterrupt):
            again(out, protocol, kit, short)
    trained = (LAST.folder(out) / "run" / "run.toml").stat().st_mtime_ns
    assert saved[0].is_file()

    with monkeypatch.context() as patch:
        patch.setattr(UnitJob, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            again(out, protocol, kit, short)
    assert (LAST.folder(out) / "run" / "run.toml").stat().st_mtime_ns == trained
    with monkeypatch.context() as patch:
        no_training(patch)
        again(out, protocol, kit, short)
    assert stored(out, LAST)["scores"] == stored(original, LAST)["scores"]


def test_one_failing_unit_does_not_stop_the_others(
    bench: Path, protocol: Protocol, kit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for which in (FIRST, LAST):
        (which.folder(bench) / "result.json").unlink()
    score = UnitJob.pictures

    def failing(self: UnitJob) -> Any:
        if self.unit == FIRST:
            raise InputError("a bad day", "try tomorrow")
        return score(self)

    with monkeypatch.context() as patch:
        patch.setattr(UnitJob, "pictures", failing)
        with pytest.raises(TrainingError, match="1 failed") as caught:
            again(bench, protocol, kit)
    assert "a bad day" in str(caught.value)
    assert {result.unit for result in job.finished(bench)} == set(JOB.units) - {FIRST}
    again(bench, protocol, kit)
    assert len(job.finished(bench)) == 4


def test_another_protocol_is_refused_by_name(bench: Path, kit: str) -> None:
    other = build_protocol(
        open_kit(kit), parse_overrides(["decoupling.t_max=999"]), replace(SAMPLING, pictures=3), LINEUP
    )
    with pytest.raises(InputError) as caught:
        again(bench, other, kit)
    assert "settings.decoupling.t_max (400 then, 999 now)" in caught.value.message
    assert "sampling.pictures" in caught.value.message


def test_training_photos_are_those_with_one_face(
    protocol: Protocol, kit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, original: Path
) -> None:
    studio = job.open_studio(original, kit, camera)
    detect = studio.detector.detect
    looked = iter(range(100))

    class Careless:
        name, setting = "careless", "misses the second"

        def detect(self, images: Any) -> Any:
            return [[]] if next(looked) == 1 else detect(images)

    studio.out, studio.detector = tmp_path, Careless()
    studio(job.Sitting(7))
    photos = sorted(file.name for file in (tmp_path / "people" / "7" / "training").iterdir())
    assert photos == ["000.png", "002.png", "003.png", "004.png"]
    clean = sorted(file.name for file in (tmp_path / "people" / "7" / "clean").iterdir())
    assert clean == ["100.png", "101.png"]


def test_minutes_left_come_from_units_of_the_same_arm(bench: Path, protocol: Protocol) -> None:
    said: list[dict[str, float]] = []
    for which, seconds in ((FIRST, 60.0), (Unit(7, "0.1", 0), 240.0)):
        file = which.folder(bench) / "result.json"
        content = json.loads(file.read_text())
        content["seconds"] = {"train": seconds}
        file.write_text(json.dumps(content))
    left = [Unit(8, "none", 0), LAST]
    pace = job.Pace(JOB.units, left, protocol, bench, 2, lambda *_, **figures: said.append(figures))
    pace.watch(left)
    assert said[0]["minutes_left"] == pytest.approx((1 + 4) / 2, abs=0.05)


def test_minutes_left_of_an_arm_not_seen_yet_come_from_arms_of_its_sort(
    bench: Path, protocol: Protocol
) -> None:
    pace = job.Pace([], [], protocol, bench, 1, never)
    pace.seconds = {"none": [100.0], "0.1": [140.0]}
    assert pace.work([Unit(7, "0.3", 0), Unit(7, "none@7.5", 0)]) == 240
    pace.seconds["strangers"] = [4.0]
    assert pace.work([Unit(7, "0.3", 0), Unit(7, "none@7.5", 0)]) == 124


def test_what_a_killed_command_left_half_photographed_is_nobody(
    bench: Path, protocol: Protocol, kit: str
) -> None:
    for home in ("people", "strangers"):
        (bench / home / ".20.0a1b2c3d.part").mkdir()
        (bench / home / "notes.txt").write_text("mine")
        (bench / home / "21.txt").write_text("mine")
    photos, owner = load_strangers(bench, LINEUP, 32)
    assert len(photos) == len(owner) == 6
    (FIRST.folder(bench) / "result.json").unlink()
    again(bench, protocol, kit, replace(JOB, arms=("none", "strangers")))
    assert len(job.finished(bench)) == 6


def test_where_a_decoder_lies_is_known_to_the_training_alone(
    kit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder stands in no file of the benchmark; from there, the kit that names it finds it again."""
    place, out, given = tmp_path / "private" / "taesd", tmp_path / "bench", list[str]()
    place.mkdir(parents=True)

    def begin(settings: PersonalizationSettings, *_: Any, **__: Any) -> None:
        given.append(settings.decoupling.decoder)
        raise InputError("enough")

    monkeypatch.setattr(personalize, "run", begin)
    own = Path(shutil.copytree(Path(kit).parent, tmp_path / "kit")) / Path(kit).name
    named = f'decoupling = {{ decoder = "{place}", rounds = 1, pgd_steps = 1 }}'
    own.write_text(own.read_text().replace("decoupling = { rounds = 1, pgd_steps = 1 }", named))
    asked = replace(JOB, people=(8,), arms=("0.1",))
    made = build_protocol(open_kit(own), {}, SAMPLING, LINEUP)
    for each in (made, None):
        with pytest.raises(TrainingError, match="enough"):
            again(out, each or Protocol.of(out), str(own), asked)
    assert given == [str(place.resolve())] * 2
    texts = [file.read_text() for file in out.rglob("*.json")]
    assert len(texts) == 2
    assert not any("private" in text for text in texts)
    assert all('"decoder": "taesd"' in text for text in texts)
    assert LAST.key(made) == LAST.key(Protocol.of(out))
