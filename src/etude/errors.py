"""The one exception that a user causes: its message is one line that says what came, what was expected, what to do."""


class InputError(ValueError):
    """A mistake in what was given (a name, a value, a file): the command line prints one line and exits with 2."""
