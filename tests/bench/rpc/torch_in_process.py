"""Times F.cross_entropy and backward, for bench_rpc.

    torch_in_process.py THREADS

Reads lines "ROWS CLASSES SECONDS" and answers each with one line: the times of
the steps that it ran for so long, in ms.
"""

import sys
import time

import torch
import torch.nn.functional as F

WARM_UP_STEPS = 3


def step(logits, labels):
    """The loss and its gradient, as a training step takes them."""
    logits.grad = None
    F.cross_entropy(logits, labels).backward()


def times_ms(rows, classes, seconds):
    """The times of the steps that fit into `seconds`, at least one."""
    logits = (3 * torch.randn(rows, classes)).requires_grad_()
    labels = torch.randint(classes, (rows,))
    for _ in range(WARM_UP_STEPS):
        step(logits, labels)
    times = []
    end = time.perf_counter() + seconds
    begin = 0.0
    while begin < end:
        begin = time.perf_counter()
        step(logits, labels)
        now = time.perf_counter()
        times.append(1e3 * (now - begin))
        begin = now
    return times


def main():
    torch.set_num_threads(int(sys.argv[1]))
    for line in sys.stdin:
        rows, classes, seconds = line.split()
        times = times_ms(int(rows), int(classes), float(seconds))
        print(*(f"{ms:.6g}" for ms in times), flush=True)


if __name__ == "__main__":
    main()
