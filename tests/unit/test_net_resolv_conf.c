/* SPDX-License-Identifier: Apache-2.0 */
/* What is taken from a resolv.conf. */
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/address.h"
#include "tests/support/unit.h"
#include "vmm/net/resolver.h"

static char search[RESOLVER_SEARCH_TEXT];

START_TEST(servers_are_read)
{
	static const char text[] = "nameserver 1.2.3.4\n"
				   " nameserver 9.9.9.9\n"
				   "nameserver\t::1;x\n"
				   "nameserver 1.2.3\n"
				   "nameservers 8.8.8.8\n"
				   "nameserver 5.6.7.8\r\n"
				   "nameserver 4.4.4.4";
	struct resolver_servers servers;

	resolver_parse(text, sizeof(text) - 1, 53, &servers);
	ck_assert_uint_eq(servers.count, 3);
	ck_assert_int_eq(servers.address[0].ss_family, AF_INET);
	ck_assert_int_eq(servers.address[1].ss_family, AF_INET6);
	ck_assert_uint_eq(ntohl(((struct sockaddr_in *)&servers.address[2])->sin_addr.s_addr),
			  ADDRESS(5, 6, 7, 8));
	ck_assert_uint_eq(ntohs(((struct sockaddr_in *)&servers.address[2])->sin_port), 53);
	resolver_parse(text, 0, 53, &servers);
	ck_assert_uint_eq(servers.count, 0);
}
END_TEST

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

static uint32_t first(const struct resolver_servers *servers)
{
	ck_assert_uint_ge(servers->count, 1);
	return ntohl(((const struct sockaddr_in *)&servers->address[0])->sin_addr.s_addr);
}

START_TEST(a_file_is_read_again_when_it_changes)
{
	char directory[] = "/tmp/cordon-test-resolv.XXXXXX", path[64], other[64], link[64];
	struct resolver_file file = {.path = link, .port = 53};
	struct resolver_servers servers;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/a", directory);
	snprintf(other, sizeof(other), "%s/b", directory);
	snprintf(link, sizeof(link), "%s/resolv.conf", directory);
	ck_assert(!resolver_file_read(&file, &servers)); /* there is none yet */
	write_file(path, "nameserver 1.2.3.4\n");
	ck_assert_int_eq(symlink(path, link), 0);
	ck_assert(resolver_file_read(&file, &servers));
	ck_assert_uint_eq(first(&servers), ADDRESS(1, 2, 3, 4));
	ck_assert(!resolver_file_read(&file, &servers));
	/* It is written to, */
	write_file(path, "nameserver 1.2.3.45\n");
	ck_assert(resolver_file_read(&file, &servers));
	ck_assert_uint_eq(first(&servers), ADDRESS(1, 2, 3, 45));
	/* replaced by one of the same length, */
	write_file(other, "nameserver 1.2.3.46\n");
	ck_assert_int_eq(rename(other, path), 0);
	ck_assert(resolver_file_read(&file, &servers));
	ck_assert_uint_eq(first(&servers), ADDRESS(1, 2, 3, 46));
	/* or the link leads elsewhere. */
	write_file(other, "nameserver 1.2.3.47\n");
	ck_assert_int_eq(unlink(link), 0);
	ck_assert(!resolver_file_read(&file, &servers));
	ck_assert_int_eq(symlink(other, link), 0);
	ck_assert(resolver_file_read(&file, &servers));
	ck_assert_uint_eq(first(&servers), ADDRESS(1, 2, 3, 47));
	/* Its search list. */
	ck_assert_uint_eq(resolver_file_search(link, search), 0);
	write_file(other, "search a.example\n");
	ck_assert_uint_eq(resolver_file_search(link, search), 1);
	ck_assert_str_eq(search, "a.example");
	ck_assert_uint_eq(resolver_file_search("/nowhere/resolv.conf", search), 0);
	/* A directory is no such file. */
	file.path = directory;
	ck_assert(!resolver_file_read(&file, &servers));
	unlink(link);
	unlink(other);
	unlink(path);
	rmdir(directory);
}
END_TEST

/* Replaced twice within a clock tick, a file may have the same number, size and times. */
START_TEST(a_change_within_a_tick_is_noticed)
{
	char path[] = "/tmp/cordon-test-resolv.XXXXXX";
	struct resolver_file file = {.path = path, .port = 53};
	struct resolver_servers servers;
	struct stat before;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	write_file(path, "nameserver 1.2.3.4\n");
	ck_assert(resolver_file_read(&file, &servers));
	ck_assert_int_eq(fstat(fd, &before), 0);
	write_file(path, "nameserver 1.2.3.5\n");
	ck_assert_int_eq(futimens(fd, (const struct timespec[]){before.st_atim, before.st_mtim}),
			 0);
	ck_assert(resolver_file_read(&file, &servers));
	ck_assert_uint_eq(first(&servers), ADDRESS(1, 2, 3, 5));
	ck_assert(!resolver_file_read(&file, &servers));
	unlink(path);
	close(fd);
}
END_TEST

START_TEST(a_fifo_is_not_waited_for)
{
	char directory[] = "/tmp/cordon-test-resolv.XXXXXX", path[64];
	struct resolver_file file = {.path = path, .port = 53};
	struct resolver_servers servers;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/resolv.conf", directory);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert(!resolver_file_read(&file, &servers));
	ck_assert_uint_eq(resolver_file_search(path, search), 0);
	unlink(path);
	/* A file in its place is read. */
	write_file(path, "nameserver 1.2.3.4\nsearch a.example\n");
	ck_assert(resolver_file_read(&file, &servers));
	ck_assert_uint_eq(resolver_file_search(path, search), 1);
	unlink(path);
	rmdir(directory);
}
END_TEST

#define MOST 16384

/* Writes a file of length bytes: a comment, and that text at its end. */
static void write_long(const char *path, size_t length, const char *text)
{
	FILE *file = fopen(path, "w");
	size_t i;

	ck_assert_ptr_nonnull(file);
	for (i = strlen(text) + 1; i < length; i++)
		fputc('#', file);
	fprintf(file, "\n%s", text);
	fclose(file);
}

START_TEST(a_line_that_is_cut_does_not_count)
{
	static const char text[] = "nameserver 1.2.3.45\n";
	char path[] = "/tmp/cordon-test-resolv.XXXXXX";
	struct resolver_file file = {.path = path, .port = 53};
	struct resolver_servers servers;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	/* It ends with the last byte that is read; is cut in its end, and in its address. */
	write_long(path, MOST, text);
	ck_assert(resolver_file_read(&file, &servers));
	ck_assert_uint_eq(first(&servers), ADDRESS(1, 2, 3, 45));
	write_long(path, MOST + 1, text);
	ck_assert(resolver_file_read(&file, &servers));
	ck_assert_uint_eq(servers.count, 0);
	write_long(path, MOST + 2, text);
	ck_assert(!resolver_file_read(&file, &servers));
	write_long(path, MOST + 2, "search a.example b\n");
	ck_assert_uint_eq(resolver_file_search(path, search), 0);
	/* A last line without an end is whole if the file is. */
	write_long(path, MOST - 1, "nameserver 1.2.3.4");
	ck_assert(resolver_file_read(&file, &servers));
	ck_assert_uint_eq(first(&servers), ADDRESS(1, 2, 3, 4));
	/* A megabyte without a line is nothing. */
	write_long(path, 1 << 20, text);
	ck_assert(resolver_file_read(&file, &servers));
	ck_assert_uint_eq(servers.count, 0);
	unlink(path);
	close(fd);
}
END_TEST

static unsigned search_of(const char *text)
{
	size_t length = strlen(text);
	char *copy = malloc(length ? length : 1); /* without a NUL */
	unsigned count;

	memcpy(copy, text, length);
	memset(search, 'x', sizeof(search));
	count = resolver_search(copy, length, search);
	free(copy);
	return count;
}

START_TEST(a_search_list_is_read)
{
	ck_assert_uint_eq(search_of("nameserver 1.2.3.4\nsearch Corp.Example. b.example\n"), 2);
	ck_assert_str_eq(search, "corp.example b.example");
	ck_assert_uint_eq(search_of("search\t a.example \t b.example \r\n"), 2);
	ck_assert_str_eq(search, "a.example b.example");
	ck_assert_uint_eq(search_of("search a.example # b.example"), 1);
	ck_assert_str_eq(search, "a.example");
	ck_assert_uint_eq(search_of("domain a.example b.example"), 1);
	ck_assert_str_eq(search, "a.example");
}
END_TEST

START_TEST(the_last_list_counts)
{
	ck_assert_uint_eq(search_of("search a.example\nsearch b.example c.example\n"), 2);
	ck_assert_str_eq(search, "b.example c.example");
	ck_assert_uint_eq(search_of("search a.example b.example\ndomain c.example"), 1);
	ck_assert_str_eq(search, "c.example");
	ck_assert_uint_eq(search_of("domain c.example\nsearch a.example b.example"), 2);
	/* Without an argument a line says nothing; the root domain adds nothing to a name. */
	ck_assert_uint_eq(search_of("search a.example\nsearch\nsearch \n"), 1);
	ck_assert_str_eq(search, "a.example");
	ck_assert_uint_eq(search_of("search a.example\nsearch .\n"), 0);
	ck_assert_str_eq(search, "");
}
END_TEST

START_TEST(other_lines_are_no_search_list)
{
	static const char *const none[] = {
		"",
		"\n",
		"search",
		"search ",
		"searcha.example",
		" search a.example",
		"SEARCH a.example",
		"#search a.example",
		"search #a.example",
		"options search a",
		"domain",
		"domains a.example",
		"nameserver a.example",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(none); i++) {
		ck_assert_msg(search_of(none[i]) == 0, "'%s'", none[i]);
		ck_assert_str_eq(search, "");
	}
}
END_TEST

START_TEST(invalid_domains_are_left_out)
{
	ck_assert_uint_eq(search_of("search -a.example a..b a/b b.example $HOME *.c"), 1);
	ck_assert_str_eq(search, "b.example");
	ck_assert_uint_eq(resolver_search("search a\0b c\n", 13, search), 1);
	ck_assert_str_eq(search, "a");
}
END_TEST

START_TEST(a_search_list_is_bounded)
{
	char text[600], domain[128];
	size_t at;

	ck_assert_uint_eq(search_of("search a b c d e f"), RESOLVER_DOMAINS);
	ck_assert_str_eq(search, "a b c d e f");
	ck_assert_uint_eq(search_of("search a b c d e f g"), RESOLVER_DOMAINS);
	ck_assert_str_eq(search, "a b c d e f");
	/* Two of 127 bytes and a space are 255 bytes. */
	memset(domain, 'd', sizeof(domain));
	domain[63] = '.';
	domain[127] = '\0';
	snprintf(text, sizeof(text), "search %s %s x", domain, domain);
	ck_assert_uint_eq(search_of(text), 2);
	ck_assert_uint_eq(strlen(search), RESOLVER_SEARCH_TEXT - 1);
	/* One byte more: the second, and what follows it, is too much. */
	at = (size_t)snprintf(text, sizeof(text), "search %s.e", domain);
	snprintf(text + at, sizeof(text) - at, " %s x", domain);
	ck_assert_uint_eq(search_of(text), 1);
	ck_assert_uint_eq(strlen(search), 129);
}
END_TEST

UNIT_MAIN("net_resolv_conf", servers_are_read, a_file_is_read_again_when_it_changes,
	  a_change_within_a_tick_is_noticed, a_fifo_is_not_waited_for,
	  a_line_that_is_cut_does_not_count, a_search_list_is_read, the_last_list_counts,
	  other_lines_are_no_search_list, invalid_domains_are_left_out, a_search_list_is_bounded)
