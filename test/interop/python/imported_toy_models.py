"""Small models of every way in which TensorFlow keeps variables: TF1 graphs, modules, nested functions, shards."""
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
ROWS = [1, 3, 16]


def numbers(rows, *shape):
    return np.random.default_rng(rows).normal(size=(rows, *shape)).astype(np.float32)


def _graph_model(recorder, use_resource, reshape_inputs=False):
    """y = x / 2 + 2 as a TF1 session writes it."""
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 1], name="x")
        a = v1.get_variable("a", initializer=0.5, use_resource=use_resource)
        b = v1.get_variable("b", initializer=2.0, use_resource=use_resource)
        # The fed value is an Identity in the middle of the graph, as old servers' models have it.
        fed = tf.identity(tf.reshape(x, [-1, 1]) if reshape_inputs else x, name="fed")
        y = tf.add(tf.multiply(a, fed), b, name="y")
        session.run(v1.global_variables_initializer())
        info = v1.saved_model.build_tensor_info
        signature = v1.saved_model.signature_def_utils.build_signature_def(
            {"x": info(fed if reshape_inputs else x)}, {"y": info(y)}, "tensorflow/serving/predict"
        )
        builder = v1.saved_model.Builder(recorder.version)
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
        for rows in ROWS:
            value = numbers(rows, 1)
            recorder.case("serving_default", {"x": value}, {"y": session.run(y, {fed: value})})


def graph_variables(recorder):
    _graph_model(recorder, use_resource=False)


def graph_resources(recorder):
    _graph_model(recorder, use_resource=True)


def fed_in_the_middle(recorder):
    _graph_model(recorder, use_resource=False, reshape_inputs=True)


class HalfPlusTwo(tf.Module):
    def __init__(self):
        super().__init__()
        # Two variables of one name, so that names tell nothing.
        self.a = tf.Variable(0.5, name="v")
        self.b = tf.Variable(2.0, name="v")
        self.deep = tf.Module()
        self.deep.scale = tf.Variable(tf.reshape(tf.range(6, dtype=tf.float32), [1, 6]), name="v")
        self.constant = tf.constant(np.linspace(0, 1, 2000, dtype=np.float32))

    @tf.function
    def inner(self, x, scale):
        return x * scale, x + scale

    @tf.function
    def outer(self, x):
        product, total = self.inner(x, self.a)
        second, _ = self.inner(total, self.deep.scale)
        return second + product + self.b + tf.reduce_mean(self.constant)

    @tf.function(input_signature=[tf.TensorSpec([None, 6], name="x")])
    def serve(self, x):
        return {"y": self.outer(self.outer(x)), "half": x * self.a + self.b}


def nested_functions(recorder):
    module = HalfPlusTwo()
    tf.saved_model.save(module, recorder.version, signatures={"serving_default": module.serve})
    for rows in ROWS:
        x = numbers(rows, 6)
        recorder.case("serving_default", {"x": x}, module.serve(tf.constant(x)))


def two_shards(recorder):
    """The same model with its variables in two shards, merged as distributed training does."""
    module = HalfPlusTwo()
    tf.saved_model.save(module, recorder.version, signatures={"serving_default": module.serve})
    prefix = f"{recorder.version}/variables/variables"
    reader = tf.train.load_checkpoint(prefix)
    keys = sorted(reader.get_variable_to_shape_map())
    parts = []
    for i, part in enumerate([keys[::2], keys[1::2]]):
        parts.append(f"{recorder.folder}/part{i}")
        tf.raw_ops.SaveV2(prefix=parts[-1], tensor_names=part, shape_and_slices=[""] * len(part), tensors=[reader.get_tensor(key) for key in part])
    for file in tf.io.gfile.glob(f"{prefix}*"):
        tf.io.gfile.remove(file)
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=prefix, delete_old_dirs=False)
    x = numbers(3, 6)
    recorder.case("serving_default", {"x": x}, module.serve(tf.constant(x)))


TOY_MODELS = {
    "graph_variables": graph_variables,
    "graph_resources": graph_resources,
    "fed_in_the_middle": fed_in_the_middle,
    "nested_functions": nested_functions,
    "two_shards": two_shards,
}
