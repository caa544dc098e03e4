"""Exports Keras models as ONNX files. Argument: the folder to write to; prints the names.

Every model takes one batch of images, channels last, as Keras does, and has moved statistics, so that nothing cancels.
"""
import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from keras import layers

from imported_keras_models import randomized

SIDE = 64


def application(build, **options):
    return build(weights=None, classes=10, classifier_activation=None, input_shape=(SIDE, SIDE, 3), **options)


def many_layers():
    """What the applications lack: slopes, enlarged images, margins of all kinds, normalisation by layer."""
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same")(image)
    x = layers.PReLU(shared_axes=[1, 2])(x)
    x = layers.ZeroPadding2D(((1, 2), (0, 1)))(x)
    x = layers.AveragePooling2D(3, strides=2, padding="same")(x)
    side = layers.Conv2D(8, 3, padding="same", activation="elu")(x)
    x = layers.Add()([x, layers.LeakyReLU()(side)])
    x = layers.UpSampling2D(2)(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.Cropping2D(((1, 2), (3, 0)))(x)
    x = layers.SeparableConv2D(6, 3, dilation_rate=2, activation="relu6")(x)
    x = layers.LayerNormalization()(x)
    x = layers.GlobalMaxPooling2D()(x)
    x = layers.Dense(8, activation="softmax")(x)
    return keras.Model(image, layers.UnitNormalization()(x))


MODELS = {
    "mobilenet_v2": (application, keras.applications.MobileNetV2, 15),
    "mobilenet_v3_small": (application, keras.applications.MobileNetV3Small, 17),
    "resnet50": (application, keras.applications.ResNet50, 13),
    "efficientnet_b0": (application, keras.applications.EfficientNetB0, 15),
    "densenet121": (application, keras.applications.DenseNet121, 11),
    "many_layers": (many_layers, None, 18),
}

folder = sys.argv[1]
for name, (build, what, opset) in MODELS.items():
    model = randomized(build() if what is None else build(what))
    model(np.zeros((1, SIDE, SIDE, 3), np.float32))
    model.export(os.path.join(folder, f"{name}.onnx"), format="onnx", opset_version=opset, verbose=False)
print(json.dumps(list(MODELS)))
