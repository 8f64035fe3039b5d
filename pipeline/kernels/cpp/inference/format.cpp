// Reads the packed format (docs/packed.md). Nothing in a file is believed: each length is checked before it is used.
#include "model.h"

#include <cmath>
#include <cstring>

namespace bnn {
namespace {

constexpr std::size_t header_size = 128, node_size = 16, alignment = 64;
constexpr std::uint32_t version = 1, byte_order = 0x01020304;
constexpr std::uint32_t most_nodes = 4096, most_channels = 1 << 16, most_side = 1 << 13, most_classes = 1 << 20;
constexpr std::uint64_t most_elements = std::uint64_t{1} << 31;
constexpr int short_always = -32768, short_never = 32767;
const unsigned char magic[8] = {0x89, 'B', 'N', 'N', '\r', '\n', 0x1a, '\n'};

[[noreturn]] void refuse(bnn_status status, std::string text) { throw Error{status, std::move(text)}; }

[[noreturn]] void refuse_node(std::size_t number, const std::string &problem) {
    refuse(BNN_CONTRADICTORY, "node " + std::to_string(number) + " " + problem);
}

template <typename Number> Number take(const std::uint8_t *at) {
    Number number = 0;
    for (std::size_t i = sizeof(Number); i--;) number = static_cast<Number>(number << 8 | at[i]);
    return number;
}
std::uint16_t u16(const std::uint8_t *at) { return take<std::uint16_t>(at); }
std::uint32_t u32(const std::uint8_t *at) { return take<std::uint32_t>(at); }
std::uint64_t u64(const std::uint8_t *at) { return take<std::uint64_t>(at); }
float f32(const std::uint8_t *at) {
    const std::uint32_t bits = u32(at);
    float number;
    std::memcpy(&number, &bits, sizeof number);
    return number;
}

// CRC-32 as in zlib.
std::uint32_t checksum(const std::uint8_t *data, std::size_t size) {
    std::uint32_t table[8][256];
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) value = value & 1 ? 0xEDB88320u ^ (value >> 1) : value >> 1;
        table[0][i] = value;
    }
    for (int k = 1; k < 8; ++k)
        for (int i = 0; i < 256; ++i) table[k][i] = table[0][table[k - 1][i] & 255] ^ (table[k - 1][i] >> 8);
    std::uint32_t sum = ~0u;
    for (; size >= 8; size -= 8, data += 8) {
        const std::uint32_t low = sum ^ u32(data), high = u32(data + 4);
        sum = table[7][low & 255] ^ table[6][low >> 8 & 255] ^ table[5][low >> 16 & 255] ^ table[4][low >> 24] ^
              table[3][high & 255] ^ table[2][high >> 8 & 255] ^ table[1][high >> 16 & 255] ^ table[0][high >> 24];
    }
    for (; size; --size) sum = table[0][(sum ^ *data++) & 255] ^ (sum >> 8);
    return ~sum;
}

// Takes one array after another from a section.
class Section {
public:
    Section(const std::uint8_t *begin, std::size_t length, const char *name) : at_(begin), left_(length), name_(name) {}
    // The next `length` bytes and what fills them up to whole 4.
    const std::uint8_t *next(std::uint64_t length) {
        length = (length + 3) / 4 * 4;
        if (length > left_) refuse(BNN_CONTRADICTORY, std::string("there are fewer ") + name_ + " than the nodes need");
        const std::uint8_t *found = at_;
        at_ += length, left_ -= length;
        return found;
    }
    void finish() const {
        if (left_) refuse(BNN_CONTRADICTORY, std::string("there are more ") + name_ + " than the nodes need");
    }

private:
    const std::uint8_t *at_;
    std::size_t left_;
    const char *name_;
};

std::vector<float> floats(const std::uint8_t *at, std::size_t count) {
    std::vector<float> numbers(count);
    for (std::size_t i = 0; i < count; ++i) numbers[i] = f32(at + 4 * i);
    return numbers;
}

std::vector<float> finite(std::vector<float> numbers, std::size_t node, const char *name) {
    for (float number : numbers)
        if (!std::isfinite(number)) refuse_node(node, std::string("has ") + name + " that are not finite");
    return numbers;
}

std::vector<std::uint8_t> flags(const std::uint8_t *at, std::size_t count) {
    std::vector<std::uint8_t> found(count);
    for (std::size_t i = 0; i < count; ++i) found[i] = at[i / 8] >> i % 8 & 1;
    return found;
}

bool takes(Kind kind, Values values) {
    switch (kind) {
    case Kind::binary_convolution:
        return values == Values::bits;
    case Kind::max_pool:
    case Kind::threshold:
    case Kind::affine:
        return values != Values::bits;
    default:
        return values == Values::reals;
    }
}

bool has_weights(Kind kind) {
    return kind == Kind::convolution || kind == Kind::binary_convolution || kind == Kind::linear;
}

std::uint64_t weight_count(const Node &node) {
    const std::uint64_t outputs = static_cast<std::uint64_t>(node.to.channels), inputs = node.from.channels;
    if (node.kind == Kind::linear) return outputs * inputs * node.from.side * node.from.side;
    return has_weights(node.kind) ? outputs * inputs * node.kernel * node.kernel : 0;
}

// The shape of what a node gives.
void infer(std::size_t number, Node &node) {
    const Shape &from = node.from;
    Shape &to = node.to;
    if (!takes(node.kind, from.values)) refuse_node(number, "cannot take what its source gives");
    to.side = from.side;
    if (node.kind == Kind::convolution || node.kind == Kind::binary_convolution || node.kind == Kind::max_pool) {
        if (node.kernel < 1 || node.stride < 1 || node.padding >= node.kernel)
            refuse_node(number, "has an impossible kernel, stride or padding");
        const int covered = from.side + 2 * node.padding - node.kernel;
        if (covered < 0) refuse_node(number, "has a kernel larger than its input");
        to.side = covered / node.stride + 1;
    } else if (node.kind == Kind::average_pool || node.kind == Kind::linear) {
        to.side = 1;
    }
    if (!has_weights(node.kind) && to.channels != from.channels)
        refuse_node(number, "does not have the shape of its input");
    to.values = Values::reals;
    if (node.kind == Kind::binary_convolution) to.values = Values::integers;
    if (node.kind == Kind::threshold || node.kind == Kind::binarise) to.values = Values::bits;
    if (node.kind == Kind::max_pool) to.values = from.values;
    const std::uint64_t elements = static_cast<std::uint64_t>(to.channels) * to.side * to.side;
    if (elements > most_elements || weight_count(node) > most_elements)
        refuse_node(number, "is larger than the format allows");
    if (node.kind == Kind::binary_convolution) to.most = node.kernel * node.kernel * from.channels;
    if (node.kind == Kind::max_pool) to.most = from.most;
}

void read_real_weights(std::size_t number, Node &node, unsigned storage, Section &parameters, Section &weights) {
    const std::size_t count = weight_count(node), outputs = node.to.channels;
    std::vector<float> factors;
    if (storage == 2) factors = finite(floats(parameters.next(4 * outputs), outputs), number, "factors");
    const std::size_t size = storage == 0 ? 4 : storage == 1 ? 2 : 1;
    const std::uint8_t *at = weights.next(count * size);
    node.weights.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
        if (storage == 0) {
            node.weights[i] = f32(at + 4 * i);
        } else if (storage == 1) {
            const std::uint32_t bits = static_cast<std::uint32_t>(u16(at + 2 * i)) << 16;
            std::memcpy(&node.weights[i], &bits, sizeof bits);
        } else {
            node.weights[i] = static_cast<float>(static_cast<std::int8_t>(at[i])) * factors[i / (count / outputs)];
        }
    }
    node.weights = finite(std::move(node.weights), number, "weights");
}

void read_arrays(std::size_t number, Node &node, unsigned storage, Section &parameters, Section &weights) {
    const std::size_t channels = node.to.channels;
    switch (node.kind) {
    case Kind::convolution:
        read_real_weights(number, node, storage, parameters, weights);
        break;
    case Kind::linear:
        read_real_weights(number, node, storage, parameters, weights);
        node.bias = finite(floats(parameters.next(4 * channels), channels), number, "bias");
        break;
    case Kind::binary_convolution:
        node.bits = weights.next((weight_count(node) + 7) / 8);
        break;
    case Kind::threshold:
        if (node.from.values == Values::reals) {
            node.real_thresholds = floats(parameters.next(4 * channels), channels);
        } else {
            const bool brief = node.from.most < short_never;
            const std::uint8_t *at = parameters.next((brief ? 2 : 4) * channels);
            for (std::size_t c = 0; c < channels; ++c) {
                if (!brief) {
                    node.thresholds.push_back(static_cast<std::int32_t>(u32(at + 4 * c)));
                    continue;
                }
                const int value = static_cast<std::int16_t>(u16(at + 2 * c));
                node.thresholds.push_back(value == short_always ? INT32_MIN : value == short_never ? INT32_MAX : value);
            }
        }
        node.at_most = flags(parameters.next((channels + 7) / 8), channels);
        break;
    case Kind::affine:
        if (node.from.values == Values::integers)
            node.scale = finite(floats(parameters.next(4), 1), number, "scale")[0];
        node.factors = finite(floats(parameters.next(4 * channels), channels), number, "factor");
        node.terms = finite(floats(parameters.next(4 * channels), channels), number, "term");
        break;
    default:
        break;
    }
}

Node read_node(std::size_t number, const std::uint8_t *at, const Model &model, Section &parameters, Section &weights) {
    Node node;
    if (at[0] < 1 || at[0] > 10)
        refuse_node(number, "is of kind " + std::to_string(at[0]) + ", which this runtime does not know");
    node.kind = static_cast<Kind>(at[0]);
    node.kernel = at[1], node.stride = at[2], node.padding = at[3];
    const std::uint32_t channels = u32(at + 8), storage = u32(at + 12);
    const bool weighs = node.kind == Kind::convolution || node.kind == Kind::linear;
    if (storage > 2 || (storage && !weighs))
        refuse_node(number,
                    "stores its weights in way " + std::to_string(storage) + ", which this runtime does not know");
    if (channels < 1 || channels > (node.kind == Kind::linear ? most_classes : most_channels))
        refuse_node(number, "has " + std::to_string(channels) + " channels");
    node.to.channels = static_cast<int>(channels);
    const auto source = [&](unsigned place, Shape &shape) {
        if (place == 0xFFFF) {
            shape.channels = model.channels, shape.side = model.size;
            return image;
        }
        if (place >= number) refuse_node(number, "reads node " + std::to_string(place) + ", which comes later");
        shape = model.nodes[place].to;
        return static_cast<int>(place);
    };
    node.source = source(u16(at + 4), node.from);
    if (node.kind == Kind::add) {
        Shape other;
        node.second = source(u16(at + 6), other);
        if (other.values != Values::reals) refuse_node(number, "cannot take what its source gives");
        if (other.channels != node.from.channels || other.side != node.from.side)
            refuse_node(number, "does not have the shape of its input");
    }
    infer(number, node);
    read_arrays(number, node, storage, parameters, weights);
    return node;
}

} // namespace

Model read_model(const std::uint8_t *data, std::size_t size) {
    if (size < header_size) {
        const bool begins = size > 0 && std::memcmp(data, magic, size < 8 ? size : 8) == 0;
        refuse(begins ? BNN_CUT : BNN_NOT_PACKED, begins ? "its header is incomplete" : "");
    }
    if (std::memcmp(data, magic, 8) != 0) refuse(BNN_NOT_PACKED, "");
    if (u32(data + 12) != byte_order) refuse(BNN_BYTE_ORDER, "");
    if (u32(data + 8) != version) refuse(BNN_VERSION, "version " + std::to_string(u32(data + 8)) + ", not 1");
    if (checksum(data, header_size - 4) != u32(data + 124)) refuse(BNN_DAMAGED, "its header");
    if (u64(data + 16) != size)
        refuse(BNN_CUT, std::to_string(size) + " bytes where " + std::to_string(u64(data + 16)) + " were written");
    if (checksum(data + header_size, size - header_size) != u32(data + 120)) refuse(BNN_DAMAGED, "its content");
    const std::uint32_t channels = u32(data + 24), side = u32(data + 28), classes = u32(data + 32),
                        count = u32(data + 36);
    if (channels < 1 || channels > most_channels || side < 1 || side > most_side || classes < 1 ||
        classes > most_classes || count < 1 || count > most_nodes)
        refuse(BNN_CONTRADICTORY, "its header has impossible numbers");
    const std::uint8_t *begin[5];
    std::size_t length[5], end = header_size;
    for (int i = 0; i < 5; ++i) {
        const std::uint64_t offset = u64(data + 40 + 16 * i), taken = u64(data + 48 + 16 * i);
        if (offset != (end + alignment - 1) / alignment * alignment || offset > size || taken > size - offset)
            refuse(BNN_CONTRADICTORY, "its sections do not follow one another");
        begin[i] = data + offset, length[i] = taken, end = offset + taken;
    }
    if (end != size || length[0] != count * node_size) refuse(BNN_CONTRADICTORY, "its sections do not fill it");

    Model model;
    model.channels = static_cast<int>(channels), model.size = static_cast<int>(side);
    model.classes = static_cast<int>(classes);
    Section parameters(begin[1], length[1], "parameters"), weights(begin[2], length[2], "weights");
    const std::uint8_t *moments = parameters.next(std::uint64_t{8} * channels);
    model.mean = floats(moments, channels), model.deviation = floats(moments + 4 * channels, channels);
    for (std::uint32_t c = 0; c < channels; ++c)
        if (!std::isfinite(model.mean[c]) || !std::isfinite(model.deviation[c]) || model.deviation[c] <= 0)
            refuse(BNN_CONTRADICTORY, "its mean or deviation is no number to normalise with");
    for (std::uint32_t i = 0; i < count; ++i)
        model.nodes.push_back(read_node(i, begin[0] + i * node_size, model, parameters, weights));
    parameters.finish(), weights.finish();
    const Shape &last = model.nodes.back().to;
    if (last.values != Values::reals || last.channels != model.classes || last.side != 1)
        refuse(BNN_CONTRADICTORY, "its last node does not give a number for each class");
    const char *name = reinterpret_cast<const char *>(begin[3]), *names_end = name + length[3];
    while (name < names_end) {
        const void *zero = std::memchr(name, 0, static_cast<std::size_t>(names_end - name));
        if (!zero) break;
        model.class_names.emplace_back(name, static_cast<const char *>(zero));
        name = static_cast<const char *>(zero) + 1;
    }
    if (name != names_end || model.class_names.size() != classes)
        refuse(BNN_CONTRADICTORY, "it does not name each class");
    model.information.assign(reinterpret_cast<const char *>(begin[4]), length[4]);
    return model;
}

} // namespace bnn
