/* The network of this folder. */
#ifndef NETWORK_H
#define NETWORK_H

#include "image.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

extern const unsigned char network_data[]; /* the packed file */
extern const size_t network_size;          /* its bytes */
extern const image_way network_way;        /* how an image is brought to the network's size */

#ifdef __cplusplus
}
#endif
#endif
