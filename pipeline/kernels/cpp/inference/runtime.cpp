// The C interface.
#include "plan.h"
#include "pool.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <mutex>

namespace bnn {

double seconds_now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

const Kernels *find_kernels(const char *name) {
    for (const Kernels *kernels : {avx512_kernels(), avx2_kernels(), neon_kernels(), portable_kernels()})
        if (kernels && (!name || std::strcmp(name, kernels->name) == 0)) return kernels;
    return nullptr;
}

namespace {

// Of this thread, without the time in which others had its processor.
double processor_seconds() {
#if defined(CLOCK_THREAD_CPUTIME_ID)
    timespec time;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0)
        return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
#endif
    return seconds_now();
}

constexpr int most_threads = 256;

thread_local char last_error[4096 + 512]; // the longest path, and what is wrong there

// Notes what is wrong: of what (an argument, say), and where (a file). Allocates nothing.
bnn_status failed(bnn_status status, const char *what = "", const char *where = "") {
    std::snprintf(last_error, sizeof last_error, "%s%s%s%s%s", bnn_message(status), *where ? ": " : "", where,
                  *what ? ": " : "", what);
    return status;
}

// Calls something that may throw.
template <typename Call> bnn_status guarded(Call call, const char *where = "") {
    try {
        return call();
    } catch (const Error &error) {
        return failed(error.status, error.text.c_str(), where);
    } catch (const std::bad_alloc &) {
        return failed(BNN_NO_MEMORY, "", where);
    } catch (const std::exception &error) {
        return failed(BNN_NO_MEMORY, error.what(), where); // a thread or a length that cannot be had
    }
}

// What one thread works with.
struct Lane {
    Bytes arena, scratch;
};

} // namespace
} // namespace bnn

struct bnn_network {
    bnn::Model model;
    bnn::Plan plan;
    std::vector<bnn::Lane> lanes;
    bnn::Pool pool;
    bnn::Barrier barrier;
    std::mutex mutex;

    bnn_network(const std::uint8_t *data, std::size_t size, const bnn::Kernels &kernels, int threads)
        : model(bnn::read_model(data, size)), plan(bnn::make_plan(model, kernels)), lanes(threads), pool(threads),
          barrier(threads) {
        for (bnn::Lane &lane : lanes) lane.arena = bnn::Bytes(plan.arena), lane.scratch = bnn::Bytes(plan.scratch);
        for (bnn::Node &node : model.nodes) node = bnn::Node{}; // the plan has what it needs of them
    }

    void run_alone(const bnn::Input &input, int thread) {
        for (const bnn::Step &step : plan.steps) run_step(step, input, thread);
    }
    void run_step(const bnn::Step &step, const bnn::Input &input, int thread) {
        for (int phase = 0; phase < static_cast<int>(step.phases.size()); ++phase)
            bnn::run_phase(plan, step, phase, input, lanes[thread].arena.as<std::uint8_t>(),
                           lanes[thread].scratch.as<std::int16_t>(), 0, step.phases[phase]);
    }
    // All threads together, in the first one's arena.
    void run_together(const bnn::Input &input, int thread) {
        const std::int64_t threads = pool.threads();
        for (const bnn::Step &step : plan.steps)
            for (int phase = 0; phase < static_cast<int>(step.phases.size()); ++phase) {
                const std::int64_t pieces = step.phases[phase];
                const int first = static_cast<int>(pieces * thread / threads),
                          last = static_cast<int>(pieces * (thread + 1) / threads);
                if (first < last)
                    bnn::run_phase(plan, step, phase, input, lanes[0].arena.as<std::uint8_t>(),
                                   lanes[thread].scratch.as<std::int16_t>(), first, last);
                barrier.wait();
            }
    }
    void take_logits(int thread, float *to) const {
        const auto *from = lanes[thread].arena.as<std::uint8_t>() + plan.buffers[plan.logits].offset;
        std::memcpy(to, from, sizeof(float) * model.classes);
    }
    template <typename ImageOf> void run(std::size_t count, float *logits, ImageOf image_of) {
        const std::lock_guard<std::mutex> lock(mutex);
        const std::size_t threads = pool.threads();
        std::size_t done = 0;
        if (threads > 1 && count >= threads) {
            done = count / threads * threads;
            pool.run([&](int thread) {
                for (std::size_t i = thread; i < done; i += threads) {
                    run_alone(image_of(i), thread);
                    take_logits(thread, logits + i * model.classes);
                }
            });
        }
        for (; done < count; ++done) {
            const bnn::Input input = image_of(done);
            if (threads == 1) {
                run_alone(input, 0);
            } else {
                pool.run([&](int thread) { run_together(input, thread); });
            }
            take_logits(0, logits + done * model.classes);
        }
    }
};

using bnn::failed;
using bnn::guarded;

extern "C" {

const char *bnn_message(bnn_status status) {
    switch (status) {
    case BNN_OK:
        return "no error";
    case BNN_CANNOT_READ:
        return "the file cannot be read";
    case BNN_NOT_PACKED:
        return "this is no packed network";
    case BNN_CUT:
        return "this packed network is cut";
    case BNN_VERSION:
        return "this packed network is of another version of the format";
    case BNN_BYTE_ORDER:
        return "the numbers of this packed network are stored in another byte order";
    case BNN_DAMAGED:
        return "this packed network is damaged, its checksum differs";
    case BNN_CONTRADICTORY:
        return "this packed network contradicts itself";
    case BNN_UNSUPPORTED:
        return "this packed network is beyond what this runtime computes";
    case BNN_NO_MEMORY:
        return "there is not enough memory";
    case BNN_NO_KERNELS:
        return "these kernels do not run on this processor, or are unknown";
    case BNN_ARGUMENT:
        return "an argument is a null pointer or out of range";
    }
    return "unknown status";
}

const char *bnn_error(void) { return bnn::last_error; }

// `where`: the file that the data are from.
static bnn_status load(const void *data, size_t size, const bnn_options *options, bnn_network **network,
                       const char *where) {
    const int threads = options && options->threads ? options->threads : 1;
    if (threads < 1 || threads > bnn::most_threads) return failed(BNN_ARGUMENT, "threads");
    const char *name = options && options->kernels ? options->kernels : std::getenv("BNN_KERNELS");
    if (name && !*name) name = nullptr;
    const bnn::Kernels *kernels = bnn::find_kernels(name);
    if (!kernels) return failed(BNN_NO_KERNELS, name ? name : "");
    return guarded(
        [&] {
            *network = new bnn_network(static_cast<const std::uint8_t *>(data), size, *kernels, threads);
            return BNN_OK;
        },
        where);
}

bnn_status bnn_load_memory(const void *data, size_t size, const bnn_options *options, bnn_network **network) {
    if (!network) return failed(BNN_ARGUMENT, "network");
    *network = nullptr;
    if (!data) return failed(BNN_ARGUMENT, "data");
    return load(data, size, options, network, "");
}

bnn_status bnn_load(const char *path, const bnn_options *options, bnn_network **network) {
    if (!network) return failed(BNN_ARGUMENT, "network");
    *network = nullptr;
    if (!path) return failed(BNN_ARGUMENT, "path");
    return guarded(
        [&] {
            std::unique_ptr<std::FILE, int (*)(std::FILE *)> file(std::fopen(path, "rb"), std::fclose);
            if (!file) return failed(BNN_CANNOT_READ, "", path);
            std::vector<std::uint8_t> data;
            std::uint8_t part[1 << 16];
            while (const std::size_t read = std::fread(part, 1, sizeof part, file.get()))
                data.insert(data.end(), part, part + read);
            if (std::ferror(file.get())) return failed(BNN_CANNOT_READ, "", path);
            if (data.empty()) return failed(BNN_NOT_PACKED, "it is empty", path);
            return load(data.data(), data.size(), options, network, path);
        },
        path);
}

void bnn_free(bnn_network *network) { delete network; }

bnn_status bnn_run(bnn_network *network, const float *images, size_t count, float *logits) {
    if (!network) return failed(BNN_ARGUMENT, "network");
    if (count && !(images && logits)) return failed(BNN_ARGUMENT, images ? "logits" : "images");
    const std::size_t each =
        static_cast<std::size_t>(network->model.channels) * network->model.size * network->model.size;
    return guarded([&] {
        network->run(count, logits, [&](std::size_t i) { return bnn::Input{images + i * each, nullptr}; });
        return BNN_OK;
    });
}

bnn_status bnn_run_pixels(bnn_network *network, const uint8_t *pixels, size_t count, float *logits) {
    if (!network) return failed(BNN_ARGUMENT, "network");
    if (count && !(pixels && logits)) return failed(BNN_ARGUMENT, pixels ? "logits" : "pixels");
    const std::size_t each =
        static_cast<std::size_t>(network->model.channels) * network->model.size * network->model.size;
    return guarded([&] {
        network->run(count, logits, [&](std::size_t i) { return bnn::Input{nullptr, pixels + i * each}; });
        return BNN_OK;
    });
}

int bnn_channels(const bnn_network *network) { return network ? network->model.channels : 0; }
int bnn_size(const bnn_network *network) { return network ? network->model.size : 0; }
int bnn_classes(const bnn_network *network) { return network ? network->model.classes : 0; }
int bnn_threads(const bnn_network *network) { return network ? network->pool.threads() : 0; }

const char *bnn_class_name(const bnn_network *network, int number) {
    if (!network || number < 0 || number >= network->model.classes) return nullptr;
    return network->model.class_names[number].c_str();
}

const char *bnn_information(const bnn_network *network) {
    return network ? network->model.information.c_str() : nullptr;
}
const char *bnn_kernels(const bnn_network *network) { return network ? network->plan.kernels->name : nullptr; }
int bnn_available(const char *kernels) { return kernels && bnn::find_kernels(kernels) ? 1 : 0; }

int bnn_steps(const bnn_network *network) { return network ? static_cast<int>(network->plan.steps.size()) : 0; }

static const bnn::Step *find_step(const bnn_network *network, int step) {
    return step >= 0 && step < bnn_steps(network) ? &network->plan.steps[step] : nullptr;
}

int bnn_step_node(const bnn_network *network, int step) {
    const bnn::Step *found = find_step(network, step);
    return found ? found->node : -1;
}

const char *bnn_step_name(const bnn_network *network, int step) {
    const bnn::Step *found = find_step(network, step);
    return found ? found->name.c_str() : nullptr;
}

double bnn_step_macs(const bnn_network *network, int step) {
    const bnn::Step *found = find_step(network, step);
    return found ? found->macs : 0;
}

bnn_status bnn_profile(bnn_network *network, const uint8_t *pixels, int rounds, double *seconds) {
    if (!network || !pixels || !seconds || rounds < 1)
        return failed(BNN_ARGUMENT, !network ? "network" : !pixels ? "pixels" : !seconds ? "seconds" : "rounds");
    return guarded([&] {
        const std::lock_guard<std::mutex> lock(network->mutex);
        const int steps = bnn_steps(network);
        std::vector<double> best(steps, 1e30);
        for (int round = 0; round < rounds; ++round)
            for (int i = 0; i < steps; ++i) {
                // Asking for the processor's time takes a while itself, which matters to short steps alone; being
                // interrupted matters to long ones.
                const double spent = bnn::processor_seconds(), begin = bnn::seconds_now();
                network->run_step(network->plan.steps[i], {nullptr, pixels}, 0);
                const double end = bnn::seconds_now();
                best[i] = std::min({best[i], end - begin, bnn::processor_seconds() - spent});
            }
        for (int i = 0; i < steps; ++i) seconds[i] += best[i];
        return BNN_OK;
    });
}

bnn_status bnn_bits(bnn_network *network, const float *image, int node, uint8_t *bits) {
    if (!network || !image || !bits) return failed(BNN_ARGUMENT, !network ? "network" : !image ? "image" : "bits");
    const bnn::Plan &plan = network->plan;
    if (node < 0 || node >= static_cast<int>(plan.bits_buffer.size()) || plan.bits_buffer[node] == bnn::none)
        return failed(BNN_ARGUMENT, "node");
    return guarded([&] {
        const std::lock_guard<std::mutex> lock(network->mutex);
        for (int i = 0; i <= plan.bits_step[node]; ++i) network->run_step(plan.steps[i], {image, nullptr}, 0);
        const bnn::Step &step = plan.steps[plan.bits_step[node]];
        const auto *from = reinterpret_cast<const std::uint32_t *>(network->lanes[0].arena.as<std::uint8_t>() +
                                                                   plan.buffers[plan.bits_buffer[node]].offset);
        const std::size_t area = static_cast<std::size_t>(step.to.side) * step.to.side;
        const int all = bnn::words(step.to.channels);
        for (int c = 0; c < step.to.channels; ++c)
            for (std::size_t p = 0; p < area; ++p) bits[c * area + p] = from[p * all + c / 32] >> c % 32 & 1;
        return BNN_OK;
    });
}

double bnn_peak(const char *kernels) {
    const bnn::Kernels *found = kernels ? bnn::find_kernels(kernels) : nullptr;
    return found ? found->peak() : 0;
}

} // extern "C"
