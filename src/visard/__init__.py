"""Personalised text-to-image models that look like the person to people, and like nobody to face recognition."""

__version__ = "0.1.0"
