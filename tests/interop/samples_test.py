"""The samples' own output, through client/samples/run and a started lossd.

Environment: LOSSD_BINARY, the path of lossd.
"""

import os
import subprocess
import unittest

import callers
import interop

OUTPUTS = {
    "go": """loss 0.2559764864228345
gradient [-0.17049943 0.12121648 0.049282946]
         [0.02263925 -0.0452785 0.02263925]
""",
    "java": """loss 0.2559764864228345
gradient [-0.17049943, 0.12121648, 0.049282946]
         [0.02263925, -0.0452785, 0.02263925]
""",
    "ruby": """loss 0.2559764864228345
gradient [-0.170499429, 0.121216483, 0.049282946]
         [0.02263925, -0.045278501, 0.02263925]
""",
}


def run(language, *arguments):
    return subprocess.run(
        [str(callers.SAMPLES), language, *arguments], capture_output=True, text=True
    )


class SamplesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server, cls.target = interop.start(os.environ["LOSSD_BINARY"])

    @classmethod
    def tearDownClass(cls):
        interop.stop(cls.server)

    def test_a_sample_prints_the_loss_and_the_gradient(self):
        for language, output in OUTPUTS.items():
            with self.subTest(language):
                done = run(language, "--target", self.target)
                self.assertEqual((done.stdout, done.stderr, done.returncode), (output, "", 0))

    def test_a_sample_takes_the_last_label_and_says_why_not_the_next(self):
        for language in OUTPUTS:
            with self.subTest(language):
                self.assertEqual(run(language, "--target", self.target, "--label", "2").returncode, 0)
                done = run(language, "--target", self.target, "--label", "3")
                self.assertEqual(done.returncode, 1)
                self.assertIn("labels[0] = 3, want [0, 3)\nreason LABEL_OUT_OF_RANGE", done.stderr)

    def test_a_sample_says_that_no_server_is_there(self):
        for language in OUTPUTS:
            with self.subTest(language):
                done = run(language, "--target", "127.0.0.1:1")
                self.assertEqual((done.stdout, done.returncode), ("", 1))
                self.assertRegex(done.stderr.splitlines()[0], "(?i)^unavailable: .")

    def test_an_unknown_language_is_bad_usage(self):
        self.assertEqual(run("cobol").returncode, 2)


if __name__ == "__main__":
    unittest.main()
