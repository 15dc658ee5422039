/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's PID 1: it connects to the monitor and runs commands for it. The wire format is
 * vmm/agent/wire.h, the manual docs/agent-protocol.md.
 *
 * One thread, one poll loop, no blocking but in poll. What the workload can reach (files, names,
 * pipes, its own processes) is never trusted: after its start the agent opens nothing by a path
 * that a workload could have changed.
 */
#ifndef CORDON_GUEST_AGENT_H
#define CORDON_GUEST_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/agent/wire.h"

#ifndef CORDON_VERSION
#define CORDON_VERSION "unversioned"
#endif

/* The sandbox's user ids 0 to 65535 are these of the guest's kernel. */
#define SANDBOX_ID_BASE	 100000u
#define SANDBOX_ID_COUNT (AGENT_SANDBOX_ID_MAX + 1)

/* Output waits in LINK_OUT_SIZE bytes. Output of commands is read while less than LINK_OUT_DATA
 * wait, frames are taken while less than LINK_OUT_FRAMES do: so whatever one round adds (a payload,
 * an answer, and a few small frames a command) has room. */
#define LINK_OUT_DATA	(128u << 10)
#define LINK_OUT_FRAMES (LINK_OUT_DATA + AGENT_FRAME_MAX)
#define LINK_OUT_SIZE	(LINK_OUT_FRAMES + (256u << 10))
#define LINK_IN_SIZE	(2 * AGENT_FRAME_MAX)

/* The connection to the monitor. */
struct link {
	int fd;
	bool lost, welcomed;
	size_t in_used;
	size_t out_head, out_used;
	uint8_t in[LINK_IN_SIZE];
	uint8_t out[LINK_OUT_SIZE];
};

/* A START frame (all its parts), checked whole. Strings point into the payload. */
struct start {
	uint32_t flags, uid, gid;
	uint16_t rows, columns;
	const char *user, *directory;
	char **arguments; /* ended by NULL; variables is behind it */
	char **variables; /* ended by NULL */
};

/* Memory shared between the agent and a child until its exec: why it failed. */
struct report {
	uint32_t status; /* 0: it has not failed */
	uint32_t error;
	char text[AGENT_MESSAGE_MAX];
};

struct stream {
	int fd;		 /* our end, or -1 */
	uint32_t credit; /* output: bytes that the monitor takes */
	uint32_t left;	 /* output: bytes still to be passed on once the command has ended */
	bool eof_sent;
};

struct command {
	bool used; /* it is one */
	uint32_t id;
	pid_t pid;
	bool terminal, dead;
	int status; /* of wait4 */
	uint64_t started_ns;
	struct report *report;
	struct stream out[3]; /* 1 and 2; of a terminal only 1 */
	int in;		      /* stdin: our end; for a terminal the same as out[1].fd; or -1 */
	bool in_eof;	      /* close it once the buffer is empty */
	uint8_t *buffer;      /* input that the pipe has not taken: AGENT_WINDOW_STDIN bytes */
	uint32_t buffer_head, buffer_used, in_owed;
	uint8_t exited[AGENT_EXITED_SIZE];
};

/* A process that waits to be the next command (spare.c). */
struct spare {
	bool wanted; /* make one when there is nothing else to do */
	pid_t pid;   /* or 0: there is none */
	int go;	     /* START goes here */
	struct command *command;
};

/* The command that a template's guest runs once before it is saved; frames wait for its end. */
struct rehearsal {
	struct command *command; /* or NULL */
	uint32_t id, connection;
};

struct agent {
	bool isolate; /* false only in tests: commands then run as ordinary children */
	bool worked;  /* a command was started: paths may be the workload's from now on */
	struct link link;
	uint32_t connections;
	struct report *reports; /* one a command slot, and one for the rehearsal */
	struct spare spare;
	struct rehearsal rehearsal;
	struct command *commands[AGENT_COMMANDS_MAX];
	unsigned turn; /* slot that is served first in the next round */
	/* The child that mounts a share, or 0; frames wait for it. */
	pid_t mount_pid;
	uint32_t mount_id, mount_connection;
	/* START frames under way */
	uint8_t *parts;
	size_t parts_used;
	uint32_t parts_id;
};

/* --- log.c: what goes wrong, on the console; and small helpers --- */
void agent_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
uint64_t now_ns(void);
void close_fd(int *fd);

/* --- connect.c --- */
/* A connection to one of the monitor's ports: a descriptor or -errno. */
int connect_monitor(uint32_t port);

/* --- link.c --- */
/* Queues a frame. The callers keep to the limits above; if not, the link counts as lost. */
void link_send(struct link *link, uint16_t type, uint16_t flags, uint32_t id, const void *payload,
	       size_t length);
/* Room for a payload at the end of the queue, and the frame that it becomes. */
uint8_t *link_room(struct link *link, size_t length);
void link_commit(struct link *link, uint16_t type, uint16_t flags, uint32_t id, size_t length);
/* Sends what the socket takes. */
void link_flush(struct link *link);
/* Reads what is there, up to the buffer's size. */
void link_fill(struct link *link);
/* The monitor broke the protocol: log it and give the connection up. */
void link_bad(struct link *link, const char *what);

/* --- serve.c --- */
void serve_hello(struct agent *agent, int fd);
/* Serves a connection until it is lost; its commands are then killed. */
void serve(struct agent *agent);

/* --- frames.c --- */
/* Handles the whole frames in the buffer, as far as there is room for answers. */
void frames_parse(struct agent *agent);
/* Tells the monitor and goes: does not return, but in tests. */
void frames_power(struct agent *agent, uint32_t kind);

/* --- start.c --- */
/* 0, -EINVAL or -ENOMEM. Between this and start_free() no other may be parsed. */
int start_parse(struct start *start, uint8_t *payload, size_t length);
void start_free(struct start *start);

/* --- command.c --- */
void command_start(struct agent *agent, uint32_t id, uint8_t *payload, size_t length);
struct command *command_find(struct agent *agent, uint32_t id);
void command_input(struct agent *agent, struct command *command, const uint8_t *data,
		   uint32_t length);
void command_input_eof(struct agent *agent, struct command *command);
void command_signal(struct command *command, int number);
void command_resize(struct command *command, uint16_t rows, uint16_t columns);
/* It was reaped with this status and use of resources. */
struct rusage;
void command_ended(struct command *command, int status, const struct rusage *usage);
/* Kills it; its output is dropped. */
void command_close(struct command *command);
/* Kills it and forgets it: the connection is lost. */
void command_drop(struct agent *agent, struct command *command);
void command_forget(struct agent *agent, struct command *command);
/* One without a process. There are enough for all slots, the spare and the rehearsal. */
struct command *command_new(void);
/* Its three pipes: 0 or -errno. theirs: the ends for its process. */
int command_pipes(struct command *command, int theirs[3]);
/* Closes and frees what it has; its process is left alone. */
void command_delete(struct command *command);

/* --- pump.c: bytes between commands and the link --- */
bool pump_wants_output(const struct agent *agent, const struct command *command, unsigned stream);
void pump_output(struct agent *agent, struct command *command, unsigned stream);
void pump_input(struct agent *agent, struct command *command);
void pump_input_close(struct agent *agent, struct command *command);
/* Sends the ends that are due; frees the command if all is said. */
void pump_finish(struct agent *agent, struct command *command);

/* --- child.c --- */
/* In the child: a session of its own, with these descriptors as 0, 1 and 2. 0 or -errno. */
int child_session(const int fds[3]);
void child_name(const char *name);
/* After that: becomes the program, or reports why not and exits. */
void child_become(const struct agent *agent, const struct start *start, struct report *report)
	__attribute__((noreturn));
/* Both. */
void child_run(const struct agent *agent, const struct start *start, struct report *report,
	       const int fds[3]) __attribute__((noreturn));

/* --- user.c --- */
struct user {
	uint32_t uid, gid;
	char name[64];
	char home[256];
};

/*
 * Looks a user up in a file like /etc/passwd: by name, or by user->uid if name is "". False if the
 * name is not there; a number without an entry is fine. The file is opened with the caller's
 * rights: as the sandbox's, never as the guest's real root.
 */
bool user_find(const char *path, const char *name, struct user *user);

/* --- spare.c --- */
/* Makes a spare process if there is a sandbox and no spare. Without one all works as well. */
void spare_make(struct agent *agent);
/* Kills it and waits for its end. */
void spare_drop(struct agent *agent);
/* This process was reaped: was it the spare? */
bool spare_ended(struct agent *agent, pid_t pid);
/* The spare becomes a command: NULL if there is none or the START (which was checked) is long. The
 * caller gives it id and credit. */
struct command *spare_take(struct agent *agent, uint32_t report, const uint8_t *payload,
			   size_t length);
/* A REHEARSE request: 0 (rehearsal_ended() answers it), or an errno value. */
uint32_t rehearsal_start(struct agent *agent, uint32_t id);
bool rehearsal_ended(struct agent *agent, pid_t pid);

/* --- sandbox.c; the root file system is in root.h --- */
/* Makes the namespaces' first process, if there is none: 0 or -errno. */
int sandbox_enter(void);
bool sandbox_there(void);
/* In a child: closes all descriptors from 3 on but *fd, which may get another number, and those
 * that sandbox_join() needs. */
void sandbox_keep(int *fd);
/* Ends the first process, and with it all others: the next sandbox_enter() makes a new one. */
void sandbox_leave(void);
/* A descriptor of its user namespace, or -errno. */
int sandbox_users(void);
/* A child in the sandbox's process namespace and cgroup: as fork(). */
pid_t sandbox_fork(void);
/* In that child: the other namespaces. 0 or -errno. */
int sandbox_join(void);
/* In any child: the mount namespace alone. 0 or -errno. */
int sandbox_join_mounts(void);
/* Is the first process about to die? Asked when a command has ended. */
bool sandbox_ending(void);
/* The first process has died (with all others): true if pid was it; kind is set if it asked for
 * power off or reboot, and 0 otherwise. */
bool sandbox_died(pid_t pid, int status, uint32_t *kind);
/* A new terminal, with its other end for a command: 0 or -errno. */
int sandbox_terminal(bool isolate, int *master, int *slave);

/* --- mount.c --- */
/* Begins a MOUNT: 0 (mount_ended() answers it), or an errno value. length: AGENT_MOUNT_SIZE and
 * more. */
uint32_t mount_start(struct agent *agent, uint32_t id, const uint8_t *payload, size_t length);
/* agent->mount_pid has ended. */
void mount_ended(struct agent *agent, int status);

/* --- network.c --- */
/* A NETWORK request: 0 or an errno value. */
/* Every program may take ports below 1024. */
void network_low_ports(void);
uint32_t network_set(const uint8_t *payload, uint32_t length);

/* --- forward.c --- */
/* A FORWARD request: 0 or an errno value. */
uint32_t forward_set(const uint8_t *payload, uint32_t length);
/* Whether it was its child that has ended. */
bool forward_ended(pid_t pid);

/* --- guest.c: requests about the whole guest. 0 or an errno value. --- */
void guest_prepare(void);
uint32_t guest_set_time(uint64_t seconds, uint32_t nanoseconds);
/* The root file system in the current directory gets an /etc/machine-id. Before any workload runs.
 */
void guest_machine_id(void);
/* The monitor is another one: the guest was restored. Its first reseeding renews the id as well. */
void guest_reconnected(void);
uint32_t guest_reseed(const uint8_t *bytes, uint32_t length);
uint32_t guest_hostname(const uint8_t *name, uint32_t length);
void guest_power(uint32_t kind) __attribute__((noreturn));
extern int guest_random_fd;

#endif
