/* SPDX-License-Identifier: MIT */
#ifndef FL_JSON_H
#define FL_JSON_H

#include "explore/report/report.h"

/* The verdict as an object of JSON on one line. */
void fl_json_print(FILE *out, const struct fl_verdict *v);

#endif
