// Products of matrices with the instructions that a processor has for numbers, bfloat16 and bytes.
#pragma once

#include "../common/vectors.h"

#include <type_traits>
#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace kernels {
namespace {

using Words = Vector<std::int32_t, LANES>; // integer sums, or 32 bits of factors for each
using SumsF = Vector<float, LANES>;

// A kind multiplies Rows, each factor of which meets all lanes, with Columns; GROUP factors are multiplied and added at
// once. Values are transformed as Work.

struct Floats {
    using Row = float;
    using Column = float;
    using Sum = float;
    using Work = float;
    static constexpr int GROUP = 1, WIDEST = LANES, OFFSET = 0;

    static SumsF multiply(SumsF sums, Words row, Words column) { return sums + (SumsF)row * (SumsF)column; }
    template <int W, typename T> static Vector<Work, W> read(const T *from) {
        if constexpr (std::is_same_v<T, std::uint8_t>) {
            Vector<std::uint8_t, W> bytes;
            std::memcpy(&bytes, from, sizeof bytes);
            return __builtin_convertvector(bytes, Vector<float, W>);
        } else
            return load<W>(from);
    }
    template <int W> static void write(Row *to, Vector<Work, W> values) { store<W>(to, values); }
};

// Bits, whose transforms are small integers: in bytes as long as they are added, which takes a quarter of the
// registers.
struct BitFloats : Floats {
    using Work = std::int8_t;
    static constexpr int WIDEST = 16;

    template <int W> static Vector<Work, W> read(const std::uint8_t *from) {
        Vector<Work, W> bytes;
        std::memcpy(&bytes, from, sizeof bytes);
        return bytes;
    }
    template <int W> static void write(Row *to, Vector<Work, W> values) { widen<W>(to, values); }
};

// Their products need registers of the width of the others.
#if defined(__AVX512VNNI__) || (defined(__AVXVNNI__) && !defined(__AVX512F__))
#define HAS_BYTES
struct Bytes {
    using Row = std::uint8_t;
    using Column = std::int8_t;
    using Sum = std::int32_t;
    using Work = std::int8_t;
    static constexpr int GROUP = 4, WIDEST = 64, OFFSET = 2; // rows have no sign

    static Words multiply(Words sums, Words row, Words column) {
#ifdef __AVX512VNNI__
        return (Words)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)row, (__m512i)column);
#else
        return (Words)_mm256_dpbusd_avx_epi32((__m256i)sums, (__m256i)row, (__m256i)column);
#endif
    }
    template <int W> static Vector<Work, W> read(const std::uint8_t *from) {
        Vector<Work, W> bytes;
        std::memcpy(&bytes, from, sizeof bytes);
        return bytes;
    }
    template <int W> static void write(Row *to, Vector<Work, W> values) {
        values += OFFSET;
        std::memcpy(to, &values, sizeof values);
    }
};
#endif

#ifdef __AVX512BF16__
#define HAS_HALVES
struct Halves {
    using Row = Half;
    using Column = Half;
    using Sum = float;
    using Work = float;
    static constexpr int GROUP = 2, WIDEST = 16, OFFSET = 0;

    static SumsF multiply(SumsF sums, Words row, Words column) {
        return (SumsF)_mm512_dpbf16_ps((__m512)sums, (__m512bh)row, (__m512bh)column);
    }
    template <int W, typename T> static Vector<Work, W> read(const T *from) { return Floats::read<W>(from); }
    template <int W> static void write(Row *to, Vector<Work, W> values) { store<W>(to, values); }
};
#endif

// The kind for gradients of a type, and the one for bits and signs beside it.
#ifdef HAS_HALVES
template <typename T> using Factors = std::conditional_t<std::is_same_v<T, Half>, Halves, Floats>;
#else
template <typename T> using Factors = Floats;
#endif
#ifdef HAS_BYTES
template <typename T> using BitFactors = Bytes;
#else
template <typename T> using BitFactors = std::conditional_t<std::is_same_v<Factors<T>, Floats>, BitFloats, Factors<T>>;
#endif

// Where the factors of a product lie, in bytes: from one row (or LANES columns) to the next, and from one group of
// factors to the next.
struct Layout {
    const char *at;
    int64_t next, step;
};

// Sums of all rows, R at once, times C · LANES columns. They begin with what they are (`more`), or with `start` for all
// rows, or with zero.
template <class Kind, int R, int C>
[[gnu::noinline]] void product_of(Layout rows, int64_t count, Layout columns, int64_t steps, typename Kind::Sum *sums,
                                  int64_t stride, const typename Kind::Sum *start, bool more) {
    using Sums = Vector<typename Kind::Sum, LANES>;
    for (int64_t done = 0; done < count; done += R, rows.at += R * rows.next, sums += R * stride) {
        Sums sum[R][C];
#pragma GCC unroll 24
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
            for (int c = 0; c < C; ++c) {
                if (more)
                    std::memcpy(&sum[r][c], sums + r * stride + c * LANES, sizeof(Sums));
                else if (start)
                    std::memcpy(&sum[r][c], start + c * LANES, sizeof(Sums));
                else
                    sum[r][c] = Sums{};
            }
        const char *row_at = rows.at, *column_at = columns.at;
        for (int64_t k = 0; k < steps; ++k, row_at += rows.step, column_at += columns.step) {
            Words column[C];
#pragma GCC unroll 4
            for (int c = 0; c < C; ++c) std::memcpy(&column[c], column_at + c * columns.next, sizeof(Words));
#pragma GCC unroll 24
            for (int r = 0; r < R; ++r) {
                std::int32_t factors;
                std::memcpy(&factors, row_at + r * rows.next, sizeof factors);
                Words row = factors - Words{};
#pragma GCC unroll 4
                for (int c = 0; c < C; ++c) sum[r][c] = Kind::multiply(sum[r][c], row, column[c]);
            }
        }
#pragma GCC unroll 24
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
            for (int c = 0; c < C; ++c) std::memcpy(sums + r * stride + c * LANES, &sum[r][c], sizeof(Sums));
    }
}

constexpr int64_t ROWS = 24; // a multiple of which is computed

template <class Kind>
void product(Layout rows, int64_t count, Layout columns, int64_t panels, int64_t steps, typename Kind::Sum *sums,
             int64_t stride, const typename Kind::Sum *start = nullptr, bool more = false) {
    auto panel = [&]<int R, int C>() {
        product_of<Kind, R, C>(rows, count, columns, steps, sums, stride, start, more);
        columns.at += C * columns.next, sums += C * LANES, panels -= C;
        if (start) start += C * LANES;
    };
    // Sums, columns and a row have to fit into the registers, 32 with AVX-512, else 16.
    if constexpr (LANES == 16) {
        while (panels >= 4) panel.template operator()<6, 4>();
        if (panels == 3) panel.template operator()<8, 3>();
        if (panels == 2) panel.template operator()<12, 2>();
    }
    while (panels >= 2) panel.template operator()<6, 2>();
    if (panels == 1) panel.template operator()<12, 1>();
}

} // namespace
} // namespace kernels
