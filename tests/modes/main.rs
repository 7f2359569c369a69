//! Who may do what with a socket's file, and in which directories: modes, owners, ACLs, directories of
//! others, full and read-only disks, processes without procfs or without their first thread. Each test
//! runs in a child.

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

mod acls;
mod admission;
mod chroots;
mod directories;
mod disks;
mod exact;
mod instants;
mod leaderless;
mod made;
mod mounts;
mod nobody;
mod others;
mod owners;
mod swaps;
