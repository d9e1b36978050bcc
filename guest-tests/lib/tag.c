/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames told apart by a word in each: which of them does an address lead to now? */
#include "internal.h"

u64 tagged(u32 tag)
{
	u64 f = new_frame();

	*mem32(f + TAG_AT) = tag;
	mem8(f)[0] = RET;
	return f;
}

u32 tag_at(u64 va)
{
	u32 v = 0;

	check_fault(peek32(va + TAG_AT, &v), NO_FAULT);
	return v;
}

u64 tagged_large(u32 tag)
{
	u64 f = new_large();

	for (u32 i = 0; i < PIECES; i++) {
		*mem32(f + i * PAGE_SIZE + TAG_AT) = piece_tag(tag, i);
		mem8(f)[i * PAGE_SIZE] = RET;
	}
	return f;
}

void check_piece(u64 va, u32 piece, u32 want)
{
	u32 v = tag_at(va + piece * PAGE_SIZE);

	if (v != want)
		fail("piece %u holds %x, want %x", piece, v, want);
}

void check_pieces(u64 va, u32 tag)
{
	static const u32 some[] = { 0, 1, PIECES / 2 - 1, PIECES / 2, PIECES - 1 };

	for (u32 i = 0; i < ARRAY_SIZE(some); i++)
		check_piece(va, some[i], piece_tag(tag, some[i]));
	for (u32 i = 0; i < 4; i++) {
		u32 piece = random32() & (PIECES - 1);

		check_piece(va, piece, piece_tag(tag, piece));
	}
}
