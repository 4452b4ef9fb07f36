/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Key exchange and rotation of the peer key between two routers (docs/protocol.md section 9, the
 * tables "Rotation" and "States"; lib/kex.c, lib/peering_keys.c). `make model` runs it.
 *
 * The link loses and reorders without limit; what is not sealed may come twice (what is sealed
 * carries a sequence number). Computations end at any time after they began. Routers restart with
 * what they had stored or without it, and may believe at any time that the peer has lost its keys.
 *
 * Asserted in every state:
 *	- a session packet can be read when it is sent and when it arrives, unless its receiver has
 *	  lost its keys; a packet is under way for a hold time at most
 *	- a BFD packet under the next key can be read
 *	- from here on, if the link is good and nobody restarts any more, both soon use the same key
 *	  (which is also why nothing deadlocks)
 *
 * A number stands for an exchange and the key that it agrees. Not modelled: cryptography, metadata
 * keys (a BFD packet stands for the sender's; metadata.pml has them), pieces of a message, rate limits,
 * the pause of a hold time between two rekeys.
 *
 * -DBROKEN=n makes mistakes that have to be found: see BROKEN below.
 */
#ifndef BROKEN
#define BROKEN 0
/*
 *	1  the responder uses the next key for sessions at once, without a sign of the peer
 *	2  the responder seals BFD packets by the next key at once
 *	3  an INIT is answered while a next key is in use
 *	4  no hold time: the key is used when the peer shows it, and the one before is forgotten
 *	5  a metadata key is sent under a peer key that is not confirmed
 */
#endif
#ifndef KEYS
#define KEYS 3		/* exchanges before the link becomes good */
#endif
#ifndef CALM_KEYS
#define CALM_KEYS 8	/* and numbers that are left then */
#endif
#ifndef RESTARTS
#define RESTARTS 1	/* with what was stored */
#endif
#ifndef LOSSES
#define LOSSES 0	/* restarts without it */
#endif
#ifndef OPENINGS
#define OPENINGS 1	/* of the door to what is not authenticated, without need */
#endif
#ifndef FLYING
#define FLYING 2	/* messages under way in each direction */
#endif

#define NO 3		/* no slot */
#define OTHER (1 - i)

/* messages: kind, exchange, key that seals it */
#define MSG(kind, x, seal) ((kind) * 256 + (x) * 16 + (seal))
#define KIND(m) ((m) / 256)
#define XID(m) (((m) / 16) & 15)
#define SEAL(m) ((m) & 15)
#define INIT 1
#define RESP 2
#define AUTH_I 3
#define AUTH_R 4
#define BFD 5		/* with the metadata key of the sender */
#define BARE 6		/* without it: its seal is not confirmed yet */

/* phases */
#define NONE 0
#define STARTING 1
#define INIT_SENT 2
#define RESP_SENT 3
#define AUTH_SENT 4
#define DONE 5

typedef Router {
	/* stored */
	byte slot[3];
	byte tx, nxt;		/* slots, NO: none */
	bit bfd;		/* BFD packets are sealed by nxt */
	bit service;		/* a path is in service */
	/* not stored */
	bit hold;		/* the peer has shown nxt */
	bit open;		/* listens to what is not authenticated */
	byte phase, x;
	bit auth;		/* the exchange runs under the confirmed key */
	bit job;		/* the exchange computes */
	byte pending;
	byte cand;		/* INIT that is looked at */
	bit candauth;
	short lost;		/* keys that were lost, a bit each */
};
Router r[2];			/* 0 has the smaller common name */

typedef Link {
	short m[FLYING];
	byte session;		/* key of a session packet under way */
	byte before;		/* routers whose hold time began after it was sent */
};
Link to[2];

byte used = 1;			/* numbers of exchanges */
byte restarts, losses, openings;
bit strange;			/* there was an exchange without authentication after the first one */
byte limit = KEYS;
byte k, n;			/* scratch */
short msg, out;
byte dst;
bit seen, fresh, current;
byte heard[2];

#define key_tx(j) (r[j].tx == NO -> 0 : r[j].slot[r[j].tx])
#define key_nxt(j) (r[j].nxt == NO -> 0 : r[j].slot[r[j].nxt])
#define key_bfd(j) ((r[j].nxt != NO && r[j].bfd) -> r[j].slot[r[j].nxt] : key_tx(j))
#define has(j, key) (r[j].slot[0] == (key) || r[j].slot[1] == (key) || r[j].slot[2] == (key))
#define has_lost(j, key) ((r[j].lost >> (key)) & 1)
#define starts(j) (r[j].phase == STARTING || r[j].phase == INIT_SENT || r[j].phase == AUTH_SENT)
#define under_way(j) (starts(j) || r[j].phase == RESP_SENT)
#if BROKEN == 3
#define may_rekey(j) true
#else
#define may_rekey(j) (r[j].nxt == NO || !r[j].bfd)
#endif
#define unwanted(j, a) ((starts(j) && j == 0) || ((a) && !may_rekey(j)))
#define seals(j, a) ((a) -> key_bfd(j) : 0)
/* what seals a BFD packet: who waits for AUTH_R without a key uses the new one */
#define bfd_seal(j) ((r[j].phase == AUTH_SENT && !r[j].auth && r[j].pending) -> r[j].pending : key_bfd(j))

/* Lost if there is no room. */
inline put()
{
	n = 0;
	do
	:: n < FLYING -> if :: to[dst].m[n] == 0 || to[dst].m[n] == out -> break :: else -> n++ fi
	:: else -> break
	od;
	if
	:: n < FLYING -> to[dst].m[n] = out
	:: else
	fi;
	n = 0; out = 0; dst = 0
}
#define send(j, message) out = message; dst = j; put()

inline abandon(j)
{
	r[j].phase = NONE; r[j].x = 0; r[j].auth = 0; r[j].job = 0; r[j].pending = 0
}

inline begin(j, sealed)
{
	abandon(j);
	used++;
	r[j].phase = STARTING; r[j].x = used; r[j].auth = sealed; r[j].job = 1
}

/* The peer has shown nxt. */
inline hold_begins(j)
{
	if
	:: !r[j].hold ->
		r[j].hold = 1;
		if
		:: to[0].session -> to[0].before = to[0].before | (1 << j)
		:: else
		fi;
		if
		:: to[1].session -> to[1].before = to[1].before | (1 << j)
		:: else
		fi
	:: else
	fi
}

inline use_next(j)
{
#if BROKEN == 4
	r[j].slot[r[j].tx] = 0;
#endif
	r[j].tx = r[j].nxt; r[j].nxt = NO; r[j].bfd = 0; r[j].hold = 0
}

inline confirm(j, initiator)
{
	n = (r[j].tx == NO -> 0 : (r[j].tx + 1) % 3);
	r[j].slot[n] = r[j].pending;
	r[j].pending = 0; r[j].cand = 0; r[j].candauth = 0; r[j].open = 0;
	if
	:: !r[j].auth ->
		strange = strange || (r[j].tx != NO);
		r[j].tx = n; r[j].nxt = NO; r[j].bfd = 0; r[j].hold = 0;
		r[j].service = 0 /* until the peer's metadata key comes under this one */
	:: else ->
		r[j].nxt = n; r[j].bfd = initiator; r[j].hold = 0;
#if BROKEN == 1
		if
		:: !(initiator) -> use_next(j)
		:: else
		fi;
#elif BROKEN == 2
		r[j].bfd = 1;
#endif
	fi;
	n = 0
}

/* A computation of the exchange ends. */
inline job_done(j)
{
	r[j].job = 0;
	if
	:: r[j].phase == STARTING ->
		r[j].phase = INIT_SENT;
		send(1 - j, MSG(INIT, r[j].x, seals(j, r[j].auth)))
	:: r[j].phase == INIT_SENT ->
		r[j].pending = r[j].x; r[j].phase = AUTH_SENT;
		send(1 - j, MSG(AUTH_I, r[j].x, r[j].x))
	:: r[j].phase == RESP_SENT ->
		r[j].phase = DONE;
		confirm(j, 0);
		send(1 - j, MSG(AUTH_R, r[j].x, r[j].x))
	:: r[j].phase == AUTH_SENT ->
		confirm(j, 1);
		abandon(j)
	:: else -> assert(false)
	fi
}

inline cand_done(j)
{
	k = r[j].cand; fresh = r[j].candauth;
	r[j].cand = 0; r[j].candauth = 0;
	if
	:: unwanted(j, fresh) || has(j, k) -> skip
	:: else ->
		abandon(j);
		r[j].phase = RESP_SENT; r[j].x = k; r[j].auth = fresh; r[j].pending = k;
		send(1 - j, MSG(RESP, k, seals(j, fresh)))
	fi;
	k = 0; fresh = 0
}

inline receive_init(j)
{
	if
	:: (SEAL(msg) != 0 && !current) || unwanted(j, SEAL(msg) != 0) -> skip
	:: else ->
		if
		:: r[j].phase == RESP_SENT && XID(msg) == r[j].x ->
			send(1 - j, MSG(RESP, r[j].x, seals(j, r[j].auth)))
		:: r[j].phase == DONE && XID(msg) == r[j].x -> skip
		:: else ->
			if
			:: r[j].cand == 0 && !has(j, XID(msg)) ->
				r[j].cand = XID(msg); r[j].candauth = (SEAL(msg) != 0)
			:: else
			fi
		fi
	fi
}

inline receive_piece(j)
{
	if
	:: KIND(msg) == INIT -> receive_init(j)
	:: KIND(msg) == RESP && r[j].phase == INIT_SENT && XID(msg) == r[j].x && !r[j].job &&
	   (SEAL(msg) != 0) == r[j].auth && (SEAL(msg) == 0 || current) -> r[j].job = 1
	:: KIND(msg) == AUTH_I && r[j].phase == RESP_SENT && XID(msg) == r[j].x && !r[j].job &&
	   !current -> r[j].job = 1
	:: KIND(msg) == AUTH_I && r[j].phase == DONE && XID(msg) == r[j].x ->
		send(1 - j, MSG(AUTH_R, r[j].x, r[j].x))
	:: KIND(msg) == AUTH_R && r[j].phase == AUTH_SENT && XID(msg) == r[j].x && !r[j].job &&
	   !current -> r[j].job = 1
	:: else
	fi
}

/* msg, taken from the link. */
inline receive(j)
{
	current = SEAL(msg) != 0 && (SEAL(msg) == key_tx(j) || SEAL(msg) == key_nxt(j));
	seen = (SEAL(msg) == 0 && r[j].open) || current ||
	       (SEAL(msg) != 0 && SEAL(msg) == r[j].pending);
	if
	:: seen ->
		if
		:: current || (SEAL(msg) != 0 && r[j].auth) -> /* authentic */
			heard[j] = 1;
			r[j].open = 0;
			if
			:: under_way(j) && !r[j].auth -> abandon(j)
			:: else
			fi;
			if
			:: r[j].cand && !r[j].candauth -> r[j].cand = 0
			:: else
			fi
		:: else
		fi;
		if
		:: current && KIND(msg) != AUTH_I && KIND(msg) != AUTH_R &&
		   SEAL(msg) == key_nxt(j) ->
			if
			:: !r[j].bfd ->
				r[j].bfd = 1;
				if
				:: under_way(j) && r[j].auth -> abandon(j)
				:: else
				fi;
				if
				:: r[j].candauth -> r[j].cand = 0; r[j].candauth = 0
				:: else
				fi
			:: else
			fi;
			hold_begins(j)
		:: else
		fi;
		if
		:: KIND(msg) == BFD && current -> r[j].service = 1
		:: KIND(msg) == BFD && !current -> skip
		:: KIND(msg) == BARE -> skip
		:: else -> receive_piece(j)
		fi
	:: else
	fi;
	current = 0; seen = 0; msg = 0
}

inline open_door(j)
{
	r[j].open = 1; r[j].service = 0;
	if
	:: under_way(j) && r[j].auth -> abandon(j)
	:: else
	fi;
	if
	:: r[j].candauth -> r[j].cand = 0; r[j].candauth = 0
	:: else
	fi
}

inline heartbeat(j)
{
	k = bfd_seal(j);
	/* A next key seals BFD packets only if the other one can read it. */
	assert(strange || k == 0 || k == r[j].pending || k != key_nxt(j) ||
	       k == key_tx(1 - j) || k == key_nxt(1 - j) || has_lost(1 - j, k));
#if BROKEN != 5
	fresh = (k != 0 && k == r[j].pending);
#endif
	send(1 - j, MSG((fresh -> BARE : BFD), 0, k));
	k = 0; fresh = 0
}

inline session_send(j)
{
	to[1 - j].session = key_tx(j);
	to[1 - j].before = 0;
	assert(has(1 - j, to[1 - j].session) || has_lost(1 - j, to[1 - j].session))
}

inline session_arrives(j)
{
	assert(has(j, to[j].session) || has_lost(j, to[j].session));
	to[j].session = 0; to[j].before = 0
}

inline lose_state(j)
{
	for (n : 0 .. 2) {
		if
		:: r[j].slot[n] -> r[j].lost = r[j].lost | (1 << r[j].slot[n]); r[j].slot[n] = 0
		:: else
		fi
	}
	n = 0;
	r[j].tx = NO; r[j].nxt = NO; r[j].bfd = 0; r[j].service = 0; r[j].open = 1
}

inline restart(j)
{
	abandon(j);
	r[j].cand = 0; r[j].candauth = 0; r[j].hold = 0
}

/* ---- from here on all goes well -------------------------------------------------------------- */

#define agreed (r[0].tx != NO && r[1].tx != NO && key_tx(0) == key_tx(1) && \
		(r[0].nxt == NO || !r[0].bfd) && (r[1].nxt == NO || !r[1].bfd) && \
		r[0].service && r[1].service && !under_way(0) && !under_way(1))

/* Everything under way arrives, every computation ends; twice, so that answers arrive too. */
inline calm_deliver()
{
	for (i : 0 .. 1) {
		if
		:: r[i].job -> job_done(i)
		:: else
		fi;
		if
		:: r[i].cand -> cand_done(i)
		:: else
		fi
	}
	for (i : 0 .. 1) {
		for (c : 0 .. FLYING - 1) {
			msg = to[i].m[c];
			to[i].m[c] = 0;
			if
			:: msg -> receive(i)
			:: else
			fi
		}
	}
}

/* Session packets have arrived or are lost, hold times end. */
inline calm_hold()
{
	for (i : 0 .. 1) {
		if
		:: to[i].session -> session_arrives(i)
		:: else
		fi
	}
	for (i : 0 .. 1) {
		if
		:: r[i].nxt != NO && r[i].hold -> use_next(i)
		:: else
		fi
	}
}

inline calm_retransmit()
{
	for (i : 0 .. 1) {
		heartbeat(i);
		if
		:: r[i].phase == INIT_SENT && !r[i].job ->
			send(OTHER, MSG(INIT, r[i].x, seals(i, r[i].auth)))
		:: r[i].phase == AUTH_SENT && !r[i].job ->
			send(OTHER, MSG(AUTH_I, r[i].x, r[i].x))
		:: else
		fi
	}
}

/* What has not succeeded by now is given up; who was not heard has lost its keys. */
inline calm_time_out()
{
	for (i : 0 .. 1) {
		if
		:: (r[i].phase == RESP_SENT || r[i].phase == AUTH_SENT ||
		    (r[i].phase == INIT_SENT && r[i].auth)) -> abandon(i)
		:: else
		fi;
		if
		:: !heard[i] -> open_door(i)
		:: else
		fi;
		heard[i] = 0
	}
	for (i : 0 .. 1) {
		if
		:: r[i].open && !under_way(i) && !r[i].cand && (i == 0 || !under_way(0)) &&
		   used < limit -> begin(i, 0)
		:: else
		fi
	}
}

/* Six times as long as an exchange needs, with time-outs in between; or until it stays good. */
inline calm()
{
	limit = CALM_KEYS + KEYS;
	heard[0] = 0; heard[1] = 0;
	a = 0; b = 0;
	do
	:: a == 42 || b == 3 -> break
	:: else ->
		calm_deliver();
		calm_retransmit();
		calm_deliver();
		calm_hold();
		a++;
		if
		:: agreed -> b++
		:: else -> b = 0
		fi;
		if
		:: a % 6 == 0 -> calm_time_out()
		:: else
		fi
	od;
	assert(agreed)
}

/* ---- everything that may happen -------------------------------------------------------------- */

active proctype world()
{
	byte i, a, b, c;

	d_step {
		/* both have agreed on key 1 */
		r[0].slot[0] = 1; r[1].slot[0] = 1;
		r[0].nxt = NO; r[1].nxt = NO;
		r[0].service = 1; r[1].service = 1
	}
	do
	:: atomic {
		select(i : 0 .. 1);
		if
		/* an exchange begins */
		:: r[i].tx != NO && !r[i].open && !under_way(i) && !r[i].cand && may_rekey(i) &&
		   used < limit -> d_step { begin(i, 1) }
		:: r[i].open && !under_way(i) && !r[i].cand && used < limit ->
			d_step { begin(i, 0) }
		/* computations end */
		:: r[i].job -> d_step { job_done(i) }
		:: r[i].cand -> d_step { cand_done(i) }
		/* repeated, or given up */
		:: r[i].phase == INIT_SENT && !r[i].job ->
			d_step { send(OTHER, MSG(INIT, r[i].x, seals(i, r[i].auth))) }
		:: r[i].phase == AUTH_SENT && !r[i].job ->
			d_step { send(OTHER, MSG(AUTH_I, r[i].x, r[i].x)) }
		:: (r[i].phase == INIT_SENT || r[i].phase == RESP_SENT ||
		    r[i].phase == AUTH_SENT) && !r[i].job -> d_step { abandon(i) }
		/* BFD */
		:: d_step { heartbeat(i) }
		:: openings < OPENINGS && !r[i].open ->
			d_step { openings++; open_door(i) }
		/* the link */
		:: select(c : 0 .. FLYING - 1);
			if
			:: to[i].m[c] != 0 ->
				msg = to[i].m[c];
				if
				:: to[i].m[c] = 0
				:: SEAL(msg) == 0 -> skip /* comes once more */
				fi;
				d_step { receive(i) }
			:: to[i].m[c] != 0 -> to[i].m[c] = 0
			:: else
			fi
		/* session packets */
		:: r[i].service && to[OTHER].session == 0 -> d_step { session_send(i) }
		:: to[i].session != 0 -> d_step { session_arrives(i) }
		:: to[i].session != 0 -> to[i].session = 0; to[i].before = 0
		/* hold times: what was under way when this one began has arrived or is lost */
		:: r[i].nxt != NO && r[i].hold && (!r[i].service ||
		   (((to[0].before | to[1].before) >> i) & 1) == 0) -> d_step { use_next(i) }
		/* restarts */
		:: restarts < RESTARTS -> d_step { restarts++; restart(i) }
		:: losses < LOSSES -> d_step { losses++; restart(i); lose_state(i) }
		fi;
		c = 0; i = 0
	   }
	:: d_step { calm() } -> break
	od
}
