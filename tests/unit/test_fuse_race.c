/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server while the host, or another session of the guest, changes what is shared. */
#include "tests/support/files_attacks.h"
#include "tests/unit/fuse_common.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/fanotify.h>

/* --- a host that exchanges directories ---------------------------------------------------------
 */

static void assert_not_outside(const char *path)
{
	char text[64];

	fc_cat(client, path, text, sizeof(text));
	ck_assert_str_ne(text, "outside");
}

/* Everything that could be led astray by the exchange. */
static void protected_round(unsigned round)
{
	char name[32], names[512];
	uint64_t d, node, fh;
	unsigned told;

	assert_not_outside("d/secret");
	snprintf(name, sizeof(name), "made-%u", round % 8);
	if (fc_go(client, "d", &d) != 0)
		return;
	fc_mkdir(client, d, name, 0755);
	fc_rmdir(client, d, name);
	fc_symlink(client, d, name, "x");
	fc_rename(client, d, name, ROOT, name, 0);
	fc_unlink(client, ROOT, name);
	fc_rename(client, d, "secret", ROOT, "taken", 0);
	assert_not_outside("taken");
	fc_rename(client, ROOT, "taken", d, "secret", 0);
	if (fc_opendir(client, d, &fh) == 0) {
		fc_list(client, d, fh, 4096, names, sizeof(names), &told);
		ck_assert_ptr_null(strstr(names, "share\n"));
		fc_release(client, d, fh);
	}
	if (fc_walk(client, d, "secret", &node) == 0) {
		fc_setattr(client, node, FATTR_MODE, 0777, 0);
		fc_link(client, ROOT, "linked", node);
		assert_not_outside("linked");
		fc_unlink(client, ROOT, "linked");
	}
	if (fc_create(client, d, name, O_RDWR, 0644, &node, &fh) == 0)
		fc_release(client, node, fh);
}

START_TEST(a_directory_exchanged_for_a_link_never_leads_out)
{
	unsigned round, lost = 0;

	begin_fuse(NULL, false);
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

START_TEST(a_directory_moved_out_of_the_share_takes_its_nodes_nowhere)
{
	uint64_t d, f, node, listing;
	struct fuse_open_out open;
	char away[300], text[64];
	unsigned told;
	int control, fd;

	begin_fuse(NULL, false);
	host_mkdir(&host, "d");
	host_write(&host, "d/f", "moved");
	d = node_of("d");
	f = node_of("d/f");
	ck_assert_int_eq(fc_opendir(client, d, &listing), 0);
	control = openat(AT_FDCWD, host_path(&host, "d"), O_PATH | O_DIRECTORY | O_CLOEXEC);
	snprintf(away, sizeof(away), "%s/away", host.top);
	ck_assert_int_eq(rename(host_path(&host, "d"), away), 0);
	/* Who keeps a descriptor of the directory follows it out; the server does not. */
	fd = openat(control, "f", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	close(fd);
	close(control);
	ck_assert_int_eq(fc_walk(client, d, "f", &node), ENOENT);
	ck_assert_int_eq(fc_open(client, f, O_RDONLY, &open), ENOENT);
	ck_assert_int_eq(fc_mkdir(client, d, "made", 0755), ENOENT);
	ck_assert_int_eq(fc_unlink(client, d, "f"), ENOENT);
	ck_assert_int_eq(fc_rename(client, d, "f", ROOT, "f", 0), ENOENT);
	/* The open directory is still listed, but nothing in it is told about. */
	ck_assert_int_eq(fc_list(client, d, listing, 4096, text, sizeof(text), &told), 0);
	ck_assert_ptr_nonnull(strstr(text, "f\n"));
	ck_assert_uint_eq(told, 0);
	ck_assert_int_eq(rename(away, host_path(&host, "d")), 0);
	ck_assert_int_eq(fc_list(client, d, listing, 4096, text, sizeof(text), &told), 0);
	ck_assert_uint_eq(told, 1);
	ck_assert_int_eq(fc_open(client, f, O_RDONLY, &open), 0);
	files_host_end(&host);
}
END_TEST

/* --- a guest with two sessions -----------------------------------------------------------------
 */

static atomic_bool stop;
static struct fuse_client other;

/* Every directory is moved to every place and exchanged with it, over and over. */
static void *move_around(void *arg)
{
	uint64_t source, target;
	size_t from, to;

	(void)arg;
	while (!atomic_load(&stop))
		for (from = 0; from < FILES_PLACES; from++)
			for (to = 0; to < FILES_PLACES; to++) {
				if (fc_go(&other, files_places[from].directory, &source) != 0 ||
				    fc_go(&other, files_places[to].directory, &target) != 0)
					continue;
				fc_rename(&other, source, files_places[from].name, target,
					  files_places[to].name, to % 2 ? RENAME_EXCHANGE : 0);
			}
	return NULL;
}

/* Writes to whatever is called "run" by other names than the protected one, and makes it there. */
static void write_around(void)
{
	struct fuse_open_out open;
	uint64_t at, run, fh;
	char path[64];
	size_t i;

	for (i = 0; i < FILES_PLACES; i++) {
		snprintf(path, sizeof(path), "%s%s%s", files_places[i].directory,
			 files_places[i].directory[0] ? "/" : "", files_places[i].name);
		if (fc_go(client, path, &at) != 0)
			continue;
		if (fc_walk(client, at, "run", &run) == 0 &&
		    fc_open(client, run, O_WRONLY | O_TRUNC, &open) == 0) {
			fc_write(client, run, open.fh, 0, "evil", 4, 0);
			fc_release(client, run, open.fh);
		}
		fc_unlink(client, at, "run");
		if (fc_create(client, at, "made", O_WRONLY, 0644, &run, &fh) == 0)
			fc_release(client, run, fh);
	}
}

static void race_of_two(const char *rules, bool holds)
{
	struct fuse_init_out init;
	struct fuse_entry_out entry;
	unsigned round;
	pthread_t thread;

	begin_fuse(rules, false);
	files_places_make(&host);
	memset(&other, 0, sizeof(other));
	ck_assert_int_eq(fuse_session_create(&other.session, NULL), 0);
	ck_assert_int_eq(fuse_session_add(other.session, "0", &host.share, FUSED_STRICT), 0);
	ck_assert_int_eq(fc_init(&other, UINT64_MAX, &init), 0);
	ck_assert_int_eq(fc_lookup(&other, FUSE_ROOT_ID, "0", &entry), 0);
	other.root = entry.nodeid;
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
	fuse_session_destroy(other.session);
	files_host_end(&host);
}

/* What one decides about, the other moves meanwhile. */
START_TEST(two_sessions_of_a_guest_get_no_further_than_one)
{
	race_of_two("file read /w/g/hooks/**\nfile write /w/**\n", true);
	race_of_two("file write /w/**\n", false);
}
END_TEST

/* --- a slow disk -------------------------------------------------------------------------------
 */

static void *open_slow(void *arg)
{
	atomic_int *ret = arg;

	*ret = fc_try_open(&other, "slow", O_RDONLY);
	return NULL;
}

/* A file whose opening takes as long as the test likes: fanotify asks it first. */
START_TEST(a_slow_disk_holds_up_its_own_root_only)
{
	struct fanotify_event_metadata event;
	struct fanotify_response response = {.response = FAN_ALLOW};
	int notify = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY | O_CLOEXEC);
	struct fuse_entry_out entry;
	struct fuse_attr attr;
	pthread_t thread;
	char text[8];
	atomic_int ret = -1;

	begin_fuse(NULL, false);
	host_write(&host, "slow", "s");
	host_write(&host, "fast", "f");
	if (notify < 0 || fanotify_mark(notify, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD,
					host_path(&host, "slow")) < 0) {
		fprintf(stderr, "no fanotify (%s): not tested\n", strerror(errno));
		files_host_end(&host);
		return;
	}
	memset(&other, 0, sizeof(other));
	other.session = client->session;
	other.root = client->root;
	ck_assert_int_eq(fuse_session_add(client->session, "1", &host.share, FUSED_STRICT), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, open_slow, &ret), 0);
	/* The other thread is in open(2) now, and stays there. */
	ck_assert_int_eq(read(notify, &event, sizeof(event)), sizeof(event));
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "1", &entry), 0);
	client->root = entry.nodeid;
	ck_assert_int_eq(fc_cat(client, "fast", text, sizeof(text)), 0);
	ck_assert_str_eq(text, "f");
	ck_assert_int_eq(fc_getattr(client, FUSE_ROOT_ID, &attr), 0);
	ck_assert_int_eq(fuse_session_remove(client->session, "1"), 0);
	ck_assert_int_eq(ret, -1);
	response.fd = event.fd;
	ck_assert_int_eq(write(notify, &response, sizeof(response)), sizeof(response));
	close(event.fd);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(ret, 0);
	close(notify);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("fuse_race", a_directory_exchanged_for_a_link_never_leads_out,
	  a_directory_moved_out_of_the_share_takes_its_nodes_nowhere,
	  two_sessions_of_a_guest_get_no_further_than_one, a_slow_disk_holds_up_its_own_root_only)
