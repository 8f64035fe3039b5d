// Random crops of small images, in one pass over their bytes.

#include "boundary.h"

#include <algorithm>
#include <omp.h>

namespace {

using std::int64_t;

// Everything outside an image is black.
void crop(const std::uint8_t *pixels, int64_t side, int64_t channels, int64_t padding, const int64_t *indices,
          int64_t count, const int64_t *rows, const int64_t *columns, const float *table, float *out, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t line = 0; line < count * side; ++line) {
        int64_t image = line / side;
        bool outside = rows[line] < padding || rows[line] - padding >= side;
        const std::uint8_t *source =
            pixels + (indices[image] * side + (outside ? 0 : rows[line] - padding)) * side * channels;
        for (int64_t x = 0; x < side; ++x) {
            int64_t column = columns[image * side + x];
            bool black = outside || column < padding || column - padding >= side;
            float *pixel = out + (line * side + x) * channels;
            for (int64_t c = 0; c < channels; ++c)
                pixel[c] = table[256 * c + (black ? 0 : source[(column - padding) * channels + c])];
        }
    }
}

} // namespace

extern "C" { // so that a definition that differs from its declaration is an error
int crop_images(const std::uint8_t *pixels, int64_t images, int64_t side, int64_t channels, int64_t padding,
                const int64_t *indices, int64_t count, const int64_t *rows, const int64_t *columns, const float *table,
                float *out, int threads) {
    bool arrays = kernels::present(pixels, indices, rows, columns, table, out);
    bool sizes = padding >= 0 && kernels::possible({images, side, side, channels}, threads) &&
                 kernels::possible({count, side, side, channels}, threads);
    if (arrays && sizes && !std::all_of(indices, indices + count, [&](int64_t i) { return i >= 0 && i < images; }))
        return BAD_INDEX;
    return kernels::checked(arrays, sizes, [&] {
        crop(pixels, side, channels, padding, indices, count, rows, columns, table, out, threads);
    });
}
}
