//! The five types against the kernel: each call, what it gives, and what it leaves alone.

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

mod adoption;
mod bytes;
mod capacity;
mod closing;
mod connecting;
mod datagrams;
mod discarded;
mod files;
mod listening;
mod messages;
mod names;
mod nonblocking;
mod polling;
mod seen_names;
mod waiting;
