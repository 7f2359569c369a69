//! Sequenced packets: connections that keep the bounds between messages.

use rustix::net::SocketType;

use super::Received;
use super::connected::impl_connected;
use super::data::impl_data;
use super::listening::UnixSeqpacketListener;
use super::open;
use super::shared::impl_socket;
use crate::addr::UnixAddr;
use crate::error::{AdoptError, ListenError};
use crate::sys::data::{recv, send};
use crate::sys::fd::borrow;
use crate::sys::socket::{Kind, getpeername, getsockname, socket};
use crate::sys::sockopt;
use crate::{AsFd, AsRawFd, BorrowedFd, Errno, IntoRawFd, OwnedFd, RawFd, Shutdown};

/// A connection that carries messages both ways, in order, each arriving whole or cut, never glued.
///
/// It closes on drop. All calls take `&self`, and may be made by several threads at once. The
/// descriptor is close-on-exec from birth. A signal that comes while a call waits is `EINTR`.
///
/// # Examples
///
/// ```
/// use afunix::UnixSeqpacket;
///
/// let (a, b) = UnixSeqpacket::pair()?;
/// a.send(b"one")?;
/// a.send(b"two")?;
/// let mut buf = [0; 16];
/// assert_eq!(b.recv(&mut buf)?.bytes, 3);
/// assert_eq!(&buf[..3], b"one");
/// # Ok::<(), afunix::Errno>(())
/// ```
#[derive(Debug)]
pub struct UnixSeqpacket {
    fd: OwnedFd,
}

impl_data!(UnixSeqpacket, Kind::Seqpacket, SocketType::SEQPACKET,
    sequence: "The order for a server is `unbound`, the options, this or [`bind_to`](Self::bind_to), and [`listen`](Self::listen): what is accepted inherits them.",
    listen: "let listener = socket.listen(16).map_err(|refused| refused.errno())?;\n# let _ = listener;");
impl_connected!(UnixSeqpacket, UnixSeqpacketListener, Kind::Seqpacket);

/// # Data
impl UnixSeqpacket {
    /// Sends one message, whole or not at all. Waits while the queue is full.
    ///
    /// A message may be empty; but to the peer it then looks like the end.
    ///
    /// # Errors
    ///
    /// - `EPIPE`: the peer is gone or has shut down reading, or this side writing. No `SIGPIPE`.
    /// - `ECONNRESET`, once: the peer closed with messages of ours unread.
    /// - `EMSGSIZE`: it is longer than the send buffer allows, 212,960 bytes by default.
    /// - `ENOBUFS`: the send buffer would allow it, but it is longer than 4,263,616 bytes.
    /// - `EAGAIN`: it is non-blocking and the queue is full.
    /// - `EINTR`: a signal came first. `ENOTCONN`: it is not connected.
    ///
    /// On an error nothing was sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixSeqpacket;
    ///
    /// let (a, _b) = UnixSeqpacket::pair()?;
    /// assert_eq!(a.send(b"message")?, 7);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// `MSG_NOSIGNAL`, see [send(2)](https://man7.org/linux/man-pages/man2/send.2.html).
    #[inline]
    pub fn send(&self, message: &[u8]) -> Result<usize, Errno> {
        send(borrow(&self.fd), message)
    }

    /// Receives one message into `buf` and tells how long it was; waits if there is none.
    ///
    /// What does not fit is lost, which [`Received::is_truncated`] tells. A size of 0 is an empty
    /// message **or** the end of the connection: the kernel does not say which, so a protocol does
    /// well to have no empty messages. Descriptors that were sent along are closed by the kernel,
    /// and nothing tells.
    ///
    /// # Errors
    ///
    /// - `EAGAIN`: it is non-blocking and no message has come.
    /// - `EINTR`: a signal came first.
    /// - `ECONNRESET`, once, **before** the messages that are still queued: the peer closed with
    ///   messages of ours unread.
    /// - `ENOTCONN`: it is not connected.
    ///
    /// On an error no message was taken from the queue.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixSeqpacket;
    ///
    /// let (a, b) = UnixSeqpacket::pair()?;
    /// a.send(b"message")?;
    /// let mut buf = [0; 4];
    /// let received = b.recv(&mut buf)?;
    /// assert_eq!((received.bytes, received.size), (4, 7));
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// `MSG_TRUNC`, see [recv(2)](https://man7.org/linux/man-pages/man2/recv.2.html); Linux 3.4.
    #[inline]
    pub fn recv(&self, buf: &mut [u8]) -> Result<Received, Errno> {
        let room = buf.len();
        let size = recv(borrow(&self.fd), buf)?;
        Ok(Received::new(size, room))
    }
}

impl_socket!(UnixSeqpacket, Kind::Seqpacket, listens: false,
    made: "let socket = UnixSeqpacket::unbound()?;");
