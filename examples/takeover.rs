//! A server that takes over from the one that runs, and no client notices.
//!
//! ```text
//! cargo run --example takeover -- /tmp/service.sock &
//! cargo run --example takeover -- /tmp/service.sock
//! ```
//!
//! It shows how a server is replaced by a newer one:
//!
//! - The new one is ready when it gets the name. At each instant the name leads to one that listens: no
//!   client finds nothing there, or nobody.
//! - Then it tells the old one, by a pidfd, that can never come to mean another process; and only if that
//!   has the same user.
//! - The old one goes on for a while, for those who had found it when the name changed, serves who has
//!   come, and ends. The file is not its own any more, and it does not remove it.
//!
//! Each client is told the server's process id. It ends at SIGINT or SIGTERM, and removes the file if nobody
//! has taken over.

use std::fmt::Display;
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::process::{self, ExitCode};
use std::time::Duration;
use std::{env, ptr};

use afunix::{
    AsFd, Deadline, Errno, FileAddr, FromRawFd, OwnedFd, Peer, PeerError, SocketFile,
    SocketFileError, UnixListener, UnixStream,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, pidfd_send_signal};

const USAGE: &str = "usage: takeover PATH";

/// How long the one that runs may take to let somebody connect.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the old one is there for those who come late: more than a client needs from finding the file
/// to being in the queue, which are two moments of one system call.
const GRACE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Not `eprintln!`, which panics if that is closed.
            let _ = writeln!(io::stderr(), "takeover: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut args = env::args_os().skip(1);
    let (Some(path), None) = (args.next(), args.next()) else { return Err(USAGE.to_string()) };
    let path = path.as_bytes();
    let signals = signals().map_err(|error| format!("cannot wait for signals: {error}"))?;

    // Before the name changes: afterwards nobody finds it any more.
    let running = running(path)?;
    let (listener, file) = SocketFile::options(path)
        .mode(0o600)
        .replace()
        .listener_with(|socket| socket.set_nonblocking(true))
        .map_err(|error| format!("{}: {}", path.escape_ascii(), explain(error)))?;
    say(format_args!("listening on {}", path.escape_ascii()));
    if let Some(running) = running {
        match pidfd_send_signal(&running.pidfd, Signal::TERM) {
            Ok(()) => say(format_args!("taken over from {}", running.credentials)),
            // It was about to end.
            Err(errno) => say(format_args!("cannot tell the other: {}", words(errno))),
        }
    }

    let mut count = 0;
    serve(&listener, &mut count, Some(&signals))?;
    match file.remove() {
        Ok(true) => say("interrupted"),
        Ok(false) => say("another has the name"),
        Err(error) => say(explain(error)),
    }
    serve(&listener, &mut count, None)?;
    say(format_args!("{count} clients served"));
    Ok(())
}

/// Serves who comes until a signal does; without signals to wait for, until nobody has come for a while.
fn serve(
    listener: &UnixListener,
    count: &mut u64,
    signals: Option<&OwnedFd>,
) -> Result<(), String> {
    let grace = if signals.is_some() { None } else { Some(&GRACE) };
    loop {
        match listener.accept() {
            Ok((client, _)) => {
                *count += 1;
                // It may be gone, and then it wants no answer.
                let _ = client.write(format!("pid {}\n", process::id()).as_bytes());
                continue;
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(format!("cannot accept: {}", words(errno))),
        }
        let mut fds = vec![PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN)];
        fds.extend(signals.map(|signals| PollFd::new(signals, PollFlags::IN)));
        match poll(&mut fds, grace) {
            Ok(0) => return Ok(()),
            Ok(_) if fds.get(1).is_some_and(|signal| !signal.revents().is_empty()) => {
                return Ok(());
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(format!("cannot wait: {}", words(errno))),
        }
    }
}

/// The server that has the name, if one runs. One of another user is an error: it is not ours to end.
fn running(path: &[u8]) -> Result<Option<Peer>, String> {
    let target = match FileAddr::open(path) {
        Ok(target) => target,
        // Nobody.
        Err(error) if error.errno() == Errno::NOENT => return Ok(None),
        Err(error) => return Err(format!("{}: {}", path.escape_ascii(), explain(error))),
    };
    let deadline = Deadline::after(PATIENCE);
    let stream = match deadline.and_then(|end| UnixStream::connect_deadline(target.addr(), end)) {
        Ok(stream) => stream,
        // Nobody any more.
        Err(Errno::CONNREFUSED) => return Ok(None),
        Err(errno) => {
            let path = path.escape_ascii();
            return Err(format!("{path}: cannot ask who runs: {}", words(errno)));
        }
    };
    let peer = match stream.peer() {
        Ok(peer) => peer,
        Err(PeerError::Unsupported(_)) => {
            say("this kernel gives no pidfd: the other is to be ended by hand");
            return Ok(None);
        }
        Err(error) => return Err(format!("cannot learn who runs: {}", words(error.into()))),
    };
    let same = peer.credentials.require_same_user();
    same.map_err(|refused| format!("another's server has the name: {refused}"))?;
    Ok(Some(peer))
}

/// What an errno means: without `std` it knows its number only.
fn words(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw_os_error())
}

fn explain(error: SocketFileError) -> String {
    match error {
        SocketFileError::Kernel { step, errno, .. } => format!("cannot {step}: {}", words(errno)),
        other => other.to_string(),
    }
}

/// Prints a line; a server goes on even if nobody reads what it prints.
fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// A descriptor that is readable when SIGINT or SIGTERM has come, which end nothing by themselves any
/// more.
fn signals() -> io::Result<OwnedFd> {
    let mut signals = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` fills the set before anything reads it, and the pointers are good for
    // the time of the calls.
    let fd = unsafe {
        libc::sigemptyset(signals.as_mut_ptr());
        libc::sigaddset(signals.as_mut_ptr(), libc::SIGINT);
        libc::sigaddset(signals.as_mut_ptr(), libc::SIGTERM);
        libc::sigprocmask(libc::SIG_BLOCK, signals.as_ptr(), ptr::null_mut());
        libc::signalfd(-1, signals.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is new, so nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
