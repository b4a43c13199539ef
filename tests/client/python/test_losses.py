"""Every loss, option and output of the contract, through a server."""

import math
import unittest

import numpy as np

import lossd
from support import draw, start_server


def setUpModule():
    start_server(globals())


def softmax(z):
    p = np.exp(z - z.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


LOGITS = draw((4, 3), np.float64)
LABELS = np.array([0, 2, 1, 2])
TARGETS = np.random.default_rng(5).random((4, 3))


class OptionsTest(unittest.TestCase):
    def compute(self, loss=None, logits=LOGITS, labels=LABELS, **options):
        return client.compute_loss(loss or lossd.SoftmaxCrossEntropy(), logits, labels, **options)

    def test_cross_entropy_is_the_formula(self):
        p = softmax(LOGITS)
        result = self.compute()
        self.assertAlmostEqual(result.loss, -np.log(p[range(4), LABELS]).mean(), places=14)
        np.testing.assert_allclose(result.gradient, (p - np.eye(3)[LABELS]) / 4, rtol=1e-13)
        self.assertEqual((result.row_count, result.divisor), (4, 4))
        self.assertEqual(result.correct_count, (p.argmax(-1) == LABELS).sum())

    def test_every_output_is_what_it_is_called(self):
        result = self.compute(outputs=(
            "loss", "gradient", "row_losses", "log_sum_exp", "predictions",
            "probabilities", "log_probabilities"))
        p = softmax(LOGITS)
        np.testing.assert_allclose(result.probabilities, p, rtol=1e-14)
        np.testing.assert_allclose(result.log_probabilities, np.log(p), rtol=1e-13)
        np.testing.assert_allclose(result.row_losses, -np.log(p[range(4), LABELS]), rtol=1e-13)
        np.testing.assert_allclose(result.log_sum_exp, np.log(np.exp(LOGITS).sum(-1)), rtol=1e-14)
        self.assertEqual(result.predictions.tolist(), p.argmax(-1).tolist())
        self.assertEqual(result.predictions.dtype, np.int64)

    def test_outputs_not_asked_for_are_none(self):
        loss_only = self.compute(outputs="loss")
        self.assertIsNone(loss_only.gradient)
        self.assertIsNone(loss_only.row_losses)
        self.assertIsInstance(loss_only.loss, float)
        gradient_only = self.compute(outputs=["gradient"])
        self.assertIsNone(gradient_only.loss)
        nothing = self.compute(outputs=())
        self.assertEqual((nothing.loss, nothing.gradient, nothing.row_count), (None, None, 4))

    def test_each_option_has_an_effect(self):
        plain = self.compute()
        for name, value in (
            ("label_smoothing", 0.1), ("class_weights", [1, 2, 0.5]), ("ignore_index", 2),
            ("z_loss", 0.1), ("logit_scale", 0.5), ("logit_softcap", 2),
        ):
            with self.subTest(name):
                changed = self.compute(lossd.SoftmaxCrossEntropy(**{name: value}))
                self.assertNotEqual(changed.loss, plain.loss)
                self.assertFalse(np.array_equal(changed.gradient, plain.gradient))
        for name, value in (("row_weights", [1, 0, 2, 0.5]), ("divisor", 7.0),
                            ("reduction", "sum")):
            with self.subTest(name):
                self.assertNotEqual(self.compute(**{name: value}).loss, plain.loss)

    def test_the_other_losses_options_have_an_effect(self):
        for loss, labels, name, value in (
            (lossd.SigmoidCrossEntropy, TARGETS, "positive_weights", [1, 2, 3]),
            (lossd.SigmoidCrossEntropy, TARGETS, "label_smoothing", 0.1),
            (lossd.NegativeLogLikelihood, LABELS, "class_weights", [1, 2, 3]),
            (lossd.NegativeLogLikelihood, LABELS, "ignore_index", 2),
            (lossd.KlDivergence, TARGETS, "temperature", 2),
            (lossd.KlDivergence, TARGETS, "targets_are_logits", True),
            (lossd.SoftmaxFocal, LABELS, "gamma", 1),
            (lossd.SoftmaxFocal, LABELS, "class_weights", [1, 2, 3]),
            (lossd.SoftmaxFocal, LABELS, "ignore_index", 2),
            (lossd.SigmoidFocal, TARGETS, "gamma", 1),
            (lossd.SigmoidFocal, TARGETS, "alpha", 0.25),
            (lossd.MulticlassHinge, LABELS, "margin", 0.5),
            (lossd.MulticlassHinge, LABELS, "power", 2),
            (lossd.Huber, TARGETS, "delta", 0.5),
        ):
            with self.subTest(loss=loss.name, option=name):
                plain = self.compute(loss(), labels=labels)
                changed = self.compute(loss(**{name: value}), labels=labels)
                self.assertNotEqual(changed.loss, plain.loss)

    def test_row_weights_mask_and_are_in_the_mean(self):
        masked = self.compute(row_weights=[1, 1, 0, 0])
        self.assertEqual(masked.divisor, 2)
        self.assertEqual(masked.loss, self.compute(logits=LOGITS[:2], labels=LABELS[:2]).loss)
        self.assertTrue((masked.gradient[2:] == 0).all())

    def test_upstream_gradient_multiplies_the_gradient_alone(self):
        plain, doubled = self.compute(), self.compute(upstream_gradient=2.0)
        self.assertEqual(doubled.loss, plain.loss)
        np.testing.assert_allclose(doubled.gradient, 2 * plain.gradient, rtol=1e-15)
        rows = self.compute(reduction="none", upstream_gradient=[0, 1, 0, 2])
        self.assertTrue((rows.gradient[0] == 0).all())
        self.assertFalse((rows.gradient[1] == 0).all())

    def test_reduction_none_gives_each_rows_loss(self):
        result = self.compute(reduction="none")
        self.assertEqual(result.loss.shape, (4,))
        self.assertAlmostEqual(result.loss.mean(), self.compute().loss, places=14)
        self.assertIsNone(result.row_losses)

    def test_gradient_dtype_rounds_the_gradient_alone(self):
        logits = LOGITS.astype(np.float32)
        plain = self.compute(logits=logits)
        for dtype in (np.float16, "float32", np.dtype(np.float64)):
            result = self.compute(logits=logits, gradient_dtype=dtype)
            self.assertEqual((result.gradient.dtype, result.loss), (np.dtype(dtype), plain.loss))
        bits = self.compute(logits=logits, gradient_dtype="bfloat16").gradient
        self.assertEqual(bits.dtype, np.uint16)
        np.testing.assert_allclose((bits.astype(np.uint32) << 16).view(np.float32),
                                   plain.gradient, rtol=2**-8)

    def test_logits_of_each_type(self):
        for dtype in (np.float16, np.float32, np.float64):
            result = self.compute(logits=LOGITS.astype(dtype))
            self.assertEqual(result.gradient.dtype, dtype)
            self.assertAlmostEqual(result.loss, self.compute().loss, places=2)
        bits = (LOGITS.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        widened = (bits.astype(np.uint32) << 16).view(np.float32)
        result = self.compute(logits=lossd.BFloat16(bits), gradient_dtype="float32")
        np.testing.assert_array_equal(result.gradient, self.compute(logits=widened).gradient)

    def test_class_axis_takes_any_layout(self):
        image = np.moveaxis(LOGITS.reshape(2, 2, 3), -1, 1)
        labels = LABELS.reshape(2, 2)
        want = self.compute()
        for axis in (1, -2):
            result = self.compute(logits=image, labels=labels, class_axis=axis)
            self.assertEqual(result.loss, want.loss)
            np.testing.assert_array_equal(np.moveaxis(result.gradient, 1, -1).reshape(4, 3),
                                          want.gradient)
        self.assertEqual(client.cross_entropy(image, labels).loss, want.loss)

    def test_labels_and_factors_lie_in_any_memory(self):
        wide = np.repeat(LABELS, 2)[::2]
        self.assertEqual(self.compute(labels=wide).loss, self.compute().loss)
        self.assertEqual(self.compute(labels=LABELS.astype(">i4")).loss, self.compute().loss)
        self.assertEqual(self.compute(labels=list(LABELS)).loss, self.compute().loss)

    def test_non_finite_logits_are_refused_or_propagate(self):
        logits = LOGITS.copy()
        logits[1, 2] = np.nan
        with self.assertRaisesRegex(lossd.InvalidArgumentError, r"logits\[1, 2\] = nan"):
            self.compute(logits=logits)
        result = self.compute(logits=logits, non_finite="propagate", reduction="none")
        self.assertEqual(np.isnan(result.loss).tolist(), [False, True, False, False])

    def test_hessian_vector_product_is_the_gradients_difference(self):
        vector, step = draw((4, 3), np.float64, seed=9), 1e-6
        for loss, labels in ((lossd.SoftmaxCrossEntropy(z_loss=0.1), LABELS),
                             (lossd.SquaredError(), TARGETS)):
            options = {"row_weights": [1, 2, 0, 3], "reduction": "sum"}
            product = client.hessian_vector_product(loss, LOGITS, labels, vector, **options)
            ahead = self.compute(loss, LOGITS + step * vector, labels, **options).gradient
            behind = self.compute(loss, LOGITS - step * vector, labels, **options).gradient
            np.testing.assert_allclose(product, (ahead - behind) / (2 * step), atol=1e-8)

    def test_hinge_has_no_second_order(self):
        with self.assertRaisesRegex(lossd.UnimplementedError, "multiclass_hinge"):
            client.hessian_vector_product(lossd.MulticlassHinge(), LOGITS, LABELS, LOGITS)

    def test_no_rows_have_no_loss(self):
        result = self.compute(logits=np.zeros((0, 3)), labels=[])
        self.assertTrue(math.isnan(result.loss))
        self.assertEqual(result.gradient.shape, (0, 3))

    def test_server_info_names_every_loss_of_this_package(self):
        info = client.server_info()
        self.assertEqual(set(info.losses), {loss.name for loss in lossd.Loss.__subclasses__()})
        self.assertEqual(set(info.data_types), {"float16", "bfloat16", "float32", "float64"})
        self.assertGreaterEqual(info.compute_threads, 1)
        self.assertEqual(info.max_request_bytes, 256 << 20)

    def test_a_new_client_does_not_import_torch(self):
        import subprocess
        import sys

        code = "import lossd, sys; sys.exit('torch' in sys.modules)"
        subprocess.run([sys.executable, "-c", code], check=True)


if __name__ == "__main__":
    unittest.main()
