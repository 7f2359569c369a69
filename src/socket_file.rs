//! The life of a socket's file: made with the right permissions, published whole, reclaimed from the
//! dead, removed only if it is ours; and reached however long its path is.
//!
//! [`options`] says how a file is to be made, [`types`] of which sockets, and [`making`] makes it;
//! [`removing`] tells what may be removed and removes it, under the directory's [`lock`]. [`place`] is a
//! name in a directory that was opened once. [`target`] reaches the file of another, and connects by any
//! path. [`procfs`] and [`text`] make the addresses for that.

mod lock;
mod making;
mod options;
mod place;
mod procfs;
mod removing;
mod target;
mod text;
mod types;

use core::fmt;
use core::time::Duration;

use lock::Lock;
pub use options::SocketFileOptions;
use place::Place;
pub use target::FileAddr;

use crate::addr::UnixAddr;
use crate::error::SocketFileError;
use crate::socket::Deadline;
use crate::sys::fd::borrow;
use crate::sys::file::Node;
use crate::{AsFd, BorrowedFd, Errno, OwnedFd};

/// The file by which a bound socket is found: made with the socket, and removed, if it is still that one,
/// by whoever made it.
///
/// [`options`](Self::options) says how, and gives the socket and this. Both can be dropped in any order; the
/// file stays, but for [`remove`](Self::remove) and
/// [`remove_on_drop`](SocketFileOptions::remove_on_drop). A listener that was inherited has a file that
/// somebody else made, and may go on to use: there is no `SocketFile` of one.
///
/// # What it sees to
///
/// - **Permissions** are exact under any umask, and never wider for an instant:
///   [`mode`](SocketFileOptions::mode), [`owner`](SocketFileOptions::owner),
///   [`group`](SocketFileOptions::group).
/// - **The directory** is opened once, and one where others could replace the file is refused:
///   [`any_directory`](SocketFileOptions::any_directory).
/// - **A name that is taken** is an error, unless it is to be [taken over](SocketFileOptions::replace) from
///   a socket, or [reclaimed](SocketFileOptions::reclaim) from one that nobody has any more.
/// - **The path** may be as long as any other: 4095 bytes, with a last part of 255. What does not fit an
///   address is bound through `/proc/thread-self/fd`, and reached by [`FileAddr`] or
///   [`UnixStream::connect_path`](crate::UnixStream::connect_path).
/// - **Nothing else is removed,** whatever others do to the file meanwhile. To that end a file is moved
///   aside before it is removed: from `NAME` to `.NAME.afunix` in the same directory (with a hash where that
///   would be long), where new ones are made, too, that must not be found yet. Such names belong to this
///   crate: others must not have files there, and sockets are not made at one. What is left at one by a
///   process that was killed, the next start removes; or gives it back to whom it was taken from by mistake,
///   a socket only with procfs at `/proc`, without which it cannot be told from what was left.
///   (A socket that somebody who takes no lock renames to the name right after the `bind`, before the first
///   look at it, is taken for the one that was made: nothing tells which is which.)
/// - **What was made is gone again** if a later step fails, but for what cannot be told from another's or
///   removed: where the lock is not had, after [`Moved`](SocketFileError::Moved), or once it belongs to
///   another user in a sticky directory. It is left as a socket that nobody has.
///
/// # Errors
///
/// Of each way to make one, [`SocketFileError`]:
///
/// - [`NoName`](SocketFileError::NoName), [`ReservedName`](SocketFileError::ReservedName),
///   [`InteriorNul`](SocketFileError::InteriorNul), [`TooLong`](SocketFileError::TooLong),
///   [`InvalidMode`](SocketFileError::InvalidMode): what was asked for cannot be.
/// - [`Insecure`](SocketFileError::Insecure): the directory.
/// - [`InUse`](SocketFileError::InUse), [`NotASocket`](SocketFileError::NotASocket): what has the name, which
///   is left alone.
/// - [`Locked`](SocketFileError::Locked): see [`lock_wait`](SocketFileOptions::lock_wait).
/// - [`Moved`](SocketFileError::Moved): somebody renamed a directory of the path meanwhile.
/// - [`Mode`](SocketFileError::Mode): the file system has its own permissions.
/// - [`NoProcfs`](SocketFileError::NoProcfs): a path does not fit an address, by its own last part or by the
///   temporary one where that is needed; or a name is to be reclaimed. Before Linux 6.6 also if there is a
///   mode that the file is not born with: for the umask, an owner or a group.
/// - [`Kernel`](SocketFileError::Kernel): the rest, as the kernel has it. `ENOENT`, `ENOTDIR`, `ELOOP`,
///   `ENAMETOOLONG` and `EACCES` of the directory; `EACCES`, `EROFS` and `ENOSPC` from `bind`; `EPERM` from
///   `chown`; `EPERM` where the directory is sticky and the socket to be replaced or removed, or what was
///   left at the temporary name, belongs to another; `EACCES` for the lock, which takes read permission on
///   the directory; `EINTR` while waiting for that; `EEXIST` or `ENOENT` in
///   [`Publish`](crate::Step::Publish) if others make and remove files at the name each time that it is
///   tried, which is 16 times; `EMFILE`, `ENFILE`, `ENOMEM`.
///
/// # Descriptors
///
/// It keeps two: the directory, and the file itself (both by `O_PATH`), by which the inode stays its own.
///
/// # Examples
///
/// ```
/// use afunix::{SocketFile, UnixStream};
///
/// # let folder = std::env::temp_dir().join(format!("afunix-doc-file-{}", std::process::id()));
/// # std::fs::create_dir(&folder).unwrap();
/// # let path = folder.join("control");
/// # let path = path.as_os_str().as_encoded_bytes();
/// let options = SocketFile::options(path).mode(0o660).reclaim();
/// let (listener, file) = options.listener()?;
/// let client = UnixStream::connect(file.addr().unwrap())?;
/// listener.accept()?;
/// assert!(file.remove()?);
/// # std::fs::remove_dir(&folder).unwrap();
/// # let _ = client;
/// # Ok::<(), afunix::Errno>(())
/// ```
///
/// See [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), "Pathname socket ownership and
/// permissions".
pub struct SocketFile {
    place: Place,
    /// As long as this is open, no other file has its inode.
    file: OwnedFd,
    node: Node,
    lock_wait: Duration,
    remove_on_drop: bool,
}

impl SocketFile {
    /// How to make a socket with a file at this path: at first with the permissions that the umask leaves,
    /// where no file has the name.
    ///
    /// A `std::path::Path` gives its bytes by `path.as_os_str().as_bytes()`, with
    /// `std::os::unix::ffi::OsStrExt`.
    ///
    /// # Examples
    ///
    /// See [`SocketFile`].
    #[doc(alias = "bind")]
    #[inline]
    pub const fn options(path: &[u8]) -> SocketFileOptions<'_> {
        SocketFileOptions::new(path)
    }

    fn new(place: Place, file: OwnedFd, node: Node, options: &SocketFileOptions<'_>) -> Self {
        let (lock_wait, remove_on_drop) = (options.lock_wait, options.remove_on_drop);
        Self { place, file, node, lock_wait, remove_on_drop }
    }

    /// The address by which clients find the socket: its path as it was given, and none if that is longer
    /// than 108 bytes, or relative to [a directory](SocketFileOptions::at).
    ///
    /// The kernel may report another: `local_addr` of the socket, `peer_addr` of its clients, the address that
    /// its messages come from, and `/proc/net/unix` have the temporary name for ever where there was one, and
    /// for long paths one through a descriptor, which mean nothing to others. So a client is not to compare
    /// that address with the one that it knows, nor to send to it.
    ///
    /// # Examples
    ///
    /// See [`SocketFileOptions::publish_ready`].
    #[must_use]
    pub const fn addr(&self) -> Option<&UnixAddr> {
        self.place.addr.as_ref()
    }

    /// The last part of the path: the file's name in its directory.
    ///
    /// # Examples
    ///
    /// See [`SocketFileOptions::at`].
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.place.name().to_bytes()
    }

    /// Whether the name still leads to this socket: nobody has removed the file, renamed it, or put
    /// another in its place.
    ///
    /// # Errors
    ///
    /// [`Kernel`](SocketFileError::Kernel) of the look: `EACCES` if the directory may not be searched any
    /// more.
    ///
    /// # Examples
    ///
    /// See [`SocketFileOptions::replace`].
    #[doc(alias = "stat")]
    pub fn is_in_place(&self) -> Result<bool, SocketFileError> {
        Ok(self.place.look(self.place.name())? == Some(self.node))
    }

    /// Removes the file if it still is the one that was made with the socket; the answer is whether it was.
    /// If not, nothing is removed.
    ///
    /// The lock of the directory is held meanwhile, so that nobody reclaims the name or takes it over
    /// between the look at the file and its removal. Against those who know of no lock the file is
    /// moved aside before the last look, and what it should not have been is put back. (If the directory
    /// cannot have files moved, on a full disk or before Linux 3.15, an instant remains.)
    ///
    /// Clients that are connected stay so, and connections that are pending too. To let none be lost,
    /// remove the file first, then accept what is pending, and close the listener last.
    ///
    /// The rights that it takes are those of now: a daemon that has given up root's since cannot remove a file
    /// in a directory of root's, as `/run`. What stays there the next start
    /// [reclaims](SocketFileOptions::reclaim). A new root or working directory is no hindrance: the directory
    /// is open.
    ///
    /// Such a daemon can do so in a directory of the user that it goes on as; but there root is refused, as
    /// that user could put another file in the place of this one. Let it be that user from the beginning, as
    /// systemd's `User=` and `RuntimeDirectory=` do; or make the socket when the rights have been given up; or
    /// say that [any directory](SocketFileOptions::any_directory) will do.
    ///
    /// # Errors
    ///
    /// [`Locked`](SocketFileError::Locked), see [`lock_wait`](SocketFileOptions::lock_wait);
    /// [`Kernel`](SocketFileError::Kernel): `EACCES` for the lock if the directory may not be read, and for
    /// the removal if it may not be written; `EPERM` if it is sticky and the file another user's; `EROFS`;
    /// `EINTR`, `EMFILE`, `ENFILE`, `ENOMEM` for the lock. The file is still there, and it can be tried again.
    ///
    /// # Examples
    ///
    /// See [`SocketFile`].
    ///
    /// See [unlink(2)](https://man7.org/linux/man-pages/man2/unlink.2.html).
    #[doc(alias = "unlink")]
    pub fn remove(&self) -> Result<bool, SocketFileError> {
        let lock = Lock::taken(&self.place, self.lock_wait)?;
        removing::remove(&self.place, &lock, self.node)
    }

    /// Lets go of the file, which stays, also if it was to be removed on drop.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{SocketFile, UnixAddr, UnixStream};
    ///
    /// # let folder = std::env::temp_dir().join(format!("afunix-doc-keep-{}", std::process::id()));
    /// # std::fs::create_dir(&folder).unwrap();
    /// # let path = folder.join("control");
    /// # let path = path.as_os_str().as_encoded_bytes();
    /// let (listener, file) = SocketFile::options(path).remove_on_drop().listener()?;
    /// file.keep(); // a successor is given the listener
    /// UnixStream::connect(&UnixAddr::from_pathname(path)?)?;
    /// # drop(listener);
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    pub fn keep(mut self) {
        self.remove_on_drop = false;
    }
}

/// The file itself, opened by `O_PATH`: for `fstat`, and for what `AT_EMPTY_PATH` can do.
impl AsFd for SocketFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        borrow(&self.file)
    }
}

impl fmt::Debug for SocketFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketFile")
            .field("name", &format_args!("\"{}\"", self.name().escape_ascii()))
            .field("addr", &self.place.addr)
            .field("remove_on_drop", &self.remove_on_drop)
            .finish_non_exhaustive()
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.remove_on_drop {
            return;
        }
        // There is nobody to tell; so nobody would try again either whom a signal has interrupted.
        let deadline = Deadline::after(self.lock_wait);
        let is_left = || deadline.is_ok_and(|at| at.remaining().is_ok_and(|left| !left.is_zero()));
        while self.remove().is_err_and(|error| error.errno() == Errno::INTR) && is_left() {}
    }
}
