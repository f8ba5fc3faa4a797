from __future__ import annotations

import contextlib
import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import Image, ImageCms

from visard.errors import InputError, StorageError
from visard.images import (
    LARGEST,
    center_crop,
    grid,
    has_pictures,
    read_folder,
    read_image,
    read_photo,
    save_image,
    stacked,
    to_image,
    to_tensor,
)


def noise(width: int = 64, height: int = 48, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_pixels_survive_the_way_to_a_tensor_and_back() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = Image.fromarray(np.stack([levels, levels.T, 255 - levels], axis=-1))
    tensor = to_tensor(image)
    assert tensor.shape == (3, 16, 16)
    assert tensor.dtype == torch.float32
    assert tensor.min() == -1
    assert tensor.max() == 1
    assert np.array_equal(np.asarray(to_image(tensor)), np.asarray(image))


def test_to_image_clamps() -> None:
    assert to_image(torch.full((3, 2, 2), 7.0)).getpixel((0, 0)) == (255, 255, 255)
    assert to_image(torch.full((3, 2, 2), -7.0)).getpixel((0, 0)) == (0, 0, 0)


def test_the_orientation_of_exif_is_applied_and_the_metadata_dropped(tmp_path: Path) -> None:
    image = Image.new("RGB", (64, 48), "blue")
    image.paste("red", (0, 0, 64, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the stored top is the right-hand side
    exif[0x010F] = "Maker of cameras"
    image.save(tmp_path / "a.png", exif=exif)
    upright = read_image(tmp_path / "a.png")
    assert upright.size == (48, 64)
    assert upright.getpixel((47, 30)) == (255, 0, 0)
    assert upright.getpixel((0, 30)) == (0, 0, 255)
    assert not upright.getexif()
    assert upright.info == {}


def test_sixteen_bit_greys_are_scaled_and_not_clipped(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    grey = np.asarray(read_image(tmp_path / "a.png"))[..., 0]
    assert np.abs(grey.astype(float) - ramp / 257).max() <= 0.5


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "YCbCr"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    file = tmp_path / ("a.jpg" if mode in ("CMYK", "YCbCr") else "a.png")
    noise().convert(mode).save(file)
    image = read_image(file)
    assert image.mode == "RGB"
    assert image.size == (64, 48)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_is_white(tmp_path: Path, mode: str) -> None:
    Image.new("RGBA", (40, 40), (200, 10, 10, 0)).convert(mode).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").getpixel((5, 5)) == (255, 255, 255)


def test_a_colour_profile_is_applied_and_a_damaged_one_ignored(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    noise().save(tmp_path / "srgb.png", icc_profile=profile)
    noise().save(tmp_path / "damaged.png", icc_profile=b"no profile at all")
    plain = np.asarray(noise()).astype(int)
    assert np.abs(np.asarray(read_image(tmp_path / "srgb.png")).astype(int) - plain).max() <= 2
    assert np.array_equal(np.asarray(read_image(tmp_path / "damaged.png")), plain)


def _half_red(width: int = 64, height: int = 48) -> Image.Image:
    """Red on the left, blue on the right: survives any compression."""
    image = Image.new("RGB", (width, height), "blue")
    image.paste("red", (0, 0, width // 2, height))
    return image


def _is_half_red(image: Image.Image) -> bool:
    y = image.height // 2
    left, right = (np.asarray(image)[y, x].astype(int) for x in (4, image.width - 5))
    return bool(left[0] > 200 > 60 > left[2] and right[2] > 200 > 60 > right[0])


@pytest.mark.parametrize("name", ["phone.heic", "renamed.jpg"])
def test_a_heic_is_read_whatever_its_name_and_turned_once(tmp_path: Path, name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    heif = pillow_heif.from_pillow(_half_red())
    heif.save(tmp_path / "plain.heic", quality=90)
    heif.save(tmp_path / "turned.heic", quality=90, exif=exif.tobytes())
    (tmp_path / "plain.heic").rename(tmp_path / name)
    image = read_image(tmp_path / name)
    assert (image.mode, image.size, image.info) == ("RGB", (64, 48), {})
    assert _is_half_red(image)
    turned = read_image(tmp_path / "turned.heic")
    assert turned.size == (48, 64)
    assert _is_half_red(turned.rotate(90, expand=True))


def test_a_heic_without_its_library_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(200))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InputError, match="HEIC") as caught:
        read_image(tmp_path / "phone.heic")
    assert "pip install 'visard[heic]'" in caught.value.advice


def test_the_first_picture_of_a_phones_double_exposure_is_read(tmp_path: Path) -> None:
    second = Image.new("RGB", (64, 48), "white")
    _half_red().save(tmp_path / "portrait.jpg", "MPO", save_all=True, append_images=[second], quality=95)
    assert _is_half_red(read_image(tmp_path / "portrait.jpg"))


def test_a_jpeg_of_more_pixels_than_allowed_is_decoded_smaller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visard.images.MAX_PIXELS", 10_000)
    _half_red(400, 300).save(tmp_path / "a.jpg", quality=95)
    image = read_image(tmp_path / "a.jpg")
    assert image.size == (100, 75)
    assert _is_half_red(image)


@pytest.mark.parametrize("name", ["phone.heic", "a.png", "a.webp"])
def test_any_other_picture_of_more_pixels_is_made_smaller_once_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    _half_red(400, 300).save(tmp_path / name, exif=exif.tobytes())
    whole = read_image(tmp_path / name)
    assert whole.size == (300, 400)
    monkeypatch.setattr("visard.images.MAX_PIXELS", 40_000)
    image = read_image(tmp_path / name)
    assert (image.mode, image.size, image.info) == ("RGB", (150, 200), {})
    assert _is_half_red(image.rotate(90, expand=True))
    kind = {".heic": "HEIF", ".png": "PNG", ".webp": "WEBP"}[Path(name).suffix]
    monkeypatch.setitem(LARGEST, kind, 400 * 300)
    assert read_image(tmp_path / name).size == (150, 200)
    monkeypatch.setitem(LARGEST, kind, 400 * 300 - 1)
    with pytest.raises(InputError, match="million pixels") as caught:
        read_image(tmp_path / name)
    assert caught.value.advice


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA", "RGBA", "I;16"])
def test_every_mode_is_made_smaller_as_colours_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    if mode == "I;16":
        ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
        Image.fromarray(ramp).save(tmp_path / "a.png")
    else:
        _half_red(64, 64).convert(mode).save(tmp_path / "a.png")
    whole = read_image(tmp_path / "a.png")
    monkeypatch.setattr("visard.images.MAX_PIXELS", 32 * 32)
    small = read_image(tmp_path / "a.png")
    assert (small.mode, small.size) == ("RGB", (32, 32))
    averages = np.asarray(whole.reduce(2)).astype(int)
    assert np.abs(np.asarray(small).astype(int) - averages).max() <= 1


def _huge_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def _jpeg() -> bytes:
    buffer = io.BytesIO()
    noise(200, 200).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("empty.jpg", b"", "is not a JPEG"),
        ("text.jpg", b"Dear diary, this is no picture.\n" * 20, "is not a JPEG"),
        ("cut.jpg", _jpeg()[:2000], "cannot be read"),
        ("cut_header.jpg", _jpeg()[:20], "cannot be read|is not a JPEG"),
        ("huge.png", _huge_png(10_000, LARGEST["PNG"] // 10_000 + 1), "more than 120 million pixels"),
        ("bomb.png", _huge_png(60_000, 60_000), "million pixels"),
        ("dot.png", _huge_png(1, 1), "only 1 x 1"),
    ],
)
def test_unusable_files_are_input_errors_with_a_reason(
    tmp_path: Path, name: str, data: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=reason) as caught:
        read_image(tmp_path / name)
    assert name in caught.value.message
    assert caught.value.advice


def test_a_picture_damaged_anywhere_never_raises_anything_but_an_input_error(tmp_path: Path) -> None:
    good = _jpeg()
    rng = np.random.default_rng(0)
    file = tmp_path / "a.jpg"
    for _ in range(100):
        bad = bytearray(good)
        for place in rng.integers(0, 700, 4):
            bad[place] = rng.integers(256)
        file.write_bytes(bad)
        with contextlib.suppress(InputError):
            assert read_image(file).mode == "RGB"


def test_a_folder_is_sorted_and_captioned(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "c.webp"):
        noise().save(tmp_path / name)
    (tmp_path / "a.txt").write_text("  a photo of sks person\n", encoding="utf-8")
    (tmp_path / "notes.md").write_text("not a picture")
    (tmp_path / "._a.png").write_bytes(b"left behind by another system")
    photos = read_folder(tmp_path)
    assert [photo.file.name for photo in photos] == ["a.png", "b.JPG", "c.webp"]
    assert [photo.index for photo in photos] == [0, 1, 2]
    assert [photo.caption for photo in photos] == ["a photo of sks person", None, None]


def test_every_unusable_file_of_a_folder_is_named_at_once(tmp_path: Path) -> None:
    noise().save(tmp_path / "good.png")
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "phone.HEIC").write_bytes(b"....ftypheic")
    with pytest.raises(InputError) as caught:
        read_folder(tmp_path)
    assert "2 of the pictures" in caught.value.message
    assert "text.jpg" in caught.value.message
    assert "phone.HEIC" in caught.value.message


def test_what_helps_is_said_of_every_kind_of_unusable_file(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        noise().save(tmp_path / name)
    for name in ("a.txt", "b.txt", "scan.txt"):
        (tmp_path / name).write_bytes(b"\xff\xfe\xff")
    (tmp_path / "c.txt").mkdir()
    (tmp_path / "scan.tiff").touch()
    with pytest.raises(InputError) as caught:
        read_folder(tmp_path)
    _, *problems = caught.value.message.splitlines()
    assert [problem.split()[0] for problem in problems] == [
        str(tmp_path / name) for name in ("a.txt", "b.txt", "c.txt", "scan.tiff")
    ]
    assert f"{tmp_path / 'scan.txt'} is not UTF-8" in problems[-1]
    assert caught.value.advice.splitlines() == [
        "Save the caption as UTF-8, or take it away.",
        "Allow this caption to be read, or take it away.",
        "Save it as JPEG, PNG or WebP. Save the caption as UTF-8, or take it away.",
        "Or remove them from the folder.",
    ]


def test_too_few_photos_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no pictures; at least 1"):
        read_folder(tmp_path)
    noise().save(tmp_path / "a.png")
    with pytest.raises(InputError, match="holds 1 picture; at least 5"):
        read_folder(tmp_path, minimum=5)
    with pytest.raises(InputError, match="no folder"):
        read_folder(tmp_path / "nowhere")


def test_center_crop_keeps_the_middle() -> None:
    image = Image.new("RGB", (90, 30), "red")
    image.paste("blue", (30, 0, 60, 30))
    crop = center_crop(image, 30)
    assert crop.size == (30, 30)
    assert crop.getcolors() == [(900, (0, 0, 255))]
    assert center_crop(image, 64).size == (64, 64)


def test_a_stack_is_of_centred_squares_as_small_as_the_smallest() -> None:
    wide, tall = Image.new("RGB", (90, 40), "red"), Image.new("RGB", (50, 200), "blue")
    assert stacked([wide, tall]).shape == (2, 3, 40, 40)
    squares = stacked([wide, tall], 32)
    assert torch.equal(squares[1], to_tensor(center_crop(tall, 32)))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".webp"])
def test_saved_pictures_hold_pixels_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    image = noise()
    exif = Image.Exif()
    exif[0x010F] = "SECRETMAKER"
    image.info.update({"exif": exif.tobytes(), "comment": b"SECRETCOMMENT", "icc_profile": b"SECRETPROFILE"})
    save_image(image, tmp_path / f"a{suffix}")
    data = (tmp_path / f"a{suffix}").read_bytes()
    assert b"SECRET" not in data
    saved = Image.open(io.BytesIO(data))
    assert not saved.getexif()
    if suffix == ".png":
        assert np.array_equal(np.asarray(saved), np.asarray(image))


def test_a_picture_tensor_can_be_saved_and_bad_names_cannot(tmp_path: Path) -> None:
    save_image(to_tensor(noise()), tmp_path / "a.png")
    assert np.array_equal(np.asarray(read_image(tmp_path / "a.png")), np.asarray(noise()))
    with pytest.raises(InputError, match="suffix"):
        save_image(noise(), tmp_path / "a.gif")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError):
        save_image(noise(), tmp_path / "file" / "a.png")


def test_grid_places_pictures_row_by_row() -> None:
    colours = ["red", "lime", "blue"]
    sheet = grid([Image.new("RGB", (20, 10), colour) for colour in colours], columns=2, padding=2)
    assert sheet.size == (2 * 22 + 2, 2 * 12 + 2)
    assert sheet.getpixel((12, 7)) == (255, 0, 0)
    assert sheet.getpixel((34, 7)) == (0, 255, 0)
    assert sheet.getpixel((12, 19)) == (0, 0, 255)
    assert sheet.getpixel((34, 19)) == (255, 255, 255)


def test_grid_writes_labels_below_the_pictures() -> None:
    pictures = [torch.full((3, 48, 48), 1.0)] * 2
    bare, labelled = grid(pictures, 2), grid(pictures, 2, labels=["one", "two"])
    assert labelled.height > bare.height
    assert np.asarray(labelled)[50:].min() < 100


def test_a_caption_that_is_no_text_says_what_to_do(tmp_path: Path) -> None:
    save_image(Image.new("RGB", (64, 64)), tmp_path / "a.png")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="take it away"):
        read_photo(tmp_path / "a.png", 0)


def test_a_folder_has_pictures_when_a_person_would_say_so(tmp_path: Path) -> None:
    (tmp_path / "text.txt").touch()
    (tmp_path / ".thumb.jpg").touch()
    (tmp_path / "deep.jpg").mkdir()
    assert not has_pictures(tmp_path)
    (tmp_path / "IMG_0001.HEIC").touch()
    assert has_pictures(tmp_path)


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_a_picture_whose_exif_is_damaged_is_read_as_it_lies(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"damaged.{kind}"
    Image.new("RGB", (40, 50), "red").save(file, exif=b"Exif\0\0II*\0")
    assert read_image(file).size == (40, 50)
