//! Control messages that came in.

use crate::cred::{Credentials, PidFd};
use crate::error::Truncation;
use crate::sys::control::{Arrived, Control, LEVEL, Messages, SCM_INQ, TakeRights};
use crate::sys::fds::first;
use crate::wire::cmsg::{
    HEADER_LEN, Header, INT_LEN, SCM_CREDENTIALS, SCM_PIDFD, SCM_RIGHTS, SCM_SECURITY, decode_int,
    message_len,
};
use crate::{BorrowedFd, Errno, OwnedFd};

/// The control messages that came with some data, and the owner of the descriptors among them: those
/// that are not taken out are closed on drop.
///
/// It borrows the [`AncillaryBuf`](crate::AncillaryBuf) that was received into. In whatever order the
/// messages came, and whatever else there is, each accessor finds its own.
///
/// # Examples
///
/// ```
/// use afunix::{AncillaryBuf, AsFd, IoSliceMut, RecvOptions, Space, UnixStream};
///
/// let (a, b) = UnixStream::pair()?;
/// a.send_fds(b"two", &[a.as_fd(), b.as_fd()])?;
///
/// let mut control = AncillaryBuf::<{ Space::new().rights::<8>().bytes() }>::new();
/// let mut buf = [0; 16];
/// let (_, mut ancillary) =
///     b.recv_with(&mut [IoSliceMut::new(&mut buf)], &mut control, RecvOptions::new())?;
/// assert_eq!(ancillary.fds().count(), 2);
/// let first = ancillary.take_fds().next();
/// assert_eq!(ancillary.fds().count(), 1);
/// assert!(ancillary.credentials().is_none());
/// # drop(first);
/// # Ok::<(), afunix::Errno>(())
/// ```
#[derive(Debug)]
#[must_use = "descriptors that are not taken are closed"]
pub struct Ancillary<'buf> {
    control: Control<'buf>,
    truncation: Option<Truncation>,
    /// Whether it came with the end of a stream, when the kernel attests nobody.
    end: bool,
}

impl<'buf> Ancillary<'buf> {
    #[inline]
    pub(crate) fn new(arrived: Arrived<'buf>, truncation: Option<Truncation>, end: bool) -> Self {
        Self { control: arrived.sort(), truncation, end }
    }

    /// Lends the descriptors that were not taken yet, in the order they were sent in.
    ///
    /// # Examples
    ///
    /// See [`Ancillary`].
    #[doc(alias = "SCM_RIGHTS")]
    #[inline]
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.control.rights()
    }

    /// Takes descriptors out, in the order they were sent in; those that the iterator is not asked
    /// for stay here.
    ///
    /// All that the peer sent and the buffer had room for are here, more than were expected too. So
    /// this is the way to have them closed by another thread. A hostile sender can make a close slow:
    /// by a file of its own file system, or a socket with `SO_LINGER`. What finds no room is closed by
    /// the kernel inside the receive; with room for 253 that is only what cannot be installed.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{AncillaryBuf, AsFd, IoSliceMut, OwnedFd, RecvOptions, Space, UnixStream};
    ///
    /// let (a, b) = UnixStream::pair()?;
    /// a.send_fds(b"two", &[a.as_fd(), b.as_fd()])?;
    /// let mut control = AncillaryBuf::<{ Space::new().rights::<2>().bytes() }>::new();
    /// let mut buf = [0; 16];
    /// let (_, mut ancillary) =
    ///     b.recv_with(&mut [IoSliceMut::new(&mut buf)], &mut control, RecvOptions::new())?;
    /// let fds: Vec<OwnedFd> = ancillary.take_fds().collect();
    /// assert_eq!(fds.len(), 2);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// See [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), `SCM_RIGHTS`.
    #[doc(alias = "SCM_RIGHTS")]
    #[inline]
    pub const fn take_fds(&mut self) -> TakeFds<'_> {
        TakeFds { rights: self.control.take_rights() }
    }

    /// Takes the descriptors out if there are exactly `N`.
    ///
    /// # Errors
    ///
    /// How many there are, if it is another number; they all stay here.
    ///
    /// # Examples
    ///
    /// One descriptor, from a sender who is known:
    ///
    /// ```
    /// use afunix::{AncillaryBuf, AsFd, IoSliceMut, RecvOptions, Space, UnixSeqpacket};
    ///
    /// let (a, b) = UnixSeqpacket::pair()?;
    /// b.set_passcred(true)?;
    /// a.send_fds(b"take it", &[a.as_fd()])?;
    /// let mut control =
    ///     AncillaryBuf::<{ Space::new().credentials().rights::<1>().bytes() }>::new();
    /// let mut buf = [0; 16];
    /// let (_, mut ancillary) =
    ///     b.recv_with(&mut [IoSliceMut::new(&mut buf)], &mut control, RecvOptions::new())?;
    /// let sender = ancillary.credentials().expect("SO_PASSCRED is on");
    /// assert_eq!(ancillary.take_fds_exact::<2>().unwrap_err(), 1);
    /// let [fd] = ancillary.take_fds_exact::<1>().expect("one descriptor");
    /// # drop((sender, fd));
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[doc(alias = "SCM_RIGHTS")]
    #[inline]
    pub fn take_fds_exact<const N: usize>(&mut self) -> Result<[OwnedFd; N], usize> {
        let found = self.control.rights().len();
        if found == N {
            if let Ok(fds) = first::<N>(self.take_fds()).into_array() {
                return Ok(fds);
            }
        }
        Err(found)
    }

    /// Takes the pidfd of the sender, which comes if `SO_PASSPIDFD` is on, and it or `SO_PASSCRED` was
    /// on at the sender or the receiver when the message was sent.
    ///
    /// `Ok(None)`: there is none, or it was taken already; or, of a receive that was
    /// [`lossy`](crate::RecvOptions::lossy), it found no room behind what the sender sent. With forged
    /// credentials of a privileged sender it is the process that those name.
    ///
    /// # Errors
    ///
    /// What kept the kernel from making it; each further call says the same, and the rest of the
    /// message is not affected.
    ///
    /// - `EMFILE`, `ENFILE`, `ENOMEM`: no descriptor was free, or too little memory.
    /// - `EINVAL`, `ESRCH`, before Linux 6.17: the sender has ended, and been waited for.
    ///
    /// # Examples
    ///
    /// See [`PidFd`].
    ///
    /// Linux 6.5.
    #[doc(alias = "SCM_PIDFD")]
    #[inline]
    pub fn take_pidfd(&mut self) -> Result<Option<PidFd>, Errno> {
        Ok(self.control.take_pidfd()?.map(PidFd::new))
    }

    /// Who sent it, which is told if `SO_PASSCRED` is on.
    ///
    /// `None` if nothing is told, if it did not fit, and at the end of a stream: there the kernel
    /// gives the numbers of root, and means nobody. (A receive into no buffer is not told from the end:
    /// from a stream it gives `None` for those numbers, even if they are of root in a pid namespace
    /// that is not seen here.)
    ///
    /// # Examples
    ///
    /// See [`AncillaryBuf`](crate::AncillaryBuf).
    ///
    /// See [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), `SCM_CREDENTIALS`.
    #[doc(alias = "SCM_CREDENTIALS")]
    #[inline]
    #[must_use]
    pub fn credentials(&self) -> Option<Credentials> {
        if self.end {
            return None;
        }
        self.control.credentials().map(Credentials::decode)
    }

    /// The sender's security context, such as SELinux's label, without a NUL at its end; told if
    /// `SO_PASSSEC` is on ([`set_passsec`](crate::UnixStream::set_passsec)), and a security module has
    /// labels. It is bytes, of no certain encoding.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{AncillaryBuf, IoSliceMut, RecvOptions, UnixStream};
    ///
    /// let (a, b) = UnixStream::pair()?;
    /// a.write(b"x")?;
    /// let mut control = AncillaryBuf::<512>::new();
    /// let mut buf = [0; 16];
    /// let (_, ancillary) =
    ///     b.recv_with(&mut [IoSliceMut::new(&mut buf)], &mut control, RecvOptions::new())?;
    /// assert_eq!(ancillary.security_context(), None); // nobody asked for it
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// Linux 2.6.18 for datagrams, 4.2 for streams; see
    /// [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), `SO_PASSSEC`.
    #[doc(alias = "SCM_SECURITY")]
    #[inline]
    #[must_use]
    pub fn security_context(&self) -> Option<&[u8]> {
        match self.control.iter().find(|(header, _)| header.is(LEVEL, SCM_SECURITY))?.1 {
            [context @ .., 0] | context => Some(context),
        }
    }

    /// How many bytes the stream still has for this receiver, behind those that were received; told
    /// if `SO_INQ` is on ([`set_inq`](crate::UnixStream::set_inq)).
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{AncillaryBuf, IoSliceMut, RecvOptions, Space, UnixStream};
    ///
    /// let (a, b) = UnixStream::pair()?;
    /// a.write(b"more")?;
    /// let mut control = AncillaryBuf::<{ Space::new().bytes_left().bytes() }>::new();
    /// let mut buf = [0; 1];
    /// let (_, ancillary) =
    ///     b.recv_with(&mut [IoSliceMut::new(&mut buf)], &mut control, RecvOptions::new())?;
    /// assert_eq!(ancillary.bytes_left(), None); // nobody asked for it
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// Linux 6.17.
    #[doc(alias = "SCM_INQ")]
    #[inline]
    #[must_use]
    pub fn bytes_left(&self) -> Option<usize> {
        let (_, payload) = self.control.iter().find(|(header, _)| header.is(LEVEL, SCM_INQ))?;
        usize::try_from(decode_int(payload)?).ok()
    }

    /// The messages that no other accessor is for, as level, type and payload.
    ///
    /// Descriptors that a later kernel may put into messages of a new type, if the receiver asks for
    /// them, are numbers to this crate: whoever asks for them has to close them.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{AncillaryBuf, IoSliceMut, RecvOptions, UnixDatagram};
    ///
    /// let (a, b) = UnixDatagram::pair()?;
    /// a.send(b"x")?;
    /// let mut control = AncillaryBuf::<64>::new();
    /// let mut buf = [0; 16];
    /// let (_, ancillary) =
    ///     b.recv_with(&mut [IoSliceMut::new(&mut buf)], &mut control, RecvOptions::new())?;
    /// // Timestamps would be here, had the socket been told to give them.
    /// for message in ancillary.unknown() {
    ///     println!("level {}, type {}: {:?}", message.level, message.kind, message.payload);
    /// }
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// See [cmsg(3)](https://man7.org/linux/man-pages/man3/cmsg.3.html).
    #[doc(alias = "cmsghdr")]
    #[doc(alias = "CMSG_NXTHDR")]
    #[inline]
    pub const fn unknown(&self) -> Unknown<'_> {
        Unknown { messages: self.control.iter() }
    }

    /// Why control messages are missing, if some are. Seen only by who asked for what came all the
    /// same ([`RecvOptions::lossy`](crate::RecvOptions::lossy)) or only peeked
    /// ([`RecvOptions::peek`](crate::RecvOptions::peek)); to all others it is an error.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{AncillaryBuf, AsFd, IoSliceMut, RecvOptions, Truncation, UnixStream};
    ///
    /// let (a, b) = UnixStream::pair()?;
    /// a.send_fds(b"x", &[b.as_fd()])?;
    /// let mut control = AncillaryBuf::<0>::new();
    /// let mut buf = [0; 16];
    /// let options = RecvOptions::new().lossy();
    /// let (_, ancillary) = b.recv_with(&mut [IoSliceMut::new(&mut buf)], &mut control, options)?;
    /// assert_eq!(ancillary.truncation(), Some(Truncation::BufferFull));
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// `MSG_CTRUNC`, see [recvmsg(2)](https://man7.org/linux/man-pages/man2/recvmsg.2.html).
    #[doc(alias = "MSG_CTRUNC")]
    #[inline]
    #[must_use]
    pub const fn truncation(&self) -> Option<Truncation> {
        self.truncation
    }
}

/// What kept messages from coming, where the buffer has `room` bytes.
pub(crate) fn cause(messages: Messages<'_>, room: usize) -> Truncation {
    // The kernel cuts credentials and contexts where the room ends, and leaves out what is
    // smaller than this; so where there was as much, it was not for want of room.
    const ONE_FD: usize = HEADER_LEN + INT_LEN;
    let mut cause = Truncation::BufferFull;
    let mut next: usize = 0;
    for (header, payload) in messages {
        let end = next.saturating_add(message_len(payload.len()));
        next = next.saturating_add(header.space());
        cause = match header.kind {
            SCM_PIDFD if decode_int(payload).is_some_and(|slot| slot < 0) => {
                return Truncation::NotInstalled;
            }
            // What comes before descriptors.
            SCM_CREDENTIALS | SCM_SECURITY => cause,
            SCM_RIGHTS if room.saturating_sub(end) < INT_LEN => Truncation::BufferFull,
            _ => Truncation::Unknown,
        };
    }
    if room.saturating_sub(next) >= ONE_FD { Truncation::NotInstalled } else { cause }
}

/// A control message that no accessor of [`Ancillary`] is for: see [`Ancillary::unknown`].
#[doc(alias = "cmsghdr")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct ControlMessage<'a> {
    /// Whose message it is: `SOL_SOCKET` for all that these sockets are known to give.
    pub level: i32,
    /// Its type at that level.
    pub kind: i32,
    /// Its bytes, without the header.
    pub payload: &'a [u8],
}

/// Takes the descriptors out of an [`Ancillary`], in order; those that it is not asked for stay there:
/// see [`Ancillary::take_fds`].
#[derive(Debug)]
pub struct TakeFds<'a> {
    rights: TakeRights<'a>,
}

impl Iterator for TakeFds<'_> {
    type Item = OwnedFd;

    #[inline]
    fn next(&mut self) -> Option<OwnedFd> {
        self.rights.next()
    }
}

/// The messages of an [`Ancillary`] that no accessor is for: see [`Ancillary::unknown`].
#[derive(Clone, Debug)]
pub struct Unknown<'a> {
    messages: Messages<'a>,
}

impl<'a> Iterator for Unknown<'a> {
    type Item = ControlMessage<'a>;

    #[inline]
    fn next(&mut self) -> Option<ControlMessage<'a>> {
        let known = [SCM_RIGHTS, SCM_CREDENTIALS, SCM_SECURITY, SCM_PIDFD, SCM_INQ];
        let is_unknown = |header: &Header| header.level != LEVEL || !known.contains(&header.kind);
        let (header, payload) = self.messages.find(|(header, _)| is_unknown(header))?;
        Some(ControlMessage { level: header.level, kind: header.kind, payload })
    }
}
