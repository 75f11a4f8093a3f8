"""What every reader of files needs: where a data set lies, and one clear line where a file cannot be read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from etude.errors import InputError


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn whatever a parser raises over a broken or foreign file into one line that names the file.

    Raises:
        InputError: instead of any other exception.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # parsers of foreign bytes raise a dozen kinds of exception, and all mean the same
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: not readable as {what} ({reason[:200]}): replace or remove it") from error


def visible_files(folder: Path, suffixes: Sequence[str]) -> Iterator[Path]:
    """The files of these suffixes in a folder and the folders in it; hidden ones are left out."""
    for file in folder.rglob("*"):
        hidden = any(part.startswith((".", "__")) for part in file.relative_to(folder).parts)
        if file.suffix.lower() in suffixes and not hidden:
            yield file


def locate(data_dir: Path | None, name: str, *patterns: str, get: str = "") -> list[Path]:
    """The files of a data set, in `data_dir` itself or in its folder `name`: the first match of each pattern.

    Args:
        get: where the files come from, if not from `etude data fetch`.

    Raises:
        InputError: no folder is known, or it lacks one of the files.
    """
    get = get or f"`etude data fetch {name}` downloads it"
    if data_dir is None:
        raise InputError(f"{name} needs a folder to look in: give --data-dir FOLDER or set $ETUDE_DATA; {get}")
    for folder in (data_dir / name, data_dir):
        found = [sorted(folder.glob(pattern)) for pattern in patterns]
        if all(found):
            return [files[0] for files in found]
    raise InputError(f"{name} is not in {data_dir} nor {data_dir / name}: correct --data-dir or $ETUDE_DATA; {get}")
