/* SPDX-License-Identifier: MIT */
/*
 * What stands in a line, made simple: words that need not be there, results that nobody uses, shorter ranges, smaller numbers, the
 * first of all threads. Each step makes the line shorter, or a number in it smaller; so this ends.
 *
 * No locks: one thread.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff/generate/shrink.h"

/* The line with [from, to) replaced. NULL: no memory. */
static char *replaced(const char *line, const char *from, const char *to, const char *by)
{
	char *text;

	if (asprintf(&text, "%.*s%s%s", (int)(from - line), line, by, to) < 0)
		return NULL;
	return text;
}

/* Where the statement begins: behind `main: `, and behind `p1 = `. */
static const char *statement_of(const char *line)
{
	const char *colon = strstr(line, ": "), *equals;

	if (colon && !memchr(line, ' ', (size_t)(colon - line)))
		line = colon + 2;
	equals = strstr(line, " = ");
	return equals && !memchr(line, ' ', (size_t)(equals - line)) ? equals + 3 : line;
}

/* One word less: an option, mostly. From the end. */
static bool drop_word(struct fl_shrinker *k, size_t i)
{
	const char *line = k->line[i], *begin = statement_of(line);

	for (const char *c = line + strlen(line); c > begin; c--) {
		const char *end;

		if (c[-1] != ' ')
			continue;
		end = c + strcspn(c, " ");
		if (fl_shrink_line(k, i, replaced(line, c - 1, end, "")))
			return true;
	}
	return false;
}

static bool drop_result(struct fl_shrinker *k, size_t i)
{
	const char *line = k->line[i], *begin = statement_of(line), *equals = strstr(line, " = ");

	if (!equals || equals > begin)
		return false;
	while (equals > line && equals[-1] != ' ')
		equals--;
	return fl_shrink_line(k, i, replaced(line, equals, begin, ""));
}

/* features=a,b: one less */
static bool drop_listed(struct fl_shrinker *k, size_t i)
{
	const char *line = k->line[i];

	for (const char *c = strchr(line, ','); c; c = strchr(c + 1, ',')) {
		const char *first = c;

		if (fl_shrink_line(k, i, replaced(line, c, c + 1 + strcspn(c + 1, ", "), "")))
			return true;
		while (first > line && first[-1] != '=' && first[-1] != ',')
			first--;
		if (fl_shrink_line(k, i, replaced(line, first, c + 1, "")))
			return true;
	}
	return false;
}

/* `+8` in a location */
static bool drop_offset(struct fl_shrinker *k, size_t i)
{
	const char *line = k->line[i];

	for (const char *c = line; *c; c++) {
		if ((*c != '+' && *c != '-') || c == line || c[-1] == ' ' || !isdigit((unsigned char)c[1]))
			continue;
		if (fl_shrink_line(k, i, replaced(line, c, c + 1 + strspn(c + 1, "0123456789abcdefx"), "")))
			return true;
	}
	return false;
}

/* [3:7] becomes [3] */
static bool drop_end(struct fl_shrinker *k, size_t i)
{
	const char *line = k->line[i];

	for (const char *c = strchr(line, '['); c; c = strchr(c + 1, '[')) {
		const char *colon = c + strcspn(c, ":]");

		if (*colon == ':' && fl_shrink_line(k, i, replaced(line, colon, strchr(colon, ']'), "")))
			return true;
	}
	return false;
}

/* Somebody else does it: a thread that is declared above this one's. */
static bool change_thread(struct fl_shrinker *k, size_t i)
{
	const char *line = k->line[i], *colon = strstr(line, ": ");
	size_t n;

	if (!colon || memchr(line, ' ', (size_t)(colon - line)))
		return false;
	n = (size_t)(colon - line);
	for (size_t t = 0; t < k->lines; t++) {
		const char *name = k->line[t] + 7;
		size_t length;
		char by[32];

		if (strncmp(k->line[t], "thread ", 7))
			continue;
		length = strcspn(name, " ");
		if (length == n && !memcmp(name, line, n))
			return false;
		if (length >= sizeof(by))
			continue;
		memcpy(by, name, length);
		by[length] = '\0';
		if (fl_shrink_line(k, i, replaced(line, line, colon, by)))
			return true;
	}
	return false;
}

static bool try_number(struct fl_shrinker *k, size_t i, const char *from, const char *to, unsigned long long number)
{
	char by[32];

	snprintf(by, sizeof(by), number < 65536 ? "%llu" : "%#llx", number);
	return fl_shrink_line(k, i, replaced(k->line[i], from, to, by));
}

/* A number that is smaller, or a multiple of a page. */
static bool lower_number(struct fl_shrinker *k, size_t i, const char *from, const char *to)
{
	unsigned long long number = strtoull(from, NULL, 0), page = FL_DIFF_PAGE;
	unsigned long long smaller[] = {0, 1, page, number - number % page, number / 2, number - 1};
	bool bytes = from - k->line[i] >= 6 && !memcmp(from - 6, "bytes=", 6);

	for (size_t n = 0; n < sizeof(smaller) / sizeof(smaller[0]); n++) {
		if (n == 5 && number > 64)
			break;
		if (smaller[n] < number && try_number(k, i, from, to, smaller[n]))
			return true;
	}
	return bytes && number % page && number < 1ull << 32 && try_number(k, i, from, to, (number / page + 1) * page);
}

static bool lower_numbers(struct fl_shrinker *k, size_t i)
{
	const char *line = k->line[i];

	for (const char *c = statement_of(line); *c; c++) {
		const char *end;

		if (!isdigit((unsigned char)*c))
			continue;
		end = c + strspn(c, "0123456789abcdefx");
		/* Part of a name; or where a range begins, which is for fl_shrink_places. */
		if (c > line && (isalpha((unsigned char)c[-1]) || c[-1] == '_' || c[-1] == '[')) {
			c = end - 1;
			continue;
		}
		if (lower_number(k, i, c, end))
			return true;
		c = end - 1;
	}
	return false;
}

bool fl_shrink_words(struct fl_shrinker *k, size_t i)
{
	static bool (*const ways[])(struct fl_shrinker * k, size_t i) = {
		drop_word, drop_result, drop_listed, drop_end, drop_offset, change_thread, lower_numbers,
	};

	for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
		if (fl_shrink_goes_on(k) && ways[w](k, i))
			return true;
	}
	return false;
}

/* Is this `NAME[` at c? */
static bool names(const char *line, const char *c, const char *name, size_t n)
{
	return !strncmp(c, name, n) && c[n] == '[' && (c == line || c[-1] == ' ' || c[-1] == '=');
}

/* The lowest page of the place that is named in the program. ULLONG_MAX: none. */
static unsigned long long lowest(const struct fl_shrinker *k, const char *name, size_t n)
{
	unsigned long long low = ~0ull, page;

	for (size_t i = 0; i < k->lines; i++) {
		for (const char *c = k->line[i]; *c; c++) {
			if (!names(k->line[i], c, name, n))
				continue;
			page = strtoull(c + n + 1, NULL, 10);
			low = page < low ? page : low;
		}
	}
	return low;
}

/* The line with all pages of the place so much lower. NULL: no memory. */
static char *shifted(const char *line, const char *name, size_t n, unsigned long long by)
{
	char *text = malloc(2 * strlen(line) + 1), *to = text;
	const char *c = line;

	while (text && *c) {
		const char *from = c;
		char *end;

		if (!names(line, c, name, n)) {
			*to++ = *c++;
			continue;
		}
		memcpy(to, c, n + 1);
		to += n + 1;
		c += n + 1;
		for (;;) {
			unsigned long long page = strtoull(c, &end, 10);

			to += sprintf(to, "%llu", page - by);
			c = end;
			if (*c != ':' || c <= from)
				break;
			*to++ = *c++;
		}
	}
	if (text)
		*to = '\0';
	return text;
}

static bool shift(struct fl_shrinker *k, const char *name, size_t n, unsigned long long by)
{
	char **line = calloc(k->lines, sizeof(*line));
	bool still = false, made = line != NULL;

	for (size_t i = 0; made && i < k->lines; i++)
		made = (line[i] = shifted(k->line[i], name, n, by)) != NULL;
	if (made)
		still = fl_shrink_still(k, line, k->lines);
	else
		k->failed = true;
	for (size_t i = 0; line && i < k->lines; i++) {
		free(still ? k->line[i] : line[i]);
		if (still)
			k->line[i] = line[i];
	}
	free(line);
	return still;
}

bool fl_shrink_places(struct fl_shrinker *k)
{
	for (size_t i = 0; i < k->lines; i++) {
		char name[24];
		size_t n;
		unsigned long long low;

		if (strncmp(k->line[i], "place ", 6))
			continue;
		n = strcspn(k->line[i] + 6, " ");
		if (n >= sizeof(name))
			continue;
		memcpy(name, k->line[i] + 6, n);
		name[n] = '\0';
		low = lowest(k, name, n);
		if (low && low != ~0ull && shift(k, name, n, low))
			return true;
	}
	return false;
}
