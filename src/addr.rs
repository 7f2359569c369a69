//! Addresses: their kinds, looking at them, comparing them. `make` makes them, `text` shows them.

mod make;
mod text;

use core::cmp::Ordering;
use core::ffi::CStr;
use core::fmt;
use core::hash::{Hash, Hasher};

pub use self::text::AddrText;
pub use crate::sys::addr::UnixAddr;
use crate::wire::addr;

/// How many bytes `sun_path` has, and so the longest path: 108.
///
/// A path of exactly 108 bytes leaves no room for its NUL. The kernel takes and gives such paths
/// all the same, and so does this crate; other programs may not.
#[doc(alias = "UNIX_PATH_MAX")]
pub const SUN_PATH_LEN: usize = addr::SUN_PATH_LEN;

/// The longest abstract name, without the NUL in front of it: 107 bytes.
pub const ABSTRACT_NAME_MAX: usize = addr::ABSTRACT_NAME_MAX;

/// The three forms of an address, with the bytes that the first two have. There is no fourth.
///
/// # Examples
///
/// ```
/// use afunix::{AddrKind, UnixAddr};
///
/// let addr = UnixAddr::parse(b"@bus")?;
/// match addr.kind() {
///     AddrKind::Pathname(path) => println!("a file: {}", path.escape_ascii()),
///     AddrKind::Abstract(name) => assert_eq!(name, b"bus"),
///     AddrKind::Unnamed => println!("nobody can connect to it"),
/// }
/// # Ok::<(), afunix::AddrError>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub enum AddrKind<'a> {
    /// A path of 1 to 108 bytes, none of them NUL.
    Pathname(&'a [u8]),
    /// An abstract name of 0 to 107 bytes of any value, without the NUL that marks it.
    Abstract(&'a [u8]),
    /// No name.
    Unnamed,
}

impl fmt::Debug for AddrKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pathname(path) => write!(f, "Pathname(b\"{}\")", path.escape_ascii()),
            Self::Abstract(name) => write!(f, "Abstract(b\"{}\")", name.escape_ascii()),
            Self::Unnamed => f.write_str("Unnamed"),
        }
    }
}

/// # Looking at an address
impl UnixAddr {
    /// Which of the three forms it has, with its bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{AddrKind, UnixAddr};
    ///
    /// assert_eq!(UnixAddr::UNNAMED.kind(), AddrKind::Unnamed);
    /// assert_eq!(UnixAddr::from_abstract_name(b"")?.kind(), AddrKind::Abstract(b""));
    /// # Ok::<(), afunix::AddrError>(())
    /// ```
    #[inline]
    #[must_use]
    pub const fn kind(&self) -> AddrKind<'_> {
        match self.raw() {
            [] | [_] | [_, _] => AddrKind::Unnamed,
            [_, _, 0, name @ ..] => AddrKind::Abstract(name),
            // A path of 108 bytes is given to the kernel without its NUL.
            [_, _, path @ .., 0] | [_, _, path @ ..] => AddrKind::Pathname(path),
        }
    }

    /// The path, if it has one: 1 to 108 bytes, without a NUL.
    ///
    /// It is the very string that was given to `bind`: not resolved, not updated when the file is
    /// renamed, and of use to others only if it is absolute.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixAddr;
    ///
    /// assert_eq!(UnixAddr::from_pathname(b"@file")?.as_pathname(), Some(&b"@file"[..]));
    /// assert_eq!(UnixAddr::from_abstract_name(b"name")?.as_pathname(), None);
    /// # Ok::<(), afunix::AddrError>(())
    /// ```
    #[inline]
    #[must_use]
    pub const fn as_pathname(&self) -> Option<&[u8]> {
        self.path()
    }

    /// The path as a C string, if it has one. Even one of 108 bytes has its NUL here.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixAddr;
    ///
    /// let addr = UnixAddr::from_pathname(b"/run/a")?;
    /// assert_eq!(addr.as_pathname_cstr(), Some(c"/run/a"));
    /// # Ok::<(), afunix::AddrError>(())
    /// ```
    #[must_use]
    pub const fn as_pathname_cstr(&self) -> Option<&CStr> {
        match self.kind() {
            AddrKind::Pathname(_) => match CStr::from_bytes_until_nul(self.sun_path_and_nul()) {
                Ok(path) => Some(path),
                Err(_) => None,
            },
            _ => None,
        }
    }

    /// The abstract name, if it has one: 0 to 107 bytes of any value, without the NUL that marks
    /// it.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixAddr;
    ///
    /// let addr = UnixAddr::from_abstract_name(b"")?;
    /// assert_eq!(addr.as_abstract_name(), Some(&b""[..]));
    /// assert_eq!(UnixAddr::UNNAMED.as_abstract_name(), None);
    /// # Ok::<(), afunix::AddrError>(())
    /// ```
    #[inline]
    #[must_use]
    pub const fn as_abstract_name(&self) -> Option<&[u8]> {
        match self.kind() {
            AddrKind::Abstract(name) => Some(name),
            _ => None,
        }
    }

    /// Whether it is the address of a socket without a name.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixStream;
    ///
    /// let (stream, _peer) = UnixStream::pair()?;
    /// assert!(stream.local_addr()?.is_unnamed());
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[inline]
    #[must_use]
    pub const fn is_unnamed(&self) -> bool {
        matches!(self.kind(), AddrKind::Unnamed)
    }

    /// How many bytes the kernel is given, 2 to 110: `addrlen` of `bind(2)`.
    ///
    /// A pathname counts its NUL where that fits, so 107 and 108 bytes of path both give 110.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixAddr;
    ///
    /// assert_eq!(UnixAddr::UNNAMED.addr_len(), 2);
    /// assert_eq!(UnixAddr::from_abstract_name(b"")?.addr_len(), 3);
    /// assert_eq!(UnixAddr::from_pathname(b"/a")?.addr_len(), 5);
    /// # Ok::<(), afunix::AddrError>(())
    /// ```
    #[doc(alias = "addrlen")]
    #[doc(alias = "socklen_t")]
    #[inline]
    #[must_use]
    pub const fn addr_len(&self) -> usize {
        self.raw_len()
    }

    /// The bytes that the kernel is given, family first, [`addr_len`](Self::addr_len) of them: for
    /// calls of other crates.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixAddr;
    ///
    /// assert_eq!(UnixAddr::from_pathname(b"a")?.as_raw_bytes()[2..], *b"a\0");
    /// assert_eq!(UnixAddr::from_abstract_name(b"a")?.as_raw_bytes()[2..], *b"\0a");
    /// # Ok::<(), afunix::AddrError>(())
    /// ```
    #[inline]
    #[must_use]
    pub const fn as_raw_bytes(&self) -> &[u8] {
        self.raw()
    }
}

impl PartialEq for UnixAddr {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.raw() == other.raw()
    }
}

impl Eq for UnixAddr {}

impl PartialOrd for UnixAddr {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UnixAddr {
    fn cmp(&self, other: &Self) -> Ordering {
        // The families are the same, so what decides is `sun_path`, as far as it is in use.
        self.raw().cmp(other.raw())
    }
}

impl Hash for UnixAddr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.raw().hash(state);
    }
}
