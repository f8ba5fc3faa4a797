"""The page: complete, self-contained, readable by machine and person, and without a trace of files."""

import base64
import dataclasses
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from PIL import Image

from visard.audit import AuditResult, ModelId, Person, audit_people, render_report


@pytest.fixture
def audited(world, instruments, settings) -> tuple[AuditResult, Person]:
    face = world.person()
    person = Person(
        world.photos(face, 3),
        {
            "none/a photo of sks person": world.photos(face, 12),
            "iddm <b>/a photo of sks person": torch.cat(
                [world.photos(face, 9, noise=0.4, strength=0.2), -torch.ones(3, 3, 48, 48)]
            ),
        },
    )
    return audit_people(
        [person], world.strangers(20), instruments, surrogates=[ModelId("irse50", "IR-SE")], settings=settings
    ), person


class Page(HTMLParser):
    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[dict[str, str]] = []
        self.tables: list[set[str]] = []
        self.plots: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "img":
            self.images.append(values)
        if tag == "table":
            self.tables.append(set())
        if tag == "svg":
            self.plots.append(values.get("aria-label", ""))
        if "table" in self.open:
            self.tables[-1].add(tag)
            if tag == "th":
                assert values.get("scope"), "a header cell without scope"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def test_report_says_the_claim_and_the_flags(audited) -> None:
    result, person = audited
    page = Page(render_report(result, [person]))
    assert not page.open
    words = " ".join(page.text.split())
    assert result.claims[0] in words
    assert result.flags
    for flag in result.flags:
        assert flag.title in words
        assert flag.message in words
    assert result.reference_faces.detector in words
    assert "anonym" not in words.lower()
    for unset in ("None", "nan", "Undefined"):
        assert unset not in words


@pytest.mark.parametrize("flagged", [False, True])
@pytest.mark.parametrize("checked", [False, True])
def test_report_says_what_was_not_checked(audited, flagged: bool, checked: bool) -> None:
    result, _ = audited
    missing = {} if checked else {"whether a judge took part in training": "the run (--run)"}
    result = dataclasses.replace(result, flags=result.flags if flagged else [], unchecked=missing)
    words = " ".join(Page(render_report(result)).text.split())
    assert ("raised no flag" in words) == (not flagged)
    assert ("raised no flag." in words) == (checked and not flagged)
    assert ("whether a judge took part in training: give the run (--run)." in words) == (not checked)
    assert json.loads(result.to_json())["unchecked"] == missing


def test_a_rate_that_half_of_the_strangers_show_is_printed_short(audited) -> None:
    words = " ".join(Page(render_report(audited[0])).text.split())
    assert "0.01 or 0.003 cannot be shown with half of 20 strangers." in words
    assert "0.091" in words  # one newcomer in eleven
    assert "0.0909" not in words


def test_report_is_self_contained_and_holds_no_path(audited, tmp_path: Path) -> None:
    result, person = audited
    html = render_report(result, [person])
    without_pictures = re.sub(r"data:image/webp;base64,[\w+/=]+", "data:", html)
    assert not re.search(r"https?:|//|url\(|@import|<script|<link|src=\"(?!data:)", without_pictures)
    assert not re.search(r"(/home|/tmp|/root|[A-Z]:\\)", without_pictures)
    assert "iddm &lt;b&gt;" in html
    assert "iddm <b>" not in html


def test_pictures_carry_no_metadata_and_their_similarity(audited) -> None:
    result, person = audited
    html = render_report(result, [person], pictures=12)
    page = Page(html)
    assert len(page.images) == 3 + 12 + 12
    for image in page.images:
        assert image["alt"]
        picture = Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2])))
        assert not picture.getexif()
        assert not {"exif", "xmp", "icc_profile"} & set(picture.info)
    alts = [image["alt"] for image in page.images]
    assert sum("no usable face" in alt for alt in alts) == 3
    first = result.arms[0].judges[0].similarities[0][0]
    assert f"none, picture 1: similarity {first:.2f}, linked" in alts


def test_report_is_accessible_and_themed(audited) -> None:
    result, person = audited
    html = render_report(result, [person])
    page = Page(html)
    assert '<html lang="en">' in html
    assert all({"caption", "thead", "th"} <= tags for tags in page.tables)
    assert len(page.plots) == 1 + len(result.judges) * (1 + len(result.arms))  # one of the trade-off
    assert all(page.plots)
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


@pytest.mark.parametrize("theme", [0, 1, 2])
def test_text_has_contrast(theme: int) -> None:
    import visard.audit

    style = (Path(visard.audit.__file__).parent / "report.css.j2").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", blocks[theme]))

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        levels = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one: str, two: str) -> float:
        bright, dark = sorted((luminance(colours[one]), luminance(colours[two])), reverse=True)
        return (bright + 0.05) / (dark + 0.05)

    for ink in ("ink", "soft", "warn"):
        assert contrast(ink, "paper") >= 4.5
    assert contrast("warn", "warn-paper") >= 4.5
    for arm in range(1, 6):
        assert contrast(f"arm-{arm}", "paper") >= 3.0


def test_report_without_pictures_or_optional_instruments(world, instruments, settings) -> None:
    face = world.person()
    bare = type(instruments)(instruments.detector, instruments.judges)
    people = [Person(world.photos(face, 2), {"iddm": -torch.ones(2, 3, 48, 48)})]
    result = audit_people(people, world.strangers(3, 2), bare, settings=settings)
    page = Page(render_report(result))
    assert not page.images
    assert "–" in page.text
    one_photo = [Person(world.photos(face, 1), {"iddm": world.photos(face, 2)})]
    alone = render_report(audit_people(one_photo, world.strangers(5, 1), bare, settings=settings))
    assert "nan" not in Page(alone).text.lower()
    assert "nan" not in "".join(re.findall(r' d="([^"]*)"', alone))
    assert "No real photo could be searched for" in alone
