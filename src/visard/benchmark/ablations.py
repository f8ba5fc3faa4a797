"""Tables of our own: controls, victims, and the decisions the paper leaves open. No printed figures."""

from __future__ import annotations

from visard.benchmark.paper import DEFENDED, DIAL, DSLR, OURS, PHOTO, QUALITY, RIVALS, UNDEFENDED, WITHOUT_AIM
from visard.benchmark.table import BOTTOM, D_SYS, DEV, RANK_1, RANK_1_DESCRIBED, TEST, Table, over, rows

LINKAGE = {"rank 1": RANK_1, "rank 1, described": RANK_1_DESCRIBED, "D_sys": D_SYS, "bottom rank": BOTTOM}
ALL = QUALITY | OURS | LINKAGE
BOTH = (PHOTO, DSLR)
EARLY_STEPS = (100, 150, 300)
STRENGTHS = (0.3, 0.4, 0.5, 0.6, 0.8)

CONTROLS = Table(
    "controls",
    "What the defence must beat: fewer steps, words alone, covered faces, noise without aim; and chance.",
    rows(
        (
            UNDEFENDED,
            *DIAL,
            ("Trained for 150 steps", "early-150"),
            ("Trained for 300 steps", "early-300"),
            ("Attributes only", "attributes"),
            ("Faces pixelated", "pixelate-8"),
            ("Faces blurred", "blur-10"),
            ("No defence, photos together", "together"),
            ("Random signs, and clean photos", "random+clean"),
            ("Strangers' models (chance)", "strangers"),
        )
    ),
    (),
    over(BOTH, ALL),
    beside=DEFENDED[1],
)

EARLY = Table(
    "early",
    "Undefended models of fewer steps, or turned down: is one of them as useful as the defended one?",
    rows(
        (
            UNDEFENDED,
            DIAL[0],
            *((f"Trained for {steps} steps", f"early-{steps}") for steps in EARLY_STEPS),
            *((f"Strength {strength}", f"strength-{strength}") for strength in STRENGTHS),
        )
    ),
    (),
    over(BOTH, ALL),
    split=DEV,
    beside=DEFENDED[1],
)

VICTIMS = Table(
    "victims",
    "Perturbed photos, trained on alone as their papers do, and beside as many clean ones (decision 15).",
    rows(
        (
            UNDEFENDED,
            ("No defence, photos together", "together"),
            *RIVALS,
            *WITHOUT_AIM,
            *((f"{title}, and clean photos", f"{arm}+clean") for title, arm in RIVALS),
            ("Random signs, and clean photos", "random+clean"),
        )
    ),
    (),
    over(BOTH, ALL),
    beside=UNDEFENDED[1],
)

GUIDANCE = 7.5
"""The usual one of Stable Diffusion, and so the papers'."""
WIDER = 0.25
"""Radius: about three times the protocol's of the world."""
BUDGET = Table(
    "budget",
    "Perturbed photos with more than the kit gives them: all steps of their papers, or a wider ball.",
    rows(
        (
            UNDEFENDED,
            *WITHOUT_AIM,
            *RIVALS,
            *((f"{title}, all steps", f"{arm}+full") for title, arm in RIVALS),
            *(
                (f"{title}, radius {WIDER}", f"{arm}+eta-{WIDER}")
                for title, arm in (WITHOUT_AIM[1], *RIVALS[:2])
            ),
            *(
                (f"{title}, guidance {GUIDANCE}", f"{arm}@{GUIDANCE}")
                for title, arm in (UNDEFENDED, WITHOUT_AIM[0])
            ),
            *(
                (f"{title}, all steps, guidance {GUIDANCE}", f"{arm}+full@{GUIDANCE}")
                for title, arm in RIVALS
            ),
        )
    ),
    (),
    over(BOTH, ALL),
)

SHARPER = Table(
    "guidance",
    f"The arms of Table 1, drawn at guidance {GUIDANCE} by the same models.",
    rows(
        tuple(
            row
            for title, arm in (UNDEFENDED, *RIVALS, *WITHOUT_AIM, *DIAL)
            for row in ((title, arm), (f"{title}, guidance {GUIDANCE}", f"{arm}@{GUIDANCE}"))
        )
    ),
    (),
    over(BOTH, ALL),
)


def _decision(number: int, caption: str, *others: tuple[str, str], split: str = DEV) -> Table:
    return Table(
        f"decision{number}",
        f"{caption} (decision {number}).",
        rows((UNDEFENDED, *others)),
        (),
        over(BOTH, ALL),
        split=split,
        beside=DEFENDED[1],
    )


DECISIONS = (
    _decision(
        1,
        "What becomes of the fraction of rho T",
        ("Carried over", "0.1"),
        ("Dropped, as printed", "floored"),
    ),
    _decision(2, "The pixel range of eta and alpha", ("[-1, 1]", "0.1"), ("[0, 1]", "unit-range")),
    _decision(
        3, "The centre of the ball", ("The original photos", "0.1"), ("The round's photos", "round-anchor")
    ),
    _decision(
        9,
        "The timesteps of the identity loss",
        ("Below 200", "tmax-200"),
        ("Below the kit's t_max", "0.1"),
        ("Below 700", "tmax-700"),
        ("All", "tmax-1000"),
    ),
    _decision(
        13, "The gradient through the weights of eq. 12", ("Flows", "0.1"), ("Does not flow", "detached")
    ),
    _decision(
        14,
        "The lower end of the identity loss",
        ("None, as in the paper", "0.1"),
        ("Strangers' level", "impostor"),
        split=TEST,  # a claim, not a choice
    ),
)

OWN = (CONTROLS, EARLY, VICTIMS, BUDGET, SHARPER, *DECISIONS)

"""Every table that is not the paper's."""
