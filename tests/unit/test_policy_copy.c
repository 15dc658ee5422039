/* SPDX-License-Identifier: Apache-2.0 */
/* The relay's copy of a policy: it decides about the network as the policy itself does; and what is
 * read as a copy. test_policy_copy_files.c has the whole copy. */
#include "vmm/policy/policy_copy.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/policy_common.h"
#include "vmm/base/fd.h"
#include "vmm/base/pack.h"
#include "vmm/policy/added.h"

static struct policy *copy_of(const struct policy *policy)
{
	struct policy *copy;
	int fd, ret;

	ck_assert_int_eq(policy_copy_write(policy, POLICY_COPY_RELAY, &fd), 0);
	ret = policy_copy_read(fd, &copy);
	ck_assert_msg(ret == 0, "%s", strerror(-ret));
	close(fd);
	return copy;
}

/* --- the same decisions ----------------------------------------------------------------------- */

static const char *const names[] = {
	NULL,
	"",
	"a.test",
	"b.test",
	"x.a.test",
	"example.com",
	"www.example.com",
	"host",
	"pypi.org",
	"files.pythonhosted.org",
	"github.com",
	"registry.npmjs.org",
	"deb.debian.org",
};

static const char *const addresses[] = {
	"93.184.216.34",   "10.1.2.3", "192.0.2.4", "169.254.169.254",
	"2606:4700::1111", "::1",      "fd00::1",
};

static const uint16_t ports[] = {0, 22, 53, 80, 443, 8080, 65535};

static const struct {
	const char *method, *path;
	bool unclear;
} requests[] = {
	{NULL, NULL, false},	    {"GET", "/", false},   {"GET", "/v1/a", false},
	{"POST", "/v1/a/b", false}, {"BREW", "/x", false}, {"GET", "/v1/a", true},
};

static unsigned decided[4]; /* by enum policy_verdict */

static void decide_both(const struct policy *policy, const struct policy *copy,
			const struct policy_request *request)
{
	struct policy_decision a, b;

	policy_decide(policy, request, &a);
	policy_decide(copy, request, &b);
	ck_assert_msg(a.verdict == b.verdict && a.number == b.number && a.line == b.line,
		      "%s: %s: %d by %u and %d by %u", policy_name(policy),
		      request->net.name ? request->net.name : "-", a.verdict, a.number, b.verdict,
		      b.number);
	decided[a.verdict]++;
}

static void decide_about(const struct policy *policy, const struct policy *copy,
			 struct policy_request *request)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ports); i++) {
		request->net.port = ports[i];
		request->net.host = !request->net.host;
		decide_both(policy, copy, request);
	}
	for (i = 0; i < ARRAY_SIZE(requests) && request->net.protocol == POLICY_HTTP; i++) {
		request->net.port = 80;
		request->net.method = requests[i].method;
		request->net.path = requests[i].path;
		request->net.unclear = requests[i].unclear;
		decide_both(policy, copy, request);
	}
}

static void same_decisions(const struct policy *policy, const struct policy *copy)
{
	struct policy_request request;
	unsigned protocol;
	size_t i, k;

	ck_assert_uint_eq(policy_rule_count(policy, POLICY_NET),
			  policy_rule_count(copy, POLICY_NET));
	for (protocol = POLICY_TCP; protocol <= POLICY_DNS; protocol++)
		for (i = 0; i < ARRAY_SIZE(names); i++)
			for (k = 0; k < ARRAY_SIZE(addresses); k++) {
				bool six = strchr(addresses[k], ':') != NULL;

				request = (struct policy_request){
					.class = POLICY_NET,
					.op = POLICY_CONNECT,
					.net = {.protocol = (enum policy_protocol)protocol,
						.name = names[i],
						.family = six ? AF_INET6 : AF_INET}};
				ck_assert_int_eq(inet_pton(six ? AF_INET6 : AF_INET, addresses[k],
							   request.net.address),
						 1);
				decide_about(policy, copy, &request);
			}
	for (i = 1; i < ARRAY_SIZE(names); i++) {
		request =
			(struct policy_request){.class = POLICY_NET,
						.op = POLICY_RESOLVE,
						.net = {.protocol = POLICY_DNS, .name = names[i]}};
		decide_both(policy, copy, &request);
	}
}

static void check_copy(struct policy *policy)
{
	struct policy *copy = copy_of(policy);

	same_decisions(policy, copy);
	ck_assert_str_eq(policy_text(policy), policy_text(copy));
	policy_free(copy);
	policy_free(policy);
}

static struct policy *parse(const char *text, const struct policy_source *source)
{
	struct policy *policy;

	ck_assert_msg(policy_parse(&policy, text, strlen(text), source, &why) == 0, "%s: %s", text,
		      why.text);
	return policy;
}

START_TEST(presets_decide_alike)
{
	static const struct policy_share share[] = {
		{.host = "/host/x", .guest = "/x", .uid = -1, .gid = -1},
		{.host = "/host/y", .guest = "/y", .read_only = true, .uid = -1, .gid = -1},
	};
	struct policy_source source = here;
	struct policy *policy;
	size_t i;

	for (i = 0; policy_preset_name(i); i++) {
		source.share = share;
		source.shares = i % 3;
		source.rootfs = i % 2;
		ck_assert_msg(policy_preset(&policy, policy_preset_name(i), &source, &why) == 0,
			      "%s", why.text);
		check_copy(policy);
	}
	ck_assert_uint_gt(i, 2);
}
END_TEST

START_TEST(rules_of_all_kinds_decide_alike)
{
	static const char *const texts[] = {
		"policy 1\n",
		"policy 1\nnet allow tls *:443\nnet ask tcp *:22\nnet deny udp a.test:53\n"
		"net allow udp *:53\n",
		"policy 1\nnet deny tls b.test:443\nnet allow tls *.a.test:443 example.com:443\n"
		"net ask http example.com:80\nnet allow icmp 93.184.216.0/24\n",
		"policy 1\nnet allow http GET a.test/v1/**\nnet ask http POST,PUT a.test\n"
		"net deny http b.test\nnet allow http b.test:8080\n",
		"policy 1\nnet allow tcp host:8080\nnet allow tcp 10.0.0.0/8:*\n"
		"net allow tcp [fd00::]/8:443\nnet allow dns *.example.com\n",
		"policy 1\non-ask deny\non-deny continue audit=required\nlimit memory=64M\n"
		"net ask tcp *:*\nprocess deny ptrace\nexec allow /usr/**\n",
	};
	static const char *const nets[] = {"a.test:443", "tcp/93.184.216.34:22", "udp/host:53"};
	struct policy_source source = {.name = "p", .lenient = true};
	struct policy *policy, *more;
	size_t i, k;

	memset(decided, 0, sizeof(decided));
	for (i = 0; i < ARRAY_SIZE(texts); i++)
		for (k = 0; k <= ARRAY_SIZE(nets); k++) {
			source.allow_net = nets;
			source.allow_nets = k;
			if (policy_parse(&policy, texts[i], strlen(texts[i]), &source, &why) < 0)
				continue; /* some targets stay denied */
			if (policy_add_line(&more, policy, "net deny tls x.a.test:443", &why) == 0)
				check_copy(more);
			check_copy(policy);
		}
	/* It shows something only if there were all verdicts. */
	ck_assert_uint_gt(decided[POLICY_DENY], 100);
	ck_assert_uint_gt(decided[POLICY_ALLOW], 100);
	ck_assert_uint_gt(decided[POLICY_ASK], 100);
}
END_TEST

START_TEST(parts_and_shares_decide_alike)
{
	static const char one[] =
		"policy 1\nshare . /w\nfile write /w/**\nnet deny tls b.test:443\n";
	static const char two[] = "policy 1\nshare $HOME/d /d ro\nfile read /d/**\nfile deny /x/k\n"
				  "net allow tls *:443\n";
	static const struct policy_share share = {
		.host = "/host/x", .guest = "/x", .uid = -1, .gid = -1};
	static const char *const nets[] = {"a.test:22"};
	const struct policy_part part[] = {{"one", "/host", sizeof(one) - 1},
					   {"two", "/other", sizeof(two) - 1}};
	struct policy_source source = here;
	struct policy *policy, *made;
	char text[sizeof(one) + sizeof(two)];

	source.part = part;
	source.parts = 2;
	source.share = &share;
	source.shares = 1;
	source.allow_net = nets;
	source.allow_nets = 1;
	snprintf(text, sizeof(text), "%s%s", one, two);
	policy = parse(text, &source);
	ck_assert_int_eq(policy_add_line(&made, policy, "net allow tcp example.com:8080", &why), 0);
	check_copy(policy);
	policy = made;
	ck_assert_int_eq(policy_add_line(&made, policy, "net deny tls a.test:443", &why), 0);
	check_copy(policy);
	check_copy(made);
}
END_TEST

/* A generator: rules in any order, with duplicates that never decide left out by the parser. */
START_TEST(random_rules_decide_alike)
{
	static const char *const actions[] = {"allow", "deny", "ask"};
	static const char *const protocols[] = {"tcp", "udp", "tls", "http"};
	static const char *const targets[] = {
		"a.test:443",  "*.a.test:80",	  "*:443",	     "10.0.0.0/8:22",	"host:80",
		"b.test:8080", "[2606::]/16:443", "93.184.216.34:*", "example.com:1-90"};
	struct policy_source source = {.name = "p"};
	struct policy *policy;
	unsigned round, good_ones = 0;
	char text[1024];

	srandom(7);
	for (round = 0; round < 400 && good_ones < 60; round++) {
		int at = snprintf(text, sizeof(text), "policy 1\n"), n = (int)(random() % 8);

		for (; n > 0; n--)
			at += snprintf(text + at, sizeof(text) - (size_t)at, "net %s %s %s\n",
				       actions[(size_t)random() % ARRAY_SIZE(actions)],
				       protocols[(size_t)random() % ARRAY_SIZE(protocols)],
				       targets[(size_t)random() % ARRAY_SIZE(targets)]);
		if (policy_parse(&policy, text, (size_t)at, &source, &why) < 0)
			continue;
		good_ones++;
		check_copy(policy);
	}
	ck_assert_uint_ge(good_ones, 40);
}
END_TEST

/* --- what is read ----------------------------------------------------------------------------- */

/* A sealed file with these bytes. */
static int file_of(const void *bytes, size_t length, int seals)
{
	int fd = memfd_create("copy", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fd_write_full(fd, bytes, length), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int read_bytes(const void *bytes, size_t length, int seals)
{
	struct policy *policy = NULL;
	int fd = file_of(bytes, length, seals), ret = policy_copy_read(fd, &policy);

	close(fd);
	ck_assert_int_eq(policy != NULL, ret == 0);
	policy_free(policy);
	return ret;
}

static size_t bytes_of(const struct policy *policy, uint8_t *to, size_t size)
{
	ssize_t got;
	int fd;

	ck_assert_int_eq(policy_copy_write(policy, POLICY_COPY_RELAY, &fd), 0);
	got = fd_pread_full(fd, to, size, 0);
	ck_assert_int_gt(got, 0);
	ck_assert_int_lt(got, (int)size);
	/* It can't change any more. */
	ck_assert_int_lt(write(fd, "x", 1), 0);
	ck_assert_int_lt(ftruncate(fd, 1), 0);
	close(fd);
	return (size_t)got;
}

START_TEST(only_whole_sealed_copies_are_read)
{
	static uint8_t bytes[65536], other[65536];
	static const char *const nets[] = {"a.test:443"};
	struct policy_source source = here;
	struct policy *policy;
	int pipe_fd[2], null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	size_t length, i;

	source.allow_net = nets;
	source.allow_nets = 1;
	policy = parse("policy 1\nnet allow tls example.com:443\n", &source);
	length = bytes_of(policy, bytes, sizeof(bytes));
	policy_free(policy);
	ck_assert_int_eq(read_bytes(bytes, length, SEALS), 0);
	/* Each seal is needed. */
	ck_assert_int_eq(read_bytes(bytes, length, SEALS & ~F_SEAL_WRITE), -EPERM);
	ck_assert_int_eq(read_bytes(bytes, length, SEALS & ~F_SEAL_SHRINK), -EPERM);
	ck_assert_int_eq(read_bytes(bytes, length, SEALS & ~F_SEAL_GROW), -EPERM);
	/* Cut at every length, or with a byte more. */
	for (i = 0; i < length; i++)
		ck_assert_int_eq(read_bytes(bytes, i, SEALS), -EINVAL);
	ck_assert_int_eq(read_bytes(bytes, length + 1, SEALS), -EINVAL);
	/* Every byte another one: an error or a policy, but no harm. */
	for (i = 0; i < length; i++) {
		memcpy(other, bytes, length);
		other[i] ^= 0xff;
		read_bytes(other, length, SEALS);
		other[i] = 0;
		read_bytes(other, length, SEALS);
	}
	ck_assert_int_eq(policy_copy_read(-1, &policy), -EBADF);
	ck_assert_int_eq(policy_copy_read(null_fd, &policy), -EPERM);
	ck_assert_int_eq(pipe2(pipe_fd, O_CLOEXEC), 0);
	ck_assert_int_eq(policy_copy_read(pipe_fd[0], &policy), -EPERM);
	close(null_fd);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}
END_TEST

static int read_counts(uint32_t parts, uint32_t nets, uint32_t shares)
{
	struct pack pack = {.data = NULL};
	uint32_t i;
	int ret;

	pack_u32(&pack, 0x32435043);
	pack_u8(&pack, 0);
	pack_u32(&pack, 1);
	pack_bytes(&pack, "p", 1);
	for (i = 0; i < 3; i++)
		pack_u32(&pack, UINT32_MAX);
	pack_u32(&pack, parts);
	for (i = 0; i < parts && i < 100; i++) {
		pack_u32(&pack, 1);
		pack_bytes(&pack, "p", 1);
		pack_u32(&pack, UINT32_MAX);
		pack_u32(&pack, 9);
	}
	pack_u32(&pack, nets);
	for (i = 0; i < nets && i < 1000; i++) {
		char net[16];

		pack_u32(&pack, (uint32_t)snprintf(net, sizeof(net), "a%u.test:%u", i % 10, i + 1));
		pack_bytes(&pack, net, strlen(net));
	}
	pack_u32(&pack, shares);
	for (i = 0; i < shares && i < 100; i++) {
		char path[16];

		pack_u32(&pack, 2);
		pack_bytes(&pack, "/h", 2);
		pack_u32(&pack, (uint32_t)snprintf(path, sizeof(path), "/s%u", i));
		pack_bytes(&pack, path, strlen(path));
		pack_u8(&pack, i % 2);
		pack_u8(&pack, i / 2 % 2);
		pack_u8(&pack, (uint8_t)(i % 4)); /* cache */
		pack_u64(&pack, UINT64_MAX);
		pack_u64(&pack, i);
	}
	pack_u32(&pack, (parts ? parts : 1) * 9);
	for (i = 0; i < (parts ? parts : 1); i++)
		pack_bytes(&pack, "policy 1\n", 9);
	ck_assert(!pack.failed);
	ret = read_bytes(pack.data, pack.length, SEALS);
	pack_free(&pack);
	return ret;
}

START_TEST(counts_are_bounded)
{
	static uint8_t large[POLICY_COPY_MAX + 1];

	ck_assert_int_eq(read_counts(0, 0, 0), 0);
	ck_assert_int_eq(read_counts(POLICY_PARTS_MAX, POLICY_NETS_MAX, POLICY_SHARES_MAX), 0);
	ck_assert_int_eq(read_counts(POLICY_PARTS_MAX + 1, 0, 0), -EINVAL);
	ck_assert_int_eq(read_counts(0, POLICY_NETS_MAX + 1, 0), -EINVAL);
	ck_assert_int_eq(read_counts(0, 0, POLICY_SHARES_MAX + 1), -EINVAL);
	ck_assert_int_eq(read_bytes(large, POLICY_COPY_MAX, SEALS), -EINVAL);
	ck_assert_int_eq(read_bytes(large, POLICY_COPY_MAX + 1, SEALS), -EFBIG);
}
END_TEST

/* The largest policy that there may be fits. */
START_TEST(the_largest_policy_is_copied)
{
	static char text[POLICY_FILE_MAX + 1];
	static char long_name[POLICY_PATTERN_MAX + 8];
	static const char *nets[POLICY_NETS_MAX];
	struct policy_source source = here;
	size_t at = (size_t)snprintf(text, sizeof(text), "policy 1\nnet ask tcp *:*\n"), i;

	for (; at < POLICY_FILE_MAX; at++)
		text[at] = at % 100 ? '#' : '\n';
	memset(long_name, 'x', sizeof(long_name) - 1);
	source.name = long_name;
	for (i = 0; i < POLICY_NETS_MAX; i++)
		nets[i] = i % 2 ? "tcp/a.test:1" : "udp/*.example.com:2-3";
	source.allow_net = nets;
	source.allow_nets = POLICY_NETS_MAX;
	check_copy(parse(text, &source));
}
END_TEST

UNIT_MAIN("policy_copy", presets_decide_alike, rules_of_all_kinds_decide_alike,
	  parts_and_shares_decide_alike, random_rules_decide_alike,
	  only_whole_sealed_copies_are_read, counts_are_bounded, the_largest_policy_is_copied)
