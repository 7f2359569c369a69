//! Descriptors on the way: whatever a peer sends, whatever fails and whatever is dropped, this process
//! has open afterwards what the crate says that it has, and nothing else.
//!
//! Each test runs in a child, because what is counted is a whole process's. They are a program of
//! their own because a child, from its birth to its `exec`, has a copy of every descriptor of its
//! parent.

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

#[macro_use]
mod check;
mod ways;

mod batches;
mod closes;
mod dropped;
mod ends;
mod exhausted;
mod hostile;
mod in_place;
mod interrupted;
mod lengths;
mod planted;
