"""A slice at a time, arms that change other arms' pictures, and the tables that come of it."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch

from support.bench import JOB, LINEUP, SAMPLING, camera
from support.encoders import LPIPS_ROW, write_lpips
from support.kits import face_in_the_middle, write_brisque
from visard.benchmark import job, layout, pareto
from visard.benchmark.catalogue import cost
from visard.benchmark.gallery import draw as draw_gallery
from visard.benchmark.measures import Cell, Measures, pooled
from visard.benchmark.paper import DSLR, PHOTO, TABLE_7
from visard.benchmark.pareto import Point, front
from visard.benchmark.people import load_photos
from visard.benchmark.per_person import Interval
from visard.benchmark.protocol import Protocol, Unit, build_protocol
from visard.benchmark.table import ADA, BRQ, D_SYS, FACES, FSR, ISM, Column, Figure, Table, over, rows
from visard.benchmark.unit import UnitJob
from visard.benchmark.workshop import OutOfTimeError, Workshop
from visard.errors import InputError
from visard.faces.scrfd import Scrfd
from visard.kits import open_kit
from visard.metrics.brisque import BrisqueModel, brisque
from visard.personalization import personalize
from visard.personalization.settings import PersonalizationSettings
from visard.pool import Failures, Start, Watch
from visard.storage import claimed

FIRST = Unit(7, "none", 0)
ARMS = ("none", "0.1", "surrogates-1", "random+clean", "pixelate-8", "strangers")
ALL = replace(JOB, arms=ARMS)
SMALL = Table(
    "small",
    "A table & its caption.",
    rows(
        [("No Defense", "none"), ("Random", "random+clean"), ("Never begun", "eta-0.5")],
        "No Defense | CelebA-HQ | 0.5 0.25 | 0.75 -",
    ),
    over((PHOTO, DSLR), {"FSR": FSR, "ISM": ISM}),
    over((PHOTO,), {"faces": FACES, "D_sys": D_SYS}),
    doubts={("No Defense", "CelebA-HQ", 1): "it is made up"},
)


@pytest.fixture(scope="module")
def sliced(
    original: Path, protocol: Protocol, kit: str, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """All arms on top of a finished benchmark, three units at first, then what is left."""
    out = Path(shutil.copytree(original, tmp_path_factory.mktemp("sliced") / "bench"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scrfd, "detect", face_in_the_middle)
        patch.setenv("VISARD_CACHE", str(cache))
        assert len(job.left(ALL, protocol, out)) == 8
        said: list[tuple[int, int]] = []
        job.run(
            ALL, protocol, out, kit=kit, camera=camera, part=job.Slice(units=3),
            progress=lambda stage, done, total, **_: said.append((done, total)) if stage == "units" else None,
        )  # fmt: skip
        assert said == [(done, 12) for done in range(4, 8)]
        undone = job.left(ALL, protocol, out)
        assert len(undone) == 5
        hours = cost(undone, ALL, protocol, out)
        assert hours is not None
        assert hours > 0
        job.run(ALL, protocol, out, kit=kit, camera=camera, part=job.Slice(minutes=0))
        assert job.left(ALL, protocol, out) == undone
        job.run(ALL, protocol, out, kit=kit, camera=camera)
        assert job.left(ALL, protocol, out) == []
    return out


def pictures(out: Path, protocol: Protocol, person: int, arm: str) -> torch.Tensor:
    return UnitJob(Unit(person, arm, 0), protocol, out).pictures_of(PHOTO)


def test_a_unit_that_another_command_is_at_is_left_to_it(
    sliced: Path, protocol: Protocol, kit: str, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(sliced, tmp_path / "bench"))
    unit = Unit(7, "pixelate-8", 0)
    shutil.rmtree(unit.folder(out))
    with claimed(unit.folder(out)):
        assert job.run(ALL, protocol, out, kit=kit, camera=camera) == [unit]
        assert job.left(ALL, protocol, out) == [unit]


def test_an_executor_is_given_whole_paths_and_its_width_is_counted_with(
    bench: Path, protocol: Protocol, kit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wide:
        width = 4

        def __call__(self, units: Sequence[Unit], start: Start[Unit], watch: Watch[Unit]) -> Failures[Unit]:
            given.append(start.args)  # type: ignore[attr-defined]
            watch(units)
            return {}

    given: list[tuple[Path, str]] = []
    said: list[float] = []
    (FIRST.folder(bench) / "result.json").unlink()
    pace = job.Pace(JOB.units, [FIRST], protocol, bench, 1, lambda *_, **__: None)
    monkeypatch.chdir(bench.parent)
    job.run(
        JOB,
        protocol,
        Path(bench.name),
        kit=os.path.relpath(kit),
        execute=Wide(),
        progress=lambda *_, minutes_left=0.0, **__: said.append(minutes_left),
    )
    assert given == [(bench.resolve(), str(Path(kit).resolve()))]
    work = pace.work([FIRST])
    assert work is not None
    assert said[-1] == pytest.approx(work / 4 / 60, rel=0.1)


def test_what_changes_pictures_that_another_command_makes_is_left_to_it_too(
    bench: Path, protocol: Protocol, kit: str
) -> None:
    asked = replace(JOB, arms=("none", "pixelate-8"))
    busy, waits = FIRST, Unit(7, "pixelate-8", 0)
    (busy.folder(bench) / "result.json").unlink()
    with claimed(busy.folder(bench)):
        assert job.run(asked, protocol, bench, kit=kit, camera=camera) == [busy]
        assert job.left(asked, protocol, bench) == [busy, waits]
    assert job.run(asked, protocol, bench, kit=kit, camera=camera) == []
    assert job.left(asked, protocol, bench) == []


def test_slices_end_where_the_whole_would(sliced: Path, protocol: Protocol) -> None:
    assert len(job.finished(sliced)) == 12
    assert torch.equal(pictures(sliced, protocol, 7, "strangers"), pictures(sliced, protocol, 8, "none"))
    assert not torch.equal(pictures(sliced, protocol, 7, "pixelate-8"), pictures(sliced, protocol, 7, "none"))


def test_one_unit_at_a_time_comes_to_the_end(bench: Path, protocol: Protocol, kit: str) -> None:
    """Whoever changes pictures waits for them, whichever arm is named first; pairs are of those asked for."""
    asked = replace(JOB, people=(7, 8, 9), arms=("strangers", "strangers-pixelate-8", "pixelate-8", "none"))
    undone = job.left(asked, protocol, bench)
    assert [unit.arm for unit in undone] == ["none", *["strangers", "pixelate-8"] * 3, *[asked.arms[1]] * 3]
    while undone:
        job.run(asked, protocol, bench, kit=kit, camera=camera, part=job.Slice(units=1))
        assert job.left(asked, protocol, bench) == undone[1:]
        undone = undone[1:]
    drawn = {person: UnitJob(Unit(person, "strangers", 0), protocol, bench).drawn_by for person in (7, 8, 9)}
    assert drawn == {7: Unit(8, "none", 0), 8: Unit(7, "none", 0), 9: Unit(8, "none", 0)}


def test_an_arm_whose_source_is_nowhere_is_refused_before_any_work(
    bench: Path, protocol: Protocol, kit: str
) -> None:
    asked = replace(JOB, people=(7, 9), arms=("pixelate-8",))
    with pytest.raises(InputError, match="pixelate-8 of person 9 needs none of person 9") as caught:
        job.run(asked, protocol, bench, kit=kit, camera=camera)
    assert "--arms none,pixelate-8" in caught.value.advice
    assert not (bench / "people" / "9").exists()


def test_nobody_is_given_their_own_pictures(bench: Path, protocol: Protocol) -> None:
    """Not even where an earlier version has written down that they are the partner."""
    unit = Unit(7, "strangers", 0)
    unit.folder(bench).mkdir(parents=True)
    (unit.folder(bench) / "unit.json").write_text('{"partner": 7}')
    assert UnitJob(unit, protocol, bench, (7, 8)).source == Unit(8, "none", 0)
    with pytest.raises(InputError, match="One person alone"):
        _ = UnitJob(unit, protocol, bench, (7,)).source


def test_perturbed_photos_stay_in_the_ball(sliced: Path, protocol: Protocol) -> None:
    folder = Unit(7, "random+clean", 0).folder(sliced)
    changed = load_photos(folder / "protected", 32)
    photos = load_photos(sliced / "people" / "7" / "training", 32)[2:]
    assert len(changed) == len(photos) == 2
    radius = Unit(7, "0.1", 0).settings(protocol).decoupling.radius
    moved = (changed - photos).abs().amax((1, 2, 3))
    assert bool(((0.9 * radius < moved) & (moved <= radius + 1e-6)).all())
    assert not (folder / "run" / "model").exists()


def test_half_of_the_photos_train_a_model_of_their_own(
    bench: Path, protocol: Protocol, kit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BegunError(Exception):
        pass

    def begun(settings: PersonalizationSettings, photos: torch.Tensor, *_: Any, **__: Any) -> None:
        assert not settings.fine_tuning.alternate
        whole = load_photos(bench / "people" / "7" / "training", 32)
        assert torch.equal(photos, whole[len(whole) // 2 :])
        raise BegunError

    monkeypatch.setattr(personalize, "run", begun)
    with pytest.raises(BegunError):
        UnitJob(Unit(7, "half", 0), protocol, bench).train(open_kit(kit))


def test_how_far_the_photos_went_is_kept(sliced: Path) -> None:
    stored = json.loads((Unit(7, "surrogates-1", 0).folder(sliced) / "result.json").read_text())
    assert stored["scores"]["change"]["psnr"] > 20
    assert 0 < stored["scores"]["change"]["ssim"] < 1


def test_an_arm_that_changes_another_needs_it(tmp_path: Path, protocol: Protocol, kit: str) -> None:
    alone = UnitJob(Unit(7, "pixelate-8", 0), protocol, tmp_path)
    with pytest.raises(InputError, match="pictures of none"):
        alone.make_pictures(open_kit(kit))


def test_changers_wait_for_makers() -> None:
    units = [Unit(7, arm, 0) for arm in ("strangers", "none", "pixelate-8", "0.1")]
    makers, changers = job.waves(units)
    assert [unit.arm for unit in makers] == ["none", "0.1"]
    assert [unit.arm for unit in changers] == ["strangers", "pixelate-8"]


def test_cells_are_those_of_the_units(sliced: Path) -> None:
    measured = Measures("ours", sliced, job.finished(sliced))
    row = measured.summary.find("none", PHOTO, "arcface", "similarity")
    assert row is not None
    cell = measured.cell("none", Column("ISM", (ISM,), PHOTO))
    assert cell == Cell(row.mean.value, row.mean.low, row.mean.high)
    both = measured.cell("none", Column("Average", (ISM, ADA), PHOTO))
    other = measured.cell("none", Column("ADA", (ADA,), PHOTO))
    assert both is not None
    assert other is not None
    assert both.value == pytest.approx((cell.value + other.value) / 2)
    assert measured.cell("none", Column("faces", (FACES,), PHOTO)) == Cell(4, note="of 4")
    d_sys = measured.cell("none", Column("D_sys", (D_SYS,), PHOTO))
    assert d_sys is not None
    assert 0 <= d_sys.value <= 1
    assert d_sys.note.startswith("chance 0.")
    assert measured.cell("eta-0.5", Column("ISM", (ISM,), PHOTO)) is None


def test_an_interval_does_not_go_beyond_what_a_figure_can_be() -> None:
    mean = lambda people: sum(people) / len(people)  # noqa: E731
    found, bounded = pooled(mean, [0, 0, 0, 10]), pooled(mean, [0, 0, 0, 10], least=0.0)
    assert found is not None
    assert bounded is not None
    assert found.low < 0 == bounded.low
    assert found.high == bounded.high
    share = pooled(mean, [1, 1, 1, 0], least=0.0, most=1.0)
    assert share is not None
    assert share.high == 1.0  # the symmetric interval would reach beyond
    alone = pooled(mean, [5], least=0.0)
    assert alone is not None
    assert math.isnan(alone.low)
    assert pooled(mean, []) is None


def test_a_table_in_three_formats(sliced: Path, tmp_path: Path) -> None:
    measured = [Measures("ours", sliced, job.finished(sliced))]
    files = layout.write(SMALL, measured, tmp_path)
    assert [file.name for file in files] == ["small.md", "small.csv", "small.tex"]
    page = files[0].read_text()
    assert f"**{PHOTO}**" in page
    assert "| *No Defense* | paper, CelebA-HQ | 0.50 | 0.25† |" in page
    assert "† cannot be right: it is made up." in page
    assert "Never begun" not in page
    lines = list(csv.DictReader(io.StringIO(files[1].read_text())))
    printed = [line for line in lines if line["source"] == "paper, CelebA-HQ"]
    assert [line["value"] for line in printed] == ["0.5", "0.25", "0.75"]
    assert printed[1]["note"] == "cannot be right: it is made up"
    assert {line["source"] for line in lines} == {"ours", "paper, CelebA-HQ"}
    source = files[2].read_text()
    assert r"A table \& its caption." in source
    assert source.count(r"\begin{tabular}") == source.count(r"\end{tabular}") == 2
    body = [line for line in source.splitlines() if line.startswith("{}No Defense")]
    assert body
    assert all(line.count(" & ") in (3, 4) for line in body)  # with the faces of the prompt that has them
    assert "2 people, 2 pictures a prompt, a gallery of" in source
    assert {line["people"] for line in lines if line["source"] == "ours"} == {"2"}


def test_latex_reads_titles_as_they_are() -> None:
    table = Table(
        "ranges", "Ranges.", rows([("[-1, 1]", "none")], "[-1, 1] | CelebA-HQ | 0.5"), SMALL.columns[:1]
    )
    source = layout.latex(table, [])
    assert "\n{}[-1, 1] & paper, CelebA-HQ & 0.50" in source  # a bracket after a line's end would be a length
    assert layout.escaped("~/a^b\\c") == r"\textasciitilde{}/a\textasciicircum{}b\textbackslash{}c"


def test_brq_is_by_the_kits_model(sliced: Path, kit: str, tmp_path: Path) -> None:
    opened = open_kit(kit)
    column = Column("BRQ", (BRQ,), PHOTO)
    assert Measures("ours", sliced, job.finished(sliced), opened).cell("none", column) is None
    model = BrisqueModel.load(*write_brisque(tmp_path))
    opened.brisque = lambda: model  # type: ignore[method-assign]
    measured = Measures("ours", sliced, job.finished(sliced), opened)
    found = measured.cell("none", column)
    assert found is not None
    drawn = torch.cat([pictures(sliced, Protocol.of(sliced), person, "none") for person in (7, 8)])
    assert found.value == pytest.approx(float(brisque(drawn, model).mean()))
    assert measured.notes["BRQ"] == "BRQ is by allmodel."


def test_lpips_is_by_the_kits_networks(sliced: Path, kit: str, protocol: Protocol, tmp_path: Path) -> None:
    column = Column("LPIPS", (Figure("lpips", "lower"),))
    bare = Measures("ours", sliced, job.finished(sliced), open_kit(kit))
    assert bare.cell("0.1", column) is None
    table = Table("change", "LPIPS", rows([("Defense", "0.1")]), (), (column,))
    assert "LPIPS takes a perceptual network ([perceptual] in a kit)." in layout.markdown(table, [bare])

    named = Path(shutil.copytree(Path(kit).parent, tmp_path / "kit")) / Path(kit).name
    write_lpips(named.parent)
    named.write_text(named.read_text() + LPIPS_ROW)
    opened, out = open_kit(named), tmp_path / "bench"
    known = build_protocol(opened, {}, SAMPLING, LINEUP)
    assert set(known.models) - set(protocol.models) == {"AlexNet", "LPIPS"}
    job.run(replace(JOB, people=(7,), arms=("0.1",)), known, out, kit=str(named), camera=camera)
    measured = Measures("ours", out, job.finished(out), opened)
    found = measured.cell("0.1", column)
    assert found is not None
    assert 0 < found.value < 1
    page = layout.markdown(table, [measured])
    assert "LPIPS is version 0.1 on AlexNet." in page
    assert f"| Defense | ours | {found.value:.2f}" in page


def test_rows_of_different_people_say_so(sliced: Path) -> None:
    results = job.finished(sliced)
    first = min(each.unit.person for each in results)
    mixed = [each for each in results if (each.unit.arm == "none") == (each.unit.person == first)]
    assert "do not compare rows" in layout.markdown(SMALL, [Measures("ours", sliced, mixed)])
    assert "do not compare rows" not in layout.markdown(SMALL, [Measures("ours", sliced, results)])


def test_a_paper_table_without_units_shows_the_paper() -> None:
    page = layout.markdown(TABLE_7, [])
    assert "Nothing measured yet" in page
    assert "0.29†" in page
    assert "Table 1 has 0.25 for the same run" in page


def test_plot_and_pictures(sliced: Path) -> None:
    results = job.finished(sliced)
    svg = pareto.draw(SMALL, Measures("ours", sliced, results))
    assert svg.count("<circle") == 2
    for result in results:  # the finest measure there is stands on the axis
        for each in result.scores["prompts"].values():
            each |= {"agreement": 0.7, "appearance": None if result.unit.arm == "none" else 0.4}
    assert pareto.points(SMALL, Measures("ours", sliced, results))[0] == "appearance"
    sheet = draw_gallery(SMALL, results, sliced)
    assert sheet is not None
    assert draw_gallery(SMALL, [], sliced) is None


def test_the_front_holds_what_nothing_beats() -> None:
    def point(title: str, x: float, y: float) -> Point:
        return Point(title, Interval(x, x, x), Interval(y, y, y))

    found = [point("a", 0.1, 0.5), point("b", 0.2, 0.4), point("c", 0.3, 0.9), point("d", 0.3, 0.8)]
    assert [each.title for each in front(found)] == ["a", "c"]
    assert front([]) == []


def test_words_beside_points_leave_each_other_room() -> None:
    places = [(200.0, 200.0), (205.0, 203.0), (210.0, 206.0), (300.0, 100.0)]
    found = pareto.labels(["a long name", "another name", "a third name", "far"], places)
    boxes = [
        (x - (84 if anchor == "end" else 0), y, x + (0 if anchor == "end" else 84), y + pareto.LINE)
        for x, y, anchor in found
    ]
    assert all(pareto.shared(one, other) < 100 for one, other in combinations(boxes, 2))
    assert found[3] == (308.0, 94.0, "start")


@pytest.mark.parametrize("arms", [pareto.CROWD - 1, pareto.CROWD])
def test_a_crowd_of_points_has_numbers_and_a_list_beside(
    arms: int, sliced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = [Interval(each / 20, each / 20, each / 20) for each in range(arms)]
    crowd = [Point(f"arm number {index}", each, each) for index, each in enumerate(at)]
    monkeypatch.setattr(pareto, "points", lambda *_: (pareto.FSR, crowd))
    svg = pareto.draw(SMALL, Measures("ours", sliced, []))
    listed = arms >= pareto.CROWD
    assert svg.count("<circle") == arms
    assert svg.count(">3<") == listed
    assert svg.count(f">{'3  ' * listed}arm number 2<") == 1
    assert (f'viewBox="0 0 {pareto.WIDTH:g} ' in svg) is not listed


def test_ticks_are_round_and_inside() -> None:
    assert pareto.ticks(0.25, 0.79) == pytest.approx([0.3, 0.4, 0.5, 0.6, 0.7])
    assert pareto.ticks(0.0, 1.0) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])


def test_time_that_runs_out_in_a_training_costs_nothing(
    original: Path, protocol: Protocol, kit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between two steps: no result, a checkpoint, and in the end the pictures of a whole run."""
    out, which, ticks = tmp_path / "bench", Unit(8, "0.1", 0), iter(range(1000))
    short = replace(JOB, people=(8,), arms=("0.1",))
    said: list[tuple[str, int, int]] = []

    def note(stage: str, done: int, total: int, **_: float) -> None:
        said.append((stage, done, total))

    def stop(self: Workshop, *_: object, **__: object) -> None:
        if next(ticks) == 6:
            raise OutOfTimeError

    with monkeypatch.context() as patch:
        patch.setattr(Workshop, "_check_time", stop)
        job.run(short, protocol, out, kit=kit, camera=camera, progress=note)
    assert job.left(short, protocol, out) == [which]
    assert said[-1] == ("units", 0, 1)
    assert any((which.folder(out) / "run" / "checkpoint").iterdir())
    job.run(short, protocol, out, kit=kit, camera=camera)
    assert torch.equal(pictures(out, protocol, 8, "0.1"), pictures(original, protocol, 8, "0.1"))
    (result,) = job.finished(out)
    assert set(result.seconds) == {"score"}  # the rest of a training says nothing of how long one takes
    assert cost([which], short, protocol, out) is None
