/* SPDX-License-Identifier: MIT
 *
 * What rondo compare shows of its results: the files (compare_report_test.py reads them as others would), the bar and the table.
 */
#include "../cmd/compare/report_parts.h"

#include "compare_sample.h"
#include "harness.h"

#include <unistd.h>

/* For compare_report_test.py: the report of what $SAMPLE asks for, into $OUT. */
TEST_HIDDEN(write_sample) {
    const char *kind = getenv("SAMPLE"), *out = getenv("OUT");
    results run;
    sample_begin(&run, SAMPLE_MODELS, strcmp(kind, "few") == 0 ? 0 : SAMPLE_PEERS);
    if (strcmp(kind, "many") == 0)
        run.subjects[20].missing = "ocaml-nox", run.subjects[19].missing = "python3-gevent";
    sample_fill(&run, strcmp(kind, "single") == 0 ? 1 : 3);
    int rc = report_write(&run, out);
    sample_end(&run);
    if (rc != 0) _exit(rc);
}
