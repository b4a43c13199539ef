"""lossd.torch: autograd through the server, first and second order."""

import unittest

import numpy as np
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

import lossd
import lossd.torch as L
from lossd import _autograd
from support import start_server

REDUCTIONS = ("mean", "sum", "none")


def setUpModule():
    start_server(globals())
    L.use(client)
    unittest.addModuleCleanup(L.use, None)


def draw(*shape, seed=1, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()


LABELS = torch.tensor([0, 2, 1, 2])
TARGETS = torch.sigmoid(draw(4, 3, seed=5)).detach()
WEIGHT = torch.tensor([1, 2, 0.5], dtype=torch.float64)
# (function, its arguments, its options); every loss with a second derivative, each with
# what changes its way to the server.
SMOOTH = (
    (L.cross_entropy, (LABELS,), {}),
    (L.cross_entropy, (LABELS, WEIGHT), {"label_smoothing": 0.1, "ignore_index": 1}),
    (L.cross_entropy, (LABELS,), {"z_loss": 0.1, "logit_scale": 0.5, "logit_softcap": 3}),
    (L.cross_entropy, (TARGETS,), {"row_weights": torch.tensor([1.0, 0.5, 0, 2])}),
    (L.nll_loss, (LABELS, WEIGHT), {}),
    (L.binary_cross_entropy_with_logits, (TARGETS,), {"pos_weight": WEIGHT}),
    (L.binary_cross_entropy_with_logits, (TARGETS, TARGETS + 1), {}),
    (L.softmax_focal_loss, (LABELS, 1.5), {"weight": WEIGHT}),
    (L.sigmoid_focal_loss, (TARGETS,), {"alpha": 0.25}),
    (L.distillation_loss, (TARGETS, 2.0), {}),
    (L.distillation_loss, (TARGETS, 2.0), {"targets_are_logits": True}),
    (L.mse_loss, (TARGETS,), {}),
    (L.huber_loss, (TARGETS,), {"delta": 0.7}),
)


class GradientTest(unittest.TestCase):
    def test_first_and_second_order_pass_gradcheck(self):
        for function, arguments, options in SMOOTH:
            for reduction in REDUCTIONS:
                with self.subTest(function.__name__, reduction=reduction, **options):
                    run = lambda z: function(z, *arguments, reduction=reduction, **options)
                    self.assertTrue(gradcheck(run, draw(4, 3)))
                    self.assertTrue(gradgradcheck(run, draw(4, 3)))

    def test_margin_loss_has_a_first_order_alone(self):
        for p in (1, 2):
            run = lambda z: L.multi_margin_loss(z, LABELS, p, weight=WEIGHT, reduction="none")
            self.assertTrue(gradcheck(run, draw(4, 3)))
        z = draw(4, 3)
        (gradient,) = torch.autograd.grad(L.multi_margin_loss(z, LABELS), z, create_graph=True)
        with self.assertRaisesRegex(lossd.UnimplementedError, "multiclass_hinge"):
            gradient.sum().backward()

    def test_images_pass_gradcheck(self):
        labels = torch.tensor([[0, 1], [2, 0]])
        for reduction in REDUCTIONS:
            run = lambda z: L.cross_entropy(z, labels, reduction=reduction)
            self.assertTrue(gradcheck(run, draw(2, 3, 2)))
            self.assertTrue(gradgradcheck(run, draw(2, 3, 2)))
        scalar = lambda z: L.mse_loss(z, torch.tensor(0.5, dtype=torch.float64))
        self.assertTrue(gradgradcheck(scalar, draw()))

    def test_third_order_is_refused(self):
        z = draw(4, 3)
        loss = L.cross_entropy(z, LABELS)
        (first,) = torch.autograd.grad(loss, z, create_graph=True)
        (second,) = torch.autograd.grad(first.pow(2).sum(), z, create_graph=True)
        with self.assertRaises(RuntimeError):
            second.sum().backward()


class DropInTest(unittest.TestCase):
    """Against torch.nn.functional, called the same way."""

    def same(self, name, *arguments, z=None, rtol=1e-12, atol=1e-14, **options):
        z = draw(4, 3) if z is None else z
        ours, theirs = z.detach().requires_grad_(), z.detach().requires_grad_()
        got = getattr(L, name)(ours, *arguments, **options)
        want = getattr(F, name)(theirs, *arguments, **options)
        self.assertEqual((got.dtype, got.shape), (want.dtype, want.shape))
        torch.testing.assert_close(got, want, rtol=rtol, atol=atol)
        (got * 3).sum().backward()
        (want * 3).sum().backward()
        self.assertEqual(ours.grad.dtype, theirs.grad.dtype)
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=rtol, atol=atol)

    def test_names_defaults_and_meaning_are_pytorchs(self):
        for reduction in REDUCTIONS:
            options = {"reduction": reduction}
            self.same("cross_entropy", LABELS, **options)
            self.same("cross_entropy", torch.tensor([0, -100, 1, 2]), WEIGHT, **options)
            self.same("cross_entropy", TARGETS, label_smoothing=0.1, **options)
            self.same("nll_loss", LABELS, WEIGHT, ignore_index=2, **options)
            self.same("binary_cross_entropy_with_logits", TARGETS, WEIGHT, pos_weight=WEIGHT,
                      **options)
            self.same("multi_margin_loss", LABELS, 2, 0.5, WEIGHT, **options)
            self.same("mse_loss", TARGETS, **options)
            self.same("huber_loss", TARGETS, delta=0.3, **options)
        self.same("cross_entropy", torch.tensor([[0, 1], [2, 0]]), z=draw(2, 3, 2))
        self.same("cross_entropy", LABELS, z=draw(3, 4).t())

    def test_float32_agrees_to_rounding(self):
        self.same("cross_entropy", LABELS, z=draw(4, 3, dtype=torch.float32), rtol=3e-7, atol=1e-7)

    def test_narrow_types_keep_theirs(self):
        z = draw(4, 3, dtype=torch.float32).detach()
        for dtype, rtol in ((torch.float16, 2**-10), (torch.bfloat16, 2**-7)):
            narrow = z.to(dtype).requires_grad_()
            wide = narrow.detach().float().requires_grad_()
            loss = L.cross_entropy(narrow, LABELS)
            loss.backward()
            F.cross_entropy(wide, LABELS).backward()
            self.assertEqual((loss.dtype, narrow.grad.dtype), (dtype, dtype))
            torch.testing.assert_close(narrow.grad.float(), wide.grad, rtol=rtol, atol=1e-6)

    def test_large_batches_go_in_chunks(self):
        z = draw(70, 1 << 15, dtype=torch.float32)
        labels = torch.randint(0, 1 << 15, (70,), generator=torch.Generator().manual_seed(1))
        seen = []
        L.cross_entropy(z, labels, progress=lambda *rows: seen.append(rows)).backward()
        self.assertGreater(len(seen), 2)
        theirs = z.detach().requires_grad_()
        F.cross_entropy(theirs, labels).backward()
        torch.testing.assert_close(z.grad, theirs.grad, rtol=1e-5, atol=1e-9)

    def test_nan_propagates_unless_refused(self):
        z = draw(4, 3).detach()
        z[1, 1] = float("nan")
        self.assertTrue(L.cross_entropy(z, LABELS).isnan())
        with self.assertRaisesRegex(lossd.InvalidArgumentError, r"logits\[1, 1\] = nan"):
            L.cross_entropy(z, LABELS, non_finite="reject")

    def test_no_gradient_is_asked_for_where_none_is_wanted(self):
        with lossd.Client(server.address) as other:
            asked = []
            compute = other._compute
            other._compute = lambda batch, call: (asked.append(batch.outputs), compute(batch, call))[1]
            z = draw(4, 3)
            L.cross_entropy(z.detach(), LABELS, client=other)
            with torch.no_grad():
                L.cross_entropy(z, LABELS, client=other)
            L.cross_entropy(z, LABELS, client=other)
        self.assertEqual(asked, [("loss",), ("loss",), ("loss", "gradient")])

    def test_arguments_are_refused_as_they_should(self):
        z = draw(4, 3)
        with self.assertRaisesRegex(lossd.InvalidArgumentError, "target requires a gradient"):
            L.mse_loss(z, draw(4, 3))
        with self.assertRaisesRegex(lossd.InvalidArgumentError, "weight requires a gradient"):
            L.cross_entropy(z, LABELS, draw(3))
        with self.assertRaisesRegex(lossd.InvalidArgumentError, r"labels\[3\] = 3"):
            L.cross_entropy(z, torch.tensor([0, 1, 2, 3]))
        with self.assertRaisesRegex(TypeError, "outputs is autograd's"):
            L.cross_entropy(z, LABELS, outputs="loss")
        with self.assertRaisesRegex(TypeError, "size_average"):
            L.cross_entropy(z, LABELS, size_average=True)
        with self.assertRaisesRegex(lossd.InvalidArgumentError, "a AsyncClient, want"):
            L.cross_entropy(z, LABELS, client=lossd.AsyncClient(server.address))
        L.use(None)
        try:
            with self.assertRaisesRegex(lossd.InvalidArgumentError, "no client"):
                L.cross_entropy(z, LABELS)
        finally:
            L.use(client)

    def test_result_may_be_written_to(self):
        answer = np.frombuffer(bytes(8), np.float64)
        tensor = _autograd._to_tensor(answer, torch.zeros(1))
        self.assertNotEqual(tensor.data_ptr(), answer.ctypes.data)
        z = draw(4, 3)
        loss = L.cross_entropy(z, LABELS, reduction="none")
        loss.detach().zero_()
        L.cross_entropy(z, LABELS).backward()
        z.grad.zero_()
        self.assertEqual(z.grad.abs().sum(), 0)


if __name__ == "__main__":
    unittest.main()
