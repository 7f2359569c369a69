//! What can go wrong where the peer is asked for.

use core::fmt;

use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::process::Pid;

/// The kernel does not say who the peer is.
///
/// # Examples
///
/// ```
/// use afunix::{Errno, PeerError, UnixStream};
///
/// let nobody = UnixStream::unbound()?;
/// let error = nobody.peer_credentials().unwrap_err();
/// assert_eq!(error, PeerError::NotConnected);
/// assert_eq!(error.errno(), Errno::NOTCONN);
/// assert_eq!(error.to_string(), "there is no peer");
/// # Ok::<(), Errno>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PeerError {
    /// The kernel refused; `EPERM` is most likely a seccomp filter's or a security module's.
    Kernel(Errno),
    /// No connection was accepted, by [`accept_peer`](crate::UnixListener::accept_peer); nobody was asked
    /// for.
    Accept(Errno),
    /// There is no peer that anything is known of: the socket is not connected, or is a datagram socket
    /// that no `pair` made.
    NotConnected,
    /// The kernel has no such option (`ENOPROTOOPT`), is told by a filter to behave so (`ENOSYS`), or
    /// has it for other sockets only (`EOPNOTSUPP`). Of a security context: nobody keeps any.
    Unsupported(Errno),
    /// There is more than the buffer has room for, of which nothing was written.
    #[non_exhaustive]
    TooSmall {
        /// How many elements there are: groups, or bytes of a context.
        needed: usize,
    },
}

impl PeerError {
    /// Of an errno that the kernel gave.
    pub(crate) const fn of(errno: Errno) -> Self {
        match errno {
            Errno::NODATA | Errno::NOTCONN => Self::NotConnected,
            Errno::NOPROTOOPT | Errno::NOSYS | Errno::OPNOTSUPP => Self::Unsupported(errno),
            errno => Self::Kernel(errno),
        }
    }

    /// The errno that says the same: the kernel's own, `ENOTCONN`, or `ERANGE` for `TooSmall`.
    ///
    /// # Examples
    ///
    /// See [`PeerError`].
    #[must_use]
    pub const fn errno(self) -> Errno {
        match self {
            Self::Kernel(errno) | Self::Accept(errno) | Self::Unsupported(errno) => errno,
            Self::NotConnected => Errno::NOTCONN,
            Self::TooSmall { .. } => Errno::RANGE,
        }
    }
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Kernel(errno) => write!(f, "cannot learn who the peer is: {errno}"),
            Self::Accept(errno) => write!(f, "cannot accept: {errno}"),
            Self::NotConnected => f.write_str("there is no peer"),
            Self::Unsupported(errno) => {
                write!(f, "the kernel does not tell this of a peer: {errno}")
            }
            Self::TooSmall { needed } => write!(f, "the buffer is too small, it takes {needed}"),
        }
    }
}

impl core::error::Error for PeerError {}

/// Who was wanted at the other end.
///
/// # Examples
///
/// See [`Refused`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Wanted {
    /// The user with this number.
    User(Uid),
    /// A member of the group with this number.
    Group(Gid),
    /// The process with this number.
    Process(Pid),
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::User(uid) => write!(f, "uid {}", uid.as_raw()),
            Self::Group(gid) => write!(f, "gid {}", gid.as_raw()),
            Self::Process(pid) => write!(f, "pid {}", pid.as_raw_pid()),
        }
    }
}

/// Somebody else was found at the other end than was wanted; or somebody who may be anybody.
///
/// # Examples
///
/// ```
/// use afunix::{Credentials, Errno, Gid, Uid, Wanted};
///
/// let sender = Credentials { pid: None, uid: Uid::from_raw(1000), gid: Gid::from_raw(100) };
/// let refused = sender.require_root().unwrap_err();
/// assert_eq!(refused.wanted, Wanted::User(Uid::ROOT));
/// assert_eq!(refused.uid, sender.uid);
/// assert_eq!(refused.to_string(), "wanted uid 0, found unknown pid, uid 1000, gid 100");
/// assert_eq!(refused.errno(), Errno::ACCESS);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Refused {
    /// Who was wanted.
    pub wanted: Wanted,
    /// The process that was found; `None` if it has no number here.
    pub pid: Option<Pid>,
    /// The user that was found.
    pub uid: Uid,
    /// The group that was found.
    pub gid: Gid,
}

impl Refused {
    /// The errno that says the same: `EACCES`.
    ///
    /// # Examples
    ///
    /// See [`Refused`].
    #[must_use]
    pub const fn errno(self) -> Errno {
        Errno::ACCESS
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wanted {}, found ", self.wanted)?;
        match self.pid {
            Some(pid) => write!(f, "pid {}", pid.as_raw_pid())?,
            None => f.write_str("unknown pid")?,
        }
        write!(f, ", uid {}, gid {}", self.uid.as_raw(), self.gid.as_raw())
    }
}

impl core::error::Error for Refused {}
