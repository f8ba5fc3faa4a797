"""Architectures: the published members by key names and sizes, the reduced ones by what training needs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from visard.faces.architectures import ARCHITECTURES
from visard.faces.architectures.adaface import IR18_UNITS, IR101_UNITS
from visard.faces.architectures.edgenext import SplitTransposeBlock
from visard.faces.architectures.ir import IR152_UNITS, IRSE50_UNITS
from visard.faces.architectures.iresnet import R100_UNITS
from visard.faces.architectures.reduced import DIMENSION, REDUCED

# name, config, parameters of the published network, some of the keys of its file with their shapes
PUBLISHED: list[tuple[str, dict[str, Any], int, dict[str, tuple[int, ...]]]] = [
    (
        "ir_se",
        {"units": IRSE50_UNITS},
        43_797_696,
        {
            "input_layer.0.weight": (64, 3, 3, 3),
            "input_layer.2.weight": (64,),
            "body.0.res_layer.5.fc1.weight": (4, 64, 1, 1),
            "body.3.shortcut_layer.0.weight": (128, 64, 1, 1),
            "body.3.shortcut_layer.1.running_var": (128,),
            "body.23.res_layer.3.weight": (512, 512, 3, 3),
            "output_layer.3.weight": (512, 25088),
            "output_layer.4.running_mean": (512,),
        },
    ),
    (
        "ir",
        {"units": IR152_UNITS},
        70_737_600,
        {"body.49.res_layer.4.weight": (512,), "output_layer.3.weight": (512, 25088)},
    ),
    (
        "mobilefacenet",
        {"embedding_dim": 512},
        1_200_512,
        {
            "conv1.conv.weight": (64, 3, 3, 3),
            "conv2_dw.prelu.weight": (64,),
            "conv_23.conv_dw.bn.running_mean": (128,),
            "conv_3.model.3.project.conv.weight": (64, 128, 1, 1),
            "conv_6_dw.conv.weight": (512, 1, 7, 7),
            "linear.weight": (512, 512),
            "bn.weight": (512,),
        },
    ),
    (
        "inception_resnet",
        {"classes": 8631},
        27_910_327,
        {
            "conv2d_1a.conv.weight": (32, 3, 3, 3),
            "repeat_1.0.branch0.conv.weight": (32, 256, 1, 1),
            "repeat_1.4.branch2.2.bn.weight": (32,),
            "mixed_6a.branch1.2.conv.weight": (256, 192, 3, 3),
            "repeat_2.9.branch1.1.conv.weight": (128, 128, 1, 7),
            "mixed_7a.branch2.2.conv.weight": (256, 256, 3, 3),
            "repeat_3.0.branch1.2.conv.weight": (192, 192, 3, 1),
            "block8.conv2d.bias": (1792,),
            "last_linear.weight": (512, 1792),
            "last_bn.bias": (512,),
            "logits.weight": (8631, 512),
        },
    ),
    (
        "iresnet",
        {"units": R100_UNITS},
        65_156_160,
        {
            "conv1.weight": (64, 3, 3, 3),
            "prelu.weight": (64,),
            "layer1.0.downsample.0.weight": (64, 64, 1, 1),
            "layer3.29.bn3.weight": (256,),
            "bn2.weight": (512,),
            "fc.weight": (512, 25088),
            "features.running_var": (512,),
        },
    ),
    (
        "adaface",
        {},
        43_585_600,
        {
            "input_layer.0.weight": (64, 3, 3, 3),
            "body.0.res_layer.2.running_mean": (64,),
            "body.0.res_layer.3.weight": (64,),
            "body.3.shortcut_layer.0.weight": (128, 64, 1, 1),
            "output_layer.3.weight": (512, 25088),
            "output_layer.4.running_mean": (512,),
        },
    ),
    ("adaface", {"units": IR18_UNITS}, 24_020_352, {"body.7.res_layer.5.weight": (512,)}),
    ("adaface", {"units": IR101_UNITS}, 65_150_912, {"body.48.res_layer.5.weight": (512,)}),
    (
        "mobilefacenet_layers",
        {},
        2_059_520,
        {
            "layers.0.layers.0.weight": (128, 3, 3, 3),
            "layers.1.layers.0.weight": (128, 2, 3, 3),  # 64 groups of two channels
            "layers.2.layers.1.layers.2.weight": (128,),
            "layers.3.layers.3.layers.2.layers.1.running_var": (128,),
            "layers.6.layers.0.layers.0.weight": (512, 256, 1, 1),
            "layers.7.layers.1.layers.1.layers.0.weight": (256, 1, 3, 3),
            "conv_sep.layers.0.weight": (512, 256, 1, 1),
            "features.layers.0.layers.0.weight": (512, 1, 7, 7),
            "features.layers.2.weight": (512, 512),
            "features.layers.3.running_mean": (512,),
        },
    ),
    (
        "retinaface",
        {},
        426_608,
        {
            "body.stage1.0.0.weight": (8, 3, 3, 3),
            "body.stage1.5.3.weight": (64, 64, 1, 1),
            "body.stage2.5.4.running_mean": (128,),
            "body.stage3.1.3.weight": (256, 256, 1, 1),
            "fpn.output3.0.weight": (64, 256, 1, 1),
            "fpn.merge2.1.bias": (64,),
            "ssh1.conv3X3.0.weight": (32, 64, 3, 3),
            "ssh2.conv7x7_3.1.running_var": (16,),
            "ClassHead.0.conv1x1.bias": (4,),
            "BboxHead.1.conv1x1.weight": (8, 64, 1, 1),
            "LandmarkHead.2.conv1x1.weight": (20, 64, 1, 1),
        },
    ),
    (
        "edgenext",
        {"widths": (24, 48, 88, 168), "units": (2, 2, 6, 2)},
        1_244_744,  # EdgeFace-XXS, as published: 1.24 million
        {
            "stages.2.blocks.5.xca.qkv.weight": (264, 88),
            "stages.3.blocks.1.convs.0.weight": (42, 1, 3, 3),
            "head.fc.weight": (512, 168),
        },
    ),
    (
        "edgenext",
        {"rank_ratio": 0.6},
        1_770_492,
        {
            "stem.0.weight": (32, 3, 4, 4),
            "stem.1.weight": (32,),
            "stages.0.blocks.0.conv_dw.weight": (32, 1, 3, 3),
            "stages.1.downsample.0.weight": (32,),
            "stages.1.blocks.2.pos_embd.token_projection.weight": (64, 64, 1, 1),
            "stages.2.blocks.8.xca.temperature": (4, 1, 1),
            "stages.2.blocks.8.gamma_xca": (100,),
            "stages.3.blocks.2.convs.2.weight": (48, 1, 3, 3),
            "stages.3.blocks.2.mlp.fc1.linear1.weight": (115, 192),
            "head.norm.weight": (192,),
            "head.fc.linear2.weight": (512, 115),
        },
    ),
]
RECOGNIZERS = [name for name, member in REDUCED.items() if member.role in ("surrogate", "judge")]


@pytest.mark.parametrize(
    ("name", "config", "parameters", "keys"), PUBLISHED, ids=[f"{row[0]}-{row[2]}" for row in PUBLISHED]
)
def test_published_member(
    name: str, config: dict[str, Any], parameters: int, keys: dict[str, tuple[int, ...]]
) -> None:
    with torch.device("meta"):
        network = ARCHITECTURES[name](**config)
    state = network.state_dict()
    assert {key: tuple(state[key].shape) for key in keys if key in state} == keys
    assert sum(each.numel() for each in network.parameters()) == parameters


def test_adafaces_last_normalisation_has_no_parameters() -> None:
    with torch.device("meta"):
        assert "output_layer.4.weight" not in ARCHITECTURES["adaface"]().state_dict()


def test_insightfaces_mobilefacenet_embeds_and_learns() -> None:
    torch.manual_seed(0)
    network = ARCHITECTURES["mobilefacenet_layers"](
        input_size=32,
        embedding_dim=8,
        widths=(8, 8, 8, 8),
        units=(1, 1, 1),
        expansions=(8, 16, 16),
        stem_groups=4,
        head_width=16,
    )
    embedding = network(torch.randn(2, 3, 32, 32))
    assert embedding.shape == (2, 8)
    (embedding * torch.randn(2, 8)).sum().backward()
    assert all(each.grad is not None for each in network.parameters())


@pytest.mark.parametrize("name", RECOGNIZERS)
def test_reduced_members_embed_and_learn(name: str) -> None:
    torch.manual_seed(0)
    member = REDUCED[name]
    network = member.build()
    assert 400_000 < sum(each.numel() for each in network.parameters()) < 1_700_000
    pictures = torch.randn(4, 3, member.input_size, member.input_size)
    output = network(pictures)
    if member.architecture == "adaface":
        embedding, norm = output
        torch.testing.assert_close(embedding.norm(dim=1), torch.ones(4))
        assert norm.shape == (4, 1)
    else:
        embedding = output
    assert embedding.shape == (4, DIMENSION)
    (embedding * torch.randn(4, DIMENSION)).sum().backward()
    trained = {key: each.grad for key, each in network.named_parameters() if each.requires_grad}
    assert [key for key, gradient in trained.items() if gradient is None] == []
    assert not [key for key, gradient in trained.items() if not gradient.isfinite().all()]


def test_surrogates_and_judges_are_of_different_families() -> None:
    families = {
        role: {each.family for each in REDUCED.values() if each.role == role}
        for role in ("surrogate", "judge")
    }
    assert len(families["surrogate"]) == len(families["judge"]) == 4
    assert not families["surrogate"] & families["judge"]


def test_the_two_iresnet_judges_differ_in_depth_and_width() -> None:
    arcface, magface = REDUCED["arcface"].config, REDUCED["magface"].config
    assert arcface["units"] != magface["units"]
    assert set(arcface["widths"]).isdisjoint(magface["widths"])


@pytest.mark.parametrize(("name", "size"), [("inception_resnet", 64), ("edgenext", 16)])
def test_inputs_too_small_for_the_graph_are_refused(name: str, size: int) -> None:
    with pytest.raises(ValueError, match=f"{size}"):
        ARCHITECTURES[name](input_size=size)


def test_globally_pooled_families_take_any_size() -> None:
    network = REDUCED["facenet"].build().eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 96, 96)).shape == network(torch.zeros(1, 3, 80, 80)).shape


def test_attention_between_channels_sees_the_whole_picture() -> None:
    torch.manual_seed(0)
    block = SplitTransposeBlock(16, 2, 4, 1.0, None, position=True)
    picture = torch.randn(1, 16, 8, 8)
    changed = picture.clone()
    changed[..., 0, 0] += 1
    with torch.no_grad():
        difference = (block(changed) - block(picture)).abs()
    assert float(difference[..., 7, 7].max()) > 0


def test_the_detector_gives_nine_outputs_of_every_anchor() -> None:
    network = REDUCED["detector"].build()
    shapes = [tuple(output.shape) for output in network(torch.zeros(2, 3, 64, 128))]
    assert shapes == [(2, cells * 2, values) for values in (1, 4, 10) for cells in (128, 32, 8)]


def test_the_regressor_has_the_heads_it_was_asked_for() -> None:
    network: nn.Module = REDUCED["regressor"].build(heads={"pose": 3, "hair": 5})
    found = network(torch.zeros(2, 3, 64, 64))
    assert {name: tuple(value.shape) for name, value in found.items()} == {"pose": (2, 3), "hair": (2, 5)}
