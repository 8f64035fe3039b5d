// Binary convolutions of 3×3, stride 1 and padding 1, and their two gradients, by Winograd's minimal filtering F(2×2,
// 3×3) (Lavin and Gray, 2016): tiles of 2×2 pixels for 16 products of matrices instead of 36.
//
// For one dimension, with d the four pixels under a tile, g the filter and y the tile's two outputs,
//
//     y = Aᵀ [(G g) ⊙ (Bᵀ d)],    Bᵀ = 1  0 -1  0    G = 1    0    0    Aᵀ = 1  1  1  0
//                                      0  1  1  0        1/2  1/2  1/2       0  1 -1 -1
//                                      0 -1  1  0        1/2 -1/2  1/2
//                                      0  1  0 -1        0    0    1
//
// in two dimensions once along each. With d of {0, 1} and g of ±1, Bᵀ d B are integers from -2 to 4 and 4 · G g Gᵀ from
// -9 to 9. Both are exact in bytes, bfloat16 and float32, and so are the sums of their products: the forward
// convolution is rounded only when its sums are multiplied by the scale. The gradient towards the input is the same
// convolution with mirrored filters, for which sums of four gradients are rounded to the type of the products. The one
// towards the filter is Gᵀ [(A dy) ⊙ (Bᵀ d)], in which sums of up to four gradients are.
//
// Feature maps lie as (N, H, W, C), filters as (O, 3, 3, C), C without gaps.

#include "../common/memory.h"
#include "../common/vectors.h"
#include "boundary.h"
#include "products.h"
#include "tiles.h"

#include <algorithm>
#include <omp.h>
#include <type_traits>

namespace {

using namespace kernels;

constexpr int POSITIONS = 16; // of a transformed tile

// Bᵀ d of four values.
template <typename V> void spread_inputs(const V *d, V *to) {
    to[0] = d[0] - d[2], to[1] = d[1] + d[2], to[2] = d[2] - d[1], to[3] = d[1] - d[3];
}

// `python -m benchmarks.blocks` (float32, AVX2): 0 takes 0.97 to 1.06 times as long, 16 takes 0.98 to 1.03.
constexpr int64_t AHEAD = 4; // tiles whose pixels are asked for before they are needed

// Bᵀ d B of the 4×4 pixels under every tile, those outside being zero, as rows [position][tile][channel].
template <class Kind, int W, typename Source>
[[gnu::noinline]] void spread_windows(const Source *x, const Source *zeros, const Tiles &tiles, int64_t channels,
                                      int64_t first, int64_t last, typename Kind::Row *rows, int64_t position,
                                      int64_t row) {
    using V = Vector<typename Kind::Work, W>;
    const int64_t below = tiles.width * channels;
    Tile tile(tiles, first);
    V vertical[4][4] = {}; // of each column of pixels. Two of them are the next tile's too.
    for (int64_t t = first; t < last; ++t, tile.advance(), rows += row) {
        const Source *corner = x + tile.pixel() * channels;
        auto column = [&](int j) __attribute__((always_inline)) {
            bool here = tile.has_column(j - 1);
            V d[4];
#pragma GCC unroll 4
            for (int i = 0; i < 4; ++i) {
                const Source *pixel = corner + ((i - 1) * below + (j - 1) * channels);
                d[i] = Kind::template read<W>(here && tile.has_row(i - 1) ? pixel : zeros);
                __builtin_prefetch(pixel + 2 * AHEAD * channels);
            }
            spread_inputs(d, vertical[j]);
        };
        if (t == first || tile.first_of_row()) column(0), column(1);
        column(2), column(3);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
            V d[4] = {vertical[0][i], vertical[1][i], vertical[2][i], vertical[3][i]}, values[4];
            spread_inputs(d, values);
#pragma GCC unroll 4
            for (int j = 0; j < 4; ++j) Kind::template write<W>(rows + (4 * i + j) * position, values[j]);
            vertical[0][i] = vertical[2][i], vertical[1][i] = vertical[3][i];
        }
    }
}

// --- The convolution ------------------------------------------------------------------------------------------------

// 4 · G g Gᵀ of W filters of ±1 whose taps lie `inputs` apart.
template <int W, bool MIRRORED>
void spread_filter(const std::int8_t *taps, int64_t inputs, Vector<std::int8_t, W> *to) {
    using V = Vector<std::int8_t, W>;
    auto g = [&](int y, int x) {
        V values;
        std::memcpy(&values, taps + (MIRRORED ? 8 - 3 * y - x : 3 * y + x) * inputs, sizeof values);
        return values;
    };
    auto spread = [](V a, V b, V c, V *to) { to[0] = 2 * a, to[1] = a + b + c, to[2] = a - b + c, to[3] = 2 * c; };
    V vertical[3][4];
    for (int x = 0; x < 3; ++x) spread(g(0, x), g(1, x), g(2, x), vertical[x]);
    for (int y = 0; y < 4; ++y) spread(vertical[0][y], vertical[1][y], vertical[2][y], to + 4 * y);
}

// How far the columns of one position lie from the next one's: not by a power of two, which would map them all to the
// same few lines of the cache.
template <class Kind> int64_t columns_apart(int64_t factors, int64_t columns) {
    return up(factors, Kind::GROUP) * up(columns, LANES) + 64 / sizeof(typename Kind::Column);
}

// Transformed filters, (O, 3, 3, I), as columns of a product, one for each output:
// [position][LANES outputs][group of inputs][output][input].
template <class Kind>
void output_columns(const std::int8_t *signs, int64_t outputs, int64_t inputs, typename Kind::Column *columns,
                    int threads) {
    using Column = typename Kind::Column;
    constexpr int64_t G = Kind::GROUP;
    int64_t panel = up(inputs, G) * LANES, position = columns_apart<Kind>(inputs, outputs);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t first = 0; first < outputs; first += LANES)
        each_part<16, 4>(inputs, [&]<int W>(int64_t i) {
            for (int64_t o = first; o < std::min<int64_t>(outputs, first + LANES); ++o) {
                Vector<std::int8_t, W> values[POSITIONS];
                spread_filter<W, false>(signs + 9 * o * inputs + i, inputs, values);
                Column *to = columns + first / LANES * panel + i / G * LANES * G + (o - first) * G + i % G;
                for (int p = 0; p < POSITIONS; ++p, to += position) {
                    Column row[W];
                    if constexpr (std::is_same_v<Column, std::int8_t>)
                        std::memcpy(row, &values[p], sizeof row);
                    else
                        widen<W>(row, values[p]);
                    for (int k = 0; k < W; k += G)
                        if constexpr (G == 1)
                            to[k * LANES] = row[k];
                        else
                            std::memcpy(to + k * LANES, row + k, sizeof(Column) * (W < G ? W : G));
                }
            }
        });
}

// Transformed mirrored filters, one column for each input: [position][LANES inputs][group of outputs][input][output].
template <class Kind>
void input_columns(const std::int8_t *signs, int64_t outputs, int64_t inputs, typename Kind::Column *columns,
                   int threads) {
    using Column = typename Kind::Column;
    constexpr int64_t G = Kind::GROUP;
    int64_t panel = up(outputs, G) * LANES, position = columns_apart<Kind>(outputs, inputs);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t first = 0; first < outputs; first += G)
        each_part<16, 4>(inputs, [&]<int W>(int64_t i) {
            Vector<std::int8_t, W> values[G][POSITIONS] = {};
            for (int64_t o = first; o < std::min(outputs, first + G); ++o)
                spread_filter<W, true>(signs + 9 * o * inputs + i, inputs, values[o - first]);
            for (int p = 0; p < POSITIONS; ++p) {
                // The factors of a group are what fills 32 bits: numbers, or the upper halves of two.
                Vector<std::uint32_t, W> groups{};
                for (int k = 0; k < G; ++k) {
                    Vector<float, W> numbers;
                    widen<W>(reinterpret_cast<float *>(&numbers), values[k][p]);
                    groups = groups >> 16 * (G - 1) | (Vector<std::uint32_t, W>)numbers;
                }
                for (int part = 0; part < W; part += LANES) {
                    int64_t n = i + part;
                    Column *to = columns + p * position + n / LANES * panel + (first / G * LANES + n % LANES) * G;
                    std::memcpy(to, reinterpret_cast<const char *>(&groups) + 4 * part, 4 * std::min(W, LANES));
                }
            }
        });
}

// -OFFSET times the sum of each column of output_columns: what rows that are OFFSET too large add to a product.
[[maybe_unused]] void offsets(const std::int8_t *signs, int64_t outputs, int64_t inputs, int64_t offset,
                              std::int32_t *starts) {
    int64_t columns = up(outputs, LANES);
    for (int64_t o = 0; o < outputs; ++o) {
        std::int32_t g[3][3], vertical[4][3];
        for (int tap = 0; tap < 9; ++tap) {
            std::int32_t sum = 0;
            for (int64_t i = 0; i < inputs; ++i) sum += signs[(9 * o + tap) * inputs + i];
            g[tap / 3][tap % 3] = -offset * sum;
        }
        for (int x = 0; x < 3; ++x) {
            vertical[0][x] = 2 * g[0][x], vertical[3][x] = 2 * g[2][x];
            vertical[1][x] = g[0][x] + g[1][x] + g[2][x], vertical[2][x] = g[0][x] - g[1][x] + g[2][x];
        }
        for (int y = 0; y < 4; ++y) {
            const std::int32_t *v = vertical[y];
            std::int32_t values[] = {2 * v[0], v[0] + v[1] + v[2], v[0] - v[1] + v[2], 2 * v[2]};
            for (int x = 0; x < 4; ++x) starts[(4 * y + x) * columns + o] = values[x];
        }
    }
}

// Aᵀ m A of the sums of every tile, times a scale, into the tiles' pixels.
template <typename Sum, typename T>
[[gnu::noinline]] void gather_outputs(const Sum *sums, int64_t stride, int64_t position, const Tiles &tiles,
                                      int64_t first, int64_t last, float scale, int64_t channels, T *out,
                                      int64_t count) {
    each_part(count, [&]<int W>(int64_t c) {
        using V = Vector<float, W>;
        using S = Vector<Sum, W>;
        Tile tile(tiles, first);
        const Sum *from = sums + c;
        for (int64_t t = first; t < last; ++t, tile.advance(), from += stride) {
            S upper[4], lower[4];
#pragma GCC unroll 4
            for (int j = 0; j < 4; ++j) {
                S m[4];
#pragma GCC unroll 4
                for (int i = 0; i < 4; ++i) std::memcpy(&m[i], from + (4 * i + j) * position, sizeof(S));
                upper[j] = m[0] + m[1] + m[2], lower[j] = m[1] - m[2] - m[3];
            }
            T *to = out + tile.pixel() * channels + c;
            auto pixels = [&](const S *m, T *left) {
                store<W>(left, __builtin_convertvector(m[0] + m[1] + m[2], V) * scale);
                if (tile.has_column(1))
                    store<W>(left + channels, __builtin_convertvector(m[1] - m[2] - m[3], V) * scale);
            };
            pixels(upper, to);
            if (tile.has_row(1)) pixels(lower, to + tiles.width * channels);
        }
    });
}

template <typename T> const char *bytes(const T *at) { return reinterpret_cast<const char *>(at); }

// `python -m benchmarks.blocks` (float32, AVX2): a quarter of it takes as long, four times as much 0.91 to 1.01.
constexpr int64_t IN_CACHE = 384 << 10; // bytes of transformed inputs at once

template <class Kind, typename Source, typename T>
void convolve(const Source *x, const Tiles &tiles, int64_t inputs, int64_t outputs,
              const Buffer<typename Kind::Column> &columns, const typename Kind::Sum *starts, float scale, T *out,
              int threads) {
    using Row = typename Kind::Row;
    constexpr int64_t FACTOR = sizeof(Row), G = Kind::GROUP;
    int64_t deep = up(inputs, G), wide = up(outputs, LANES), most = std::min<int64_t>(wide, 4 * LANES),
            count = tiles.count(), column_position = columns_apart<Kind>(inputs, outputs);
    int64_t block = ROWS * std::clamp<int64_t>(IN_CACHE / (POSITIONS * deep * FACTOR * ROWS), 1, 2);
    int64_t row_position = block * deep + 64 / FACTOR, sum_position = block * most + LANES;
    Buffer<Source> zeros(inputs, true);
    Buffer<Row> all_rows(threads * POSITIONS * row_position, deep > inputs);
    Buffer<typename Kind::Sum> all_sums(threads * POSITIONS * sum_position);
#pragma omp parallel num_threads(threads)
    {
        Row *rows = all_rows + omp_get_thread_num() * POSITIONS * row_position;
        auto *sums = all_sums + omp_get_thread_num() * POSITIONS * sum_position;
#pragma omp for schedule(static)
        for (int64_t first = 0; first < count; first += block) {
            int64_t last = std::min(count, first + block);
            each_part<Kind::WIDEST, 2>(inputs, [&]<int W>(int64_t c) {
                spread_windows<Kind, W>(x + c, zeros + c, tiles, inputs, first, last, rows + c, row_position, deep);
            });
            for (int64_t n = 0; n < wide; n += most) {
                int64_t panels = std::min(most, wide - n) / LANES;
                for (int64_t p = 0; p < POSITIONS; ++p)
                    product<Kind>(
                        {bytes(rows + p * row_position), deep * FACTOR, G * FACTOR}, last - first,
                        {bytes(columns + p * column_position + n * deep), deep * LANES * FACTOR, LANES * G * FACTOR},
                        panels, deep / G, sums + p * sum_position, most, starts ? starts + p * wide + n : nullptr);
                gather_outputs(sums, most, sum_position, tiles, first, last, scale, outputs, out + n,
                               std::min(most, outputs - n));
            }
        }
    }
}

template <typename T>
void forward(const std::uint8_t *bits, const Tiles &tiles, int64_t inputs, int64_t outputs, const std::int8_t *signs,
             float scale, T *out, int threads) {
    using Kind = BitFactors<T>;
    int64_t wide = up(outputs, LANES);
    Buffer<typename Kind::Column> columns(POSITIONS * columns_apart<Kind>(inputs, outputs), inputs % Kind::GROUP);
    Buffer<std::int32_t> starts(Kind::OFFSET ? POSITIONS * wide : 0);
    output_columns<Kind>(signs, outputs, inputs, columns + 0, threads);
    if constexpr (Kind::OFFSET) {
        offsets(signs, outputs, inputs, Kind::OFFSET, starts + 0);
        convolve<Kind>(bits, tiles, inputs, outputs, columns, starts + 0, scale / 4, out, threads);
    } else
        convolve<Kind>(bits, tiles, inputs, outputs, columns, nullptr, scale / 4, out, threads);
}

template <typename T>
void input_gradient(const T *gradient, const Tiles &tiles, int64_t inputs, int64_t outputs, const std::int8_t *signs,
                    float scale, T *out, int threads) {
    using Kind = Factors<T>;
    Buffer<typename Kind::Column> columns(POSITIONS * columns_apart<Kind>(outputs, inputs), outputs % Kind::GROUP);
    input_columns<Kind>(signs, outputs, inputs, columns + 0, threads);
    convolve<Kind>(gradient, tiles, outputs, inputs, columns, nullptr, scale / 4, out, threads);
}

// --- The gradient towards the filter --------------------------------------------------------------------------------

// `python -m benchmarks.blocks` (float32, AVX2): chunks of 64 take 0.90 to 1.00 times as long, of 1024 0.99 to 1.09.
constexpr int64_t CHUNK = 256; // tiles at once
constexpr int64_t BLOCK = 128; // channels at once

// Values of GROUP tiles side by side, for products whose sums run over tiles.
template <class Kind, int W> struct Group {
    Vector<float, W> of[Kind::GROUP];
    friend Group operator+(Group a, Group b) {
        for (int i = 0; i < Kind::GROUP; ++i) a.of[i] += b.of[i];
        return a;
    }
    friend Group operator-(Group a, Group b) {
        for (int i = 0; i < Kind::GROUP; ++i) a.of[i] -= b.of[i];
        return a;
    }
    template <typename T> static Group read(const T *const *from) {
        Group group;
        for (int i = 0; i < Kind::GROUP; ++i) group.of[i] = load<W>(from[i]);
        return group;
    }
    void write(typename Kind::Row *to) const {
        if constexpr (Kind::GROUP == 1) store<W>(to, of[0]);
#ifdef HAS_HALVES
        else if constexpr (W == 16) {
            static constexpr Vector<std::uint16_t, 32> order = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                                21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                                11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
            auto halves = (__m512i)_mm512_cvtne2ps_pbh((__m512)of[1], (__m512)of[0]);
            halves = _mm512_permutexvar_epi16((__m512i)order, halves);
            std::memcpy(to, &halves, sizeof halves);
        } else {
            Half first[W], second[W];
            store<W>(first, of[0]), store<W>(second, of[1]);
            for (int i = 0; i < W; ++i) to[2 * i] = first[i], to[2 * i + 1] = second[i];
        }
#endif
    }
};

// The same for bits, whose values are small integers: in bytes as long as there is arithmetic.
template <class Kind, int W> struct BitGroup {
    static constexpr bool WIDE = Kind::GROUP == 1;
    using Values = Vector<std::int8_t, W * Kind::GROUP>;

    Values values;
    friend BitGroup operator+(BitGroup a, BitGroup b) { return {a.values + b.values}; }
    friend BitGroup operator-(BitGroup a, BitGroup b) { return {a.values - b.values}; }
    static BitGroup read(const std::uint8_t *const *from) {
        if constexpr (WIDE) return {BitFloats::read<W>(from[0])};
#ifdef HAS_HALVES
        else {
            BitGroup group;
            if constexpr (W == 16) {
                auto first = _mm_loadu_si128((const __m128i *)from[0]),
                     second = _mm_loadu_si128((const __m128i *)from[1]);
                group.values =
                    (Values)_mm256_set_m128i(_mm_unpackhi_epi8(first, second), _mm_unpacklo_epi8(first, second));
            } else
                for (int i = 0; i < W; ++i) group.values[2 * i] = from[0][i], group.values[2 * i + 1] = from[1][i];
            return group;
        }
#endif
    }
    void write(typename Kind::Row *to) const {
        if constexpr (WIDE) widen<W>(to, values);
#ifdef HAS_HALVES
        else {
            // -2 to 4, in bfloat16.
            static constexpr Vector<std::uint16_t, 32> numbers = {0xc000, 0xbf80, 0, 0x3f80, 0x4000, 0x4040, 0x4080};
            if constexpr (W == 16) {
                auto words = _mm512_cvtepi8_epi16((__m256i)(values + 2));
                words = _mm512_permutexvar_epi16(words, (__m512i)numbers);
                std::memcpy(to, &words, sizeof words);
            } else
                for (int i = 0; i < 2 * W; ++i) to[i] = numbers[values[i] + 2];
        }
#endif
    }
};

// Calls visit(k, group) with the GROUP tiles from the k-th group on; beyond the last tile there is none.
template <class Kind, typename Visit> void each_group(const Tiles &tiles, int64_t first, int64_t last, Visit visit) {
    Tile tile(tiles, first);
    for (int64_t t = first; t < last; t += Kind::GROUP) {
        Tile group[2] = {tile, tile};
        for (int i = 1; i < Kind::GROUP; ++i) group[i].advance();
        visit((t - first) / Kind::GROUP, group, std::min<int64_t>(Kind::GROUP, last - t));
        for (int i = 0; i < Kind::GROUP; ++i) tile.advance();
    }
}

// Bᵀ d B of bits as columns [position][group][channel][tile of the group].
template <class Kind>
[[gnu::noinline]] void spread_bits(const std::uint8_t *bits, const std::uint8_t *zeros, const Tiles &tiles,
                                   int64_t channels, int64_t first, int64_t last, int64_t count,
                                   typename Kind::Column *columns, int64_t position, int64_t step) {
    each_part<16, 4>(count, [&]<int W>(int64_t c) {
        using V = BitGroup<Kind, W>;
        each_group<Kind>(tiles, first, last, [&](int64_t k, const Tile *group, int64_t present) {
            V vertical[4][4];
#pragma GCC unroll 4
            for (int j = 0; j < 4; ++j) {
                V d[4];
#pragma GCC unroll 4
                for (int i = 0; i < 4; ++i) {
                    const std::uint8_t *from[2];
                    for (int g = 0; g < Kind::GROUP; ++g) {
                        const Tile &tile = group[g];
                        const auto *pixel = bits + (tile.pixel() + (i - 1) * tiles.width + j - 1) * channels + c;
                        from[g] = g < present && tile.has_row(i - 1) && tile.has_column(j - 1) ? pixel : zeros;
                        __builtin_prefetch(pixel + 2 * AHEAD * channels);
                    }
                    d[i] = V::read(from);
                }
                spread_inputs(d, vertical[j]);
            }
            auto *to = columns + k * step + c * Kind::GROUP;
#pragma GCC unroll 4
            for (int i = 0; i < 4; ++i) {
                V d[4] = {vertical[0][i], vertical[1][i], vertical[2][i], vertical[3][i]}, values[4];
                spread_inputs(d, values);
#pragma GCC unroll 4
                for (int j = 0; j < 4; ++j) values[j].write(to + (4 * i + j) * position);
            }
        });
    });
}

// A dy Aᵀ of gradients as rows [position][group][channel][tile of the group], but for the signs of what A takes from
// the second pixel alone.
template <class Kind, typename T>
[[gnu::noinline]] void spread_gradients(const T *gradient, const T *zeros, const Tiles &tiles, int64_t channels,
                                        int64_t first, int64_t last, int64_t count, typename Kind::Row *rows,
                                        int64_t position, int64_t step) {
    each_part(count, [&]<int W>(int64_t c) {
        using V = Group<Kind, W>;
        each_group<Kind>(tiles, first, last, [&](int64_t k, const Tile *group, int64_t present) {
            V pixels[2][2];
#pragma GCC unroll 2
            for (int i = 0; i < 2; ++i)
#pragma GCC unroll 2
                for (int j = 0; j < 2; ++j) {
                    const T *from[2];
                    for (int g = 0; g < Kind::GROUP; ++g) {
                        const T *pixel = gradient + (group[g].pixel() + i * tiles.width + j) * channels + c;
                        from[g] = g < present && group[g].has_row(i) && group[g].has_column(j) ? pixel : zeros;
                        __builtin_prefetch(pixel + 2 * AHEAD * channels);
                    }
                    pixels[i][j] = V::read(from);
                }
            V left[4] = {pixels[0][0], pixels[0][0] + pixels[1][0], pixels[0][0] - pixels[1][0], pixels[1][0]};
            V right[4] = {pixels[0][1], pixels[0][1] + pixels[1][1], pixels[0][1] - pixels[1][1], pixels[1][1]};
            auto *to = rows + k * step + c * Kind::GROUP;
#pragma GCC unroll 4
            for (int i = 0; i < 4; ++i) {
                left[i].write(to + 4 * i * position);
                (left[i] + right[i]).write(to + (4 * i + 1) * position);
                (left[i] - right[i]).write(to + (4 * i + 2) * position);
                right[i].write(to + (4 * i + 3) * position);
            }
        });
    });
}

// Gᵀ m of four values, whose last has the other sign.
template <typename V> void gather_taps(const V *m, V *to) {
    V plus = (m[1] + m[2]) * 0.5f, minus = (m[1] - m[2]) * 0.5f;
    to[0] = m[0] + plus, to[1] = minus, to[2] = plus - m[3];
}

// Gᵀ m G of the sums of one output, in several parts, into the 3×3 taps of its filter.
void gather_filter(const float *sums, int64_t parts, int64_t part, int64_t position, int64_t count, float *out,
                   int64_t inputs) {
    each_part<16, 4>(count, [&]<int W>(int64_t c) {
        using V = Vector<float, W>;
        V horizontal[4][3], taps[3];
        for (int y = 0; y < 4; ++y) {
            V m[4] = {};
            for (int x = 0; x < 4; ++x)
                for (int64_t k = 0; k < parts; ++k) m[x] += load<W>(sums + k * part + (4 * y + x) * position + c);
            gather_taps(m, horizontal[y]);
        }
        for (int x = 0; x < 3; ++x) {
            V m[4] = {horizontal[0][x], horizontal[1][x], horizontal[2][x], horizontal[3][x]};
            gather_taps(m, taps);
            for (int y = 0; y < 3; ++y) store<W>(out + (3 * y + x) * inputs + c, taps[y]);
        }
    });
}

template <typename T>
void filter_gradient(const T *gradient, const std::uint8_t *bits, const Tiles &tiles, int64_t inputs, int64_t outputs,
                     float *out, int threads) {
    using Kind = Factors<T>;
    constexpr int64_t FACTOR = sizeof(typename Kind::Row), G = Kind::GROUP;
    int64_t tall = std::min(outputs, BLOCK), wide = std::min(up(inputs, LANES), BLOCK);
    int64_t rows_kept = up(tall, ROWS), size = POSITIONS * rows_kept * wide;
    int64_t across = (inputs + wide - 1) / wide, blocks = (outputs + tall - 1) / tall * across;
    // Where there are too few blocks for the threads, several of them share one.
    int64_t chunks = (tiles.count() + CHUNK - 1) / CHUNK, splits = 1;
    while (blocks * splits % threads && blocks * splits < 4 * threads && splits < chunks) ++splits;
    Buffer<float> parts(splits > 1 ? blocks * splits * size : 0);
    Buffer<std::uint8_t> no_bits(inputs, true);
    Buffer<T> no_gradient(outputs, true);
    int64_t row_step = rows_kept * G, column_step = wide * G;
    int64_t groups = up(std::min(CHUNK, tiles.count()), G) / G;
    int64_t row_position = groups * row_step + 64 / FACTOR, column_position = groups * column_step + 64 / FACTOR;
    Buffer<typename Kind::Row> all_rows(threads * POSITIONS * row_position);
    Buffer<typename Kind::Column> all_columns(threads * POSITIONS * column_position);
    Buffer<float> whole(splits > 1 ? 0 : threads * size);
#pragma omp parallel num_threads(threads)
    {
        int64_t thread = omp_get_thread_num();
        auto *rows = all_rows + thread * POSITIONS * row_position;
        auto *columns = all_columns + thread * POSITIONS * column_position;
        // What lies beside the channels is multiplied too, to sums that nobody reads: never with numbers that take
        // long.
        for (int64_t p = 0; p < POSITIONS; ++p)
            for (int64_t k = 0; k < groups; ++k) {
                std::fill(rows + p * row_position + k * row_step + tall * G,
                          rows + p * row_position + (k + 1) * row_step, 0);
                if (wide > inputs)
                    std::fill(columns + p * column_position + k * column_step + inputs * G,
                              columns + p * column_position + (k + 1) * column_step, 0);
            }
#pragma omp for schedule(static)
        for (int64_t item = 0; item < blocks * splits; ++item) {
            int64_t block = item / splits, split = item % splits, o = block / across * tall, i = block % across * wide;
            int64_t high = std::min(tall, outputs - o), broad = std::min(wide, inputs - i);
            float *sums = splits > 1 ? parts + item * size : whole + thread * size;
            int64_t end = (split + 1) * chunks / splits;
            for (int64_t chunk = split * chunks / splits; chunk < end; ++chunk) {
                int64_t first = chunk * CHUNK, last = std::min(tiles.count(), first + CHUNK);
                spread_bits<Kind>(bits + i, no_bits + 0, tiles, inputs, first, last, broad, columns, column_position,
                                  column_step);
                spread_gradients<Kind>(gradient + o, no_gradient + 0, tiles, outputs, first, last, high, rows,
                                       row_position, row_step);
                bool more = chunk > split * chunks / splits;
                for (int64_t p = 0; p < POSITIONS; ++p)
                    product<Kind>({bytes(rows + p * row_position), G * FACTOR, row_step * FACTOR}, high,
                                  {bytes(columns + p * column_position), LANES * G * FACTOR, column_step * FACTOR},
                                  up(broad, LANES) / LANES, (last - first + G - 1) / G, sums + p * rows_kept * wide,
                                  wide, nullptr, more);
            }
            if (splits == 1)
                for (int64_t row = 0; row < high; ++row)
                    gather_filter(sums + row * wide, 1, 0, rows_kept * wide, broad, out + 9 * (o + row) * inputs + i,
                                  inputs);
        }
        if (splits > 1) {
#pragma omp for schedule(static)
            for (int64_t o = 0; o < outputs; ++o)
                for (int64_t i = 0; i < inputs; i += wide)
                    gather_filter(parts + ((o / tall * across + i / wide) * splits * size + o % tall * wide), splits,
                                  size, rows_kept * wide, std::min(wide, inputs - i), out + 9 * o * inputs + i, inputs);
        }
    }
}

} // namespace

#define DEFINE_KERNELS(name, T)                                                                                        \
    int winograd_forward_##name(const std::uint8_t *bits, int64_t images, int64_t height, int64_t width,               \
                                int64_t inputs, int64_t outputs, const std::int8_t *signs, const float *scale, T *out, \
                                int threads) {                                                                         \
        return checked(present(bits, signs, scale, out), possible({images, height, width, inputs, outputs}, threads),  \
                       [&] { forward(bits, {images, height, width}, inputs, outputs, signs, *scale, out, threads); }); \
    }                                                                                                                  \
    int winograd_input_gradient_##name(const T *gradient, int64_t images, int64_t height, int64_t width,               \
                                       int64_t inputs, int64_t outputs, const std::int8_t *signs, const float *scale,  \
                                       T *out, int threads) {                                                          \
        return checked(                                                                                                \
            present(gradient, signs, scale, out), possible({images, height, width, inputs, outputs}, threads),         \
            [&] { input_gradient(gradient, {images, height, width}, inputs, outputs, signs, *scale, out, threads); }); \
    }                                                                                                                  \
    int winograd_filter_gradient_##name(const T *gradient, const std::uint8_t *bits, int64_t images, int64_t height,   \
                                        int64_t width, int64_t inputs, int64_t outputs, float *out, int threads) {     \
        return checked(                                                                                                \
            present(gradient, bits, out), possible({images, height, width, inputs, outputs}, threads),                 \
            [&] { filter_gradient(gradient, bits, {images, height, width}, inputs, outputs, out, threads); });         \
    }

extern "C" { // so that a definition that differs from its declaration is an error
DEFINE_KERNELS(float32, float)
DEFINE_KERNELS(bfloat16, Half)
}
