/* SPDX-License-Identifier: MIT
 *
 * TLS for the rest of src/net/, with or without OpenSSL. Internal.
 */
#ifndef RONDO__TLS_H
#define RONDO__TLS_H

#include <rondo/tls.h>

/* Makes a stream that is not connected yet, or was accepted, a TLS client: before anything was read
 * or written. Its handshake begins with rondo__stream_connected(). name is copied. 0, or as
 * rondo_tls_start(). */
int rondo__tls_start_client(rondo_stream *stream, rondo_tls_context *context, const char *name);

/* There is one more that needs the context, and will call rondo_tls_context_free(). */
void rondo__tls_context_ref(rondo_tls_context *context);

#endif
