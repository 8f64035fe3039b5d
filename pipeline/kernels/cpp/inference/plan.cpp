#include "plan.h"

#include "filtering.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace bnn {
namespace {

constexpr std::uint64_t most_arena = std::uint64_t{1} << 32;
constexpr int least_side = 16, most_kernel = 16; // of a layer that is filtered
constexpr int most_sum = 32766;                  // so that sums and their limits fit in 16 bits

class Planner {
public:
    Planner(const Model &model, const Kernels &kernels) : model_(model), kernels_(kernels) {
        plan_.kernels = &kernels;
        const int count = static_cast<int>(model.nodes.size());
        readers_.resize(count), values_.assign(count, none), ends_.assign(count, none), inside_.assign(count, false);
        plan_.bits_buffer.assign(count, none), plan_.bits_step.assign(count, none);
        for (int i = 0; i < count; ++i) {
            const Node &node = model.nodes[i];
            if (node.source != image) readers_[node.source].push_back(i);
            if (node.kind == Kind::add && node.second != image) readers_[node.second].push_back(i);
        }
    }

    Plan make() {
        const int count = static_cast<int>(model_.nodes.size());
        for (int i = 0; i < count; ++i) fuse(i);
        for (int i = 0; i < count; ++i) {
            if (ends_[i] != none) {
                add_fused(ends_[i], i);
            } else if (!inside_[i]) {
                add_alone(i);
            }
        }
        plan_.logits = values_[count - 1];
        plan_.buffers[plan_.logits].last = static_cast<int>(plan_.steps.size());
        make_table();
        place();
        return std::move(plan_);
    }

private:
    const Node &node(int i) const { return model_.nodes[i]; }

    // The only reader of a node if it is of some kind, else none.
    int only_reader(int i, Kind kind) const {
        return readers_[i].size() == 1 && node(readers_[i][0]).kind == kind ? readers_[i][0] : none;
    }

    // Finds what a convolution's step does besides, and where it ends.
    void fuse(int i) {
        const Kind kind = node(i).kind;
        if (kind != Kind::convolution && kind != Kind::binary_convolution) return;
        std::vector<int> chain{i};
        if (kind == Kind::binary_convolution) {
            if (node(i).to.most > most_sum)
                throw Error{BNN_UNSUPPORTED, "node " + std::to_string(i) + " sums more than " +
                                                 std::to_string(most_sum) + " products for one output"};
            const int pool = only_reader(i, Kind::max_pool);
            if (pool != none && node(pool).kernel == node(pool).stride && node(pool).padding == 0 &&
                node(pool).kernel <= most_pool && only_reader(pool, Kind::threshold) != none)
                chain.push_back(pool);
        }
        const int threshold = only_reader(chain.back(), Kind::threshold);
        const int affine = chain.size() == 1 ? only_reader(i, Kind::affine) : none;
        if (threshold != none) {
            chain.push_back(threshold);
        } else if (affine != none) {
            chain.push_back(affine);
            const int sum = kind == Kind::binary_convolution ? only_reader(affine, Kind::add) : none;
            if (sum != none && ends_[sum] == none && node(sum).source != node(sum).second) chain.push_back(sum);
        }
        for (int part : chain) inside_[part] = true;
        ends_[chain.back()] = i;
    }

    int add_buffer(std::uint64_t bytes) {
        const int step = static_cast<int>(plan_.steps.size()) - 1;
        plan_.buffers.push_back({bytes + 64, step, step, 0});
        return static_cast<int>(plan_.buffers.size()) - 1;
    }
    int add_map(const Shape &shape) {
        const std::uint64_t pixels = static_cast<std::uint64_t>(shape.side) * shape.side;
        const std::uint64_t all = words(shape.channels);
        if (shape.values == Values::reals) return add_buffer(pixels * real_stride(shape.channels) * sizeof(float));
        return add_buffer(pixels * all * (shape.values == Values::bits ? 4 : group * sizeof(std::int16_t)));
    }
    // A source's buffer, which the newest step reads.
    int use(int source) {
        if (source == image) {
            if (image_ == none) throw Error{BNN_CONTRADICTORY, "the image has no map"}; // see need_image
            plan_.buffers[image_].last = static_cast<int>(plan_.steps.size()) - 1;
            return image_;
        }
        plan_.buffers[values_[source]].last = static_cast<int>(plan_.steps.size()) - 1;
        return values_[source];
    }
    // Whoever is no convolution reads the image as a map like others.
    void need_image(int source) {
        if (source != image || image_ != none) return;
        Step &step = add_step(Work::image, 0, "image");
        step.reads_image = true;
        step.real.channels = model_.channels, step.real.side = model_.size;
        step.real.pixel = real_stride(model_.channels), step.real.row = model_.size * step.real.pixel;
        step.phases = {model_.size};
        image_ = step.result = add_map({Values::reals, model_.channels, model_.size, 0});
    }
    Step &add_step(Work work, int i, const char *name) {
        plan_.steps.emplace_back();
        Step &step = plan_.steps.back();
        step.work = work, step.node = i, step.name = name;
        step.from = node(i).from, step.to = node(i).to;
        return step;
    }
    void set_bits(int i, int buffer) {
        values_[i] = plan_.bits_buffer[i] = buffer;
        plan_.bits_step[i] = static_cast<int>(plan_.steps.size()) - 1;
    }

    // --- convolutions with what follows them ---

    void add_fused(int first, int last) {
        if (node(first).kind == Kind::convolution) return add_convolution(first, last);
        const Node &from = node(first);
        const Node &end = node(last);
        const int sum = end.kind == Kind::add ? last : none;
        int affine = none, other = none;
        if (sum != none) {
            const int pair[2] = {end.source, end.second};
            const bool swapped = pair[0] == image || !inside_[pair[0]] || node(pair[0]).source != first ||
                                 node(pair[0]).kind != Kind::affine;
            affine = pair[swapped], other = pair[!swapped];
            need_image(other);
        } else if (end.kind == Kind::affine) {
            affine = last;
        }
        Step &step = add_step(Work::binary_convolution, first, "binary convolution");
        step.from = from.from, step.to = end.to;
        step.macs = static_cast<double>(from.to.most) * from.to.channels * from.to.side * from.to.side;
        BinaryLayer &layer = step.binary;
        layer.channels = from.from.channels, layer.side = from.from.side, layer.outputs = from.to.channels;
        layer.kernel = from.kernel, layer.stride = from.stride, layer.padding = from.padding;
        layer.out_side = from.to.side;
        if (end.kind == Kind::threshold && end.source != first) layer.pool = node(end.source).kernel;
        step.source = use(from.source);
        if (end.kind == Kind::threshold) {
            step.name += layer.pool > 1 ? ", max-pooling, threshold" : ", threshold";
            add_limits(step, end);
            step.bits = add_map(end.to);
            set_bits(last, step.bits);
        } else if (affine != none) {
            step.name += sum == none ? ", batch norm" : ", batch norm, sum";
            step.scale = node(affine).scale;
            add_affine(step, node(affine));
            if (sum != none) step.second = use(other);
            values_[last] = step.result = add_map(end.to);
            const auto &readers = readers_[last];
            if (std::any_of(readers.begin(), readers.end(), [&](int r) { return node(r).kind == Kind::binarise; }))
                step.bits = add_map({Values::bits, end.to.channels, end.to.side, 0});
            real_bits_[last] = step.bits;
        } else {
            values_[last] = step.result = add_map(end.to);
        }
        step.chunks.resize(1); // only to describe the layout first
        lay_out(step, from);
    }

    void lay_out(Step &step, const Node &from) {
        BinaryLayer &layer = step.binary;
        const std::size_t most = static_cast<std::size_t>(layer.kernel) *
                                 (static_cast<std::size_t>(layer.kernel) * (layer.channels + 3) / 64 + 4);
        step.chunks.resize(most + 1);
        kernels_.describe(layer, step.chunks.data());
        step.chunks.resize(layer.chunks);
        layer.chunk = step.chunks.data();
        step.weights = Bytes(layer.weight_bytes);
        kernels_.pack(layer, from.bits, step.weights.as<std::uint8_t>());
        layer.weights = step.weights.as<std::uint8_t>();
        step.prepared = add_buffer(layer.activation_bytes);
        step.counts =
            add_buffer(sizeof(std::uint16_t) * static_cast<std::uint64_t>(layer.count_row()) * layer.padded());
        step.phases = {layer.padded(), layer.items()};
        plan_.scratch = std::max(plan_.scratch, layer.scratch() * sizeof(std::int16_t));
    }

    void add_limits(Step &step, const Node &threshold) {
        const int channels = threshold.to.channels, all = words(channels);
        std::vector<std::int16_t> limit(all * group, std::numeric_limits<std::int16_t>::max());
        std::vector<std::uint32_t> flip(all, 0);
        for (int place = 0; place < all * group; ++place) {
            const int c = place / group * group + kernels_.order[place % group];
            if (c >= channels) continue;
            const std::int64_t most = threshold.thresholds[c];
            const std::int64_t above = threshold.at_most[c] ? most : most - 1;
            limit[place] = static_cast<std::int16_t>(std::clamp<std::int64_t>(above, -32768, 32767));
            if (threshold.at_most[c]) flip[c / 32] |= std::uint32_t{1} << c % 32;
        }
        step.limit = stored(limit), step.flip = stored(flip);
    }

    void add_affine(Step &step, const Node &affine) {
        std::vector<float> factor(affine.factors), term(affine.terms);
        factor.resize(words(affine.to.channels) * group), term.resize(factor.size());
        step.factor = stored(factor), step.term = stored(term);
    }

    void add_convolution(int first, int last) {
        const Node &from = node(first);
        const Node &end = node(last);
        Step &step = add_step(Work::convolution, first, "real convolution");
        step.to = end.to;
        step.macs = static_cast<double>(from.weights.size()) * from.to.side * from.to.side;
        RealLayer &layer = step.real;
        layer.channels = from.from.channels, layer.side = from.from.side, layer.outputs = from.to.channels;
        layer.kernel = from.kernel, layer.stride = from.stride, layer.padding = from.padding;
        layer.out_side = from.to.side;
        step.reads_image = from.source == image;
        layer.pixel = step.reads_image ? layer.channels : real_stride(layer.channels);
        const int padded = layer.side + 2 * layer.padding, taps = layer.taps();
        layer.row = padded * layer.pixel;
        if (taps >= least_taps && taps <= most_taps && layer.kernel <= most_kernel && layer.outputs >= least_filtered &&
            layer.out_side >= least_side) {
            layer.points = filtered + taps - 1;
            // What the last tile reads.
            layer.row = std::max(layer.row, (filtered * layer.tiles() + taps - 1) * layer.run());
        }
        layer.input_floats = static_cast<std::size_t>(layer.row) * padded;
        if (!step.reads_image) step.source = use(from.source);
        std::vector<float> weights = from.weights;
        if (last != first && end.kind == Kind::threshold) {
            step.name += ", threshold";
            const std::size_t each = weights.size() / layer.outputs;
            std::vector<float> limit(words(layer.outputs) * group, std::numeric_limits<float>::quiet_NaN());
            for (int o = 0; o < layer.outputs; ++o) {
                const bool turned = end.at_most[o]; // x <= t is -x >= -t
                limit[o] = turned ? -end.real_thresholds[o] : end.real_thresholds[o];
                if (turned)
                    for (std::size_t i = 0; i < each; ++i) weights[o * each + i] = -weights[o * each + i];
            }
            step.limit = stored(limit);
            layer.threshold = step.limit.as<float>();
            step.bits = add_map(end.to);
            set_bits(last, step.bits);
        } else {
            if (last != first) {
                step.name += ", batch norm";
                add_affine(step, end);
                layer.factor = step.factor.as<float>(), layer.term = step.term.as<float>();
            }
            values_[last] = step.result = add_map(end.to);
        }
        step.prepared = add_buffer(layer.input_floats * sizeof(float) + 4096);
        step.phases = {padded, layer.out_side};
        if (!layer.points) return pack_real(step, weights);
        step.transformed =
            add_buffer(static_cast<std::uint64_t>(padded) * layer.points * layer.point_row() * sizeof(float));
        step.phases = {padded, padded, layer.out_side};
        pack_filtered(step, weights);
    }

    void pack_real(Step &step, const std::vector<float> &weights) {
        RealLayer &layer = step.real;
        const std::size_t block = kernels_.real_block(layer.outputs), kernel = layer.kernel;
        const std::size_t blocks = (layer.outputs + block - 1) / block, each = kernel * kernel * layer.pixel;
        step.weights = Bytes(blocks * each * block * sizeof(float));
        float *to = step.weights.as<float>();
        for (std::size_t o = 0; o < static_cast<std::size_t>(layer.outputs); ++o)
            for (std::size_t place = 0; place < kernel * kernel; ++place)
                for (int c = 0; c < layer.channels; ++c)
                    to[(o / block * each + place * layer.pixel + c) * block + o % block] =
                        weights[(o * layer.channels + c) * kernel * kernel + place];
        layer.weights = to;
    }

    void pack_filtered(Step &step, const std::vector<float> &weights) {
        RealLayer &layer = step.real;
        const std::size_t kernel = layer.kernel, stride = layer.stride, block = kernels_.real_block(layer.outputs);
        const std::size_t blocks = (layer.outputs + block - 1) / block, each = layer.block_floats() * block;
        step.weights = Bytes(blocks * each * sizeof(float));
        float *to = step.weights.as<float>();
        const auto place = [&](std::size_t o, int point, std::size_t i, std::size_t phase, int c) {
            const std::size_t run = point + 1 < layer.points ? layer.run() : layer.last_run();
            const std::size_t before = kernel * layer.run() * point + run * i + layer.pixel * phase + c;
            return o / block * each + before * block + o % block;
        };
        for (int o = 0; o < layer.outputs; ++o)
            for (int c = 0; c < layer.channels; ++c)
                for (std::size_t i = 0; i < kernel; ++i)
                    for (std::size_t phase = 0; phase < stride; ++phase) {
                        const std::size_t row =
                            ((static_cast<std::size_t>(o) * layer.channels + c) * kernel + i) * kernel;
                        double taps[most_taps] = {};
                        for (std::size_t j = phase; j < kernel; j += stride) taps[j / stride] = weights[row + j];
                        const bool whole = static_cast<int>(phase) * layer.pixel < layer.last_run();
                        for (int point = 0; point < layer.points - !whole; ++point)
                            to[place(o, point, i, phase, c)] =
                                static_cast<float>(transformed_weight(point, taps, layer.taps()));
                    }
        layer.weights = to;
    }

    // --- single nodes ---

    void add_alone(int i) {
        const Node &one = node(i);
        if (one.kind == Kind::binarise && one.source != image && real_bits_.at(one.source) != none) {
            values_[i] = real_bits_[one.source];
            plan_.bits_buffer[i] = values_[i];
            plan_.bits_step[i] = plan_.buffers[values_[i]].first;
            return;
        }
        need_image(one.source);
        if (one.kind == Kind::add) need_image(one.second);
        const bool integers = one.from.values == Values::integers;
        const int pixels = one.to.side * one.to.side;
        switch (one.kind) {
        case Kind::max_pool: {
            Step &step = add_step(integers ? Work::max_pool_integers : Work::max_pool, i, "max-pooling");
            step.kernel = one.kernel, step.stride = one.stride, step.padding = one.padding;
            finish(step, i, {one.to.side});
            break;
        }
        case Kind::threshold: {
            Step &step = add_step(integers ? Work::threshold_integers : Work::threshold, i, "threshold");
            if (integers) {
                add_limits(step, one);
            } else {
                step.limit = stored(one.real_thresholds), step.at_most = stored(one.at_most);
            }
            finish(step, i, {pixels});
            break;
        }
        case Kind::binarise:
            finish(add_step(Work::threshold, i, "binarisation"), i, {pixels});
            break;
        case Kind::affine: {
            Step &step = add_step(integers ? Work::affine_integers : Work::affine, i, "batch norm");
            step.scale = one.scale;
            add_affine(step, one);
            finish(step, i, {pixels});
            break;
        }
        case Kind::add: {
            Step &step = add_step(Work::add, i, "sum");
            step.second = use(one.second);
            finish(step, i, {pixels});
            break;
        }
        case Kind::relu:
            finish(add_step(Work::relu, i, "relu"), i, {pixels});
            break;
        case Kind::average_pool:
            finish(add_step(Work::average_pool, i, "average pooling"), i, {1});
            break;
        case Kind::linear: {
            Step &step = add_step(Work::linear, i, "classifier");
            step.macs = static_cast<double>(one.weights.size());
            const std::size_t area = static_cast<std::size_t>(one.from.side) * one.from.side,
                              stride = real_stride(one.from.channels), channels = one.from.channels;
            step.weights = Bytes(sizeof(float) * one.to.channels * area * stride);
            for (int k = 0; k < one.to.channels; ++k)
                for (std::size_t c = 0; c < channels; ++c)
                    for (std::size_t p = 0; p < area; ++p)
                        step.weights.as<float>()[(k * area + p) * stride + c] =
                            one.weights[(k * channels + c) * area + p];
            step.term = stored(one.bias);
            finish(step, i, {one.to.channels});
            break;
        }
        default:
            break; // convolutions are never alone
        }
    }

    void finish(Step &step, int i, std::vector<int> phases) {
        step.source = use(node(i).source);
        step.phases = std::move(phases);
        step.result = add_map(step.to);
        values_[i] = step.result;
        if (step.to.values == Values::bits) step.bits = step.result, set_bits(i, step.result);
    }

    // --- the whole ---

    void make_table() {
        std::vector<float> table;
        for (int c = 0; c < model_.channels; ++c) {
            const float spread = 255.0f * model_.deviation[c], scale = 1.0f / spread;
            const float shift = -255.0f * model_.mean[c] / spread;
            for (int byte = 0; byte < 256; ++byte) table.push_back(std::fma(static_cast<float>(byte), scale, shift));
        }
        plan_.table = stored(table);
    }

    // Gives each buffer the lowest place that is free while it is needed.
    void place() {
        std::vector<Buffer *> placed;
        std::uint64_t arena = 0;
        for (Buffer &buffer : plan_.buffers) {
            const std::uint64_t bytes = (buffer.bytes + 63) / 64 * 64;
            std::uint64_t offset = 0;
            for (bool moved = true; moved;) {
                moved = false;
                for (const Buffer *other : placed) {
                    const bool together = buffer.first <= other->last && other->first <= buffer.last;
                    if (together && offset < other->offset + other->bytes && other->offset < offset + bytes)
                        offset = other->offset + other->bytes, moved = true;
                }
            }
            arena = std::max(arena, offset + bytes);
            if (arena > most_arena) throw Error{BNN_UNSUPPORTED, "its feature maps take more than 4 GiB"};
            buffer.bytes = bytes, buffer.offset = static_cast<std::size_t>(offset);
            placed.push_back(&buffer);
        }
        plan_.arena = static_cast<std::size_t>(arena);
    }

    struct RealBits {
        std::vector<std::pair<int, int>> known;
        int at(int i) const {
            for (const auto &one : known)
                if (one.first == i) return one.second;
            return none;
        }
        int &operator[](int i) {
            for (auto &one : known)
                if (one.first == i) return one.second;
            known.emplace_back(i, none);
            return known.back().second;
        }
    };

    const Model &model_;
    const Kernels &kernels_;
    Plan plan_;
    std::vector<std::vector<int>> readers_;
    std::vector<int> values_;  // of each node, the buffer with what it gives
    std::vector<int> ends_;    // of each node at which a step ends, the convolution that begins it
    std::vector<bool> inside_; // of a convolution's step
    RealBits real_bits_;       // of each node of reals, the buffer with their binarisation
    int image_ = none;
};

} // namespace

Plan make_plan(const Model &model, const Kernels &kernels) { return Planner(model, kernels).make(); }

void run_phase(const Plan &plan, const Step &step, int phase, const Input &input, std::uint8_t *arena,
               std::int16_t *scratch, int first, int last) {
    const Kernels &kernels = *plan.kernels;
    const auto at = [&](int buffer) { return buffer == none ? nullptr : arena + plan.buffers[buffer].offset; };
    const auto floats = [&](int buffer) { return reinterpret_cast<float *>(at(buffer)); };
    const auto bits = [&](int buffer) { return reinterpret_cast<std::uint32_t *>(at(buffer)); };
    const auto integers = [&](int buffer) { return reinterpret_cast<std::int16_t *>(at(buffer)); };
    const std::size_t count = last - first, from_stride = real_stride(step.from.channels),
                      to_stride = real_stride(step.to.channels), numbers = words(step.from.channels) * group;
    switch (step.work) {
    case Work::image:
    case Work::convolution: {
        if (phase > 0 && phase + 1 == static_cast<int>(step.phases.size())) {
            const int from = step.real.points ? step.transformed : step.prepared;
            kernels.real_convolve(step.real, floats(from), floats(step.result), bits(step.bits), first, last);
            break;
        }
        if (phase == 1) {
            kernels.filter_rows(step.real, floats(step.prepared), floats(step.transformed), first, last);
            break;
        }
        float *padded = floats(step.work == Work::image ? step.result : step.prepared);
        if (!step.reads_image) {
            kernels.pad_map(step.real, floats(step.source), padded, first, last);
        } else if (input.pixels) {
            kernels.pad_pixels(step.real, input.pixels, plan.table.as<float>(), padded, first, last);
        } else {
            kernels.pad_image(step.real, input.numbers, padded, first, last);
        }
        break;
    }
    case Work::binary_convolution: {
        auto *counts = reinterpret_cast<std::uint16_t *>(at(step.counts));
        if (phase == 0) {
            kernels.prepare(step.binary, bits(step.source), at(step.prepared), counts, first, last);
            break;
        }
        Epilogue epilogue;
        epilogue.limit = step.limit.as<std::int16_t>(), epilogue.flip = step.flip.as<std::uint32_t>();
        epilogue.factor = step.factor.as<float>(), epilogue.term = step.term.as<float>();
        epilogue.added = floats(step.second), epilogue.scale = step.scale, epilogue.bits = bits(step.bits);
        if (step.to.values == Values::integers) {
            epilogue.integers = integers(step.result);
        } else if (step.to.values == Values::reals) {
            epilogue.reals = floats(step.result);
        }
        kernels.convolve(step.binary, at(step.prepared), counts, epilogue, first, last, scratch);
        break;
    }
    case Work::affine:
        kernels.affine(floats(step.source) + first * from_stride, step.factor.as<float>(), step.term.as<float>(),
                       floats(step.result) + first * to_stride, count, static_cast<int>(from_stride));
        break;
    case Work::affine_integers:
        kernels.affine_integers(integers(step.source) + first * numbers, step.scale, step.factor.as<float>(),
                                step.term.as<float>(), floats(step.result) + first * to_stride, count,
                                step.from.channels);
        break;
    case Work::add:
        kernels.add(floats(step.source) + first * from_stride, floats(step.second) + first * from_stride,
                    floats(step.result) + first * to_stride, count * from_stride);
        break;
    case Work::relu:
        kernels.relu(floats(step.source) + first * from_stride, floats(step.result) + first * to_stride,
                     count * from_stride);
        break;
    case Work::threshold:
        kernels.threshold(
            floats(step.source) + first * from_stride, step.limit.as<float>(), step.at_most.as<std::uint8_t>(),
            bits(step.result) + static_cast<std::size_t>(first) * words(step.to.channels), count, step.from.channels);
        break;
    case Work::threshold_integers:
        kernels.threshold_integers(
            integers(step.source) + first * numbers, step.limit.as<std::int16_t>(), step.flip.as<std::uint32_t>(),
            bits(step.result) + static_cast<std::size_t>(first) * words(step.to.channels), count, step.from.channels);
        break;
    case Work::max_pool:
        kernels.max_pool(floats(step.source), floats(step.result), step.from.side, static_cast<int>(from_stride),
                         step.kernel, step.stride, step.padding, step.to.side, first, last);
        break;
    case Work::max_pool_integers:
        kernels.max_pool_integers(integers(step.source), integers(step.result), step.from.side,
                                  static_cast<int>(numbers), step.kernel, step.stride, step.padding, step.to.side,
                                  first, last);
        break;
    case Work::average_pool:
        kernels.average(floats(step.source), floats(step.result), step.from.side * step.from.side,
                        static_cast<int>(from_stride));
        break;
    case Work::linear:
        kernels.linear(floats(step.source), step.weights.as<float>(), step.term.as<float>(), floats(step.result),
                       from_stride * step.from.side * step.from.side, first, last);
        if (last == step.to.channels) std::fill_n(floats(step.result) + last, to_stride - last, 0.0f);
        break;
    }
}

} // namespace bnn
