/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor of a sandbox: its session (vmm/sandbox/session.h), its record, its control socket,
 * and the jobs that clients have started in it. One process a sandbox, which holds the registry's
 * lock.
 *
 * monitor.c is what every sandbox has, monitor_files.c its files, monitor_launcher.c what its
 * launcher does, monitor_life.c the process of one that stays (that of `run` is in
 * vmm/cli/run_session.c), server.c the socket and its clients, requests*.c their requests.
 */
#ifndef CORDON_CONTROL_MONITOR_H
#define CORDON_CONTROL_MONITOR_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "vmm/control/job_times.h"
#include "vmm/control/message.h"
#include "vmm/control/record.h"
#include "vmm/control/registry.h"
#include "vmm/control/shell_relay.h"
#include "vmm/jail/launcher.h"
#include "vmm/sandbox/job.h"
#include "vmm/sandbox/quiesce.h"
#include "vmm/sandbox/freeze.h"
#include "vmm/sandbox/session.h"

#define MONITOR_OUTPUT_MAX (1u << 20) /* bytes kept of each output of a detached job */
#define MONITOR_FLOWS_MAX  128	      /* live flows in a reply */
#define MONITOR_ENDED_MAX  32	      /* detached jobs whose output is kept after their end */
#define MONITOR_SERVICES   6	      /* requests of the launcher's table */
#define MONITOR_SHELLS_MAX 32	      /* shell sessions at a time */
/* After SIGTERM, how long commands have to end unless the request says otherwise, and at most. */
#define MONITOR_GRACE_NS     UINT64_C(10000000000)
#define MONITOR_GRACE_MAX_NS UINT64_C(3600000000000)

#define MONITOR_NOTE_MAX 128 /* bytes of a session's note */

/* Defaults of commands, from an image's configuration. */
struct monitor_defaults {
	const char *const *env; /* NAME=VALUE, NULL-terminated; or NULL */
	const char *workdir, *user;
};

struct monitor;

/* Callbacks that differ between a sandbox that stays and one of a single command. */
struct monitor_ops {
	/* Commands can be started. Once. */
	void (*ready)(struct monitor *monitor);
	/* The machine has ended, or its agent never replied. */
	void (*ended)(struct monitor *monitor);
	/* End the sandbox, gracefully or at once. The reason is noted. May be called again. */
	void (*stop)(struct monitor *monitor, bool at_once);
	/* A signal came, or the process that the sandbox runs for has ended. No reason is noted
	 * yet. */
	void (*signal)(struct monitor *monitor, int number, const char *text);
	void (*orphaned)(struct monitor *monitor);
	/* The wall time is over; the reason is noted already. */
	void (*wall_over)(struct monitor *monitor);
	/* The time that session_give_grace() gave is over. */
	void (*grace_over)(struct monitor *monitor);
	/* The vCPUs have stopped for good. May be NULL. */
	void (*halted)(struct monitor *monitor);
	/* A client's job has started or ended. May be NULL. */
	void (*jobs_changed)(struct monitor *monitor);
};

struct monitor_config {
	struct sandbox_config sandbox;
	struct monitor_defaults defaults;
	const char *kind; /* the verb that starts it, for the record */
	const char *name;
	int lock_fd;	       /* from registry_claim(); -1: it is not registered, so no socket */
	bool once;	       /* it ends with the command of the request that says first */
	uint64_t idle_ns;      /* stop when no command has run for this long; 0: never */
	bool idle_pauses;      /* pause then, instead of stopping */
	uint64_t wall_ns;      /* stop this long after the start; 0: never */
	struct policy *policy; /* the monitor takes ownership */
	const char *audit;     /* path of the audit log; NULL: audit.log in the record */
	bool brief;	       /* of a single command: its log is not synced, and may be missing */
	struct audit_key *key; /* signs the log, or NULL; the monitor takes ownership */
	const char *key_path;  /* absolute; or NULL */
	/* Called once: NULL when the sandbox is ready, else why it is not. */
	void (*report)(void *arg, const char *failure);
	void *report_arg;
	/* The write end of a pipe to the process that waits for the sandbox, or -1. If that process
	 * closes its end before the sandbox is ready, the start is cancelled. */
	int starter_fd;
};

struct client {
	struct monitor *monitor;
	int fd;
	bool waits; /* for the sandbox's end */
	uint64_t wait_id;
	unsigned wait_job; /* or for the end of this detached job; 0: none */
	bool watches;	   /* for questions: it is an operator */
	uint64_t watch_id;
	bool lists; /* waits for the list of processes, until list_timer expires */
	uint64_t list_id;
	struct loop_timer list_timer;
	bool counts; /* waits for a report about flows, until count_timer expires */
	uint64_t count_id;
	struct loop_timer count_timer;
	bool publishes; /* waits for a port to be opened */
	uint64_t publish_id;
	struct publish publish;
	struct loop_source source;
	struct client *next;
};

/* What a job has beyond others if it is a shell session, which outlives its clients. */
struct monitor_shell {
	struct shell_relay relay;
	char note[MONITOR_NOTE_MAX + 1]; /* of the client that started it, for later ones */
	uint64_t turn;			 /* the session that was attached last has the highest */
	struct job_result result;	 /* once it has ended, while output waits for the client */
};

struct monitor_job {
	struct monitor *monitor;
	struct client *owner;	     /* NULL: detached */
	struct job *job;	     /* NULL: it has ended */
	struct monitor_shell *shell; /* NULL: it is not a shell session */
	int status;		     /* then */
	uint64_t id;		     /* the request's, for its owner */
	unsigned number;	     /* in this sandbox */
	char command[64];
	time_t started;
	int fd[MESSAGE_FDS + 1]; /* the streams, and of a detached job the file of `times` */
	struct job_times times;
	struct monitor_job *next;
};

/* A share that comes or goes: one at a time. */
struct monitor_share {
	bool active;
	struct client *client; /* NULL once it is gone */
	uint64_t id;
	struct share_link *link;
	bool removes, at_agent; /* what the change is; the agent has not replied */
	bool awaits;		/* a reply of the agent, also one that is late */
	struct loop_timer timer;
	char by[64], failure[512];
	struct timespec since;
	/* Writable ones that were ever added, which the launcher keeps and searches at the end. */
	struct monitor_added {
		char *host; /* its path, for messages and the client */
		struct launcher_call keep;
	} added[FILES_SHARES_MAX];
	unsigned added_count;
};

struct monitor {
	const struct monitor_config *config;
	const struct monitor_ops *ops;
	struct session session; /* its launcher is the monitor's */
	struct launcher_service service[MONITOR_SERVICES];
	struct record *record; /* NULL: none could be made */
	/*
	 * Descriptors that it has from the start, as it opens nothing else by name while a guest
	 * runs; -1: there is none.
	 */
	struct {
		int directory; /* of its own files: the record, or without one that of the socket */
		int console;   /* its log, in the record */
		int memory;    /* /proc/self/smaps_rollup */
		int null;      /* /dev/null */
	} files;
	char vsock_path[2 * PATH_MAX]; /* of --vsock, absolute; "": there is none */
	enum record_end why;	       /* it ends, or has ended; RECORD_NONE: not yet */
	char why_text[256];
	int listen_fd;
	struct loop_source listen_source;
	struct client *clients;
	unsigned client_count;
	struct monitor_job *jobs;
	struct monitor_job *ended; /* detached ones whose output is kept, newest first */
	unsigned job_count, job_number;
	bool has_first;	     /* once: the command has come */
	uint64_t shell_turn; /* counts how often a client was attached to a shell session */
	struct loop_timer listen_timer;
	time_t started;
	struct timespec begun; /* for planted_find() */
	uint64_t grace_ns;     /* that commands have to end after SIGTERM */
	json_t *planted;       /* its findings, at the end */
	bool reported, stopping, powering_off, closing;
	struct pause pause;
	struct freeze freeze;
	/* A request that is replied to once the guest stands still, or its snapshot is written. */
	json_t *pause_request;
	struct client *pause_client; /* NULL once it is gone */
	int pause_fd;		     /* of a snapshot: its file; or -1 */
	struct quiesce quiesce;	     /* of a snapshot */
	struct monitor_share share;
	bool listing; /* a request for the processes is under way to the agent */
	int status;
};

/* Runs a sandbox that stays until it ends. Returns the exit status of the process. */
int monitor_run(const struct monitor_config *config);

/* --- for the owner of the process -------------------------------------------------------------
 * monitor_init(), session_watch(), monitor_open(), session_run(), monitor_close().
 */

/* The event loop. config and ops stay the caller's. 0 or -errno with a message. */
int monitor_init(struct monitor *monitor, const struct monitor_config *config,
		 const struct monitor_ops *ops, struct err *err);

/* Record, policy and log, sandbox, control socket. 0 or -errno with a message. */
int monitor_open(struct monitor *monitor, struct err *err);

/*
 * Stops and frees all, records the end, replies to clients that wait for it. Works on one that was
 * opened in part.
 */
void monitor_close(struct monitor *monitor);

/*
 * Call before a stop: cancels a snapshot and resumes a paused guest, which could not shut down
 * otherwise.
 */
void monitor_begin_stop(struct monitor *monitor);

/*
 * Notes why the sandbox ends. The first reason counts, except that a later failure replaces it.
 * text: one line, or NULL.
 */
void monitor_note_end(struct monitor *monitor, enum record_end why, const char *text);

/* The end of the machine, in one line. */
void monitor_machine_end(const struct monitor *monitor, char *text, size_t size);

/* --- between the files of the monitor --------------------------------------------------------- */

/* The first stage of vmm/jail/stages.h. Warns if the host lacks what that needs. */
void monitor_confine(void);

/* Ends the sandbox gracefully (SIGTERM to the jobs, then power-off), or at once. */
void monitor_stop(struct monitor *monitor, bool at_once, enum record_end why, const char *text);

/* The number of the command that the sandbox runs for (once); it has ended. */
#define MONITOR_JOB_FIRST 1u
void monitor_end_once(struct monitor *monitor, const struct job_result *result);

/* A job has started or ended: sets the idle timer; when stopping, powers off after the last. */
void monitor_jobs_changed(struct monitor *monitor);
/* Lets a sandbox that has paused because it was idle go on. */
void monitor_wake(struct monitor *monitor);

void monitor_job_free(struct monitor_job *job);

/* A detached job has ended: keeps its output, and drops the oldest one beyond the bound. */
void monitor_job_keep(struct monitor_job *job, int status);

/* --- monitor_files.c: what the monitor keeps in its record, and other files of the host's */

/* Opens them: the record, the policy and its log. 0 or -errno with a message. */
int monitor_open_files(struct monitor *monitor, struct err *err);
/* Once the sandbox exists: its console goes into the record, and its memory, if it is frozen. */
void monitor_keep_console(struct monitor *monitor);
/* Closes them all, and the record. The log is closed before. Works on the initial values. */
void monitor_close_files(struct monitor *monitor);

/*
 * Opens the output of a detached job: stream "out" or "err"; "times": see job_times.h. flags as for
 * open(2). The descriptor, or -errno with a message.
 */
int monitor_job_open(const struct monitor *monitor, unsigned number, const char *stream, int flags,
		     struct err *err);
/* Removes all three. */
void monitor_job_unlink(const struct monitor *monitor, unsigned number);

/*
 * Forks the launcher, which has the table of monitor_launcher.c. Before anything of a stranger's is
 * parsed, and before the process has other threads. 0 or -errno with a message.
 */
int monitor_start_launcher(struct monitor *monitor, struct err *err);

/*
 * Gives the launcher a directory (O_PATH, which stays the caller's) that a client shares from now
 * on, to search it at the end for what appears there from `since` on. label: its path, for
 * messages.
 */
void monitor_keep_added(struct monitor *monitor, int directory, const char *label,
			const struct timespec *since);

/*
 * Has the launcher search the writable shares, also those, for repositories that the guest may have
 * planted, and notes what it finds. At the end, while the guard exists.
 */
void monitor_search_shares(struct monitor *monitor);

/* Writes the current policy into the record, if there is one. */
void monitor_keep_policy(struct monitor *monitor);

/* Opens the control socket. 0 or -errno with a message. */
int server_open(struct monitor *monitor, struct err *err);
void server_close(struct monitor *monitor);

/* Sends an object to a client and takes the reference; disconnects a client that does not read. */
void server_send(struct client *client, json_t *body, const int *fd, unsigned fds);
void server_reply(struct client *client, uint64_t id, json_t *body);
void server_refuse(struct client *client, uint64_t id, const char *why);

/* Sends an event about a question to all clients that watch, and takes the reference to body. */
void server_announce(struct monitor *monitor, json_t *body, const char *event, const char *how);

/* For the log: "by uid 1000, process 123". */
void server_peer(const struct client *client, char *text, size_t size);

/* Call once the sandbox exists: sends its questions to operators. */
void monitor_watch_questions(struct monitor *monitor);
void monitor_watch_proposals(struct monitor *monitor);

/* A client that watches for questions has connected or left. */
void monitor_operators_changed(struct monitor *monitor);

/* Refuses the request that waits for the guest to stand still, or for its snapshot. */
void requests_give_up(struct monitor *monitor);

/* The same of the share that is being added or removed. */
void requests_shares_end(struct monitor *monitor);

/* 0; or -EBUSY if the guest stands still, with a message that names the command to let it go on. */
int monitor_check_runs(const struct monitor *monitor, struct err *err);

/* Handles a request. */
void request_handle(struct client *client, struct message *message);

#endif
