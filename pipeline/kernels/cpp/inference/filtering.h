// Minimal filtering along rows (Winograd, 1980; Lavin and Gray, 2016) for real convolutions: four outputs of a row from
// taps + 3 products for each row of the kernel and each channel in place of 4 * taps. A kernel of stride s is s kernels
// of stride 1, one for every s-th column of the input (its phase), of ceil(kernel / s) taps at most.
//
// Four outputs y of `taps` weights g over taps + 3 inputs d are Toom and Cook's product of polynomials, transposed:
// y = A^T [(G g) * (B^T d)], with a row of G and of B^T for each point at which the polynomials are evaluated. The
// points are 0, 1, -1, 2, -2, for four taps 1/2 too, and infinity, last. Rounding errors are about twice those of the
// plain sum.
#pragma once

namespace bnn {
namespace {

constexpr int least_filtered = 32; // output channels, below which it takes more time than it saves
constexpr int least_taps = 3, most_taps = 4;
constexpr int most_points = filtered + most_taps - 1;
constexpr double finite_points[most_points - 1] = {0, 1, -1, 2, -2, 0.5};

struct InputTransform {
    float at[most_points][most_points]; // B^T: point, input
};

// The row of a point is the product of x - q over all other finite points q.
constexpr InputTransform input_transform(int taps) {
    InputTransform found{};
    const int points = filtered + taps - 1;
    for (int point = 0; point < points; ++point) {
        double row[most_points + 1] = {1};
        for (int other = 0; other + 1 < points; ++other) {
            if (other == point) continue;
            for (int k = most_points - 1; k >= 0; --k) row[k] = (k ? row[k - 1] : 0) - finite_points[other] * row[k];
        }
        for (int k = 0; k < points; ++k) found.at[point][k] = static_cast<float>(row[k]);
    }
    return found;
}

// A row of G times the weights.
constexpr double transformed_weight(int point, const double *weights, int taps) {
    const int finite = filtered + taps - 2;
    if (point == finite) return weights[taps - 1];
    double value = 0, scale = 1;
    for (int k = taps - 1; k >= 0; --k) value = value * finite_points[point] + weights[k];
    for (int other = 0; other < finite; ++other)
        if (other != point) scale *= finite_points[point] - finite_points[other];
    return value / scale;
}

} // namespace
} // namespace bnn
