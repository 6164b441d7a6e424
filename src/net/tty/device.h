/* SPDX-License-Identifier: MIT
 *
 * Every system call on standard descriptors and terminals, in one place. All functions return a
 * negative RONDO_E* on failure. Internal.
 */
#ifndef RONDO__DEVICE_H
#define RONDO__DEVICE_H

#include <rondo/base.h>
#include <rondo/tty.h>

#include <sys/uio.h>
#include <termios.h>

/* A descriptor of one's own for what a standard one is on. */
typedef struct rondo__device {
    int fd;      /* close-on-exec, never 0 to 2 */
    bool socket; /* each call has to say that it must not wait: O_NONBLOCK may not be set */
    bool shared; /* with other processes: O_NONBLOCK has to be borrowed */
    bool found;  /* it was set already */
    bool disk;   /* a regular file or the like: for workers */
} rondo__device;

/* For reading or for writing. Errors of rondo_stdio_open(). */
int rondo__device_open(int number, bool writes, rondo__device *ret_device);

/* As rondo__socket_read() and rondo__socket_write(). */
int64_t rondo__device_read(const rondo__device *device, void *buffer, size_t size);
int64_t rondo__device_write(const rondo__device *device, const struct iovec *iov, int count,
                            int flags);
/* Waits until the fd takes bytes again, or never will. */
void rondo__device_wait_writable(int fd);

/* Puts something unusable on each of 0 to 2 that is closed. */
int rondo__device_fill_gaps(void);

/* O_NONBLOCK on or off. Async-signal-safe, like all that follows. */
int rondo__device_set_blocking(int fd, bool blocking);

/* ---- terminals ---- */

bool rondo__device_is_terminal(int fd);
/* Tells terminals apart, however they were opened. */
int rondo__device_terminal_id(int fd, uint64_t *ret_id);
int rondo__device_get_mode(int fd, struct termios *ret_mode);
int rondo__device_set_mode(int fd, const struct termios *mode);
/* Whether it is our terminal, and another process group has it now. */
bool rondo__device_in_background(int fd);
int rondo__device_size(int fd, unsigned *ret_columns, unsigned *ret_rows);
/* Another descriptor for the same: returns it. */
int rondo__device_copy(int fd);

#endif
