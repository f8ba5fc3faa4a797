"""A whole model in one safetensors file, in the layout A1111 and ComfyUI know (LDM; SDXL's: SGM).

Which model it is, is read from the names and shapes of its tensors and compared with the blueprints; its
configuration then is the blueprint's, so that nothing is asked of the network. The names are diffusers' work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from accelerate import init_empty_weights  # type: ignore[import-untyped]
from diffusers.loaders import single_file_utils
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from visard.diffusion.blueprints import BLUEPRINTS, SCHEDULER, Blueprint
from visard.diffusion.loading import Parts, autoencoder_dtype, load_tokenizer, quiet, refuse_not_finite
from visard.diffusion.sources import find_tokenizer, refuse_pickle
from visard.diffusion.tokenizer import END, OPEN_CLIP_PAD
from visard.errors import ModelError

ldm: Any = single_file_utils  # half of it is untyped
UNET, VAE = "model.diffusion_model.", "first_stage_model."
CONV_IN = f"{UNET}input_blocks.0.0.weight"
# Where text encoders lie, with what their tokenizer fills up prompts, and which kind of names they have.
CLIP_HOMES = {"cond_stage_model.transformer.": END, "conditioner.embedders.0.transformer.": END}
OPEN_CLIP_HOMES = {"cond_stage_model.model.": OPEN_CLIP_PAD, "conditioner.embedders.1.model.": OPEN_CLIP_PAD}
HOMES = {**CLIP_HOMES, **OPEN_CLIP_HOMES}

# Input channels -> what a UNet with them is made for.
OTHER_TASKS = {5: "depth-to-image", 7: "upscaling", 8: "editing (InstructPix2Pix)", 9: "inpainting"}
OTHER_KINDS: dict[str, Callable[[str], Any]] = {
    "a LoRA (or LoHa, LoKr), not a whole model": re.compile(r".*(lora_|\.lora\.|hada_w|lokr_w)").match,
    "a ControlNet": re.compile(r"control_model\.|controlnet_").match,
    "a flow-matching model (Flux, Stable Diffusion 3)": re.compile(r".*(double|joint)_blocks\.").match,
    "Playground 2.5, whose noise is not Stable Diffusion's": re.compile(r"edm_mean$").match,
    "SDXL's refiner": re.compile(r"conditioner\.embedders\.0\.model\.").match,
    "one part of a diffusers model; give the whole folder": re.compile(
        r"(down_blocks|encoder\.down_blocks|text_model|encoder\.layers)\."
    ).match,
}
IGNORED = re.compile(r"(.*\.)?(position_ids|logit_scale|text_projection(\.weight)?)")
V_SAMPLE_SIZE = {"sd21": 96}
"""Latents of the v-prediction model of the same shape (768 px)."""
LOOK = 32
"""Side of the latents that tell epsilon from v."""


@dataclass(frozen=True)
class Anatomy:
    """Which blueprint a file follows, and where in it each text encoder lies."""

    name: str
    blueprint: Blueprint
    homes: dict[str, str]


def holds_lora(file: Path) -> bool:
    """Whether a safetensors file holds a LoRA rather than a model. Raises ModelError."""
    return any("lora" in name for name in _shapes(file))


def load_single_file(file: Path, dtype: torch.dtype) -> Parts:
    """Load a checkpoint of Stable Diffusion 1.x, 2.x or SDXL; its autoencoder in float32 at least.

    Raises ModelError that says what else the file is, or what is wrong with it.
    """
    shapes = _shapes(file)
    anatomy = recognise(shapes, file)
    folder = find_tokenizer(file)
    length = anatomy.blueprint.text_encoder["max_position_embeddings"]
    tokenizers = {
        part: load_tokenizer(folder, pad_token=HOMES[home], model_max_length=length)
        for part, home in anatomy.homes.items()
    }
    networks = {
        part: _load(file, anatomy, part, tokenizers.get(part), dtype) for part in anatomy.blueprint.parts
    }
    scheduler = _scheduler(file, shapes, networks["unet"])
    if scheduler["prediction_type"] == "v_prediction" and anatomy.name in V_SAMPLE_SIZE:
        networks["unet"].register_to_config(sample_size=V_SAMPLE_SIZE[anatomy.name])
    return Parts(
        networks["vae"],
        networks["unet"],
        [networks[part] for part in anatomy.homes],
        list(tokenizers.values()),
        scheduler,
        zeros_for_empty=len(anatomy.homes) > 1,
        files={"model": file},
    )


def recognise(shapes: Mapping[str, tuple[int, ...]], file: Path) -> Anatomy:
    """The blueprint that a file's tensors follow. Raises ModelError."""
    if CONV_IN not in shapes or "edm_mean" in shapes:
        _refuse(file, shapes)
    seen = _signature_of_file(shapes)
    names = [name for name, blueprint in BLUEPRINTS.items() if _signature(blueprint) == seen]
    if not names:
        _refuse(file, shapes)
    blueprint = BLUEPRINTS[names[0]]
    present = [home for home in HOMES if any(key.startswith(home) for key in shapes)]
    encoders = [part for part in blueprint.parts if part.startswith("text_encoder")]
    xl = [home for home in present if home.startswith("conditioner.")]
    homes = xl if len(encoders) > 1 else [home for home in present if home not in xl]
    if len(homes) != len(encoders) or not any(key.startswith(VAE) for key in shapes):
        raise ModelError(
            f"{file} lacks {'its text encoder' if len(homes) != len(encoders) else 'its autoencoder'}.",
            "Use a whole checkpoint: UNet, text encoder and autoencoder in one file.",
        )
    return Anatomy(names[0], blueprint, dict(zip(encoders, homes, strict=True)))


def predicts_noise(unet: Any) -> bool:
    """Whether a UNet predicts epsilon rather than v, by one look at pure noise.

    At the last timestep the noise itself is all there is to find: the target epsilon is the input, and the
    target v holds next to nothing of it (their correlations with it are 1 and sqrt(abar_T), .07).
    """
    config = unet.config
    noise = torch.randn(1, config.in_channels, LOOK, LOOK, generator=torch.Generator().manual_seed(0))
    text = torch.zeros(1, 77, config.cross_attention_dim, dtype=unet.dtype)
    added = None
    if config.addition_embed_type == "text_time":
        pooled = unet.add_embedding.linear_1.in_features - 6 * config.addition_time_embed_dim
        added = {"text_embeds": text.new_zeros(1, pooled), "time_ids": text.new_zeros(1, 6)}
    with torch.no_grad():
        output = unet(
            noise.to(unet.dtype), 999, encoder_hidden_states=text, added_cond_kwargs=added
        ).sample.float()
    return float(nn.functional.cosine_similarity(output.flatten(), noise.flatten(), dim=0)) > 0.5


def _scheduler(file: Path, names: Mapping[str, object], unet: Any) -> dict[str, Any]:
    """The noise schedule: what the file or the .yaml beside it says of the prediction, else a look."""
    said = _header(file).get("modelspec.prediction_type")
    if said is None and "v_pred" in names:
        said = "v"
    beside = file.with_suffix(".yaml")
    if said is None and beside.is_file():
        found = re.search(r"""parameterization:\s*["']?(\w+)""", beside.read_text("utf-8", "replace"))
        said = found[1] if found else "epsilon"
    if said is None:
        said = "epsilon" if predicts_noise(unet) else "v"
    config = {**SCHEDULER, "prediction_type": "v_prediction" if said.startswith("v") else "epsilon"}
    if "ztsnr" in names:  # ComfyUI's mark of a schedule that ends in pure noise
        config |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return config


def _load(file: Path, anatomy: Anatomy, part: str, tokenizer: Any, dtype: torch.dtype) -> Any:
    """One network with the file's weights, all of them and no others."""
    try:
        with quiet(), init_empty_weights():
            network = anatomy.blueprint.build(part, tokenizer)
    except ValueError as error:
        raise ModelError(
            f"The tokenizer found for {file.name} does not suit it: {error}", "Use the tokenizer of CLIP."
        ) from error
    prefix = {"unet": UNET, "vae": VAE}.get(part) or anatomy.homes[part]
    tensors = converted(network, part, prefix, _tensors(file, prefix))
    check_names(file, part, network, tensors)
    wanted = autoencoder_dtype(dtype) if part == "vae" else dtype
    # Copies: a view would change with the file.
    state = {name: tensors[name].to(wanted, copy=True).contiguous() for name in network.state_dict()}
    network.load_state_dict(state, assign=True)
    network.eval()
    refuse_not_finite(network, f"{file} ({part})")
    return network


def converted(network: Any, part: str, prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A part's tensors under the names `network` has for them."""
    if part == "unet":
        return dict(ldm.convert_ldm_unet_checkpoint(tensors, network.config))
    if part == "vae":
        return dict(ldm.convert_ldm_vae_checkpoint(tensors, network.config))
    if prefix in OPEN_CLIP_HOMES:
        tensors = ldm.convert_open_clip_checkpoint(network, tensors, prefix=prefix)
    else:
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    bare = {name.removeprefix("text_model."): tensor for name, tensor in tensors.items()}
    depth = network.config.num_hidden_layers  # Stable Diffusion 2.x reads the last layer but one
    nested = hasattr(network, "text_model")
    return {
        f"text_model.{name}" if nested and not name.startswith("text_projection") else name: tensor
        for name, tensor in bare.items()
        if not (layer := re.match(r"encoder\.layers\.(\d+)\.", name)) or int(layer[1]) < depth
    }


def check_names(file: Path, part: str, network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Raise ModelError unless the tensors are the network's, name by name and shape by shape."""
    expected = network.state_dict()
    strangers = [name for name in tensors.keys() - expected.keys() if not IGNORED.fullmatch(name)]
    faults = {
        "missing": sorted(expected.keys() - tensors.keys()),
        "unknown": sorted(strangers),
        "mismatched": sorted(
            name for name, tensor in tensors.items()
            if name in expected and tensor.shape != expected[name].shape
        ),
    }  # fmt: skip
    for kind, names in faults.items():
        if names:
            raise ModelError(
                f"{file} has {len(names)} {kind} weights in its {part}, such as {names[0]}.",
                "Use an unpruned checkpoint of Stable Diffusion 1.x, 2.x or SDXL (no distilled variant), "
                "or copy or download it again.",
            )


def _signature(blueprint: Blueprint) -> tuple[object, ...]:
    """Input channels, first width, text width, number of input blocks: what tells the blueprints apart."""
    unet = blueprint.unet
    widths = unet["block_out_channels"]
    blocks = len(widths) * (unet["layers_per_block"] + 1)
    return unet.get("in_channels", 4), widths[0], unet["cross_attention_dim"], blocks


def _signature_of_file(shapes: Mapping[str, tuple[int, ...]]) -> tuple[object, ...]:
    width, channels = shapes[CONV_IN][:2]
    text = next((shape[1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight")), None)
    blocks = {name.split(".")[3] for name in shapes if name.startswith(f"{UNET}input_blocks.")}
    return channels, width, text, len(blocks)


def _refuse(file: Path, shapes: Mapping[str, tuple[int, ...]]) -> NoReturn:
    """Raise ModelError that names what the file is instead, if that can be told."""
    task = OTHER_TASKS.get(shapes[CONV_IN][1]) if CONV_IN in shapes else None
    kinds = [kind for kind, matches in OTHER_KINDS.items() if any(matches(name) for name in shapes)]
    if task is not None:
        kind = f"a model for {task} ({shapes[CONV_IN][1]} input channels)"
    else:
        kind = kinds[0] if kinds else "of an architecture that is not known here"
    raise ModelError(
        f"{file} is {kind}.",
        "Use a text-to-image checkpoint of Stable Diffusion 1.x, 2.x or SDXL as A1111 and ComfyUI read it.",
    )


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a safetensors file, read from its header alone. Raises ModelError."""
    refuse_pickle(file)
    try:
        with safe_open(file, framework="pt") as opened:
            return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{file} is not a whole safetensors file: {error}.",
            "It may be cut short; copy or download it again.",
        ) from error


def _tensors(file: Path, prefix: str) -> dict[str, Tensor]:
    with safe_open(file, framework="pt") as opened:
        return {name: opened.get_tensor(name) for name in opened.keys() if name.startswith(prefix)}  # noqa: SIM118


def _header(file: Path) -> dict[str, str]:
    with safe_open(file, framework="pt") as opened:
        return dict(opened.metadata() or {})
