//! What Linux tests of these sockets itself, in `tools/testing/selftests/net/af_unix`, asked again
//! through this crate; what it does not offer, as urgent data, is asked by libc. The cases have the
//! kernel's names.
//!
//! | file               | what it asks                                                            |
//! |--------------------|-------------------------------------------------------------------------|
//! | `unix_connect.rs`  | who reaches whom from another network namespace                         |
//! | `unix_connreset.rs`| the end of a connection, and what makes it a reset                      |
//! | `so_peek_off.rs`   | peeks that move on, within a write and across writes                    |
//! | `scm_inq.rs`       | the number of bytes left, with each receive                             |
//! | `scm_pidfd.rs`     | credentials and pidfds of a live process and of one that is gone        |
//! | `scm_rights.rs`    | cycles of sockets in flight are collected, and nothing goes where it may not |
//! | `msg_oob.rs`       | urgent bytes: the mark, the signal, inline or not                       |
//!
//! Left out: `mixed_lowpoint` of `scm_rights`, whose sockets Linux 6.18 never frees, and what is newer
//! than that. Each file has a control, in which a wrong expectation is seen to fail.
//! `cargo test --test selftests -- --nocapture | grep 'checks: '` tells how much was checked.

// No processes there.
#![cfg(not(miri))]

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

#[allow(dead_code)]
#[path = "../options/traits.rs"]
mod traits;

#[macro_use]
mod check;

mod msg_oob;
mod scm_inq;
mod scm_pidfd;
mod scm_rights;
mod so_peek_off;
mod unix_connect;
mod unix_connreset;
