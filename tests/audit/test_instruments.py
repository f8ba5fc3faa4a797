"""An audit through a kit's CLIP, DINO and LPIPS: each figure is what its network says of the pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from support.encoders import write_encoders
from support.kits import face_in_the_middle, two_recognizers, write_kit, write_networks
from support.toys import ToyWorld
from visard.audit import AuditSettings, Instruments, audit, render_report
from visard.faces.scrfd import Scrfd
from visard.kits import open_kit
from visard.metrics.caption_agreement import caption_agreement
from visard.metrics.picture_similarity import picture_similarity

PROMPT = "a photo of sks person"


@pytest.fixture
def instruments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instruments:
    monkeypatch.setattr(Scrfd, "detect", face_in_the_middle)
    write_networks(tmp_path)
    return open_kit(write_kit(tmp_path, write_encoders(tmp_path) + two_recognizers())).instruments()


def test_clip_dino_and_lpips_reach_the_report(world: ToyWorld, instruments: Instruments) -> None:
    person = world.person()
    photos, drawn = world.photos(person, 5), world.photos(person, 4)
    copies = drawn[:1].expand(4, -1, -1, -1)
    result = audit(
        {f"none/{PROMPT}": drawn, f"copies/{PROMPT}": copies, "unprompted": drawn},
        photos,
        world.strangers(10, 2),
        instruments,
        training_photos=world.photos(person, 4),
        settings=AuditSettings(draws=20, null_draws=5),
    )
    none, copied, unprompted = (arm.resemblance for arm in result.arms)
    clip, dino, lpips = instruments.captions, instruments.matcher, instruments.perceptual
    with torch.no_grad():
        words = clip.words(["a photo of person"])[0]  # the word that stands for the person means nothing
        assert none.captions.pictures == pytest.approx(caption_agreement(clip.pictures(drawn), words))
        assert none.captions.photos == pytest.approx(caption_agreement(clip.pictures(photos), words))
        assert none.whole.pictures == pytest.approx(picture_similarity(dino(drawn), dino(photos)))
        first, second = torch.triu_indices(4, 4, offset=1)
        mean = float(lpips(drawn[first], drawn[second]).mean())
    assert none.diversity.pictures == pytest.approx(mean)
    assert mean > 0
    assert copied.diversity.pictures == 0
    assert unprompted.captions is None
    assert none.copying.model == none.whole.model == "small dino"
    assert set(result.absent) == {"attribute agreement", "appearance", "FID, KID", "BRISQUE", "SER-FIQ"}

    page = render_report(result)
    for words in ("Prompt agreement by small clip.", "Diversity in LPIPS (AlexNet, v0.1).", "by small dino"):
        assert words in page
    assert "an encoder of pictures and text" not in page
