/* SPDX-License-Identifier: MIT
 *
 * An intrusive circular doubly linked list. A list head and a node are the same struct; a node that
 * is in no list points to itself, so removing twice is harmless. Internal.
 */
#ifndef RONDO__LIST_H
#define RONDO__LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct rondo__list {
    struct rondo__list *next, *prev;
} rondo__list;

/* The struct of `type` whose `member` is at `pointer`. */
#define RONDO__OF(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void rondo__list_init(rondo__list *node) { node->next = node->prev = node; }

static inline bool rondo__list_empty(const rondo__list *head) { return head->next == head; }

/* Whether a node is in some list. */
static inline bool rondo__list_linked(const rondo__list *node) { return node->next != node; }

static inline void rondo__list_push_back(rondo__list *head, rondo__list *node) {
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void rondo__list_push_front(rondo__list *head, rondo__list *node) {
    rondo__list_push_back(head->next, node);
}

static inline void rondo__list_remove(rondo__list *node) {
    node->prev->next = node->next;
    node->next->prev = node->prev;
    rondo__list_init(node);
}

/* The first node, taken out, or NULL. */
static inline rondo__list *rondo__list_pop_front(rondo__list *head) {
    rondo__list *node = head->next;
    if (node == head) return NULL;
    rondo__list_remove(node);
    return node;
}

/* Moves all of `from` to the end of `to`; `from` is empty then. */
static inline void rondo__list_splice_back(rondo__list *to, rondo__list *from) {
    if (rondo__list_empty(from)) return;
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next = from->next;
    to->prev = from->prev;
    rondo__list_init(from);
}

#endif
