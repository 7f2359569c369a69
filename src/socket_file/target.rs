//! The file of another: opened, and reached as just that file.

use core::fmt;

use linux_raw_sys::general;
use rustix::fs::{CWD, FileType, OFlags, fcntl_getfl, fstat};

use super::place::kernel;
use super::procfs::through;
use super::text::Text;
use crate::addr::UnixAddr;
use crate::error::{AddrError, SocketFileError, Step};
use crate::socket::{UnixDatagram, UnixSeqpacket, UnixStream};
use crate::sys::fd::{borrow, openat};
use crate::{AsFd, BorrowedFd, Errno, OwnedFd};

const PATH_MAX: usize = general::PATH_MAX as usize;

/// A socket's file that is open, and an address that leads to just that file.
///
/// For two ends. A **path of any length** has an address: `sun_path` has room for 108 bytes, the kernel's
/// paths for 4095. And **what was looked at is what is reached:** between a look at a path and `connect`
/// somebody may put another socket in its place, or another directory; this leads to the inode that was
/// opened, even if it was renamed or removed since. Who may connect is decided then, by write
/// permission on the file; to open it takes search permission on the directories alone.
///
/// The address is `/proc/thread-self/fd/N`, and so takes procfs. It is good in this process, for as long as
/// this lives, and the kernel reports it to nobody.
///
/// # Examples
///
/// Only a server whose file belongs to root is talked to:
///
/// ```no_run
/// use afunix::{AsFd, Errno, FileAddr, UnixStream};
///
/// # fn main() -> Result<(), Errno> {
/// let target = FileAddr::open(b"/run/control")?;
/// if rustix::fs::fstat(target.as_fd())?.st_uid != 0 {
///     return Err(Errno::PERM);
/// }
/// let stream = UnixStream::connect(target.addr())?;
/// # drop(stream);
/// # Ok(())
/// # }
/// ```
///
/// A path that is longer than an address:
///
/// ```
/// use afunix::{FileAddr, SocketFile, UnixDatagram};
///
/// # let folder = std::env::temp_dir().join(format!("afunix-doc-target-{}", std::process::id()));
/// # std::fs::create_dir(&folder).unwrap();
/// # let deep = folder.join("d".repeat(200));
/// # std::fs::create_dir(&deep).unwrap();
/// # let path = deep.join("log");
/// # let path = path.as_os_str().as_encoded_bytes();
/// let (log, _file) = SocketFile::options(path).datagram()?;
/// let target = FileAddr::open(path)?;
/// UnixDatagram::unbound()?.send_to(b"a line", target.addr())?;
/// assert_eq!(log.recv(&mut [0; 16])?.bytes, 6);
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), afunix::Errno>(())
/// ```
///
/// See [open(2)](https://man7.org/linux/man-pages/man2/open.2.html), `O_PATH`; Linux 2.6.39, and 3.6 for
/// `fstat`.
#[doc(alias = "O_PATH")]
pub struct FileAddr {
    file: OwnedFd,
    addr: UnixAddr,
}

impl FileAddr {
    /// Opens the socket's file at this path, following symbolic links as `connect` does.
    ///
    /// # Errors
    ///
    /// - [`TooLong`](SocketFileError::TooLong): more than 4095 bytes.
    /// - [`InteriorNul`](SocketFileError::InteriorNul).
    /// - [`NotASocket`](SocketFileError::NotASocket): what is there.
    /// - [`NoProcfs`](SocketFileError::NoProcfs).
    /// - [`Kernel`](SocketFileError::Kernel): `ENOENT`, also for an empty path; `ENOTDIR`, `ELOOP`,
    ///   `ENAMETOOLONG` for a part of more than 255 bytes; `EACCES` if a directory may not be searched;
    ///   `EMFILE`, `ENFILE`, `ENOMEM`.
    ///
    /// # Examples
    ///
    /// See [`FileAddr`].
    pub fn open(path: &[u8]) -> Result<Self, SocketFileError> {
        Self::open_from(CWD, path)
    }

    /// Opens the socket's file at this path, which is relative to that directory, if it is relative.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); `ENOTDIR` if `dir` is no directory.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{AsFd, FileAddr, SocketFile, UnixStream};
    ///
    /// # let folder = std::env::temp_dir().join(format!("afunix-doc-openat-{}", std::process::id()));
    /// # std::fs::create_dir(&folder).unwrap();
    /// # let rundir = rustix::fs::open(folder.to_str().unwrap(), rustix::fs::OFlags::PATH, rustix::fs::Mode::empty())?;
    /// let (listener, _file) = SocketFile::options(b"control").at(rundir.as_fd()).listener()?;
    /// let target = FileAddr::open_at(rundir.as_fd(), b"control")?;
    /// let client = UnixStream::connect(target.addr())?;
    /// # let _ = (listener, client);
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[doc(alias = "openat")]
    pub fn open_at(dir: BorrowedFd<'_>, path: &[u8]) -> Result<Self, SocketFileError> {
        Self::open_from(dir, path)
    }

    fn open_from(dir: BorrowedFd<'_>, path: &[u8]) -> Result<Self, SocketFileError> {
        let path = Text::<PATH_MAX>::of(path)?;
        let file = openat(dir, path.as_c_str(), general::O_PATH).map_err(kernel(Step::Look))?;
        Self::from_fd(file)
    }

    /// Takes a descriptor that was opened by `O_PATH`, and looked at already.
    ///
    /// # Errors
    ///
    /// [`NotASocket`](SocketFileError::NotASocket), [`NoProcfs`](SocketFileError::NoProcfs); and
    /// `ECONNREFUSED`, in [`Step::Connect`], for the descriptor of a socket, which leads to no file: all
    /// that would connect through it is refused so. The descriptor is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use afunix::FileAddr;
    /// use rustix::fs::{Mode, OFlags, open};
    ///
    /// // A symbolic link at the end is not followed.
    /// let file = open("/run/control", OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    /// let target = FileAddr::from_fd(file)?;
    /// # let _ = target;
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    pub fn from_fd(file: OwnedFd) -> Result<Self, SocketFileError> {
        let stat = fstat(borrow(&file)).map_err(kernel(Step::Look))?;
        let found = FileType::from_raw_mode(stat.st_mode);
        if found != FileType::Socket {
            return Err(SocketFileError::NotASocket { found });
        }
        if !fcntl_getfl(borrow(&file)).map_err(kernel(Step::Look))?.contains(OFlags::PATH) {
            return Err(kernel(Step::Connect)(Errno::CONNREFUSED));
        }
        let addr = through(borrow(&file), None)?.ok_or(SocketFileError::NoProcfs)?;
        Ok(Self { file, addr })
    }

    /// The address: for `connect`, `send_to` and all that takes one, in this process, as long as this
    /// lives. A copy of it that is used later leads to whatever has that descriptor's number then.
    ///
    /// # Examples
    ///
    /// See [`FileAddr`].
    #[must_use]
    pub const fn addr(&self) -> &UnixAddr {
        &self.addr
    }
}

/// The file, opened by `O_PATH`: for `fstat`, before it is connected to.
impl AsFd for FileAddr {
    fn as_fd(&self) -> BorrowedFd<'_> {
        borrow(&self.file)
    }
}

/// Gives the descriptor away.
impl From<FileAddr> for OwnedFd {
    fn from(target: FileAddr) -> Self {
        target.file
    }
}

impl fmt::Debug for FileAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileAddr").field(&self.addr).finish()
    }
}

/// Connects by a path: as it is if it fits an address, else through its file.
fn connect_path<T>(
    path: &[u8],
    connect: impl Fn(&UnixAddr) -> Result<T, Errno>,
) -> Result<T, SocketFileError> {
    match UnixAddr::from_pathname(path) {
        Ok(addr) => connect(&addr).map_err(kernel(Step::Connect)),
        Err(AddrError::PathTooLong { .. }) => {
            let target = FileAddr::open(path)?;
            connect(target.addr()).map_err(kernel(Step::Connect))
        }
        Err(AddrError::InteriorNul { position, .. }) => {
            Err(SocketFileError::InteriorNul { position })
        }
        Err(_) => Err(SocketFileError::NoName),
    }
}

/// Implements it for what is made connected.
macro_rules! impl_connect_path {
    ($Type:ident, $make:ident) => {
        /// # By path
        impl $Type {
            /// Makes a socket and connects it to the one whose file is at this path, of up to 4095 bytes.
            ///
            /// A path of up to 108 bytes is taken as it is; a longer one is opened by [`FileAddr`], which
            /// takes procfs, and is what `peer_addr` knows nothing of: it tells what the peer was bound to.
            ///
            /// # Errors
            ///
            /// As [`connect`](Self::connect), in [`Kernel`](SocketFileError::Kernel); of a long path as
            /// [`FileAddr::open`]; [`NoName`](SocketFileError::NoName) for an empty one.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{SocketFile, ", stringify!($Type), "};")]
            ///
            #[doc = concat!("# let folder = std::env::temp_dir().join(format!(\"afunix-doc-path-", stringify!($make), "-{}\", std::process::id()));")]
            /// # std::fs::create_dir(&folder).unwrap();
            /// # let deep = folder.join("d".repeat(200));
            /// # std::fs::create_dir(&deep).unwrap();
            /// # let path = deep.join("control");
            /// # let path = path.as_os_str().as_encoded_bytes();
            #[doc = concat!("let (listener, file) = SocketFile::options(path).", stringify!($make), "()?;")]
            #[doc = concat!("let client = ", stringify!($Type), "::connect_path(path)?;")]
            /// listener.accept()?;
            /// # let _ = (file, client);
            /// # std::fs::remove_dir_all(&folder).unwrap();
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[doc(alias = "connect")]
            pub fn connect_path(path: &[u8]) -> Result<Self, SocketFileError> {
                connect_path(path, Self::connect)
            }
        }
    };
}

impl_connect_path!(UnixStream, listener);
impl_connect_path!(UnixSeqpacket, seqpacket_listener);

/// # By path
impl UnixDatagram {
    /// Connects to the socket whose file is at this path, of up to 4095 bytes.
    ///
    /// A path of up to 108 bytes is taken as it is; a longer one is opened by [`FileAddr`], which takes
    /// procfs. To send to one without being connected, use its [`addr`](FileAddr::addr).
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), in [`Kernel`](SocketFileError::Kernel); of a long path as
    /// [`FileAddr::open`]; [`NoName`](SocketFileError::NoName) for an empty one.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{SocketFile, UnixDatagram};
    ///
    /// # let folder = std::env::temp_dir().join(format!("afunix-doc-path-datagram-{}", std::process::id()));
    /// # std::fs::create_dir(&folder).unwrap();
    /// # let deep = folder.join("d".repeat(200));
    /// # std::fs::create_dir(&deep).unwrap();
    /// # let path = deep.join("log");
    /// # let path = path.as_os_str().as_encoded_bytes();
    /// let (log, _file) = SocketFile::options(path).datagram()?;
    /// let client = UnixDatagram::unbound()?;
    /// client.connect_path(path)?;
    /// client.send(b"a line")?;
    /// assert_eq!(log.recv(&mut [0; 16])?.bytes, 6);
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[doc(alias = "connect")]
    pub fn connect_path(&self, path: &[u8]) -> Result<(), SocketFileError> {
        connect_path(path, |addr| self.connect(addr))
    }
}
