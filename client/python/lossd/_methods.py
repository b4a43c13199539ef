"""The methods of Client and AsyncClient: every loss, with every option.

Client's return results, AsyncClient's awaitables of them; nothing else differs.
"""

import abc
from collections.abc import Callable, Iterable
from typing import Any, Generic, Optional, TypeVar

from lossd import _named_losses as named
from lossd._arrays import Tensor
from lossd._batch import Batch
from lossd._connection import Call
from lossd.losses import Loss
from lossd.options import Cancellation

Result = TypeVar("Result")  # LossResult, or an awaitable of it
Array = TypeVar("Array")  # numpy.ndarray, or an awaitable of it


class LossMethods(abc.ABC, Generic[Result, Array]):
    """compute_loss and hessian_vector_product speak the contract. The other methods
    have PyTorch's names, defaults and meaning: classes on axis 1, "mean" and "sum" over
    what PyTorch takes them over, "none" for what it leaves.

    Arrays: logits are float16, float32, float64 or lossd.BFloat16, of any rank; labels
    are class indices of an integer type, of the logits' shape without the class axis,
    or targets of any float type and the logits' shape. What is C-contiguous and
    little-endian is copied once, into the request; anything else once more before.

    Raises, all of them lossd.Error: InvalidArgumentError (a ValueError, too),
    ResourceExhaustedError, UnavailableError, DeadlineExceededError (a TimeoutError,
    too), CancelledError, UnimplementedError, InternalError, PermissionDeniedError.
    """

    _default_timeout: Optional[float]

    @abc.abstractmethod
    def _compute(self, batch: Batch, call: Call) -> Result:
        """Computes `batch`."""

    @abc.abstractmethod
    def _multiply(self, batch: Batch, vector: Tensor, call: Call) -> Array:
        """Multiplies the Hessian of `batch` by `vector`."""

    def compute_loss(
        self,
        loss: Loss,
        logits: Any,
        labels: Any,
        *,
        reduction: str = "mean",
        class_axis: int = -1,
        divisor: Optional[float] = None,
        row_weights: Any = None,
        upstream_gradient: Any = None,
        outputs: Iterable[str] = ("loss", "gradient"),
        gradient_dtype: Any = None,
        non_finite: str = "reject",
        timeout: Optional[float] = None,
        transfer: str = "auto",
        progress: Optional[Callable[[int, int], object]] = None,
        cancellation: Optional[Cancellation] = None,
    ) -> Result:
        """Computes `loss`, one of lossd's loss classes, as docs/losses.md defines it.

        All methods take these options, but for class_axis and reduction with their own
        defaults and meaning.

        reduction: "mean", "sum" or "none"
        class_axis: the logits' axis that holds the classes
        divisor: replaces the mean's denominator; in [1e-100, 1e100]
        row_weights: [rows], or the logits' shape without the class axis; multiplies
            each row's loss and is in the mean's denominator
        upstream_gradient: the same, or one value unless the reduction is "none";
            multiplies each row's gradient
        outputs: of "loss", "gradient", "row_losses", "log_sum_exp", "probabilities",
            "log_probabilities" and "predictions", what to compute and send
        gradient_dtype: any float type, or "bfloat16"; None: the logits'
        non_finite: "reject" has NaN or +inf in a logit raise InvalidArgumentError with
            row and class; "propagate" computes, as PyTorch does
        timeout: seconds, retries and waits included; None: the client's, math.inf: none
        transfer: "unary" is one message each way, "stream" chunks of whole rows; "auto"
            goes in chunks from 4 MiB of logits on, or when the server or a message
            takes less than the batch, but where the class axis is not the last or
            probabilities are asked for, which cannot be
        progress: called with rows done and rows in all, as their gradient comes on the
            caller's thread; with no gradient wanted as they are sent, on gRPC's; starts
            again where the batch is sent again; of one message, only at the end
        cancellation: cancels the call from another thread
        """
        options = {
            "timeout": timeout,
            "transfer": transfer,
            "progress": progress,
            "cancellation": cancellation,
        }
        call = Call.taken_from(options, self._default_timeout)
        batch = Batch(
            loss,
            logits,
            labels,
            reduction=reduction,
            class_axis=class_axis,
            divisor=divisor,
            row_weights=row_weights,
            upstream_gradient=upstream_gradient,
            outputs=outputs,
            gradient_dtype=gradient_dtype,
            non_finite=non_finite,
        )
        return self._compute(batch, call)

    def hessian_vector_product(
        self,
        loss: Loss,
        logits: Any,
        labels: Any,
        vector: Any,
        *,
        reduction: str = "mean",
        class_axis: int = -1,
        divisor: Optional[float] = None,
        row_weights: Any = None,
        upstream_gradient: Any = None,
        non_finite: str = "reject",
        timeout: Optional[float] = None,
        cancellation: Optional[Cancellation] = None,
    ) -> Array:
        """Computes (d2 loss / dz2) `vector`, all three as the logits, in one message.

        Options as in compute_loss. UnimplementedError: MulticlassHinge has no second
        order.
        """
        options = {"timeout": timeout, "cancellation": cancellation}
        call = Call.taken_from(options, self._default_timeout)
        batch = Batch(
            loss,
            logits,
            labels,
            reduction=reduction,
            class_axis=class_axis,
            divisor=divisor,
            row_weights=row_weights,
            upstream_gradient=upstream_gradient,
            non_finite=non_finite,
        )
        return self._multiply(batch, batch.vector(vector), call)

    def _named(
        self, make: Callable[..., Batch], options: dict, *arguments: Any
    ) -> Result:
        call = Call.taken_from(options, self._default_timeout)
        return self._compute(make(*arguments, **options), call)

    def cross_entropy(
        self,
        logits: Any,
        labels: Any,
        weight: Any = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        *,
        z_loss: float = 0.0,
        logit_scale: Optional[float] = None,
        logit_softcap: Optional[float] = None,
        **options: Any,
    ) -> Result:
        """Softmax cross-entropy with class indices or probabilities as labels; the mean
        is over the counted rows' weights. z_loss, logit_scale and logit_softcap are
        lossd's: SoftmaxCrossEntropy. options: compute_loss."""
        options.update(
            z_loss=z_loss, logit_scale=logit_scale, logit_softcap=logit_softcap
        )
        return self._named(
            named.cross_entropy,
            options,
            logits,
            labels,
            weight,
            ignore_index,
            reduction,
            label_smoothing,
        )

    def nll_loss(
        self,
        log_probabilities: Any,
        labels: Any,
        weight: Any = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        **options: Any,
    ) -> Result:
        """-w_y z_y of logits that are log-probabilities already. options:
        compute_loss."""
        arguments = (log_probabilities, labels, weight, ignore_index, reduction)
        return self._named(named.nll_loss, options, *arguments)

    def binary_cross_entropy_with_logits(
        self,
        logits: Any,
        labels: Any,
        weight: Any = None,
        reduction: str = "mean",
        pos_weight: Any = None,
        *,
        label_smoothing: float = 0.0,
        **options: Any,
    ) -> Result:
        """Sigmoid cross-entropy of elements; weight and pos_weight are broadcast to the
        logits. label_smoothing is lossd's. options: compute_loss."""
        options["label_smoothing"] = label_smoothing
        return self._named(
            named.binary_cross_entropy_with_logits,
            options,
            logits,
            labels,
            weight,
            reduction,
            pos_weight,
        )

    def softmax_focal_loss(
        self,
        logits: Any,
        labels: Any,
        gamma: float = 2.0,
        weight: Any = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        **options: Any,
    ) -> Result:
        """-w_y (1 - p_y)^gamma ln p_y, reduced as cross_entropy. options:
        compute_loss."""
        arguments = (logits, labels, gamma, weight, ignore_index, reduction)
        return self._named(named.softmax_focal_loss, options, *arguments)

    def sigmoid_focal_loss(
        self,
        logits: Any,
        labels: Any,
        gamma: float = 2.0,
        alpha: Optional[float] = None,
        reduction: str = "mean",
        **options: Any,
    ) -> Result:
        """RetinaNet's focal loss of elements. Unlike torchvision's: no alpha and the
        mean unless asked for otherwise. options: compute_loss."""
        arguments = (logits, labels, gamma, alpha, reduction)
        return self._named(named.sigmoid_focal_loss, options, *arguments)

    def distillation_loss(
        self,
        logits: Any,
        teacher: Any,
        temperature: float = 1.0,
        targets_are_logits: bool = False,
        reduction: str = "mean",
        **options: Any,
    ) -> Result:
        """T^2 KL(teacher || softmax(logits / T)), the mean over rows: PyTorch's
        kl_div(log_softmax(logits, 1), teacher, reduction="batchmean") at T = 1. With
        targets_are_logits the teacher is softmax(teacher / T). options:
        compute_loss."""
        arguments = (logits, teacher, temperature, targets_are_logits, reduction)
        return self._named(named.distillation_loss, options, *arguments)

    def multi_margin_loss(
        self,
        logits: Any,
        labels: Any,
        p: int = 1,
        margin: float = 1.0,
        weight: Any = None,
        reduction: str = "mean",
        **options: Any,
    ) -> Result:
        """w_y / C times the sum over i != y of max(0, margin - z_y + z_i)^p; the mean
        is over rows, whatever their weights. options: compute_loss."""
        arguments = (logits, labels, p, margin, weight, reduction)
        return self._named(named.multi_margin_loss, options, *arguments)

    def mse_loss(
        self, logits: Any, labels: Any, reduction: str = "mean", **options: Any
    ) -> Result:
        """(z - t)^2 of elements. options: compute_loss."""
        return self._named(named.mse_loss, options, logits, labels, reduction)

    def huber_loss(
        self,
        logits: Any,
        labels: Any,
        reduction: str = "mean",
        delta: float = 1.0,
        **options: Any,
    ) -> Result:
        """Quadratic up to |z - t| = delta, linear beyond, of elements. options:
        compute_loss."""
        return self._named(named.huber_loss, options, logits, labels, reduction, delta)
