"""Pictures in and out: the one place where Pillow images and picture tensors meet."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError
from torch import Tensor

from visard.errors import InputError, VisardError
from visard.storage import atomic_write

MAX_PIXELS = 40_000_000
"""Of a picture in memory: a larger file becomes one of a half, a quarter or an eighth of its sides."""
LARGEST = {"HEIF": 120_000_000, "PNG": 120_000_000, "WEBP": 60_000_000}
"""Pixels of a file that takes less than a GB to decode; a JPEG is decoded smaller from the start."""
AVERAGED = {"1": "L", "P": "RGBA", "PA": "RGBA", "I;16": "I", "I;16B": "I"}
"""Modes whose values are no amounts, or that Pillow cannot average -> the mode that they are averaged in."""
MIN_SIDE = 32
FORMATS = ("JPEG", "PNG", "WEBP")
SUFFIXES = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
HEIF_SUFFIXES = {".heic", ".heif"}
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
"""What follows `ftyp` in a HEIC file, whatever its name ends in: phones and messengers rename them."""
# Pictures a person would expect to be used: named as unreadable, never passed over in silence.
OTHER_PICTURES = {".avif", ".tif", ".tiff", ".bmp", ".gif", ".jxl", ".raw", ".dng"}
# What Pillow raises for files that are cut short or corrupt, found by feeding it such files.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError)
CONVERT = "Save it as JPEG, PNG or WebP."


@dataclass(frozen=True)
class Photo:
    """One picture of a folder, its place in sorted order, and the text of the `.txt` of the same name."""

    index: int
    image: Image.Image
    caption: str | None
    file: Path


def read_image(path: str | Path) -> Image.Image:
    """Read a JPEG, PNG, WebP or HEIC as upright 8-bit sRGB without metadata; InputError when it cannot be.

    HEIC needs pillow-heif. A picture of more than MAX_PIXELS is made smaller, one beyond LARGEST refused.
    """
    path = Path(path)
    formats: tuple[str, ...] = FORMATS
    try:
        formats = _formats(path)
        with warnings.catch_warnings():
            # Pillow warns about damaged metadata, which is dropped, and about sizes, which are checked below.
            warnings.simplefilter("ignore")
            return _plain(_upright(_opened(path, formats)))
    except VisardError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"There is no picture {path}.", "Check the path.") from error
    except Image.DecompressionBombError as error:
        raise _too_large(path, max(LARGEST.values())) from error
    except UnidentifiedImageError as error:
        kind = "JPEG, PNG or WebP" if formats == FORMATS else "whole HEIC"
        raise InputError(f"{path} is not a {kind} picture.", CONVERT) from error
    except DAMAGED as error:
        advice = "It may be damaged or cut short; copy it again."
        raise InputError(f"{path} cannot be read: {error}.", advice) from error


def read_folder(folder: str | Path, minimum: int = 1) -> list[Photo]:
    """Read every picture of `folder`, sorted by name; one InputError names all that cannot be read."""
    photos: list[Photo] = []
    problems: list[tuple[str, str]] = []
    for file in picture_files(folder):
        try:
            photos.append(read_photo(file, len(photos)))
        except InputError as error:
            problems.append((error.message, error.advice))
    if problems:
        raise unusable(folder, problems)
    if len(photos) < minimum:
        count = len(photos) or "no"
        raise InputError(
            f"{folder} holds {count} picture{'s' * (count != 1)}; at least {minimum} needed.",
            "Add photos (JPEG, PNG or WebP).",
        )
    return photos


def unusable(folder: str | Path, problems: Sequence[tuple[str, str]]) -> InputError:
    """One error about all pictures of `folder` that cannot be used: of each, what is wrong and what helps."""
    listing = "\n".join(f"  {message}" for message, _ in problems)
    advice = dict.fromkeys(advice for _, advice in problems)
    return InputError(
        f"{len(problems)} of the pictures in {folder} cannot be used:\n{listing}",
        "\n".join([*advice, "Or remove them from the folder."]),
    )


def picture_files(folder: str | Path) -> list[Path]:
    """The files of `folder` that a person would call pictures, readable or not, sorted by name."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", "Give a folder that holds the photos.")
    pictures = SUFFIXES.keys() | HEIF_SUFFIXES | OTHER_PICTURES
    files = (file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    return sorted(file for file in files if file.suffix.lower() in pictures)


def has_pictures(folder: str | Path) -> bool:
    """Whether `folder` holds, itself, what `picture_files` finds. Raises InputError without a folder."""
    return bool(picture_files(folder))


def read_photo(file: Path, index: int) -> Photo:
    """One picture of a folder with its caption. Raises InputError, one for both where neither can be read."""
    try:
        suffix = file.suffix.lower()
        if suffix in OTHER_PICTURES:
            raise InputError(f"{file} is a {suffix[1:].upper()} file.", CONVERT)
        image = read_image(file)
    except InputError as error:
        try:
            _caption(file)
        except InputError as too:
            both = f"{error.message} {too.message}", f"{error.advice} {too.advice}"
            raise InputError(*both) from error
        raise
    return Photo(index, image, _caption(file), file)


def center_crop(image: Image.Image, size: int) -> Image.Image:
    """The largest centred square of `image`, resized to `size` x `size`."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.LANCZOS, box=box)


def stacked(images: Sequence[Image.Image], side: int | None = None) -> Tensor:
    """Centred squares as (N, 3, side, side) in [-1, 1]; without a side as small as the smallest picture."""
    size = side or min(min(image.size) for image in images)
    return torch.stack([to_tensor(center_crop(image, size)) for image in images])


def to_tensor(image: Image.Image) -> Tensor:
    """Picture to float32 (3, H, W) in [-1, 1]."""
    pixels = np.array(image.convert("RGB"), dtype=np.float32)
    return torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1).contiguous()


def to_image(tensor: Tensor) -> Image.Image:
    """(3, H, W) in [-1, 1], clamped, to an 8-bit picture; `to_image(to_tensor(x))` is x to the last bit."""
    levels = (tensor.detach().float().cpu().clamp(-1, 1) + 1) * 127.5
    return Image.fromarray(levels.round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy())


def save_image(image: Image.Image | Tensor, path: str | Path, quality: int = 95) -> None:
    """Write a picture as its suffix says, from pixels alone: no metadata survives. Raises StorageError."""
    path = Path(path)
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{path} has no picture suffix.", f"End the name in one of {', '.join(SUFFIXES)}.")
    picture = to_image(image) if isinstance(image, Tensor) else image
    clean = Image.fromarray(np.array(picture.convert("RGB")))
    buffer = io.BytesIO()
    clean.save(buffer, kind, **({} if kind == "PNG" else {"quality": quality}))
    atomic_write(path, buffer.getvalue())


def grid(
    images: Sequence[Image.Image | Tensor],
    columns: int,
    labels: Sequence[str] | None = None,
    padding: int = 2,
) -> Image.Image:
    """Pictures of one size in rows of `columns`, on white, each above its label when labels are given."""
    pictures = [to_image(image) if isinstance(image, Tensor) else image for image in images]
    if not pictures:
        raise ValueError("a grid needs at least one picture")
    width, height = pictures[0].size
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    text = max(10, height // 12) if labels else 0
    cell = (width + padding, height + padding + (text * 4 // 3))
    sheet = Image.new("RGB", (columns * cell[0] + padding, rows * cell[1] + padding), "white")
    draw = ImageDraw.Draw(sheet)
    for index, picture in enumerate(pictures):
        x, y = padding + index % columns * cell[0], padding + index // columns * cell[1]
        sheet.paste(picture, (x, y))
        if labels:
            draw.text((x + 2, y + height), labels[index], fill="black", font=ImageFont.load_default(text))
    return sheet


def _formats(path: Path) -> tuple[str, ...]:
    """The formats a file may be opened as: HEIC alone needs another library, asked for only then."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] != b"ftyp" or head[8:12] not in HEIF_BRANDS:
        return FORMATS
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise InputError(
            f"{path} is a HEIC picture, which needs one more library.",
            "Install it: pip install 'visard[heic]'. Or save the picture as JPEG.",
        ) from error
    register_heif_opener(thumbnails=False)
    return ("HEIF",)


def _opened(path: Path, formats: tuple[str, ...]) -> Image.Image:
    """A file's picture, of at most MAX_PIXELS; of a larger one nothing else stays in memory."""
    image: Image.Image
    with Image.open(path, formats=formats) as image:
        if (part := _part(image)) > 1:  # a JPEG, as phones take them, is decoded at that part of its sides
            image.draft(None, (image.width // part, image.height // part))
        limit = LARGEST.get(image.format or "", MAX_PIXELS)
        if image.width * image.height > limit:
            raise _too_large(path, limit)
        if min(image.size) < MIN_SIDE * _part(image):
            raise InputError(
                f"{path} is only {image.width} x {image.height} pixels.",
                f"Use pictures of at least {MIN_SIDE} pixels a side.",
            )
        part = _part(image)
        if part == 1:
            image.load()
            return image
        whole = image.convert(AVERAGED[image.mode]) if image.mode in AVERAGED else image
        return whole.reduce(part)


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF says; as it lies where that is damaged."""
    try:
        return ImageOps.exif_transpose(image)
    except (*DAMAGED, struct.error):
        return image


def _part(image: Image.Image) -> int:
    """How many pixels of a side become one, so that the picture fits into MAX_PIXELS."""
    return next((part for part in (1, 2, 4) if image.width * image.height <= MAX_PIXELS * part**2), 8)


def _too_large(path: Path, limit: int) -> InputError:
    return InputError(f"{path} has more than {limit // 10**6} million pixels.", "Make it smaller first.")


def _plain(image: Image.Image) -> Image.Image:
    """Any Pillow mode to RGB: 16 bits scaled down, colour profile applied, transparency laid on white."""
    if image.mode.startswith("I"):  # Pillow would clip 16-bit greys instead of scaling them
        greys = np.asarray(image).astype(np.float64) / 257
        image = Image.fromarray(greys.round().clip(0, 255).astype(np.uint8))
    if image.mode in ("RGB", "CMYK") and "icc_profile" in image.info:
        image = _to_srgb(image)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return Image.fromarray(np.array(image.convert("RGB")))


def _to_srgb(image: Image.Image) -> Image.Image:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):  # a damaged profile: the plain numbers are the best guess
        return image
    return image if converted is None else converted


def _caption(file: Path) -> str | None:
    try:
        text = file.with_suffix(".txt").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file.with_suffix('.txt')} is not UTF-8 text.", "Save the caption as UTF-8, or take it away."
        ) from error
    except OSError as error:
        raise InputError(
            f"{file.with_suffix('.txt')} cannot be read: {error.strerror or error}.",
            "Allow this caption to be read, or take it away.",
        ) from error
    return text or None
