//! What sockets can be told and asked: time limits, queues, duplicates, and what may come along.

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

mod autobinding;
mod calls;
mod clones;
mod disconnecting;
mod handed_on;
mod limits;
mod offsets;
mod passing;
mod peeks;
mod queues;
mod traits;
