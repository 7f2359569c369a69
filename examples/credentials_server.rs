//! A datagram server that says who sends: process, user and group, as the kernel attests them.
//!
//! ```text
//! cargo run --example credentials_server -- /tmp/who.sock
//! cargo run --example credentials_server -- @who --messages 3
//! cargo run --example datagram_client -- /tmp/who.sock --unnamed
//! ```
//!
//! It shows a socket that asks for credentials before it has a name, so that nobody can send without
//! them; senders whose process has no number here; and, from Linux 6.5 on, a pidfd, without which what
//! is looked up by a pid may be of another process that has got the number since. It ends after
//! `--messages` messages, or at SIGINT or SIGTERM.
//!
//! Who may do what is for the user and the group to decide. The program's name is what its process
//! says of itself; and a privileged sender may have chosen any of them.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, fs, io, ptr, thread};

use afunix::{
    Ancillary, AncillaryBuf, AsRawFd, Credentials, Errno, IoSliceMut, PidFd, RecvError,
    RecvOptions, Shutdown, SocketFile, SocketFileError, Space, UnixAddr, UnixDatagram,
};

const USAGE: &str = "usage: credentials_server ADDRESS [--messages N]
ADDRESS is /path or @name";

/// What comes with each message. There is no room for descriptors but that for the pidfd, and none is
/// wanted.
const SPACE: usize = Space::new().credentials().pidfd().bytes();

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("credentials_server: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    if env::args_os().skip(1).any(|arg| arg == "--help" || arg == "-h") {
        say(USAGE);
        return Ok(());
    }
    let (addr, messages) = arguments()?;
    let (socket, _file) = bind(&addr)?;
    let socket = Arc::new(socket);

    let stop = Arc::new(AtomicBool::new(false));
    let (interrupted, stopped) = (Arc::clone(&socket), Arc::clone(&stop));
    on_signal(move || {
        stopped.store(true, Ordering::Release);
        // From here on the socket is readable for `poll`, whether that has begun yet or not.
        interrupted.shutdown(Shutdown::Read)
    })?;
    say(format_args!("listening on {addr}"));

    let mut count = 0;
    while messages.is_none_or(|limit| count < limit) {
        let (mut buf, mut control) = ([0; 256], AncillaryBuf::<SPACE>::new());
        let mut from = UnixAddr::UNNAMED;
        // Else a message with descriptors would be an error, and nothing known of its sender.
        let options = RecvOptions::new().from(&mut from).lossy();
        let received = socket.recv_with(&mut [IoSliceMut::new(&mut buf)], &mut control, options);
        let (received, ancillary) = match received {
            Ok(received) => received,
            Err(RecvError::Kernel(Errno::AGAIN)) if stop.load(Ordering::Acquire) => {
                say("interrupted");
                break;
            }
            Err(RecvError::Kernel(Errno::AGAIN)) => {
                wait_readable(&socket)?;
                continue;
            }
            Err(RecvError::Kernel(Errno::INTR)) => continue,
            Err(RecvError::Kernel(errno)) => return Err(cannot("receive")(errno)),
            Err(error) => return Err(error.to_string()),
        };
        count += 1;
        let who = who(ancillary);
        let (bytes, text) = (received.size, buf[..received.bytes].escape_ascii());
        let dots = if received.is_truncated() { "..." } else { "" };
        say(format_args!("{from}: {who}: {bytes} bytes: {text}{dots}"));
    }
    Ok(())
}

/// Puts the sender into words. Descriptors that came uninvited are closed with `ancillary`.
fn who(mut ancillary: Ancillary<'_>) -> String {
    // The credentials come before all else, so they are there even where something was lost.
    let Some(credentials) = ancillary.credentials() else { return "unknown sender".to_string() };
    let mut text = credentials.to_string();
    if let Some(name) = program(credentials, ancillary.take_pidfd()) {
        text += &format!(", program {name}");
    }
    let uninvited = ancillary.fds().count();
    if uninvited > 0 {
        text += &format!(", {uninvited} descriptors closed");
    }
    if let Some(cause) = ancillary.truncation() {
        text += &format!(", control messages lost ({cause})");
    }
    text
}

/// The name of the sender's program, if it can be had and is certain to be that of the sender.
fn program(credentials: Credentials, pidfd: Result<Option<PidFd>, Errno>) -> Option<String> {
    // Without a number it cannot be looked up. A pidfd may be missing for many reasons.
    let (pid, pidfd) = (credentials.pid?, pidfd.ok()??);
    let name = fs::read(format!("/proc/{}/comm", pid.as_raw_pid())).ok()?;
    // First the look, then this: if the sender has not ended by now, the number was its own all the
    // time.
    if is_readable(&pidfd, 0).ok()? {
        return None;
    }
    Some(name.trim_ascii_end().escape_ascii().to_string())
}

fn wait_readable(socket: &UnixDatagram) -> Result<(), String> {
    match is_readable(socket, -1) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => {
            Err(format!("cannot wait for messages: {error}"))
        }
        _ => Ok(()),
    }
}

/// A pidfd is readable when its process has ended.
fn is_readable(fd: &impl AsRawFd, timeout: i32) -> io::Result<bool> {
    let mut fd = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: the pointer is good for the one element that the call is told of.
    match unsafe { libc::poll(&mut fd, 1, timeout) } {
        -1 => Err(io::Error::last_os_error()),
        count => Ok(count > 0),
    }
}

fn arguments() -> Result<(UnixAddr, Option<usize>), String> {
    let mut args = env::args_os().skip(1);
    let text = args.next().ok_or(USAGE)?;
    let addr = UnixAddr::parse(text.as_bytes())
        .map_err(|error| format!("bad address {}: {error}", text.as_bytes().escape_ascii()))?;
    let mut messages = None;
    while let Some(option) = args.next() {
        match option.to_str() {
            Some("--messages") => messages = Some(number("--messages", args.next())?),
            _ => {
                let option = option.as_bytes().escape_ascii();
                return Err(format!("unknown option {option}\n{USAGE}"));
            }
        }
    }
    Ok((addr, messages))
}

fn number(option: &str, value: Option<OsString>) -> Result<usize, String> {
    value
        .and_then(|value| value.to_str()?.parse().ok())
        .filter(|number| (1..=1_000_000).contains(number))
        .ok_or_else(|| format!("{option} wants a number from 1 to 1000000"))
}

/// What an errno means: without `std` it knows its number only.
fn words(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw_os_error())
}

fn cannot(what: impl Display) -> impl FnOnce(Errno) -> String {
    move |errno| format!("cannot {what}: {}", words(errno))
}

/// Prints a line; a server goes on even if nobody reads what it prints.
fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// What comes before the name: what is sent before it is set comes without.
fn prepare(socket: &UnixDatagram) -> Result<(), Errno> {
    socket.set_passcred(true)?;
    match socket.set_passpidfd(true) {
        // The kernel is older than Linux 6.5.
        Ok(()) | Err(Errno::NOPROTOOPT) => {}
        Err(errno) => return Err(errno),
    }
    // It is `poll` that waits, as a shutdown ends that.
    socket.set_nonblocking(true)
}

/// Binds; the file of a path goes when the server ends, unless another stands there by then. What one
/// that was killed left is reclaimed.
fn bind(addr: &UnixAddr) -> Result<(UnixDatagram, Option<SocketFile>), String> {
    let Some(path) = addr.as_pathname() else {
        let socket = UnixDatagram::unbound().map_err(cannot("make a socket"))?;
        prepare(&socket).map_err(cannot("prepare it"))?;
        socket.bind_to(addr).map_err(cannot(format_args!("receive at {addr}")))?;
        return Ok((socket, None));
    };
    let options = SocketFile::options(path).reclaim().remove_on_drop();
    match options.datagram_with(prepare) {
        Ok((socket, file)) => Ok((socket, Some(file))),
        Err(SocketFileError::Kernel { errno, .. }) => {
            Err(cannot(format_args!("receive at {addr}"))(errno))
        }
        Err(error) => Err(format!("cannot receive at {addr}: {error}")),
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
            eprintln!("credentials_server: {}", cannot("stop")(errno));
        }
    };
    match thread::Builder::new().spawn(wait) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("cannot start a thread: {error}")),
    }
}
