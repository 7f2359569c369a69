//! Many messages in one call, by the methods and by the free functions.

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

#[macro_use]
mod ways;

mod calls;
mod contents;
mod ends;
mod errors;
mod fds;
mod leftovers;
mod partial;
mod properties;
mod receiving;
mod sizes;
