//! Datagrams: messages without a connection.

use rustix::net::{SocketType, connect};

use super::data::impl_data;
use super::shared::impl_socket;
use super::{Received, open};
use crate::addr::UnixAddr;
use crate::error::AdoptError;
use crate::sys::data::{recv, recv_and_addr, recvfrom, send, sendto};
use crate::sys::fd::borrow;
use crate::sys::socket::{Kind, getpeername, getsockname, socket};
use crate::sys::sockopt;
use crate::{AsFd, AsRawFd, BorrowedFd, Errno, IntoRawFd, OwnedFd, RawFd, Shutdown};

/// A socket that sends messages to whoever has a name and receives them from anybody.
///
/// Unlike on a network nothing is lost, doubled or put out of order: when the receiver's queue is
/// full, a send waits, or is `EAGAIN`. To be answered, a sender needs a name of its own.
///
/// It closes on drop. All calls take `&self`, and may be made by several threads at once. The
/// descriptor is close-on-exec from birth. A signal that comes while a call waits is `EINTR`.
///
/// # Examples
///
/// ```
/// use afunix::UnixDatagram;
///
/// let (server, server_name) = UnixDatagram::autobind()?;
/// let (client, client_name) = UnixDatagram::autobind()?;
/// client.send_to(b"hello", &server_name)?;
///
/// let mut buf = [0; 64];
/// let (received, from) = server.recv_from(&mut buf)?;
/// assert_eq!((&buf[..received.bytes], from), (&b"hello"[..], client_name));
/// # Ok::<(), afunix::Errno>(())
/// ```
#[derive(Debug)]
pub struct UnixDatagram {
    fd: OwnedFd,
}

impl_data!(UnixDatagram, Kind::Datagram, SocketType::DGRAM,
    sequence: "The order is `unbound`, the options, and then this or [`bind_to`](Self::bind_to).",
    listen: "");

/// # Peers
impl UnixDatagram {
    /// Makes `addr` the one peer: [`send`](Self::send) goes there, and messages come only from
    /// there; others get `EPERM`.
    ///
    /// What was queued before the first call stays, whoever sent it. It may be called again for
    /// another peer, or after that was closed and its name taken anew. That drops what is queued here,
    /// with all descriptors in it, and an old peer that is connected to this socket gets
    /// `ECONNRESET`, once, if messages were lost. For the same peer it changes nothing. To have no
    /// peer any more, see [`disconnect`](Self::disconnect).
    ///
    /// # Errors
    ///
    /// - `ECONNREFUSED`: no socket is there; an abstract name of a socket of another type; a file
    ///   that is no socket.
    /// - `EPERM`: the peer there is connected to another socket.
    /// - `ENOENT`, `ENOTDIR`, `ELOOP`: the path leads nowhere.
    /// - `EACCES`: a directory may not be searched or the file not written.
    /// - `EPROTOTYPE`: at this path is a socket of another type. `EINVAL`: the address is unnamed.
    ///
    /// The socket is as it was then. But one without a name that has `SO_PASSCRED` or
    /// `SO_PASSPIDFD` set is given one by this call, as by [`autobind`](Self::autobind), and even if
    /// it fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixDatagram;
    ///
    /// let (server, name) = UnixDatagram::autobind()?;
    /// let client = UnixDatagram::unbound()?;
    /// client.connect(&name)?;
    /// client.send(b"hello")?;
    /// # let _ = server;
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// See [connect(2)](https://man7.org/linux/man-pages/man2/connect.2.html).
    #[inline]
    pub fn connect(&self, addr: &UnixAddr) -> Result<(), Errno> {
        connect(borrow(&self.fd), addr)
    }

    /// Makes this a socket without a peer again: messages come from anybody, and
    /// [`send`](Self::send) is `ENOTCONN`. Its name stays.
    ///
    /// **What is queued here is dropped**, with all descriptors in it, and if there was anything a
    /// peer that is connected to this socket gets `ECONNRESET`, once. What was sent to the peer stays
    /// with it. Of a socket without a peer nothing is dropped, and that is no error.
    ///
    /// # Errors
    ///
    /// None that Linux is known to give.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{Errno, UnixDatagram};
    ///
    /// let (a, b) = UnixDatagram::pair()?;
    /// a.disconnect()?;
    /// assert_eq!(a.send(b"hello"), Err(Errno::NOTCONN));
    /// // The other one is still connected, but to nobody who takes no other's messages.
    /// assert_eq!(b.send(b"hello")?, 5);
    /// # Ok::<(), Errno>(())
    /// ```
    ///
    /// `AF_UNSPEC`, see [connect(2)](https://man7.org/linux/man-pages/man2/connect.2.html).
    #[doc(alias = "AF_UNSPEC")]
    #[inline]
    pub fn disconnect(&self) -> Result<(), Errno> {
        rustix::net::connect_unspec(borrow(&self.fd))
    }

    /// Makes a socket with the name `from` whose one peer is `to`.
    ///
    /// Where `from` is a path, its file is made by this call, and looked at once more before it
    /// connects; if that fails, the file is removed again, unless something else stands there by
    /// then.
    ///
    /// # Errors
    ///
    /// As [`bind_to`](Self::bind_to) and [`connect`](Self::connect); nothing is left behind.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{UnixAddr, UnixDatagram};
    ///
    /// let (server, name) = UnixDatagram::autobind()?;
    /// # let text = format!("afunix-doc-{}-dgram-from", std::process::id());
    /// let from = UnixAddr::from_abstract_name(text.as_bytes())?;
    /// let client = UnixDatagram::connect_from_to(&from, &name)?;
    /// client.send(b"hello")?;
    /// assert_eq!(server.recv_from(&mut [0; 16])?.1, from);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[inline]
    pub fn connect_from_to(from: &UnixAddr, to: &UnixAddr) -> Result<Self, Errno> {
        open::connected_from(Kind::Datagram, from, to).map(|fd| Self { fd })
    }
}

/// # Data
impl UnixDatagram {
    /// Sends one message to the peer of [`connect`](Self::connect) or [`pair`](Self::pair), whole
    /// or not at all. Waits while its queue is full.
    ///
    /// # Errors
    ///
    /// - `ENOTCONN`: there is no peer. `EPERM`: the peer is connected to another socket.
    /// - `ECONNREFUSED`: the peer was closed. What was queued **here** is dropped by the kernel
    ///   with this error, and later sends are `ENOTCONN`.
    /// - `EPIPE`: the peer has shut down reading, or this side writing. No `SIGPIPE`.
    /// - `ECONNRESET`, once: the peer turned to another with messages of ours unread.
    /// - `EMSGSIZE`: it is longer than the send buffer allows, 212,960 bytes by default.
    /// - `ENOBUFS`: the send buffer would allow it, but it is longer than 4,263,616 bytes.
    /// - `EAGAIN`: this is non-blocking and the queue is full. `EINTR`: a signal came first.
    ///
    /// On an error nothing was sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixDatagram;
    ///
    /// let (a, _b) = UnixDatagram::pair()?;
    /// assert_eq!(a.send(b"message")?, 7);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// `MSG_NOSIGNAL`, see [send(2)](https://man7.org/linux/man-pages/man2/send.2.html).
    #[inline]
    pub fn send(&self, message: &[u8]) -> Result<usize, Errno> {
        send(borrow(&self.fd), message)
    }

    /// Sends one message to whoever has the name `to`, whole or not at all. Waits while the queue
    /// there is full; by default it holds 11 messages.
    ///
    /// A connected socket may send elsewhere too. When the queue there has room again, `poll` tells
    /// only a socket that is connected to it; any other always looks ready.
    /// [`send_to_deadline`](Self::send_to_deadline) can wait for it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send) and [`connect`](Self::connect), but that `ECONNREFUSED` drops nothing
    /// here. As `connect` it may give a name to a socket that has none.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixDatagram;
    ///
    /// let (_server, name) = UnixDatagram::autobind()?;
    /// let client = UnixDatagram::unbound()?;
    /// assert_eq!(client.send_to(b"message", &name)?, 7);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// `MSG_NOSIGNAL`, see [sendto(2)](https://man7.org/linux/man-pages/man2/sendto.2.html).
    #[doc(alias = "sendto")]
    #[inline]
    pub fn send_to(&self, message: &[u8], to: &UnixAddr) -> Result<usize, Errno> {
        sendto(borrow(&self.fd), message, to)
    }

    /// Receives one message into `buf` and tells how long it was; waits if there is none.
    ///
    /// What does not fit is lost, which [`Received::is_truncated`] tells. A message may be empty;
    /// after [`shutdown`](Self::shutdown) for reading, so is what a blocking socket gets instead of
    /// waiting. Descriptors that were sent along are closed by the kernel, and nothing tells.
    ///
    /// # Errors
    ///
    /// - `EAGAIN`: this is non-blocking and no message has come.
    /// - `EINTR`: a signal came first.
    /// - `ECONNRESET`, once: the peer turned to another with messages of ours unread.
    ///
    /// On an error no message was taken from the queue.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixDatagram;
    ///
    /// let (a, b) = UnixDatagram::pair()?;
    /// a.send(b"message")?;
    /// let mut buf = [0; 64];
    /// let received = b.recv(&mut buf)?;
    /// assert_eq!(&buf[..received.bytes], b"message");
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

    /// Receives one message as [`recv`](Self::recv) does, with the sender's address: unnamed if it
    /// has no name.
    ///
    /// The kernel looks the name up now: a sender that was bound, or closed, since it sent has the
    /// name that it had last.
    ///
    /// # Errors
    ///
    /// As `recv`.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixDatagram;
    ///
    /// let (server, name) = UnixDatagram::autobind()?;
    /// UnixDatagram::unbound()?.send_to(b"anonymous", &name)?;
    /// let mut buf = [0; 64];
    /// let (received, from) = server.recv_from(&mut buf)?;
    /// assert!(from.is_unnamed());
    /// assert_eq!(received.size, 9);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// See [recvfrom(2)](https://man7.org/linux/man-pages/man2/recvfrom.2.html).
    #[doc(alias = "recvfrom")]
    #[inline(always)]
    pub fn recv_from(&self, buf: &mut [u8]) -> Result<(Received, UnixAddr), Errno> {
        let room = buf.len();
        let (size, from) = recv_and_addr(borrow(&self.fd), buf)?;
        Ok((Received::new(size, room), from))
    }

    /// Receives one message and writes the sender's address into `from`:
    /// [`recv_from`](Self::recv_from) without a copy.
    ///
    /// # Errors
    ///
    /// As `recv`; `from` is as it was then (but see
    /// [`from_fd_unchecked`](Self::from_fd_unchecked)).
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{UnixAddr, UnixDatagram};
    ///
    /// let (server, name) = UnixDatagram::autobind()?;
    /// server.send_to(b"to myself", &name)?;
    /// let (mut buf, mut from) = ([0; 64], UnixAddr::UNNAMED);
    /// let received = server.recv_from_into(&mut buf, &mut from)?;
    /// assert_eq!((received.bytes, from), (9, name));
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[inline(always)]
    pub fn recv_from_into(&self, buf: &mut [u8], from: &mut UnixAddr) -> Result<Received, Errno> {
        let room = buf.len();
        let size = recvfrom(borrow(&self.fd), buf, from)?;
        Ok(Received::new(size, room))
    }
}

impl_socket!(UnixDatagram, Kind::Datagram, listens: false,
    made: "let socket = UnixDatagram::unbound()?;");
