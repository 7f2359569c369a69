//! Streams: bytes in order, without bounds between messages.

use rustix::io::readv;
use rustix::net::SocketType;

use super::connected::impl_connected;
use super::data::impl_data;
use super::listening::UnixListener;
use super::open;
use super::shared::impl_socket;
use crate::addr::UnixAddr;
use crate::error::{AdoptError, ListenError};
use crate::sys::data::{read, send};
use crate::sys::fd::borrow;
use crate::sys::msg::{PIECES_MAX, send_vectored};
use crate::sys::socket::{Kind, getpeername, getsockname, socket};
use crate::sys::sockopt;
use crate::{
    AsFd, AsRawFd, BorrowedFd, Errno, IntoRawFd, IoSlice, IoSliceMut, OwnedFd, RawFd, Shutdown,
};

/// A connection that carries bytes both ways, in order, without bounds between messages.
///
/// It closes on drop. All calls take `&self`, and may be made by several threads at once.
///
/// No call raises `SIGPIPE`; the descriptor is close-on-exec from birth. A signal that comes while
/// a call waits is `EINTR`: the call is not repeated behind your back.
///
/// # Examples
///
/// ```
/// use afunix::{UnixListener, UnixStream};
///
/// let (listener, name) = UnixListener::autobind()?;
/// let client = UnixStream::connect(&name)?;
/// let (server, _from) = listener.accept()?;
///
/// client.write(b"ping")?;
/// let mut buf = [0; 16];
/// let count = server.read(&mut buf)?;
/// assert_eq!(&buf[..count], b"ping");
/// # Ok::<(), afunix::Errno>(())
/// ```
#[derive(Debug)]
pub struct UnixStream {
    fd: OwnedFd,
}

impl_data!(UnixStream, Kind::Stream, SocketType::STREAM,
    sequence: "The order for a server is `unbound`, the options, this or [`bind_to`](Self::bind_to), and [`listen`](Self::listen): what is accepted inherits them.",
    listen: "let listener = socket.listen(16).map_err(|refused| refused.errno())?;\n# let _ = listener;");
impl_connected!(UnixStream, UnixListener, Kind::Stream);

/// # Data
impl UnixStream {
    /// Reads what has come, at least 1 byte and at most `buf.len()`; waits if there is nothing.
    ///
    /// 0 means that the peer sends no more (or that `buf` is empty). Descriptors that were sent
    /// along are closed by the kernel, and nothing tells.
    ///
    /// # Errors
    ///
    /// - `EAGAIN`: it is non-blocking and nothing has come.
    /// - `EINTR`: a signal came first; nothing was read.
    /// - `ECONNRESET`, once, behind the data: the peer closed with data of ours unread.
    /// - `EINVAL`: it is not connected, and `buf` is not empty.
    ///
    /// On an error nothing was taken from the queue.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixStream;
    ///
    /// let (a, b) = UnixStream::pair()?;
    /// a.write(b"hello")?;
    /// drop(a);
    /// let mut buf = [0; 16];
    /// assert_eq!(b.read(&mut buf)?, 5);
    /// assert_eq!(b.read(&mut buf)?, 0);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// See [read(2)](https://man7.org/linux/man-pages/man2/read.2.html).
    #[inline]
    pub fn read(&self, buf: &mut [u8]) -> Result<usize, Errno> {
        read(borrow(&self.fd), buf)
    }

    /// Reads into several buffers, one after the other, as [`read`](Self::read) does into one.
    ///
    /// Of more than 1024 buffers the first 1024 are used.
    ///
    /// # Errors
    ///
    /// As `read`.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{IoSliceMut, UnixStream};
    ///
    /// let (a, b) = UnixStream::pair()?;
    /// a.write(b"headbody")?;
    /// let (mut head, mut body) = ([0; 4], [0; 16]);
    /// let count = b.read_vectored(&mut [IoSliceMut::new(&mut head), IoSliceMut::new(&mut body)])?;
    /// assert_eq!((count, &head, &body[..4]), (8, b"head", &b"body"[..]));
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// See [readv(2)](https://man7.org/linux/man-pages/man2/readv.2.html).
    #[doc(alias = "readv")]
    #[inline]
    pub fn read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        let bufs = match bufs.split_at_mut_checked(PIECES_MAX) {
            Some((first, _)) => first,
            None => bufs,
        };
        readv(borrow(&self.fd), bufs)
    }

    /// Writes bytes, and says how many: all of them, unless it is non-blocking or a signal came.
    /// Waits while there is no room.
    ///
    /// # Errors
    ///
    /// - `EPIPE`: the peer is gone or has shut down reading, or this side writing. No `SIGPIPE`.
    /// - `ECONNRESET`, once: the peer closed with data of ours unread while this call waited.
    /// - `EAGAIN`: it is non-blocking and there is no room for a single byte.
    /// - `EINTR`: a signal came first; nothing was written.
    /// - `ENOTCONN`: it is not connected.
    ///
    /// On an error nothing was written.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{Errno, UnixStream};
    ///
    /// let (a, b) = UnixStream::pair()?;
    /// assert_eq!(a.write(b"hello")?, 5);
    /// drop(b);
    /// assert_eq!(a.write(b"hello"), Err(Errno::PIPE));
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// `MSG_NOSIGNAL`, see [send(2)](https://man7.org/linux/man-pages/man2/send.2.html).
    #[doc(alias = "MSG_NOSIGNAL")]
    #[inline]
    pub fn write(&self, buf: &[u8]) -> Result<usize, Errno> {
        send(borrow(&self.fd), buf)
    }

    /// Writes several buffers, one after the other, as [`write`](Self::write) does one.
    ///
    /// Of more than 1024 buffers the first 1024 are used.
    ///
    /// # Errors
    ///
    /// As `write`, and just as free of `SIGPIPE`.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{IoSlice, UnixStream};
    ///
    /// let (a, b) = UnixStream::pair()?;
    /// assert_eq!(a.write_vectored(&[IoSlice::new(b"head"), IoSlice::new(b"body")])?, 8);
    /// let mut buf = [0; 16];
    /// assert_eq!(b.read(&mut buf)?, 8);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// `sendmsg` with `MSG_NOSIGNAL`, since `writev` has no such flag; see
    /// [sendmsg(2)](https://man7.org/linux/man-pages/man2/sendmsg.2.html).
    #[doc(alias = "writev")]
    #[doc(alias = "sendmsg")]
    #[inline]
    pub fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> Result<usize, Errno> {
        let bufs = match bufs.split_at_checked(PIECES_MAX) {
            Some((first, _)) => first,
            None => bufs,
        };
        send_vectored(borrow(&self.fd), bufs)
    }
}

impl_socket!(UnixStream, Kind::Stream, listens: false,
    made: "let socket = UnixStream::unbound()?;");
