"""pip installs the folder without network, and what it installs works."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from lossd_client import LossdProcess
from support import BINARY

SOURCE = pathlib.Path(__file__).resolve().parents[3] / "client/python"
CALL = """
import sys
import lossd, lossd.v1.loss_service_pb2
assert lossd.__file__.startswith(sys.argv[1]), lossd.__file__
with lossd.Client(sys.argv[2]) as client:
    print(client.cross_entropy([[0.0, 0.0]], [1], outputs="loss").loss)
assert "torch" not in sys.modules
"""


class InstallTest(unittest.TestCase):
    def test_installed_package_calls_a_server(self):
        with tempfile.TemporaryDirectory() as folder:
            # pip leaves its build beside the sources.
            source = shutil.copytree(SOURCE, f"{folder}/source")
            target = f"{folder}/target"
            environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
            install = subprocess.run(
                [sys.executable, "-m", "pip", "install", "--no-build-isolation",
                 "--no-index", "--no-deps", "--target", target, source],
                env=environment, capture_output=True, text=True)
            self.assertEqual(install.returncode, 0, install.stdout + install.stderr)
            self.assertTrue(os.path.exists(f"{target}/lossd/py.typed"))
            self.assertTrue(os.path.exists(f"{target}/lossd/v1/loss_service_pb2.pyi"))
            with LossdProcess(BINARY) as server:
                call = subprocess.run(
                    [sys.executable, "-c", CALL, target, server.address],
                    env={**environment, "PYTHONPATH": target}, cwd=folder,
                    capture_output=True, text=True)
            self.assertEqual((call.returncode, call.stdout), (0, "0.6931471805599453\n"),
                             call.stderr)


if __name__ == "__main__":
    unittest.main()
