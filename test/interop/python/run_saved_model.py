"""Runs signatures of SavedModels with TensorFlow's loaders. Argument: a JSON file with a list of jobs.

A job names the model's folder, a folder with inputs, the loaders to use, and signature -> alias -> {dtype, shape}.
Floats lie in <signature>.<alias>.bin, strings in <signature>.<alias>.<number>.bin. Outputs are written beside them as
<signature>.<alias>.<loader>.bin. Prints the requests of the warm-up file, where there is one, and the seconds that each loader took.
"""
import json
import os
import sys
import time

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

import c_api


def read(path):
    with open(path, "rb") as file:
        return file.read()


def value_of(work, name, described):
    if described["dtype"] == "string":
        files = [read(f"{work}/{name}.{i}.bin") for i in range(described["shape"][0])]
        return np.array(files, dtype=object)
    return np.fromfile(f"{work}/{name}.bin", np.float32).reshape(described["shape"])


class Python2:
    def __init__(self, folder):
        self._model = tf.saved_model.load(folder)

    def run(self, signature, inputs):
        feeds = {alias: tf.constant(list(v) if v.dtype == object else v) for alias, v in inputs.items()}
        return {alias: v.numpy() for alias, v in self._model.signatures[signature](**feeds).items()}

    def close(self):
        del self._model


class Python1:
    def __init__(self, folder):
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        self._signatures = tf.compat.v1.saved_model.load(self._session, ["serve"], folder).signature_def

    def run(self, signature, inputs):
        definition = self._signatures[signature]
        feeds = {definition.inputs[alias].name: value for alias, value in inputs.items()}
        return self._session.run({alias: info.name for alias, info in definition.outputs.items()}, feeds)

    def close(self):
        self._session.close()


LOADERS = {"tf2": Python2, "tf1": Python1, "c": c_api.Model}


def warmup_requests(folder):
    path = f"{folder}/assets.extra/tf_serving_warmup_requests"
    if not os.path.exists(path):
        return None
    requests = []
    for record in tf.data.TFRecordDataset(path):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        inputs = {alias: tf.make_ndarray(tensor) for alias, tensor in request.inputs.items()}
        answer = c_api.Model(folder).run(request.model_spec.signature_name, inputs)
        requests.append({"signature": request.model_spec.signature_name, "model": request.model_spec.name, "shapes": {alias: list(value.shape) for alias, value in inputs.items()}, "answers": {alias: list(value.shape) for alias, value in answer.items()}})
    return requests


warmup = []
loads = []
for job in json.load(open(sys.argv[1])):
    work = job["work"]
    seconds = {}
    for loader in job["loaders"]:
        begun = time.perf_counter()
        model = LOADERS[loader](job["model"])
        seconds[loader] = time.perf_counter() - begun
        for signature, aliases in job["signatures"].items():
            inputs = {alias: value_of(work, f"{signature}.{alias}", described) for alias, described in aliases.items()}
            for alias, value in model.run(signature, inputs).items():
                np.asarray(value, np.float32).tofile(f"{work}/{signature}.{alias}.{loader}.bin")
        model.close()
    warmup.append(warmup_requests(job["model"]))
    loads.append(seconds)

print(json.dumps({"warmup": warmup, "loads": loads, "tensorflow": tf.__version__}))
