/* SPDX-License-Identifier: MIT
 *
 * Clients whose requests wait, ordered by when that is over.
 */
#include "compare/client.h"

uint64_t client_now_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* In nanoseconds, so that it is rounded once only, when it is slept for: a millisecond more would be held against a model that has no
 * part in it. */
uint64_t client_due_ns(const web_client *client) {
    return client_now_ns() + (uint64_t)client->request.amount * 1000000;
}

void client_waits_add(client_waits *waits, web_client *client, uint64_t due_ns) {
    struct web_client *before = waits->last;

    while (before != NULL && before->due_ns > due_ns) before = before->previous;
    client->due_ns = due_ns;
    client->previous = before;
    client->next = before != NULL ? before->next : waits->first;
    *(before != NULL ? &before->next : &waits->first) = client;
    *(client->next != NULL ? &client->next->previous : &waits->last) = client;
    client->waits = true;
}

void client_waits_remove(client_waits *waits, web_client *client) {
    if (!client->waits) return;
    *(client->previous != NULL ? &client->previous->next : &waits->first) = client->next;
    *(client->next != NULL ? &client->next->previous : &waits->last) = client->previous;
    client->waits = false;
}

int client_waits_ms(const client_waits *waits) {
    if (waits->first == NULL) return -1;
    uint64_t now = client_now_ns();
    return waits->first->due_ns > now ? (int)((waits->first->due_ns - now + 999999) / 1000000) : 0;
}

web_client *client_waits_take(client_waits *waits) {
    web_client *first = waits->first;

    if (first != NULL) client_waits_remove(waits, first);
    return first;
}

web_client *client_waits_due(client_waits *waits) {
    web_client *first = waits->first;

    if (first == NULL || first->due_ns > client_now_ns()) return NULL;
    first->waited = true;
    return client_waits_take(waits);
}
