// What a step of a network needs, and the table of functions that each instruction set fills.
//
// Feature maps of one image, channels last. Reals: floats, `stride` of a pixel rounded up to 8. Bits: 32 channels a
// word, words(channels) of a pixel, zero beyond the last channel. Integers: 16 bits, 32 * words(channels) of a pixel.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bnn {

inline int words(int channels) { return (channels + 31) / 32; }
inline int real_stride(int channels) { return (channels + 7) / 8 * 8; }
constexpr int group = 32;              // channels whose bits are one word
constexpr int most_pixel_words = 4096; // and more than the format allows

// --- binary convolution ---------------------------------------------------------------------------------------------

// Pixels of a tile: its sums and its part of the weights lie in the first cache beside the tables.
constexpr int tile_pixels = 32;
constexpr int most_pool = 4;
constexpr int most_groups = 4; // of a block of output channels
constexpr int most_parts = 8;

// A stretch of units, all of one row of the kernel.
struct Part {
    int activations; // first unit, from the output's first one
    int count, row;
};

// Parts that are summed in bytes before the sums are widened.
struct Chunk {
    int parts, weights; // first unit of the weights
    Part part[most_parts];
};

// Rows of the kernel.
struct Rows {
    int begin, end;
    bool have(int row) const { return row >= begin && row < end; }
};

struct BinaryLayer {
    int channels = 0, side = 0, outputs = 0, kernel = 0, stride = 0, padding = 0, out_side = 0;
    int pool = 1; // side of the windows, side by side, whose maxima are wanted: 1 to most_pool

    // Set by Kernels::describe. A unit is what one look-up or one AND takes of a pixel's channels.
    int units = 0; // of one row of the kernel
    int step = 0;  // from an output to the next one in its row
    int row = 0;   // of a prepared row
    std::size_t activation_bytes = 0, weight_bytes = 0;
    int blocks = 0;       // of output channels
    int block_groups = 0; // most in a block
    int chunks = 0;
    const Chunk *chunk = nullptr; // of the chunks; owned by the plan
    const std::uint8_t *weights = nullptr;

    int groups() const { return words(outputs); }
    int first_group(int block) const { return groups() * block / blocks; }
    int covered() const { return out_side / pool * pool; } // side of the outputs that the pooling reads
    int pooled() const { return out_side / pool; }
    int padded() const { return side + 2 * padding; }
    // Those that see the map where the output is one of row y; the others see nothing but zeros.
    Rows seen(int y) const {
        const int before = padding - y * stride;
        return {before > 0 ? before : 0, before + side < kernel ? before + side : kernel};
    }
    int count_row() const { return padded() + 2 * kernel; } // numbers in a row of counts
    int tile_columns() const {                              // even, unless it is the whole width
        const int most = pool == 1 ? tile_pixels : pool == 2 ? tile_pixels / 2 : pool == 3 ? 12 : 8;
        return covered() < most ? covered() : most;
    }
    int tile_width() const { return (tile_columns() + 1) / 2 * 2; } // with what fills the last pair
    int tile_rows() const {
        const int rows = tile_pixels / tile_width() / pool * pool;
        return rows < pool ? pool : rows < covered() ? rows : covered();
    }
    int tiles_across() const { return (covered() + tile_columns() - 1) / tile_columns(); }
    int tiles() const { return tiles_across() * ((covered() + tile_rows() - 1) / tile_rows()); }
    int items() const { return tiles() * blocks; }
    std::size_t scratch() const { // 16-bit sums of a tile
        return static_cast<std::size_t>(tile_rows()) * tile_width() * block_groups * group;
    }
};

// What becomes of a binary convolution's sums n = 2 * popcount(a AND w+) - popcount(a).
struct Epilogue {
    // Bits: (n > limit) of each channel, OR over the pooled window, XOR flip of each group. `limit` lies in the order
    // of the kernels' sums.
    const std::int16_t *limit = nullptr;
    const std::uint32_t *flip = nullptr;
    // Reals: scale * n, times factor plus term, fused; plus a map of the same shape.
    const float *factor = nullptr, *term = nullptr, *added = nullptr;
    float scale = 0;
    float *reals = nullptr;
    std::uint32_t *bits = nullptr; // of the threshold, or of reals > 0.5
    std::int16_t *integers = nullptr;
};

// --- real convolution -----------------------------------------------------------------------------------------------

constexpr int filtered = 4; // outputs of a tile of minimal filtering

struct RealLayer {
    int channels = 0, side = 0, outputs = 0, kernel = 0, stride = 0, padding = 0, out_side = 0;
    int pixel = 0; // floats of an input pixel
    int row = 0;   // floats of a padded row
    // In blocks of Kernels::real_block: kernel row, its floats, channels. Filtered: point, kernel row, phase, floats of
    // a pixel, channels.
    const float *weights = nullptr;
    const float *factor = nullptr, *term = nullptr; // applied where given
    const float *threshold = nullptr;               // then bits: value >= threshold
    std::size_t input_floats = 0;                   // of the padded map, with what is read beyond it

    // Minimal filtering along rows (see filtering.h): products of an output's row of the kernel for a whole tile of
    // outputs. 0 for sums of products.
    int points = 0;
    int taps() const { return (kernel + stride - 1) / stride; }
    int tiles() const { return (out_side + filtered - 1) / filtered; }
    int run() const { return stride * pixel; } // floats that a tile has of a point in an input row
    // Those of them whose phase has a weight at the last point.
    int last_run() const { return (kernel % stride ? kernel % stride : stride) * pixel; }
    int point_row() const { return tiles() * run() + 8; }
    int block_floats() const { return kernel * ((points - 1) * run() + last_run()); } // weights of an output
};

struct Kernels {
    const char *name;
    const std::uint8_t *order; // channels of a group in the order of its sums
    int real_width;            // channels of a vector of reals
    int real_block(int outputs) const {
        return real_width > 8 && outputs <= 8 ? 8 : outputs <= real_width ? real_width : 2 * real_width;
    }

    // Fills a layer's layout; chunks go to `chunk` (room for 4 * kernel + units of a row / 8).
    void (*describe)(BinaryLayer &layer, Chunk *chunk);
    void (*pack)(const BinaryLayer &layer, const std::uint8_t *bits, std::uint8_t *weights);
    // Prepares padded rows [first, last) of the input and counts the ones of each of its pixels.
    void (*prepare)(const BinaryLayer &layer, const std::uint32_t *bits, std::uint8_t *activations,
                    std::uint16_t *counts, int first, int last);
    // Computes items [first, last).
    void (*convolve)(const BinaryLayer &layer, const std::uint8_t *activations, const std::uint16_t *counts,
                     const Epilogue &epilogue, int first, int last, std::int16_t *scratch);

    // Copies rows [first, last) of a padded map: from (channels, side, side), from bytes (side, side, channels) by
    // table[channels][256], or from a real map.
    void (*pad_image)(const RealLayer &layer, const float *image, float *padded, int first, int last);
    void (*pad_pixels)(const RealLayer &layer, const std::uint8_t *pixels, const float *table, float *padded, int first,
                       int last);
    void (*pad_map)(const RealLayer &layer, const float *map, float *padded, int first, int last);
    // Transforms padded rows [first, last) for minimal filtering: each (point, tile, phase, floats of a pixel).
    void (*filter_rows)(const RealLayer &layer, const float *padded, float *transformed, int first, int last);
    // Output rows [first, last) to reals or to bits, from a padded map or, where the layer is filtered, a transformed
    // one.
    void (*real_convolve)(const RealLayer &layer, const float *input, float *reals, std::uint32_t *bits, int first,
                          int last);

    // Maps, `count` pixels of `stride` floats or integers.
    void (*affine)(const float *from, const float *factor, const float *term, float *to, std::size_t count, int stride);
    void (*affine_integers)(const std::int16_t *from, float scale, const float *factor, const float *term, float *to,
                            std::size_t count, int channels);
    void (*add)(const float *a, const float *b, float *to, std::size_t count);
    void (*relu)(const float *from, float *to, std::size_t count);
    // factor NULL: x > 0.5, else x >= threshold or, where at_most, x <= threshold
    void (*threshold)(const float *from, const float *threshold, const std::uint8_t *at_most, std::uint32_t *to,
                      std::size_t count, int channels);
    void (*threshold_integers)(const std::int16_t *from, const std::int16_t *limit, const std::uint32_t *flip,
                               std::uint32_t *to, std::size_t count, int channels);
    // Output rows [first, last).
    void (*max_pool)(const float *from, float *to, int side, int stride_floats, int kernel, int stride, int padding,
                     int out_side, int first, int last);
    void (*max_pool_integers)(const std::int16_t *from, std::int16_t *to, int side, int stride_numbers, int kernel,
                              int stride, int padding, int out_side, int first, int last);
    void (*average)(const float *from, float *to, int pixels, int stride);
    // Classes [first, last): the dot products with rows of `length` (a multiple of 8) weights.
    void (*linear)(const float *from, const float *weights, const float *bias, float *to, std::size_t length, int first,
                   int last);
    double (*peak)(); // AND-popcounts of bits in a second
};

// Null if this build has none for this kind of processor.
const Kernels *portable_kernels();
const Kernels *avx2_kernels();
const Kernels *avx512_kernels();
const Kernels *neon_kernels();

// By name; the best for NULL. Null if there are none that run here.
const Kernels *find_kernels(const char *name);

} // namespace bnn
