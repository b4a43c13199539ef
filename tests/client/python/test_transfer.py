"""Which way a batch goes, and what streams do."""

import threading
import unittest

import grpc
import numpy as np

import lossd
from lossd import _transfer
from lossd._batch import Batch
from lossd._kept_memory import KeptMemory
from lossd.v1 import loss_service_pb2 as pb
from lossd_client import LossdProcess
from support import BINARY, ScriptedServer, draw, draw_labels, start_server


def setUpModule():
    start_server(globals())


def batch_of(rows, classes, **options):
    return Batch(lossd.SoftmaxCrossEntropy(), draw((rows, classes)),
                 draw_labels(rows, classes), **options)


def streams(batch, way="auto", limit=None):
    return _transfer.Transfer(batch, way, limit or _transfer.ServerLimit()).streams


def same(one, other):
    return one.loss == other.loss and np.array_equal(one.gradient, other.gradient)


class WayTest(unittest.TestCase):
    def test_auto_streams_from_4_mib_of_logits_on(self):
        self.assertFalse(streams(batch_of(1, (1 << 20) - 1)))
        self.assertTrue(streams(batch_of(1, 1 << 20)))

    def test_auto_streams_what_is_larger_than_the_server_takes(self):
        batch = batch_of(10, 10)
        limit = _transfer.ServerLimit()
        limit.bytes = batch.request_bytes()
        self.assertFalse(streams(batch, limit=limit))
        limit.bytes -= 1
        self.assertTrue(streams(batch, limit=limit))
        self.assertFalse(streams(batch, "unary", limit))

    def test_auto_sends_whole_what_cannot_be_a_stream(self):
        self.assertFalse(streams(batch_of(2, 1 << 20, outputs=["probabilities"])))
        logits = draw((1, 2, 1 << 20))
        inner = Batch(lossd.SquaredError(), logits, logits, class_axis=1)
        self.assertFalse(streams(inner))

    def test_chunks_are_of_1_mib_and_of_a_row_at_least(self):
        for classes, rows in ((1 << 18, 1), (1 << 17, 2), ((1 << 18) + 1, 1), (3, 87381)):
            transfer = _transfer.Transfer(batch_of(4, classes), "stream", _transfer.ServerLimit())
            self.assertEqual(transfer.chunk_rows, rows)

    def test_chunks_head_is_as_long_as_said(self):
        for length in (1, 1 << 20, (1 << 27)):
            chunk = _transfer._wire.key(1, length)
            head = _transfer._wire.key(2, len(chunk) + length)
            self.assertLessEqual(len(chunk + head), _transfer.CHUNK_HEAD_BYTES)


class StreamTest(unittest.TestCase):
    def test_has_the_bits_of_one_message(self):
        rows, classes = 300, 2000
        logits, labels = draw((rows, classes)), draw_labels(rows, classes)
        unary = client.cross_entropy(logits, labels, transfer="unary")
        for dtype in (None, "float64", "float16", "bfloat16"):
            one = client.cross_entropy(logits, labels, transfer="unary", gradient_dtype=dtype)
            chunks = client.cross_entropy(logits, labels, transfer="stream", gradient_dtype=dtype)
            self.assertTrue(same(one, chunks), dtype)
        self.assertFalse(unary.gradient.flags.writeable)
        self.assertTrue(chunks.gradient.flags.writeable)

    def test_streams_every_output_that_it_may(self):
        logits, labels = draw((5, 4)), draw_labels(5, 4)
        options = {"outputs": ["loss", "row_losses", "log_sum_exp", "predictions"]}
        one = client.cross_entropy(logits, labels, **options)
        chunks = client.cross_entropy(logits, labels, transfer="stream", **options)
        self.assertEqual(one.loss, chunks.loss)
        for name in ("row_losses", "log_sum_exp", "predictions"):
            np.testing.assert_array_equal(getattr(one, name), getattr(chunks, name))
        self.assertIsNone(chunks.gradient)

    def test_streams_other_ranks_elements_and_no_rows(self):
        logits = draw((2, 3, 4))
        for reduction in ("mean", "sum", "none"):
            one = client.mse_loss(logits, logits + 1, reduction=reduction)
            chunks = client.mse_loss(logits, logits + 1, reduction=reduction, transfer="stream")
            self.assertEqual(chunks.gradient.shape, (2, 3, 4))
            np.testing.assert_array_equal(one.gradient, chunks.gradient)
            np.testing.assert_array_equal(one.loss, chunks.loss)
        seen = []
        empty = client.cross_entropy(np.zeros((0, 3)), [], transfer="stream",
                                     progress=lambda *rows: seen.append(rows))
        self.assertEqual((empty.gradient.shape, seen), ((0, 3), [(0, 0)]))

    def test_reports_progress_to_the_last_row(self):
        rows, classes = 40, 1 << 16
        logits, labels = draw((rows, classes)), draw_labels(rows, classes)
        for outputs in (("loss", "gradient"), ("loss",)):
            seen, threads = [], set()

            def progress(done, of):
                seen.append((done, of))
                threads.add(threading.current_thread())

            client.cross_entropy(logits, labels, progress=progress, outputs=outputs)
            self.assertGreater(len(seen), 2)
            self.assertEqual(seen, sorted(set(seen)))
            self.assertEqual(seen[-1], (rows, rows))
            if "gradient" in outputs:
                self.assertEqual(threads, {threading.current_thread()})
        seen = []
        client.cross_entropy(logits[:2, :9], [0, 1], progress=lambda *rows: seen.append(rows))
        self.assertEqual(seen, [(2, 2)])

    def test_what_progress_raises_ends_the_call(self):
        def fail(done, of):
            raise KeyError("enough")

        for outputs in ("gradient", "loss"):
            with self.assertRaisesRegex(KeyError, "enough"):
                client.cross_entropy(draw((40, 100)), draw_labels(40, 100), outputs=outputs,
                                     transfer="stream", progress=fail)
        client.server_info()

    def test_a_bad_row_fails_the_batch(self):
        labels = draw_labels(100, 1 << 16)
        labels[99] = 1 << 16
        with self.assertRaisesRegex(lossd.InvalidArgumentError, r"labels\[99\] = 65536"):
            client.cross_entropy(draw((100, 1 << 16)), labels)


class LimitTest(unittest.TestCase):
    def test_client_learns_the_limit_and_goes_in_chunks(self):
        rows, classes = 100, 100
        logits, labels = draw((rows, classes)), draw_labels(rows, classes)
        whole = client.cross_entropy(logits, labels)
        bytes_of = Batch(lossd.SoftmaxCrossEntropy(ignore_index=-100), logits, labels,
                         class_axis=1).request_bytes()
        for limit, goes_in_chunks in ((bytes_of, False), (bytes_of - 1, True), (5000, True)):
            with LossdProcess(BINARY, "--max-request-bytes", str(limit)) as small:
                with lossd.Client(small.address) as learner:
                    self.assertTrue(same(learner.cross_entropy(logits, labels), whole))
                    learned = limit if goes_in_chunks else _transfer.MAX_MESSAGE_BYTES
                    self.assertEqual(learner._limit.bytes, learned)

    def test_stream_of_longer_chunks_than_the_server_takes_is_cut_smaller(self):
        logits, labels = draw((600, 600)), draw_labels(600, 600)
        whole = client.cross_entropy(logits, labels)
        with LossdProcess(BINARY, "--max-request-bytes", "20000") as small:
            with lossd.Client(small.address) as learner:
                chunks = learner.cross_entropy(logits, labels, transfer="stream")
        self.assertTrue(same(chunks, whole))

    def test_one_message_that_is_too_large_says_the_limit(self):
        with LossdProcess(BINARY, "--max-request-bytes", "1000") as small:
            with lossd.Client(small.address) as learner:
                with self.assertRaises(lossd.ResourceExhaustedError) as caught:
                    learner.cross_entropy(draw((20, 20)), draw_labels(20, 20), transfer="unary")
                self.assertEqual(caught.exception.reason, "REQUEST_TOO_LARGE")
                self.assertEqual(caught.exception.metadata["max_request_bytes"], "1000")
                with self.assertRaises(lossd.ResourceExhaustedError):
                    learner.cross_entropy(draw((1, 500)), [0])  # one row is larger

    def test_server_without_streams_gets_one_message(self):
        def no_stream(requests, context):
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "no streams here")

        def compute_loss(request, context):
            logits = pb.ComputeLossRequest.FromString(request).logits
            answer = pb.ComputeLossResponse(loss=2, gradient=logits)
            return answer.SerializeToString()

        logits, labels = draw((2, 1 << 20)), [0, 1]
        with ScriptedServer(StreamLoss=no_stream, ComputeLoss=compute_loss) as scripted:
            with lossd.Client(scripted.address) as asked:
                result = asked.cross_entropy(logits, labels)
                np.testing.assert_array_equal(result.gradient, logits)
                with self.assertRaises(lossd.UnimplementedError):
                    asked.cross_entropy(logits, labels, transfer="stream")
        self.assertEqual([method for method, _ in scripted.calls],
                         ["StreamLoss", "ComputeLoss", "StreamLoss"])


class AnswerTest(unittest.TestCase):
    """What no lossd answers is an InternalError."""

    def refused(self, pattern, *answers, outputs=("loss", "gradient")):
        attempt = _transfer.StreamAttempt(batch_of(2, 3, outputs=outputs), 2, None, KeptMemory())
        list(attempt.messages())
        with self.assertRaisesRegex(lossd.InternalError, pattern):
            for answer in answers:
                attempt.take(answer.SerializeToString())
            attempt.result()

    def chunk(self, first_row, rows, more=b""):
        chunk = pb.GradientChunk(first_row=first_row, raw=bytes(12 * rows) + more)
        return pb.StreamLossResponse(gradient_chunk=chunk)

    summary = pb.StreamLossResponse(summary=pb.ComputeLossResponse(loss=1))

    def test_all_that_can_be_wrong(self):
        self.refused("without a summary, 2 of 2 rows sent", self.chunk(0, 2))
        self.refused("summary after 1 of 2 rows", self.chunk(0, 1), self.summary)
        self.refused("from row 1, want row 0", self.chunk(1, 1))
        self.refused("from row 0, want row 1", self.chunk(0, 1), self.chunk(0, 1))
        self.refused("36 bytes of gradient .* multiple of 12 up to 24", self.chunk(0, 3))
        self.refused("13 bytes of gradient", self.chunk(0, 1, b"x"))
        self.refused("0 bytes of gradient", self.chunk(0, 0))
        self.refused("want none", self.chunk(0, 1), outputs=["loss"])
        self.refused("more after its summary", self.chunk(0, 2), self.summary, self.summary)
        self.refused("neither", pb.StreamLossResponse())

    def test_bytes_that_are_no_message(self):
        attempt = _transfer.StreamAttempt(batch_of(2, 3), 2, None, KeptMemory())
        for answer in (b"\x0a", b"\x0a\x02\x12", b"\x08\x01"):
            with self.assertRaisesRegex(lossd.InternalError, "no valid message"):
                attempt.take(answer)

    def test_client_ends_a_stream_whose_answer_it_refuses(self):
        ended = threading.Event()

        def wrong(requests, context):
            context.add_callback(ended.set)
            yield self.chunk(1, 1).SerializeToString()
            ended.wait()

        with ScriptedServer(StreamLoss=wrong) as scripted, lossd.Client(scripted.address) as c:
            with self.assertRaisesRegex(lossd.InternalError, "want row 0"):
                c.cross_entropy(draw((2, 3)), [0, 1], transfer="stream")
            ended.wait()


if __name__ == "__main__":
    unittest.main()
