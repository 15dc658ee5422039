/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host file system that hangs: one of this process's own (/dev/fuse) that takes requests and
 * never replies, so that not even SIGKILL ends what waits for it. Needs host root.
 */
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "tests/unit/files_client_common.h"
#include "vmm/base/fd.h"

static char mounted[128] = "/tmp/cordon-test-hang.XXXXXX";
static bool mounted_in_share;
static int fuse_fd = -1;
static struct files_share hanging;

/* Whether there is such a mount, in a namespace of this process's own. */
static bool mount_it(void)
{
	char options[96];

	if (!mounted_in_share)
		ck_assert_ptr_nonnull(mkdtemp(mounted));
	fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fuse_fd < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other",
		 fuse_fd);
	return mount("hang", mounted, "fuse.hang", 0, options) == 0;
}

/* The next request of the kernel; its unique number. */
static uint64_t take_request(void)
{
	static uint8_t request[FUSE_MIN_READ_BUFFER + 65536];
	struct pollfd more = {.fd = fuse_fd, .events = POLLIN};
	struct fuse_in_header head;

	ck_assert_int_eq(poll(&more, 1, 20000), 1);
	ck_assert_int_gt(read(fuse_fd, request, sizeof(request)), 0);
	memcpy(&head, request, sizeof(head));
	return head.unique;
}

static void reply_to_init(void)
{
	struct {
		struct fuse_out_header head;
		struct fuse_init_out out;
	} reply = {.head = {.len = sizeof(reply), .unique = take_request()},
		   .out = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096}};

	ck_assert_int_eq(write(fuse_fd, &reply, sizeof(reply)), sizeof(reply));
}

static void unmount_it(void)
{
	/* What waits is aborted. */
	fd_close(&fuse_fd);
	umount2(mounted, MNT_DETACH);
	rmdir(mounted);
}

/* The kernel asks for the attributes of the root. */
static void reply_to_getattr(void)
{
	struct {
		struct fuse_out_header head;
		struct fuse_attr_out out;
	} reply = {.head = {.len = sizeof(reply), .unique = take_request()},
		   .out = {.attr_valid = 1000,
			   .attr = {.ino = 1, .mode = S_IFDIR | 0755, .nlink = 2}}};

	ck_assert_int_eq(write(fuse_fd, &reply, sizeof(reply)), sizeof(reply));
}

/*
 * Mounts it and makes a server of two roots hang in a look-up in the second one: its slot. False:
 * there is no such mount here.
 */
static bool hang(unsigned *slot)
{
	struct fuse_entry_out entry;
	const void *reply;
	size_t length;

	if (!mount_it()) {
		rmdir(mounted);
		return false;
	}
	begin_host(NULL, false);
	reply_to_init();
	hanging = host.share;
	hanging.root_fd = open(mounted, O_PATH | O_DIRECTORY | O_CLOEXEC);
	begin_server();
	ck_assert_int_eq(files_client_add(files, 0, &host.share, FUSED_STRICT), 0);
	ck_assert_int_eq(files_client_add(files, 1, &hanging, FUSED_STRICT), 0);
	greet();
	fc_begin(client, FUSE_LOOKUP, FUSE_ROOT_ID);
	fc_string(client, "1");
	store_le32(client->message, (uint32_t)client->length);
	*slot = post(client->message, client->length, 4096);
	ck_assert(!files_client_wait(files, *slot, 100000, &reply, &length));
	/* It holds up no look-up of another root. */
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "0", &entry), 0);
	reply_to_getattr();
	ck_assert_int_eq(finish_left(*slot, client->reply, 4096),
			 sizeof(struct fuse_out_header) + sizeof(entry));
	memcpy(&entry, client->reply + sizeof(struct fuse_out_header), sizeof(entry));
	fc_begin(client, FUSE_LOOKUP, entry.nodeid);
	fc_string(client, "name");
	store_le32(client->message, (uint32_t)client->length);
	*slot = post(client->message, client->length, 4096);
	ck_assert(!files_client_wait(files, *slot, 100000, &reply, &length));
	take_request();
	return true;
}

static void end_hang(void)
{
	loop_destroy(loop);
	close(hanging.root_fd);
	files_host_end(&host);
}

/* Sends a request that is as long as its header. The slot, or -EAGAIN. */
static int send_head(uint32_t opcode, uint64_t node, size_t more, const void *body)
{
	struct fuse_in_header head = {.len = (uint32_t)(sizeof(head) + more),
				      .opcode = opcode,
				      .unique = 77,
				      .nodeid = node};
	const void *reply;
	size_t length;
	void *buffer;
	int slot = files_client_take(files, files_client_lane(files, &head, sizeof(head)), &buffer);

	if (slot < 0)
		return slot;
	memcpy(buffer, &head, sizeof(head));
	memcpy((uint8_t *)buffer + sizeof(head), body, more);
	told.done[slot] = false;
	files_client_send(files, (unsigned)slot, head.len, 0);
	if (files_client_wait(files, (unsigned)slot, 0, &reply, &length)) {
		told.done[slot] = true;
		files_client_release(files, (unsigned)slot);
	}
	return slot;
}

/* So many requests as there may be of the root that hangs, also those that no root has. */
START_TEST(others_have_slots)
{
	const struct fuse_forget_in forget = {.nlookup = 1};
	const struct fuse_getattr_in attr = {0};
	const struct fuse_syncfs_in sync = {0};
	unsigned hung, count, i;
	uint64_t node;
	char name[16];
	int slot;

	if (!hang(&hung))
		return;
	node = load_le64(client->message + offsetof(struct fuse_in_header, nodeid));
	for (count = 1; send_head(FUSE_GETATTR, node, sizeof(attr), &attr) >= 0; count++)
		ck_assert_uint_lt(count, FILES_SLOTS);
	ck_assert_uint_eq(count, 16);
	while (send_head(FUSE_SYNCFS, FUSE_ROOT_ID, sizeof(sync), &sync) >= 0)
		;
	/* A FORGET of the root that hangs waits for nothing, and holds up none of the others. */
	for (i = 0; i < 300; i++) {
		slot = send_head(FUSE_FORGET, node, sizeof(forget), &forget);
		ck_assert_int_ge(slot, 0);
		if (!told.done[slot]) {
			while (!told.done[slot])
				run(1);
			files_client_release(files, (unsigned)slot);
		}
		snprintf(name, sizeof(name), "d%u", i);
		ck_assert_int_eq(fc_mkdir(client, ROOT, name, 0755), 0);
	}
	ck_assert(!told.done[hung]);
	ck_assert_uint_eq(told.died, 0);
	end_server();
	unmount_it();
	waitpid(-1, NULL, 0);
	end_hang();
}
END_TEST

START_TEST(others_go_on)
{
	struct pack saved = {.limit = 1 << 20};
	uint64_t since;
	unsigned i, slot;
	char name[16];
	pid_t left;

	if (!hang(&slot))
		return;
	for (i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "d%u", i);
		ck_assert_int_eq(fc_mkdir(client, ROOT, name, 0755), 0);
	}
	ck_assert_uint_eq(told.done[slot], 0);
	ck_assert(!files_client_waits(files, slot));
	/* It cannot be saved now, and goes on. */
	ck_assert_int_eq(files_client_save(files, &saved), -EBUSY);
	ck_assert_uint_eq(saved.length, 0);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "on", 0755), 0);
	ck_assert_uint_eq(told.died, 0);
	/* The monitor does not wait for what cannot end. */
	since = loop_now_ns();
	end_server();
	ck_assert_uint_lt(loop_now_ns() - since, 20000000000);
	left = waitpid(-1, NULL, WNOHANG);
	ck_assert_int_eq(left, 0);
	unmount_it();
	ck_assert_int_gt(waitpid(-1, NULL, 0), 0);
	end_hang();
}
END_TEST

/* The same, where the server ends by itself: its requests end, and the owner knows. */
START_TEST(a_server_that_hangs_is_given_up)
{
	unsigned slot;

	if (!hang(&slot))
		return;
	/* A message that it must refuse. */
	hanging.guest[0] = 'x';
	memset(hanging.guest, 'x', sizeof(hanging.guest));
	ck_assert_int_eq(files_client_add(files, 2, &hanging, FUSED_STRICT), 0);
	run_until(&told.died);
	ck_assert_str_eq(told.why, "it cannot take the policy or a share");
	ck_assert_uint_eq(told.done[slot], 1);
	end_server();
	unmount_it();
	waitpid(-1, NULL, 0);
	end_hang();
}
END_TEST

/* Requests about what is in a directory, and about the mount's own name: nothing waits for it. */
START_TEST(a_mount_in_a_share_is_not_looked_at)
{
	struct pollfd more = {.events = POLLIN};
	struct fuse_entry_out entry;
	char names[4096] = "";
	unsigned nodes = 0;
	uint64_t fh;

	begin_host(NULL, false);
	ck_assert_int_eq(mkdir(host_path(&host, "Mounted"), 0755), 0);
	ck_assert_int_eq(mkdir(host_path(&host, "other"), 0755), 0);
	snprintf(mounted, sizeof(mounted), "%s", host_path(&host, "Mounted"));
	mounted_in_share = true;
	if (!mount_it())
		goto out;
	reply_to_init();
	/* In the namespace of the mount. */
	close(host.share.root_fd);
	host.share.root_fd = open(host_path(&host, ""), O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(host.share.root_fd, 0);
	begin_server();
	ck_assert_int_eq(files_client_add(files, 0, &host.share, FUSED_STRICT), 0);
	greet();
	ck_assert_int_eq(fc_lookup(client, ROOT, "other", &entry), 0);
	ck_assert_int_eq(fc_lookup(client, ROOT, "Mounted", &entry), EACCES);
	ck_assert_int_eq(fc_opendir(client, ROOT, &fh), 0);
	ck_assert_int_ge(fc_list(client, ROOT, fh, 4096, names, sizeof(names), &nodes), 0);
	ck_assert_uint_eq(nodes, 1);
	ck_assert_int_ge(fc_list(client, ROOT, fh, 4096, names, sizeof(names), NULL), 0);
	ck_assert_ptr_nonnull(strstr(names, "Mounted"));
	ck_assert_int_eq(fc_rename(client, ROOT, "Mounted", ROOT, "new", 0), EBUSY);
	ck_assert_int_eq(fc_rename(client, ROOT, "other", ROOT, "Mounted", 0), EBUSY);
	ck_assert_int_eq(fc_rename(client, ROOT, "other", ROOT, "Mounted", RENAME_EXCHANGE), EBUSY);
	ck_assert_int_eq(fc_rename(client, ROOT, "other", ROOT, "new", 0), 0);
	ck_assert_int_eq(fc_rmdir(client, ROOT, "Mounted"), EBUSY);
	ck_assert_int_eq(fc_rmdir(client, ROOT, "new"), 0);
	/* Nothing was asked of its server. */
	more.fd = fuse_fd;
	ck_assert_int_eq(poll(&more, 1, 0), 0);
	end_server();
	unmount_it();
out:
	loop_destroy(loop);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("files_client_hang", others_have_slots, others_go_on, a_server_that_hangs_is_given_up,
	  a_mount_in_a_share_is_not_looked_at)
