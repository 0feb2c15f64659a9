/* SPDX-License-Identifier: MIT */
/*
 * For the tests of userfaultfd: a world (world_support.h) with some users, that is threads of the guest, and a context
 * after its handshake.
 * The calls below are the guest's: their structures go through its memory.
 *
 * What fails here stops the program (CHECK), so that all of it may be used in bodies.
 */
#ifndef FL_TEST_UFFD_SUPPORT_H
#define FL_TEST_UFFD_SUPPORT_H

#include "concurrent.h"
#include "world_support.h"

#define UFFD_USERS 16
#define UNTOUCHED 777

struct uffd_user {
	struct thread thread;
	fl_va args;    /* a page of its own, for structures and buffers */
	int64_t field; /* result word of its last fill */
};

struct uffd_world {
	struct world w;
	struct fl_uffd *u; /* NULL: the test has released it */
	uint32_t unread;   /* (a) what the context said last */
	size_t n;
	struct uffd_user users[UFFD_USERS];
};

/* users: how many. flags, features: of the context w->u. */
void uffd_world_open(struct uffd_world *w, size_t users, int flags, uint64_t features);
/* The same with so many frames. */
void uffd_world_open_small(struct uffd_world *w, size_t users, int flags, uint64_t features, unsigned frames);
/* Nobody waits any more. Releases the context, and closes the world with all its checks. */
void uffd_world_close(struct uffd_world *w);
/* The last close of w->u. */
void uffd_world_release(struct uffd_world *w);

/* A user in mm (a child made by fork, say), beyond those of the world. */
void uffd_user_open(struct uffd_user *user, struct uffd_world *w, struct fl_mm *mm, uint32_t tid);
void uffd_user_close(struct uffd_user *user);

/* A context that the world does not know. features: of its handshake; UINT64_MAX: none. */
struct fl_uffd *uffd_open(struct uffd_user *user, int flags, uint64_t features);

/* n pages of private anonymous memory; filled: every byte is c. */
fl_va uffd_map(struct uffd_user *user, uint64_t pages);
fl_va uffd_map_filled(struct uffd_user *user, uint64_t pages, int c);

/* The ioctls: 0 or -errno. */
int uffd_api(struct uffd_user *user, struct fl_uffd *u, struct fl_uffdio_api *io);
int uffd_register_mode(struct uffd_user *user, struct fl_uffd *u, fl_va start, uint64_t len, uint64_t mode,
		       uint64_t *mask);
int uffd_register(struct uffd_user *user, struct fl_uffd *u, fl_va start, uint64_t pages);
int uffd_unregister(struct uffd_user *user, struct fl_uffd *u, fl_va start, uint64_t len);
int uffd_wake(struct uffd_user *user, struct fl_uffd *u, fl_va start, uint64_t len);
int uffd_copy_raw(struct uffd_user *user, struct fl_uffd *u, fl_va dst, fl_va src, uint64_t len, uint64_t mode);
int uffd_copy(struct uffd_user *user, struct fl_uffd *u, fl_va dst, fl_va src, uint64_t pages);
int uffd_zero_raw(struct uffd_user *user, struct fl_uffd *u, fl_va start, uint64_t len, uint64_t mode);
int uffd_zero(struct uffd_user *user, struct fl_uffd *u, fl_va start, uint64_t pages);

/* The next message. blocking: waits for it. True if there is one. */
bool uffd_next(struct uffd_user *user, struct fl_uffd *u, bool blocking, struct fl_uffd_msg *m);
uint32_t uffd_pending(struct fl_uffd *u);
uint32_t uffd_total(struct fl_uffd *u);

/*
 * Let others run until the user sleeps in the engine. A thread whose message has been read may not be asleep yet: it
 * looks once more.
 */
void uffd_until_asleep(struct uffd_user *user);

/* One byte, as the guest's own access. Must succeed, or: the outcome. */
int uffd_load(struct uffd_user *user, fl_va va);
void uffd_store(struct uffd_user *user, fl_va va, int value);
enum fl_outcome uffd_try_load(struct uffd_user *user, fl_va va, int *value);

#endif
