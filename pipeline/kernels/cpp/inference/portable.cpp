// Kernels for every processor: 64 channels of a word at a time, in plain C++. What the others are compared with.
#include "kernels.h"

#include <cmath>

namespace bnn {
namespace {

struct Isa {
    static constexpr const char *name = "portable";
    static constexpr std::uint8_t order[group] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                                  16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
    static constexpr int unit_bytes = 8, width = 8, pixels = 4;

    struct F8 {
        float at[8];
    };
    using F = F8;

    template <typename Make> static F8 made(Make make) {
        F8 values;
        for (int i = 0; i < 8; ++i) values.at[i] = make(i);
        return values;
    }
    static F8 load8(const float *from) {
        return made([=](int i) { return from[i]; });
    }
    static void store8(float *to, const F8 &values) {
        for (int i = 0; i < 8; ++i) to[i] = values.at[i];
    }
    static F8 broadcast8(float value) {
        return made([=](int) { return value; });
    }
    static F8 add8(const F8 &a, const F8 &b) {
        return made([&](int i) { return a.at[i] + b.at[i]; });
    }
    static F8 max8(const F8 &a, const F8 &b) {
        return made([&](int i) { return a.at[i] < b.at[i] ? b.at[i] : a.at[i]; });
    }
    static F8 multiply8(const F8 &a, const F8 &b) {
        return made([&](int i) { return a.at[i] * b.at[i]; });
    }
    static F8 multiply_add8(const F8 &a, const F8 &b, const F8 &c) {
        return made([&](int i) { return a.at[i] * b.at[i] + c.at[i]; });
    }
    // Rounded once.
    static F8 fma8(const F8 &a, const F8 &b, const F8 &c) {
        return made([&](int i) { return std::fma(a.at[i], b.at[i], c.at[i]); });
    }
    static unsigned greater8(const F8 &a, const F8 &b) {
        unsigned found = 0;
        for (int i = 0; i < 8; ++i) found |= static_cast<unsigned>(a.at[i] > b.at[i]) << i;
        return found;
    }
    static unsigned at_least8(const F8 &a, const F8 &b) {
        unsigned found = 0;
        for (int i = 0; i < 8; ++i) found |= static_cast<unsigned>(a.at[i] >= b.at[i]) << i;
        return found;
    }
    static F load(const float *from) { return load8(from); }
    static void store(float *to, const F &values) { store8(to, values); }
    static F broadcast(float value) { return broadcast8(value); }
    static F multiply_add(const F &a, const F &b, const F &c) { return multiply_add8(a, b, c); }

    static int ones(std::uint64_t bits) {
        bits -= bits >> 1 & 0x5555555555555555;
        bits = (bits & 0x3333333333333333) + (bits >> 2 & 0x3333333333333333);
        bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0f;
        return static_cast<int>(bits * 0x0101010101010101 >> 56);
    }

    static unsigned above(const std::int16_t *sums, int ones, const std::int16_t *limit) {
        unsigned found = 0;
        for (int i = 0; i < group; ++i) found |= static_cast<unsigned>(2 * sums[i] - ones > limit[i]) << i;
        return found;
    }
    static void numbers(const std::int16_t *sums, int ones, F8 *to) {
        for (int part = 0; part < 4; ++part)
            to[part] = made([&](int i) { return static_cast<float>(2 * sums[8 * part + i] - ones); });
    }
    static void integers(const std::int16_t *sums, int ones, std::int16_t *to) {
        for (int i = 0; i < group; ++i) to[i] = static_cast<std::int16_t>(2 * sums[i] - ones);
    }

    static void describe(BinaryLayer &layer, Chunk *chunk);
    static void pack(const BinaryLayer &layer, const std::uint8_t *bits, std::uint8_t *weights);
    static void prepare_row(const BinaryLayer &layer, const std::uint32_t *pixels, std::uint8_t *row);
    static void sums(const BinaryLayer &layer, const std::uint8_t *activations, const struct Tile &tile,
                     std::int16_t *sums);
    static double peak();
};

} // namespace
} // namespace bnn

#include "generic.h"
#include "peak.h"

namespace bnn {
namespace {

void Isa::describe(BinaryLayer &layer, Chunk *chunk) {
    describe_packed(layer, 64);
    layer.blocks = (layer.groups() + most_groups - 1) / most_groups, layer.block_groups = most_groups;
    layer.weight_bytes = sizeof(uint64_t) * layer.groups() * group * layer.kernel * layer.units;
    layer.chunks = divide(layer, chunk, 1 << 30, 1);
}

void Isa::pack(const BinaryLayer &layer, const uint8_t *bits, uint8_t *weights) {
    const size_t run = sizeof(uint64_t) * layer.units;
    for (int o = 0; o < layer.groups() * group; ++o)
        for (int i = 0; i < layer.kernel; ++i, weights += run) run_bits(layer, bits, o, i, weights, run);
}

void Isa::prepare_row(const BinaryLayer &layer, const uint32_t *pixels, uint8_t *row) {
    prepare_packed_row(layer, pixels, row, 64);
}

void Isa::sums(const BinaryLayer &layer, const uint8_t *activations, const Tile &tile, int16_t *sums) {
    const int first = layer.first_group(tile.block), here = layer.first_group(tile.block + 1) - first;
    const uint64_t *input = reinterpret_cast<const uint64_t *>(activations);
    const uint64_t *block = reinterpret_cast<const uint64_t *>(layer.weights);
    const size_t each = static_cast<size_t>(layer.kernel) * layer.units;
    for (int y = 0; y < tile.rows; ++y) {
        const Rows seen = layer.seen(tile.y + y);
        for (int x = 0; x < tile.columns; ++x) {
            int16_t *to = sums + static_cast<size_t>(y * layer.tile_width() + x) * here * group;
            const uint64_t *from = input + static_cast<size_t>(tile.y + y) * layer.stride * layer.row +
                                   static_cast<size_t>(tile.x + x) * layer.step;
            for (int o = 0; o < here * group; ++o) {
                const uint64_t *weights = block + (first * group + o) * each;
                int total = 0;
                for (int i = seen.begin; i < seen.end; ++i)
                    for (int u = 0; u < layer.units; ++u)
                        total += ones(from[i * layer.row + u] & weights[i * layer.units + u]);
                to[o] = static_cast<int16_t>(total);
            }
        }
    }
}

double Isa::peak() {
    return peak_of(64 * 8, [](int rounds) {
        uint64_t a[8], total = 0;
        for (int i = 0; i < 8; ++i) a[i] = 0x123456789abcdef * (i + 1);
        for (int k = 0; k < rounds; ++k)
            for (int i = 0; i < 8; ++i) {
                total += ones(a[i] & (a[i] + total));
            }
        return static_cast<int>(total);
    });
}

} // namespace

const Kernels *portable_kernels() { return &kernels; }

} // namespace bnn
