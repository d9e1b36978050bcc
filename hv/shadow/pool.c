/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's bounded stock of shadow pages, their hash by gfn, and recycling.
 *
 * Recycling goes round the pool in order of age.  Pages that carry the stamp of
 * the fault being served, and roots, are passed over (I11).  SHADOW_POOL_MIN is
 * what one instruction may need mapped at once, so that its restart finds all
 * of it: 2 pages each for the instruction, a source, a destination, and, if its
 * delivery follows, IDT, GDT, TSS, two stacks: 16 pages under 3 levels of their
 * own and a root are 49, and the stamped path of the fault in progress (4) and
 * the PAE root (1) come on top.  In long mode delivery needs one stack and no
 * SS descriptor: 14 pages, under 4 levels of their own and a root if there are
 * 5 levels, are 57, and the stamped path is 5.  Round-robin with at least that
 * many pages converges: a page just made is the last to go.
 *
 * Shadows made under different values of the guest's PAT differ in memory types:
 * role.pat is a slot of vm->pats.
 */
#include "private.h"

#define PAT_PIECE 64u

_Static_assert(SHADOW_POOL_MIN >= 16 * 3 + 1 + 4 + 1 && SHADOW_POOL_MIN >= 14 * 4 + 1 + 5, "one instruction must fit the smallest pool");

static u32 hash_bucket(const struct shadow_vm *vm, gfn_t gfn)
{
	return (gfn.v * 0x9e3779b97f4a7c15ull >> 40) & vm->hash_mask;
}

static void list_push(u32 *list, struct shadow_page *p, u32 number)
{
	p->parents = *list;
	*list = number;
}

static struct shadow_page *list_pop(struct shadow_vm *vm, u32 *list)
{
	struct shadow_page *p = &vm->pages[*list - 1];

	*list = p->parents;
	p->parents = NO_LINK;
	return p;
}

static bool is_hashed(union role role) { return role.kind == PAGE_TABLE || role.kind == PAGE_SPLINTER; }

bool pool_init(struct shadow_vm *vm)
{
	u32 n = vm->cfg.pool, buckets = 64;

	while (buckets < n)
		buckets *= 2;
	vm->entries = vm->cfg.g2_on_s2 ? 1024 : 512;
	vm->hash_mask = buckets - 1;
	vm->pages = vm_alloc(vm, n * sizeof(*vm->pages));
	vm->hash = vm_alloc(vm, buckets * sizeof(*vm->hash));
	vm->pool_base = vm_alloc_run(vm, n);
	if (!vm->pages || !vm->hash || vm->pool_base.v == NO_HFN.v)
		return false;
	memset(host_ptr(vm->pool_base), 0, n * PAGE_SIZE);
	for (u32 i = n; i; i--)
		list_push(&vm->free, &vm->pages[i - 1], i);
	return true;
}

struct shadow_page *pool_find(struct shadow_vm *vm, gfn_t gfn, union role role)
{
	for (u32 n = vm->hash[hash_bucket(vm, gfn)]; n; n = vm->pages[n - 1].hash_next) {
		struct shadow_page *p = &vm->pages[n - 1];

		if (p->gfn.v == gfn.v && p->role.v == role.v)
			return p;
	}
	return NULL;
}

struct shadow_page *pool_next_table(struct shadow_vm *vm, gfn_t gfn, struct shadow_page *prev)
{
	u32 n = prev ? prev->hash_next : vm->hash[hash_bucket(vm, gfn)];

	for (; n; n = vm->pages[n - 1].hash_next) {
		struct shadow_page *p = &vm->pages[n - 1];

		if (p->gfn.v == gfn.v && p->role.kind == PAGE_TABLE)
			return p;
	}
	return NULL;
}

struct shadow_page *pool_iterate(struct shadow_vm *vm, u32 *i)
{
	while (*i < vm->cfg.pool) {
		struct shadow_page *p = &vm->pages[(*i)++];

		if (p->role.kind != PAGE_FREE)
			return p;
	}
	return NULL;
}

static void hash_insert(struct shadow_vm *vm, struct shadow_page *p)
{
	u32 *head = &vm->hash[hash_bucket(vm, p->gfn)];

	p->hash_next = *head;
	*head = pool_number(vm, p) + 1;
}

static void hash_remove(struct shadow_vm *vm, struct shadow_page *p)
{
	u32 *n = &vm->hash[hash_bucket(vm, p->gfn)];

	while (*n != pool_number(vm, p) + 1) {
		BUG_ON(!*n);
		n = &vm->pages[*n - 1].hash_next;
	}
	*n = p->hash_next;
}

/* Afterwards nothing points to p, p points to nothing, and its frame is zero. */
void pool_free(struct shadow_vm *vm, struct shadow_page *p)
{
	BUG_ON(p->pinned || p->role.kind == PAGE_FREE || p->role.kind == PAGE_ZOMBIE);
	page_unlink(vm, p);
	page_clear_all(vm, p);
	if (is_hashed(p->role))
		hash_remove(vm, p);
	if (p->role.kind == PAGE_TABLE && --p2m_gfn(vm, p->gfn)->tables == 0)
		unsync_forget(vm, p->gfn);
	vm->pat_pages[p->role.pat]--;
	p->role.v = 0;
	vm->used--;
	list_push(&vm->free, p, pool_number(vm, p) + 1);
}

/* A page of a vtlb that nothing points to any more: what it holds goes when it is needed, not now. */
void pool_bury(struct shadow_vm *vm, struct shadow_page *p)
{
	vm->pat_pages[p->role.pat]--;
	p->role.kind = PAGE_ZOMBIE;
	list_push(&vm->zombies, p, pool_number(vm, p) + 1);
}

/* The oldest page that may go. */
static struct shadow_page *recycle(struct shadow_vm *vm)
{
	for (u32 tries = 0; tries < 2 * vm->cfg.pool; tries++) {
		struct shadow_page *p = &vm->pages[vm->hand];

		vm->hand = (vm->hand + 1) % vm->cfg.pool;
		work(vm, 1);
		if (p->pinned || p->stamp == vm->stamp)
			continue;
		vm->stats.shadow_recycles++;
		pool_free(vm, p);
		return list_pop(vm, &vm->free);
	}
	BUG("shadow pool of %u pages cannot serve one fault", vm->cfg.pool);
}

static struct shadow_page *take(struct shadow_vm *vm)
{
	struct shadow_page *p;

	if (!vm->zombies && !vm->free)
		return recycle(vm);
	if (!vm->zombies)
		return list_pop(vm, &vm->free);
	p = list_pop(vm, &vm->zombies);
	page_clear_all(vm, p); /* and its children are zombies */
	vm->used--;
	return p;
}

struct shadow_page *pool_get(struct shadow_vm *vm, gfn_t gfn, union role role, const struct shadow_mode *mode)
{
	struct shadow_page *p = is_hashed(role) ? pool_find(vm, gfn, role) : NULL;

	if (p) {
		p->stamp = vm->stamp;
		return p;
	}
	p = take(vm);
	*p = (struct shadow_page){ .role = role, .gfn = gfn, .mode = mode, .stamp = vm->stamp };
	vm->stats.shadow_allocs++;
	vm->pat_pages[role.pat]++;
	if (++vm->used > vm->stats.shadow_pages_peak)
		vm->stats.shadow_pages_peak = vm->used;
	if (is_hashed(role))
		hash_insert(vm, p);
	if (role.kind == PAGE_TABLE) {
		vm->stats.tables_shadowed++;
		p2m_gfn(vm, gfn)->tables++;
	}
	return p;
}

/*
 * A new page is empty.  Entries may be made, and writes to its table followed,
 * only from here on: no mapping of the table is writable (I3), and if it is shadowed at an
 * upper level it is in sync (I6).  False: not yet.
 */
bool pool_ready(struct shadow_vm *vm, const struct shadow_page *p)
{
	struct guest_frame *g = p2m_gfn(vm, p->gfn);

	if (p->role.kind != PAGE_TABLE || (g->unsync && p->role.level == 1) || shadow_is_opened(vm, p->gfn))
		return true;
	if (!rmap_protect(vm, p2m_frame(vm, p->gfn)))
		return false;
	if (g->unsync)
		unsync_resync(vm, p->gfn);
	return true;
}

/* The slot of a PAT value; false: not yet, pages of an older one have to go first. */
bool pool_pat_slot(struct shadow_vm *vm, u64 pat)
{
	u32 slot = (vm->pat_slot + 1) % ARRAY_SIZE(vm->pats);

	for (u32 i = 0; i < ARRAY_SIZE(vm->pats); i++)
		if (vm->pats[i] == pat) {
			vm->pat_slot = i;
			return true;
		}
	for (u32 n = 0; n < PAT_PIECE && vm->pat_pages[slot]; n++) {
		struct shadow_page *p = &vm->pages[vm->pat_hand++ % vm->cfg.pool];

		work(vm, 1);
		if (p->role.kind != PAGE_FREE && p->role.kind != PAGE_ZOMBIE && p->role.pat == slot)
			pool_free(vm, p);
	}
	if (vm->pat_pages[slot])
		return false;
	vm->pats[slot] = pat;
	vm->pat_slot = slot;
	return true;
}
