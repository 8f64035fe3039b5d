/* Says what is on images: classify IMAGE.ppm …   (- reads standard input) */
#include "image.h"
#include "network.h"
#include "runtime/bnn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { shown = 3 };

/* Prints the likeliest classes with their probabilities. */
static void print_classes(const bnn_network *network, const char *name, float *logits) {
    const int classes = bnn_classes(network);
    double sum = 0;
    float largest = logits[0];
    for (int i = 1; i < classes; ++i)
        if (logits[i] > largest) largest = logits[i];
    for (int i = 0; i < classes; ++i) sum += exp((double)logits[i] - largest);
    printf("%s ", name);
    for (int place = 0; place < shown && place < classes; ++place) {
        int best = 0;
        for (int i = 1; i < classes; ++i)
            if (logits[i] > logits[best]) best = i;
        const double probability = exp((double)logits[best] - largest) / sum;
        printf("%s %s %.1f %%", place ? "," : "", bnn_class_name(network, best), 100 * probability);
        logits[best] = -INFINITY;
    }
    printf("\n");
    fflush(stdout); /* whoever sends images one after another may wait for this answer */
}

/* Classifies the next image of a file. Returns 0, or what is wrong. */
static const char *classify(bnn_network *network, const char *name, FILE *file, uint8_t *pixels, float *logits) {
    image given;
    const char *problem = image_read(file, &given);
    if (problem) return problem;
    problem = image_bring(&given, bnn_size(network), bnn_channels(network), network_way, pixels);
    free(given.pixels);
    if (problem) return problem;
    if (bnn_run_pixels(network, pixels, 1, logits)) return bnn_error();
    print_classes(network, name, logits);
    return 0;
}

/* Classifies the images of a file, one after another. Returns 0, or what is wrong with one. */
static const char *classify_all(bnn_network *network, const char *name, uint8_t *pixels, float *logits) {
    const int standard = strcmp(name, "-") == 0;
    FILE *file = standard ? stdin : fopen(name, "rb");
    if (!file) return "it cannot be opened";
    const char *problem;
    do problem = classify(network, name, file, pixels, logits);
    while (!problem && image_follows(file));
    if (!standard) fclose(file);
    return problem;
}

int main(int count, char **names) {
    if (count < 2) {
        fprintf(stderr, "usage: %s IMAGE.ppm ...   (- reads standard input)\n", names[0]);
        return 2;
    }
    bnn_network *network;
    if (bnn_load_memory(network_data, network_size, NULL, &network)) {
        fprintf(stderr, "error: %s\n", bnn_error());
        return 1;
    }
    const size_t size = (size_t)bnn_size(network);
    uint8_t *pixels = malloc(size * size * (size_t)bnn_channels(network));
    float *logits = malloc(sizeof(float) * (size_t)bnn_classes(network));
    int failed = !(pixels && logits);
    if (failed) fprintf(stderr, "error: there is too little memory\n");
    for (int i = 1; pixels && logits && i < count; ++i) {
        const char *problem = classify_all(network, names[i], pixels, logits);
        if (problem) {
            fprintf(stderr, "error: %s cannot be classified: %s\n", names[i], problem);
            failed = 1;
        }
    }
    free(pixels), free(logits), bnn_free(network);
    return failed;
}
