"""Peak memory of stages of a program: of the process, sampled, and of a GPU, as torch counts it."""

from __future__ import annotations

import ctypes
import gc
import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

SAMPLED_EVERY = 0.005
"""Seconds between readings of the resident memory; layers that decide a large model's peak take longer."""


@dataclass(frozen=True)
class Peak:
    """Most memory held, in bytes: of the process, and of its tensors on a GPU (0 without one)."""

    resident: int
    device: int

    def higher(self, other: Peak) -> Peak:
        return Peak(max(self.resident, other.resident), max(self.device, other.device))


@contextmanager
def peak_memory(device: str) -> Iterator[Callable[[], Peak]]:
    """Yield a function that returns the peaks since its last call; a thread samples the resident memory."""
    process, done, highest = psutil.Process(), threading.Event(), [0]

    def sample() -> None:
        while not done.wait(SAMPLED_EVERY):
            highest[0] = max(highest[0], process.memory_info().rss)

    def take() -> Peak:
        resident = max(highest[0], process.memory_info().rss)
        highest[0] = 0
        return Peak(resident, _take_device_peak(device))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield take
    finally:
        done.set()
        thread.join()


def release() -> None:
    """Give back what is no longer used, so that the next measurement does not begin with it."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if platform.system() == "Linux" and platform.libc_ver()[0] == "glibc":
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def device_name(device: str) -> str:
    """What a device is called by those who sell it."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text().splitlines() if cpus.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _take_device_peak(device: str) -> int:
    if torch.device(device).type != "cuda":
        return 0
    torch.cuda.synchronize(device)
    peak = torch.cuda.max_memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    return peak
