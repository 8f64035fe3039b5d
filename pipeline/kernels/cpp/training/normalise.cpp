// What a step does besides convolutions, in as few passes over memory as there can be: max-pooling, batch norm and Eq.
// 1 of the paper between two convolutions, forward and backward, for float32 and bfloat16.
//
// Feature maps lie as torch's channels_last: (N, H, W, C), C without gaps. Sums are float32 inside a block of rows and
// double beyond.

#include "../common/vectors.h"
#include "boundary.h"

#include <algorithm>
#include <cmath>
#include <omp.h>
#include <vector>

namespace {

using namespace kernels;

template <int W> void store_bytes(std::uint8_t *to, Vector<std::int32_t, W> values) {
    auto bytes = __builtin_convertvector(values, Vector<std::uint8_t, W>);
    std::memcpy(to, &bytes, sizeof bytes);
}

template <int W> Vector<std::int32_t, W> load_bytes(const std::uint8_t *from) {
    Vector<std::uint8_t, W> bytes;
    std::memcpy(&bytes, from, sizeof bytes);
    return __builtin_convertvector(bytes, Vector<std::int32_t, W>);
}

constexpr int64_t BLOCK = 64; // rows whose sum is taken in float32

// Calls visit(from, to, thread) for blocks of rows, in parallel; the same blocks in the same thread every time.
template <typename Visit> void each_block(int64_t rows, int threads, Visit visit) {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < (rows + BLOCK - 1) / BLOCK; ++i)
        visit(i * BLOCK, std::min(rows, (i + 1) * BLOCK), omp_get_thread_num());
}

// Two sums for each channel, collected by several threads.
class Sums {
public:
    Sums(int64_t channels, int threads) : channels_(channels), threads_(threads), parts_(2 * channels * threads) {}

    template <int W> void add(int thread, int64_t channel, Vector<float, W> first, Vector<float, W> second) {
        double *part = &parts_[2 * channels_ * thread + channel];
        for (int i = 0; i < W; ++i) {
            part[i] += first[i];
            part[channels_ + i] += second[i];
        }
    }

    double total(int which, int64_t channel) const {
        double sum = 0;
        for (int thread = 0; thread < threads_; ++thread) sum += parts_[channels_ * (2 * thread + which) + channel];
        return sum;
    }

private:
    int64_t channels_;
    int threads_;
    std::vector<double> parts_;
};

// What is known of each channel, four rows of (C): y = scale · x + shift.
template <typename Number> struct Moments {
    Number *mean, *inverse_deviation, *scale, *shift;

    Moments(Number *rows, int64_t channels)
        : mean(rows), inverse_deviation(rows + channels), scale(rows + 2 * channels), shift(rows + 3 * channels) {}
};

// Mean and biased variance of every channel.
template <typename T>
void measure(const T *x, int64_t rows, int64_t channels, int threads, float *mean, double *variance) {
    Sums sums(channels, threads);
    // Relative to the first block's mean, since a channel's mean may be large beside its deviation.
    std::vector<float> start(channels);
    int64_t first = std::min(rows, BLOCK);
    for (int64_t row = 0; row < first; ++row)
        for (int64_t c = 0; c < channels; ++c) start[c] += load<1>(x + row * channels + c)[0] / first;
    each_block(rows, threads, [&](int64_t from, int64_t to, int thread) {
        each_part(channels, [&]<int W>(int64_t c) {
            auto near = load<W>(start.data() + c);
            Vector<float, W> sum{}, squares{};
            for (int64_t row = from; row < to; ++row) {
                auto value = load<W>(x + row * channels + c) - near;
                sum += value;
                squares += value * value;
            }
            sums.add<W>(thread, c, sum, squares);
        });
    });
    for (int64_t c = 0; c < channels; ++c) {
        double shifted = sums.total(0, c) / rows;
        mean[c] = static_cast<float>(start[c] + shifted);
        double found = sums.total(1, c) / rows - shifted * shifted;
        variance[c] = found < 0 ? 0 : found; // which keeps a NaN
    }
}

// 2×2, stride 2: the largest value of each window, and which of the four it is. The first of equals, and NaN before
// all, as torch has it.
template <typename T>
void max_pool(const T *x, int64_t images, int64_t height, int64_t width, int64_t channels, int threads, T *largest,
              std::uint8_t *winners) {
    int64_t rows = images * (height / 2), columns = width / 2, below = width * channels;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t row = 0; row < rows; ++row) // even heights only, so that rows of all images follow each other
        for (int64_t column = 0; column < columns; ++column) {
            const T *corner = x + 2 * row * below + 2 * column * channels;
            int64_t out = (row * columns + column) * channels;
            each_part(channels, [&]<int W>(int64_t c) {
                const T *others[] = {corner + channels + c, corner + below + c, corner + below + channels + c};
                auto best = load<W>(corner + c);
                Vector<std::int32_t, W> winner{};
                for (int i = 0; i < 3; ++i) {
                    auto value = load<W>(others[i]);
                    auto better = (value > best) | (value != value);
                    best = better ? value : best;
                    winner = better ? winner * 0 + (i + 1) : winner;
                }
                store<W>(largest + out + c, best);
                if (winners) store_bytes<W>(winners + out + c, winner);
            });
        }
}

// A mask has all bits set where it is true.
template <int W> void store_truth(float *to, Vector<std::int32_t, W> mask) {
    store<W>(to, __builtin_convertvector(mask & 1, Vector<float, W>));
}

template <int W> void store_truth(Half *to, Vector<std::int32_t, W> mask) {
    auto ones = __builtin_convertvector(mask & 0x3f80, Vector<Half, W>); // 1.0
    std::memcpy(to, &ones, sizeof ones);
}

// 1 where scale · x + shift > 1/2, else 0: as bytes, as numbers, or as both.
template <typename T>
void binarise(const T *x, int64_t rows, int64_t channels, int threads, const Moments<float> &moments,
              std::uint8_t *bytes, T *numbers) {
    each_block(rows, threads, [&](int64_t from, int64_t to, int) {
        each_part(channels, [&]<int W>(int64_t c) {
            auto scale = load<W>(moments.scale + c), shift = load<W>(moments.shift + c);
            for (int64_t row = from; row < to; ++row) {
                int64_t at = row * channels + c;
                auto one = load<W>(x + at) * scale + shift > 0.5f;
                if (bytes) store_bytes<W>(bytes + at, one & 1);
                if (numbers) store_truth<W>(numbers + at, one);
            }
        });
    });
}

// The gradient where 0 ≤ y ≤ 1, zero elsewhere.
template <typename T, int W>
Vector<float, W> passed(const T *gradient, Vector<float, W> x, Vector<float, W> scale, Vector<float, W> shift) {
    auto y = x * scale + shift;
    return ((y >= 0.0f) & (y <= 1.0f)) ? load<W>(gradient) : Vector<float, W>{};
}

// Pools where `pooled` is given, normalises, binarises. `winners`, `bytes` and `numbers` may be null, where they are
// not wanted; `moment_rows`, (4, C), is a result too. In training the running moments move.
template <typename T>
void forward(const T *x, T *pooled, std::uint8_t *winners, int64_t images, int64_t height, int64_t width,
             int64_t channels, const float *gamma, const float *beta, float *running_mean, float *running_variance,
             double momentum, double epsilon, bool training, float *moment_rows, std::uint8_t *bytes, T *numbers,
             int threads) {
    if (pooled) {
        max_pool(x, images, height, width, channels, threads, pooled, winners);
        x = pooled, height /= 2, width /= 2;
    }
    int64_t rows = images * height * width;
    Moments moments(moment_rows, channels);
    std::vector<double> variance(channels);
    if (training) {
        measure(x, rows, channels, threads, moments.mean, variance.data());
        double unbiased = static_cast<double>(rows) / (rows - 1);
        for (int64_t c = 0; c < channels; ++c) {
            running_mean[c] += static_cast<float>(momentum * (moments.mean[c] - running_mean[c]));
            running_variance[c] += static_cast<float>(momentum * (unbiased * variance[c] - running_variance[c]));
        }
    } else {
        std::copy_n(running_mean, channels, moments.mean);
        std::copy_n(running_variance, channels, variance.data());
    }
    for (int64_t c = 0; c < channels; ++c) {
        moments.inverse_deviation[c] = static_cast<float>(1 / std::sqrt(variance[c] + epsilon));
        moments.scale[c] = gamma[c] * moments.inverse_deviation[c];
        moments.shift[c] = beta[c] - moments.mean[c] * moments.scale[c];
    }
    binarise(x, rows, channels, threads, moments, bytes, numbers);
}

// x and the gradient are what forward saw after the pooling and what flows back into the bits. `out` may be the
// gradient itself where nothing was pooled. Height and width are those before the pooling.
template <typename T>
void backward(const T *gradient, const T *x, const std::uint8_t *winners, int64_t images, int64_t height, int64_t width,
              int64_t channels, const float *moment_rows, float *of_gamma, float *of_beta, T *out, int threads) {
    int64_t columns = winners ? width / 2 : width, lines = images * (winners ? height / 2 : height);
    int64_t rows = lines * columns;
    Moments moments(moment_rows, channels);
    Sums sums(channels, threads);
    each_block(rows, threads, [&](int64_t from, int64_t to, int thread) {
        each_part(channels, [&]<int W>(int64_t c) {
            auto scale = load<W>(moments.scale + c), shift = load<W>(moments.shift + c);
            auto mean = load<W>(moments.mean + c);
            Vector<float, W> sum{}, product{};
            for (int64_t row = from; row < to; ++row) {
                auto value = load<W>(x + row * channels + c);
                auto flow = passed<T, W>(gradient + row * channels + c, value, scale, shift);
                sum += flow;
                product += flow * (value - mean);
            }
            sums.add<W>(thread, c, sum, product);
        });
    });
    // Through y, and through the mean and the deviation, which all values moved:
    // scale · (flow - mean of flow - (x - mean) / variance · mean of flow · (x - mean)).
    std::vector<float> level(channels), slope(channels);
    for (int64_t c = 0; c < channels; ++c) {
        double inverse = moments.inverse_deviation[c], scale = moments.scale[c];
        of_beta[c] = static_cast<float>(sums.total(0, c));
        of_gamma[c] = static_cast<float>(sums.total(1, c) * inverse);
        level[c] = static_cast<float>(scale * sums.total(0, c) / rows);
        slope[c] = static_cast<float>(scale * inverse * inverse * sums.total(1, c) / rows);
    }
    auto through = [&]<int W>(int64_t at, int64_t c) {
        auto value = load<W>(x + at), scale = load<W>(moments.scale + c);
        auto flow = passed<T, W>(gradient + at, value, scale, load<W>(moments.shift + c));
        return scale * flow - load<W>(level.data() + c) -
               load<W>(slope.data() + c) * (value - load<W>(moments.mean + c));
    };
    if (!winners) {
        each_block(rows, threads, [&](int64_t from, int64_t to, int) {
            each_part(channels, [&]<int W>(int64_t c) {
                for (int64_t row = from; row < to; ++row) {
                    int64_t at = row * channels + c;
                    store<W>(out + at, through.template operator()<W>(at, c));
                }
            });
        });
        return;
    }
    int64_t below = width * channels;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t line = 0; line < lines; ++line)
        for (int64_t column = 0; column < columns; ++column) {
            T *corner = out + 2 * line * below + 2 * column * channels;
            int64_t in = (line * columns + column) * channels;
            each_part(channels, [&]<int W>(int64_t c) {
                auto flow = through.template operator()<W>(in + c, c);
                auto winner = load_bytes<W>(winners + in + c);
                T *window[] = {corner + c, corner + channels + c, corner + below + c, corner + below + channels + c};
                for (int i = 0; i < 4; ++i) store<W>(window[i], winner == i ? flow : Vector<float, W>{});
            });
        }
}

// Eq. 1 without a batch norm before it, and its gradient, which may be written over what flows in.
template <typename T>
void binarise_alone(const T *x, int64_t rows, int64_t channels, std::uint8_t *bytes, T *numbers, int threads) {
    std::vector<float> unit(4 * channels);
    std::fill_n(unit.begin() + 2 * channels, channels, 1.0f);
    binarise(x, rows, channels, threads, Moments<float>(unit.data(), channels), bytes, numbers);
}

template <typename T> void pass(const T *gradient, const T *x, int64_t rows, int64_t channels, T *out, int threads) {
    each_block(rows, threads, [&](int64_t from, int64_t to, int) {
        each_part((to - from) * channels, [&]<int W>(int64_t i) {
            int64_t at = from * channels + i;
            Vector<float, W> unit = Vector<float, W>{} + 1.0f;
            store<W>(out + at, passed<T, W>(gradient + at, load<W>(x + at), unit, Vector<float, W>{}));
        });
    });
}

constexpr int64_t STRIP = 4096; // weights whose sum is taken in float32, sixteen at a time

// ±1 as bytes, ±mean|w| as numbers, and that mean.
template <typename T>
void binarise_weight(const float *weight, int64_t count, std::int8_t *signs, T *numbers, float *mean, int threads) {
    int64_t strips = (count + STRIP - 1) / STRIP;
    if (strips < 2 * threads) threads = 1;
    std::vector<double> sums(strips); // added in one order, however many threads there are
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t strip = 0; strip < strips; ++strip) {
        int64_t i = strip * STRIP, end = std::min(count, i + STRIP);
        Vector<float, LANES> sixteen[16 / LANES] = {}; // whatever a register holds, so that the sum is the same
        for (; i + 16 <= end; i += 16)
            for (int part = 0; part < 16 / LANES; ++part) {
                auto values = load<LANES>(weight + i + part * LANES);
                sixteen[part] += values >= 0.0f ? values : -values;
            }
        for (int lane = 0; lane < 16; ++lane) sums[strip] += sixteen[lane / LANES][lane % LANES];
        for (; i < end; ++i) sums[strip] += std::fabs(weight[i]);
    }
    double total = 0;
    for (double sum : sums) total += sum;
    *mean = static_cast<float>(total / count);
    float scale = *mean;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t strip = 0; strip < strips; ++strip) {
        int64_t first = strip * STRIP;
        each_part(std::min(count - first, STRIP), [&]<int W>(int64_t i) {
            auto positive = load<W>(weight + first + i) >= 0.0f;
            Vector<float, W> plus = Vector<float, W>{} + scale;
            if (signs) store_bytes<W>(reinterpret_cast<std::uint8_t *>(signs) + first + i, (positive & 2) - 1);
            if (numbers) store<W>(numbers + first + i, positive ? plus : -plus);
        });
    }
}

// Whether a pooling's windows fill the feature map, and there is more than one value for each deviation that is
// measured.
bool fits(const void *pooled, const void *winners, int64_t images, int64_t height, int64_t width, bool training) {
    if (pooled ? height % 2 || width % 2 : winners != nullptr) return false;
    return !training || images * height * width / (pooled ? 4 : 1) > 1;
}

} // namespace

#define DEFINE_KERNELS(name, T)                                                                                     \
    int forward_##name(const T *x, T *pooled, std::uint8_t *winners, int64_t images, int64_t height, int64_t width, \
                       int64_t channels, const float *gamma, const float *beta, float *running_mean,                \
                       float *running_variance, double momentum, double epsilon, int training, float *moments,      \
                       std::uint8_t *bytes, T *numbers, int threads) {                                              \
        bool arrays = present(x, gamma, beta, running_mean, running_variance, moments);                             \
        bool sizes = possible({images, height, width, channels}, threads) &&                                        \
                     fits(pooled, winners, images, height, width, training);                                        \
        return checked(arrays, sizes, [&] {                                                                         \
            forward<T>(x, pooled, winners, images, height, width, channels, gamma, beta, running_mean,              \
                       running_variance, momentum, epsilon, training, moments, bytes, numbers, threads);            \
        });                                                                                                         \
    }                                                                                                               \
    int backward_##name(const T *gradient, const T *x, const std::uint8_t *winners, int64_t images, int64_t height, \
                        int64_t width, int64_t channels, const float *moments, float *of_gamma, float *of_beta,     \
                        T *out, int threads) {                                                                      \
        bool arrays = present(gradient, x, moments, of_gamma, of_beta, out);                                        \
        bool sizes = possible({images, height, width, channels}, threads) &&                                        \
                     fits(winners, winners, images, height, width, false);                                          \
        return checked(arrays, sizes, [&] {                                                                         \
            backward<T>(gradient, x, winners, images, height, width, channels, moments, of_gamma, of_beta, out,     \
                        threads);                                                                                   \
        });                                                                                                         \
    }                                                                                                               \
    int binarise_##name(const T *x, int64_t rows, int64_t channels, std::uint8_t *bytes, T *numbers, int threads) { \
        return checked(present(x), possible({rows, channels}, threads),                                             \
                       [&] { binarise_alone<T>(x, rows, channels, bytes, numbers, threads); });                     \
    }                                                                                                               \
    int pass_##name(const T *gradient, const T *x, int64_t rows, int64_t channels, T *out, int threads) {           \
        return checked(present(gradient, x, out), possible({rows, channels}, threads),                              \
                       [&] { pass<T>(gradient, x, rows, channels, out, threads); });                                \
    }                                                                                                               \
    int binarise_weight_##name(const float *weight, int64_t count, std::int8_t *signs, T *numbers, float *mean,     \
                               int threads) {                                                                       \
        return checked(present(weight, mean), possible({count}, threads),                                           \
                       [&] { binarise_weight<T>(weight, count, signs, numbers, mean, threads); });                  \
    }

extern "C" { // so that a definition that differs from its declaration is an error
DEFINE_KERNELS(float32, float)
DEFINE_KERNELS(bfloat16, Half)
}
