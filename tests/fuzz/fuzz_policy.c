/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy files: some valid lines, some bytes changed, and then requests. A policy that parses must
 * decide the same twice and never be wider than itself, and what lies below a hidden name must stay
 * hidden.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "vmm/policy/explain.h"
#include "vmm/policy/narrow.h"

#define TEXT_MAX 4096

static const char *const lines[] = {
	"file write /w/**\n",
	"file hide /w/**/.env /w/s?cret\n",
	"file read /w/*/x[a-c!]*y/** /w/a*b*c\n",
	"file deny /w/private\n",
	"file append $PWD/log\\ s/**\n",
	"share . /w ro uid=5 gid=6\n",
	"share ./x /y owner=host cache=loose\n",
	"limit cpus=2 memory=256M wall=3m\n",
	"net allow tls api.example.com:443 *.x.y:1-9\n",
	"net deny tcp 10.0.0.0/8:* [2001:db8::]/32:443\n",
	"net ask udp *:53\n",
	"net deny http POST,GET a.x.y:1-9999/q/%20* *.x.y/a?\n",
	"net allow http PUT,GET a.x.y/q [2001:db8::]/32:*/**/[a-c]* *.x.y\n",
	"net allow dns *.x\nnet allow icmp 192.0.2.1\n",
	"exec allow /bin/** /usr/bin/*\n",
	"exec deny /w/**\n",
	"include workspace\n",
	"on-deny continue audit=required\n",
	"secret A b\n",
	"net allow any\n",
};

static size_t make_text(struct fuzz_script *script, char *text)
{
	size_t length = (size_t)sprintf(text, "policy 1\nshare . /w\nfile write /w/q/**\n");
	unsigned count = fuzz_below(script, 8);
	const char *line;

	while (count-- > 0) {
		line = lines[fuzz_below(script, ARRAY_SIZE(lines))];
		memcpy(text + length, line, strlen(line));
		length += strlen(line);
	}
	for (count = fuzz_below(script, 6); count > 0; count--)
		text[fuzz_number(script, 2) % length] = (char)fuzz_number(script, 1);
	return length;
}

static void ask(const struct policy *policy, struct fuzz_script *script)
{
	static const char *const paths[] = {"/w",      "/w/.env",    "/w/a/b/.env", "/w/private/x",
					    "/w/abbc", "/w/q/xabcy", "/",	    "/w/../x"};
	char path[64];
	struct policy_request request = {
		.class = (enum policy_class)fuzz_below(script, 4),
		.op = (enum policy_op)fuzz_below(script, 14),
		.object = path,
		.net =
			{
				.protocol = (enum policy_protocol)fuzz_below(script, 6),
				.name = fuzz_below(script, 2) ? "a.x.y" : NULL,
				.family = fuzz_below(script, 2) ? 2 : 10,
				.port = (uint16_t)fuzz_number(script, 2),
				.host = fuzz_rarely(script, 4),
			},
	};
	static const char *const methods[] = {NULL, "GET", "PUT", "X"};
	static const char *const urls[] = {"/q", "/q/%20z/a", "/ab", "/", "q", "/a/../q", NULL};
	struct policy_decision first, second, beneath;
	static struct policy_explanation explanation;

	strcpy(path, paths[fuzz_below(script, ARRAY_SIZE(paths))]);
	if (fuzz_rarely(script, 2))
		path[fuzz_below(script, 8)] = (char)fuzz_number(script, 1);
	request.length = strlen(path);
	if (request.net.protocol == POLICY_HTTP) {
		request.net.method = methods[fuzz_below(script, ARRAY_SIZE(methods))];
		request.net.path = urls[fuzz_below(script, ARRAY_SIZE(urls))];
		request.net.unclear = fuzz_rarely(script, 4);
	}
	policy_decide(policy, &request, &first);
	policy_decide(policy, &request, &second);
	FUZZ_REQUIRE(first.verdict == second.verdict && first.rule == second.rule && first.reason);
	if (request.class < POLICY_CLASSES && request.length > 0)
		FUZZ_REQUIRE(policy_explain(policy, &request, &explanation) == 0);
	if (request.class != POLICY_FILE || first.verdict != POLICY_HIDE || request.length > 50)
		return;
	/* The first match decides, so only an earlier rule may say otherwise about a path below. */
	strcat(path, "/zz");
	request.length += 3;
	policy_decide(policy, &request, &beneath);
	FUZZ_REQUIRE(beneath.verdict == POLICY_HIDE ||
		     (beneath.rule && beneath.rule->number < first.rule->number));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[TEXT_MAX];
	struct fuzz_script script = {.at = data, .left = size};
	struct policy_source source = {
		.name = "p",
		.directory = "/host",
		.cwd = "/w",
		.home = "/home/u",
		.lenient = true,
	};
	struct policy *policy;
	struct err err = {.text = ""};
	size_t length;
	bool narrow;
	int ret;

	source.lenient = !fuzz_rarely(&script, 8);
	narrow = fuzz_rarely(&script, 16);
	length = make_text(&script, text);
	ret = policy_parse(&policy, text, length, &source, &err);
	FUZZ_REQUIRE((ret == 0) == (policy != NULL) && (ret == 0 || err.text[0]));
	if (ret < 0)
		return 0;
	while (!fuzz_ended(&script))
		ask(policy, &script);
	/* This takes large tables, so do not do it for each input. */
	ret = narrow ? policy_is_narrower(policy, policy, &err) : 0;
	FUZZ_REQUIRE(ret == 0 || strstr(err.text, "no proof that the") ||
		     strstr(err.text, "can't be ruled out"));
	policy_free(policy);
	return 0;
}
