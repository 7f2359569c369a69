//! What depends on the whole process: whose it is, its limits, its umask, its folder, its mounts. Each
//! test runs in a child.
//!
//! They are a program of their own because a child, from its birth to its `exec`, has a copy of
//! every descriptor of its parent: what a test beside it closes would not be closed yet.

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

mod filters;
mod limits;
mod modes;
mod mounts;
mod permissions;
mod surroundings;
#[path = "../errno/table.rs"]
mod table;
