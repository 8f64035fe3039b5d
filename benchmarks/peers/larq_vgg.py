"""VGG-small in larq on TensorFlow, for `benchmarks.training`: run by an interpreter that has both.

Reads seconds from its input, trains for as long, writes images/s.
"""

import json
import sys
import time

import larq as lq
import tensorflow as tf


def main() -> None:
    """Says what it is, then answers each line."""
    task = json.loads(sys.argv[1])
    tf.config.threading.set_intra_op_parallelism_threads(task["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = build(task["widths"], task["size"], task["classes"])
    optimiser = tf.keras.optimizers.SGD(task["rate"], task["momentum"], weight_decay=task["decay"])
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    batch = task["batch"]
    x = tf.random.normal((batch, task["size"], task["size"], 3))
    y = tf.random.uniform((batch,), maxval=task["classes"], dtype=tf.int32)

    @tf.function(reduce_retracing=True)
    def step(x, y):
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
        gradients = tape.gradient(value, model.trainable_variables)
        optimiser.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return value

    print(f"larq {lq.__version__}, TensorFlow {tf.__version__}", flush=True)
    for line in sys.stdin:
        step(x, y).numpy()
        started, done = time.perf_counter(), 0
        while time.perf_counter() - started < float(line):
            step(x, y).numpy()
            done += 1
        print(done * batch / (time.perf_counter() - started), flush=True)


def build(widths: list[int], size: int, classes: int) -> tf.keras.Model:
    """Convolution, pooling after each second one, batch norm; the first one real-valued."""
    layers = [tf.keras.Input((size, size, 3))]
    for i, width in enumerate(widths):
        if i == 0:
            layers.append(tf.keras.layers.Conv2D(width, 3, padding="same", use_bias=False))
        else:
            layers.append(
                lq.layers.QuantConv2D(
                    width,
                    3,
                    padding="same",
                    use_bias=False,
                    input_quantizer="ste_heaviside",
                    kernel_quantizer=lq.quantizers.MagnitudeAwareSign(),
                )
            )
        if i % 2:
            layers.append(tf.keras.layers.MaxPool2D(2))
        layers.append(tf.keras.layers.BatchNormalization())
    layers += [tf.keras.layers.Flatten(), tf.keras.layers.Dense(classes)]
    return tf.keras.Sequential(layers)


if __name__ == "__main__":
    main()
