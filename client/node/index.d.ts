// The Node.js client of lossd: batched logits and labels in, the loss and its
// gradient with respect to the logits out. docs/losses.md has the formulas.

/** Arrays of floats: as float32 and float64. */
export type FloatArray = Float32Array | Float64Array;
/** An array whose type does not say its elements', or whose shape is said, too. */
export interface TensorLike {
  data: FloatArray | Uint16Array | Int32Array | BigInt64Array;
  /** Default: the array's. A Uint16Array holds float16 or bfloat16. */
  dataType?: DataType;
}
/** Logits; their shape is here or in the options. */
export interface LogitsTensor {
  data: FloatArray | Uint16Array;
  dataType?: FloatType;
  shape?: readonly number[];
}
/** Logits of which no more than a chunk need be there: each a positive number of whole rows. */
export interface ChunkedLogits {
  chunks: Iterable<FloatArray | Uint16Array> | AsyncIterable<FloatArray | Uint16Array>;
  /** Default: float32. */
  dataType?: FloatType;
  shape?: readonly number[];
}
export type FloatType = 'float32' | 'float64' | 'float16' | 'bfloat16';
export type DataType = FloatType | 'int32' | 'int64';
export type Logits = FloatArray | LogitsTensor;
/** Class indices, of the logits' shape without the class axis. */
export type Indices = Int32Array | BigInt64Array | TensorLike;
/** Targets of the logits' shape. */
export type Targets = FloatArray | TensorLike;
/** Factors; numbers go as float64. */
export type Factors = FloatArray | TensorLike | readonly number[];

export type LossName =
  | 'softmax_cross_entropy' | 'sigmoid_cross_entropy' | 'negative_log_likelihood' | 'kl_divergence' | 'softmax_focal'
  | 'sigmoid_focal' | 'multiclass_hinge' | 'squared_error' | 'huber';
export type Output =
  | 'loss' | 'gradient' | 'rowLosses' | 'logSumExp' | 'probabilities' | 'logProbabilities' | 'predictions';

export interface CallOptions {
  /** How long the call may take in ms, retries and waits included; > 0. Default: without end. */
  timeoutMs?: number;
  /** Cancels the call, which then rejects with code CANCELLED and the signal's reason as its cause. */
  signal?: AbortSignal;
}

export interface BatchOptions extends CallOptions {
  /** The logits' shape, of any rank but 0. Default: [rows, classes]. */
  shape?: readonly number[];
  /** Default: the number of logits over `classes`. */
  rows?: number;
  /** >= 1; needed where no shape is given. */
  classes?: number;
  /** The logits' axis that holds the classes, negative counted from the end; in [-rank, rank). Default -1. */
  classAxis?: number;
  /** How the row losses become one number. Default 'mean'. With 'none' the gradient is that of each row's own loss. */
  reduction?: 'mean' | 'sum' | 'none';
  /** Replaces the mean's denominator; in [1e-100, 1e100]. Only with the mean. */
  divisor?: number;
  /** [rows]; a factor of each row's loss: 0 or in [2^-100, 2^100]. */
  rowWeights?: Factors;
  /** [rows], or [1] unless the reduction is none: dL/d(row loss), for gradients. */
  upstreamGradient?: Factors;
  /** NaN and +inf logits are an error, or take IEEE's course. Default 'reject'. */
  nonFinitePolicy?: 'reject' | 'propagate';
}

export interface AnswerOptions {
  /** What to compute and send. Default: ['loss', 'gradient']. */
  outputs?: readonly Output[];
  /** Rounds the gradient alone. Default: the logits'. */
  gradientDataType?: FloatType;
}

export interface TransferOptions {
  /**
   * 'auto': in chunks from 4 MiB of logits on, or when the server takes less than
   * the batch; else, and where a stream cannot be, in one message. 'stream' wants
   * the class axis last, and neither probabilities nor logProbabilities.
   */
  transfer?: 'auto' | 'unary' | 'stream';
  /** Hears of rows done: whose gradient came or, with no gradient wanted, that were sent. */
  progress?: (rowsDone: number, rows: number) => void;
  /**
   * Filled with the gradient and returned as `gradient`: an array of its type and
   * size, faster than a new one a call where it is large. Unspecified after an error.
   */
  gradientInto?: FloatResult;
}

/** Numbers' ranges: docs/losses.md; the server checks them. */
export interface CrossEntropyOptions {
  labelSmoothing?: number;
  /** [classes]. */
  classWeights?: Factors;
  /** Rows with this label do not count. Default: none, unlike PyTorch's -100. */
  ignoreIndex?: number | bigint;
  zLoss?: number;
  logitScale?: number;
  logitSoftcap?: number;
}
export interface SigmoidCrossEntropyOptions {
  /** [classes]. */
  positiveWeights?: Factors;
  labelSmoothing?: number;
}
export type NegativeLogLikelihoodOptions = Pick<CrossEntropyOptions, 'classWeights' | 'ignoreIndex'>;
export interface KlDivergenceOptions {
  temperature?: number;
  targetsAreLogits?: boolean;
}
export interface SoftmaxFocalOptions extends NegativeLogLikelihoodOptions {
  /** Default 2. */
  gamma?: number;
}
export interface SigmoidFocalOptions {
  /** Default 2. */
  gamma?: number;
  /** Default: no weight. */
  alpha?: number;
}
export interface MulticlassHingeOptions {
  /** Default 1. */
  margin?: number;
  /** Default 1. */
  power?: 1 | 2;
}
export interface HuberOptions {
  /** Default 1. */
  delta?: number;
}

/** Each loss's own options. */
export interface LossOptions {
  softmax_cross_entropy: CrossEntropyOptions;
  sigmoid_cross_entropy: SigmoidCrossEntropyOptions;
  negative_log_likelihood: NegativeLogLikelihoodOptions;
  kl_divergence: KlDivergenceOptions;
  softmax_focal: SoftmaxFocalOptions;
  sigmoid_focal: SigmoidFocalOptions;
  multiclass_hinge: MulticlassHingeOptions;
  squared_error: {};
  huber: HuberOptions;
}
export type ComputeOptions<Name extends LossName> =
  LossOptions[Name] & BatchOptions & AnswerOptions & TransferOptions;
export type StreamOptions<Name extends LossName> = LossOptions[Name] & BatchOptions & AnswerOptions;

/** Floats as they came: float32 and float64 in their arrays, float16 and bfloat16 as Uint16Array. */
export type FloatResult = Float32Array | Float64Array | Uint16Array;

/** What is left out was not asked for. Arrays are row-major. */
export interface LossSummary {
  /** The reduced loss in nats; undefined for the reduction none. */
  loss: number | undefined;
  /** Rows that counted: not ignored. */
  rowCount: number;
  /** Of these, rows whose prediction is their label. */
  correctCount: number;
  /** What the mean divided by; 1 otherwise. */
  divisor: number;
  /** [rows], the logits' type, nats. */
  rowLosses?: FloatResult;
  /** [rows], the logits' type; only of softmax_cross_entropy, as the two after it. */
  logSumExp?: FloatResult;
  probabilities?: FloatResult;
  logProbabilities?: FloatResult;
  /** [rows]; the lowest class on ties. */
  predictions?: BigInt64Array;
}
/** Arrays are views of the received bytes, but for a gradient that was streamed: its chunks are copied into one. */
export interface LossResult extends LossSummary {
  /** The logits' shape, `gradientDataType`. */
  gradient?: FloatResult;
}

export interface GradientChunk {
  /** The index of the first row, from 0 over the whole batch. */
  firstRow: number;
  rows: number;
  /** [rows, classes], `gradientDataType`. */
  gradient: FloatResult;
}

/** Gradient chunks in the rows' order. Iterate it once; leaving the loop cancels the call. */
export interface LossStream extends AsyncIterable<GradientChunk> {
  /** Undefined until the loop has ended by itself. */
  readonly summary: LossSummary | undefined;
}

export interface ServerInfo {
  /** As in "0.1.0". */
  version: string;
  /** The active instruction set, as in "AVX2". */
  kernel: string;
  computeThreads: number;
  maxRequestBytes: number;
  /** 0: not bounded. */
  memoryBudgetBytes: number;
  losses: LossName[];
  /** Of logits. */
  dataTypes: FloatType[];
}

/**
 * When to call again after UNAVAILABLE. The wait before attempt n + 1 is
 * min(maxBackoffMs, initialBackoffMs * multiplier^(n - 1)), times a random factor
 * in [1 - jitter, 1 + jitter]; what the server asks for replaces it. A negative
 * pushback ends the attempts; so does a wait that would reach the deadline.
 */
export interface RetryOptions {
  /** Calls in all, >= 1; 1: never retry. Default 5. */
  maxAttempts?: number;
  /** > 0. Default 100. */
  initialBackoffMs?: number;
  /** >= initialBackoffMs. Default 5000. */
  maxBackoffMs?: number;
  /** >= 1. Default 2. */
  multiplier?: number;
  /** In [0, 1). Default 0.2. */
  jitter?: number;
}

/** TLS to the server. Files are in PEM and read once, by the constructor. */
export interface TlsOptions {
  /** Those whose signature a server's certificate must lead to. Default: those that Node.js trusts. */
  caFile?: string;
  /** What the client shows of itself, and its private key without a password: both or neither. */
  certificateFile?: string;
  keyFile?: string;
  /** The name that the server's certificate must bear. Default: the target's. */
  serverName?: string;
}

export interface ClientOptions {
  retry?: RetryOptions;
  /** Default: plaintext. */
  tls?: TlsOptions;
}

/**
 * A connection to one lossd (or to several behind one name), made when first used
 * and made again whenever it was lost. Any number of calls may run at once.
 *
 * Every call rejects with a LossError: the server's own; INVALID_ARGUMENT for what
 * is found wrong before anything is sent; UNAVAILABLE after the last attempt;
 * DEADLINE_EXCEEDED after `timeoutMs`; CANCELLED by the signal; INTERNAL for an
 * answer that is not what was asked for.
 */
export class LossClient {
  /**
   * Touches no network yet. `target`: HOST:PORT, unix:PATH or any other that gRPC
   * takes; default 127.0.0.1:50051. Throws a LossError for options out of range
   * and TLS files that cannot be used.
   */
  constructor(target?: string, options?: ClientOptions);

  /** Computes any loss by the contract's name; those below are this with the name filled in. */
  computeLoss<Name extends LossName>(
    loss: Name, logits: Logits, labels: Indices | Targets, options?: ComputeOptions<Name>): Promise<LossResult>;

  /** Softmax cross-entropy; labels are class indices, or probabilities of the logits' shape. */
  crossEntropy(logits: Logits, labels: Indices | Targets, options?: ComputeOptions<'softmax_cross_entropy'>): Promise<LossResult>;
  /** Targets in [0, 1]; the row loss is the mean over the classes. */
  sigmoidCrossEntropy(logits: Logits, targets: Targets, options?: ComputeOptions<'sigmoid_cross_entropy'>): Promise<LossResult>;
  /** The logits are log-probabilities already. */
  negativeLogLikelihood(logits: Logits, labels: Indices, options?: ComputeOptions<'negative_log_likelihood'>): Promise<LossResult>;
  /** From the softmax of the logits to the teacher's probabilities, or its logits. */
  klDivergence(logits: Logits, teacher: Targets, options?: ComputeOptions<'kl_divergence'>): Promise<LossResult>;
  softmaxFocal(logits: Logits, labels: Indices, options?: ComputeOptions<'softmax_focal'>): Promise<LossResult>;
  sigmoidFocal(logits: Logits, targets: Targets, options?: ComputeOptions<'sigmoid_focal'>): Promise<LossResult>;
  multiclassHinge(logits: Logits, labels: Indices, options?: ComputeOptions<'multiclass_hinge'>): Promise<LossResult>;
  squaredError(logits: Logits, targets: Targets, options?: ComputeOptions<'squared_error'>): Promise<LossResult>;
  huber(logits: Logits, targets: Targets, options?: ComputeOptions<'huber'>): Promise<LossResult>;

  /**
   * Computes a batch of any size, its gradient chunk by chunk, with the bits of
   * computeLoss. Nothing is sent before it is iterated; a slow loop slows the
   * server and the sending down, and memory stays bounded. Never retried: chunks
   * that were taken cannot be asked for again.
   */
  streamLoss<Name extends LossName>(
    loss: Name, logits: Logits | ChunkedLogits, labels: Indices | Targets, options?: StreamOptions<Name>): LossStream;

  /** (d2 loss / dz2) times `vector`, of the logits' shape and type, as the product is. */
  hessianVectorProduct<Name extends LossName>(
    loss: Name, logits: Logits, labels: Indices | Targets, vector: Logits,
    options?: LossOptions[Name] & BatchOptions): Promise<FloatResult>;

  serverInfo(options?: CallOptions): Promise<ServerInfo>;

  /** Lets calls under way end, and closes the connection. */
  close(): void;
}

/** gRPC's names of what failed. */
export type Code =
  | 'CANCELLED' | 'UNKNOWN' | 'INVALID_ARGUMENT' | 'DEADLINE_EXCEEDED' | 'NOT_FOUND' | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED' | 'RESOURCE_EXHAUSTED' | 'FAILED_PRECONDITION' | 'ABORTED' | 'OUT_OF_RANGE' | 'UNIMPLEMENTED'
  | 'INTERNAL' | 'UNAVAILABLE' | 'DATA_LOSS' | 'UNAUTHENTICATED';

/** What failed. Members stay empty where the server attached nothing, as on errors of the network or of this library. */
export class LossError extends Error {
  readonly code: Code;
  /** UPPER_SNAKE_CASE, one per kind of error: google.rpc.ErrorInfo's. */
  readonly reason: string;
  /** The request's field or the option at fault, a path; '': none. */
  readonly field: string;
  /** The message's variable parts, as in {row: '1', label: '7', classes: '3'}. */
  readonly metadata: Readonly<Record<string, string>>;
  /** How long the server asked to wait, in ms. */
  readonly retryDelayMs: number | undefined;
}
