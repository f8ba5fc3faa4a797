from __future__ import annotations

from pathlib import Path

import pytest

from visard.errors import InputError
from visard.pages import insert


def test_figures_are_put_between_the_marks_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- x -->\nold\n<!-- /x -->\nafter\n")
    insert(page, "x", "new\n")
    insert(page, "x", "new\n")
    assert page.read_text() == "before\n<!-- x -->\nnew\n<!-- /x -->\nafter\n"
    with pytest.raises(InputError, match="no place"):
        insert(page, "y", "new")
    assert page.read_text() == "before\n<!-- x -->\nnew\n<!-- /x -->\nafter\n"
