"""comparison.py finds what differs, wherever it is."""

import unittest

import comparison

NAMES = ["first", "second"]
SAME = [("3fd0000000000000", "00112233"), ("-", "44")]


class ComparisonTest(unittest.TestCase):
    def test_the_same_bits_are_no_difference(self):
        answers = {"C++": SAME, "Go": list(SAME)}
        self.assertEqual(comparison.differences(NAMES, answers), [])
        self.assertNotIn("DIFFERS", comparison.table(NAMES, answers))

    def test_one_bit_of_one_answer_is_a_difference(self):
        changed = {
            "first: loss": [("3fd0000000000001", "00112233"), SAME[1]],
            "first: gradient": [("3fd0000000000000", "00112232"), SAME[1]],
            "second: loss": [SAME[0], ("0000000000000000", "44")],
            "second: gradient": [SAME[0], ("-", "4400")],
        }
        for start, theirs in changed.items():
            answers = {"C++": SAME, "Go": SAME, "Ruby": theirs}
            lines = comparison.differences(NAMES, answers)
            self.assertEqual(len(lines), 1)
            self.assertTrue(lines[0].startswith(start), lines[0])
            self.assertEqual(comparison.table(NAMES, answers).count("DIFFERS"), 1)


if __name__ == "__main__":
    unittest.main()
