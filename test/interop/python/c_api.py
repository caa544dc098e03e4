"""TensorFlow's C++ SavedModel loader, the one that TensorFlow Serving runs, called through its C interface."""
import ctypes
import os

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

_library = ctypes.CDLL(os.path.join(os.path.dirname(tf.__file__), "libtensorflow_cc.so.2"))
_P = ctypes.c_void_p


class _Output(ctypes.Structure):
    _fields_ = [("operation", _P), ("index", ctypes.c_int)]


class _Buffer(ctypes.Structure):
    _fields_ = [("data", _P), ("length", ctypes.c_size_t), ("deallocator", _P)]


def _function(name, result, *arguments):
    function = getattr(_library, name)
    function.restype, function.argtypes = result, arguments
    return function


_new_status = _function("TF_NewStatus", _P)
_code = _function("TF_GetCode", ctypes.c_int, _P)
_message = _function("TF_Message", ctypes.c_char_p, _P)
_new_graph = _function("TF_NewGraph", _P)
_new_options = _function("TF_NewSessionOptions", _P)
_new_buffer = _function("TF_NewBuffer", ctypes.POINTER(_Buffer))
_load = _function("TF_LoadSessionFromSavedModel", _P, _P, _P, ctypes.c_char_p, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, _P, ctypes.POINTER(_Buffer), _P)
_operation = _function("TF_GraphOperationByName", _P, _P, ctypes.c_char_p)
_allocate = _function("TF_AllocateTensor", _P, ctypes.c_int, ctypes.POINTER(ctypes.c_int64), ctypes.c_int, ctypes.c_size_t)
_data = _function("TF_TensorData", _P, _P)
_byte_size = _function("TF_TensorByteSize", ctypes.c_size_t, _P)
_rank = _function("TF_NumDims", ctypes.c_int, _P)
_side = _function("TF_Dim", ctypes.c_int64, _P, ctypes.c_int)
_string_init = _function("TF_StringInit", None, _P)
_string_copy = _function("TF_StringCopy", None, _P, ctypes.c_char_p, ctypes.c_size_t)
_run = _function("TF_SessionRun", None, _P, _P, ctypes.POINTER(_Output), ctypes.POINTER(_P), ctypes.c_int, ctypes.POINTER(_Output), ctypes.POINTER(_P), ctypes.c_int, _P, ctypes.c_int, _P, _P)
_close = _function("TF_CloseSession", None, _P, _P)

_STRING_SIZE = 24


def _check(status):
    if _code(status) != 0:
        raise RuntimeError(_message(status).decode())


def _tensor(value):
    sides = (ctypes.c_int64 * value.ndim)(*value.shape)
    if value.dtype == np.float32:
        tensor = _allocate(tf.float32.as_datatype_enum, sides, value.ndim, value.nbytes)
        ctypes.memmove(_data(tensor), np.ascontiguousarray(value).ctypes.data, value.nbytes)
        return tensor
    tensor = _allocate(tf.string.as_datatype_enum, sides, value.ndim, _STRING_SIZE * value.size)
    for i, content in enumerate(value.ravel()):
        place = _data(tensor) + i * _STRING_SIZE
        _string_init(place)
        _string_copy(place, content, len(content))
    return tensor


def _floats(tensor):
    shape = [_side(tensor, axis) for axis in range(_rank(tensor))]
    return np.frombuffer(ctypes.string_at(_data(tensor), _byte_size(tensor)), np.float32).reshape(shape)


class Model:
    def __init__(self, folder):
        self._status, self._graph, meta = _new_status(), _new_graph(), _new_buffer()
        tags = (ctypes.c_char_p * 1)(b"serve")
        self._session = _load(_new_options(), None, folder.encode(), tags, 1, self._graph, meta, self._status)
        _check(self._status)
        serialized = ctypes.string_at(meta.contents.data, meta.contents.length)
        self._signatures = meta_graph_pb2.MetaGraphDef.FromString(serialized).signature_def

    def _place(self, info):
        name, index = info.name.split(":")
        return _Output(_operation(self._graph, name.encode()), int(index))

    def run(self, signature, inputs):
        definition = self._signatures[signature]
        feeds = [(self._place(definition.inputs[alias]), _tensor(value)) for alias, value in inputs.items()]
        aliases = list(definition.outputs)
        places = (_Output * len(feeds))(*[place for place, _ in feeds])
        tensors = (_P * len(feeds))(*[tensor for _, tensor in feeds])
        ends = (_Output * len(aliases))(*[self._place(definition.outputs[alias]) for alias in aliases])
        results = (_P * len(aliases))()
        _run(self._session, None, places, tensors, len(feeds), ends, results, len(aliases), None, 0, None, self._status)
        _check(self._status)
        return {alias: _floats(result) for alias, result in zip(aliases, results)}

    def close(self):
        _close(self._session, self._status)
