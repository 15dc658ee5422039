/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that rules about names and requests open: a world with one server, to which the
 * address of every name leads, and a resolver.
 */
#ifndef CORDON_TEST_RELAY_JUDGED_COMMON_H
#define CORDON_TEST_RELAY_JUDGED_COMMON_H

#include "tests/support/net_frames.h"
#include "tests/support/relay_resolver.h"
#include "tests/support/relay_world.h"
#include "tests/support/unit.h"

#define REQUEST(method, path) method " " path " HTTP/1.1\r\nHost: good.example\r\n\r\n"

extern struct relay_world world;
extern struct relay_resolver resolver;
extern struct world_server *server;
extern struct ip_address address; /* that names have */

void begin(const char *rules, enum world_service service);
void end(void);

/* Connects to the server's port at `address`: the connection is open. */
struct world_connection *open_one(void);

/* Begins; the guest resolves "good.example", and connects. */
struct world_connection *begin_one(const char *rules, enum world_service service);

/* For relay_world_until(): the server's last client has sent *length bytes. */
bool client_has(void *length);

/* A ClientHello with that name; NULL: with none. Returns its length. */
size_t hello(uint8_t to[32768], const char *name);
/* The guest sends one; its bytes are valid until the next. */
size_t send_hello(struct world_connection *connection, const char *name);

#endif
