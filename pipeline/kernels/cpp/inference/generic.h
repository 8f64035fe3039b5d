// What all instruction sets share, for each of them to compile anew: included once by its file, after its `Isa`.
//
// Everything lies in an anonymous namespace, and no header of the standard library with inline functions is used: code
// that is compiled for one instruction set must not be taken by the linker for another.

namespace bnn {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words of bits are read as bytes");

using std::int16_t;
using std::size_t;
using std::uint16_t;
using std::uint32_t;
using std::uint64_t;
using std::uint8_t;

constexpr int at_least(int a, int b) { return a > b ? a : b; }
constexpr int at_most(int a, int b) { return a < b ? a : b; }

inline void clear(void *to, size_t bytes) { __builtin_memset(to, 0, bytes); }
inline void copy(void *to, const void *from, size_t bytes) { __builtin_memcpy(to, from, bytes); }

// --- binary convolution: layout and preparation ---------------------------------------------------------------------

// The bits that one row of the kernel sees lie one after another, (column, channel). Where channels fill whole units,
// neighbouring outputs share what they have in common; else each output has its row of bits packed without gaps.
inline bool fills_units(const BinaryLayer &layer, int bits) { return layer.channels % bits == 0; }

inline void describe_packed(BinaryLayer &layer, int bits) {
    const int run = layer.kernel * layer.channels, each = layer.channels / bits;
    const bool shared = fills_units(layer, bits);
    layer.units = (run + bits - 1) / bits;
    layer.step = shared ? each * layer.stride : layer.units;
    layer.row = shared ? each * layer.padded() : layer.units * layer.out_side;
    // What a tile's last outputs read beyond the row.
    const size_t slack = static_cast<size_t>(tile_pixels + layer.kernel) * (layer.step + layer.units);
    layer.activation_bytes = (static_cast<size_t>(layer.row) * layer.padded() + slack) * bits / 8;
}

// Writes bits one after another.
struct BitWriter {
    uint8_t *to;
    uint64_t held = 0;
    int count = 0;
    void put(uint32_t bits, int number) {
        held |= static_cast<uint64_t>(bits) << count;
        count += number;
        for (; count >= 8; count -= 8, held >>= 8) *to++ = static_cast<uint8_t>(held);
    }
    void end(const uint8_t *end) {
        if (count) *to++ = static_cast<uint8_t>(held);
        while (to < end) *to++ = 0;
        held = 0, count = 0;
    }
};

inline void prepare_packed_row(const BinaryLayer &layer, const uint32_t *pixels, uint8_t *row, int bits) {
    const int pixel_words = words(layer.channels), side = layer.side, padding = layer.padding;
    if (fills_units(layer, bits)) {
        const size_t bytes = static_cast<size_t>(layer.channels) / 8;
        clear(row, padding * bytes);
        row += padding * bytes;
        if (bytes == 4u * pixel_words) {
            copy(row, pixels, side * bytes);
        } else {
            for (int x = 0; x < side; ++x) copy(row + x * bytes, pixels + x * pixel_words, bytes);
        }
        clear(row + side * bytes, padding * bytes);
        return;
    }
    const size_t bytes = static_cast<size_t>(layer.units) * bits / 8;
    for (int x = 0; x < layer.out_side; ++x, row += bytes) {
        BitWriter writer{row};
        for (int column = 0; column < layer.kernel; ++column) {
            const int at = x * layer.stride + column - padding;
            const bool inside = at >= 0 && at < side;
            for (int c = 0, w = 0; c < layer.channels; c += 32, ++w)
                writer.put(inside ? pixels[at * pixel_words + w] : 0, at_most(32, layer.channels - c));
        }
        writer.end(row + bytes);
    }
}

// How many ones each pixel of a padded row has.
inline void count_row(const BinaryLayer &layer, const uint32_t *pixels, uint16_t *counts) {
    const int pixel_words = words(layer.channels);
    clear(counts, sizeof *counts * layer.count_row());
    if (!pixels) return;
    counts += layer.padding;
    for (int x = 0; x < layer.side; ++x, pixels += pixel_words) {
        int ones = 0, w = 0;
        for (; w + 2 <= pixel_words; w += 2) {
            uint64_t both;
            copy(&both, pixels + w, sizeof both);
            ones += Isa::ones(both);
        }
        if (w < pixel_words) ones += Isa::ones(pixels[w]);
        counts[x] = static_cast<uint16_t>(ones);
    }
}

void prepare(const BinaryLayer &layer, const uint32_t *bits, uint8_t *activations, uint16_t *counts, int first,
             int last) {
    const size_t row_bytes = static_cast<size_t>(layer.row) * Isa::unit_bytes;
    const size_t pixel_row = static_cast<size_t>(layer.side) * words(layer.channels);
    for (int y = first; y < last; ++y) {
        const int at = y - layer.padding;
        const uint32_t *pixels = at >= 0 && at < layer.side ? bits + at * pixel_row : nullptr;
        uint8_t *row = activations + y * row_bytes;
        if (pixels) {
            Isa::prepare_row(layer, pixels, row);
        } else {
            clear(row, row_bytes);
        }
        count_row(layer, pixels, counts + static_cast<size_t>(y) * layer.count_row());
    }
}

// Copies the bits of a row of an output's kernel, (column, channel), into units; the rest of the last one is zero.
inline void run_bits(const BinaryLayer &layer, const uint8_t *bits, int output, int kernel_row, uint8_t *to,
                     size_t bytes) {
    clear(to, bytes);
    if (output >= layer.outputs) return;
    const size_t run = static_cast<size_t>(layer.kernel) * layer.channels;
    const size_t from = (static_cast<size_t>(output) * layer.kernel + kernel_row) * run;
    for (size_t i = 0; i < run; ++i)
        if (bits[(from + i) / 8] >> ((from + i) % 8) & 1) to[i / 8] |= static_cast<uint8_t>(1 << i % 8);
}

// Divides the units of all kernel rows into chunks of at most `most`, whole multiples of `whole` where that can be.
inline int divide(const BinaryLayer &layer, Chunk *chunk, int most, int whole) {
    int number = 0, left = most;
    chunk[0].parts = 0, chunk[0].weights = 0;
    for (int row = 0; row < layer.kernel; ++row) {
        const int pieces = (layer.units + most - 1) / most;
        const int piece = at_most(most, ((layer.units + pieces - 1) / pieces + whole - 1) / whole * whole);
        for (int at = 0; at < layer.units;) {
            const int count = at_most(piece, layer.units - at);
            if (count > left || chunk[number].parts == most_parts) {
                ++number;
                chunk[number].parts = 0, chunk[number].weights = row * layer.units + at, left = most;
            }
            chunk[number].part[chunk[number].parts++] = {row * layer.row + at, count};
            at += count, left -= count;
        }
    }
    return number + 1;
}

// --- binary convolution: sums and what becomes of them --------------------------------------------------------------

struct Tile {
    int block, y, x, rows, columns; // of outputs
};

inline Tile find_tile(const BinaryLayer &layer, int item) {
    const int tiles = layer.tiles(), across = layer.tiles_across(), at = item % tiles;
    Tile tile{item / tiles, at / across * layer.tile_rows(), at % across * layer.tile_columns(), 0, 0};
    tile.rows = at_most(layer.tile_rows(), layer.covered() - tile.y);
    tile.columns = at_most(layer.tile_columns(), layer.covered() - tile.x);
    return tile;
}

// The ones that each output of a tile sees; sums of tile_width() in a row.
inline void count_ones(const BinaryLayer &layer, const uint16_t *counts, const Tile &tile, int *ones) {
    const int width = layer.tile_width();
    for (int y = 0; y < tile.rows; ++y) {
        const uint16_t *row = counts + static_cast<size_t>(tile.y + y) * layer.stride * layer.count_row();
        for (int x = 0; x < tile.columns; ++x) {
            int total = 0;
            for (int i = 0; i < layer.kernel; ++i)
                for (int j = 0; j < layer.kernel; ++j)
                    total += row[i * layer.count_row() + (tile.x + x) * layer.stride + j];
            ones[y * width + x] = total;
        }
    }
}

inline void to_bits(const BinaryLayer &layer, const Epilogue &to, const Tile &tile, const int16_t *sums,
                    const int *ones) {
    const int width = layer.tile_width(), all = layer.groups(), first = layer.first_group(tile.block);
    const int here = layer.first_group(tile.block + 1) - first, pool = layer.pool, pooled = layer.pooled();
    for (int y = 0; y < tile.rows; y += pool)
        for (int x = 0; x < tile.columns; x += pool) {
            uint32_t *out = to.bits + (static_cast<size_t>((tile.y + y) / pool) * pooled + (tile.x + x) / pool) * all;
            for (int g = 0; g < here; ++g) {
                uint32_t bits = 0;
                for (int i = 0; i < pool; ++i)
                    for (int j = 0; j < pool; ++j) {
                        const int pixel = (y + i) * width + x + j;
                        bits |= Isa::above(sums + (static_cast<size_t>(pixel) * here + g) * group, ones[pixel],
                                           to.limit + (first + g) * group);
                    }
                out[first + g] = bits ^ to.flip[first + g];
            }
        }
}

inline void to_reals(const BinaryLayer &layer, const Epilogue &to, const Tile &tile, const int16_t *sums,
                     const int *ones) {
    using F8 = Isa::F8;
    const int width = layer.tile_width(), all = layer.groups(), first = layer.first_group(tile.block);
    const int here = layer.first_group(tile.block + 1) - first, stride = real_stride(layer.outputs);
    const F8 scale = Isa::broadcast8(to.scale), half = Isa::broadcast8(0.5f);
    for (int y = 0; y < tile.rows; ++y)
        for (int x = 0; x < tile.columns; ++x) {
            const int pixel = y * width + x;
            const size_t place = static_cast<size_t>(tile.y + y) * layer.out_side + tile.x + x;
            for (int g = 0; g < here; ++g) {
                F8 numbers[4];
                Isa::numbers(sums + (static_cast<size_t>(pixel) * here + g) * group, ones[pixel], numbers);
                uint32_t bits = 0;
                for (int part = 0; part < 4; ++part) {
                    const int c = (first + g) * group + part * 8;
                    if (c >= stride) break;
                    F8 value = Isa::fma8(Isa::multiply8(scale, numbers[part]), Isa::load8(to.factor + c),
                                         Isa::load8(to.term + c));
                    if (to.added) value = Isa::add8(value, Isa::load8(to.added + place * stride + c));
                    Isa::store8(to.reals + place * stride + c, value);
                    bits |= Isa::greater8(value, half) << part * 8;
                }
                if (to.bits) to.bits[place * all + first + g] = bits;
            }
        }
}

inline void to_integers(const BinaryLayer &layer, const Epilogue &to, const Tile &tile, const int16_t *sums,
                        const int *ones) {
    const int width = layer.tile_width(), all = layer.groups(), first = layer.first_group(tile.block);
    const int here = layer.first_group(tile.block + 1) - first;
    for (int y = 0; y < tile.rows; ++y)
        for (int x = 0; x < tile.columns; ++x) {
            const int pixel = y * width + x;
            const size_t place = static_cast<size_t>(tile.y + y) * layer.out_side + tile.x + x;
            for (int g = 0; g < here; ++g)
                Isa::integers(sums + (static_cast<size_t>(pixel) * here + g) * group, ones[pixel],
                              to.integers + (place * all + first + g) * group);
        }
}

void convolve(const BinaryLayer &layer, const uint8_t *activations, const uint16_t *counts, const Epilogue &epilogue,
              int first, int last, int16_t *scratch) {
    int ones[(tile_pixels + 2) * most_pool * most_pool];
    int counted = -1;
    for (int item = first; item < last; ++item) {
        const Tile tile = find_tile(layer, item);
        Isa::sums(layer, activations, tile, scratch);
        if (item % layer.tiles() != counted) count_ones(layer, counts, tile, ones);
        counted = item % layer.tiles();
        if (epilogue.limit) {
            to_bits(layer, epilogue, tile, scratch, ones);
        } else if (epilogue.reals) {
            to_reals(layer, epilogue, tile, scratch, ones);
        } else {
            to_integers(layer, epilogue, tile, scratch, ones);
        }
    }
}

// --- real convolution -----------------------------------------------------------------------------------------------

// Both ends of a padded map's rows, and whole rows outside of the map. What a pixel has beyond the last channel is
// multiplied by zero, and must be a number for that.
inline bool pad_row(const RealLayer &layer, float *row, int at) {
    const bool inside = at >= 0 && at < layer.side;
    if (!inside || layer.pixel != layer.channels) {
        clear(row, sizeof(float) * layer.row);
        return inside;
    }
    const size_t ends = sizeof(float) * layer.padding * layer.pixel;
    clear(row, ends);
    clear(row + static_cast<size_t>(layer.padding + layer.side) * layer.pixel, ends);
    return true;
}

void pad_image(const RealLayer &layer, const float *from, float *padded, int first, int last) {
    const size_t plane = static_cast<size_t>(layer.side) * layer.side;
    for (int y = first; y < last; ++y) {
        float *row = padded + static_cast<size_t>(y) * layer.row;
        const int at = y - layer.padding;
        if (!pad_row(layer, row, at)) continue;
        row += layer.padding * layer.pixel;
        for (int c = 0; c < layer.channels; ++c)
            for (int x = 0; x < layer.side; ++x) row[x * layer.pixel + c] = from[c * plane + at * layer.side + x];
    }
}

void pad_pixels(const RealLayer &layer, const uint8_t *pixels, const float *table, float *padded, int first, int last) {
    for (int y = first; y < last; ++y) {
        float *row = padded + static_cast<size_t>(y) * layer.row;
        const int at = y - layer.padding;
        if (!pad_row(layer, row, at)) continue;
        row += layer.padding * layer.pixel;
        const uint8_t *from = pixels + static_cast<size_t>(at) * layer.side * layer.channels;
        for (int x = 0; x < layer.side; ++x)
            for (int c = 0; c < layer.channels; ++c)
                row[x * layer.pixel + c] = table[c * 256 + from[x * layer.channels + c]];
    }
}

void pad_map(const RealLayer &layer, const float *map, float *padded, int first, int last) {
    const size_t row_floats = static_cast<size_t>(layer.side) * layer.pixel;
    for (int y = first; y < last; ++y) {
        float *row = padded + static_cast<size_t>(y) * layer.row;
        const int at = y - layer.padding;
        if (pad_row(layer, row, at))
            copy(row + layer.padding * layer.pixel, map + at * row_floats, sizeof(float) * row_floats);
    }
}

// Consecutive outputs of one row, for a block of channels: their sums, pixel by pixel.
template <int PIXELS, int VECTORS>
inline void real_sums(const RealLayer &layer, const float *input, const float *weights, float *sums) {
    using F = Isa::F;
    F total[PIXELS][VECTORS];
    for (auto &pixel : total)
        for (F &vector : pixel) vector = Isa::broadcast(0);
    const int run = layer.kernel * layer.pixel, step = layer.stride * layer.pixel;
    for (int i = 0; i < layer.kernel; ++i, input += layer.row)
        for (int j = 0; j < run; ++j, weights += VECTORS * Isa::width) {
            F weight[VECTORS];
            for (int v = 0; v < VECTORS; ++v) weight[v] = Isa::load(weights + v * Isa::width);
            for (int p = 0; p < PIXELS; ++p) {
                const F value = Isa::broadcast(input[j + p * step]);
                for (int v = 0; v < VECTORS; ++v) total[p][v] = Isa::multiply_add(value, weight[v], total[p][v]);
            }
        }
    for (int p = 0; p < PIXELS; ++p)
        for (int v = 0; v < VECTORS; ++v) Isa::store(sums + (p * VECTORS + v) * Isa::width, total[p][v]);
}

// How many of the outputs that are left in a row are computed at once: `most`, two thirds or one third of it, or one.
// Few at once wait for each other's sums, so the last ones are shared out.
constexpr int at_once(int left, int most) {
    if (left >= most && left != most + most / 3) return most;
    return left >= 2 * most / 3 ? 2 * most / 3 : left >= most / 3 ? most / 3 : 1;
}

template <int VECTORS>
void real_rows(const RealLayer &layer, const float *padded, float *reals, uint32_t *bits, int first, int last) {
    using F8 = Isa::F8;
    constexpr int block = VECTORS * Isa::width, most = Isa::pixels * (3 - VECTORS);
    const int stride = real_stride(layer.outputs), all = words(layer.outputs);
    const size_t block_weights = static_cast<size_t>(layer.kernel) * layer.kernel * layer.pixel * block;
    alignas(64) float sums[most * block];
    for (int y = first; y < last; ++y) {
        const float *weights = layer.weights, *row = padded + static_cast<size_t>(y) * layer.stride * layer.row;
        // A block's weights stay in the first cache for a whole row.
        for (int c = 0; c < layer.outputs; c += block, weights += block_weights)
            for (int x = 0, count; x < layer.out_side; x += count) {
                count = at_once(layer.out_side - x, most);
                const float *input = row + static_cast<size_t>(x) * layer.stride * layer.pixel;
                if (count == most) {
                    real_sums<most, VECTORS>(layer, input, weights, sums);
                } else if (count == 2 * most / 3) {
                    real_sums<2 * most / 3, VECTORS>(layer, input, weights, sums);
                } else if (count == most / 3) {
                    real_sums<most / 3, VECTORS>(layer, input, weights, sums);
                } else {
                    real_sums<1, VECTORS>(layer, input, weights, sums);
                }
                for (int p = 0; p < count; ++p) {
                    const size_t place = static_cast<size_t>(y) * layer.out_side + x + p;
                    uint8_t *out = reinterpret_cast<uint8_t *>(bits + place * all);
                    for (int part = 0; part < block && c + part < stride; part += 8) {
                        F8 value = Isa::load8(sums + p * block + part);
                        if (layer.threshold) {
                            const unsigned found = Isa::at_least8(value, Isa::load8(layer.threshold + c + part));
                            out[(c + part) / 8] = static_cast<uint8_t>(found);
                            continue;
                        }
                        if (layer.factor)
                            value = Isa::fma8(value, Isa::load8(layer.factor + c + part),
                                              Isa::load8(layer.term + c + part));
                        Isa::store8(reals + place * stride + c + part, value);
                    }
                    if (layer.threshold && c + block >= layer.outputs) // what the last word has beyond the last channel
                        for (int part = stride / 8; part < 4 * all; ++part) out[part] = 0;
                }
            }
    }
}

void real_convolve(const RealLayer &layer, const float *padded, float *reals, uint32_t *bits, int first, int last) {
    if (layer.outputs <= Isa::width) {
        real_rows<1>(layer, padded, reals, bits, first, last);
    } else {
        real_rows<2>(layer, padded, reals, bits, first, last);
    }
}

// --- maps -----------------------------------------------------------------------------------------------------------

void affine(const float *from, const float *factor, const float *term, float *to, size_t count, int stride) {
    for (size_t i = 0; i < count; ++i, from += stride, to += stride)
        for (int c = 0; c < stride; c += 8)
            Isa::store8(to + c, Isa::fma8(Isa::load8(from + c), Isa::load8(factor + c), Isa::load8(term + c)));
}

void affine_integers(const int16_t *from, float scale, const float *factor, const float *term, float *to, size_t count,
                     int channels) {
    const int stride = real_stride(channels), numbers = words(channels) * group;
    for (size_t i = 0; i < count; ++i, from += numbers, to += stride)
        for (int c = 0; c < stride; c += 8) {
            float values[8];
            for (int k = 0; k < 8; ++k) values[k] = static_cast<float>(from[c + k]) * scale;
            Isa::store8(to + c, Isa::fma8(Isa::load8(values), Isa::load8(factor + c), Isa::load8(term + c)));
        }
}

void add(const float *a, const float *b, float *to, size_t count) {
    for (size_t i = 0; i < count; ++i) to[i] = a[i] + b[i];
}

void relu(const float *from, float *to, size_t count) {
    for (size_t i = 0; i < count; ++i) to[i] = from[i] > 0 ? from[i] : 0;
}

void threshold(const float *from, const float *limit, const uint8_t *at_most_flags, uint32_t *to, size_t count,
               int channels) {
    const int stride = real_stride(channels), all = words(channels);
    for (size_t i = 0; i < count; ++i, from += stride, to += all)
        for (int w = 0; w < all; ++w) {
            uint32_t bits = 0;
            for (int c = w * 32; c < at_most(w * 32 + 32, stride); c += 8) {
                const Isa::F8 values = Isa::load8(from + c);
                if (!limit) {
                    bits |= Isa::greater8(values, Isa::broadcast8(0.5f)) << c % 32;
                    continue;
                }
                for (int k = c; k < at_most(c + 8, channels); ++k) {
                    const bool one = at_most_flags[k] ? from[k] <= limit[k] : from[k] >= limit[k];
                    bits |= static_cast<uint32_t>(one) << k % 32;
                }
            }
            to[w] = bits;
        }
}

void threshold_integers(const int16_t *from, const int16_t *limit, const uint32_t *flip, uint32_t *to, size_t count,
                        int channels) {
    const int all = words(channels);
    for (size_t i = 0; i < count; ++i, from += all * group, to += all)
        for (int w = 0; w < all; ++w) {
            uint32_t bits = 0;
            for (int k = 0; k < group; ++k) {
                const int place = w * group + k, c = w * group + Isa::order[k];
                bits |= static_cast<uint32_t>(from[c] > limit[place]) << Isa::order[k];
            }
            to[w] = bits ^ flip[w];
        }
}

// The part of a window that lies inside of a map, from its place's first row or column.
struct Span {
    int begin, end;
    Span(int place, int kernel, int stride, int padding, int side)
        : begin(at_least(0, place * stride - padding)), end(at_most(side, place * stride - padding + kernel)) {}
};

void max_pool(const float *from, float *to, int side, int numbers, int kernel, int stride, int padding, int out_side,
              int first, int last) {
    for (int y = first; y < last; ++y)
        for (int x = 0; x < out_side; ++x) {
            const Span rows(y, kernel, stride, padding, side), columns(x, kernel, stride, padding, side);
            float *out = to + (static_cast<size_t>(y) * out_side + x) * numbers;
            for (int c = 0; c < numbers; c += 8) {
                const float *in = from + c;
                Isa::F8 most = Isa::load8(in + (static_cast<size_t>(rows.begin) * side + columns.begin) * numbers);
                for (int i = rows.begin; i < rows.end; ++i)
                    for (int j = columns.begin; j < columns.end; ++j)
                        most = Isa::max8(most, Isa::load8(in + (static_cast<size_t>(i) * side + j) * numbers));
                Isa::store8(out + c, most);
            }
        }
}

void max_pool_integers(const int16_t *from, int16_t *to, int side, int numbers, int kernel, int stride, int padding,
                       int out_side, int first, int last) {
    for (int y = first; y < last; ++y)
        for (int x = 0; x < out_side; ++x) {
            const Span rows(y, kernel, stride, padding, side), columns(x, kernel, stride, padding, side);
            int16_t *out = to + (static_cast<size_t>(y) * out_side + x) * numbers;
            copy(out, from + (static_cast<size_t>(rows.begin) * side + columns.begin) * numbers, sizeof *out * numbers);
            for (int i = rows.begin; i < rows.end; ++i)
                for (int j = columns.begin; j < columns.end; ++j) {
                    const int16_t *in = from + (static_cast<size_t>(i) * side + j) * numbers;
                    for (int c = 0; c < numbers; ++c) out[c] = out[c] < in[c] ? in[c] : out[c];
                }
        }
}

void average(const float *from, float *to, int pixels, int stride) {
    for (int c = 0; c < stride; c += 8) {
        double total[8] = {};
        for (int i = 0; i < pixels; ++i)
            for (int k = 0; k < 8; ++k) total[k] += from[static_cast<size_t>(i) * stride + c + k];
        for (int k = 0; k < 8; ++k) to[c + k] = static_cast<float>(total[k] / pixels);
    }
}

void linear(const float *from, const float *weights, const float *bias, float *to, size_t length, int first, int last) {
    using F8 = Isa::F8;
    for (int k = first; k < last; ++k) {
        const float *row = weights + k * length;
        F8 total[4];
        for (F8 &part : total) part = Isa::broadcast8(0);
        size_t i = 0;
        for (; i + 32 <= length; i += 32)
            for (int part = 0; part < 4; ++part)
                total[part] =
                    Isa::multiply_add8(Isa::load8(row + i + 8 * part), Isa::load8(from + i + 8 * part), total[part]);
        for (; i < length; i += 8) total[0] = Isa::multiply_add8(Isa::load8(row + i), Isa::load8(from + i), total[0]);
        float sums[8], sum = 0;
        Isa::store8(sums, Isa::add8(Isa::add8(total[0], total[1]), Isa::add8(total[2], total[3])));
        for (float part : sums) sum += part;
        to[k] = sum + bias[k];
    }
}

constexpr Kernels kernels{Isa::name,         Isa::order, Isa::width, Isa::describe, Isa::pack,          prepare,
                          convolve,          pad_image,  pad_pixels, pad_map,       real_convolve,      affine,
                          affine_integers,   add,        relu,       threshold,     threshold_integers, max_pool,
                          max_pool_integers, average,    linear,     Isa::peak};

} // namespace
} // namespace bnn
