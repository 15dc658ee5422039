/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net/http.h"

#include "vmm/base/bytes.h"

struct text {
	const char *at;
	size_t length;
};

static bool is_token(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static bool all_tokens(struct text text)
{
	size_t i;

	for (i = 0; i < text.length; i++)
		if (!is_token(text.at[i]))
			return false;
	return text.length > 0;
}

/* Splits off what comes before the separator; false if there is none. */
static bool split(struct text *text, char separator, struct text *head)
{
	const char *end = memchr(text->at, separator, text->length);

	if (!end)
		return false;
	*head = (struct text){text->at, (size_t)(end - text->at)};
	text->at = end + 1;
	text->length -= head->length + 1;
	return true;
}

/* Takes a line without its CR LF. -1: malformed, with a bare CR or LF, or a NUL. 0: incomplete. */
static int take_line(struct text *text, struct text *line)
{
	if (!split(text, '\n', line))
		return 0;
	if (line->length == 0 || line->at[line->length - 1] != '\r')
		return -1;
	line->length--;
	if (memchr(line->at, '\r', line->length) || memchr(line->at, '\0', line->length))
		return -1;
	return 1;
}

/* Compares without regard to case; lower has no capital letter. */
static bool equals(struct text text, const char *lower)
{
	size_t i;

	if (text.length != strlen(lower))
		return false;
	for (i = 0; i < text.length; i++) {
		char c = text.at[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (c != lower[i])
			return false;
	}
	return true;
}

static struct text trim(struct text text)
{
	for (; text.length > 0 && (*text.at == ' ' || *text.at == '\t'); text.at++)
		text.length--;
	while (text.length > 0 &&
	       (text.at[text.length - 1] == ' ' || text.at[text.length - 1] == '\t'))
		text.length--;
	return text;
}

/* "name" or "name:port". */
static bool parse_host(struct text host, char name[DNS_NAME_TEXT], uint16_t *port)
{
	const char *colon = memchr(host.at, ':', host.length);
	size_t name_length = colon ? (size_t)(colon - host.at) : host.length, i;
	uint32_t number = 0;

	*port = 0;
	if (dns_name_normalise((const uint8_t *)host.at, name_length, name) < 0)
		return false;
	if (!colon)
		return true;
	if (host.length - name_length - 1 > 5)
		return false;
	for (i = name_length + 1; i < host.length; i++) {
		if (host.at[i] < '0' || host.at[i] > '9')
			return false;
		number = number * 10 + (uint32_t)(host.at[i] - '0');
	}
	*port = (uint16_t)number;
	return number > 0 && number <= UINT16_MAX;
}

/* Parses the request line. authority: of a target in absolute form, else empty. */
static bool parse_request_line(struct text line, struct http_request *request,
			       struct text *authority)
{
	struct text method, target;

	if (!split(&line, ' ', &method) || !split(&line, ' ', &target))
		return false;
	if (!all_tokens(method) || method.length >= sizeof(request->method) || target.length == 0)
		return false;
	if (!equals(line, "http/1.1") && !equals(line, "http/1.0"))
		return false;
	memcpy(request->method, method.at, method.length);
	request->method[method.length] = '\0';
	*authority = (struct text){line.at, 0};
	/* A tunnel would lead anywhere. */
	if (strcmp(request->method, "CONNECT") == 0)
		return false;
	if (target.at[0] == '/' || (target.length == 1 && target.at[0] == '*'))
		return true;
	if (target.length < 7 || !equals((struct text){target.at, 7}, "http://"))
		return false;
	target = (struct text){target.at + 7, target.length - 7};
	if (!split(&target, '/', authority))
		*authority = target;
	return authority->length > 0;
}

static bool same_authority(struct text authority, const struct http_request *request)
{
	char name[DNS_NAME_TEXT];
	uint16_t port;

	return parse_host(authority, name, &port) && strcmp(name, request->name) == 0 &&
	       port == request->port;
}

static enum http_peek parse(struct text text, struct http_request *request)
{
	struct text line, field, authority;
	bool host = false;
	int ret = take_line(&text, &line);

	if (ret <= 0)
		return ret < 0 ? HTTP_BAD : HTTP_MORE;
	if (!parse_request_line(line, request, &authority))
		return HTTP_BAD;
	for (;;) {
		ret = take_line(&text, &line);
		if (ret <= 0)
			return ret < 0 ? HTTP_BAD : HTTP_MORE;
		if (line.length == 0)
			break;
		/* This also refuses a folded line, and a space before the colon. */
		if (!split(&line, ':', &field) || !all_tokens(field))
			return HTTP_BAD;
		if (!equals(field, "host"))
			continue;
		if (host || !parse_host(trim(line), request->name, &request->port))
			return HTTP_BAD;
		host = true;
	}
	if (!host || (authority.length > 0 && !same_authority(authority, request)))
		return HTTP_BAD;
	return HTTP_NAME;
}

enum http_peek http_peek(const uint8_t *data, size_t length, struct http_request *request)
{
	enum http_peek result;

	memset(request, 0, sizeof(*request));
	/* Refuse what cannot become a method at its first byte, not after 16 KiB. */
	if (length > 0 && !is_token((char)data[0]))
		return HTTP_BAD;
	result = parse((struct text){(const char *)data, min_u64(length, HTTP_PEEK_MAX)}, request);
	if (result == HTTP_MORE && length >= HTTP_PEEK_MAX)
		return HTTP_BAD;
	return result;
}
