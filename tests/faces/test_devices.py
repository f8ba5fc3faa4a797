"""Models on another device than the pictures: what they say is the same, and so is its gradient."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from support.devices import AWAY, second_device
from support.encoders import write_encoders
from visard.attacks.tuning import fine_tune
from visard.audit.observe import observe
from visard.audit.quality import encode
from visard.faces.alignment import TEMPLATE_112, template
from visard.faces.architectures.reduced import REDUCED
from visard.faces.detector import Face
from visard.faces.recognizer import InputSpec, Recognizer
from visard.faces.refinement import HEAD, RefinedDetector, outputs
from visard.faces.regressor import FaceRegressor, Head, head_sizes
from visard.images import picture_files, read_image, to_tensor
from visard.kits import Kit, open_kit
from visard.personalization.identity import IdentityLoss, prototypes
from visard.progress import silent

POINTS = TEMPLATE_112.expand(2, 5, 2) + 5


class Finds:
    """A detector on the CPU, as all are, that knows where the faces are."""

    name, setting, weights = "finds", "none", ""

    def detect(self, images: Tensor) -> list[list[Face]]:
        box = torch.tensor([1.0, 2.0, 90.0, 100.0])
        return [[Face(box, 0.9, points)] for points in POINTS[: len(images)]]


@pytest.fixture
def pictures() -> Tensor:
    return torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture
def recognizer() -> Recognizer:
    torch.manual_seed(0)
    network = REDUCED["irse"].build().eval()
    return Recognizer(network, name="irse", family="IR-SE", spec=InputSpec(64))


@pytest.fixture
def landmarks() -> FaceRegressor:
    torch.manual_seed(0)
    mean = tuple((template(64, 0.2) / 64).flatten().tolist())
    heads = (Head(HEAD, "continuous", tuple(outputs()), mean=mean, scale=(0.02,) * 10),)
    network = REDUCED["regressor"].build(heads=head_sizes(heads)).eval()
    return FaceRegressor(network, name="landmarks", spec=InputSpec(64), heads=heads, margin=0.2)


def on_the_cpu(found: Tensor) -> Tensor:
    return found.detach().cpu()


def test_the_second_device_refuses_the_cpus_tensors(pictures: Tensor) -> None:
    with second_device() as device:
        away = pictures.to(device)
        assert away.device == AWAY
        assert torch.equal((away * 2).cpu(), pictures * 2)
        with pytest.raises(RuntimeError, match="same device"):
            away + pictures


@pytest.mark.parametrize(("model_away", "pictures_away"), [(True, False), (False, True), (True, True)])
def test_a_recogniser_and_its_gradient(
    recognizer: Recognizer, pictures: Tensor, model_away: bool, pictures_away: bool
) -> None:
    def looked_at(reader: Recognizer, shown: Tensor) -> tuple[Tensor, Tensor]:
        shown = shown.clone().requires_grad_()
        embeddings = reader.embed_faces(shown, POINTS)
        embeddings[:, 0].sum().backward()
        assert shown.grad is not None
        assert shown.grad.device == shown.device
        return on_the_cpu(embeddings), on_the_cpu(shown.grad)

    expected = looked_at(recognizer, pictures)
    with second_device() as device:
        model = copy.deepcopy(recognizer).to(device) if model_away else recognizer
        found = looked_at(model, pictures.to(device) if pictures_away else pictures)
    for values, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(values, wanted)


@pytest.mark.parametrize("model_away", [True, False])
def test_the_identity_loss(recognizer: Recognizer, pictures: Tensor, model_away: bool) -> None:
    person = prototypes([recognizer], pictures[:1], [POINTS[0]])
    expected = IdentityLoss([recognizer], Finds(), person).similarities(pictures, POINTS)
    with second_device() as device:
        model = copy.deepcopy(recognizer).to(device) if model_away else recognizer
        shown = pictures if model_away else pictures.to(device)
        loss = IdentityLoss([model], Finds(), prototypes([model], shown[:1], [POINTS[0]]))
        found = loss.similarities(shown, POINTS.to(shown))
        assert found.device == shown.device
        torch.testing.assert_close(on_the_cpu(found), expected)


@pytest.mark.parametrize("model_away", [True, False])
def test_refined_landmarks_come_back_to_the_detectors_device(
    landmarks: FaceRegressor, pictures: Tensor, model_away: bool
) -> None:
    expected = RefinedDetector(Finds(), landmarks).detect(pictures)
    with second_device() as device:
        model = copy.deepcopy(landmarks).to(device) if model_away else landmarks
        shown = pictures if model_away else pictures.to(device)
        found = RefinedDetector(Finds(), model).detect(shown)
        for (face,), (wanted,) in zip(found, expected, strict=True):
            torch.testing.assert_close(face.landmarks, wanted.landmarks)


def test_all_that_an_audit_looks_through() -> None:
    def seen(kit: Kit) -> list[Tensor]:
        instruments = kit.instruments()
        faces = observe(photos, instruments, batch=2, stage="", progress=silent)
        assert faces.faces == len(photos)
        encoders = [each for each in (instruments.features, instruments.matcher) if each is not None]
        assert encoders
        assert instruments.quality is not None
        generator = torch.Generator().manual_seed(0)
        return [
            faces.landmarks,
            *(
                values
                for of in (faces.embeddings, faces.attributes, faces.quantities)
                for values in of.values()
            ),
            *(encode(each, photos, 2) for each in encoders),
            instruments.quality.score_faces(photos, faces.landmarks, generator).cpu(),
        ]

    gallery = open_kit().gallery
    assert gallery is not None
    files = [file for folder in sorted(gallery.iterdir())[:3] for file in picture_files(folder)[:1]]
    photos = torch.stack([to_tensor(read_image(file)) for file in files])
    expected = seen(open_kit())
    with second_device() as device:
        found = seen(open_kit(device=str(device)))
    for values, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(values, wanted)


def test_what_sees_whole_pictures_and_words(pictures: Tensor, tmp_path: Path) -> None:
    def seen() -> list[Tensor]:
        return [
            encode(matcher, pictures, 2),
            encode(captions.pictures, pictures, 2),
            captions.words(["a red hat"]).cpu(),
            lpips(pictures, pictures.flip(0)).cpu(),
        ]

    file = tmp_path / "kit.toml"
    file.write_text('name = "whole"\n' + write_encoders(tmp_path))
    kit = open_kit(file)
    matcher, captions, lpips = kit.matcher(), kit.captions(), kit.perceptual()
    assert matcher is not None
    assert captions is not None
    assert lpips is not None
    with torch.no_grad():
        expected = seen()
        with second_device() as device:
            for model in (matcher, captions, lpips):
                model.to(device)
            found = seen()
    for values, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(values, wanted)


def test_a_recogniser_is_fine_tuned_where_it_is(recognizer: Recognizer) -> None:
    crops = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    labels, people = torch.tensor([0, 1, 0, 1]), recognizer.embed(crops[:2]).detach()

    def tuned(model: Recognizer) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        found = fine_tune(model, crops, labels, people, steps=1, generator=generator)
        assert found.device == model.device
        return on_the_cpu(found.embed(crops))

    expected = tuned(recognizer)
    with second_device() as device:
        torch.testing.assert_close(tuned(copy.deepcopy(recognizer).to(device)), expected)
