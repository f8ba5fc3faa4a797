"""Personalised text-to-image models that people recognise and face recognition does not."""

__version__ = "0.1.0"
