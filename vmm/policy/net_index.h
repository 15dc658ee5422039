/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An index of network rules by target: a hash table of names, networks, "*" and "host". A lookup
 * visits only rules for the connection's name, its parent domains and its networks, however many
 * others there are. For the files of vmm/policy.
 */
#ifndef CORDON_POLICY_NET_INDEX_H
#define CORDON_POLICY_NET_INDEX_H

#include <stddef.h>

#include "vmm/base/arena.h"
#include "vmm/policy/policy.h"

struct net_index;
struct rule;

/* NULL: out of memory. The rules stay the caller's and must not change while the index is used. */
struct net_index *net_index_create(struct arena *arena, struct rule *const *rule, size_t count);

/*
 * The index of the first rule that matches a connection (POLICY_CONNECT) or a name
 * (POLICY_RESOLVE); count if none does.
 */
size_t net_index_first(const struct net_index *index, const struct policy_request *request);

#endif
