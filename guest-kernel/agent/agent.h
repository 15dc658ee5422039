/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's PID 1: it connects to the monitor and runs commands for it. The wire format is
 * vmm/agent/wire.h, the manual docs/agent-protocol.md.
 *
 * One thread, one poll loop, which blocks in poll only. Nothing that the workload can reach (files,
 * names, pipes, its own processes) is trusted: once a command has run, the agent opens nothing by a
 * path that a workload could have changed.
 */
#ifndef CORDON_GUEST_AGENT_H
#define CORDON_GUEST_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/agent/wire.h"
#include "vmm/base/exit_status.h"

#ifndef CORDON_VERSION
#define CORDON_VERSION "unversioned"
#endif

/* The sandbox's ids are these ids of the guest's kernel: SANDBOX_ID_BASE is sandbox root. */
#define SANDBOX_ID_BASE	 AGENT_SANDBOX_ID_BASE
#define SANDBOX_ID_COUNT (AGENT_SANDBOX_ID_MAX + 1)

/*
 * Frames to the monitor wait in a buffer of LINK_OUT_SIZE bytes. The agent reads output of commands
 * while fewer than LINK_OUT_DATA bytes wait, and handles frames while fewer than LINK_OUT_FRAMES
 * do. So there is always room for what one round adds: a payload, a reply, and a few small frames
 * for each command.
 */
#define LINK_OUT_DATA	(128u << 10)
#define LINK_OUT_FRAMES (LINK_OUT_DATA + AGENT_FRAME_MAX)
#define LINK_OUT_SIZE	(LINK_OUT_FRAMES + (256u << 10))
#define LINK_IN_SIZE	(2 * AGENT_FRAME_MAX)

/* How soon the queued frames are wanted: news of a command that may be about to end can wait for
 * the end; a process stands still for a check. */
enum link_wanted { LINK_LATER, LINK_SOON, LINK_NOW };

/* The connection to the monitor. */
struct link {
	int fd;
	enum link_wanted wanted;
	bool lost, welcomed;
	bool takes_proposals; /* the monitor does */
	bool takes_memory;    /* the monitor takes the flag of EXITED */
	bool takes_checks;    /* the monitor takes EXEC_CHECK */
	bool takes_ids;	      /* the monitor takes ids above AGENT_SANDBOX_ID_OLD_MAX */
	size_t in_used;
	size_t out_head, out_used;
	uint8_t in[LINK_IN_SIZE];
	uint8_t out[LINK_OUT_SIZE];
};

/* A complete START (all its frames), checked. Strings point into the payload. */
struct start {
	uint32_t flags, uid, gid;
	uint16_t rows, columns;
	uint32_t open_files; /* the limit, which is not the payload's; 0: none */
	const char *user, *directory;
	char **arguments; /* ends with NULL; variables follow in the same array */
	char **variables; /* ends with NULL */
};

/* Memory shared between the agent and a child until its exec: why the child failed. */
struct report {
	uint32_t status; /* 0: no failure */
	uint32_t denied; /* by a rule: text says why; written by the agent */
	uint32_t error;
	char text[AGENT_MESSAGE_MAX];
};

/*
 * The seccomp program of commands, in memory shared with the spare, which was forked before it
 * came. version is odd while the agent writes: a child copies until it has read one version whole.
 */
struct filter {
	uint32_t version;
	uint32_t count; /* of instructions; 0: none has come */
	uint8_t code[AGENT_FILTER_MAX * AGENT_FILTER_CODE];
};

struct stream {
	int fd;		 /* our end, or -1 */
	uint32_t credit; /* output: bytes that may be sent */
	uint32_t left;	 /* output: bytes still to be sent once the command has ended */
	bool eof_sent;
};

struct command {
	bool used; /* the entry is in use */
	uint32_t id;
	pid_t pid;
	bool terminal, dead;
	bool out_of_memory;    /* the kernel killed it for that */
	uint64_t memory_kills; /* limits_memory_kills() before it ran */
	int status;	       /* of wait4 */
	uint64_t started_ns;
	struct report *report;
	struct stream out[3]; /* 1 and 2; a terminal has only 1 */
	int in;		      /* stdin: our end; for a terminal the same as out[1].fd; or -1 */
	bool in_eof;	      /* close stdin once the buffer is empty */
	uint8_t *buffer;      /* input that did not fit in the pipe: AGENT_WINDOW_STDIN bytes */
	uint32_t buffer_head, buffer_used, in_owed;
	uint8_t exited[AGENT_EXITED_SIZE];
};

/* A process that waits to become the next command (spare.c). */
struct spare {
	bool wanted; /* create one when there is nothing else to do */
	pid_t pid;   /* 0: none */
	int go;	     /* the pipe that START is written to */
	struct command *command;
};

/* The command that a template's guest runs once before it is saved; frames wait for its end. */
struct rehearsal {
	struct command *command; /* NULL: none is running */
	uint32_t id, connection;
};

struct agent {
	bool isolate; /* false only in tests: commands then run as ordinary children */
	bool worked;  /* a command has been started: from now on the workload may control paths */
	/* How long LINK_LATER frames wait for a command to end: twice as long as the rehearsal
	 * took. 0: there was none. */
	uint64_t hold_ns;
	struct link link;
	uint32_t connections;
	struct report *reports; /* one for each command slot, and one for the rehearsal */
	struct filter *filter;
	struct spare spare;
	struct rehearsal rehearsal;
	struct command *commands[AGENT_COMMANDS_MAX];
	unsigned turn; /* slot that is served first in the next round */
	/* The child that mounts a share, or 0; frames wait for its end. */
	pid_t mount_pid;
	uint32_t mount_id, mount_connection;
	/* An incomplete START: its frames so far, or NULL */
	uint8_t *parts;
	size_t parts_used;
	uint32_t parts_id;
};

/* --- log.c --- */
/* Writes an error to the console. */
void agent_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
uint64_t now_ns(void);
void close_fd(int *fd);

/* --- connect.c --- */
/* Connects to a vsock port of the monitor, from a low port: a descriptor or -errno. */
int connect_monitor(uint32_t port);

/* --- link.c --- */
/* Queues a frame. A caller that exceeds the limits above loses the link. */
void link_send(struct link *link, uint16_t type, uint16_t flags, uint32_t id, const void *payload,
	       size_t length);
/* Reserves room for a payload at the end of the queue (NULL: there is none); commit queues it. */
uint8_t *link_room(struct link *link, size_t length);
void link_commit(struct link *link, uint16_t type, uint16_t flags, uint32_t id, size_t length);
/* Sends as much as the socket takes. */
void link_flush(struct link *link);
/* Reads what has arrived, up to the buffer's size. */
void link_fill(struct link *link);
/* A user id of the sandbox as the monitor takes it: 65534 (nobody) for one that it does not. */
uint32_t link_uid(const struct link *link, uint32_t uid);
/* The monitor broke the protocol: logs it and gives up the connection. */
void link_bad(struct link *link, const char *what);

/* --- serve.c --- */
/* Makes fd the connection and sends HELLO. */
void serve_hello(struct agent *agent, int fd);
/* Serves a connection until it is lost, then kills its commands. */
void serve(struct agent *agent);

/* --- frames.c --- */
/* Handles the complete frames in the buffer, as far as there is room for replies. */
void frames_parse(struct agent *agent);
/* Notifies the monitor and powers off or reboots. Returns only in tests. */
void frames_power(struct agent *agent, uint32_t kind);

/* --- start.c --- */
/* Checks and splits a START. 0, -EINVAL or -ENOMEM. start_free() must precede the next call. */
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
/* The command's process was reaped with this status and resource usage. */
struct rusage;
void command_ended(struct command *command, int status, const struct rusage *usage);
/* Kills the command and discards its output. */
void command_close(struct command *command);
/* The connection is lost: kills the command and frees its slot. */
void command_drop(struct agent *agent, struct command *command);
/* Frees the command and its slot. */
void command_forget(struct agent *agent, struct command *command);
/* A command without a process. There are enough for all slots, the spare and the rehearsal. */
struct command *command_new(void);
/* Creates the command's three pipes; theirs: the ends for its process. 0 or -errno. */
int command_pipes(struct command *command, int theirs[3]);
/* Closes its descriptors and frees its memory; does not touch its process. */
void command_delete(struct command *command);

/* --- pump.c: bytes between commands and the link --- */
bool pump_wants_output(const struct agent *agent, const struct command *command, unsigned stream);
void pump_output(struct agent *agent, struct command *command, unsigned stream);
void pump_input(struct agent *agent, struct command *command);
void pump_input_close(struct agent *agent, struct command *command);
/* Sends ends of output and the exit status when they are due, then frees the command. */
void pump_finish(struct agent *agent, struct command *command);

/* --- child.c --- */
/* In the child: starts a session, with these descriptors as 0, 1 and 2. 0 or -errno. isolate: they
 * become sandbox root's. */
int child_session(const int fds[3], bool isolate);
void child_name(const char *name);
/* After child_session(): executes the program, or writes the reason to report and exits. */
void child_become(const struct agent *agent, const struct start *start, struct report *report)
	__attribute__((noreturn));
/* child_session(), the controlling terminal if there is one, and child_become(). */
void child_run(const struct agent *agent, const struct start *start, struct report *report,
	       const int fds[3]) __attribute__((noreturn));

/* --- filter.c --- */
/* Handles FILTER: 0, or an errno value. length is at least AGENT_FILTER_SIZE. */
uint32_t filter_set(struct agent *agent, const uint8_t *payload, uint32_t length);
/* In a child, last before its exec: installs the program, if one has come. 0 or -errno. */
int filter_install(const struct filter *filter);

/* --- users.c: the one place that resolves users and groups --- */
#define USER_GROUPS_MAX 1024

struct user {
	uint32_t uid, gid;
	char name[64];
	char home[256];
	unsigned group_count; /* supplementary groups, gid among them; 0 after user_entry() */
	uint32_t groups[USER_GROUPS_MAX];
};

/* Files like /etc/passwd and /etc/group. They are opened with the caller's rights, so the caller
 * must be a user of the sandbox, never guest root. */
struct user_files {
	const char *passwd, *group;
};

/*
 * Resolves a user as OCI image specification 1.1, config.md, "User", says: NAME or UID, perhaps
 * followed by ":" and a group's name or number. Without a group the user has the one of its entry
 * in passwd, and those that have it as a member; with one, that alone. A number needs no entry, and
 * is then of group 0. 0; -ENOENT: no such user; -ESRCH: no such group; -ERANGE: a number that the
 * sandbox does not have; -E2BIG: too many groups.
 */
int user_resolve(const struct user_files *files, const char *text, struct user *user);
/* Fills in name and home of user->uid, if it has an entry. */
void user_entry(const struct user_files *files, struct user *user);

/* --- spare.c --- */
/* Creates a spare process if there is a sandbox and no spare. May fail: a spare only saves time. */
void spare_make(struct agent *agent);
/* Kills the spare and waits for its end. */
void spare_drop(struct agent *agent);
/* A process was reaped: whether it was the spare. */
bool spare_ended(struct agent *agent, pid_t pid);
/*
 * Turns the spare into a command. payload is a START that was checked. NULL if there is no spare or
 * the START is too long for one message. The caller sets id and report; report is the number of
 * that report.
 */
struct command *spare_take(struct agent *agent, uint32_t report, const uint8_t *payload,
			   size_t length);
/* Handles REHEARSE: 0 (rehearsal_ended() sends the reply), or an errno value. */
uint32_t rehearsal_start(struct agent *agent, uint32_t id);
bool rehearsal_ended(struct agent *agent, pid_t pid);

/* --- namespaces.c; the root file system is in root.h --- */
/* Creates the namespaces with their first process, if there is none. 0 or -errno. */
int sandbox_enter(void);
/* Whether there is a sandbox. */
bool sandbox_there(void);
/* In a child: closes all descriptors from 3 on except *fd, which may get another number, and those
 * that sandbox_join() needs. */
void sandbox_keep(int *fd);
/* Kills the first process, and so all others; the next sandbox_enter() makes a new sandbox. */
void sandbox_leave(void);
/* A descriptor of the sandbox's user namespace, or -errno. */
int sandbox_users(void);
/* As fork(), with the child in the sandbox's process namespace and cgroup. */
pid_t sandbox_fork(void);
/* In that child: joins the other namespaces. 0 or -errno. */
int sandbox_join(void);
/* In any child: joins the mount namespace alone. 0 or -errno. */
int sandbox_join_mounts(void);
/* The sandbox's own /proc, opened before any workload ran; -1: there is no sandbox. */
int sandbox_proc(void);
/* Whether the first process is about to die; checked when a command has ended. */
bool sandbox_ending(void);
/* A process was reaped: whether it was the first process, with which all others have died. *kind
 * is then the AGENT_POWER_* value of a reboot(2) in the sandbox, or 0. */
bool sandbox_died(pid_t pid, int status, uint32_t *kind);
/* Opens a new terminal and its other end for a command. 0 or -errno. */
int sandbox_terminal(bool isolate, int *master, int *slave);

/* --- files.c --- */
/* Mounts the virtio-fs device, if there is one. Called first, in the initial mount namespace. */
void files_prepare(void);
/*
 * The tree of a share, or of a served root, which is not mounted yet: a descriptor, or -errno:
 * -ENODEV (no virtio-fs in the kernel), -ENXIO (no such device), -ENOENT (no such share). Moves the
 * caller to another mount namespace, also on failure: it must join one afterwards.
 */
int files_tree(uint32_t number, bool read_only);
/* Mounts it at a path of the caller's mount namespace. 0 or -errno. */
int files_attach(int tree, const char *path);
/* Both, in the agent's own mount namespace. 0 or -errno. */
int files_mount(uint32_t number, bool read_only, const char *path);
/* Handles FILES: 0 (files_ended() sends the reply), or an errno value. */
uint32_t files_start(struct agent *agent, uint32_t id, uint32_t flags);
/* A process was reaped: whether it was the one of FILES. */
bool files_ended(struct agent *agent, pid_t pid, int status);

/* --- mount.c --- */
/* Handles MOUNT: 0 (mount_ended() sends the reply), or an errno value. length is at least
 * AGENT_MOUNT_SIZE. */
uint32_t mount_start(struct agent *agent, uint32_t id, const uint8_t *payload, size_t length);
/* agent->mount_pid has ended. */
void mount_ended(struct agent *agent, int status);

/* --- run.c: /run/cordon, the agent's directory in the sandbox --- */
/* Mounts it in the root file system in the current directory: a new one; the one of the present
 * root. 0 or -errno. */
int run_prepare(void);
int run_bring(void);
/* Handles DENIALS: 0 or an errno value. */
uint32_t run_denials(const uint8_t *text, uint32_t length);

/* --- proposals.c --- */
#define PROPOSERS_MAX	  32 /* connections of programs, more than there are proposals */
#define PROPOSALS_WATCHED (PROPOSERS_MAX + 1)
struct pollfd;
/* Listens at a path, before any workload runs. 0 or -errno. */
int proposals_listen(const char *path);
/* Fills in the descriptors to poll, up to PROPOSALS_WATCHED: their number; then handles them. */
unsigned proposals_watch(const struct agent *agent, struct pollfd *fds);
void proposals_handle(struct agent *agent, const struct pollfd *fds, unsigned count);
/* Passes a PROPOSED on to its program, if that is still there. */
void proposals_reply(uint32_t id, const uint8_t *payload, uint32_t length);
/* The connection to the monitor is lost: replies to all. */
void proposals_lost(void);

/* --- limits.c --- */
/* The sandbox has a cgroup: sets the agent's own limits. Takes over top, of all cgroups. */
void limits_prepare(int top);
/* Handles LIMITS: 0 or an errno value. */
uint32_t limits_set(const uint8_t *payload, uint32_t length);
/* How many files a process of a new command may have open; 0: as many as the agent's children. */
uint32_t limits_open_files(void);
/* How many processes of the sandbox the kernel has killed since its memory was exhausted. */
uint64_t limits_memory_kills(void);

/* --- programs.c: what the kernel lets processes execute --- */
/* Handles EXEC_RULES: 0 or an errno value. */
uint32_t programs_rules(const struct agent *agent, uint32_t what);
/* The sandbox has a new mount namespace, of this process: its paths count. 0 or -errno. */
int programs_home(pid_t first);
/* Makes the user namespace the owner of the network: its root may do there what root may. Kernels
 * of other builds leave it as it is. 0 or -errno. */
int programs_own_network(int users);
/* Fills in the descriptor to poll: 1, or 0 if there is none; then handles it. */
unsigned programs_watch(const struct agent *agent, struct pollfd *fds);
void programs_handle(struct agent *agent, const struct pollfd *fds, unsigned count);
/* Sends what has happened so far, before the end of a command is sent. */
void programs_flush(struct agent *agent);
/* Passes an EXEC_VERDICT on to the kernel. */
void programs_verdict(struct agent *agent, struct agent_header header, const uint8_t *payload);
/* The connection to the monitor is lost: what has no verdict is checked over the next one. */
void programs_lost(void);

/* --- network.c --- */
/* Lets every program bind ports below 1024. */
void network_low_ports(void);
/* Handles NETWORK: 0 or an errno value. */
uint32_t network_set(const uint8_t *payload, uint32_t length);

/* --- forward.c --- */
/* Handles FORWARD: 0 or an errno value. */
uint32_t forward_set(const uint8_t *payload, uint32_t length);
/* A process was reaped: whether it was the one that forwards. */
bool forward_ended(pid_t pid);

/* --- processes.c --- */
/* Handles PROCESSES: 0 (processes_ended() sends the reply), or an errno value. */
uint32_t processes_start(struct agent *agent, uint32_t id);
/* A process was reaped: whether it was the one that makes the list. */
bool processes_ended(struct agent *agent, pid_t pid);

/* --- hosts.c: /etc/hosts and /etc/hostname --- */
/* Completes or makes them in the root file system, which is "/" and the current directory. Before
 * any workload runs. */
void hosts_prepare(void);
/* The sandbox has another name, without a NUL: replaces the lines that have the old one. */
void hosts_rename(const char *to, size_t length);

/* --- guest.c: requests for the whole guest; they return 0 or an errno value --- */
void guest_prepare(void);
uint32_t guest_set_time(uint64_t seconds, uint32_t nanoseconds);
/* Writes an /etc/machine-id to the root file system in the current directory. Before any workload
 * runs. */
void guest_machine_id(void);
/* There is a new connection: the guest was restored, so the next RESEED also renews the id. Until
 * the workload has run (worked), each does. */
void guest_reconnected(void);
uint32_t guest_reseed(const uint8_t *bytes, uint32_t length, bool worked);
uint32_t guest_hostname(const uint8_t *name, uint32_t length);
void guest_power(uint32_t kind) __attribute__((noreturn));
extern int guest_random_fd;

#endif
