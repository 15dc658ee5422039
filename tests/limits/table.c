/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/limits/table.h"

#include "devices/balloon/balloon.h"
#include "devices/blk/blk.h"
#include "devices/blk/pool.h"
#include "devices/blk/request.h"
#include "devices/blk/sizes.h"
#include "devices/fs/fs.h"
#include "devices/legacy/uart.h"
#include "devices/net/card.h"
#include "devices/net/internal.h"
#include "devices/rng/rng.h"
#include "devices/virtio/virtqueue.h"
#include "devices/vsock/internal.h"
#include "devices/vsock/vsock.h"
#include "vmm/agent/channel.h"
#include "vmm/agent/wire.h"
#include "vmm/agent/wire_exec.h"
#include "vmm/base/budget.h"
#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/base/watch.h"
#include "vmm/control/message.h"
#include "vmm/control/monitor.h"
#include "vmm/control/shell_relay.h"
#include "vmm/files/client.h"
#include "vmm/files/fuse.h"
#include "vmm/files/lanes.h"
#include "vmm/jail/launcher.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/console.h"
#include "vmm/machine/device.h"
#include "vmm/net/dns_pins.h"
#include "vmm/policy/audit_budget.h"
#include "vmm/policy/glob.h"
#include "vmm/policy/in_force.h"
#include "vmm/policy/narrow.h"
#include "vmm/policy/policy_copy.h"
#include "vmm/relay/datagram.h"
#include "vmm/relay/flows.h"
#include "vmm/relay/http_request.h"
#include "vmm/relay/link.h"
#include "vmm/relay/listen.h"
#include "vmm/relay/names.h"
#include "vmm/relay/relay.h"
#include "vmm/relay/stream.h"
#include "vmm/relay/tcp_limits.h"
#include "vmm/relay/wire.h"
#include "vmm/sandbox/approvals.h"
#include "vmm/sandbox/denials.h"
#include "vmm/sandbox/network_checks.h"
#include "vmm/sandbox/proposals.h"
#include "vmm/sandbox/quiesce.h"

static const struct limit memory[] = {
	{"streams of the vsock device", VSOCK_STREAMS_MAX, COUNT,
	 "a connection beyond is refused (RST)", "unit.test_vsock_load.connections_are_bounded"},
	{"streams to Unix sockets of the host (d)", BUDGET_STREAMS_MAX, COUNT, "as above",
	 "unit.test_vsock_unix.streams_leave_descriptors_for_others"},
	{"buffer of a stream", VSOCK_STREAM_BUFFER, BYTES, "no credit: the guest waits",
	 "unit.test_vsock_stream_ends.a_full_stream_says_when_there_is_room"},
	{"buffers of all streams beyond their least ones", VSOCK_POOL, BYTES, "smaller windows",
	 "unit.test_vsock_load.memory_is_bounded_in_all"},
	{"replies to packets of no stream that wait for the guest", VSOCK_STRAYS, COUNT,
	 "no more packets are taken", "unit.test_vsock_load_buffers.unread_replies_are_bounded"},
	{"clients of vsock sockets that have named no port (d)", BUDGET_HANDSHAKES_MAX, COUNT,
	 "further ones wait in the socket's backlog",
	 "unit.test_vsock_unix.a_client_that_says_nothing_costs_little"},
	{"frames of the agent channel that wait for the guest", AGENT_CHANNEL_QUEUE_MAX, BYTES,
	 "no more input is read, a request fails",
	 "unit.test_agent_channel_use.a_guest_that_reads_nothing_costs_bounded_memory"},
	{"output of a command on its way", AGENT_WINDOW_OUTPUT, BYTES,
	 "the command waits; more ends the channel",
	 "unit.test_agent_channel.output_beyond_its_credit_is_refused"},
	{"input of a command on its way", AGENT_WINDOW_STDIN, BYTES, "the client waits",
	 "unit.test_agent_channel_use.input_keeps_to_its_credit"},
	{"commands at once in the guest", AGENT_COMMANDS_MAX, COUNT, "a START is refused",
	 "unit.test_agent.many_run_at_once"},
	{"commands of clients at once (d)", BUDGET_JOBS_MAX, COUNT, "a request is refused",
	 "unit.test_control_bounds.commands_are_bounded"},
	{"requests to the agent without a reply", AGENT_REQUESTS_MAX, COUNT,
	 "a request is refused (EBUSY)",
	 "unit.test_agent_channel_use.requests_that_wait_are_bounded_and_end_silently_with_the_"
	 "channel"},
	{"processes in a list of the agent", AGENT_PROCESSES_MAX, COUNT,
	 "the list is cut and says so", "unit.test_agent_processes.a_list_is_bounded_and_says_so"},
	{"clients of the control socket (d)", BUDGET_CLIENTS_MAX, COUNT,
	 "a client gets a message, and is disconnected", "control.many_connections"},
	{"message of the control socket", MESSAGE_MAX, BYTES, "the client is disconnected",
	 "unit.test_message.size_is_bounded"},
	{"shell sessions", MONITOR_SHELLS_MAX, COUNT, "a request is refused",
	 "shell.many_sessions"},
	{"output of a shell that is kept for the next client", SHELL_KEPT_MAX, BYTES,
	 "the oldest goes", "unit.test_shell_relay.the_last_output_is_kept"},
	{"console that is kept", CONSOLE_TAIL, BYTES, "the oldest goes",
	 "guest.access.console_flood"},
	{"received bytes that wait in the serial port", UART_INPUT_BYTES, BYTES,
	 "further ones are dropped", "unit.test_uart.input_is_bounded"},
	{"denials that are kept", DENIALS_MAX, COUNT, "the oldest goes",
	 "unit.test_denials.the_last_denials_are_kept"},
	{"list of denials for the guest", DENIALS_BYTES, BYTES, "the oldest are left out",
	 "unit.test_denials.long_names_are_cut"},
	{"questions that are open", APPROVALS_MAX, COUNT, "denied",
	 "unit.test_approvals.a_flood_of_questions_is_bounded"},
	{"requests to the launcher under way", LAUNCHER_CALLS, COUNT,
	 "refused; a monitor that sends more: the launcher ends",
	 "unit.test_jail_launcher.calls_are_bounded"},
	{"request to the launcher, or part of a reply", LAUNCHER_BYTES, BYTES, "the launcher ends",
	 "unit.test_jail_launcher_attack.a_cut_message_ends_it"},
	{"descriptors of a request to the launcher", LAUNCHER_FDS, COUNT, "the launcher ends",
	 "unit.test_jail_launcher_attack.a_cut_message_ends_it"},
	{"proposals that are open", PROPOSALS_MAX, COUNT, "refused",
	 "unit.test_proposals.ten_thousand_proposals"},
	{"checks of programs without a verdict", AGENT_CHECKS_MAX, COUNT, "denied",
	 "unit.test_programs.a_flood_of_questions"},
	{"requests of the relay without a verdict", RELAY_CHECKS, COUNT,
	 "the relay is ended: it violated its protocol",
	 "unit.test_relay_client_messages.open_tickets_are_bounded"},
	{"requests of the relay that wait for an operator", NETWORK_CHECKS_WAITING, COUNT, "denied",
	 "unit.test_network_checks.what_waits_is_bounded"},
	{"approved connections that are remembered", NETWORK_CHECKS_APPROVED, COUNT,
	 "the oldest is asked for again",
	 "unit.test_network_checks_covered.approved_connections_are_bounded"},
	{"frames and messages that wait for the relay, each", LINK_QUEUE, BYTES,
	 "no more frames are taken from the guest",
	 "unit.test_relay_link.what_the_socket_does_not_take_waits_in_order"},
	{"frames that wait for the guest's buffers, in a pair of queues", NET_CARD_PENDING, BYTES,
	 "no more are read from the relay",
	 "unit.test_net_card.without_buffers_frames_wait_in_bounds_and_in_order"},
	{"requests at the file server", FS_SLOTS, COUNT, "they wait in the queue",
	 "unit.test_fs_slots.requests_wait_for_slots"},
	{"request to the file server, and reply", FS_REQUEST_MAX, BYTES,
	 "the chain is returned empty", "unit.test_fs.requests_without_a_header_or_too_long"},
	{"session of a file server in a snapshot", FILES_SAVED_MAX, BYTES,
	 "the snapshot fails (EFBIG)", "unit.test_files_client.a_session_is_saved_and_restored"},
	{"requests of a disk at once", BLK_IN_FLIGHT, COUNT, "they wait in the queue",
	 "unit.test_blk_faults.a_drained_device_is_saved_and_goes_on_elsewhere"},
	{"entries of a virtqueue, if its device takes so many", VIRTQUEUE_SIZE_MAX, COUNT,
	 "the queue stops (NEEDS_RESET)", "guest.rings.queue_sizes"},
	{"disk or layer", DISK_BYTES_MAX, BYTES,
	 "an option beyond is an error; the guest's writes end at the disk's or the layer's size",
	 "unit.test_blk.a_private_layer_has_its_limit"},
	{"virtual processors, a thread each", VM_CPUS_MAX, COUNT, "an option beyond is an error",
	 "usage.bad_values"},
	{"threads of all disks", MACHINE_DISK_THREADS, COUNT, "requests wait",
	 "guest.disk.a_flood_of_requests"},
	{"policies in use at once", IN_FORCE_MAX, COUNT, "a replacement is refused (EBUSY)",
	 "unit.test_guard.old_policies_in_use_are_bounded"},
	{"policy, with what it includes", POLICY_FILE_MAX, BYTES, "refused",
	 "unit.test_policy_text.versions_and_sizes_are_bounded"},
	{"rules of a policy", POLICY_RULES_MAX, COUNT, "refused",
	 "unit.test_policy_text.versions_and_sizes_are_bounded"},
	{"patterns with wildcards of a policy", GLOB_WILD_MAX, COUNT, "refused",
	 "unit.test_glob.sets_are_bounded"},
};

static const struct limit relay[] = {
	{"flows", RELAY_FLOWS, COUNT,
	 "the least settled, longest idle one ends; open connections never",
	 "unit.test_relay_flows.the_lowest_class_makes_room_oldest_first"},
	{"connections of published ports", RELAY_CLIENTS, COUNT, "a client is disconnected",
	 "unit.test_relay_stream_room.clients_of_published_ports_leave_room_for_the_guest"},
	{"clients of a published port that wait to be accepted", PUBLISHING_BACKLOG, COUNT,
	 "the host's kernel makes them wait",
	 "unit.test_relay_listen.a_busy_port_leaves_others_their_turn"},
	{"buffers of a connection, to the host", TCP_LIMIT_RECEIVE, BYTES,
	 "the window closes: the guest waits",
	 "unit.test_relay_stream.a_server_that_never_reads_slows_the_guest"},
	{"buffers of a connection, to the guest", TCP_LIMIT_SEND, BYTES,
	 "no more is read from the host",
	 "unit.test_relay_stream.a_guest_that_never_reads_slows_the_server"},
	{"buffers of all connections", RELAY_MEMORY, BYTES,
	 "senders wait; the last quarter is for the first 4 KiB of each",
	 "unit.test_relay_stream_edges.a_part_of_the_memory_is_left_for_connections_without_any"},
	{"retransmissions without a reply", TCP_LIMIT_RETRIES, COUNT, "the connection is reset",
	 "unit.test_relay_tcp_send.a_guest_that_is_gone_is_given_up"},
	{"head of an HTTP request", REQUEST_HEAD_MAX, BYTES, "the connection is reset",
	 "unit.test_relay_http.sizes_are_bounded"},
	{"datagrams that wait for a verdict", DATAGRAM_KEPT, COUNT, "the oldest is dropped",
	 "unit.test_relay_datagram.all_flows_keep_sixty_four_datagrams"},
	{"their bytes", DATAGRAM_KEPT_BYTES, BYTES, "the oldest is dropped",
	 "unit.test_relay_datagram.all_flows_keep_so_many_bytes"},
	{"DNS queries that wait", NAMES_WAITING, COUNT, "no reply, or SERVFAIL",
	 "unit.test_relay_names.queries_that_wait_are_bounded"},
	{"pinned addresses of names", PINS_MAX, COUNT, "the oldest goes",
	 "unit.test_net_pins.the_oldest_pin_makes_room"},
	{"copy of a policy for a process", POLICY_COPY_MAX, BYTES, "no policy has as much",
	 "unit.test_policy_copy.the_largest_policy_is_copied"},
};

static const struct limit files[] = {
	{"open files of shares and roots (d)", BUDGET_FILES_MAX, COUNT, "EMFILE",
	 "unit.test_fuse_bounds.open_files_leave_descriptors_for_others"},
	{"open files of a session", FUSED_OPEN_MAX, COUNT, "EMFILE",
	 "unit.test_fuse_bounds.open_files_are_bounded_and_given_back"},
	{"names with a number", FUSED_NODES_MAX, COUNT, "ENFILE",
	 "unit.test_fuse_bounds.nodes_are_bounded_and_given_back"},
	{"locked ranges of a session", FUSED_LOCKS_MAX, COUNT, "ENOLCK",
	 "unit.test_fuse_waiting.locks_and_waiting_requests_are_bounded"},
	{"locked ranges in all", FUSED_LOCKS_ALL, COUNT, "ENOLCK",
	 "unit.test_fuse_waiting.locks_of_all_sessions_are_bounded"},
	{"requests of a session that wait for a lock", FUSED_WAITING_MAX, COUNT, "ENOLCK",
	 "unit.test_fuse_waiting.locks_and_waiting_requests_are_bounded"},
	{"requests that wait for a lock or an operator, by the monitor", FILES_WAITING_MAX, COUNT,
	 "ENOLCK; denied", "unit.test_files_client_ask.so_many_wait_at_most"},
	{"remembered owners and modes", FUSED_TABLE_MAX, COUNT, "ENOSPC",
	 "unit.test_fuse_table.the_table_is_bounded"},
	{"value of an extended attribute", FUSED_XATTR_MAX, BYTES, "E2BIG",
	 "unit.test_fuse_attributes.values_of_attributes_are_bounded"},
	{"slots of requests", FILES_SLOTS, COUNT, "requests wait in the device",
	 "unit.test_files_client.slots_are_bounded"},
	{"message to the monitor", FILES_MESSAGE_MAX, BYTES, "the server is ended",
	 "unit.test_files_client_hostile.bad_messages_end_it"},
};

static const struct limit work[] = {
	{"hold of the device lock", WATCH_HOLD_NS, NS, "reported in test builds",
	 "unit.test_watch.holders_are_reported"},
	{"chains of a disk in a turn", BLK_TURN_CHAINS, COUNT, "another turn",
	 "unit.test_blk_faults.a_flood_of_nonsense_is_served_in_turns"},
	{"bytes of the page cache that a turn of a disk copies", BLK_TURN_BYTES, BYTES,
	 "another turn", "unit.test_blk_cached.a_turn_is_bounded"},
	{"bytes of a step of a disk's thread", POOL_BUFFER, BYTES, "cancel is checked",
	 "unit.test_blk_steps.a_call_is_a_bounded_step"},
	{"ranges of a discard", BLK_RANGES_MAX, COUNT, "an error for the guest",
	 "unit.test_blk.bad_ranges_are_refused"},
	{"frames of the guest in a turn", NET_TURN_CHAINS, COUNT, "another turn",
	 "unit.test_net_card.many_frames_are_taken_in_turns"},
	{"frames for the guest in a turn", NET_TURN_FRAMES, COUNT, "another turn",
	 "guest.net.a_flood_of_datagrams"},
	{"commands of the card in a turn", NET_TURN_COMMANDS, COUNT, "another turn",
	 "unit.test_net_pairs.many_commands_are_done_in_turns"},
	{"chains of the random number device in a turn", RNG_TURN_CHAINS, COUNT, "another turn",
	 "unit.test_rng.many_small_chains_are_served_in_turns"},
	{"packets of vsock in a turn", VSOCK_WORK_PACKETS, COUNT, "another turn",
	 "unit.test_vsock_load.streams_take_turns"},
	{"page frames of the balloon in a turn", BALLOON_TURN_NUMBERS, COUNT, "another turn",
	 "unit.test_balloon_turns.a_huge_chain_takes_several_turns"},
	{"calls of the host's kernel for them", BALLOON_TURN_CALLS, COUNT, "another turn",
	 "unit.test_balloon_turns.scattered_pages_take_several_turns"},
	{"memory that reports give back in a turn", BALLOON_TURN_BYTES, BYTES, "another turn",
	 "unit.test_balloon_turns.reports_take_several_turns"},
	{"page frames of a chain", BALLOON_CHAIN_NUMBERS, COUNT, "the rest is ignored",
	 "unit.test_balloon_turns.an_endless_chain_ends"},
	{"requests that a doorbell of the file system device passes on", FS_TURN, COUNT,
	 "the event loop goes on", "unit.test_fs_slots.a_doorbell_copies_so_many_bytes"},
	{"wait of a vCPU at such a doorbell", FS_WAIT_NS, NS, "the reply comes by interrupt",
	 "unit.test_fs_slots.a_late_reply_comes_by_interrupt"},
	{"steps of the search for what a proposal adds", NARROW_BRIEF, COUNT,
	 "taken as adding something", "unit.test_added.comparisons_are_brief"},
	{"wait of a snapshot for requests under way", QUIESCE_SECONDS, SECONDS,
	 "the snapshot fails", "unit.test_quiesce.a_disk_that_hangs_refuses_the_snapshot"},
	{"wait of a snapshot for reads of an image", QUIESCE_IMAGE_NS, NS,
	 "they are saved, and done again by a restored guest's device",
	 "unit.test_quiesce.a_read_of_an_image_is_saved"},
	{"requests of a disk in a snapshot", BLK_IN_FLIGHT, COUNT, "no disk has more under way",
	 "unit.test_quiesce.forged_lists_are_refused"},
};

static const struct limit rates[] = {
	{"lines in the log that a guest causes", LOG_GUEST_SECOND, SECOND,
	 "dropped, and counted in the next one", "unit.test_log.lines_of_a_guest_have_a_rate"},
	{"audit log: allowed operations", AUDIT_ALLOWED_SECOND, BYTES_SECOND,
	 "left out, and counted; with `on-deny audit=required` denied",
	 "unit.test_audit.what_is_left_out_is_counted"},
	{"audit log: denials", AUDIT_DENIED_SECOND, BYTES_SECOND, "left out, and counted",
	 "unit.test_audit.the_usual_budgets_hold"},
	{"audit log: processes", AUDIT_PROCESS_SECOND, BYTES_SECOND, "left out, and counted",
	 "unit.test_audit.the_usual_budgets_hold"},
	{"audit log: file of a chain, of which there are 8", AUDIT_FILE_BYTES, BYTES,
	 "the oldest goes", "unit.test_audit_files.files_are_bounded"},
	{"questions", APPROVALS_SECOND, SECOND, "denied",
	 "unit.test_approvals.a_flood_of_questions_is_bounded"},
	{"proposals", PROPOSALS_SECOND, SECOND, "refused",
	 "unit.test_proposals.ten_thousand_proposals"},
	{"lists of denials for the guest", DENIALS_SECOND, SECOND, "later",
	 "unit.test_denials.a_flood_is_few_requests"},
	{"random numbers", RNG_BYTES_PER_SECOND, BYTES_SECOND, "the guest waits",
	 "unit.test_rng.a_greedy_guest_waits_and_is_served_in_the_end"},
	{"new flows", RELAY_FLOWS_SECOND, SECOND, "refused",
	 "unit.test_relay_stream_room.clients_of_published_ports_leave_room_for_the_guest"},
	{"refusals of the relay in the audit log", RELAY_LOGGED_SECOND, SECOND,
	 "left out, and counted",
	 "unit.test_relay_stream_edges.what_the_host_lacks_for_a_connection_is_logged"},
	{"DNS queries", NAMES_SECOND, SECOND, "dropped",
	 "unit.test_relay_names.queries_have_a_rate"},
	{"echo requests", DATAGRAM_ECHO_SECOND, SECOND, "dropped",
	 "unit.test_relay_echo.a_flood_is_cut"},
};

const struct section *limit_sections(void)
{
	static const struct section sections[] = {
		{"Memory and descriptors of the monitor",
		 "Beside the guest's own memory (`--memory`), which is all that is allocated for "
		 "it. Descriptors are counted at the start of a sandbox: `ulimit -n` is raised to "
		 "10,240, or as far as it may be, and what the machine does not need is divided "
		 "among the five uses that are marked with (d), each of which keeps a reserve of "
		 "its own. So a guest that opens all it can leaves clients their share "
		 "(`vmm/base/budget.h`).",
		 memory, ARRAY_SIZE(memory)},
		{"The relay's process",
		 "Only with a network ([network.md](network.md#bounds) has times and more of "
		 "them).",
		 relay, ARRAY_SIZE(relay)},
		{"The file server's process",
		 "Only with a share or a served root. Bytes and files that the guest makes in "
		 "shares are bounded by the policy's `limit share-disk` and `share-files` "
		 "([shares.md](shares.md)).",
		 files, ARRAY_SIZE(files)},
		{"Work under the device lock",
		 "What one turn does before other devices have theirs. All callbacks of a round "
		 "together keep the lock for no longer than the first line says "
		 "([testing.md](testing.md#the-device-lock)).",
		 work, ARRAY_SIZE(work)},
		{"Rates",
		 "Of what has a rate, the disk and the network card have one only if `--disk-rate` "
		 "or `--net-rate` is given.",
		 rates, ARRAY_SIZE(rates)},
		{.title = NULL},
	};

	return sections;
}
