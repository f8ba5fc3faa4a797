from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from personalization.fakes import FakeDetector, photos, recognizer
from personalization.runs import SETTINGS
from visard.diffusion.backbone import Backbone
from visard.personalization.photos import Photos, prepare
from visard.personalization.record import key_digest, library_versions, public_name, run_key


def test_the_digest_of_a_key_does_not_depend_on_the_order_of_names() -> None:
    key = {"settings": {"rho": 0.1, "seed": None}, "photos": ["a", "b"]}
    turned = {"photos": ["a", "b"], "settings": {"seed": None, "rho": 0.1}}
    assert key_digest(key) == key_digest(turned) != key_digest(key | {"photos": ["b", "a"]})
    # Finished runs in people's folders are known by it.
    assert key_digest(key) == "27e22de12ce107e9e226872e63956f69914cf288ac84de16c8cc046ed3325ad1"


def test_versions_are_of_visard_and_what_computes() -> None:
    assert {"visard", "torch", "diffusers"} <= library_versions().keys()


def test_a_run_is_the_same_whatever_the_last_bit_of_a_landmark(backbone: Backbone) -> None:
    """It depends on the number of threads; what finds them does not."""
    detector, surrogate = FakeDetector(), recognizer(0)
    prepared = prepare(photos(), detector, resolution=backbone.resolution, prompt="a photo of sks person")

    def key(photos: Photos, weights: str = "") -> dict[str, object]:
        detector.weights = weights
        return run_key(SETTINGS, photos, backbone, [surrogate], detector)

    moved = replace(prepared, landmarks=torch.nextafter(prepared.landmarks, torch.tensor(99.0)))
    assert key(prepared) == key(moved) != key(prepared, "another detector's")
    assert key(prepared) != key(replace(prepared, originals=-prepared.originals))


@pytest.mark.parametrize("path", ["/models/of alice/sd15", "~/of alice/sd15"])
def test_a_record_tells_no_folders(path: str) -> None:
    assert public_name(path) == "sd15"
    assert public_name("owner/name") == "owner/name"
