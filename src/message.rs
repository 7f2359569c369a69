//! Data with control messages: sending and receiving descriptors, credentials and addresses.
//!
//! The mechanism is a function of any descriptor; the socket types have it as methods.

mod batch;
mod methods;
mod options;
mod receiving;
mod sending;

pub use batch::{
    BatchBuf, BatchMessage, BatchMessages, RecvBatch, SendBatch, recv_batch, send_batch,
};
pub use options::{RecvOptions, SendOptions, Sent};
use receiving::{recv_fds_exact_from, recv_fds_from, recv_from};
use sending::{send_fds_to, send_to};

use crate::ancillary::{Ancillary, AncillaryBuf, AncillaryWriter, Fds};
use crate::error::{RecvError, SendError};
use crate::socket::Received;
use crate::sys::fds::FdsRoom;
use crate::sys::socket::Kind;
use crate::sys::sockopt;
use crate::{AsFd, BorrowedFd, Errno, IoSlice, IoSliceMut, OwnedFd};

/// What is known of a socket before it is asked.
type Known = Option<Kind>;

fn is_stream(fd: BorrowedFd<'_>, known: Known) -> Result<bool, Errno> {
    is(Kind::Stream, fd, known)
}

fn is_datagram(fd: BorrowedFd<'_>, known: Known) -> Result<bool, Errno> {
    is(Kind::Datagram, fd, known)
}

fn is(wanted: Kind, fd: BorrowedFd<'_>, known: Known) -> Result<bool, Errno> {
    match known {
        Some(kind) => Ok(kind == wanted),
        None => sockopt::kind(fd).map(|number| number == wanted.number()),
    }
}

/// Sends data with descriptors, which the receiver gets duplicates of.
///
/// On datagram and seqpacket sockets the message goes whole or not at all, and may have no data. On a
/// stream the descriptors go with the first byte, of which there must be one, and come to the
/// receiver with it; see [`Sent`] for what is to be done if not all bytes went. Of no descriptors it
/// is a plain send. `SIGPIPE` is not raised.
///
/// `fd` is any `AF_UNIX` socket that carries data; the socket types have this as a method. Where there
/// are descriptors and no data, the socket is asked for its type first (`SO_TYPE`).
///
/// # Errors
///
/// - [`SendError::TooManyFds`]: more than 253. [`SendError::NoData`]: no data, on a stream.
/// - [`SendError::Kernel`], with what a send without descriptors gives, and:
///   - `ETOOMANYREFS`: too many descriptors of this user are in flight.
///   - `EPERM`: the receiver takes no descriptors (`SO_PASSRIGHTS` off, Linux 6.16).
///   - `EINVAL`: one is an io_uring (since Linux 6.7).
///
/// Nothing was sent then.
///
/// # Examples
///
/// ```
/// use afunix::{AsFd, UnixStream};
///
/// let (a, b) = UnixStream::pair()?;
/// # let other = UnixStream::pair()?.0;
/// afunix::send_fds(&a, b"a socket", &[other.as_fd()])?;
/// let mut buf = [0; 16];
/// let (received, [fd]) = afunix::recv_fds_exact::<1>(&b, &mut buf)?;
/// assert_eq!(&buf[..received.bytes], b"a socket");
/// let same = UnixStream::try_from(fd).map_err(|refused| refused.errno())?;
/// # drop(same);
/// # Ok::<(), afunix::Errno>(())
/// ```
///
/// See [sendmsg(2)](https://man7.org/linux/man-pages/man2/sendmsg.2.html) and
/// [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), `SCM_RIGHTS`.
#[doc(alias = "SCM_RIGHTS")]
#[inline]
pub fn send_fds(fd: impl AsFd, data: &[u8], fds: &[BorrowedFd<'_>]) -> Result<Sent, SendError> {
    send_fds_to(fd.as_fd(), None, data, fds)
}

/// Receives data and at most `N` descriptors, which are close-on-exec; waits if there is nothing.
///
/// There is room for credentials and a pidfd beside the descriptors, so that they push none out; both
/// are dropped. (What else a socket was set to give, such as a timestamp or a security context, has no
/// room of its own and can cost the descriptors: that takes [`recv_with`].) What more descriptors than `N` found room there are closed and counted
/// ([`Fds::surplus`]); of yet more the receive is an error. `N` is at most 253.
///
/// A message that is too long for `buf` is cut, which [`Received::is_truncated`] tells. Of a **stream**
/// descriptors come with the first byte of those they were sent with, whatever comes before it in
/// the same receive: the bytes before them may be of an earlier write, and the last byte received is of
/// theirs. 0 bytes are the end of a connection; or an empty message; or nothing at all of a stream, if
/// `buf` is empty: then descriptors that are next are taken all the same.
///
/// **To close a file can take as long as its sender likes**, a socket with `SO_LINGER` for instance,
/// and even where this one is non-blocking: see [`Ancillary::take_fds`].
///
/// # Errors
///
/// - [`RecvError::ControlTruncated`]: more descriptors came than there was room for, or than this
///   process may open. All are closed; the data is in `buf`.
/// - [`RecvError::Kernel`], with what a receive without descriptors gives: `EAGAIN`, `EINTR`,
///   `ECONNRESET`, and `ENOTCONN` (of a stream `EINVAL`). No data and no descriptor was taken.
///
/// # Examples
///
/// ```
/// use afunix::{AsFd, UnixSeqpacket};
///
/// let (a, b) = UnixSeqpacket::pair()?;
/// a.send_fds(b"both", &[a.as_fd(), b.as_fd()])?;
/// let mut buf = [0; 16];
/// let (received, fds) = afunix::recv_fds::<4>(&b, &mut buf)?;
/// assert_eq!((received.bytes, fds.len()), (4, 2));
/// # Ok::<(), afunix::Errno>(())
/// ```
///
/// `MSG_CMSG_CLOEXEC`, see [recvmsg(2)](https://man7.org/linux/man-pages/man2/recvmsg.2.html).
#[doc(alias = "SCM_RIGHTS")]
#[doc(alias = "MSG_CMSG_CLOEXEC")]
#[inline]
pub fn recv_fds<const N: usize>(
    fd: impl AsFd,
    buf: &mut [u8],
) -> Result<(Received, Fds<N>), RecvError> {
    let mut room = FdsRoom::<N>::new();
    let (received, arrived) = recv_fds_from(fd.as_fd(), None, buf, &mut room)?;
    Ok((received, Fds::of(arrived)))
}

/// Receives data and at most `N` descriptors into `fds`: [`recv_fds`] without moving the container,
/// which is `N` numbers long.
///
/// What `fds` held is closed, once something has been received.
///
/// # Errors
///
/// As `recv_fds`; `fds` is as it was then.
///
/// # Examples
///
/// ```
/// use afunix::{AsFd, Fds, UnixStream};
///
/// let (a, b) = UnixStream::pair()?;
/// let (mut buf, mut fds) = ([0; 16], Fds::<253>::new());
/// for _ in 0..3 {
///     a.send_fds(b"one", &[b.as_fd()])?;
///     let received = afunix::recv_fds_into(&b, &mut buf, &mut fds)?;
///     assert_eq!((received.bytes, fds.len()), (3, 1));
/// }
/// # Ok::<(), afunix::Errno>(())
/// ```
///
/// See [recvmsg(2)](https://man7.org/linux/man-pages/man2/recvmsg.2.html).
#[doc(alias = "SCM_RIGHTS")]
#[inline]
pub fn recv_fds_into<const N: usize>(
    fd: impl AsFd,
    buf: &mut [u8],
    fds: &mut Fds<N>,
) -> Result<Received, RecvError> {
    let mut room = FdsRoom::<N>::new();
    let (received, arrived) = recv_fds_from(fd.as_fd(), None, buf, &mut room)?;
    fds.take_over(arrived);
    Ok(received)
}

/// Receives data and exactly `N` descriptors: [`recv_fds`] where any other number is an error.
///
/// Who must also know the sender, or not wait this once, uses [`recv_with`] and counts.
///
/// # Errors
///
/// As [`recv_fds`]; and [`RecvError::WrongCount`] if fewer came, or more, all of which are closed. The
/// data is in `buf`; 0 bytes with 0 descriptors are most likely the end of the connection.
///
/// # Examples
///
/// See [`send_fds`].
///
/// See [recvmsg(2)](https://man7.org/linux/man-pages/man2/recvmsg.2.html).
#[doc(alias = "SCM_RIGHTS")]
#[inline]
pub fn recv_fds_exact<const N: usize>(
    fd: impl AsFd,
    buf: &mut [u8],
) -> Result<(Received, [OwnedFd; N]), RecvError> {
    recv_fds_exact_from(fd.as_fd(), None, buf)
}

/// Sends data from several pieces, with any control messages, to the peer or to an address, waiting
/// or not.
///
/// `fd` is any `AF_UNIX` socket that carries data; the socket types have this as a method.
///
/// # Errors
///
/// As [`send_fds`], and what [`push_credentials`](AncillaryWriter::push_credentials) names. More than
/// 1024 pieces are `EMSGSIZE`; the method of a stream takes the first 1024 of them, as
/// [`write_vectored`](crate::UnixStream::write_vectored) does.
///
/// # Examples
///
/// See [`AncillaryBuf`].
///
/// See [sendmsg(2)](https://man7.org/linux/man-pages/man2/sendmsg.2.html).
#[doc(alias = "sendmsg")]
#[inline]
pub fn send_with(
    fd: impl AsFd,
    data: &[IoSlice<'_>],
    ancillary: &AncillaryWriter<'_, '_>,
    options: SendOptions<'_>,
) -> Result<Sent, SendError> {
    send_to(fd.as_fd(), None, data, ancillary, options)
}

/// Receives data into several pieces, with all its control messages and, if asked for, its sender's
/// address.
///
/// Descriptors are close-on-exec, and all that were received belong to the [`Ancillary`]. What
/// [`recv_fds`] says of messages, streams and the end holds here too.
///
/// `fd` is any `AF_UNIX` socket that carries data; the socket types have this as a method. Where 0 bytes
/// come with control messages, or with some missing, the socket is asked for its type then (`SO_TYPE`):
/// at the end of a stream the kernel attaches credentials that are nobody's and look like root's, and
/// those are not shown.
///
/// The end of a **seqpacket** connection looks like an empty message. With `SO_PASSCRED` on it does not:
/// a message has credentials, and the end has none.
///
/// # Errors
///
/// As [`recv_fds`], where the room for descriptors is what `control` has. Where that has no room for
/// what `SO_PASSCRED` and its likes attach to each message, each receive is
/// [`ControlTruncated`](RecvError::ControlTruncated). `EMSGSIZE`: more than 1024 pieces, of which the
/// method of a stream takes the first 1024.
///
/// # Examples
///
/// See [`AncillaryBuf`].
///
/// See [recvmsg(2)](https://man7.org/linux/man-pages/man2/recvmsg.2.html).
#[doc(alias = "recvmsg")]
#[inline]
pub fn recv_with<'b, const N: usize>(
    fd: impl AsFd,
    data: &mut [IoSliceMut<'_>],
    control: &'b mut AncillaryBuf<N>,
    options: RecvOptions<'_>,
) -> Result<(Received, Ancillary<'b>), RecvError> {
    recv_from(fd.as_fd(), None, data, control.room(), options)
}

/// Whether credentials come with each message: see [`set_passcred`].
///
/// # Errors
///
/// As `set_passcred`.
///
/// # Examples
///
/// See `set_passcred`.
#[doc(alias = "SO_PASSCRED")]
#[inline]
pub fn passcred(fd: impl AsFd) -> Result<bool, Errno> {
    sockopt::passcred(fd.as_fd())
}

/// Chooses whether the sender's credentials come with each message
/// ([`Ancillary::credentials`]): its process, its real user and its real group.
///
/// What was sent before either side had this on comes with an unknown pid and 65534 for both ids. So set
/// it before anybody can send: on a socket that is not bound yet (`unbound`, this, `bind_to` or
/// `autobind_to`, and where it shall listen `listen`), or on one end of a pair before the other is given away. What a listener
/// accepts inherits it, as it was when the client connected (before Linux 6.16: when it was accepted).
///
/// While it is on, a **stream** never gives bytes of different senders in one receive; a receive without
/// room for credentials in its control buffer is
/// [`ControlTruncated`](RecvError::ControlTruncated) each time; and a socket without a name is given one
/// when it connects or sends to an address, as by `autobind`.
///
/// # Errors
///
/// `ENOTSOCK`, `EBADF`: `fd` is no socket. `EOPNOTSUPP`: it is of a family that has no such option;
/// before Linux 6.16 that was no error, and without effect.
///
/// # Examples
///
/// ```
/// use afunix::UnixListener;
///
/// let (listener, _name) = UnixListener::autobind()?;
/// afunix::set_passcred(&listener, true)?;
/// assert!(afunix::passcred(&listener)?);
/// # Ok::<(), afunix::Errno>(())
/// ```
///
/// See [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), `SO_PASSCRED`; Linux 2.2.
#[doc(alias = "SO_PASSCRED")]
#[inline]
pub fn set_passcred(fd: impl AsFd, on: bool) -> Result<(), Errno> {
    sockopt::set_passcred(fd.as_fd(), on)
}

/// Whether a pidfd comes with each message: see [`set_passpidfd`].
///
/// # Errors
///
/// As `set_passpidfd`.
///
/// # Examples
///
/// See `set_passpidfd`.
#[doc(alias = "SO_PASSPIDFD")]
#[inline]
pub fn passpidfd(fd: impl AsFd) -> Result<bool, Errno> {
    sockopt::passpidfd(fd.as_fd())
}

/// Chooses whether a pidfd of the sender comes with each message ([`Ancillary::take_pidfd`]).
///
/// What was sent before either side had this or `SO_PASSCRED` on comes without. All else is as with
/// [`set_passcred`]: listeners pass it on, streams part senders, the control buffer needs room, and
/// a name may be given.
///
/// Each receive installs a new descriptor, which calls that do not ask for it close at once.
///
/// # Errors
///
/// As `set_passcred`; and `ENOPROTOOPT`: the kernel is older than Linux 6.5.
///
/// # Examples
///
/// ```
/// use afunix::{Errno, UnixListener};
///
/// let (listener, _name) = UnixListener::autobind()?;
/// match afunix::set_passpidfd(&listener, true) {
///     Err(Errno::NOPROTOOPT) => println!("no pidfds with messages before Linux 6.5"),
///     result => result?,
/// }
/// # Ok::<(), Errno>(())
/// ```
///
/// Linux 6.5.
#[doc(alias = "SO_PASSPIDFD")]
#[inline]
pub fn set_passpidfd(fd: impl AsFd, on: bool) -> Result<(), Errno> {
    sockopt::set_passpidfd(fd.as_fd(), on)
}
