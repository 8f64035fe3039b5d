/* Runs packed binary networks (docs/packed.md). C, without dependencies.

     bnn_network *network;
     bnn_status status = bnn_load("found.bnn", NULL, &network);
     if (status) { fprintf(stderr, "%s\n", bnn_error()); return 1; }
     float logits[...];                                  // bnn_classes(network) of them
     bnn_run_pixels(network, pixels, 1, logits);         // bytes, rows of pixels of channels
     bnn_free(network);

   Images are square: image.h, beside exported sources, brings others to a network's size. A network may be used by
   several threads, which then take turns. No function aborts or throws. */
#ifndef BNN_H
#define BNN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BNN_API __attribute__((visibility("default")))
#else
#define BNN_API
#endif

typedef struct bnn_network bnn_network;

typedef enum bnn_status {
    BNN_OK = 0,
    BNN_CANNOT_READ = 1,   /* the file cannot be opened or read */
    BNN_NOT_PACKED = 2,    /* it is no packed network */
    BNN_CUT = 3,           /* it is shorter or longer than what was written */
    BNN_VERSION = 4,       /* it is of another version of the format */
    BNN_BYTE_ORDER = 5,    /* its numbers are stored in another byte order */
    BNN_DAMAGED = 6,       /* a checksum differs */
    BNN_CONTRADICTORY = 7, /* what it says cannot be */
    BNN_UNSUPPORTED = 8,   /* the network is beyond what this runtime computes */
    BNN_NO_MEMORY = 9,
    BNN_NO_KERNELS = 10, /* this processor or build lacks the instruction set that was asked for */
    BNN_ARGUMENT = 11    /* a null pointer, or a number out of range */
} bnn_status;

/* What a status means, in English. */
BNN_API const char *bnn_message(bnn_status status);

/* The last error of this thread: the same with what is wrong, and where: which file, or which argument. */
BNN_API const char *bnn_error(void);

typedef struct bnn_options {
    int threads; /* 0 for 1. One image is divided by rows, several are dealt out. */
    const char
        *kernels; /* "avx512", "avx2", "neon", "portable"; NULL for the environment's BNN_KERNELS, else the best */
} bnn_options;

/* Loads a packed network; `options` may be NULL. On an error *network is NULL. */
BNN_API bnn_status bnn_load(const char *path, const bnn_options *options, bnn_network **network);
BNN_API bnn_status bnn_load_memory(const void *data, size_t size, const bnn_options *options, bnn_network **network);

/* Releases a network; NULL is allowed. */
BNN_API void bnn_free(bnn_network *network);

/* Computes `count` images' logits, count * bnn_classes numbers. Nothing is allocated.
   `images`: normalised numbers (count, channels, size, size). `pixels`: bytes (count, size, size, channels), which are
   normalised by the network's own mean and deviation. */
BNN_API bnn_status bnn_run(bnn_network *network, const float *images, size_t count, float *logits);
BNN_API bnn_status bnn_run_pixels(bnn_network *network, const uint8_t *pixels, size_t count, float *logits);

BNN_API int bnn_channels(const bnn_network *network);
BNN_API int bnn_size(const bnn_network *network); /* side of an image in pixels */
BNN_API int bnn_classes(const bnn_network *network);
BNN_API int bnn_threads(const bnn_network *network);
BNN_API const char *bnn_class_name(const bnn_network *network, int number); /* UTF-8; NULL if there is no such class */
BNN_API const char *bnn_information(const bnn_network *network);            /* JSON: specification, preparation, … */
BNN_API const char *bnn_kernels(const bnn_network *network);                /* which instruction set computes it */

/* Whether kernels of this name can run here. */
BNN_API int bnn_available(const char *kernels);

/* For tests and benchmarks. A network is computed in steps, each of which does the work of one or more nodes. */

BNN_API int bnn_steps(const bnn_network *network);
BNN_API int bnn_step_node(const bnn_network *network, int step);         /* the first of its nodes */
BNN_API const char *bnn_step_name(const bnn_network *network, int step); /* such as "binary convolution, threshold" */
BNN_API double bnn_step_macs(const bnn_network *network, int step);      /* multiply-accumulates for one image */

/* Computes one image `rounds` times on one thread and adds to seconds[bnn_steps] the least time of each step, without
   the time in which the processor did other things. */
BNN_API bnn_status bnn_profile(bnn_network *network, const uint8_t *pixels, int rounds, double *seconds);

/* The bits that a node gives for one normalised image: bytes (channels, side, side) of 0 and 1.
   BNN_ARGUMENT unless the node is a threshold or a binarisation. */
BNN_API bnn_status bnn_bits(bnn_network *network, const float *image, int node, uint8_t *bits);

/* How many AND-popcount-add of bits these kernels' instruction set does in a second, from registers: the peak that
   binary layers are compared with. 0 if they cannot run here. */
BNN_API double bnn_peak(const char *kernels);

#ifdef __cplusplus
}
#endif
#endif
