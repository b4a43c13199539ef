"""What a call costs from Python and from C++: medians, as JSON.

    PYTHONPATH=client/python:tests/conformance \\
      /usr/bin/python3 tests/client/python/bench_client.py --lossd build/release/bin/lossd \\
        --lossctl build/release/bin/lossctl [--shapes 32x27,256x50257] [--rounds N]

Loss and gradient of random float32 logits, one call at a time, one server for all. The
clients take turns: in each round Client, AsyncClient and `lossctl bench` run for about
--seconds each. Printed of each: the median of its rounds' medians, in milliseconds, and
how many times the C++ client's that is.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import time

import numpy as np

import lossd
from lossd_client import LossdProcess

WARM_UP_CALLS = 3


def draw(rows, classes):
    random = np.random.default_rng(1)
    logits = random.normal(0, 2, (rows, classes)).astype(np.float32)
    return logits, random.integers(0, classes, rows)


def median_ms(seconds):
    return 1000 * statistics.median(seconds[WARM_UP_CALLS:])


def run_client(address, batch, seconds):
    with lossd.Client(address) as client:
        taken, end = [], time.perf_counter() + seconds
        while len(taken) <= WARM_UP_CALLS or time.perf_counter() < end:
            start = time.perf_counter()
            client.cross_entropy(*batch)
            taken.append(time.perf_counter() - start)
    return median_ms(taken)


async def run_async_client(address, batch, seconds):
    async with lossd.AsyncClient(address) as client:
        taken, end = [], time.perf_counter() + seconds
        while len(taken) <= WARM_UP_CALLS or time.perf_counter() < end:
            start = time.perf_counter()
            await client.cross_entropy(*batch)
            taken.append(time.perf_counter() - start)
    return median_ms(taken)


def run_lossctl(lossctl, address, batch, seconds):
    rows, classes = batch[0].shape
    command = [lossctl, "bench", "--json", "--target", address, "--rows", str(rows),
               "--classes", str(classes), "--warm-up-seconds", str(seconds / 4),
               "--window-seconds", str(seconds / 4), "--max-seconds", str(seconds)]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(run.stdout)["p50_ms"]


def compare(arguments, address, shape):
    batch = draw(*map(int, shape.split("x")))
    medians = {"python": [], "python_async": [], "cpp": []}
    for _ in range(arguments.rounds):
        seconds = arguments.seconds
        medians["python"].append(run_client(address, batch, seconds))
        medians["python_async"].append(
            asyncio.run(run_async_client(address, batch, seconds)))
        medians["cpp"].append(run_lossctl(arguments.lossctl, address, batch, seconds))
    found = {f"{name}_ms": statistics.median(ms) for name, ms in medians.items()}
    for name in ("python", "python_async"):
        found[f"{name}_over_cpp"] = found[f"{name}_ms"] / found["cpp_ms"]
    return {name: round(value, 3) for name, value in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--lossd", required=True)
    parser.add_argument("--lossctl", required=True)
    parser.add_argument("--shapes", default="32x27,128x1000,64x32000,256x50257")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    with LossdProcess(arguments.lossd) as server:
        print(json.dumps({shape: compare(arguments, server.address, shape)
                          for shape in arguments.shapes.split(",")}, indent=2))


if __name__ == "__main__":
    main()
