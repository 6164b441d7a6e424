/* SPDX-License-Identifier: MIT
 *
 * rondo_group: a list of members that wait, and a count of those under way.
 *
 * One task of the pending phase, `more`, does all that a group does by itself: it begins members in
 * the order of adding, or skips them once the group is canceled, and when there are none any more it
 * emits `done`. It is queued exactly when one of these is possible; while the lane of the first
 * member is full an alarm queues it, and so does every member that ends.
 *
 * A member that waits is small, since there may be a million. Its job is made when it begins, from
 * the pool's free list, so that only as many exist as are under way. A job outlives the group when
 * that is closed meanwhile: its arg is in use until the worker has returned.
 */
#include <rondo/group.h>

#include "loop/alarm.h"
#include "loop/emit.h"
#include "loop/memory.h"
#include "threadpool/pool.h"

#define DEFAULT_BOUND ((size_t)1 << 20)
/* How long a full lane is left alone, unless a member ends before. */
#define RETRY_MS 5

enum { ON_DONE, ON_COUNT };

struct rondo_group {
    rondo_handle base; /* active: has members, or `done` is still to come */
    rondo__slot on[ON_COUNT];
    unsigned limit;
    unsigned active;   /* members under way: tasks, and the length of `jobs` */
    unsigned tasks;    /* of them */
    bool canceled;     /* until `done` */
    size_t bound;      /* of `waiting` */
    size_t waiting;    /* length of `queue` */
    uint64_t done;     /* members that are over */
    rondo__list queue; /* member, oldest first */
    rondo__list jobs;  /* group_job: under way */
    rondo__task more;
    rondo__alarm retry;
};

/* Waits to begin. */
typedef struct member {
    rondo__list link;
    rondo_lane *lane; /* NULL: a task */
    rondo__fn begin;  /* rondo_work_cb, or start */
    rondo__fn end;    /* rondo_done_cb, or skipped */
    void *arg;
} member;
_Static_assert(sizeof(member) <= 6 * sizeof(void *), "as group.h says");

/* A job under way. */
typedef struct group_job {
    rondo_job base;
    rondo__list link;   /* group->jobs */
    rondo_group *group; /* NULL: it was closed */
    rondo_work_cb work;
    rondo_done_cb done;
    void *arg;
} group_job;

static bool may_begin(const rondo_group *group) {
    return group->waiting > 0 && (group->canceled || group->active < group->limit);
}

static void go_on(rondo_group *group) {
    if (may_begin(group)) rondo__defer(group->base.loop, &group->more);
}

/* A member is over, and its counts say so already. Also in the closing phase, where nothing is to
 * be done any more. */
static void after_member(rondo_group *group) {
    group->done++;
    if (rondo__handle_closing(&group->base)) return;
    if (group->waiting > 0 || group->active > 0) {
        go_on(group);
    } else { /* `more` was not queued, so `done` comes in a later phase than this */
        rondo__defer(group->base.loop, &group->more);
    }
}

/* ---- the callbacks ---- */

static void group_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                        void *arg) {
    (void)loop, (void)payload;
    ((rondo_group_cb)fn)((rondo_group *)handle, arg);
}
static const rondo__event start_event = {"group.start", group_thunk};
static const rondo__event skipped_event = {"group.skipped", group_thunk};
static const rondo__event done_event = {"group.done", group_thunk};

static void work_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    (void)handle;
    ((rondo_done_cb)fn)(loop, *(const int64_t *)payload, arg);
}
static const rondo__event work_event = {"group.work", work_thunk};

static void tell_result(rondo_loop *loop, rondo_done_cb done, int64_t result, void *arg) {
    rondo__door(loop, NULL, &work_event, RONDO__FN(done), &result, arg);
}

/* ---- jobs under way ---- */

static int64_t run_job(rondo_job *base) {
    group_job *job = (group_job *)base;
    return job->work(base, job->arg);
}

static void deliver_job(rondo_loop *loop, rondo_job *base, int64_t result) {
    group_job *job = (group_job *)base;
    rondo_group *group = job->group;
    rondo_done_cb done = job->done;
    void *arg = job->arg;
    rondo__list_remove(&job->link);
    rondo__request_free(base);
    if (group) {
        RONDO_ASSERT(group->active > group->tasks);
        group->active--;
        after_member(group);
    }
    tell_result(loop, done, result, arg);
}

static int submit_job(rondo_group *group, const member *first) {
    rondo_job *base;
    int error = rondo__request_new(group->base.loop, sizeof(group_job), &base);
    if (error < 0) return error;
    group_job *job = (group_job *)base;
    base->run = run_job;
    base->deliver = deliver_job;
    base->drop = rondo__request_free;
    job->group = group;
    job->work = (rondo_work_cb)first->begin;
    job->done = (rondo_done_cb)first->end;
    job->arg = first->arg;
    error = rondo__job_submit(first->lane, base, false);
    if (error < 0) {
        rondo__request_free(base);
        return error;
    }
    rondo__list_push_back(&group->jobs, &job->link);
    group->active++;
    return 0;
}

static void cancel_jobs(rondo_group *group) {
    for (rondo__list *link = group->jobs.next; link != &group->jobs; link = link->next)
        rondo_job_cancel(&RONDO__OF(link, group_job, link)->base);
}

/* ---- members that wait ---- */

static member *first_member(const rondo_group *group) {
    return RONDO__OF(group->queue.next, member, link);
}

static member take_first(rondo_group *group) {
    member *first = first_member(group), taken = *first;
    RONDO_ASSERT(group->waiting > 0);
    rondo__list_remove(&first->link);
    rondo__free(first);
    group->waiting--;
    return taken;
}

static void skip_first(rondo_group *group) {
    member skipped = take_first(group);
    after_member(group);
    if (skipped.lane) {
        tell_result(group->base.loop, (rondo_done_cb)skipped.end, RONDO_ECANCELED, skipped.arg);
    } else if (skipped.end) {
        rondo__door(group->base.loop, &group->base, &skipped_event, skipped.end, NULL, skipped.arg);
    }
}

/* Returns false when its lane is full. */
static bool begin_first(rondo_group *group) {
    rondo_loop *loop = group->base.loop;
    if (!first_member(group)->lane) {
        member task = take_first(group);
        group->active++;
        group->tasks++;
        rondo__door(loop, &group->base, &start_event, task.begin, NULL, task.arg);
        return true;
    }
    int error = submit_job(group, first_member(group));
    if (error == RONDO_EAGAIN) {
        rondo__alarm_set_in_ms(loop, &group->retry, RETRY_MS);
        return false;
    }
    member job = take_first(group);
    if (error < 0) {
        after_member(group);
        tell_result(loop, (rondo_done_cb)job.end, error, job.arg);
    }
    return true;
}

/* Those that callbacks add wait for the next turn. */
static void begin_members(rondo_group *group) {
    uint32_t budget = rondo_loop_budget(group->base.loop, RONDO_BUDGET_members);
    size_t left = group->waiting < budget ? group->waiting : budget;
    for (; left > 0 && may_begin(group); left--) {
        if (group->canceled) {
            skip_first(group);
        } else if (!begin_first(group)) {
            return;
        }
        if (rondo__handle_closing(&group->base)) return;
    }
    go_on(group);
}

static void on_more(rondo_loop *loop, rondo__task *task) {
    rondo_group *group = RONDO__OF(task, rondo_group, more);
    (void)loop;
    if (group->waiting > 0 || group->active > 0) {
        begin_members(group);
        return;
    }
    group->canceled = false;
    rondo__handle_deactivate(&group->base);
    rondo__emit(&group->base, &group->on[ON_DONE], ON_DONE, &done_event, NULL);
}

static void on_retry(rondo_loop *loop, rondo__alarm *alarm) {
    (void)loop;
    go_on(RONDO__OF(alarm, rondo_group, retry));
}

/* ---- its life ---- */

static void group_stop(rondo_handle *handle) {
    rondo_group *group = (rondo_group *)handle;
    rondo__task_cancel(&group->more);
    rondo__alarm_clear(&group->retry);
    cancel_jobs(group);
}

static void group_finish(rondo_handle *handle) {
    rondo_group *group = (rondo_group *)handle;
    while (group->waiting > 0) skip_first(group);
}

static void group_free(rondo_handle *handle) {
    rondo_group *group = (rondo_group *)handle;
    for (rondo__list *link; (link = rondo__list_pop_front(&group->jobs));)
        RONDO__OF(link, group_job, link)->group = NULL;
}

static void group_verify(const rondo_handle *handle) {
    const rondo_group *group = (const rondo_group *)handle;
    bool has_members = group->waiting > 0 || group->active > 0;
    RONDO_ASSERT(group->active >= group->tasks);
    RONDO_ASSERT(rondo__list_empty(&group->queue) == (group->waiting == 0));
    RONDO_ASSERT(rondo__list_empty(&group->jobs) == (group->active == group->tasks));
    if (rondo__handle_closing(handle)) return;
    RONDO_ASSERT(!has_members || (handle->flags & RONDO__HANDLE_ACTIVE));
    RONDO_ASSERT(!may_begin(group) || rondo__list_linked(&group->more.link) ||
                 rondo__alarm_is_set(&group->retry));
}

static const rondo__kind group_kind = {
    .name = "group",
    .size = sizeof(rondo_group),
    .stop = group_stop,
    .finish = group_finish,
    .free = group_free,
    .verify = group_verify,
    .slots_offset = offsetof(rondo_group, on),
    .slot_count = ON_COUNT,
};

rondo_group *rondo_group_new_at(rondo_loop *loop, unsigned limit, const char *site) {
    RONDO__CHECK_LOOP(loop);
    rondo_group *group = rondo__handle_new(loop, &group_kind, site);
    if (!group) return NULL;
    group->limit = limit ? limit : 1;
    group->bound = DEFAULT_BOUND;
    rondo__list_init(&group->queue);
    rondo__list_init(&group->jobs);
    rondo__task_init(&group->more, on_more);
    rondo__alarm_init(&group->retry, on_retry);
    return group;
}

RONDO__DEFINE_EVENT(rondo_group, rondo_group, done, rondo_group_cb, &group_kind, ON_DONE);

int rondo_group_set_limit(rondo_group *group, unsigned limit) {
    RONDO__CHECK(group, &group_kind);
    if (rondo__handle_closing(&group->base)) return RONDO_ECLOSED;
    group->limit = limit ? limit : 1;
    go_on(group);
    return 0;
}

int rondo_group_set_bound(rondo_group *group, size_t bound) {
    RONDO__CHECK(group, &group_kind);
    if (rondo__handle_closing(&group->base)) return RONDO_ECLOSED;
    group->bound = bound ? bound : 1;
    return 0;
}

/* ---- adding and leaving ---- */

static bool is_full(const rondo_group *group) {
    unsigned at_once = group->limit > group->active ? group->limit - group->active : 0;
    return group->waiting >= group->bound && group->waiting - group->bound >= at_once;
}

static int add(rondo_group *group, member what) {
    if (group->canceled) return RONDO_ECANCELED;
    if (is_full(group)) return RONDO_EAGAIN;
    member *added = rondo__alloc(sizeof *added);
    if (!added) return RONDO_ENOMEM;
    *added = what;
    rondo__list_push_back(&group->queue, &added->link);
    group->waiting++;
    if (!(group->base.flags & RONDO__HANDLE_ACTIVE)) rondo__handle_activate(&group->base);
    go_on(group);
    return 0;
}

int rondo_group_work(rondo_group *group, rondo_lane *lane, rondo_work_cb work, rondo_done_cb done,
                     void *arg) {
    RONDO__CHECK(group, &group_kind);
    rondo_loop *loop = group->base.loop;
    if (rondo__handle_closing(&group->base)) return RONDO_ECLOSED;
    if (!work || !done) return RONDO_EINVAL;
    if (!lane && !(lane = rondo_lane_cpu(loop))) return RONDO_ENOMEM;
    rondo__pool *pool = rondo__pool_get(loop);
    if (!pool) return RONDO_ENOMEM;
    if (lane->crew != pool->crew) return RONDO_EINVAL;
    if (rondo__pool_is_elsewhere(pool)) return RONDO_ENOTSUP;
    return add(
        group,
        (member){.lane = lane, .begin = RONDO__FN(work), .end = RONDO__FN(done), .arg = arg});
}

int rondo_group_run(rondo_group *group, rondo_group_cb start, rondo_group_cb skipped, void *arg) {
    RONDO__CHECK(group, &group_kind);
    if (rondo__handle_closing(&group->base)) return RONDO_ECLOSED;
    if (!start) return RONDO_EINVAL;
    return add(group, (member){.begin = RONDO__FN(start), .end = RONDO__FN(skipped), .arg = arg});
}

void rondo_group_leave(rondo_group *group) {
    RONDO__CHECK(group, &group_kind);
    if (RONDO__UNLIKELY(group->tasks == 0))
        rondo__fatal("rondo_group_leave: the group '%s' made at %s has no task under way",
                     rondo_name(group), rondo__handle_site(&group->base));
    group->tasks--;
    group->active--;
    after_member(group);
}

int rondo_group_cancel(rondo_group *group) {
    RONDO__CHECK(group, &group_kind);
    if (rondo__handle_closing(&group->base)) return RONDO_ECLOSED;
    if (!(group->base.flags & RONDO__HANDLE_ACTIVE)) return 0;
    group->canceled = true;
    cancel_jobs(group);
    go_on(group);
    return 0;
}

bool rondo_group_canceled(const rondo_group *group) {
    RONDO__CHECK(group, &group_kind);
    return group->canceled || rondo__handle_closing(&group->base);
}

void rondo_group_get_figures(const rondo_group *group, rondo_group_figures *ret_figures) {
    RONDO__CHECK(group, &group_kind);
    RONDO_ASSERT(ret_figures);
    *ret_figures = (rondo_group_figures){
        .waiting = group->waiting, .active = group->active, .done = group->done};
}
