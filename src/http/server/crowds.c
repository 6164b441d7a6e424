/* SPDX-License-Identifier: MIT
 *
 * How many connections an address has. A hash table with chains, in two arrays that hold numbers instead
 * of pointers: a connection remembers in four bytes whose crowd it is of.
 */
#include "http/server/crowds.h"

#include <rondo/error.h>
#include <string.h>
#include <sys/auxv.h>

#include "loop/assert.h"
#include "loop/memory.h"

typedef struct rondo__crowd_of {
    rondo__ip ip;
    uint32_t next; /* in the chain, or in the list of free ones */
    uint32_t count;
} crowd;

#define FIRST_SIZE 16u

/* Nobody may find out which addresses share a chain: the seed is the kernel's (getauxval(3)). */
static uint64_t make_seed(const rondo__crowds *crowds) {
    uint64_t random[2] = {0, (uintptr_t)crowds};
    const void *given = (const void *)(uintptr_t)getauxval(AT_RANDOM);
    if (given) memcpy(random, given, sizeof random);
    return random[0] ^ random[1] * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t mix(uint64_t x) {
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    return x ^ x >> 32;
}

static uint32_t slot_of(const rondo__crowds *crowds, const rondo__ip *ip) {
    uint64_t parts[2];
    memcpy(parts, ip->bytes, sizeof parts);
    return (uint32_t)mix(mix(parts[0] ^ crowds->seed) + parts[1]) & crowds->mask;
}

static bool same(const rondo__ip *a, const rondo__ip *b) {
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* As many slots as places: chains are one long on the average. */
static int grow(rondo__crowds *crowds) {
    uint32_t size = crowds->size ? crowds->size * 2 : FIRST_SIZE;
    if (size == 0) return RONDO_ENOMEM;
    if (crowds->size == 0) crowds->seed = make_seed(crowds);
    uint32_t *heads = rondo__zalloc(size * sizeof *heads);
    crowd *all = heads ? rondo__realloc(crowds->all, size * sizeof *all) : NULL;
    if (!all) {
        rondo__free(heads);
        return RONDO_ENOMEM;
    }
    crowds->all = all;
    rondo__free(crowds->heads);
    crowds->heads = heads;
    crowds->mask = size - 1;
    for (uint32_t i = 1; i < crowds->used; i++) { /* none is free, or there was no need to grow */
        uint32_t *head = &heads[slot_of(crowds, &all[i].ip)];
        all[i].next = *head;
        *head = i;
    }
    if (crowds->used == 0) crowds->used = 1;
    crowds->size = size;
    return 0;
}

static int64_t add(rondo__crowds *crowds, const rondo__ip *ip) {
    uint32_t number = crowds->free;
    if (number) {
        crowds->free = crowds->all[number].next;
    } else {
        if (crowds->used == crowds->size) {
            int status = grow(crowds);
            if (status < 0) return status;
        }
        number = crowds->used++;
    }
    uint32_t *head = &crowds->heads[slot_of(crowds, ip)];
    crowds->all[number] = (crowd){.ip = *ip, .next = *head, .count = 1};
    *head = number;
    return number;
}

/* What counts of it: of IPv6 the first half. */
static rondo__ip group_of(const rondo__ip *ip) {
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    rondo__ip group = *ip;
    if (memcmp(ip->bytes, mapped, sizeof mapped) != 0) memset(group.bytes + 8, 0, 8);
    return group;
}

int64_t rondo__crowds_join(rondo__crowds *crowds, const rondo__ip *ip, size_t most) {
    rondo__ip group = group_of(ip);
    uint32_t number = crowds->size ? crowds->heads[slot_of(crowds, &group)] : 0;
    while (number && !same(&crowds->all[number].ip, &group)) number = crowds->all[number].next;
    if (!number) return add(crowds, &group);
    if (crowds->all[number].count >= most) return 0;
    crowds->all[number].count++;
    return number;
}

void rondo__crowds_leave(rondo__crowds *crowds, uint32_t number) {
    RONDO_ASSERT(number > 0 && number < crowds->used && crowds->all[number].count > 0);
    crowd *it = &crowds->all[number];
    if (--it->count > 0) return;
    uint32_t *link = &crowds->heads[slot_of(crowds, &it->ip)];
    while (*link != number) link = &crowds->all[*link].next;
    *link = it->next;
    it->next = crowds->free;
    crowds->free = number;
}

void rondo__crowds_fini(rondo__crowds *crowds) {
    rondo__free(crowds->all);
    rondo__free(crowds->heads);
    *crowds = (rondo__crowds){0};
}
