/* Images of the formats PPM and PGM, and how they become what a network sees. */
#ifndef IMAGE_H
#define IMAGE_H

#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct image {
    int width, height, channels; /* 1 or 3 */
    uint8_t *pixels;             /* rows of pixels of channels */
} image;

/* How an image is brought to the network's size, as the networks' training did it. */
typedef enum image_way {
    IMAGE_SQUARE = 0, /* the largest centred square, bicubically */
    IMAGE_CENTRE = 1  /* the centre, 224/256 of the shorter side, bilinearly */
} image_way;

/* Reads binary PPM (P6) or PGM (P5) of 8 or 16 bits. Returns 0, or what is wrong. The pixels are to be freed. */
const char *image_read(FILE *file, image *result);

/* Whether another image follows the one that was read: a file or a stream of these formats may have several. */
int image_follows(FILE *file);

/* Writes size * size pixels of 1 (grey) or 3 channels. Returns 0, or what is wrong. */
const char *image_bring(const image *source, int size, int channels, image_way way, uint8_t *pixels);

#ifdef __cplusplus
}
#endif
#endif
