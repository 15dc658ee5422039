/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log: its chain, what is left out and counted, rotation, a disk that is full. */
#include "vmm/policy/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "vmm/policy/guard.h"

static char folder[64], path[96];
static struct err err;
static uint64_t clock_ns;

static uint64_t fake_now(void)
{
	return clock_ns;
}

static void begin(void)
{
	strcpy(folder, "/tmp/cordon-audit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/audit.log", folder);
	clock_ns = 1;
}

static void end(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

static struct audit *open_log(uint64_t file_bytes, unsigned files, unsigned rate, unsigned burst)
{
	const struct audit_config config = {
		.path = path,
		.file_bytes = file_bytes,
		.files = files,
		.rate = rate,
		.burst = burst,
		.now = fake_now,
	};
	struct audit *audit;

	ck_assert_msg(audit_open(&audit, &config, &err) == 0, "%s", err.text);
	return audit;
}

static int log_path(struct audit *audit, const char *object, size_t length,
		    enum policy_verdict verdict)
{
	static const struct policy_subject subject = {
		.pid = 7, .uid = 1000, .executable = "/bin/\"x"};
	const struct policy_request request = {
		.class = POLICY_FILE,
		.op = POLICY_READ,
		.object = object,
		.length = length,
		.subject = &subject,
	};
	const struct policy_decision decision = {
		.verdict = verdict,
		.line = 3,
		.reason = "because",
	};

	return audit_decision(audit, &request, &decision, "p", AUDIT_ANY_POLICY);
}

/* Verifies the files from the oldest on; counts the lines that have the text in them. */
static int verify(struct audit_chain *chain, const char *text, unsigned *found)
{
	char name[128], *line = NULL;
	unsigned number = 0;
	size_t room = 0;
	ssize_t n;
	FILE *file;
	int ret = 0;

	memset(chain, 0, sizeof(*chain));
	*found = 0;
	for (;; number++) {
		audit_file(name, sizeof(name), path, number + 1);
		if (access(name, F_OK) < 0)
			break;
	}
	for (; ret == 0; number--) {
		audit_file(name, sizeof(name), path, number);
		file = fopen(name, "r");
		ck_assert_ptr_nonnull(file);
		while (ret == 0 && (n = getline(&line, &room, file)) > 0) {
			json_t *json = json_loadb(line, (size_t)n, 0, NULL);

			ck_assert_msg(json_is_object(json), "%s", line);
			json_decref(json);
			*found += strstr(line, text) != NULL;
			ret = audit_chain_next(chain, line, (size_t)n - 1, &err);
		}
		fclose(file);
		if (number == 0)
			break;
	}
	free(line);
	return ret;
}

static void write_lines(unsigned count)
{
	struct audit *audit = open_log(0, 0, 0, 0);
	char object[32];
	unsigned i;

	for (i = 0; i < count; i++) {
		sprintf(object, "/w/%u", i);
		ck_assert_int_eq(log_path(audit, object, strlen(object), POLICY_ALLOW), 0);
	}
	audit_close(audit);
}

START_TEST(lines_are_chained)
{
	struct audit_chain chain;
	unsigned found;

	begin();
	write_lines(5);
	ck_assert_int_eq(verify(&chain, "\"verdict\":\"allow\"", &found), 0);
	ck_assert_uint_eq(chain.first, 1);
	ck_assert_uint_eq(chain.sequence, 7);
	ck_assert_uint_eq(found, 5);
	ck_assert(chain.closed && !chain.unproven);
	/* Opened again, it goes on. */
	write_lines(2);
	ck_assert_int_eq(verify(&chain, "\"event\":\"open\"", &found), 0);
	ck_assert_uint_eq(chain.sequence, 11);
	ck_assert_uint_eq(found, 2);
	end();
}
END_TEST

/* A sed script that damages the log, and what verification says then. */
START_TEST(damage_shows)
{
	static const struct {
		const char *script, *wanted;
	} damage[] = {
		{"3d", "line 3 is missing"},
		{"3,4d", "lines 3 to 4 are missing"},
		{"3s/allow/deny!/", "line 3 was changed"},
		{"3s/1000/0/", "line 3 was changed"},
		{"3s/\"hash\":\"./\"hash\":\"x/", "was changed"},
		{"3{h;d};4{G}", "line 3 is missing"},
		{"3{p}", "line 3 comes after line 3"},
		{"3s/^/x/", "no line of an audit log"},
		{"3s/.$//", "no line of an audit log"},
	};
	char command[256];
	struct audit_chain chain;
	unsigned found;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(damage); i++) {
		begin();
		write_lines(5);
		ck_assert_int_eq(verify(&chain, "", &found), 0);
		snprintf(command, sizeof(command), "sed -i '%s' %s", damage[i].script, path);
		ck_assert_int_eq(system(command), 0);
		if (strchr(damage[i].script, '^') || strstr(damage[i].script, "$//")) {
			/* No JSON any more: by hand. */
			FILE *file = fopen(path, "r");
			char line[4096];
			int ret = 0;

			memset(&chain, 0, sizeof(chain));
			while (ret == 0 && fgets(line, sizeof(line), file))
				ret = audit_chain_next(&chain, line, strcspn(line, "\n"), &err);
			fclose(file);
			ck_assert_int_eq(ret, -EBADMSG);
		} else {
			ck_assert_int_eq(verify(&chain, "", &found), -EBADMSG);
		}
		ck_assert_msg(strstr(err.text, damage[i].wanted), "%s: %s", damage[i].script,
			      err.text);
		end();
	}
	/* The beginning is gone: the chain holds, but says that it does not begin. */
	begin();
	write_lines(5);
	snprintf(command, sizeof(command), "sed -i 1,2d %s", path);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(verify(&chain, "", &found), 0);
	ck_assert(chain.unproven);
	end();
}
END_TEST

START_TEST(what_is_left_out_is_counted)
{
	struct audit *audit;
	struct audit_chain chain;
	unsigned i, found;

	begin();
	audit = open_log(0, 0, 10, 5);
	for (i = 0; i < 25; i++)
		ck_assert_int_eq(log_path(audit, "/w/a", 4, POLICY_ALLOW), 0);
	/* Denials have their own measure: no flood of the others hides them. */
	for (i = 0; i < 7; i++)
		ck_assert_int_eq(log_path(audit, "/w/d", 4, POLICY_DENY), 0);
	ck_assert_int_eq(verify(&chain, "\"verdict\":\"allow\"", &found), 0);
	ck_assert_uint_eq(found, 5);
	/* A tenth of a second is one line more, and before it the gap. */
	clock_ns += 100000000;
	ck_assert_int_eq(log_path(audit, "/w/b", 4, POLICY_ALLOW), 0);
	ck_assert_int_eq(log_path(audit, "/w/c", 4, POLICY_ALLOW), 0);
	/* Before the first denial, and before /w/b. */
	ck_assert_int_eq(verify(&chain, "\"event\":\"gap\",\"allowed\":20,\"denied\":0,", &found),
			 0);
	ck_assert_uint_eq(found, 1);
	ck_assert_int_eq(verify(&chain, "\"event\":\"gap\",\"allowed\":0,\"denied\":2,", &found),
			 0);
	ck_assert_uint_eq(found, 1);
	audit_close(audit);
	ck_assert_int_eq(verify(&chain, "\"allowed\":1,\"denied\":0", &found), 0);
	ck_assert_uint_eq(found, 1);
	ck_assert(chain.closed);
	end();
}
END_TEST

START_TEST(files_are_bounded)
{
	struct audit_chain chain;
	struct audit *audit;
	struct stat status;
	char name[128];
	unsigned i, found;

	begin();
	audit = open_log(2000, 3, 1000, 1000);
	for (i = 0; i < 8; i++)
		log_path(audit, "/w/a", 4, POLICY_ALLOW);
	/* All there yet, in two files: whole. */
	ck_assert_int_eq(verify(&chain, "\"event\":\"continue\"", &found), 0);
	ck_assert(chain.first == 1 && found >= 1);
	for (i = 0; i < 100; i++)
		log_path(audit, "/w/a", 4, POLICY_ALLOW);
	audit_close(audit);
	ck_assert_int_eq(verify(&chain, "\"event\":\"rotate\"", &found), 0);
	ck_assert(chain.first > 1 && !chain.unproven && chain.closed);
	ck_assert_uint_eq(found, 2);
	for (i = 0; i < 3; i++) {
		audit_file(name, sizeof(name), path, i);
		ck_assert_int_eq(stat(name, &status), 0);
		ck_assert_int_lt(status.st_size, 3000);
		ck_assert_uint_eq(status.st_mode & 0777, 0600);
	}
	audit_file(name, sizeof(name), path, 3);
	ck_assert_int_ne(stat(name, &status), 0);
	/* A file out of the middle. */
	audit_file(name, sizeof(name), path, 1);
	ck_assert_int_eq(truncate(name, 0), 0);
	ck_assert_int_eq(verify(&chain, "", &found), -EBADMSG);
	end();
}
END_TEST

START_TEST(any_bytes_are_logged)
{
	static char worst[POLICY_OBJECT_MAX];
	struct audit_chain chain;
	struct audit *audit;
	unsigned found;

	begin();
	audit = open_log(0, 0, 0, 0);
	ck_assert_int_eq(log_path(audit, "/w/\"\\\n\x7f\xc3\xa4", 9, POLICY_DENY), 0);
	ck_assert_int_eq(log_path(audit, "/w/\xff\xfe", 5, POLICY_HIDE), 0);
	memset(worst, 1, sizeof(worst));
	worst[0] = (char)0xff;
	ck_assert_int_eq(log_path(audit, worst, sizeof(worst), POLICY_HIDE), 0);
	audit_close(audit);
	ck_assert_int_eq(verify(&chain, "\"object_bytes\":\"2f772ffffe\"", &found), 0);
	ck_assert_uint_eq(found, 1);
	ck_assert_int_eq(verify(&chain, "/w/\\\"\\\\\\u000a\\u007f\xc3\xa4\"", &found), 0);
	ck_assert_uint_eq(found, 1);
	ck_assert_uint_eq(chain.sequence, 5);
	end();
}
END_TEST

START_TEST(a_log_has_one_writer_and_is_a_log)
{
	struct audit_config config = {.path = path};
	struct audit *audit, *second;
	char other[128];
	FILE *file;

	begin();
	audit = open_log(0, 0, 0, 0);
	ck_assert_int_eq(audit_open(&second, &config, &err), -EBUSY);
	audit_close(audit);
	ck_assert_int_eq(audit_open(&second, &config, &err), 0);
	audit_close(second);
	file = fopen(path, "a");
	fputs("{}\n", file);
	fclose(file);
	ck_assert_int_eq(audit_open(&second, &config, &err), -EINVAL);
	/* Neither through a link, nor into what is no file. */
	snprintf(other, sizeof(other), "%s/link", folder);
	ck_assert_int_eq(symlink("elsewhere", other), 0);
	config.path = other;
	ck_assert_int_eq(audit_open(&second, &config, &err), -ELOOP);
	config.path = "/dev/null";
	ck_assert_int_eq(audit_open(&second, &config, &err), -EINVAL);
	end();
}
END_TEST

/* The size that files may have stands for a disk that is full. */
static void limit_files(rlim_t bytes)
{
	struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static enum policy_verdict check(struct guard *guard)
{
	const struct policy_request request = {
		.class = POLICY_FILE,
		.op = POLICY_READ,
		.object = "/w/a",
		.length = 4,
	};

	return guard_check(guard, &request, NULL);
}

static struct guard *make_guard(const char *text)
{
	const struct policy_source source = {.name = "p", .folder = "/"};
	struct policy *policy;
	struct guard *guard;

	ck_assert_msg(policy_parse(&policy, text, strlen(text), &source, &err) == 0, "%s",
		      err.text);
	ck_assert_int_eq(guard_create(&guard, policy, open_log(0, 0, 0, 0)), 0);
	return guard;
}

START_TEST(a_full_disk_stops_what_must_be_logged)
{
	static const char *const text[] = {
		"policy 1\nshare a /w\nfile read /w/**\n",
		"policy 1\nshare a /w\nfile read /w/**\non-deny continue audit=required\n",
	};
	const struct guard_note note = {.class = POLICY_NET, .what = "publish-vsock"};
	struct audit_chain chain;
	struct guard *guard;
	unsigned i, found;

	for (i = 0; i < 2; i++) {
		begin();
		guard = make_guard(text[i]);
		ck_assert_int_eq(check(guard), POLICY_ALLOW);
		ck_assert_int_eq(guard_note(guard, &note), POLICY_ALLOW);
		limit_files(500);
		ck_assert_int_eq(check(guard), i == 0 ? POLICY_ALLOW : POLICY_DENY);
		ck_assert_int_eq(check(guard), i == 0 ? POLICY_ALLOW : POLICY_DENY);
		ck_assert_int_eq(guard_note(guard, &note), i == 0 ? POLICY_ALLOW : POLICY_DENY);
		limit_files(RLIM_INFINITY);
		/* Room again: what is lost is told, and the chain is whole. */
		ck_assert_int_eq(check(guard), POLICY_ALLOW);
		guard_destroy(guard);
		ck_assert_int_eq(verify(&chain, "\"lost\":3", &found), 0);
		ck_assert_uint_eq(found, 1);
		ck_assert(chain.closed);
		end();
	}
}
END_TEST

START_TEST(a_policy_is_replaced_at_once)
{
	static const char none[] = "policy 1\nshare a /w\nfile read /w/b\n";
	const struct policy_source source = {.name = "q", .folder = "/"};
	struct audit_chain chain;
	struct policy *policy;
	struct guard *guard;
	unsigned found, i;

	begin();
	guard = make_guard("policy 1\nshare a /w\nfile read /w/**\n");
	ck_assert_int_eq(check(guard), POLICY_ALLOW);
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(policy_parse(&policy, none, strlen(none), &source, &err), 0);
		guard_replace(guard, policy, "by me");
		ck_assert_int_eq(check(guard), POLICY_DENY);
	}
	guard_destroy(guard);
	ck_assert_int_eq(verify(&chain,
				"\"event\":\"policy-set\",\"object\":\"q\",\"detail\":\"by me\"",
				&found),
			 0);
	ck_assert_uint_eq(found, 3);
	end();
}
END_TEST

UNIT_MAIN("audit", lines_are_chained, damage_shows, what_is_left_out_is_counted, files_are_bounded,
	  any_bytes_are_logged, a_log_has_one_writer_and_is_a_log,
	  a_full_disk_stops_what_must_be_logged, a_policy_is_replaced_at_once)
