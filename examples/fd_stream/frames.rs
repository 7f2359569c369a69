//! Frames of bytes and descriptors over a stream: made to be taken along.
//!
//! A frame is the length of its body (4 bytes, big-endian), the number of its descriptors (1 byte) and
//! its body. No body is longer than [`BODY_MAX`], and no frame has more than [`FDS_MAX`] descriptors.
//!
//! # Whose descriptors they are
//!
//! The kernel keeps descriptors with the bytes of the send that they went with, and gives them to the
//! receive that takes the first of those bytes. That receive stops behind these bytes at the latest, so
//! its **last byte** is one of them. It need not begin with them: what comes before may be the end of
//! earlier sends, and no one can tell where that ends. So:
//!
//! - descriptors belong to the frame that the last byte of their receive belongs to;
//! - a sender sends them with bytes of one frame alone, as [`send`] does, and not later than the last
//!   byte of that frame. If the kernel takes only a part of the bytes it has taken all the
//!   descriptors: what is left goes without.
//!
//! # What a peer cannot do
//!
//! - Have much kept for it: at most one frame's bytes, and [`PENDING_MAX`] descriptors.
//! - Send more descriptors than the frame declares, or fewer. It is refused as soon as that is certain,
//!   which for too many is before the frame is whole.
//! - Go on after that. Bytes and descriptors have lost each other, so whatever is kept is closed, each
//!   further call gives the same [`Error`], and the connection is there to be dropped.
//!
//! What it can do is send slowly, or nothing: limit the time as the rest of your program does.

use std::collections::VecDeque;
use std::fmt;

use afunix::{BorrowedFd, Errno, OwnedFd, RecvError, SendError, UnixStream};

/// How many bytes come before the body.
pub const HEADER: usize = 5;
/// The longest body.
pub const BODY_MAX: usize = 16 * 1024;
/// The most descriptors of one frame.
pub const FDS_MAX: usize = 8;
/// The most descriptors that wait for their frames: those of a frame that is not whole yet, and those
/// that came with the rest of it but are of the next one.
pub const PENDING_MAX: usize = 2 * FDS_MAX;

/// Some bytes, and the descriptors that belong to them; these are closed on drop.
#[derive(Debug)]
pub struct Frame {
    pub body: Vec<u8>,
    pub fds: Vec<OwnedFd>,
}

/// Why there is no frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// The kernel gave nothing. Nothing is lost, and a later call may succeed.
    Kernel(Errno),
    /// A body is longer than [`BODY_MAX`].
    BodyTooLong { declared: usize },
    /// A frame declares more descriptors than [`FDS_MAX`].
    FdsDeclared { declared: usize },
    /// More descriptors came than could be of the frame.
    FdsTooMany { limit: usize },
    /// A frame came to its end without all the descriptors that it declares.
    FdsMissing { declared: usize, came: usize },
    /// Descriptors came that this process could not take, for their number or for its own limit.
    FdsLost(RecvError),
    /// More was fed than there was [room](Decoder::room) for.
    Overfed,
    /// The stream ended inside a frame.
    EndInside,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Kernel(errno) => {
                // Without `std` it knows its number only.
                let words = std::io::Error::from_raw_os_error(errno.raw_os_error());
                write!(f, "cannot go on: {words}")
            }
            Self::BodyTooLong { declared } => {
                write!(f, "a frame of {declared} bytes, the limit is {BODY_MAX}")
            }
            Self::FdsDeclared { declared } => {
                write!(f, "a frame of {declared} descriptors, the limit is {FDS_MAX}")
            }
            Self::FdsTooMany { limit } => {
                write!(f, "more descriptors came with a frame than {limit}")
            }
            Self::FdsMissing { declared, came } => {
                write!(f, "{came} descriptors came with a frame that declares {declared}")
            }
            Self::FdsLost(error) => error.fmt(f),
            Self::Overfed => f.write_str("more was fed than there is room for"),
            Self::EndInside => f.write_str("the stream ended inside a frame"),
        }
    }
}

impl std::error::Error for Error {}

/// Makes frames of what comes, in whatever pieces: see the [rules](self).
///
/// [`read`](Self::read) is all that a stream that waits needs. [`feed`](Self::feed) and
/// [`next_frame`](Self::next_frame) are its two halves, for who receives in another way.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    /// How many bytes of the stream came before `bytes`.
    past: u64,
    /// Descriptors, each with where in the stream the last byte of its receive is.
    fds: VecDeque<(u64, OwnedFd)>,
    refused: Option<Error>,
}

impl Decoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Receives until there is a frame; `None` at the end of the stream, if that is between two.
    ///
    /// # Errors
    ///
    /// After [`Error::Kernel`] it may be called again. All others are for good, and no descriptor is
    /// left open.
    pub fn read(&mut self, stream: &UnixStream) -> Result<Option<Frame>, Error> {
        let mut buf = [0; 4096];
        loop {
            if let Some(frame) = self.next_frame()? {
                return Ok(Some(frame));
            }
            // There is room, else there would have been a frame. With none, the kernel would give
            // the next descriptors away for 0 bytes, which looks like the end.
            let room = self.room().min(buf.len());
            match stream.recv_fds::<FDS_MAX>(&mut buf[..room]) {
                Ok((received, _)) if received.bytes == 0 => return self.end().map(|()| None),
                Ok((_, fds)) if fds.surplus() > 0 => {
                    return Err(self.refuse(Error::FdsTooMany { limit: FDS_MAX }));
                }
                Ok((received, fds)) => self.feed(&buf[..received.bytes], fds)?,
                Err(RecvError::Kernel(Errno::INTR)) => {}
                Err(RecvError::Kernel(errno)) => return Err(Error::Kernel(errno)),
                Err(error) => return Err(self.refuse(Error::FdsLost(error))),
            }
        }
    }

    /// How many bytes [`feed`](Self::feed) takes at the moment: some, if
    /// [`next_frame`](Self::next_frame) had no frame.
    pub fn room(&self) -> usize {
        (HEADER + BODY_MAX).saturating_sub(self.bytes.len())
    }

    /// Takes what came with **one** receive, which is what ties the descriptors to the last byte. To
    /// be called when [`next_frame`](Self::next_frame) has no frame.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        fds: impl IntoIterator<Item = OwnedFd>,
    ) -> Result<(), Error> {
        self.check()?;
        if bytes.len() > self.room() {
            return Err(self.refuse(Error::Overfed));
        }
        self.bytes.extend_from_slice(bytes);
        let came = self.past + self.bytes.len() as u64;
        for (count, fd) in fds.into_iter().enumerate() {
            // One send carries the descriptors of one frame at most; and without a byte, of none.
            let limit = if bytes.is_empty() { 0 } else { FDS_MAX };
            if count >= limit {
                return Err(self.refuse(Error::FdsTooMany { limit }));
            }
            if self.fds.len() >= PENDING_MAX {
                return Err(self.refuse(Error::Overfed));
            }
            self.fds.push_back((came - 1, fd));
        }
        Ok(())
    }

    /// The next frame, if it is whole.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Error> {
        self.check()?;
        let Some((header, rest)) = self.bytes.split_first_chunk::<HEADER>() else {
            // All that waits is of this frame, and too much for any.
            if self.fds.len() > FDS_MAX {
                return Err(self.refuse(Error::FdsTooMany { limit: FDS_MAX }));
            }
            return Ok(None);
        };
        let [a, b, c, d, count] = *header;
        let (len, count) = (u32::from_be_bytes([a, b, c, d]) as usize, usize::from(count));
        if len > BODY_MAX {
            return Err(self.refuse(Error::BodyTooLong { declared: len }));
        }
        if count > FDS_MAX {
            return Err(self.refuse(Error::FdsDeclared { declared: count }));
        }
        let end = self.past + (HEADER + len) as u64;
        let own = self.fds.iter().take_while(|(at, _)| *at < end).count();
        if own > count {
            return Err(self.refuse(Error::FdsTooMany { limit: count }));
        }
        let Some(body) = rest.get(..len).map(<[u8]>::to_vec) else { return Ok(None) };
        if own < count {
            return Err(self.refuse(Error::FdsMissing { declared: count, came: own }));
        }
        self.bytes.drain(..HEADER + len);
        self.past = end;
        Ok(Some(Frame { body, fds: self.fds.drain(..own).map(|(_, fd)| fd).collect() }))
    }

    /// To be called at the end of the stream: an error if that is inside a frame.
    pub fn end(&mut self) -> Result<(), Error> {
        self.check()?;
        if self.bytes.is_empty() { Ok(()) } else { Err(self.refuse(Error::EndInside)) }
    }

    fn check(&self) -> Result<(), Error> {
        self.refused.map_or(Ok(()), Err)
    }

    /// Closes what waits, and remembers why.
    fn refuse(&mut self, error: Error) -> Error {
        self.bytes = Vec::new();
        self.fds = VecDeque::new();
        self.refused = Some(error);
        error
    }
}

/// Sends a frame; for streams that wait. The descriptors stay the sender's own.
///
/// # Errors
///
/// What is wrong with the frame: then nothing of it went. Else [`Error::Kernel`]: then a part may have
/// gone, and the connection is of no more use.
pub fn send(stream: &UnixStream, body: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
    let bytes = encode(body, fds.len())?;
    let sent = loop {
        match stream.send_fds(&bytes, fds) {
            Ok(sent) => break sent,
            Err(SendError::Kernel(Errno::INTR)) => {}
            Err(error) => return Err(Error::Kernel(error.errno())),
        }
    };
    // The descriptors are gone with the first byte. With the rest they would come a second time.
    let mut rest = sent.rest(&bytes);
    while !rest.is_empty() {
        match stream.write(rest) {
            Ok(count) => rest = &rest[count..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::Kernel(errno)),
        }
    }
    Ok(())
}

/// The bytes of a frame with so many descriptors.
pub fn encode(body: &[u8], fds: usize) -> Result<Vec<u8>, Error> {
    let len = u32::try_from(body.len()).ok().filter(|_| body.len() <= BODY_MAX);
    let len = len.ok_or(Error::BodyTooLong { declared: body.len() })?;
    let count = u8::try_from(fds).ok().filter(|_| fds <= FDS_MAX);
    let count = count.ok_or(Error::FdsDeclared { declared: fds })?;
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.push(count);
    bytes.extend_from_slice(body);
    Ok(bytes)
}
