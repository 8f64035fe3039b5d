// Checks of what comes from outside, before anything is read or written.
#pragma once

#include "kernels.h"

#include <initializer_list>
#include <new>

namespace kernels {
namespace {

template <typename... Pointers> bool present(const Pointers *...pointers) { return (... && (pointers != nullptr)); }

// Whether arrays of these sizes can lie in memory: all positive, and 16 numbers of 8 bytes for each element are still
// counted in 64 bits, whatever a kernel adds to fill its registers.
bool possible(std::initializer_list<std::int64_t> sizes, int threads) {
    std::int64_t product = 128;
    for (std::int64_t size : sizes)
        if (size < 1 || size >= std::int64_t(1) << 40 || __builtin_mul_overflow(product, size, &product)) return false;
    return threads >= 1 && threads <= 4096;
}

// Does the work unless something is wrong with what it is given.
template <typename Work> int checked(bool arrays, bool sizes, Work work) {
    if (!sizes) return BAD_SIZE;
    if (!arrays) return NO_ARRAY;
    try {
        work();
        return DONE;
    } catch (const std::bad_alloc &) {
        return OUT_OF_MEMORY;
    }
}

} // namespace
} // namespace kernels
