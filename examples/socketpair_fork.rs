//! A pair of sockets for a parent and its forked child: a question, an answer, an exit status.
//!
//! ```text
//! cargo run --example socketpair_fork
//! cargo run --example socketpair_fork -- 3 14
//! cargo run --example socketpair_fork -- 3 pi
//! ```
//!
//! It shows that a pair needs no name, that each side must close the other's end (only then does
//! the death of one end a `recv` of the other), and how the parent learns whether the child did
//! well: by its exit status, as in the third command.

use std::fmt::Display;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::{env, io};

use afunix::{Errno, UnixSeqpacket};

const USAGE: &str = "usage: socketpair_fork [NUMBER NUMBER]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("socketpair_fork: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let args: Vec<_> = env::args_os().skip(1).collect();
    let question = match args.as_slice() {
        [] => b"6 7".to_vec(),
        [help] if help == "--help" || help == "-h" => return say(USAGE),
        [one, other] => [one.as_bytes(), b" ", other.as_bytes()].concat(),
        _ => return Err(USAGE.to_string()),
    };
    let (parents, childs) = UnixSeqpacket::pair().map_err(cannot("make a pair"))?;
    // SAFETY: there is no other thread that could hold a lock at this moment.
    match unsafe { libc::fork() } {
        -1 => Err(format!("cannot fork: {}", io::Error::last_os_error())),
        0 => {
            drop(parents);
            child(&childs)
        }
        pid => {
            drop(childs);
            let asked = parent(&parents, &question);
            // The child, if it still waits for a question, gets the end instead.
            drop(parents);
            // What the child did counts more: it is the reason where it gave no answer.
            wait(pid)?;
            asked
        }
    }
}

fn parent(socket: &UnixSeqpacket, question: &[u8]) -> Result<(), String> {
    say(format_args!("parent: what is the product of {}?", question.escape_ascii()))?;
    socket.send(question).map_err(cannot("ask"))?;
    let mut buf = [0; 64];
    match receive(socket, &mut buf)? {
        b"" => Err("the child gave no answer".to_string()),
        answer => say(format_args!("parent: the child says {}", answer.escape_ascii())),
    }
}

fn child(socket: &UnixSeqpacket) -> Result<(), String> {
    let mut buf = [0; 64];
    let question = receive(socket, &mut buf)?;
    say(format_args!("child: asked for {}", question.escape_ascii()))?;
    let product = str::from_utf8(question)
        .ok()
        .and_then(|text| text.split_once(' '))
        .and_then(|(one, other)| one.parse::<i64>().ok()?.checked_mul(other.parse().ok()?))
        .ok_or("these are no two numbers, or too large ones")?;
    socket.send(product.to_string().as_bytes()).map_err(cannot("answer"))?;
    Ok(())
}

/// Receives one message; none means that the other side is gone.
fn receive<'a>(socket: &UnixSeqpacket, buf: &'a mut [u8]) -> Result<&'a [u8], String> {
    let received = loop {
        match socket.recv(buf) {
            Err(Errno::INTR) => {}
            received => break received.map_err(cannot("receive"))?,
        }
    };
    if received.is_truncated() {
        return Err(format!("a message of {} bytes is too long", received.size));
    }
    Ok(&buf[..received.bytes])
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
    if libc::WIFSIGNALED(status) {
        return Err(format!("the child was ended by signal {}", libc::WTERMSIG(status)));
    }
    match libc::WEXITSTATUS(status) {
        0 => say("parent: the child ended with status 0"),
        code => Err(format!("the child ended with status {code}")),
    }
}

/// Prints a line. Where nobody takes it, as behind `| head -1`, that is an error and no panic.
fn say(line: impl Display) -> Result<(), String> {
    writeln!(io::stdout(), "{line}").map_err(|error| format!("cannot print: {error}"))
}

/// Says what failed and why in words: without `std` an `Errno` knows its number only.
fn cannot(what: impl Display) -> impl FnOnce(Errno) -> String {
    move |errno| format!("cannot {what}: {}", io::Error::from_raw_os_error(errno.raw_os_error()))
}
