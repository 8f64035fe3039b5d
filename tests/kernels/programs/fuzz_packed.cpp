// fuzz_packed NETWORK SEED ROUNDS
// Damages a packed network in many ways, half of them with checksums that fit, and loads and runs what comes of it. It
// ends with 0 unless something crashes or a sanitizer finds fault; prints how many were refused, by status, and how
// many ran.
#include "bnn.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

static std::uint32_t checksum(const std::uint8_t *data, std::size_t size) {
    std::uint32_t sum = ~0u;
    for (std::size_t i = 0; i < size; ++i) {
        sum ^= data[i];
        for (int bit = 0; bit < 8; ++bit) sum = sum & 1 ? 0xEDB88320u ^ (sum >> 1) : sum >> 1;
    }
    return ~sum;
}

static void put(std::uint8_t *to, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) to[i] = static_cast<std::uint8_t>(value >> 8 * i);
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    std::vector<std::uint8_t> whole;
    std::FILE *file = std::fopen(arguments[1], "rb");
    if (!file) return 3;
    for (int byte; (byte = std::fgetc(file)) != EOF;) whole.push_back(static_cast<std::uint8_t>(byte));
    std::fclose(file);
    std::mt19937 draw(static_cast<unsigned>(std::atoi(arguments[2])));
    const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(draw() % limit); };
    const std::uint8_t favourites[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0x7f, 0x80, 0xff};
    const char *kernels[] = {"portable", "avx2"};
    int refused[16] = {}, ran = 0, large = 0;
    for (int round = 0; round < std::atoi(arguments[3]); ++round) {
        std::vector<std::uint8_t> data = whole;
        const std::size_t nodes = 128, nodes_end = nodes + whole[36] * std::size_t{16};
        for (std::size_t changes = 1 + below(4); changes--;) {
            // The header and the nodes are what hurts most.
            const std::size_t where = below(10);
            const std::size_t place = where < 3   ? 8 + below(120)
                                      : where < 8 ? nodes + below(nodes_end - nodes)
                                                  : below(data.size());
            data[place] = below(2) ? favourites[below(sizeof favourites)] : static_cast<std::uint8_t>(draw());
        }
        if (below(8) == 0) data.resize(below(data.size() + 1));
        if (below(16) == 0) data.resize(data.size() + below(300));
        if (data.size() >= 128 && below(8)) {
            if (below(4)) std::memcpy(data.data(), whole.data(), 16);
            if (below(4)) put(data.data() + 16, data.size(), 8);
            put(data.data() + 120, checksum(data.data() + 128, data.size() - 128), 4);
            put(data.data() + 124, checksum(data.data(), 124), 4);
        }
        // Of its exact size on the heap, so that a byte read beyond it is noticed.
        std::uint8_t *exact = static_cast<std::uint8_t *>(std::malloc(data.size() ? data.size() : 1));
        std::memcpy(exact, data.data(), data.size());
        const char *chosen = kernels[below(2)];
        const bnn_options options = {1, bnn_available(chosen) ? chosen : "portable"};
        bnn_network *network = nullptr;
        const bnn_status status = bnn_load_memory(exact, data.size(), &options, &network);
        std::free(exact); // a network keeps nothing of what it was loaded from
        if (status) {
            if (network || !*bnn_error() || !*bnn_message(status)) return 4;
            ++refused[status];
            continue;
        }
        double work = 0;
        for (int step = 0; step < bnn_steps(network); ++step) work += bnn_step_macs(network, step);
        const std::size_t side = static_cast<std::size_t>(bnn_size(network)),
                          pixels = side * side * bnn_channels(network);
        if (work < 5e6 && pixels < 100000 && bnn_classes(network) < 100000) {
            const std::vector<std::uint8_t> image(pixels, 200);
            std::vector<float> logits(bnn_classes(network));
            if (bnn_run_pixels(network, image.data(), 1, logits.data())) return 5;
            ++ran;
        } else {
            ++large;
        }
        bnn_free(network);
    }
    std::printf("ran %d, too large to run %d, refused", ran, large);
    for (int status = 1; status < 12; ++status) std::printf(" %d:%d", status, refused[status]);
    std::printf("\n");
    return 0;
}
