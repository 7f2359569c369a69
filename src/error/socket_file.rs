//! What can go wrong with a socket's file.

use core::fmt;

use rustix::fs::{FileType, Uid};
use rustix::io::Errno;

/// A socket's file was not made, not removed, or not reached. What was made until then is gone again, if it
/// could be removed: see [`SocketFile`](crate::SocketFile).
///
/// # Examples
///
/// ```
/// use afunix::{Errno, SocketFile, SocketFileError, Step};
///
/// let error = SocketFile::options(b"/nonexistent/socket").listener().unwrap_err();
/// assert_eq!(error.errno(), Errno::NOENT);
/// assert!(matches!(error, SocketFileError::Kernel { step: Step::Directory, .. }));
/// assert!(error.to_string().starts_with("cannot open the directory: "));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SocketFileError {
    /// The kernel refused a step of it.
    #[non_exhaustive]
    Kernel {
        /// What was being done.
        step: Step,
        /// Why it could not be.
        errno: Errno,
    },
    /// The path names no file: it is empty, or ends with `/`, `.` or `..`.
    NoName,
    /// The last part of the path is like `.NAME.afunix`, which is what a file at `NAME` is called for a while
    /// when it is made or removed: the next start there would take it for what was left over.
    ReservedName,
    /// There is a NUL in the path, where the kernel would cut it.
    #[non_exhaustive]
    InteriorNul {
        /// Where the first NUL is, counted from 0.
        position: usize,
    },
    /// The path, or its last part, is longer than the kernel takes.
    #[non_exhaustive]
    TooLong {
        /// How many bytes it has.
        len: usize,
        /// How many it may have: 4095 the path, 255 its last part.
        limit: usize,
    },
    /// The mode has other bits than the nine of `rwxrwxrwx`.
    #[non_exhaustive]
    InvalidMode {
        /// What was asked for.
        mode: u32,
    },
    /// The directory belongs to somebody else, or others may put files there and take ours away. It is
    /// no error for who says that [any directory](crate::SocketFileOptions::any_directory) will do.
    #[non_exhaustive]
    Insecure {
        /// Whose it is.
        uid: Uid,
        /// Its permissions.
        mode: u32,
    },
    /// What has the name is no socket. It is left alone.
    #[non_exhaustive]
    NotASocket {
        /// What it is.
        found: FileType,
    },
    /// A socket has the name: one that is alive, or may be for all that this process can find out. Who was not
    /// to [reclaim](crate::SocketFileOptions::reclaim) it does not ask, and is told the same of a dead one. Who
    /// has it, `peer_credentials` tells of a connection to it.
    InUse,
    /// Somebody else kept the directory locked for longer than was to be waited.
    Locked,
    /// The file's permissions are not those that were asked for, though they were set: a file system has
    /// its own.
    #[non_exhaustive]
    Mode {
        /// What was asked for.
        wanted: u32,
        /// What the file has.
        found: u32,
    },
    /// The path does not lead to the directory any more that was opened and looked at. What was bound
    /// elsewhere is left there: nothing tells that it is ours.
    Moved,
    /// It takes procfs at `/proc`, which is not there, or is that of other processes.
    NoProcfs,
}

/// What was being done with a socket's file.
///
/// # Examples
///
/// See [`SocketFileError`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// Opening the directory, and looking at whose it is.
    Directory,
    /// Locking the directory.
    Lock,
    /// Making the socket.
    Socket,
    /// What the caller does with the socket before it has a name.
    Prepare,
    /// Binding the socket.
    Bind,
    /// Looking at what has the name.
    Look,
    /// Finding out whether the socket there is alive.
    Probe,
    /// Setting owner and group.
    Owner,
    /// Setting the permissions.
    Mode,
    /// Listening.
    Listen,
    /// Giving the file its name.
    Publish,
    /// Removing a file.
    Remove,
    /// Connecting.
    Connect,
}

impl SocketFileError {
    /// The errno that says the same: the kernel's own; `EINVAL` for a path or mode that cannot be,
    /// `ENAMETOOLONG`; `EPERM` for `Insecure` and `Mode`, `ENOTSOCK`, `EADDRINUSE`; `ETIMEDOUT` for
    /// `Locked`; `ESTALE` for `Moved`; `ENOSYS` for `NoProcfs`.
    ///
    /// # Examples
    ///
    /// See [`SocketFileError`].
    #[must_use]
    pub const fn errno(self) -> Errno {
        match self {
            Self::Kernel { errno, .. } => errno,
            Self::NoName
            | Self::ReservedName
            | Self::InteriorNul { .. }
            | Self::InvalidMode { .. } => Errno::INVAL,
            Self::TooLong { .. } => Errno::NAMETOOLONG,
            Self::Insecure { .. } | Self::Mode { .. } => Errno::PERM,
            Self::NotASocket { .. } => Errno::NOTSOCK,
            Self::InUse => Errno::ADDRINUSE,
            Self::Locked => Errno::TIMEDOUT,
            Self::Moved => Errno::STALE,
            Self::NoProcfs => Errno::NOSYS,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "open the directory",
            Self::Lock => "lock the directory",
            Self::Socket => "make a socket",
            Self::Prepare => "prepare the socket",
            Self::Bind => "bind the socket",
            Self::Look => "look at the file",
            Self::Probe => "find out whether the socket is alive",
            Self::Owner => "set owner and group",
            Self::Mode => "set the permissions",
            Self::Listen => "listen",
            Self::Publish => "give the file its name",
            Self::Remove => "remove the file",
            Self::Connect => "connect",
        })
    }
}

impl fmt::Display for SocketFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Kernel { step, errno } => write!(f, "cannot {step}: {errno}"),
            Self::NoName => f.write_str("the path names no file"),
            Self::ReservedName => f.write_str("names like .NAME.afunix are for temporary files"),
            Self::InteriorNul { position } => write!(f, "path has a NUL at byte {position}"),
            Self::TooLong { len, limit } => write!(f, "path is {len} bytes, the limit is {limit}"),
            Self::InvalidMode { mode } => write!(f, "{mode:#o} is no mode of a socket's file"),
            Self::Insecure { uid, mode } => {
                let uid = uid.as_raw();
                write!(
                    f,
                    "the directory is not safe: it belongs to uid {uid} and has mode {mode:04o}"
                )
            }
            Self::NotASocket { found } => {
                write!(f, "what has the name is no socket but a {}", called(found))
            }
            Self::InUse => f.write_str("another socket has the name"),
            Self::Locked => f.write_str("somebody keeps the directory locked"),
            Self::Mode { wanted, found } => {
                write!(f, "the file has mode {found:04o}, wanted was {wanted:04o}")
            }
            Self::Moved => f.write_str("the directory has moved"),
            Self::NoProcfs => f.write_str("there is no procfs of this process at /proc"),
        }
    }
}

const fn called(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "regular file",
        FileType::Directory => "directory",
        FileType::Symlink => "symbolic link",
        FileType::Fifo => "FIFO",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "character device",
        FileType::BlockDevice => "block device",
        FileType::Unknown => "file of another kind",
    }
}

impl core::error::Error for SocketFileError {}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    /// Each variant, with the errno that says the same, and its words.
    const ALL: [(SocketFileError, Errno, &str); 19] = [
        (SocketFileError::NoName, Errno::INVAL, "the path names no file"),
        (
            SocketFileError::ReservedName,
            Errno::INVAL,
            "names like .NAME.afunix are for temporary files",
        ),
        (SocketFileError::InteriorNul { position: 3 }, Errno::INVAL, "path has a NUL at byte 3"),
        (
            SocketFileError::TooLong { len: 300, limit: 255 },
            Errno::NAMETOOLONG,
            "path is 300 bytes, the limit is 255",
        ),
        (
            SocketFileError::InvalidMode { mode: 0o1644 },
            Errno::INVAL,
            "0o1644 is no mode of a socket's file",
        ),
        (
            SocketFileError::Insecure { uid: Uid::from_raw_unchecked(1000), mode: 0o777 },
            Errno::PERM,
            "the directory is not safe: it belongs to uid 1000 and has mode 0777",
        ),
        (
            of(FileType::RegularFile),
            Errno::NOTSOCK,
            "what has the name is no socket but a regular file",
        ),
        (of(FileType::Directory), Errno::NOTSOCK, "what has the name is no socket but a directory"),
        (
            of(FileType::Symlink),
            Errno::NOTSOCK,
            "what has the name is no socket but a symbolic link",
        ),
        (of(FileType::Fifo), Errno::NOTSOCK, "what has the name is no socket but a FIFO"),
        (of(FileType::Socket), Errno::NOTSOCK, "what has the name is no socket but a socket"),
        (
            of(FileType::CharacterDevice),
            Errno::NOTSOCK,
            "what has the name is no socket but a character device",
        ),
        (
            of(FileType::BlockDevice),
            Errno::NOTSOCK,
            "what has the name is no socket but a block device",
        ),
        (
            of(FileType::Unknown),
            Errno::NOTSOCK,
            "what has the name is no socket but a file of another kind",
        ),
        (SocketFileError::InUse, Errno::ADDRINUSE, "another socket has the name"),
        (SocketFileError::Locked, Errno::TIMEDOUT, "somebody keeps the directory locked"),
        (
            SocketFileError::Mode { wanted: 0o660, found: 0o40 },
            Errno::PERM,
            "the file has mode 0040, wanted was 0660",
        ),
        (SocketFileError::Moved, Errno::STALE, "the directory has moved"),
        (SocketFileError::NoProcfs, Errno::NOSYS, "there is no procfs of this process at /proc"),
    ];

    const fn of(found: FileType) -> SocketFileError {
        SocketFileError::NotASocket { found }
    }

    const STEPS: [(Step, &str); 13] = [
        (Step::Directory, "cannot open the directory: "),
        (Step::Lock, "cannot lock the directory: "),
        (Step::Socket, "cannot make a socket: "),
        (Step::Prepare, "cannot prepare the socket: "),
        (Step::Bind, "cannot bind the socket: "),
        (Step::Look, "cannot look at the file: "),
        (Step::Probe, "cannot find out whether the socket is alive: "),
        (Step::Owner, "cannot set owner and group: "),
        (Step::Mode, "cannot set the permissions: "),
        (Step::Listen, "cannot listen: "),
        (Step::Publish, "cannot give the file its name: "),
        (Step::Remove, "cannot remove the file: "),
        (Step::Connect, "cannot connect: "),
    ];

    #[test]
    fn each_error_has_its_errno_and_its_words() {
        for (error, errno, words) in ALL {
            assert_eq!((error.errno(), error.to_string().as_str()), (errno, words));
        }
    }

    #[test]
    fn what_the_kernel_said_is_told_with_the_step_and_has_its_own_errno() {
        for (step, words) in STEPS {
            for errno in [Errno::ACCESS, Errno::NOSPC] {
                let error = SocketFileError::Kernel { step, errno };
                assert_eq!(error.errno(), errno);
                let rest = error.to_string();
                assert_eq!(rest.strip_prefix(words), Some(errno.to_string().as_str()), "{rest}");
                assert!(words.contains(&step.to_string()));
            }
        }
    }
}
