//! Who sent a message: credentials, and a handle to the process.

use core::fmt;

use rustix::fs::{Gid, Uid};
use rustix::process::Pid;

use crate::sys::fd::borrow;
use crate::wire::cmsg::{UCRED_LEN, decode_ucred, encode_ucred};
use crate::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

/// A process, a user and a group, as the kernel attests them.
///
/// With a message they are those of the sender when it sent: the process (not the thread), and its
/// **real** user and group. `SO_PEERCRED` of a connection has the effective ones of when it was made.
/// A privileged sender may have chosen any of the three.
///
/// What the numbers can mean:
///
/// - `pid` is `None` where the kernel says 0: the sender is in a pid namespace that this one does not
///   see, or the message was sent before anybody had asked for credentials. Then nothing is known of
///   the process.
/// - `uid` and `gid` are 65534 (`/proc/sys/kernel/overflowuid`, `overflowgid`) for ids that have no
///   number in this user namespace, for messages from before credentials were asked for, and for the
///   user who really has that number. So 65534 identifies nobody.
/// - 4294967295, which is -1, is the number of nobody at all. It comes from no message; `SO_PEERCRED`
///   has it for a socket without a peer.
///
/// A pid is a number that is used again once its process is gone; [`PidFd`] is not.
///
/// # Examples
///
/// ```
/// use afunix::{Credentials, Gid, Pid, Uid};
///
/// let mine = Credentials { pid: Pid::from_raw(42), uid: Uid::ROOT, gid: Gid::ROOT };
/// assert_eq!(mine.to_string(), "pid 42, uid 0, gid 0");
/// let unknown = Credentials { pid: None, ..mine };
/// assert_eq!(unknown.to_string(), "unknown pid, uid 0, gid 0");
/// ```
///
/// See [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), `SCM_CREDENTIALS`.
#[doc(alias = "ucred")]
#[doc(alias = "SCM_CREDENTIALS")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
// To be made by senders too, so all there is to it is here: `struct ucred` has no fourth field.
#[allow(clippy::exhaustive_structs)]
pub struct Credentials {
    /// The process; `None` if it has no number here.
    pub pid: Option<Pid>,
    /// The user.
    pub uid: Uid,
    /// The group.
    pub gid: Gid,
}

impl Credentials {
    /// Of a `struct ucred`.
    #[inline]
    pub(crate) const fn decode(ucred: [u8; UCRED_LEN]) -> Self {
        let (pid, uid, gid) = decode_ucred(ucred);
        // No process has a number below 0, and rustix's type must not be made of one.
        let pid = if pid > 0 { Pid::from_raw(pid) } else { None };
        Self { pid, uid: Uid::from_raw_unchecked(uid), gid: Gid::from_raw_unchecked(gid) }
    }

    #[inline]
    pub(crate) const fn encode(self) -> [u8; UCRED_LEN] {
        encode_ucred(Pid::as_raw(self.pid), self.uid.as_raw(), self.gid.as_raw())
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "pid {}", pid.as_raw_pid())?,
            None => f.write_str("unknown pid")?,
        }
        write!(f, ", uid {}, gid {}", self.uid.as_raw(), self.gid.as_raw())
    }
}

/// A process, held by a descriptor: unlike a pid it never comes to mean another process.
///
/// It is readable (`POLLIN`) once the process has ended, and stays a handle to it then; signals go
/// through it by rustix's `pidfd_send_signal`. It closes on drop, and is close-on-exec.
///
/// # Examples
///
/// ```
/// use afunix::{AncillaryBuf, IoSliceMut, RecvOptions, Space, UnixStream};
///
/// let (a, b) = UnixStream::pair()?;
/// # if b.set_passpidfd(true).is_err() { return Ok(()); } // an older kernel
/// b.set_passpidfd(true)?;
/// a.write(b"who am I?")?;
///
/// let mut control = AncillaryBuf::<{ Space::new().pidfd().bytes() }>::new();
/// let mut buf = [0; 16];
/// let (_, mut ancillary) =
///     b.recv_with(&mut [IoSliceMut::new(&mut buf)], &mut control, RecvOptions::new())?;
/// let sender = ancillary.take_pidfd()?.expect("a pidfd with each message");
/// # let _ = sender;
/// # Ok::<(), afunix::Errno>(())
/// ```
///
/// Linux 6.5; see [pidfd_open(2)](https://man7.org/linux/man-pages/man2/pidfd_open.2.html).
#[doc(alias = "SCM_PIDFD")]
#[derive(Debug)]
pub struct PidFd {
    fd: OwnedFd,
}

impl PidFd {
    #[inline]
    pub(crate) const fn new(fd: OwnedFd) -> Self {
        Self { fd }
    }
}

impl AsFd for PidFd {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        borrow(&self.fd)
    }
}

impl AsRawFd for PidFd {
    #[inline]
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Gives the descriptor away as a number, which is then yours to close.
impl IntoRawFd for PidFd {
    #[inline]
    fn into_raw_fd(self) -> RawFd {
        self.fd.into_raw_fd()
    }
}

/// Gives the descriptor away; no system call is made.
impl From<PidFd> for OwnedFd {
    #[inline]
    fn from(pidfd: PidFd) -> Self {
        pidfd.fd
    }
}
