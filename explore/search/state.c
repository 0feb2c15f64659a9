/* SPDX-License-Identifier: MIT */
#include "explore/search/internal.h"
bool fl_state_load(struct fl_search *s, const char *text)
{
	return fl_search_fail(s, "cannot read state %s", text);
}
