from __future__ import annotations

from pathlib import Path

import pytest
import torch

from support.encoders import write_encoders, write_folder
from support.kits import (
    NETWORK,
    recognizer_row,
    save_network,
    two_recognizers,
    write_brisque,
    write_kit,
    write_networks,
)
from support.tiny import tiny_pipeline
from visard.benchmark.protocol import scored_by
from visard.errors import InputError, ModelError
from visard.faces.architectures import ARCHITECTURES
from visard.kits import Kit, open_kit

HEADS = [
    ("hair", "categorical", ["red", "black"]),
    ("glasses", "binary", ["worn"]),
    ("pose", "continuous", ["yaw"]),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_networks(tmp_path)
    heads = {name: len(outputs) for name, _, outputs in HEADS}
    save_network(
        ARCHITECTURES["regressor"](heads=heads, widths=[4], units=[1]), tmp_path / "regressor.safetensors"
    )
    return tmp_path


def both(folder: Path, extra: str = "") -> Kit:
    return open_kit(write_kit(folder, extra + two_recognizers()))


def test_models_are_loaded_by_role_and_only_once(folder: Path) -> None:
    kit = both(folder)
    assert kit.name == "small"
    (surrogate,), (judge,) = kit.surrogates(), kit.judges()
    assert (surrogate.name, judge.name) == ("one", "two")
    assert kit.surrogates()[0] is surrogate
    crops = torch.rand(2, 3, 32, 32) * 2 - 1
    assert surrogate.embed(crops).shape == (2, 8)
    assert not torch.allclose(surrogate.embed(crops), judge.embed(crops))
    assert kit.detector().setting.startswith("threshold 0.5")
    assert kit.features() is None
    assert kit.matcher() is None


def test_the_base_model_lies_beside_the_kit_and_is_fresh_each_time(folder: Path) -> None:
    tiny_pipeline(folder / "model")
    kit = both(folder)
    first, second = kit.backbone(), kit.backbone()
    assert first.unet is not second.unet
    assert first.fingerprint() == second.fingerprint()
    other = tiny_pipeline(folder / "other", seed=1)
    assert kit.backbone(other).fingerprint() != first.fingerprint()


def test_a_trained_model_of_naturalness_is_the_kits(folder: Path) -> None:
    assert both(folder).instruments().brisque is None
    write_brisque(folder)
    kit = both(folder, '[brisque]\nmodel = "allmodel"\nranges = "allrange"\n')
    found = kit.instruments().brisque
    assert found is not None
    assert found.name == "allmodel"
    (folder / "allrange").unlink()
    with pytest.raises(ModelError, match=r"lacks .*allrange"):
        kit.brisque()


def test_an_audit_gets_judges_with_their_hashes_and_no_surrogate(folder: Path) -> None:
    kit = both(folder)
    instruments = kit.instruments()
    assert [judge.name for judge in instruments.judges] == ["two"]
    (surrogate,) = kit.surrogate_ids()
    assert surrogate.family == "family of one"
    assert len(surrogate.sha256) == 64
    assert instruments.hashes == {"two": kit.digest(Path("b.safetensors"))}


def test_regressors_are_read_by_their_heads(folder: Path) -> None:
    heads = ", ".join(
        f'{{ name = "{name}", kind = "{kind}", outputs = {outputs} }}' for name, kind, outputs in HEADS
    )
    row = f"""
[[regressors]]
name = "looks"
file = "regressor.safetensors"
input = {{ size = 32 }}
config = {{ widths = [4], units = [1] }}
heads = [{heads}]
"""
    kit = both(folder, row)
    found = kit.regressors()["looks"](torch.zeros(1, 3, 32, 32))
    assert list(found) == ["hair", "glasses", "pose"]
    assert float(found["hair"].sum()) == pytest.approx(1)
    assert [regressor.name for regressor in kit.instruments().regressors] == ["looks"]


DESCRIBER = """
[describer]
name = "describes"
file = "describer.safetensors"
margin = 0.4
input = { size = 32 }
config = { widths = [4], units = [1] }
heads = [{ name = "appearance", kind = "KIND", outputs = ["nose", "chin"] }]
"""


def test_a_describer_says_how_a_face_differs_and_nothing_else(folder: Path) -> None:
    assert both(folder).describer() is None
    assert "appearance" in both(folder).instruments().absent()
    network = ARCHITECTURES["regressor"](heads={"appearance": 2}, widths=[4], units=[1])
    save_network(network, folder / "describer.safetensors")
    kit = both(folder, DESCRIBER.replace("KIND", "continuous"))
    instruments = kit.instruments()
    assert instruments.describer is not None
    assert "appearance" not in instruments.absent()
    assert "describes" in {each.model for each in kit.licences()}
    other = both(folder, DESCRIBER.replace("KIND", "continuous").replace("0.4", "0.5"))
    assert scored_by(kit).keys() == scored_by(other).keys() == {"describes"}
    assert scored_by(kit) != scored_by(other)  # the same weights, read otherwise
    with pytest.raises(ModelError, match="heads that are not continuous"):
        both(folder, DESCRIBER.replace("KIND", "binary")).instruments()


def test_a_picture_encoder_resizes_whatever_it_is_given(folder: Path) -> None:
    for table in ("features", "matcher"):
        row = f"""
[{table}]
name = "whole pictures"
architecture = "mobilefacenet"
file = "c.safetensors"
input = {{ size = 32 }}
config = {NETWORK}
"""
        kit = both(folder, row)
        encoder = kit.features() if table == "features" else kit.matcher()
        assert encoder is not None
        assert encoder(torch.zeros(2, 3, 100, 80)).shape == (2, 8)


def test_clip_dino_and_lpips_are_the_kits(folder: Path) -> None:
    bare = both(folder).instruments()
    assert (bare.captions, bare.perceptual) == (None, None)
    kit = both(folder, write_encoders(folder))
    instruments = kit.instruments()
    assert instruments.matcher is kit.matcher()
    assert instruments.captions is kit.captions()
    assert instruments.perceptual is kit.perceptual()
    pictures = torch.rand(2, 3, 50, 40) * 2 - 1
    assert instruments.matcher(pictures).shape == (2, 16)
    assert instruments.captions.pictures(pictures).shape == (2, 12)
    assert instruments.captions.words(["a red hat"]).shape == (1, 12)
    assert instruments.perceptual(pictures, pictures).tolist() == [0, 0]
    assert not {"prompt agreement (CLIP-T)", "diversity by LPIPS"} & set(instruments.absent())
    uses = {each.model: each.role for each in kit.licences()}
    assert [uses[each] for each in ("small dino", "small clip", "LPIPS (AlexNet, v0.1)")] == [
        "instrument"
    ] * 3


def test_one_folder_of_clip_is_matcher_and_captions(folder: Path) -> None:
    write_folder(folder / "clip", "clip")
    rows = "".join(
        f'[{table}]\nname = "clip"\narchitecture = "clip"\nfile = "clip"\n'
        for table in ("matcher", "captions")
    )
    kit = both(folder, rows)
    matcher, captions = kit.matcher(), kit.captions()
    assert matcher is not None
    assert captions is not None
    pictures = torch.rand(2, 3, 40, 40) * 2 - 1
    assert torch.equal(matcher(pictures), captions.pictures(pictures))


def test_a_model_folder_has_a_digest_of_its_own(folder: Path) -> None:
    write_folder(folder / "clip", "clip")
    kit = both(folder)
    first = kit.digest(Path("clip"))
    (folder / "clip" / "README.md").write_text("a card")
    assert kit.digest(Path("clip")) == first
    for key, file in (("clip", Path("clip")), ("clip/model.safetensors", Path("clip/model.safetensors"))):
        pinned = both(folder, f'[sha256]\n"{key}" = "{kit.digest(file)}"\n')
        assert pinned.digest(Path("clip")) == first
        write_folder(folder / "clip", "clip", seed=1)
        with pytest.raises(ModelError, match="not the file the kit small was made with"):
            pinned.digest(Path("clip"))
        write_folder(folder / "clip", "clip")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('architecture = "clip"\nfile = "nowhere"', "lacks .*nowhere"),
        ('architecture = "vit"\nfile = "clip"', 'the kind "clip", not "vit"'),
        ('architecture = "clip"\nfile = "clip/model.safetensors"', r"it has no config\.json"),
    ],
)
def test_a_wrong_model_folder_says_so(row: str, message: str, folder: Path) -> None:
    write_folder(folder / "clip", "clip")
    with pytest.raises(ModelError, match=message):
        both(folder, f'[matcher]\nname = "whole"\n{row}\n').matcher()


def test_words_take_clip_and_rows_say_what_they_lack(folder: Path) -> None:
    write_folder(folder / "dino", "vit")
    row = '[captions]\nname = "dino"\narchitecture = "vit"\nfile = "dino"\n'
    with pytest.raises(ModelError, match="cannot be read by vit"):
        both(folder, row).captions()
    with pytest.raises(InputError, match="no input, no config"):
        both(folder, f"{row}input = {{ size = 32 }}\n")
    with pytest.raises(InputError, match="needs an input"):
        both(folder, row.replace("vit", "mobilefacenet"))


@pytest.mark.parametrize("copied", [False, True])
def test_a_surrogate_cannot_judge(folder: Path, copied: bool) -> None:
    file = "a.safetensors"
    if copied:
        file = "renamed.safetensors"
        (folder / file).write_bytes((folder / "a.safetensors").read_bytes())
    rows = recognizer_row("one", "surrogate", "a.safetensors") + recognizer_row("two", "judge", file)
    with pytest.raises(ModelError, match="surrogate one and the judge two"):
        open_kit(write_kit(folder, rows))


def test_one_name_cannot_be_two_models(folder: Path) -> None:
    rows = recognizer_row("one", "surrogate", "a.safetensors") + recognizer_row(
        "one", "judge", "b.safetensors"
    )
    with pytest.raises(ModelError, match="names one more than once"):
        open_kit(write_kit(folder, rows))


def test_a_missing_file_is_said_when_the_model_is_asked_for(folder: Path) -> None:
    kit = both(folder)
    (folder / "b.safetensors").unlink()
    assert kit.surrogates()
    with pytest.raises(ModelError, match=r"lacks .*b\.safetensors"):
        kit.judges()


def test_a_file_that_is_not_the_one_meant_is_refused(folder: Path) -> None:
    digest = both(folder).digest(Path("a.safetensors"))
    table = f'[sha256]\n"a.safetensors" = "{digest}"\n"b.safetensors" = "{digest}"\n'
    kit = both(folder, table)
    assert kit.surrogates()
    with pytest.raises(ModelError, match="not the file the kit small was made with"):
        kit.judges()


def test_weights_of_another_architecture_are_refused(folder: Path) -> None:
    (folder / "b.safetensors").write_bytes((folder / "detector.safetensors").read_bytes())
    with pytest.raises(ModelError, match=r"b\.safetensors"):
        both(folder).judges()


def test_a_kit_that_is_missing_or_misspelt(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no kit"):
        open_kit(tmp_path / "nowhere.toml")
    file = tmp_path / "kit.toml"
    file.write_text('name = "x"\nbackbon = "sd15"\n')
    with pytest.raises(InputError) as caught:
        open_kit(file)
    assert "backbone" in caught.value.advice


def test_a_kit_without_detector_or_base_model_says_so(tmp_path: Path) -> None:
    file = tmp_path / "kit.toml"
    file.write_text('name = "bare"')
    kit = open_kit(file)
    assert kit.surrogates() == []
    with pytest.raises(ModelError, match="no detector"):
        kit.detector()
    with pytest.raises(ModelError, match="no base model"):
        kit.backbone()
