//! Data with control messages: sending and receiving descriptors, credentials and addresses.
//!
//! The mechanism is a function of any descriptor; the socket types have it as methods.

mod methods;
mod options;

use core::mem::MaybeUninit;

pub use options::{RecvOptions, SendOptions, Sent};

use crate::ancillary::{Ancillary, AncillaryBuf, AncillaryWriter, Fds};
use crate::cred::Credentials;
use crate::error::{RecvError, SendError};
use crate::socket::Received;
use crate::sys::fds::FdsRoom;
use crate::sys::msg::{CTRUNC, PEEK, PIECES_MAX, receive, received_len, send, sent_len};
use crate::sys::socket::Kind;
use crate::sys::sockopt;
use crate::wire::cmsg::{FDS_MAX, INT_LEN, message_len};
use crate::{AsFd, BorrowedFd, Errno, Gid, IoSlice, IoSliceMut, OwnedFd, Uid};

/// What is known of a socket before it is asked.
type Known = Option<Kind>;

#[inline]
fn send_fds_to(
    fd: BorrowedFd<'_>,
    known: Known,
    data: &[u8],
    fds: &[BorrowedFd<'_>],
) -> Result<Sent, SendError> {
    let mut buf = AncillaryBuf::<{ message_len(FDS_MAX * INT_LEN) }>::new();
    let mut writer = buf.writer();
    if writer.push_fds(fds).is_err() {
        return Err(SendError::TooManyFds { fds: fds.len() });
    }
    send_to(fd, known, &[IoSlice::new(data)], &writer, SendOptions::new())
}

#[inline]
fn send_to(
    fd: BorrowedFd<'_>,
    known: Known,
    data: &[IoSlice<'_>],
    ancillary: &AncillaryWriter<'_, '_>,
    options: SendOptions<'_>,
) -> Result<Sent, SendError> {
    let data = match known {
        // As `write_vectored`: a stream may take less than it is given.
        Some(Kind::Stream) => data.split_at_checked(PIECES_MAX).map_or(data, |(first, _)| first),
        _ => data,
    };
    let fds = ancillary.fd_count();
    if fds > FDS_MAX {
        return Err(SendError::TooManyFds { fds });
    }
    if fds > 0 && sent_len(data) == 0 {
        refuse_on_stream(fd, known, fds)?;
    }
    match send(fd, data, ancillary.messages(), options.to, options.flags) {
        Ok(bytes) => Ok(Sent { bytes }),
        Err(errno) => Err(SendError::Kernel(errno)),
    }
}

#[cold]
fn refuse_on_stream(fd: BorrowedFd<'_>, known: Known, fds: usize) -> Result<(), SendError> {
    match is_stream(fd, known) {
        Ok(true) => Err(SendError::NoData { fds }),
        Ok(false) => Ok(()),
        Err(errno) => Err(SendError::Kernel(errno)),
    }
}

fn is_stream(fd: BorrowedFd<'_>, known: Known) -> Result<bool, Errno> {
    match known {
        Some(kind) => Ok(kind == Kind::Stream),
        None => sockopt::kind(fd).map(|number| number == Kind::Stream.number()),
    }
}

#[inline]
fn recv_fds_from<const N: usize>(
    fd: BorrowedFd<'_>,
    known: Known,
    buf: &mut [u8],
) -> Result<(Received, Fds<N>), RecvError> {
    const { assert!(N <= FDS_MAX, "a message carries at most 253 descriptors") };
    let mut room = FdsRoom::<N>::new();
    let pieces = &mut [IoSliceMut::new(buf)];
    let (received, ancillary) = recv_from(fd, known, pieces, room.bytes(), RecvOptions::new())?;
    let mut fds = Fds::new();
    ancillary.into_rights(|fd| fds.receive(fd));
    Ok((received, fds))
}

#[inline]
fn recv_fds_exact_from<const N: usize>(
    fd: BorrowedFd<'_>,
    known: Known,
    buf: &mut [u8],
) -> Result<(Received, [OwnedFd; N]), RecvError> {
    let (received, fds) = recv_fds_from::<N>(fd, known, buf)?;
    let found = fds.len().saturating_add(fds.surplus());
    if found == N {
        if let Ok(fds) = fds.into_array() {
            return Ok((received, fds));
        }
    }
    let Received { bytes, size } = received;
    Err(RecvError::WrongCount { bytes, size, wanted: N, found })
}

#[inline]
fn recv_from<'b>(
    fd: BorrowedFd<'_>,
    known: Known,
    data: &mut [IoSliceMut<'_>],
    control: &'b mut [MaybeUninit<u8>],
    options: RecvOptions<'_>,
) -> Result<(Received, Ancillary<'b>), RecvError> {
    let data = match known {
        Some(Kind::Stream) if data.len() > PIECES_MAX => data.split_at_mut(PIECES_MAX).0,
        _ => data,
    };
    let RecvOptions { from, flags, lossy } = options;
    let control = if flags & PEEK == 0 { control } else { &mut [] };
    let control_room = control.len();
    let room = received_len(data);
    let incoming = match receive(fd, data, control, from, flags) {
        Ok(incoming) => incoming,
        Err(errno) => return Err(RecvError::Kernel(errno)),
    };
    let received = Received::new(incoming.size, room);
    let lossy = lossy || flags & PEEK != 0;
    if incoming.flags & CTRUNC == 0 && incoming.size != 0 {
        return Ok((received, Ancillary::new(incoming.control)));
    }
    let question = Question { fd, known, received, has_room: room > 0, control_room, lossy };
    judge(question, incoming.flags & CTRUNC != 0, Ancillary::new(incoming.control))
}

/// What must be known to judge a receive that gave no data, or not all control messages.
struct Question<'a> {
    fd: BorrowedFd<'a>,
    known: Known,
    received: Received,
    has_room: bool,
    control_room: usize,
    lossy: bool,
}

#[cold]
#[inline(never)]
fn judge<'b>(
    question: Question<'_>,
    truncated: bool,
    mut ancillary: Ancillary<'b>,
) -> Result<(Received, Ancillary<'b>), RecvError> {
    let Question { fd, known, received, has_room, control_room, lossy } = question;
    let Received { bytes, size } = received;
    // The end of a stream comes with credentials that are nobody's, and has nothing to lose. A socket
    // that will not say what it is gets the answer that believes less.
    let may_be_end = size == 0 && (truncated || !ancillary.is_empty());
    if may_be_end && is_stream(fd, known).unwrap_or(true) {
        if has_room {
            ancillary.set_end();
            return Ok((received, ancillary));
        }
        // A receive of nothing is not told from the end, but by credentials that are all zeros. What
        // else has those is root in a process that this one cannot see: to be taken for nobody does it
        // less harm than nobody could do as root.
        let end = Credentials { pid: None, uid: Uid::ROOT, gid: Gid::ROOT };
        if ancillary.credentials() == Some(end) {
            ancillary.set_end();
        }
    }
    if truncated {
        let cause = ancillary.cause(control_room);
        if !lossy {
            let closed = ancillary.close();
            return Err(RecvError::ControlTruncated { bytes, size, closed, cause });
        }
        ancillary.set_truncation(cause);
    }
    Ok((received, ancillary))
}

/// Sends data with descriptors, which the receiver gets duplicates of.
///
/// On datagram and seqpacket sockets the message goes whole or not at all, and may have no data. On a
/// stream the descriptors go with the first byte, of which there must be one, and come to the
/// receiver with it; see [`Sent`] for what is to be done if not all bytes went. Of no descriptors it is a
/// plain send. `SIGPIPE` is not raised.
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
///   - `EINVAL`: one is an io_uring.
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
/// are dropped. What more descriptors than `N` found room there are closed and counted
/// ([`Fds::surplus`]); of yet more the receive is an error. `N` is at most 253.
///
/// A message that is too long for `buf` is cut, which [`Received::is_truncated`] tells. Of a **stream**
/// descriptors come with the first byte of those they were sent with, whatever comes before it in
/// the same receive: the bytes before them may be of an earlier write, and the last byte received is of
/// theirs. 0 bytes are the end of a connection; or an empty message; or nothing at all of a stream, if
/// `buf` is empty: then descriptors that are next are taken all the same.
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
    recv_fds_from(fd.as_fd(), None, buf)
}

/// Receives data and exactly `N` descriptors: [`recv_fds`] where any other number is an error.
///
/// # Errors
///
/// As [`recv_fds`]; and [`RecvError::WrongCount`] if fewer came, or more, all of which are closed. The
/// data is in `buf`; 0 bytes with 0 descriptors are most likely the end of the connection.
///
/// # Examples
///
/// See [`send_fds`].
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
/// come with control messages, the socket is asked for its type then (`SO_TYPE`): at the end of a stream
/// the kernel attaches credentials that are nobody's and look like root's, and those are not shown.
///
/// The end of a **seqpacket** connection looks like an empty message. With `SO_PASSCRED` on it does not: a
/// message has credentials, and the end has none.
///
/// # Errors
///
/// As [`recv_fds`], where the room for descriptors is what `control` has (and there is always too
/// little for what `SO_PASSCRED` and its likes attach to each message, if it has none). `EMSGSIZE`:
/// more than 1024 pieces, of which the method of a stream takes the first 1024.
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
/// it before anybody can send: on a listener, from which accepted sockets inherit it as it was when
/// their client connected; or on a socket that is not bound yet.
///
/// While it is on, a **stream** never gives bytes of different senders in one receive; a receive without
/// room for credentials in its control buffer is
/// [`ControlTruncated`](RecvError::ControlTruncated) each time; and a socket without a name is given one
/// when it connects or sends to an address, as by `autobind`.
///
/// # Errors
///
/// `ENOTSOCK`, `EBADF`: `fd` is no socket. `EOPNOTSUPP`: it is none of `AF_UNIX`.
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
/// See [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), `SO_PASSCRED`.
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
