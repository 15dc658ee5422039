/* SPDX-License-Identifier: Apache-2.0 */
/* The warning about exec rules that name a symbolic link of the host. */
#include "vmm/launch/program_links.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/policy/policy.h"

static void note(void *arg, const char *text)
{
	strcat(arg, text);
}

static void check(const char *directory, const char *form, const char *wanted)
{
	const struct policy_source source = {.name = "p"};
	char text[1024], told[2048] = "";
	const struct policy_risk_ops ops = {.report = note, .arg = told};
	struct policy *policy;
	struct err err;
	size_t used = (size_t)snprintf(text, sizeof(text), "policy 1\n");

	for (; *form; form++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 *form == '@' ? "%s" : "%.1s",
					 *form == '@' ? directory : form);
	ck_assert_msg(policy_parse(&policy, text, used, &source, &err) == 0, "%s", err.text);
	program_links(policy, &ops);
	ck_assert_msg(wanted ? strstr(told, wanted) != NULL : !told[0], "%s: '%s'", text, told);
	policy_free(policy);
}

START_TEST(links_that_rules_name)
{
	char directory[] = "/tmp/program-links.XXXXXX", file[64], link[64];

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(file, sizeof(file), "%s/python3.11", directory);
	snprintf(link, sizeof(link), "%s/python3", directory);
	close(open(file, O_CREAT | O_WRONLY, 0700));
	ck_assert_int_eq(symlink("python3.11", link), 0);
	check(directory, "exec deny /no @/python3\nexec allow /**\n", "/python3.11, which this");
	check(directory, "exec ask @/python3\nexec allow /**\n", "p:2: ");
	check(directory, "exec allow @/python3 /usr/**\n", "/python3.11, which this");
	check(directory, "exec deny @/python3 @/python3.11\nexec allow /**\n", NULL);
	check(directory, "exec deny @/python3.11 @/none @/pyth*3\nexec allow /**\n", NULL);
	check(directory, "exec deny @/python3\nexec allow /usr/**\n", NULL);
	check(directory, "exec allow @/python3 @/**\n", NULL);
	unlink(link);
	unlink(file);
	rmdir(directory);
}
END_TEST

UNIT_MAIN("program_links", links_that_rules_name)
