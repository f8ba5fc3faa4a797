"""Pages of Markdown that hold figures: what is measured is written where the page has marks for it."""

from __future__ import annotations

from pathlib import Path

from visard.errors import InputError
from visard.storage import atomic_write


def insert(page: Path, name: str, text: str) -> None:
    """Put text between the page's marks `<!-- name -->` and `<!-- /name -->`. Raises InputError."""
    before, after = around(page, name)
    atomic_write(page, f"{before}\n{text.strip()}\n{after}".encode())


def around(page: Path, name: str) -> tuple[str, str]:
    """The page before and after what its marks hold, marks included. Raises InputError where it has none."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    try:
        before, rest = page.read_text(encoding="utf-8").split(begin, 1)
        _, after = rest.split(end, 1)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{page} has no place for the figures.", f"Put {begin} and {end} where they belong."
        ) from error
    return before + begin, end + after
