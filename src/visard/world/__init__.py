"""The embedded world: procedural people with exact truth, and small models trained on them.

No real person's face is in it.
"""

from visard.world.people import SPLITS, Person, person
from visard.world.sampling import pictures, sample

__all__ = ["SPLITS", "Person", "person", "pictures", "sample"]
