/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/relay_tcp.h"

#include <string.h>

#include "vmm/base/bytes.h"

void wire_clear(struct wire *wire)
{
	wire->count = 0;
	wire->used = 0;
	wire->overflowed = 0;
}

void wire_output(void *arg, const struct tcp_segment *segment)
{
	struct wire *wire = arg;
	uint32_t edge;

	wire->total++;
	if (segment->flags & TCP_RST)
		wire->resets++;
	if (segment->flags & TCP_SYN)
		wire->scale = segment->has_scale ? segment->scale : 0;
	if (segment->flags & TCP_ACK && !(segment->flags & TCP_RST)) {
		edge = segment->acknowledged +
		       ((uint32_t)segment->window << (segment->flags & TCP_SYN ? 0 : wire->scale));
		if (!wire->seen || tcp_before(wire->edge, edge))
			wire->edge = edge;
		wire->seen = true;
		wire->acknowledged = segment->acknowledged;
	}
	if (wire->count == WIRE_SEGMENTS || segment->length > WIRE_BYTES - wire->used) {
		wire->overflowed++;
		return;
	}
	wire->sent[wire->count] = *segment;
	wire->sent[wire->count++].data = wire->bytes + wire->used;
	if (segment->length)
		memcpy(wire->bytes + wire->used, segment->data, segment->length);
	wire->used += segment->length;
}

const struct tcp_segment *wire_last(const struct wire *wire)
{
	static const struct tcp_segment none;

	return wire->count ? &wire->sent[wire->count - 1] : &none;
}

uint32_t model_expect(const struct model *model, const struct tcp_segment *in, uint32_t edge)
{
	uint32_t next = model->next;
	size_t i;

	if (model->fin || in->flags & (TCP_SYN | TCP_RST) || !(in->flags & TCP_ACK))
		return next;
	for (i = 0; i < in->length; i++)
		if (in->sequence + (uint32_t)i == next && (int32_t)(next - edge) < 0)
			next++;
	if (in->flags & TCP_FIN && in->sequence + (uint32_t)in->length == next)
		next++;
	return next;
}

const char *model_acknowledged(struct model *model, const struct tcp_segment *in,
			       uint32_t acknowledged, uint32_t edge)
{
	uint32_t end, skip, count;

	if (acknowledged == model->next)
		return NULL;
	if (!in)
		return "acknowledged without a segment";
	if (model->fin)
		return "acknowledged beyond the FIN";
	if (in->flags & (TCP_SYN | TCP_RST) || !(in->flags & TCP_ACK))
		return "took data of a segment that has none";
	if ((int32_t)(in->sequence - model->next) > 0)
		return "took data behind a gap";
	end = in->sequence + (uint32_t)in->length;
	if (in->flags & TCP_FIN && acknowledged == end + 1) {
		model->fin = true;
		acknowledged--;
	}
	if ((int32_t)(acknowledged - model->next) < 0)
		return "took an acknowledgement back";
	if ((int32_t)(acknowledged - end) > 0)
		return "acknowledged more than was sent";
	if ((int32_t)(acknowledged - edge) > 0)
		return "took data beyond the window";
	skip = model->next - in->sequence;
	count = acknowledged - model->next;
	if (count > MODEL_BYTES - model->length)
		return "too many bytes for the model";
	if (count)
		memcpy(model->stream + model->length, in->data + skip, count);
	model->length += count;
	model->next = acknowledged + model->fin;
	return NULL;
}

const char *model_read(struct model *model, const uint8_t *bytes, size_t length)
{
	if (length > model->length - model->read)
		return "the owner read bytes that were not acknowledged";
	if (length && memcmp(model->stream + model->read, bytes, length) != 0)
		return "the owner read other bytes than the first";
	model->read += length;
	return NULL;
}
