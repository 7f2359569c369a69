//! A stream client: sends its words, or standard input, and prints what comes back.
//!
//! ```text
//! cargo run --example echo_client -- /tmp/echo.sock hello world
//! cargo run --example echo_client -- @echo < Cargo.toml
//! ```
//!
//! It shows connecting, sending and receiving at the same time (a client that first sends all and
//! then reads stops for ever once both queues are full), and `shutdown`, which tells the server
//! that this was all while the answer still comes. `echo_server` is the other side.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::{env, thread};

use afunix::{Errno, Shutdown, UnixAddr, UnixStream};

const USAGE: &str = "usage: echo_client ADDRESS [WORD...]
ADDRESS is /path or @name; without words, standard input is sent";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("echo_client: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    // Behind the address it is a word to send like any other.
    if env::args_os().nth(1).is_some_and(|arg| arg == "--help" || arg == "-h") {
        return writeln!(io::stdout(), "{USAGE}").map_err(|error| format!("cannot print: {error}"));
    }
    let (addr, input) = arguments()?;
    let stream = UnixStream::connect(&addr).map_err(cannot(format_args!("connect to {addr}")))?;
    let stream = Arc::new(stream);

    // The sender is not joined: where the server leaves early, it may still wait for input.
    let (result, sent) = mpsc::channel();
    let to_server = Arc::clone(&stream);
    thread::Builder::new()
        .spawn(move || {
            // The count is handed over before the server learns of the end. The receiver is gone
            // only if this program is about to end.
            let _ = result.send(send_all(&to_server, input));
            let _ = to_server.shutdown(Shutdown::Write);
        })
        .map_err(|error| format!("cannot start a thread: {error}"))?;

    let received = receive_all(&stream)?;
    let sent = sent.try_recv().map_err(|_| "the server closed before it had all".to_string())??;
    if sent == received { Ok(()) } else { Err(format!("sent {sent} bytes, {received} came back")) }
}

fn send_all(stream: &UnixStream, mut input: impl Read) -> Result<u64, String> {
    let mut buf = [0; 16 * 1024];
    let mut total = 0;
    loop {
        match input.read(&mut buf) {
            Ok(0) => return Ok(total),
            Ok(count) => {
                write_all(stream, &buf[..count]).map_err(cannot("send"))?;
                total += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("cannot read standard input: {error}")),
        }
    }
}

/// A signal may end a write after a part of the bytes, or before the first.
fn write_all(stream: &UnixStream, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn receive_all(stream: &UnixStream) -> Result<u64, String> {
    let mut stdout = io::stdout().lock();
    let mut buf = [0; 16 * 1024];
    let mut total = 0;
    loop {
        match stream.read(&mut buf) {
            Ok(0) => return Ok(total),
            Ok(count) => {
                stdout
                    .write_all(&buf[..count])
                    .and_then(|()| stdout.flush())
                    .map_err(|error| format!("cannot print: {error}"))?;
                total += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(cannot("receive")(errno)),
        }
    }
}

fn arguments() -> Result<(UnixAddr, Box<dyn Read + Send>), String> {
    let mut args = env::args_os().skip(1);
    let text = args.next().ok_or(USAGE)?;
    let addr = UnixAddr::parse(text.as_bytes())
        .map_err(|error| format!("bad address {}: {error}", text.as_bytes().escape_ascii()))?;
    let words: Vec<_> = args.collect();
    if words.is_empty() {
        return Ok((addr, Box::new(io::stdin())));
    }
    let mut line: Vec<u8> = Vec::new();
    for word in words {
        line.extend_from_slice(word.as_bytes());
        line.push(b' ');
    }
    // The last blank is the end of the line.
    line.pop();
    line.push(b'\n');
    Ok((addr, Box::new(io::Cursor::new(line))))
}

/// Says what failed and why in words: without `std` an `Errno` knows its number only.
fn cannot(what: impl Display) -> impl FnOnce(Errno) -> String {
    move |errno| format!("cannot {what}: {}", io::Error::from_raw_os_error(errno.raw_os_error()))
}
