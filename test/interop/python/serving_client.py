"""Calls servers with the official client.

Each line of standard input is {write: FOLDER}, which writes the models of serving_models.py there, or {address, calls};
each line of standard output is the list of what came back. A call is {rpc, request, timeout?, made?, random?}: `request`
is the message in protobuf's JSON; `made` maps names of inputs to {dtype, shape, values} for tf.make_tensor_proto; `random`
maps names of inputs to a shape.
"""
import json
import sys

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
import serving_models
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def rpcs(channel):
    prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    return {
        "Predict": (prediction.Predict, predict_pb2.PredictRequest),
        "Classify": (prediction.Classify, classification_pb2.ClassificationRequest),
        "Regress": (prediction.Regress, regression_pb2.RegressionRequest),
        "MultiInference": (prediction.MultiInference, inference_pb2.MultiInferenceRequest),
        "GetModelMetadata": (prediction.GetModelMetadata, get_model_metadata_pb2.GetModelMetadataRequest),
        "GetModelStatus": (models.GetModelStatus, get_model_status_pb2.GetModelStatusRequest),
        "HandleReloadConfigRequest": (models.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest),
        "Check": (health_pb2_grpc.HealthStub(channel).Check, health_pb2.HealthCheckRequest),
    }


def request_of(call, kind):
    request = json_format.ParseDict(call["request"], kind())
    for name, tensor in call.get("made", {}).items():
        values = np.array(tensor["values"], dtype=tf.as_dtype(tensor["dtype"]).as_numpy_dtype).reshape(tensor["shape"])
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    for name, shape in call.get("random", {}).items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(np.random.default_rng(1).random(shape, np.float32)))
    return request


def arrays(response):
    """What tf.make_ndarray makes of the answer; large ones by their shape alone."""
    found = {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}
    return {
        name: {"dtype": str(array.dtype), "shape": array.shape, "values": values_of(array) if array.size <= 100 else None}
        for name, array in found.items()
    }


def values_of(array):
    if array.dtype == object:
        return [value.decode("latin1") for value in array.flat]
    return array.ravel().tolist()


def reflection(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    file = database.FindFileContainingSymbol("tensorflow.serving.PredictionService")
    return {"services": sorted(database.get_services()), "methods": [m.name for s in file.service for m in s.method]}


def outcome(channel, call):
    if call["rpc"] == "reflect":
        return reflection(channel)
    method, kind = rpcs(channel)[call["rpc"]]
    try:
        response = method(request_of(call, kind), timeout=call.get("timeout", 30))
    except grpc.RpcError as error:
        return {"code": error.code().name, "details": error.details()}
    if call["rpc"] == "Predict":
        return {"arrays": arrays(response), "spec": json_format.MessageToDict(response.model_spec)}
    return {"response": json_format.MessageToDict(response)}


for line in sys.stdin:
    question = json.loads(line)
    if "write" in question:
        serving_models.write(question["write"])
        print("[]", flush=True)
        continue
    with grpc.insecure_channel(question["address"], UNLIMITED) as channel:
        print(json.dumps([outcome(channel, call) for call in question["calls"]]), flush=True)
