"""Finding the same photo in two sets, by the measure that finds copies in a folder of photos."""

from visard.photos.duplicates import duplicates

__all__ = ["duplicates"]
