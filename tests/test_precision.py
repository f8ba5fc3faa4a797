"""Full precision, and nothing else of what the user has set is changed."""

import torch
from torch.backends import cudnn

from visard.precision import full_convolutions, full_precision


def test_only_the_shortened_floats_are_off_and_only_inside() -> None:
    with cudnn.flags(enabled=True, benchmark=True, deterministic=True, allow_tf32=True):
        with full_convolutions():
            assert (cudnn.enabled, cudnn.benchmark, cudnn.deterministic) == (True, True, True)
            assert not cudnn.allow_tf32
        assert cudnn.allow_tf32


def test_autocast_is_off_inside() -> None:
    one = torch.ones(2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert (one @ one).dtype is torch.bfloat16
        with full_precision(torch.device("cpu")):
            assert (one @ one).dtype is torch.float32
