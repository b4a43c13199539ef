"""What one step of the bigram example costs in NumPy, in one process.

The same work on the same rows: logits from the weights, softmax cross-entropy,
its gradient, and the gradient's rows added up by the character before. Prints
the medians; `bigram` prints its own.

    python3 numpy_step.py NAMES [REPEATS]
"""

import sys
import time

import numpy as np

CLASSES = 27


def read_pairs(path):
    with open(path, encoding="ascii") as file:
        names = file.read().split()
    codes = [[0] + [ord(c) - ord("a") + 1 for c in name] + [0] for name in names]
    previous = np.concatenate([code[:-1] for code in codes])
    following = np.concatenate([code[1:] for code in codes])
    return previous, following


def loss_and_logit_gradient(weights, previous, following, rows):
    z = weights[previous]
    z -= z.max(axis=1, keepdims=True)
    z_y = z[rows, following]
    p = np.exp(z, out=z)
    sums = p.sum(axis=1, keepdims=True)
    loss = np.mean(np.log(sums[:, 0]) - z_y, dtype=np.float64)
    p /= sums
    p[rows, following] -= 1
    p /= np.float32(len(rows))
    return loss, p


def add_at(gradient, previous, _):
    sums = np.zeros((CLASSES, CLASSES), np.float32)
    np.add.at(sums, previous, gradient)
    return sums


def by_matrix(gradient, _, one_hot):
    return one_hot.T @ gradient


def main():
    path = sys.argv[1]
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 15
    previous, following = read_pairs(path)
    rows = np.arange(len(previous))
    one_hot = np.eye(CLASSES, dtype=np.float32)[previous]
    weights = np.random.default_rng(1).normal(size=(CLASSES, CLASSES))
    weights = weights.astype(np.float32)
    print(f"{len(rows)} x {CLASSES} float32, NumPy {np.__version__}")
    for name, scatter in (("np.add.at", add_at), ("one-hot matrix", by_matrix)):
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            loss, gradient = loss_and_logit_gradient(
                weights, previous, following, rows)
            scatter(gradient, previous, one_hot)
            seconds.append(time.perf_counter() - start)
        print(f"sums by {name}: median {np.median(seconds) * 1e3:.1f} ms, "
              f"loss {loss:.6f}")


if __name__ == "__main__":
    main()
