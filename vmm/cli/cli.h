/* SPDX-License-Identifier: Apache-2.0 */
/* The table of verbs. */
#ifndef CORDON_CLI_H
#define CORDON_CLI_H

#include "vmm/launch/exit_status.h"
#include "vmm/launch/options.h"

/* One verb: `cordon NAME ...`. argv[0] is the verb. Returns the exit status. */
struct verb {
	const char *name;
	const char *arguments; /* "[options] -- CMD ARGS" */
	const char *summary;
	int (*run)(int argc, char **argv);
	void (*help)(void); /* prints the options, or NULL */
};

/* The table of verbs, ended by a NULL name (vmm/main.c). */
extern const struct verb verbs[];

int cmd_run(int argc, char **argv);
void help_run(void);
int cmd_start(int argc, char **argv);
void help_start(void);
int cmd_exec(int argc, char **argv);
void help_exec(void);
int cmd_cp(int argc, char **argv);
int cmd_rm(int argc, char **argv);
int cmd_prune(int argc, char **argv);
int cmd_ps(int argc, char **argv);
void help_ps(void);
int cmd_stats(int argc, char **argv);
void help_stats(void);
int cmd_logs(int argc, char **argv);
int cmd_pause(int argc, char **argv);
int cmd_resume(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_kill(int argc, char **argv);
int cmd_wait(int argc, char **argv);
int cmd_snapshot(int argc, char **argv);
int cmd_restore(int argc, char **argv);
void help_restore(void);
int cmd_fork(int argc, char **argv);
void help_fork(void);
int cmd_template(int argc, char **argv);
int cmd_image(int argc, char **argv);
void help_image(void);
int cmd_doctor(int argc, char **argv);
int cmd_policy(int argc, char **argv);
void help_policy(void);
int cmd_audit(int argc, char **argv);
void help_audit(void);
int cmd_why(int argc, char **argv);
void help_why(void);
int cmd_ask(int argc, char **argv);
void help_ask(void);

#endif
