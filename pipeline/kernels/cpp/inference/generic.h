// What all instruction sets share, for each of them to compile anew: included once by its file, after its `Isa`.
//
// Everything lies in an anonymous namespace, and no header of the standard library with inline functions is used: code
// that is compiled for one instruction set must not be taken by the linker for another.

#include "filtering.h"

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

// Writes bits one after another, four bytes at a time.
struct BitWriter {
    uint8_t *to;
    uint64_t held = 0;
    int count = 0;
    void put(uint32_t bits, int number) {
        held |= static_cast<uint64_t>(bits) << count;
        count += number;
        if (count < 32) return;
        copy(to, &held, 4);
        to += 4, held >>= 32, count -= 32;
    }
    void end(const uint8_t *end) {
        for (; count > 0; count -= 8, held >>= 8) *to++ = static_cast<uint8_t>(held);
        while (to < end) *to++ = 0;
    }
};

// Copies `run` bits that begin at a bit of a line; zeros fill the bytes. Returns what follows them.
inline uint8_t *slide(const uint8_t *line, int bit, int run, uint8_t *to, size_t bytes) {
    for (uint8_t *const end = to + bytes; to < end; bit += 32, run -= 32) {
        uint64_t held = 0;
        if (run > 0) {
            copy(&held, line + bit / 8, sizeof held);
            held >>= bit % 8;
            if (run < 32) held &= (uint64_t{1} << run) - 1;
        }
        if (end - to < 4) { // units of a byte
            for (; to < end; held >>= 8) *to++ = static_cast<uint8_t>(held);
            break;
        }
        copy(to, &held, 4);
        to += 4;
    }
    return to;
}

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
    const int run = layer.kernel * layer.channels, step = layer.stride * layer.channels;
    const auto put = [&](BitWriter &writer, int at) {
        const bool inside = at >= 0 && at < side;
        for (int c = 0, w = 0; c < layer.channels; c += 32, ++w)
            writer.put(inside ? pixels[at * pixel_words + w] : 0, at_most(32, layer.channels - c));
    };
    // A stretch of the map's row is packed once, and each output takes its bits from where they begin.
    constexpr int line_bits = 8 * 512;
    uint8_t line[line_bits / 8 + 16];
    const int most = run > line_bits ? 1 : (line_bits - run) / step + 1;
    for (int x = 0, count; x < layer.out_side; x += count) {
        count = at_most(most, layer.out_side - x);
        const int first = x * layer.stride - padding, pixel_count = (count - 1) * layer.stride + layer.kernel;
        if (count == 1) {
            BitWriter writer{row};
            for (int k = 0; k < pixel_count; ++k) put(writer, first + k);
            writer.end(row + bytes);
            row += bytes;
            continue;
        }
        BitWriter writer{line};
        for (int k = 0; k < pixel_count; ++k) put(writer, first + k);
        writer.end(line + (pixel_count * layer.channels + 7) / 8 + sizeof(uint64_t)); // which slide() reads
        for (int output = 0, bit = 0; output < count; ++output, bit += step) row = slide(line, bit, run, row, bytes);
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
            chunk[number].part[chunk[number].parts++] = {row * layer.row + at, count, row};
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

// The ones that each output of a tile sees; sums of tile_width() in a row. First sums of columns, which compilers
// vectorise.
inline void count_ones(const BinaryLayer &layer, const uint16_t *counts, const Tile &tile, int *ones) {
    constexpr int most = 128;
    const int kernel = layer.kernel, stride = layer.stride, row = layer.count_row(), width = layer.tile_width();
    const int whole = at_most(tile.columns, at_least(1, (most - kernel) / stride + 1)); // outputs of so many columns
    uint16_t columns[most];
    for (int y = 0; y < tile.rows; ++y)
        for (int begin = 0; begin < tile.columns; begin += whole) {
            const int count = at_most(whole, tile.columns - begin), seen = (count - 1) * stride + kernel;
            const uint16_t *from = counts + static_cast<size_t>(tile.y + y) * stride * row + (tile.x + begin) * stride;
            int *to = ones + y * width + begin;
            for (int x = 0; x < count; ++x) to[x] = 0;
            for (int first = 0; first < seen; first += most) { // more than one only for a single output
                const int here = at_most(most, seen - first);
                for (int j = 0; j < here; ++j) columns[j] = from[first + j];
                for (int i = 1; i < kernel; ++i)
                    for (int j = 0; j < here; ++j)
                        columns[j] = static_cast<uint16_t>(columns[j] + from[i * row + first + j]);
                for (int j = 0; j < at_most(kernel, here); ++j)
                    if (stride == 1) {
                        for (int x = 0; x < count; ++x) to[x] += columns[x + j];
                    } else {
                        for (int x = 0; x < count; ++x) to[x] += columns[x * stride + j];
                    }
            }
        }
}

// With POOL, whose windows are unrolled, for layer.pool.
template <int POOL>
inline void to_bits(const BinaryLayer &layer, const Epilogue &to, const Tile &tile, const int16_t *sums,
                    const int *ones) {
    const int width = layer.tile_width(), all = layer.groups(), first = layer.first_group(tile.block);
    const int here = layer.first_group(tile.block + 1) - first, pooled = layer.pooled();
    const size_t step = static_cast<size_t>(here) * group;
    for (int y = 0; y < tile.rows; y += POOL) {
        uint32_t *out = to.bits + (static_cast<size_t>((tile.y + y) / POOL) * pooled + tile.x / POOL) * all + first;
        for (int x = 0; x < tile.columns; x += POOL, out += all) {
            const int pixel = y * width + x;
            for (int g = 0; g < here; ++g) {
                const int16_t *from = sums + pixel * step + g * group;
                uint32_t bits = 0;
#pragma GCC unroll 4
                for (int i = 0; i < POOL; ++i)
#pragma GCC unroll 4
                    for (int j = 0; j < POOL; ++j)
                        bits |= Isa::above(from + (i * width + j) * step, ones[pixel + i * width + j],
                                           to.limit + (first + g) * group);
                out[g] = bits ^ to.flip[first + g];
            }
        }
    }
}

inline void to_bits(const BinaryLayer &layer, const Epilogue &to, const Tile &tile, const int16_t *sums,
                    const int *ones) {
    static_assert(most_pool == 4, "each has its own");
    constexpr decltype(&to_bits<1>) by_pool[] = {to_bits<1>, to_bits<2>, to_bits<3>, to_bits<4>};
    by_pool[layer.pool - 1](layer, to, tile, sums, ones);
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
    const size_t begin = static_cast<size_t>(layer.padding) * layer.pixel;
    const size_t end = begin + static_cast<size_t>(layer.side) * layer.pixel;
    clear(row, sizeof(float) * begin);
    clear(row + end, sizeof(float) * (layer.row - end));
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

// Vectors of reals: whole ones, and of eight for layers that have no more channels.
struct Whole {
    using F = Isa::F;
    static constexpr int width = Isa::width;
    static F load(const float *from) { return Isa::load(from); }
    static void store(float *to, F values) { Isa::store(to, values); }
    static F broadcast(float value) { return Isa::broadcast(value); }
    static F multiply_add(F a, F b, F c) { return Isa::multiply_add(a, b, c); }
};
struct Eight {
    using F = Isa::F8;
    static constexpr int width = 8;
    static F load(const float *from) { return Isa::load8(from); }
    static void store(float *to, F values) { Isa::store8(to, values); }
    static F broadcast(float value) { return Isa::broadcast8(value); }
    static F multiply_add(F a, F b, F c) { return Isa::multiply_add8(a, b, c); }
};

// Sums over `rows` rows of `run` floats, for PIXELS neighbours that lie `step` floats apart, and a block of channels.
template <typename V, int PIXELS, int VECTORS>
inline void real_sums(int rows, int row, int run, int step, const float *input, const float *weights, float *sums) {
    using F = typename V::F;
    F total[PIXELS][VECTORS];
    for (auto &pixel : total)
        for (F &vector : pixel) vector = V::broadcast(0);
    for (int i = 0; i < rows; ++i, input += row)
        for (int j = 0; j < run; ++j, weights += VECTORS * V::width) {
            F weight[VECTORS];
            for (int v = 0; v < VECTORS; ++v) weight[v] = V::load(weights + v * V::width);
            for (int p = 0; p < PIXELS; ++p) {
                const F value = V::broadcast(input[j + p * step]);
                for (int v = 0; v < VECTORS; ++v) total[p][v] = V::multiply_add(value, weight[v], total[p][v]);
            }
        }
    for (int p = 0; p < PIXELS; ++p)
        for (int v = 0; v < VECTORS; ++v) V::store(sums + (p * VECTORS + v) * V::width, total[p][v]);
}

// How many of the outputs that are left in a row are computed at once: `most`, two thirds or one third of it, or one.
// Few at once wait for each other's sums, so the last ones are shared out.
constexpr int at_once(int left, int most) {
    if (left >= most && left != most + most / 3) return most;
    return left >= 2 * most / 3 ? 2 * most / 3 : left >= most / 3 ? most / 3 : 1;
}

// The sums of the first of `left` neighbours; returns of how many.
template <typename V, int VECTORS>
inline int some_sums(int left, int rows, int row, int run, int step, const float *input, const float *weights,
                     float *sums) {
    constexpr int most = Isa::pixels * (3 - VECTORS);
    const int count = at_once(left, most);
    if (count == most) {
        real_sums<V, most, VECTORS>(rows, row, run, step, input, weights, sums);
    } else if (count == 2 * most / 3) {
        real_sums<V, 2 * most / 3, VECTORS>(rows, row, run, step, input, weights, sums);
    } else if (count == most / 3) {
        real_sums<V, most / 3, VECTORS>(rows, row, run, step, input, weights, sums);
    } else {
        real_sums<V, 1, VECTORS>(rows, row, run, step, input, weights, sums);
    }
    return count;
}

// What becomes of the sums. Of its own copies of pointers, since bytes that are written could be anything else's.
struct RealOutput {
    const float *factor, *term, *threshold;
    float *reals;
    uint8_t *bits;
    int outputs, stride, bytes;
    RealOutput(const RealLayer &layer, float *reals, uint32_t *bits)
        : factor(layer.factor), term(layer.term), threshold(layer.threshold), reals(reals),
          bits(reinterpret_cast<uint8_t *>(bits)), outputs(layer.outputs), stride(real_stride(layer.outputs)),
          bytes(4 * words(layer.outputs)) {}

    // Of eight channels from `c` on.
    void put8(Isa::F8 value, size_t place, int c) const {
        if (threshold) {
            bits[place * bytes + c / 8] = static_cast<uint8_t>(Isa::at_least8(value, Isa::load8(threshold + c)));
            return;
        }
        if (factor) value = Isa::fma8(value, Isa::load8(factor + c), Isa::load8(term + c));
        Isa::store8(reals + place * stride + c, value);
    }
    // What the last word has beyond the last channel, when the block of channels from `c` on is done.
    void end(size_t place, int c, int block) const {
        if (threshold && c + block >= outputs)
            for (int part = stride / 8; part < bytes; ++part) bits[place * bytes + part] = 0;
    }
};

template <typename V, int VECTORS>
void real_rows(const RealLayer &layer, const float *padded, const RealOutput output, int first, int last) {
    constexpr int block = VECTORS * V::width, most = Isa::pixels * (3 - VECTORS);
    const int run = layer.kernel * layer.pixel, step = layer.stride * layer.pixel;
    alignas(64) float sums[most * block];
    for (int y = first; y < last; ++y) {
        const float *weights = layer.weights, *row = padded + static_cast<size_t>(y) * layer.stride * layer.row;
        // A block's weights stay in the first cache for a whole row.
        for (int c = 0; c < layer.outputs; c += block, weights += static_cast<size_t>(layer.kernel) * run * block)
            for (int x = 0, count; x < layer.out_side; x += count) {
                count = some_sums<V, VECTORS>(layer.out_side - x, layer.kernel, layer.row, run, step,
                                              row + static_cast<size_t>(x) * step, weights, sums);
                const size_t place = static_cast<size_t>(y) * layer.out_side + x;
                for (int p = 0; p < count; ++p) {
                    for (int part = 0; part < at_most(block, output.stride - c); part += 8)
                        output.put8(Isa::load8(sums + p * block + part), place + p, c + part);
                    output.end(place + p, c, block);
                }
            }
    }
}

// --- real convolution by minimal filtering --------------------------------------------------------------------------

template <int TAPS>
void filter_rows_of(const RealLayer &layer, const float *padded, float *transformed, int first, int last) {
    constexpr int points = filtered + TAPS - 1;
    constexpr InputTransform transform = input_transform(TAPS);
    const int run = layer.run(), tiles = layer.tiles(), point_row = layer.point_row();
    for (int y = first; y < last; ++y) {
        const float *row = padded + static_cast<size_t>(y) * layer.row;
        float *to = transformed + static_cast<size_t>(y) * points * point_row;
        for (int tile = 0; tile < tiles; ++tile, row += filtered * run, to += run)
            for (int j = 0; j < run; j += 8) { // what the last eight have too much, the next tile writes over
                Isa::F8 inputs[points];
                for (int k = 0; k < points; ++k) inputs[k] = Isa::load8(row + k * run + j);
#pragma GCC unroll 8
                for (int point = 0; point < points; ++point) {
                    Isa::F8 value = Isa::broadcast8(0);
#pragma GCC unroll 8
                    for (int k = 0; k < points; ++k)
                        if (transform.at[point][k] != 0)
                            value = Isa::fma8(inputs[k], Isa::broadcast8(transform.at[point][k]), value);
                    Isa::store8(to + static_cast<size_t>(point) * point_row + j, value);
                }
            }
    }
}

void filter_rows(const RealLayer &layer, const float *padded, float *transformed, int first, int last) {
    (layer.taps() == least_taps ? filter_rows_of<least_taps> : filter_rows_of<most_taps>)(layer, padded, transformed,
                                                                                          first, last);
}

inline Isa::F8 add_times(Isa::F8 term, float factor, Isa::F8 value) {
    return Isa::fma8(value, Isa::broadcast8(factor), term);
}

// A tile's outputs from its products at all points, `apart` floats apart, for eight channels: A^T.
template <int TAPS> inline void tile_outputs(const float *products, size_t apart, Isa::F8 *outputs) {
    using F8 = Isa::F8;
    const F8 zero = Isa::load8(products), infinity = Isa::load8(products + (filtered + TAPS - 2) * apart);
    const F8 one = Isa::load8(products + apart), minus_one = Isa::load8(products + 2 * apart);
    const F8 two = Isa::load8(products + 3 * apart), minus_two = Isa::load8(products + 4 * apart);
    const F8 even1 = Isa::add8(one, minus_one), odd1 = add_times(one, -1, minus_one);
    const F8 even2 = Isa::add8(two, minus_two), odd2 = add_times(two, -1, minus_two);
    outputs[0] = Isa::add8(zero, Isa::add8(even1, even2)), outputs[1] = add_times(odd1, 2, odd2);
    outputs[2] = add_times(even1, 4, even2), outputs[3] = Isa::add8(infinity, add_times(odd1, 8, odd2));
    if constexpr (TAPS == most_taps) {
        const F8 half = Isa::load8(products + 5 * apart);
        outputs[0] = Isa::add8(outputs[0], half), outputs[1] = add_times(outputs[1], 0.5f, half);
        outputs[2] = add_times(outputs[2], 0.25f, half), outputs[3] = add_times(outputs[3], 0.125f, half);
    }
}

template <int TAPS>
void filtered_rows(const RealLayer &layer, const float *transformed, const RealOutput output, int first, int last) {
    constexpr int vectors = 2; // of a block: no layer of fewer channels is filtered
    static_assert(least_filtered > Isa::width, "a block has two vectors");
    constexpr int block = vectors * Isa::width, points = filtered + TAPS - 1;
    constexpr int strip = 28; // tiles whose products stay in the first cache
    const int run = layer.run(), point_row = layer.point_row(), row = points * point_row, tiles = layer.tiles();
    const size_t apart = strip * block, block_weights = static_cast<size_t>(layer.block_floats()) * block;
    alignas(64) float products[points * strip * block];
    for (int y = first; y < last; ++y) {
        const float *from = transformed + static_cast<size_t>(y) * layer.stride * row, *weights = layer.weights;
        for (int c = 0; c < layer.outputs; c += block, weights += block_weights)
            for (int begin = 0; begin < tiles; begin += strip) {
                const int end = at_most(tiles, begin + strip);
                const float *here = weights;
                for (int point = 0; point < points; ++point) {
                    const float *inputs = from + static_cast<size_t>(point) * point_row;
                    const int length = point + 1 < points ? run : layer.last_run();
                    for (int t = begin; t < end;)
                        t += some_sums<Whole, vectors>(end - t, layer.kernel, row, length, run,
                                                       inputs + static_cast<size_t>(t) * run, here,
                                                       products + point * apart + (t - begin) * block);
                    here += static_cast<size_t>(layer.kernel) * length * block;
                }
                for (int t = begin; t < end; ++t) {
                    const size_t place = static_cast<size_t>(y) * layer.out_side + t * filtered;
                    const int count = at_most(filtered, layer.out_side - t * filtered);
                    for (int part = 0; part < at_most(block, output.stride - c); part += 8) {
                        Isa::F8 outputs[filtered];
                        tile_outputs<TAPS>(products + (t - begin) * block + part, apart, outputs);
                        if (count == filtered) {
                            for (int k = 0; k < filtered; ++k) output.put8(outputs[k], place + k, c + part);
                        } else {
                            for (int k = 0; k < count; ++k) output.put8(outputs[k], place + k, c + part);
                        }
                    }
                    for (int k = 0; k < count; ++k) output.end(place + k, c, block);
                }
            }
    }
}

void real_convolve(const RealLayer &layer, const float *input, float *reals, uint32_t *bits, int first, int last) {
    const RealOutput output(layer, reals, bits);
    if (!layer.points) {
        const bool few = Isa::width > 8 && layer.outputs <= 8;
        (few                           ? real_rows<Eight, 1>
         : layer.outputs <= Isa::width ? real_rows<Whole, 1>
                                       : real_rows<Whole, 2>)(layer, input, output, first, last);
    } else {
        (layer.taps() == least_taps ? filtered_rows<least_taps> : filtered_rows<most_taps>)(layer, input, output, first,
                                                                                            last);
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

constexpr Kernels kernels{Isa::name, Isa::order,        Isa::width, Isa::describe, Isa::pack,   prepare,
                          convolve,  pad_image,         pad_pixels, pad_map,       filter_rows, real_convolve,
                          affine,    affine_integers,   add,        relu,          threshold,   threshold_integers,
                          max_pool,  max_pool_integers, average,    linear,        Isa::peak};

} // namespace
} // namespace bnn
