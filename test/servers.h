/* SPDX-License-Identifier: MIT
 *
 * For tests of servers: listeners that note what they hear (see trace.h), and a server's counters.
 */
#ifndef TEST_SERVERS_H
#define TEST_SERVERS_H

#include "streams.h"

TRACE_CALLBACK note_connection(rondo_server *server, rondo_stream *connection, void *arg) {
    note("connection");
}
TRACE_CALLBACK note_server_error(rondo_server *server, int error, void *arg) {
    note("%s", rondo_error_name(error));
}

STREAMS_HELPER rondo_server_figures figures_of(const rondo_server *server) {
    rondo_server_figures figures;
    rondo_server_get_figures(server, &figures);
    return figures;
}

#endif
