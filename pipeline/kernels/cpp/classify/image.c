#include "image.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* --- reading ----------------------------------------------------------------------------------------------------- */

static const int most_side = 1 << 16;

/* The next number of a header, behind white space and comments; -1 if there is none. */
static long header_number(FILE *file) {
    int c = getc(file);
    while (c == '#' || c == ' ' || c == '\t' || c == '\r' || c == '\n') {
        if (c == '#')
            while (c != '\n' && c != EOF) c = getc(file);
        c = getc(file);
    }
    if (c < '0' || c > '9') return -1;
    long value = 0;
    for (; c >= '0' && c <= '9' && value < 1000000; c = getc(file)) value = 10 * value + (c - '0');
    return value; /* the one character of white space behind it is read */
}

const char *image_read(FILE *file, image *result) {
    const int first = getc(file), second = getc(file);
    if (first != 'P' || (second != '5' && second != '6')) return "it is neither a binary PPM nor a binary PGM";
    const long width = header_number(file), height = header_number(file), white = header_number(file);
    if (width < 1 || height < 1 || width > most_side || height > most_side || white < 1 || white > 65535)
        return "its header makes no sense";
    const int channels = second == '6' ? 3 : 1, wide = white > 255;
    const size_t count = (size_t)width * (size_t)height * (size_t)channels;
    uint8_t *pixels = malloc(count << wide);
    if (!pixels) return "there is too little memory for it";
    if (fread(pixels, (size_t)1 << wide, count, file) != count) {
        free(pixels);
        return "it is cut short";
    }
    /* As Pillow scales them, which gives greys of more than 8 bits as 16, of which the upper 8 are taken. */
    for (size_t i = 0; i < count && white != 255; ++i) {
        const double part = (double)(wide ? pixels[2 * i] << 8 | pixels[2 * i + 1] : pixels[i]) / (double)white;
        const long scaled = wide && channels == 1 ? (long)nearbyint(part * 65535) >> 8 : (long)nearbyint(part * 255);
        pixels[i] = (uint8_t)(scaled > 255 ? 255 : scaled);
    }
    result->width = (int)width, result->height = (int)height, result->channels = channels, result->pixels = pixels;
    return 0;
}

int image_follows(FILE *file) {
    int c = getc(file);
    while (c == ' ' || c == '\t' || c == '\r' || c == '\n') c = getc(file);
    if (c != EOF) ungetc(c, file);
    return c == 'P';
}

/* --- resizing, in the integers that Pillow uses ------------------------------------------------------------------- */

enum { precision = 22 };

typedef struct filter {
    double support;
    double (*at)(double);
} filter;

static double bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static double bilinear(double x) {
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* What each of `size` outputs takes from a line of `length` numbers between two places. */
typedef struct weights {
    int most; /* factors of each output */
    int *first, *count, *factors;
} weights;

static void free_weights(weights *w) { free(w->first), free(w->count), free(w->factors); }

static int make_weights(weights *w, int length, float from, float to, int size, filter how) {
    const double scale = (double)(to - from) / size, wide = scale < 1 ? 1 : scale, support = how.support * wide;
    w->most = (int)ceil(support) * 2 + 1;
    w->first = malloc(sizeof(int) * (size_t)size), w->count = malloc(sizeof(int) * (size_t)size);
    w->factors = calloc((size_t)size * (size_t)w->most, sizeof(int));
    double *exact = malloc(sizeof(double) * (size_t)w->most);
    const int ready = w->first && w->count && w->factors && exact;
    for (int i = 0; ready && i < size; ++i) {
        const double centre = from + (i + 0.5) * scale;
        int first = (int)(centre - support + 0.5), last = (int)(centre + support + 0.5);
        if (first < 0) first = 0;
        if (last > length) last = length;
        double sum = 0;
        for (int j = first; j < last; ++j) sum += exact[j - first] = how.at((j - centre + 0.5) / wide);
        for (int j = 0; j < last - first; ++j) {
            const double part = (sum != 0 ? exact[j] / sum : exact[j]) * (1 << precision);
            w->factors[i * w->most + j] = (int)(part < 0 ? part - 0.5 : part + 0.5);
        }
        w->first[i] = first, w->count[i] = last - first;
    }
    free(exact);
    if (!ready) free_weights(w);
    return ready;
}

/* Resizes `lines` lines of numbers that lie `step` apart. */
static void resize_lines(const weights *w, const uint8_t *source, int lines, ptrdiff_t line, ptrdiff_t step,
                         uint8_t *target, ptrdiff_t target_line, ptrdiff_t target_step, int size) {
    for (int y = 0; y < lines; ++y)
        for (int i = 0; i < size; ++i) {
            const uint8_t *from = source + y * line + w->first[i] * step;
            int32_t sum = 1 << (precision - 1);
            for (int j = 0; j < w->count[i]; ++j) sum += from[j * step] * w->factors[i * w->most + j];
            sum >>= precision;
            target[y * target_line + i * target_step] = (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
        }
}

static const char *resize(const image *source, const float box[4], filter how, int size, uint8_t *pixels) {
    const int channels = source->channels, width = source->width, height = source->height;
    weights across, down;
    if (!make_weights(&across, width, box[0], box[2], size, how)) return "there is too little memory";
    if (!make_weights(&down, height, box[1], box[3], size, how)) {
        free_weights(&across);
        return "there is too little memory";
    }
    uint8_t *middle = malloc((size_t)height * (size_t)size * (size_t)channels);
    const ptrdiff_t row = (ptrdiff_t)width * channels, narrow = (ptrdiff_t)size * channels;
    for (int c = 0; middle && c < channels; ++c) {
        resize_lines(&across, source->pixels + c, height, row, channels, middle + c, narrow, channels, size);
        resize_lines(&down, middle + c, size, channels, narrow, pixels + c, channels, narrow, size);
    }
    free(middle), free_weights(&across), free_weights(&down);
    return middle ? 0 : "there is too little memory";
}

/* --- what a network sees ------------------------------------------------------------------------------------------ */

/* The same image in grey or in three channels, its pixels to be freed. */
static int with_channels(const image *source, int channels, image *result) {
    const size_t count = (size_t)source->width * (size_t)source->height;
    *result = *source;
    result->channels = channels, result->pixels = malloc(count * (size_t)channels);
    if (!result->pixels) return 0;
    for (size_t i = 0; i < count; ++i) {
        const uint8_t *from = source->pixels + i * (size_t)source->channels;
        uint8_t *to = result->pixels + i * (size_t)channels;
        if (source->channels == channels)
            memcpy(to, from, (size_t)channels);
        else if (channels == 3)
            to[0] = to[1] = to[2] = from[0];
        else
            to[0] = (uint8_t)((from[0] * 19595u + from[1] * 38470u + from[2] * 7471u + 0x8000u) >> 16);
    }
    return 1;
}

const char *image_bring(const image *source, int size, int channels, image_way way, uint8_t *pixels) {
    image own;
    if (!with_channels(source, channels, &own)) return "there is too little memory";
    const int width = own.width, height = own.height, shorter = width < height ? width : height;
    const char *problem = 0;
    if (way == IMAGE_SQUARE && width == size && height == size)
        memcpy(pixels, own.pixels, (size_t)size * (size_t)size * (size_t)channels);
    else if (way == IMAGE_SQUARE) {
        const double left = (width - shorter) * 0.5, top = (height - shorter) * 0.5;
        const float box[4] = {(float)left, (float)top, (float)(left + shorter), (float)(top + shorter)};
        const filter how = {2, bicubic};
        problem = resize(&own, box, how, size, pixels);
    } else {
        int side = (int)nearbyint((double)shorter * size / nearbyint(size * (256.0 / 224.0)));
        if (side < 1) side = 1;
        /* The centre is cut out first, in place, so that nothing beside it is mixed into its edge. */
        const size_t left = (size_t)((width - side) / 2), top = (size_t)((height - side) / 2);
        const size_t row = (size_t)side * (size_t)channels;
        for (size_t y = 0; y < (size_t)side; ++y)
            memmove(own.pixels + y * row, own.pixels + ((top + y) * (size_t)width + left) * (size_t)channels, row);
        own.width = own.height = side;
        const float box[4] = {0, 0, (float)side, (float)side};
        const filter how = {1, bilinear};
        problem = resize(&own, box, how, size, pixels);
    }
    free(own.pixels);
    return problem;
}
