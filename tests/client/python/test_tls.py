"""TLS, with certificates that openssl makes for the test."""

import asyncio
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import lossd
from lossd_client import LossdProcess
from support import BINARY, draw


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def make_pair(folder, name, *more):
    """A key, and its certificate by the authority (or by itself)."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "1", "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key",
            "-out", folder / f"{name}.pem", *more)


class TlsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.folder = pathlib.Path(folder)
        make_pair(cls.folder, "authority")
        for name, names in (("server", "DNS:lossd.test"), ("caller", "DNS:caller")):
            request, extensions = cls.folder / f"{name}.csr", cls.folder / f"{name}.ext"
            extensions.write_text(f"subjectAltName={names}")
            openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", f"/CN={name}", "-keyout", cls.folder / f"{name}.key",
                    "-out", request)
            openssl("x509", "-req", "-in", request, "-CA", cls.folder / "authority.pem",
                    "-CAkey", cls.folder / "authority.key", "-CAcreateserial", "-days", "1",
                    "-extfile", extensions, "-out", cls.folder / f"{name}.pem")
        make_pair(cls.folder, "stranger")
        server = LossdProcess(
            BINARY, "--tls-certificate", cls.path("server.pem"), "--tls-key",
            cls.path("server.key"), "--tls-client-ca", cls.path("authority.pem"))
        cls.addClassCleanup(server.__exit__)
        cls.address = server.address

    @classmethod
    def path(cls, name):
        return str(cls.folder / name)

    def options(self, **changes):
        options = {"ca_file": self.path("authority.pem"), "server_name": "lossd.test",
                   "certificate_file": self.path("caller.pem"),
                   "key_file": self.path("caller.key"), **changes}
        return lossd.TlsOptions(**options)

    def call(self, tls):
        once = lossd.RetryOptions(max_attempts=1)
        with lossd.Client(self.address, retry=once, tls=tls) as client:
            return client.cross_entropy(draw((2, 3)), [0, 1])

    def test_both_sides_trust_each_other(self):
        self.assertEqual(self.call(self.options()).row_count, 2)

    def test_awaited_calls_speak_tls_too(self):
        async def call():
            async with lossd.AsyncClient(self.address, tls=self.options()) as client:
                return await client.cross_entropy(draw((2, 3)), [0, 1])

        self.assertEqual(asyncio.run(call()).row_count, 2)

    def test_wrong_name_authority_or_no_certificate_is_unavailable(self):
        for changes in ({"server_name": "other.test"}, {"ca_file": self.path("stranger.pem")},
                        {"certificate_file": None, "key_file": None}):
            with self.assertRaises(lossd.UnavailableError):
                self.call(self.options(**changes))
        with self.assertRaises(lossd.UnavailableError):
            self.call(None)

    def test_files_that_cannot_be_used_are_named(self):
        (self.folder / "empty").write_text("")
        for field, changes in (
            ("ca_file", {"ca_file": self.path("nothing")}),
            ("ca_file", {"ca_file": self.path("empty")}),
            ("certificate_file", {"certificate_file": self.path("empty")}),
            ("certificate_file", {"key_file": self.path("stranger.key")}),
            ("key_file", {"key_file": None}),
            ("certificate_file", {"certificate_file": None}),
        ):
            with self.assertRaisesRegex(lossd.InvalidArgumentError, f"tls.{field}") as caught:
                self.call(self.options(**changes))
            self.assertEqual(caught.exception.field, f"tls.{field}")


if __name__ == "__main__":
    unittest.main()
