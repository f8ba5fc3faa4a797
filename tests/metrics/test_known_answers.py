"""Score sets whose answers are known beforehand: no difference, all the difference, the wrong way round."""

import json
from pathlib import Path

import pytest
import torch
from sklearn.metrics import roc_curve

from visard.metrics.identification import named
from visard.metrics.linkability import d_sys, picture_linkability, repulsion_p_value
from visard.metrics.open_set import open_set_tpir, search_scores
from visard.metrics.verification import auc, equal_error_rate, match_rate, threshold_at

STORED = json.loads((Path(__file__).parent / "two_overlapping_sets.json").read_text())
MATED, NON_MATED = torch.tensor(STORED["mated"]), torch.tensor(STORED["non_mated"])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_stored_set_has_its_equal_error_rate() -> None:
    assert equal_error_rate(MATED, NON_MATED) == pytest.approx(STORED["eer"])
    labels = torch.cat([torch.ones_like(MATED), torch.zeros_like(NON_MATED)])
    fpr, tpr, _ = roc_curve(labels, torch.cat([MATED, NON_MATED]), drop_intermediate=False)
    assert min(max(f, 1 - t) for f, t in zip(fpr, tpr, strict=True)) == pytest.approx(STORED["eer"])


def test_stored_set_worked_by_hand() -> None:
    # 20 mated: 18 above all 50 strangers, .44 above 42 of them, .31 above 30.
    assert auc(MATED, NON_MATED) == pytest.approx((18 * 50 + 42 + 30) / (20 * 50))
    assert threshold_at(NON_MATED, 0.1) == pytest.approx(0.47)
    assert match_rate(MATED, threshold_at(NON_MATED, 0.1)) == pytest.approx(0.9)
    # Two scores more, at 0 and .9, so that three bins end at .3 and .6 exactly.
    mated, others = torch.cat([MATED, torch.tensor([0.9])]), torch.cat([NON_MATED, torch.tensor([0.0])])
    p = [0.0, 2 / 21, 19 / 21]  # [0, .3), [.3, .6), [.6, .9]
    q = [30 / 51, 20 / 51, 1 / 51]
    expected = sum(a * max(0.0, (a - b) / (a + b)) for a, b in zip(p, q, strict=True))
    assert d_sys(mated, others, bins=3) == pytest.approx(expected)


@pytest.mark.parametrize("people", [1, 20])
@pytest.mark.parametrize("fpir", [0.01, 0.003])
def test_pictures_of_nobody_are_named_at_the_nominal_rate(fpir: float, people: int) -> None:
    source = generator(3)
    unenrolled = torch.randn(60_000, people, generator=source)
    similarities = torch.randn(60_000, people, generator=source)
    true = torch.randint(people, (60_000,), generator=source)
    threshold = threshold_at(unenrolled.max(1).values, fpir)
    anybody = named(similarities, threshold) >= 0
    assert float(anybody.double().mean()) == pytest.approx(fpir, rel=0.25)
    found = open_set_tpir(similarities, true, unenrolled, fpir)
    if people == 1:
        assert found == float(anybody.double().mean())
    else:
        assert found < fpir / 5  # hardly ever the true one


def test_separated_people_are_always_named_and_fully_linkable() -> None:
    source = generator(4)
    similarities = 0.1 * torch.rand(50, 12, generator=source)
    true = torch.randint(12, (50,), generator=source)
    own = torch.nn.functional.one_hot(true, 12).bool()
    similarities[own] += 0.8
    unenrolled = 0.1 * torch.rand(400, 12, generator=source)
    assert open_set_tpir(similarities, true, unenrolled, 0.003) == 1.0
    assert open_set_tpir(similarities, true, unenrolled, 0.003, pictures=100) == 0.5
    found = picture_linkability(similarities, true, 50, source)
    assert found.d_sys == pytest.approx(1.0)


def test_search_score_is_the_persons_only_where_the_person_stands_first() -> None:
    rows = torch.tensor([[0.9, 0.1], [0.3, 0.3], [0.1, 0.5]])
    scores = search_scores(rows, torch.tensor([0, 1, 0]))
    assert scores.tolist() == pytest.approx([0.9, -torch.inf, -torch.inf])  # a tie names nobody


def test_the_null_of_identical_sets_covers_them_at_its_rate() -> None:
    inside = 0
    for seed in range(30):
        source = generator(seed)
        scores = torch.randn(40, 41, generator=source)
        found = picture_linkability(scores, torch.zeros(40, dtype=torch.long), 60, source)
        inside += found.d_sys <= found.null_high
        assert found.null_mean < found.null_high
    assert inside >= 26


def test_repulsed_scores_are_linkable_though_auc_and_ranks_are_not() -> None:
    source = generator(5)
    similarities = 0.3 + 0.1 * torch.randn(40, 60, generator=source)
    similarities[:, 0] = -0.3 + 0.05 * torch.randn(40, generator=source)
    true = torch.zeros(40, dtype=torch.long)
    assert auc(similarities[:, 0], similarities[:, 1:].flatten()) < 0.01
    assert picture_linkability(similarities, true, 50, source).d_sys > 0.95
    assert repulsion_p_value(similarities, true, 200, source) < 0.05
