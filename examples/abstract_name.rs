//! An abstract name with NUL bytes in it, between a parent and its forked child.
//!
//! ```text
//! cargo run --example abstract_name
//! ```
//!
//! It shows that every byte of such a name counts: the name has a NUL in front, two inside and one
//! behind, and a name that lacks the last one is another, where nobody listens.

use std::fmt::Display;
use std::io::Write;
use std::process::{self, ExitCode};
use std::{env, io};

use afunix::{Errno, UnixAddr, UnixSeqpacket, UnixSeqpacketListener};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("abstract_name: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    if env::args_os().len() > 1 {
        return Err("usage: abstract_name".to_string());
    }
    // A parent whose child is lost would wait for ever. The child has no alarm of its own, but
    // each of its calls ends when the parent is gone.
    // SAFETY: no pointers, no handler.
    unsafe { libc::alarm(20) };

    // The process id keeps two runs apart; to the kernel the name is bytes, no text.
    let bytes = format!("\0afunix\0{}\0example\0", process::id());
    let name = abstract_name(bytes.as_bytes())?;
    let listener =
        UnixSeqpacketListener::bind(&name).map_err(cannot(format_args!("listen on {name}")))?;
    say(format_args!("parent: listening on {name}, {} bytes", bytes.len()))?;

    // SAFETY: there is no other thread that could hold a lock at this moment.
    match unsafe { libc::fork() } {
        -1 => Err(format!("cannot fork: {}", io::Error::last_os_error())),
        0 => {
            drop(listener);
            child(&name)
        }
        pid => {
            let met = parent(&listener);
            // The child, if it still waits for this side, gets the end instead.
            drop(listener);
            let ended = wait(pid);
            met.and(ended)
        }
    }
}

fn parent(listener: &UnixSeqpacketListener) -> Result<(), String> {
    let (child, from) = listener.accept().map_err(cannot("accept"))?;
    let mut buf = [0; 64];
    let received = child.recv(&mut buf).map_err(cannot("receive"))?;
    say(format_args!("parent: {from} says {}", buf[..received.bytes].escape_ascii()))?;
    child.send(b"welcome").map_err(cannot("answer"))?;
    Ok(())
}

fn child(name: &UnixAddr) -> Result<(), String> {
    let bytes = name.as_abstract_name().unwrap_or_default();
    let shorter = abstract_name(&bytes[..bytes.len() - 1])?;
    match UnixSeqpacket::connect(&shorter) {
        Err(Errno::CONNREFUSED) => say(format_args!("child: nobody at {shorter}, one byte less"))?,
        Err(errno) => return Err(cannot(format_args!("try {shorter}"))(errno)),
        Ok(_) => return Err(format!("somebody is at {shorter}")),
    }
    let parent = UnixSeqpacket::connect(name).map_err(cannot(format_args!("connect to {name}")))?;
    let peer = parent.peer_addr().map_err(cannot("ask for the peer"))?;
    say(format_args!("child: connected to {peer}"))?;
    parent.send(b"hello").map_err(cannot("send"))?;
    let mut buf = [0; 64];
    let received = parent.recv(&mut buf).map_err(cannot("receive"))?;
    say(format_args!("child: the parent says {}", buf[..received.bytes].escape_ascii()))
}

/// Waits for the child, and fails as it did.
fn wait(pid: libc::pid_t) -> Result<(), String> {
    let mut status = 0;
    // SAFETY: the pointer is good for the time of the call.
    while unsafe { libc::waitpid(pid, &mut status, 0) } < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(format!("cannot wait for the child: {error}"));
        }
    }
    if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0 {
        say("parent: the child ended well")
    } else {
        Err(format!("the child failed, wait status {status:#x}"))
    }
}

fn abstract_name(bytes: &[u8]) -> Result<UnixAddr, String> {
    UnixAddr::from_abstract_name(bytes)
        .map_err(|error| format!("bad name {}: {error}", bytes.escape_ascii()))
}

/// Prints a line. Where nobody takes it, as behind `| head -1`, that is an error and no panic.
fn say(line: impl Display) -> Result<(), String> {
    writeln!(io::stdout(), "{line}").map_err(|error| format!("cannot print: {error}"))
}

/// Says what failed and why in words: without `std` an `Errno` knows its number only.
fn cannot(what: impl Display) -> impl FnOnce(Errno) -> String {
    move |errno| format!("cannot {what}: {}", io::Error::from_raw_os_error(errno.raw_os_error()))
}
