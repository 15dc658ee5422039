/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network rules found by what they are about: a hash of names, of networks, and of the two that are
 * about anything and about the host. So a new connection costs what rules with its own name, its
 * domains and its networks cost, and not what there are of others. For the files of vmm/policy.
 */
#ifndef CORDON_POLICY_NET_INDEX_H
#define CORDON_POLICY_NET_INDEX_H

#include <stddef.h>

#include "vmm/base/arena.h"
#include "vmm/policy/policy.h"

struct net_index;
struct rule;

/* NULL without memory. The rules stay the caller's, and as they are. */
struct net_index *net_index_create(struct arena *arena, struct rule *const *rule, size_t count);

/*
 * The first rule that is about a connection (POLICY_CONNECT), or about a name (POLICY_RESOLVE): its
 * place. Their number: there is none.
 */
size_t net_index_first(const struct net_index *index, const struct policy_request *request);

#endif
