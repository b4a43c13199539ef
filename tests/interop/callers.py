"""The six languages: how each sends requests and gives the answers' bits.

A caller takes the server's address, the requests' folder and, per case, its name
and lossctl's flags; it returns a pair of hexadecimal strings per case, the loss's
bits ("-" where there is none) and the gradient's bytes.
"""

import json
import pathlib
import struct
import subprocess
import sys

import numpy as np

_HERE = pathlib.Path(__file__).resolve().parent
SAMPLES = _HERE.parents[1] / "client" / "samples" / "run"
_TIMEOUT_S = 600  # a first run builds the sample


def _run(command):
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=_TIMEOUT_S
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[:3]} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def _lines(output, count):
    pairs = [tuple(line.split(" ")) for line in output.splitlines()]
    if len(pairs) != count:
        raise RuntimeError(f"{len(pairs)} answers, want {count}")
    return pairs


def _cpp(programs, target, folder, cases):
    """By the C++ client, in lossctl."""
    answers = []
    for name, flags in cases:
        gradient = folder / f"{name}.gradient.npy"
        output = _run(
            [programs.lossctl, "compute", "--target", target, "--json", *flags]
            + ["--gradient-out", gradient]
        )
        loss = json.loads(output).get("loss")
        bits = "-" if loss is None else struct.pack(">d", loss).hex()
        answers.append((bits, np.load(gradient).tobytes().hex()))
    return answers


def _by_files(command, suffix):
    def call(programs, target, folder, cases):
        files = [folder / (name + suffix) for name, _ in cases]
        return _lines(_run([*command(programs), target, *files]), len(files))

    return call


def _sample(language):
    return _by_files(lambda _: [SAMPLES, language, "--target"], ".pb")


CALLERS = {
    "C++": _cpp,
    "Python": _by_files(lambda _: [sys.executable, "-B", _HERE / "python_caller.py"], ".pb"),
    "Node.js": _by_files(lambda programs: [programs.node, _HERE / "node_caller.js"], ".json"),
    "Go": _sample("go"),
    "Java": _sample("java"),
    "Ruby": _sample("ruby"),
}
