/* SPDX-License-Identifier: MIT
 *
 * Sending datagrams, and the system calls of UDP handles: counted, and made to fail. What faults.h
 * can't do, since it doesn't look into the messages, the functions of libc do that are replaced here.
 */
#define _GNU_SOURCE
#include "udps.h"

#include "faults.h"

#include <netinet/udp.h>
#include <sys/syscall.h>

static struct calls { int sendmsg, sendmmsg, recvmmsg, errqueue, runs; } calls;
static size_t most_segment; /* of the runs seen */
static int fail_send[8];    /* errnos of the next sends, 0: let it pass */
static int fail_runs;       /* errno of every run */
static int fail_over_bytes; /* EMSGSIZE for longer ones */
static int pass_sends = -1; /* so many datagrams or runs, then EAGAIN; -1: all */
static int fail_receive;    /* errno of every receiving */
static int interrupt_calls; /* EINTR, so often */
static bool no_runs, no_ipv6, no_errqueue, is_ping;

static bool interrupted(void) {
    if (interrupt_calls == 0) return false;
    interrupt_calls--;
    errno = EINTR;
    return true;
}

static size_t segment_of(const struct msghdr *header) {
    uint16_t segment = 0;
    struct cmsghdr *item = CMSG_FIRSTHDR(header);
    if (item && item->cmsg_level == IPPROTO_UDP && item->cmsg_type == UDP_SEGMENT)
        memcpy(&segment, CMSG_DATA(item), sizeof segment);
    return segment;
}

/* Sends one, as the kernel would: 0 or an errno. */
static int send_one(int fd, const struct msghdr *header, int flags) {
    size_t bytes = 0, segment = segment_of(header);
    for (size_t i = 0; i < header->msg_iovlen; i++) bytes += header->msg_iov[i].iov_len;
    CHECK(flags & MSG_NOSIGNAL);
    if (segment > 0) {
        calls.runs++;
        if (segment > most_segment) most_segment = segment;
        if (fail_runs) return fail_runs;
    }
    for (size_t i = 0; i < sizeof fail_send / sizeof *fail_send; i++) {
        int error = fail_send[i];
        if (error == 0) continue;
        fail_send[i] = 0;
        if (error > 0) return error;
        break; /* -1: this one passes */
    }
    if (fail_over_bytes && (segment ? segment : bytes) > (size_t)fail_over_bytes) return EMSGSIZE;
    if (pass_sends == 0) return EAGAIN;
    if (pass_sends > 0) pass_sends--;
    return syscall(SYS_sendmsg, fd, header, flags) < 0 ? errno : 0;
}

ssize_t sendmsg(int fd, const struct msghdr *header, int flags) {
    calls.sendmsg++;
    if (interrupted()) return -1;
    int error = send_one(fd, header, flags);
    if (error == 0) return 1;
    errno = error;
    return -1;
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
    calls.sendmmsg++;
    if (interrupted()) return -1;
    for (unsigned i = 0; i < count; i++) {
        int error = send_one(fd, &messages[i].msg_hdr, flags);
        if (error == 0) continue;
        errno = error;
        return i > 0 ? (int)i : -1;
    }
    return (int)count;
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *limit) {
    calls.recvmmsg++;
    if (interrupted()) return -1;
    if (fail_receive) {
        errno = fail_receive;
        return -1;
    }
    return (int)syscall(SYS_recvmmsg, fd, messages, count, flags, limit);
}

ssize_t recvmsg(int fd, struct msghdr *header, int flags) {
    calls.errqueue += (flags & MSG_ERRQUEUE) != 0;
    if (interrupted()) return -1;
    if (no_errqueue) {
        errno = EAGAIN;
        return -1;
    }
    return syscall(SYS_recvmsg, fd, header, flags);
}

int getsockopt(int fd, int level, int option, void *value, socklen_t *len) {
    if (no_runs && level == IPPROTO_UDP && option == UDP_SEGMENT) {
        errno = ENOPROTOOPT;
        return -1;
    }
    if (is_ping && level == SOL_SOCKET && option == SO_PROTOCOL) {
        *(int *)value = IPPROTO_ICMP;
        return 0;
    }
    return (int)syscall(SYS_getsockopt, fd, level, option, value, len);
}

int socket(int family, int type, int protocol) {
    if (family == AF_INET6 && no_ipv6) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return (int)syscall(SYS_socket, family, type, protocol);
}

static void forget_calls(void) {
    memset(&calls, 0, sizeof calls);
    faults_watch();
}

/* A handle and a socket that it sends to. */
static rondo_udp *new_sender(rondo_loop *loop, int *ret_fd, rondo_address *ret_to) {
    *ret_fd = new_socket("127.0.0.1", ret_to);
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_udp_on_error(udp, note_udp_error, NULL);
    rondo_udp_on_drain(udp, note_udp_drain, NULL);
    run_turns(loop, 1);
    forget_calls();
    return udp;
}

/* Numbered and unequal, so that they don't leave as a run: "0", "1.", "2..", ... */
static void send_numbered(rondo_udp *udp, const rondo_address *to, int count) {
    char text[200];
    for (int i = 0; i < count; i++) {
        int len = snprintf(text, sizeof text, "%d", i);
        memset(text + len, '.', (size_t)i);
        CHECK(rondo_udp_send(udp, to, rondo_slice_of(text, (size_t)(len + i))) >= 0);
    }
}

/* ---- what a call says ---- */

TEST(calls_refuse_what_cannot_be_sent) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *v4 = new_udp(loop, "127.0.0.1"), *v6 = new_udp(loop, "::1");
    rondo_udp *dual = new_udp(loop, NULL);
    rondo_address to4 = address_of("127.0.0.1", 9), to6 = address_of("::1", 9), none = {.len = 0};
    rondo_address no_port = address_of("127.0.0.1", 0), local;
    char *bytes = new_bytes(65528);
    CHECK_INT(rondo_address_parse_unix("/x", &local), 0);
    CHECK_INT(send_text(v4, &to6, "x"), RONDO_EAFNOSUPPORT);
    CHECK_INT(send_text(v6, &to4, "x"), RONDO_EAFNOSUPPORT);
    CHECK_INT(send_text(dual, &local, "x"), RONDO_EAFNOSUPPORT);
    CHECK_INT(send_text(v4, &none, "x"), RONDO_EINVAL);
    CHECK_INT(send_text(v4, &no_port, "x"), RONDO_EINVAL);
    CHECK_INT(send_text(v4, NULL, "x"), RONDO_ENOTCONN);
    CHECK_INT(rondo_udp_try_send(v4, NULL, rondo_slice_text("x")), RONDO_ENOTCONN);
    CHECK_INT(rondo_udp_send(v4, &to4, rondo_slice_of(bytes, 65508)), RONDO_EMSGSIZE);
    CHECK_INT(rondo_udp_send(dual, &to4, rondo_slice_of(bytes, 65508)), RONDO_EMSGSIZE);
    CHECK_INT(rondo_udp_send(dual, &to6, rondo_slice_of(bytes, 65528)), RONDO_EMSGSIZE);
    CHECK_INT(rondo_udp_connect(dual, &to4), 0);
    CHECK_INT(rondo_udp_send(dual, NULL, rondo_slice_of(bytes, 65508)), RONDO_EMSGSIZE);
    CHECK_INT(rondo_udp_connect(dual, &to6), 0);
    CHECK_INT(rondo_udp_try_send(dual, NULL, rondo_slice_of(bytes, 65528)), RONDO_EMSGSIZE);
    CHECK_INT(figures_of(v4).queued_messages + figures_of(dual).queued_messages, 0);
    rondo_close(v4);
    CHECK_INT(send_text(v4, &to4, "x"), RONDO_ECLOSED);
    CHECK_INT(rondo_udp_try_send(v4, &to4, rondo_slice_text("x")), RONDO_ECLOSED);
    end_loop(loop);
    free(bytes);
}

TEST(the_longest_ones_leave) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to4, to6;
    int fd4 = new_socket("127.0.0.1", &to4), fd6 = new_socket("::1", &to6);
    char *bytes = new_bytes(65527), *got = malloc(65527);
    rondo_udp *dual = new_udp(loop, NULL);
    CHECK_INT(rondo_udp_send(dual, &to4, rondo_slice_of(bytes, 65507)), 1);
    CHECK_INT(rondo_udp_send(dual, &to6, rondo_slice_of(bytes, 65527)), 1);
    CHECK_INT(rondo_udp_send(dual, &to4, rondo_slice_of(NULL, 0)), 1);
    CHECK_INT(figures_of(dual).queued_messages, 3);
    CHECK_INT(figures_of(dual).queued_bytes, 65507 + 65527);
    run_turns(loop, 1);
    CHECK_INT(recv(fd4, got, 65527, 0), 65507);
    CHECK_MEM(got, bytes, 65507);
    CHECK_INT(recv(fd6, got, 65527, 0), 65527);
    CHECK_MEM(got, bytes, 65527);
    CHECK_INT(recv(fd4, got, 65527, MSG_DONTWAIT), 0);
    CHECK_INT(figures_of(dual).messages_out, 3);
    CHECK_INT(figures_of(dual).bytes_out, 65507 + 65527);
    CHECK_INT(figures_of(dual).queued_messages + figures_of(dual).queued_bytes, 0);
    end_loop(loop);
    close(fd4), close(fd6), free(bytes), free(got);
}

static void reply(rondo_udp *udp, const rondo_udp_message *message, void *arg) {
    CHECK_INT(rondo_udp_send(arg, message->from, message->data), 1);
}

TEST(a_sender_of_a_mapped_address_is_answered_by_any_handle) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *dual = new_udp(loop, NULL), *v4 = new_udp(loop, "127.0.0.1");
    rondo_address to = to_udp(dual, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from);
    rondo_udp_on_message(dual, reply, v4);
    socket_send_text(fd, &to, "back");
    run_turns(loop, 2);
    note_socket(fd);
    CHECK_TRACE("back");
    end_loop(loop);
    close(fd);
}

TEST(the_first_send_binds) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = rondo_udp_new(loop), *other = rondo_udp_new(loop);
    rondo_address to;
    int fd = new_socket("127.0.0.1", &to);
    CHECK_INT(send_text(udp, &to, "queued"), 1);
    CHECK(rondo_is_active(udp) && port_of(udp) > 0);
    no_ipv6 = true;
    CHECK_INT(rondo_udp_try_send(other, &to, rondo_slice_text("at once")), 7);
    rondo_address local, to6 = address_of("::1", 9);
    CHECK_INT(rondo_udp_local(other, &local), 0);
    CHECK_INT(rondo_address_family(&local), RONDO_FAMILY_IPV4);
    CHECK_INT(send_text(other, &to6, "x"), RONDO_EAFNOSUPPORT);
    run_turns(loop, 1);
    note_socket(fd);
    CHECK_TRACE("at once queued");
    end_loop(loop);
    close(fd);
}

TEST(trying_never_overtakes) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    CHECK_INT(rondo_udp_try_send(udp, &to, rondo_slice_text("1")), 1);
    CHECK_INT(send_text(udp, &to, "2"), 1);
    CHECK_INT(rondo_udp_try_send(udp, &to, rondo_slice_text("3")), RONDO_EAGAIN);
    run_turns(loop, 1);
    pass_sends = 0;
    CHECK_INT(rondo_udp_try_send(udp, &to, rondo_slice_text("3")), RONDO_EAGAIN);
    pass_sends = -1;
    fail_send[0] = ECONNREFUSED; /* of an earlier one: this one is sent */
    CHECK_INT(rondo_udp_try_send(udp, &to, rondo_slice_text("4")), 1);
    fail_send[0] = fail_send[1] = EPERM;
    CHECK_INT(rondo_udp_try_send(udp, &to, rondo_slice_text("5")), RONDO_EPERM);
    run_turns(loop, 2);
    note_socket(fd);
    CHECK_TRACE("1 2 4");
    CHECK_INT(figures_of(udp).messages_out, 3);
    CHECK_INT(figures_of(udp).bytes_out, 3);
    end_loop(loop);
    close(fd);
}

/* ---- the queue ---- */

TEST(above_the_mark_it_says_so_and_drains) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    CHECK_INT(rondo_udp_set_high_water(udp, 200, 400), 0);
    CHECK_INT(send_text(udp, &to, "x"), 1); /* counts 65 */
    run_turns(loop, 2);
    CHECK_TRACE("");
    for (int i = 0; i < 3; i++) CHECK_INT(send_text(udp, &to, "x"), 1);
    for (int i = 0; i < 4; i++) CHECK_INT(send_text(udp, &to, "x"), 0);
    CHECK_INT(send_text(udp, &to, "x"), RONDO_ENOBUFS);
    CHECK_INT(figures_of(udp).queued_messages, 7);
    CHECK_TRACE("");
    run_turns(loop, 2);
    CHECK_TRACE("drain");
    CHECK_INT(send_text(udp, &to, "x"), 1);
    run_turns(loop, 2);
    CHECK_TRACE("");
    CHECK_INT(figures_of(udp).messages_out, 9);
    CHECK_INT(rondo_udp_set_high_water(udp, 0, 0), 0);
    CHECK_INT(send_text(udp, &to, "x"), 0);
    CHECK_INT(send_text(udp, &to, "x"), RONDO_ENOBUFS);
    run_turns(loop, 2);
    CHECK_TRACE("drain");
    end_loop(loop);
    close(fd);
}

TEST(datagrams_without_bytes_fill_the_queue_too) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd, count = 0, status;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    while ((status = rondo_udp_send(udp, &to, rondo_slice_of(NULL, 0))) >= 0) count++;
    CHECK_INT(status, RONDO_ENOBUFS);
    CHECK_INT(count, 4 * 1024 * 1024 / 64);
    end_loop(loop);
    close(fd);
}

TEST(a_full_kernel_is_waited_for) {
    rondo_loop *loop = new_virtual_loop();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    CHECK_INT(rondo_udp_set_high_water(udp, 1, 100000), 0);
    send_numbered(udp, &to, 5);
    pass_sends = 2;
    run_turns(loop, 1);
    CHECK_INT(figures_of(udp).queued_messages, 3);
    CHECK_INT(send_text(udp, &to, "last"), 0);
    pass_sends = -1;
    run_turns(loop, 2);
    note_socket(fd);
    CHECK_TRACE("drain 0 1. 2.. 3... 4.... last");
    check_idle(loop);
    end_loop(loop);
    close(fd);
}

TEST(a_full_device_is_tried_again_after_a_while) {
    rondo_loop *loop = new_virtual_loop();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    for (int i = 0; i < 2; i++) {
        fail_send[0] = -1;
        fail_send[1] = fail_send[2] = i ? ENOMEM : ENOBUFS; /* lost in the middle of a batch */
        send_numbered(udp, &to, 3);
        rondo_loop_run(loop, RONDO_RUN_NOWAIT);
        CHECK_INT(figures_of(udp).queued_messages, 2);
        CHECK_INT(send_text(udp, &to, "last"), 1);
        forget_calls();
        rondo_loop_run(loop, RONDO_RUN_NOWAIT);
        rondo_loop_run(loop, RONDO_RUN_NOWAIT);
        CHECK_INT(calls.sendmsg + calls.sendmmsg, 0); /* not before it is time */
        check_idle(loop);
        note_socket(fd);
        CHECK_TRACE("0 1. 2.. last");
    }
    CHECK_INT(figures_of(udp).failed, 0);
    end_loop(loop);
    close(fd);
}

TEST(a_full_kernel_hides_no_errors) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to, gone = nobody("127.0.0.1");
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    rondo_address self = to_udp(udp, "127.0.0.1");
    CHECK_INT(send_text(udp, &self, "unread"), 1);
    run_turns(loop, 3); /* so it isn't watched for reading any more */
    CHECK_INT(send_text(udp, &gone, "refused"), 1);
    run_turns(loop, 3);
    CHECK_TRACE("");
    pass_sends = 0;
    CHECK_INT(send_text(udp, &to, "x"), 1);
    run_turns(loop, 3);
    CHECK_TRACE("ECONNREFUSED");
    end_loop(loop);
    close(fd);
}

TEST(without_memory_to_watch_it_is_tried_again) {
    enum { HANDLES = 40 };
    rondo_address to;
    int fd = new_socket("127.0.0.1", &to), bytes = 1 << 20, failures = 0;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    for (long n = 0;; n++) {
        rondo_loop *loop = new_virtual_loop();
        rondo_udp *handles[HANDLES];
        for (int i = 0; i < HANDLES; i++) {
            handles[i] = new_udp(loop, "127.0.0.1");
            rondo_loop_run(loop, RONDO_RUN_NOWAIT); /* one at a time: libev's arrays stay small */
        }
        for (int i = 0; i < HANDLES; i++) CHECK_INT(send_text(handles[i], &to, "x"), 1);
        pass_sends = 0;
        harness_fail_alloc_after(n);
        run_turns(loop, 1);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        pass_sends = -1;
        check_idle(loop);
        for (int i = 0; i < HANDLES; i++) CHECK_INT(figures_of(handles[i]).messages_out, 1);
        end_loop(loop);
        if (!failed) break;
        failures++;
    }
    CHECK(failures > 0);
    close(fd);
}

TEST(one_flush_is_bounded) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    for (int i = 0; i < 3000; i++) CHECK(send_text(udp, &to, i % 2 ? "x" : "yy") >= 0);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    size_t first = figures_of(udp).messages_out;
    CHECK(first >= 1024 && first < 3000);
    run_turns(loop, 3);
    CHECK_INT(figures_of(udp).messages_out, 3000);
    end_loop(loop);
    close(fd);
}

/* ---- one that fails ---- */

TEST(one_that_fails_takes_no_other_with_it) {
    const int errors[] = {EPERM, EMSGSIZE, EACCES, EINVAL, ENETUNREACH};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        for (int which = 0; which < 3; which++) {
            rondo_loop *loop = new_virtual_loop();
            rondo_address to;
            int fd;
            rondo_udp *udp = new_sender(loop, &fd, &to);
            rondo_udp_off_error(udp, note_udp_error, NULL);
            rondo_udp_on_error(udp, note_error_to, &to);
            memset(fail_send, 0, sizeof fail_send);
            for (int j = 0; j < which; j++) fail_send[j] = -1;
            /* In the middle of a batch the error is lost, and comes again. */
            for (int j = which; j < which + 2 + (which > 0); j++) fail_send[j] = errors[i];
            send_numbered(udp, &to, 3);
            CHECK_TRACE("");
            run_turns(loop, 1);
            CHECK_INT(figures_of(udp).failed, 1);
            CHECK_INT(figures_of(udp).messages_out, 2);
            note_socket(fd);
            char want[100];
            snprintf(want, sizeof want, "%s:right %s",
                     rondo_error_name(rondo_error_from_errno(errors[i])),
                     which == 0   ? "1. 2.."
                     : which == 1 ? "0 2.."
                                  : "0 1.");
            CHECK_TRACE(want);
            check_idle(loop);
            end_loop(loop);
            close(fd);
        }
    }
}

TEST(one_that_fails_on_a_connected_handle_was_for_its_peer) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    rondo_udp_off_error(udp, note_udp_error, NULL);
    rondo_udp_on_error(udp, note_error_to, &to);
    CHECK_INT(rondo_udp_connect(udp, &to), 0);
    CHECK_INT(send_text(udp, NULL, "x"), 1);
    fail_send[0] = fail_send[1] = EPERM;
    run_turns(loop, 2);
    CHECK_TRACE("EPERM:right");
    end_loop(loop);
    close(fd);
}

TEST(a_broadcast_must_be_allowed) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to, broadcast = address_of("127.255.255.255", 9);
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    CHECK_INT(send_text(udp, &broadcast, "x"), 1);
    run_turns(loop, 2);
    CHECK_TRACE("EACCES");
    CHECK_INT(rondo_udp_set_broadcast(udp, true), 0);
    CHECK_INT(send_text(udp, &broadcast, "x"), 1);
    run_turns(loop, 2);
    CHECK_TRACE("");
    CHECK_INT(figures_of(udp).messages_out, 1);
    end_loop(loop);
    close(fd);
}

TEST(of_many_that_fail_some_are_told_and_all_are_counted) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to, broadcast = address_of("127.255.255.255", 9);
    rondo_metrics metrics;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    for (int i = 0; i < 100; i++) CHECK_INT(send_text(udp, &broadcast, i % 2 ? "x" : "yy"), 1);
    run_turns(loop, 2);
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(figures_of(udp).failed, 100);
    CHECK_INT(metrics.unheard_errors, 100 - 64);
    CHECK_INT(trace_size, 64 * sizeof "EACCES" - 1);
    end_loop(loop);
    close(fd);
}

static void close_at_it(rondo_udp *udp, int error, const rondo_address *to, void *arg) {
    note("%s", rondo_error_name(error));
    rondo_close(udp);
}

TEST(closing_at_the_first_of_several_errors) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address broadcast = address_of("127.255.255.255", 9);
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_udp_on_error(udp, close_at_it, NULL);
    rondo_on_close(udp, note_close, "close");
    for (int i = 0; i < 3; i++) CHECK_INT(send_text(udp, &broadcast, "x"), 1);
    run_all(loop);
    CHECK_TRACE("EACCES close");
    rondo_loop_free(loop);
}

static void send_again(rondo_udp *udp, int error, const rondo_address *to, void *arg) {
    note("%s", rondo_error_name(error));
    if (++*(int *)arg < 3) CHECK_INT(send_text(udp, to, "again"), 1);
}

TEST(closing_at_an_error_ends_the_reading_of_errors) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address gone = nobody("127.0.0.1"), broadcast = address_of("127.255.255.255", 9);
    for (int i = 0; i < 2; i++) {
        rondo_udp *udp = new_udp(loop, "127.0.0.1");
        rondo_udp_on_error(udp, close_at_it, NULL);
        send_numbered(udp, &gone, 3);
        if (i) CHECK_INT(send_text(udp, &broadcast, "x"), 1);
        forget_calls();
        run_turns(loop, 3);
        CHECK_TRACE(i ? "EACCES" : "ECONNREFUSED");
        CHECK_INT(calls.errqueue, i ? 0 : 1);
    }
    end_loop(loop);
}

TEST(an_error_queue_is_read_only_when_there_is_reason_to) {
    rondo_loop *loop = new_virtual_loop();
    rondo_address to, gone = nobody("127.0.0.1");
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    send_numbered(udp, &gone, 2);
    check_idle(loop);
    CHECK_TRACE("ECONNREFUSED ECONNREFUSED");
    rondo_udp_set_high_water(udp, 1, 1000);
    forget_calls();
    CHECK_INT(send_text(udp, &to, "x"), 0);
    check_idle(loop);
    CHECK_TRACE("drain");
    CHECK_INT(calls.errqueue, 0);
    end_loop(loop);
    close(fd);
}

TEST(sending_from_the_error_callback) {
    rondo_loop *loop = new_virtual_loop();
    rondo_address broadcast = address_of("127.255.255.255", 9);
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    int count = 0;
    rondo_udp_on_error(udp, send_again, &count);
    CHECK_INT(send_text(udp, &broadcast, "x"), 1);
    check_idle(loop);
    CHECK_TRACE("EACCES EACCES EACCES");
    end_loop(loop);
}

TEST(errors_without_an_error_queue) {
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address to = nobody("127.0.0.1");
    CHECK_INT(rondo_udp_connect(udp, &to), 0);
    rondo_udp_on_message(udp, note_message, NULL);
    rondo_udp_on_error(udp, note_error_to, &to);
    run_turns(loop, 1);
    no_errqueue = true; /* as elsewhere than on Linux */
    fail_receive = ECONNREFUSED;
    rondo_address self = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from);
    rondo_udp_connect(udp, &from);
    socket_send_text(fd, &self, "x");
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK(strstr(trace, "ECONNREFUSED"));
    fail_receive = 0;
    trace_size = 0;
    check_idle(loop);
    CHECK_TRACE("x");
    end_loop(loop);
    close(fd);
}

TEST(a_socket_that_only_fails_is_left_alone_for_a_while) {
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address self = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from);
    rondo_udp_on_message(udp, note_message, NULL);
    rondo_udp_on_error(udp, note_udp_error, NULL);
    run_turns(loop, 1);
    forget_calls();
    fail_receive = ENOMEM;
    socket_send_text(fd, &self, "x");
    for (int i = 0; i < 5; i++) rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_INT(calls.recvmmsg, 8);
    CHECK(strstr(trace, "ENOMEM"));
    trace_size = 0;
    fail_receive = 0;
    check_idle(loop); /* and tried again */
    CHECK_TRACE("x");
    end_loop(loop);
    close(fd);
}

TEST(a_watch_that_the_kernel_refuses_is_tried_again) {
    rondo_loop *loop = new_virtual_loop();
    start_timer(loop, 0, note_timer, "timer");
    run_turns(loop, 1);
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address self = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from);
    rondo_udp_on_message(udp, note_message, NULL);
    rondo_udp_on_error(udp, note_udp_error, NULL);
    faults_fail(CALL_epoll_ctl, 1, ENOSPC);
    socket_send_text(fd, &self, "x");
    run_turns(loop, 1);
    CHECK_TRACE("timer ENOMEM");
    check_idle(loop);
    CHECK_TRACE("x");
    end_loop(loop);
    close(fd);
}

TEST(interrupted_calls_are_made_again) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    rondo_address self = to_udp(udp, "127.0.0.1"), gone = nobody("127.0.0.1");
    rondo_udp_on_message(udp, note_message, NULL);
    interrupt_calls = 1;
    send_numbered(udp, &to, 2);
    run_turns(loop, 1);
    interrupt_calls = 1;
    CHECK_INT(rondo_udp_try_send(udp, &to, rondo_slice_text("try")), 3);
    socket_send_text(fd, &self, "in");
    interrupt_calls = 1;
    run_turns(loop, 1);
    CHECK_INT(rondo_udp_try_send(udp, &gone, rondo_slice_text("x")), 1);
    interrupt_calls = 1;
    run_turns(loop, 1);
    note_socket(fd);
    CHECK_TRACE("in ECONNREFUSED 0 1. try");
    end_loop(loop);
    close(fd);
}

/* ---- how many calls ---- */

TEST(what_one_callback_sends_leaves_in_one_call) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    send_numbered(udp, &to, 64);
    run_turns(loop, 2);
    CHECK_INT(calls.sendmmsg, 1);
    send_numbered(udp, &to, 100);
    run_turns(loop, 2);
    CHECK_INT(calls.sendmmsg, 3);
    CHECK_INT(calls.sendmsg + calls.runs + calls.errqueue + (int)faults_count(CALL_epoll_ctl), 0);
    send_numbered(udp, &to, 1);
    run_turns(loop, 2);
    CHECK_INT(calls.sendmsg, 1);
    CHECK_INT(calls.sendmmsg, 3);
    CHECK_INT(figures_of(udp).messages_out, 165);
    end_loop(loop);
    close(fd);
}

TEST(a_burst_is_received_in_one_call) {
    const int bursts[] = {1, 16, 63};
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address self = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from), count = 0;
    rondo_udp_on_message(udp, count_message, &count);
    run_turns(loop, 1);
    forget_calls();
    for (size_t i = 0; i < 3; i++) {
        socket_send_burst(fd, &self, bursts[i]);
        run_turns(loop, 1);
        CHECK_INT(calls.recvmmsg, i + 1);
    }
    CHECK_INT(count, 80);
    CHECK_INT(calls.errqueue + (int)faults_count(CALL_epoll_ctl), 0);
    end_loop(loop);
    close(fd);
}

TEST(full_batches_are_read_on_and_that_is_all) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address self = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from), count = 0;
    rondo_udp_on_message(udp, count_message, &count);
    run_turns(loop, 1);
    forget_calls();
    socket_send_burst(fd, &self, 128);
    run_turns(loop, 1);
    CHECK_INT(count, 128);
    CHECK_INT(calls.recvmmsg, 3);
    CHECK_INT(calls.errqueue, 0);
    end_loop(loop);
    close(fd);
}

TEST(several_batches_do_not_fill_the_queue_with_their_answers) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address self = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from);
    rondo_udp_on_message(udp, reply, udp);
    CHECK_INT(rondo_udp_set_high_water(udp, 5000, 5000), 0); /* 64 of them, and not 100 */
    socket_send_burst(fd, &self, 100);
    run_turns(loop, 1);
    CHECK_INT(figures_of(udp).messages_out, 100);
    end_loop(loop);
    close(fd);
}

TEST(answers_to_one_batch_leave_in_one_call) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = new_udp(loop, "127.0.0.1"), *other = new_udp(loop, "127.0.0.1");
    rondo_address self = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from);
    rondo_udp_on_message(udp, reply, udp);
    rondo_udp_on_message(udp, reply, other);
    run_turns(loop, 1);
    forget_calls();
    for (size_t i = 1; i <= 100; i++) socket_send(fd, &self, "x", i % 2);
    run_turns(loop, 1);
    CHECK_INT(calls.recvmmsg, 2);
    CHECK_INT(calls.sendmmsg, 4);
    CHECK_INT(calls.sendmsg, 0);
    CHECK_INT(figures_of(udp).messages_out + figures_of(other).messages_out, 200);
    end_loop(loop);
    close(fd);
}

TEST(a_steady_state_allocates_nothing) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *server = new_udp(loop, "127.0.0.1"), *client = new_udp(loop, "127.0.0.1");
    rondo_address to = to_udp(server, "127.0.0.1");
    int count = 0;
    char bytes[3000] = {0};
    rondo_udp_on_message(server, reply, server);
    rondo_udp_on_message(client, count_message, &count);
    size_t before = 0;
    for (int round = 0; round < 20; round++) {
        if (round == 5) before = harness_alloc_count();
        for (int i = 0; i < 40; i++)
            CHECK(rondo_udp_send(client, &to, rondo_slice_of(bytes, (size_t)i * 70)) > 0);
        run_turns(loop, 4);
    }
    CHECK_INT(count, 800);
    CHECK_INT(harness_alloc_count(), before);
    end_loop(loop);
}

/* ---- runs ---- */

static void send_equal(rondo_udp *udp, const rondo_address *to, int count, size_t len) {
    char *bytes = malloc(len);
    for (int i = 0; i < count; i++) {
        memset(bytes, 'a' + i, len);
        CHECK(rondo_udp_send(udp, to, rondo_slice_of(bytes, len)) >= 0);
    }
    free(bytes);
}

static void check_arrived(int fd, int count, size_t len) {
    char bytes[65536];
    for (int i = 0; i < count; i++) {
        CHECK_INT(recv(fd, bytes, sizeof bytes, MSG_DONTWAIT), len);
        for (size_t j = 0; j < len; j++) CHECK_INT(bytes[j], 'a' + i);
    }
    CHECK_INT(recv(fd, bytes, sizeof bytes, MSG_DONTWAIT), -1);
}

TEST(equal_ones_to_one_address_leave_as_a_run) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to, to_other;
    int fd, other = new_socket("127.0.0.1", &to_other);
    rondo_udp *udp = new_sender(loop, &fd, &to);
    send_equal(udp, &to, 20, 1000);
    run_turns(loop, 1);
    CHECK_INT(calls.runs, 1);
    CHECK_INT(calls.sendmsg, 1);
    CHECK_INT(most_segment, 1000);
    check_arrived(fd, 20, 1000);
    CHECK_INT(figures_of(udp).messages_out, 20);
    CHECK_INT(figures_of(udp).bytes_out, 20000);

    forget_calls();
    const char *texts[] = {"aa", "bb", "c", "dd", "", "ee", "ff", "ggg", "hh"};
    for (size_t i = 0; i < 9; i++) CHECK_INT(send_text(udp, &to, texts[i]), 1);
    CHECK_INT(send_text(udp, &to_other, "ii"), 1);
    CHECK_INT(send_text(udp, &to, "jj"), 1);
    run_turns(loop, 1);
    CHECK_INT(calls.runs, 3); /* aa bb c; ee ff; ggg hh. Then ii, jj by themselves */
    CHECK_INT(calls.sendmmsg, 1);
    note_socket(fd);
    note_socket(other);
    CHECK_TRACE("aa bb c dd  ee ff ggg hh jj ii");
    end_loop(loop);
    close(fd), close(other);
}

TEST(runs_of_a_connected_handle) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    CHECK_INT(rondo_udp_connect(udp, &to), 0);
    send_equal(udp, NULL, 10, 500);
    run_turns(loop, 1);
    CHECK_INT(calls.runs, 1);
    check_arrived(fd, 10, 500);
    end_loop(loop);
    close(fd);
}

TEST(a_run_is_no_longer_than_the_kernel_takes) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    int bytes = 1 << 20;
    CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
    send_equal(udp, &to, 20, 8000);
    run_turns(loop, 1);
    check_arrived(fd, 20, 8000);
    CHECK_INT(calls.runs, 3); /* of 8, 8 and 4 */
    CHECK_INT(figures_of(udp).failed, 0);
    end_loop(loop);
    close(fd);
}

TEST(what_leaves_as_runs_comes_as_few) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *joined = new_udp(loop, "127.0.0.1"), *single = rondo_udp_new(loop);
    rondo_udp *sender = new_udp(loop, "127.0.0.1");
    int count = 0;
    CHECK_INT(rondo_udp_set_max_bytes(single, 2000), 0);
    CHECK_INT(rondo_udp_bind(single, "127.0.0.1", 0), 0);
    rondo_address to_joined = to_udp(joined, "127.0.0.1"), to_single = to_udp(single, "127.0.0.1");
    rondo_udp_on_message(joined, count_message, &count);
    rondo_udp_on_message(single, count_message, &count);
    send_equal(sender, &to_joined, 100, 10);
    run_turns(loop, 1);
    CHECK_INT(count, 100);
    CHECK_INT(calls.recvmmsg, 1); /* two places of 64 */
    send_equal(sender, &to_single, 100, 10);
    run_turns(loop, 1);
    CHECK_INT(count, 200);
    CHECK_INT(calls.recvmmsg, 3);
    end_loop(loop);
}

static void check_refused_runs(int error, bool tries_smaller) {
    rondo_loop *loop = new_virtual_loop();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    fail_runs = error;
    send_equal(udp, &to, 5, 2000);
    run_turns(loop, 2);
    CHECK_INT(calls.runs, 1);
    check_arrived(fd, 5, 2000);
    forget_calls();
    send_equal(udp, &to, 5, 2000);
    run_turns(loop, 2);
    CHECK_INT(calls.runs, 0); /* never again at that size */
    check_arrived(fd, 5, 2000);
    const int sizes[] = {1452, 1452, 1232, 1232};
    for (int i = 0; i < 4; i++) {
        forget_calls();
        send_equal(udp, &to, 5, (size_t)sizes[i]);
        run_turns(loop, 2);
        CHECK_INT(calls.runs, tries_smaller && i % 2 == 0 ? 1 : 0);
        check_arrived(fd, 5, (size_t)sizes[i]);
    }
    CHECK_INT(figures_of(udp).messages_out, 30);
    CHECK_INT(figures_of(udp).failed, 0);
    check_idle(loop);
    CHECK_TRACE("");
    end_loop(loop);
    close(fd);
}

TEST(refused_runs_leave_one_by_one) {
    check_refused_runs(EIO, false);
    check_refused_runs(ENOPROTOOPT, false);
    check_refused_runs(EINVAL, true); /* maybe the size: smaller ones are tried, in two steps */
    check_refused_runs(EMSGSIZE, true);
}

TEST(a_run_that_fails_otherwise_is_tried_one_by_one_this_time) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    fail_send[0] = ECONNREFUSED;
    send_equal(udp, &to, 5, 100);
    run_turns(loop, 1);
    check_arrived(fd, 5, 100);
    forget_calls();
    send_equal(udp, &to, 5, 100);
    run_turns(loop, 1);
    CHECK_INT(calls.runs, 1);
    check_arrived(fd, 5, 100);
    end_loop(loop);
    close(fd);
}

TEST(a_kernel_without_runs) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    no_runs = true;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    send_equal(udp, &to, 5, 100);
    run_turns(loop, 1);
    CHECK_INT(calls.runs, 0);
    CHECK_INT(calls.sendmmsg, 1);
    check_arrived(fd, 5, 100);
    end_loop(loop);
    close(fd);
}

TEST(one_too_long_among_equal_ones) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    fail_over_bytes = 50;
    send_text(udp, &to, "a");
    send_equal(udp, &to, 1, 100);
    send_text(udp, &to, "bbb");
    run_turns(loop, 2);
    note_socket(fd);
    CHECK(strstr(trace, "EMSGSIZE"));
    CHECK(strstr(trace, " a bbb"));
    CHECK_INT(figures_of(udp).failed, 1);
    end_loop(loop);
    close(fd);
}

/* ---- the end ---- */

TEST(closing_sends_what_is_queued_without_waiting) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    send_numbered(udp, &to, 3);
    rondo_close(udp);
    note_socket(fd);
    CHECK_TRACE("0 1. 2..");
    CHECK_INT(figures_of(udp).queued_messages, 0);
    udp = new_udp(loop, "127.0.0.1");
    pass_sends = 1;
    send_numbered(udp, &to, 3);
    rondo_close(udp);
    note_socket(fd);
    CHECK_TRACE("0");
    run_all(loop);
    rondo_loop_free(loop);
    close(fd);
}

TEST(closing_while_the_kernel_is_full) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    rondo_udp_set_high_water(udp, 1, 1000);
    send_numbered(udp, &to, 3);
    pass_sends = 0;
    run_turns(loop, 2);
    forget_calls();
    rondo_close(udp);
    CHECK_INT(calls.sendmmsg, 0);
    run_all(loop);
    CHECK_TRACE(""); /* neither drain nor error */
    rondo_loop_free(loop);
    close(fd);
}

static void close_at_drain(rondo_udp *udp, void *arg) {
    note("drain");
    rondo_close(udp);
}

TEST(closing_leaves_nothing_that_could_run) {
    const int errors[] = {EPERM, ENOBUFS};
    for (int i = 0; i < 2; i++) {
        rondo_loop *loop = rondo_loop_new();
        rondo_address to;
        int fd;
        rondo_udp *udp = new_sender(loop, &fd, &to);
        send_numbered(udp, &to, 1);
        fail_send[0] = fail_send[1] = errors[i];
        rondo_loop_run(loop, RONDO_RUN_NOWAIT); /* the failure is told in the next turn */
        if (i == 0) {                           /* at once, from a call */
            fail_send[0] = fail_send[1] = EPERM;
            rondo_udp_try_send(udp, &to, rondo_slice_text("x"));
        }
        trace_size = 0;
        rondo_close(udp);
        rondo__loop_verify(loop);
        memset(fail_send, 0, sizeof fail_send);
        run_all(loop);
        rondo_loop_free(loop);
        close(fd);
    }
}

TEST(a_ping_socket_is_no_udp_socket) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = rondo_udp_new(loop);
    rondo_address address;
    int fd = new_socket("127.0.0.1", &address);
    is_ping = true;
    CHECK_INT(rondo_udp_open(udp, fd), RONDO_ENOTSUP);
    end_loop(loop);
    close(fd);
}

TEST(closing_at_drain) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd = new_socket("127.0.0.1", &to);
    rondo_udp *udp = rondo_udp_new(loop);
    rondo_udp_set_high_water(udp, 1, 1000);
    rondo_udp_on_drain(udp, close_at_drain, NULL);
    CHECK_INT(send_text(udp, &to, "x"), 0);
    run_all(loop);
    CHECK_TRACE("drain");
    rondo_loop_free(loop);
    close(fd);
}

/* ---- out of memory ---- */

TEST(out_of_memory_is_an_error_and_changes_nothing) {
    rondo_address to;
    int fd = new_socket("127.0.0.1", &to), failures = 0;
    for (long n = 0;; n++) {
        rondo_loop *loop = rondo_loop_new();
        harness_fail_alloc_after(n);
        rondo_udp *udp = rondo_udp_new(loop);
        int status = udp ? rondo_udp_bind(udp, "127.0.0.1", 0) : RONDO_ENOMEM;
        if (status == 0) status = rondo_udp_on_message(udp, note_message, NULL);
        if (status == 0) status = send_text(udp, &to, "x");
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        CHECK_INT(status, failed ? RONDO_ENOMEM : 1);
        failures += failed;
        if (udp && status == RONDO_ENOMEM) { /* and works afterwards */
            int again = rondo_udp_bind(udp, "127.0.0.1", 0);
            CHECK(again == 0 || again == RONDO_EBUSY);
            CHECK_INT(rondo_udp_on_message(udp, note_message, NULL), 0);
            CHECK_INT(send_text(udp, &to, "x"), 1);
        }
        run_turns(loop, 1);
        end_loop(loop);
        if (!failed) break;
    }
    CHECK(failures >= 5);
    close(fd);
}

static void pause_it(rondo_udp *udp, const rondo_udp_message *message, void *arg) {
    note_message(udp, message, arg);
    rondo_udp_pause(udp);
    harness_fail_alloc_after(0);
}

TEST(without_memory_to_keep_them_the_rest_is_dropped_and_counted) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address self = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from);
    rondo_udp_on_message(udp, pause_it, NULL);
    socket_send_burst(fd, &self, 4);
    run_turns(loop, 1);
    CHECK(harness_alloc_failed());
    rondo_udp_off_message(udp, pause_it, NULL);
    rondo_udp_on_message(udp, note_message, NULL);
    rondo_udp_resume(udp);
    run_turns(loop, 1);
    CHECK_TRACE("0 2 3");
    CHECK_INT(figures_of(udp).dropped, 1);
    end_loop(loop);
    close(fd);
}
