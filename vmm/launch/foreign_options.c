/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch/foreign_options.h"

#include <stddef.h>
#include <string.h>

#include "vmm/base/bytes.h"

#define NO_DEVICES   "no device of the host is passed through"
#define NO_LABELS    "a sandbox has a name, and no labels"
#define NO_REGISTRY  "there is no registry: 'cordon image build ARCHIVE' unpacks an image"
#define OWN_KERNEL   "a sandbox has a kernel of its own, and shares no namespace with the host"
#define CALLS	     "the policy's 'process' rules say which system calls: cordon-policy(5)"
#define LIMITS	     "the policy's 'limit' lines say how much: cordon-policy(5)"
#define PORTS	     "each port is named: --publish HOSTPORT:PORT"
#define NAMES	     "the policy's 'net' rules say which names resolve: cordon-policy(5)"
#define ALL_STREAMS  "the command has all of cordon's streams, without an option"
#define ONE_PLATFORM "only linux/amd64 runs, and is chosen from an image of several"
#define CPU_SHARES   "--cpus takes a share of a processor, such as 0.5"
#define NO_RESTART   "a sandbox that has ended stays ended: 'cordon start' starts another"

static const struct {
	const char *option, *advice;
} options_elsewhere[] = {
	{"--add-host", "the command can write /etc/hosts"},
	{"--attach", ALL_STREAMS},
	{"--cap-add", CALLS},
	{"--cap-drop", CALLS},
	{"--cgroupns", OWN_KERNEL},
	{"--cidfile", "--name gives the sandbox a name that other commands take"},
	{"--cpu-quota", CPU_SHARES},
	{"--cpu-shares", CPU_SHARES},
	{"--device", NO_DEVICES},
	{"--dns", NAMES},
	{"--dns-search", NAMES},
	{"--expose", PORTS},
	{"--gpus", NO_DEVICES},
	{"--group-add", "--user takes USER:GROUP"},
	{"--init", "PID 1 of a sandbox is an init process already"},
	{"--ipc", OWN_KERNEL},
	{"--label", NO_LABELS},
	{"--label-file", NO_LABELS},
	{"--link", "sandboxes reach each other by ports of the host: --publish, and a 'net' rule"},
	{"--memory-swap", "a guest has no swap: --memory is all that it has"},
	{"--name", "the name is an argument, without an option"},
	{"--pid", OWN_KERNEL},
	{"--pids-limit", LIMITS},
	{"--platform", ONE_PLATFORM},
	{"--privileged", OWN_KERNEL ": there is nothing to be privileged on"},
	{"--publish-all", PORTS},
	{"--pull", NO_REGISTRY},
	{"--restart", NO_RESTART},
	{"--runtime", OWN_KERNEL},
	{"--security-opt", CALLS},
	{"--shm-size", "/dev/shm is bounded by the guest's memory: --memory"},
	{"--sig-proxy", "signals are passed on, without an option"},
	{"--stop-timeout", "'cordon stop -t TIME' gives the commands time"},
	{"--tmpfs", "all that is written outside shares goes to memory, or to --disk SIZE"},
	{"--ulimit", LIMITS},
	{"--userns", OWN_KERNEL},
	{"--uts", OWN_KERNEL},
	{"--volumes-from", "--share gives each sandbox the same directory"},
	{"-P", PORTS},
	{"-a", ALL_STREAMS},
	{"-l", NO_LABELS},
};

const char *foreign_option(const char *verb, const char *argument)
{
	static const char *const with_commands[] = {"run", "start", "exec"};
	size_t i, length = strcspn(argument, "=");

	for (i = 0; i < ARRAY_SIZE(with_commands); i++)
		if (strcmp(with_commands[i], verb) == 0)
			break;
	if (i == ARRAY_SIZE(with_commands))
		return NULL;
	for (i = 0; i < ARRAY_SIZE(options_elsewhere); i++)
		if (strlen(options_elsewhere[i].option) == length &&
		    strncmp(options_elsewhere[i].option, argument, length) == 0)
			return options_elsewhere[i].advice;
	return NULL;
}
