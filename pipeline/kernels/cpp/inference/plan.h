// The order of steps in which a network is computed: nodes that one kernel does together are one step.
#pragma once

#include "kernels.h"
#include "model.h"

#include <memory>
#include <new>
#include <string>
#include <vector>

namespace bnn {

// Memory that begins at a cache line.
class Bytes {
public:
    Bytes() = default;
    explicit Bytes(std::size_t size)
        : data_(static_cast<std::uint8_t *>(::operator new(size + 64, std::align_val_t(64)))) {
        __builtin_memset(data_.get(), 0, size + 64);
    }
    template <typename Number> Number *as() const { return reinterpret_cast<Number *>(data_.get()); }

private:
    struct Delete {
        void operator()(std::uint8_t *data) const { ::operator delete(data, std::align_val_t(64)); }
    };
    std::unique_ptr<std::uint8_t, Delete> data_;
};

template <typename Number> Bytes stored(const std::vector<Number> &numbers) {
    Bytes bytes(numbers.size() * sizeof(Number));
    for (std::size_t i = 0; i < numbers.size(); ++i) bytes.as<Number>()[i] = numbers[i];
    return bytes;
}

enum class Work : std::uint8_t {
    image, // the image as a map of reals
    convolution,
    binary_convolution,
    affine,
    affine_integers,
    add,
    relu,
    threshold,
    threshold_integers,
    max_pool,
    max_pool_integers,
    average_pool,
    linear
};

constexpr int none = -1;

struct Step {
    Work work = Work::image;
    std::string name;
    int node = 0;
    double macs = 0;
    Shape from, to;
    int kernel = 0, stride = 0, padding = 0; // of pooling
    BinaryLayer binary;
    RealLayer real;
    float scale = 0;
    bool reads_image = false;
    // Numbers of buffers.
    int source = none, second = none, result = none, bits = none, prepared = none, transformed = none, counts = none;
    // Of each phase, how many pieces can be dealt out to threads; all of a phase are done before the next begins.
    std::vector<int> phases;
    Bytes weights, factor, term, limit, flip, at_most;
    std::vector<Chunk> chunks;
};

// A piece of the arena, and the first and the last step that need it.
struct Buffer {
    std::uint64_t bytes = 0;
    int first = 0, last = 0;
    std::size_t offset = 0;
};

struct Plan {
    const Kernels *kernels = nullptr;
    std::vector<Step> steps;
    std::vector<Buffer> buffers;
    std::size_t arena = 0, scratch = 0;      // bytes
    int logits = none;                       // buffer of the last node's reals
    Bytes table;                             // of pixels, (channels, 256)
    std::vector<int> bits_buffer, bits_step; // of each node that gives bits: where and after which step they are
};

// Throws Error or std::bad_alloc.
Plan make_plan(const Model &model, const Kernels &kernels);

// The image, in one of two forms.
struct Input {
    const float *numbers = nullptr;
    const std::uint8_t *pixels = nullptr;
};

// Does the pieces [first, last) of a phase of a step.
void run_phase(const Plan &plan, const Step &step, int phase, const Input &input, std::uint8_t *arena,
               std::int16_t *scratch, int first, int last);

} // namespace bnn
