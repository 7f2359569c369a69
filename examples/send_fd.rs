//! Opens a file and passes it, as a descriptor, to a program that knows not even its name.
//!
//! ```text
//! cargo run --example recv_fd -- /tmp/fd.sock &
//! cargo run --example send_fd -- /tmp/fd.sock README.md
//! ```
//!
//! It reads the first line itself, and `recv_fd`, the other side, the second: what is passed is not a
//! name and not a copy but the open file, with its one offset. So after the answer this side's offset
//! has moved too.

use std::fmt::Display;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::{env, io};

use afunix::{BorrowedFd, Errno, SendError, UnixAddr, UnixSeqpacket};

const USAGE: &str = "usage: send_fd ADDRESS FILE
ADDRESS is /path or @name";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("send_fd: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let args: Vec<_> = env::args_os().skip(1).collect();
    let (text, path) = match args.as_slice() {
        [help] if help == "--help" || help == "-h" => return say(USAGE),
        [text, path] => (text.as_bytes(), path),
        _ => return Err(USAGE.to_string()),
    };
    let addr = UnixAddr::parse(text)
        .map_err(|error| format!("bad address {}: {error}", text.escape_ascii()))?;
    let name = path.as_bytes().escape_ascii();
    let mut file = File::open(path).map_err(|error| format!("cannot open {name}: {error}"))?;
    let line = read_line(&mut file)?;
    let before = offset(&mut file)?;
    say(format_args!("read \"{}\" up to offset {before}", line.escape_ascii()))?;

    let socket =
        UnixSeqpacket::connect(&addr).map_err(cannot(format_args!("connect to {addr}")))?;
    send(&socket, b"read on", &file)?;
    say("passed the descriptor")?;
    let mut buf = [0; 32];
    let answer = receive(&socket, &mut buf)?;
    let after = offset(&mut file)?;
    say(format_args!("the receiver read up to offset {}", answer.escape_ascii()))?;
    say(format_args!("so the offset here went from {before} to {after}"))
}

/// The descriptor is lent to the call; the file stays open here.
fn send(socket: &UnixSeqpacket, message: &[u8], file: &File) -> Result<(), String> {
    // SAFETY: `file` keeps it open for as long as this function runs. (With the feature `std` this is
    // `file.as_fd()`.)
    let fd = unsafe { BorrowedFd::borrow_raw(file.as_raw_fd()) };
    loop {
        match socket.send_fds(message, &[fd]) {
            Ok(_) => return Ok(()),
            Err(SendError::Kernel(Errno::INTR)) => {}
            Err(SendError::Kernel(errno)) => return Err(cannot("pass the descriptor")(errno)),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Receives one message; none means that the other side is gone.
fn receive<'a>(socket: &UnixSeqpacket, buf: &'a mut [u8]) -> Result<&'a [u8], String> {
    loop {
        match socket.recv(buf) {
            Ok(received) if received.size == 0 => {
                return Err("the receiver left without an answer".to_string());
            }
            Ok(received) => return Ok(&buf[..received.bytes]),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(cannot("get the answer")(errno)),
        }
    }
}

/// Reads to the end of a line, byte by byte: a `BufReader` would take more than that, and the receiver
/// would go on behind it.
fn read_line(file: &mut File) -> Result<Vec<u8>, String> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while line.len() < 1000 {
        match file.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("cannot read: {error}")),
        }
        if byte == *b"\n" {
            break;
        }
    }
    Ok(line)
}

fn offset(file: &mut File) -> Result<u64, String> {
    file.stream_position().map_err(|error| format!("cannot tell the offset: {error}"))
}

/// Prints a line. Where nobody takes it, as behind `| head -1`, that is an error and no panic.
fn say(line: impl Display) -> Result<(), String> {
    writeln!(io::stdout(), "{line}").map_err(|error| format!("cannot print: {error}"))
}

/// Says what failed and why in words: without `std` an `Errno` knows its number only.
fn cannot(what: impl Display) -> impl FnOnce(Errno) -> String {
    move |errno| format!("cannot {what}: {}", io::Error::from_raw_os_error(errno.raw_os_error()))
}
