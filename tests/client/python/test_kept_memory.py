"""Memory that is used again once nobody holds it."""

import unittest

import numpy as np

from lossd._kept_memory import MAX_KEPT_BYTES, KeptMemory

FLOAT32 = np.dtype("<f4")


def address_of(array):
    return array.__array_interface__["data"][0]


class KeptMemoryTest(unittest.TestCase):
    def setUp(self):
        self.memory = KeptMemory()

    def test_is_used_again_once_the_array_is_gone(self):
        first = self.memory.empty((4, 8), FLOAT32)
        self.assertEqual((first.shape, first.dtype), ((4, 8), FLOAT32))
        address = address_of(first)
        del first
        self.assertEqual(address_of(self.memory.empty((8, 4), FLOAT32)), address)
        self.assertEqual(address_of(self.memory.empty((2, 8), np.dtype("<f8"))), address)

    def test_is_never_used_while_a_part_of_it_is_held(self):
        for hold in (
            lambda array: array,
            lambda array: array[1:, ::2],
            lambda array: array.reshape(-1).view(np.uint8),
            memoryview,
        ):
            held = hold(self.memory.empty((4, 8), FLOAT32))
            np.asarray(held)[...] = 7
            self.memory.empty((4, 8), FLOAT32)[...] = 1
            self.assertTrue((np.asarray(held) == 7).all())

    def test_grows_for_a_larger_array(self):
        self.memory.empty((1, 8), FLOAT32)
        larger = self.memory.empty((100, 8), FLOAT32)
        larger[...] = 3
        self.assertEqual(larger.sum(), 2400)

    def test_keeps_what_it_may_and_no_more(self):
        most = MAX_KEPT_BYTES // 4
        self.assertIsNot(self.memory.empty((most,), FLOAT32).base, None)
        self.assertIs(self.memory.empty((most + 1,), FLOAT32).base, None)

    def test_gives_empty_arrays(self):
        self.assertEqual(self.memory.empty((0, 8), FLOAT32).shape, (0, 8))


if __name__ == "__main__":
    unittest.main()
