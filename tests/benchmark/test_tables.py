from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from visard.benchmark import job, tables
from visard.benchmark.acceptance import Check, acceptance
from visard.benchmark.figure import SIDE, Line, draw, person_figure
from visard.benchmark.measures import Measures
from visard.benchmark.per_person import Interval
from visard.benchmark.protocol import PROMPTS, Protocol
from visard.benchmark.summary import ALL_PROMPTS, Row, Summary
from visard.errors import InputError

NAN = float("nan")


def row(arm: str, recognizer: str, figure: str, mean: Interval, change: Interval | None = None) -> Row:
    role = "judges" if recognizer else ""
    return Row(arm, "a prompt", role, recognizer, figure, mean, change, 10, 80, 76)


SUMMARY = Summary(
    [
        row("none", "", "fsr", Interval(0.95, 0.9, 1.0)),
        row("none", "arcface", "similarity", Interval(0.7, 0.65, 0.75)),
        row("0.1", "", "fsr", Interval(0.95, NAN, NAN)),
        row("0.1", "arcface", "similarity", Interval(0.2, 0.15, 0.25), Interval(-0.714, -0.75, -0.6)),
    ]
)
CHECKS = [Check("good", ".9 of .8", True), Check("better", ".1", False), Check("best", "not measured", None)]


def test_markdown_shows_intervals_changes_and_counts(protocol: Protocol) -> None:
    page = tables.markdown(SUMMARY, CHECKS, protocol)
    assert "| none | 0.950 (76/80) | 0.700 [0.650, 0.750] | – | – | – | – | – | – | – | – | – |" in page
    assert "| rho 0.1 | 0.950 (76/80) | 0.200 [0.150, 0.250] | -71% [-75%, -60%] |" in page
    assert "- passed: good: .9 of .8" in page
    assert "- FAILED: better: .1" in page
    assert "- not measured: best\n" in page
    assert "Surrogates" not in page  # none were given
    assert {line.count("|") for line in page.splitlines() if line.startswith("|")} == {13, 12}


def test_csv_has_a_line_a_figure_and_leaves_out_what_does_not_exist() -> None:
    lines = list(csv.DictReader(io.StringIO(tables.as_csv(SUMMARY))))
    assert len(lines) == 4
    assert (lines[3]["mean"], lines[3]["change"], lines[3]["faces"]) == ("0.2", "-0.714", "76")
    assert (lines[2]["low"], lines[2]["change"]) == ("", "")


def test_json_is_strict(protocol: Protocol) -> None:
    tree = json.loads(tables.as_json(SUMMARY, CHECKS, protocol), parse_constant=pytest.fail)
    assert tree["rows"][2]["mean"]["low"] is None
    assert [check["passed"] for check in tree["acceptance"]] == [True, False, None]
    assert tree["protocol"]["sampling"]["pictures"] == 2


def test_tables_of_a_whole_benchmark(bench: Path, protocol: Protocol) -> None:
    measured = Measures("ours", bench, job.finished(bench))
    found = measured.summary
    assert found.arms == ["none", "0.1"]
    assert found.prompts == [*PROMPTS, ALL_PROMPTS]
    assert found.recognizers("surrogates") == ["one"]
    tables.write_tables(bench, found, acceptance(measured), protocol)
    assert {file.suffix for file in bench.glob("table.*")} == {".md", ".csv", ".json"}


def test_a_figure_has_a_row_for_the_photos_and_one_for_each_arm(bench: Path) -> None:
    results = job.finished(bench)
    one = person_figure(results, bench, 7, ["none"], PROMPTS[0])
    two = person_figure(results, bench, 7, ["none", "0.1"], PROMPTS[1])
    assert one.width == two.width
    assert two.height - one.height > SIDE
    with pytest.raises(InputError, match=r"not finished under 0\.5"):
        person_figure(results, bench, 7, ["none", "0.5"], PROMPTS[0])
    with pytest.raises(InputError, match="No pictures of"):
        person_figure(results, bench, 7, ["none"], "a photo of a cat")


def test_a_figure_shows_pictures_in_their_places() -> None:
    red, blue = Image.new("RGB", (16, 16), "red"), Image.new("RGB", (16, 16), "blue")
    sheet = draw([Line("One", "", [red] * 3, [0.5, None, 0.1]), Line("Two", "", [blue], [0.2])], columns=2)
    colours = sheet.getcolors(1 << 20)
    assert colours is not None
    counts = {colour: count for count, colour in colours}
    assert counts[255, 0, 0] == 2 * SIDE * SIDE
    assert counts[0, 0, 255] == SIDE * SIDE


def test_only_people_and_seeds_of_both_arms_are_compared(bench: Path) -> None:
    """FID grows with fewer pictures: a half-finished second seed must not decide."""
    whole = Measures("ours", bench, job.finished(bench))
    plain = whole._mine("none")
    more = [replace(each, unit=replace(each.unit, seed=1)) for each in plain]
    unequal = Measures("ours", bench, [*whole.results, *more])
    unequal.results = [*whole.results, *more]
    units = {each.unit for each in unequal._mine("none", "0.1")}
    assert units == {each.unit for each in plain}
    assert len(unequal._mine("none")) == 2 * len(units)
