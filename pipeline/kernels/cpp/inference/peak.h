// The rate of a loop that stays in registers.
#pragma once

namespace bnn {
double seconds_now(); // from a fixed moment

namespace {

// Bits in a second of `run(rounds)`, each round of which treats so many: the best of some tries of a millisecond.
template <typename Run> double peak_of(double bits, Run run) {
    double best = 0;
    volatile int kept = 0;
    for (int attempt = 0; attempt < 60; ++attempt) {
        const int rounds = 20000;
        const double begin = seconds_now();
        kept = run(rounds);
        const double rate = bits * rounds / (seconds_now() - begin);
        if (rate > best) best = rate;
    }
    (void)kept;
    return best;
}

} // namespace
} // namespace bnn
