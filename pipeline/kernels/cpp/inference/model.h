// A packed network as it lies in the file, checked.
#pragma once

#include "bnn.h"

#include <cstdint>
#include <string>
#include <vector>

namespace bnn {

// Thrown inside, turned into a status at the border.
struct Error {
    bnn_status status;
    std::string text;
};

enum class Kind : std::uint8_t {
    convolution = 1,
    binary_convolution,
    max_pool,
    threshold,
    binarise,
    affine,
    add,
    relu,
    average_pool,
    linear
};

enum class Values : std::uint8_t { reals, integers, bits };

struct Shape {
    Values values = Values::reals;
    int channels = 0, side = 0;
    int most = 0; // of integers: the largest magnitude
};

constexpr int image = -1;

struct Node {
    Kind kind;
    int kernel = 0, stride = 0, padding = 0;
    int source = image, second = image;
    Shape from, to;
    // Real weights (outputs, channels, kernel, kernel) or (classes, features).
    std::vector<float> weights;
    // Of a binary convolution: bit ((o * kernel + row) * kernel + column) * channels + c, from the lowest of each byte.
    const std::uint8_t *bits = nullptr;
    std::vector<std::int32_t> thresholds; // of integers: always INT32_MIN, never INT32_MAX
    std::vector<float> real_thresholds;   // of reals: always -infinity, never NaN
    std::vector<std::uint8_t> at_most;    // 1: a value at most as large as the threshold gives a 1
    float scale = 0;                      // of integers
    std::vector<float> factors, terms;    // of affine
    std::vector<float> bias;              // of linear
};

struct Model {
    int channels = 0, size = 0, classes = 0;
    std::vector<float> mean, deviation;
    std::vector<Node> nodes;
    std::vector<std::string> class_names;
    std::string information;
};

// Reads a file's content, which must outlive the model. Throws Error for whatever is wrong with it.
Model read_model(const std::uint8_t *data, std::size_t size);

} // namespace bnn
