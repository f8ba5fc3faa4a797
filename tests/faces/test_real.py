"""From real photos to verification with published weights: conventions that only real faces prove.

LFW10x10: 10 people x 10 photos, so 450 mated and 4500 non-mated pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from visard.faces.detector import Face
from visard.faces.recognizer import InputSpec, Recognizer, RecognizerRow, prototype
from visard.faces.scrfd import DetectorRow, Scrfd
from visard.images import read_image, to_tensor
from visard.metrics.retrieval import ranks

pytestmark = pytest.mark.real

# name -> mated and non-mated mean similarity as measured with these weights elsewhere
EXPECTED = {"mobilefacenet": (0.707, 0.023), "reidentification": (0.697, 0.014)}
MATED, NON_MATED = 450, 4500


@dataclass(frozen=True)
class People:
    """Photos (N, 3, H, W), whose they are, and the landmarks of the face in the middle (N, 5, 2)."""

    photos: Tensor
    names: list[str]
    landmarks: Tensor

    def same(self) -> Tensor:
        return torch.tensor([[one == other for other in self.names] for one in self.names])


@pytest.fixture(scope="module")
def detector(real_data: Path) -> Scrfd:
    row = DetectorRow("scrfd-500m", "scrfd_onnx", real_data / "models" / "scrfd_500m_kps.onnx", sizes=(512,))
    return Scrfd.load(row)


@pytest.fixture(scope="module")
def photos(real_data: Path) -> tuple[Tensor, list[str]]:
    files = sorted((real_data / "photos" / "lfw10x10").glob("*/*.jpg"))
    return torch.stack([to_tensor(read_image(file)) for file in files]), [file.parent.name for file in files]


@pytest.fixture(scope="module")
def faces(detector: Scrfd, photos: tuple[Tensor, list[str]]) -> list[list[Face]]:
    return detector.detect(photos[0])


@pytest.fixture(scope="module")
def people(photos: tuple[Tensor, list[str]], faces: list[list[Face]]) -> People:
    """LFW names the person in the middle of the photo, who need not have the best score."""
    middle = (photos[0].shape[-1] - 1) / 2
    central = [
        min(found, key=lambda face: float((face.landmarks.mean(0) - middle).norm())) for found in faces
    ]
    return People(*photos, torch.stack([face.landmarks for face in central]))


@pytest.fixture(scope="module")
def rows(real_data: Path) -> dict[str, RecognizerRow]:
    models = real_data / "models"
    return {
        "mobilefacenet": RecognizerRow(
            "mobilefacenet",
            "surrogate",
            "mobilefacenet",
            models / "mobilefacenet-y1-128d.safetensors",
            "MobileFaceNet",
            InputSpec(112, "RGB", 127.5, 128.0),
            {"embedding_dim": 128, "eps": 1e-3, "eps_embedding": 2e-5},
        ),
        "reidentification": RecognizerRow(
            "reidentification",
            "judge",
            "openvino",
            models / "openvino" / "face-reidentification-retail-0095.xml",
            "Open Model Zoo re-identification",
            InputSpec(128, "BGR", 0.0, 1.0),
        ),
    }


def embeddings(row: RecognizerRow, people: People) -> Tensor:
    with torch.no_grad():
        return Recognizer.load(row).embed_faces(people.photos, people.landmarks)


@pytest.fixture(scope="module")
def embedded(rows: dict[str, RecognizerRow], people: People) -> dict[str, Tensor]:
    return {name: embeddings(row, people) for name, row in rows.items()}


def pairs(found: Tensor, people: People) -> tuple[Tensor, Tensor]:
    """Similarities of all mated and all non-mated pairs."""
    first, second = torch.triu_indices(len(found), len(found), 1)
    similarity, same = (found @ found.T)[first, second], people.same()[first, second]
    return similarity[same], similarity[~same]


def true_match_rate(mated: Tensor, non_mated: Tensor, rate: float) -> float:
    """TMR where at most `rate` of the non-mated pairs match."""
    allowed = int(rate * len(non_mated))
    threshold = non_mated.sort(descending=True).values[allowed]
    return float((mated > threshold).float().mean())


def test_no_face_is_missed(
    faces: list[list[Face]], detector: Scrfd, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        several = sum(len(found) > 1 for found in faces)
        lowest = min(found[0].score for found in faces)
        print(f"\n{detector.name} ({detector.setting}): faces in {sum(map(bool, faces))}", end="")
        print(f" of {len(faces)} photos, several in {several}, lowest best score {lowest:.3f}")
    assert len(faces) == 100
    assert all(faces)


def test_landmarks_lie_where_faces_have_them(people: People) -> None:
    left_eye, right_eye, nose, left_mouth, right_mouth = people.landmarks.unbind(1)
    assert bool((left_eye[:, 0] < right_eye[:, 0]).all())
    assert bool((left_mouth[:, 0] < right_mouth[:, 0]).all())
    assert bool((left_eye[:, 1] < nose[:, 1]).all())
    assert bool((nose[:, 1] < left_mouth[:, 1]).all())


@pytest.mark.parametrize("name", EXPECTED)
def test_verification(
    name: str, embedded: dict[str, Tensor], people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    mated, non_mated = pairs(embedded[name], people)
    assert (len(mated), len(non_mated)) == (MATED, NON_MATED)
    area = float((mated[:, None] > non_mated).float().mean())
    rates = {rate: true_match_rate(mated, non_mated, rate) for rate in (1e-2, 1e-3)}
    with capsys.disabled():
        print(f"\n{name}: mated {mated.mean():.3f} ({len(mated)} pairs), ", end="")
        print(f"non-mated {non_mated.mean():.3f} ({len(non_mated)} pairs), AUC {area:.5f}, ", end="")
        print(", ".join(f"TMR@FMR {rate:g} {value:.4f}" for rate, value in rates.items()))
    expected_mated, expected_non_mated = EXPECTED[name]
    assert mated.mean().item() == pytest.approx(expected_mated, abs=0.01)
    assert non_mated.mean().item() == pytest.approx(expected_non_mated, abs=0.005)
    assert area > 0.99
    assert rates[1e-3] > 0.95


@pytest.mark.parametrize("name", EXPECTED)
def test_everyone_is_found_at_rank_one(name: str, embedded: dict[str, Tensor], people: People) -> None:
    found = embedded[name]
    half = [index for index in range(100) if index % 10 < 5]
    others = [index for index in range(100) if index % 10 >= 5]
    names = sorted(set(people.names))
    mine = {name: [index for index in half if people.names[index] == name] for name in names}
    gallery = torch.stack([prototype(found[mine[name]]) for name in names])
    true = torch.tensor([names.index(people.names[index]) for index in others])
    assert ranks(found[others] @ gallery.T, true).tolist() == [1] * 50


@pytest.mark.parametrize("name", EXPECTED)
def test_a_wrong_channel_order_is_worse_yet_plausible(
    name: str, rows: dict[str, RecognizerRow], embedded: dict[str, Tensor], people: People
) -> None:
    row = rows[name]
    swapped = replace(row.input, channels="RGB" if row.input.channels == "BGR" else "BGR")
    right, _ = pairs(embedded[name], people)
    wrong, strangers = pairs(embeddings(replace(row, input=swapped), people), people)
    assert wrong.mean() < right.mean() - 0.005
    assert true_match_rate(wrong, strangers, 1e-2) > 0.8


def test_jitter_of_two_percent_of_the_eye_distance_costs_little(
    rows: dict[str, RecognizerRow], embedded: dict[str, Tensor], people: People
) -> None:
    recognizer = Recognizer.load(rows["mobilefacenet"])
    eyes = (people.landmarks[:, 1] - people.landmarks[:, 0]).norm(dim=1)
    noise = torch.randn(people.landmarks.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        moved = recognizer.embed_faces(people.photos, people.landmarks + 0.02 * eyes[:, None, None] * noise)
    assert 0.005 < 1 - float((embedded["mobilefacenet"] * moved).sum(1).mean()) < 0.05


def test_the_gradient_of_a_real_recogniser_reaches_the_photo(
    rows: dict[str, RecognizerRow], people: People
) -> None:
    recognizer = Recognizer.load(rows["mobilefacenet"])
    photo, points = people.photos[:1].clone().requires_grad_(), people.landmarks[:1]
    other = recognizer.embed_faces(people.photos[1:2], people.landmarks[1:2])
    similarity = (recognizer.embed_faces(photo, points) * other).sum()
    similarity.backward()
    assert photo.grad is not None
    with torch.no_grad():
        less = (recognizer.embed_faces(photo - 0.01 * photo.grad.sign(), points) * other).sum()
    assert float(less) < float(similarity.detach()) - 0.1


def test_an_openvino_judge_says_that_it_has_no_gradient(
    rows: dict[str, RecognizerRow], people: People
) -> None:
    photo = people.photos[:1].clone().requires_grad_()
    with pytest.raises(ValueError, match="no gradient"):
        Recognizer.load(rows["reidentification"]).embed_faces(photo, people.landmarks[:1])


@pytest.mark.parametrize("sizes", [(512,), (320,), (512, 320, 192)])
def test_tight_portraits_are_found_at_every_setting(
    real_data: Path, detector: Scrfd, sizes: tuple[int, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted(file for file in (real_data / "photos" / "person-512").rglob("*") if file.is_file())
    photos = torch.stack([to_tensor(read_image(file)) for file in files])
    setting = Scrfd(detector.network, sizes=sizes)
    found = setting.detect(photos)
    with capsys.disabled():
        print(f"\nperson-512 ({setting.setting}): faces in {sum(map(bool, found))} of {len(found)} photos")
    assert all(found)
