//! A protocol of bytes and descriptors over a stream, and peers that do not keep to it.
//!
//! ```text
//! cargo run --example fd_stream
//! ```
//!
//! The protocol is in `frames.rs`, with its rules, to be taken along: which bytes a descriptor belongs
//! to, and what is refused. This program is a server that starts itself again for each of its peers.
//! It prints what each of them got through, and that a peer that was refused left no descriptor
//! behind.

mod frames;

use std::fmt::Display;
use std::fs::File;
use std::io::{PipeReader, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{self, Command, ExitCode, ExitStatus};
use std::time::Duration;
use std::{env, fs, io, thread};

use afunix::{AsFd, BorrowedFd, Errno, IntoRawFd, OwnedFd, UnixAddr, UnixListener, UnixStream};
use frames::{BODY_MAX, Decoder, Frame};

const PEERS: [(&str, &str); 7] = [
    ("honest", "A peer that keeps to the protocol."),
    ("slow", "One that does too, a byte at a time."),
    ("greedy", "One that declares 200 descriptors."),
    ("flood", "One that declares one and sends one with each byte."),
    ("burst", "One that sends 253 at once."),
    ("false", "One that declares two and sends none."),
    ("dying", "One that dies inside a frame."),
];

fn main() -> ExitCode {
    thread::spawn(deadline);
    let args: Vec<_> = env::args_os().skip(1).collect();
    let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
    let result = match args.as_slice() {
        [] => server(),
        [kind, server] => peer(kind, server),
        _ => Err("usage: fd_stream".to_string()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("fd_stream: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Where one side fails, the other may wait for it: not for ever.
fn deadline() {
    thread::sleep(Duration::from_secs(10));
    let _ = writeln!(io::stderr(), "fd_stream: still not through after 10 seconds");
    process::exit(1);
}

fn server() -> Result<(), String> {
    let (listener, name) = UnixListener::autobind().map_err(cannot("listen"))?;
    for ((kind, what), number) in PEERS.iter().zip(1..) {
        say(format_args!("{number}. {what}"))?;
        let before = open_descriptors()?;
        let mut child = env::current_exe()
            .map(Command::new)
            .and_then(|mut this| this.arg(kind).arg(name.to_text().as_str()).spawn())
            .map_err(|error| format!("cannot start a peer: {error}"))?;
        let served = serve(&listener);
        if served.is_err() {
            // Without its server it may wait until its deadline.
            let _ = child.kill();
        }
        let status = child.wait().map_err(|error| format!("lost the peer: {error}"))?;
        served?;
        check(status)?;
        let after = open_descriptors()?;
        say(format_args!("   descriptors left open: {}", after.saturating_sub(before)))?;
    }
    Ok(())
}

/// Serves one peer until its end, or until it is refused: then the connection is dropped.
fn serve(listener: &UnixListener) -> Result<(), String> {
    let (stream, _) = listener.accept().map_err(cannot("accept"))?;
    let mut decoder = Decoder::new();
    loop {
        match decoder.read(&stream) {
            Ok(Some(frame)) => show(frame)?,
            Ok(None) => return say("   the end"),
            Err(error) => return say(format_args!("   refused: {error}")),
        }
    }
}

fn show(frame: Frame) -> Result<(), String> {
    let (start, more) = frame.body.split_at_checked(16).unwrap_or((&frame.body, &[]));
    let dots = if more.is_empty() { "" } else { "..." };
    let (len, text) = (frame.body.len(), start.escape_ascii());
    say(format_args!("   a frame of {len} bytes: {text}{dots}"))?;
    for fd in frame.fds {
        say(format_args!("      with {}", what(fd)))?;
    }
    Ok(())
}

/// Says what a descriptor is, without reading from it: that may wait for ever.
fn what(fd: OwnedFd) -> &'static str {
    // SAFETY: the number is that of an open descriptor, which was given away for this alone. (With
    // the feature `std` this is `File::from(fd)`.)
    let file = unsafe { File::from_raw_fd(fd.into_raw_fd()) };
    match file.metadata().map(|metadata| metadata.file_type()) {
        Ok(kind) if kind.is_fifo() => "a pipe",
        Ok(kind) if kind.is_socket() => "a socket",
        Ok(kind) if kind.is_file() => "a file",
        _ => "something else",
    }
}

/// The descriptors of this process, with the one that looks.
fn open_descriptors() -> Result<usize, String> {
    let all = fs::read_dir("/proc/self/fd");
    all.map(Iterator::count).map_err(|error| format!("cannot count descriptors: {error}"))
}

/// One of the peers is killed, by itself.
fn check(status: ExitStatus) -> Result<(), String> {
    if status.success() || status.signal() == Some(libc::SIGKILL) {
        return Ok(());
    }
    Err(format!("the peer: {status}"))
}

fn peer(kind: &[u8], server: &[u8]) -> Result<(), String> {
    let server = UnixAddr::parse(server)
        .map_err(|error| format!("bad address {}: {error}", server.escape_ascii()))?;
    let stream = UnixStream::connect(&server).map_err(cannot("connect"))?;
    let (pipe, _writer) = io::pipe().map_err(|error| format!("cannot make a pipe: {error}"))?;
    let pipe = lend(&pipe);
    // The streams here wait, so all of so few bytes goes, or an error comes.
    let one_by_one = |bytes: &[u8], fds: &[BorrowedFd<'_>]| {
        bytes.chunks(1).try_for_each(|byte| stream.send_fds(byte, fds).map(|_| ()))
    };
    match kind {
        b"honest" => {
            frames::send(&stream, b"hello", &[]).map_err(|error| error.to_string())?;
            // The server may read both at once: the descriptors are of the second.
            frames::send(&stream, b"two", &[pipe, stream.as_fd()])
                .and_then(|()| frames::send(&stream, b"", &[]))
                .and_then(|()| frames::send(&stream, &[b'x'; BODY_MAX], &[pipe]))
                .map_err(|error| error.to_string())
        }
        b"slow" => {
            let (first, rest) = (b"\0\0\0", b"\x05\x01drops");
            one_by_one(first, &[])
                .and_then(|()| stream.send_fds(&rest[..1], &[pipe]))
                .and_then(|_| one_by_one(&rest[1..], &[]))
                .map_err(|error| cannot("send")(error.errno()))
        }
        b"greedy" => refused(&stream, stream.write(b"\0\0\0\x05\xc8").map(drop)),
        b"flood" => {
            let start = stream.write(b"\0\0\x40\0\x01").map(drop);
            let flood = start.and_then(|()| one_by_one(&[b'x'; 500], &[pipe]).map_err(Into::into));
            refused(&stream, flood)
        }
        b"burst" => {
            let frame = b"\0\0\0\x04\x08many";
            refused(&stream, stream.send_fds(frame, &[pipe; 253]).map(|_| ()).map_err(Into::into))
        }
        b"false" => refused(&stream, stream.write(b"\0\0\0\x04\x02none").map(drop)),
        b"dying" => {
            stream.send_fds(b"\0\0\0\x04\x01go", &[pipe]).map_err(|error| error.to_string())?;
            // SAFETY: no pointers; it does not return.
            unsafe { libc::raise(libc::SIGKILL) };
            Ok(())
        }
        _ => Err("usage: fd_stream".to_string()),
    }
}

/// A peer that is refused finds that its connection was dropped, if not while it sends then after.
fn refused(stream: &UnixStream, sent: Result<(), Errno>) -> Result<(), String> {
    let dropped = sent.and_then(|()| stream.read(&mut [0]));
    match dropped {
        Ok(0) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
        Ok(_) => Err("the server answered".to_string()),
        Err(errno) => Err(cannot("be refused")(errno)),
    }
}

fn lend(pipe: &PipeReader) -> BorrowedFd<'_> {
    // SAFETY: what is lent cannot outlive the pipe. (With the feature `std` this is `pipe.as_fd()`.)
    unsafe { BorrowedFd::borrow_raw(pipe.as_raw_fd()) }
}

/// Prints a line. Where nobody takes it, as behind `| head -1`, that is an error and no panic.
fn say(line: impl Display) -> Result<(), String> {
    writeln!(io::stdout(), "{line}").map_err(|error| format!("cannot print: {error}"))
}

/// Says what failed and why in words: without `std` an `Errno` knows its number only.
fn cannot(what: impl Display) -> impl FnOnce(Errno) -> String {
    move |errno| format!("cannot {what}: {}", io::Error::from_raw_os_error(errno.raw_os_error()))
}
