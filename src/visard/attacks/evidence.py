"""Everyone as the attacker's eyes see them; each look is taken once and kept in memory only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from visard.attacks.eyes import Eyes, Lesson, Sight, joined, joined_rows
from visard.attacks.inputs import (
    EVERYTHING,
    PUBLISHED,
    Knowledge,
    Known,
    Pictures,
    Source,
    leaked_sources,
    read,
)
from visard.attacks.views import AS_IT_IS
from visard.progress import Progress, silent

Party = Literal["test", "dev", "train"]
STRANGERS = "strangers"


class Evidence:
    """The people under attack ("test"), the attacker's own ("dev", "train"), and the gallery's strangers.

    A party's gallery is its people, in order, then the strangers: the same strangers for all parties.
    exchanged: who has pictures of whom, by name, of those whose pictures show somebody else.
    """

    def __init__(
        self,
        eyes: Eyes,
        subjects: Mapping[str, Pictures],
        gallery: Mapping[str, Source],
        knowledge: Knowledge,
        progress: Progress = silent,
        exchanged: Mapping[str, str] | None = None,
    ) -> None:
        self.eyes, self.progress = eyes, progress
        self._leaked = leaked_sources(subjects, knowledge)
        place = {name: index for index, name in enumerate(subjects)}
        self._shown = {
            place[name]: place[whose]
            for name, whose in (exchanged or {}).items()
            if whose in place and whose != name
        }
        self.parties: dict[Party, list[Known]] = {
            "test": [Known(gallery[name], pictures) for name, pictures in subjects.items()],
            "dev": list(knowledge.dev.values()),
            "train": list(knowledge.train.values()),
        }
        self.photos: dict[str, list[Source]] = {
            **{party: [each.photos for each in people] for party, people in self.parties.items()},
            STRANGERS: [photos for name, photos in gallery.items() if name not in subjects],
        }
        self._sights: dict[tuple[Party, str, str, str], Sight] = {}
        self._owners: dict[tuple[Party, str], Tensor] = {}
        self._entries: dict[tuple[str, str, str], Tensor] = {}

    def learning_from(self, people: int) -> Evidence:
        """The same, had the attacker only the first so many training people; what was seen stays seen."""
        fewer = copy(self)
        fewer.parties = {**self.parties, "train": self.parties["train"][:people]}
        fewer.photos = {**self.photos, "train": self.photos["train"][:people]}
        fewer._owners = {key: owner for key, owner in self._owners.items() if key[0] != "train"}
        fewer._sights = {key: sight for key, sight in self._sights.items() if key[0] != "train"}
        for (party, source, view, matcher), sight in self._sights.items():
            if party == "train":
                owner = self._owners[party, source]
                kept = owner < people
                fewer._owners[party, source] = owner[kept]
                fewer._sights[party, source, view, matcher] = Sight(sight.rows[kept], sight.quality[kept])
        fewer._entries = {
            key: entry[:people] if key[0] == "train" else entry for key, entry in self._entries.items()
        }
        return fewer

    @property
    def leaked(self) -> list[str]:
        """The sources that take the model file, and at last all pictures together; none without one."""
        return [*self._leaked, EVERYTHING] if self._leaked else []

    def has(self, party: Party, source: str) -> bool:
        """Whether everybody of a party has pictures of a source."""
        names = self._together if source == EVERYTHING else [source]
        return all(name in each.pictures for each in self.parties[party] for name in names)

    @property
    def _together(self) -> list[str]:
        return [PUBLISHED, *self._leaked]

    def sight(self, party: Party, source: str, view: str, matcher: str) -> Sight:
        """What a matcher sees of a party's pictures, person after person."""
        key = (party, source, view, matcher)
        if key not in self._sights and source == EVERYTHING:
            seen_apart = joined([self.sight(party, each, view, matcher) for each in self._together])
            owners = torch.cat([self.owner(party, each) for each in self._together])
            order = owners.argsort(stable=True)
            self._owners[party, source] = owners[order]
            self._sights[key] = Sight(seen_apart.rows[order], seen_apart.quality[order])
        if key not in self._sights:
            together = self._companions(matcher)
            seen: dict[str, list[Sight]] = {name: [] for name in together}
            owner = []
            people = self.parties[party]
            for index, person in enumerate(people):
                pictures = read(person.pictures[source])
                for name, part in self.eyes.look(pictures, view, together).items():
                    seen[name].append(part)
                owner.append(torch.full((len(pictures),), index))
                self.progress(f"{source} pictures ({party}), {view}", index + 1, len(people))
            self._owners[party, source] = torch.cat(owner)
            for name, parts in seen.items():
                self._sights[party, source, view, name] = joined(parts)
        return self._sights[key]

    def owner(self, party: Party, source: str) -> Tensor:
        """Whose each picture is, (P,) in 0..S-1."""
        if (party, source) not in self._owners:
            self.sight(party, source, AS_IT_IS, self.eyes.faces[0])
        return self._owners[party, source]

    def fewest(self, source: str, parties: Sequence[Party]) -> int:
        """How many pictures everybody has."""
        return min(
            int(torch.bincount(self.owner(party, source), minlength=len(self.parties[party])).min())
            for party in parties
        )

    def templates(self, party: Party, matcher: str, view: str = AS_IT_IS) -> Tensor:
        """The gallery (S + N, D) in which a party's people are searched, after a preprocessing."""
        return joined_rows([self.prototypes(party, matcher, view), self._entry(STRANGERS, matcher, view)])

    def absent(self, party: Party, gallery: int) -> Tensor:
        """(S, gallery) whom a search with a person's pictures must not find: somebody else they show."""
        found = torch.zeros(len(self.parties[party]), gallery, dtype=torch.bool)
        if party == "test":
            for person, shown in self._shown.items():
                found[person, shown] = True
        return found

    def prototypes(self, party: Party, matcher: str, view: str = AS_IT_IS) -> Tensor:
        """(S, D): each person's real photos."""
        return self._entry(party, matcher, view)

    def tune(self, matcher: str, source: str, view: str, steps: int, seed: int) -> str | None:
        """Fine-tune a recogniser on the training people; the name it now goes by, None if it cannot be."""
        people = [(read(each.photos), read(each.pictures[source])) for each in self.parties["train"]]
        return self.eyes.tuned(matcher, Lesson(people, view, steps, seed))

    def _entry(self, party: str, matcher: str, view: str) -> Tensor:
        if (party, matcher, view) not in self._entries:
            together = self._companions(matcher)
            rows: dict[str, list[Tensor]] = {name: [] for name in together}
            for index, each in enumerate(self.photos[party]):
                for name, entry in self.eyes.enrol(read(each), view, together).items():
                    rows[name].append(entry[None])
                self.progress(f"real photos ({party}), {view}", index + 1, len(self.photos[party]))
            for name, parts in rows.items():
                self._entries[party, name, view] = F.normalize(joined_rows(parts), dim=1)
        return self._entries[party, matcher, view]

    def _companions(self, matcher: str) -> list[str]:
        """Matchers that look together, as faces are found once for all; a fine-tuned one comes alone."""
        together = [*self.eyes.faces, *self.eyes.others]
        return together if matcher in together else [matcher]
