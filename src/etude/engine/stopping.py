"""Signals: a run asked to stop saves itself at the next step and goes away; asked again, it goes at once."""

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class Stopped(Exception):
    """Training stopped on request, after saving. `code` is the exit status: 128 plus the signal's number."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.code = 128 + number


@dataclass
class Request:
    """The signal that asked to stop, 0 while none has."""

    number: int = 0


@contextmanager
def listening() -> Iterator[Request]:
    """Note the first signal instead of dying of it; the second has its usual effect. Only a main thread can listen."""
    request = Request()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def note(number: int, frame: FrameType | None) -> None:
        request.number = number
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def requeue() -> None:
    """Ask SLURM for another turn, where it runs this job (it announces the end of a turn by SIGUSR1)."""
    if (job := os.environ.get("SLURM_JOB_ID")) and shutil.which("scontrol"):
        subprocess.run(["scontrol", "requeue", job], check=False)
