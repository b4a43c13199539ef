"""AsyncClient does what Client does, to be awaited."""

import asyncio
import inspect
import threading
import unittest

import grpc
import numpy as np

import lossd
from lossd_client import LossdProcess
from support import BINARY, ScriptedServer, draw, draw_labels, start_server

LOGITS = draw((2, 3))
FAST = lossd.RetryOptions(initial_backoff=0.001, max_backoff=0.002)


def setUpModule():
    start_server(globals())


class AsyncTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.client = lossd.AsyncClient(server.address)
        self.addAsyncCleanup(self.client.close)

    def test_has_the_methods_of_client(self):
        def methods(cls):
            return {name: inspect.signature(method) for name, method in vars(cls).items()
                    if not name.startswith("_") and callable(method) and name != "close"}

        self.assertEqual(set(methods(lossd.Client)), set(methods(lossd.AsyncClient)))
        self.assertEqual(inspect.signature(lossd.Client), inspect.signature(lossd.AsyncClient))

    async def test_has_the_bits_of_client(self):
        labels = draw_labels(300, 5000)
        for logits, more in ((draw((300, 5000)), {}), (draw((300, 500)), {"transfer": "stream"})):
            rows = labels % logits.shape[1]
            want = client.cross_entropy(logits, rows)
            got = await self.client.cross_entropy(logits, rows, **more)
            self.assertEqual(got.loss, want.loss)
            np.testing.assert_array_equal(got.gradient, want.gradient)
        targets = np.float32([[1, 0, 1], [0, 0, 1]])
        got = await self.client.huber_loss(LOGITS, targets, reduction="none")
        np.testing.assert_array_equal(
            got.loss, client.huber_loss(LOGITS, targets, reduction="none").loss)
        product = await self.client.hessian_vector_product(
            lossd.SoftmaxCrossEntropy(), LOGITS, [0, 1], LOGITS)
        np.testing.assert_array_equal(product, client.hessian_vector_product(
            lossd.SoftmaxCrossEntropy(), LOGITS, [0, 1], LOGITS))
        self.assertEqual(await self.client.server_info(), client.server_info())

    async def test_calls_run_at_once(self):
        batches = [(draw((20, 30), seed=seed), draw_labels(20, 30, seed)) for seed in range(8)]
        results = await asyncio.gather(
            *(self.client.cross_entropy(*batch) for batch in batches))
        for batch, result in zip(batches, results):
            self.assertEqual(result.loss, client.cross_entropy(*batch).loss)

    async def test_errors_are_the_same(self):
        for transfer in ("unary", "stream"):
            with self.assertRaises(lossd.InvalidArgumentError) as caught:
                await self.client.cross_entropy(LOGITS, [0, 3], transfer=transfer)
            self.assertEqual(caught.exception.reason, "LABEL_OUT_OF_RANGE")
            self.assertEqual(caught.exception.metadata["label"], "3")
        with self.assertRaisesRegex(lossd.InvalidArgumentError, "cancellation: is Client's"):
            await self.client.cross_entropy(LOGITS, [0, 1], cancellation=lossd.Cancellation())
        with self.assertRaisesRegex(lossd.InvalidArgumentError, "the target is empty"):
            lossd.AsyncClient("")

    async def test_progress_is_reported_and_what_it_raises_is_raised(self):
        for outputs in (("loss", "gradient"), ("loss",)):
            seen = []
            await self.client.cross_entropy(
                draw((40, 1 << 16)), draw_labels(40, 1 << 16), outputs=outputs,
                progress=lambda done, rows: seen.append((done, rows)))
            self.assertEqual(seen, sorted(set(seen)))
            self.assertEqual(seen[-1], (40, 40))

            def fail(done, rows):
                raise KeyError("enough")

            with self.assertRaisesRegex(KeyError, "enough"):
                await self.client.cross_entropy(
                    draw((40, 100)), draw_labels(40, 100), outputs=outputs,
                    transfer="stream", progress=fail)

    async def test_learns_the_limit(self):
        with LossdProcess(BINARY, "--max-request-bytes", "5000") as small:
            async with lossd.AsyncClient(small.address) as learner:
                logits, labels = draw((100, 100)), draw_labels(100, 100)
                result = await learner.cross_entropy(logits, labels)
                self.assertEqual(result.loss, client.cross_entropy(logits, labels).loss)
                self.assertEqual(learner._limit.bytes, 5000)

    async def test_retries_and_gives_up(self):
        failures = iter(range(4))

        def overloaded(request, context):
            if next(failures, None) is None:
                return b"\x0a\x011"
            context.abort(grpc.StatusCode.UNAVAILABLE, "overloaded")

        with ScriptedServer(GetServerInfo=overloaded) as scripted:
            async with lossd.AsyncClient(scripted.address, retry=FAST) as asked:
                once = lossd.RetryOptions(max_attempts=1)
                async with lossd.AsyncClient(scripted.address, retry=once) as impatient:
                    with self.assertRaisesRegex(lossd.UnavailableError, "1 attempt"):
                        await impatient.server_info()
                self.assertEqual((await asked.server_info()).version, "1")

    async def test_finds_a_server_that_is_back(self):
        retry = lossd.RetryOptions(max_attempts=50, max_backoff=1)
        with LossdProcess(BINARY) as first:
            async with lossd.AsyncClient(first.address, retry=retry) as patient:
                await patient.server_info()
                first.__exit__()
                waiting = asyncio.create_task(patient.cross_entropy(LOGITS, [0, 1]))
                second = await asyncio.to_thread(
                    LossdProcess, BINARY, "--listen", first.address)
                try:
                    self.assertEqual((await waiting).row_count, 2)
                finally:
                    await asyncio.to_thread(second.__exit__)

    async def test_cancelled_task_cancels_its_call(self):
        for transfer in ("unary", "stream"):
            begun, ended = threading.Event(), threading.Event()

            def wait(request, context):
                context.add_callback(ended.set)
                begun.set()
                ended.wait()
                return b""

            with ScriptedServer(
                    ComputeLoss=wait,
                    StreamLoss=lambda *call: iter((wait(*call),))) as scripted:
                async with lossd.AsyncClient(scripted.address, timeout=None) as slow:
                    task = asyncio.create_task(
                        slow.cross_entropy(LOGITS, [0, 1], transfer=transfer))
                    await asyncio.to_thread(begun.wait)
                    task.cancel()
                    with self.assertRaises(asyncio.CancelledError):
                        await task
                    await asyncio.to_thread(ended.wait)

    async def test_timeout_is_deadline_exceeded(self):
        ended = threading.Event()

        def wait(request, context):
            context.add_callback(ended.set)
            ended.wait()
            return b""

        with ScriptedServer(ComputeLoss=wait) as scripted:
            async with lossd.AsyncClient(scripted.address) as slow:
                with self.assertRaises(lossd.DeadlineExceededError):
                    await slow.cross_entropy(LOGITS, [0, 1], timeout=0.2)


if __name__ == "__main__":
    unittest.main()
