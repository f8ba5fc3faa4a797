"""The contact sheet: everything on it, and nothing that is not the viewer's business."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from visard.photos.poster import draw_sheet
from visard.photos.select import Selector
from visard.photos.sheet import render_sheet


def test_the_page_shows_every_photo_with_its_reasons(selector: Selector, holiday: Path) -> None:
    selection = selector.select(holiday)
    page = render_sheet(selection)
    for shot in selection.shots:
        assert f"<b>Photo {shot.number}</b>" in page
        for reason in shot.reasons:
            assert reason in page
    assert f"{len(selection.used)} of 9 photos will be used." in page
    assert page.count("data:image/webp") == len(selection.shots) + sum(
        shot.picture is not None for shot in selection.shots
    ) + sum(len(one.photos) > 1 for one in selection.people)


def test_the_page_needs_nothing_else_and_names_files_only_when_asked(
    selector: Selector, holiday: Path
) -> None:
    (holiday / "cut.jpg").write_bytes(b"\xff\xd8\xff")
    selection = selector.select(holiday)
    page, named = render_sheet(selection), render_sheet(selection, names=True)
    assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?(?!data:)[\w/.]", page)
    assert "<script" not in page
    for text in (page, named):
        assert str(holiday) not in text
        assert holiday.name not in text
    assert "1-alone.png" in named
    assert "1-alone" not in page


def test_a_doubt_is_put_to_the_reader(
    selector: Selector, holiday: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visard.photos.people.RIVAL", 0.0)
    selection = selector.select(holiday)
    assert selection.chosen is None
    assert "--person" in render_sheet(selection)
    assert draw_sheet(selection).width > 1000


def test_file_names_are_text_and_not_markup(selector: Selector, holiday: Path) -> None:
    (holiday / "1-alone.png").rename(holiday / "1 <b>&[red].png")
    page = render_sheet(selector.select(holiday), names=True)
    assert "1 &lt;b&gt;&amp;[red].png" in page


def test_the_poster_has_a_field_for_each_photo(selector: Selector, holiday: Path) -> None:
    selection = selector.select(holiday)
    short, tall = draw_sheet(selection), draw_sheet(selection, names=True)
    assert short.size == tall.size
    assert not np.array_equal(np.asarray(short), np.asarray(tall))
    for name in ("1-alone.png", "5-friend.png"):
        (holiday / name).unlink()
    for number in range(5):
        (holiday / f"more-{number}.png").write_bytes((holiday / "7-sea.png").read_bytes())
    assert draw_sheet(selector.select(holiday)).height > short.height
