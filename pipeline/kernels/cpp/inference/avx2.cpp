// Kernels for x86 with AVX2: look-ups in place of popcounts.
//
// VPSHUFB looks 32 bytes up in a table of 16. With a table of popcount(a AND w) for four activation bits a of one pixel
// and all 16 patterns w of weights, one look-up by the weights of 32 output channels does 128 multiply-accumulates, AND
// and popcount included. A sum of three such counts fits in four bits, so that a table holds the counts of two
// neighbouring outputs in the halves of its bytes: 256 a look-up. A popcount by VPSHUFB takes eight instructions for
// 256 bits, this nine for 768.
#include "kernels.h"

#if defined(__x86_64__) || defined(__i386__)

#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,popcnt"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,popcnt")
#endif

namespace bnn {
namespace {

struct Isa {
    static constexpr const char *name = "avx2";
    // Widening bytes to 16 bits takes the halves of a register apart.
    static constexpr std::uint8_t order[group] = {0, 1, 2,  3,  4,  5,  6,  7,  16, 17, 18, 19, 20, 21, 22, 23,
                                                  8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31};
    static constexpr int unit_bytes = 2, width = 8, pixels = 6;

    using F8 = __m256;
    using F = F8;
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
    static F load(const float *from) { return load8(from); }
    static void store(float *to, F values) { store8(to, values); }
    static F broadcast(float value) { return broadcast8(value); }
    static F multiply_add(F a, F b, F c) { return multiply_add8(a, b, c); }

    static int ones(std::uint64_t bits) { return __builtin_popcountll(bits); }

    static __m256i integers16(const std::int16_t *sums, int ones) {
        const __m256i sum = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(sums));
        return _mm256_sub_epi16(_mm256_add_epi16(sum, sum), _mm256_set1_epi16(static_cast<short>(ones)));
    }
    static unsigned above(const std::int16_t *sums, int ones, const std::int16_t *limit) {
        const auto *limits = reinterpret_cast<const __m256i *>(limit);
        const __m256i low = _mm256_cmpgt_epi16(integers16(sums, ones), _mm256_loadu_si256(limits));
        const __m256i high = _mm256_cmpgt_epi16(integers16(sums + 16, ones), _mm256_loadu_si256(limits + 1));
        return static_cast<unsigned>(_mm256_movemask_epi8(_mm256_packs_epi16(low, high)));
    }
    static F8 eight(__m128i integers) { return _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(integers)); }
    static void numbers(const std::int16_t *sums, int ones, F8 *to) {
        const __m256i first = integers16(sums, ones), second = integers16(sums + 16, ones);
        to[0] = eight(_mm256_castsi256_si128(first)), to[1] = eight(_mm256_castsi256_si128(second));
        to[2] = eight(_mm256_extracti128_si256(first, 1)), to[3] = eight(_mm256_extracti128_si256(second, 1));
    }
    static void integers(const std::int16_t *sums, int ones, std::int16_t *to) {
        const __m256i first = integers16(sums, ones), second = integers16(sums + 16, ones);
        auto *out = reinterpret_cast<__m256i *>(to);
        _mm256_storeu_si256(out, _mm256_permute2x128_si256(first, second, 0x20));
        _mm256_storeu_si256(out + 1, _mm256_permute2x128_si256(first, second, 0x31));
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

// By four activations of one output (low half of the number) and of the next: a row of counts for each four weights.
struct Tables {
    alignas(64) uint8_t counts[256][16];
    constexpr Tables() : counts() {
        for (int pair = 0; pair < 256; ++pair)
            for (int weights = 0; weights < 16; ++weights)
                counts[pair][weights] = static_cast<uint8_t>(ones4(pair & weights) | ones4(pair >> 4 & weights) << 4);
    }
    static constexpr int ones4(int bits) { return (bits & 1) + (bits >> 1 & 1) + (bits >> 2 & 1) + (bits >> 3 & 1); }
};
constexpr Tables tables;

const uint32_t nothing[most_pixel_words] = {}; // a pixel outside of the map

constexpr int most_lookups = 63; // whose counts of at most 4 fit in a byte

inline int fours(const BinaryLayer &layer) { return (layer.channels + 3) / 4; }

void Isa::describe(BinaryLayer &layer, Chunk *chunk) {
    const int each = fours(layer), pairs = (layer.covered() + 1) / 2;
    layer.units = layer.kernel * each, layer.step = layer.stride * each;
    layer.row = (2 * layer.stride * (pairs - 1) + layer.kernel) * each;
    layer.activation_bytes = sizeof(uint16_t) * layer.row * layer.padded();
    layer.blocks = (layer.groups() + most_groups - 1) / most_groups, layer.block_groups = most_groups;
    layer.weight_bytes = static_cast<size_t>(layer.groups()) * group * layer.kernel * layer.units;
    layer.chunks = divide(layer, chunk, most_lookups, 3);
}

// A byte for each look-up and channel: the weights of four input channels.
void Isa::pack(const BinaryLayer &layer, const uint8_t *bits, uint8_t *weights) {
    const size_t channels = layer.channels, area = static_cast<size_t>(layer.kernel) * layer.kernel;
    const int each = fours(layer);
    for (int block = 0; block < layer.blocks; ++block) {
        const int first = layer.first_group(block) * group, last = layer.first_group(block + 1) * group;
        for (size_t place = 0; place < area; ++place)
            for (int four = 0; four < each; ++four)
                for (int o = first; o < last; ++o) {
                    unsigned found = 0;
                    for (size_t k = 0; k < 4 && four * 4 + k < channels && o < layer.outputs; ++k) {
                        const size_t bit = (o * area + place) * channels + four * 4 + k;
                        found |= (bits[bit / 8] >> bit % 8 & 1u) << k;
                    }
                    *weights++ = static_cast<uint8_t>(found);
                }
    }
}

// Where the tables of 32 channels of two pixels lie, as offsets in bytes.
inline __m128i offsets(uint32_t pixel, uint32_t next) {
    const uint32_t low = (pixel & 0x0f0f0f0f) | (next & 0x0f0f0f0f) << 4;
    const uint32_t high = (pixel >> 4 & 0x0f0f0f0f) | (next & 0xf0f0f0f0);
    const __m128i both =
        _mm_unpacklo_epi8(_mm_cvtsi32_si128(static_cast<int>(low)), _mm_cvtsi32_si128(static_cast<int>(high)));
    return _mm_slli_epi16(_mm_cvtepu8_epi16(both), 4);
}

void Isa::prepare_row(const BinaryLayer &layer, const uint32_t *pixels, uint8_t *row) {
    const int each = fours(layer), pixel_words = words(layer.channels), positions = layer.row / each;
    const int apart = 2 * layer.stride; // of the outputs' pairs
    const auto at = [&](int x) { return x >= 0 && x < layer.side ? pixels + x * pixel_words : nothing; };
    const __m128i low_halves = _mm_set1_epi8(15);
    for (int i = 0; i < positions; ++i) {
        if (i % apart >= layer.kernel) continue; // read by no output
        const uint32_t *pixel = at(i - layer.padding), *next = at(i - layer.padding + layer.stride);
        auto *to = reinterpret_cast<uint16_t *>(row) + static_cast<size_t>(i) * each;
        int w = 0;
        for (; w * 32 + 128 <= layer.channels; w += 4, to += 32) {
            const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i *>(pixel + w));
            const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i *>(next + w));
            const __m128i low =
                _mm_or_si128(_mm_and_si128(a, low_halves), _mm_slli_epi16(_mm_and_si128(b, low_halves), 4));
            const __m128i high =
                _mm_or_si128(_mm_and_si128(_mm_srli_epi16(a, 4), low_halves), _mm_andnot_si128(low_halves, b));
            const __m256i first = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(low, high));
            const __m256i second = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(low, high));
            _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), _mm256_slli_epi16(first, 4));
            _mm256_storeu_si256(reinterpret_cast<__m256i *>(to) + 1, _mm256_slli_epi16(second, 4));
        }
        for (; w * 32 + 32 <= layer.channels; ++w, to += 8)
            _mm_storeu_si128(reinterpret_cast<__m128i *>(to), offsets(pixel[w], next[w]));
        if (w * 32 < layer.channels) {
            uint16_t last[8];
            _mm_storeu_si128(reinterpret_cast<__m128i *>(last), offsets(pixel[w], next[w]));
            copy(to, last, sizeof *last * (each - 8 * w));
        }
    }
}

inline __m256i table(uint16_t offset) {
    return _mm256_broadcastsi128_si256(*reinterpret_cast<const __m128i *>(&tables.counts[0][0] + offset));
}
inline __m256i look_up(__m256i table, const uint8_t *weights) {
    return _mm256_shuffle_epi8(table, _mm256_loadu_si256(reinterpret_cast<const __m256i *>(weights)));
}

// Counts of two outputs in bytes for a group of channels: those of both modulo 256, and those of the second.
struct Counts {
    __m256i both, second;
};

inline void add_counts(__m256i found, Counts &counts, __m256i sixteenth, __m256i halves) {
    counts.both = _mm256_add_epi8(counts.both, found);
    // The high half of a product by 2^12 is a shift by 4. Shifts wait for the units that look up, products do not.
    counts.second = _mm256_add_epi8(counts.second, _mm256_and_si256(_mm256_mulhi_epu16(found, sixteenth), halves));
}

inline __m256i sixteenths() {
    __m256i factor = _mm256_set1_epi16(4096);
    asm("" : "+x"(factor)); // or compilers make the product a shift again
    return factor;
}

// Counts of a group, as 16-bit sums of both outputs, `row` numbers apart; added to those of the chunks before.
inline void widen(const Counts &counts, bool first, int16_t *sums, int row) {
    const __m256i halves = _mm256_set1_epi8(15), zero = _mm256_setzero_si256();
    const __m256i times16 = _mm256_andnot_si256(halves, _mm256_slli_epi16(counts.second, 4));
    const __m256i each[2] = {_mm256_sub_epi8(counts.both, times16), counts.second};
    for (int output = 0; output < 2; ++output) {
        auto *to = reinterpret_cast<__m256i *>(sums + output * row);
        __m256i low = _mm256_unpacklo_epi8(each[output], zero), high = _mm256_unpackhi_epi8(each[output], zero);
        if (!first) {
            low = _mm256_add_epi16(low, _mm256_loadu_si256(to));
            high = _mm256_add_epi16(high, _mm256_loadu_si256(to + 1));
        }
        _mm256_storeu_si256(to, low), _mm256_storeu_si256(to + 1, high);
    }
}

// Three look-ups of a group, whose counts fit in half a byte.
inline void count_three(__m256i a, __m256i b, __m256i c, const uint8_t *weights, int row, Counts &counts,
                        __m256i sixteenth, __m256i halves) {
    const __m256i two = _mm256_add_epi8(look_up(a, weights), look_up(b, weights + row));
    add_counts(_mm256_add_epi8(two, look_up(c, weights + 2 * row)), counts, sixteenth, halves);
    // Or compilers take the groups' work apart, for which there are not enough registers.
    asm volatile("" : "+x"(counts.both), "+x"(counts.second));
}

// The look-ups of a chunk that are left when all threes are done.
template <int GROUPS>
__attribute__((noinline)) void rest_sums(const Chunk &chunk, const Rows &seen, const uint8_t *weights,
                                         const uint16_t *activations, int16_t *sums) {
    constexpr int row = GROUPS * group;
    const __m256i halves = _mm256_set1_epi8(15), sixteenth = sixteenths();
    for (int k = 0; k < chunk.parts; ++k) {
        const int count = chunk.part[k].count;
        weights += static_cast<size_t>(count) * row;
        for (int g = 0; g < GROUPS && count % 3 && seen.have(chunk.part[k].row); ++g) {
            Counts counts{};
            for (int i = count / 3 * 3; i < count; ++i)
                add_counts(
                    look_up(table(activations[chunk.part[k].activations + i]), weights + (i - count) * row + g * group),
                    counts, sixteenth, halves);
            widen(counts, false, sums + g * group, row);
        }
    }
}

// A chunk's sums for two outputs and GROUPS groups of channels, added to those of the chunks before. Each group's
// counts have a name, for which compilers find registers more surely than for arrays.
template <int GROUPS>
__attribute__((noinline)) void chunk_sums(const Chunk &chunk, const Rows &seen, const uint8_t *weights,
                                          const uint16_t *activations, bool first, int16_t *sums) {
    constexpr int row = GROUPS * group;
    const __m256i halves = _mm256_set1_epi8(15), sixteenth = sixteenths();
    Counts counts0{}, counts1{}, counts2{}, counts3{};
    const uint8_t *at = weights;
    int rest = 0, parts = 0;
    for (int k = 0; k < chunk.parts; ++k) {
        if (!seen.have(chunk.part[k].row)) {
            at += static_cast<size_t>(chunk.part[k].count) * row;
            continue;
        }
        ++parts;
        const int number = chunk.part[k].count, left = number % 3;
        const uint16_t *offset = activations + chunk.part[k].activations, *end = offset + (number - left);
        for (; offset < end; offset += 3, at += 3 * row) {
            const __m256i a = table(offset[0]), b = table(offset[1]), c = table(offset[2]);
            count_three(a, b, c, at, row, counts0, sixteenth, halves);
            if constexpr (GROUPS > 1) count_three(a, b, c, at + group, row, counts1, sixteenth, halves);
            if constexpr (GROUPS > 2) count_three(a, b, c, at + 2 * group, row, counts2, sixteenth, halves);
            if constexpr (GROUPS > 3) count_three(a, b, c, at + 3 * group, row, counts3, sixteenth, halves);
        }
        at += left * row, rest += left;
    }
    if (!parts && !first) return;
    widen(counts0, first, sums, row);
    if constexpr (GROUPS > 1) widen(counts1, first, sums + group, row);
    if constexpr (GROUPS > 2) widen(counts2, first, sums + 2 * group, row);
    if constexpr (GROUPS > 3) widen(counts3, first, sums + 3 * group, row);
    if (rest) rest_sums<GROUPS>(chunk, seen, weights, activations, sums);
}

template <int GROUPS>
void tile_sums(const BinaryLayer &layer, const uint8_t *weights, const uint16_t *activations, const Tile &tile,
               int16_t *sums) {
    constexpr int row = GROUPS * group;
    const size_t pairs = static_cast<size_t>(tile.rows) * ((tile.columns + 1) / 2);
    const uint8_t *end = weights + static_cast<size_t>(layer.kernel) * layer.units * row;
    for (int k = 0; k < layer.chunks; ++k) {
        // What the first tile reads of the next chunk would have to come from memory.
        const uint8_t *here = weights + static_cast<size_t>(layer.chunk[k].weights) * row;
        const uint8_t *next =
            k + 1 < layer.chunks ? weights + static_cast<size_t>(layer.chunk[k + 1].weights) * row : end;
        const size_t share = tile.y || tile.x ? 0 : (next - here + 64 * pairs - 1) / (64 * pairs) * 64;
        for (int y = 0; y < tile.rows; ++y) {
            const uint16_t *from = activations + static_cast<size_t>(y) * layer.stride * layer.row;
            int16_t *to = sums + static_cast<size_t>(y) * layer.tile_width() * row;
            const Rows seen = layer.seen(tile.y + y);
            for (int x = 0; x < tile.columns; x += 2, from += 2 * layer.step, to += 2 * row) {
                for (size_t i = 0; i < share; i += 64)
                    _mm_prefetch(reinterpret_cast<const char *>(next + i), _MM_HINT_T0);
                next += share;
                chunk_sums<GROUPS>(layer.chunk[k], seen, here, from, k == 0, to);
            }
        }
    }
}

void Isa::sums(const BinaryLayer &layer, const uint8_t *activations, const Tile &tile, int16_t *sums) {
    const int first = layer.first_group(tile.block), here = layer.first_group(tile.block + 1) - first;
    const uint8_t *weights = layer.weights + static_cast<size_t>(first) * group * layer.kernel * layer.units;
    const uint16_t *from = reinterpret_cast<const uint16_t *>(activations) +
                           static_cast<size_t>(tile.y) * layer.stride * layer.row +
                           static_cast<size_t>(tile.x) * layer.step;
    switch (here) {
    case 1:
        return tile_sums<1>(layer, weights, from, tile, sums);
    case 2:
        return tile_sums<2>(layer, weights, from, tile, sums);
    case 3:
        return tile_sums<3>(layer, weights, from, tile, sums);
    default:
        return tile_sums<4>(layer, weights, from, tile, sums);
    }
}

double Isa::peak() {
    const double by_shuffles = peak_of(256 * 8, [](int rounds) {
        const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3,
                                                1, 2, 2, 3, 2, 3, 3, 4);
        const __m256i halves = _mm256_set1_epi8(15);
        __m256i a = _mm256_set1_epi32(0x12345678), w = _mm256_set1_epi32(0x2468ace1), total[8];
        for (__m256i &sum : total) sum = _mm256_setzero_si256();
        for (int k = 0; k < rounds; ++k)
#pragma GCC unroll 8
            for (int i = 0; i < 8; ++i) {
                asm volatile("" : "+x"(a), "+x"(w));
                const __m256i both = _mm256_and_si256(a, w);
                const __m256i low = _mm256_shuffle_epi8(counts, _mm256_and_si256(both, halves));
                const __m256i high = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(both, 4), halves));
                total[i] = _mm256_add_epi8(total[i], _mm256_add_epi8(low, high));
            }
        __m256i sum = total[0];
        for (int i = 1; i < 8; ++i) sum = _mm256_add_epi8(sum, total[i]);
        return _mm256_extract_epi32(sum, 0);
    });
    const double by_words = peak_of(64 * 8, [](int rounds) {
        uint64_t a = 0x123456789abcdef, w = 0x2468ace13579bdf, total[4] = {};
        for (int k = 0; k < rounds; ++k)
#pragma GCC unroll 8
            for (int i = 0; i < 8; ++i) {
                asm volatile("" : "+r"(a), "+r"(w));
                total[i % 4] += static_cast<uint64_t>(__builtin_popcountll(a & w));
            }
        return static_cast<int>(total[0] + total[1] + total[2] + total[3]);
    });
    return by_shuffles > by_words ? by_shuffles : by_words;
}

} // namespace

const Kernels *avx2_kernels() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("popcnt")
               ? &kernels
               : nullptr;
}

} // namespace bnn

#if defined(__clang__)
#pragma clang attribute pop
#endif

#else

namespace bnn {
const Kernels *avx2_kernels() { return nullptr; }
} // namespace bnn

#endif
