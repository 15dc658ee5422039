/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's end of the agent channel: commands in the guest, and the guest's clock, entropy, name
 * and power. The wire format is in vmm/agent/wire.h, its manual is docs/agent-protocol.md.
 *
 * The guest is hostile: every frame is checked whole, and the first that breaks a rule ends the
 * connection (lost). Memory is bounded: a channel takes one frame and AGENT_CHANNEL_QUEUE_MAX bytes
 * to send; a command takes only its struct, since output goes straight to its owner. The owner
 * holds at most AGENT_WINDOW_OUTPUT bytes a stream for which it has not yet called
 * agent_command_consumed().
 *
 * Everything here runs in the loop's thread or under the device lock. Callbacks come from
 * agent_channel_readable(), _writable(), _closed() and from the loop, never from inside another
 * call of this header. A callback may call anything but agent_channel_destroy().
 */
#ifndef CORDON_AGENT_CHANNEL_H
#define CORDON_AGENT_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/agent/wire.h"
#include "vmm/base/loop.h"

#define AGENT_CHANNEL_QUEUE_MAX (4u << 20)

struct agent_channel;
struct agent_command;

/*
 * A byte stream, such as an in-process stream of devices/vsock. read returns the bytes read, 0 at
 * end of file, or -EAGAIN. write returns the bytes taken (may be fewer than given), -EAGAIN or
 * -EPIPE. close is called exactly once and is the last call; in it the owner frees the stream.
 */
struct agent_transport {
	long (*read)(void *arg, void *to, size_t length);
	long (*write)(void *arg, const void *from, size_t length);
	void (*close)(void *arg);
	void *arg;
};

struct agent_info {
	unsigned major, minor;		 /* protocol version */
	uint32_t connections;		 /* how often this agent connected, from 1 */
	uint32_t features;		 /* AGENT_FEATURE_* */
	char build[AGENT_BUILD_MAX + 1]; /* printable */
};

/* A process of the sandbox wants to execute a file, or to map it executable: the guest's word. */
struct agent_check {
	uint32_t number; /* the guest's: it may be one that is in use */
	uint32_t pid, uid;
	bool no_path;		    /* it has no path in the sandbox: path is only for people */
	const char *path, *program; /* of the file, of what the process runs; without a NUL */
	size_t length, program_length;
};

/* A process of the sandbox has executed a program, or has ended: the guest's word. */
struct agent_event {
	enum agent_event_kind kind; /* AGENT_EVENT_LOST: only status, their number */
	uint32_t pid, parent, uid, status;
	uint64_t cpu_us, peak_kib;
	const char *path, *arguments; /* any bytes; a path has no NUL */
	size_t length, arguments_length;
	bool cut; /* there are more arguments */
};

struct agent_channel_hooks {
	/* The agent is ready for commands. Called once after every attach. */
	void (*ready)(void *arg, const struct agent_info *info);
	/*
	 * The connection has ended. why is one line: the guest closed it, broke the protocol, or
	 * has another version of it. Every command's failed() and every request's done() have been
	 * called before. The transport is closed; agent_channel_attach() may follow, even from
	 * inside this callback.
	 */
	void (*lost)(void *arg, const char *why);
	/* The guest announces that it powers itself off or reboots. May be NULL. */
	void (*power)(void *arg, enum agent_power kind);
	/*
	 * A program of the sandbox proposes a rule: any bytes, valid until the callback returns, at
	 * most AGENT_PROPOSE_RULE_MAX and AGENT_PROPOSE_REASON_MAX. number is the guest's: it may
	 * be one that is in use. agent_channel_proposed() replies; after withdrawn there is no
	 * reply. Both NULL: the agent is told that proposals are not taken.
	 */
	void (*proposed)(void *arg, uint32_t number, const char *rule, size_t rule_length,
			 const char *reason, size_t reason_length);
	void (*withdrawn)(void *arg, uint32_t number);
	/*
	 * A process stands still until agent_channel_verdict(). check is valid until the callback
	 * returns; a path is any bytes but NUL. After gone nothing waits for that verdict. Both
	 * NULL: the agent is told so, and denies.
	 */
	void (*checked)(void *arg, const struct agent_check *check);
	void (*gone)(void *arg, uint32_t number);
	/* A process has started or ended; valid until the callback returns. With the two above. */
	void (*happened)(void *arg, const struct agent_event *event);
};

/* 0 or -errno. hooks is copied. The loop must outlive the channel. */
int agent_channel_create(struct agent_channel **out, struct loop *loop,
			 const struct agent_channel_hooks *hooks, void *arg);

/*
 * Ends all commands and requests without callbacks, closes the transport and frees everything,
 * command handles too. NULL is harmless.
 */
void agent_channel_destroy(struct agent_channel *channel);

/*
 * Uses transport from now on. 0, or -EBUSY if a connection is attached (the caller refuses the
 * second one). On failure the transport stays the caller's. The caller must accept connections from
 * guest ports up to AGENT_SOURCE_PORT_MAX only: just guest root can bind those.
 */
int agent_channel_attach(struct agent_channel *channel, const struct agent_transport *transport);

/*
 * For templates: a connection that continues in another process. agent_channel_save() returns
 * false, and writes nothing, unless the agent is ready, nothing waits to be sent or for a reply,
 * and there is no command. agent_channel_resume() is agent_channel_attach() for such a connection:
 * no greeting follows, requests may be sent at once, and ready is called from the loop. It also
 * returns -EINVAL.
 */
#define AGENT_CHANNEL_SAVED 8 /* bytes */
struct pack;
struct unpack;
bool agent_channel_save(const struct agent_channel *channel, struct pack *to);
int agent_channel_resume(struct agent_channel *channel, const struct agent_transport *transport,
			 struct unpack *from);

/* The transport's owner reports: bytes or end of file; room after a short write; the end. */
void agent_channel_readable(struct agent_channel *channel);
void agent_channel_writable(struct agent_channel *channel);
void agent_channel_closed(struct agent_channel *channel);

bool agent_channel_attached(const struct agent_channel *channel);
bool agent_channel_is_ready(const struct agent_channel *channel);

/*
 * How a request ends: done is called exactly once, unless the channel is destroyed first. error is
 * 0; the errno value with which the agent failed; or AGENT_REPLY_LOST: the connection ended before
 * the reply came, and the agent may or may not have carried out the request. done may send further
 * requests; after a lost connection they return -ENOTCONN.
 */
#define AGENT_REPLY_LOST (-1)

struct agent_reply {
	void (*done)(void *arg, int error);
	void *arg;
};

#define AGENT_REQUESTS_MAX 16 /* that wait for their replies at a time */

/*
 * Requests. reply is copied; NULL: the reply is dropped. They return 0; -ENOTCONN before ready;
 * -EAGAIN if AGENT_CHANNEL_QUEUE_MAX bytes wait to be sent, or AGENT_REQUESTS_MAX requests wait for
 * their replies; -EINVAL. After an error done is not called. The agent handles requests and
 * commands in the order in which they were sent: a command started after a request sees its effect.
 * ping has no effect; its reply comes once the agent has finished its start and all earlier
 * requests.
 */
int agent_channel_ping(struct agent_channel *channel, const struct agent_reply *reply);
/*
 * Makes the agent run a command that does nothing, so that the parts of the guest's kernel that
 * every command needs have been used once. Only before the first command; after it the reply is
 * EBUSY. -EOPNOTSUPP: the agent is too old.
 */
int agent_channel_rehearse(struct agent_channel *channel, const struct agent_reply *reply);
int agent_channel_set_time(struct agent_channel *channel, int64_t seconds, uint32_t nanoseconds,
			   const struct agent_reply *reply);
int agent_channel_reseed(struct agent_channel *channel, const void *bytes, size_t length,
			 const struct agent_reply *reply);
int agent_channel_set_hostname(struct agent_channel *channel, const char *name,
			       const struct agent_reply *reply);

struct agent_network {
	uint32_t address, router, resolver; /* IPv4, as numbers; resolver 0: none */
	unsigned prefix, mtu;
	const uint8_t *mac; /* 6 bytes; NULL: the card keeps its own */

	/* In network byte order; all zero: none. Without address6 the guest has no IPv6. */
	uint8_t address6[16], router6[16], resolver6[16];
	unsigned prefix6;   /* 1 to 126 with address6, else 0 */
	const char *search; /* domains, with blanks between them; NULL or "": none */
};

/* Whether the guest's agent can set the card's MAC, or IPv6 and search domains. Known once the
 * agent is ready. */
bool agent_channel_sets_mac(const struct agent_channel *channel);
bool agent_channel_sets_ipv6(const struct agent_channel *channel);

/*
 * Configures the guest's network card. -EOPNOTSUPP: the guest's agent is too old for this request,
 * or for a MAC, IPv6 or search domains in it. -EINVAL: more than AGENT_NETWORK_SEARCH_MAX bytes of
 * domains, other characters than those of a name in them, or a prefix out of range.
 */
int agent_channel_set_network(struct agent_channel *channel, const struct agent_network *network,
			      const struct agent_reply *reply);

/* Limits that the guest keeps (vmm/agent/wire.h, LIMITS). 0: the agent's default. */
struct agent_limits {
	uint32_t processes;	 /* at a time, each thread counted as one */
	uint32_t open_files;	 /* of each process */
	uint32_t cpu_millis;	 /* thousandths of a processor */
	uint32_t memory_without; /* MiB that the workload has to do without */
};

/* -EOPNOTSUPP: the guest's agent is too old for one of them. */
int agent_channel_set_limits(struct agent_channel *channel, const struct agent_limits *limits,
			     const struct agent_reply *reply);

/*
 * Sets the seccomp program of commands that are started from now on. memfd_noexec: files in memory
 * are not executable. -EOPNOTSUPP: the guest's agent is too old for this request; -EINVAL: no
 * instruction, or more than AGENT_FILTER_MAX. agent_channel_filters(): the agent takes the request.
 */
struct sock_filter;
bool agent_channel_filters(const struct agent_channel *channel);
int agent_channel_set_filter(struct agent_channel *channel, const struct sock_filter *code,
			     size_t count, bool memfd_noexec, const struct agent_reply *reply);

/*
 * Gives the sandbox another root file system (vmm/agent/wire.h, ROOT). Only before the first
 * command; after it the reply is EBUSY. -EINVAL: type is not a valid name. -EOPNOTSUPP: the guest's
 * agent is too old for a share as the lower layer.
 */
struct agent_root {
	enum agent_root_lower lower;
	uint32_t lower_number;
	const char *type; /* of the file system: "ext4", "squashfs" ... */
	bool read_only;
	bool bare; /* holds only programs: the agent adds users, homes and the like */
	enum agent_root_upper upper;
	uint32_t upper_number;
};

int agent_channel_set_root(struct agent_channel *channel, const struct agent_root *root,
			   const struct agent_reply *reply);

/*
 * Mounts a share of the virtio-fs device at path in the sandbox, in place of what an earlier
 * request mounted there. -EOPNOTSUPP: the guest's agent is too old for this request. -EINVAL,
 * -ENAMETOOLONG: the path is at fault. The reply is ENODEV if the guest's kernel has no virtio-fs,
 * ENXIO if it found no such device, ENOENT if the device has no such share, ENOTDIR if something
 * else is in the way of the path.
 */
struct agent_mount {
	uint32_t number;  /* of the share: the decimal name of its directory in the device */
	const char *path; /* absolute */
	bool read_only;
	bool remove; /* unmount what a request mounted there; ENOENT: none did */
};

/*
 * Makes the sandbox's root file system read-only, but for /tmp, /run and /dev, which are file
 * systems in memory then. Before the first command and the first share (later: EBUSY), once
 * (EALREADY). -EOPNOTSUPP: the guest's agent is too old for this request.
 */
int agent_channel_seal(struct agent_channel *channel, const struct agent_reply *reply);

int agent_channel_mount(struct agent_channel *channel, const struct agent_mount *mount,
			const struct agent_reply *reply);

/*
 * Looks after what the guest's kernel keeps of files. flags: AGENT_FILES_SYNC: it writes to the
 * shares what was changed through shared mappings; AGENT_FILES_DROP: it forgets names, attributes
 * and data of all files, where they are not in use. The reply comes when that is done, which takes
 * as long as the file server takes; other requests and commands go on meanwhile. One at a time: the
 * reply is EBUSY while the last one goes on, also one of an earlier connection. -EINVAL: other
 * flags or none; -EOPNOTSUPP: the guest's agent is too old for this request.
 */
int agent_channel_files(struct agent_channel *channel, uint32_t flags,
			const struct agent_reply *reply);

/*
 * Makes the agent forward connections to vsock ports of the guest, up to AGENT_SOURCE_PORT_MAX, to
 * TCP ports of the guest's loopback. Earlier forwards are closed. -EOPNOTSUPP: the guest's agent is
 * too old for this request; -EINVAL: more than AGENT_FORWARDS_MAX.
 */
struct agent_forward {
	uint32_t port;
	uint16_t target;
};

int agent_channel_forward(struct agent_channel *channel, const struct agent_forward *forward,
			  unsigned count, const struct agent_reply *reply);

/*
 * Replaces the text of /run/cordon/denials in the sandbox. -EOPNOTSUPP: the guest's agent is too
 * old for this request; -EINVAL: more than AGENT_PAYLOAD_MAX bytes.
 */
int agent_channel_set_denials(struct agent_channel *channel, const void *text, size_t length,
			      const struct agent_reply *reply);

/*
 * Replies to a proposal. text: one line, cut at AGENT_MESSAGE_MAX bytes. 0; -ENOTCONN; -EAGAIN if
 * too many bytes wait to be sent.
 */
int agent_channel_proposed(struct agent_channel *channel, uint32_t number,
			   enum agent_proposed result, const char *text);

/*
 * Tells the agent that verdicts may have changed, and what is wanted from now on:
 * AGENT_EXEC_CHECKS, AGENT_EXEC_EVENTS. The reply is EBUSY if commands have run unchecked,
 * EOPNOTSUPP if the guest's kernel can't. -EOPNOTSUPP: the agent is too old.
 */
int agent_channel_exec_rules(struct agent_channel *channel, uint32_t what,
			     const struct agent_reply *reply);

/*
 * Ends a check. error: 0 or an errno value. remember: the guest need not check again until the next
 * agent_channel_exec_rules(). text: one line, for a command that is denied; cut at
 * AGENT_MESSAGE_MAX bytes. 0; -ENOTCONN; -EAGAIN if too many bytes wait to be sent.
 */
int agent_channel_verdict(struct agent_channel *channel, uint32_t number, int error, bool remember,
			  const char *text);

/* A process of the sandbox, in the guest's words. */
struct agent_process {
	uint32_t pid, parent; /* as the sandbox sees them; parent 0: not in the sandbox */
	uint32_t uid;	      /* as seen in the sandbox */
	uint32_t threads;
	uint64_t cpu_us;		   /* user and system time of all threads */
	uint64_t resident_kib, started_us; /* started_us: since the guest's boot */
	char state;			   /* one of AGENT_PROCESS_STATES */
	bool is_name;			   /* the text is its name: it has no command line */
	const char *text;		   /* any bytes, no NUL at the end */
	size_t length;			   /* at most AGENT_PROCESS_TEXT_MAX */
};

/* Valid until the callback that gets it returns. */
struct agent_processes {
	uint64_t now_us;   /* since the guest's boot */
	uint32_t count;	   /* that agent_processes_next() will still return */
	bool truncated;	   /* there are more */
	const uint8_t *at; /* private */
};

/* Takes the next process out of the list. False: there is none. */
bool agent_processes_next(struct agent_processes *list, struct agent_process *process);

/*
 * Lists the sandbox's processes. done is called as that of a struct agent_reply; the list is NULL
 * unless error is 0. The agent makes one list at a time (else EBUSY), in less than a second unless
 * the host is slow. -EOPNOTSUPP: the guest's agent is too old for this request.
 */
int agent_channel_processes(struct agent_channel *channel,
			    void (*done)(void *arg, int error, struct agent_processes *list),
			    void *arg);

/* Makes the guest end all processes and power off (or reboot). 0, -ENOTCONN or -EAGAIN. */
int agent_channel_power(struct agent_channel *channel, enum agent_power kind);

struct agent_command_spec {
	const char *const
		*argv; /* at least one; without a slash it is looked up in the guest's PATH */
	const char *const *env; /* NAME=VALUE, NULL-terminated, or NULL; overrides the agent's
				   defaults (PATH, HOME, USER, TERM with a terminal) */
	const char *workdir;	/* NULL: the user's home */
	const char *user;	/* as an image names it: NAME or UID[:GROUP or :GID], found in the
				   sandbox's /etc/passwd and /etc/group; NULL: uid and gid */
	uint32_t uid, gid;	/* as seen in the sandbox, where 0 is sandbox root */
	bool terminal; /* one pseudo-terminal instead of three pipes; all output is stream 1 */
	uint16_t rows, columns; /* of the terminal; 0: 24 and 80 */
};

struct agent_exit {
	int code;	    /* exit status, 0 to 255; meaningless if signal is not 0 */
	int signal;	    /* that ended the command, or 0 */
	bool out_of_memory; /* that was why */
	uint64_t real_us, user_us, system_us, max_rss_kib;
	uint64_t minor_faults, major_faults, blocks_in, blocks_out;
	uint64_t voluntary_switches, involuntary_switches;
};

struct agent_failure {
	int status;	     /* EXIT_CORDON, EXIT_NOT_RUNNABLE or EXIT_NOT_FOUND */
	int error;	     /* errno value, or 0 */
	const char *message; /* one printable line, without "cordon: " */
};

/*
 * What a command's owner is told. The last callback is exactly one of exited and failed; all
 * output, and the end of each stream, comes before exited. Callbacks that are NULL are skipped.
 */
struct agent_command_ops {
	/* The process exists. If its program proves not to be executable, failed follows. */
	void (*started)(void *arg, uint32_t pid);
	/*
	 * stream is 1 or 2. The owner takes all of it, and returns credit with
	 * agent_command_consumed() once the bytes are passed on. Without this callback output is
	 * dropped.
	 */
	void (*output)(void *arg, unsigned stream, const void *data, size_t length);
	void (*output_eof)(void *arg, unsigned stream);
	/* There is room again after agent_command_stdin() took less than it was given. */
	void (*stdin_ready)(void *arg);
	/* The command no longer reads input: further bytes are dropped. */
	void (*stdin_closed)(void *arg);
	void (*exited)(void *arg, const struct agent_exit *status);
	void (*failed)(void *arg, const struct agent_failure *failure);
};

/*
 * Starts a command. spec is copied into the frame; ops is kept (make it static). *out is valid
 * until agent_command_close(). 0; -ENOTCONN before ready; -E2BIG (arguments and environment beyond
 * AGENT_START_MAX); -EINVAL (no argument, id too large, variable without a name); -EAGAIN (too many
 * commands, or too many bytes wait to be sent); -ENOMEM.
 */
int agent_command_start(struct agent_channel *channel, const struct agent_command_spec *spec,
			const struct agent_command_ops *ops, void *arg, struct agent_command **out);

/*
 * Sends input. Returns the bytes taken, 0 to length, bounded by the stream's credit and the
 * channel's queue; if fewer than length, stdin_ready follows. Bytes are taken and dropped once the
 * command has ended or stopped reading. May be called right after agent_command_start().
 */
size_t agent_command_stdin(struct agent_command *command, const void *data, size_t length);

/* Ends the input. On a terminal this is a ^D. */
int agent_command_stdin_eof(struct agent_command *command);

/* Sends signal (1 to 64) to the command's process group. 0, -EINVAL or -EAGAIN. */
int agent_command_signal(struct agent_command *command, int signal);

/* The terminal's new size. Sizes that follow each other fast are skipped, but never the last. */
void agent_command_resize(struct agent_command *command, uint16_t rows, uint16_t columns);

/* Returns credit: length bytes of output of stream (1 or 2) have been passed on. */
void agent_command_consumed(struct agent_command *command, unsigned stream, size_t length);

/*
 * Frees the handle; no callback follows. A command that is still running is killed (SIGKILL to its
 * process group). NULL is harmless.
 */
void agent_command_close(struct agent_command *command);

/* Whether one of count variables (NAME=VALUE each) has the same name as variable. */
bool agent_env_has(const char *const *env, size_t count, const char *variable);

#endif
