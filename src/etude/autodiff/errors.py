"""What the library says when it cannot transform a function."""


class TransformError(Exception):
    """A function cannot be transformed. The message is one line: `FILE:LINE: in NAME: REASON`, or REASON alone.

    Attributes:
        file: the file in which the user's source stands; empty for a function that has none.
        line: the line in it, counted from 1.
        reason: what is in the way.
    """

    def __init__(self, file: str, line: int, name: str, reason: str) -> None:
        super().__init__(f"{file}:{line}: in {name}: {reason}" if file else reason)
        self.file = file
        self.line = line
        self.reason = reason
