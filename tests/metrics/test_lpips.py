"""LPIPS: a distance worked out by hand, the published files by their names, and files that are others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchmetrics
from torch import Tensor

from support.encoders import lpips_tables, write_lpips
from visard.errors import ModelError
from visard.metrics.lpips import CHANNELS, SCALE, SHIFT, Lpips, alexnet
from visard.storage import save_tensors

PUBLISHED = Path(torchmetrics.__file__).parent / "functional" / "image" / "lpips_models" / "alex.pth"
"""LPIPS' own weights for AlexNet, version 0.1, as its authors publish them."""


@pytest.fixture
def lpips(tmp_path: Path) -> Lpips:
    return Lpips.load(*write_lpips(tmp_path))


def pictures(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, 48, 40, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_equal_pictures_are_at_zero_and_order_is_none(lpips: Lpips) -> None:
    first, second = pictures(3), pictures(3, seed=1)
    assert lpips(first, first).tolist() == [0, 0, 0]
    there, back = lpips(first, second), lpips(second, first)
    assert torch.equal(there, back)
    assert (there > 0).all()
    assert not there.requires_grad
    torch.testing.assert_close(lpips(first[1:2], second[1:2]), there[1:2])
    near = lpips(first, first + 0.05 * (second - first))
    assert (near < there).all()


def test_a_distance_by_hand() -> None:
    """The first layer passes red and green on: (3, 4) becomes (.6, .8), (1, 0) stays."""
    network = alexnet()
    for value in network.parameters():
        value.data.zero_()
    network[0].weight.data[0, 0, 5, 5] = network[0].weight.data[1, 1, 5, 5] = 1
    weights = [torch.zeros(n) for n in CHANNELS]
    weights[0][:2] = torch.tensor([1.0, 2.0])
    lpips = Lpips(network, tuple(weights))

    def plain(*colour: float) -> Tensor:
        shown = torch.tensor(colour) * torch.tensor(SCALE) + torch.tensor(SHIFT)
        return shown.view(1, 3, 1, 1).expand(1, 3, 31, 31).clone()

    one, two = plain(0.3, 0.4, 0.5), plain(0.2, 0.0, 0.5)
    assert lpips(one, two).item() == pytest.approx(1 * 0.4**2 + 2 * 0.8**2, rel=1e-5)
    assert lpips(one, plain(0.6, 0.8, 0.1)).item() == pytest.approx(0, abs=1e-10)  # lengths do not count
    half = one.clone()
    half[..., 15:] = two[..., 15:]  # four of the seven columns that the first layer looks at
    assert lpips(one, half).item() == pytest.approx(4 / 7 * 1.44, rel=1e-5)


def test_every_layer_counts_in_its_place() -> None:
    """All five layers by the definition, layer after layer."""
    network, table = alexnet(), lpips_tables()[1]
    weights = tuple(value.flatten() for value in table.values())
    first, second = pictures(2), pictures(2, seed=1)
    with torch.no_grad():
        expected = torch.zeros(2)
        views = [
            (each - torch.tensor(SHIFT)[:, None, None]) / torch.tensor(SCALE)[:, None, None]
            for each in (first, second)
        ]
        layer = 0
        for part in network:
            views = [part(each) for each in views]
            if isinstance(part, torch.nn.ReLU):
                one, two = (torch.nn.functional.normalize(each, dim=1) for each in views)
                expected += torch.einsum("c,bchw->b", weights[layer], (one - two) ** 2) / one[0, 0].numel()
                layer += 1
    assert layer == 5
    torch.testing.assert_close(Lpips(network, weights)(first, second), expected)


def test_the_published_files_are_read_by_their_names(tmp_path: Path) -> None:
    table, _ = lpips_tables()
    torch.save(table, tmp_path / "alexnet.pth")
    published = Lpips.load(tmp_path / "alexnet.pth", PUBLISHED)
    weights = torch.load(PUBLISHED, map_location="cpu", weights_only=True)
    assert torch.equal(published.weight_4.flatten(), weights["lin4.model.1.weight"].flatten())
    assert torch.equal(published.network[10].weight, table["features.10.weight"])
    assert 0 < published(pictures(1), pictures(1, seed=1)).item() < 1


def test_other_files_are_refused_with_what_to_give(tmp_path: Path) -> None:
    network, weights = write_lpips(tmp_path)
    with pytest.raises(ModelError, match=r"lacks 10 of 10 weights, features\.0\.bias") as caught:
        Lpips.load(weights, weights)
    assert "torchvision" in caught.value.advice
    with pytest.raises(ModelError, match=r"lin0\.model\.1\.weight"):
        Lpips.load(network, network)
    with pytest.raises(ModelError, match="no file"):
        Lpips.load(tmp_path / "nowhere.pth", weights)
    tables = lpips_tables()
    wider = {**tables[1], "lin1.model.1.weight": torch.rand(1, 128, 1, 1)}  # VGG's
    negative = {**tables[1], "lin2.model.1.weight": tables[1]["lin2.model.1.weight"] - 0.9}
    for table, message in ((wider, r"lin1\.model\.1\.weight has shape"), (negative, "numbers below 0")):
        save_tensors(tmp_path / "other.safetensors", table, {})
        with pytest.raises(ModelError, match=message) as caught:
            Lpips.load(network, tmp_path / "other.safetensors")
        assert "AlexNet, version 0.1" in caught.value.advice
    torch.save({"features.0.weight": Path("code")}, tmp_path / "code.pth")
    with pytest.raises(ModelError, match="would run code"):
        Lpips.load(tmp_path / "code.pth", weights)
