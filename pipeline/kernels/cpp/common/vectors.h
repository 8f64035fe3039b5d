// Vectors of fixed width, which any GNU-compatible compiler translates to what the processor has.
#pragma once

#include <cstdint>
#include <cstring>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace kernels {

using std::int64_t;

using Half = std::uint16_t; // the bits of a bfloat16

// Floats in a register. Compilers take wider vectors apart, some operations down to single numbers.
#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

template <typename Scalar, int W> struct VectorOf {
    typedef Scalar type __attribute__((vector_size(W * sizeof(Scalar))));
};
template <typename Scalar, int W> using Vector = typename VectorOf<Scalar, W>::type;

template <int W> Vector<float, W> load(const float *from) {
    Vector<float, W> values;
    std::memcpy(&values, from, sizeof values);
    return values;
}

template <int W> Vector<float, W> load(const Half *from) {
#ifdef __AVX512F__ // for which compilers find more than the one instruction that widens
    if constexpr (W == 16) {
        __m256i halves;
        std::memcpy(&halves, from, sizeof halves);
        return (Vector<float, W>)_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16);
    }
#endif
    Vector<Half, W> halves;
    std::memcpy(&halves, from, sizeof halves);
    auto bits = __builtin_convertvector(halves, Vector<std::uint32_t, W>) << 16;
    Vector<float, W> values;
    std::memcpy(&values, &bits, sizeof values);
    return values;
}

template <int W> void store(float *to, Vector<float, W> values) { std::memcpy(to, &values, sizeof values); }

// Rounds half to even; a NaN stays one.
template <int W> void store(Half *to, Vector<float, W> values) {
#ifdef __AVX512BF16__
    if constexpr (W == 16) {
        auto halves = _mm512_cvtneps_pbh((__m512)values);
        std::memcpy(to, &halves, sizeof halves);
        return;
    }
#endif
    Vector<std::uint32_t, W> bits;
    std::memcpy(&bits, &values, sizeof bits);
    bits = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    bits = values == values ? bits : (bits & 0u) + 0x7fc0u;
    auto halves = __builtin_convertvector(bits, Vector<Half, W>);
    std::memcpy(to, &halves, sizeof halves);
}

// Bytes as numbers.
template <int W, typename T> void widen(T *to, Vector<std::int8_t, W> values) {
    constexpr int PART = W < LANES ? W : LANES;
    for (int i = 0; i < W; i += PART) {
        Vector<std::int8_t, PART> part;
        std::memcpy(&part, reinterpret_cast<const char *>(&values) + i, sizeof part);
        store<PART>(to + i, __builtin_convertvector(__builtin_convertvector(part, Vector<std::int32_t, PART>),
                                                    Vector<float, PART>));
    }
}

// Calls visit<W>(c) for parts of W channels, from c on, that cover them all: as many as can be of the widest, the rest
// in parts that are narrower by a factor each time.
template <int WIDEST = LANES, int FACTOR = 2, typename Visit>
void each_part(int64_t channels, Visit visit, int64_t c = 0) {
    for (; c + WIDEST <= channels; c += WIDEST) visit.template operator()<WIDEST>(c);
    if constexpr (WIDEST > 1)
        if (c < channels) each_part<WIDEST / FACTOR, FACTOR>(channels, visit, c);
}

} // namespace kernels
