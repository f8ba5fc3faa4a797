"""What can go wrong, said in words a person can act on."""

from __future__ import annotations

INTERRUPTED = 130
"""Exit code of a run stopped with Ctrl-C or SIGTERM (128 + SIGINT), as shells have it."""


class VisardError(Exception):
    """An error a user can cause and cure; `str()` is what happened, then what to do about it."""

    exit_code = 1

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message, advice)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message}\n{self.advice}" if self.advice else self.message


class InputError(VisardError):
    """Photos, folders or options that cannot be used."""

    exit_code = 2


class ModelError(VisardError):
    """Model folders and weights that are missing, damaged or of another kind."""

    exit_code = 3


class StorageError(VisardError):
    """A disk that is full or cannot be written."""

    exit_code = 4


class DiskFullError(StorageError):
    """A disk that was full in the middle of the work: the command that was at it says how to go on."""


class TrainingError(VisardError):
    """A training that cannot go on, such as a loss that is not a number."""

    exit_code = 5


class BusyError(VisardError):
    """A folder in which another visard command is at work."""

    exit_code = 6


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that the machine's or a GPU's memory is full, in Python's words or in torch's."""
    # torch's class is too slow to import for a check, and on a CPU it raises a plain RuntimeError.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    signs = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)
