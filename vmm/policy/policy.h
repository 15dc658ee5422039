/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy: one file of rules, and one function that decides by them. docs/policy.md is the
 * manual of the language.
 *
 * policy_parse() and policy_preset() build a complete policy, which never changes afterwards, so
 * any number of threads may decide by it at once. A guard (vmm/policy/guard.h) adds an audit log
 * and lets a policy be replaced while it is in use.
 *
 * No input is trusted: the size of a policy file and the number of its rules and patterns are
 * bounded, and an object that no file system could have (too long, not absolute, with empty, "."
 * or ".." components) is denied.
 */
#ifndef CORDON_POLICY_POLICY_H
#define CORDON_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"

#define POLICY_FILE_MAX	    (256u << 10) /* bytes of a policy file, and of all it includes together */
#define POLICY_RULES_MAX    4096	 /* rules of all classes */
#define POLICY_PATTERN_MAX  1024	 /* bytes of one pattern */
#define POLICY_OBJECT_MAX   4096	 /* bytes of a path to decide about */
#define POLICY_SHARE_ID_MAX (UINT32_MAX - 1 - 100000) /* the sandbox's last id */
#define POLICY_SHARES_MAX   64
#define POLICY_PARTS_MAX    16	/* files that make up a policy */
#define POLICY_NETS_MAX	    256 /* --allow-net */

enum policy_class { POLICY_FILE, POLICY_NET, POLICY_EXEC, POLICY_PROCESS };
#define POLICY_CLASSES 4

enum policy_op {
	/* files; the ladder of verdicts that allow is: read < append < write */
	POLICY_LOOKUP,	   /* walk, getattr, an entry of readdir: allowed unless hidden */
	POLICY_READ,	   /* open for reading, list a directory, read a link */
	POLICY_WRITE,	   /* open for writing, truncate */
	POLICY_APPEND,	   /* open for writing at the end only (O_APPEND, without O_TRUNC) */
	POLICY_CREATE,	   /* create a file or directory: needs append */
	POLICY_SYMLINK,	   /* create a symbolic link: needs append; not where git itself writes */
	POLICY_REMOVE,	   /* needs write */
	POLICY_RENAME,	   /* needs write at both ends: see struct policy_request */
	POLICY_LINK,	   /* a hard link: needs write at both ends */
	POLICY_ATTRIBUTES, /* mode, owner, times, extended attributes: needs write */
	/* network */
	POLICY_CONNECT, /* out of the guest: TCP, UDP, ICMP; again with the name once it is known */
	POLICY_RESOLVE, /* a DNS query: allowed if a rule could permit that name */
	POLICY_LISTEN,	/* into the guest */
	/* programs */
	POLICY_RUN,
	/* groups of system calls */
	POLICY_USE,
};

enum policy_verdict {
	POLICY_DENY, /* files: EACCES; connections: a reset */
	POLICY_ALLOW,
	POLICY_HIDE, /* looks absent: ENOENT; create, rename and link onto it: EACCES */
	POLICY_ASK,  /* an operator decides; denied if none is attached */
};

enum policy_enforced_by {
	POLICY_HOST,  /* holds against a hostile guest kernel */
	POLICY_GUEST, /* holds unless the guest's kernel is broken */
};

enum policy_protocol {
	POLICY_TCP,
	POLICY_UDP,
	POLICY_TLS,
	POLICY_HTTP,
	POLICY_ICMP,
	POLICY_DNS,
};

/* What a workload may ask of its kernel: vmm/policy/process_groups.c has the system calls of each.
 */
enum policy_group {
	POLICY_PTRACE,
	POLICY_USERNS,
	POLICY_SETUID,
	POLICY_RAW_NET,
	POLICY_KEYRING,
	POLICY_PERF,
	POLICY_IO_URING,
	POLICY_BPF,
	POLICY_CLOCK,
	POLICY_MEMFD_EXEC,
};
#define POLICY_GROUPS 10

/* The process behind an operation, as the guest claims: for the log, never for a decision. */
struct policy_subject {
	uint32_t pid, uid;
	const char *executable; /* or NULL */
};

struct policy_net {
	enum policy_protocol protocol;
	const char *name;    /* lower case, without a final dot; NULL: only the address is known */
	uint8_t address[16]; /* network order; IPv4 in the first 4 */
	unsigned family;     /* AF_INET, AF_INET6, or 0: no address is known (POLICY_RESOLVE) */
	uint16_t port;	     /* 0 for ICMP and DNS queries */
	bool host;	     /* the host's loopback, which the guest calls "host" */
	/*
	 * POLICY_HTTP: a request, as vmm/relay/http_request.h gives it: its path is normalised and
	 * has no query. method NULL: the connection has had none yet. unclear: two servers could
	 * read the method or the path in two ways.
	 */
	const char *method, *path;
	bool unclear;
};

#define POLICY_ROOT_FIND SIZE_MAX

/* One operation to decide about. Fields that do not apply to its class are zero. */
struct policy_request {
	enum policy_class class;
	enum policy_op op;
	/*
	 * Files and programs: the absolute path in the guest, normalised: it begins with '/', has
	 * no empty, "." or ".." component, and no '/' at the end unless it is "/". It need not end
	 * in NUL. POLICY_USE: the name of a group.
	 */
	const char *object;
	size_t length;
	/*
	 * POLICY_RENAME and POLICY_LINK: object is the old name, other the new one. Both are
	 * decided at once, and the operation needs both. NULL: only object is decided.
	 *
	 * directory: a directory is renamed (or may be). Everything beneath it moves along, so the
	 * rename is also refused if the rules differ for any path beneath the old and the new name:
	 * a protected /w/.git/hooks must not be reached as /w/g/hooks. Needs other.
	 */
	const char *other;
	size_t other_length;
	bool directory;
	/*
	 * Files: how many bytes of object (and other) are the share's root; 1 for "/". A path in a
	 * hidden directory beneath that root is hidden, even if a rule matches the path itself: one
	 * walk decides for all components. 0: only the whole path is matched. POLICY_ROOT_FIND: the
	 * longest of the policy's own shares that contains the path, else "/".
	 */
	size_t root;
	/*
	 * The object is in the root file system, not in a share: it may be read if no rule matches.
	 * (No effect on POLICY_WRITE and the like: writes go to the overlay.)
	 */
	bool rootfs;
	struct policy_net net;
	const struct policy_subject *subject; /* or NULL */
};

struct policy_decision {
	enum policy_verdict verdict;
	const struct policy_rule *rule; /* NULL: the class's default; always NULL from a guard */
	unsigned line;			/* of the rule in its file; 0: the default */
	unsigned number;		/* net: of the rule, from 1; 0: the default */
	enum policy_enforced_by enforced_by;
	const char *reason; /* a constant string */
	bool approved;	    /* of a remote guard: an operator has allowed it */
};

/* The verdict of a rule, as written. */
enum policy_action {
	POLICY_ACTION_HIDE,
	POLICY_ACTION_DENY,
	POLICY_ACTION_READ,
	POLICY_ACTION_APPEND,
	POLICY_ACTION_WRITE,
	POLICY_ACTION_ALLOW,
	POLICY_ACTION_ASK,
	/* files: an operator decides about reading, or about what `write` has more than `read` */
	POLICY_ACTION_ASK_READ,
	POLICY_ACTION_ASK_WRITE,
};
#define POLICY_ACTIONS 9

struct policy_rule {
	enum policy_class class;
	enum policy_action action;
	enum policy_enforced_by enforced_by;
	const char *file;      /* the file that has the rule; "preset NAME" for presets */
	unsigned line, number; /* number: within its class, from 0 */
	const char *text;      /* the rule in one line, words separated by one space */
};

/* What the guest may keep of a share (docs/shares.md has what each shows of the host's changes). */
enum policy_cache {
	POLICY_CACHE_USUAL, /* strict; of a read-only share loose */
	POLICY_CACHE_STRICT,
	POLICY_CACHE_LOOSE,
	POLICY_CACHE_NONE,
};

/* A directory of the host that the guest sees. */
struct policy_share {
	const char *host;  /* absolute */
	const char *guest; /* absolute, normalised */
	bool read_only;
	bool host_owners; /* owner=host: the host's truth; else what the sandbox sets is remembered
			   */
	enum policy_cache cache;
	int64_t uid, gid; /* the owner that the guest sees, up to POLICY_SHARE_ID_MAX; -1: as on
			     the host */
	unsigned given;	  /* a bit for each option that policy_share_option() has taken */
	const char *file; /* the file that has the statement; NULL: an option of the command line */
	unsigned line;
};

/* The words of `limit`. */
enum policy_limit {
	POLICY_LIMIT_CPUS,
	POLICY_LIMIT_MEMORY,
	POLICY_LIMIT_PROCESSES,
	POLICY_LIMIT_DISK,
	POLICY_LIMIT_WALL,
	POLICY_LIMIT_IDLE,
	POLICY_LIMIT_OPEN_FILES,
	POLICY_LIMIT_OUTPUT,
	POLICY_LIMIT_SHARE_DISK,
	POLICY_LIMIT_SHARE_FILES,
	POLICY_LIMITS
};

/* With less, the guest would hardly get a command started. */
#define POLICY_CPU_MILLIS_MIN 50
/* The loader and shells need a few; the guest's kernel allows no more (fs.nr_open). */
#define POLICY_OPEN_FILES_MIN 16
#define POLICY_OPEN_FILES_MAX 1048576

/*
 * What a sandbox may make in its shares where the policy has no such limit: more than a build or a
 * data set takes, less than what fills the host's disk or its inodes unnoticed.
 */
#define POLICY_SHARE_DISK_MIN	 4096u /* the step in which sizes count */
#define POLICY_SHARE_DISK_USUAL	 (UINT64_C(64) << 30)
#define POLICY_SHARE_FILES_USUAL UINT64_C(4000000)

/* 0: no limit given. */
struct policy_limits {
	uint64_t cpu_millis;   /* thousandths of a processor */
	uint64_t memory, disk; /* bytes */
	uint64_t processes;    /* at once, threads counted */
	uint64_t wall_ns, idle_ns;
	uint64_t open_files;  /* of each process */
	uint64_t output;      /* bytes of each command */
	uint64_t share_disk;  /* bytes that the sandbox makes in all its shares */
	uint64_t share_files; /* and files, directories and links */
	bool idle_pauses;     /* after idle_ns the sandbox pauses; else it stops */
	unsigned line[POLICY_LIMITS];
	const char *file[POLICY_LIMITS];
};

struct policy;

/* One of several files that make up a policy. */
struct policy_part {
	const char *name;      /* for messages */
	const char *directory; /* absolute: relative paths of shares start here */
	size_t length;	       /* of its text */
};

/*
 * The name of the part that holds lines added to a running sandbox (vmm/policy/added.h). It is from
 * no directory, which tells it from a file of that name, and the first part.
 */
#define POLICY_ADDED "added"
bool policy_part_is_added(const struct policy_part *part);

/* The context of a policy's text. All may be NULL or 0. */
struct policy_source {
	const char *name;	/* of the file, for messages */
	const char *directory;	/* absolute: relative paths of shares start here */
	const char *cwd, *home; /* absolute: $PWD and $HOME */
	/* Shares of the command line. Each implies a rule, after those of the text. */
	const struct policy_share *share;
	size_t shares;
	/*
	 * The text is several files, one after the other: rules keep that order, the lowest value
	 * of each limit counts, and a share is given once. 0: it is one file, name in directory.
	 */
	const struct policy_part *part;
	size_t parts;
	/*
	 * --allow-net: "[PROTOCOL/]TARGET:PORT". Allowed where the rules say 'ask' or none
	 * matches; what a rule denies stays denied.
	 */
	const char *const *allow_net;
	size_t allow_nets;
	bool rootfs;  /* the host serves the root file system: rules outside of shares hold */
	bool lenient; /* accept rules that this version does not enforce (check and explain) */
	bool copied;  /* the text was accepted before: rules that decide nothing are accepted */
};

/*
 * Parses length bytes of text, which need not end in NUL. Returns 0 and sets *policy; or -errno
 * with a message "name:line:column: ...": -EINVAL bad input, -ENOTSUP not enforced by this version,
 * -EFBIG too large, -ENOMEM.
 */
int policy_parse(struct policy **policy, const char *text, size_t length,
		 const struct policy_source *source, struct err *err);

/* As policy_parse(), for a preset ("locked", "workspace", ...). -ENOENT: no such preset. */
int policy_preset(struct policy **policy, const char *name, const struct policy_source *source,
		  struct err *err);

/* The text of a preset, or NULL. policy_preset_name(): by index, NULL behind the last one. */
const char *policy_preset_text(const char *name);
const char *policy_preset_name(size_t index);

/* The preset that a misspelt name may mean, or NULL. */
const char *policy_preset_near(const char *name);

void policy_free(struct policy *policy);

/* Whether a path is normalised, as requests must give it. Any other is denied. */
bool policy_path_is_normal(const char *path, size_t length);

/*
 * Decides about one operation. Pure: equal requests get equal decisions, and it neither allocates,
 * writes nor waits. Its time grows with the length of the object, not with its contents, which the
 * guest chooses.
 */
void policy_decide(const struct policy *policy, const struct policy_request *request,
		   struct policy_decision *decision);

/* The groups of system calls that a policy leaves open: a bit for each enum policy_group. */
uint32_t policy_open_groups(const struct policy *policy);

/*
 * Decides about a group of system calls, as policy_decide() does by its name. policy NULL: there
 * are no rules.
 */
void policy_decide_group(const struct policy *policy, enum policy_group group,
			 struct policy_decision *decision);

const struct policy_limits *policy_limits(const struct policy *policy);
const char *policy_limit_name(enum policy_limit limit);
uint64_t policy_limit_value(const struct policy_limits *limits, enum policy_limit limit);

/* The value, or what holds without one; 0: no bound. */
uint64_t policy_limit_effective(const struct policy_limits *limits, enum policy_limit limit);

/* How many processors a limit of cpu_millis stands for: it is rounded up. */
static inline uint64_t policy_processors(uint64_t cpu_millis)
{
	return (cpu_millis + 999) / 1000;
}

/* The value of `idle`: "5m" or "5m:pause". 0 or -EINVAL with a message. */
int policy_parse_idle(const char *text, uint64_t *ns, bool *pauses, struct err *err);
size_t policy_share_count(const struct policy *policy);
const struct policy_share *policy_share(const struct policy *policy, size_t index);

/*
 * Takes an option of a share, each at most once: ro, uid=N, gid=N, owner=map|host,
 * cache=strict|loose|none. 0; or -EINVAL with a message; *at: the byte of the option that it is
 * about.
 */
int policy_share_option(struct policy_share *share, const char *option, size_t *at,
			struct err *err);

/* The value of a share's cache=, never POLICY_CACHE_USUAL. */
enum policy_cache policy_share_cache(const struct policy_share *share);

/* "strict", "loose", "none"; of POLICY_CACHE_USUAL NULL. And the other way; of NULL that, too. */
const char *policy_cache_name(enum policy_cache cache);
enum policy_cache policy_cache_named(const char *name);

/* Rules of a class in the order in which they are tried; without rules the default applies. */
size_t policy_rule_count(const struct policy *policy, enum policy_class class);
const struct policy_rule *policy_rule(const struct policy *policy, enum policy_class class,
				      size_t index);

/*
 * Whether the first net rule is `net allow any`: the policy decides nothing about the network, but
 * that the host's loopback is out of reach.
 */
bool policy_allows_any(const struct policy *policy);

/* Whether there is a rule `net allow any`, wherever it stands: it opens special addresses. */
bool policy_has_any(const struct policy *policy);

/* What happens to an operation that a rule leaves to a person, until one decides. */
enum policy_on_ask_way {
	POLICY_ON_ASK_WAIT,   /* it waits, for a bounded time */
	POLICY_ON_ASK_FREEZE, /* the whole guest stands still, for as long as it takes */
	POLICY_ON_ASK_DENY,   /* it is denied at once */
};

#define POLICY_ON_ASK_WAIT_NS	  UINT64_C(60000000000) /* without a statement */
#define POLICY_ON_ASK_WAIT_MAX_NS UINT64_C(86400000000000)

struct policy_on_ask {
	enum policy_on_ask_way way;
	uint64_t wait_ns;  /* POLICY_ON_ASK_WAIT: how long */
	uint64_t spill_ns; /* POLICY_ON_ASK_FREEZE: until guest memory goes to disk; 0: never */
	bool given;	   /* the policy says so, with a statement */
};

const struct policy_on_ask *policy_on_ask(const struct policy *policy);

/* Whether operations are denied while the audit log cannot be written (audit=required). */
bool policy_audit_required(const struct policy *policy);

/* The statement that wants starts and ends of processes in the log (audit processes), or NULL. */
struct policy_place {
	const char *file; /* belongs to the policy */
	unsigned line;
};

const struct policy_place *policy_audit_processes(const struct policy *policy);

/*
 * The policy's text, and a source with which policy_parse() makes the same policy of it again. Both
 * belong to the policy.
 */
const char *policy_text(const struct policy *policy);
const char *policy_name(const struct policy *policy);
const struct policy_source *policy_source(const struct policy *policy);

/* The keywords of the policy language and of the audit log. NULL: not a value of the enum. */
const char *policy_class_name(enum policy_class class);
const char *policy_op_name(enum policy_op op);
const char *policy_verdict_name(enum policy_verdict verdict);
const char *policy_action_name(enum policy_action action);
const char *policy_enforced_by_name(enum policy_enforced_by enforced_by);
const char *policy_protocol_name(enum policy_protocol protocol);
const char *policy_group_name(enum policy_group group);

/* The group of that name (not NUL-terminated), or -1. */
int policy_group_named(const char *name, size_t length);

#endif
