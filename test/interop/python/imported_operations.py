"""Every operator that can be read, each as an output of its own, by groups of like inputs."""
import numpy as np
import tensorflow as tf

raw = tf.raw_ops
ROWS = [1, 3, 16]


def elementwise(x, y, n, m):
    """x, y: floats [rows, 5]; n, m: whole numbers [rows, 5], m never 0."""
    positive = tf.abs(x) + 0.1
    unary = ["Neg", "Abs", "Sign", "Exp", "Expm1", "Reciprocal", "Inv", "Square", "Sin", "Cos", "Tan", "Tanh", "Sigmoid"]
    unary += ["Erf", "Erfc", "Floor", "Ceil", "Rint", "Round"]
    activations = ["Softplus", "Softsign", "Relu", "Relu6", "LeakyRelu", "Elu", "Selu"]
    outputs = {op: getattr(raw, op)(x=x) for op in unary}
    outputs |= {op: getattr(raw, op)(features=4 * x) for op in activations}
    outputs |= {op: getattr(raw, op)(x=positive) for op in ["Log", "Log1p", "Sqrt", "Rsqrt"]}
    binary = ["Add", "AddV2", "Sub", "Mul", "RealDiv", "Div", "Maximum", "Minimum", "SquaredDifference"]
    binary += ["Less", "LessEqual", "Greater", "GreaterEqual", "FloorDiv", "FloorMod", "Mod"]
    outputs |= {op: getattr(raw, op)(x=x, y=y) for op in binary}
    whole = ["Add", "Sub", "Mul", "Maximum", "FloorDiv", "FloorMod", "TruncateDiv", "TruncateMod", "Less", "SquaredDifference"]
    outputs |= {f"{op}_whole": getattr(raw, op)(x=n, y=m) for op in whole}
    zeros = tf.where(y > 0, y, tf.zeros_like(y))
    outputs["DivNoNan"] = raw.DivNoNan(x=x, y=zeros)
    outputs["MulNoNan"] = raw.MulNoNan(x=x, y=zeros)
    outputs["Pow"] = raw.Pow(x=positive, y=y)
    outputs["Equal"], outputs["NotEqual"] = raw.Equal(x=n, y=m), raw.NotEqual(x=n, y=m)
    a, b = x > 0, y > 0
    for op in ["LogicalAnd", "LogicalOr"]:
        outputs[op] = getattr(raw, op)(x=a, y=b)
    outputs["LogicalNot"], outputs["xor"] = raw.LogicalNot(x=a), tf.math.logical_xor(a, b)
    outputs["SelectV2"] = raw.SelectV2(condition=a, t=x, e=y[:1])
    outputs["Select"] = raw.Select(condition=a, x=x, y=y)
    outputs["Select_rows"] = raw.Select(condition=a[:, 0], x=x, y=y)
    outputs["ClipByValue"] = raw.ClipByValue(t=x, clip_value_min=-0.5, clip_value_max=0.75)
    outputs["AddN"] = raw.AddN(inputs=[x, y, x])
    outputs["IsNan"] = raw.IsNan(x=tf.sqrt(x))
    outputs["Cast_whole"], outputs["Cast_float"] = tf.cast(4 * x, tf.int32), tf.cast(n, tf.float32)
    outputs["Cast_truth"] = tf.cast(a, tf.float32)
    for op in ["Identity", "StopGradient", "PreventGradient", "Snapshot"]:
        outputs[op] = getattr(raw, op)(input=x) + 1.0
    outputs["IdentityN"] = raw.IdentityN(input=[x, y])[1]
    outputs["EnsureShape"] = tf.ensure_shape(x, [None, 5]) + 1.0
    outputs["CheckNumerics"] = raw.CheckNumerics(tensor=x, message="") + 1.0
    outputs["PlaceholderWithDefault"] = raw.PlaceholderWithDefault(input=x, shape=[None, 5]) * 2.0
    return outputs


def shapes(x, v):
    """x: floats [rows, 4, 6, 3]; v: floats [rows, 1]."""
    rows = tf.shape(x)[0]
    outputs = {
        "Shape": raw.Shape(input=x),
        "ShapeN": raw.ShapeN(input=[x, v], out_type=tf.int64)[1],
        "Size": raw.Size(input=x),
        "Rank": raw.Rank(input=x) + tf.zeros([rows], tf.int32),
        "Reshape": tf.reshape(x, [rows, 24, 3]),
        "Reshape_rest": tf.reshape(x, [-1, 6, 12]),
        "Reshape_swapped": tf.reshape(x, [4, rows * 18]),
        "Squeeze": raw.Squeeze(input=v, axis=[1]),
        "Squeeze_all": raw.Squeeze(input=tf.reshape(tf.reduce_sum(x), [1, 1, 1]), axis=[]) + v,
        "ExpandDims": raw.ExpandDims(input=x, axis=-2),
        "Fill": tf.fill([rows, 3], 2.5) + v,
        "Fill_alone": tf.fill([rows, 3], 2.5),
        "BroadcastTo": tf.broadcast_to(v, [rows, 4]),
        "BroadcastTo_rows": tf.broadcast_to(tf.constant([[1.0, 2.0]]), [rows, 2]),
        "ZerosLike": raw.ZerosLike(x=x),
        "OnesLike": raw.OnesLike(x=x),
        "Tile": tf.tile(v, [1, 4]),
        "Tile_long": tf.tile(x, [1, 2, 1, 3]),
        "Tile_rows": tf.tile(tf.constant([[1.0, 2.0]]), [rows, 2]),
        "Range": tf.cast(tf.range(1, 9, 3), tf.float32) + v,
        "Mean_by_size": tf.reduce_sum(x, axis=0) / tf.cast(rows, tf.float32),
        "Pack": tf.stack([v, 2 * v, -v], axis=1),
        "Unpack": tf.unstack(x, axis=2)[4],
        "ConcatV2": tf.concat([x, 2 * x], axis=-1),
        "Concat": raw.Concat(concat_dim=2, values=[x, -x]),
        "Split": tf.split(x, 3, axis=2)[1],
        "SplitV": tf.split(x, [1, -1, 2], axis=2)[1],
        "Transpose": tf.transpose(x, [0, 3, 1, 2]),
        "Slice": raw.Slice(input=x, begin=[0, 1, 2, 0], size=[-1, 2, 3, 2]),
        "Slice_rows": raw.Slice(input=x, begin=[0, 0, 0, 1], size=tf.stack([rows, 4, 6, 1])),
        "StridedSlice": x[:, 1:-1, ::2, 0],
        "StridedSlice_new": x[:, tf.newaxis, 3, ..., tf.newaxis, -1],
        "StridedSlice_back": x[:, ::-1, 4:1:-1],
        "StridedSlice_ellipsis": x[..., 1:, :],
        "Pad": tf.pad(x, [[0, 0], [1, 0], [0, 2], [0, 0]]),
        "PadV2": tf.pad(x, [[0, 0], [1, 0], [0, 2], [1, 1]], constant_values=-3.5),
        "MirrorPad": tf.pad(x, [[0, 0], [2, 3], [1, 0], [0, 2]], "REFLECT"),
        "MirrorPad_whole": tf.pad(x, [[0, 0], [2, 4], [1, 0], [0, 3]], "SYMMETRIC"),
        "Gather": raw.Gather(params=tf.constant([[1.0, 2], [3, 4], [5, 6]]), indices=tf.cast(v[:, 0] > 0, tf.int32)),
        "GatherV2": tf.gather(x, [2, 0, 2], axis=2),
        "GatherNd": tf.gather_nd(tf.constant(np.arange(24, dtype=np.float32).reshape(2, 3, 4)), tf.cast(tf.concat([v > 0, v > 1], 1), tf.int32)),
        "OneHot": tf.one_hot(tf.cast(v[:, 0] > 0, tf.int32), 3, on_value=2.0, off_value=-1.0),
        "OneHot_first": tf.one_hot(tf.cast(v > 0, tf.int64), 2, axis=0),
        "ReverseV2": tf.reverse(x, [1, -1]),
    }
    return outputs


def reductions(x, y):
    """x: floats [rows, 4, 5]; y: floats [rows, 5, 3]."""
    truth = x > 0.3
    outputs = {
        "Sum": tf.reduce_sum(x, [1, -1]),
        "Mean": tf.reduce_mean(x, 1, keepdims=True),
        "Max": tf.reduce_max(x, -1),
        "Min": tf.reduce_min(x, [0, 2]),
        "Prod": tf.reduce_prod(x, 2),
        "Sum_nothing": raw.Sum(input=x, axis=np.zeros([0], np.int32)),
        "All": tf.reduce_all(truth, 2),
        "Any": tf.reduce_any(truth, [1, 2], keepdims=True),
        "L2Loss": raw.L2Loss(t=x),
        "ArgMax": tf.argmax(x, 1),
        "ArgMin": tf.argmin(x, -1, output_type=tf.int32),
        "Softmax": raw.Softmax(logits=3 * x),
        "LogSoftmax": raw.LogSoftmax(logits=3 * x),
        "MatMul": raw.MatMul(a=x[:, 0], b=tf.ones([3, 5]), transpose_b=True),
        "BatchMatMulV2": tf.matmul(x, y),
        "BatchMatMulV3": raw.BatchMatMulV3(x=y, y=x, Tout=tf.float32, adj_x=True, adj_y=True),
        "BatchMatMul": raw.BatchMatMul(x=x, y=y),
        "Einsum": tf.einsum("bij,bjk->bki", x, y),
        "Einsum_weights": tf.einsum("bij,jkl->bikl", x, tf.reshape(tf.range(30, dtype=tf.float32), [5, 3, 2])),
        "Einsum_sum": tf.einsum("bij,bjk->bi", x, y),
        "Cumsum": tf.cumsum(x, 1),
        "Cumsum_back": tf.cumsum(x, -1, exclusive=True, reverse=True),
        "TopKV2": tf.math.top_k(x, 3).values,
        "TopKV2_places": tf.math.top_k(x, 3).indices,
        "Normalized": tf.math.l2_normalize(x, -1),
    }
    return outputs


def images(x):
    """x: floats [rows, 9, 8, 4]."""
    random = np.random.default_rng(3)
    normal = lambda *shape: tf.constant(random.normal(0, 0.4, shape).astype(np.float32))
    rows = tf.shape(x)[0]
    outputs = {}
    for padding in ["SAME", "VALID"]:
        for size, stride in [(1, 2), (2, 1), (3, 2), (5, 3)]:
            name = f"{padding}_{size}_{stride}"
            outputs[f"Conv2D_{name}"] = tf.nn.conv2d(x, normal(size, size, 4, 6), stride, padding)
            outputs[f"DepthwiseConv2dNative_{name}"] = tf.nn.depthwise_conv2d(x, normal(size, size, 4, 2), [1, stride, stride, 1], padding)
            outputs[f"MaxPool_{name}"] = tf.nn.max_pool2d(x, size, stride, padding)
            outputs[f"AvgPool_{name}"] = tf.nn.avg_pool2d(x, size, stride, padding)
        outputs[f"Dilated_{padding}"] = raw.Conv2D(input=x, filter=normal(3, 3, 4, 5), strides=[1, 1, 1, 1], padding=padding, dilations=[1, 2, 1, 1])
    explicit = [[0, 0], [1, 2], [0, 3], [0, 0]]
    outputs["Conv2D_explicit"] = tf.nn.conv2d(x, normal(3, 3, 4, 5), 2, explicit)
    outputs["Conv2D_groups"] = tf.nn.conv2d(x, normal(3, 3, 2, 6), 1, "SAME")
    outputs["MaxPoolV2"] = raw.MaxPoolV2(input=x, ksize=[1, 3, 2, 1], strides=[1, 2, 2, 1], padding="SAME")
    small = tf.nn.conv2d(x, normal(1, 1, 4, 6), [2, 2], "SAME")
    outputs["Conv2DBackpropInput"] = raw.Conv2DBackpropInput(
        input_sizes=tf.stack([rows, 10, 8, 3]), filter=normal(3, 3, 3, 6), out_backprop=small, strides=[1, 2, 2, 1], padding="SAME"
    )
    outputs["Conv2DBackpropInput_valid"] = raw.Conv2DBackpropInput(
        input_sizes=tf.stack([rows, 12, 9, 3]), filter=normal(3, 3, 3, 6), out_backprop=small, strides=[1, 2, 2, 1], padding="VALID"
    )
    outputs["BiasAdd"] = tf.nn.bias_add(x, normal(4))
    outputs["BiasAddV1"] = raw.BiasAddV1(value=x, bias=normal(4))
    norm = dict(x=x, scale=normal(4), offset=normal(4), mean=normal(4), variance=tf.abs(normal(4)) + 0.5, is_training=False)
    outputs["FusedBatchNorm"] = raw.FusedBatchNorm(**norm).y
    outputs["FusedBatchNormV2"] = raw.FusedBatchNormV2(epsilon=0.02, **norm).y
    outputs["FusedBatchNormV3"] = raw.FusedBatchNormV3(epsilon=0.001, **norm).y
    outputs["LRN"] = raw.LRN(input=x, depth_radius=1, bias=1.5, alpha=0.3, beta=0.6)
    outputs["DepthToSpace"] = tf.nn.depth_to_space(x, 2)
    outputs["SpaceToDepth"] = tf.nn.space_to_depth(x[:, :8], 4)
    outputs["SpaceToBatchND"] = raw.SpaceToBatchND(input=x, block_shape=[2, 3], paddings=[[1, 0], [0, 1]])
    outputs["BatchToSpaceND"] = raw.BatchToSpaceND(
        input=raw.SpaceToBatchND(input=x, block_shape=[3, 2], paddings=[[0, 0], [0, 0]]) * 2.0, block_shape=[3, 2], crops=[[1, 0], [2, 1]]
    )
    dealt = raw.SpaceToBatchND(input=x, block_shape=[2, 2], paddings=[[2, 3], [2, 2]])
    outputs["Dealt_convolution"] = raw.BatchToSpaceND(input=tf.nn.conv2d(dealt, normal(3, 3, 4, 5), 1, "VALID"), block_shape=[2, 2], crops=[[0, 1], [0, 0]])
    for name, op in [("NearestNeighbor", raw.ResizeNearestNeighbor), ("Bilinear", raw.ResizeBilinear), ("Bicubic", raw.ResizeBicubic)]:
        for size in [(5, 13), (18, 16), (9, 3)]:
            for rule in [{}, {"half_pixel_centers": True}, {"align_corners": True}]:
                outputs[f"Resize{name}_{size[0]}_{''.join(rule)}"] = op(images=x, size=size, **rule)
    outputs["ResizeBilinear_whole"] = raw.ResizeBilinear(images=tf.cast(50 * x, tf.int32), size=[4, 4], half_pixel_centers=True)
    return outputs


class Embeddings(tf.Module):
    """Rows of a variable picked by number."""

    def __init__(self):
        super().__init__()
        self.table = tf.Variable(np.random.default_rng(1).normal(size=(7, 3)).astype(np.float32))

    def __call__(self, n):
        return {"ResourceGather": tf.gather(self.table, n), "ReadVariableOp": tf.reduce_sum(self.table, 0) + 0.0 * tf.cast(n, tf.float32)[:, :1]}


def _numbers(rows, spec, seed):
    random = np.random.default_rng(100 * seed + rows)
    shape = [rows, *spec.shape[1:]]
    if spec.dtype == tf.float32:
        return random.normal(size=shape).astype(np.float32)
    numbers = random.integers(-9, 9, shape)
    return np.where(numbers == 0, 4, numbers).astype(spec.dtype.as_numpy_dtype)


def group(build, **shapes_and_types):
    def write(recorder):
        specs = [tf.TensorSpec([None, *shape], dtype, name=name) for name, (shape, dtype) in shapes_and_types.items()]
        module = tf.Module()
        module.build = build() if isinstance(build, type) else build
        module.serve = tf.function(lambda *values: module.build(*values), input_signature=specs)
        tf.saved_model.save(module, recorder.version, signatures=module.serve)
        for rows in ROWS:
            values = {spec.name: _numbers(rows, spec, i) for i, spec in enumerate(specs)}
            if isinstance(build, type):
                values = {name: np.abs(value) % 7 for name, value in values.items()}
            recorder.case("serving_default", values, module.serve(*map(tf.constant, values.values())))

    return write


OPERATION_MODELS = {
    "elementwise": group(elementwise, x=([5], tf.float32), y=([5], tf.float32), n=([5], tf.int32), m=([5], tf.int32)),
    "shapes": group(shapes, x=([4, 6, 3], tf.float32), v=([1], tf.float32)),
    "reductions": group(reductions, x=([4, 5], tf.float32), y=([5, 3], tf.float32)),
    "images": group(images, x=([9, 8, 4], tf.float32)),
    "embeddings": group(Embeddings, n=([4], tf.int32)),
}
