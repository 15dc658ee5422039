/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a policy: errors, shares, presets, includes; proofs that one is narrower. */
#include "vmm/policy/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/policy/narrow.h"
#include "tests/unit/policy_common.h"

START_TEST(errors_name_line_and_column)
{
	static const struct {
		const char *text, *wanted;
	} bad[] = {
		{"fil read /w/a", "p:3:1: unknown statement 'fil': did you mean 'file'?"},
		{"file wrte /w/a", "p:3:6: unknown verdict 'wrte': did you mean 'write'?"},
		{"file read", "p:3:1: write file VERDICT"},
		{"file", "p:3:1: write file VERDICT"},
		{"file read w/a", "p:3:11: 'w/a': a path begins with '/'"},
		{"file read ./a", "'./a': a path begins with '/', $PWD or $HOME"},
		{"file read ~/a", "'~/a': a path begins with '/' or $HOME"},
		{"exec deny curl", "p:3:11: 'curl': a path begins with '/'; '/**/curl' matches"},
		{"file read /w//a", "p:3:14: '/w//a': an empty component"},
		{"file read /w/", "p:3:14: '/w/': an empty component"},
		{"file read /w/../x", "a pattern has no '..' component"},
		{"file read /w/a**", "** must stand alone"},
		{"file read /w/***", "** must stand alone"},
		{"file read /w/[a", "'[' without ']'"},
		{"file read /w/[z-a]", "the range z-a is empty"},
		{"file read /w/[!\x01-\x7f]", "a control character"},
		{"file read /w/a\\", "nothing follows the '\\'"},
		{"file read $HOMER/a", "only $PWD and $HOME"},
		{"file read /elsewhere/**", "p:3:1: the rule covers no share"},
		{"file write /w/**\nfile read /w/a", "p:4:1: this rule never decides"},
		{"file write /w/**\nfile write /w/a", "(p:3: file write /w/**)"},
		{"file write /w/[a-m]*\nfile write /w/[!a-m]*\nfile read /w/??",
		 "p:5:1: this rule"},
		{"file deny /w/**", "p:2: no rule allows reading anything of this share"},
		{"policy 1", "p:3:1: 'policy' must be given only once"},
		{"limit", "p:3:1: write limit"},
		{"limit memory=lots", "p:3:14: 'lots' is not a size"},
		{"limit memry=1G", "unknown limit 'memry': did you mean 'memory'?"},
		{"limit idle=:pause", "p:3:12: ':pause' is not a time such as 5m:pause"},
		{"limit cpus", "write cpus=VALUE"},
		{"limit cpus=0", "'0' is not a number from 0.05 to 1024"},
		{"limit wall=1m wall=2m", "wall is limited already (p:3)"},
		{"limit cpus=0.04", "is not a number"},
		{"limit cpus=1.2345", "at most three decimals"},
		{"limit cpus=.5", "is not a number"},
		{"limit cpus=1.", "is not a number"},
		{"limit cpus=12345678901234567890", "is not a number"},
		{"limit memory=0", "p:3:14: memory can't be 0"},
		{"limit open-files=15", "is not a whole number from 16 to 1048576"},
		{"limit open-files=1048577", "is not a whole number from 16"},
		{"limit output=0", "output can't be 0"},
		{"limit idle=5m:stop", "p:3:12: '5m:stop': only :pause may follow a time"},
		{"limit idle=:pause", "is not a time"},
		{"limit wall=5m:pause", "is not a time"},
		{"limit open-file=20", "did you mean 'open-files'"},
		{"include lockd", "unknown preset 'lockd': did you mean 'locked'?"},
		{"include", "write include PRESET"},
		{"on-deny sulk", "unknown on-deny option 'sulk'"},
		{"on-ask", "p:3:1: write on-ask freeze [spill=TIME], wait=TIME or deny"},
		{"on-ask wait", "p:3:8: unknown on-ask option 'wait'"},
		{"on-ask sulk", "unknown on-ask option 'sulk': one of freeze, wait=TIME, deny"},
		{"on-ask wait=", "p:3:13: "},
		{"on-ask wait=0s", "p:3:13: '0s' is not a time"},
		{"on-ask wait=25h", "p:3:13: at most 24h: on-ask freeze waits"},
		{"on-ask freeze spill=soon", "p:3:21: 'soon' is not a"},
		{"on-ask freeze wait=3s", "p:3:15: write on-ask freeze [spill=TIME]"},
		{"on-ask freeze spill=1m spill=2m", "p:3:15: write on-ask freeze"},
		{"on-ask deny spill=1m", "p:3:13: only on-ask freeze takes another word"},
		{"on-ask deny\non-ask freeze", "p:4:1: on-ask is given already (line 3)"},
		{"exec read /w/**", "unknown verdict 'read'"},
		{"exec allow", "p:3:1: write exec VERDICT"},
		{"audit", "p:3:1: write audit processes"},
		{"audit proceses", "unknown audit option 'proceses': did you mean 'processes'?"},
		{"exec deny /w/**\nexec ask /w/a", "p:4:1: this rule never decides"},
		{"secret KEY env", "'secret' is not enforced by this version"},
		{"file ask /w/**",
		 "p:3:6: the verdict 'ask' is not enforced by this version: write ask-read or"},
		{"file ask-append /w/**",
		 "one of hide, deny, read, append, write, ask-read, ask-write"},
		{"on-deny stop", "on-deny stop is not enforced by this version"},
		{"net allow tlss a:443", "unknown protocol 'tlss': did you mean 'tls'?"},
		{"net allow tls a", "'a' has no port"},
		{"net allow tls tls:a:1", "write NAME:PORT"},
		{"net allow tls https://a:1", "leave out 'https://'"},
		{"net allow", "write net VERDICT PROTOCOL TARGET ..., such as"},
		{"net allow TLS a:443", "unknown protocol 'TLS': did you mean 'tls'?"},
		{"Net allow tls a:443", "unknown statement 'Net': did you mean 'net'?"},
		{"net allow tls a:0", "'0' is not a port"},
		{"net allow tls a:99999", "is not a port"},
		{"net allow tls a:9-8",
		 "'9-8' is not a port: the lower end of a range comes first: 8-9"},
		{"net allow tls a:9-", "'9-' is not a port"},
		{"net allow tls a:-9", "'-9' is not a port"},
		{"net allow tls a:9-99999", "'9-99999' is not a port: a number"},
		{"net allow tls a..b:1", "is not a name"},
		{"net allow tls a!b:1", "'a!b' is not a name: it has letters"},
		{"net allow tls b\xc3\xbc:1", "is not a name: write names of other scripts"},
		{"net allow tls -a:1", "'-a' is not a name: none begins with '-'"},
		{"net allow tls a*b:1", "a star stands for whole names only"},
		{"net allow tcp 10.0.0.1/8:1",
		 "bits behind the prefix are set: write 10.0.0.0/8, or 10.0.0.1 for one address"},
		{"net allow tcp [fd00::1]/8:1", "write fd00::/8, or fd00::1 for one address"},
		{"net allow tcp 10.0.0.0/33:1", "is not a prefix length"},
		{"net allow icmp a:1", "icmp has no ports"},
		{"file read /w/\xff", "p:3:14: not UTF-8"},
		{"file read /w/\xe2\x80\xae",
		 "p:3:14: an invisible character, or one that changes the text direction"},
		{"file read /w/a\x1b[2J", "p:3:15: a control character (0x1b)"},
	};
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		parse_with(bad[i].text, false, &ret);
		ck_assert_msg(ret < 0, "taken: %s", bad[i].text);
		ck_assert_msg(strstr(why.text, bad[i].wanted), "%s: %s", bad[i].text, why.text);
	}
}
END_TEST

START_TEST(versions_and_sizes_are_bounded)
{
	static char large[POLICY_FILE_MAX + 64], many[POLICY_FILE_MAX];
	struct policy *policy;
	size_t used;
	int i;

	ck_assert_int_lt(policy_parse(&policy, "", 0, &here, &why), 0);
	ck_assert_int_lt(policy_parse(&policy, "policy 2\n", 9, &here, &why), 0);
	ck_assert_ptr_nonnull(strstr(why.text, "write policy 1"));
	ck_assert_int_lt(policy_parse(&policy, "file read /x\n", 13, &here, &why), 0);
	ck_assert_ptr_nonnull(strstr(why.text, "begins with the line 'policy 1'"));
	ck_assert_int_eq(policy_parse(&policy, "policy 1", 8, &here, &why), 0);
	policy_free(policy);
	ck_assert_int_eq(policy_parse(&policy, "# c\r\n\tpolicy 1 # d\r\n", 20, &here, &why), 0);
	policy_free(policy);
	memset(large, '\n', sizeof(large));
	memcpy(large, "policy 1", 8);
	ck_assert_int_eq(policy_parse(&policy, large, sizeof(large), &here, &why), -EFBIG);
	ck_assert_int_eq(policy_parse(&policy, large, POLICY_FILE_MAX, &here, &why), 0);
	policy_free(policy);

	/* 4096 rules, and one more. More than 256 patterns once kept the set's table from ending.
	 */
	used = (size_t)sprintf(many, "policy 1\nshare . /w\n");
	for (i = 0; i < POLICY_RULES_MAX; i++)
		used += (size_t)sprintf(many + used, "file read /w/%d/**\n", i);
	ck_assert_int_eq(policy_parse(&policy, many, used, &here, &why), 0);
	ck_assert_int_eq(ask_file(policy, POLICY_READ, "/w/4095/x"), POLICY_ALLOW);
	ck_assert_int_eq(ask_file(policy, POLICY_READ, "/w/4096/x"), POLICY_DENY);
	policy_free(policy);
	used += (size_t)sprintf(many + used, "file read /w/more\n");
	ck_assert_int_eq(policy_parse(&policy, many, used, &here, &why), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why.text, "more than 4096 rules"));
}
END_TEST

START_TEST(shares_are_read)
{
	const struct policy_share option = {
		.host = "/opt/x",
		.guest = "/g[1]",
		.read_only = true,
		.uid = -1,
		.gid = -1,
	};
	struct policy_source source = here;
	const struct policy_share *share;
	struct policy *policy;
	static const char text[] = "policy 1\nshare ./p\\ q /w ro uid=5\nshare $HOME /h\n"
				   "share $PWD $PWD\nfile read /w/** /h/** $PWD/**\n";

	source.share = &option;
	source.shares = 1;
	ck_assert_int_eq(policy_parse(&policy, text, strlen(text), &source, &why), 0);
	ck_assert_uint_eq(policy_share_count(policy), 4);
	share = policy_share(policy, 0);
	ck_assert_str_eq(share->host, "/host/p q");
	ck_assert(share->read_only && share->uid == 5 && share->gid == -1);
	ck_assert_str_eq(policy_share(policy, 1)->host, "/home/u");
	ck_assert_str_eq(policy_share(policy, 2)->guest, "/here");
	/* One of the command line comes with its rule, in which nothing is a wildcard. */
	ck_assert_str_eq(policy_share(policy, 3)->host, "/opt/x");
	ck_assert_int_eq(ask_file(policy, POLICY_READ, "/g[1]/a"), POLICY_ALLOW);
	ck_assert_int_eq(ask_file(policy, POLICY_WRITE, "/g[1]/a"), POLICY_DENY);
	ck_assert_int_eq(ask_file(policy, POLICY_READ, "/g1/a"), POLICY_DENY);
	policy_free(policy);
}
END_TEST

START_TEST(presets_do_as_they_say)
{
	struct policy *policy;
	size_t i;

	for (i = 0; policy_preset_name(i); i++) {
		ck_assert_int_eq(policy_preset(&policy, policy_preset_name(i), &here, &why), 0);
		policy_free(policy);
	}
	ck_assert_uint_eq(i, 4);
	ck_assert_str_eq(policy_preset_name(0), "locked");
	ck_assert_int_eq(policy_preset(&policy, "nothing", &here, &why), -ENOENT);
	ck_assert_int_eq(policy_preset(&policy, "workspace", &here, &why), 0);
	ck_assert_int_eq(ask_file(policy, POLICY_WRITE, "/here/src/a.c"), POLICY_ALLOW);
	ck_assert_int_eq(ask_file(policy, POLICY_LOOKUP, "/here/sub/.env"), POLICY_HIDE);
	ck_assert_int_eq(ask_file(policy, POLICY_LOOKUP, "/here/.env.local"), POLICY_HIDE);
	ck_assert_int_eq(ask_file(policy, POLICY_READ, "/here/.env.example"), POLICY_ALLOW);
	ck_assert_int_eq(ask_file(policy, POLICY_WRITE, "/here/.git/index"), POLICY_ALLOW);
	ck_assert_int_eq(ask_file(policy, POLICY_CREATE, "/here/.git/hooks/pre-commit"),
			 POLICY_DENY);
	ck_assert_int_eq(ask_file(policy, POLICY_CREATE, "/here/.git/hooks"), POLICY_DENY);
	ck_assert_int_eq(ask_file(policy, POLICY_WRITE, "/here/.git/config"), POLICY_DENY);
	ck_assert_int_eq(ask_file(policy, POLICY_CREATE, "/here/x/.git"), POLICY_DENY);
	ck_assert_int_eq(ask_file(policy, POLICY_WRITE, "/here/.github/workflows/ci.yml"),
			 POLICY_DENY);
	ck_assert_int_eq(rename_directory(policy, "/here/.git", "/here/g"), POLICY_DENY);
	ck_assert_int_eq(rename_directory(policy, "/here/.git/refs", "/here/.git/hooks"),
			 POLICY_DENY);
	ck_assert_int_eq(rename_directory(policy, "/here/src", "/here/lib"), POLICY_ALLOW);
	ck_assert_int_eq(ask_file(policy, POLICY_READ, "/home/u/.ssh/id"), POLICY_DENY);
	policy_free(policy);
}
END_TEST

START_TEST(includes_come_where_they_stand)
{
	struct policy *policy;
	static const char text[] = "policy 1\nfile deny $PWD/private\ninclude workspace\n";
	static const char behind[] = "policy 1\ninclude workspace\nfile deny $PWD/private\n";

	ck_assert_int_eq(policy_parse(&policy, text, strlen(text), &here, &why), 0);
	ck_assert_int_eq(ask_file(policy, POLICY_READ, "/here/private/x"), POLICY_DENY);
	ck_assert_int_eq(ask_file(policy, POLICY_WRITE, "/here/x"), POLICY_ALLOW);
	ck_assert_str_eq(policy_rule(policy, POLICY_FILE, 1)->file, "preset workspace");
	policy_free(policy);
	ck_assert_int_lt(policy_parse(&policy, behind, strlen(behind), &here, &why), 0);
	ck_assert_ptr_nonnull(strstr(why.text, "p:3:1: this rule never decides"));
}
END_TEST

#define SHARE(options) "file read /w/**\nshare x /x " options "\nfile write /x/**"

START_TEST(narrower_is_proven)
{
	static const struct {
		const char *parent, *child, *wanted; /* NULL: it is narrower */
	} pair[] = {
		{"file write /w/**", "file write /w/**", NULL},
		{"file write /w/**", "file read /w/**", NULL},
		{"file write /w/**", "file hide /w/.env\nfile write /w/**", NULL},
		{"file write /w/*", "file read /w/a*\nfile write /w/[b-z]*", NULL},
		{"file hide /w/**/.env\nfile write /w/**", "file hide /w/**/.env\nfile read /w/**",
		 NULL},
		{"file read /w/a\nfile write /w/**", "file read /w/a*\nfile write /w/**", NULL},
		{"file read /w/**", "file write /w/**", "(write, p:3; before: read, p:3)"},
		{"file hide /w/**/.env\nfile write /w/**", "file read /w/**", "/.env"},
		{"file hide /w/x\nfile write /w/**", "file read /w/a", "before: hide, p:3"},
		{"file read /w/a\nfile write /w/**", "file write /w/**", "file /w/a"},
		{"file write /w/*", "file write /w/**", "it allows more: file"},
		{"file read /w/**", "file ask-read /w/**", NULL},
		{"file ask-read /w/**", "file read /w/**", "(read, p:3; before: ask-read, p:3)"},
		{"file deny /w/a\nfile write /w/**", "file ask-read /w/a\nfile write /w/**",
		 "(ask-read, p:3; before: deny, p:3)"},
		{"file write /w/**", "file ask-write /w/**", NULL},
		{"file ask-write /w/**", "file ask-read /w/**", NULL},
		{"file ask-write /w/**", "file append /w/**", "before: ask-write, p:3"},
		{"file ask-write /w/**", "file write /w/**", "before: ask-write, p:3"},
		{"file append /w/**", "file ask-write /w/**", "before: append, p:3"},
		{"file ask-read /w/**", "file ask-write /w/**", "before: ask-read, p:3"},
		{"file write /w/**\nlimit cpus=2", "file write /w/**",
		 "no limit cpus (before: p:4"},
		{"file write /w/**\nlimit cpus=2", "file write /w/**\nlimit cpus=3",
		 "a higher limit cpus"},
		{"file write /w/**\nlimit cpus=2", "file write /w/**\nlimit cpus=1", NULL},
		{"file write /w/**\nlimit cpus=0.5", "file write /w/**\nlimit cpus=0.75",
		 "a higher limit cpus"},
		{"file write /w/**\nlimit cpus=1", "file write /w/**\nlimit cpus=0.5", NULL},
		{"file write /w/**\nlimit idle=5m", "file write /w/**\nlimit idle=5m:pause",
		 "an idle sandbox pauses (before, it stops: p:4)"},
		{"file write /w/**\nlimit idle=5m:pause", "file write /w/**\nlimit idle=5m", NULL},
		{"file write /w/**\nlimit idle=5m:pause", "file write /w/**\nlimit idle=6m:pause",
		 "a higher limit idle"},
		{"file write /w/**\nlimit share-disk=10G", "file write /w/**\nlimit share-disk=11G",
		 "a higher limit share-disk (before: p:4)"},
		{"file write /w/**\nlimit share-disk=10G", "file write /w/**",
		 "no limit share-disk (before: p:4)"},
		{"file write /w/**\nlimit share-disk=10G", "file write /w/**\nlimit share-disk=9G",
		 NULL},
		{"file write /w/**", "file write /w/**\nlimit share-files=4000001",
		 "it allows more: a limit share-files above the usual one"},
		{"file write /w/**", "file write /w/**\nlimit share-files=4000000", NULL},
		{"file write /w/**\nlimit share-disk=99G", "file write /w/**", NULL},
		{SHARE("owner=host"), SHARE("owner=host"), NULL},
		{SHARE("owner=host"), SHARE("owner=map"),
		 "another owner= or cache= of the share /x"},
		{SHARE("owner=map"), SHARE("owner=host"),
		 "another owner= or cache= of the share /x"},
		{SHARE("owner=map"), SHARE("owner=host ro"), NULL},
		{SHARE("cache=strict"), SHARE(""), NULL},
		{SHARE("cache=strict"), SHARE("cache=loose"), "another owner= or cache= of"},
		{SHARE("cache=none"), SHARE("cache=strict"), "another owner= or cache= of"},
		{SHARE("cache=loose"), SHARE("cache=strict"), "another owner= or cache= of"},
		{SHARE("cache=loose"), SHARE("cache=none"), NULL},
		{SHARE(""), SHARE("ro"), NULL},
		{SHARE("ro"), SHARE(""), "it allows more: the share /x"},
		{"file write /w/**\non-deny audit=required", "file write /w/**", "audit=required"},
		{"file write /w/**\naudit processes", "file write /w/**", "'audit processes' is"},
		{"file write /w/**\naudit processes", "file write /w/**\naudit processes", NULL},
		{"file write /w/**\non-ask deny", "file write /w/**\non-ask wait=1s",
		 "on-ask deny"},
		{"file write /w/**\non-ask wait=1s", "file write /w/**\non-ask deny", NULL},
		{"file write /w/**\non-ask deny", "file write /w/**\non-ask deny", NULL},
		{"file write /w/**", "file write /w/**\nshare x /x\nfile read /x/**", "share /x"},
		{"file write /w/**\nexec allow /bin/**", "file write /w/**",
		 "it allows more: exec"},
		{"file write /w/**", "file write /w/**\nexec allow /bin/**", NULL},
		{"file write /w/**\nnet allow tls *.a.b:443",
		 "file write /w/**\nnet allow tls c.a.b:443", NULL},
		{"file write /w/**\nnet allow tls c.a.b:443",
		 "file write /w/**\nnet allow tls *.a.b:443", "net tls *.a.b:443"},
		{"file write /w/**\nnet deny tls x.a.b:443\nnet allow tls *.a.b:443",
		 "file write /w/**\nnet allow tls *.a.b:443", "it allows more"},
		{"file write /w/**\nnet deny tls x.a.b:443\nnet allow tls *.a.b:443",
		 "file write /w/**\nnet deny tls x.a.b:443\nnet allow tls *.a.b:443", NULL},
		{"file write /w/**\nnet ask tcp *:80",
		 "file write /w/**\nnet allow tcp 192.0.2.1:80", "it allows more"},
		/* No star and no wider network permits a special range. */
		{"file write /w/**\nnet allow tcp *:*",
		 "file write /w/**\nnet allow tcp 10.0.0.0/8:22", "it allows more"},
		{"file write /w/**\nnet allow tcp 8.0.0.0/6:*",
		 "file write /w/**\nnet allow tcp 10.0.0.0/8:22", "it allows more"},
		{"file write /w/**\nnet allow tcp [2001::]/23:*",
		 "file write /w/**\nnet allow tcp [2001:0:5::]/48:22", "it allows more"},
		{"file write /w/**\nnet allow tcp 10.0.0.0/8:*",
		 "file write /w/**\nnet allow tcp 10.1.0.0/16:22", NULL},
		{"file write /w/**\nnet allow tcp *:*",
		 "file write /w/**\nnet allow tcp 8.0.0.0/6:22 93.184.0.0/16:22", NULL},
		{"file write /w/**\nnet allow tcp [2001::]/23:*",
		 "file write /w/**\nnet allow tcp [2001:10::]/28:22", NULL},
	};
	struct policy *parent, *child;
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(pair); i++) {
		parent = good(pair[i].parent);
		child = good(pair[i].child);
		ret = policy_is_narrower(child, parent, &why);
		ck_assert_msg(ret == (pair[i].wanted ? -EPERM : 0), "%s / %s: %d %s",
			      pair[i].parent, pair[i].child, ret, why.text);
		if (pair[i].wanted)
			ck_assert_msg(strstr(why.text, pair[i].wanted), "%s / %s: %s",
				      pair[i].parent, pair[i].child, why.text);
		policy_free(parent);
		policy_free(child);
	}
}
END_TEST

START_TEST(what_cannot_be_proven_is_refused)
{
	char text[4096] = "";
	struct policy *parent, *child;
	unsigned i;

	/* Each pattern's progress is independent of the others': 2^n states. */
	for (i = 0; i < 24; i++)
		sprintf(text + strlen(text), "file read /w/*%c*%c*%c*\n", 'a' + i, 'b' + i,
			'A' + i);
	parent = good(text);
	child = good(text);
	/* The same rules allow the same. */
	ck_assert_int_eq(policy_is_narrower(child, parent, &why), 0);
	policy_free(child);
	strcat(text, "file read /w/more\n");
	child = good(text);
	ck_assert_int_eq(policy_is_narrower(child, parent, &why), -EPERM);
	ck_assert_ptr_nonnull(strstr(why.text, "no proof that the"));
	policy_free(parent);
	policy_free(child);
}
END_TEST

UNIT_MAIN("policy_text", errors_name_line_and_column, versions_and_sizes_are_bounded,
	  shares_are_read, presets_do_as_they_say, includes_come_where_they_stand,
	  narrower_is_proven, what_cannot_be_proven_is_refused)
