/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What umbra does to a guest's frames (host.c: hypercalls of abi.h), and many
 * ways to write to a page (writers.c), so that a test can try them all.
 */
#ifndef LIB_HOST_H
#define LIB_HOST_H

#include "test.h"

#define RAM_END (32 * MIB)

void need_umbra(void); /* skips where nobody else has the hypercalls */
bool relocate(u64 gpa); /* false: a hole */
u32 frame_info(u64 gpa); /* HC_FRAME_* */
bool set_rom(u64 gpa, bool rom); /* false: a hole.  All are RAM again at the next case */
bool share(u64 a, u64 b); /* false: not done */
u32 batch(const struct hc_batch *list, u32 n); /* how many were applied */
void log_dirty(bool on); /* off again at the next case */
u32 log_read(u64 gpa); /* 16 frames from here, which are clean now */
void log_collect(void); /* for was_written(): a case's first 64 frames and tables */
void log_collect_all(void); /* all of RAM */
bool was_written(u64 gpa); /* between the last two of these, or log_dirty() */

/* The page at va, through a mapping of slot n of the window; without paging the frame itself. */
u64 window_at(u32 n, u64 gpa, u64 flags);

void fill_pattern(u64 gpa, u32 seed); /* no word is 0 */
bool same_frames(u64 a, u64 b);
u32 frame_sum(u64 gpa);

/*
 * Ways to write into the page at va.  What they write depends on the page's
 * contents and the argument alone, but for the loose ones, whose words may differ.
 */
struct writer {
	const char *name;
	guest_fn fn; /* (va, value): what it reads or a flag */
	u8 flags;
};
#define WRITER_SSE2 1 /* needs it */
#define WRITER_LOOSE 2
extern const struct writer writers[];
extern const u32 nwriters;
bool writer_usable(const struct writer *w);
ulong write_by(const struct writer *w, u64 va, u32 value); /* checks that nothing faults */

#endif
