/* SPDX-License-Identifier: MIT
 *
 * c-ares on the loop: see channel.h. c-ares opens its sockets and tells which of them it wants to
 * read or write; when one is ready, or its next timeout is over, it is called. What it asks of the
 * loop in between (a later timeout, the end of everything) is done in tend(), once after the current
 * callback, since finding the next timeout walks all queries.
 *
 * Its memory is malloc(3)'s and not of the hook of rondo/memory.h: ares_library_init_mem() sets the
 * allocator of the whole process, also when somebody else, such as libcurl, has c-ares at work
 * already, whose blocks would then go back to the wrong place.
 */
#include "net/dns/channel.h"

#include <rondo/error.h>
#include <rondo/loop.h>

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "loop/alarm.h"
#include "loop/attach.h"
#include "loop/door.h"
#include "loop/handle.h"
#include "loop/io.h"
#include "loop/memory.h"
#include "loop/sigpipe.h"
#include "net/address.h"
#include "net/dns/servers.h"

/* Channels without queries that are kept, 75 KiB each; and for how long one is used, after which
 * the system's settings are read anew. */
#define IDLE_KEPT 4
#define AGE_MAX_NS (UINT64_C(30) * 1000000000)

typedef struct resolver {
    rondo__list channels; /* the one used last first */
    rondo__at_free at_free;
} resolver;

struct rondo__dns_channel {
    rondo__list link;
    rondo_loop *loop;
    ares_channel ares;
    bool first_word;      /* see rondo__dns_channel_takes_first_word() */
    size_t open;          /* queries that c-ares has not called back for */
    size_t wanted;        /* those of them that somebody waits for */
    int failure;          /* why all of them must end, 0: they need not */
    rondo__alarm alarm;   /* the next timeout */
    rondo__flush flush;   /* tend() */
    rondo__list watchers; /* one for each socket */
    uint64_t made_ns;
    rondo__dns_settings settings;
    char servers_text[];
};

typedef struct watcher {
    rondo__list link;
    rondo__io io;
    int fd;
    rondo__dns_channel *channel;
} watcher;

/* ---- sockets and timeouts ---- */

/* c-ares writes to TCP with writev(2), which raises SIGPIPE: a server that resets what it has closed would end
 * the process. */
static void process(rondo__dns_channel *channel, int readable_fd, int writable_fd) {
    rondo__sigpipe guard;
    rondo__sigpipe_block(&guard);
    ares_process_fd(channel->ares, readable_fd, writable_fd);
    rondo__sigpipe_restore(&guard, true); /* perhaps: it does not say */
    rondo__flush_later(channel->loop, &channel->flush);
}

/* The socket may be closed and its watcher gone when c-ares returns. */
static void on_socket(rondo_loop *loop, rondo__io *io, int events) {
    watcher *self = RONDO__OF(io, watcher, io);
    int fd = self->fd;
    (void)loop;
    if (rondo__io_watched(io) == 0) self->channel->failure = RONDO_ENOMEM; /* the kernel had none */
    process(self->channel, events & RONDO__READABLE ? fd : ARES_SOCKET_BAD,
            events & RONDO__WRITABLE ? fd : ARES_SOCKET_BAD);
}

static void on_alarm(rondo_loop *loop, rondo__alarm *alarm) {
    (void)loop;
    process(RONDO__OF(alarm, rondo__dns_channel, alarm), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static watcher *find_watcher(rondo__dns_channel *channel, int fd) {
    for (rondo__list *link = channel->watchers.next; link != &channel->watchers; link = link->next)
        if (RONDO__OF(link, watcher, link)->fd == fd) return RONDO__OF(link, watcher, link);
    return NULL;
}

static void drop_watcher(rondo__dns_channel *channel, watcher *self) {
    rondo__io_stop(channel->loop, &self->io);
    rondo__list_remove(&self->link);
    rondo__free(self);
}

/* c-ares wants a socket watched, or is about to close it. It can't be told that this failed, so its
 * queries end in tend(). */
static void on_state(void *arg, ares_socket_t fd, int readable, int writable) {
    rondo__dns_channel *channel = arg;
    watcher *self = find_watcher(channel, fd);
    if (!readable && !writable) {
        if (self) drop_watcher(channel, self);
        return;
    }
    if (!self && (self = rondo__alloc(sizeof *self))) {
        rondo__io_init(&self->io, fd, on_socket);
        self->fd = fd;
        self->channel = channel;
        rondo__list_push_back(&channel->watchers, &self->link);
    }
    int events = (readable ? RONDO__READABLE : 0) | (writable ? RONDO__WRITABLE : 0);
    if (self && rondo__io_watch(channel->loop, &self->io, events) == 0) return;
    channel->failure = RONDO_ENOMEM;
    rondo__flush_later(channel->loop, &channel->flush);
}

static void set_alarm(rondo__dns_channel *channel) {
    struct timeval left;
    if (!ares_timeout(channel->ares, NULL, &left)) {
        rondo__alarm_clear(&channel->alarm);
        return;
    }
    /* It cuts to milliseconds: one more, or the alarm would come too early, and again and again. */
    uint64_t left_ns = (uint64_t)left.tv_sec * 1000000000 + (uint64_t)left.tv_usec * 1000 + 1000000;
    rondo__alarm_set(channel->loop, &channel->alarm, rondo_loop_now_ns(channel->loop) + left_ns);
}

static void tend(rondo__flush *flush) {
    rondo__dns_channel *channel = RONDO__OF(flush, rondo__dns_channel, flush);
    if (channel->open > 0 && (channel->failure || channel->wanted == 0)) ares_cancel(channel->ares);
    channel->failure = 0;
    set_alarm(channel);
}

/* ---- life ---- */

static void destroy(rondo__dns_channel *channel) {
    if (channel->ares) ares_destroy(channel->ares); /* closes its sockets, through on_state() */
    RONDO_ASSERT(channel->open == 0 && rondo__list_empty(&channel->watchers));
    rondo__alarm_clear(&channel->alarm);
    rondo__flush_cancel(&channel->flush);
    rondo__list_remove(&channel->link);
    rondo__free(channel);
}

static void on_loop_free(rondo_loop *loop, rondo__at_free *hook) {
    resolver *self = RONDO__OF(hook, resolver, at_free);
    while (!rondo__list_empty(&self->channels))
        destroy(RONDO__OF(self->channels.next, rondo__dns_channel, link));
    rondo__loop_set_part(loop, RONDO__PART_RESOLVER, NULL);
    rondo__free(self);
}

static resolver *resolver_of(rondo_loop *loop) {
    resolver *self = rondo__loop_part(loop, RONDO__PART_RESOLVER);
    if (self) return self;
    self = rondo__alloc(sizeof *self);
    if (!self) return NULL;
    rondo__list_init(&self->channels);
    rondo__at_loop_free(loop, &self->at_free, on_loop_free);
    rondo__loop_set_part(loop, RONDO__PART_RESOLVER, self);
    return self;
}

/* Never undone: c-ares counts, without a lock, who uses it. */
static void init_library(void) { (void)ares_library_init(ARES_LIB_INIT_ALL); }

static int error_of(int status) {
    switch (status) {
    case ARES_SUCCESS: return 0;
    case ARES_ENODATA: return RONDO_ENODATA;
    case ARES_EFORMERR: /* of the server: it did not understand us */
    case ARES_ENOTIMP:
    case ARES_ESERVFAIL: return RONDO_EDNSFAIL;
    case ARES_EREFUSED: return RONDO_EDNSREFUSED;
    case ARES_EBADNAME: /* with a search domain behind it; it was checked without */
    case ARES_ENOTFOUND: return RONDO_ENOTFOUND;
    case ARES_EBADQUERY:
    case ARES_EBADSTR: return RONDO_EINVAL;
    case ARES_EBADRESP: return RONDO_EPROTO;
    case ARES_ECONNREFUSED: /* nobody is there */
    case ARES_ETIMEOUT: return RONDO_EDNSAGAIN;
    case ARES_EFILE: return RONDO_EIO; /* of the system's settings */
    case ARES_ENOMEM: return RONDO_ENOMEM;
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION: return RONDO_ECANCELED;
    default: return RONDO_EDNSFAIL;
    }
}

/* No EDNS: where a server does not know it, c-ares 1.18 forgets to ask some queries again. An answer
 * of more than 512 bytes comes by TCP. */
static int open_channel(rondo__dns_channel *channel) {
    struct ares_options options = {
        .flags = ARES_FLAG_NOALIASES | (channel->settings.tcp ? ARES_FLAG_USEVC : 0) |
                 (channel->first_word ? ARES_FLAG_NOCHECKRESP : 0),
        .timeout = (int)channel->settings.try_ms,
        .tries = (int)channel->settings.tries,
        .sock_state_cb = on_state,
        .sock_state_cb_data = channel,
    };
    int status = ares_init_options(&channel->ares, &options,
                                   ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                       ARES_OPT_SOCK_STATE_CB);
    if (status == ARES_SUCCESS) return rondo__dns_servers_set(channel->ares, channel->servers_text);
    channel->ares = NULL;
    return error_of(status);
}

static int start(rondo__dns_channel *channel) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_library);
    channel->first_word = channel->settings.first_word;
    int count = 0, error = open_channel(channel);
    if (error == 0) error = rondo__dns_servers_count(channel->ares, &count);
    if (error < 0 || count > 1 || channel->first_word) return error;
    ares_destroy(channel->ares); /* the flags of an open one can't be changed */
    channel->first_word = true;
    return open_channel(channel);
}

static bool same_settings(const rondo__dns_settings *a, const rondo__dns_settings *b) {
    return a->try_ms == b->try_ms && a->tries == b->tries && a->tcp == b->tcp &&
           a->first_word == b->first_word && strcmp(a->servers, b->servers) == 0;
}

/* Ends channels without queries: those that are too old, and the oldest of those that are too many.
 * Returns the one to use, if there is one. */
static rondo__dns_channel *choose(resolver *self, const rondo__dns_settings *settings,
                                  uint64_t now_ns) {
    rondo__dns_channel *chosen = NULL;
    unsigned idle = 0;
    for (rondo__list *link = self->channels.next, *next; link != &self->channels; link = next) {
        rondo__dns_channel *channel = RONDO__OF(link, rondo__dns_channel, link);
        next = link->next;
        bool fresh = now_ns - channel->made_ns < AGE_MAX_NS;
        if (fresh && same_settings(&channel->settings, settings)) {
            chosen = channel;
        } else if (channel->open == 0 && (!fresh || ++idle >= IDLE_KEPT)) {
            destroy(channel);
        }
    }
    return chosen;
}

int rondo__dns_channel_get(rondo_loop *loop, const rondo__dns_settings *settings,
                           rondo__dns_channel **ret_channel) {
    resolver *self = resolver_of(loop);
    uint64_t now_ns = rondo_loop_now_ns(loop);
    if (!self) return RONDO_ENOMEM;
    rondo__dns_channel *channel = choose(self, settings, now_ns);
    if (!channel) {
        size_t size = strlen(settings->servers) + 1;
        channel = rondo__zalloc(sizeof *channel + size);
        if (!channel) return RONDO_ENOMEM;
        channel->loop = loop;
        channel->made_ns = now_ns;
        channel->settings = *settings;
        channel->settings.servers = channel->servers_text;
        memcpy(channel->servers_text, settings->servers, size);
        rondo__list_init(&channel->link);
        rondo__list_init(&channel->watchers);
        rondo__alarm_init(&channel->alarm, on_alarm);
        rondo__flush_init(&channel->flush, tend);
        int error = start(channel);
        if (error < 0) {
            destroy(channel);
            return error;
        }
    }
    rondo__list_remove(&channel->link);
    rondo__list_push_front(&self->channels, &channel->link);
    *ret_channel = channel;
    return 0;
}

/* ---- queries ---- */

const rondo__dns_settings *rondo__dns_channel_settings(const rondo__dns_channel *channel) {
    return &channel->settings;
}

bool rondo__dns_channel_takes_first_word(const rondo__dns_channel *channel) {
    return channel->first_word;
}

void rondo__dns_channel_ask(rondo__dns_channel *channel, const char *name, rondo_dns_type type,
                            bool complete, ares_callback cb, void *arg) {
    enum { CLASS_IN = 1 };
    channel->open++;
    channel->wanted++;
    rondo__flush_later(channel->loop, &channel->flush);
    (complete ? ares_query : ares_search)(channel->ares, name, CLASS_IN, (int)type, cb, arg);
}

void rondo__dns_channel_answered(rondo__dns_channel *channel, bool wanted) {
    RONDO_ASSERT(channel->open > 0 && (!wanted || channel->wanted > 0));
    channel->open--;
    if (wanted) channel->wanted--;
    /* Who is left may be unwanted; and in the end the alarm must be cleared. */
    rondo__flush_later(channel->loop, &channel->flush);
}

void rondo__dns_channel_unwanted(rondo__dns_channel *channel) {
    RONDO_ASSERT(channel->wanted > 0);
    channel->wanted--;
    rondo__flush_later(channel->loop, &channel->flush);
}

int rondo__dns_channel_error(const rondo__dns_channel *channel, int status) {
    if (status == ARES_ECANCELLED && channel->failure) return channel->failure;
    return error_of(status);
}
