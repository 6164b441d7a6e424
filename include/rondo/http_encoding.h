/* SPDX-License-Identifier: MIT
 *
 * Compression of answers (gzip, by zlib), for clients that accept it. Off unless turned on, for a
 * server or a response. Loop thread only.
 *
 *     rondo_http_server_set_compression(server, &(rondo_http_compression){0});
 *
 * What is compressed: answers with a status that has a whole body (not 206), of a media type that
 * shrinks, long enough, when the request accepts gzip at least as much as the identity (RFC 9110
 * section 12.5.3). Not what the application has encoded itself (Content-Encoding), nor what says
 * `Cache-Control: no-transform`. Such an answer has `Content-Encoding: gzip`, its ETag becomes weak
 * (section 8.8.1), and each answer that might have been one has `Vary: Accept-Encoding`. HEAD gets the
 * head that GET would.
 *
 * rondo_http_response_reply(): up to 64 KiB are compressed at once and go with a Content-Length; what
 * would not become shorter goes as it is. More is copied, and compressed and sent 64 KiB a turn, so
 * that the loop is not held up; the response's `close` follows when the last of it was queued.
 * rondo_http_response_write(): what one callback writes leaves, compressed and flushed, when it
 * returns. Pieces of up to 64 KiB keep the loop going. A length that was promised is checked as
 * always, but not sent.
 * Files (http_files.h) are compressed too, up to 16 MiB, if no range was asked for; what is compressed
 * already lies better beside them: see `precompressed` there.
 *
 * Do not compress answers that hold both a secret (a token against forged requests) and something that
 * the request has chosen: their length then tells an observer, guess by guess, what the secret is
 * (BREACH). Turn it off for those with rondo_http_response_compress(response, false).
 */
#ifndef RONDO_HTTP_ENCODING_H
#define RONDO_HTTP_ENCODING_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(field, type, default, what it is) */
#define RONDO_HTTP_COMPRESSION(X)                                                         \
    X(level, int, 4, "of zlib, 1 (fast) to 9 (small)")                                    \
    X(min_bytes, size_t, 1024, "bodies whose length is known and smaller go as they are") \
    X(streams, unsigned, 256,                                                             \
      "answers compressed piece by piece at a time, on one loop, each "                   \
      "with 160 KiB of memory; further ones go as they are")

typedef struct rondo_http_compression {
#define RONDO__COMPRESSION_FIELD(field, type, value, what) type field;
    RONDO_HTTP_COMPRESSION(RONDO__COMPRESSION_FIELD)
#undef RONDO__COMPRESSION_FIELD
} rondo_http_compression;

/* Compresses the answers to requests that arrive from now on. A 0 in a field means its default; NULL:
 * no more. 0, RONDO_EINVAL for a level that is none, RONDO_ECLOSED, or RONDO_ENOSYS without zlib. */
RONDO_API int rondo_http_server_set_compression(rondo_http_server *server,
                                                const rondo_http_compression *options);

/* Whether this answer may be compressed, whatever its server does; with the server's options. To be
 * called before the head: RONDO_EBUSY after it. 0, RONDO_ECLOSED or RONDO_ENOSYS. */
RONDO_API int rondo_http_response_compress(rondo_http_response *response, bool on);

#ifdef __cplusplus
}
#endif
#endif
