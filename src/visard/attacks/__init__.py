"""Attack tiers.

How far does an adversary get who adapts to the defence, from one picture (T0) to the model file (T5)?
"""

from visard.attacks.attack import attack
from visard.attacks.eyes import Embeddings, Eyes, Lenses
from visard.attacks.inputs import PUBLISHED, AttackSettings, Knowledge, Known
from visard.attacks.result import TIERS, AttackTier

__all__ = [
    "PUBLISHED",
    "TIERS",
    "AttackSettings",
    "AttackTier",
    "Embeddings",
    "Eyes",
    "Knowledge",
    "Known",
    "Lenses",
    "attack",
]
