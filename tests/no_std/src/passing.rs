//! A program that passes one descriptor and nothing else, to see how small that is.

#![no_std]
#![no_main]

mod start;

use afunix::{AsFd, UnixStream};

fn main() -> i32 {
    match pass() {
        Some(()) => 0,
        None => 1,
    }
}

/// Sends one end of a connection over another, and talks through what arrives.
fn pass() -> Option<()> {
    let (here, there) = UnixStream::pair().ok()?;
    let (passed, kept) = UnixStream::pair().ok()?;
    here.send_fds(b"x", &[passed.as_fd()]).ok()?;
    let mut buf = [0; 64];
    let (_, [fd]) = there.recv_fds_exact::<1>(&mut buf).ok()?;
    UnixStream::from_fd_unchecked(fd).write(b"a passed stream says hello\n").ok()?;
    let count = kept.read(&mut buf).ok()?;
    start::print(str::from_utf8(buf.get(..count)?).ok()?);
    Some(())
}
