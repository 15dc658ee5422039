/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of requests (RFC 3986, 3.3 and 6.2.2).
 *
 * Servers, and the proxies before them, differ in what they do with dot segments, empty segments,
 * parameters and escaped separators: one serves /a/../b as /b, another hands it to what answers
 * for /a. Clients send none of these, so there is no need to choose: such a path is `unclear`.
 */
#include "vmm/relay/http_text.h"

#define SEGMENT_MAX 255 /* what the patterns of rules can match, see vmm/policy/glob.h */

struct path {
	struct span raw;
	size_t at;
	char *to;
	size_t length, segment; /* written; where the current segment begins */
	const char *unclear;
};

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int http_escape(const char *digits)
{
	int high = hex(digits[0]), low = high < 0 ? -1 : hex(digits[1]);

	return low < 0 ? -1 : high << 4 | low;
}

static bool is_unreserved(int c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c > 0 && c < 0x80 && strchr("-._~", c));
}

/* The byte of an escape at an offset of the raw path, or -1. */
static int escape_at(const struct path *path, size_t at)
{
	if (at + 3 > path->raw.length || path->raw.at[at] != '%')
		return -1;
	return http_escape(path->raw.at + at + 1);
}

static void put(struct path *path, char c)
{
	if (path->length < REQUEST_PATH_MAX)
		path->to[path->length++] = c;
	else
		path->unclear = "a path of more than 4096 bytes";
}

static void doubt(struct path *path, const char *why)
{
	if (!path->unclear)
		path->unclear = why;
}

static void check_escape(struct path *path, int byte)
{
	int next = escape_at(path, path->at + 3);

	if (byte == '/' || byte == '\\')
		doubt(path, "an escaped slash or backslash in the path");
	else if (byte < ' ' || byte == 0x7f)
		doubt(path, "an escaped control character in the path");
	else if (byte == ';')
		doubt(path, "a parameter in the path");
	else if (byte == '%' && path->at + 5 <= path->raw.length &&
		 http_escape(path->raw.at + path->at + 3) >= 0)
		doubt(path, "a path that is escaped twice");
	/* An overlong form of UTF-8 can stand for any character, such as a slash. */
	else if (byte == 0xc0 || byte == 0xc1 || byte > 0xf4 || (byte == 0xe0 && next < 0xa0) ||
		 (byte == 0xf0 && next < 0x90))
		doubt(path, "invalid UTF-8 in the path");
}

static bool read_escape(struct path *path)
{
	static const char digits[] = "0123456789ABCDEF";
	int byte = escape_at(path, path->at);

	if (byte < 0)
		return false;
	check_escape(path, byte);
	path->at += 3;
	if (is_unreserved(byte)) {
		put(path, (char)byte);
		return true;
	}
	put(path, '%');
	put(path, digits[byte >> 4]);
	put(path, digits[byte & 15]);
	return true;
}

/* last: nothing follows the segment, which may then be empty. */
static void check_segment(struct path *path, bool last)
{
	const char *segment = path->to + path->segment;
	size_t length = path->length - path->segment;

	if (length == 0 && !last)
		doubt(path, "an empty segment in the path");
	if ((length == 1 && segment[0] == '.') || (length == 2 && memcmp(segment, "..", 2) == 0))
		doubt(path, "a dot segment in the path");
	if (length > SEGMENT_MAX)
		doubt(path, "a segment of more than 255 bytes in the path");
}

bool request_read_path(const char *raw, size_t length, struct request_head *head)
{
	struct path path = {
		.raw = {raw, length}, .at = 1, .to = head->path, .length = 1, .segment = 1};
	char c;

	head->path[0] = '/';
	while (path.at < length) {
		c = raw[path.at];
		if (c == '%') {
			if (!read_escape(&path))
				return false;
			continue;
		}
		path.at++;
		if (c == '/') {
			check_segment(&path, false);
			put(&path, '/');
			path.segment = path.length;
			continue;
		}
		if (!is_unreserved((unsigned char)c) && (c == '\0' || !strchr("!$&'()*+,;=:@", c)))
			return false;
		if (c == ';')
			doubt(&path, "a parameter in the path");
		put(&path, c);
	}
	check_segment(&path, true);
	if (path.length > 1 && path.to[path.length - 1] == '/')
		path.length--;
	path.to[path.length] = '\0';
	if (path.unclear)
		head->unclear = path.unclear;
	return true;
}
