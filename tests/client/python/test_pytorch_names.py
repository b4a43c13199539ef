"""The methods with PyTorch's names mean what torch.nn.functional means, in float64."""

import itertools
import unittest

import numpy as np
import torch
import torch.nn.functional as F

import lossd
from support import draw, draw_labels, start_server

REDUCTIONS = ("mean", "sum", "none")


def setUpModule():
    start_server(globals())


def tensor(array):
    return None if array is None else torch.from_numpy(np.asarray(array))


def pytorch(function, logits, labels, **options):
    """The loss and the gradient of the loss, or of its sum."""
    z = torch.from_numpy(logits).requires_grad_()
    loss = function(z, torch.from_numpy(np.asarray(labels)), **options)
    (gradient,) = torch.autograd.grad(loss.sum(), z)
    return loss.detach().numpy(), gradient.numpy()


class NamesTest(unittest.TestCase):
    def same(self, name, logits, labels, reference=None, tensors=(), **options):
        """Checks one method in all reductions. `tensors`: options that are arrays."""
        reference = reference or getattr(F, name)
        for reduction in REDUCTIONS:
            with self.subTest(name=name, reduction=reduction, shape=logits.shape, **options):
                result = getattr(client, name)(logits, labels, reduction=reduction, **options)
                torch_options = {
                    key: tensor(np.asarray(value, np.float64)) if key in tensors else value
                    for key, value in options.items()}
                loss, gradient = pytorch(reference, logits, labels, reduction=reduction,
                                         **torch_options)
                self.assertEqual(np.shape(result.loss), loss.shape)
                np.testing.assert_allclose(result.loss, loss, rtol=1e-12, atol=1e-14)
                self.assertEqual(result.gradient.shape, logits.shape)
                np.testing.assert_allclose(result.gradient, gradient, rtol=1e-12, atol=1e-14)

    def test_cross_entropy_of_indices(self):
        for shape in ((7, 5), (5,), (3, 5, 2), (2, 5, 3, 2)):
            logits = draw(shape, np.float64)
            rows = shape[:1] + shape[2:] if len(shape) > 1 else ()
            labels = draw_labels(rows, 5)
            self.same("cross_entropy", logits, labels)
            self.same("cross_entropy", logits, labels, label_smoothing=0.1)
            self.same("cross_entropy", logits, labels, tensors=["weight"],
                      weight=[1, 2, 0.5, 3, 0 if rows else 1], label_smoothing=0.2)
            if rows:
                ignored = np.where(labels == 1, -100, labels)
                self.same("cross_entropy", logits, ignored)
                self.same("cross_entropy", logits, labels, ignore_index=2)

    def test_cross_entropy_of_probabilities(self):
        for shape in ((7, 5), (3, 5, 2)):
            logits, labels = draw(shape, np.float64), np.random.default_rng(1).random(shape)
            self.same("cross_entropy", logits, labels)
            self.same("cross_entropy", logits, labels, tensors=["weight"],
                      weight=[1, 2, 0.5, 3, 1], label_smoothing=0.1)

    def test_nll_loss(self):
        for shape in ((7, 5), (3, 5, 2)):
            logits = draw(shape, np.float64)
            labels = draw_labels(shape[:1] + shape[2:], 5)
            self.same("nll_loss", logits, labels)
            self.same("nll_loss", logits, np.where(labels == 3, -100, labels),
                      tensors=["weight"], weight=[1, 2, 0.5, 3, 1])

    def test_binary_cross_entropy_with_logits(self):
        name = "binary_cross_entropy_with_logits"
        for shape in ((7, 5), (5,), (3, 4, 5), ()):
            logits, labels = draw(shape, np.float64), np.random.default_rng(1).random(shape)
            self.same(name, logits, labels)
            self.same(name, logits, np.round(labels))
            for weight, pos_weight in itertools.product(
                    (None, 2.0, np.random.default_rng(2).random(shape)),
                    (None, 3.0, [1, 2, 0.5, 0, 4] if shape else 0.5)):
                options = {"weight": weight, "pos_weight": pos_weight}
                options = {k: v for k, v in options.items() if v is not None}
                self.same(name, logits, labels, tensors=options, **options)
        self.same(name, draw((3, 4, 5), np.float64), np.ones((3, 4, 5)),
                  tensors=["pos_weight"], pos_weight=[[1], [2], [0.5], [3]])

    def test_bfloat16_means_its_values_wherever_it_goes(self):
        def bits_of(array):
            return (np.float32(array).view(np.uint32) >> 16).astype(np.uint16)

        logits, labels = draw((2, 3)), np.float64([[1, 0, 0.5], [0.25, 1, 0]])
        weight, pos_weight = np.float64([[0.5], [2]]), np.float64([1, 2, 3])
        for reduction in REDUCTIONS:
            want = client.binary_cross_entropy_with_logits(
                logits, labels, weight, reduction, pos_weight)
            got = client.binary_cross_entropy_with_logits(
                logits, *(lossd.BFloat16(bits_of(x)) for x in (labels, weight)), reduction,
                lossd.BFloat16(bits_of(pos_weight)))
            np.testing.assert_array_equal(got.gradient, want.gradient)
        margin = client.multi_margin_loss(logits, [0, 2], weight=pos_weight)
        bits = client.multi_margin_loss(
            logits, [0, 2], weight=lossd.BFloat16(bits_of(pos_weight)))
        self.assertEqual(bits.loss, margin.loss)

    def test_integers_are_no_targets_whatever_way_they_go(self):
        for options in ({}, {"pos_weight": 2.0}, {"weight": 2.0}, {"reduction": "sum"}):
            with self.assertRaisesRegex(lossd.InvalidArgumentError, "labels"):
                client.binary_cross_entropy_with_logits(
                    draw((2, 3)), np.ones((2, 3), int), **options)

    def test_shapes_that_do_not_fit_are_refused(self):
        logits = draw((2, 3))
        for name, options in (("weight", {"weight": [1, 2]}),
                              ("pos_weight", {"pos_weight": [1, 2]}),
                              ("row_weights", {"weight": 1.0, "row_weights": [1, 2, 3]})):
            with self.assertRaisesRegex(lossd.InvalidArgumentError, name):
                client.binary_cross_entropy_with_logits(logits, np.ones((2, 3)), **options)
        for divisor in (0, -1):
            with self.assertRaisesRegex(lossd.InvalidArgumentError, "divisor"):
                client.binary_cross_entropy_with_logits(
                    logits, np.ones((2, 3)), weight=1.0, divisor=divisor)
        with self.assertRaisesRegex(lossd.InvalidArgumentError, "row_weights"):
            client.multi_margin_loss(logits, [0, 1], row_weights=[1, 2, 3])

    def test_smoothing_is_the_same_whatever_way_the_elements_go(self):
        logits, labels = draw((7, 5), np.float64), np.random.default_rng(1).random((7, 5))
        mean, total = (client.binary_cross_entropy_with_logits(
            logits, labels, pos_weight=[1, 2, 3, 4, 5], label_smoothing=0.1,
            reduction=reduction).loss for reduction in ("mean", "sum"))
        self.assertAlmostEqual(mean, total / 35, places=13)

    def test_row_weights_and_divisor_mean_the_same_whatever_way_the_elements_go(self):
        logits, labels = draw((4, 5), np.float64), np.random.default_rng(1).random((4, 5))
        for options in ({"row_weights": [1, 0, 2, 0.5]}, {"divisor": 7.0},
                        {"row_weights": [1, 0, 2, 0.5], "divisor": 7.0}):
            rows = client.binary_cross_entropy_with_logits(logits, labels, **options)
            elements = client.binary_cross_entropy_with_logits(
                logits, labels, weight=1.0, **options)
            self.assertAlmostEqual(rows.loss, elements.loss, places=14)
            np.testing.assert_allclose(rows.gradient, elements.gradient, rtol=1e-13)

    def test_mse_and_huber(self):
        for shape in ((7, 5), (5,), (2, 3, 4), ()):
            logits, labels = draw(shape, np.float64), draw(shape, np.float64, seed=7)
            self.same("mse_loss", logits, labels)
            self.same("huber_loss", logits, labels)
            self.same("huber_loss", logits, labels, delta=0.3)

    def test_multi_margin_loss(self):
        logits, labels = draw((7, 5), np.float64), draw_labels(7, 5)
        for p, margin in ((1, 1.0), (2, 0.5)):
            self.same("multi_margin_loss", logits, labels, p=p, margin=margin)
            self.same("multi_margin_loss", logits, labels, tensors=["weight"], p=p,
                      margin=margin, weight=[1, 2, 0.5, 3, 0])
        self.same("multi_margin_loss", logits[0], labels[0])

    def test_distillation_is_kl_div(self):
        logits, teacher = draw((7, 5), np.float64), draw((7, 5), np.float64, seed=8)

        def kl_div(temperature):
            def function(z, t, reduction):
                rows = F.kl_div(F.log_softmax(z / temperature, 1),
                                F.log_softmax(t / temperature, 1),
                                log_target=True, reduction="none").sum(1) * temperature**2
                return {"mean": rows.mean(), "sum": rows.sum(), "none": rows}[reduction]
            return function

        for temperature in (1.0, 3.0):
            for reduction in REDUCTIONS:
                result = client.distillation_loss(logits, teacher, temperature, True, reduction)
                loss, gradient = pytorch(kl_div(temperature), logits, teacher,
                                         reduction=reduction)
                np.testing.assert_allclose(result.loss, loss, rtol=1e-12)
                np.testing.assert_allclose(result.gradient, gradient, rtol=1e-10, atol=1e-14)
        probabilities = F.softmax(torch.from_numpy(teacher), 1).numpy()
        result = client.distillation_loss(logits, probabilities)
        want = F.kl_div(F.log_softmax(torch.from_numpy(logits), 1),
                        torch.from_numpy(probabilities), reduction="batchmean")
        self.assertAlmostEqual(result.loss, want.item(), places=13)

    def test_focal_losses_are_their_formulas(self):
        logits, labels = draw((7, 5), np.float64), draw_labels(7, 5)

        def softmax_focal(z, y, reduction, weight):
            log_p = F.log_softmax(z, 1)
            return F.nll_loss((-torch.expm1(log_p)) ** 1.5 * log_p, y, weight,
                              reduction=reduction)

        weight = [1, 2, 0.5, 3, 1]
        for reduction in REDUCTIONS:
            result = client.softmax_focal_loss(logits, np.where(labels == 1, -100, labels), 1.5,
                                               weight, reduction=reduction)
            loss, gradient = pytorch(softmax_focal, logits, np.where(labels == 1, -100, labels),
                                     reduction=reduction, weight=tensor(np.float64(weight)))
            np.testing.assert_allclose(result.loss, loss, rtol=1e-12)
            np.testing.assert_allclose(result.gradient, gradient, rtol=1e-10, atol=1e-14)

        def sigmoid_focal(z, t, reduction, gamma=2.0, alpha=None):
            terms = F.binary_cross_entropy_with_logits(z, t, reduction="none")
            terms = (torch.sigmoid(z) * (1 - t) + torch.sigmoid(-z) * t) ** gamma * terms
            if alpha is not None:
                terms = terms * (alpha * t + (1 - alpha) * (1 - t))
            return {"mean": terms.mean(), "sum": terms.sum(), "none": terms}[reduction]

        targets = np.random.default_rng(1).random((7, 5))
        self.same("sigmoid_focal_loss", logits, targets, sigmoid_focal)
        self.same("sigmoid_focal_loss", logits, targets, sigmoid_focal, gamma=0.5, alpha=0.25)

    def test_one_class_alone_has_no_margin(self):
        self.same("multi_margin_loss", draw((3, 1), np.float64), np.zeros(3, np.int64))


if __name__ == "__main__":
    unittest.main()
