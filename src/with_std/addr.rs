//! Addresses from paths, and from and to std's: the same address, or an error.

use core::fmt;
use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use crate::Errno;
use crate::addr::{AddrKind, UnixAddr};
use crate::error::AddrError;

/// An address that std's `SocketAddr` cannot hold: a path of 108 bytes, where 107 is std's limit.
///
/// # Examples
///
/// ```
/// use std::os::unix::net::SocketAddr;
///
/// use afunix::{Errno, UnixAddr};
///
/// let addr = UnixAddr::from_pathname(&[b'a'; 108])?;
/// let error = SocketAddr::try_from(&addr).unwrap_err();
/// assert_eq!((error.len, error.errno()), (108, Errno::NAMETOOLONG));
/// assert_eq!(error.to_string(), "address has 108 bytes, the limit of std is a path of 107");
/// # Ok::<(), afunix::AddrError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct StdAddrError {
    /// How many bytes the path has.
    pub len: usize,
}

impl StdAddrError {
    /// The errno that says the same: `ENAMETOOLONG`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::unix::net::SocketAddr;
    ///
    /// use afunix::{Errno, UnixAddr};
    ///
    /// let addr = UnixAddr::from_pathname(&[b'a'; 108])?;
    /// assert_eq!(SocketAddr::try_from(&addr).unwrap_err().errno(), Errno::NAMETOOLONG);
    /// # Ok::<(), afunix::AddrError>(())
    /// ```
    #[must_use]
    pub const fn errno(self) -> Errno {
        Errno::NAMETOOLONG
    }
}

impl fmt::Display for StdAddrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address has {} bytes, the limit of std is a path of 107", self.len)
    }
}

impl core::error::Error for StdAddrError {}

impl From<StdAddrError> for Errno {
    #[inline]
    fn from(error: StdAddrError) -> Self {
        error.errno()
    }
}

/// [`UnixAddr::from_pathname`] of a path. With the feature `std`.
///
/// # Examples
///
/// ```
/// use std::path::Path;
///
/// use afunix::UnixAddr;
///
/// let addr = UnixAddr::try_from(Path::new("/run/log.sock"))?;
/// assert_eq!(addr.as_pathname(), Some(&b"/run/log.sock"[..]));
/// # Ok::<(), afunix::AddrError>(())
/// ```
impl TryFrom<&Path> for UnixAddr {
    type Error = AddrError;

    fn try_from(path: &Path) -> Result<Self, AddrError> {
        Self::from_pathname(path.as_os_str().as_bytes())
    }
}

/// The same address: abstract names byte for byte, a path of 108 bytes that the kernel told, or
/// unnamed. With the feature `std`.
///
/// No address of std's is known that is refused. The path of no bytes that std can make is unnamed, to
/// std as well.
///
/// # Examples
///
/// ```
/// use std::os::linux::net::SocketAddrExt;
/// use std::os::unix::net::SocketAddr;
///
/// use afunix::UnixAddr;
///
/// let theirs = SocketAddr::from_abstract_name(b"a\0b")?;
/// assert_eq!(UnixAddr::try_from(&theirs)?, UnixAddr::from_abstract_name(b"a\0b")?);
/// # Ok::<(), std::io::Error>(())
/// ```
impl TryFrom<&SocketAddr> for UnixAddr {
    type Error = AddrError;

    fn try_from(theirs: &SocketAddr) -> Result<Self, AddrError> {
        if let Some(name) = theirs.as_abstract_name() {
            return Self::from_abstract_name(name);
        }
        match theirs.as_pathname() {
            Some(path) => Self::try_from(path),
            None => Ok(Self::UNNAMED),
        }
    }
}

/// As from `&SocketAddr`.
impl TryFrom<SocketAddr> for UnixAddr {
    type Error = AddrError;

    fn try_from(theirs: SocketAddr) -> Result<Self, AddrError> {
        Self::try_from(&theirs)
    }
}

/// The same address, or an error: std cannot be given a path of 108 bytes, though it can be told of
/// one by the kernel. With the feature `std`.
///
/// # Examples
///
/// ```
/// use std::os::unix::net::SocketAddr;
///
/// use afunix::UnixAddr;
///
/// let theirs = SocketAddr::try_from(&UnixAddr::from_pathname(b"/run/a")?)?;
/// assert_eq!(theirs.as_pathname(), Some("/run/a".as_ref()));
/// assert!(SocketAddr::try_from(&UnixAddr::UNNAMED)?.is_unnamed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl TryFrom<&UnixAddr> for SocketAddr {
    type Error = StdAddrError;

    fn try_from(ours: &UnixAddr) -> Result<Self, StdAddrError> {
        let (made, len) = match ours.kind() {
            AddrKind::Pathname(path) => (Self::from_pathname(OsStr::from_bytes(path)), path.len()),
            AddrKind::Abstract(name) => (Self::from_abstract_name(name), name.len()),
            // The only way to an unnamed address of std's that asks no kernel.
            AddrKind::Unnamed => (Self::from_pathname(""), 0),
        };
        match made {
            // Std does not promise to keep each of them exactly, so that it did is looked at.
            Ok(theirs) if UnixAddr::try_from(&theirs) == Ok(*ours) => Ok(theirs),
            _ => Err(StdAddrError { len }),
        }
    }
}

/// As from `&UnixAddr`.
impl TryFrom<UnixAddr> for SocketAddr {
    type Error = StdAddrError;

    fn try_from(ours: UnixAddr) -> Result<Self, StdAddrError> {
        Self::try_from(&ours)
    }
}
