// Kernels for 64-bit ARM: CNT counts the ones of each byte. A lane is an output channel with 8 of its input channels.
#include "kernels.h"

#if defined(__aarch64__)

#include <arm_neon.h>

namespace bnn {
namespace {

struct Isa {
    static constexpr const char *name = "neon";
    static constexpr std::uint8_t order[group] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                                  16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
    static constexpr int unit_bytes = 1, width = 8, pixels = 6;

    struct F8 {
        float32x4_t low, high;
    };
    using F = F8;
    static F8 load8(const float *from) { return {vld1q_f32(from), vld1q_f32(from + 4)}; }
    static void store8(float *to, F8 values) { vst1q_f32(to, values.low), vst1q_f32(to + 4, values.high); }
    static F8 broadcast8(float value) { return {vdupq_n_f32(value), vdupq_n_f32(value)}; }
    static F8 add8(F8 a, F8 b) { return {vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)}; }
    static F8 max8(F8 a, F8 b) { return {vmaxq_f32(a.low, b.low), vmaxq_f32(a.high, b.high)}; }
    static F8 multiply8(F8 a, F8 b) { return {vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)}; }
    static F8 fma8(F8 a, F8 b, F8 c) { return {vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)}; }
    static F8 multiply_add8(F8 a, F8 b, F8 c) { return fma8(a, b, c); }
    static unsigned mask8(uint32x4_t low, uint32x4_t high) {
        const uint32x4_t places = {1, 2, 4, 8};
        return vaddvq_u32(vandq_u32(low, places)) | vaddvq_u32(vandq_u32(high, places)) << 4;
    }
    static unsigned greater8(F8 a, F8 b) { return mask8(vcgtq_f32(a.low, b.low), vcgtq_f32(a.high, b.high)); }
    static unsigned at_least8(F8 a, F8 b) { return mask8(vcgeq_f32(a.low, b.low), vcgeq_f32(a.high, b.high)); }
    static F load(const float *from) { return load8(from); }
    static void store(float *to, F values) { store8(to, values); }
    static F broadcast(float value) { return broadcast8(value); }
    static F multiply_add(F a, F b, F c) { return fma8(a, b, c); }

    static int ones(std::uint64_t bits) { return vaddv_u8(vcnt_u8(vcreate_u8(bits))); }

    static int16x8_t integers8(const std::int16_t *sums, int ones) {
        const int16x8_t sum = vld1q_s16(sums);
        return vsubq_s16(vaddq_s16(sum, sum), vdupq_n_s16(static_cast<std::int16_t>(ones)));
    }
    static unsigned above(const std::int16_t *sums, int ones, const std::int16_t *limit) {
        const uint16x8_t places = {1, 2, 4, 8, 16, 32, 64, 128};
        unsigned found = 0;
        for (int i = 0; i < group; i += 8) {
            const uint16x8_t larger = vcgtq_s16(integers8(sums + i, ones), vld1q_s16(limit + i));
            found |= static_cast<unsigned>(vaddvq_u16(vandq_u16(larger, places))) << i;
        }
        return found;
    }
    static void numbers(const std::int16_t *sums, int ones, F8 *to) {
        for (int part = 0; part < 4; ++part) {
            const int16x8_t found = integers8(sums + 8 * part, ones);
            to[part] = {vcvtq_f32_s32(vmovl_s16(vget_low_s16(found))), vcvtq_f32_s32(vmovl_high_s16(found))};
        }
    }
    static void integers(const std::int16_t *sums, int ones, std::int16_t *to) {
        for (int i = 0; i < group; i += 8) vst1q_s16(to + i, integers8(sums + i, ones));
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

constexpr int most_counts = 31; // of at most 8, whose sum fits in a byte

void Isa::describe(BinaryLayer &layer, Chunk *chunk) {
    describe_packed(layer, 8);
    layer.blocks = (layer.groups() + most_groups - 1) / most_groups, layer.block_groups = most_groups;
    layer.weight_bytes = static_cast<size_t>(layer.groups()) * group * layer.kernel * layer.units;
    layer.chunks = divide(layer, chunk, most_counts, 1);
}

// Group by group, for each byte of activations the 32 bytes of weights.
void Isa::pack(const BinaryLayer &layer, const uint8_t *bits, uint8_t *weights) {
    const size_t run = static_cast<size_t>(layer.kernel) * layer.channels;
    for (int g = 0; g < layer.groups(); ++g)
        for (int i = 0; i < layer.kernel; ++i)
            for (int u = 0; u < layer.units; ++u)
                for (int o = g * group; o < (g + 1) * group; ++o) {
                    unsigned found = 0;
                    for (size_t k = 0; k < 8 && u * 8 + k < run && o < layer.outputs; ++k) {
                        const size_t bit = (static_cast<size_t>(o) * layer.kernel + i) * run + u * 8 + k;
                        found |= (bits[bit / 8] >> bit % 8 & 1u) << k;
                    }
                    *weights++ = static_cast<uint8_t>(found);
                }
}

void Isa::prepare_row(const BinaryLayer &layer, const uint32_t *pixels, uint8_t *row) {
    prepare_packed_row(layer, pixels, row, 8);
}

// A chunk's sums of consecutive outputs for a group of channels, added to those of the chunks before.
template <int PIXELS>
inline void chunk_sums(const Chunk &chunk, const Rows &seen, const uint8_t *weights, const uint8_t *activations,
                       int step, bool first, int16_t *sums, size_t sums_step) {
    uint8x16_t total[PIXELS][2];
    for (auto &pixel : total) pixel[0] = pixel[1] = vdupq_n_u8(0);
    weights += static_cast<size_t>(chunk.weights) * group;
    for (int k = 0; k < chunk.parts; ++k) {
        const uint8_t *input = activations + chunk.part[k].activations;
        if (!seen.have(chunk.part[k].row)) {
            weights += static_cast<size_t>(chunk.part[k].count) * group;
            continue;
        }
        for (int u = 0; u < chunk.part[k].count; ++u, weights += group) {
            const uint8x16_t low = vld1q_u8(weights), high = vld1q_u8(weights + 16);
            for (int p = 0; p < PIXELS; ++p) {
                const uint8x16_t bits = vld1q_dup_u8(input + p * step + u);
                total[p][0] = vaddq_u8(total[p][0], vcntq_u8(vandq_u8(bits, low)));
                total[p][1] = vaddq_u8(total[p][1], vcntq_u8(vandq_u8(bits, high)));
            }
        }
    }
    for (int p = 0; p < PIXELS; ++p)
        for (int half = 0; half < 2; ++half) {
            int16_t *to = sums + p * sums_step + half * 16;
            const uint8x16_t counts = total[p][half];
            int16x8_t low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(counts)));
            int16x8_t high = vreinterpretq_s16_u16(vmovl_high_u8(counts));
            if (!first) low = vaddq_s16(low, vld1q_s16(to)), high = vaddq_s16(high, vld1q_s16(to + 8));
            vst1q_s16(to, low), vst1q_s16(to + 8, high);
        }
}

void Isa::sums(const BinaryLayer &layer, const uint8_t *activations, const Tile &tile, int16_t *sums) {
    const int first = layer.first_group(tile.block), here = layer.first_group(tile.block + 1) - first;
    const size_t step = static_cast<size_t>(here) * group;
    const uint8_t *from =
        activations + static_cast<size_t>(tile.y) * layer.stride * layer.row + static_cast<size_t>(tile.x) * layer.step;
    for (int g = 0; g < here; ++g)
        for (int k = 0; k < layer.chunks; ++k) {
            const uint8_t *weights =
                layer.weights + static_cast<size_t>(first + g) * group * layer.kernel * layer.units;
            for (int y = 0; y < tile.rows; ++y) {
                const uint8_t *row = from + static_cast<size_t>(y) * layer.stride * layer.row;
                int16_t *to = sums + static_cast<size_t>(y) * layer.tile_width() * step + g * group;
                const Rows seen = layer.seen(tile.y + y);
                int x = 0;
                for (; x + 8 <= tile.columns; x += 8)
                    chunk_sums<8>(layer.chunk[k], seen, weights, row + x * layer.step, layer.step, k == 0,
                                  to + x * step, step);
                for (; x + 2 <= tile.columns; x += 2)
                    chunk_sums<2>(layer.chunk[k], seen, weights, row + x * layer.step, layer.step, k == 0,
                                  to + x * step, step);
                if (x < tile.columns)
                    chunk_sums<1>(layer.chunk[k], seen, weights, row + x * layer.step, layer.step, k == 0,
                                  to + x * step, step);
            }
        }
}

double Isa::peak() {
    return peak_of(128 * 8, [](int rounds) {
        uint8x16_t a = vdupq_n_u8(0x35), w = vdupq_n_u8(0x5c), total[8];
        for (uint8x16_t &sum : total) sum = vdupq_n_u8(0);
        for (int k = 0; k < rounds; ++k)
#pragma GCC unroll 8
            for (int i = 0; i < 8; ++i) {
                asm volatile("" : "+w"(a), "+w"(w));
                total[i] = vaddq_u8(total[i], vcntq_u8(vandq_u8(a, w)));
            }
        uint8x16_t sum = total[0];
        for (int i = 1; i < 8; ++i) sum = vaddq_u8(sum, total[i]);
        return static_cast<int>(vaddvq_u8(sum));
    });
}

} // namespace

const Kernels *neon_kernels() { return &kernels; }

} // namespace bnn

#else

namespace bnn {
const Kernels *neon_kernels() { return nullptr; }
} // namespace bnn

#endif
