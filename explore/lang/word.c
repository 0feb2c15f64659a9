/* SPDX-License-Identifier: MIT */
/*
 * The words that stand for numbers: errors, events, features, kinds of advice; and the functions of the end.
 *
 * No locks: constants.
 */
#include <string.h>

#include "explore/lang/lang.h"
#include "faultline/errno.h"
#include "faultline/uapi.h"

const struct fl_sc_word fl_sc_value_words[] = {
	{"EPERM", -FL_EPERM},
	{"ENOENT", -FL_ENOENT},
	{"ESRCH", -FL_ESRCH},
	{"EINTR", -FL_EINTR},
	{"EIO", -FL_EIO},
	{"EBADF", -FL_EBADF},
	{"EAGAIN", -FL_EAGAIN},
	{"ENOMEM", -FL_ENOMEM},
	{"EACCES", -FL_EACCES},
	{"EFAULT", -FL_EFAULT},
	{"EBUSY", -FL_EBUSY},
	{"EEXIST", -FL_EEXIST},
	{"ENODEV", -FL_ENODEV},
	{"EINVAL", -FL_EINVAL},
	{"ENOSYS", -FL_ENOSYS},
	{"EOVERFLOW", -FL_EOVERFLOW},
	{"EOPNOTSUPP", -FL_EOPNOTSUPP},
	{"EHWPOISON", -FL_EHWPOISON},
	{"ERESTARTSYS", -FL_ERESTARTSYS},
	{"MAPERR", FL_SC_MAPERR},
	{"ACCERR", FL_SC_ACCERR},
	{"BUS", FL_SC_BUS},
	{"POISON", FL_SC_POISON},
	{"TAG", FL_SC_TAG},
	{"INTERRUPTED", FL_SC_INTERRUPTED},
	{"NOMEM", FL_SC_NOMEM},
	{"UNSET", FL_SC_UNSET},
	{"PAGEFAULT", FL_UFFD_EVENT_PAGEFAULT},
	{"FORK", FL_UFFD_EVENT_FORK},
	{"REMAP", FL_UFFD_EVENT_REMAP},
	{"REMOVE", FL_UFFD_EVENT_REMOVE},
	{"UNMAP", FL_UFFD_EVENT_UNMAP},
	{"POLLIN", FL_POLLIN},
	{"POLLERR", FL_POLLERR},
	{"WRITE", FL_UFFD_PAGEFAULT_FLAG_WRITE},
	{"WP", FL_UFFD_PAGEFAULT_FLAG_WP},
	{"MINOR", FL_UFFD_PAGEFAULT_FLAG_MINOR},
	{NULL, 0},
};

const struct fl_sc_word fl_sc_whens[] = {
	{"always", FL_SC_ALWAYS},
	{"sometimes", FL_SC_SOMETIMES},
	{"never", FL_SC_NEVER},
	{"oddity", FL_SC_ODDITY},
	{NULL, 0},
};

const char *fl_sc_when_name(enum fl_sc_when when)
{
	return fl_sc_whens[when].name; /* in the order of the enumeration */
}

const struct fl_sc_word fl_sc_advice_words[] = {
	{"normal", FL_MADV_NORMAL},
	{"random", FL_MADV_RANDOM},
	{"sequential", FL_MADV_SEQUENTIAL},
	{"willneed", FL_MADV_WILLNEED},
	{"dontneed", FL_MADV_DONTNEED},
	{"free", FL_MADV_FREE},
	{"remove", FL_MADV_REMOVE},
	{"dontfork", FL_MADV_DONTFORK},
	{"dofork", FL_MADV_DOFORK},
	{"mergeable", FL_MADV_MERGEABLE},
	{"unmergeable", FL_MADV_UNMERGEABLE},
	{"hugepage", FL_MADV_HUGEPAGE},
	{"nohugepage", FL_MADV_NOHUGEPAGE},
	{"dontdump", FL_MADV_DONTDUMP},
	{"dodump", FL_MADV_DODUMP},
	{"wipeonfork", FL_MADV_WIPEONFORK},
	{"keeponfork", FL_MADV_KEEPONFORK},
	{"cold", FL_MADV_COLD},
	{"pageout", FL_MADV_PAGEOUT},
	{"populate_read", FL_MADV_POPULATE_READ},
	{"populate_write", FL_MADV_POPULATE_WRITE},
	{"dontneed_locked", FL_MADV_DONTNEED_LOCKED},
	{"collapse", FL_MADV_COLLAPSE},
	{"hwpoison", FL_MADV_HWPOISON},
	{"soft_offline", FL_MADV_SOFT_OFFLINE},
	{"guard_install", FL_MADV_GUARD_INSTALL},
	{"guard_remove", FL_MADV_GUARD_REMOVE},
	{NULL, 0},
};

const struct fl_sc_word fl_sc_feature_words[] = {
	{"pagefault_flag_wp", FL_UFFD_FEATURE_PAGEFAULT_FLAG_WP},
	{"event_fork", FL_UFFD_FEATURE_EVENT_FORK},
	{"event_remap", FL_UFFD_FEATURE_EVENT_REMAP},
	{"event_remove", FL_UFFD_FEATURE_EVENT_REMOVE},
	{"missing_hugetlbfs", FL_UFFD_FEATURE_MISSING_HUGETLBFS},
	{"missing_shmem", FL_UFFD_FEATURE_MISSING_SHMEM},
	{"event_unmap", FL_UFFD_FEATURE_EVENT_UNMAP},
	{"sigbus", FL_UFFD_FEATURE_SIGBUS},
	{"thread_id", FL_UFFD_FEATURE_THREAD_ID},
	{"minor_hugetlbfs", FL_UFFD_FEATURE_MINOR_HUGETLBFS},
	{"minor_shmem", FL_UFFD_FEATURE_MINOR_SHMEM},
	{"exact_address", FL_UFFD_FEATURE_EXACT_ADDRESS},
	{"wp_hugetlbfs_shmem", FL_UFFD_FEATURE_WP_HUGETLBFS_SHMEM},
	{"wp_unpopulated", FL_UFFD_FEATURE_WP_UNPOPULATED},
	{"poison", FL_UFFD_FEATURE_POISON},
	{"wp_async", FL_UFFD_FEATURE_WP_ASYNC},
	{"move", FL_UFFD_FEATURE_MOVE},
	{NULL, 0},
};

const struct fl_sc_word fl_sc_mode_words[] = {
	{"missing", FL_UFFDIO_REGISTER_MODE_MISSING},
	{"wp", FL_UFFDIO_REGISTER_MODE_WP},
	{"minor", FL_UFFDIO_REGISTER_MODE_MINOR},
	{NULL, 0},
};

const struct fl_sc_word fl_sc_field_words[] = {
	{"event", FL_SC_F_EVENT}, {"address", FL_SC_F_ADDRESS}, {"end", FL_SC_F_END},
	{"flags", FL_SC_F_FLAGS}, {"thread", FL_SC_F_THREAD},   {NULL, 0},
};

const struct fl_sc_word fl_sc_finding_words[] = {
	{"deadlock", FL_EXPLORE_DEADLOCK},
	{"lost_wakeup", FL_EXPLORE_LOST_WAKEUP},
	{"livelock", FL_EXPLORE_LIVELOCK},
	{"race", FL_EXPLORE_RACE},
	{"leak", FL_EXPLORE_LEAK},
	{"checker", FL_EXPLORE_CHECKER},
	{NULL, 0},
};

const struct fl_sc_function fl_sc_functions[] = {
	{"faults", FL_SC_E_COUNT, FL_SC_C_FAULTS, 'T'},     {"retries", FL_SC_E_COUNT, FL_SC_C_RETRIES, 'T'},
	{"messages", FL_SC_E_COUNT, FL_SC_C_MESSAGES, 'U'}, {"resident", FL_SC_E_COUNT, FL_SC_C_RESIDENT, 'R'},
	{"vmas", FL_SC_E_COUNT, FL_SC_C_VMAS, 'C'},         {"tables", FL_SC_E_COUNT, FL_SC_C_TABLES, 'C'},
	{"frames", FL_SC_E_COUNT, FL_SC_C_FRAMES, 0},       {"blocked", FL_SC_E_BLOCKED, FL_SC_C_FAULTS, 'T'},
	{NULL, FL_SC_E_COUNT, FL_SC_C_FAULTS, 0},
};

const struct fl_sc_word *fl_sc_word_find(const struct fl_sc_word *table, const struct fl_sc_token *t)
{
	for (; table->name; table++) {
		if (fl_sc_token_is(t, table->name))
			return table;
	}
	return NULL;
}

int64_t fl_sc_expect_one(struct fl_sc_parser *p, const struct fl_sc_word *table, const char *what)
{
	const struct fl_sc_token *t = fl_sc_peek(p);
	const struct fl_sc_word *word = fl_sc_word_find(table, t);
	struct fl_sc_guess guess;

	if (!word && t->kind != FL_SC_T_WORD)
		fl_sc_expected(p, what);
	if (!word) {
		fl_sc_guess_begin(&guess, t);
		for (; table->name; table++)
			fl_sc_guess_word(&guess, table->name);
		fl_sc_fail(p, t, "expected %s, found '%.*s'%s", what, fl_sc_shown(t), t->text, fl_sc_guess_end(&guess));
	}
	fl_sc_next(p);
	return word->value;
}

const struct fl_sc_function *fl_sc_function_find(const struct fl_sc_token *t)
{
	for (const struct fl_sc_function *f = fl_sc_functions; f->name; f++) {
		if (fl_sc_token_is(t, f->name))
			return f;
	}
	return NULL;
}

const char *fl_sc_value_name(int64_t value)
{
	for (const struct fl_sc_word *w = fl_sc_value_words; w->name && value < 0; w++) {
		if (w->value == value)
			return w->name;
	}
	return NULL;
}

bool fl_sc_value_by_name(const char *name, int64_t *value)
{
	for (const struct fl_sc_word *w = fl_sc_value_words; w->name; w++) {
		if (!strcmp(w->name, name)) {
			*value = w->value;
			return true;
		}
	}
	return false;
}
