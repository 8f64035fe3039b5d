// Memory that a function needs while it runs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace kernels {
namespace {

int64_t up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

struct Free {
    void operator()(void *memory) const { std::free(memory); }
};

// Whole cache lines, of zeros where asked for. Made outside of parallel regions, which no exception may leave.
template <typename T> class Buffer {
public:
    explicit Buffer(int64_t count, bool zeros = false) {
        int64_t bytes = up(std::max<int64_t>(count, 1) * sizeof(T), 64);
        memory_.reset(static_cast<T *>(std::aligned_alloc(64, bytes)));
        if (!memory_) throw std::bad_alloc();
        if (zeros) std::memset(memory_.get(), 0, bytes);
    }
    T *operator+(int64_t i) const { return memory_.get() + i; }

private:
    std::unique_ptr<T, Free> memory_;
};

} // namespace
} // namespace kernels
