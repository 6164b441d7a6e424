/* SPDX-License-Identifier: MIT
 *
 * rondo compare: compare.csv, one row for each point, as RFC 4180 has it (CRLF, a header line). What was not measured is empty.
 */
#include "report_parts.h"

static void field(text *out, const char *value) {
    text_add(out, ",");
    text_csv(out, value ? value : "");
}

static void number(text *out, double value) {
    text_add(out, ",");
    text_number(out, value, "");
}

static void row(text *out, const results *run, const point *p) {
    const subject *s = &run->subjects[p->subject];
    text_csv(out, run->workloads[p->workload].name);
    field(out, s->name);
    field(out, s->version);
    text_add(out, ",%u,%u,%u", p->round, p->connections, p->idle);
    if (p->asked > 0)
        number(out, p->asked);
    else
        text_add(out, ","); /* a closed loop asks for what it gets */
    number(out, p->seconds);
    const uint64_t counts[] = {p->done,     p->errors, p->refused, p->resets,
                               p->timeouts, p->wrong,  p->late};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        text_add(out, ",%llu", (unsigned long long)counts[i]);
    const double values[] = {p->rate,     p->p50,    p->p75,           p->p90,       p->p99,
                             p->p999,     p->max,    p->cpu,           p->voluntary, p->involuntary,
                             p->resident, p->kernel, p->total_resident};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) number(out, values[i]);
    text_add(out, ",%u,%u,%u", p->threads, p->processes, p->fds);
    number(out, p->load_busy);
    field(out, p->reason);
    text_add(out, "\r\n");
}

void report_csv(text *out, const results *run) {
    text_add(out, "workload,subject,version,round,connections,idle_connections,asked_per_s,seconds,"
                  "done,errors,refused,resets,timeouts,wrong,late,rate_per_s,p50_us,p75_us,p90_us,"
                  "p99_us,p99_9_us,max_us,"
                  "cpu_us_per_request,voluntary_switches_per_request,"
                  "involuntary_switches_per_request,resident_bytes_per_connection,"
                  "kernel_bytes_per_connection,total_resident_bytes,threads,processes,fds,"
                  "generator_busy_share,reason\r\n");
    for (size_t i = 0; i < run->point_count; i++) row(out, run, &run->points[i]);
}
