from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

from visard.cli import console
from visard.errors import StorageError
from visard.images import read_folder

Run = Callable[..., Result]
Folders = Callable[..., Path]


def pixels(folder: Path) -> np.ndarray:
    return np.stack([np.asarray(photo.image) for photo in read_folder(folder)])


def test_from_photos_to_a_report(visard: Run, kit: Path, photo_folder: Folders, tmp_path: Path) -> None:
    photos, run, out = photo_folder(4), tmp_path / "run", tmp_path / "pictures"
    made = visard("personalize", photos, run, "--kit", kit, "--previews", 1, "--json")
    assert made.exit_code == 0, made.stderr
    values = json.loads(made.stdout)
    assert Path(values["model"]) == run / "model"
    assert len(values["rounds"]) == 2
    assert "personalization 4/4" not in made.stdout
    assert (run / "previews").is_dir()

    for arm in ("none", "iddm"):
        drawn = visard("generate", run, out / arm, "--kit", kit, "--count", 3, "--steps", 2, "--json")
        assert drawn.exit_code == 0, drawn.stderr
        assert [Path(file).name for file in json.loads(drawn.stdout)["pictures"]] == [
            "0000.png",
            "0001.png",
            "0002.png",
        ]

    strangers = tmp_path / "strangers"
    for person in range(3):
        photo_folder(2, name=f"strangers/{person}")
    page = tmp_path / "report.html"
    audited = visard(
        "audit", out, "--reference", photo_folder(3, name="others"), "--gallery", strangers,
        "--training-photos", photos, "--kit", kit, "--report", page, "--json",
        "--fpir", 0.25, "--fmr", 0.5, "--fmr", 0.1,
    )  # fmt: skip
    assert audited.exit_code == 0, audited.stderr
    found = json.loads(audited.stdout)
    assert sorted(arm["arm"] for arm in found["arms"]) == ["iddm", "none"]
    assert found["settings"]["fpir"] == 0.25
    assert found["settings"]["false_match_rates"] == [0.5, 0.1]
    assert "training-in-reference" in {flag["code"] for flag in found["flags"]}
    assert found["surrogates"] == []  # nobody said of which run the pictures are
    assert "<img" in page.read_text(encoding="utf-8")
    assert "<html" in page.read_text(encoding="utf-8")
    assert str(tmp_path) not in page.read_text(encoding="utf-8")

    # what one kit trains against may be what another judges by: only the run can tell
    other = kit.with_name("other.toml")
    text = kit.read_text(encoding="utf-8").replace('role = "surrogate"', 'role = "was"')
    text = text.replace('role = "judge"', 'role = "surrogate"').replace('role = "was"', 'role = "judge"')
    other.write_text(text, encoding="utf-8")
    again = visard(
        "audit", out, "--reference", tmp_path / "others", "--gallery", strangers, "--kit", other,
        "--run", run, "--report", page, "--no-pictures", "--json",
    )  # fmt: skip
    assert again.exit_code == 0, again.stderr
    found = json.loads(again.stdout)
    assert found["surrogates"] == ["one"]
    assert "judge-was-surrogate" in {flag["code"] for flag in found["flags"]}
    assert "<img" not in page.read_text(encoding="utf-8")
    wrong = visard("audit", out, "--reference", photos, "--gallery", strangers, "--kit", kit, "--run", out)
    assert wrong.exit_code == 2
    assert "is no finished run" in wrong.stderr


def test_a_stopped_run_goes_on_to_the_same_model(
    visard: Run, kit: Path, photo_folder: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = photo_folder(4)
    assert visard("personalize", photos, tmp_path / "whole", "--kit", kit).exit_code == 0

    def press_ctrl_c(self: console.Lines, stage: str, done: int, total: int, **_: float) -> None:
        if stage == "personalization" and done == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(console.Lines, "__call__", press_ctrl_c)
        stopped = visard("personalize", photos, tmp_path / "run", "--kit", kit)
    assert stopped.exit_code == 130
    assert "goes on from what was saved" in stopped.stderr
    unfinished = visard("generate", tmp_path / "run", tmp_path / "out", "--kit", kit)
    assert unfinished.exit_code == 3
    assert "not finished" in unfinished.stderr

    assert visard("personalize", photos, tmp_path / "run", "--kit", kit).exit_code == 0
    weights = "model/unet/diffusion_pytorch_model.safetensors"
    assert (tmp_path / "run" / weights).read_bytes() == (tmp_path / "whole" / weights).read_bytes()


def test_run_toml_repeats_a_run_and_another_run_is_refused(
    visard: Run, kit: Path, photo_folder: Folders, tmp_path: Path
) -> None:
    photos, first = photo_folder(4), tmp_path / "first"
    assert visard("personalize", photos, first, "--kit", kit, "--no-defence", "--seed", 3).exit_code == 0
    again = visard("personalize", photos, tmp_path / "again", "--kit", kit, "--config", first / "run.toml")
    assert again.exit_code == 0, again.stderr
    assert (tmp_path / "again" / "run.toml").read_text() == (first / "run.toml").read_text()
    other = visard("personalize", photos, first, "--kit", kit, "--seed", 4)
    assert other.exit_code == 2
    assert "settings.seed" in other.stderr


def test_a_lora_knows_its_base_model(visard: Run, kit: Path, photo_folder: Folders, tmp_path: Path) -> None:
    run = tmp_path / "run"
    made = visard("personalize", photo_folder(4), run, "--kit", kit, "--method", "lora", "--rho", 1)
    assert made.exit_code == 0, made.stderr
    options = ["--kit", kit, "--count", 1, "--steps", 2]
    assert visard("generate", run, tmp_path / "by_run", *options).exit_code == 0
    words = ["--prompt", "a photo of sks person"]
    assert visard("generate", run / "lora.safetensors", tmp_path / "by_file", *options, *words).exit_code == 0
    assert np.array_equal(pixels(tmp_path / "by_run"), pixels(tmp_path / "by_file"))
    silent = visard("generate", run / "lora.safetensors", tmp_path / "no_words", *options)
    assert silent.exit_code == 2
    assert "--prompt" in silent.stderr

    from support.tiny import tiny_pipeline

    other = tiny_pipeline(tmp_path / "other", seed=5)
    wrong = visard("generate", run, tmp_path / "wrong", *options, "--base", other)
    assert wrong.exit_code == 3
    assert "another base model" in wrong.stderr

    shown = json.loads(visard("inspect", run / "lora.safetensors", "--json").stdout)
    assert shown["kind"].startswith("LoRA")
    assert shown["rank"] == [16]
    assert shown["leaks"] == []


def test_pictures_are_kept_extended_and_never_mixed(visard: Run, kit: Path, tmp_path: Path) -> None:
    model, out = kit.parent / "model", tmp_path / "out"
    request = ["generate", model, out, "--kit", kit, "--steps", 2, "--prompt", "a photo"]
    assert visard(*request, "--count", 2).exit_code == 0
    first = (out / "0000.png").stat().st_mtime_ns
    assert visard(*request, "--count", 3).exit_code == 0
    assert (out / "0000.png").stat().st_mtime_ns == first
    assert len(read_folder(out)) == 3
    mixed = visard(*request, "--seed", 1)
    assert mixed.exit_code == 2
    assert "another request" in mixed.stderr


def test_a_full_disk_keeps_what_is_there(
    visard: Run, kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    request = ["generate", kit.parent / "model", out, "--kit", kit, "--steps", 1, "--prompt", "a photo"]
    assert visard(*request, "--count", 1).exit_code == 0

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(os, "fsync", full)
        failed = visard(*request, "--count", 3)
    assert failed.exit_code == 4
    assert "disk is full" in failed.stderr
    assert sorted(file.name for file in out.iterdir()) == ["0000.png", "generate.json"]
    assert visard(*request, "--count", 3).exit_code == 0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.jpg", b"no picture at all", "is not a JPEG, PNG or WebP"),
        ("cut.png", None, "cannot be read"),
        ("phone.heic", b"....ftypheic", "HEIC"),
    ],
)
def test_bad_photos_are_named(
    visard: Run,
    kit: Path,
    photo_folder: Folders,
    tmp_path: Path,
    name: str,
    content: bytes | None,
    message: str,
) -> None:
    photos = photo_folder(4)
    (photos / name).write_bytes(content or (photos / "00.png").read_bytes()[:200])
    shown = visard("personalize", photos, tmp_path / "run", "--kit", kit)
    assert shown.exit_code == 2
    assert name in shown.stderr
    assert message in shown.stderr
    assert not (tmp_path / "run").exists()


def test_empty_folders_and_too_few_photos(
    visard: Run, kit: Path, photo_folder: Folders, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    for photos, message in ((tmp_path / "empty", "no pictures"), (photo_folder(3), "There are 3 photos")):
        shown = visard("personalize", photos, tmp_path / "run", "--kit", kit)
        assert shown.exit_code == 2
        assert message in shown.stderr
    nothing = visard("audit", tmp_path / "empty", "--reference", tmp_path / "photos", "--kit", kit)
    assert nothing.exit_code == 2
    assert "no pictures" in nothing.stderr


def test_photos_of_every_kind_are_taken(
    visard: Run, kit: Path, photo_folder: Folders, tmp_path: Path
) -> None:
    photos = photo_folder(4)
    picture = Image.open(photos / "00.png")
    picture.convert("CMYK").save(photos / "print.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(photos / "turned.jpg", exif=exif)
    grey = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(grey).save(photos / "sixteen.png")
    shown = visard("personalize", photos, tmp_path / "run", "--kit", kit, "--no-defence")
    assert shown.exit_code == 0, shown.stderr


def test_folders_that_are_no_models(visard: Run, kit: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for model in (tmp_path / "empty", tmp_path / "nowhere"):
        shown = visard("generate", model, tmp_path / "out", "--kit", kit, "--prompt", "a photo")
        assert shown.exit_code == 3
        assert "no model" in shown.stderr
        assert not (tmp_path / "out").exists()


def test_figures_are_shown_where_the_report_cannot_be_written(
    visard: Run, kit: Path, photo_folder: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for person in range(3):
        photo_folder(2, name=f"strangers/{person}")

    def full(*_: object, **__: object) -> None:
        raise StorageError("The disk is full.", "Free some space.")

    monkeypatch.setattr("visard.api.auditing.write_report", full)
    shown = visard(
        "audit", photo_folder(2), "--reference", photo_folder(2, name="others"),
        "--gallery", tmp_path / "strangers", "--kit", kit, "--report", tmp_path / "a.html", "--json",
    )  # fmt: skip
    assert shown.exit_code == 4
    assert len(json.loads(shown.stdout)["arms"]) == 1


def test_a_caution_names_whom_it_concerns(
    visard: Run, kit: Path, photo_folder: Folders, tmp_path: Path
) -> None:
    for person in range(3):
        photo_folder(2, name=f"strangers/{person}")
    shown = visard(
        "audit", photo_folder(2), "--reference", photo_folder(2, name="others"),
        "--gallery", tmp_path / "strangers", "--kit", kit,
    )  # fmt: skip
    assert shown.exit_code == 0, shown.stderr
    lines = shown.stdout.splitlines()
    at = lines.index("Caution: Too few faces.")
    assert lines[at + 1].startswith("  pictures: ")
    assert lines[at + 2].startswith("  Generate more pictures")
    unchecked = [line for line in lines if line.startswith("Not checked: ")]
    assert any("took part in training. Give the run" in line for line in unchecked)


def test_an_audit_needs_strangers(visard: Run, kit: Path, photo_folder: Folders) -> None:
    photos = photo_folder(2)
    shown = visard("audit", photos, "--reference", photos, "--kit", kit)
    assert shown.exit_code == 2
    assert "--gallery" in shown.stderr
