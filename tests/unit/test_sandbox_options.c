/* SPDX-License-Identifier: Apache-2.0 */
/* The size of a sandbox: what --memory, --cpus and the policy's limits make of it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/launch/sandbox_options.h"

static char path[64];
static struct err err;

/* Applies a policy with one limit, or none, to the options. 0 or -errno. */
static int apply(struct sandbox_options *options, const char *name, const char *limit)
{
	FILE *file;
	int ret;

	strcpy(path, "/tmp/cordon-test-options.XXXXXX");
	file = fdopen(mkstemp(path), "w");
	ck_assert_ptr_nonnull(file);
	fprintf(file, "policy 1\n%s%s\n", limit ? name : "", limit ? limit : "");
	ck_assert_int_eq(fclose(file), 0);
	sandbox_options_init(options);
	options->policy_options.policy[options->policy_options.policies++] = path;
	err.text[0] = '\0';
	ret = sandbox_options_policy(options, &err);
	unlink(path);
	policy_free(options->policy);
	return ret;
}

/* Applies a policy to --memory (0: not given). Returns the guest's memory, or -errno. */
static int64_t memory_of(uint64_t option, const char *limit)
{
	struct sandbox_options options = {.memory = option};
	int ret = apply(&options, "limit memory=", limit);

	return ret < 0 ? ret : (int64_t)options.sandbox.machine.memory;
}

/* The same for --cpus, in thousandths. Returns the number of processors, or -errno. */
static int cpus_of(uint64_t option, const char *limit)
{
	struct sandbox_options options = {.cpu_millis = option};
	int ret = apply(&options, "limit cpus=", limit);

	return ret < 0 ? ret : (int)options.sandbox.machine.cpus;
}

START_TEST(memory_is_rounded_down_to_2_mib)
{
	ck_assert_int_eq(memory_of(MIB(256), NULL), MIB(256));
	ck_assert_int_eq(memory_of(MIB(257), NULL), MIB(256));
	ck_assert_int_eq(memory_of(MIB(258) - 1, NULL), MIB(256));
	ck_assert_int_eq(memory_of(MIB(258), NULL), MIB(258));
	ck_assert_int_eq(memory_of(MIB(64) + 1, NULL), MIB(64));
	ck_assert_int_eq(memory_of(0, NULL), MACHINE_MEMORY_DEFAULT);
}
END_TEST

START_TEST(a_limit_is_the_size_where_none_is_given)
{
	ck_assert_int_eq(memory_of(0, "128M"), MIB(128));
	ck_assert_int_eq(memory_of(0, "129M"), MIB(128));
	ck_assert_int_eq(memory_of(0, "65M"), MIB(64));
	ck_assert_int_eq(memory_of(0, "63M"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, ":2: memory=: a sandbox has at least 64M"));
	ck_assert_int_eq(memory_of(MIB(128), "63M"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "a sandbox has at least 64M"));
}
END_TEST

/* What a sandbox gets is compared with the limit, not what the option says. */
START_TEST(memory_is_rounded_before_it_is_compared_with_the_limit)
{
	ck_assert_int_eq(memory_of(MIB(256), "256M"), MIB(256));
	ck_assert_int_eq(memory_of(MIB(257), "256M"), MIB(256));
	ck_assert_int_eq(memory_of(MIB(257), "257M"), MIB(256));
	ck_assert_int_eq(memory_of(MIB(128), "256M"), MIB(128));
	ck_assert_int_eq(memory_of(MIB(258), "256M"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "--memory exceeds what the policy allows"));
	ck_assert_int_eq(memory_of(MIB(258), "257M"), -EINVAL);
}
END_TEST

START_TEST(more_than_the_host_has_is_refused_as_it_was_given)
{
	ck_assert_int_eq(memory_of((UINT64_C(1) << 50) + MIB(1), NULL), -EINVAL);
	ck_assert_msg(strncmp(err.text,
			      "--memory: 1073741825M is more than the memory of this host",
			      58) == 0,
		      "%s", err.text);
}
END_TEST

START_TEST(a_fraction_of_a_processor_is_rounded_up)
{
	ck_assert_int_eq(cpus_of(0, NULL), 1);
	ck_assert_int_eq(cpus_of(500, NULL), 1);
	ck_assert_int_eq(cpus_of(1001, NULL), 2);
	ck_assert_int_eq(cpus_of(2000, NULL), 2);
	ck_assert_int_eq(cpus_of(0, "0.5"), 1);
	ck_assert_int_eq(cpus_of(0, "1.5"), 2);
	ck_assert_int_eq(cpus_of(0, "100"), 8);
	ck_assert_int_eq(cpus_of(1500, "1.5"), 2);
	/* Not the processors are compared, but the shares. */
	ck_assert_int_eq(cpus_of(1000, "0.5"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "--cpus exceeds what the policy allows"));
	ck_assert_int_eq(cpus_of(2000, "1.5"), -EINVAL);
}
END_TEST

UNIT_MAIN("sandbox_options", a_fraction_of_a_processor_is_rounded_up,
	  memory_is_rounded_down_to_2_mib, a_limit_is_the_size_where_none_is_given,
	  memory_is_rounded_before_it_is_compared_with_the_limit,
	  more_than_the_host_has_is_refused_as_it_was_given)
