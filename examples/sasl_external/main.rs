//! Says hello to a D-Bus: finds it, looks who it is, authenticates as this user, and gets a name.
//!
//! ```text
//! cargo run --example sasl_external
//! cargo run --example sasl_external -- unix:path=/run/dbus/system_bus_socket
//! cargo run --example sasl_external -- 'unix:abstract=a%20bus;unix:runtime=yes' --timeout 5
//! ```
//!
//! Without an address it takes that of `DBUS_SESSION_BUS_ADDRESS`. It is what D-Bus libraries do first,
//! and a pattern for other protocols, as each part is alone and can be taken along:
//!
//! - `address.rs`: the addresses of D-Bus, which are lists of what to try in turn.
//! - `sasl.rs`: the lines that come before the messages, with the mechanism `EXTERNAL`: what the user is
//!   comes from the kernel, the client only says whom it takes itself for.
//! - `message.rs`: the one message that is sent here, and what must be known of others to read past them.
//!
//! The client looks at the server too: it deals with nobody but root and its own user. All that a server
//! sends is taken with limits, of bytes and of time: `--timeout` seconds for everything, 10 by default.

mod address;
mod message;
mod sasl;

use std::env;
use std::ffi::OsStr;
use std::fmt::Display;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use address::Server;
use afunix::{Errno, PeerCredentials, UnixAddr, UnixStream};
use message::{ERROR, Endian, METHOD_RETURN, hello};
use sasl::{Connection, Session};

const USAGE: &str = "usage: sasl_external [ADDRESS] [--timeout SECONDS]
ADDRESS is as D-Bus has it: unix:path=/path or unix:abstract=name, and more of them behind `;`";

/// The number of the one message that is sent.
const SERIAL: u32 = 1;
/// The most messages that are read past until the answer comes.
const OTHERS_MAX: usize = 100;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("sasl_external: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    if env::args_os().skip(1).any(|arg| arg == "--help" || arg == "-h") {
        return say(USAGE);
    }
    let (text, timeout) = arguments()?;
    let runtime = env::var_os("XDG_RUNTIME_DIR");
    let servers = address::parse(&text, runtime.as_ref().map(|dir| dir.as_bytes()))
        .map_err(|error| format!("bad address {}: {error}", text.escape_ascii()))?;
    let end = Instant::now() + timeout;
    let mut failures = Vec::new();
    for server in servers {
        let failure = match server {
            Ok(server) => match open(&server, end) {
                Ok(bus) => return greet(&server.addr, bus),
                Err(error) => format!("{}: {error}", server.addr),
            },
            Err(reason) => reason,
        };
        failures.push(failure);
    }
    Err(format!("no bus to be had\n  {}", failures.join("\n  ")))
}

/// A bus that waits for messages.
struct Bus {
    connection: Connection<Timed>,
    session: Session,
    found: PeerCredentials,
}

/// Connects, looks who is there, and authenticates.
fn open(server: &Server, end: Instant) -> Result<Bus, String> {
    let stream = Timed::connect(&server.addr, end).map_err(|e| format!("cannot connect: {e}"))?;
    // Before anything is said.
    let found = stream.stream.peer_credentials();
    let found =
        found.map_err(|error| format!("cannot learn who it is: {}", words(error.into())))?;
    trust(found)?;
    let mut connection = Connection::new(stream);
    let uid = rustix::process::geteuid().as_raw();
    let session = connection.authenticate(uid).map_err(|error| error.to_string())?;
    match &server.guid {
        Some(guid) if !guid.eq_ignore_ascii_case(session.guid.as_bytes()) => {
            Err(format!("it is another server than is meant: its guid is {}", session.guid))
        }
        _ => Ok(Bus { connection, session, found }),
    }
}

/// It must be root or this user: what goes over a bus is not for others.
fn trust(found: PeerCredentials) -> Result<(), String> {
    match (found.require_root(), found.require_same_user()) {
        (Ok(()), _) | (_, Ok(())) => Ok(()),
        (Err(root), Err(same)) if root == same => Err(format!("it is another's: {root}")),
        (Err(root), Err(same)) => Err(format!(
            "it is another's: wanted {} or {}, found {found}",
            root.wanted, same.wanted
        )),
    }
}

/// Gets a name of the bus, as each client must before all else.
fn greet(addr: &UnixAddr, bus: Bus) -> Result<(), String> {
    let Bus { mut connection, session, found } = bus;
    say(format_args!("connected to {addr}: {found}"))?;
    say(format_args!("guid {}", session.guid))?;
    say(format_args!(
        "descriptors {}",
        if session.fds { "may be sent" } else { "may not be sent" }
    ))?;
    connection.send(&hello(Endian::NATIVE, SERIAL)).map_err(|error| error.to_string())?;
    for _ in 0..OTHERS_MAX {
        let message = connection.message().map_err(|error| error.to_string())?;
        if message.reply_serial != Some(SERIAL) {
            continue;
        }
        let text = message.text().map_err(|error| error.to_string())?;
        let text = text.as_deref().unwrap_or_default().escape_default();
        return match message.kind {
            METHOD_RETURN => say(format_args!("unique name {text}")),
            ERROR => {
                let name = message.error_name.unwrap_or_default();
                Err(format!("the bus refuses: {}: {text}", name.escape_default()))
            }
            kind => Err(format!("an answer of the kind {kind}")),
        };
    }
    Err(format!("{OTHERS_MAX} messages, and no answer among them"))
}

/// A stream, and until when all is to be done. A time limit of a socket is for each call by itself, and a
/// server that sends one byte at a time would never reach it: so each call gets what is left.
struct Timed {
    stream: UnixStream,
    end: Instant,
}

impl Timed {
    fn connect(addr: &UnixAddr, end: Instant) -> io::Result<Self> {
        let timed = Self { stream: UnixStream::unbound().map_err(words)?, end };
        loop {
            // While the queue of the listener is full, connecting waits as writing does.
            timed.stream.set_write_timeout(Some(timed.left()?)).map_err(words)?;
            match timed.stream.connect_to(addr) {
                Ok(()) => return Ok(timed),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(words(errno)),
            }
        }
    }

    /// The time that is left; more than none, which would be no limit.
    fn left(&self) -> io::Result<Duration> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(words(Errno::AGAIN)) } else { Ok(left) }
    }
}

impl Read for Timed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?)).map_err(words)?;
        // Descriptors that come along, of which this program wants none, are closed by the kernel.
        self.stream.read(buf).map_err(words)
    }
}

impl Write for Timed {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?)).map_err(words)?;
        self.stream.write(buf).map_err(words)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What an errno means: without `std` it knows its number only.
fn words(errno: Errno) -> io::Error {
    match errno {
        // That is how the kernel says that a time limit was reached.
        Errno::AGAIN => io::Error::new(io::ErrorKind::TimedOut, "the time is over"),
        errno => io::Error::from_raw_os_error(errno.raw_os_error()),
    }
}

fn arguments() -> Result<(Vec<u8>, Duration), String> {
    let mut args = env::args_os().skip(1);
    let (mut address, mut timeout) = (None, Duration::from_secs(10));
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--timeout") => {
                let value = args.next();
                let seconds = value.as_deref().and_then(OsStr::to_str).and_then(|text| {
                    text.parse().ok().filter(|seconds| (1..=1_000_000).contains(seconds))
                });
                let seconds = seconds.ok_or("--timeout wants a number from 1 to 1000000")?;
                timeout = Duration::from_secs(seconds);
            }
            Some(option) if option.starts_with("--") => {
                return Err(format!("unknown option {}\n{USAGE}", option.escape_debug()));
            }
            _ if address.is_none() => address = Some(arg),
            _ => return Err(USAGE.to_string()),
        }
    }
    match address.or_else(|| env::var_os("DBUS_SESSION_BUS_ADDRESS")) {
        Some(address) => Ok((address.as_bytes().to_vec(), timeout)),
        None => Err(format!("there is no DBUS_SESSION_BUS_ADDRESS\n{USAGE}")),
    }
}

/// Prints a line. Where nobody takes it, as behind `| head -1`, that is an error and no panic.
fn say(line: impl Display) -> Result<(), String> {
    writeln!(io::stdout(), "{line}").map_err(|error| format!("cannot print: {error}"))
}
