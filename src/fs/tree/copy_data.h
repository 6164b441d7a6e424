/* SPDX-License-Identifier: MIT
 *
 * The contents of one file into another, a piece at a time, by the best way that both have.
 * Internal to src/fs/.
 */
#ifndef RONDO__FS_COPY_DATA_H
#define RONDO__FS_COPY_DATA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum rondo__copy_way { RONDO__COPY_CLONE, RONDO__COPY_KERNEL, RONDO__COPY_BUFFER };

typedef struct rondo__copy_data {
    int from, to;
    bool only_clone;
    enum rondo__copy_way way;
    bool sparse;      /* look for holes */
    bool to_its_end;  /* its size means nothing (/proc): until a read brings nothing */
    int64_t size;     /* of the source, when the copy began */
    int64_t at;       /* done up to here */
    int64_t data_end; /* no hole before this */
    char *buffer;
} rondo__copy_data;

/* `to` is empty. source: fstat(2) of `from`. */
void rondo__copy_data_init(rondo__copy_data *copy, int from, int to, const struct stat *source,
                           bool only_clone);
/* Copies up to `bytes`. Returns 1 when there is more to do, 0 when all is done and copy->at is the
 * size of the copy, or an error. */
int rondo__copy_data_some(rondo__copy_data *copy, int64_t bytes);
void rondo__copy_data_fini(rondo__copy_data *copy);

#endif
