"""What goes wrong is a lossd.Error that names the offender and the limit."""

import threading
import unittest

import grpc
import numpy as np

import lossd
from lossd import errors
from support import ScriptedServer, draw, start_server


def setUpModule():
    start_server(globals())


LOGITS = draw((2, 3))


class ServerErrorTest(unittest.TestCase):
    def test_carries_all_that_the_server_says(self):
        with self.assertRaises(lossd.InvalidArgumentError) as caught:
            client.cross_entropy(LOGITS, [0, 3])
        error = caught.exception
        self.assertEqual(str(error), "labels[1] = 3, want [0, 3)")
        self.assertEqual(error.code, grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual(error.reason, "LABEL_OUT_OF_RANGE")
        self.assertEqual(error.field, "labels")
        self.assertEqual(error.metadata, {"row": "1", "label": "3", "classes": "3"})
        self.assertIsNone(error.retry_delay)
        self.assertIsInstance(error, ValueError)

    def test_label_at_its_bound_is_taken(self):
        client.cross_entropy(LOGITS, [0, 2])
        client.cross_entropy(LOGITS, [0, -100])
        with self.assertRaisesRegex(lossd.InvalidArgumentError, r"labels\[1\] = -1"):
            client.cross_entropy(LOGITS, [0, -1])

    def test_options_at_their_bounds_are_taken_and_past_them_refused(self):
        client.cross_entropy(LOGITS, [0, 1], label_smoothing=1.0)
        with self.assertRaises(lossd.InvalidArgumentError) as caught:
            client.cross_entropy(LOGITS, [0, 1], label_smoothing=1.01)
        self.assertEqual(caught.exception.field, "loss.softmax_cross_entropy.label_smoothing")

    def test_divisor_of_a_sum_is_refused(self):
        with self.assertRaisesRegex(lossd.InvalidArgumentError, "divisor"):
            client.cross_entropy(LOGITS, [0, 1], reduction="sum", divisor=2)

    def test_shapes_that_differ_are_refused(self):
        for labels in ([0], [[0, 1]], np.zeros((2, 4))):
            with self.assertRaisesRegex(lossd.InvalidArgumentError, "labels"):
                client.cross_entropy(LOGITS, labels)
        with self.assertRaisesRegex(lossd.InvalidArgumentError, "class_weights"):
            client.cross_entropy(LOGITS, [0, 1], weight=[1, 2])

    def test_labels_out_of_range_are_named_with_a_margins_weight_too(self):
        for label in (3, -1):
            with self.assertRaisesRegex(lossd.InvalidArgumentError, rf"labels\[1\] = {label}"):
                client.multi_margin_loss(LOGITS, [0, label], weight=[1, 2, 3])

    def test_no_server_is_unavailable(self):
        retry = lossd.RetryOptions(max_attempts=1)
        with lossd.Client("127.0.0.1:1", retry=retry) as nobody:
            with self.assertRaisesRegex(
                    lossd.UnavailableError, r"\(127.0.0.1:1, 1 attempt\)") as caught:
                nobody.server_info()
        self.assertIsInstance(caught.exception, ConnectionError)

    def test_timeout_is_deadline_exceeded(self):
        released = threading.Event()

        def wait(request, context):
            context.add_callback(released.set)
            released.wait()
            return b""

        with ScriptedServer(ComputeLoss=wait) as scripted:
            with lossd.Client(scripted.address, timeout=0.2) as slow:
                with self.assertRaisesRegex(
                        lossd.DeadlineExceededError, "1 attempt") as caught:
                    slow.cross_entropy(LOGITS, [0, 1])
        self.assertIsInstance(caught.exception, TimeoutError)

    def test_closed_client_says_so(self):
        closed = lossd.Client(server.address)
        closed.close()
        for transfer in ("unary", "stream"):
            with self.assertRaisesRegex(lossd.CancelledError, "closed"):
                closed.cross_entropy(LOGITS, [0, 1], transfer=transfer)

    def test_closing_ends_the_calls_under_way(self):
        for transfer in ("unary", "stream"):
            begun, ended = threading.Event(), threading.Event()

            def wait(request, context):
                context.add_callback(ended.set)
                begun.set()
                ended.wait()
                return b""

            with ScriptedServer(ComputeLoss=wait, StreamLoss=wait) as scripted:
                closed = lossd.Client(scripted.address, timeout=None)
                thread = threading.Thread(target=lambda: (begun.wait(), closed.close()))
                thread.start()
                with self.assertRaises(lossd.CancelledError):
                    closed.cross_entropy(LOGITS, [0, 1], transfer=transfer)
                thread.join()
                ended.wait()

    def test_unknown_codes_and_broken_details_are_errors_still(self):
        def fail(request, context):
            context.set_trailing_metadata((("grpc-status-details-bin", b"\x1a\xff"),))
            context.abort(grpc.StatusCode.DATA_LOSS, "gone")

        with ScriptedServer(ComputeLoss=fail) as scripted:
            with lossd.Client(scripted.address) as broken:
                with self.assertRaisesRegex(lossd.Error, "gone") as caught:
                    broken.cross_entropy(LOGITS, [0, 1])
        self.assertEqual(caught.exception.code, grpc.StatusCode.DATA_LOSS)
        self.assertEqual((caught.exception.reason, caught.exception.metadata), ("", {}))

    def test_every_code_has_its_class(self):
        for code, cls in errors._CLASSES.items():
            def fail(request, context, code=code):
                context.abort(code, "no")

            retry = lossd.RetryOptions(max_attempts=1)
            with ScriptedServer(GetServerInfo=fail) as scripted:
                with lossd.Client(scripted.address, retry=retry) as refused:
                    with self.assertRaises(cls) as caught:
                        refused.server_info()
                    self.assertEqual(caught.exception.code, code)


class LocalErrorTest(unittest.TestCase):
    """Nothing is sent: there is no server."""

    client = lossd.Client("127.0.0.1:1", retry=lossd.RetryOptions(max_attempts=1))

    @classmethod
    def tearDownClass(cls):
        cls.client.close()

    def refused(self, pattern, field, *arguments, **options):
        with self.assertRaisesRegex(lossd.InvalidArgumentError, pattern) as caught:
            self.client.cross_entropy(*arguments, **options)
        self.assertEqual(caught.exception.field, field)
        self.assertEqual(caught.exception.reason, "")

    def test_types(self):
        self.refused("logits: of dtype int64, want float16", "logits", [[1, 2]], [0])
        self.refused("logits: of dtype <U1", "logits", "a", [0])
        self.refused("labels: of dtype bool, want integers", "labels", LOGITS, [True, False])
        self.refused("labels: of dtype uint64", "labels", LOGITS, np.array([0, 1], "u8"))
        self.refused("gradient_dtype = int8, want", "gradient_dtype", LOGITS, [0, 1],
                     gradient_dtype="int8")
        self.refused("gradient_dtype = 'float8', want", "gradient_dtype", LOGITS, [0, 1],
                     gradient_dtype="float8")
        self.refused("row_weights: .*, want numbers", "row_weights", LOGITS, [0, 1],
                     row_weights="ab")
        with self.assertRaisesRegex(lossd.InvalidArgumentError, "float32, want uint16"):
            lossd.BFloat16(LOGITS)

    def test_choices(self):
        self.refused("reduction = 'avg', want one of mean, sum, none", "reduction",
                     LOGITS, [0, 1], reduction="avg")
        self.refused("outputs = 'loses', want one of loss, gradient", "outputs",
                     LOGITS, [0, 1], outputs=["loses"])
        self.refused("non_finite = 'ignore', want one of reject, propagate", "non_finite",
                     LOGITS, [0, 1], non_finite="ignore")
        self.refused("transfer = 'fast', want one of auto, unary, stream", "transfer",
                     LOGITS, [0, 1], transfer="fast")

    def test_class_axis_at_its_bounds_and_past_them(self):
        for axis in (2, -3):
            self.refused(rf"class_axis = {axis}, want \[-2, 2\)", "class_axis", LOGITS, [0, 1],
                         class_axis=axis)
        for axis in (1, -2):
            with self.assertRaises(lossd.UnavailableError):
                self.client.cross_entropy(LOGITS, [0, 1, 0], class_axis=axis)
        self.refused("logits: a scalar", "logits", np.float32(1), [0])

    def test_timeout_is_above_zero(self):
        self.refused("timeout = 0, want > 0", "timeout", LOGITS, [0, 1], timeout=0)
        with self.assertRaisesRegex(lossd.InvalidArgumentError, "timeout = -1"):
            lossd.Client("127.0.0.1:1", timeout=-1)
        with self.assertRaises(lossd.UnavailableError):
            self.client.cross_entropy(LOGITS, [0, 1], timeout=float("inf"))

    def test_loss_options(self):
        self.refused("label_smoothing = 'x', want a number", "label_smoothing", LOGITS, [0, 1],
                     label_smoothing="x")
        self.refused("ignore_index = 0.5, want an integer", "ignore_index", LOGITS, [0, 1],
                     ignore_index=0.5)
        self.refused("ignore_index = 9223372036854775808, want an integer of 64 bits",
                     "ignore_index", LOGITS, [0, 1], ignore_index=2**63)
        self.refused("divisor = 'x', want a number", "divisor", LOGITS, [0, 1], divisor="x")
        with self.assertRaisesRegex(lossd.InvalidArgumentError, "loss = 'huber', want one"):
            self.client.compute_loss("huber", LOGITS, LOGITS)

    def test_unknown_options_are_type_errors(self):
        with self.assertRaisesRegex(TypeError, "smoothing"):
            self.client.cross_entropy(LOGITS, [0, 1], smoothing=1)

    def test_streams_of_what_cannot_be_one(self):
        self.refused("class_axis = 0 of logits of shape .*, want the last", "transfer",
                     LOGITS, [0, 1, 0], class_axis=0, transfer="stream")
        self.refused("probabilities were asked of a stream", "transfer", LOGITS, [0, 1],
                     outputs=["probabilities"], transfer="stream")

    def test_weight_of_a_margin_loss_is_one_per_class(self):
        with self.assertRaisesRegex(lossd.InvalidArgumentError, r"weight has shape \(2,\)"):
            self.client.multi_margin_loss(LOGITS, [0, 1], weight=[1, 2])

    def test_empty_target(self):
        with self.assertRaisesRegex(lossd.InvalidArgumentError, "the target is empty"):
            lossd.Client("")


if __name__ == "__main__":
    unittest.main()
