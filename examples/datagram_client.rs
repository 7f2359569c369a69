//! Datagram clients, as many as wanted: each sends messages under a name of its own and waits for
//! the answers.
//!
//! ```text
//! cargo run --example datagram_client -- /tmp/datagram.sock --clients 20 --messages 3
//! cargo run --example datagram_client -- @datagram --name /tmp/client --size 100
//! cargo run --example datagram_client -- @datagram --unnamed
//! ```
//!
//! It shows the name that the kernel picks (autobind), names of one's own (`--name /tmp/client`
//! makes `/tmp/client.1` and so on), clients without a name, which get no answer, and waiting with
//! a limit for room in the server's queue and for the answer. Each client removes the file of its
//! name when it ends, but a signal ends the program at once and leaves these files behind, until a client
//! of the same name reclaims them.
//! `datagram_server` is the other side.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, io, thread};

use afunix::{AsRawFd, Errno, SocketFile, SocketFileError, UnixAddr, UnixDatagram};

const USAGE: &str = "usage: datagram_client ADDRESS [--clients N] [--messages N] [--size BYTES]
                       [--wait SECONDS] [--name ADDRESS | --unnamed]
ADDRESS is /path or @name";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("datagram_client: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    if env::args_os().skip(1).any(|arg| arg == "--help" || arg == "-h") {
        return say(USAGE);
    }
    let arguments = arguments()?;
    let mut failed = 0;
    thread::scope(|scope| -> Result<(), String> {
        let clients: Vec<_> = (1..=arguments.clients)
            .map(|number| {
                let arguments = &arguments;
                thread::Builder::new().spawn_scoped(scope, move || client(arguments, number))
            })
            .collect::<io::Result<_>>()
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        for (client, number) in clients.into_iter().zip(1..) {
            match client.join() {
                Ok(Ok(report)) => say(format_args!("client {number}: {report}"))?,
                Ok(Err(message)) => {
                    eprintln!("client {number}: {message}");
                    failed += 1;
                }
                Err(_) => failed += 1,
            }
        }
        Ok(())
    })?;
    if failed > 0 {
        return Err(format!("{failed} of {} clients failed", arguments.clients));
    }
    Ok(())
}

/// The whole life of one client; gives the line that is printed of it.
fn client(arguments: &Arguments, number: usize) -> Result<String, String> {
    let server = &arguments.server;
    // Removed when this client ends.
    let mut _file = None;
    let (socket, name) = match &arguments.names {
        Names::Autobind => UnixDatagram::autobind().map_err(cannot("get a name"))?,
        Names::None => {
            (UnixDatagram::unbound().map_err(cannot("make a socket"))?, UnixAddr::UNNAMED)
        }
        Names::Prefix(prefix) => {
            let text = [prefix.as_bytes(), format!(".{number}").as_bytes()].concat();
            let name = UnixAddr::parse(&text)
                .map_err(|error| format!("bad name {}: {error}", text.escape_ascii()))?;
            let (socket, made) = bind(&name)?;
            _file = made;
            (socket, name)
        }
    };
    // `poll` tells of room in the server's queue only where the socket is connected to it.
    socket.connect(server).map_err(cannot(format_args!("connect to {server}")))?;
    socket.set_nonblocking(true).map_err(cannot("become non-blocking"))?;

    let mut cut = 0;
    for message_number in 1..=arguments.messages {
        let mut message = format!("client {number} message {message_number}").into_bytes();
        message.resize(message.len().max(arguments.size), b'.');
        send(&socket, &message, arguments.wait)
            .map_err(cannot(format_args!("send message {message_number}")))?;
        if name.is_unnamed() {
            continue;
        }
        // Room for one more byte, so that an answer which is too long does not look right.
        let mut buf = vec![0; message.len() + 1];
        let bytes = receive(&socket, &mut buf, arguments.wait)
            .map_err(cannot(format_args!("get answer {message_number}")))?;
        if !message.starts_with(&buf[..bytes]) {
            let answer = buf[..bytes].escape_ascii();
            return Err(format!("message {message_number} was answered with {answer}"));
        }
        cut += usize::from(bytes < message.len());
    }
    let sent = arguments.messages;
    Ok(match (name.is_unnamed(), cut) {
        (true, _) => format!("{sent} messages sent without a name, no answer can come"),
        (false, 0) => format!("{sent} messages sent, {sent} answers"),
        (false, _) => format!("{sent} messages sent, {sent} answers, {cut} of them cut"),
    })
}

fn send(socket: &UnixDatagram, message: &[u8], limit: Duration) -> Result<(), Errno> {
    let deadline = Instant::now() + limit;
    loop {
        match socket.send(message) {
            Ok(_) => return Ok(()),
            Err(Errno::AGAIN) => wait(socket, libc::POLLOUT, deadline)?,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn receive(socket: &UnixDatagram, buf: &mut [u8], limit: Duration) -> Result<usize, Errno> {
    let deadline = Instant::now() + limit;
    loop {
        match socket.recv(buf) {
            Ok(received) => return Ok(received.bytes),
            Err(Errno::AGAIN) => wait(socket, libc::POLLIN, deadline)?,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Waits until the socket may be ready; it is an error once the deadline is over.
fn wait(socket: &UnixDatagram, events: i16, deadline: Instant) -> Result<(), Errno> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Errno::TIMEDOUT);
    }
    // One more, so that what is left of a millisecond does not become a busy loop.
    let millis = i32::try_from(left.as_millis()).unwrap_or(i32::MAX).saturating_add(1);
    let mut fd = libc::pollfd { fd: socket.as_raw_fd(), events, revents: 0 };
    // SAFETY: the pointer is good for the one element that the call is told of. Where the call
    // fails, the next one on the socket tells more, and the deadline ends the loop.
    unsafe { libc::poll(&mut fd, 1, millis) };
    Ok(())
}

struct Arguments {
    server: UnixAddr,
    clients: usize,
    messages: usize,
    size: usize,
    wait: Duration,
    names: Names,
}

enum Names {
    Autobind,
    None,
    Prefix(OsString),
}

fn arguments() -> Result<Arguments, String> {
    let mut args = env::args_os().skip(1);
    let text = args.next().ok_or(USAGE)?;
    let server = UnixAddr::parse(text.as_bytes())
        .map_err(|error| format!("bad address {}: {error}", text.as_bytes().escape_ascii()))?;
    let wait = Duration::from_secs(5);
    let mut arguments =
        Arguments { server, clients: 1, messages: 1, size: 1, wait, names: Names::Autobind };
    while let Some(option) = args.next() {
        match option.to_str() {
            Some("--clients") => arguments.clients = number("--clients", args.next())?,
            Some("--messages") => arguments.messages = number("--messages", args.next())?,
            Some("--size") => arguments.size = number("--size", args.next())?,
            Some("--wait") => {
                arguments.wait = Duration::from_secs(number("--wait", args.next())? as u64);
            }
            Some("--name") => arguments.names = Names::Prefix(args.next().ok_or(USAGE)?),
            Some("--unnamed") => arguments.names = Names::None,
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

/// Prints a line. Where nobody takes it, as behind `| head -1`, that is an error and no panic.
fn say(line: impl Display) -> Result<(), String> {
    writeln!(io::stdout(), "{line}").map_err(|error| format!("cannot print: {error}"))
}

/// Says what failed and why in words: without `std` an `Errno` knows its number only.
fn cannot(what: impl Display) -> impl FnOnce(Errno) -> String {
    move |errno| format!("cannot {what}: {}", io::Error::from_raw_os_error(errno.raw_os_error()))
}

/// Binds; the file of a path goes when this client ends, unless another stands there by then. What one
/// that was killed left is reclaimed.
fn bind(addr: &UnixAddr) -> Result<(UnixDatagram, Option<SocketFile>), String> {
    let Some(path) = addr.as_pathname() else {
        let socket = UnixDatagram::bind(addr).map_err(cannot(format_args!("bind to {addr}")))?;
        return Ok((socket, None));
    };
    let options = SocketFile::options(path).reclaim().remove_on_drop();
    match options.datagram() {
        Ok((socket, file)) => Ok((socket, Some(file))),
        Err(SocketFileError::Kernel { errno, .. }) => {
            Err(cannot(format_args!("bind to {addr}"))(errno))
        }
        Err(error) => Err(format!("cannot bind to {addr}: {error}")),
    }
}
