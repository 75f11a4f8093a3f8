"""How soon something happens: `etude --help` and the first step of `etude train vae`, in seconds, best of five.

python benchmarks/start.py      writes benchmarks/start.json
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FIRST_STEP = """
import os, sys
import etude.engine.train as engine
engine.Loop.step = lambda *given: os._exit(0)
from etude.cli import main
main(["train", "vae", "--data", "digits", "--runs", sys.argv[1]])
"""
PROMISED = {"etude --help": 0.3, "first step of etude train vae": 3.0}


def seconds(*command: str) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = {
            "etude --help": min(seconds(sys.executable, "-m", "etude", "--help") for _ in range(5)),
            "first step of etude train vae": min(seconds(sys.executable, "-c", FIRST_STEP, folder) for _ in range(5)),
        }
    for name, took in found.items():
        print(f"{name}: {took:.2f} s (promised {PROMISED[name]} s)")
    told = {name: {"seconds": round(took, 3), "promised": PROMISED[name]} for name, took in found.items()}
    Path(__file__).with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
