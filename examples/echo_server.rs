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

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write;
use std::mem::MaybeUninit;
use std::num::NonZeroU64;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;
use std::{env, io, ptr};

use afunix::{Errno, Shutdown, SocketFile, SocketFileError, UnixAddr, UnixListener, UnixStream};

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
    if env::args_os().skip(1).any(|arg| arg == "--help" || arg == "-h") {
        say(USAGE);
        return Ok(());
    }
    let (addr, connections) = arguments()?;
    let (listener, _file) = listen(&addr)?;
    let listener = Arc::new(listener);
    let (interrupted, stop) = (Arc::clone(&listener), Arc::new(AtomicBool::new(false)));
    let (events, ended) = mpsc::channel();
    let (stopped, wake) = (Arc::clone(&stop), events.clone());
    on_signal(move || {
        stopped.store(true, Ordering::Release);
        // Whichever `run` waits for: `accept` takes what is queued, then fails; a channel is read.
        let _ = wake.send(Event::Interrupted);
        interrupted.shutdown(Shutdown::Read)
    })?;
    say(format_args!("listening on {addr}"));

    let (mut number, mut running) = (0, 0_usize);
    while connections.is_none_or(|limit| number < limit.get()) {
        let (stream, from) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(Errno::INTR) => continue,
            Err(Errno::INVAL) => break,
            // Of a listener that was shut down, too, this is what `accept` says first.
            Err(Errno::MFILE | Errno::NFILE) if stop.load(Ordering::Acquire) => break,
            // The connection stays pending: time for a client to leave and free a descriptor.
            Err(Errno::MFILE | Errno::NFILE) => {
                say(format_args!("out of descriptors after {number} clients"));
                thread::sleep(Duration::from_millis(100));
                continue;
            }
            Err(errno) => return Err(cannot("accept")(errno)),
        };
        running -= ended.try_iter().filter(|event| matches!(event, Event::Ended)).count();
        number += 1;
        say(format_args!("client {number}: connected from {from}"));
        // Of a thread that cannot be started it says the end as well.
        let end = End(events.clone());
        running += 1;
        let client = thread::Builder::new().spawn(move || {
            let _end = end;
            serve(number, &stream);
        });
        if let Err(error) = client {
            // As without descriptors: this client is dropped, the others are served.
            say(format_args!("client {number}: cannot start a thread: {error}"));
        }
    }
    while running > 0 && !stop.load(Ordering::Acquire) {
        match ended.recv() {
            Ok(Event::Ended) => running -= 1,
            Ok(Event::Interrupted) | Err(_) => break,
        }
    }
    if stop.load(Ordering::Acquire) {
        say("interrupted");
    }
    Ok(())
}

/// What `run` waits for when it accepts no more.
enum Event {
    Ended,
    Interrupted,
}

/// Says that a client's thread has ended, in whatever way.
struct End(mpsc::Sender<Event>);

impl Drop for End {
    fn drop(&mut self) {
        let _ = self.0.send(Event::Ended);
    }
}

fn serve(number: u64, stream: &UnixStream) {
    match echo(stream) {
        Ok(count) => say(format_args!("client {number}: end of file after {count} bytes")),
        // A client that goes away early is no trouble of the server's.
        Err(errno) => say(format_args!("client {number}: {}", cannot("go on")(errno))),
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
        .map_err(|error| format!("bad address {}: {error}", text.as_bytes().escape_ascii()))?;
    let mut connections = None;
    while let Some(option) = args.next() {
        match option.to_str() {
            Some("--connections") => connections = Some(number("--connections", args.next())?),
            _ => {
                let option = option.as_bytes().escape_ascii();
                return Err(format!("unknown option {option}\n{USAGE}"));
            }
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

/// Prints a line; a server goes on even if nobody reads what it prints.
fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Listens; the file of a path goes when the server ends, unless another stands there by then. What one
/// that was killed left is reclaimed.
fn listen(addr: &UnixAddr) -> Result<(UnixListener, Option<SocketFile>), String> {
    let Some(path) = addr.as_pathname() else {
        let listener =
            UnixListener::bind(addr).map_err(cannot(format_args!("listen on {addr}")))?;
        return Ok((listener, None));
    };
    let options = SocketFile::options(path).reclaim().remove_on_drop();
    match options.listener() {
        Ok((listener, file)) => Ok((listener, Some(file))),
        Err(SocketFileError::Kernel { errno, .. }) => {
            Err(cannot(format_args!("listen on {addr}"))(errno))
        }
        Err(error) => Err(format!("cannot listen on {addr}: {error}")),
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
