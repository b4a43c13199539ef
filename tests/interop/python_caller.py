"""Sends serialized requests by client/python; prints each answer's bits."""

import struct
import sys

import numpy as np

import lossd
from lossd.v1 import loss_service_pb2 as pb

_DTYPES = {
    pb.DATA_TYPE_FLOAT32: "<f4",
    pb.DATA_TYPE_FLOAT64: "<f8",
    pb.DATA_TYPE_INT32: "<i4",
    pb.DATA_TYPE_INT64: "<i8",
}


def array_of(tensor):
    return np.frombuffer(tensor.raw, _DTYPES[tensor.data_type]).reshape(tensor.shape)


def value_of(value):
    return array_of(value) if isinstance(value, pb.Tensor) else value


def loss_of(spec):
    name = spec.WhichOneof("kind") or "softmax_cross_entropy"
    kind = getattr(lossd, "".join(word.capitalize() for word in name.split("_")))
    return kind(**{field.name: value_of(value) for field, value in getattr(spec, name).ListFields()})


def fields_of(request):
    fields = {
        field.name: value_of(value)
        for field, value in request.ListFields()
        if field.name not in ("loss", "logits", "labels")
    }
    if "reduction" in fields:
        fields["reduction"] = pb.Reduction.Name(fields["reduction"]).removeprefix("REDUCTION_").lower()
    if "gradient_data_type" in fields:
        fields["gradient_dtype"] = _DTYPES[fields.pop("gradient_data_type")]
    return fields


def bits_of(result):
    # Without a reduction, the rows' losses, as PyTorch has it.
    is_reduced = np.ndim(result.loss) == 0
    loss = struct.pack(">d", result.loss).hex() if is_reduced else "-"
    return f"{loss} {result.gradient.tobytes().hex()}"


def main(target, paths):
    with lossd.Client(target) as client:
        for path in paths:
            with open(path, "rb") as file:
                request = pb.ComputeLossRequest.FromString(file.read())
            print(
                bits_of(
                    client.compute_loss(
                        loss_of(request.loss),
                        array_of(request.logits),
                        array_of(request.labels),
                        **fields_of(request),
                    )
                )
            )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
