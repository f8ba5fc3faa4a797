"""The tiers as lists of candidates; on the development people the strongest is chosen, tier upon tier."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, combinations

import torch

from visard.attacks.aggregation import POOLINGS, groups_of
from visard.attacks.comparator import logistic_weights
from visard.attacks.evidence import Evidence
from visard.attacks.inputs import AttackSettings
from visard.attacks.maps import LinearMap, learn
from visard.attacks.plan import Plan, matcher_scores, search, seen, standardised_each
from visard.attacks.result import Tried
from visard.attacks.searches import decidability
from visard.attacks.views import AS_IT_IS
from visard.metrics.identification import finest, limits_by_others, passing_share

BEST_VIEWS = 3
"""How many of the best views are averaged with the picture as it is."""
HELD_FOR_COMPARATOR = 3
"""One in so many training people is kept from the maps: the comparator must not see them flattered."""


@dataclass(frozen=True)
class Choice:
    """A tier's strongest attack on the development people, and all that were tried."""

    plan: Plan
    tried: list[Tried]


class Attacker:
    """Chooses on the development people; never looks at the people under attack."""

    def __init__(self, evidence: Evidence, settings: AttackSettings) -> None:
        self.evidence, self.settings = evidence, settings
        self.eyes = evidence.eyes
        self._learned_maps: dict[
            tuple[str, str, tuple[str, ...], str, tuple[int, ...]], LinearMap | None
        ] = {}
        self._names: dict[tuple[str, str, str], str | None] = {}

    def choose(self, tier: str, before: Plan | None) -> Choice:
        """The strongest of the tier's candidates and of what came before."""
        candidates = self._candidates[tier](before) if before else self._recognisers()
        best = None if before is None else (self.measure(before), before)
        tried = [] if best is None else [best[0]]
        for plan in candidates:
            figures = self.measure(plan)
            tried.append(figures)
            if best is None or figures.strength > best[0].strength:
                best = figures, plan
        assert best is not None  # there is at least one recogniser
        return Choice(best[1], tried)

    def measure(self, plan: Plan) -> Tried:
        """The attack on the development people, who search one another's gallery.

        Each of them meets a threshold that the others set: a plan is not taken for strong because the
        threshold happened to be low on these people.
        """
        found = search(plan, self.evidence, "dev", "dev")
        alone = search(plan, self.evidence, "dev", "dev", enrolled=False)
        others = found.others
        tops = alone.scores.amax(1)
        limits = limits_by_others(tops, alone.owner, passing_share(tops, alone.owner, self.fpir))
        linked = found.naming > limits[found.owner]
        people = torch.unique(found.owner)
        share = torch.stack([linked[found.owner == person].double().mean() for person in people]).mean()
        return Tried(str(plan), float(share), decidability(found.own, others[others > -torch.inf]))

    def together(self, tier: str, plan: Plan, before: Plan | None) -> list[Plan]:
        """The strongest attack of the tier for each number of pictures, few to many.

        Of T3, on what was chosen; of T4 those that learn from people, too. None of other tiers.
        """
        if before is None or tier not in ("T3", "T4"):
            return []
        found = []
        for k in self.sizes(plan.source):
            candidates = self.pooled(plan if tier == "T3" else before, k)
            if tier == "T4":
                candidates += self._learning(before, k)
            found.append(max(candidates, key=lambda each: self.measure(each).strength))
        return found

    @property
    def fpir(self) -> float:
        """The false-positive rate at which the development people set thresholds."""
        return finest(self.settings.fpir, len(self.evidence.parties["dev"]))

    def sizes(self, source: str) -> list[int]:
        """The numbers of pictures that everybody has, of those that are to be looked at together."""
        most = self.evidence.fewest(source, ("test", "dev"))
        return [k for k in self.settings.pictures_out if k <= most] or [1]

    def pooled(self, plan: Plan, k: int) -> list[Plan]:
        """The ways to look at k pictures together."""
        if k == 1:
            return [replace(plan, k=1, pooling="mean")]
        return [replace(plan, k=k, pooling=pooling) for pooling in POOLINGS]

    @property
    def _candidates(self) -> dict[str, Callable[[Plan], Iterable[Plan]]]:
        return {
            "T1": self._matchers,
            "T2": self._views,
            "T3": self._together,
            "T4": self._informed,
            "T5": self._leaked,
        }

    def _recognisers(self) -> list[Plan]:
        return [Plan((name,)) for name in self.eyes.faces]

    def _matchers(self, before: Plan) -> Iterator[Plan]:
        """T1: every other matcher, all pairs of recognisers, all of them, and everything."""
        faces, others = tuple(self.eyes.faces), tuple(self.eyes.others)
        sets: list[tuple[str, ...]] = [(name,) for name in others]
        sets += [
            *combinations(faces, 2),
            faces,
            *((before.matchers[0], name) for name in others),
            faces + others,
        ]
        for matchers in dict.fromkeys(each for each in sets if each != before.matchers):
            yield replace(before, matchers=matchers)

    def _views(self, before: Plan) -> Iterator[Plan]:
        """T2: every preprocessing, the best one of gallery and pictures, the best ones beside none."""
        single = [replace(before, views=(view,)) for view in self.eyes.views if view != AS_IT_IS]
        yield from single
        ranked = sorted(single, key=lambda plan: self.measure(plan).strength, reverse=True)
        yield from (replace(plan, photos=plan.views[0]) for plan in ranked[:1])
        for count in range(1, min(BEST_VIEWS, len(ranked)) + 1):
            yield replace(before, views=(AS_IT_IS, *(plan.views[0] for plan in ranked[:count])))

    def _together(self, before: Plan) -> Iterator[Plan]:
        """T3: k pictures, pooled in every way."""
        yield from chain.from_iterable(self.pooled(before, k) for k in self.sizes(before.source) if k > 1)

    def _informed(self, before: Plan) -> Iterator[Plan]:
        """T4: what learns from people, of every number of pictures."""
        yield from chain.from_iterable(self._learning(before, k) for k in self.sizes(before.source))

    def _learning(self, before: Plan, k: int) -> Iterator[Plan]:
        """Of k pictures: from the best so far, and from every recogniser on the pictures as they are."""
        before = replace(before, k=k, pooling=before.pooling if k > 1 else "mean")
        everything = replace(before, matchers=(*self.eyes.faces, *self.eyes.others), weights=())
        plain = replace(everything, views=(AS_IT_IS,), photos=AS_IT_IS, pooling="mean")
        for base in [everything] if everything == plain else [everything, plain]:
            yield from self._learned(base, before.matchers)
        if self.settings.tuning_steps:
            yield from self._tuned(before)

    def _leaked(self, before: Plan) -> Iterator[Plan]:
        """T5: every source that takes the model file, all its pictures together, learned from anew."""
        for source in self.evidence.leaked:
            size = self.evidence.fewest(source, ("test", "dev"))
            base = replace(before, source=source, k=size)
            for plan in self.pooled(base, size):
                yield plan
                yield replace(
                    plan,
                    matchers=tuple(self.eyes.faces),
                    weights=(),
                    maps={},
                    views=(AS_IT_IS,),
                    photos=AS_IT_IS,
                )
            if self.evidence.has("train", source):
                everything = replace(
                    base, matchers=(*self.eyes.faces, *self.eyes.others), weights=(), maps={}, pooling="mean"
                )
                yield from self._learned(everything, self._known(before.matchers) or everything.matchers)

    def _learned(self, everything: Plan, matchers: tuple[str, ...]) -> Iterator[Plan]:
        """Maps and comparators: of the matchers chosen so far, of each recogniser, of all."""
        maps = self._maps(everything)
        faces = tuple(self.eyes.faces)
        for chosen in dict.fromkeys((matchers, faces, *((name,) for name in faces))):
            yield replace(everything, matchers=chosen, maps=_of(maps, chosen))
        if len(everything.matchers) > 1:
            yield self._compared(replace(everything, maps={}), range(len(self.evidence.parties["train"])))
            kept = range(0, len(self.evidence.parties["train"]), HELD_FOR_COMPARATOR)
            maps = self._maps(everything, kept)
            if maps and len(kept) > 1:
                yield self._compared(replace(everything, maps=maps), kept)

    def _tuned(self, before: Plan) -> Iterator[Plan]:
        """Each recogniser chosen so far, fine-tuned; alone and beside what was chosen."""
        for original in dict.fromkeys((*self._known(before.matchers), *self.eyes.faces[:1])):
            name = self._fine_tuned(original, before.source, before.views[0])
            if name is not None:
                plan = replace(before, matchers=(name,), weights=(), maps={})
                yield plan
                yield replace(plan, matchers=(name, *self._known(before.matchers)))

    def _fine_tuned(self, original: str, source: str, view: str) -> str | None:
        """The name of a fine-tuned recogniser, None where it cannot be; done once."""
        key = (original, source, view)
        if key not in self._names:
            settings = self.settings
            self._names[key] = self.evidence.tune(*key, settings.tuning_steps, settings.seed)
        return self._names[key]

    def _maps(self, plan: Plan, left_out: Iterable[int] = ()) -> dict[str, LinearMap]:
        """A map for each of the plan's matchers, learned from the training people."""
        maps = {}
        for matcher in plan.matchers:
            found = self._map(matcher, plan, tuple(left_out))
            if found is not None:
                maps[matcher] = found
        return maps

    def _map(self, matcher: str, plan: Plan, left_out: tuple[int, ...]) -> LinearMap | None:
        """One matcher's map: it does not depend on how many pictures are looked at; learned once."""
        key = (matcher, plan.source, plan.views, plan.photos, left_out)
        if key not in self._learned_maps:
            owner = self.evidence.owner("train", plan.source)
            kept = ~torch.isin(owner, torch.tensor(left_out, dtype=torch.long))
            self._learned_maps[key] = learn(
                seen(plan, self.evidence, "train", matcher).rows[kept],
                owner[kept],
                self.evidence.prototypes("train", matcher, plan.photos),
                self.settings.folds,
                torch.Generator().manual_seed(self.settings.seed),
            )
        return self._learned_maps[key]

    def _compared(self, plan: Plan, people: Iterable[int]) -> Plan:
        """The plan with weights learned on some of the training people."""
        train = replace(plan, k=min(plan.k, self.evidence.fewest(plan.source, ("train",))))
        scores = standardised_each(matcher_scores(train, self.evidence, "train", "train"))
        _, owner = groups_of(self.evidence.owner("train", plan.source), train.k)
        kept = torch.isin(owner, torch.tensor(list(people)))
        mated = torch.zeros(scores.shape[:2], dtype=torch.bool).scatter(1, owner[:, None], True)
        weights = logistic_weights(scores[kept].flatten(0, 1), mated[kept].flatten())
        return replace(plan, weights=tuple(weights.tolist()))

    def _known(self, matchers: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the matchers that were there from the start."""
        return tuple(name for name in matchers if name in (*self.eyes.faces, *self.eyes.others))


def _of(maps: dict[str, LinearMap], matchers: tuple[str, ...]) -> dict[str, LinearMap]:
    return {name: found for name, found in maps.items() if name in matchers}
