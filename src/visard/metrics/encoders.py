"""Networks that see whole pictures, not faces, and with CLIP also words: features to compare them by.

CLIP (Radford et al. 2021), DINO (Caron et al. 2021) and DINOv2 (Oquab et al. 2023), which give CLIP-I, DINO
and CLIP-T (Ruiz et al. 2023, DreamBooth, section 4.1), are folders as transformers writes them, read from the
disk alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from visard.errors import ModelError
from visard.faces.recognizer import InputSpec
from visard.metrics.preprocessing import Preprocessing, read_preprocessing

FOLDERS = {"clip": "CLIPModel", "vit": "ViTModel", "dinov2": "Dinov2Model"}
"""What a folder's config.json calls its model, and its class in transformers."""
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"))
AGAIN = "Copy or download the whole model again."


class Encoder(nn.Module):
    """Pictures (B, 3, H, W) in [-1, 1], resized to what the network takes, to features (B, D).

    A network of a kit's row sees the whole picture as a square (`InputSpec`), one of a folder what the folder
    says (`Preprocessing`). It is frozen.
    """

    def __init__(self, network: nn.Module, name: str, spec: InputSpec | Preprocessing) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.name = name
        self.spec = spec
        self.eval()

    def forward(self, pictures: Tensor) -> Tensor:
        device = next((each.device for each in self.network.parameters()), pictures.device)
        if isinstance(self.spec, InputSpec):
            size = (self.spec.size, self.spec.size)
            pictures = nn.functional.interpolate(pictures, size, mode="bilinear", antialias=True)
        features: Tensor = self.network(self.spec.prepare(pictures).to(device))
        return features.flatten(1)


class Clip(nn.Module):
    """CLIP: pictures and words in one space, features (B, D) of either, not normalised.

    What is longer than the `length` tokens that its text tower reads is cut off.
    """

    def __init__(self, images: Encoder, text: nn.Module, tokenizer: Any, length: int) -> None:
        super().__init__()
        self.name = images.name
        self.images = images
        self.text = text.requires_grad_(False)
        self.tokenizer = tokenizer
        self.length = length
        self.eval()

    def pictures(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, D)."""
        features: Tensor = self.images(pictures)
        return features

    def words(self, prompts: Sequence[str]) -> Tensor:
        """Prompts -> (B, D)."""
        device = next(self.text.parameters()).device
        tokens = self.tokenizer(
            list(prompts), padding=True, truncation=True, max_length=self.length, return_tensors="pt"
        ).to(device)
        features: Tensor = self.text(**tokens)
        return features


class _Projected(nn.Module):
    """A tower of CLIP, what it finds in a picture or text brought into the space of both."""

    def __init__(self, tower: nn.Module, projection: nn.Module) -> None:
        super().__init__()
        self.tower, self.projection = tower, projection

    def forward(self, *given: Tensor, **named: Tensor) -> Tensor:
        features: Tensor = self.projection(self.tower(*given, **named).pooler_output)
        return features


class _ClassToken(nn.Module):
    """The first token after the last norm, by which DINO and DINOv2 know a picture."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.network(pixels).last_hidden_state[:, 0]
        return features


def load_encoder(folder: Path, architecture: str, name: str) -> Encoder:
    """What sees pictures in a folder of CLIP ("clip"), DINO ("vit") or DINOv2 ("dinov2").

    Raises ModelError: another model's folder, incomplete, only pickled, not finite.
    """
    return _seeing(folder, architecture, name, _load(folder, architecture))


def load_clip(folder: Path, name: str) -> Clip:
    """A folder of CLIP with its text tower and tokenizer. Raises ModelError, as `load_encoder`."""
    from visard.diffusion.loading import load_tokenizer

    network = _load(folder, "clip")
    if not any(all((folder / name).is_file() for name in names) for names in TOKENIZERS):
        raise ModelError(f"{folder} lacks tokenizer.json.", AGAIN)
    tokenizer, config = load_tokenizer(folder, local_files_only=True), network.config.text_config
    # A text's features are those of its end: looked for by this number, or of old as the highest (2).
    if len(tokenizer) > config.vocab_size or config.eos_token_id not in (2, tokenizer.eos_token_id):
        raise ModelError(f"{folder}: the tokenizer is not that of the text model.", AGAIN)
    return Clip(
        _seeing(folder, "clip", name, network),
        _Projected(network.text_model, network.text_projection),
        tokenizer,
        min(tokenizer.model_max_length, config.max_position_embeddings),
    )


def _load(folder: Path, architecture: str) -> Any:
    import transformers

    from visard.diffusion.loading import load_network

    _check(folder, architecture)
    # The pooling layer on top of a ViT is no part of DINO, and its folders have no weights for it.
    options = {"add_pooling_layer": False} if architecture == "vit" else {}
    kind = getattr(transformers, FOLDERS[architecture])
    # Weights of other shapes are ignored here so that they are named, and refused.
    return load_network(kind, folder, ignore_mismatched_sizes=True, **options).float()


def _seeing(folder: Path, architecture: str, name: str, network: Any) -> Encoder:
    spec = read_preprocessing(folder, square=architecture == "vit")
    if architecture == "clip":
        encoder = Encoder(_Projected(network.vision_model, network.visual_projection), name, spec)
    else:
        encoder = Encoder(_ClassToken(network), name, spec)
    try:
        with torch.no_grad():
            encoder(torch.zeros(1, 3, *spec.sides))
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"{folder} cannot see pictures of {spec.sides}: {error}.", AGAIN) from error
    return encoder


def _check(folder: Path, architecture: str) -> None:
    from visard.diffusion.folders import PICKLES, read_json

    if not (folder / "config.json").is_file():
        raise ModelError(
            f"{folder} is not a model folder of transformers: it has no config.json.",
            f"Give the folder that holds config.json, {WEIGHTS[0]} and preprocessor_config.json.",
        )
    kind = read_json(folder / "config.json").get("model_type")
    if kind != architecture:
        advice = f'Say architecture = "{kind}".' if kind in FOLDERS else f"Known here: {', '.join(FOLDERS)}."
        raise ModelError(f'{folder} holds a model of the kind "{kind}", not "{architecture}".', advice)
    if any((folder / name).is_file() for name in WEIGHTS):
        return
    if any(file.suffix in PICKLES for file in folder.iterdir()):
        raise ModelError(
            f"{folder} has its weights as a pickle where {WEIGHTS[0]} is needed.",
            "A pickle can run any program when opened, so it is never loaded. Get the model's safetensors "
            "version, or convert it with transformers (save_pretrained writes safetensors) if you trust it.",
        )
    raise ModelError(f"{folder} lacks {WEIGHTS[0]}.", AGAIN)
