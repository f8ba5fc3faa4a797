"""The UNet's module paths as Stable Diffusion's first home names them (LDM; SDXL's: SGM).

Checkpoints of one file keep these names, and so do kohya LoRA files for SDXL (not those for 1.x and 2.x).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

OUTSIDE = {
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
IN_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
IN_MIDDLE = {("resnets", 0): 0, ("attentions", 0): 1, ("resnets", 1): 2}
BLOCK = re.compile(
    r"(?:(?P<way>down|up)_blocks\.(?P<level>\d+)|mid_block)"
    r"\.(?P<kind>resnets|attentions|downsamplers|upsamplers)\.(?P<place>\d+)(?:\.(?P<rest>.+))?"
)


@dataclass(frozen=True)
class LdmNames:
    """diffusers' module paths to LDM's, for a UNet of this shape."""

    layers: int
    """Resnets a block of the way down (diffusers' layers_per_block)."""
    attended: frozenset[int]
    """Levels of the way up with attention: an upsampler is third in its block there, and second elsewhere."""

    @classmethod
    def of(cls, unet: Any) -> LdmNames:
        """The names for a diffusers UNet2DConditionModel."""
        kinds = enumerate(unet.config.up_block_types)
        attended = frozenset(level for level, kind in kinds if kind.startswith("CrossAttn"))
        return cls(int(unet.config.layers_per_block), attended)

    def __call__(self, path: str) -> str | None:
        """The LDM name of the module `path`, None where LDM has no such module."""
        if path in OUTSIDE:
            return OUTSIDE[path]
        match = BLOCK.fullmatch(path)
        if match is None:
            return None
        kind, place, rest = match["kind"], int(match["place"]), match["rest"]
        if kind == "resnets":
            rest = IN_RESNET.get(rest, rest)
        level, blocks = int(match["level"] or 0), self.layers + 1
        if match["way"] is None:
            where = f"middle_block.{IN_MIDDLE[kind, place]}"
        elif kind == "downsamplers":
            where, rest = f"input_blocks.{(level + 1) * blocks}.0", "op"
        elif kind == "upsamplers":
            where = f"output_blocks.{level * blocks + self.layers}.{1 + (level in self.attended)}"
        else:
            inner = 0 if kind == "resnets" else 1
            side, index = ("input", 1 + place) if match["way"] == "down" else ("output", place)
            where = f"{side}_blocks.{level * blocks + index}.{inner}"
        return f"{where}.{rest}" if rest else where
