"""bench_client.py measures all three clients."""

import json
import os
import pathlib
import subprocess
import sys
import unittest

from support import BINARY


class BenchTest(unittest.TestCase):
    def test_prints_every_clients_median(self):
        program = pathlib.Path(__file__).with_name("bench_client.py")
        run = subprocess.run(
            [sys.executable, program, "--lossd", BINARY, "--lossctl",
             os.environ["LOSSCTL_BINARY"], "--shapes", "3x5", "--rounds", "1",
             "--seconds", "2"], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stderr)
        report = json.loads(run.stdout)
        self.assertEqual(list(report), ["3x5"])
        for found in report.values():
            self.assertEqual(
                list(found), ["python_ms", "python_async_ms", "cpp_ms", "python_over_cpp",
                              "python_async_over_cpp"])
            self.assertTrue(all(value > 0 for value in found.values()), found)


if __name__ == "__main__":
    unittest.main()
