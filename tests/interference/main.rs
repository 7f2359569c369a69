//! What happens to socket files between two system calls and at each of them: others put their own files
//! there, calls fail, the lock is taken, descriptors are used up.
//!
//! A program of its own, as its tests fork: see `tests/process`.

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

mod acts;
mod descriptors;
mod life;
mod locked;
mod naive;
#[macro_use]
mod operations;
mod put_back;
mod refused;
mod replaced;
mod world;
