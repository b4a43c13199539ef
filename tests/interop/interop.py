"""Sends the same requests from six languages and wants the same bits back."""

import argparse
import pathlib
import signal
import subprocess
import sys
import tempfile

import callers
import cases
import comparison
import request_files


def start(lossd):
    """Starts lossd on a free port; returns its process and its address."""
    server = subprocess.Popen([lossd, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in server.stdout:
        if line.startswith("listening on "):
            return server, line.split()[-1]
    raise RuntimeError(f"lossd ended with {server.wait()}")


def stop(server):
    server.send_signal(signal.SIGTERM)
    server.communicate()


def check_sizes(answers):
    """A language that answered nothing would agree with itself."""
    for case, (_, gradient) in zip(cases.CASES, answers):
        dtype = case.fields.get("gradient_data_type", case.logits.dtype.name)
        want = case.logits.size * {"float32": 4, "float64": 8}[dtype]
        if len(gradient) != 2 * want:
            raise RuntimeError(f"{case.name}: {len(gradient) // 2} bytes of gradient, want {want}")


def answers_of(programs, target):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        named = [(case.name, request_files.write(case, folder)) for case in cases.CASES]
        answers = {}
        for language, call in callers.CALLERS.items():
            answers[language] = call(programs, target, folder, named)
            check_sizes(answers[language])
        return answers


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for program in ("lossd", "lossctl", "node"):
        parser.add_argument(f"--{program}", required=True)
    programs = parser.parse_args()
    server, target = start(programs.lossd)
    try:
        answers = answers_of(programs, target)
    finally:
        stop(server)
    names = [case.name for case in cases.CASES]
    print(comparison.table(names, answers))
    lines = comparison.differences(names, answers)
    print("\n".join(lines) if lines else f"{len(names)} of {len(names)} requests: same bits in {', '.join(answers)}")
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
