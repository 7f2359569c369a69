//! Calls with a deadline: at once, in time, not at all, and never for longer than they may.

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

mod accepting;
mod calls;
mod connecting;
mod data;
mod ends;
mod interrupted;
mod poll;
mod to_addresses;
mod ways;
