/* SPDX-License-Identifier: MIT
 *
 * The standard streams, whatever they are, and terminals.
 *
 *     rondo_stream *in, *out;
 *     if (rondo_stdio_open(loop, 0, &in) == 0 && rondo_stdio_open(loop, 1, &out) == 0)
 *         rondo_pipe(in, out);
 *
 * Descriptors 0, 1 and 2 are shared with the shell and with other programs, so a standard stream
 * works on a descriptor of its own: 0 to 2 stay open, and as they are. In particular O_NONBLOCK,
 * which belongs to what several processes may have open, does not leak to them: a terminal or an
 * anonymous pipe is opened anew through /proc/self/fd, a socket is asked not to wait call by call.
 * Only where that can't be done (a named FIFO, a terminal of another user, no /proc) is the flag
 * set, and taken back when the last such stream closes, at exit, and on the signals below.
 *
 * What was written to 1 or 2 is not lost: rondo_close(), and exit() or the return from main(), hand
 * what is queued to the kernel first, waiting for a slow reader as long as write(2) would; a reader
 * that has gone ends the waiting. That is done before stdio's own buffers are flushed: what printf()
 * has buffered comes behind it. exit() has to be called by the thread that runs the loop. Lost is
 * what is queued at _exit(), at a fatal signal, and after rondo_destroy(), which does not wait.
 *
 * A regular file is read and written by workers, as by file_stream.h, so that a slow disk does not
 * hold up the loop. A device like /dev/null is always ready: it is read and written where the loop
 * dispatches, 64 KiB at a time.
 *
 * Terminals: one whose mode was changed is put back when the stream that changed it closes, at exit,
 * and on signals that end the process: SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGABRT, SIGSEGV and all
 * others that do by default. SIGTSTP puts it back and SIGCONT changes it again. Each of them is
 * caught only if its disposition is the default when the first mode is changed, and the process ends
 * (or stops) as if it were not. SIGKILL, SIGSTOP and _exit() leave the terminal as it is. In a child
 * of fork(2) nothing is flushed and nothing is put back: that is the parent's to do.
 *
 * Job control, as for any program: reading from the background raises SIGTTIN and, where the
 * terminal is set to `tostop`, writing SIGTTOU, and both stop the process. Where they are ignored,
 * and in an orphaned process group, reading and writing fail with RONDO_EIO. A terminal that is gone
 * raises SIGHUP and is at its end for reading; writing to it fails with RONDO_EIO.
 * Loop thread only, except rondo_tty_reset() and rondo_stdio_reserve().
 */
#ifndef RONDO_TTY_H
#define RONDO_TTY_H

#include <rondo/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A stream on standard input (0; it only reads), output (1) or error (2; they only write). The ones
 * that write keep the loop alive only while something is queued. rondo_end() does not shut down a
 * socket, which others may have too. Closing gives back only what is the stream's own: the reader of
 * a pipe sees the end when the process ends. Returns 0, RONDO_EINVAL (another number), RONDO_EBADF
 * (it is closed, or open the other way only), RONDO_ENOTSUP (a listening or datagram socket),
 * RONDO_ENOTCONN, RONDO_EEXIST (the process has a stream on this number), RONDO_EMFILE,
 * RONDO_ENOMEM. */
#define rondo_stdio_open(loop, number, ret_stream) \
    rondo_stdio_open_at((loop), (number), (ret_stream), RONDO_HERE)
RONDO_API int rondo_stdio_open_at(rondo_loop *loop, int number, rondo_stream **ret_stream,
                                  const char *site);

/* Opens those of 0, 1 and 2 that are closed, in such a way that they can't be used: else the next
 * file or socket takes the number, and is written to as standard output. For the beginning of
 * main(). 0, RONDO_EMFILE or RONDO_ENFILE, or why /dev/null can't be opened. */
RONDO_API int rondo_stdio_reserve(void);

/* Whether the stream is on a terminal (of any kind: rondo_stream_open() takes them too). */
RONDO_API bool rondo_is_tty(const rondo_stream *stream);

typedef enum rondo_tty_mode {
    RONDO_TTY_NORMAL, /* as it was found: usually lines, edited and echoed by the kernel */
    RONDO_TTY_CBREAK, /* byte by byte and without echo; Ctrl-C and Ctrl-Z still raise signals */
    RONDO_TTY_RAW     /* every byte as it is, both ways: Ctrl-C is 3, "\n" only moves down */
} rondo_tty_mode;

/* The mode is the terminal's: it is the same for all streams on it, and lasts until it is set to
 * NORMAL or the stream that set it last closes. Takes effect at once; what is typed and not yet read
 * is kept. Returns 0, RONDO_EINVAL (no such mode), RONDO_ENOTSUP (not a terminal), RONDO_EPERM (this
 * is a background process: the terminal is not its own now), RONDO_EMFILE (16 terminals have been
 * changed already), RONDO_EIO, RONDO_ECLOSED. */
RONDO_API int rondo_tty_set_mode(rondo_stream *stream, rondo_tty_mode mode);

/* Puts back at once every terminal that this process has changed, until its mode is set again: for
 * before _exit(), and for the user's own handlers of fatal signals. Any thread, any time:
 * async-signal-safe. */
RONDO_API void rondo_tty_reset(void);

/* The size of the window, in characters. 0, RONDO_ENOTSUP (not a terminal, or one that does not
 * know), RONDO_ECLOSED. */
RONDO_API int rondo_tty_size(const rondo_stream *stream, unsigned *ret_columns, unsigned *ret_rows);

/* The window has another size: see rondo_tty_size(). Never comes for what is no terminal. on and
 * once may also return RONDO_EMFILE, when 256 loops watch signals. */
RONDO_DECLARE_EVENT(rondo_stream, rondo_stream, resize, rondo_stream_cb);

#ifdef __cplusplus
}
#endif
#endif
