/* SPDX-License-Identifier: MIT */
/*
 * Numbers, times and errors as they are printed, and how wide the paper is.
 *
 * No locks: one thread.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "explore/report/report.h"

#define BUFFERS 8
#define WIDTH_MIN 80
#define WIDTH_MAX 160
#define WIDTH_DEFAULT 100 /* of a file or a pipe */

static char *next_buffer(size_t *size)
{
	static char buffer[BUFFERS][32];
	static unsigned turn;

	*size = sizeof(buffer[0]);
	return buffer[turn++ % BUFFERS];
}

const char *fl_error_text(const char *error)
{
	return error ? error : "out of memory";
}

char *fl_error_make(const char *format, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	return text;
}

const char *fl_show_count(uint64_t n)
{
	char digits[24];
	size_t size, len, to = 0;
	char *buf = next_buffer(&size);

	len = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, n);
	for (size_t i = 0; i < len && to + 2 < size; i++) {
		if (i && (len - i) % 3 == 0)
			buf[to++] = ',';
		buf[to++] = digits[i];
	}
	buf[to] = '\0';
	return buf;
}

const char *fl_show_seconds(double seconds)
{
	size_t size;
	char *buf = next_buffer(&size);
	unsigned whole = seconds < 1e9 ? (unsigned)seconds : 1000000000;

	if (seconds < 60)
		snprintf(buf, size, "%.2f s", seconds);
	else if (whole < 3600)
		snprintf(buf, size, "%u min %u s", whole / 60, whole % 60);
	else
		snprintf(buf, size, "%u h %u min", whole / 3600, whole / 60 % 60);
	return buf;
}

unsigned fl_show_width(FILE *out)
{
	const char *text = getenv("COLUMNS");
	unsigned long width = text ? strtoul(text, NULL, 10) : 0;
	struct winsize ws;

	if (!width && !ioctl(fileno(out), TIOCGWINSZ, &ws))
		width = ws.ws_col;
	if (!width)
		width = WIDTH_DEFAULT;
	return (unsigned)(width < WIDTH_MIN ? WIDTH_MIN : width > WIDTH_MAX ? WIDTH_MAX : width);
}
