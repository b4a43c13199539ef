"""Holds lossd against PyTorch: random batches and options of every loss that the
server lists, losses and gradients.

    torch_differential.py LOSSD [--cases N] [--case LOSS/NUMBER]

LOSSD is the server's binary. PYTHONPATH has the folder of lossd/v1's generated
messages. Exit code 1: some case differs, or too few ran.
"""

import argparse
import collections
import math
import sys

import grpc
import numpy as np
import torch

import torch_cases
import torch_reference
from lossd_client import LossdClient, LossdProcess, array_of

MIN_CASES = 2000
# The loss with the most options gets so many times the cases of another.
SHARES = {"softmax_cross_entropy": 4}
# Relative; with float64 logits lossd itself is within 1 ulp.
TOLERANCE = 1e-11
# Of the terms that PyTorch adds up in float64; where they cancel, its own error is
# more than TOLERANCE. Against the formulas in 80 bits, 5e-16 was enough for 20,000
# cases.
TERM_TOLERANCE = 2e-15
MAX_SHOWN = 20


def allowed_errors(want, element_type, unit):
    """How far each element may be off."""
    size = np.abs(np.where(np.isfinite(want), want, 0))
    if element_type == np.float32:
        relative = np.spacing(size.astype(np.float32)).astype(np.float64)
    else:
        relative = TOLERANCE * size
    return relative + TERM_TOLERANCE * unit


def difference(name, got, want, element_type, unit):
    """The first element that is off, in words; None when there is none."""
    if got.dtype != element_type or got.shape != want.shape:
        return (
            f"{name} is {got.dtype} {list(got.shape)}, "
            f"want {np.dtype(element_type)} {list(want.shape)}"
        )
    got = got.astype(np.float64)
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    with np.errstate(invalid="ignore"):
        off = np.abs(got - want)
    bad = ~same & ~(off <= allowed_errors(want, element_type, unit))
    if not bad.any():
        return None
    at = tuple(int(i) for i in np.argwhere(bad)[0])
    return f"{name}{list(at)} = {got[at]!r}, PyTorch says {want[at]!r}"


def differences(case, response):
    """How lossd's response and PyTorch's answer to `case` differ."""
    want = torch_reference.answer(case)
    divisor = case.divisor()
    unit = want.row_unit
    reduced_unit = unit / divisor if divisor else 0.0
    rows = case.counted().size
    found = [
        difference(
            "row_losses",
            array_of(response.row_losses),
            want.row_losses,
            case.logits.dtype,
            unit,
        ),
        difference(
            "gradient",
            array_of(response.gradient),
            want.gradient,
            case.logits.dtype,
            reduced_unit,
        ),
    ]
    if response.HasField("loss") != (want.loss is not None):
        found.append(f"loss is there: {response.HasField('loss')}")
    elif want.loss is not None:
        got = np.array(response.loss)
        loss_unit = rows * reduced_unit
        found.append(
            difference("loss", got, np.array(want.loss), np.float64, loss_unit)
        )
    if not math.isclose(response.divisor, divisor, rel_tol=1e-15):
        found.append(f"divisor = {response.divisor!r}, want {divisor!r}")
    if response.row_count != case.counted().sum():
        found.append(f"row_count = {response.row_count}, want {case.counted().sum()}")
    return [text for text in found if text is not None]


class Tally:
    """What became of the cases, by loss."""

    def __init__(self):
        self.ran = collections.Counter()
        self.differ = collections.Counter()
        self.refused = collections.Counter()

    def failures(self):
        return sum(self.differ.values()) + sum(self.refused.values())

    def report_failure(self, case, texts):
        if self.failures() <= MAX_SHOWN:
            print(case, *texts, sep="\n    ", flush=True)
        elif self.failures() == MAX_SHOWN + 1:
            print("(more are not shown)", flush=True)

    def run(self, client, case):
        """Runs one case and counts it."""
        self.ran[case.loss] += 1
        try:
            response = client.compute_loss(case.request())
        except grpc.RpcError as error:
            self.refused[case.loss] += 1
            self.report_failure(case, [f"{error.code()}: {error.details()}"])
            return
        try:
            found = differences(case, response)
        except Exception as error:
            error.add_note(str(case))
            raise
        if found:
            self.differ[case.loss] += 1
            self.report_failure(case, found)

    def print_table(self):
        print(f"\n{'loss':<26}{'cases':>8}{'differ':>8}{'refused':>8}")
        for loss in torch_cases.DRAWN:
            if self.ran[loss]:
                counts = (self.ran[loss], self.differ[loss], self.refused[loss])
                print(f"{loss:<26}{counts[0]:>8}{counts[1]:>8}{counts[2]:>8}")
            else:
                print(f"{loss:<26}       0   not run: the server does not list it")
        print(f"{'all':<26}{sum(self.ran.values()):>8}")


def cases_of(listed, total):
    """At least `total` cases, shared out over the losses that are listed."""
    losses = [loss for loss in torch_cases.DRAWN if loss in listed]
    shares = {loss: SHARES.get(loss, 1) for loss in losses}
    for loss in losses:
        for number in range(math.ceil(total * shares[loss] / sum(shares.values()))):
            yield torch_cases.draw_case(loss, number)


def run_all(client, total):
    """Runs every case; whether enough ran and none failed."""
    listed = client.server_info().losses
    tally = Tally()
    for case in cases_of(listed, total):
        tally.run(client, case)
    tally.print_table()
    unknown = set(listed) - set(torch_cases.DRAWN)
    if unknown:
        print(f"listed, but not known to this test: {sorted(unknown)}")
    ran = sum(tally.ran.values())
    if ran < MIN_CASES:
        print(f"only {ran} cases ran, want {MIN_CASES}")
    return ran >= MIN_CASES and tally.failures() == 0


def run_one(client, name):
    """Runs one case and shows all of it; whether it agrees."""
    loss, number = name.split("/")
    case = torch_cases.draw_case(loss, int(number))
    print(case, case.logits, case.labels, torch_reference.answer(case), sep="\n")
    tally = Tally()
    tally.run(client, case)
    return tally.failures() == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("lossd", help="the server's binary")
    parser.add_argument("--cases", type=int, default=4000, help="how many, in all")
    parser.add_argument("--case", help="LOSS/NUMBER: run and show only this one")
    arguments = parser.parse_args()
    # The tensors are small, and other tests run beside this one.
    torch.set_num_threads(1)
    with LossdProcess(arguments.lossd) as lossd:
        client = LossdClient(lossd.address)
        if arguments.case:
            return run_one(client, arguments.case)
        return run_all(client, arguments.cases)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
