//! A datagram server: answers each message to the address that it came from.
//!
//! ```text
//! cargo run --example datagram_server -- /tmp/datagram.sock
//! cargo run --example datagram_server -- @datagram --buffer 8 --messages 3
//! ```
//!
//! It shows one socket for many clients, senders without a name (which cannot be answered),
//! messages that are longer than the buffer, and a client that does not read its answers: it loses
//! those for which its queue has no room, and the server goes on. That is no help against many: all
//! unread answers together fill the server's one send buffer, with the default sizes at some 280
//! small ones, so 26 silent clients of 11 messages each are enough (or a single one where
//! `net.unix.max_dgram_qlen` is that large). Then nobody is answered until some of those are read
//! or their clients are gone. It ends after `--messages` messages, or at SIGINT or SIGTERM.
//! `datagram_client` is the other side.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, io, ptr, thread};

use afunix::{AsRawFd, Errno, Shutdown, SocketFile, SocketFileError, UnixAddr, UnixDatagram};

const USAGE: &str = "usage: datagram_server ADDRESS [--messages N] [--buffer BYTES]
ADDRESS is /path or @name";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("datagram_server: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    if env::args_os().skip(1).any(|arg| arg == "--help" || arg == "-h") {
        say(USAGE);
        return Ok(());
    }
    let Arguments { addr, messages, buffer } = arguments()?;
    let (socket, _file) = bind(&addr)?;
    let socket = Arc::new(socket);
    // A send that waits for one client would keep all the others waiting too.
    socket.set_nonblocking(true).map_err(cannot("become non-blocking"))?;

    let stop = Arc::new(AtomicBool::new(false));
    let (interrupted, stopped) = (Arc::clone(&socket), Arc::clone(&stop));
    on_signal(move || {
        stopped.store(true, Ordering::Release);
        // From here on the socket is readable for `poll`, whether that has begun yet or not.
        interrupted.shutdown(Shutdown::Read)
    })?;
    say(format_args!("listening on {addr}"));

    let mut buf = vec![0; buffer];
    let mut count = 0;
    while messages.is_none_or(|limit| count < limit) {
        let (received, from) = match socket.recv_from(&mut buf) {
            Ok(received) => received,
            Err(Errno::AGAIN) if stop.load(Ordering::Acquire) => {
                say("interrupted");
                break;
            }
            Err(Errno::AGAIN) => {
                wait_readable(&socket)?;
                continue;
            }
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(cannot("receive")(errno)),
        };
        count += 1;
        let message = &buf[..received.bytes];
        let text = message.escape_ascii();
        if received.is_truncated() {
            let (bytes, size) = (received.bytes, received.size);
            say(format_args!("{from}: {bytes} of {size} bytes, the rest is lost: {text}"));
        } else {
            say(format_args!("{from}: {} bytes: {text}", received.bytes));
        }
        if from.is_unnamed() {
            say(format_args!("{from}: not answered: the sender has no name"));
        } else if let Err(errno) = answer(&socket, message, &from) {
            say(format_args!("{from}: not answered: {}", words(errno)));
        }
    }
    Ok(())
}

fn answer(socket: &UnixDatagram, message: &[u8], to: &UnixAddr) -> Result<(), Errno> {
    loop {
        match socket.send_to(message, to) {
            Err(Errno::INTR) => {}
            sent => return sent.map(drop),
        }
    }
}

fn wait_readable(socket: &UnixDatagram) -> Result<(), String> {
    let mut fd = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: the pointer is good for the one element that the call is told of.
    if unsafe { libc::poll(&mut fd, 1, -1) } < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(format!("cannot wait for messages: {error}"));
        }
    }
    Ok(())
}

struct Arguments {
    addr: UnixAddr,
    messages: Option<usize>,
    buffer: usize,
}

fn arguments() -> Result<Arguments, String> {
    let mut args = env::args_os().skip(1);
    let text = args.next().ok_or(USAGE)?;
    let addr = UnixAddr::parse(text.as_bytes())
        .map_err(|error| format!("bad address {}: {error}", text.as_bytes().escape_ascii()))?;
    let mut arguments = Arguments { addr, messages: None, buffer: 1024 };
    while let Some(option) = args.next() {
        match option.to_str() {
            Some("--messages") => arguments.messages = Some(number("--messages", args.next())?),
            Some("--buffer") => arguments.buffer = number("--buffer", args.next())?,
            _ => {
                let option = option.as_bytes().escape_ascii();
                return Err(format!("unknown option {option}\n{USAGE}"));
            }
        }
    }
    Ok(arguments)
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

/// Binds; the file of a path goes when the server ends, unless another stands there by then. What one
/// that was killed left is reclaimed.
fn bind(addr: &UnixAddr) -> Result<(UnixDatagram, Option<SocketFile>), String> {
    let Some(path) = addr.as_pathname() else {
        let socket = UnixDatagram::bind(addr).map_err(cannot(format_args!("receive at {addr}")))?;
        return Ok((socket, None));
    };
    let options = SocketFile::options(path).reclaim().remove_on_drop();
    match options.datagram() {
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
            eprintln!("datagram_server: {}", cannot("stop")(errno));
        }
    };
    match thread::Builder::new().spawn(wait) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("cannot start a thread: {error}")),
    }
}
