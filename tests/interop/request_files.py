"""Writes a case as each language reads it: serialized, as JSON, and as NumPy files."""

import json

import numpy as np
from google.protobuf import json_format

from lossd.v1 import loss_service_pb2 as pb

_DATA_TYPES = {
    np.dtype(np.float32): pb.DATA_TYPE_FLOAT32,
    np.dtype(np.float64): pb.DATA_TYPE_FLOAT64,
    np.dtype(np.int32): pb.DATA_TYPE_INT32,
    np.dtype(np.int64): pb.DATA_TYPE_INT64,
}
_ENUMS = {
    "reduction": ("REDUCTION_", pb.Reduction),
    "gradient_data_type": ("DATA_TYPE_", pb.DataType),
}


def _tensor(array):
    return pb.Tensor(
        data_type=_DATA_TYPES[array.dtype], shape=array.shape, raw=array.tobytes()
    )


def _value(name, value):
    if isinstance(value, np.ndarray):
        return _tensor(value)
    if name in _ENUMS:
        prefix, enum = _ENUMS[name]
        return enum.Value(prefix + value.upper())
    return value


def message_of(case):
    """The case's ComputeLossRequest."""
    spec = pb.LossSpec()
    options = getattr(spec, case.loss)
    options.SetInParent()
    options.MergeFrom(
        type(options)(**{name: _value(name, value) for name, value in case.options.items()})
    )
    return pb.ComputeLossRequest(
        loss=spec,
        logits=_tensor(case.logits),
        labels=_tensor(case.labels),
        **{name: _value(name, value) for name, value in case.fields.items()},
    )


def _flags(case, folder):
    """`lossctl compute`'s flags, arrays as .npy files in `folder`."""
    arrays = {"logits": case.logits, "labels": case.labels}
    flags = ["--loss", case.loss]
    for name, value in {**case.options, **case.fields}.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, np.ndarray):
            arrays[name] = value
        elif value is True:
            flags.append(flag)
        else:
            flags += [flag, repr(value) if isinstance(value, float) else str(value)]
    for name, array in arrays.items():
        path = folder / f"{case.name}.{name}.npy"
        np.save(path, array)
        flags += ["--" + name.replace("_", "-"), str(path)]
    return flags


def write(case, folder):
    """Writes NAME.pb, NAME.json and .npy files; returns lossctl's flags."""
    message = message_of(case)
    (folder / f"{case.name}.pb").write_bytes(message.SerializeToString())
    fields = json_format.MessageToDict(message)
    (folder / f"{case.name}.json").write_text(json.dumps(fields))
    return _flags(case, folder)
