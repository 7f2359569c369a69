//! A program of no library at all that calls every public function of the crate, and checks what
//! each gives.
//!
//! It links only if none of them can panic; see `start`. Inputs pass through [`check::opaque`], so that
//! the compiler cannot settle a call by knowing what it is called with.

#![no_std]
#![no_main]

mod addr;
mod batches;
mod check;
mod control;
mod datagram;
mod deadlines;
mod embedded;
mod errors;
mod listeners;
mod out;
mod passing;
mod peer;
mod raw;
mod seqpacket;
mod shared;
mod socket_file;
#[path = "../start.rs"]
mod start;
mod stream;
mod text;

use check::Failure;

fn main() -> i32 {
    match run() {
        Ok(()) => 0,
        Err(failure) => {
            out::report(&failure);
            1
        }
    }
}

fn run() -> Result<(), Failure> {
    type Step = fn() -> Result<(), Failure>;
    let steps: [(&str, Step); 14] = [
        ("addresses", addr::run),
        ("text", text::run),
        ("errors", errors::run),
        ("streams", stream::run),
        ("embedded-io", embedded::run),
        ("seqpackets", seqpacket::run),
        ("datagrams", datagram::run),
        ("listeners", listeners::run),
        ("descriptors", passing::run),
        ("control messages", control::special),
        ("batches", batches::run),
        ("deadlines", deadlines::run),
        ("peers", peer::run),
        ("socket files", socket_file::run),
    ];
    for (name, step) in steps {
        step()?;
        start::print(name);
        start::print(" ok\n");
    }
    #[cfg(feature = "panicking")]
    {
        let index = check::opaque(1);
        check!([1, 2, 3][index] == 2);
    }
    Ok(())
}
