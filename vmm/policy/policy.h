/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy: one file of rules, and one function that decides by them. docs/policy.md is the
 * manual of the language.
 *
 * A policy is made whole by policy_parse() or policy_load() and never changes afterwards, so any
 * number of threads may decide by it at once. Who needs a policy that can be replaced while it is
 * used, and the audit log, has a guard (vmm/policy/guard.h).
 *
 * Nothing here trusts its input: a policy file is bounded in size, rules and patterns, and an
 * object that no file system could have (too long, not absolute, with empty, "." or ".."
 * components) is denied.
 */
#ifndef CORDON_POLICY_POLICY_H
#define CORDON_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"

#define POLICY_FILE_MAX	   (256u << 10) /* bytes of a policy file, and of all it includes together */
#define POLICY_RULES_MAX   4096		/* rules of all classes */
#define POLICY_PATTERN_MAX 1024		/* bytes of one pattern */
#define POLICY_OBJECT_MAX  4096		/* bytes of a path that is asked about */
#define POLICY_SHARES_MAX  64
#define POLICY_PARTS_MAX   16  /* files that make up a policy */
#define POLICY_NETS_MAX	   256 /* --allow-net */

enum policy_class { POLICY_FILE, POLICY_NET, POLICY_EXEC };
#define POLICY_CLASSES 3

enum policy_op {
	/* files; the ladder of verdicts that allow is: read < append < write */
	POLICY_LOOKUP,	   /* walk, getattr, an entry of readdir: allowed unless hidden */
	POLICY_READ,	   /* open for reading, list a folder, read a link */
	POLICY_WRITE,	   /* open for writing, truncate */
	POLICY_APPEND,	   /* open for writing at the end only (O_APPEND, without O_TRUNC) */
	POLICY_CREATE,	   /* a file, directory that is not there yet: append or write */
	POLICY_SYMLINK,	   /* as POLICY_CREATE, a symbolic link: not where git writes by itself */
	POLICY_REMOVE,	   /* needs write */
	POLICY_RENAME,	   /* needs write at both ends: see struct policy_request */
	POLICY_LINK,	   /* a hard link: needs write at both ends */
	POLICY_ATTRIBUTES, /* mode, owner, times, extended attributes: needs write */
	/* network */
	POLICY_CONNECT, /* out of the guest: TCP, UDP, ICMP; again with the name once it is known */
	POLICY_RESOLVE, /* a DNS question: a rule could permit that name */
	POLICY_LISTEN,	/* into the guest */
	/* programs */
	POLICY_RUN,
};

enum policy_verdict {
	POLICY_DENY, /* EACCES, a reset */
	POLICY_ALLOW,
	POLICY_HIDE, /* it does not exist: ENOENT; create, rename and link onto it: EACCES */
	POLICY_ASK,  /* an operator decides; nobody there: deny */
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

/* Who asks, in the guest's own words: good for the log, never for a decision. */
struct policy_subject {
	uint32_t pid, uid;
	const char *executable; /* or NULL */
};

struct policy_net {
	enum policy_protocol protocol;
	const char *name;    /* lower case, without a final dot; NULL: by address only */
	uint8_t address[16]; /* network order; IPv4 in the first 4 */
	unsigned family;     /* AF_INET, AF_INET6, or 0: no address is known (POLICY_RESOLVE) */
	uint16_t port;	     /* 0 for ICMP and DNS questions */
	bool host;	     /* the host's own loopback, which the guest calls "host" */
};

#define POLICY_ROOT_FIND SIZE_MAX

/* One question. Fields that the class does not have are zero. */
struct policy_request {
	enum policy_class class;
	enum policy_op op;
	/*
	 * Files and programs: the absolute path in the guest, normalised: begins with '/', no
	 * empty,
	 * "." and ".." component, no '/' at the end but of "/" itself. Need not end in NUL.
	 */
	const char *object;
	size_t length;
	/*
	 * POLICY_RENAME and POLICY_LINK: the other end (object is the old name, other the new one).
	 * Both are decided at once, and the refusing end counts. NULL: only the one is decided.
	 *
	 * folder: what is renamed is a folder (or may be one). Everything beneath it moves along,
	 * so it is refused as well when the rules tell the two places apart anywhere beneath: a
	 * protected /w/.git/hooks must not be reached as /w/g/hooks. That takes both ends.
	 */
	const char *other;
	size_t other_length;
	bool directory;
	/*
	 * Files: how many bytes of object (and other) are the share's root; 1 for "/". What is in a
	 * hidden directory beneath that root is hidden, even where a rule is about itself: one walk
	 * decides all. 0: only the path itself is looked at. POLICY_ROOT_FIND: the longest of the
	 * policy's own shares that it is in, else "/".
	 */
	size_t root;
	/*
	 * The object is in the root file system, not in a share: where no rule matches it may be
	 * read. (No effect on POLICY_WRITE and the like: the layer above it takes those.)
	 */
	bool rootfs;
	struct policy_net net;
	const struct policy_subject *subject; /* or NULL */
};

struct policy_decision {
	enum policy_verdict verdict;
	const struct policy_rule *rule; /* NULL: the class's default; a guard answers NULL always */
	unsigned line;			/* of the rule in its file, 0: the default */
	unsigned number;		/* net: of the rule, the first is 1; 0: the default */
	enum policy_enforced_by enforced_by;
	const char *reason; /* a constant string */
};

/* What a rule says, as it is written. */
enum policy_action {
	POLICY_ACTION_HIDE,
	POLICY_ACTION_DENY,
	POLICY_ACTION_READ,
	POLICY_ACTION_APPEND,
	POLICY_ACTION_WRITE,
	POLICY_ACTION_ALLOW,
	POLICY_ACTION_ASK,
};

struct policy_rule {
	enum policy_class class;
	enum policy_action action;
	enum policy_enforced_by enforced_by;
	const char *file;      /* where it stands; "built in: NAME" for presets */
	unsigned line, number; /* number: 0 is the first of its class */
	const char *text;      /* the rule in one line, words parted by one space */
};

/* A folder of the host that the guest sees. */
struct policy_share {
	const char *host;  /* absolute */
	const char *guest; /* absolute, normalised */
	bool read_only;
	int64_t uid, gid; /* the owner that the guest sees; -1: as on the host */
	const char *file; /* where it stands; NULL: an option of the command line */
	unsigned line;
};

/* 0: not said. */
struct policy_limits {
	uint64_t cpus, memory /* bytes */, processes, disk /* bytes */, wall_ns, idle_ns;
	unsigned line[6]; /* where each is said, in the order above */
	const char *file[6];
};

struct policy;

/* One of several files that make up a policy. */
struct policy_part {
	const char *name;      /* as messages call it */
	const char *directory; /* absolute: what relative paths of shares begin at */
	size_t length;	       /* of its text */
};

/* What a policy file is read with. All may be NULL or 0. */
struct policy_source {
	const char *name;	/* as messages call the file */
	const char *directory;	/* absolute: what relative paths of shares begin at */
	const char *cwd, *home; /* absolute: $PWD and $HOME */
	const struct policy_share
		*share; /* those of the command line: they come with their rules, */
	size_t shares;	/* which are the last ones */
	/*
	 * The text is of several files, one after the other: rules in the order given, of each
	 * limit the lowest, a share once. 0: it is of one, which is called name and is in folder.
	 */
	const struct policy_part *part;
	size_t parts;
	/*
	 * --allow-net: "[PROTOCOL/]TARGET:PORT". Allowed where the rules ask, or none of them
	 * decides; what a rule denies stays denied.
	 */
	const char *const *allow_net;
	size_t allow_nets;
	bool rootfs;  /* the root file system is served by the host: rules outside of shares hold */
	bool lenient; /* take rules that this version does not enforce (policy check and explain) */
};

/*
 * Parses length bytes of text, which need not end in NUL. 0 with *policy; or -errno with a message
 * "name:line:column: ...": -EINVAL bad input, -ENOTSUP not enforced by this version, -ENOMEM.
 */
int policy_parse(struct policy **policy, const char *text, size_t length,
		 const struct policy_source *source, struct err *err);

/* As policy_parse(), of one of the presets ("locked", "workspace", ...). -ENOENT: no such. */
int policy_preset(struct policy **policy, const char *name, const struct policy_source *source,
		  struct err *err);

/* The text of a preset, or NULL. policy_preset_name(i) until that is NULL. */
const char *policy_preset_text(const char *name);
const char *policy_preset_name(size_t index);

void policy_free(struct policy *policy);

/*
 * Decides. Pure: the same question has the same answer, nothing is allocated, written or waited
 * for. The time it takes grows with the length of the object, not with what a guest chooses to be
 * in it.
 */
void policy_decide(const struct policy *policy, const struct policy_request *request,
		   struct policy_decision *decision);

const struct policy_limits *policy_limits(const struct policy *policy);
size_t policy_share_count(const struct policy *policy);
const struct policy_share *policy_share(const struct policy *policy, size_t index);

/* Rules of a class in the order in which they are tried; 0 of them: the class has its default. */
size_t policy_rule_count(const struct policy *policy, enum policy_class class);
const struct policy_rule *policy_rule(const struct policy *policy, enum policy_class class,
				      size_t index);

/* Whether operations go on when the audit log can't be written (on-deny ... audit=required: no). */
bool policy_audit_required(const struct policy *policy);

/*
 * What the policy was made of: its text, and a source that makes the same of it again (but that it
 * is lenient or not). Both belong to the policy.
 */
const char *policy_text(const struct policy *policy);
const char *policy_name(const struct policy *policy);
const struct policy_source *policy_source(const struct policy *policy);

/* The words of the language and of the log. NULL for what is none. */
const char *policy_class_name(enum policy_class class);
const char *policy_op_name(enum policy_op op);
const char *policy_verdict_name(enum policy_verdict verdict);
const char *policy_action_name(enum policy_action action);
const char *policy_enforced_by_name(enum policy_enforced_by where);
const char *policy_protocol_name(enum policy_protocol protocol);

#endif
