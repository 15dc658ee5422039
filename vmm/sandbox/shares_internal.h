/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the shares of a sandbox. */
#ifndef CORDON_SANDBOX_SHARES_INTERNAL_H
#define CORDON_SANDBOX_SHARES_INTERNAL_H

#include "vmm/files/client.h"
#include "vmm/sandbox/shares.h"

/*
 * Opens the directory of a share: by its path; or by a descriptor of it, which a client has opened
 * and checked. 0 or -errno with a message. shares_link_free(NULL) is fine.
 */
int shares_link(struct share_link **out, const struct policy_share *from, const int *opened,
		struct guard *guard, struct err *err);
void shares_link_free(struct share_link *link);

/*
 * shares_server.c: a server of the present list, in place of old's, which may be NULL. starter: as
 * that of files_client_create().
 */
int shares_start_server(struct shares *shares, struct files_client **out, struct files_client *old,
			const struct files_client_starter *starter,
			const struct files_client_ops *ops, struct err *err);
/* Makes it the one that the device has, in place of the present one. 0 or -errno. */
int shares_hand_over(struct shares *shares, struct files_client *next);
/* Lets the present one go on. */
void shares_go_on(struct shares *shares);

/* Ends the file server. Works on zeros. */
void shares_disconnect(struct shares *shares);

/* The guest's kernel drops what it has cached of files, on the agent's request. */
void shares_drop(struct shares *shares, struct agent_channel *channel);

#endif
