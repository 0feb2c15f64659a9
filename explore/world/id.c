/* SPDX-License-Identifier: MIT */
/*
 * Run ids: 1.MEMORY.FAILS.HASH.SCHEDULE, where 1 is the version of this form, MEMORY s or t, FAILS how many allocations
 * may fail, HASH of the test's name, and SCHEDULE the search's. So a run is replayed under what it was found under.
 *
 * No locks: nothing is shared.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

static uint32_t hash(const char *s)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (; s && *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return h;
}

static void prefix(char *buf, size_t size)
{
	snprintf(buf, size, "1.%c.%u.%08x.", fl_world.options->memory == FL_EXPLORE_TSO ? 't' : 's',
		 fl_world.options->alloc_fails, hash(fl_world.test->name));
}

char *fl_id_make(const char *schedule)
{
	char before[64], *id;

	prefix(before, sizeof(before));
	id = malloc(strlen(before) + strlen(schedule) + 1);
	if (!id)
		return NULL;
	strcpy(id, before);
	return strcat(id, schedule);
}

const char *fl_id_read(const char *id, const char **error)
{
	char before[64];
	size_t version = strspn(id, "0123456789");

	prefix(before, sizeof(before));
	if (!strncmp(id, before, strlen(before)))
		return id + strlen(before);
	if (version != 1 || id[0] != '1' || id[1] != '.')
		*error = "this is not a run id, or one of another version";
	else if (id[2] != before[2])
		*error = id[2] == 't' ? "the run id is one of the TSO memory model"
				      : "the run id is one of sequential consistency";
	else
		*error = "the run id is another test's, or one with another number of failing allocations";
	return NULL;
}
