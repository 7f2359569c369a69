//! Receives a descriptor and reads from a file that this program never opened.
//!
//! ```text
//! cargo run --example recv_fd -- /tmp/fd.sock
//! ```
//!
//! It waits for one sender, `send_fd`, reads a line from what that passes, and tells it the offset
//! it has come to. It shows a receive that wants exactly one descriptor, the look at what came before
//! it is used, and that both sides share one open file: reading here moves the offset there. When it
//! ends it removes the file of its socket, but a signal ends it at once and leaves that behind, for the
//! next start to reclaim.

use std::fmt::Display;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::FromRawFd;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::{env, io};

use afunix::{
    Errno, IntoRawFd, OwnedFd, RecvError, SocketFile, SocketFileError, UnixAddr, UnixSeqpacket,
    UnixSeqpacketListener,
};

const USAGE: &str = "usage: recv_fd ADDRESS
ADDRESS is /path or @name";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("recv_fd: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let args: Vec<_> = env::args_os().skip(1).collect();
    let addr = match args.as_slice() {
        [help] if help == "--help" || help == "-h" => return say(USAGE),
        [text] => UnixAddr::parse(text.as_bytes())
            .map_err(|error| format!("bad address {}: {error}", text.as_bytes().escape_ascii()))?,
        _ => return Err(USAGE.to_string()),
    };
    let socket = {
        // It accepts once, so the name is given up right after, before anything is read.
        let (listener, _file) = listen(&addr)?;
        say(format_args!("listening on {addr}"))?;
        accept(&listener)?
    };

    let mut buf = [0; 64];
    let (message, fd) = receive(&socket, &mut buf)?;
    say(format_args!("received a descriptor with the message {}", message.escape_ascii()))?;
    let mut file = into_file(fd);
    // It may be anything, and open for anything: a pipe that nobody writes to would keep this
    // program waiting.
    let metadata = file.metadata().map_err(|error| format!("cannot look at it: {error}"))?;
    if !metadata.is_file() {
        return Err("what came is no regular file".to_string());
    }
    let before = offset(&mut file)?;
    let line = read_line(&mut file)?;
    let after = offset(&mut file)?;
    say(format_args!("read \"{}\" from offset {before} to {after}", line.escape_ascii()))?;
    socket.send(after.to_string().as_bytes()).map_err(cannot("answer"))?;
    Ok(())
}

fn accept(listener: &UnixSeqpacketListener) -> Result<UnixSeqpacket, String> {
    loop {
        match listener.accept() {
            Ok((socket, _)) => return Ok(socket),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(cannot("accept")(errno)),
        }
    }
}

/// Receives a message with one descriptor. With any other number of them it is refused, and those that
/// came are closed by then.
fn receive<'a>(socket: &UnixSeqpacket, buf: &'a mut [u8]) -> Result<(&'a [u8], OwnedFd), String> {
    loop {
        match socket.recv_fds_exact::<1>(buf) {
            Ok((received, [fd])) => return Ok((&buf[..received.bytes], fd)),
            Err(RecvError::Kernel(Errno::INTR)) => {}
            Err(RecvError::Kernel(errno)) => return Err(cannot("receive")(errno)),
            Err(RecvError::WrongCount { size: 0, found: 0, .. }) => {
                return Err("the sender left and passed nothing".to_string());
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// With the feature `std` this is `File::from(fd)`.
fn into_file(fd: OwnedFd) -> File {
    // SAFETY: the number is that of an open descriptor, which was given away for this alone.
    unsafe { File::from_raw_fd(fd.into_raw_fd()) }
}

/// Reads to the end of a line, byte by byte: a `BufReader` would take more than that, and so move the
/// offset for the sender too.
fn read_line(file: &mut File) -> Result<Vec<u8>, String> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while line.len() < 1000 {
        match file.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("cannot read what came: {error}")),
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

/// Listens; the file of a path goes with it, unless another stands there by then. What one
/// that was killed left is reclaimed.
fn listen(addr: &UnixAddr) -> Result<(UnixSeqpacketListener, Option<SocketFile>), String> {
    let Some(path) = addr.as_pathname() else {
        let listener =
            UnixSeqpacketListener::bind(addr).map_err(cannot(format_args!("listen on {addr}")))?;
        return Ok((listener, None));
    };
    let options = SocketFile::options(path).reclaim().remove_on_drop();
    match options.seqpacket_listener() {
        Ok((listener, file)) => Ok((listener, Some(file))),
        Err(SocketFileError::Kernel { errno, .. }) => {
            Err(cannot(format_args!("listen on {addr}"))(errno))
        }
        Err(error) => Err(format!("cannot listen on {addr}: {error}")),
    }
}
