"""`visard personalize` for several people, and under memory plans."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from typer.testing import Result

from support.pictures import picture
from visard.cli.console import Lines
from visard.people import Easel, Order, Sitter, folders_in
from visard.progress import silent

Run = Callable[..., Result]
Folders = Callable[..., Path]
SHORT = ("--steps", 2, "--rounds", 1, "--method", "lora")


def test_everybody_gets_a_run_and_one_who_fails_stops_nobody(
    visard: Run, kit: Path, photo_folder: Folders, tmp_path: Path
) -> None:
    everybody, out = tmp_path / "everybody", tmp_path / "runs"
    for name, count in (("anna", 4), ("bela", 2), ("cleo", 4)):
        photo_folder(count, name=f"everybody/{name}")
    (everybody / "empty").mkdir()
    command = ("personalize", "--people", everybody, out, "--kit", kit, *SHORT, "--device", "cpu", "--json")
    first = visard(*command)
    assert first.exit_code == 5, first.output
    assert "cleo: personalization" in first.stderr
    values = json.loads(first.stdout)
    assert set(values["done"]) == {"anna", "cleo"}
    assert set(values["failed"]) == {"bela"}
    assert f"bela: {values['failed']['bela']}" in first.stderr
    assert all((Path(folder) / "lora.safetensors").is_file() for folder in values["done"].values())
    assert sorted(each.name for each in out.iterdir()) == ["anna", "cleo"]
    before = (out / "anna" / "run.toml").stat().st_mtime_ns
    for index in (2, 3):
        picture(index).save(everybody / "bela" / f"{index:02d}.png")
    second = visard(*command)
    assert second.exit_code == 0, second.output
    assert set(json.loads(second.stdout)["done"]) == {"anna", "bela", "cleo"}
    assert (out / "anna" / "run.toml").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ((), "The same command tries them again."),
        (("--no-resume",), "The same command without --no-resume tries them again."),
    ],
)
def test_nobody_who_is_done_is_begun_anew(
    visard: Run,
    photo_folder: Folders,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    advice: str,
) -> None:
    monkeypatch.setattr("visard.people.personalize_people", lambda people, *_: {people[0]: "for a reason"})
    both = [photo_folder(1, name=name) for name in ("anna", "bela")]
    failed = visard("personalize", *both, tmp_path / "out", *options)
    assert failed.exit_code == 5
    assert failed.stderr.endswith(f"anna: for a reason\n{advice}\n")


def test_what_a_worker_starts_with_can_be_sent_to_it(kit: Path, tmp_path: Path) -> None:
    start = partial(Easel, "cpu", Order(str(kit), {"memory": "none"}, Lines))
    received = pickle.loads(pickle.dumps(start))
    assert received().kit.name == "small"
    assert pickle.loads(pickle.dumps(Sitter(tmp_path, tmp_path))) == Sitter(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("one",), "only one folder"),
        (("one", "out", "--gpus", "0,1"), "One person takes one device"),
        (("one", "two", "out", "--gpus", "0,0"), "no list of GPUs"),
        (("one", "two", "out", "--gpus", "0,x"), "no list of GPUs"),
        (("one", "two", "out", "--gpus", "0,1", "--workers", "2"), "exclude each other"),
        (("one", "deep/one", "out"), "are called one"),
        (("--people", "none", "out"), "holds no folders of photos"),
        (("one", "two", "out", "--gpus", "97"), "no device cuda:97"),
        (("one", "out", "--memory", "12g"), "no memory plan '12g'"),
        (("one", "out", "--memory", "10g", "--method", "dreambooth"), "trains a LoRA"),
    ],
)
def test_what_cannot_be_done_is_refused(
    visard: Run,
    kit: Path,
    photo_folder: Folders,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    for name in ("one", "two", "deep/one"):
        photo_folder(4, name=name)
    monkeypatch.chdir(tmp_path)
    refused = visard("personalize", *arguments, "--kit", kit)
    assert refused.exit_code == 2, refused.output
    assert message in " ".join(refused.stderr.split())
    assert not (tmp_path / "out").exists()


def test_a_plan_is_said_and_kept(visard: Run, kit: Path, photo_folder: Folders, tmp_path: Path) -> None:
    run = tmp_path / "run"
    made = visard(
        "personalize", photo_folder(4), run, "--kit", kit, *SHORT, "--memory", "32g", "--device", "cpu"
    )
    assert made.exit_code == 0, made.output
    assert "Memory plan 32g" in made.stderr
    assert "the same result up to rounding" in made.stderr
    assert "save_memory = true" in (run / "run.toml").read_text()
    again = visard("personalize", tmp_path / "photos", run, "--kit", kit, *SHORT, "--device", "cpu")
    assert again.exit_code == 0, again.output  # without the plan: the same finished run


def test_a_plan_that_needs_a_library_says_which(
    visard: Run, kit: Path, photo_folder: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    failed = visard("personalize", photo_folder(4), tmp_path / "run", "--kit", kit, "--memory", "24g")
    assert failed.exit_code == 3
    assert 'pip install "visard[memory]"' in " ".join(failed.stderr.split())


def test_somebody_whose_photos_are_all_heic_is_not_passed_over(tmp_path: Path) -> None:
    for name in ("anna/1.jpg", "bela/IMG_1.HEIC", "notes/1.txt", "cleo/.hidden.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert [each.name for each in folders_in(tmp_path)] == ["anna", "bela"]


def test_an_order_can_be_sent_as_it_is() -> None:
    assert pickle.loads(pickle.dumps(Order())).report("anna") is silent
