/* SPDX-License-Identifier: MIT
 *
 * Computing without blocking: counting primes keeps a core busy for a while, so it goes to the
 * worker pool, in pieces, while a timer of the loop goes on answering. The same count inside a
 * callback would have kept the timer, and every client of a server, waiting until it was done.
 *
 *   build/examples/offload
 *
 * prints: 121127 primes below 1600000
 */
#include <rondo.h>

#include <stdio.h>

#define PIECES 8
#define NUMBERS 200000 /* in each piece */

typedef struct piece {
    int64_t from, to;
} piece;

static piece pieces[PIECES];
static int pieces_left = PIECES;
static int64_t primes;
static rondo_timer *heartbeat;
static int beats;
static uint64_t begun_ms, last_ms, longest_ms;

static bool is_prime(int64_t n) {
    if (n < 2) return false;
    for (int64_t d = 2; d * d <= n; d++)
        if (n % d == 0) return false;
    return true;
}

/* On a worker thread. It touches nothing but its own piece; the result goes back by return. */
static int64_t count_primes(rondo_job *job, void *arg) {
    const piece *mine = arg;
    int64_t count = 0;
    for (int64_t n = mine->from; n < mine->to && !rondo_work_canceled(job); n++)
        count += is_prime(n);
    return count;
}

/* On the loop's thread again, one after another: no locks. */
static void on_counted(rondo_loop *loop, int64_t result, void *arg) {
    const piece *done = arg;
    if (result < 0) {
        fprintf(stderr, "counting failed: %s\n", rondo_error_text((int)result));
        rondo_loop_stop(loop);
        return;
    }
    primes += result;
    printf("%4d ms  worker: %d primes from %d to %d\n", (int)(rondo_loop_now_ms(loop) - begun_ms),
           (int)result, (int)done->from, (int)done->to - 1);
    if (--pieces_left == 0) rondo_close(heartbeat); /* nothing is alive then: the loop ends */
}

static void on_beat(rondo_timer *timer, void *arg) {
    uint64_t now_ms = rondo_loop_now_ms(rondo_handle_loop(timer));
    (void)arg;
    if (now_ms - last_ms > longest_ms) longest_ms = now_ms - last_ms;
    last_ms = now_ms;
    if (beats++ % 10 == 0)
        printf("%4d ms  loop: I am not blocked (beat %d)\n", (int)(now_ms - begun_ms), beats);
}

static int submit_pieces(rondo_loop *loop) {
    for (int i = 0; i < PIECES; i++) {
        pieces[i].from = (int64_t)i * NUMBERS;
        pieces[i].to = pieces[i].from + NUMBERS;
        /* NULL: the pool's cpu lane, which has a thread for each core. */
        int error = rondo_work_submit(loop, NULL, NULL, count_primes, on_counted, &pieces[i]);
        if (error < 0) return error;
    }
    return 0;
}

int main(void) {
    rondo_loop *loop = rondo_loop_new();
    if (!loop) return 1;
    heartbeat = rondo_timer_new(loop);
    if (!heartbeat) return 1;
    begun_ms = last_ms = rondo_loop_now_ms(loop);
    rondo_timer_start(heartbeat, 5, 5, on_beat, NULL);

    int error = submit_pieces(loop);
    if (error < 0) {
        fprintf(stderr, "no work: %s\n", rondo_error_text(error));
        return 1;
    }
    rondo_loop_run(loop, RONDO_RUN_ALL);

    printf("%d primes below %d. The timer of 5 ms rang %d times meanwhile, at most %d ms apart.\n",
           (int)primes, PIECES * NUMBERS, beats, (int)longest_ms);
    rondo_loop_free(loop);
    return pieces_left;
}
