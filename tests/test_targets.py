from __future__ import annotations

from pathlib import Path

import pytest

from visard.errors import StorageError
from visard.targets import require_writable


def test_what_can_be_written_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "old.html").write_text("old")
    require_writable(tmp_path / "old.html", None, tmp_path / "new" / "report.html")
    assert (tmp_path / "old.html").read_text() == "old"
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("name", ["file/report.html", "folder"])
def test_what_cannot_be_written_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="could not be written"):
        require_writable(tmp_path / name)
