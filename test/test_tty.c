/* SPDX-License-Identifier: MIT
 *
 * Terminals: their modes, and that they are as they were after every way in which a process can end
 * or stop; their size; what they do when they are gone. Each test makes a pseudo-terminal and, where
 * signals or job control matter, a child that it controls.
 */
#include "child.h"
#include "faults.h"

#include <pty.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>

typedef struct terminal {
    int master, slave;
    struct termios before;
} terminal;

static void new_terminal(terminal *self) {
    struct winsize size = {.ws_col = 80, .ws_row = 24};
    CHECK_INT(openpty(&self->master, &self->slave, NULL, NULL, &size), 0);
    CHECK_INT(tcgetattr(self->slave, &self->before), 0);
}

static void end_terminal(terminal *self) {
    close(self->master);
    close(self->slave);
}

typedef enum look { NORMAL, CBREAK, RAW, OTHER } look;

static look look_of(const terminal *self) {
    struct termios now, raw = self->before;
    CHECK_INT(tcgetattr(self->slave, &now), 0);
    cfmakeraw(&raw);
    bool same = now.c_iflag == self->before.c_iflag && now.c_oflag == self->before.c_oflag;
    if (same && now.c_lflag == self->before.c_lflag) return NORMAL;
    if (same && now.c_lflag == (self->before.c_lflag & ~(tcflag_t)(ICANON | ECHO))) return CBREAK;
    if (now.c_iflag == raw.c_iflag && now.c_oflag == raw.c_oflag && now.c_lflag == raw.c_lflag)
        return RAW;
    return OTHER;
}

/* ---- modes ---- */

TEST(modes_change_and_come_back) {
    terminal tty;
    rondo_loop *loop = rondo_loop_new();
    new_terminal(&tty);
    rondo_stream *stream = open_stream(loop, dup(tty.slave));
    CHECK(rondo_is_tty(stream));
    CHECK_INT(rondo_tty_set_mode(stream, RONDO_TTY_NORMAL), 0);
    CHECK_INT(look_of(&tty), NORMAL);
    CHECK_INT(rondo_tty_set_mode(stream, RONDO_TTY_RAW), 0);
    CHECK_INT(look_of(&tty), RAW);
    CHECK_INT(rondo_tty_set_mode(stream, RONDO_TTY_CBREAK), 0);
    CHECK_INT(look_of(&tty), CBREAK);
    CHECK_INT(rondo_tty_set_mode(stream, RONDO_TTY_RAW), 0);
    CHECK_INT(rondo_tty_set_mode(stream, RONDO_TTY_NORMAL), 0);
    CHECK_INT(look_of(&tty), NORMAL);
    CHECK_INT(rondo_tty_set_mode(stream, RONDO_TTY_NORMAL), 0);
    CHECK_INT(rondo_tty_set_mode(stream, (rondo_tty_mode)7), RONDO_EINVAL);
    CHECK_INT(rondo_tty_set_mode(stream, RONDO_TTY_RAW), 0);
    rondo_close(stream);
    CHECK_INT(look_of(&tty), NORMAL);
    CHECK_INT(rondo_tty_set_mode(stream, RONDO_TTY_RAW), RONDO_ECLOSED);
    CHECK(!rondo_is_tty(stream));
    end_loop(loop);
    end_terminal(&tty);
}

/* The program's own changes before are part of how it was found. */
TEST(normal_is_what_was_found) {
    terminal tty;
    rondo_loop *loop = rondo_loop_new();
    new_terminal(&tty);
    tty.before.c_lflag &= ~(tcflag_t)ECHOE;
    tty.before.c_cc[VMIN] = 5;
    CHECK_INT(tcsetattr(tty.slave, TCSANOW, &tty.before), 0);
    rondo_stream *stream = open_stream(loop, dup(tty.slave));
    CHECK_INT(rondo_tty_set_mode(stream, RONDO_TTY_CBREAK), 0);
    struct termios now;
    CHECK_INT(tcgetattr(tty.slave, &now), 0);
    CHECK_INT(now.c_cc[VMIN], 1);
    rondo_close(stream);
    CHECK_INT(look_of(&tty), NORMAL);
    CHECK_INT(tcgetattr(tty.slave, &now), 0);
    CHECK_INT(now.c_cc[VMIN], 5);
    end_loop(loop);
    end_terminal(&tty);
}

TEST(two_streams_on_one_terminal) {
    terminal tty;
    rondo_loop *loop = rondo_loop_new(), *other = rondo_loop_new();
    new_terminal(&tty);
    rondo_stream *one = open_stream(loop, dup(tty.slave)),
                 *two = open_stream(other, dup(tty.slave));
    CHECK_INT(rondo_tty_set_mode(one, RONDO_TTY_RAW), 0);
    CHECK_INT(rondo_tty_set_mode(two, RONDO_TTY_CBREAK), 0);
    rondo_close(one); /* it is two's now */
    CHECK_INT(look_of(&tty), CBREAK);
    end_loop(other);
    CHECK_INT(look_of(&tty), NORMAL);
    one = open_stream(loop, dup(tty.slave));
    two = open_stream(loop, dup(tty.slave));
    CHECK_INT(rondo_tty_set_mode(one, RONDO_TTY_RAW), 0);
    CHECK_INT(rondo_tty_set_mode(two, RONDO_TTY_NORMAL), 0); /* for all */
    CHECK_INT(look_of(&tty), NORMAL);
    end_loop(loop);
    end_terminal(&tty);
}

TEST(sixteen_terminals_at_most) {
    enum { MOST = 16 };
    terminal ttys[MOST + 1];
    rondo_stream *streams[MOST + 1];
    rondo_loop *loop = rondo_loop_new();
    for (int i = 0; i <= MOST; i++) {
        new_terminal(&ttys[i]);
        streams[i] = open_stream(loop, dup(ttys[i].slave));
        int want = i < MOST ? 0 : RONDO_EMFILE;
        CHECK_INT(rondo_tty_set_mode(streams[i], RONDO_TTY_RAW), want);
        CHECK_INT(look_of(&ttys[i]), i < MOST ? RAW : NORMAL);
    }
    rondo_close(streams[3]);
    CHECK_INT(rondo_tty_set_mode(streams[MOST], RONDO_TTY_RAW), 0);
    CHECK_INT(look_of(&ttys[3]), NORMAL);
    end_loop(loop);
    for (int i = 0; i <= MOST; i++) {
        CHECK_INT(look_of(&ttys[i]), NORMAL);
        end_terminal(&ttys[i]);
    }
}

TEST(what_is_no_terminal_says_so) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    unsigned columns = 1, rows = 2;
    int peer = new_pair(loop, &stream);
    CHECK(!rondo_is_tty(stream));
    CHECK_INT(rondo_tty_set_mode(stream, RONDO_TTY_RAW), RONDO_ENOTSUP);
    CHECK_INT(rondo_tty_size(stream, &columns, &rows), RONDO_ENOTSUP);
    CHECK(columns == 1 && rows == 2);
    CHECK_INT(rondo_stream_on_resize(stream, stop_loop, NULL), 0);
    CHECK_INT(rondo_stream_off_resize(stream, stop_loop, NULL), 0);
    CHECK_INT(rondo_stream_off_resize(stream, stop_loop, NULL), RONDO_ENOENT);
    end_loop(loop);
    close(peer);
}

TEST(reset_holds_until_the_mode_is_set_again) {
    terminal tty;
    rondo_loop *loop = rondo_loop_new();
    new_terminal(&tty);
    rondo_tty_reset();
    rondo_stream *stream = open_stream(loop, dup(tty.slave));
    CHECK_INT(rondo_tty_set_mode(stream, RONDO_TTY_RAW), 0);
    rondo_tty_reset();
    CHECK_INT(look_of(&tty), NORMAL);
    raise(SIGCONT);
    CHECK_INT(look_of(&tty), NORMAL);
    tty.before.c_lflag &= ~(tcflag_t)ECHOK; /* somebody else's change from here on */
    CHECK_INT(tcsetattr(tty.slave, TCSANOW, &tty.before), 0);
    rondo_tty_reset();
    CHECK_INT(look_of(&tty), NORMAL);
    tty.before.c_lflag |= ECHOK;
    CHECK_INT(rondo_tty_set_mode(stream, RONDO_TTY_CBREAK), 0);
    CHECK_INT(look_of(&tty), CBREAK);
    end_loop(loop);
    CHECK_INT(look_of(&tty), NORMAL);
    end_terminal(&tty);
}

TEST(dispositions_are_as_they_were) {
    terminal tty;
    rondo_loop *loop = rondo_loop_new();
    struct sigaction now;
    new_terminal(&tty);
    signal(SIGHUP, SIG_IGN);
    rondo_stream *stream = open_stream(loop, dup(tty.slave));
    CHECK_INT(rondo_tty_set_mode(stream, RONDO_TTY_RAW), 0);
    CHECK(sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler == SIG_IGN);
    CHECK(sigaction(SIGTERM, NULL, &now) == 0 && now.sa_handler != SIG_DFL);
    CHECK(sigaction(SIGCHLD, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    CHECK(sigaction(SIGWINCH, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    signal(SIGUSR1, SIG_IGN); /* by the program, afterwards */
    rondo_close(stream);
    CHECK(sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler == SIG_IGN);
    CHECK(sigaction(SIGTERM, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    CHECK(sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_handler == SIG_IGN);
    end_loop(loop);
    end_terminal(&tty);
}

/* ---- the ends of a process ---- */

typedef struct ending {
    void (*end)(void);
    int status; /* of wait_for() */
} ending;

static int ready[2]; /* the child tells that the mode is set, or what it has seen */
static void tell(char what) { CHECK_INT(write(ready[1], &what, 1), 1); }
static char hear(void) {
    char what = 0;
    CHECK_INT(read(ready[0], &what, 1), 1);
    return what;
}

/* Child: the slave is its controlling terminal, and 0, 1 and 2. */
static void take_terminal(void) {
    CHECK(setsid() >= 0);
    CHECK_INT(ioctl(0, TIOCSCTTY, 0), 0);
}

static rondo_loop *child_loop;
static void go_raw(void *arg) {
    const ending *it = arg;
    take_terminal();
    child_loop = rondo_loop_new();
    CHECK_INT(rondo_tty_set_mode(open_standard(child_loop, 0), RONDO_TTY_RAW), 0);
    tell('r');
    if (it->end) it->end();
    for (;;) pause();
}

static pid_t start_on_terminal(terminal *tty, void (*run)(void *), void *arg) {
    CHECK_INT(pipe(ready), 0);
    child_keeps = ready[1];
    pid_t pid =
        start_child(run, arg, dup(tty->slave), fcntl(tty->slave, F_DUPFD, 3), dup(tty->slave));
    close(ready[1]);
    return pid;
}

static void end_with_return(void) { exit(3); }
static void end_with_abort(void) { abort(); }
static void end_with_segv(void) { raise(SIGSEGV); }
static void end_with_fault(void) {
    volatile char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *page = 1;
}
static void end_with_exit_in_callback(void) {
    rondo_immediate(child_loop, (rondo_tick_cb)(void (*)(void))end_with_return, NULL);
    rondo_loop_run(child_loop, RONDO_RUN_ALL);
}
static void end_with_uncaught(void) {
    rondo_stream *out = open_standard(child_loop, 1);
    rondo_destroy(out, RONDO_EIO);
    rondo_loop_run(child_loop, RONDO_RUN_ALL);
}
static void *raise_elsewhere(void *arg) {
    raise(SIGTERM);
    return NULL;
}
static void end_in_a_thread(void) { pthread_join(harness_thread(raise_elsewhere, NULL), NULL); }
/* A signal that the loop watches goes to the loop; afterwards it ends the process again. */
static void stop_watching(rondo_signal *signal, int signum, void *arg) {
    *(bool *)arg = true;
    rondo_close(signal);
}
static void end_after_watching(void) {
    bool come = false;
    rondo_signal *signal = rondo_signal_new(child_loop);
    CHECK_INT(rondo_signal_start(signal, SIGTERM, stop_watching, &come), 0);
    raise(SIGTERM);
    while (!come) rondo_loop_run(child_loop, RONDO_RUN_NOWAIT);
    raise(SIGTERM);
}

static void check_ending(void (*end)(void), int status) {
    terminal tty;
    ending it = {end, status};
    new_terminal(&tty);
    pid_t pid = start_on_terminal(&tty, go_raw, &it);
    CHECK_INT(hear(), 'r');
    CHECK_INT(wait_for(pid), status);
    CHECK_INT(look_of(&tty), NORMAL);
    close(ready[0]);
    end_terminal(&tty);
}
TEST(it_is_normal_after_exit) {
    check_ending(end_with_return, 3);
    check_ending(end_with_exit_in_callback, 3);
}
TEST(it_is_normal_after_abort) {
    check_ending(end_with_abort, -SIGABRT);
    check_ending(end_with_uncaught, -SIGABRT);
}
TEST(it_is_normal_after_a_crash) {
    if (harness_is_slow()) SKIP("a sanitizer has its own handler");
    check_ending(end_with_segv, -SIGSEGV);
    check_ending(end_with_fault, -SIGSEGV);
}
TEST(it_is_normal_after_a_signal_in_a_thread) { check_ending(end_in_a_thread, -SIGTERM); }
TEST(it_is_normal_after_a_signal_that_was_watched) { check_ending(end_after_watching, -SIGTERM); }

static void check_signal(int signum) {
    terminal tty;
    ending it = {NULL, 0};
    new_terminal(&tty);
    pid_t pid = start_on_terminal(&tty, go_raw, &it);
    CHECK_INT(hear(), 'r');
    CHECK_INT(look_of(&tty), RAW);
    CHECK_INT(kill(pid, signum), 0);
    CHECK_INT(wait_for(pid), -signum);
    CHECK_INT(look_of(&tty), NORMAL);
    close(ready[0]);
    end_terminal(&tty);
}
TEST(it_is_normal_after_a_signal) {
    int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2, SIGPIPE, SIGXCPU};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) check_signal(signals[i]);
}

/* A child of fork(2) leaves the terminal to its parent, however it ends. */
static void fork_and_die(void) {
    pid_t pid = fork();
    if (pid == 0) exit(0);
    CHECK_INT(wait_for(pid), 0);
    tell('a');
    pid = fork();
    if (pid == 0) {
        raise(SIGTERM);
        exit(0);
    }
    CHECK_INT(wait_for(pid), -SIGTERM);
    tell('b');
    pid = fork();
    if (pid == 0) {
        rondo_tty_reset();
        _exit(0);
    }
    CHECK_INT(wait_for(pid), 0);
    tell('c');
}
TEST(a_child_of_fork_leaves_it_alone) {
    terminal tty;
    ending it = {fork_and_die, 0};
    new_terminal(&tty);
    pid_t pid = start_on_terminal(&tty, go_raw, &it);
    for (const char *want = "rabc"; *want; want++) {
        CHECK_INT(hear(), *want);
        CHECK_INT(look_of(&tty), RAW);
    }
    CHECK_INT(kill(pid, SIGKILL), 0);
    CHECK_INT(wait_for(pid), -SIGKILL);
    close(ready[0]);
    end_terminal(&tty);
}

/* ---- stopping and going on ---- */

/* Plays the shell: runs go_raw() in a process group of its own, in the foreground. */
static terminal shell_tty;
static pid_t job;
static void wait_stopped(void) {
    int status;
    CHECK_INT(waitpid(job, &status, WUNTRACED), job);
    CHECK(WIFSTOPPED(status));
    CHECK_INT(tcsetpgrp(0, getpgrp()), 0);
}
static void wait_raw(void) {
    for (int i = 0; look_of(&shell_tty) != RAW; i++) {
        if (i == 20000) FAIL("it is not raw again");
        harness_sleep_ms(1);
    }
}
static void run_job(void) {
    CHECK_INT(setpgid(0, 0), 0);
    while (tcgetpgrp(0) != getpgrp()) harness_sleep_ms(1);
    rondo_loop *loop = rondo_loop_new();
    CHECK_INT(rondo_tty_set_mode(open_standard(loop, 0), RONDO_TTY_RAW), 0);
    tell('r');
    for (;;) pause();
}
static void play_shell(void *arg) {
    take_terminal();
    signal(SIGTTOU, SIG_IGN);
    shell_tty.slave = 0;
    CHECK_INT(tcgetattr(0, &shell_tty.before), 0);
    job = fork();
    if (job == 0) {
        signal(SIGTTOU, SIG_DFL);
        run_job();
    }
    setpgid(job, job);
    CHECK_INT(tcsetpgrp(0, job), 0);
    wait_raw();
    for (int i = 0; i < 2; i++) { /* its handler is there the second time, too */
        kill(job, SIGTSTP);
        wait_stopped();
        CHECK_INT(look_of(&shell_tty), NORMAL);
        CHECK_INT(tcsetpgrp(0, job), 0); /* fg */
        kill(job, SIGCONT);
        wait_raw();
    }
    kill(job, SIGSTOP); /* nobody hears of this one: the shell has to see to the terminal */
    wait_stopped();
    CHECK_INT(tcsetattr(0, TCSANOW, &shell_tty.before), 0);
    kill(job, SIGCONT); /* bg: it must keep its hands off the terminal */
    harness_sleep_ms(50);
    CHECK_INT(look_of(&shell_tty), NORMAL);
    shell_tty.before.c_lflag &= ~(tcflag_t)ECHOK;
    CHECK_INT(tcsetattr(0, TCSANOW, &shell_tty.before), 0);
    kill(job, SIGTERM);
    CHECK_INT(wait_for(job), -SIGTERM);
    CHECK_INT(look_of(&shell_tty), NORMAL);
}
static bool is_valgrind(void) {
    const char *slow = getenv("RONDO_TEST_SLOW");
    return slow && strcmp(slow, "valgrind") == 0;
}
TEST(it_is_normal_while_stopped_and_in_the_background) {
    if (is_valgrind()) SKIP("valgrind lets no signal stop a process");
    terminal tty;
    new_terminal(&tty);
    CHECK_INT(wait_for(start_on_terminal(&tty, play_shell, NULL)), 0);
    close(ready[0]);
    end_terminal(&tty);
}

static void change_from_background(void *arg) {
    take_terminal();
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_INT(setpgid(0, 0), 0);
        rondo_loop *loop = rondo_loop_new();
        rondo_stream *in = open_standard(loop, 0), *out = open_standard(loop, 1);
        CHECK_INT(rondo_tty_set_mode(in, RONDO_TTY_RAW), RONDO_EPERM);
        CHECK_INT(rondo_tty_set_mode(in, RONDO_TTY_NORMAL), 0);
        write_text(out, "background"); /* is allowed without tostop */
        run_turns(loop, 1);
        CHECK_INT(queued(out), 0);
        end_loop(loop);
        exit(0);
    }
    CHECK_INT(wait_for(pid), 0);
    struct termios mode;
    CHECK_INT(tcgetattr(0, &mode), 0);
    mode.c_lflag |= TOSTOP;
    CHECK_INT(tcsetattr(0, TCSANOW, &mode), 0);
    pid = fork();
    if (pid == 0) {
        signal(SIGTTOU, SIG_IGN); /* then POSIX lets it write */
        CHECK_INT(setpgid(0, 0), 0);
        rondo_loop *loop = rondo_loop_new();
        rondo_stream *out = open_standard(loop, 1);
        note_events(out);
        write_text(out, "ignored");
        run_turns(loop, 2);
        CHECK_TRACE("");
        signal(SIGTTOU, SIG_DFL);
        write_text(out, "stopped");
        run_turns(loop, 2);
        FAIL("it was not stopped");
    }
    int status;
    CHECK_INT(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
    kill(pid, SIGKILL);
    CHECK_INT(wait_for(pid), -SIGKILL);
}
TEST(from_the_background) {
    if (is_valgrind()) SKIP("valgrind lets no signal stop a process");
    terminal tty;
    new_terminal(&tty);
    CHECK_INT(wait_for(start_on_terminal(&tty, change_from_background, NULL)), 0);
    char text[32] = "";
    for (size_t at = 0; at < 17;) {
        ssize_t count = read(tty.master, text + at, 17 - at);
        CHECK(count > 0);
        at += (size_t)count;
    }
    CHECK_STR(text, "backgroundignored");
    close(ready[0]);
    end_terminal(&tty);
}

/* ---- bytes ---- */

static bool blocks(int fd) { return !(fcntl(fd, F_GETFL) & O_NONBLOCK); }

static void use_terminal(void *arg) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *in = open_standard(loop, 0), *out = open_standard(loop, 1);
    CHECK(rondo_is_tty(in) && rondo_is_tty(out));
    CHECK_INT(blocks(0) && blocks(1) && blocks(2), *(bool *)arg);
    note_events(in);
    rondo_stream_on_data(in, note_data, NULL);
    write_text(out, "ready");
    run_turns(loop, 1);
    run_all(loop);
    CHECK_TRACE("line\n end close");
    rondo_close(out);
    run_all(loop);
    rondo_loop_free(loop);
}
static void check_use(bool own) {
    terminal tty;
    char text[8] = "";
    new_terminal(&tty);
    pid_t pid = start_child(use_terminal, &own, dup(tty.slave), fcntl(tty.slave, F_DUPFD, 3),
                            dup(tty.slave));
    CHECK_INT(read(tty.master, text, 5), 5);
    CHECK_STR(text, "ready");
    CHECK_INT(write(tty.master, "line\n\4", 6), 6); /* Ctrl-D */
    CHECK_INT(wait_for(pid), 0);
    CHECK(blocks(tty.slave));
    end_terminal(&tty);
}
TEST(a_terminal_keeps_its_flags) { check_use(true); }
TEST(a_terminal_that_can_not_be_opened_anew_gets_them_back) {
    faults_every(CALL_open, 1, EACCES);
    check_use(false);
}

/* The other side of a pseudo-terminal, as standard input: opening it anew would make a new pair. */
static void use_master(void *arg) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *in = open_standard(loop, 0);
    rondo_stream_on_data(in, note_data, NULL);
    rondo_stream_on_error(in, note_error, NULL);
    run_all(loop);
    CHECK_TRACE("hello EIO");
    rondo_loop_free(loop);
}
TEST(a_master_is_not_opened_anew) {
    terminal tty;
    new_terminal(&tty);
    CHECK_INT(write(tty.slave, "hello", 5), 5);
    close(tty.slave);
    CHECK_INT(wait_for(start_child(use_master, NULL, tty.master, -1, 2)), 0);
}

static void lose_terminal(void *arg) {
    signal(SIGHUP, SIG_IGN);
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *in = open_standard(loop, 0), *out = open_standard(loop, 1);
    rondo_stream_on_data(in, note_data, NULL);
    note_events(in);
    CHECK_INT(rondo_tty_set_mode(in, RONDO_TTY_RAW), 0);
    rondo_stream_on_error(out, note_error, NULL);
    tell('r');
    run_all(loop);
    CHECK_TRACE("end close");
    write_text(out, "lost");
    run_all(loop);
    CHECK_TRACE("EIO");
    write_text(open_standard(loop, 1), "lost at exit");
}
TEST(a_terminal_that_is_gone) {
    terminal tty;
    new_terminal(&tty);
    pid_t pid = start_on_terminal(&tty, lose_terminal, NULL);
    CHECK_INT(hear(), 'r');
    end_terminal(&tty);
    CHECK_INT(wait_for(pid), 0);
    close(ready[0]);
}

/* ---- size ---- */

static void set_size(terminal *tty, unsigned short columns, unsigned short rows) {
    struct winsize size = {.ws_col = columns, .ws_row = rows};
    CHECK_INT(ioctl(tty->master, TIOCSWINSZ, &size), 0);
}

static void note_size(rondo_stream *stream, void *arg) {
    unsigned columns = 0, rows = 0;
    CHECK_INT(rondo_tty_size(stream, &columns, &rows), 0);
    note("%ux%u", columns, rows);
}

TEST(resize_tells_of_a_new_size) {
    terminal tty;
    unsigned columns = 0, rows = 0;
    rondo_loop *loop = new_virtual_loop();
    new_terminal(&tty);
    rondo_stream *stream = open_stream(loop, dup(tty.slave)), *other;
    CHECK_INT(rondo_tty_size(stream, &columns, &rows), 0);
    CHECK(columns == 80 && rows == 24);
    CHECK_INT(rondo_stream_on_resize(stream, note_size, NULL), 0);
    CHECK_INT(rondo_stream_once_resize(stream, note_size, NULL), 0);
    raise(SIGWINCH); /* nothing has changed */
    run_turns(loop, 2);
    CHECK_TRACE("");
    set_size(&tty, 100, 24);
    raise(SIGWINCH);
    run_turns(loop, 2);
    CHECK_TRACE("100x24 100x24");
    set_size(&tty, 100, 30);
    raise(SIGWINCH);
    run_turns(loop, 2);
    CHECK_TRACE("100x30");
    CHECK_INT(rondo_stream_off_resize(stream, note_size, NULL), 0);
    set_size(&tty, 10, 10);
    raise(SIGWINCH);
    run_turns(loop, 2);
    CHECK_TRACE("");
    other = open_stream(loop, dup(tty.slave));
    CHECK_INT(rondo_stream_on_resize(stream, close_it, NULL), 0);
    CHECK_INT(rondo_stream_on_resize(other, note_size, NULL), 0);
    set_size(&tty, 20, 20);
    raise(SIGWINCH);
    run_turns(loop, 2);
    CHECK_TRACE("20x20"); /* once: the other is closed */
    rondo_close(other);
    struct sigaction now;
    CHECK(sigaction(SIGWINCH, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    set_size(&tty, 0, 0);
    end_loop(loop);
    end_terminal(&tty);
}

TEST(a_size_that_nobody_knows) {
    terminal tty;
    unsigned columns = 1, rows = 1;
    rondo_loop *loop = rondo_loop_new();
    new_terminal(&tty);
    set_size(&tty, 0, 5);
    rondo_stream *stream = open_stream(loop, dup(tty.slave));
    CHECK_INT(rondo_tty_size(stream, &columns, &rows), RONDO_ENOTSUP);
    CHECK(columns == 1 && rows == 1);
    rondo_close(stream);
    CHECK_INT(rondo_tty_size(stream, &columns, &rows), RONDO_ECLOSED);
    CHECK_INT(rondo_stream_on_resize(stream, note_size, NULL), RONDO_ECLOSED);
    end_loop(loop);
    end_terminal(&tty);
}

static void fail_and_note(rondo_stream *stream, void *arg) { note("resize"); }
static void destroy_other(rondo_stream *stream, rondo_slice chunk, void *arg) {
    rondo_destroy(arg, RONDO_EIO);
}
TEST(a_stream_that_has_failed_hears_of_no_size) {
    terminal tty;
    rondo_loop *loop = new_virtual_loop();
    new_terminal(&tty);
    rondo_stream *stream = open_stream(loop, dup(tty.slave));
    note_events(stream);
    CHECK_INT(rondo_stream_on_resize(stream, fail_and_note, NULL), 0);
    rondo_stream *other;
    int peer = new_pair(loop, &other);
    rondo_stream_on_data(other, destroy_other, stream);
    CHECK_INT(write(peer, "x", 1), 1); /* it is read, and the stream fails, in the same phase */
    set_size(&tty, 10, 10);
    raise(SIGWINCH);
    run_turns(loop, 2);
    CHECK_TRACE("EIO close");
    close(peer);
    end_loop(loop);
    end_terminal(&tty);
}

/* ---- failures half way ---- */

static void set_modes(void) {
    terminal swept;
    rondo_loop *loop = rondo_loop_new();
    new_terminal(&swept);
    rondo_stream *stream = open_stream(loop, dup(swept.slave));
    FAULTS_BEGIN();
    int raw = rondo_tty_set_mode(stream, RONDO_TTY_RAW);
    FAULTS_END();
    CHECK_INT(look_of(&swept), raw == 0 ? RAW : NORMAL);
    CHECK(raw == 0 || faults_struck() > 0);
    end_loop(loop);
    CHECK_INT(look_of(&swept), NORMAL);
    end_terminal(&swept);
}
TEST(any_call_may_fail) {
    FAULT_SWEEP(set_modes, CALL_tcgetattr | CALL_tcsetattr | CALL_fcntl, EIO);
    FAULT_SWEEP(set_modes, CALL_ioctl | CALL_fstat, EINVAL);
    FAULT_SWEEP(set_modes, CALL_tcsetattr, EINTR);
    FAULT_SWEEP(set_modes, CALL_sigaction, EINVAL);
}

TEST(memory_may_run_out) {
    int failures = 0;
    terminal swept;
    new_terminal(&swept);
    for (long n = 0;; n++) {
        rondo_loop *loop = rondo_loop_new();
        rondo_stream *stream = open_stream(loop, dup(swept.slave));
        harness_fail_alloc_after(n);
        int listened = rondo_stream_on_resize(stream, note_size, NULL);
        int raw = rondo_tty_set_mode(stream, RONDO_TTY_RAW);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        CHECK(raw == 0 || raw == RONDO_ENOMEM);
        CHECK(listened == 0 || listened == RONDO_ENOMEM);
        CHECK_INT(listened < 0 || raw < 0, failed);
        CHECK_INT(look_of(&swept), raw == 0 ? RAW : NORMAL);
        end_loop(loop);
        if (!failed) break;
        failures++;
    }
    CHECK_INT(failures, 2);
    end_terminal(&swept);
}
