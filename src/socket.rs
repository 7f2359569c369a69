//! The five types of socket: making them, naming them, connecting them, and data without
//! ancillary messages.
//!
//! What they do alike stands in `shared` (all five), `data` (the three that carry data),
//! `connected` (the two that connect) and `listening` (the two that listen); each type's own file
//! holds what only it can do. Options of all of them are in `options`, `timeouts` and `queues`; what
//! they do until a deadline, in `deadline`.

mod connected;
mod data;
mod datagram;
mod deadline;
mod listening;
mod open;
mod options;
mod queues;
mod seqpacket;
mod shared;
mod stream;
mod timeouts;

pub use datagram::UnixDatagram;
pub use deadline::Deadline;
pub(crate) use deadline::{Waiting, hung_up, pause};
pub use listening::{UnixListener, UnixSeqpacketListener};
pub use seqpacket::UnixSeqpacket;
pub use stream::UnixStream;

/// How much of a message was received: what is in the buffer, and what there was.
///
/// A message that is longer than the buffer is cut, and the rest is gone; nothing else tells.
///
/// # Examples
///
/// ```
/// use afunix::UnixDatagram;
///
/// let (a, b) = UnixDatagram::pair()?;
/// a.send(b"a long story")?;
/// let mut buf = [0; 6];
/// let received = b.recv(&mut buf)?;
/// assert_eq!((received.bytes, received.size), (6, 12));
/// assert!(received.is_truncated());
/// assert_eq!(&buf, b"a long");
/// # Ok::<(), afunix::Errno>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[must_use = "only this tells how much of the buffer is the message, and whether it was cut"]
#[non_exhaustive]
pub struct Received {
    /// How many bytes of the message are in the buffer.
    pub bytes: usize,
    /// How many bytes the message had.
    pub size: usize,
}

impl Received {
    #[inline]
    pub(crate) const fn new(size: usize, room: usize) -> Self {
        Self { bytes: if size < room { size } else { room }, size }
    }

    /// Whether the end of the message was lost, because the buffer was too small for it.
    #[doc(alias = "MSG_TRUNC")]
    #[inline]
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        self.bytes < self.size
    }
}
