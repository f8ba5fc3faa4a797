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
from visard.attacks.searches import decidability, finest
from visard.attacks.views import AS_IT_IS
from visard.metrics.verification import threshold_at

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

    def __init__(self, evidence: Evidence, settings: AttackSettings, leaked: Iterable[str]) -> None:
        self.evidence, self.settings, self.leaked = evidence, settings, list(leaked)
        self.eyes = evidence.eyes

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
        """The attack on the development people, who search one another's gallery."""
        found = search(plan, self.evidence, "dev", "dev")
        alone = search(plan, self.evidence, "dev", "dev", enrolled=False)
        others = found.others
        linked = found.naming > threshold_at(alone.scores.amax(1), self.fpir)
        people = torch.unique(found.owner)
        share = torch.stack([linked[found.owner == person].double().mean() for person in people]).mean()
        return Tried(str(plan), float(share), decidability(found.own, others[others > -torch.inf]))

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
        """T2: every preprocessing, then the best of them averaged with the picture as it is."""
        single = [replace(before, views=(view,)) for view in self.eyes.views if view != AS_IT_IS]
        yield from single
        ranked = sorted(single, key=lambda plan: self.measure(plan).strength, reverse=True)
        for count in range(1, min(BEST_VIEWS, len(ranked)) + 1):
            yield replace(before, views=(AS_IT_IS, *(plan.views[0] for plan in ranked[:count])))

    def _together(self, before: Plan) -> Iterator[Plan]:
        """T3: k pictures, pooled in every way."""
        yield from chain.from_iterable(self.pooled(before, k) for k in self.sizes(before.source) if k > 1)

    def _informed(self, before: Plan) -> Iterator[Plan]:
        """T4: from the best so far, and from every recogniser looking at most pictures together."""
        everything = replace(before, matchers=(*self.eyes.faces, *self.eyes.others), weights=())
        most = replace(everything, views=(AS_IT_IS,), k=max(self.sizes(before.source)), pooling="mean")
        for base in [everything] if everything == most else [everything, most]:
            yield from self._learned(base, before.matchers)
        if self.settings.tuning_steps:
            yield from self._tuned(before)

    def _leaked(self, before: Plan) -> Iterator[Plan]:
        """T5: every source that takes the model file, all its pictures together, learned from anew."""
        for source in self.leaked:
            size = self.evidence.fewest(source, ("test", "dev"))
            base = replace(before, source=source, k=size)
            for plan in self.pooled(base, size):
                yield plan
                yield replace(plan, matchers=tuple(self.eyes.faces), weights=(), maps={}, views=(AS_IT_IS,))
            if all(source in each.pictures for each in self.evidence.parties["train"]):
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
            name = self.evidence.tune(
                original, before.source, before.views[0], self.settings.tuning_steps, self.settings.seed
            )
            if name is None:
                continue
            for k in dict.fromkeys((before.k, max(self.sizes(before.source)))):
                plan = replace(before, matchers=(name,), weights=(), maps={}, k=k)
                yield plan
                yield replace(plan, matchers=(name, *self._known(before.matchers)))

    def _maps(self, plan: Plan, left_out: Iterable[int] = ()) -> dict[str, LinearMap]:
        """A map for each of the plan's matchers, learned from the training people."""
        maps = {}
        owner = self.evidence.owner("train", plan.source)
        kept = ~torch.isin(owner, torch.tensor(list(left_out), dtype=torch.long))
        for matcher in plan.matchers:
            found = learn(
                seen(plan, self.evidence, "train", matcher).rows[kept],
                owner[kept],
                self.evidence.prototypes("train", matcher),
                self.evidence.strangers(matcher),
                self.settings.folds,
                torch.Generator().manual_seed(self.settings.seed),
            )
            if found is not None:
                maps[matcher] = found
        return maps

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
