// run_packed NETWORK IMAGES COUNT KERNELS NODE... > logits, then of each image and node its bits
// IMAGES: normalised floats. What another processor, or a sanitizer, computes of a packed network.
#include "bnn.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

int main(int count, char **arguments) {
    if (count < 5) return 2;
    const bnn_options options = {2, arguments[4]};
    bnn_network *network = nullptr;
    if (bnn_load(arguments[1], &options, &network)) {
        std::fprintf(stderr, "%s\n", bnn_error());
        return 1;
    }
    const std::size_t images = std::strtoul(arguments[3], nullptr, 10);
    const std::size_t each = static_cast<std::size_t>(bnn_channels(network)) * bnn_size(network) * bnn_size(network);
    std::vector<float> numbers(images * each), logits(images * bnn_classes(network));
    std::FILE *file = std::fopen(arguments[2], "rb");
    if (!file || std::fread(numbers.data(), sizeof(float), numbers.size(), file) != numbers.size()) return 3;
    std::fclose(file);
    if (bnn_run(network, numbers.data(), images, logits.data())) return 4;
    std::fwrite(logits.data(), sizeof(float), logits.size(), stdout);
    for (std::size_t i = 0; i < images; ++i)
        for (int k = 5; k + 1 < count; k += 2) {
            std::vector<std::uint8_t> bits(std::strtoul(arguments[k + 1], nullptr, 10));
            if (bnn_bits(network, numbers.data() + i * each, std::atoi(arguments[k]), bits.data())) return 5;
            std::fwrite(bits.data(), 1, bits.size(), stdout);
        }
    bnn_free(network);
    return 0;
}
