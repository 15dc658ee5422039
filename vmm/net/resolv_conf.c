/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a resolv.conf (resolv.conf(5)) that count here. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/net/resolver.h"

#define SERVER_TEXT INET6_ADDRSTRLEN

/* The rest of a line, or of a file. */
struct text {
	const char *at;
	size_t left;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void skip(struct text *text, size_t length)
{
	text->at += length;
	text->left -= length;
}

/* Takes the next line, without its end. False: there is none. */
static bool take_line(struct text *text, struct text *line)
{
	const char *end;

	if (text->left == 0)
		return false;
	end = memchr(text->at, '\n', text->left);
	*line = (struct text){text->at, end ? (size_t)(end - text->at) : text->left};
	skip(text, line->left + (end ? 1 : 0));
	return true;
}

/* Whether the line begins with that keyword and a blank, which are taken off. */
static bool take_keyword(struct text *line, const char *keyword)
{
	size_t length = strlen(keyword);

	if (line->left <= length || memcmp(line->at, keyword, length) != 0 ||
	    !is_blank(line->at[length]))
		return false;
	skip(line, length);
	return true;
}

/* Takes the next word of a line, which may end in a comment. False: there is none. */
static bool take_word(struct text *line, struct text *word)
{
	while (line->left > 0 && is_blank(line->at[0]))
		skip(line, 1);
	*word = (struct text){line->at, 0};
	/* strchr() finds a NUL too. */
	while (word->left < line->left && !strchr(" \t\r#;", word->at[word->left]))
		word->left++;
	skip(line, word->left);
	return word->left > 0;
}

static bool parse_server(const char *text, uint16_t port, struct sockaddr_storage *address,
			 socklen_t *length)
{
	struct sockaddr_in *four = (struct sockaddr_in *)address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;

	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		*length = sizeof(*four);
		return true;
	}
	if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(port);
		*length = sizeof(*six);
		return true;
	}
	return false;
}

void resolver_parse(const char *text, size_t length, uint16_t port,
		    struct resolver_servers *servers)
{
	struct text file = {text, length}, line, word;
	char address[SERVER_TEXT];

	/* All of it: it is sent to another process. */
	memset(servers, 0, sizeof(*servers));
	while (servers->count < RESOLVER_SERVERS && take_line(&file, &line)) {
		if (!take_keyword(&line, "nameserver") || !take_word(&line, &word) ||
		    word.left >= sizeof(address))
			continue;
		memcpy(address, word.at, word.left);
		address[word.left] = '\0';
		servers->count += parse_server(address, port, &servers->address[servers->count],
					       &servers->length[servers->count]);
	}
}

ssize_t resolver_file_text(const char *path, char text[RESOLVER_FILE_MAX])
{
	/* A FIFO has no writer to wait for. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;
	ssize_t got = -1;

	if (fd < 0)
		return -1;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
		got = fd_read_full(fd, text, RESOLVER_FILE_MAX);
	close(fd);
	/* What is left of an address that is cut may be another address. */
	if (got == RESOLVER_FILE_MAX)
		while (got > 0 && text[got - 1] != '\n')
			got--;
	return got < 0 ? -1 : got;
}

static bool are_same(const struct resolver_servers *a, const struct resolver_servers *b)
{
	const void *one, *other;
	unsigned i;

	if (a->count != b->count)
		return false;
	for (i = 0; i < a->count; i++) {
		one = &a->address[i];
		other = &b->address[i];
		if (a->length[i] != b->length[i] || memcmp(one, other, a->length[i]) != 0)
			return false;
	}
	return true;
}

bool resolver_file_read(struct resolver_file *file, struct resolver_servers *servers)
{
	struct resolver_servers now;
	char text[RESOLVER_FILE_MAX];
	ssize_t got = resolver_file_text(file->path, text);

	if (got < 0)
		return false;
	resolver_parse(text, (size_t)got, file->port, &now);
	if (file->known && are_same(&now, &file->read))
		return false;
	file->known = true;
	file->read = now;
	*servers = now;
	return true;
}

/* Writes the domains that begin with word and go on in the line; most: how many at most. */
static unsigned write_domains(struct text *line, struct text word, unsigned most,
			      char to[RESOLVER_SEARCH_TEXT])
{
	char name[DNS_NAME_TEXT];
	unsigned count = 0;
	size_t at = 0;
	int length;

	do {
		length = dns_name_normalise((const uint8_t *)word.at, word.left, name);
		if (length < 0)
			continue;
		if (count == most || at + (count > 0) + (size_t)length + 1 > RESOLVER_SEARCH_TEXT)
			break;
		if (count > 0)
			to[at++] = ' ';
		memcpy(to + at, name, (size_t)length);
		at += (size_t)length;
		count++;
	} while (take_word(line, &word));
	to[at] = '\0';
	return count;
}

unsigned resolver_search(const char *text, size_t length, char to[RESOLVER_SEARCH_TEXT])
{
	struct text file = {text, length}, line, word;
	unsigned count = 0, most;

	to[0] = '\0';
	while (take_line(&file, &line)) {
		if (take_keyword(&line, "search"))
			most = RESOLVER_DOMAINS;
		else if (take_keyword(&line, "domain"))
			most = 1;
		else
			continue;
		if (take_word(&line, &word))
			count = write_domains(&line, word, most, to);
	}
	return count;
}

unsigned resolver_file_search(const char *path, char to[RESOLVER_SEARCH_TEXT])
{
	char text[RESOLVER_FILE_MAX];
	ssize_t got = resolver_file_text(path, text);

	return resolver_search(text, got > 0 ? (size_t)got : 0, to);
}
