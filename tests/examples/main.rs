//! The example programs as a user runs them: what they print, and how they end.

// No processes there.
#![cfg(not(miri))]

#[path = "../common/mod.rs"]
mod common;

mod abstract_name;
mod datagram;
mod echo;
mod passing;
mod program;
mod servers;
mod socketpair_fork;
mod tour;
