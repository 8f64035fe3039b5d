// Kernels for x86 with AVX-512 and VPOPCNTDQ: AND, popcount and add of 512 bits, three instructions. A lane is an
// output channel with 32 of its input channels.
#include "kernels.h"

#if defined(BNN_EMULATE_AVX512) || ((defined(__x86_64__) || defined(__i386__)) && !defined(BNN_NO_AVX512))

#if defined(BNN_EMULATE_AVX512) // for tests: the instructions in plain C, by SIMDe
#define SIMDE_ENABLE_NATIVE_ALIASES
#include BNN_EMULATE_AVX512
#else
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,avx2,fma,popcnt"))), \
    apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,avx2,fma,popcnt")
#endif
#endif

namespace bnn {
namespace {

struct Isa {
    static constexpr const char *name = "avx512";
    static constexpr std::uint8_t order[group] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                                  16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
    static constexpr int unit_bytes = 4, width = 16, pixels = 12;

    using F8 = __m256;
    using F = __m512;
    static F8 load8(const float *from) { return _mm256_loadu_ps(from); }
    static void store8(float *to, F8 values) { _mm256_storeu_ps(to, values); }
    static F8 broadcast8(float value) { return _mm256_set1_ps(value); }
    static F8 add8(F8 a, F8 b) { return _mm256_add_ps(a, b); }
    static F8 max8(F8 a, F8 b) { return _mm256_max_ps(a, b); }
    static F8 multiply8(F8 a, F8 b) { return _mm256_mul_ps(a, b); }
    static F8 multiply_add8(F8 a, F8 b, F8 c) { return _mm256_fmadd_ps(a, b, c); }
    static F8 fma8(F8 a, F8 b, F8 c) { return _mm256_fmadd_ps(a, b, c); }
    static unsigned greater8(F8 a, F8 b) {
        return static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)));
    }
    static unsigned at_least8(F8 a, F8 b) {
        return static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GE_OQ)));
    }
    static F load(const float *from) { return _mm512_loadu_ps(from); }
    static void store(float *to, F values) { _mm512_storeu_ps(to, values); }
    static F broadcast(float value) { return _mm512_set1_ps(value); }
    static F multiply_add(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }

    static int ones(std::uint64_t bits) { return __builtin_popcountll(bits); }

    static __m512i integers32(const std::int16_t *sums, int ones) {
        const __m512i sum = _mm512_loadu_si512(sums);
        return _mm512_sub_epi16(_mm512_add_epi16(sum, sum), _mm512_set1_epi16(static_cast<short>(ones)));
    }
    static unsigned above(const std::int16_t *sums, int ones, const std::int16_t *limit) {
        return ~static_cast<unsigned>(_mm512_cmpge_epi16_mask(_mm512_loadu_si512(limit), integers32(sums, ones)));
    }
    static void numbers(const std::int16_t *sums, int ones, F8 *to) {
        std::int16_t found[group];
        integers(sums, ones, found);
        for (int part = 0; part < 4; ++part) {
            const __m128i eight = _mm_loadu_si128(reinterpret_cast<const __m128i *>(found + 8 * part));
            to[part] = _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(eight));
        }
    }
    static void integers(const std::int16_t *sums, int ones, std::int16_t *to) {
        _mm512_storeu_si512(to, integers32(sums, ones));
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
    describe_packed(layer, 32);
    layer.blocks = (layer.groups() + most_groups - 1) / most_groups, layer.block_groups = most_groups;
    layer.weight_bytes = sizeof(uint32_t) * layer.groups() * group * layer.kernel * layer.units;
    layer.chunks = divide(layer, chunk, 1 << 30, 1);
}

// Group by group, for each word of activations the 32 words of weights.
void Isa::pack(const BinaryLayer &layer, const uint8_t *bits, uint8_t *weights) {
    const size_t run = static_cast<size_t>(layer.kernel) * layer.channels;
    auto *to = reinterpret_cast<uint32_t *>(weights);
    for (int g = 0; g < layer.groups(); ++g)
        for (int i = 0; i < layer.kernel; ++i)
            for (int u = 0; u < layer.units; ++u)
                for (int o = g * group; o < (g + 1) * group; ++o) {
                    uint32_t found = 0;
                    for (size_t k = 0; k < 32 && u * 32 + k < run && o < layer.outputs; ++k) {
                        const size_t bit = (static_cast<size_t>(o) * layer.kernel + i) * run + u * 32 + k;
                        found |= (bits[bit / 8] >> bit % 8 & 1u) << k;
                    }
                    *to++ = found;
                }
}

void Isa::prepare_row(const BinaryLayer &layer, const uint32_t *pixels, uint8_t *row) {
    prepare_packed_row(layer, pixels, row, 32);
}

// Sums of consecutive outputs for a group of channels, or for its first half where the layer has no more.
template <int PIXELS, int HALVES>
inline void group_sums(const BinaryLayer &layer, const Rows &seen, const uint32_t *weights, const uint32_t *activations,
                       int16_t *sums, size_t sums_step) {
    __m512i total[PIXELS][HALVES];
    for (auto &pixel : total)
        for (__m512i &half : pixel) half = _mm512_setzero_si512();
    activations += static_cast<size_t>(seen.begin) * layer.row;
    weights += static_cast<size_t>(seen.begin) * layer.units * group;
    for (int i = seen.begin; i < seen.end; ++i, activations += layer.row)
        for (int u = 0; u < layer.units; ++u, weights += group) {
            __m512i of_half[HALVES];
            for (int half = 0; half < HALVES; ++half) of_half[half] = _mm512_loadu_si512(weights + 16 * half);
#pragma GCC unroll 8
            for (int p = 0; p < PIXELS; ++p) {
                const __m512i bits = _mm512_set1_epi32(static_cast<int>(activations[p * layer.step + u]));
#pragma GCC unroll 2
                for (int half = 0; half < HALVES; ++half)
                    total[p][half] =
                        _mm512_add_epi32(total[p][half], _mm512_popcnt_epi32(_mm512_and_si512(bits, of_half[half])));
            }
        }
    for (int p = 0; p < PIXELS; ++p)
        for (int half = 0; half < 2; ++half)
            _mm256_storeu_si256(reinterpret_cast<__m256i *>(sums + p * sums_step + half * 16),
                                half < HALVES ? _mm512_maskz_cvtsepi32_epi16(0xffff, total[p][half % HALVES])
                                              : _mm256_setzero_si256());
}

template <int HALVES>
inline void row_sums(const BinaryLayer &layer, const Rows &seen, const uint32_t *weights, const uint32_t *row,
                     int columns, int16_t *sums, size_t step) {
    int x = 0;
    for (; x + 8 <= columns; x += 8)
        group_sums<8, HALVES>(layer, seen, weights, row + static_cast<size_t>(x) * layer.step, sums + x * step, step);
    for (; x + 2 <= columns; x += 2)
        group_sums<2, HALVES>(layer, seen, weights, row + static_cast<size_t>(x) * layer.step, sums + x * step, step);
    if (x < columns)
        group_sums<1, HALVES>(layer, seen, weights, row + static_cast<size_t>(x) * layer.step, sums + x * step, step);
}

void Isa::sums(const BinaryLayer &layer, const uint8_t *activations, const Tile &tile, int16_t *sums) {
    const int first = layer.first_group(tile.block), here = layer.first_group(tile.block + 1) - first;
    const size_t step = static_cast<size_t>(here) * group,
                 each = static_cast<size_t>(group) * layer.kernel * layer.units;
    const uint32_t *from = reinterpret_cast<const uint32_t *>(activations) +
                           static_cast<size_t>(tile.y) * layer.stride * layer.row +
                           static_cast<size_t>(tile.x) * layer.step;
    for (int g = 0; g < here; ++g) {
        const uint32_t *weights = reinterpret_cast<const uint32_t *>(layer.weights) + (first + g) * each;
        const bool half = layer.outputs - (first + g) * group <= group / 2;
        for (int y = 0; y < tile.rows; ++y) {
            const uint32_t *row = from + static_cast<size_t>(y) * layer.stride * layer.row;
            int16_t *to = sums + static_cast<size_t>(y) * layer.tile_width() * step + g * group;
            const Rows seen = layer.seen(tile.y + y);
            (half ? row_sums<1> : row_sums<2>)(layer, seen, weights, row, tile.columns, to, step);
        }
    }
}

double Isa::peak() {
    return peak_of(512 * 8, [](int rounds) {
        __m512i a = _mm512_set1_epi32(0x12345678), w = _mm512_set1_epi32(0x2468ace1), total[8];
        for (__m512i &sum : total) sum = _mm512_setzero_si512();
        for (int k = 0; k < rounds; ++k)
#pragma GCC unroll 8
            for (int i = 0; i < 8; ++i) {
#if !defined(BNN_EMULATE_AVX512)
                asm volatile("" : "+v"(a), "+v"(w));
#endif
                total[i] = _mm512_add_epi32(total[i], _mm512_popcnt_epi32(_mm512_and_si512(a, w)));
            }
        __m512i sum = total[0];
        for (int i = 1; i < 8; ++i) sum = _mm512_add_epi32(sum, total[i]);
        int kept[16];
        _mm512_storeu_si512(kept, sum);
        return kept[0];
    });
}

} // namespace

const Kernels *avx512_kernels() {
#if defined(BNN_EMULATE_AVX512)
    return &kernels;
#else
    const bool found = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                       __builtin_cpu_supports("avx512vpopcntdq");
    return found ? &kernels : nullptr;
#endif
}

} // namespace bnn

#if defined(__clang__) && !defined(BNN_EMULATE_AVX512)
#pragma clang attribute pop
#endif

#else

namespace bnn {
const Kernels *avx512_kernels() { return nullptr; }
} // namespace bnn

#endif
