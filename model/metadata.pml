/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Metadata keys of one router and one peer (docs/protocol.md section 9, "Metadata keys";
 * lib/ownkeys.c, lib/peering_keys.c). `make model` runs it. Both directions are alike and do not
 * touch each other, so one is enough: the owner makes keys and tells them, the peer sends metadata
 * under them.
 *
 * BFD packets of two paths, that of each path in order or lost: a packet of one may overtake those of
 * the other by any number of rotations. Session packets under way arrive late or never; a hold time
 * outlives them. Both restart with what they had stored or without it; then strangers agree another
 * peer key, which is one number here (rotation.pml has the exchange itself): what is sealed by
 * another one than the receiver's is not read.
 *
 * Asserted in every state:
 *	- a session packet can be read when it is sent and when it arrives, unless the owner has lost
 *	  its keys since
 *	- what the peer has acknowledged last, the owner holds
 *	- from here on, if nothing is lost and nobody restarts any more, the peer uses the owner's
 *	  current key, and the owner holds no other one (so nothing deadlocks)
 *
 * -DBROKEN=n makes mistakes that have to be found: see BROKEN below.
 */
#ifndef BROKEN
#define BROKEN 0
/*
 *	1  the owner tells a key before it has stored it
 *	2  the owner wipes the keys before as soon as the current one is acknowledged
 *	3  an announcement that was overtaken is taken
 *	4  the owner makes another key with all slots in use, in place of the oldest
 *	5  the peer puts a new key where the one in use is
 *	6  an acknowledgement of any key counts for the current one
 */
#endif
#ifndef KEYS
#define KEYS 4		/* that the owner makes at most */
#endif
#ifndef RESTARTS
#define RESTARTS 1	/* of both together, with what was stored */
#endif
#ifndef LOSSES
#define LOSSES 0	/* without it */
#endif
#ifndef OUTAGES
#define OUTAGES 0	/* of all paths */
#endif

#ifndef PEER_KEYS
#define PEER_KEYS 4	/* numbers of them; a loss takes one, an exchange the next */
#endif

#define PATHS 2
#define NO 3		/* no slot */

/* The owner. Stored: */
byte own[3];		/* numbers of keys, 0: free */
byte current;		/* slot */
/* not stored: */
byte told;		/* BROKEN 1: announced, not stored yet */
bit acked;		/* the peer has the current key */
bit settling;		/* and the session packets before that are on their way still */

/* The peer. Stored: */
byte meta[3];
byte tx, nxt;		/* slots */
/* not stored: */
bit wait;		/* the hold time of nxt runs */
byte ack[PATHS];	/* to be sent on that path */

byte peer_key_owner = 1, peer_key_peer = 1; /* 0: none */
byte newest_peer_key = 1;
bit service_owner = 1, service_peer = 1; /* paths are up, as each sees it */

/* A packet under way on each path: key that is told or acknowledged, and peer key that seals it. */
byte ann[PATHS], ann_seal[PATHS];
byte rep[PATHS], rep_seal[PATHS];

byte session;		/* metadata key of a session packet under way, 0: none */
bit before_hold, before_settle; /* it was sent before the hold time (the settling) began */
short lost;		/* keys that the owner has lost, a bit each */
byte made = 1;
byte restarts, losses, outages;
byte i, n, k, p;

#define current_key own[current]
#define holds(key) (own[0] == (key) || own[1] == (key) || own[2] == (key))
#define is_lost(key) ((lost >> (key)) & 1)
#define tx_key (tx == NO -> 0 : meta[tx])

inline clear_peers_meta()
{
	for (n : 0 .. 2) {
		meta[n] = 0
	}
	n = 0;
	tx = NO; nxt = NO; wait = 0
}

inline rotate()
{
	n = 0;
	do
	:: n < 3 && own[n] != 0 -> n++
	:: else -> break
	od;
#if BROKEN == 4
	if
	:: n == 3 -> n = (current + 1) % 3
	:: else
	fi;
#endif
	if
	:: n < 3 ->
		made++;
		acked = 0; settling = 0;
#if BROKEN == 1
		told = made;
#else
		own[n] = made;
		current = n;
#endif
	:: else /* -EBUSY */
	fi;
	n = 0
}

/* BROKEN 1: what should have been done first. */
inline store_told()
{
	n = 0;
	do
	:: n < 3 && own[n] != 0 -> n++
	:: else -> break
	od;
	if
	:: n < 3 -> own[n] = told; current = n
	:: else
	fi;
	told = 0; n = 0
}

inline retire()
{
	for (n : 0 .. 2) {
		if
		:: n != current -> own[n] = 0
		:: else
		fi
	}
	n = 0; settling = 0
}

/* A heartbeat of the owner on path p: the key is in it until the peer has acknowledged it. */
inline announce()
{
	ann[p] = (acked -> 0 : (told -> told : current_key));
	ann_seal[p] = peer_key_owner
}

inline use_next()
{
	tx = nxt; nxt = NO; wait = 0
}

/* Slot for a new key: that of the next one, else the one behind that in use. */
inline install(key)
{
	n = (nxt != NO -> nxt : (tx != NO -> (tx + 1) % 3 : 0));
#if BROKEN == 5
	n = (tx != NO -> tx : 0);
#endif
	meta[n] = key;
	nxt = n;
	n = 0;
	if
	:: tx == NO || !service_peer -> use_next()
	:: else ->
		wait = 1;
		before_hold = (session != 0)
	fi
}

#define newest (nxt != NO -> meta[nxt] : tx_key)
#if BROKEN == 3
#define overtaken(key) false
#else
#define overtaken(key) (newest != 0 && (key) < newest && newest - (key) <= 3)
#endif

inline peer_receives()
{
	k = ann[p];
	if
	:: ann_seal[p] == peer_key_peer && peer_key_peer != 0 ->
		if
		:: k != 0 ->
			ack[p] = k;
			if
			:: k == meta[0] || k == meta[1] || k == meta[2] || overtaken(k) -> skip
			:: else -> install(k)
			fi
		:: else
		fi;
		service_peer = (tx != NO)
	:: else
	fi;
	ann[p] = 0; ann_seal[p] = 0; k = 0
}

inline peer_sends()
{
	rep[p] = ack[p]; rep_seal[p] = peer_key_peer;
	ack[p] = 0
}

inline owner_receives()
{
	if
	:: rep_seal[p] == peer_key_owner && peer_key_owner != 0 ->
		service_owner = 1;
#if BROKEN != 6
		if
		:: rep[p] != 0 && rep[p] == current_key && !acked ->
#else
		if
		:: rep[p] != 0 && !acked ->
#endif
			assert(holds(rep[p]) || BROKEN == 6);
			acked = 1; settling = 1;
#if BROKEN == 2
			retire();
#endif
			before_settle = (session != 0)
		:: else
		fi
	:: else
	fi;
	rep[p] = 0; rep_seal[p] = 0
}

inline session_send()
{
	session = tx_key;
	before_hold = 0; before_settle = 0;
	assert(holds(session) || is_lost(session))
}

inline session_arrives()
{
	assert(holds(session) || is_lost(session));
	session = 0; before_hold = 0; before_settle = 0
}

inline forget_packets()
{
	for (n : 0 .. PATHS - 1) {
		ack[n] = 0
	}
	n = 0
}

inline owner_loses()
{
	for (n : 0 .. 2) {
		if
		:: own[n] -> lost = lost | (1 << own[n]); own[n] = 0
		:: else
		fi
	}
	n = 0;
	made++;
	own[0] = made; current = 0; told = 0;
	acked = 0; settling = 0;
	peer_key_owner = 0; newest_peer_key++; service_owner = 0
}

inline peer_loses()
{
	clear_peers_meta();
	forget_packets();
	peer_key_peer = 0; newest_peer_key++; service_peer = 0
}

/*
 * An exchange of strangers: the responder has the new peer key first, the initiator when it hears of
 * it. Each forgets the other's metadata key when it gets the key, and tells its own again.
 */
inline owner_confirms(key)
{
	peer_key_owner = key;
	acked = 0; settling = 0; service_owner = 0
}

inline peer_confirms(key)
{
	peer_key_peer = key;
	service_peer = 0;
	clear_peers_meta();
	forget_packets()
}

/*
 * Two hold times and the detection time after the acknowledgement, or after the last contact and the
 * last announcement: by then the peer's own hold time is over, or the peer is out of service, and what
 * was sent before has arrived.
 */
#define settled (settling && acked && (!wait || !service_peer) && (nxt == NO || !service_peer) && \
		 !(session && (before_settle || before_hold)) && (session == 0 || session == current_key))
#define stale(p) (ann_seal[p] != 0 && ann[p] != current_key && !acked)
#define out_of_contact (!service_owner && !service_peer && session == 0 && !stale(0) && !stale(1))

/* ---- from here on all goes well -------------------------------------------------------------- */

inline calm()
{
	session = 0;
	i = 0;
	do
	:: i == 4 -> break
	:: else ->
		if
		:: told -> store_told()
		:: else
		fi;
		if
		:: peer_key_owner != peer_key_peer || peer_key_owner == 0 ->
			newest_peer_key++;
			owner_confirms(newest_peer_key);
			peer_confirms(newest_peer_key)
		:: else
		fi;
		for (p : 0 .. PATHS - 1) {
			ann[p] = 0; rep[p] = 0;
			announce();
			peer_receives();
			peer_sends();
			owner_receives()
		}
		p = 0;
		if
		:: nxt != NO -> use_next()
		:: else
		fi;
		if
		:: settling && acked -> retire()
		:: else
		fi;
		i++
	od;
	i = 0;
	assert(tx_key == current_key && acked && service_peer && service_owner);
	for (n : 0 .. 2) {
		assert(n == current || own[n] == 0)
	}
	n = 0
}

/* ---- everything that may happen -------------------------------------------------------------- */

active proctype world()
{
	own[0] = 1; meta[0] = 1;
	nxt = NO;
	acked = 1;
	do
	:: atomic {
		if
		:: made < KEYS -> d_step { rotate() }
		:: told != 0 -> d_step { store_told() }
		:: settled -> d_step { retire() }
		:: out_of_contact -> d_step { retire() }
		:: select(p : 0 .. PATHS - 1);
			if
			/* one heartbeat under way on each path, if it tells anything; a newer one takes its place */
			:: peer_key_owner != 0 && (!acked || !service_peer) -> d_step { announce() }
			:: ann_seal[p] != 0 -> d_step { peer_receives() }
			:: peer_key_peer != 0 && (ack[p] != 0 || !service_owner) -> d_step { peer_sends() }
			:: rep_seal[p] != 0 -> d_step { owner_receives() }
			:: else
			fi
		/* the peer's hold time: what was sent before it has arrived or is lost */
		:: wait && !before_hold -> d_step { use_next() }
		:: service_peer && session == 0 && tx != NO -> d_step { session_send() }
		:: session != 0 -> d_step { session_arrives() }
		:: session != 0 -> session = 0; before_hold = 0; before_settle = 0
		/* restarts */
		:: restarts < RESTARTS -> d_step {
			/* of the owner: whether the peer has the key must be heard again */
			restarts++; told = 0; acked = 0; settling = 0 }
		:: restarts < RESTARTS -> d_step {
			/* of the peer: the next key may be used at once */
			restarts++; forget_packets();
			if
			:: nxt != NO -> use_next()
			:: else
			fi }
		:: losses < LOSSES && made < KEYS -> d_step { losses++; owner_loses() }
		:: losses < LOSSES -> d_step { losses++; peer_loses() }
		/* out of contact: both notice within the detection time, what was under way is over */
		:: outages < OUTAGES && session == 0 -> d_step {
			outages++; service_owner = 0; service_peer = 0;
			if
			:: nxt != NO -> use_next() /* nobody to wait for */
			:: else
			fi;
			for (n : 0 .. PATHS - 1) {
				ann[n] = 0; ann_seal[n] = 0; rep[n] = 0; rep_seal[n] = 0
			}
			n = 0 }
		/* an exchange of strangers begins at the responder, and ends at the initiator */
		:: (peer_key_owner == 0 || peer_key_peer == 0) && newest_peer_key < PEER_KEYS &&
		   session == 0 -> d_step { newest_peer_key++; owner_confirms(newest_peer_key) }
		:: (peer_key_owner == 0 || peer_key_peer == 0) && newest_peer_key < PEER_KEYS &&
		   session == 0 -> d_step { newest_peer_key++; peer_confirms(newest_peer_key) }
		:: peer_key_owner != newest_peer_key && peer_key_peer == newest_peer_key ->
			d_step { owner_confirms(newest_peer_key) }
		:: peer_key_peer != newest_peer_key && peer_key_owner == newest_peer_key ->
			d_step { peer_confirms(newest_peer_key) }
		fi;
		p = 0
	   }
	:: d_step { calm() } -> break
	od
}
