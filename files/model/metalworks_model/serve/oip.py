"""The Open Inference Protocol, version 2: requests to arrays, arrays to answers.

As in KServe's specification, with the extension for binary tensors that Triton's clients use: a header
Inference-Header-Content-Length says how long the JSON part of the body is, and the raw bytes of the tensors
follow, little-endian and row by row; an element of BYTES has its length (4 bytes) before it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np

from ..models.tensors import Array, BadInput, Model, Tensor, texts

TYPES: dict[str, str] = {
    "BOOL": "?", "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "<i1",
    "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
# More elements in one input are refused: an answer has to stay short.
ELEMENTS_BOUND = 100_000
EXTENSIONS = ("binary_tensor_data",)


class Input(msgspec.Struct):
    """An input as a request has it."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class Wanted(msgspec.Struct):
    """An output that a request asks for."""

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(msgspec.Struct):
    """The JSON part of a request."""

    inputs: list[Input]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[Wanted] | None = None


class Output(msgspec.Struct, omit_defaults=True):
    """An output as an answer has it."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] = {}
    data: list[Any] | msgspec.UnsetType = msgspec.UNSET


class InferResponse(msgspec.Struct, omit_defaults=True):
    """The JSON part of an answer."""

    model_name: str
    model_version: str
    outputs: list[Output]
    id: str = ""


DECODER = msgspec.json.Decoder(InferRequest)
ENCODER = msgspec.json.Encoder()


def read_request(body: bytes, header_length: bytes | None) -> tuple[InferRequest, memoryview]:
    """Return the JSON part of a body and the binary rest. BadInput if it does not fit the protocol."""
    length = len(body)
    if header_length is not None:
        if not header_length.isdigit() or int(header_length) > len(body):
            raise BadInput(
                "Inference-Header-Content-Length has to be the length of the JSON part, not above the body's"
            )
        length = int(header_length)
    try:
        request = DECODER.decode(body[:length] if length < len(body) else body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise BadInput(f"the body does not fit the Open Inference Protocol: {problem}") from None
    return request, memoryview(body)[length:]


def read_inputs(request: InferRequest, rest: memoryview, expected: Sequence[Tensor]) -> dict[str, Array]:
    """Return the inputs as arrays; text as dtype object. BadInput names the input that does not fit."""
    known = {each.name: each for each in expected}
    found: dict[str, Array] = {}
    for each in request.inputs:
        if each.name not in known:
            raise BadInput(f"the model has no input {each.name!r}: it has {', '.join(known) or 'none'}")
        if each.name in found:
            raise BadInput(f"the input {each.name} is given twice")
        _check_form(each, known[each.name])
        size = each.parameters.get("binary_data_size")
        if size is None:
            found[each.name] = _from_json(each)
        else:
            if each.data is not None:
                raise BadInput(f"the input {each.name} has both data and binary_data_size")
            if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= len(rest):
                raise BadInput(
                    f"the input {each.name}: binary_data_size is not a size of what the body holds"
                )
            found[each.name], rest = _from_bytes(each, rest[:size]), rest[size:]
    if len(rest):
        raise BadInput(f"{len(rest)} bytes at the end of the body belong to no input")
    return found


def _check_form(given: Input, expected: Tensor) -> None:
    if given.datatype != expected.datatype:
        raise BadInput(f"the input {given.name} has to be {expected.datatype}, and not {given.datatype}")
    if any(each < 0 for each in given.shape):
        raise BadInput(f"the input {given.name}: a shape has no negative sizes")
    # One column may be written without its second dimension, and the other way round.
    shape, wanted = given.shape, expected.shape
    if len(shape) == len(wanted) + 1 and shape[-1] == 1:
        shape = shape[:-1]
    fits = len(shape) == len(wanted) and all(
        want in (-1, have) for want, have in zip(wanted, shape, strict=True)
    )
    if not fits:
        raise BadInput(f"the input {given.name} has to have the shape {list(wanted)}, and not {given.shape}")
    if math.prod(given.shape) > ELEMENTS_BOUND:
        raise BadInput(f"the input {given.name} has more than {ELEMENTS_BOUND} elements")


def _flat(data: list[Any], depth: int) -> Iterable[Any]:
    for each in data:
        if isinstance(each, list):
            if depth == 0:
                raise BadInput("data is nested more deeply than its shape")
            yield from _flat(each, depth - 1)
        else:
            yield each


def _from_json(given: Input) -> Array:
    if given.data is None:
        raise BadInput(f"the input {given.name} has no data")
    values = given.data
    if any(isinstance(each, list) for each in values):
        values = list(_flat(values, len(given.shape) - 1))
    size = math.prod(given.shape)
    if len(values) != size:
        raise BadInput(f"the input {given.name} has {len(values)} elements, and its shape says {size}")
    kinds: tuple[type, ...]
    if given.datatype == "BYTES":
        kinds, words = (str,), "text"
    elif given.datatype == "BOOL":
        kinds, words = (bool,), "true or false"
    elif given.datatype.startswith("FP"):
        kinds, words = (int, float), "a number"
    else:
        kinds, words = (int,), "a whole number"
    for each in values:
        if not isinstance(each, kinds) or (isinstance(each, bool) and kinds != (bool,)):
            raise BadInput(f"the input {given.name} is {given.datatype}: {each!r} is not {words}")
    if given.datatype == "BYTES":
        found = texts(values)
    else:
        try:
            found = np.array(values, TYPES[given.datatype])
        except OverflowError:
            raise BadInput(f"the input {given.name}: a number is too large for {given.datatype}") from None
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            raise BadInput(f"the input {given.name}: a number is too large for {given.datatype}")
    return found.reshape(given.shape)


def _from_bytes(given: Input, raw: memoryview) -> Array:
    size = math.prod(given.shape)
    if given.datatype != "BYTES":
        kind = np.dtype(TYPES[given.datatype])
        if len(raw) != size * kind.itemsize:
            raise BadInput(f"the input {given.name} has {len(raw)} bytes, and needs {size * kind.itemsize}")
        found: Array = np.frombuffer(raw, kind)
        if kind.kind == "f" and not np.isfinite(found).all():
            raise BadInput(f"the input {given.name} has a value that is not a finite number")
        return found.reshape(given.shape)
    values: list[str] = []
    at = 0
    while at < len(raw):
        if at + 4 > len(raw):
            raise BadInput(f"the input {given.name}: the bytes end within a length")
        (length,) = struct.unpack_from("<I", raw, at)
        at += 4
        if at + length > len(raw):
            raise BadInput(f"the input {given.name}: the bytes end within an element")
        try:
            values.append(str(raw[at : at + length], "utf-8"))
        except UnicodeDecodeError:
            raise BadInput(f"the input {given.name}: element {len(values)} is not UTF-8") from None
        at += length
    if len(values) != size:
        raise BadInput(f"the input {given.name} has {len(values)} elements, and its shape says {size}")
    return texts(values).reshape(given.shape)


def datatype(array: Array) -> str:
    """Return the protocol's name of an array's type."""
    if array.dtype == object:
        return "BYTES"
    return next(name for name, kind in TYPES.items() if np.dtype(kind) == array.dtype)


def wanted_outputs(request: InferRequest, model: Model) -> dict[str, bool]:
    """Return the outputs that a request asks for, and whether each is to be binary."""
    names = [each.name for each in model.outputs]
    binary = request.parameters.get("binary_data_output") is True
    if request.outputs is None:
        return dict.fromkeys(getattr(model, "usual_outputs", names), binary)
    found = {}
    for each in request.outputs:
        if each.name not in names:
            raise BadInput(f"the model has no output {each.name!r}: it has {', '.join(names)}")
        found[each.name] = each.parameters.get("binary_data", binary) is True
    return found


def answer(
    request: InferRequest,
    model: Model,
    name: str,
    version: str,
    arrays: dict[str, Array],
    wanted: dict[str, bool],
) -> tuple[bytes, int | None]:
    """Return the body of an answer, and the length of its JSON part where binary tensors follow."""
    outputs, raw = [], []
    for each, binary in wanted.items():
        array = arrays[each]
        output = Output(each, datatype(array), list(array.shape))
        if binary:
            content = _to_bytes(array)
            output.parameters = {"binary_data_size": len(content)}
            raw.append(content)
        else:
            output.data = array.ravel().tolist()
        outputs.append(output)
    body = ENCODER.encode(InferResponse(name, version, outputs, request.id))
    return (body + b"".join(raw), len(body)) if raw else (body, None)


def _to_bytes(array: Array) -> bytes:
    if array.dtype != object:
        return array.astype(array.dtype.newbyteorder("<")).tobytes()
    found = []
    for each in array.ravel().tolist():
        content = each.encode()
        found.append(struct.pack("<I", len(content)) + content)
    return b"".join(found)


def metadata(model: Model, name: str, versions: Sequence[str]) -> dict[str, Any]:
    """Return what a model takes and gives, as the protocol words it."""
    return {
        "name": name,
        "versions": list(versions),
        "platform": f"metalworks_{model.card.kind}",
        "inputs": [_described(each) for each in model.inputs],
        # A model without types of outputs in its signature does not know them before it answers.
        "outputs": [_described(each) for each in model.outputs if each.datatype],
    }


def _described(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
