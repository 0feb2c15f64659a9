/* SPDX-License-Identifier: MIT */
/*
 * Where in the source code is: functions and lines of this very program, by its debug information.
 *
 * No locks: one OS thread.
 */
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plain.h"

struct known {
	const void *pc;
	char *text;
	char *file; /* NULL: not known */
	int line;
};

static struct {
	Dwfl *dwfl;
	bool tried;
	struct known *known;
	size_t n;
} w;

static Dwfl *open_self(void)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_linux_proc_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
	};
	Dwfl *dwfl;

	if (w.tried)
		return w.dwfl;
	w.tried = true;
	dwfl = dwfl_begin(&callbacks);
	if (!dwfl)
		return NULL;
	if (dwfl_linux_proc_report(dwfl, getpid()) || dwfl_report_end(dwfl, NULL, NULL)) {
		dwfl_end(dwfl);
		return NULL;
	}
	return w.dwfl = dwfl;
}

/* The line of an address. clang leaves out the table by which dwfl_module_getsrc finds units, so they are all asked. */
static const char *find_line(Dwfl_Module *module, Dwarf_Addr address, int *n)
{
	Dwfl_Line *line = dwfl_module_getsrc(module, address);
	Dwarf_Die *unit = NULL;
	Dwarf_Addr bias;

	if (line)
		return dwfl_lineinfo(line, NULL, n, NULL, NULL, NULL);
	while ((unit = dwfl_module_nextcu(module, unit, &bias))) {
		Dwarf_Line *found;

		if (dwarf_haspc(unit, address - bias) <= 0)
			continue;
		found = dwarf_getsrc_die(unit, address - bias);
		if (found && !dwarf_lineno(found, n))
			return dwarf_linesrc(found, NULL, NULL);
	}
	return NULL;
}

static bool look_up(const void *pc, struct known *k)
{
	Dwarf_Addr address = (Dwarf_Addr)(uintptr_t)pc - 1; /* pc is where a call returns to */
	Dwfl *dwfl = open_self();
	Dwfl_Module *module = dwfl ? dwfl_addrmodule(dwfl, address) : NULL;
	const char *function = module ? dwfl_module_addrname(module, address) : NULL;
	const char *file, *slash;
	char text[256];
	int n = 0;

	file = module ? find_line(module, address, &n) : NULL;
	slash = file ? strrchr(file, '/') : NULL;
	if (file)
		snprintf(text, sizeof(text), "%s (%s:%d)", function ? function : "code", slash ? slash + 1 : file, n);
	else
		snprintf(text, sizeof(text), "%s", function ? function : "code without a name");
	*k = (struct known){.pc = pc, .text = strdup(text), .file = file ? strdup(file) : NULL, .line = n};
	if (k->text && (!file || k->file))
		return true;
	free(k->text);
	free(k->file);
	return false;
}

static const struct known *know(const void *pc)
{
	struct known *grown;

	for (size_t i = 0; i < w.n; i++)
		if (w.known[i].pc == pc)
			return &w.known[i];
	grown = realloc(w.known, (w.n + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	w.known = grown;
	return look_up(pc, &w.known[w.n]) ? &w.known[w.n++] : NULL;
}

const char *fl_where(const void *pc)
{
	const struct known *k = know(pc);

	return k ? k->text : "code";
}

const char *fl_where_line(const void *pc, uint32_t *line)
{
	const struct known *k = know(pc);

	if (!k || !k->file)
		return NULL;
	*line = (uint32_t)k->line;
	return k->file;
}

void fl_where_close(void)
{
	for (size_t i = 0; i < w.n; i++) {
		free(w.known[i].text);
		free(w.known[i].file);
	}
	free(w.known);
	if (w.dwfl)
		dwfl_end(w.dwfl);
	memset(&w, 0, sizeof(w));
}
