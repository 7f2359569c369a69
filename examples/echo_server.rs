//! A stream server: sends each client its own bytes back until end-of-file.
//!
//! ```text
//! cargo run --example echo_server -- /tmp/echo.sock
//! cargo run --example echo_server -- @echo --connections 2
//! ```
//!
//! It shows a listener at a path or an abstract name, several clients served at once, writes that
//! take only a part, calls that a signal interrupts, and a socket file that is removed at the end:
//! after `--connections` clients, or at SIGINT or SIGTERM. `echo_client` is the other side.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::mem::MaybeUninit;
use std::num::NonZeroU64;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{env, fs, io, ptr};

use afunix::{Errno, Shutdown, UnixAddr, UnixListener, UnixStream};

const USAGE: &str = "usage: echo_server ADDRESS [--connections N]
ADDRESS is /path or @name";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("echo_server: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let (addr, connections) = arguments()?;
    let listener = UnixListener::bind(&addr).map_err(cannot(format_args!("listen on {addr}")))?;
    let _file = SocketFile(addr);
    let listener = Arc::new(listener);
    let interrupted = Arc::clone(&listener);
    // It accepts what is queued and then fails, which is how the loop below learns of it.
    on_signal(move || interrupted.shutdown(Shutdown::Read))?;
    println!("listening on {addr}");

    let mut clients: Vec<JoinHandle<()>> = Vec::new();
    let mut number = 0;
    while connections.is_none_or(|limit| number < limit.get()) {
        let (stream, from) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(Errno::INTR) => continue,
            Err(Errno::INVAL) => {
                println!("interrupted");
                return Ok(());
            }
            // The connection stays pending: time for a client to leave and free a descriptor.
            Err(Errno::MFILE | Errno::NFILE) => {
                println!("out of descriptors, {} clients are connected", clients.len());
                thread::sleep(Duration::from_millis(100));
                clients.retain(|client| !client.is_finished());
                continue;
            }
            Err(errno) => return Err(cannot("accept")(errno)),
        };
        number += 1;
        println!("client {number}: connected from {from}");
        let client = thread::Builder::new()
            .spawn(move || serve(number, &stream))
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        clients.retain(|client| !client.is_finished());
        clients.push(client);
    }
    for client in clients {
        client.join().map_err(|_| "a client's thread panicked".to_string())?;
    }
    Ok(())
}

fn serve(number: u64, stream: &UnixStream) {
    match echo(stream) {
        Ok(count) => println!("client {number}: end of file after {count} bytes"),
        // A client that goes away early is no trouble of the server's.
        Err(errno) => println!("client {number}: {}", cannot("go on")(errno)),
    }
}

/// Sends back what comes, and tells how much it was.
fn echo(stream: &UnixStream) -> Result<u64, Errno> {
    let mut buf = [0; 16 * 1024];
    let mut total = 0;
    loop {
        match stream.read(&mut buf) {
            Ok(0) => return Ok(total),
            Ok(count) => {
                write_all(stream, &buf[..count])?;
                total += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
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

fn arguments() -> Result<(UnixAddr, Option<NonZeroU64>), String> {
    let mut args = env::args_os().skip(1);
    let text = args.next().ok_or(USAGE)?;
    let addr = UnixAddr::parse(text.as_bytes())
        .map_err(|error| format!("bad address {}: {error}", text.display()))?;
    let mut connections = None;
    while let Some(option) = args.next() {
        match option.to_str() {
            Some("--connections") => connections = Some(number("--connections", args.next())?),
            _ => return Err(format!("unknown option {}\n{USAGE}", option.display())),
        }
    }
    Ok((addr, connections))
}

fn number(option: &str, value: Option<OsString>) -> Result<NonZeroU64, String> {
    value
        .and_then(|value| value.to_str()?.parse().ok())
        .ok_or_else(|| format!("{option} wants a number, 1 or more"))
}

/// Says what failed and why in words: without `std` an `Errno` knows its number only.
fn cannot(what: impl Display) -> impl FnOnce(Errno) -> String {
    move |errno| format!("cannot {what}: {}", io::Error::from_raw_os_error(errno.raw_os_error()))
}

/// Removes the file of a path when the server ends; closing the socket does not.
struct SocketFile(UnixAddr);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Some(path) = self.0.as_pathname() {
            if let Err(error) = fs::remove_file(OsStr::from_bytes(path)) {
                eprintln!("echo_server: cannot remove {}: {error}", self.0);
            }
        }
    }
}

/// Calls `action` in a thread of its own when SIGINT or SIGTERM comes. To be called before other
/// threads start, as they inherit that these signals are blocked.
fn on_signal(action: impl FnOnce() -> Result<(), Errno> + Send + 'static) -> Result<(), String> {
    let mut signals = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` fills the set before anything reads it, and the pointers are good for
    // the time of the calls.
    let signals = unsafe {
        libc::sigemptyset(signals.as_mut_ptr());
        libc::sigaddset(signals.as_mut_ptr(), libc::SIGINT);
        libc::sigaddset(signals.as_mut_ptr(), libc::SIGTERM);
        libc::pthread_sigmask(libc::SIG_BLOCK, signals.as_ptr(), ptr::null_mut());
        signals.assume_init()
    };
    let wait = move || {
        let mut signal = 0;
        // SAFETY: both pointers are good for the time of the call.
        unsafe { libc::sigwait(&signals, &mut signal) };
        if let Err(errno) = action() {
            eprintln!("echo_server: {}", cannot("stop")(errno));
        }
    };
    match thread::Builder::new().spawn(wait) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("cannot start a thread: {error}")),
    }
}
