//! A daemon of which there is one at a time: a second start is told who holds the name, and ends.
//!
//! ```text
//! cargo run --example single_instance -- /tmp/one.sock &
//! cargo run --example single_instance -- /tmp/one.sock
//! kill -9 %1
//! cargo run --example single_instance -- /tmp/one.sock
//! ```
//!
//! It shows what a socket's file takes, if it is to be there exactly as long as its daemon is:
//!
//! - What a daemon left that was killed is no daemon: the third start takes the name. What is alive stays
//!   untouched, and so does what is no socket. Of many starts at once one succeeds.
//! - The one that is there is asked who it is, as the kernel attests it; no file with a number in it is
//!   believed, that may be another process's by now.
//! - At the end the file goes first, then those are served who had found it, and then the socket goes.
//!
//! Each client is told the daemon's process id. It ends at SIGINT or SIGTERM.

use std::fmt::Display;
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::process::{self, ExitCode};
use std::time::Duration;
use std::{env, fs, ptr};

use afunix::{
    AsFd, Deadline, Errno, FileAddr, FromRawFd, OwnedFd, SocketFile, SocketFileError, UnixListener,
    UnixStream,
};
use rustix::event::{PollFd, PollFlags, poll};

const USAGE: &str = "usage: single_instance PATH";

/// How long the daemon that holds the name may take to let somebody connect.
const PATIENCE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Not `eprintln!`, which panics if that is closed.
            let _ = writeln!(io::stderr(), "single_instance: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut args = env::args_os().skip(1);
    let (Some(path), None) = (args.next(), args.next()) else { return Err(USAGE.to_string()) };
    let path = path.as_bytes();
    let signals = signals().map_err(|error| format!("cannot wait for signals: {error}"))?;

    let made = SocketFile::options(path).mode(0o600).reclaim().listener_with(|socket| {
        // Whoever connects is to be waited for by `poll` alone.
        socket.set_nonblocking(true)
    });
    let (listener, file) = match made {
        Ok(made) => made,
        Err(SocketFileError::InUse) => {
            return Err(format!("{} is held by {}", path.escape_ascii(), holder(path)));
        }
        Err(error) => return Err(format!("{}: {}", path.escape_ascii(), explain(error))),
    };
    say(format_args!("listening on {}", path.escape_ascii()));
    serve(&listener, Some(&signals))?;
    say("interrupted");

    // Nobody finds it any more, and a successor may have the name; those who found it are served yet.
    match file.remove() {
        Ok(true) => {}
        Ok(false) => say("the file was another's already"),
        Err(error) => say(format_args!("{}", explain(error))),
    }
    serve(&listener, None)
}

/// Serves who comes until a signal does; without signals to wait for, who has come.
fn serve(listener: &UnixListener, signals: Option<&OwnedFd>) -> Result<(), String> {
    loop {
        match listener.accept() {
            // It may be gone, and then it wants no answer.
            Ok((client, _)) => drop(client.write(format!("pid {}\n", process::id()).as_bytes())),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let Some(signals) = signals else { return Ok(()) };
                let listener = listener.as_fd();
                let mut fds = [
                    PollFd::new(signals, PollFlags::IN),
                    PollFd::from_borrowed_fd(listener, PollFlags::IN),
                ];
                match poll(&mut fds, None) {
                    Ok(_) if !fds[0].revents().is_empty() => return Ok(()),
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(errno) => return Err(format!("cannot wait: {}", words(errno))),
                }
            }
            Err(errno) => return Err(format!("cannot accept: {}", words(errno))),
        }
    }
}

/// Who holds the name, for people.
fn holder(path: &[u8]) -> String {
    let ask = || -> Result<String, Errno> {
        let target = FileAddr::open(path)?;
        let deadline = Deadline::after(PATIENCE)?;
        let stream = UnixStream::connect_deadline(target.addr(), deadline)?;
        let found = stream.peer_credentials()?;
        let program =
            found.pid.and_then(|pid| fs::read(format!("/proc/{}/comm", pid.as_raw_pid())).ok());
        Ok(match program {
            Some(name) => format!("{found}, program {}", name.trim_ascii_end().escape_ascii()),
            None => found.to_string(),
        })
    };
    match ask() {
        Ok(holder) => holder,
        // It has the name already, or still.
        Err(Errno::CONNREFUSED | Errno::NOENT) => "one that is starting, or ending".to_string(),
        Err(Errno::PROTOTYPE) => "a socket of another type".to_string(),
        Err(errno) => format!("somebody who does not tell: {}", words(errno)),
    }
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

/// Prints a line; a daemon goes on even if nobody reads what it prints.
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
