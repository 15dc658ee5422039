/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/proposal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/text.h"
#include "vmm/policy/added.h"
#include "vmm/policy/internal.h"
#include "vmm/policy/narrow.h"

#define TEXT_MAX 2048

/* The class of the rule that the line begins like; -1: none. */
static int class_of(const char *line)
{
	int class;

	for (class = 0; class < POLICY_CLASSES; class ++) {
		const char *name = policy_class_name((enum policy_class) class);
		size_t length = strlen(name);

		if (strncmp(line, name, length) == 0 &&
		    (line[length] == ' ' || line[length] == '\t'))
			return class;
	}
	return -1;
}

/* Parses the line as a policy of its own, so that a message is about nothing else. */
static int parse_alone(const char *line, struct err *err)
{
	const struct policy_source source = {.name = "proposal", .rootfs = true};
	struct policy *policy = NULL;
	char text[TEXT_MAX];
	int ret;

	if (snprintf(text, sizeof(text), "policy 1\n%s\n", line) >= (int)sizeof(text))
		return err_set(err, EINVAL, "the rule is too long");
	ret = policy_parse(&policy, text, strlen(text), &source, err);
	policy_free(policy);
	return ret < 0 && ret != -ENOMEM ? -EINVAL : ret;
}

/* Of the rule that was added. */
static unsigned count_targets(const struct policy *with)
{
	const struct rule *rule = (const struct rule *)policy_last_added(with);

	return rule->patterns + rule->targets;
}

/*
 * What the policy allows with the rule that it does not allow without: an example, which the guest
 * can choose by the order of the targets.
 */
static int compare(const struct policy *with, const struct policy *policy, char adds[POLICY_ADDS],
		   struct err *err)
{
	struct err why = {.text = ""};
	int ret = policy_is_narrower_briefly(with, policy, &why);
	size_t used = 0;

	if (ret == 0)
		return err_set(err, EINVAL, "the rule allows nothing that is not allowed already");
	if (ret != -EPERM)
		return err_set(err, ENOMEM, "out of memory");
	if (count_targets(with) > 1)
		used = (size_t)snprintf(adds, POLICY_ADDS,
					"one of its %u targets: ", count_targets(with));
	text_safe(adds + used, POLICY_ADDS - used, why.text, strlen(why.text), 0);
	return 0;
}

int policy_check_proposal(const struct policy *policy, const char *line, char adds[POLICY_ADDS],
			  enum policy_class *class, struct err *err)
{
	struct policy *with = NULL;
	int found = class_of(line), ret;
	struct err why;

	adds[0] = '\0';
	if (strpbrk(line, "\r\n"))
		return err_set(err, EINVAL, "a rule is one line");
	if (found < 0)
		return err_set(err, EINVAL,
			       "a rule is needed, such as 'net allow tls NAME:443': file, net or "
			       "exec");
	if (found == POLICY_PROCESS)
		return err_set(
			err, EINVAL,
			"process rules hold from a command's start on and can't be proposed");
	*class = (enum policy_class)found;
	ret = parse_alone(line, err);
	if (ret < 0)
		return ret;
	ret = policy_add_line(&with, policy, line, &why);
	if (ret == -ENOMEM)
		return err_set(err, ENOMEM, "out of memory");
	/* The message may name files of the host, and what is hidden. */
	if (ret < 0)
		return err_set(err, EINVAL,
			       "the policy cannot take this rule: its own rules decide already");
	ret = compare(with, policy, adds, err);
	policy_free(with);
	return ret;
}
