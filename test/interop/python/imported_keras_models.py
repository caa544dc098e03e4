"""Keras models: applications with random weights, the original verifier, and Siamese networks of many layers."""
import keras
import numpy as np
import tensorflow as tf
from keras import layers

from keras_networks import faceid

ROWS = [1, 3, 16]


def randomized(model):
    """Batch statistics and biases moved away from 0 and 1, so that nothing cancels by chance."""
    random = np.random.default_rng(5)
    for variable in model.weights:
        name = variable.path.split("/")[-1]
        if name in ("gamma", "moving_variance"):
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        elif name in ("beta", "moving_mean", "bias", "alpha"):
            variable.assign(random.normal(0, 0.1, variable.shape))
    return model


def images(rows, side, seed=0):
    return np.random.default_rng(100 * seed + rows).uniform(0, 1, (rows, side, side, 3)).astype(np.float32)


def record(recorder, model, side, rows=ROWS, scale=1.0):
    names = [tensor.name for tensor in model.inputs]
    for n in rows:
        values = {name: scale * images(n, side, i) for i, name in enumerate(names)}
        outputs = model(list(values.values()), training=False)
        recorder.case("serving_default", values, {"output_0": outputs})


def application(build, side, scale=1.0, **options):
    def write(recorder):
        model = randomized(build(weights=None, classes=10, classifier_activation=None, input_shape=(side, side, 3), **options))
        model.export(recorder.version, verbose=False)
        record(recorder, model, side, scale=scale)

    return write


def pair_inputs(side, batch=None):
    shape = (side, side, 3)
    return [keras.Input(shape, batch_size=batch, name=name) for name in ("anchor_img", "verification_img")]


def original(batch=None, side=112):
    """The verifier of the original project: tower, absolute difference in a Lambda, two dense layers."""
    image = keras.Input((side, side, 3))
    tower = keras.Model(image, faceid(image), name="embedding")
    anchor, verification = pair_inputs(side, batch)
    difference = layers.Lambda(lambda pair: tf.abs(pair[0] - pair[1]), name="distance")
    distance = difference([tower(anchor), tower(verification)])
    hidden = layers.Dense(128, activation="relu", name="dense_distance")(distance)
    return keras.Model([anchor, verification], layers.Dense(1, activation="sigmoid", name="classifier")(hidden))


def original_free(recorder):
    model = randomized(original())
    model.export(recorder.version, verbose=False)
    record(recorder, model, 112)


def original_fixed(recorder):
    """Ten pairs a run, as the original is exported, with the names of its signature."""
    model = randomized(original(batch=10))
    spec = tf.TensorSpec((10, 112, 112, 3))

    @tf.function
    def serve(anchor_img, verification_img):
        return {"classifier": model([anchor_img, verification_img], training=False)}

    names = ("anchor_img", "verification_img")
    concrete = serve.get_concrete_function(*(tf.TensorSpec(spec.shape, name=name) for name in names))
    tf.saved_model.save(model, recorder.version, signatures=concrete)
    values = {name: images(10, 112, i) for i, name in enumerate(names)}
    recorder.case("serving_default", values, {"classifier": model(list(values.values()), training=False)})


def siamese():
    side = 32
    image = keras.Input((side, side, 3))
    x = layers.Rescaling(2.0, -1.0)(image)
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.PReLU(shared_axes=[1, 2])(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2)(x)
    x = layers.PReLU()(layers.BatchNormalization(scale=False)(x))
    x = layers.SeparableConv2D(24, 5, padding="valid", activation="elu")(x)
    x = layers.LeakyReLU(negative_slope=0.1)(x)
    x = layers.Conv2D(24, 3, dilation_rate=2, padding="same", activation="swish")(x)
    x = layers.ZeroPadding2D(((0, 1), (1, 0)))(x)
    x = layers.Conv2DTranspose(12, 3, strides=2, padding="same")(x)
    x = layers.Add()([layers.AveragePooling2D(3, strides=1, padding="same")(x), x])
    x = layers.Concatenate()([x, layers.UpSampling2D(2)(layers.MaxPooling2D(2)(x))])
    squeezed = layers.Dense(24, activation="hard_sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Multiply()([x, squeezed])
    parts = [layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x), layers.Flatten()(x)]
    x = layers.Dense(20)(layers.Dropout(0.5)(layers.Concatenate()(parts)))
    x = layers.LayerNormalization()(x)
    tower = keras.Model(image, layers.UnitNormalization()(x), name="tower")
    anchor, verification = pair_inputs(side)
    a, b = tower(anchor), tower(verification)
    distance = layers.Lambda(lambda t: tf.reduce_sum(tf.square(t[0] - t[1]), axis=1, keepdims=True))([a, b])
    cosine = layers.Dot(axes=1, normalize=True)([a, b])
    joined = layers.Concatenate()([distance, cosine, layers.Lambda(lambda t: tf.abs(t[0] - t[1]))([a, b])])
    return keras.Model([anchor, verification], layers.Dense(1, activation="sigmoid")(joined))


def tiny():
    """A network of a few hundred weights, small enough to lie beside the tests as TensorFlow wrote it."""
    image = keras.Input((8, 8, 3), name="image")
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same", activation="relu")(image))
    x = layers.MaxPooling2D(2)(layers.DepthwiseConv2D(3)(x))
    return keras.Model(image, layers.Dense(2, activation="softmax")(layers.Flatten()(x)))


def tiny_exported(recorder):
    model = randomized(tiny())
    model.export(recorder.version, verbose=False)
    record(recorder, model, 8, rows=[2])


def tiny_saved(recorder):
    """With an optimizer and metrics, whose variables share names with others."""
    model = randomized(tiny())
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images(2, 8), np.array([0, 1]), verbose=0)
    tf.saved_model.save(model, recorder.version)
    recorder.case("serving_default", {"inputs": images(2, 8)}, {"output_0": model(images(2, 8), training=False)})


def siamese_exported(recorder):
    model = randomized(siamese())
    model.export(recorder.version, verbose=False)
    record(recorder, model, 32)


def siamese_saved(recorder):
    """As Keras 2 did: the whole model with its training configuration, by `tf.saved_model.save`."""
    model = randomized(siamese())
    model.compile("adam", "binary_crossentropy")
    tf.saved_model.save(model, recorder.version)
    signature = tf.saved_model.load(recorder.version).signatures["serving_default"]
    for n in ROWS:
        names = sorted(signature.structured_input_signature[1])
        values = {name: images(n, 32, i) for i, name in enumerate(names)}
        outputs = signature(**{name: tf.constant(value) for name, value in values.items()})
        recorder.case("serving_default", values, outputs)


class ChannelsFirst(tf.Module):
    """Convolutions with channels second, which TensorFlow saves but cannot run on a CPU."""

    def __init__(self):
        super().__init__()
        random = np.random.default_rng(9)
        normal = lambda *shape: tf.Variable(random.normal(0, 0.3, shape).astype(np.float32))
        self.kernel, self.bias, self.depthwise = normal(3, 3, 3, 8), normal(8), normal(3, 3, 8, 2)
        self.dense = normal(16, 4)
        self.scale, self.offset, self.mean = normal(16), normal(16), normal(16)
        self.variance = tf.Variable(random.uniform(0.5, 1.5, 16).astype(np.float32))

    def run(self, x, layout):
        first = layout == "NCHW"
        four = lambda n: [1, 1, n, n] if first else [1, n, n, 1]
        x = tf.nn.conv2d(x, self.kernel, four(2), "SAME", data_format=layout)
        x = tf.nn.relu(tf.nn.bias_add(x, self.bias, data_format=layout))
        x = tf.raw_ops.DepthwiseConv2dNative(input=x, filter=self.depthwise, strides=four(1), padding="VALID", data_format=layout)
        outputs = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=self.scale, offset=self.offset, mean=self.mean, variance=self.variance, epsilon=0.01, data_format=layout, is_training=False
        )
        x = tf.nn.max_pool2d(outputs.y, 2, 2, "SAME", data_format=layout)
        x = tf.nn.avg_pool2d(x, 3, 1, "SAME", data_format=layout)
        axes = [2, 3] if first else [1, 2]
        return tf.nn.log_softmax(tf.matmul(tf.reduce_mean(x, axes), self.dense))


def channels_first(recorder):
    module = ChannelsFirst()
    first = tf.function(lambda x: {"y": module.run(x, "NCHW")}, input_signature=[tf.TensorSpec([None, 3, 24, 24], name="x")])
    module.first = first
    tf.saved_model.save(module, recorder.version, signatures=first)
    for rows in ROWS:
        x = images(rows, 24)
        recorder.case("serving_default", {"x": np.transpose(x, [0, 3, 1, 2])}, {"y": module.run(x, "NHWC")})


apps = keras.applications
KERAS_MODELS = {
    "tiny_exported": tiny_exported,
    "tiny_saved": tiny_saved,
    "siamese_exported": siamese_exported,
    "siamese_saved": siamese_saved,
    "channels_first": channels_first,
    "original_free": original_free,
    "original_fixed": original_fixed,
    "mobilenet_v2": application(apps.MobileNetV2, 96),
    "mobilenet_v3_small": application(apps.MobileNetV3Small, 96, scale=255.0),
    "mobilenet_v3_large": application(apps.MobileNetV3Large, 96, scale=255.0),
    "resnet50": application(apps.ResNet50, 64),
    "efficientnet_b0": application(apps.EfficientNetB0, 64, scale=255.0),
    "inception_v3": application(apps.InceptionV3, 75),
    "densenet121": application(apps.DenseNet121, 64),
}
