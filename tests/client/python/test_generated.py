"""The committed messages are those of the proto."""

import pathlib
import re
import subprocess
import tempfile
import unittest

import lossd

ROOT = pathlib.Path(__file__).resolve().parents[3]


class GeneratedTest(unittest.TestCase):
    def test_messages_are_what_protoc_makes(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                ["protoc", "-I", ROOT / "proto", f"--python_out={folder}",
                 f"--pyi_out={folder}", "lossd/v1/loss_service.proto"], check=True)
            for name in ("loss_service_pb2.py", "loss_service_pb2.pyi"):
                made = pathlib.Path(folder, "lossd/v1", name).read_bytes()
                committed = (ROOT / "client/python/lossd/v1" / name).read_bytes()
                self.assertEqual(committed, made, f"{name}: see lossd/v1/__init__.py")

    def test_version_is_the_projects(self):
        cmake = (ROOT / "CMakeLists.txt").read_text()
        version = re.search(r"project\(lossd VERSION (\S+)", cmake)[1]
        project = (ROOT / "client/python/pyproject.toml").read_text()
        self.assertEqual(lossd.__version__, version)
        self.assertIn(f'\nversion = "{version}"\n', project)


if __name__ == "__main__":
    unittest.main()
