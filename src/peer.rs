//! Who is at the other end of a connection: credentials, a handle to the process, groups, a security
//! context; and whether that is who was wanted.
//!
//! What the kernel tells of a connection was true when it was made, and stays as it was: see
//! [`PeerCredentials`]. The mechanism is a function of any descriptor; the socket types have it as
//! methods.

mod check;
mod methods;

use core::fmt;

use crate::cred::{Credentials, PidFd};
use crate::error::PeerError;
use crate::sys::peer::{self as sys, ListError};
use crate::wire::cmsg::decode_ucred;
use crate::{AsFd, BorrowedFd, Gid, Pid, Uid};

/// Who made a connection, as the kernel remembers it: a process, and its **effective** user and group.
///
/// - Of a client it is who called `connect`. Of a server it is who called `listen` last: not who bound
///   the name, and not who accepts.
/// - Of a socket pair it is who made the pair, at both ends, whoever holds them now. A datagram socket of
///   a pair goes on telling that when it has turned to another peer.
///
/// It never changes. So it says nothing of who writes now: the process may have dropped its rights
/// since, handed the socket to another, or be gone; the number of one that is gone can be another's by
/// now, but the descriptor of [`Peer::pidfd`] cannot. [`Credentials`], which come with a message, are of
/// another kind: **real** ids, of the sender, and at the time it sent.
///
/// What the numbers can mean:
///
/// - `pid` is `None` where the process is in a pid namespace that this one does not see; the ids are true
///   all the same, and of a root outside 0.
/// - `euid` and `egid` are 65534 (`/proc/sys/kernel/overflowuid`, `overflowgid`) for ids that have no number
///   in this user namespace, and for the user who really has that number. So 65534 identifies nobody.
///
/// # Examples
///
/// ```
/// use afunix::{UnixListener, UnixStream};
///
/// let (listener, name) = UnixListener::autobind()?;
/// let client = UnixStream::connect(&name)?;
/// // The client looks at its server,
/// let server = client.peer_credentials()?;
/// assert_eq!(server.pid.map(|pid| pid.as_raw_pid() as u32), Some(std::process::id()));
/// // and the server at its client.
/// let (connection, _from, client) = listener.accept_peer()?;
/// client.require_same_user()?;
/// # let _ = connection;
/// # Ok::<(), afunix::Errno>(())
/// ```
///
/// See [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), `SO_PEERCRED`.
#[doc(alias = "SO_PEERCRED")]
#[doc(alias = "ucred")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct PeerCredentials {
    /// The process; `None` if it has no number here.
    pub pid: Option<Pid>,
    /// Its effective user.
    pub euid: Uid,
    /// Its effective group.
    pub egid: Gid,
}

impl fmt::Display for PeerCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "pid {}", pid.as_raw_pid())?,
            None => f.write_str("unknown pid")?,
        }
        write!(f, ", euid {}, egid {}", self.euid.as_raw(), self.egid.as_raw())
    }
}

/// Who made a connection, with a handle to the process that stays that process's.
///
/// Both are of when the connection was made, so that they belong together, with no moment in between
/// for another process to take the number.
///
/// # Examples
///
/// ```
/// use afunix::{PeerError, UnixListener, UnixStream};
///
/// let (listener, name) = UnixListener::autobind()?;
/// let client = UnixStream::connect(&name)?;
/// match client.peer() {
///     Ok(server) => println!("{}, held by {:?}", server.credentials, server.pidfd),
///     Err(PeerError::Unsupported(_)) => println!("an older kernel"),
///     Err(error) => return Err(error.into()),
/// }
/// # drop(listener);
/// # Ok::<(), afunix::Errno>(())
/// ```
///
/// Linux 6.5.
#[derive(Debug)]
#[non_exhaustive]
pub struct Peer {
    /// The numbers.
    pub credentials: PeerCredentials,
    /// The process.
    pub pidfd: PidFd,
}

/// Who made the connection: see [`PeerCredentials`].
///
/// `fd` is any `AF_UNIX` socket; the socket types have this as a method. A listener tells its own: who
/// called `listen` last.
///
/// # Errors
///
/// - [`PeerError::NotConnected`]: there is no peer, for which the kernel has the numbers 0, -1 and -1.
///   A datagram socket has one only if a pair was made.
/// - [`PeerError::Unsupported`]: a seccomp filter makes the kernel look older than it is.
///   [`PeerError::Kernel`]: `EPERM`, if the filter answers so; `ENOTSOCK`.
///
/// # Examples
///
/// ```
/// let (a, _b) = afunix::UnixStream::pair()?;
/// let peer = afunix::peer_credentials(&a)?;
/// assert_eq!(peer.pid.map(|pid| pid.as_raw_pid() as u32), Some(std::process::id()));
/// # Ok::<(), afunix::Errno>(())
/// ```
///
/// See [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), `SO_PEERCRED`.
#[doc(alias = "SO_PEERCRED")]
#[doc(alias = "getpeereid")]
#[inline]
pub fn peer_credentials(fd: impl AsFd) -> Result<PeerCredentials, PeerError> {
    credentials_of(fd.as_fd())
}

#[inline(always)]
fn credentials_of(fd: BorrowedFd<'_>) -> Result<PeerCredentials, PeerError> {
    match sys::credentials(fd) {
        Ok(ucred) => match decode_ucred(ucred) {
            (_, NOBODY, NOBODY) => Err(PeerError::NotConnected),
            _ => {
                let Credentials { pid, uid, gid } = Credentials::decode(ucred);
                Ok(PeerCredentials { pid, euid: uid, egid: gid })
            }
        },
        Err(errno) => Err(PeerError::of(errno)),
    }
}

/// What the kernel says of a user or a group that there is none: -1.
const NOBODY: u32 = u32::MAX;

/// A handle to the process that made the connection.
///
/// It is one whether the process lives, is a zombie or has been waited for (that since Linux 6.16), and
/// in whatever pid namespace it is. It is close-on-exec.
///
/// `fd` is any `AF_UNIX` socket; the socket types have this as a method.
///
/// # Errors
///
/// - [`PeerError::NotConnected`]: there is no peer. A datagram socket has one only if a pair was made.
/// - [`PeerError::Unsupported`]: before Linux 6.5.
/// - [`PeerError::Kernel`]: `EMFILE`, `ENFILE`: no descriptors left. `EINVAL`, `ESRCH`, before Linux 6.16: the
///   process has ended and been waited for. `EPERM`, if a filter answers so; `ENOTSOCK`.
///
/// # Examples
///
/// See [`Peer`].
///
/// `SO_PEERPIDFD`, see [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html) and
/// [pidfd_open(2)](https://man7.org/linux/man-pages/man2/pidfd_open.2.html).
#[doc(alias = "SO_PEERPIDFD")]
#[inline]
pub fn peer_pidfd(fd: impl AsFd) -> Result<PidFd, PeerError> {
    match sys::pidfd(fd.as_fd()) {
        Ok(fd) => Ok(PidFd::new(fd)),
        Err(errno) => Err(PeerError::of(errno)),
    }
}

/// Who made the connection, with a handle to the process.
///
/// `fd` is any `AF_UNIX` socket; the socket types have this as a method.
///
/// Of a listener the two are the same process's unless another listens in between.
///
/// # Errors
///
/// As [`peer_credentials`] and [`peer_pidfd`]; no descriptor is left open.
///
/// # Examples
///
/// See [`Peer`].
#[doc(alias = "SO_PEERPIDFD")]
#[doc(alias = "SO_PEERCRED")]
#[inline]
pub fn peer(fd: impl AsFd) -> Result<Peer, PeerError> {
    let fd = fd.as_fd();
    Ok(Peer { credentials: credentials_of(fd)?, pidfd: peer_pidfd(fd)? })
}

/// The supplementary groups of who made the connection, as they were then, written into `buf`; the answer
/// is those that there are.
///
/// The effective group of [`PeerCredentials`] need not be among them. There are at most 65536.
///
/// `fd` is any `AF_UNIX` socket; the socket types have this as a method.
///
/// # Errors
///
/// - [`PeerError::TooSmall`]: there are more than `buf` has room for, and how many. Nothing was written.
/// - [`PeerError::NotConnected`]: there is no peer. A datagram socket has one only if a pair was made.
/// - [`PeerError::Unsupported`]: before Linux 4.13.
/// - [`PeerError::Kernel`]: `EPERM`, if a filter answers so; `ENOTSOCK`.
///
/// # Examples
///
/// ```
/// use afunix::{Gid, UnixStream};
///
/// let (a, _b) = UnixStream::pair()?;
/// let mut buf = [Gid::ROOT; 64]; // what is in it does not count
/// let groups = a.peer_groups(&mut buf)?;
/// let wheel = Gid::from_raw(10);
/// println!("{}", if groups.contains(&wheel) { "wheel" } else { "not wheel" });
/// # Ok::<(), afunix::Errno>(())
/// ```
///
/// `SO_PEERGROUPS`, see [socket(7)](https://man7.org/linux/man-pages/man7/socket.7.html).
#[doc(alias = "SO_PEERGROUPS")]
#[inline]
pub fn peer_groups(fd: impl AsFd, buf: &mut [Gid]) -> Result<&[Gid], PeerError> {
    match sys::groups(fd.as_fd(), buf) {
        Ok(len) => Ok(buf.get(..len).unwrap_or_default()),
        Err(error) => Err(too_small(error, size_of::<Gid>())),
    }
}

/// The security context of who made the connection, such as SELinux's label, written into `buf`, without a
/// NUL at its end. It is bytes, of no certain encoding.
///
/// `fd` is any `AF_UNIX` socket; the socket types have this as a method.
///
/// # Errors
///
/// - [`PeerError::TooSmall`]: it is longer than `buf`, and how long, which may count a NUL. Nothing of it
///   counts that was written.
/// - [`PeerError::Unsupported`]: no security module of this kernel has labels for sockets, or it has none of
///   this peer. Nor is a socket without a peer [`PeerError::NotConnected`]: it is this, or has the label that
///   the module gives to whom it does not know.
/// - [`PeerError::Kernel`]: `EPERM`, `EACCES`, if a filter or the module answers so; `ENOTSOCK`.
///
/// # Examples
///
/// ```
/// use afunix::{PeerError, UnixStream};
///
/// let (a, _b) = UnixStream::pair()?;
/// let mut buf = [0; 256];
/// match a.peer_security_context(&mut buf) {
///     Ok(label) => println!("{}", label.escape_ascii()),
///     Err(PeerError::Unsupported(_)) => println!("no labels here"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok::<(), afunix::Errno>(())
/// ```
///
/// `SO_PEERSEC`, Linux 2.6.2, see [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html).
#[doc(alias = "SO_PEERSEC")]
#[inline]
pub fn peer_security_context(fd: impl AsFd, buf: &mut [u8]) -> Result<&[u8], PeerError> {
    match sys::security_context(fd.as_fd(), buf) {
        Ok(len) => match buf.get(..len).unwrap_or_default() {
            [context @ .., 0] | context => Ok(context),
        },
        Err(error) => Err(too_small(error, 1)),
    }
}

#[cold]
fn too_small(error: ListError, size: usize) -> PeerError {
    match error {
        // `size` is 1 or 4.
        ListError::TooLong(len) => PeerError::TooSmall { needed: len.div_ceil(size.max(1)) },
        ListError::Kernel(errno) => PeerError::of(errno),
    }
}
