/* SPDX-License-Identifier: MIT
 *
 * What can be set on a stream: marks and buffers, timeouts, what the peer's end means. All of them
 * may be called at any time in a stream's life, also before it is open, and return RONDO_ECLOSED
 * once it is closing or has failed. A setting that a stream doesn't have costs it no memory.
 * Loop thread only.
 */
#ifndef RONDO_STREAM_SETTINGS_H
#define RONDO_STREAM_SETTINGS_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Write queue: the mark where rondo_write() begins to say 0 (64 KiB unless set; 0 is taken as 1),
 * and the hard cap (16 MiB unless set). A cap below the mark is raised to it. 0, RONDO_ECLOSED or
 * RONDO_ENOMEM. */
RONDO_API int rondo_stream_set_high_water(rondo_stream *stream, size_t mark_bytes,
                                          size_t cap_bytes);

/* The most bytes that one `data` event brings, and that are read before others get their turn: 64
 * KiB, and RONDO_BUDGET_read_bytes, unless set. More than 64 KiB are 64 KiB; 0 is taken as 1. What
 * was not read waits in the kernel. 0, RONDO_ECLOSED or RONDO_ENOMEM. */
RONDO_API int rondo_stream_set_read_high_water(rondo_stream *stream, size_t bytes);

/* The sizes of the kernel's buffers of a socket, which hold what is not read yet and what is sent
 * and not acknowledged; 0 leaves one alone. The kernel has bounds of its own and counts its
 * bookkeeping too (socket(7), SO_RCVBUF and SO_SNDBUF). One set ends the kernel's tuning of it. 0,
 * RONDO_ECLOSED, RONDO_ENOMEM, RONDO_ENOTSUP for what is no socket. */
RONDO_API int rondo_stream_set_kernel_buffers(rondo_stream *stream, size_t receive_bytes,
                                              size_t send_bytes);

/* Three timeouts, each in ms from now, 0 for none (the default). All tell `timeout`; pushing them
 * ahead is O(1). More than 49 days are 49 days. 0, RONDO_ECLOSED; the last two also RONDO_ENOMEM.
 *
 * Idle: nothing was read or written. */
RONDO_API int rondo_stream_set_timeout(rondo_stream *stream, uint64_t idle_ms);
/* Nothing was read though the stream reads: time in which it is paused, held by a full destination
 * of its pipe, without a listener or not open yet does not count. */
RONDO_API int rondo_stream_set_read_timeout(rondo_stream *stream, uint64_t timeout_ms);
/* Nothing of what is queued could be written: the peer does not read, or is not there. */
RONDO_API int rondo_stream_set_write_timeout(rondo_stream *stream, uint64_t timeout_ms);

/* On: when the peer ends, this side may go on writing and must call rondo_end() itself. 0 or
 * RONDO_ECLOSED. */
RONDO_API int rondo_stream_set_half_open(rondo_stream *stream, bool on);

#ifdef __cplusplus
}
#endif
#endif
