"""Models with classify and regress signatures in the manner of TensorFlow Serving's own, written by genuine TensorFlow."""
import os

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1

PREDICT, CLASSIFY, REGRESS = (f"tensorflow/serving/{name}" for name in ("predict", "classify", "regress"))
TYPES = [
    "float32", "float64", "float16", "int8", "int16", "int32", "int64",
    "uint8", "uint16", "uint32", "uint64", "bool",
]


def signature(inputs, outputs, method=PREDICT):
    def infos(tensors):
        return {alias: v1.saved_model.build_tensor_info(tensor) for alias, tensor in tensors.items()}

    return v1.saved_model.build_signature_def(infos(inputs), infos(outputs), method)


def save(folder, signatures, session):
    session.run(v1.global_variables_initializer())
    builder = v1.saved_model.Builder(folder)
    builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
    builder.save()


def parsed_v1(serialized):
    x, x2 = tf.raw_ops.ParseExample(
        serialized=serialized, names=[], sparse_keys=[], dense_keys=["x", "x2"],
        dense_defaults=[np.float32([]), np.float32([0])], sparse_types=[], dense_shapes=[[1], [1]],
    ).dense_values
    return x, x2


def parsed_v2(serialized):
    features = tf.io.parse_example(serialized, {
        "x": tf.io.FixedLenFeature([1], tf.float32),
        "x2": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.0]),
    })
    return features["x"], features["x2"]


def half_plus(folder, plus, parsed, constant=tf.constant):
    """y = x / 2 + plus, y2 = x / 2 + plus + 1, y3 = x2 / 2 + plus + 1, and labels for the two scores of x."""
    with tf.Graph().as_default(), v1.Session() as session:
        examples = v1.placeholder(tf.string, name="tf_example")
        x, x2 = (tf.identity(value, name) for value, name in zip(parsed(examples), ("x", "x2")))
        a, b, c = (constant(value, tf.float32) for value in (0.5, plus, plus + 1))
        y, y2, y3 = (tf.add(a * value, added, name) for value, added, name in ((x, b, "y"), (x, c, "y2"), (x2, c, "y3")))
        save(folder, {
            "serving_default": signature({"x": x}, {"y": y}),
            "both": signature({"x": x}, {"y": y, "y2": y2}),
            "regress_x_to_y": signature({"inputs": examples}, {"outputs": y}, REGRESS),
            "regress_x_to_y2": signature({"inputs": examples}, {"outputs": y2}, REGRESS),
            "regress_x2_to_y3": signature({"inputs": x2}, {"outputs": y3}, REGRESS),
            "classify_x_to_y": signature({"inputs": examples}, {"scores": y}, CLASSIFY),
            "classify_x_to_both": signature({"inputs": examples}, {"scores": tf.concat([y, y2], 1)}, CLASSIFY),
        }, session)


def variable(value, dtype):
    """As the models of TensorFlow 1 have them: references, not resources."""
    return v1.Variable(value, dtype=dtype, use_resource=False)


class HalfPlusTwo(tf.Module):
    """The same as TensorFlow 2 writes it: variables, functions, and signatures that all call themselves predict."""

    def __init__(self):
        super().__init__()
        self.a, self.b = tf.Variable(0.5), tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="x")])
    def serve(self, x):
        return {"y": self.a * x + self.b}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def regress(self, inputs):
        features = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([1], tf.float32)})
        return {"outputs": self.a * features["x"] + self.b}


def half_plus_two_tf2(folder):
    module = HalfPlusTwo()
    tf.saved_model.save(module, folder, signatures={"serving_default": module.serve, "regress_x_to_y": module.regress})


def types(folder):
    """For every element type a signature that gives back what it gets."""
    with tf.Graph().as_default(), v1.Session() as session:
        signatures = {}
        for name in TYPES:
            value = v1.placeholder(tf.as_dtype(name), [None], name=name)
            signatures[name] = signature({"value": value}, {"value": tf.identity(value, f"{name}_out")})
        signatures["serving_default"] = signatures["float32"]
        save(folder, signatures, session)


def slow(folder, side=1024, times=12):
    """About a second's work on one core for `side` rows."""
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 1], name="x")
        weights = tf.constant(np.random.default_rng(1).normal(size=(side, side)).astype(np.float32) / side**0.5)
        value = tf.matmul(x, tf.constant(np.ones([1, side], np.float32)))
        for _ in range(times):
            value = tf.matmul(value, weights)
        save(folder, {"serving_default": signature({"x": x}, {"y": value})}, session)


def write(root):
    half_plus(os.path.join(root, "half_plus_two", "00000123"), 2, parsed_v1)
    half_plus(os.path.join(root, "variables", "123"), 2, parsed_v2, variable)
    half_plus_two_tf2(os.path.join(root, "tensorflow2", "123"))
    half_plus(os.path.join(root, "half_plus_three", "123"), 3, parsed_v2)
    types(os.path.join(root, "types", "1"))
    slow(os.path.join(root, "slow", "1"))
