/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bounds of a TCP endpoint, in one table.
 *
 * A flow is one struct tcp (some 300 bytes) and two byte queues. A queue allocates when it gets its
 * first byte and at most twice its limit, and is freed when empty; all queues share one budget
 * (struct relay_memory). Nothing else is allocated: no segment is ever kept.
 */
#ifndef CORDON_RELAY_TCP_LIMITS_H
#define CORDON_RELAY_TCP_LIMITS_H

#define TCP_LIMIT_RECEIVE (256u << 10) /* bytes from the guest that the owner has not consumed */
#define TCP_LIMIT_SEND	  (256u << 10) /* bytes for the guest that it has not acknowledged */

/*
 * Segments are no smaller than this, whatever MSS the guest announces: every IPv4 host takes
 * packets of 576 bytes, and 536 holds without an MSS option (RFC 9293, 3.7.1). An MSS of 1 would
 * cost a frame for each byte.
 */
#define TCP_LIMIT_MSS_MIN 536u
#define TCP_LIMIT_GSO	  65480u /* bytes of one segment for a card with TSO */
#define TCP_LIMIT_SCALE	  14u	 /* largest shift of a window (RFC 7323, 2.3) */

/* Retransmission (RFC 6298). The link is memory, so a lost segment is one without a buffer. */
#define TCP_LIMIT_RTO_FIRST_NS UINT64_C(1000000000)
#define TCP_LIMIT_RTO_MIN_NS   UINT64_C(200000000)
#define TCP_LIMIT_RTO_MAX_NS   UINT64_C(10000000000)
#define TCP_LIMIT_RETRIES      15u /* of data without a reply: some 100 s */
#define TCP_LIMIT_SYN_RETRIES  6u  /* of a SYN or SYN-ACK: some 45 s */
#define TCP_LIMIT_DUPLICATES   3u  /* ACKs that start a fast retransmission (RFC 5681, 3.2) */

/* TIME-WAIT. No segment of the guest lingers on the link; only a last FIN may be repeated. */
#define TCP_LIMIT_TIME_WAIT_NS UINT64_C(2000000000)

#endif
