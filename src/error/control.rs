//! What can go wrong with control messages.

use core::fmt;

use rustix::io::Errno;

/// A message does not fit into what is left of an [`AncillaryBuf`](crate::AncillaryBuf); what is
/// there already stays as it is.
///
/// # Examples
///
/// ```
/// use afunix::{AncillaryBuf, AsFd, CapacityError, Space, UnixStream};
///
/// let (a, b) = UnixStream::pair()?;
/// let mut buf = AncillaryBuf::<{ Space::new().rights::<1>().bytes() }>::new();
/// let mut writer = buf.writer();
/// let error: CapacityError = writer.push_fds(&[a.as_fd(), a.as_fd(), b.as_fd()]).unwrap_err();
/// assert!(error.needed > error.left);
/// # #[cfg(target_pointer_width = "64")]
/// assert_eq!(error.to_string(), "control message needs 28 bytes, 24 are left");
/// writer.push_fds(&[a.as_fd()]).unwrap();
/// # Ok::<(), afunix::Errno>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct CapacityError {
    /// How many bytes the message takes, header included.
    pub needed: usize,
    /// How many are left.
    pub left: usize,
}

impl CapacityError {
    /// The errno that says the same: `ENOBUFS`.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{AncillaryBuf, AsFd, Errno, UnixStream};
    ///
    /// let (a, _b) = UnixStream::pair()?;
    /// let mut none = AncillaryBuf::<0>::new();
    /// let error = none.writer().push_fds(&[a.as_fd()]).unwrap_err();
    /// assert_eq!(error.errno(), Errno::NOBUFS);
    /// # Ok::<(), Errno>(())
    /// ```
    #[must_use]
    pub const fn errno(self) -> Errno {
        Errno::NOBUFS
    }
}

impl fmt::Display for CapacityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "control message needs {} bytes, {} are left", self.needed, self.left)
    }
}

impl core::error::Error for CapacityError {}

/// A message with descriptors or credentials was not sent. Nothing of it went (but see
/// [`Short`](Self::Short)), and the descriptors are still the sender's.
///
/// # Examples
///
/// ```
/// use afunix::{AsFd, Errno, SendError, UnixStream};
///
/// let (a, b) = UnixStream::pair()?;
/// // The kernel would answer 0 and drop the descriptor.
/// assert_eq!(a.send_fds(b"", &[b.as_fd()]), Err(SendError::NoData { fds: 1 }));
/// let many = [b.as_fd(); 254];
/// assert_eq!(a.send_fds(b"x", &many), Err(SendError::TooManyFds { fds: 254 }));
/// # drop(b);
/// # Ok::<(), Errno>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SendError {
    /// The kernel refused it. `ETOOMANYREFS` means that the sender's user has more descriptors in
    /// flight, sent and not yet received, than `RLIMIT_NOFILE` allows to be open; receivers that read
    /// or close make room, and who has `CAP_SYS_RESOURCE` or `CAP_SYS_ADMIN` is exempt.
    Kernel(Errno),
    /// Descriptors with not one byte of data, on a stream: there they would be lost, with no error.
    NoData {
        /// How many descriptors there were.
        fds: usize,
    },
    /// More descriptors than one message may carry, which is 253 (`SCM_MAX_FD`).
    TooManyFds {
        /// How many there were, in all the message's parts.
        fds: usize,
    },
    /// Only the first bytes of the last message went that [`send_batch`](crate::send_batch) sent, and
    /// all its descriptors with them: that happens on a stream alone. What is left of it has to be sent
    /// before the message that is next.
    #[non_exhaustive]
    Short {
        /// How many bytes went.
        bytes: usize,
        /// How many bytes the message has.
        size: usize,
    },
}

impl SendError {
    /// The errno that says the same: the kernel's own, `EAGAIN` for `Short`, else `EINVAL`.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{Errno, SendError};
    ///
    /// assert_eq!(SendError::Kernel(Errno::PIPE).errno(), Errno::PIPE);
    /// assert_eq!(SendError::NoData { fds: 1 }.errno(), Errno::INVAL);
    /// ```
    #[must_use]
    pub const fn errno(self) -> Errno {
        match self {
            Self::Kernel(errno) => errno,
            Self::NoData { .. } | Self::TooManyFds { .. } => Errno::INVAL,
            Self::Short { .. } => Errno::AGAIN,
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Kernel(Errno::TOOMANYREFS) => {
                f.write_str("cannot send: too many descriptors of this user are in flight")
            }
            Self::Kernel(errno) => write!(f, "cannot send: {errno}"),
            Self::NoData { fds } => {
                write!(f, "{fds} descriptors and 0 bytes, a stream needs at least 1")
            }
            Self::TooManyFds { fds } => write!(f, "{fds} descriptors, the limit is 253"),
            Self::Short { bytes, size } => {
                write!(f, "only {bytes} of the message's {size} bytes were sent")
            }
        }
    }
}

impl core::error::Error for SendError {}

/// A receive did not give what was asked for. No descriptor of the message is left open.
///
/// Except with [`Kernel`](Self::Kernel), a message (of a stream, some bytes) **was** received: its data
/// is in the buffers, as far as is counted here, and it will not come again.
///
/// # Examples
///
/// ```
/// use afunix::{AsFd, Errno, RecvError, UnixStream};
///
/// let (a, b) = UnixStream::pair()?;
/// a.send_fds(b"two", &[a.as_fd(), b.as_fd()]).unwrap();
/// let mut buf = [0; 16];
/// let error = b.recv_fds_exact::<1>(&mut buf).unwrap_err();
/// assert!(matches!(error, RecvError::WrongCount { bytes: 3, wanted: 1, found: 2, .. }));
/// assert_eq!(error.to_string(), "2 descriptors came, wanted 1");
/// assert_eq!(&buf[..3], b"two");
/// # Ok::<(), Errno>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RecvError {
    /// The kernel gave no message, and took none from the queue. (With
    /// [`RecvOptions::from`](crate::RecvOptions::from), one that came from a socket of another family
    /// is lost: `EAFNOSUPPORT`.)
    Kernel(Errno),
    /// The kernel could not deliver all control messages (`MSG_CTRUNC`), and closed what
    /// descriptors were in the rest. Those that came have been closed too.
    #[doc(alias = "MSG_CTRUNC")]
    #[non_exhaustive]
    ControlTruncated {
        /// How many bytes of data were received.
        bytes: usize,
        /// How many bytes of data the message had.
        size: usize,
        /// How many descriptors came and have been closed.
        closed: usize,
        /// What kept the rest from coming, as far as can be told.
        cause: Truncation,
    },
    /// Another number of descriptors came than was asked for. They have been closed.
    #[non_exhaustive]
    WrongCount {
        /// How many bytes of data were received; 0 may be the end of a connection.
        bytes: usize,
        /// How many bytes of data the message had.
        size: usize,
        /// How many descriptors were asked for.
        wanted: usize,
        /// How many came.
        found: usize,
    },
}

impl RecvError {
    /// The errno that says the same: the kernel's own; `ENOBUFS` for lost control messages, and
    /// `EPROTO` for another number of descriptors.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{Errno, UnixStream};
    ///
    /// let (a, b) = UnixStream::pair()?;
    /// a.write(b"no descriptor")?;
    /// let error = b.recv_fds_exact::<1>(&mut [0; 16]).unwrap_err();
    /// assert_eq!(error.errno(), Errno::PROTO);
    /// # Ok::<(), Errno>(())
    /// ```
    #[must_use]
    pub const fn errno(self) -> Errno {
        match self {
            Self::Kernel(errno) => errno,
            Self::ControlTruncated { .. } => Errno::NOBUFS,
            Self::WrongCount { .. } => Errno::PROTO,
        }
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Kernel(errno) => write!(f, "cannot receive: {errno}"),
            Self::ControlTruncated { closed, cause, .. } => {
                write!(f, "control messages were lost: {cause}")?;
                if closed > 0 {
                    write!(f, "; {closed} descriptors that came were closed")?;
                }
                Ok(())
            }
            Self::WrongCount { wanted, found, .. } => {
                write!(f, "{found} descriptors came, wanted {wanted}")
            }
        }
    }
}

impl core::error::Error for RecvError {}

/// Why control messages were lost. The kernel says only that they were (`MSG_CTRUNC`); this is what
/// the place where they stop tells.
///
/// # Examples
///
/// ```
/// use afunix::{AsFd, RecvError, Truncation, UnixStream};
///
/// let (a, b) = UnixStream::pair()?;
/// a.send_fds(b"x", &[b.as_fd(); 200])?;
/// match b.recv_fds::<4>(&mut [0; 16]) {
///     // The sender's doing.
///     Err(RecvError::ControlTruncated { cause: Truncation::BufferFull, .. }) => {}
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), afunix::Errno>(())
/// ```
#[doc(alias = "MSG_CTRUNC")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Truncation {
    /// The buffer for control messages is full, or there was none.
    BufferFull,
    /// There was room, and yet a descriptor was not installed: this process has no number free for
    /// it (`EMFILE`), the system is out of files or of memory, or a security module forbade it.
    NotInstalled,
    /// Too little room was left to tell, or other messages came whose place is not known.
    Unknown,
}

impl fmt::Display for Truncation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BufferFull => "the control buffer was too small",
            Self::NotInstalled => "no descriptor could be installed",
            Self::Unknown => "the control buffer was too small or a descriptor not installed",
        })
    }
}
