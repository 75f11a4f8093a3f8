"""Shapes and types that `etude.functional` and `etude.nn` announce are checked at every call that a test makes."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # a worker a core; more threads than cores wait for each other

from jaxtyping import install_import_hook

install_import_hook(["etude.functional", "etude.nn"], "beartype.beartype")
