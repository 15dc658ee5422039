/* SPDX-License-Identifier: Apache-2.0 */
/* The whole copy of a policy, for the file server: it decides about files as the policy does. */
#include "vmm/policy/policy_copy.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/policy_common.h"
#include "vmm/base/fd.h"

static unsigned decided[4]; /* by enum policy_verdict */
static unsigned by_share;   /* by the rule of a share of the command line */

static struct policy *copy_of(const struct policy *policy, enum policy_copy_of of)
{
	struct policy *copy;
	int fd;

	ck_assert_int_eq(policy_copy_write(policy, of, &fd), 0);
	ck_assert_int_eq(policy_copy_read(fd, &copy), 0);
	close(fd);
	return copy;
}

/* --- requests --------------------------------------------------------------------------------- */

static unsigned any(unsigned below)
{
	return (unsigned)random() % below;
}

/* A path of names that the rules use, or nearly so. */
static size_t any_path(char path[256])
{
	static const char *const names[] = {"w",     "x",   "y",    ".git", "hooks", "a",
					    "b.pem", "src", ".env", "s0",   "s1",    "deep"};
	size_t used = 0;
	unsigned i, parts = 1 + any(5);

	for (i = 0; i < parts; i++)
		used += (size_t)sprintf(path + used, "/%s", names[any(ARRAY_SIZE(names))]);
	return used;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_rule(const struct policy_rule *a, const struct policy_rule *b)
{
	return a && b ? a->number == b->number && a->line == b->line && a->action == b->action &&
				same_text(a->file, b->file) && same_text(a->text, b->text)
		      : a == b;
}

static void decide_both(const struct policy *policy, const struct policy *copy,
			const struct policy_request *request)
{
	struct policy_decision a, b;

	policy_decide(policy, request, &a);
	policy_decide(copy, request, &b);
	ck_assert_msg(a.verdict == b.verdict && a.line == b.line && a.number == b.number &&
			      a.enforced_by == b.enforced_by && same_text(a.reason, b.reason) &&
			      same_rule(a.rule, b.rule),
		      "%s: %s %.*s: %s (line %u) and %s (line %u)", policy_name(policy),
		      policy_op_name(request->op), (int)request->length, request->object,
		      policy_verdict_name(a.verdict), a.line, policy_verdict_name(b.verdict),
		      b.line);
	decided[a.verdict]++;
	by_share += a.rule && !a.line && same_text(a.rule->file, "--share");
}

static void random_requests(const struct policy *policy, const struct policy *copy, unsigned count)
{
	char path[256], other[256];
	struct policy_request request;

	while (count-- > 0) {
		request = (struct policy_request){
			.class = POLICY_FILE,
			.op = (enum policy_op)any(POLICY_ATTRIBUTES + 1),
			.object = path,
			.length = any_path(path),
			.rootfs = any(4) == 0,
			.root = any(3) == 0   ? 0
				: any(2) == 0 ? POLICY_ROOT_FIND
					      : 1 + any(2),
		};
		if (request.op == POLICY_RENAME || request.op == POLICY_LINK) {
			request.other = other;
			request.other_length = any_path(other);
			request.directory = request.op == POLICY_RENAME && any(2);
		}
		decide_both(policy, copy, &request);
	}
}

/* --- policies --------------------------------------------------------------------------------- */

static const struct policy_share shares[] = {
	{.host = "/host/x", .guest = "/x", .host_owners = true, .uid = -1, .gid = -1},
	{.host = "/host/y", .guest = "/y", .read_only = true, .uid = 1000, .gid = -1},
	{.host = "/host/s0", .guest = "/w/s0", .cache = POLICY_CACHE_NONE, .uid = -1, .gid = 0},
	{.host = "/host/s1", .guest = "/w/src/s1", .read_only = true, .uid = 0, .gid = 7},
};

static void same_shares(const struct policy *a, const struct policy *b)
{
	const struct policy_share *one, *two;
	size_t i;

	ck_assert_uint_eq(policy_share_count(a), policy_share_count(b));
	for (i = 0; i < policy_share_count(a); i++) {
		one = policy_share(a, i);
		two = policy_share(b, i);
		ck_assert_str_eq(one->host, two->host);
		ck_assert_str_eq(one->guest, two->guest);
		ck_assert(one->read_only == two->read_only && one->uid == two->uid &&
			  one->gid == two->gid && one->host_owners == two->host_owners &&
			  one->cache == two->cache && one->line == two->line &&
			  same_text(one->file, two->file));
	}
}

static void check_copy(struct policy *policy, unsigned count)
{
	struct policy *copy = copy_of(policy, POLICY_COPY_WHOLE);

	ck_assert_uint_eq(policy_rule_count(policy, POLICY_FILE),
			  policy_rule_count(copy, POLICY_FILE));
	same_shares(policy, copy);
	random_requests(policy, copy, count);
	policy_free(copy);
	policy_free(policy);
}

static size_t random_rules(char *text, size_t size)
{
	static const char *const actions[] = {"hide", "deny", "read", "append", "write", "ask"};
	static const char *const patterns[] = {
		"/w/**",     "/**/.git/hooks/**", "/w/*/hooks", "/x/a/**",    "/**/*.pem",
		"/w/src/**", "/**/.env",	  "/y/**",	"/w/s0/deep", "/*/a"};
	size_t at = (size_t)snprintf(text, size, "policy 1\nshare . /w%s\n", any(2) ? " ro" : "");
	unsigned n;

	if (any(3) == 0)
		at += (size_t)snprintf(text + at, size - at, "include workspace\n");
	for (n = any(7); n > 0; n--)
		at += (size_t)snprintf(text + at, size - at, "file %s %s\n",
				       actions[any(ARRAY_SIZE(actions))],
				       patterns[any(ARRAY_SIZE(patterns))]);
	return at;
}

START_TEST(random_rules_decide_alike)
{
	struct policy_source source = here;
	struct policy *policy;
	unsigned round, made = 0;
	char text[2048];

	srandom(11);
	source.share = shares;
	source.lenient = true;
	for (round = 0; round < 4000 && made < 300; round++) {
		size_t length = random_rules(text, sizeof(text));

		source.shares = any(ARRAY_SIZE(shares) + 1);
		source.rootfs = any(2);
		if (policy_parse(&policy, text, length, &source, &why) < 0)
			continue; /* a rule that never decides */
		made++;
		check_copy(policy, 1000);
	}
	ck_assert_uint_ge(made, 200);
	/* It shows something only if there were all verdicts, also by shares. */
	ck_assert_uint_gt(decided[POLICY_ALLOW], 5000);
	ck_assert_uint_gt(decided[POLICY_DENY], 5000);
	ck_assert_uint_gt(decided[POLICY_HIDE], 1000);
	ck_assert_uint_gt(decided[POLICY_ASK], 1000);
	ck_assert_uint_gt(by_share, 1000);
}
END_TEST

START_TEST(presets_decide_alike)
{
	struct policy_source source = here;
	struct policy *policy;
	size_t i;

	srandom(12);
	source.share = shares;
	for (i = 0; policy_preset_name(i); i++) {
		source.shares = i % (ARRAY_SIZE(shares) + 1);
		source.rootfs = i % 2;
		ck_assert_msg(policy_preset(&policy, policy_preset_name(i), &source, &why) == 0,
			      "%s", why.text);
		check_copy(policy, 1000);
	}
	ck_assert_uint_gt(i, 2);
}
END_TEST

START_TEST(many_files_decide_alike)
{
	static const char one[] = "policy 1\ninclude workspace\nshare . /w\nfile write /w/**\n";
	static const char two[] = "policy 1\nshare $HOME/d /d ro\nfile read /d/**\n"
				  "file deny /x/a/**\n";
	const struct policy_part part[] = {{"one", "/host", sizeof(one) - 1},
					   {"two", "/other", sizeof(two) - 1}};
	struct policy_source source = here;
	struct policy *policy;
	char text[sizeof(one) + sizeof(two)];

	srandom(13);
	source.part = part;
	source.parts = 2;
	source.share = shares;
	source.shares = ARRAY_SIZE(shares);
	snprintf(text, sizeof(text), "%s%s", one, two);
	ck_assert_msg(policy_parse(&policy, text, strlen(text), &source, &why) == 0, "%s",
		      why.text);
	check_copy(policy, 20000);
}
END_TEST

START_TEST(the_relay_has_no_shares_of_the_command_line)
{
	struct policy_source source = here;
	struct policy *policy, *copy;

	source.share = shares;
	source.shares = ARRAY_SIZE(shares);
	ck_assert_int_eq(policy_parse(&policy, "policy 1\nshare . /w\n", 20, &source, &why), 0);
	copy = copy_of(policy, POLICY_COPY_RELAY);
	ck_assert_uint_eq(policy_share_count(policy), 1 + ARRAY_SIZE(shares));
	ck_assert_uint_eq(policy_share_count(copy), 1);
	policy_free(copy);
	policy_free(policy);
}
END_TEST

/* --- what is read ----------------------------------------------------------------------------- */

START_TEST(only_whole_copies_are_read)
{
	const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	static uint8_t bytes[4096], other[4096];
	struct policy_source source = here;
	struct policy *policy;
	unsigned read = 0;
	ssize_t length, cut;
	int fd, ret, mask;

	source.share = shares;
	source.shares = ARRAY_SIZE(shares);
	ck_assert_int_eq(policy_parse(&policy, "policy 1\nshare . /w\n", 20, &source, &why), 0);
	ck_assert_int_eq(policy_copy_write(policy, POLICY_COPY_WHOLE, &fd), 0);
	policy_free(policy);
	length = fd_pread_full(fd, bytes, sizeof(bytes), 0);
	close(fd);
	ck_assert_int_gt(length, 100);
	/* Every byte another one, and cut behind it. */
	for (mask = 0; mask < 4; mask++)
		for (cut = 0; cut < length; cut++) {
			memcpy(other, bytes, (size_t)length);
			other[cut] ^= (uint8_t)(mask == 1 ? 0xff : mask == 2 ? 1 : 0x80);
			fd = memfd_create("copy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
			ck_assert_int_eq(fd_write_full(fd, other, (size_t)(mask ? length : cut)),
					 0);
			ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
			ret = policy_copy_read(fd, &policy);
			if (!mask)
				ck_assert_int_eq(ret, -EINVAL);
			read += ret == 0;
			policy_free(policy);
			close(fd);
		}
	/* Some changes make another policy: of a name, say. */
	ck_assert_uint_gt(read, 0);
}
END_TEST

UNIT_MAIN("policy_copy_files", random_rules_decide_alike, presets_decide_alike,
	  many_files_decide_alike, the_relay_has_no_shares_of_the_command_line,
	  only_whole_copies_are_read)
