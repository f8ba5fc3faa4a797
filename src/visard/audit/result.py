"""What an audit found.

Plain dataclasses that become JSON. Scores and counts only: no embedding, path or name.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from visard.audit.accounting import Accounting
from visard.audit.inputs import AuditSettings
from visard.metrics.bootstrap import Estimate
from visard.metrics.face_success import FaceSuccess
from visard.metrics.frechet import Frechet
from visard.metrics.identity_similarity import IdentitySimilarity
from visard.metrics.linkability import Linkability, Lowest
from visard.storage import finite

SCHEMA = 5
DIGITS = 6
"""Of every figure in the JSON."""


@dataclass(frozen=True)
class RankRate:
    """Rk-U: share with the person among the first k, over all pictures and over those with a face."""

    k: int
    overall: float
    detected: float


@dataclass(frozen=True)
class MatchRate:
    """TMR at one false match rate, over all pictures."""

    fmr: float
    threshold: float
    rate: Estimate


@dataclass(frozen=True)
class SearchRate:
    """TPIR at one false-positive rate, half of the strangers not enrolled, over all pictures.

    fpir: the rate asked for, or the finest that half of the strangers can show.
    """

    fpir: float
    rate: Estimate


@dataclass(frozen=True)
class LinkedIn:
    """Share of people linked at least once when k of their pictures are out."""

    k: int
    people: Estimate


@dataclass(frozen=True)
class Difference:
    """Linked share minus that of the undefended arm, with its interval, by both ways of counting."""

    overall: float
    overall_interval: tuple[float, float]
    detected: float
    detected_interval: tuple[float, float]


@dataclass(frozen=True)
class Histogram:
    """Densities over shared bin edges.

    Pictures against the person, and the same pictures against strangers.
    """

    edges: list[float]
    mated: list[float]
    non_mated: list[float]


@dataclass(frozen=True)
class Curve:
    """A DET curve, false match rate descending in strictness."""

    fmr: list[float]
    fnmr: list[float]


@dataclass(frozen=True)
class JudgeFigures:
    """What one judge says of one arm.

    Of all pictures, a lost face counting against the judge: linked, searches, matches, eer, ranks' `overall`.
    Of the faces: whatever is called detected, the ranks below those, auc, linkability, and names_another and
    names_fellow, the share a search takes for anybody else, and for another of the audited people.
    repulsion_p, lowest: whether the people, and whether a few of them, are less similar than strangers.
    similarities, linked_pictures: per person, per picture.
    """

    judge: str
    accounting: Accounting
    linked: Estimate
    linked_detected: Estimate
    difference: Difference | None
    similarity: IdentitySimilarity
    similarity_to_strangers: float
    ranks: list[RankRate]
    searches: list[SearchRate]
    median_rank: float
    worst_rank: float
    bottom_rank: float
    last_place: float
    matches: list[MatchRate]
    eer: float
    eer_detected: float
    auc: float
    auc_same_pictures: float
    linkability: Linkability
    repulsion_p: float
    lowest: Lowest
    linked_in: list[LinkedIn]
    worst_decile: float
    names_another: Estimate
    names_fellow: Estimate
    det: Curve
    histogram: Histogram
    similarities: list[list[float | None]]
    linked_pictures: list[list[bool]]


@dataclass(frozen=True)
class Paired:
    """The same figure on an arm's pictures and on the clean photos, by a named model; NaN where undefined."""

    model: str
    pictures: float
    photos: float


@dataclass(frozen=True)
class Quality:
    """How good the pictures are; None where the instrument was not given.

    face_quality: SER-FIQ, mean over the faces.
    """

    frechet: Frechet | None
    brisque: float | None
    brisque_model: str
    naturalness: float | None
    face_quality: Paired | None


@dataclass(frozen=True)
class Lift:
    """A mean of resemblance minus that of the attributes-only arm, with its 95 % interval.

    Of the faces, and `overall` of all pictures, where one without a face resembles nobody, which is 0, and
    nothing less than that. photos: that of
    the clean photos, each with the others: where it is not above 0, no picture can be expected to be.
    """

    value: float
    interval: tuple[float, float]
    overall: float
    overall_interval: tuple[float, float]
    photos: float


@dataclass(frozen=True)
class Appearance:
    """Similarity of the pictures' descriptions to the person's, by a named describer.

    Mean over the faces; photos: that of each clean photo to the others, the ceiling. first: share of all
    pictures that are described more like the person than like anybody else in the gallery. lift: over the
    attributes-only arm, None without one.
    """

    model: str
    pictures: Estimate
    photos: float
    first: Estimate
    lift: Lift | None


@dataclass(frozen=True)
class Copying:
    """How near pictures are to training photos: `copy_paste`, and the mean nearest cosines behind it."""

    model: str
    score: float
    nearest: float
    nearest_of_photos: float


@dataclass(frozen=True)
class Resemblance:
    """Whether an arm still shows the person; None where the instrument or the photos were not given.

    agreement: mean over the attributes, faces only; attributes: the same one by one, as in the clean photos
    (the ceiling); correlations: over people, of the continuous ones. appearance: finer than attributes.
    whole, masked: picture similarity, with the faces and with them painted over; diversity: mean distance of
    pictures from one another.
    """

    agreement: Estimate | None
    lift: Lift | None
    attributes: dict[str, float]
    attributes_of_photos: dict[str, float]
    correlations: dict[str, float]
    appearance: Appearance | None
    whole: Paired | None
    masked: Paired | None
    captions: Paired | None
    diversity: Paired | None
    copying: Copying | None


@dataclass(frozen=True)
class ArmResult:
    """One arm under one prompt."""

    arm: str
    prompt: str
    pictures: int
    faces: FaceSuccess
    judges: list[JudgeFigures]
    quality: Quality
    resemblance: Resemblance

    @property
    def key(self) -> str:
        return f"{self.arm}/{self.prompt}" if self.prompt else self.arm

    @property
    def strongest(self) -> JudgeFigures:
        """The judge that links most pictures: an attacker would choose it."""
        return max(self.judges, key=lambda judge: (judge.linked.value, judge.similarity.overall))

    def linked_in(self, k: int) -> tuple[str, Estimate] | None:
        """The judge that links most people at least once in k of their pictures, and how many of them."""
        found = [(each.judge, row.people) for each in self.judges for row in each.linked_in if row.k == k]
        return max(found, key=lambda pair: pair[1].value, default=None)

    @property
    def worst_decile(self) -> float:
        """Linked share of those people who are linked most, by the judge that links most of these."""
        return max(judge.worst_decile for judge in self.judges)


@dataclass(frozen=True)
class JudgeCard:
    """A judge, its thresholds from strangers' real photos, and how it does on real faces.

    real_linked: of `real_photos`, the strangers' and the people's; own_linked: of the people's `own_photos`,
    and of each person's who can be checked. NaN without photos of whoever keeps another one enrolled.
    people_doubled, strangers_doubled: of how many the gallery holds a double under another name.
    """

    name: str
    family: str
    sha256: str
    search_threshold: float
    match_thresholds: dict[str, float]
    real_photos: int
    real_linked: float
    own_photos: int
    own_linked: float
    own_linked_by_person: list[float]
    people_doubled: int
    strangers_doubled: int
    real_similarity: float
    real_match_rates: dict[str, float]
    real_det: Curve
    non_mated_comparisons: int

    @property
    def people_checked(self) -> int:
        """Of how many people the reference photos can be checked against one another."""
        return len(self.own_linked_by_person)


@dataclass(frozen=True)
class Flag:
    """A reason to distrust this audit; `where` names the arm or judge it concerns, `advice` what to do."""

    code: str
    title: str
    message: str
    where: str = ""
    advice: str = ""


@dataclass(frozen=True)
class Verdict:
    """Whether an arm passes both halves of the gate; None where there is nothing to compare with.

    doubts: titles of the flags for which a passed half is not to be relied on.
    """

    arm: str
    prompt: str
    links_less: bool | None
    resembles_more: bool | None
    sentence: str
    doubts: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return bool(self.links_less and self.resembles_more and not self.doubts)

    @property
    def decided(self) -> bool:
        """Whether it passes, or is shown not to."""
        known = self.links_less is not None and self.resembles_more is not None
        return known and (self.passed or not (self.links_less and self.resembles_more))


@dataclass(frozen=True)
class TierResult:
    """What one attack tier links of one arm; tiers are cumulative, so a later one should link no less.

    tier: "T0" to "T5"; linked: share of the `count` trials (what a trial is, `description` says) with its
    interval; arm and prompt as in `ArmResult`, "" where the tier was not told apart by them; gallery, k and
    fpir: people searched, pictures a search, share of strangers that may be named; 0 where not stated.
    """

    tier: str
    description: str
    linked: Estimate
    count: int
    arm: str = ""
    prompt: str = ""
    gallery: int = 0
    k: int = 0
    fpir: float = 0.0

    @property
    def cautions(self) -> list[str]:
        """Reasons to distrust the figure, each the end of a sentence that begins with the tier."""
        return []


@dataclass(frozen=True)
class AuditResult:
    """The whole audit.

    claims: one sentence a defended arm, the least favourable first. fpir: of a newcomer's search, as asked
    for or the finest that the strangers can show. unchecked: checks that could not be made, and what they
    take. absent: instruments that were not given, and what therefore was not measured.
    """

    tier: str
    claims: list[str]
    flags: list[Flag]
    unchecked: dict[str, str]
    people: int
    gallery: int
    fpir: float
    gallery_photos: int
    gallery_without_face: int
    reference_photos: int
    reference_faces: FaceSuccess
    judges: list[JudgeCard]
    arms: list[ArmResult]
    verdicts: list[Verdict]
    absent: dict[str, str]
    settings: AuditSettings
    surrogates: list[str]
    versions: dict[str, str]
    tiers: list[TierResult] = field(default_factory=list)
    schema: int = SCHEMA

    @property
    def trusted(self) -> bool:
        return not self.flags

    @property
    def cautions(self) -> list[list[Flag]]:
        """The flags, those of one rule together."""
        kinds = dict.fromkeys(flag.code for flag in self.flags)
        return [[flag for flag in self.flags if flag.code == code] for code in kinds]

    def arm(self, name: str, prompt: str) -> ArmResult | None:
        """The arm of that name under that prompt, if it was audited."""
        return next((row for row in self.arms if (row.arm, row.prompt) == (name, prompt)), None)

    def to_json(self) -> str:
        """The whole tree; figures that do not exist are null."""
        tree = finite(asdict(self), DIGITS)
        return json.dumps(tree, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
