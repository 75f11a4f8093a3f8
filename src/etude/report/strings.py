"""What the page shows of a system of strings: how it goes on with a text, and what its cells do while it counts."""

from collections.abc import Iterator

import torch

from etude.data.counting import strings
from etude.data.kinds import END, Symbols
from etude.metrics.symbols import letters
from etude.report import figures
from etude.report.view import Figure, Section, View

BEGUN = 40  # symbols of a test string that are given
ADDED = 300
TEMPERATURES = (0.5, 0.8, 1.0)


def completions(view: View) -> Iterator[Section]:
    """How `complete` goes on with the beginning of a test string, at several temperatures."""
    split = view.splits.test if view.splits else None
    if not hasattr(view.system, "complete") or not isinstance(split, Symbols) or hasattr(view.system, "cells"):
        return
    x = split[:1].to("cpu").x[:, :BEGUN]
    for temperature in TEMPERATURES:
        drawn = torch.cat([x, view.system.complete(x, ADDED, temperature)], 1)[0].tolist()
        text = "".join(split.vocabulary[place] for place in drawn)
        given = len("".join(split.vocabulary[place] for place in x[0].tolist()))
        told = f"The first {given} characters are a test text's; the others are drawn one after another, unselected."
        yield Section(f"Written at temperature {temperature:g}", [told], code=text)


def counting(view: View) -> Iterator[Section]:
    """The cells over a string twice as long as any of training: one rises with every a and falls with every b."""
    split = view.splits.train if view.splits else None
    if not hasattr(view.system, "cells") or not isinstance(split, Symbols):
        return
    alphabet = letters(split)
    n = 2 * int(split.x.eq(END + 1).sum(1).max())
    x = strings([n], alphabet).x
    cells = view.system.cells(x)[0]
    places = [alphabet.index(letter) * n + 1 for letter in alphabet]
    best = int((cells[n].abs() - cells[2 * n].abs()).argmax())
    text = (
        f"What each unit holds after every symbol of the string with n = {n}, twice the largest of training. A unit "
        f"that counts rises or falls by the same amount at every a and goes back at every b; unit {best} does so most."
    )
    marks = [(float(place), letter) for place, letter in zip(places, alphabet, strict=True)]
    yield Section("Counting", [text], [Figure(figures.traces(cells, marks), "what the units hold, symbol by symbol")])
