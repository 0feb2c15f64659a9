/* SPDX-License-Identifier: MIT */
/*
 * The index of VMAs: search, and replacement of a range in one publication.
 *
 * A commit works level by level from the leaves. At each level a window of neighbouring nodes is replaced: those on the
 * way to lo and to hi, and all between. Their surviving slots and the new ones make the list that is cut into new
 * nodes; a list too short takes in one neighbouring node first. The slots that lead to the window are replaced at the
 * next level, and so on, until a window is its whole level: then its list is the new root.
 *
 *     level 1            [ . . L . . R . . ]          window: one node; its slots L to R give way to the new leaves
 *                             /     \
 *     level 0        [ a b|c d ] .. [ e f|g h ]       lo falls between b and c, hi between f and g: the list is a b NEW
 *     g h
 *
 * Old nodes stay as they are for readers and are freed by rcu.
 */
#include "vma/node.h"
#include "sync/bug.h"

#define MAX_NEW 8u
/* Of one level's list: the slots beside lo and hi, and what is new between. It makes at most three nodes. */
#define MAX_LIST (2 * FANOUT + MAX_NEW)
#define NODES_A_LEVEL ((MAX_LIST + FANOUT - 1) / FANOUT)
#define NODES_A_COMMIT (NODES_A_LEVEL * (MAX_HEIGHT + 1))

struct slot {
	fl_va start, end;
	uint64_t gap;
	void *p;
};

/* The way from the root to a place at level 0: at[k] is the node at level k, and the slot in it. */
struct path {
	struct {
		struct fl_index_node *node;
		uint32_t i;
	} at[MAX_HEIGHT + 1];
};

struct commit {
	struct fl_index *x;
	struct fl_index_node *dead; /* chained */
	uint32_t height;
	struct path left, right;
	struct slot list[MAX_LIST];
	uint32_t n;
};

void fl_index_init(struct fl_index *x, uint64_t guard)
{
	x->root = NULL;
	x->count = 0;
	x->guard = guard;
	x->pool = NULL;
	x->pooled = 0;
	x->promised = 0;
}

static void free_node(struct fl_index_node *node)
{
	fl_port_free(node, sizeof(*node));
}

static void free_subtree(struct fl_index_node *node)
{
	uint32_t i;

	for (i = 0; node->level && i < node->n; i++)
		free_subtree(node->slot[i]);
	free_node(node);
}

static void free_chain(struct fl_index_node *node)
{
	struct fl_index_node *next;

	for (; node; node = next) {
		next = node->link;
		free_node(node);
	}
}

static void free_chain_after_grace(struct fl_rcu_head *head)
{
	free_chain(FL_CONTAINER_OF(head, struct fl_index_node, rcu));
}

void fl_index_destroy(struct fl_index *x)
{
	if (x->root)
		free_subtree(x->root);
	free_chain(x->pool);
	fl_index_init(x, x->guard);
}

/* The first slot that ends above va; n if none does. */
static uint32_t first_above(const struct fl_index_node *node, fl_va va)
{
	uint32_t i = 0;

	while (i < node->n && node->end[i] <= va)
		i++;
	return i;
}

struct fl_vma *fl_index_find(struct fl_index *x, fl_va va)
{
	struct fl_index_node *node;
	struct fl_vma *found = NULL;
	uint32_t i;

	fl_rcu_read_lock();
	/* Partner: the release in publish. */
	for (node = fl_load_acquire(&x->root); node; node = node->slot[i]) {
		i = first_above(node, va);
		if (i == node->n)
			break;
		if (!node->level) {
			found = node->slot[i];
			break;
		}
	}
	fl_rcu_read_unlock();
	return found;
}

struct fl_vma *fl_index_find_in(struct fl_index *x, fl_va lo, fl_va hi)
{
	struct fl_vma *v;

	fl_rcu_read_lock();
	v = fl_index_find(x, lo);
	if (v && v->start >= hi)
		v = NULL;
	fl_rcu_read_unlock();
	return v;
}

struct fl_vma *fl_index_find_prev(struct fl_index *x, fl_va va)
{
	struct fl_index_node *node, *below = NULL; /* the last subtree seen that lies wholly below va */
	struct fl_vma *found = NULL;
	uint32_t i;

	fl_rcu_read_lock();
	for (node = fl_load_acquire(&x->root); node; node = node->slot[i]) {
		i = first_above(node, va);
		if (!node->level) {
			found = i ? node->slot[i - 1] : NULL;
			break;
		}
		if (i)
			below = node->slot[i - 1];
		if (i == node->n)
			break;
	}
	if (!found && below) {
		while (below->level)
			below = below->slot[below->n - 1];
		found = below->slot[below->n - 1];
	}
	fl_rcu_read_unlock();
	return found;
}

static uint32_t height(const struct fl_index_node *root)
{
	return root ? root->level + 1 : 0;
}

/* The way to the first VMA that ends above va, or to behind the last one. */
static void descend(struct fl_index_node *root, fl_va va, struct path *p)
{
	struct fl_index_node *node = root;
	uint32_t i;

	for (;;) {
		i = first_above(node, va);
		if (node->level && i == node->n)
			i--;
		p->at[node->level].node = node;
		p->at[node->level].i = i;
		if (!node->level)
			return;
		node = node->slot[i];
	}
}

/*
 * Move p at level k to the next node (dir 1: its first slot) or to the one before (dir -1: behind its last). False:
 * there is none.
 */
static bool step(struct path *p, uint32_t k, uint32_t h, int dir)
{
	struct fl_index_node *node;
	uint32_t m;

	for (m = k + 1; m < h; m++) {
		if (dir > 0 ? p->at[m].i + 1 < p->at[m].node->n : p->at[m].i > 0)
			break;
	}
	if (m >= h)
		return false;
	p->at[m].i = dir > 0 ? p->at[m].i + 1 : p->at[m].i - 1;
	while (m > k) {
		node = p->at[m].node->slot[p->at[m].i];
		m--;
		p->at[m].node = node;
		p->at[m].i = dir > 0 ? 0 : node->n - 1;
	}
	if (dir < 0)
		p->at[k].i = p->at[k].node->n;
	return true;
}

static struct slot slot_of_vma(struct fl_vma *v)
{
	return (struct slot){.start = v->start, .end = v->end, .p = v};
}

static struct slot slot_of_node(struct fl_index_node *node)
{
	return (struct slot){
		.start = node->start[0],
		.end = node->end[node->n - 1],
		.gap = fl_index_node_gap(node),
		.p = node,
	};
}

static void append(struct commit *c, struct slot s)
{
	FL_ASSERT(c->n < MAX_LIST);
	c->list[c->n++] = s;
}

static void append_from(struct commit *c, const struct fl_index_node *node, uint32_t i, uint32_t end)
{
	for (; i < end; i++)
		append(c, (struct slot){node->start[i], node->end[i], node->gap[i], node->slot[i]});
}

static void retire(struct commit *c, struct fl_index_node *node)
{
	node->link = c->dead;
	c->dead = node;
}

/* Retire the window at level k. Returns how many of its slots do not lie before left or from right on. */
static uint32_t retire_window(struct commit *c, uint32_t k)
{
	struct path p = c->left;
	uint32_t gone = 0, from = p.at[k].i;

	while (p.at[k].node != c->right.at[k].node) {
		gone += p.at[k].node->n - from;
		from = 0;
		retire(c, p.at[k].node);
		if (!step(&p, k, c->height, 1))
			fl_port_panic(__FILE__, __LINE__, "index: the right end lies before the left one");
	}
	retire(c, p.at[k].node);
	return gone + c->right.at[k].i - from;
}

/* The window at level k is the whole level. */
static bool spans(const struct commit *c, uint32_t k)
{
	for (k++; k < c->height; k++) {
		if (c->left.at[k].i || c->right.at[k].i + 1 != c->right.at[k].node->n)
			return false;
	}
	return true;
}

/* The list is too short for a node: take in the node beside the window, to the left if there is one. */
static void widen(struct commit *c, uint32_t k)
{
	struct slot own[FANOUT];
	struct fl_index_node *node;
	uint32_t i, n = c->n;

	if (step(&c->left, k, c->height, -1)) {
		node = c->left.at[k].node;
		for (i = 0; i < n; i++)
			own[i] = c->list[i];
		c->n = 0;
		append_from(c, node, 0, node->n);
		for (i = 0; i < n; i++)
			append(c, own[i]);
		retire(c, node);
	} else if (step(&c->right, k, c->height, 1)) {
		node = c->right.at[k].node;
		append_from(c, node, 0, node->n);
		retire(c, node);
	}
}

static struct fl_index_node *take_node(struct fl_index *x)
{
	struct fl_index_node *node = x->pool;

	FL_ASSERT(node);
	x->pool = node->link;
	x->pooled--;
	return node;
}

/* Cut the list into nodes of level k, as even as can be; the list of the next level is theirs. */
static void make_nodes(struct commit *c, uint32_t k)
{
	uint32_t nodes = (c->n + FANOUT - 1) / FANOUT, from = 0, i, j, n;
	struct slot made[NODES_A_LEVEL];
	struct fl_index_node *node;

	for (i = 0; i < nodes; i++) {
		n = (c->n - from) / (nodes - i);
		node = take_node(c->x);
		node->level = k;
		node->n = n;
		for (j = 0; j < n; j++, from++) {
			node->start[j] = c->list[from].start;
			node->end[j] = c->list[from].end;
			node->gap[j] = c->list[from].gap;
			node->slot[j] = c->list[from].p;
		}
		made[i] = slot_of_node(node);
	}
	for (c->n = 0; c->n < nodes; c->n++)
		c->list[c->n] = made[c->n];
}

/* The list of level k is all there is: it becomes the root. */
static struct fl_index_node *make_root(struct commit *c, uint32_t k)
{
	for (;; k++) {
		if (!c->n)
			return NULL;
		if (c->n == 1 && k)
			return c->list[0].p;
		make_nodes(c, k);
	}
}

/* Work from the leaves to where the window is everything. Returns the new root. */
static struct fl_index_node *rebuild(struct commit *c, struct fl_vma *const *v, unsigned nv, uint32_t *gone)
{
	struct slot below[NODES_A_LEVEL];
	uint32_t k, i, n = 0;

	*gone = 0;
	for (k = 0; k < c->height; k++) {
		for (i = 0; k && i < c->n; i++)
			below[i] = c->list[i];
		n = k ? c->n : 0;
		i = retire_window(c, k);
		if (!k)
			*gone = i;
		c->n = 0;
		append_from(c, c->left.at[k].node, 0, c->left.at[k].i);
		for (i = 0; !k && i < nv; i++)
			append(c, slot_of_vma(v[i]));
		for (i = 0; i < n; i++)
			append(c, below[i]);
		/*
		 * Above the leaves the right path's own slot is in the window, at the leaves it is the first to stay.
		 */
		append_from(c, c->right.at[k].node, c->right.at[k].i + (k ? 1 : 0), c->right.at[k].node->n);
		if (c->n < MIN)
			widen(c, k);
		if (spans(c, k))
			break;
		make_nodes(c, k);
	}
	for (i = k + 1; i < c->height; i++)
		retire_window(c, i);
	if (!c->height) {
		for (i = 0; i < nv; i++)
			append(c, slot_of_vma(v[i]));
	}
	return make_root(c, k);
}

int fl_index_reserve(struct fl_index *x, struct fl_index_reserve *r, unsigned n)
{
	struct fl_index_node *node, *chain = NULL, *last = NULL;
	uint32_t missing, i;

	FL_ASSERT(n <= MAX_NEW && !r->nodes);
	fl_mutex_lock(&x->mutex);
	x->promised += NODES_A_COMMIT;
	missing = x->promised > x->pooled ? x->promised - x->pooled : 0;
	fl_mutex_unlock(&x->mutex);
	r->nodes = NODES_A_COMMIT;
	for (i = 0; i < missing; i++) {
		node = fl_port_alloc(sizeof(*node));
		if (!node) {
			free_chain(chain);
			fl_index_unreserve(x, r);
			return -FL_ENOMEM;
		}
		node->link = chain;
		chain = node;
		if (!last)
			last = node;
	}
	if (chain) {
		fl_mutex_lock(&x->mutex);
		last->link = x->pool;
		x->pool = chain;
		x->pooled += missing;
		fl_mutex_unlock(&x->mutex);
	}
	return 0;
}

/* Nodes that nobody may want soon. Under the mutex. */
static struct fl_index_node *trim(struct fl_index *x)
{
	struct fl_index_node *node, *chain = NULL;

	while (x->pooled > x->promised + NODES_A_COMMIT) {
		node = take_node(x);
		node->link = chain;
		chain = node;
	}
	return chain;
}

void fl_index_unreserve(struct fl_index *x, struct fl_index_reserve *r)
{
	struct fl_index_node *surplus;

	fl_mutex_lock(&x->mutex);
	x->promised -= r->nodes;
	surplus = trim(x);
	fl_mutex_unlock(&x->mutex);
	r->nodes = 0;
	free_chain(surplus);
}

void fl_index_commit(struct fl_index *x, struct fl_index_reserve *r, fl_va lo, fl_va hi, struct fl_vma *const *v,
		     unsigned n)
{
	struct fl_index_node *root, *surplus;
	struct commit c;
	uint32_t gone;

	FL_ASSERT(r->nodes && n <= MAX_NEW);
	fl_mutex_lock(&x->mutex);
	root = fl_load(&x->root);
	c.x = x;
	c.dead = NULL;
	c.n = 0;
	c.height = height(root);
	if (root) {
		descend(root, lo, &c.left);
		descend(root, hi, &c.right);
	}
	if (FL_BUG(index_emptied))
		fl_store_release(&x->root, NULL);
	root = rebuild(&c, v, n, &gone);
	/* Publish: the release makes the nodes and the VMAs in them whole for fl_index_find. */
	if (FL_BUG(index_unordered))
		fl_store(&x->root, root);
	else
		fl_store_release(&x->root, root);
	fl_store(&x->count, x->count + n - gone);
	x->promised -= r->nodes;
	r->nodes = 0;
	surplus = trim(x);
	fl_mutex_unlock(&x->mutex);
	free_chain(surplus);
	if (c.dead && FL_BUG(stack_rot))
		free_chain(c.dead);
	else if (c.dead)
		fl_rcu_call(&c.dead->rcu, free_chain_after_grace);
}
