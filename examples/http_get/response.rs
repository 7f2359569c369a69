//! Reads an answer of HTTP/1.1, from a server that may be broken or hostile: made to be taken along.
//!
//! No more is kept of it than [`KEPT_MAX`] bytes: a head, the line before a chunk or the trailer must
//! fit in, and the body goes through. How long it may take is up to who reads: each wait is one call
//! of [`Read::read`].

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};

/// The most bytes that are kept: so long may a head be.
pub const KEPT_MAX: usize = 16 * 1024;
/// The most lines of a head, and of a trailer.
pub const HEADERS_MAX: usize = 100;

/// What went wrong.
#[derive(Debug)]
pub enum Error {
    /// Nothing could be read.
    Receive(io::Error),
    /// Nothing could be written to where the body goes.
    Print(io::Error),
    /// The connection ended before the answer did.
    EndedEarly { what: &'static str },
    /// Longer than [`KEPT_MAX`].
    TooLong { what: &'static str },
    /// Something is not as HTTP has it.
    Malformed { what: String },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receive(error) => write!(f, "cannot receive: {error}"),
            Self::Print(error) => write!(f, "cannot print: {error}"),
            Self::EndedEarly { what } => write!(f, "the server closed before the end of {what}"),
            Self::TooLong { what } => write!(f, "{what} is longer than {KEPT_MAX} bytes"),
            Self::Malformed { what } => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}

fn malformed(what: impl Into<String>) -> Error {
    Error::Malformed { what: what.into() }
}

/// How a server says where a body ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Body {
    Bytes(u64),
    Chunked,
    UntilClose,
}

/// The head of an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Head {
    pub status: u16,
    /// What the server says for people; all of it visible ASCII.
    pub reason: String,
    pub body: Body,
}

impl Head {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Reads the head, then the body.
pub struct Response<R> {
    from: R,
    buf: Box<[u8; KEPT_MAX]>,
    start: usize,
    end: usize,
}

impl<R: Read> Response<R> {
    pub fn new(from: R) -> Self {
        Self { from, buf: Box::new([0; KEPT_MAX]), start: 0, end: 0 }
    }

    fn kept(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    /// Reads more behind what is kept; false at the end of the connection.
    fn more(&mut self, what: &'static str) -> Result<bool, Error> {
        if self.start > 0 {
            self.buf.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == KEPT_MAX {
            return Err(Error::TooLong { what });
        }
        loop {
            match self.from.read(&mut self.buf[self.end..]) {
                Ok(count) => {
                    self.end += count;
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Receive(error)),
            }
        }
    }

    /// Takes what `parse` finds at the beginning, which tells its length, as soon as it is whole.
    fn take<T>(
        &mut self,
        what: &'static str,
        parse: impl Fn(&[u8]) -> Result<Option<(usize, T)>, Error>,
    ) -> Result<T, Error> {
        loop {
            if let Some((len, found)) = parse(self.kept())? {
                self.start += len;
                return Ok(found);
            }
            if !self.more(what)? {
                return Err(Error::EndedEarly { what });
            }
        }
    }

    /// The head of the answer. Those that only announce it (`103 Early Hints`) are passed over.
    pub fn head(&mut self) -> Result<Head, Error> {
        loop {
            let head = self.take("the head", head)?;
            match head.status {
                101 => return Err(malformed("the server switches to another protocol, unasked")),
                100..200 => {}
                _ => return Ok(head),
            }
        }
    }

    /// Writes the body, whose `head` it is, as it comes.
    pub fn body(&mut self, head: &Head, to: &mut impl Write) -> Result<(), Error> {
        match head.body {
            Body::Bytes(count) => self.copy(count, to)?,
            Body::Chunked => loop {
                let count = self.take("a chunk's size", chunk_size)?;
                if count == 0 {
                    self.take("the trailer", trailer)?;
                    break;
                }
                self.copy(count, to)?;
                self.take("a chunk", chunk_end)?;
            },
            Body::UntilClose => loop {
                self.print(usize::MAX, to)?;
                if !self.more("the body")? {
                    break;
                }
            },
        }
        to.flush().map_err(Error::Print)
    }

    /// Writes so many bytes.
    fn copy(&mut self, mut count: u64, to: &mut impl Write) -> Result<(), Error> {
        loop {
            count -= self.print(usize::try_from(count).unwrap_or(usize::MAX), to)? as u64;
            if count == 0 {
                return Ok(());
            }
            if !self.more("the body")? {
                return Err(Error::EndedEarly { what: "the body" });
            }
        }
    }

    /// Writes what is kept, but not more than `limit` bytes, and tells how many.
    fn print(&mut self, limit: usize, to: &mut impl Write) -> Result<usize, Error> {
        let kept = self.kept();
        let part = &kept[..kept.len().min(limit)];
        let count = part.len();
        // As it comes: an answer may take its time.
        to.write_all(part).and_then(|()| to.flush()).map_err(Error::Print)?;
        self.start += count;
        Ok(count)
    }
}

/// Parses a head.
fn head(bytes: &[u8]) -> Result<Option<(usize, Head)>, Error> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let len = match response.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(malformed(format!("this is not HTTP: {error}"))),
    };
    let status = response.code.unwrap_or_default();
    let reason = response.reason.unwrap_or_default().escape_default().to_string();
    let old = response.version == Some(0);
    Ok(Some((len, Head { status, reason, body: body(status, old, response.headers)? })))
}

/// Finds out where the body ends. Where a server says it in two ways, another program on the way may
/// have understood the other: such an answer is refused.
fn body(status: u16, old: bool, headers: &[httparse::Header<'_>]) -> Result<Body, Error> {
    let values = |name: &'static str| {
        let named = headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        named.flat_map(|header| header.value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
    };
    let mut length = None;
    for value in values("Content-Length") {
        let count = digits(value)
            .ok_or_else(|| malformed(format!("a bad Content-Length: {}", value.escape_ascii())))?;
        if length.is_some_and(|length| length != count) {
            return Err(malformed("two lengths of one body"));
        }
        length = Some(count);
    }
    let mut codings = values("Transfer-Encoding");
    let coding = codings.next();
    if status == 204 || status == 304 || (100..200).contains(&status) {
        return Ok(Body::Bytes(0));
    }
    match (coding, codings.next()) {
        (None, _) => Ok(length.map_or(Body::UntilClose, Body::Bytes)),
        (Some(_), _) if old || length.is_some() => {
            Err(malformed("a Transfer-Encoding with a Content-Length, or of HTTP/1.0"))
        }
        (Some(one), None) if one.eq_ignore_ascii_case(b"chunked") => Ok(Body::Chunked),
        (Some(other), _) => {
            Err(malformed(format!("an unknown Transfer-Encoding: {}", other.escape_ascii())))
        }
    }
}

/// A number of nothing but digits: `parse` would take a sign.
fn digits(text: &[u8]) -> Option<u64> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn chunk_size(bytes: &[u8]) -> Result<Option<(usize, u64)>, Error> {
    let bad = || malformed("a chunk's size is not a number");
    // A line without a number is one of 0 to `httparse`.
    if bytes.first().is_some_and(|byte| !byte.is_ascii_hexdigit()) {
        return Err(bad());
    }
    match httparse::parse_chunk_size(bytes) {
        Ok(httparse::Status::Complete(found)) => Ok(Some(found)),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(bad()),
    }
}

fn chunk_end(bytes: &[u8]) -> Result<Option<(usize, ())>, Error> {
    match bytes {
        [b'\r', b'\n', ..] => Ok(Some((2, ()))),
        [] | [b'\r'] => Ok(None),
        _ => Err(malformed("a chunk is longer than its size")),
    }
}

/// What comes behind the last chunk: lines like those of a head, of no interest here.
fn trailer(bytes: &[u8]) -> Result<Option<(usize, ())>, Error> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    match httparse::parse_headers(bytes, &mut headers) {
        Ok(httparse::Status::Complete((len, _))) => Ok(Some((len, ()))),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(error) => Err(malformed(format!("a bad trailer: {error}"))),
    }
}
