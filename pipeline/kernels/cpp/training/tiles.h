// Feature maps as Winograd's filtering sees them.
#pragma once

#include <cstdint>

namespace kernels {
namespace {

using std::int64_t;

// Feature maps in tiles of 2×2, counted row by row, image by image. The last tile of an odd row or column is cut.
struct Tiles {
    int64_t images, height, width, rows, columns;
    Tiles(int64_t images, int64_t height, int64_t width)
        : images(images), height(height), width(width), rows((height + 1) / 2), columns((width + 1) / 2) {}
    int64_t count() const { return images * rows * columns; }
};

class Tile {
public:
    Tile(const Tiles &tiles, int64_t t)
        : column_(t % tiles.columns), row_(t / tiles.columns % tiles.rows), image_(t / tiles.columns / tiles.rows),
          tiles_(tiles) {
        enter_row();
    }
    void advance() {
        ++column_, pixel_ += 2;
        if (column_ < tiles_.columns) return;
        column_ = 0;
        if (++row_ == tiles_.rows) row_ = 0, ++image_;
        enter_row();
    }
    // The number of its first pixel among those of all images.
    int64_t pixel() const { return pixel_; }
    bool first_of_row() const { return column_ == 0; }
    // Whether an image has a pixel that lies so far, from -1 to 2, below (or right of) the tile's first one.
    bool has_row(int64_t down) const { return holds(2 * row_ + down, tiles_.height); }
    bool has_column(int64_t right) const { return holds(2 * column_ + right, tiles_.width); }

private:
    static bool holds(int64_t at, int64_t length) {
        return static_cast<std::uint64_t>(at) < static_cast<std::uint64_t>(length); // and not negative
    }
    void enter_row() { pixel_ = (image_ * tiles_.height + 2 * row_) * tiles_.width + 2 * column_; }
    int64_t column_, row_, image_, pixel_;
    Tiles tiles_;
};

} // namespace
} // namespace kernels
