"""Keras' recurrent layers, its preprocessing layers, and loops and branches of TensorFlow itself."""
import os
import tempfile

import keras
import numpy as np
import tensorflow as tf
from keras import layers

ROWS = [1, 3, 16]
FEATURES = 5


def sequences(rows, steps, features=FEATURES):
    return np.random.default_rng(rows * 31 + steps).normal(size=(rows, steps, features)).astype(np.float32)


def recurrent(build, steps=None):
    """A model of sequences, asked with several batches; with steps None, with several lengths too."""

    def write(recorder):
        x = keras.Input((steps, FEATURES), name="x")
        model = keras.Model(x, build(x))
        model.export(recorder.version, verbose=False)
        served = tf.saved_model.load(recorder.version).signatures["serving_default"]
        for rows in ROWS:
            for length in [steps] if steps else [1, 4, 9]:
                value = sequences(rows, length)
                recorder.case("serving_default", {"x": value}, served(x=value))

    return write


def masked(x):
    hidden = layers.Masking(0.0)(x)
    return layers.LSTM(6, return_sequences=True)(hidden)


def tokens_model(recorder):
    """An embedding of whole numbers, two layers in both directions, and a classifier."""
    x = keras.Input((None,), dtype="int32", name="tokens")
    hidden = layers.Embedding(20, 8)(x)
    hidden = layers.Bidirectional(layers.LSTM(6, return_sequences=True))(hidden)
    hidden = layers.Bidirectional(layers.GRU(5))(hidden)
    model = keras.Model(x, layers.Dense(3, activation="softmax")(hidden))
    model.export(recorder.version, verbose=False)
    for rows in ROWS:
        for length in [1, 7]:
            value = np.random.default_rng(rows + length).integers(0, 20, (rows, length)).astype(np.int32)
            recorder.case("serving_default", {"tokens": value}, {"output_0": model(value)})


class Loops(tf.Module):
    """Loops of TensorFlow itself: over values, over lists that are filled or appended to, one within another."""

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x"), tf.TensorSpec([], tf.int32, "limit")])
    def __call__(self, x, limit):
        raw = tf.raw_ops
        halvings, small = tf.while_loop(
            lambda n, v: tf.reduce_max(tf.abs(v)) > 0.1, lambda n, v: (n + 1, v / 2), [tf.constant(0), x]
        )
        nothing = raw.EmptyTensorList(element_shape=[-1, 3], max_num_elements=-1, element_dtype=tf.float32)
        _, pushed = tf.while_loop(
            lambda i, _: i < limit,
            lambda i, list: (i + 1, raw.TensorListPushBack(input_handle=list, tensor=x * tf.cast(i, tf.float32))),
            [tf.constant(0), nothing],
        )
        stacked = raw.TensorListStack(input_handle=pushed, element_shape=[-1, 3], element_dtype=tf.float32)

        def outer(i, sum):
            inner = tf.while_loop(lambda j, v: j < i, lambda j, v: (j + 1, v + x), [tf.constant(0), sum])
            return i + 1, inner[1] * 0.5

        return {
            "halvings": halvings,
            "small": small,
            "mapped": tf.map_fn(lambda row: tf.reduce_sum(row * row), x),
            "pushed": stacked,
            "length": raw.TensorListLength(input_handle=pushed),
            "nested": tf.while_loop(lambda i, _: i < limit, outer, [tf.constant(0), x])[1],
        }


class Branches(tf.Module):
    """Branches of TensorFlow itself, within a loop too."""

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x"), tf.TensorSpec([], tf.bool, "flag")])
    def __call__(self, x, flag):
        def step(i, v):
            return i + 1, tf.cond(tf.equal(i % 2, 0), lambda: v + 1, lambda: v * 2)

        return {
            "doubled": tf.cond(flag, lambda: x * 2, lambda: x + 1),
            "sum": tf.cond(tf.reduce_sum(x) > 0, lambda: tf.reduce_sum(x), lambda: tf.constant(0.0)),
            "known": tf.cond(tf.constant(True), lambda: x[:, :2], lambda: x),
            "within": tf.while_loop(lambda i, _: i < 5, step, [tf.constant(0), x])[1],
        }


def branches(recorder):
    tf.saved_model.save(Branches(), recorder.version)
    served = tf.saved_model.load(recorder.version).signatures["serving_default"]
    for rows in ROWS:
        value, flag = np.ascontiguousarray(sequences(rows, 3)[:, 0, :3]), np.bool_(rows % 2)
        recorder.case("serving_default", {"x": value, "flag": flag}, served(x=tf.constant(value), flag=tf.constant(flag)))


def loops(recorder):
    tf.saved_model.save(Loops(), recorder.version)
    served = tf.saved_model.load(recorder.version).signatures["serving_default"]
    for rows in ROWS:
        value, limit = sequences(rows, 3)[:, 0, :3], np.int32(rows % 4 + 1)
        request = {"x": np.ascontiguousarray(value), "limit": limit}
        recorder.case("serving_default", request, served(x=tf.constant(value), limit=tf.constant(limit)))


RECURRENT_MODELS = {
    "branches": branches,
    "loops": loops,
    "lstm": recurrent(lambda x: layers.LSTM(6)(x)),
    "lstm_sequences": recurrent(lambda x: layers.LSTM(6, return_sequences=True)(x)),
    "lstm_states": recurrent(lambda x: layers.LSTM(6, return_state=True)(x)),
    "lstm_fixed": recurrent(lambda x: layers.LSTM(6)(x), steps=7),
    "lstm_unrolled": recurrent(lambda x: layers.LSTM(6, unroll=True)(x), steps=7),
    "gru": recurrent(lambda x: layers.GRU(6)(x)),
    "gru_before": recurrent(lambda x: layers.GRU(6, reset_after=False, return_sequences=True)(x)),
    "simple_rnn": recurrent(lambda x: layers.SimpleRNN(6, return_sequences=True)(x)),
    "backwards": recurrent(lambda x: layers.LSTM(6, go_backwards=True)(x)),
    "bidirectional": recurrent(lambda x: layers.Bidirectional(layers.LSTM(6, return_sequences=True))(x)),
    "stacked": recurrent(lambda x: layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)])(x)),
    "masked_lstm": recurrent(masked),
    "tokens": tokens_model,
}


def exported(recorder, model, *requests):
    model.export(recorder.version, verbose=False)
    served = tf.saved_model.load(recorder.version).signatures["serving_default"]
    for request in requests:
        recorder.case("serving_default", request, served(**{name: tf.constant(value) for name, value in request.items()}))


def column(build, dtype, *values, shape=(1,)):
    def write(recorder):
        x = keras.Input(shape, dtype=dtype, name="x")
        model = keras.Model(x, build(x))
        exported(recorder, model, *[{"x": np.asarray(value)} for value in values])

    return write


WORDS = ["apple", "pear", "plum", "äpfel", "東京"]
ASKED = [[["pear"], ["nothing"], ["apple"]], [["plum"]], [["äpfel"], ["東京"], [""], ["Apple"]]]


def asked_bytes():
    return [[[word.encode() for word in row] for row in rows] for rows in ASKED]


def numbers(*rows):
    return np.asarray(rows, dtype=np.float32)


def adapted(layer, data):
    layer.adapt(data)
    return layer


def vocabulary_file(recorder):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "words.txt")
        with open(path, "w") as file:
            file.write("\n".join(WORDS) + "\n")
        x = keras.Input((1,), dtype="string", name="x")
        model = keras.Model(x, layers.StringLookup(vocabulary=path)(x))
        exported(recorder, model, *[{"x": np.asarray(value)} for value in asked_bytes()])


class FileTables(tf.Module):
    """Tables of TensorFlow itself, of columns of a file."""

    def __init__(self, path):
        super().__init__()
        lookup = tf.lookup
        columns = lookup.TextFileInitializer(path, tf.string, 0, tf.int64, 1, delimiter=" ")
        self.numbers = lookup.StaticHashTable(columns, -7)
        lines = lookup.TextFileInitializer(
            path, tf.int64, lookup.TextFileIndex.LINE_NUMBER, tf.string, lookup.TextFileIndex.WHOLE_LINE
        )
        self.lines = lookup.StaticHashTable(lines, "none")
        pairs = lookup.KeyValueTensorInitializer(tf.constant([3, -5], tf.int64), tf.constant([0.5, 2.5]))
        self.floats = lookup.StaticHashTable(pairs, -1.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "word"), tf.TensorSpec([None], tf.int64, "line")])
    def __call__(self, word, line):
        return {
            "number": self.numbers.lookup(word),
            "text": self.lines.lookup(line),
            "float": self.floats.lookup(line),
            "size": tf.fill(tf.shape(line), self.numbers.size()),
        }


def file_tables(recorder):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "pairs.txt")
        with open(path, "w") as file:
            file.write("a 4\nb -2\nc 123456789012\n")
        tf.saved_model.save(FileTables(path), recorder.version)
    served = tf.saved_model.load(recorder.version).signatures["serving_default"]
    for words, lines in [(["a", "x", "c"], [0, 3, 2]), (["b"], [-5])]:
        request = {"word": np.asarray([word.encode() for word in words]), "line": np.asarray(lines)}
        recorder.case("serving_default", request, served(**{name: tf.constant(value) for name, value in request.items()}))


PREPROCESSING_MODELS = {
    "normalization": column(
        lambda x: adapted(layers.Normalization(), numbers([1, 2], [3, 8], [5, 9]))(x), "float32",
        numbers([0, 1], [2, 3]), numbers([4, 4]), shape=(2,),
    ),
    "rescaling": column(lambda x: layers.Rescaling(1 / 127.5, offset=-1)(x), "float32", numbers([0, 255], [127, 3]), shape=(2,)),
    "discretization": column(
        lambda x: layers.Discretization([0.0, 1.5, 3.0])(x), "float32",
        numbers([-1], [0], [1], [1.5], [2]), numbers([3]), numbers([9]),
    ),
    "discretization_one_hot": column(
        lambda x: layers.Discretization([0.0, 1.5, 3.0], output_mode="one_hot")(x), "float32", numbers([-1], [0], [9]),
    ),
    "category_encoding": column(
        lambda x: layers.CategoryEncoding(5, output_mode="multi_hot")(x), "int32",
        np.asarray([[0, 2], [4, 4]], np.int32), np.asarray([[3, 1]], np.int32), shape=(2,),
    ),
    "category_one_hot": column(
        lambda x: layers.CategoryEncoding(5, output_mode="one_hot")(x), "int32", np.asarray([[0], [4]], np.int32),
    ),
    "category_count": column(
        lambda x: layers.CategoryEncoding(5, output_mode="count")(x), "int32",
        np.asarray([[0, 2], [4, 4]], np.int32), shape=(2,),
    ),
    "string_lookup": column(lambda x: layers.StringLookup(vocabulary=WORDS)(x), "string", *asked_bytes()),
    "string_lookup_mask": column(
        lambda x: layers.StringLookup(vocabulary=WORDS, mask_token="", num_oov_indices=1)(x), "string", *asked_bytes()
    ),
    "string_lookup_known": column(
        lambda x: layers.StringLookup(vocabulary=WORDS, num_oov_indices=0)(x), "string", [[b"pear"], ["東京".encode()]]
    ),
    "string_lookup_one_hot": column(
        lambda x: layers.StringLookup(vocabulary=WORDS, output_mode="one_hot")(x), "string", *asked_bytes()
    ),
    "string_lookup_multi_hot": column(
        lambda x: layers.StringLookup(vocabulary=WORDS, output_mode="multi_hot")(x), "string",
        [[b"pear", b"plum", b"?"], [b"pear", b"pear", b"apple"]], shape=(3,),
    ),
    "string_lookup_inverted": column(
        lambda x: layers.StringLookup(vocabulary=WORDS, invert=True)(x), "int64",
        np.asarray([[0], [1], [5]]), np.asarray([[4]]),
    ),
    "integer_lookup": column(
        lambda x: layers.IntegerLookup(vocabulary=[12, 36, 1138, -4])(x), "int64",
        np.asarray([[12], [-4], [7]]), np.asarray([[1138]]),
    ),
    "vocabulary_file": vocabulary_file,
    "file_tables": file_tables,
    "resizing": column(
        lambda x: layers.Resizing(6, 4)(x), "float32",
        np.random.default_rng(3).uniform(0, 255, (2, 9, 7, 3)).astype(np.float32), shape=(9, 7, 3),
    ),
    "embedded_words": column(
        lambda x: layers.Dense(2)(layers.Flatten()(layers.Embedding(7, 4)(layers.StringLookup(vocabulary=WORDS)(x)))),
        "string", *asked_bytes(),
    ),
    "hashing": column(lambda x: layers.Hashing(num_bins=8)(x), "string", *asked_bytes()),
    "hashing_salted": column(lambda x: layers.Hashing(num_bins=8, salt=[3, 5])(x), "string", *asked_bytes()),
    "text_vectorization": column(
        lambda x: layers.TextVectorization(vocabulary=["a", "pear"], output_sequence_length=4)(x), "string", *asked_bytes(),
    ),
}
