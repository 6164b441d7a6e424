/* SPDX-License-Identifier: MIT
 *
 * A connection of the models that stand on Rondo: what client.h is for those that do their own system calls.
 *
 * Requests are taken from `data` events and answered in order. What a request asks for is begun by the model's own function; when
 * it is done, at once or in a later callback, that calls visitor_answer() or visitor_answer_file(). Meanwhile the stream is paused,
 * and what it had sent already is kept. The same while the client doesn't take its answers. Rondo gathers what is written within a
 * callback, so that pipelined answers leave in one system call.
 */
#ifndef COMPARE_VISITOR_H
#define COMPARE_VISITOR_H

#include "compare/model.h"
#include "compare/web.h"

#include <rondo.h>

typedef struct web_visitor web_visitor;

/* Begins what visitor->request asks for. */
typedef void visitor_begin(web_visitor *visitor);

struct web_visitor {
    rondo_stream *stream;
    rondo_loop *loop;
    rondo_timer *timer; /* the model's, made at the first use, closed with the stream; or NULL */
    int directory;
    int fd; /* the model's, between two steps */
    off_t size;
    visitor_begin *begin;
    web_request request;
    web_parser parser;
    bool busy;   /* a request is begun and not answered */
    bool gone;   /* the stream is closed: this one goes when its request is answered */
    bool full;   /* until `drain` */
    bool last;   /* the last answer is written, no further request is looked at */
    bool taking; /* requests are being taken: what is answered at once need not go on with them */
    char *kept;  /* octets that came behind the request that it is busy with */
    size_t kept_len;
};

/* Answers the request; then goes on with the next ones. */
void visitor_answer(web_visitor *visitor);
/* The same with a file, which it closes. */
void visitor_answer_file(web_visitor *visitor, int fd, off_t size);
/* The same with an error, which is `error` of Rondo's; says which when it is the server's fault. */
void visitor_fail(web_visitor *visitor, int error);

/* Serves the connections of a listening socket, which it takes over, until SIGTERM ends the process. Returns an exit status. */
int visitor_serve(const model_settings *settings, int listener, visitor_begin *begin);

/* The WEB_WAIT of all but loop-pool, and everything of `loop`, which `cluster` does too. */
visitor_begin visitor_begin_here;

#endif
