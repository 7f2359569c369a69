//! Files of sockets: what has the name that is wanted, how long a path may be, what the socket is set to
//! before it has one, and what the kernel does that all of this relies on.

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

mod facts;
mod facts_through;
mod held;
mod kit;
mod lengths;
mod live;
mod names;
mod prepared;
mod reach;
mod relative;
mod taken;
