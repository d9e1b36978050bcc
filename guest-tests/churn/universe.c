/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames and addresses, chosen so that roles overlap: the same index at several
 * levels, so that a frame may be its own table; frames that are pieces of large
 * pages, too, and tables in the midst of large pages.
 */
#include "churn.h"

#define DESCRIPTOR_LOW 0x0000fffeu /* limit, no base */
#define DESCRIPTOR_HIGH 0x00cff300u /* flat data, DPL 3, accessed */

u64 frame_gpa[NFRAMES], vas[NVAS];
u8 va_cell[NVAS][6];
pte_t cells[NFRAMES][CELLS];
u32 scratch[NFRAMES];

static u32 cell_slot[CELLS];
static u8 frame_of_page[32 * MIB >> 12];

/* Cells from level 1 up.  PSE: both halves of a table, two quarters of a root.  PAE: three slots of the PDPT. */
static const u8 choice[NVAS][5] =
#if PT_LEVELS == 2
	{ { 0, 0 }, { 1, 0 }, { 3, 0 }, { 0, 1 }, { 2, 1 }, { 3, 1 }, { 0, 3 }, { 1, 3 }, { 3, 3 }, { 2, 2 }, { 0, 2 }, { 2, 0 } };
#elif PT_LEVELS == 3
	{ { 0, 0, 0 }, { 1, 0, 0 }, { 3, 0, 0 }, { 0, 1, 0 }, { 3, 1, 0 }, { 1, 2, 0 }, { 2, 3, 0 }, { 0, 0, 1 }, { 3, 0, 1 },
	  { 1, 1, 1 }, { 0, 0, 2 }, { 2, 3, 2 } };
#else
	{ { 0, 0, 0, 0 }, { 1, 0, 0, 0 }, { 3, 0, 0, 0 }, { 0, 1, 0, 0 }, { 3, 1, 0, 0 }, { 1, 3, 0, 0 }, { 0, 0, 1, 0 }, { 2, 0, 1, 0 },
	  { 1, 1, 1, 0 }, { 0, 0, 0, 1 }, { 2, 1, 0, 1, 1 }, { 3, 0, 1, 1, 1 } };
#endif

bool is_root(u32 frame)
{
	return frame >= ROOTS && frame < NFRAMES;
}

bool is_pdpt(u32 frame)
{
	return PT_LEVELS == 3 && is_root(frame);
}

u32 cells_of(u32 frame)
{
	return is_pdpt(frame) ? 3 : CELLS;
}

static u32 slot_of(u32 frame, u32 cell)
{
	return is_pdpt(frame) ? cell + 1 : cell_slot[cell];
}

u32 cell_offset(u32 frame, u32 cell)
{
	return slot_of(frame, cell) * PTE_SIZE;
}

volatile pte_t *cell_ptr(u32 frame, u32 cell)
{
	return (volatile pte_t *)(ulong)(frame_gpa[frame] + cell_offset(frame, cell));
}

u32 frame_at(u64 gpa)
{
	return gpa >> 12 < ARRAY_SIZE(frame_of_page) ? frame_of_page[gpa >> 12] : OUTSIDE;
}

u32 frame_tag(u32 frame)
{
	return 0x7a600000 | frame << 4;
}

int home_level(u32 frame)
{
	static const u8 home[6][8] = { [2] = { 1, 1, 1, 1, 1, 1, 1, 1 }, [3] = { 2, 2, 2, 2, 1, 1, 1, 1 },
				       [4] = { 3, 3, 2, 2, 1, 1, 1, 1 }, [5] = { 4, 3, 3, 2, 2, 1, 1, 1 } };

	if (frame < TABLES)
		return 0;
	return is_root(frame) ? PT_LEVELS : home[PT_LEVELS][frame - TABLES];
}

static void add_frame(u32 frame, u64 gpa)
{
	frame_gpa[frame] = gpa;
	if (!is_pdpt(frame)) /* PDPTEs have their own rules: a PDPT is nothing else */
		frame_of_page[gpa >> 12] = frame;
	if (!is_root(frame))
		memset(mem8(gpa), 0, PAGE_SIZE);
	*mem32(gpa + AT_TAG) = frame_tag(frame);
	*mem32(gpa + AT_RET - 1) = RET << 8;
	*mem32(gpa + AT_DESCRIPTOR) = DESCRIPTOR_LOW;
	*mem32(gpa + AT_DESCRIPTOR + 4) = DESCRIPTOR_HIGH;
}

static u64 va_of(const u8 *cell)
{
	u64 va = 0;

	for (int level = 1; level <= PT_LEVELS; level++) {
		u32 slot = is_pdpte(level) ? cell[level - 1] + 1u : cell_slot[cell[level - 1]];

		va |= (u64)slot << level_shift(level);
	}
	return va;
}

/*
 * Indices: three neighbours, for REP STOS, and one far off; with 1024 entries
 * half a table off, where a shadow of half the size has the first one's place.
 * With 1 GiB pages the first two are those of the regions, so that such a page
 * at 0 shows them.
 */
static void choose_slots(u64 region0)
{
	u32 first = PT_LEVELS == 2 ? 400 : (region0 >> 21) & 511;

	for (u32 c = 0; c < 3; c++)
		cell_slot[c] = first + c;
	cell_slot[3] = PT_LEVELS == 2 ? first + 512 : 496;
}

void universe_make(void)
{
	u64 region0 = new_large(), region1 = PT_LEVELS == 2 ? new_large() : region0 + LARGE_SIZE;

	memset(frame_of_page, OUTSIDE, sizeof(frame_of_page));
	choose_slots(region0);
	for (u32 i = 0; i < 4; i++) {
		add_frame(PIECE0 + i, region0 + cell_slot[i] * PAGE_SIZE);
		add_frame(PIECE1 + i, region1 + cell_slot[i] * PAGE_SIZE);
		add_frame(TABLES + i, region0 + (100 + 3 * i) * PAGE_SIZE);
		add_frame(TABLES + 4 + i, region1 + (200 + i) * PAGE_SIZE);
	}
	for (u32 i = 0; i < NROOTS; i++)
		add_frame(ROOTS + i, new_space());
	for (u32 v = 0; v < NVAS; v++) {
		vas[v] = va_of(choice[v]);
		for (int level = 1; level <= PT_LEVELS; level++)
			va_cell[v][level] = choice[v][level - 1];
	}
}

void universe_reset(void)
{
	write_cr0(default_cr0);
	write_cr4(default_cr4);
	if (default_efer)
		write_efer(default_efer);
	for (u32 f = 0; f < NFRAMES; f++) {
		for (u32 c = 0; c < cells_of(f); c++) {
			if (*cell_ptr(f, c))
				set_entry((pte_t *)cell_ptr(f, c), 0);
			cells[f][c] = 0;
		}
		scratch[f] = 0;
		*mem32(frame_gpa[f] + AT_SCRATCH) = 0;
	}
	use_space(frame_gpa[ROOTS]);
	if (cpu.pge)
		flush_global();
}

const char *universe_differs(void)
{
	static char text[100];

	for (u32 f = 0; f < NFRAMES; f++) {
		for (u32 c = 0; c < cells_of(f); c++) {
			pte_t is = *cell_ptr(f, c);

			if (is == cells[f][c] || (!options.strict && (is & ~PTE_A) == (cells[f][c] & ~PTE_A)))
				continue;
			print_to(text, sizeof(text), "cell %u of frame %u is %llx and should be %llx", c, f, (u64)is, (u64)cells[f][c]);
			return text;
		}
		if (*mem32(frame_gpa[f] + AT_SCRATCH) != scratch[f]) {
			print_to(text, sizeof(text), "frame %u was written to", f);
			return text;
		}
	}
	return NULL;
}
