"""The example trains by lossd as it does in process."""

import pathlib
import re
import subprocess
import sys
import unittest

from lossd_client import LossdProcess
from support import BINARY

EXAMPLE = pathlib.Path(__file__).resolve().parents[3] / "client/python/examples/iris.py"
# 8 roundings of float32 in the loss; a wrong gradient shows in the first digits.
MOST = 5e-7


class ExampleTest(unittest.TestCase):
    def test_iris_trains_and_both_curves_agree(self):
        with LossdProcess(BINARY) as server:
            run = subprocess.run([sys.executable, EXAMPLE, "--target", server.address],
                                 capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stderr)
        last = re.search(r"^ 300 +(\S+)", run.stdout, re.M)
        self.assertLess(float(last[1]), 0.25)
        right, difference = re.search(
            r"(\d+) of 150 right; the curves differ by (\S+) at most", run.stdout).groups()
        self.assertGreaterEqual(int(right), 147)
        self.assertLess(float(difference), MOST)


if __name__ == "__main__":
    unittest.main()
