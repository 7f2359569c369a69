//! Our sockets against programs that everybody has, and one of the examples against their servers.
//!
//! | program      | what it does                                                                |
//! |--------------|-----------------------------------------------------------------------------|
//! | `curl`       | asks our listener: a path, the longest that it takes, an abstract name      |
//! | `socat`      | each type, as server and as client: a path, an abstract name, a padded one  |
//! | `postgres`   | its peer authentication lets us in, by our effective user, or does not      |
//! | `unixserver` | tells who our client is, and we who it is                                   |
//! | `unixclient` | tells who our listener is, and we who it is                                 |
//! | Python       | its `http.server` answers the example `http_get`, and so does a script of socat |
//!
//! Where one of them is missing, the tests that need it say so.

// No processes there.
#![cfg(not(miri))]

#[path = "../common/mod.rs"]
mod common;

// How the examples are found and built.
#[allow(dead_code)]
#[path = "../examples/program.rs"]
mod program;

mod curl;
mod http;
mod identity;
mod postgres;
mod socat;
mod tool;
mod ucspi;
