"""Personalisation with an identity that can be decoupled: DreamBooth and LoRA, plain or by IDDM."""
