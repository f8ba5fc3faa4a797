"""Faces: alignment, detection, recognition, galleries, attributes."""
