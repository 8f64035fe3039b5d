// Random crops of small images, in one pass over their bytes.

#include <algorithm>
#include <cstdint>
#include <omp.h>

namespace {

// Crops of images that lie as (N, S, S, C) bytes, through a table of what each byte of each channel becomes. Rows and
// columns, (B, S), count from the corner of the padding, which is black. Not zero, and nothing done, where there is no such
// image.
int crop(const std::uint8_t *pixels, int64_t images, int64_t side, int64_t channels, int64_t padding,
         const int64_t *indices, int64_t count, const int64_t *rows, const int64_t *columns, const float *table, float *out,
         int threads) {
    for (int64_t i = 0; i < count; ++i)
        if (indices[i] < 0 || indices[i] >= images) return 1;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t line = 0; line < count * side; ++line) {
        int64_t image = line / side, row = rows[line] - padding;
        const std::uint8_t *source = pixels + (indices[image] * side + row) * side * channels;
        bool outside = row < 0 || row >= side;
        for (int64_t x = 0; x < side; ++x) {
            int64_t column = columns[image * side + x] - padding;
            bool black = outside || column < 0 || column >= side;
            float *pixel = out + (line * side + x) * channels;
            for (int64_t c = 0; c < channels; ++c)
                pixel[c] = table[256 * c + (black ? 0 : source[column * channels + c])];
        }
    }
    return 0;
}

} // namespace

extern "C" {

// Not zero where something is wrong.
int crop_images(const std::uint8_t *pixels, int64_t images, int64_t side, int64_t channels, int64_t padding,
                const int64_t *indices, int64_t count, const int64_t *rows, const int64_t *columns, const float *table,
                float *out, int threads) {
    return crop(pixels, images, side, channels, padding, indices, count, rows, columns, table, out, threads);
}
}
