"""Retries, deadlines and cancelling."""

import math
import threading
import unittest

import grpc
import numpy as np

import lossd
from lossd import errors
from lossd._retry import retry_delay
from lossd.v1 import loss_service_pb2 as pb
from lossd_client import LossdProcess
from support import BINARY, ScriptedServer, draw

LOGITS = draw((2, 3))
FAST = lossd.RetryOptions(initial_backoff=0.001, max_backoff=0.002)
INFO = pb.GetServerInfoResponse(version="1").SerializeToString()


SOON = (("grpc-retry-pushback-ms", "1"),)


def unavailable(**details):
    return lossd.UnavailableError("overloaded", **details)


class DelayTest(unittest.TestCase):
    """As the C++ client's."""

    options = lossd.RetryOptions(
        max_attempts=4, initial_backoff=0.1, max_backoff=0.3, multiplier=2, jitter=0.5)

    def delay(self, attempt, error, random=0.5):
        return retry_delay(self.options, attempt, error, random)

    def test_grows_up_to_its_bound(self):
        delays = [self.delay(attempt, unavailable()) for attempt in (1, 2, 3)]
        np.testing.assert_allclose(delays, [0.1, 0.2, 0.3])
        self.assertIsNone(self.delay(4, unavailable()))

    def test_jitter_goes_both_ways(self):
        self.assertAlmostEqual(self.delay(1, unavailable(), 0.0), 0.05)
        self.assertAlmostEqual(self.delay(1, unavailable(), 0.999), 0.1499)

    def test_what_the_server_asks_for_is_lengthened_only(self):
        for error in (unavailable(retry_delay=2.0), unavailable(pushback_ms="2000"),
                      unavailable(retry_delay=9.0, pushback_ms="2000")):
            self.assertAlmostEqual(self.delay(1, error, 0.0), 2.0)
            self.assertAlmostEqual(self.delay(1, error, 0.5), 2.5)

    def test_negative_pushback_forbids(self):
        self.assertEqual(self.delay(1, unavailable(pushback_ms="0")), 0)
        for pushback in ("-1", "soon", ""):
            self.assertIsNone(self.delay(1, unavailable(pushback_ms=pushback)))

    def test_nothing_but_unavailable_is_retried(self):
        for cls in errors._CLASSES.values():
            waits = self.delay(1, cls("no")) is not None
            self.assertEqual(waits, cls is lossd.UnavailableError)

    def test_options_at_their_bounds_and_past_them(self):
        lossd.RetryOptions(max_attempts=1, initial_backoff=5, max_backoff=5, multiplier=1, jitter=0)
        for option in ({"max_attempts": 0}, {"initial_backoff": 0}, {"initial_backoff": 5.1},
                       {"multiplier": 0.99}, {"multiplier": math.inf}, {"jitter": 1},
                       {"jitter": -0.01}, {"multiplier": math.nan}):
            (name,) = option
            with self.assertRaisesRegex(lossd.InvalidArgumentError, f"retry.{name} = "):
                lossd.RetryOptions(**option)


class RetryTest(unittest.TestCase):
    def failing(self, times, answer, code=grpc.StatusCode.UNAVAILABLE, metadata=SOON):
        left = iter(range(times))

        def run(request, context):
            if next(left, None) is not None:
                context.set_trailing_metadata(metadata)
                context.abort(code, "overloaded")
            return answer(request) if callable(answer) else answer

        return run

    def test_unary_call_succeeds_after_retries(self):
        with ScriptedServer(GetServerInfo=self.failing(4, INFO)) as scripted:
            with lossd.Client(scripted.address, retry=FAST) as client:
                self.assertEqual(client.server_info().version, "1")
        self.assertEqual(len(scripted.calls), 5)

    def test_gives_up_after_the_last_attempt(self):
        with ScriptedServer(GetServerInfo=self.failing(5, INFO)) as scripted:
            with lossd.Client(scripted.address, retry=FAST) as client:
                with self.assertRaisesRegex(
                        lossd.UnavailableError, rf"overloaded \({scripted.address}, 5 attempts\)"):
                    client.server_info()
        self.assertEqual(len(scripted.calls), 5)

    def test_stream_begins_again(self):
        times, seen = iter(range(2)), []

        def stream(requests, context):
            header = pb.StreamLossRequest.FromString(next(requests)).header
            for number, request in enumerate(requests):
                raw = pb.StreamLossRequest.FromString(request).chunk.raw
                chunk = pb.GradientChunk(first_row=number, raw=raw)
                yield pb.StreamLossResponse(gradient_chunk=chunk).SerializeToString()
                if next(times, None) is not None:
                    context.abort(grpc.StatusCode.UNAVAILABLE, "draining")
            summary = pb.ComputeLossResponse(loss=1.0, row_count=header.logits.shape[0])
            yield pb.StreamLossResponse(summary=summary).SerializeToString()

        logits = draw((3, 1 << 18))
        with ScriptedServer(StreamLoss=stream) as scripted:
            with lossd.Client(scripted.address, retry=FAST) as client:
                result = client.cross_entropy(
                    logits, [0, 1, 2], transfer="stream",
                    progress=lambda done, rows: seen.append(done))
        self.assertEqual(len(scripted.calls), 3)
        np.testing.assert_array_equal(result.gradient, logits)
        self.assertEqual(seen, [1, 1, 1, 2, 3])

    def test_pushback_of_the_server_ends_the_attempts(self):
        metadata = (("grpc-retry-pushback-ms", "-1"),)
        with ScriptedServer(GetServerInfo=self.failing(1, INFO, metadata=metadata)) as scripted:
            with lossd.Client(scripted.address, retry=FAST) as client:
                with self.assertRaisesRegex(lossd.UnavailableError, "1 attempt"):
                    client.server_info()

    def test_wait_that_would_reach_the_timeout_is_not_begun(self):
        metadata = (("grpc-retry-pushback-ms", "3600000"),)
        with ScriptedServer(GetServerInfo=self.failing(1, INFO, metadata=metadata)) as scripted:
            with lossd.Client(scripted.address, timeout=30) as client:
                with self.assertRaisesRegex(lossd.UnavailableError, "1 attempt"):
                    client.server_info()

    def test_timeout_reaches_the_server(self):
        with ScriptedServer(GetServerInfo=lambda *_: INFO) as scripted:
            with lossd.Client(scripted.address, timeout=1000) as client:
                client.server_info()
                client.server_info(timeout=10)
                client.server_info(timeout=math.inf)
        (_, default), (_, own), (_, none) = scripted.calls
        # gRPC rounds what it sends up.
        self.assertTrue(100 < default < 1100, default)
        self.assertTrue(0 < own < 11, own)
        self.assertTrue(none is None or none > 1e6, none)

    def test_request_length_reaches_the_server(self):
        seen = {}

        def compute_loss(request, context):
            seen.update(context.invocation_metadata(), length=len(request))
            return pb.ComputeLossResponse(loss=1.0).SerializeToString()

        with ScriptedServer(ComputeLoss=compute_loss) as scripted:
            with lossd.Client(scripted.address) as client:
                client.cross_entropy(LOGITS, [0, 1], outputs="loss")
        self.assertEqual(seen["lossd-request-bytes"], str(seen["length"]))

    def test_retry_info_of_a_draining_lossd_is_read(self):
        # google.rpc.Status{details: [Any{RetryInfo{retry_delay{seconds: 1, nanos: 5e8}}}]}
        url = b"type.googleapis.com/google.rpc.RetryInfo"
        info = b"\x0a\x08\x08\x01\x10\x80\xca\xb5\xee\x01"
        any_bytes = b"\x0a" + bytes([len(url)]) + url + b"\x12" + bytes([len(info)]) + info
        status = b"\x1a" + bytes([len(any_bytes)]) + any_bytes
        metadata = (("grpc-status-details-bin", status),)
        with ScriptedServer(GetServerInfo=self.failing(1, INFO, metadata=metadata)) as scripted:
            once = lossd.RetryOptions(max_attempts=1)
            with lossd.Client(scripted.address, retry=once) as client:
                with self.assertRaises(lossd.UnavailableError) as caught:
                    client.server_info()
        self.assertAlmostEqual(caught.exception.retry_delay, 1.5)

    def test_client_finds_a_server_that_is_back(self):
        with LossdProcess(BINARY) as first:
            address = first.address
            client = lossd.Client(address, retry=lossd.RetryOptions(max_attempts=50, max_backoff=1))
            client.server_info()
        back = []

        def come_back():
            back.append(LossdProcess(BINARY, "--listen", address))

        thread = threading.Thread(target=come_back)
        thread.start()
        self.addCleanup(lambda: (thread.join(), back[0].__exit__()))
        with client:  # nobody is there yet
            self.assertEqual(client.cross_entropy(LOGITS, [0, 1]).row_count, 2)

    def test_calls_go_to_all_servers_of_a_target_in_turn(self):
        one, other = (ScriptedServer(GetServerInfo=lambda *_: INFO) for _ in range(2))
        with one, other:
            with lossd.Client(f"ipv4:{one.address},{other.address}") as client:
                while not (one.calls and other.calls):  # as soon as both are connected
                    client.server_info()


class CancelTest(unittest.TestCase):
    def cancel_while_running(self, **options):
        """Cancels a call from another thread as soon as the server has it."""
        begun, ended = threading.Event(), threading.Event()

        def wait(request, context):
            context.add_callback(ended.set)
            begun.set()
            ended.wait()
            return b""

        def wait_stream(requests, context):
            wait(requests, context)
            return iter(())

        cancellation = lossd.Cancellation()
        thread = threading.Thread(target=lambda: (begun.wait(), cancellation.cancel()))
        with ScriptedServer(ComputeLoss=wait, StreamLoss=wait_stream) as scripted:
            with lossd.Client(scripted.address, timeout=None) as client:
                thread.start()
                with self.assertRaises(lossd.CancelledError) as caught:
                    client.cross_entropy(LOGITS, [0, 1], cancellation=cancellation, **options)
                ended.wait()
                thread.join()
        self.assertEqual(caught.exception.code, grpc.StatusCode.CANCELLED)
        self.assertTrue(cancellation.cancelled)

    def test_cancels_one_message(self):
        self.cancel_while_running()

    def test_cancels_a_stream(self):
        self.cancel_while_running(transfer="stream")

    def test_cancels_a_wait(self):
        cancellation = lossd.Cancellation()

        def overloaded(request, context):
            context.set_trailing_metadata((("grpc-retry-pushback-ms", "3600000"),))
            threading.Timer(0, cancellation.cancel).start()
            context.abort(grpc.StatusCode.UNAVAILABLE, "overloaded")

        with ScriptedServer(ComputeLoss=overloaded) as scripted:
            with lossd.Client(scripted.address, timeout=None) as client:
                with self.assertRaises(lossd.CancelledError):
                    client.cross_entropy(LOGITS, [0, 1], cancellation=cancellation)

    def test_call_does_not_begin_where_cancelled_before(self):
        cancellation = lossd.Cancellation()
        cancellation.cancel()
        answer = lambda request, context: b""
        with ScriptedServer(ComputeLoss=answer) as scripted:
            with lossd.Client(scripted.address) as client:
                with self.assertRaises(lossd.CancelledError):
                    client.cross_entropy(LOGITS, [0, 1], cancellation=cancellation)
        self.assertEqual(scripted.calls, [])

    def test_call_that_is_not_cancelled_ends_as_any(self):
        with LossdProcess(BINARY) as server, lossd.Client(server.address) as client:
            cancellation = lossd.Cancellation()
            for transfer in ("unary", "stream"):
                result = client.cross_entropy(LOGITS, [0, 1], cancellation=cancellation,
                                              transfer=transfer)
                self.assertEqual(result.row_count, 2)
            with self.assertRaises(lossd.InvalidArgumentError):
                client.cross_entropy(LOGITS, [0, 9], cancellation=cancellation)
            self.assertEqual(cancellation._under_way, [])


if __name__ == "__main__":
    unittest.main()
