from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DATA_TYPE_BFLOAT16: DataType
DATA_TYPE_FLOAT16: DataType
DATA_TYPE_FLOAT32: DataType
DATA_TYPE_FLOAT64: DataType
DATA_TYPE_INT32: DataType
DATA_TYPE_INT64: DataType
DATA_TYPE_UNSPECIFIED: DataType
DESCRIPTOR: _descriptor.FileDescriptor
NON_FINITE_POLICY_PROPAGATE: NonFinitePolicy
NON_FINITE_POLICY_REJECT: NonFinitePolicy
NON_FINITE_POLICY_UNSPECIFIED: NonFinitePolicy
OUTPUT_GRADIENT: Output
OUTPUT_LOG_PROBABILITIES: Output
OUTPUT_LOG_SUM_EXP: Output
OUTPUT_LOSS: Output
OUTPUT_PREDICTIONS: Output
OUTPUT_PROBABILITIES: Output
OUTPUT_ROW_LOSSES: Output
OUTPUT_UNSPECIFIED: Output
REDUCTION_MEAN: Reduction
REDUCTION_NONE: Reduction
REDUCTION_SUM: Reduction
REDUCTION_UNSPECIFIED: Reduction

class ComputeHessianVectorProductRequest(_message.Message):
    __slots__ = ["base", "vector"]
    BASE_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    base: ComputeLossRequest
    vector: Tensor
    def __init__(self, base: _Optional[_Union[ComputeLossRequest, _Mapping]] = ..., vector: _Optional[_Union[Tensor, _Mapping]] = ...) -> None: ...

class ComputeHessianVectorProductResponse(_message.Message):
    __slots__ = ["product"]
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    product: Tensor
    def __init__(self, product: _Optional[_Union[Tensor, _Mapping]] = ...) -> None: ...

class ComputeLossRequest(_message.Message):
    __slots__ = ["class_axis", "divisor", "gradient_data_type", "labels", "logits", "loss", "non_finite_policy", "outputs", "reduction", "row_weights", "upstream_gradient"]
    CLASS_AXIS_FIELD_NUMBER: _ClassVar[int]
    DIVISOR_FIELD_NUMBER: _ClassVar[int]
    GRADIENT_DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    LOGITS_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    NON_FINITE_POLICY_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    REDUCTION_FIELD_NUMBER: _ClassVar[int]
    ROW_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_GRADIENT_FIELD_NUMBER: _ClassVar[int]
    class_axis: int
    divisor: float
    gradient_data_type: DataType
    labels: Tensor
    logits: Tensor
    loss: LossSpec
    non_finite_policy: NonFinitePolicy
    outputs: _containers.RepeatedScalarFieldContainer[Output]
    reduction: Reduction
    row_weights: Tensor
    upstream_gradient: Tensor
    def __init__(self, loss: _Optional[_Union[LossSpec, _Mapping]] = ..., reduction: _Optional[_Union[Reduction, str]] = ..., divisor: _Optional[float] = ..., class_axis: _Optional[int] = ..., outputs: _Optional[_Iterable[_Union[Output, str]]] = ..., gradient_data_type: _Optional[_Union[DataType, str]] = ..., non_finite_policy: _Optional[_Union[NonFinitePolicy, str]] = ..., row_weights: _Optional[_Union[Tensor, _Mapping]] = ..., upstream_gradient: _Optional[_Union[Tensor, _Mapping]] = ..., labels: _Optional[_Union[Tensor, _Mapping]] = ..., logits: _Optional[_Union[Tensor, _Mapping]] = ...) -> None: ...

class ComputeLossResponse(_message.Message):
    __slots__ = ["correct_count", "divisor", "gradient", "log_probabilities", "log_sum_exp", "loss", "predictions", "probabilities", "row_count", "row_losses"]
    CORRECT_COUNT_FIELD_NUMBER: _ClassVar[int]
    DIVISOR_FIELD_NUMBER: _ClassVar[int]
    GRADIENT_FIELD_NUMBER: _ClassVar[int]
    LOG_PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    LOG_SUM_EXP_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    ROW_LOSSES_FIELD_NUMBER: _ClassVar[int]
    correct_count: int
    divisor: float
    gradient: Tensor
    log_probabilities: Tensor
    log_sum_exp: Tensor
    loss: float
    predictions: Tensor
    probabilities: Tensor
    row_count: int
    row_losses: Tensor
    def __init__(self, loss: _Optional[float] = ..., correct_count: _Optional[int] = ..., row_count: _Optional[int] = ..., divisor: _Optional[float] = ..., row_losses: _Optional[_Union[Tensor, _Mapping]] = ..., log_sum_exp: _Optional[_Union[Tensor, _Mapping]] = ..., predictions: _Optional[_Union[Tensor, _Mapping]] = ..., log_probabilities: _Optional[_Union[Tensor, _Mapping]] = ..., probabilities: _Optional[_Union[Tensor, _Mapping]] = ..., gradient: _Optional[_Union[Tensor, _Mapping]] = ...) -> None: ...

class FloatValues(_message.Message):
    __slots__ = ["values"]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class GetServerInfoRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ["compute_threads", "data_types", "kernel", "losses", "max_request_bytes", "memory_budget_bytes", "version"]
    COMPUTE_THREADS_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPES_FIELD_NUMBER: _ClassVar[int]
    KERNEL_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    MAX_REQUEST_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BUDGET_BYTES_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    compute_threads: int
    data_types: _containers.RepeatedScalarFieldContainer[DataType]
    kernel: str
    losses: _containers.RepeatedScalarFieldContainer[str]
    max_request_bytes: int
    memory_budget_bytes: int
    version: str
    def __init__(self, version: _Optional[str] = ..., kernel: _Optional[str] = ..., compute_threads: _Optional[int] = ..., max_request_bytes: _Optional[int] = ..., memory_budget_bytes: _Optional[int] = ..., losses: _Optional[_Iterable[str]] = ..., data_types: _Optional[_Iterable[_Union[DataType, str]]] = ...) -> None: ...

class GradientChunk(_message.Message):
    __slots__ = ["first_row", "raw"]
    FIRST_ROW_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    first_row: int
    raw: bytes
    def __init__(self, first_row: _Optional[int] = ..., raw: _Optional[bytes] = ...) -> None: ...

class Huber(_message.Message):
    __slots__ = ["delta"]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    delta: float
    def __init__(self, delta: _Optional[float] = ...) -> None: ...

class Int64Values(_message.Message):
    __slots__ = ["values"]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, values: _Optional[_Iterable[int]] = ...) -> None: ...

class KlDivergence(_message.Message):
    __slots__ = ["targets_are_logits", "temperature"]
    TARGETS_ARE_LOGITS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    targets_are_logits: bool
    temperature: float
    def __init__(self, temperature: _Optional[float] = ..., targets_are_logits: bool = ...) -> None: ...

class LogitsChunk(_message.Message):
    __slots__ = ["raw"]
    RAW_FIELD_NUMBER: _ClassVar[int]
    raw: bytes
    def __init__(self, raw: _Optional[bytes] = ...) -> None: ...

class LossSpec(_message.Message):
    __slots__ = ["huber", "kl_divergence", "multiclass_hinge", "negative_log_likelihood", "sigmoid_cross_entropy", "sigmoid_focal", "softmax_cross_entropy", "softmax_focal", "squared_error"]
    HUBER_FIELD_NUMBER: _ClassVar[int]
    KL_DIVERGENCE_FIELD_NUMBER: _ClassVar[int]
    MULTICLASS_HINGE_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_LOG_LIKELIHOOD_FIELD_NUMBER: _ClassVar[int]
    SIGMOID_CROSS_ENTROPY_FIELD_NUMBER: _ClassVar[int]
    SIGMOID_FOCAL_FIELD_NUMBER: _ClassVar[int]
    SOFTMAX_CROSS_ENTROPY_FIELD_NUMBER: _ClassVar[int]
    SOFTMAX_FOCAL_FIELD_NUMBER: _ClassVar[int]
    SQUARED_ERROR_FIELD_NUMBER: _ClassVar[int]
    huber: Huber
    kl_divergence: KlDivergence
    multiclass_hinge: MulticlassHinge
    negative_log_likelihood: NegativeLogLikelihood
    sigmoid_cross_entropy: SigmoidCrossEntropy
    sigmoid_focal: SigmoidFocal
    softmax_cross_entropy: SoftmaxCrossEntropy
    softmax_focal: SoftmaxFocal
    squared_error: SquaredError
    def __init__(self, softmax_cross_entropy: _Optional[_Union[SoftmaxCrossEntropy, _Mapping]] = ..., sigmoid_cross_entropy: _Optional[_Union[SigmoidCrossEntropy, _Mapping]] = ..., negative_log_likelihood: _Optional[_Union[NegativeLogLikelihood, _Mapping]] = ..., kl_divergence: _Optional[_Union[KlDivergence, _Mapping]] = ..., softmax_focal: _Optional[_Union[SoftmaxFocal, _Mapping]] = ..., sigmoid_focal: _Optional[_Union[SigmoidFocal, _Mapping]] = ..., multiclass_hinge: _Optional[_Union[MulticlassHinge, _Mapping]] = ..., squared_error: _Optional[_Union[SquaredError, _Mapping]] = ..., huber: _Optional[_Union[Huber, _Mapping]] = ...) -> None: ...

class MulticlassHinge(_message.Message):
    __slots__ = ["margin", "power"]
    MARGIN_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    margin: float
    power: int
    def __init__(self, margin: _Optional[float] = ..., power: _Optional[int] = ...) -> None: ...

class NegativeLogLikelihood(_message.Message):
    __slots__ = ["class_weights", "ignore_index"]
    CLASS_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    IGNORE_INDEX_FIELD_NUMBER: _ClassVar[int]
    class_weights: Tensor
    ignore_index: int
    def __init__(self, class_weights: _Optional[_Union[Tensor, _Mapping]] = ..., ignore_index: _Optional[int] = ...) -> None: ...

class SigmoidCrossEntropy(_message.Message):
    __slots__ = ["label_smoothing", "positive_weights"]
    LABEL_SMOOTHING_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    label_smoothing: float
    positive_weights: Tensor
    def __init__(self, positive_weights: _Optional[_Union[Tensor, _Mapping]] = ..., label_smoothing: _Optional[float] = ...) -> None: ...

class SigmoidFocal(_message.Message):
    __slots__ = ["alpha", "gamma"]
    ALPHA_FIELD_NUMBER: _ClassVar[int]
    GAMMA_FIELD_NUMBER: _ClassVar[int]
    alpha: float
    gamma: float
    def __init__(self, gamma: _Optional[float] = ..., alpha: _Optional[float] = ...) -> None: ...

class SoftmaxCrossEntropy(_message.Message):
    __slots__ = ["class_weights", "ignore_index", "label_smoothing", "logit_scale", "logit_softcap", "z_loss"]
    CLASS_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    IGNORE_INDEX_FIELD_NUMBER: _ClassVar[int]
    LABEL_SMOOTHING_FIELD_NUMBER: _ClassVar[int]
    LOGIT_SCALE_FIELD_NUMBER: _ClassVar[int]
    LOGIT_SOFTCAP_FIELD_NUMBER: _ClassVar[int]
    Z_LOSS_FIELD_NUMBER: _ClassVar[int]
    class_weights: Tensor
    ignore_index: int
    label_smoothing: float
    logit_scale: float
    logit_softcap: float
    z_loss: float
    def __init__(self, label_smoothing: _Optional[float] = ..., class_weights: _Optional[_Union[Tensor, _Mapping]] = ..., ignore_index: _Optional[int] = ..., z_loss: _Optional[float] = ..., logit_scale: _Optional[float] = ..., logit_softcap: _Optional[float] = ...) -> None: ...

class SoftmaxFocal(_message.Message):
    __slots__ = ["class_weights", "gamma", "ignore_index"]
    CLASS_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    GAMMA_FIELD_NUMBER: _ClassVar[int]
    IGNORE_INDEX_FIELD_NUMBER: _ClassVar[int]
    class_weights: Tensor
    gamma: float
    ignore_index: int
    def __init__(self, gamma: _Optional[float] = ..., class_weights: _Optional[_Union[Tensor, _Mapping]] = ..., ignore_index: _Optional[int] = ...) -> None: ...

class SquaredError(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class StreamLossRequest(_message.Message):
    __slots__ = ["chunk", "header"]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    chunk: LogitsChunk
    header: ComputeLossRequest
    def __init__(self, header: _Optional[_Union[ComputeLossRequest, _Mapping]] = ..., chunk: _Optional[_Union[LogitsChunk, _Mapping]] = ...) -> None: ...

class StreamLossResponse(_message.Message):
    __slots__ = ["gradient_chunk", "summary"]
    GRADIENT_CHUNK_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    gradient_chunk: GradientChunk
    summary: ComputeLossResponse
    def __init__(self, gradient_chunk: _Optional[_Union[GradientChunk, _Mapping]] = ..., summary: _Optional[_Union[ComputeLossResponse, _Mapping]] = ...) -> None: ...

class Tensor(_message.Message):
    __slots__ = ["data_type", "float_values", "int64_values", "raw", "shape"]
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    FLOAT_VALUES_FIELD_NUMBER: _ClassVar[int]
    INT64_VALUES_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    data_type: DataType
    float_values: FloatValues
    int64_values: Int64Values
    raw: bytes
    shape: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, data_type: _Optional[_Union[DataType, str]] = ..., shape: _Optional[_Iterable[int]] = ..., raw: _Optional[bytes] = ..., float_values: _Optional[_Union[FloatValues, _Mapping]] = ..., int64_values: _Optional[_Union[Int64Values, _Mapping]] = ...) -> None: ...

class DataType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class Reduction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class Output(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class NonFinitePolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
