/* SPDX-License-Identifier: Apache-2.0 */
/* The representation of a policy: for the files of vmm/policy only. */
#ifndef CORDON_POLICY_INTERNAL_H
#define CORDON_POLICY_INTERNAL_H

#include "vmm/base/arena.h"
#include "vmm/policy/glob.h"
#include "vmm/policy/net_index.h"
#include "vmm/policy/policy.h"

/* One target of a network rule. */
struct net_target {
	const char *text;
	enum { NET_ANY, NET_NAME, NET_SUBNAMES /* *.name */, NET_CIDR, NET_HOST } kind;
	const char *name; /* lower case; NET_SUBNAMES: what follows the star: ".example.com" */
	size_t length;
	unsigned family, prefix; /* NET_CIDR */
	uint8_t address[16];
	uint16_t port_low, port_high;
	const struct glob *path; /* http: NULL: any */
};

struct rule {
	struct policy_rule public; /* first */
	unsigned column;
	bool implied;	      /* by a share of the command line */
	bool added;	      /* to a running sandbox, see added.h */
	bool granted;	      /* by --allow-net or added: after all others, see decide.c */
	struct glob *pattern; /* files and programs */
	unsigned patterns;
	enum policy_protocol protocol; /* network */
	bool any; /* network: `net allow any`, every protocol; its one target is a NET_ANY */
	uint32_t methods; /* http: a bit for each that net_methods_parse() knows; 0: any */
	struct net_target *target;
	unsigned targets;
	uint32_t groups; /* system calls: a bit for each enum policy_group */
};

struct rule_list {
	struct rule **rule;
	size_t count, capacity;
	struct glob_tree *tree;	  /* files and programs */
	struct net_index *index;  /* network, without granted rules; NULL: there are none */
	struct net_index *grants; /* of the granted rules, which are last; NULL: none */
	size_t granted;
};

struct policy {
	struct arena arena;
	const char *name, *text;
	struct policy_limits limits;
	struct policy_share share[POLICY_SHARES_MAX];
	size_t shares;
	struct rule_list class[POLICY_CLASSES];
	bool audit_required;
	struct policy_place audit_processes; /* line 0: no such statement */
	struct policy_on_ask on_ask;
	struct policy_source source; /* a deep copy */
};

/* --- decide.c --------------------------------------------------------------------------------- */

/* In this order: what gives more, allows more. */
enum permission { PERMISSION_NONE, PERMISSION_ASKED, PERMISSION_GIVEN };

/*
 * What a rule of files with this verdict makes of an operation that needs another one: READ, APPEND
 * or WRITE, as policy_needed_action() says.
 */
enum permission file_permission(enum policy_action action, enum policy_action wanted);

/* --- words.c ---------------------------------------------------------------------------------- */

/* The index of a word in a list of count words (NULL entries are skipped), or -1. */
int word_index(const char *const *words, size_t count, const char *word);

/* A hint for a word that is not in the list: "did you mean 'x'?" or "one of a, b, c". */
const char *word_hint(char *to, size_t size, const char *word, const char *const *words,
		      size_t count);

/* --- enforced.c ------------------------------------------------------------------------------- */

/* Whether this version enforces a statement, a verdict of a class, a limit. */
bool enforced_statement(const char *statement);
bool enforced_action(enum policy_class class, enum policy_action action);
bool enforced_limit(const char *name);

/* --- net.c ------------------------------------------------------------------------------------ */

/* 0, -EINVAL with a message, -ENOMEM. */
int net_target_parse(struct arena *arena, enum policy_protocol protocol, const char *text,
		     struct net_target *target, struct err *err);
bool net_rule_matches(const struct rule *rule, const struct policy_net *net);

/* Whether a rule could permit connections to the name (POLICY_RESOLVE), or denies its query. */
bool net_rule_names(const struct rule *rule, const char *name);

/* Whether a matches every connection that b matches; whether some connection may match both, as
 * far as that is known without the addresses of names. */
bool net_target_covers(const struct rule *a, const struct net_target *at, const struct rule *b,
		       const struct net_target *bt);
bool net_target_overlaps(const struct rule *a, const struct net_target *at, const struct rule *b,
			 const struct net_target *bt);

/* --- net_http.c ------------------------------------------------------------------------------- */

/* A word "GET" or "GET,HEAD". 1: it is one; 0: it is something else; -EINVAL with a message. */
int net_methods_parse(const char *text, uint32_t *methods, struct err *err);

/* Whether a rule can name the method of a request. */
bool net_method_known(const char *method);

/* Writes the methods of a rule: "GET,HEAD"; "" if it is for all of them. */
#define NET_METHODS_TEXT 256
void net_methods_text(uint32_t methods, char to[NET_METHODS_TEXT]);

/* A target HOST[:PORT][/PATH]: as net_target_parse(). The port is 80 unless written. */
int net_http_target_parse(struct arena *arena, enum policy_action action, const char *text,
			  struct net_target *target, struct err *err);

/*
 * Whether method and path of a rule match. A rule about them never allows a request that is
 * unclear, and one that denies always denies it. Before a connection's first request (method NULL)
 * a rule that allows some request matches, and one that denies some does not.
 */
bool net_http_matches(const struct rule *rule, const struct net_target *target,
		      const struct policy_net *net);

/* As net_target_covers() and net_target_overlaps(), of methods and paths alone. */
bool net_http_covers(const struct rule *a, const struct net_target *at, const struct rule *b,
		     const struct net_target *bt);
bool net_http_overlaps(const struct rule *a, const struct net_target *at, const struct rule *b,
		       const struct net_target *bt);

/* --- process.c -------------------------------------------------------------------------------- */

/* Refuses rules all of whose groups are decided above them. 0 or -EINVAL with a message. */
int process_check_reachable(const struct rule_list *list, struct err *err);

/* Whether a policy opens a group that another one closes. 0, or -EPERM with a message. */
int process_is_narrower(const struct policy *child, const struct policy *parent, struct err *err);

/* --- cover.c ---------------------------------------------------------------------------------- */

/* Refuses rules that never decide anything. 0 or -EINVAL with a message. */
int policy_check_reachable(const struct policy *policy, struct err *err);

#endif
