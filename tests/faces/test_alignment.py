"""Alignment: the published conventions, to the pixel, with a gradient to the picture alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from skimage.transform import SimilarityTransform
from torch import Tensor

from visard.faces.alignment import TEMPLATE_112, align, similarity_transform, template, warp


def landmarks(count: int = 8, seed: int = 0) -> Tensor:
    """Faces of several sizes, turned and shifted, with some noise: (count, 5, 2)."""
    generator = torch.Generator().manual_seed(seed)
    angle = torch.rand(count, generator=generator) * 2 - 1
    size = 0.5 + 2 * torch.rand(count, generator=generator)
    turn = torch.stack(
        [torch.stack([angle.cos(), -angle.sin()], -1), torch.stack([angle.sin(), angle.cos()], -1)], -2
    )
    points = (TEMPLATE_112 - 56) @ turn.mT * size[:, None, None] + 130
    return points + 3 * torch.randn(count, 5, 2, generator=generator)


def picture(side: int = 260) -> Tensor:
    """A smooth picture of whole 8-bit levels, in [-1, 1]: (1, 3, side, side)."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    waves = [torch.sin(x / 17 + y / 31), torch.cos(x / 23 - y / 13), torch.sin(x / 41) * torch.cos(y / 37)]
    return ((torch.stack(waves) * 120 + 127.5).round() / 127.5 - 1)[None]


def test_template_scales_with_the_crop() -> None:
    torch.testing.assert_close(template(112), TEMPLATE_112)
    torch.testing.assert_close(template(64), TEMPLATE_112 * 64 / 112)


def test_a_margin_shows_more_around_the_same_centre() -> None:
    wide = template(112, margin=0.5)
    torch.testing.assert_close(wide - 56, (TEMPLATE_112 - 56) / 2)


def test_template_runs_from_the_viewers_left_eye_to_the_right_corner_of_the_mouth() -> None:
    left_eye, right_eye, nose, left_mouth, right_mouth = TEMPLATE_112
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert left_eye[1] < nose[1] < left_mouth[1]


@pytest.mark.parametrize("mirrored", [False, True])
def test_similarity_equals_scikit_image(mirrored: bool) -> None:
    source = landmarks()
    if mirrored:  # no rotation fits a mirrored face: Umeyama's least-squares answer must still be the same
        source[..., 0] = 260 - source[..., 0]
    ours = similarity_transform(source, template(112))
    for points, matrix in zip(source, ours, strict=True):
        theirs = SimilarityTransform.from_estimate(points.numpy(), TEMPLATE_112.numpy())
        np.testing.assert_allclose(matrix.numpy(), theirs.params[:2], rtol=1e-4, atol=1e-3)


def test_similarity_takes_an_exact_copy_exactly_to_the_template() -> None:
    matrix = similarity_transform(TEMPLATE_112[None] * 2 + 7, TEMPLATE_112)
    torch.testing.assert_close(matrix[0], torch.tensor([[0.5, 0, -3.5], [0, 0.5, -3.5]]), rtol=0, atol=1e-4)


def test_coinciding_landmarks_have_no_transform() -> None:
    with pytest.raises(ValueError, match="coincide"):
        similarity_transform(torch.full((1, 5, 2), 3.0), TEMPLATE_112)


@pytest.mark.parametrize("size", [64, 112])
def test_warp_equals_opencv_within_rounding(size: int) -> None:
    image = picture()
    matrices = similarity_transform(landmarks(), template(size))
    ours = (warp(image.expand(len(matrices), -1, -1, -1), matrices, size) + 1) * 127.5
    levels = ((image[0] + 1) * 127.5).permute(1, 2, 0).numpy().astype(np.float32)
    for crop, matrix in zip(ours, matrices, strict=True):
        theirs = cv2.warpAffine(
            levels, matrix.numpy().astype(np.float64), (size, size), flags=cv2.INTER_LINEAR
        )
        # OpenCV places samples on a grid of 1/32 px; a level is 1 of 255.
        difference = np.abs(crop.permute(1, 2, 0).numpy() - theirs)
        assert difference.mean() < 0.1
        assert difference.max() < 1


def test_the_identity_changes_nothing_even_in_pictures_that_are_not_square() -> None:
    image = picture()[..., :96, :]
    crop = warp(image, torch.tensor([[[1.0, 0, 0], [0, 1, 0]]]), 96)
    torch.testing.assert_close(crop, image[..., :96], rtol=0, atol=1e-4)


def test_beyond_the_picture_it_is_black() -> None:
    crop = warp(torch.ones(1, 3, 40, 40), torch.tensor([[[1.0, 0, 60], [0, 1, 0]]]), 40)
    torch.testing.assert_close(crop, -torch.ones_like(crop))


def test_gradient_reaches_the_picture_and_not_the_landmarks() -> None:
    image = picture().requires_grad_()
    points = landmarks(1).requires_grad_()
    align(image, points, 112).square().sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0
    assert points.grad is None


def test_a_landmark_of_the_picture_lands_on_the_template() -> None:
    points = TEMPLATE_112[None].round() * 2 + 10
    for index in range(5):
        image = -torch.ones(1, 3, 260, 260)
        x, y = points[0, index].long().tolist()
        image[..., y - 1 : y + 2, x - 1 : x + 2] = 1
        crop = align(image, points, 112)[0, 0] + 1
        rows, columns = torch.meshgrid(torch.arange(112), torch.arange(112), indexing="ij")
        found = torch.stack([(columns * crop).sum(), (rows * crop).sum()]) / crop.sum()
        assert (found - TEMPLATE_112[index]).norm() < 1
