// What Python calls: the one place that says which functions there are and what they take. ``signatures.py`` reads the
// types of their arguments from the declarations below, and the compiler compares the definitions with them.
//
// Feature maps lie as (N, H, W, C), filters as (O, 3, 3, C), C without gaps. Functions end with the name of their type
// of numbers: ``float32``, or ``bfloat16`` as its bits. Every function checks its sizes and pointers before it reads or
// writes anything, and returns a Status. `threads` is at least 1.
#pragma once

#include <cstdint>

extern "C" {

enum Status {
    DONE = 0,
    OUT_OF_MEMORY = 1,
    NO_ARRAY = 2, // an address is missing that is needed
    BAD_SIZE = 3, // a size is not positive, or the sizes do not fit each other, or no memory can be so large
    BAD_INDEX = 4 // an image is asked for that is not there
};

#define DECLARE_KERNELS(name, T)                                                                                     \
    /* Max-pooling of 2×2 if `pooled` is given, batch norm, Eq. 1. May be null: pooled, winners, bytes, numbers. */  \
    int forward_##name(const T *x, T *pooled, std::uint8_t *winners, std::int64_t images, std::int64_t height,       \
                       std::int64_t width, std::int64_t channels, const float *gamma, const float *beta,             \
                       float *running_mean, float *running_variance, double momentum, double epsilon, int training,  \
                       float *moments, std::uint8_t *bytes, T *numbers, int threads);                                \
    /* Its gradient; height and width are those before pooling. May be null: winners, if nothing was pooled. */      \
    int backward_##name(const T *gradient, const T *x, const std::uint8_t *winners, std::int64_t images,             \
                        std::int64_t height, std::int64_t width, std::int64_t channels, const float *moments,        \
                        float *of_gamma, float *of_beta, T *out, int threads);                                       \
    /* Eq. 1 alone. May be null: bytes, numbers. */                                                                  \
    int binarise_##name(const T *x, std::int64_t rows, std::int64_t channels, std::uint8_t *bytes, T *numbers,       \
                        int threads);                                                                                \
    /* Its gradient, which may be written over what flows in. */                                                     \
    int pass_##name(const T *gradient, const T *x, std::int64_t rows, std::int64_t channels, T *out, int threads);   \
    /* Eq. 1 of a weight. May be null: signs, numbers. */                                                            \
    int binarise_weight_##name(const float *weight, std::int64_t count, std::int8_t *signs, T *numbers, float *mean, \
                               int threads);                                                                         \
    /* 3×3 convolutions of bits with signs, stride 1, padding 1, times one scale, and their gradients. */            \
    int winograd_forward_##name(const std::uint8_t *bits, std::int64_t images, std::int64_t height,                  \
                                std::int64_t width, std::int64_t inputs, std::int64_t outputs,                       \
                                const std::int8_t *signs, const float *scale, T *out, int threads);                  \
    int winograd_input_gradient_##name(const T *gradient, std::int64_t images, std::int64_t height,                  \
                                       std::int64_t width, std::int64_t inputs, std::int64_t outputs,                \
                                       const std::int8_t *signs, const float *scale, T *out, int threads);           \
    int winograd_filter_gradient_##name(const T *gradient, const std::uint8_t *bits, std::int64_t images,            \
                                        std::int64_t height, std::int64_t width, std::int64_t inputs,                \
                                        std::int64_t outputs, float *out, int threads);

DECLARE_KERNELS(float32, float)
DECLARE_KERNELS(bfloat16, std::uint16_t)

// Crops of images that lie as (N, S, S, C) bytes, through a table (C, 256) of what each byte of each channel becomes.
// `indices`, (B,), say of which images; `rows` and `columns`, (B, S), count from the corner of the padding.
int crop_images(const std::uint8_t *pixels, std::int64_t images, std::int64_t side, std::int64_t channels,
                std::int64_t padding, const std::int64_t *indices, std::int64_t count, const std::int64_t *rows,
                const std::int64_t *columns, const float *table, float *out, int threads);
}
