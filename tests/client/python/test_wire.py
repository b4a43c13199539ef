"""The wire format by hand, held against protobuf's own classes; and how often tensors
are copied."""

import tracemalloc
import unittest

import numpy as np

import lossd
from lossd import _arrays, _wire
from lossd._batch import Batch
from lossd.v1 import loss_service_pb2 as pb
from support import draw, draw_labels

SLACK_BYTES = 64 << 10


def peak_of(run):
    """The result of `run` and the most bytes it had allocated at once."""
    tracemalloc.start()
    try:
        result = run()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class WireTest(unittest.TestCase):
    def test_varint_is_protobufs(self):
        for value in (0, 1, 127, 128, 2**31, 2**63 - 1, -1, -(2**63)):
            packed = pb.Int64Values(values=[value]).SerializeToString()
            self.assertEqual(_wire.key(1, len(_wire.varint(value))) + _wire.varint(value), packed)
            (field,) = _wire.read_fields(memoryview(packed))
            self.assertEqual(list(_wire.read_packed(field[1])), [value])

    def test_varint_ends_at_ten_bytes(self):
        longest = b"\xff" * 9 + b"\x01"
        self.assertEqual(_wire.read_varint(memoryview(longest), 0), (2**64 - 1, 10))
        with self.assertRaises(_wire.WireError):
            _wire.read_varint(memoryview(b"\xff" * 10 + b"\x01"), 0)

    def test_reader_refuses_what_is_no_message(self):
        for data in (b"\x80", b"\x08", b"\x0a\x02a", b"\x09" + bytes(7), b"\x0d" + bytes(3),
                     b"\x0b", b"\x00\x00", b"\x0e"):
            with self.assertRaises(_wire.WireError, msg=data):
                list(_wire.read_fields(memoryview(data)))

    def test_reader_takes_every_wire_type(self):
        data = b"\x08\x05" + b"\x11" + bytes(8) + b"\x1a\x01x" + b"\x25" + bytes(4)
        found = [(n, v if isinstance(v, int) else bytes(v))
                 for n, v in _wire.read_fields(memoryview(data))]
        self.assertEqual(found, [(1, 5), (2, bytes(8)), (3, b"x"), (4, bytes(4))])


class RequestTest(unittest.TestCase):
    def batch(self, **options):
        return Batch(
            lossd.SoftmaxCrossEntropy(
                label_smoothing=0.1, class_weights=[1, 2, 0.5], ignore_index=-7,
                z_loss=1e-4, logit_scale=0.5, logit_softcap=30,
            ),
            draw((2, 3)), np.array([0, -7]), reduction="mean", class_axis=-1,
            divisor=4, row_weights=[1, 0.5], upstream_gradient=2.0,
            outputs=("loss", "gradient", "predictions"), gradient_dtype="float64",
            non_finite="propagate", **options,
        )

    def expected(self):
        def doubles(*values):
            array = np.array(values, "<f8")
            return pb.Tensor(data_type=pb.DATA_TYPE_FLOAT64, shape=array.shape,
                             raw=array.tobytes())

        upstream = pb.Tensor(data_type=pb.DATA_TYPE_FLOAT64, raw=np.float64(2).tobytes())
        return pb.ComputeLossRequest(
            loss=pb.LossSpec(softmax_cross_entropy=pb.SoftmaxCrossEntropy(
                label_smoothing=0.1, class_weights=doubles(1, 2, 0.5), ignore_index=-7,
                z_loss=1e-4, logit_scale=0.5, logit_softcap=30)),
            reduction=pb.REDUCTION_MEAN, divisor=4, class_axis=1,
            outputs=[pb.OUTPUT_LOSS, pb.OUTPUT_GRADIENT, pb.OUTPUT_PREDICTIONS],
            gradient_data_type=pb.DATA_TYPE_FLOAT64,
            non_finite_policy=pb.NON_FINITE_POLICY_PROPAGATE,
            row_weights=doubles(1, 0.5), upstream_gradient=upstream,
            labels=pb.Tensor(data_type=pb.DATA_TYPE_INT64, shape=[2],
                             raw=np.array([0, -7], "<i8").tobytes()),
            logits=pb.Tensor(data_type=pb.DATA_TYPE_FLOAT32, shape=[2, 3],
                             raw=draw((2, 3)).tobytes()))

    def test_request_is_what_protobuf_makes_of_every_option(self):
        batch = self.batch()
        self.assertEqual(batch.request(), self.expected().SerializeToString())
        self.assertEqual(batch.request_bytes(), len(batch.request()))

    def test_hessian_request_is_what_protobuf_makes(self):
        vector = draw((2, 3), seed=3)
        batch = self.batch()
        want = pb.ComputeHessianVectorProductRequest(
            base=self.expected(),
            vector=pb.Tensor(data_type=pb.DATA_TYPE_FLOAT32, shape=[2, 3],
                             raw=vector.tobytes()))
        self.assertEqual(batch.hessian_request(batch.vector(vector)),
                         want.SerializeToString())

    def test_stream_is_what_protobuf_makes(self):
        header = self.expected()
        header.logits.ClearField("contents")
        want = [pb.StreamLossRequest(header=header).SerializeToString()]
        for row in draw((2, 3)):
            chunk = pb.LogitsChunk(raw=row.tobytes())
            want.append(pb.StreamLossRequest(chunk=chunk).SerializeToString())
        batch = self.batch()
        self.assertEqual(
            [batch.stream_header()] + [m for _, m in batch.stream_chunks(1)], want)

    def test_each_loss_and_option_reaches_its_field(self):
        for loss, want in (
            (lossd.SigmoidCrossEntropy(label_smoothing=0.2),
             pb.LossSpec(sigmoid_cross_entropy=pb.SigmoidCrossEntropy(label_smoothing=0.2))),
            (lossd.NegativeLogLikelihood(ignore_index=3),
             pb.LossSpec(negative_log_likelihood=pb.NegativeLogLikelihood(ignore_index=3))),
            (lossd.KlDivergence(temperature=2, targets_are_logits=True),
             pb.LossSpec(kl_divergence=pb.KlDivergence(temperature=2, targets_are_logits=True))),
            (lossd.SoftmaxFocal(gamma=0, ignore_index=1),
             pb.LossSpec(softmax_focal=pb.SoftmaxFocal(gamma=0, ignore_index=1))),
            (lossd.SigmoidFocal(gamma=3, alpha=0.25),
             pb.LossSpec(sigmoid_focal=pb.SigmoidFocal(gamma=3, alpha=0.25))),
            (lossd.MulticlassHinge(margin=-0.5, power=2),
             pb.LossSpec(multiclass_hinge=pb.MulticlassHinge(margin=-0.5, power=2))),
            (lossd.SquaredError(), pb.LossSpec(squared_error=pb.SquaredError())),
            (lossd.Huber(delta=0.5), pb.LossSpec(huber=pb.Huber(delta=0.5))),
        ):
            sent = pb.ComputeLossRequest.FromString(Batch(loss, draw((1, 2)), [0]).request())
            self.assertEqual(sent.loss, want)

    def test_each_type_and_layout_is_sent_as_its_values(self):
        values = np.arange(6).reshape(2, 3)
        for dtype, data_type in (("f2", pb.DATA_TYPE_FLOAT16), ("f4", pb.DATA_TYPE_FLOAT32),
                                 ("f8", pb.DATA_TYPE_FLOAT64)):
            want = values.astype("<" + dtype).tobytes()
            for logits in (values.astype("<" + dtype), values.astype(">" + dtype),
                           np.asfortranarray(values.astype(dtype)),
                           np.repeat(values.astype(dtype), 2, axis=1)[:, ::2]):
                tensor = _arrays.float_tensor("logits", logits)
                self.assertEqual((bytes(tensor.raw()), tensor.data_type), (want, data_type))
        bits = np.array([[0x3F80, 0x4000]], np.uint16)
        tensor = _arrays.float_tensor("logits", lossd.BFloat16(bits))
        self.assertEqual((bytes(tensor.raw()), tensor.data_type),
                         (bits.tobytes(), pb.DATA_TYPE_BFLOAT16))

    def test_labels_keep_int32_and_become_int64(self):
        for dtype, data_type in (("i4", pb.DATA_TYPE_INT32), ("i8", pb.DATA_TYPE_INT64),
                                 ("u1", pb.DATA_TYPE_INT64), ("u4", pb.DATA_TYPE_INT64)):
            tensor = _arrays.label_tensor(np.array([1, 2], dtype))
            self.assertEqual((tensor.data_type, tensor.values.tolist()), (data_type, [1, 2]))


class CopiesTest(unittest.TestCase):
    """4 MB of logits are far above what else a call allocates."""

    logits = draw((100, 10_000))
    labels = draw_labels(100, 10_000)

    def batch(self, logits, **options):
        return Batch(lossd.SoftmaxCrossEntropy(), logits, self.labels, **options)

    def test_request_copies_the_logits_once(self):
        request, peak = peak_of(lambda: self.batch(self.logits).request())
        self.assertGreater(len(request), self.logits.nbytes)
        self.assertLess(peak, self.logits.nbytes + SLACK_BYTES)

    def test_request_copies_the_targets_once(self):
        run = lambda: Batch(lossd.SquaredError(), self.logits, self.logits).request()
        request, peak = peak_of(run)
        self.assertLess(peak, 2 * self.logits.nbytes + SLACK_BYTES)

    def test_request_copies_what_is_not_contiguous_twice(self):
        logits = np.asfortranarray(self.logits)
        _, peak = peak_of(lambda: self.batch(logits).request())
        self.assertGreater(peak, 2 * self.logits.nbytes)
        self.assertLess(peak, 2 * self.logits.nbytes + SLACK_BYTES)

    def answer(self):
        return pb.ComputeLossResponse(
            loss=1.5, correct_count=2, row_count=100, divisor=100,
            gradient=pb.Tensor(data_type=pb.DATA_TYPE_FLOAT32, shape=self.logits.shape,
                               raw=self.logits.tobytes())).SerializeToString()

    def test_result_is_a_view_of_the_answer(self):
        answer = self.answer()
        batch = self.batch(self.logits)
        result, peak = peak_of(lambda: batch.result(memoryview(answer)))
        self.assertLess(peak, SLACK_BYTES)
        self.assertTrue(np.shares_memory(result.gradient, np.frombuffer(answer, np.uint8)))
        np.testing.assert_array_equal(result.gradient, self.logits)
        self.assertEqual((result.loss, result.correct_count, result.row_count, result.divisor),
                         (1.5, 2, 100, 100))

    def test_client_hands_over_the_request_and_reads_the_answer_as_they_are(self):
        answer = self.answer()
        handed = []

        def compute_loss(request, **_):
            handed.append(request)
            return answer

        with lossd.Client("127.0.0.1:1") as client:
            client._methods["ComputeLoss"] = compute_loss
            result, peak = peak_of(
                lambda: client.cross_entropy(self.logits, self.labels, transfer="unary"))
        self.assertIs(type(handed[0]), bytes)
        self.assertLess(peak, len(handed[0]) + SLACK_BYTES)
        self.assertTrue(np.shares_memory(result.gradient, np.frombuffer(answer, np.uint8)))

    def test_stream_copies_a_chunk_at_a_time(self):
        batch = self.batch(self.logits)

        def send_all():
            return sum(len(message) for _, message in batch.stream_chunks(10))

        length, peak = peak_of(send_all)
        self.assertGreater(length, self.logits.nbytes)
        self.assertLess(peak, 2 * self.logits.nbytes // 10 + SLACK_BYTES)


class AnswerTest(unittest.TestCase):
    batch = Batch(lossd.SoftmaxCrossEntropy(), draw((2, 3)), [0, 1])

    def gradient(self, **changes):
        return {"data_type": pb.DATA_TYPE_FLOAT32, "shape": [2, 3], "raw": bytes(24), **changes}

    def test_refuses_a_gradient_of_another_type_shape_or_length(self):
        for changes in ({"data_type": pb.DATA_TYPE_FLOAT64}, {"shape": [3, 2]},
                        {"raw": bytes(20)}, {"raw": bytes(28)}, {"shape": []}):
            answer = pb.ComputeLossResponse(gradient=pb.Tensor(**self.gradient(**changes)))
            with self.assertRaisesRegex(lossd.InternalError, "the server answered gradient of"):
                self.batch.result(memoryview(answer.SerializeToString()))

    def test_refuses_no_gradient(self):
        with self.assertRaisesRegex(lossd.InternalError, "answered no gradient"):
            self.batch.result(memoryview(b""))

    def test_refuses_what_is_no_message(self):
        for answer in (b"\x0a", b"\x08\x01", b"\x78\x01"):
            with self.assertRaisesRegex(lossd.InternalError, "no valid message"):
                self.batch.result(memoryview(answer))

    def test_reads_unpacked_shapes_and_skips_unknown_fields(self):
        tensor = b"\x08\x01" + b"\x10\x02\x10\x03" + b"\x1a\x18" + bytes(24)
        answer = b"\xf8\x07\x01" + _wire.key(15, len(tensor)) + tensor
        result = self.batch.result(memoryview(answer))
        self.assertEqual(result.gradient.shape, (2, 3))
        self.assertIsNone(result.loss)

    def test_refuses_no_product(self):
        with self.assertRaisesRegex(lossd.InternalError, "answered no product"):
            self.batch.product(b"")


if __name__ == "__main__":
    unittest.main()
