"""Trains one network twice on Fisher's irises: its loss computed by a running lossd, then
by torch.nn.functional in this process. The two loss curves agree to float32's rounding.

    python3 iris.py [--target HOST:PORT] [--steps N]
"""

import argparse
import csv
import pathlib

import torch

import lossd
import lossd.torch

IRISES = pathlib.Path(__file__).parents[2] / "examples/iris/data/iris.csv"
SPECIES = ("setosa", "versicolor", "virginica")


def read_irises():
    """Measures, standardized, and the species of each of the 150 flowers."""
    with open(IRISES, newline="", encoding="ascii") as file:
        flowers = list(csv.reader(file))[1:]
    measures = torch.tensor([[float(x) for x in flower[:4]] for flower in flowers])
    labels = torch.tensor([SPECIES.index(flower[4]) for flower in flowers])
    return (measures - measures.mean(0)) / measures.std(0), labels


def train(cross_entropy, steps):
    """Returns the loss of every step, and how many flowers come out right."""
    torch.manual_seed(1)
    measures, labels = read_irises()
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = cross_entropy(model(measures), labels, label_smoothing=0.05)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    right = (model(measures).argmax(1) == labels).sum().item()
    return torch.tensor(losses, dtype=torch.float64), right


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--target", default="127.0.0.1:50051")
    parser.add_argument("--steps", type=int, default=300)
    arguments = parser.parse_args()
    with lossd.Client(arguments.target) as client:
        lossd.torch.use(client)
        by_lossd, right = train(lossd.torch.cross_entropy, arguments.steps)
    in_process, _ = train(torch.nn.functional.cross_entropy, arguments.steps)

    print("step   by lossd   in process")
    for step in sorted({0, 9, 99, arguments.steps - 1} & set(range(arguments.steps))):
        print(f"{step + 1:4} {by_lossd[step]:10.6f} {in_process[step]:12.6f}")
    difference = ((by_lossd - in_process).abs() / in_process).max().item()
    print(f"{right} of 150 right; the curves differ by {difference:.1e} at most")


if __name__ == "__main__":
    main()
