"""The towers, written again in Keras from their published descriptions, with the weights' names of our checkpoints."""
import keras
from keras import layers


def faceid(image):
    def conv(name, x, filters, side):
        return layers.Conv2D(filters, side, padding="same", activation="relu", name=name)(x)

    def pool(number, x):
        return layers.MaxPooling2D(2, name=f"maxpooling{number}")(x)

    def norm(number, x):
        return layers.BatchNormalization(name=f"batchnorm{number}")(x)

    x = norm(1, pool(1, conv("conv1", image, 64, 5)))
    x = conv("conv2b", conv("conv2a", x, 64, 1), 96, 3)
    x = norm(2, pool(2, x))
    x = pool(3, conv("conv3b", conv("conv3a", x, 96, 1), 128, 3))
    for name, filters, side in [("4a", 128, 1), ("4b", 256, 3), ("5a", 256, 1), ("5b", 128, 3), ("6a", 128, 1), ("6b", 64, 3)]:
        x = conv(f"conv{name}", x, filters, side)
    x = pool(6, x)
    x = pool(7, conv("conv7b", conv("conv7a", x, 64, 1), 64, 3))
    return layers.Dense(1024, activation="relu", name="dense")(layers.Flatten(name="flatten")(x))


def mobilefacenet(image):
    def norm(name, x):
        return layers.BatchNormalization(name=f"{name}_bn")(x)

    def prelu(name, x):
        return layers.PReLU(shared_axes=[1, 2], name=f"{name}_prelu")(x)

    def conv(name, x, filters, side, stride=1, activation=True):
        x = norm(name, layers.Conv2D(filters, side, stride, padding="same", use_bias=False, name=name)(x))
        return prelu(name, x) if activation else x

    def depthwise(name, x, stride):
        layer = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False, name=name)
        return prelu(name, norm(name, layer(x)))

    x = layers.Rescaling(2.0, -1.0, name="rescaling")(image)
    x = depthwise("conv2_depthwise", conv("conv1", x, 64, 3, 2), 1)
    number = 0
    for expand, channels, repeat, stride in [(2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1)]:
        for i in range(repeat):
            number += 1
            name, step = f"block{number}", stride if i == 0 else 1
            y = conv(f"{name}_expand", x, x.shape[-1] * expand, 1)
            y = depthwise(f"{name}_depthwise", y, step)
            y = conv(f"{name}_project", y, channels, 1, activation=False)
            x = layers.Add(name=f"{name}_add")([x, y]) if step == 1 and x.shape[-1] == channels else y
    x = conv("conv_last", x, 512, 1)
    x = layers.DepthwiseConv2D(x.shape[1:3], padding="valid", use_bias=False, name="global_depthwise")(x)
    x = norm("global_depthwise", x)
    x = conv("embedding_conv", x, 128, 1, activation=False)
    return layers.Flatten(name="flatten")(x)


def siamese(tower, side):
    image = keras.Input((side, side, 3))
    embedding = keras.Model(image, {"faceid": faceid, "mobilefacenet": mobilefacenet}[tower](image), name="embedding")
    anchor, verification = keras.Input((side, side, 3)), keras.Input((side, side, 3))
    distance = keras.ops.abs(embedding(anchor) - embedding(verification))
    hidden = layers.Dense(128, activation="relu", name="dense_distance")(distance)
    classifier = layers.Dense(1, activation="sigmoid", name="classifier")(hidden)
    return keras.Model([anchor, verification], classifier), embedding


ROLES = {
    "Conv2D": ["kernel", "bias"],
    "DepthwiseConv2D": ["kernel", "bias"],
    "Dense": ["kernel", "bias"],
    "BatchNormalization": ["gamma", "beta", "moving_mean", "moving_variance"],
    "PReLU": ["alpha"],
}


def named_weights(model, embedding):
    """(our name, Keras' variable) of every weight."""
    for layer in [*embedding.layers, *model.layers]:
        roles = ROLES.get(type(layer).__name__, [])
        yield from ((f"{layer.name}/{role}", variable) for role, variable in zip(roles, layer.weights))
