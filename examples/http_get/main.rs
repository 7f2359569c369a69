//! Asks a server of HTTP that listens at a path, as a container engine does, and prints the answer.
//!
//! ```text
//! cargo run --example http_get -- /var/run/docker.sock /version
//! cargo run --example http_get -- @web /index.html --timeout 5
//! ```
//!
//! It shows a limit for the time of a whole exchange, made of the limits that each call has; errors of
//! connecting, each with what to look at; and a peer that is not trusted: whatever it sends, it ends
//! within the time, and in bounded memory. `response.rs` has the rules of HTTP, to be taken along.
//!
//! It ends with 0 after an answer of success, with 2 after any other answer (redirects are not
//! followed), and with 1 where there is none, or none that is whole.

mod response;

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs};

use afunix::{Errno, UnixAddr, UnixStream};
use response::{Head, Response};

const USAGE: &str = "usage: http_get ADDRESS TARGET [--timeout SECONDS]
ADDRESS is /path or @name; TARGET is what to get, as /version; the time is for all of it, 30 by default";

fn main() -> ExitCode {
    match run() {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(head)) if head.is_success() => ExitCode::SUCCESS,
        Ok(Some(head)) => {
            eprintln!("http_get: the server answers {} {}", head.status, head.reason);
            ExitCode::from(2)
        }
        Err(message) => {
            eprintln!("http_get: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Option<Head>, String> {
    let mut stdout = io::stdout().lock();
    if env::args_os().skip(1).any(|arg| arg == "--help" || arg == "-h") {
        writeln!(stdout, "{USAGE}").map_err(|error| format!("cannot print: {error}"))?;
        return Ok(None);
    }
    let Arguments { addr, target, timeout } = arguments()?;
    let stream = Timed::connect(&addr, timeout)
        .map_err(|error| format!("cannot connect to {addr}: {error}{}", hint(&addr, &error)))?;
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: */*\r\n\
         User-Agent: http_get\r\n\r\n"
    );
    // A server may answer, and leave, before it has read all: then the answer counts.
    let asked = stream.write_all(request.as_bytes());
    let mut response = Response::new(&stream);
    let answered = response.head().and_then(|head| {
        response.body(&head, &mut stdout)?;
        Ok(head)
    });
    match (answered, asked) {
        (Ok(head), _) => Ok(Some(head)),
        (Err(_), Err(error)) => Err(format!("cannot send: {error}")),
        (Err(error), Ok(())) => Err(error.to_string()),
    }
}

/// A stream, and until when all is to be done. A time limit of a socket is for each call by itself, and a
/// server that sends one byte at a time would never reach it: so each call gets what is left.
struct Timed {
    stream: UnixStream,
    end: Instant,
}

impl Timed {
    fn connect(addr: &UnixAddr, timeout: Duration) -> io::Result<Self> {
        let end = Instant::now() + timeout;
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

    fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.set_write_timeout(Some(self.left()?)).map_err(words)?;
            match self.stream.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::INTR) => {}
                Err(errno) => return Err(words(errno)),
            }
        }
        Ok(())
    }
}

impl Read for &Timed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?)).map_err(words)?;
        self.stream.read(buf).map_err(words)
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

/// What may be wrong where there is no connection.
fn hint(addr: &UnixAddr, error: &io::Error) -> &'static str {
    let path = addr.as_pathname().map(OsStr::from_bytes);
    let is_other = |path| fs::metadata(path).is_ok_and(|data| !data.file_type().is_socket());
    match error.raw_os_error() {
        Some(libc::ENOENT) => " (has the server been started?)",
        // The kernel says the same of a socket that nobody listens at.
        Some(libc::ECONNREFUSED) if path.is_some_and(is_other) => " (this is not a socket)",
        Some(libc::ECONNREFUSED) => " (nobody listens there)",
        Some(libc::EACCES) => " (the file and each folder above must allow it, the file to write)",
        Some(libc::EPROTOTYPE) => " (this is a socket of another type)",
        _ => "",
    }
}

struct Arguments {
    addr: UnixAddr,
    target: String,
    timeout: Duration,
}

fn arguments() -> Result<Arguments, String> {
    let mut args = env::args_os().skip(1);
    let text = args.next().ok_or(USAGE)?;
    let addr = UnixAddr::parse(text.as_bytes())
        .map_err(|error| format!("bad address {}: {error}", text.as_bytes().escape_ascii()))?;
    let target = args.next().ok_or(USAGE)?;
    // Nothing that could end the line: what follows would be another request.
    let is_target =
        |text: &&str| text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic());
    let target = target.to_str().filter(is_target).map(str::to_string).ok_or_else(|| {
        let text = target.as_bytes().escape_ascii();
        format!("bad target {text}: it begins with `/` and has no blanks, `%20` is one")
    })?;
    let mut timeout = Duration::from_secs(30);
    while let Some(option) = args.next() {
        match option.to_str() {
            Some("--timeout") => {
                let value = args.next();
                let seconds = value.as_deref().and_then(OsStr::to_str).and_then(|text| {
                    text.parse().ok().filter(|seconds| (1..=1_000_000).contains(seconds))
                });
                let seconds = seconds.ok_or("--timeout wants a number from 1 to 1000000")?;
                timeout = Duration::from_secs(seconds);
            }
            _ => {
                let option = option.as_bytes().escape_ascii();
                return Err(format!("unknown option {option}\n{USAGE}"));
            }
        }
    }
    Ok(Arguments { addr, target, timeout })
}
