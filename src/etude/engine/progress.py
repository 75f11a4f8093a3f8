"""What a person sees while a system learns: a bar with losses and time left, or now and then a line."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

LINE_SECONDS = 5.0


class Progress:
    """A bar on a terminal; elsewhere a line about a pass, at most every five seconds, and one about the last."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.last = 0.0
        self.untold: dict[str, Any] = {}

    @contextmanager
    def shown(self, total: int, done: int) -> Iterator[None]:
        """Show a bar of `total` steps of which `done` are done."""
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self.bar = Bar(*columns, disable=self.quiet or not sys.stdout.isatty())
        with self.bar:
            self.task = self.bar.add_task("", total=total, completed=done)
            self.waiting = 0
            yield
            self.bar.update(self.task, completed=total)
            self.tell()

    def step(self, phase: str, epoch: int, losses: dict[str, list[Tensor]]) -> None:
        """A step is done; the device is asked for its losses ten times a second at most."""
        self.waiting += 1
        if not self.bar.disable and time.monotonic() - self.last > 0.1:
            self.last = time.monotonic()
            text = "  ".join(f"{name} {values[-1].item():.4g}" for name, values in losses.items())
            self.bar.update(self.task, advance=self.waiting, description=f"{phase} {epoch + 1}  {text}")
            self.waiting = 0

    def end_of_pass(self, line: dict[str, Any]) -> None:
        """A pass is done."""
        if not self.quiet and self.bar.disable:
            self.untold = line
            if time.monotonic() - self.last >= LINE_SECONDS:
                self.tell()

    def tell(self) -> None:
        """Print the line about a pass that was held back."""
        if line := self.untold:
            self.last, self.untold = time.monotonic(), {}
            numbers = "  ".join(f"{name} {value:.4g}" for name, value in (line["losses"] | line["validation"]).items())
            print(f"{line['phase']} {line['epoch']}  {numbers}  ({line['seconds']:.2f} s)", flush=True)

    def note(self, text: str) -> None:
        """A line that a person should see."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)
