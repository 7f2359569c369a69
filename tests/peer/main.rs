//! Who is at the other end: what the kernel knows of a peer, that this crate says just that, and that
//! the checks let nobody else through.
//!
//! What changes the process runs in a child: ids, limits, filters, namespaces.

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

mod asks;
mod calls;
mod checks;
mod contexts;
mod elsewhere;
mod errors;
mod exhausted;
mod filters;
mod groups;
mod identity;
mod messages;
// How the tests of control messages send and receive.
#[allow(dead_code)]
#[path = "../ancillary/methods.rs"]
mod methods;
mod nobody;
mod pidfds;
#[allow(dead_code)]
#[path = "../ancillary/plain.rs"]
mod plain;
mod processes;
