/* SPDX-License-Identifier: Apache-2.0 */
/* The file server while the host changes what is shared, and on its own thread behind its queues.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/files_attacks.h"
#include "tests/support/unit.h"
#include "tests/unit/files_race_common.h"

/* --- a host that exchanges directories -------------------------------------------------------- */

/* Everything that could be led astray by the exchange. */
static void protected_round(unsigned round)
{
	char text[64], name[32];

	p9c_cat(client, "d/secret", text, sizeof(text));
	ck_assert_str_ne(text, "outside");
	snprintf(name, sizeof(name), "made-%u", round % 8);
	if (p9c_walk(client, P9C_ROOT, 2, "d", NULL) != 0)
		return;
	p9c_mkdir(client, 2, name, 0755);
	p9c_unlink(client, 2, name, P9_REMOVEDIR);
	p9c_symlink(client, 2, name, "x");
	p9c_renameat(client, 2, name, P9C_ROOT, name);
	p9c_unlink(client, P9C_ROOT, name, 0);
	p9c_renameat(client, 2, "secret", P9C_ROOT, "taken");
	p9c_cat(client, "taken", text, sizeof(text));
	ck_assert_str_ne(text, "outside");
	p9c_renameat(client, P9C_ROOT, "taken", 2, "secret");
	if (p9c_walk(client, 2, 3, "secret", NULL) == 0) {
		p9c_setattr(client, 3, P9_SETATTR_MODE, 0777, 0);
		p9c_link(client, P9C_ROOT, 3, "linked");
		p9c_cat(client, "linked", text, sizeof(text));
		ck_assert_str_ne(text, "outside");
		p9c_unlink(client, P9C_ROOT, "linked", 0);
		p9c_clunk(client, 3);
	}
	p9c_create(client, 2, name, P9_RDWR, 0644);
	p9c_clunk(client, 2);
}

START_TEST(a_directory_exchanged_for_a_link_never_leads_out)
{
	unsigned round, lost = 0;

	files_host_begin(&host, NULL, false);
	files_exchange_begin(&host);
	/* Until the control has lost, so that there was something to lose. */
	for (round = 0; round < 2000 || lost == 0; round++) {
		lost += files_exchange_control_loses(&host);
		protected_round(round);
	}
	files_exchange_end();
	ck_assert(files_outside_is_untouched(&host));
	files_host_end(&host);
}
END_TEST

START_TEST(a_directory_moved_out_of_the_share_takes_its_fids_nowhere)
{
	char away[300], text[64];
	size_t n;
	int control, fd;

	files_host_begin(&host, NULL, false);
	host_mkdir(&host, "d");
	host_write(&host, "d/f", "moved");
	ck_assert_int_eq(p9c_go(client, "d", 2), 0);
	ck_assert_int_eq(p9c_go(client, "d/f", 3), 0);
	control = open(host_path(&host, "d"), O_PATH | O_DIRECTORY | O_CLOEXEC);
	snprintf(away, sizeof(away), "%s/away", host.top);
	ck_assert_int_eq(rename(host_path(&host, "d"), away), 0);
	/* Who keeps a descriptor of the directory follows it out; the server does not. */
	fd = openat(control, "f", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	close(fd);
	close(control);
	ck_assert_int_eq(p9c_walk(client, 2, 4, "f", NULL), ENOENT);
	ck_assert_int_eq(p9c_open(client, 3, P9_RDONLY), ENOENT);
	ck_assert_int_eq(p9c_mkdir(client, 2, "made", 0755), ENOENT);
	ck_assert_int_eq(p9c_unlink(client, 2, "f", 0), ENOENT);
	ck_assert_int_eq(p9c_renameat(client, 2, "f", P9C_ROOT, "f"), ENOENT);
	ck_assert_int_eq(rename(away, host_path(&host, "d")), 0);
	ck_assert_int_eq(p9c_open(client, 3, P9_RDONLY), 0);
	ck_assert_int_eq(p9c_read(client, 3, 0, 9, text, &n), 0);
	ck_assert_uint_eq(n, 5);
	files_host_end(&host);
}
END_TEST

/* --- a guest with two connections ------------------------------------------------------------- */

static atomic_bool stop;
static struct p9_client other;

/* Every directory is moved to every place, over and over. */
static void *move_around(void *arg)
{
	size_t from, to;

	(void)arg;
	while (!atomic_load(&stop))
		for (from = 0; from < FILES_PLACES; from++)
			for (to = 0; to < FILES_PLACES; to++) {
				if (p9c_go(&other, files_places[from].directory, 2) == 0 &&
				    p9c_go(&other, files_places[to].directory, 3) == 0)
					p9c_renameat(&other, 2, files_places[from].name, 3,
						     files_places[to].name);
				p9c_clunk(&other, 2);
				p9c_clunk(&other, 3);
			}
	return NULL;
}

/* Writes to whatever is called "run" by other names than the protected one, and makes it there. */
static void write_around(void)
{
	char path[64];
	size_t i, n;

	for (i = 0; i < FILES_PLACES; i++) {
		snprintf(path, sizeof(path), "%s%s%s", files_places[i].directory,
			 files_places[i].directory[0] ? "/" : "", files_places[i].name);
		if (p9c_go(client, path, 2) != 0)
			continue;
		if (p9c_walk(client, 2, 3, "run", NULL) == 0 &&
		    p9c_open(client, 3, P9_WRONLY | P9_TRUNC) == 0)
			p9c_write(client, 3, 0, "evil", 4, &n);
		p9c_clunk(client, 3);
		p9c_unlink(client, 2, "run", 0);
		p9c_create(client, 2, "made", P9_WRONLY, 0644);
		p9c_clunk(client, 2);
	}
}

static void race_of_two(const char *rules, bool holds)
{
	unsigned round;
	pthread_t thread;

	files_host_begin(&host, rules, false);
	files_places_make(&host);
	memset(&other, 0, sizeof(other));
	ck_assert_int_eq(files_session_create(&other.session, &host.share), 0);
	ck_assert_int_eq(p9c_version(&other, 8192, P9_VERSION), 0);
	ck_assert_int_eq(p9c_attach(&other, P9C_ROOT), 0);
	atomic_store(&stop, false);
	ck_assert_int_eq(pthread_create(&thread, NULL, move_around, NULL), 0);
	/* Without the rule it is lost, if not at once. */
	for (round = 0;
	     holds ? round < 500 && files_places_are_whole(&host) : files_places_are_whole(&host);
	     round++)
		write_around();
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	ck_assert(files_places_are_whole(&host) == holds);
	files_session_destroy(other.session);
	files_host_end(&host);
}

/* What one decides about, the other moves meanwhile. */
START_TEST(two_connections_of_a_guest_get_no_further_than_one)
{
	race_of_two("file read /w/g/hooks/**\nfile write /w/**\n", true);
	race_of_two("file write /w/**\n", false);
}
END_TEST

UNIT_MAIN("files_race", a_directory_exchanged_for_a_link_never_leads_out,
	  a_directory_moved_out_of_the_share_takes_its_fids_nowhere,
	  two_connections_of_a_guest_get_no_further_than_one)
