/* SPDX-License-Identifier: MIT
 *
 * rondo compare: the table of workloads. Everything that a load is made of stands here and nowhere else.
 */
#include "workloads.h"

#include <string.h>

#define KIB 1024

const workload_file workload_files[WORKLOAD_FILES] = {
    {"4k", 4 * KIB}, {"64k", 64 * KIB}, {"1m", 1024 * KIB}};

/* clang-format off */
const workload_row workload_rows[] = {
    {.about = {.name = "hello", .title = "a short answer at once",
               .asks = "What does a model cost by itself, when a request needs no work?", .bound = 10000},
     .connections = 64, .rate = 1000,
     .kinds = {{.target = "/hello", .weight = 1}},
     .full = {.rounds = 3, .closed = true, .fractions = {0.3, 0.5, 0.7, 0.9, 1.1}},
     .quick = {.rounds = 2, .closed = true, .fractions = {0.6, 0.9}}},
    {.about = {.name = "wait", .title = "each request waits 20 ms for a slow back end",
               .asks = "How many requests can a model have in the air?", .bound = 50000},
     .connections = 256, .rate = 500,
     .kinds = {{.target = "/wait?ms=20", .weight = 1}},
     .full = {.rounds = 3, .closed = true, .fractions = {0.5, 0.9}},
     .quick = {.rounds = 1, .closed = true}},
    {.about = {.name = "cpu", .title = "each request computes for about 200 us",
               .asks = "When the core is the bottleneck, does the model matter?", .bound = 50000},
     .connections = 16, .rate = 560,
     .kinds = {{.target = "/cpu?n=200", .weight = 1}},
     .full = {.rounds = 2, .closed = true, .fractions = {0.7}}},
    {.about = {.name = "file-4k", .title = "a file of 4 KiB, in the page cache",
               .asks = "What does it take to send a small file?", .bound = 10000},
     .connections = 32, .rate = 1000,
     .kinds = {{.target = "/file?name=4k", .weight = 1, .file = 4 * KIB}},
     .full = {.rounds = 2, .closed = true}},
    {.about = {.name = "file-64k", .title = "a file of 64 KiB, in the page cache",
               .asks = "And a bigger one, which sendfile(2) moves inside the kernel?", .bound = 20000},
     .connections = 32, .rate = 1000,
     .kinds = {{.target = "/file?name=64k", .weight = 1, .file = 64 * KIB}},
     .full = {.rounds = 2, .closed = true}},
    {.about = {.name = "file-1m", .title = "a file of 1 MiB, in the page cache",
               .asks = "How much can a model put on the wire?", .bound = 100000},
     .connections = 32, .rate = 100,
     .kinds = {{.target = "/file?name=1m", .weight = 1, .file = 1024 * KIB}},
     .full = {.rounds = 2, .closed = true}},
    {.about = {.name = "file-cold", .title = "files of 64 KiB and, each tenth, 1 MiB that is not in the page cache",
               .asks = "Does a file that comes from the disk keep the others waiting?", .bound = 50000},
     .connections = 32, .rate = 220, .cold = "1m",
     .kinds = {{.target = "/file?name=64k", .weight = 9, .file = 64 * KIB},
               {.target = "/file?name=1m", .weight = 1, .file = 1024 * KIB}},
     .full = {.rounds = 1}},
    {.about = {.name = "mixed", .title = "60% short answers, 25% that wait 5 ms, 10% files of 4 KiB, 5% that compute for 500 us",
               .asks = "What does a service see that has a bit of everything?", .bound = 30000},
     .connections = 128, .rate = 1000,
     .kinds = {{.target = "/hello", .weight = 60}, {.target = "/wait?ms=5", .weight = 25},
               {.target = "/file?name=4k", .weight = 10, .file = 4 * KIB}, {.target = "/cpu?n=500", .weight = 5}},
     .full = {.rounds = 3, .closed = true, .fractions = {0.5, 0.8, 0.95}}},
    {.about = {.name = "idle", .title = "a crowd of idle connections, and 16 that are busy with short answers",
               .asks = "What does a connection cost that does nothing?", .bound = 10000},
     .connections = 16, .rate = 1000,
     .kinds = {{.target = "/hello", .weight = 1}},
     .full = {.rounds = 1, .crowds = {100, 1000, 10000}},
     .quick = {.rounds = 1, .crowds = {1000}}},
    {.about = {.name = "slow", .title = "64 clients that take 1 MiB at 4 KiB/s, and 16 that are busy with short answers",
               .asks = "Do slow readers keep the others waiting?", .bound = 10000},
     .connections = 16, .slow = 64, .rate = 1000,
     .kinds = {{.target = "/hello", .weight = 1}},
     .full = {.rounds = 1}},
    {.about = {.name = "blocker", .title = "one request in a thousand computes for about a second; the others are short answers",
               .asks = "What happens to everybody else?", .bound = 100000},
     .connections = 32, .rate = 390,
     .kinds = {{.target = "/hello", .weight = 1}, {.target = "/cpu?n=1000000", .every = 1000, .apart = true}},
     .full = {.rounds = 2, .least_seconds = 3.0},
     .quick = {.rounds = 1, .least_seconds = 2.0}},
    {.about = {.name = NULL}},
};
/* clang-format on */

int workload_find(const char *name) {
    for (int i = 0; workload_rows[i].about.name; i++)
        if (strcmp(workload_rows[i].about.name, name) == 0) return i;
    return -1;
}
