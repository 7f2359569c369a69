//! The lines that open a connection of D-Bus, and the messages behind them, from a server that may be
//! broken or hostile.
//!
//! No more is kept of it than one line of [`LINE_MAX`] bytes, or one message of
//! [`MESSAGE_MAX`]. How long it may take is up to the stream: each wait is one call of [`Read::read`].

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};

use super::message::{self, MESSAGE_MAX, Message};

/// The most bytes of a line, with its end.
pub const LINE_MAX: usize = 4096;

/// What went wrong.
#[derive(Debug)]
pub enum Error {
    Receive(io::Error),
    Send(io::Error),
    /// The server closed.
    Ended {
        before: &'static str,
    },
    /// A line longer than [`LINE_MAX`], or a message longer than [`MESSAGE_MAX`].
    TooLong {
        what: &'static str,
    },
    /// The server does not take this user for what it says, or takes nobody in this way; and which
    /// mechanisms it has.
    Rejected {
        mechanisms: String,
    },
    /// The server answers by an error.
    Refused {
        why: String,
    },
    /// Something is not as D-Bus has it.
    Malformed {
        what: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receive(error) => write!(f, "cannot receive: {error}"),
            Self::Send(error) => write!(f, "cannot send: {error}"),
            Self::Ended { before } => write!(f, "the server closed before {before}"),
            Self::TooLong { what } => write!(f, "the server sends {what} that is too long"),
            Self::Rejected { mechanisms } if mechanisms.is_empty() => {
                f.write_str("the server rejects this user")
            }
            Self::Rejected { mechanisms } => {
                write!(f, "the server rejects this user; it knows {mechanisms}")
            }
            Self::Refused { why } => write!(f, "the server answers by an error: {why}"),
            Self::Malformed { what } => write!(f, "this is not D-Bus: {what}"),
        }
    }
}

impl std::error::Error for Error {}

fn malformed(what: impl Into<String>) -> Error {
    Error::Malformed { what: what.into() }
}

/// What was agreed on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// The server's identity: 32 hexadecimal digits.
    pub guid: String,
    /// Whether descriptors may be sent with messages.
    pub fds: bool,
}

/// A stream to a server, and what has come of it and was not taken yet.
pub struct Connection<S> {
    stream: S,
    kept: Vec<u8>,
}

impl<S: Read + Write> Connection<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, kept: Vec::new() }
    }

    /// Authenticates as a user, whom the server compares with what the kernel tells it; and asks whether
    /// descriptors may be sent. Then it is the messages' turn.
    ///
    /// Where this process is in another user namespace than the server, a number means nothing to it:
    /// then `AUTH EXTERNAL` goes without one, and an empty `DATA` follows.
    pub fn authenticate(&mut self, uid: u32) -> Result<Session, Error> {
        // The number in decimal digits, and these in hexadecimal ones.
        let hex: String = uid.to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
        // The first byte was once there to carry credentials; it must still come.
        self.send(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes())?;
        let line = self.line("it answered AUTH")?;
        let guid = match line.split_once(' ').unwrap_or((&line, "")) {
            ("OK", guid) if guid.len() == 32 && guid.bytes().all(|b| b.is_ascii_hexdigit()) => {
                guid.to_string()
            }
            ("REJECTED", list) => return Err(Error::Rejected { mechanisms: list.to_string() }),
            ("ERROR", why) => return Err(Error::Refused { why: why.to_string() }),
            _ => return Err(malformed(format!("\"{line}\" answers AUTH"))),
        };
        self.send(b"NEGOTIATE_UNIX_FD\r\n")?;
        let line = self.line("it answered NEGOTIATE_UNIX_FD")?;
        let fds = match line.split(' ').next() {
            Some("AGREE_UNIX_FD") => true,
            // It does not know of them, and goes on without.
            Some("ERROR") => false,
            _ => return Err(malformed(format!("\"{line}\" answers NEGOTIATE_UNIX_FD"))),
        };
        self.send(b"BEGIN\r\n")?;
        Ok(Session { guid, fds })
    }

    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        // It goes on after an interruption.
        self.stream.write_all(bytes).map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Error::Ended { before: "all was sent" },
            _ => Error::Send(error),
        })
    }

    /// A line without its end, all of it visible ASCII.
    fn line(&mut self, before: &'static str) -> Result<String, Error> {
        loop {
            let end = self.kept.windows(2).position(|bytes| bytes == b"\r\n");
            match end {
                Some(end) if end + 2 <= LINE_MAX => {
                    let line: Vec<u8> = self.kept.drain(..end + 2).take(end).collect();
                    let is_text = line.iter().all(|byte| matches!(byte, b' '..=b'~'));
                    let text = String::from_utf8(line).ok().filter(|_| is_text);
                    return text.ok_or_else(|| malformed("a line is not text"));
                }
                None if self.kept.len() < LINE_MAX => self.more(before)?,
                _ => return Err(Error::TooLong { what: "a line" }),
            }
        }
    }

    /// The next message.
    pub fn message(&mut self) -> Result<Message, Error> {
        loop {
            match message::parse(&self.kept).map_err(malformed)? {
                Some((size, _)) if size > MESSAGE_MAX => {
                    return Err(Error::TooLong { what: "a message" });
                }
                Some((size, Some(message))) => {
                    self.kept.drain(..size);
                    return Ok(message);
                }
                _ => self.more("it answered")?,
            }
        }
    }

    /// Reads what there is, up to a limit; so no more is kept than that and one line or message.
    fn more(&mut self, before: &'static str) -> Result<(), Error> {
        let mut buf = [0; 1024];
        loop {
            match self.stream.read(&mut buf) {
                Ok(0) => return Err(Error::Ended { before }),
                Ok(count) => {
                    self.kept.extend_from_slice(&buf[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return Err(Error::Ended { before });
                }
                Err(error) => return Err(Error::Receive(error)),
            }
        }
    }
}
