//! How a message is to be sent or received, and how much was sent.

use crate::addr::UnixAddr;
use crate::socket::Deadline;
use crate::sys::msg::{DONTWAIT, PEEK};

/// How [`send_with`](crate::send_with) sends: by default to the peer, waiting while there is no room.
///
/// # Examples
///
/// ```
/// use afunix::{AncillaryBuf, IoSlice, SendOptions, UnixDatagram};
///
/// let (inbox, name) = UnixDatagram::autobind()?;
/// let sender = UnixDatagram::unbound()?;
/// let options = SendOptions::new().to(&name).nonblocking();
/// let mut none = AncillaryBuf::<0>::new();
/// sender.send_with(&[IoSlice::new(b"head"), IoSlice::new(b"body")], &none.writer(), options)?;
/// assert_eq!(inbox.recv(&mut [0; 16])?.bytes, 8);
/// # Ok::<(), afunix::Errno>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "it is given to `send_with`"]
pub struct SendOptions<'a> {
    pub(super) to: Option<&'a UnixAddr>,
    pub(super) flags: u32,
    pub(super) deadline: Option<Deadline>,
}

impl<'a> SendOptions<'a> {
    /// The defaults.
    ///
    /// # Examples
    ///
    /// See [`SendOptions`].
    #[inline]
    pub const fn new() -> Self {
        Self { to: None, flags: 0, deadline: None }
    }

    /// Sends to whoever has this name, as `sendto` does. For datagrams: a connected stream refuses it
    /// with `EISCONN`, an unconnected one with `EOPNOTSUPP`, and a seqpacket socket ignores it. An
    /// unnamed address is `EINVAL`.
    ///
    /// # Examples
    ///
    /// See [`SendOptions`].
    #[doc(alias = "msg_name")]
    #[inline]
    pub const fn to(mut self, addr: &'a UnixAddr) -> Self {
        self.to = Some(addr);
        self
    }

    /// Fails with `EAGAIN` instead of waiting, this once, whatever the socket is set to.
    ///
    /// # Examples
    ///
    /// See [`SendOptions`].
    #[doc(alias = "MSG_DONTWAIT")]
    #[inline]
    pub const fn nonblocking(mut self) -> Self {
        (self.flags, self.deadline) = (self.flags | DONTWAIT, None);
        self
    }

    /// Waits until this deadline and no longer, whatever the socket is set to; then it fails with
    /// `ETIMEDOUT`, and nothing was sent. Of this and [`nonblocking`](Self::nonblocking) the later counts.
    ///
    /// A **stream** may take less than it is given, as if it were non-blocking. To an address datagrams are
    /// sent as by [`send_to_deadline`](crate::UnixDatagram::send_to_deadline); who has only a descriptor
    /// pays a question for its type (`SO_TYPE`), if it has to wait. For all else see [`Deadline`].
    ///
    /// # Examples
    ///
    /// ```
    /// use core::time::Duration;
    /// use afunix::{AncillaryBuf, Deadline, IoSlice, SendOptions, UnixSeqpacket};
    ///
    /// let (a, b) = UnixSeqpacket::pair()?;
    /// let mut none = AncillaryBuf::<0>::new();
    /// let options = SendOptions::new().deadline(Deadline::after(Duration::from_secs(1))?);
    /// a.send_with(&[IoSlice::new(b"in time")], &none.writer(), options)?;
    /// # drop(b);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[inline]
    pub const fn deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

/// How [`recv_with`](crate::recv_with) receives: by default waiting for data, taking it away, and
/// accepting no loss of control messages.
///
/// # Examples
///
/// ```
/// use afunix::{AncillaryBuf, IoSliceMut, RecvOptions, UnixAddr, UnixDatagram};
///
/// let (inbox, _) = UnixDatagram::autobind()?;
/// let (sender, name) = UnixDatagram::autobind()?;
/// sender.send_to(b"hello", &inbox.local_addr()?)?;
///
/// let mut from = UnixAddr::UNNAMED;
/// let options = RecvOptions::new().from(&mut from).nonblocking();
/// let (mut buf, mut none) = ([0; 16], AncillaryBuf::<0>::new());
/// let (received, _) = inbox.recv_with(&mut [IoSliceMut::new(&mut buf)], &mut none, options)?;
/// assert_eq!((received.bytes, from), (5, name));
/// # Ok::<(), afunix::Errno>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "it is given to `recv_with`"]
pub struct RecvOptions<'a> {
    pub(super) from: Option<&'a mut UnixAddr>,
    pub(super) flags: u32,
    pub(super) lossy: bool,
    pub(super) deadline: Option<Deadline>,
}

impl<'a> RecvOptions<'a> {
    /// The defaults.
    ///
    /// # Examples
    ///
    /// See [`RecvOptions`].
    #[inline]
    pub const fn new() -> Self {
        Self { from: None, flags: 0, lossy: false, deadline: None }
    }

    /// Writes the sender's address into `addr`; of a connection that is the peer's. Unnamed if it has
    /// no name, and at the end of a connection.
    ///
    /// It is written whenever a message was received, with
    /// [`ControlTruncated`](crate::RecvError::ControlTruncated) too, and is as it was where none was
    /// (but see [`from_fd_unchecked`](crate::UnixStream::from_fd_unchecked)).
    ///
    /// # Examples
    ///
    /// See [`RecvOptions`].
    #[doc(alias = "msg_name")]
    #[inline]
    pub const fn from(mut self, addr: &'a mut UnixAddr) -> Self {
        self.from = Some(addr);
        self
    }

    /// Fails with `EAGAIN` instead of waiting, this once, whatever the socket is set to.
    ///
    /// # Examples
    ///
    /// See [`RecvOptions`].
    #[doc(alias = "MSG_DONTWAIT")]
    #[inline]
    pub const fn nonblocking(mut self) -> Self {
        (self.flags, self.deadline) = (self.flags | DONTWAIT, None);
        self
    }

    /// Waits until this deadline and no longer, whatever the socket is set to; then it fails with
    /// `ETIMEDOUT`, and nothing was received. Of this and [`nonblocking`](Self::nonblocking) the later
    /// counts. See [`Deadline`].
    ///
    /// # Examples
    ///
    /// A descriptor, within a second or not at all:
    ///
    /// ```
    /// use core::time::Duration;
    /// use afunix::{AncillaryBuf, AsFd, Deadline, IoSliceMut, RecvOptions, Space, UnixSeqpacket};
    ///
    /// let (a, b) = UnixSeqpacket::pair()?;
    /// # a.send_fds(b"x", &[b.as_fd()])?;
    /// let mut control = AncillaryBuf::<{ Space::new().rights::<1>().bytes() }>::new();
    /// let mut buf = [0; 16];
    /// let options = RecvOptions::new().deadline(Deadline::after(Duration::from_secs(1))?);
    /// let (_, mut ancillary) = b.recv_with(&mut [IoSliceMut::new(&mut buf)], &mut control, options)?;
    /// let fd = ancillary.take_fds().next();
    /// # assert!(fd.is_some());
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[inline]
    pub const fn deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Looks at the data and leaves it in the queue.
    ///
    /// The kernel would give the process new descriptors at each look, so the control buffer is left
    /// out: no descriptor comes, no credentials do, and
    /// [`Ancillary::truncation`](crate::Ancillary::truncation) tells that there are control messages to
    /// be had. (With `SO_PASSCRED` on, there are always.)
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{AncillaryBuf, AsFd, IoSliceMut, RecvOptions, UnixStream};
    ///
    /// let (a, b) = UnixStream::pair()?;
    /// a.send_fds(b"look", &[b.as_fd()])?;
    /// let (mut buf, mut control) = ([0; 16], AncillaryBuf::<64>::new());
    /// let options = RecvOptions::new().peek();
    /// let (received, ancillary) =
    ///     b.recv_with(&mut [IoSliceMut::new(&mut buf)], &mut control, options)?;
    /// assert_eq!(received.bytes, 4);
    /// assert!(ancillary.truncation().is_some() && ancillary.fds().next().is_none());
    ///
    /// let (_, [fd]) = b.recv_fds_exact::<1>(&mut buf)?;
    /// # drop(fd);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[doc(alias = "MSG_PEEK")]
    #[inline]
    pub const fn peek(mut self) -> Self {
        self.flags |= PEEK;
        self
    }

    /// Takes what control messages came where others were lost, instead of failing with
    /// [`ControlTruncated`](crate::RecvError::ControlTruncated);
    /// [`Ancillary::truncation`](crate::Ancillary::truncation) tells.
    ///
    /// What is missing may be the sender's doing: a descriptor sent along takes room, and a pidfd, which
    /// comes last, may find none. Who wants one has room for descriptors too, and takes a loss for a
    /// refusal. On the other hand this is the way to learn who sent what was cut: credentials come
    /// before all that a sender can add.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{AncillaryBuf, AsFd, IoSliceMut, RecvOptions, Space, UnixStream};
    ///
    /// let (a, b) = UnixStream::pair()?;
    /// a.send_fds(b"x", &[b.as_fd(); 9])?;
    /// let mut control = AncillaryBuf::<{ Space::new().rights::<2>().bytes() }>::new();
    /// let (mut buf, options) = ([0; 16], RecvOptions::new().lossy());
    /// let (_, ancillary) = b.recv_with(&mut [IoSliceMut::new(&mut buf)], &mut control, options)?;
    /// assert!(ancillary.truncation().is_some());
    /// assert_eq!(ancillary.fds().count(), 2);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[doc(alias = "MSG_CTRUNC")]
    #[inline]
    pub const fn lossy(mut self) -> Self {
        self.lossy = true;
        self
    }
}

/// How much was sent: the data that the kernel took, and all descriptors with it.
///
/// A message goes whole or not at all. A **stream** that does not wait, or is interrupted, may take only
/// the first bytes; the descriptors go with the very first, so that what is left must be sent
/// without them: see [`rest`](Self::rest).
///
/// # Examples
///
/// ```
/// use afunix::{AsFd, UnixStream};
///
/// let (a, b) = UnixStream::pair()?;
/// a.set_nonblocking(true)?;
/// let data = vec![0; 1_000_000];
/// let sent = a.send_fds(&data, &[b.as_fd()])?;
/// let rest = sent.rest(&data);
/// assert!(!rest.is_empty());
/// let mut buf = vec![0; 500_000];
/// let (_, [fd]) = b.recv_fds_exact::<1>(&mut buf)?;
/// // Room again: the rest, without the descriptor.
/// a.write(rest)?;
/// # drop(fd);
/// # Ok::<(), afunix::Errno>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Sent {
    /// How many bytes of data were sent.
    pub bytes: usize,
}

impl Sent {
    /// What of `data`, which was to be sent, is left: to be sent without descriptors.
    ///
    /// # Examples
    ///
    /// See [`Sent`].
    #[inline]
    #[must_use]
    pub const fn rest<'d>(&self, data: &'d [u8]) -> &'d [u8] {
        match data.split_at_checked(self.bytes) {
            Some((_, rest)) => rest,
            None => &[],
        }
    }
}
