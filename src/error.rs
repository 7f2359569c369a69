//! What can go wrong before the kernel is asked, and with what it answered.
//!
//! A call that only the kernel can fail returns [`Errno`] itself. The types here are for the rest;
//! each holds numbers, prints them, and has an `errno()` so that a program that speaks only errno
//! can pass it on.

mod accept;
mod batch;
mod control;
mod peer;
mod socket_file;

use core::fmt;

pub use accept::AcceptError;
pub use batch::BatchFull;
pub use control::{CapacityError, RecvError, SendError, Truncation};
pub use peer::{PeerError, Refused, Wanted};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::SocketType;
pub use socket_file::{SocketFileError, Step};

/// An address that the caller described cannot exist.
///
/// Nothing was created or changed: an address that was to be filled in place still holds what it
/// held.
///
/// # Examples
///
/// ```
/// use afunix::{AddrError, Errno, UnixAddr};
///
/// let error = UnixAddr::from_pathname(&[b'a'; 112]).unwrap_err();
/// assert_eq!(error, AddrError::PathTooLong { len: 112 });
/// assert_eq!(error.to_string(), "path is 112 bytes, the limit is 108");
/// assert_eq!(error.errno(), Errno::NAMETOOLONG);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum AddrError {
    /// A path of no bytes. To the kernel it would be the abstract name of no bytes.
    EmptyPath,
    /// A path longer than `sun_path`: `len` bytes, where 108 is the limit.
    PathTooLong {
        /// How long the path was, in bytes.
        len: usize,
    },
    /// An abstract name longer than what `sun_path` leaves behind its leading NUL: `len` bytes,
    /// where 107 is the limit.
    NameTooLong {
        /// How long the name was, in bytes, without the leading NUL.
        len: usize,
    },
    /// A NUL inside a path, where the kernel would cut it without a word; or inside a text.
    InteriorNul {
        /// Where the first NUL is, counted from 0.
        position: usize,
        /// How many bytes there were.
        len: usize,
    },
    /// A text of no bytes.
    EmptyText,
    /// The text `@` alone: it names nothing.
    EmptyName,
    /// A text that begins with neither `/` nor `@`.
    NotAbsolute {
        /// The byte it begins with.
        first: u8,
    },
}

impl AddrError {
    /// The errno that says the same: `ENAMETOOLONG` for a length over the limit, else `EINVAL`.
    #[must_use]
    pub const fn errno(self) -> Errno {
        match self {
            Self::PathTooLong { .. } | Self::NameTooLong { .. } => Errno::NAMETOOLONG,
            _ => Errno::INVAL,
        }
    }
}

impl fmt::Display for AddrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::EmptyPath => f.write_str("path is 0 bytes, the least is 1"),
            Self::PathTooLong { len } => write!(f, "path is {len} bytes, the limit is 108"),
            Self::NameTooLong { len } => {
                write!(f, "abstract name is {len} bytes, the limit is 107")
            }
            Self::InteriorNul { position, len } => {
                write!(f, "byte {position} of {len} is NUL, which would cut the address there")
            }
            Self::EmptyText => f.write_str("text is 0 bytes, the least is 2"),
            Self::EmptyName => f.write_str("text is 1 byte, `@` alone, the least is 2"),
            Self::NotAbsolute { first } => {
                write!(f, "text begins with byte {first:#04x}, wanted 0x2f `/` or 0x40 `@`")
            }
        }
    }
}

impl core::error::Error for AddrError {}

/// What came as an address is not one that the kernel gives for `AF_UNIX`.
///
/// # Examples
///
/// ```
/// use afunix::{DecodeError, UnixAddr};
///
/// let [first, second] = 1_u16.to_ne_bytes();
/// let error = UnixAddr::from_raw(&[first, second, b'/'], 9).unwrap_err();
/// assert_eq!(error, DecodeError::Truncated { addr_len: 9, have: 3 });
/// assert_eq!(error.to_string(), "address is 9 bytes, only 3 of them are here");
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The address is of another family.
    Family {
        /// The family it says; `AF_UNIX` is 1.
        found: u16,
    },
    /// No address of the family has this length.
    Length {
        /// The length that was reported, family included.
        addr_len: usize,
    },
    /// The address was cut: the buffer it was copied to was smaller than the address.
    Truncated {
        /// The length that was reported, family included.
        addr_len: usize,
        /// How many bytes there are.
        have: usize,
    },
}

impl DecodeError {
    /// The errno that says the same: `EAFNOSUPPORT`, `EINVAL` and `EOVERFLOW`, in this order.
    #[must_use]
    pub const fn errno(self) -> Errno {
        match self {
            Self::Family { .. } => Errno::AFNOSUPPORT,
            Self::Length { .. } => Errno::INVAL,
            Self::Truncated { .. } => Errno::OVERFLOW,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Family { found } => write!(f, "address family is {found}, AF_UNIX is 1"),
            Self::Length { addr_len } => {
                write!(f, "address length is {addr_len}, ")?;
                f.write_str("the kernel gives 0, 2, 3 to 110, or 111 for a path of 108 bytes")
            }
            Self::Truncated { addr_len, have } => {
                write!(f, "address is {addr_len} bytes, only {have} of them are here")
            }
        }
    }
}

impl core::error::Error for DecodeError {}

/// Why a descriptor is not the kind of socket that it was to become.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum WrongSocket {
    /// The kernel would not say: `ENOTSOCK` for what is no socket, `EPERM` from a seccomp filter.
    Kernel(Errno),
    /// It is a socket of another family.
    Domain {
        /// Its `SO_DOMAIN`; `AF_UNIX` is 1.
        found: i32,
    },
    /// It is a socket of another type.
    Type {
        /// The type it should have: 1 is stream, 2 datagram, 5 seqpacket, as on most machines.
        wanted: i32,
        /// Its `SO_TYPE`.
        found: i32,
    },
    /// It listens, and a socket that carries data was wanted.
    Listening,
    /// It does not listen, and a listener was wanted.
    NotListening,
}

impl WrongSocket {
    /// The errno that says the same: the kernel's own; else `EAFNOSUPPORT`, `EPROTOTYPE`, and
    /// `EINVAL` for the listening state.
    #[must_use]
    pub const fn errno(self) -> Errno {
        match self {
            Self::Kernel(errno) => errno,
            Self::Domain { .. } => Errno::AFNOSUPPORT,
            Self::Type { .. } => Errno::PROTOTYPE,
            Self::Listening | Self::NotListening => Errno::INVAL,
        }
    }
}

impl fmt::Display for WrongSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Kernel(Errno::NOTSOCK) => f.write_str("not a socket"),
            Self::Kernel(Errno::BADF) => f.write_str("not open, or open as a path alone"),
            Self::Kernel(errno) => write!(f, "cannot tell what it is: {errno}"),
            Self::Domain { found } => write!(f, "socket family is {found}, AF_UNIX is 1"),
            Self::Type { wanted, found } => {
                let (wanted_name, found_name) = (type_name(wanted), type_name(found));
                write!(f, "socket type is {found}{found_name}, wanted {wanted}{wanted_name}")
            }
            Self::Listening => f.write_str("socket listens, wanted one that carries data"),
            Self::NotListening => f.write_str("socket does not listen"),
        }
    }
}

impl core::error::Error for WrongSocket {}

/// What a type of socket is called, in parentheses; the numbers differ between architectures.
fn type_name(number: i32) -> &'static str {
    match u32::try_from(number).map(SocketType::from_raw) {
        Ok(SocketType::STREAM) => " (stream)",
        Ok(SocketType::DGRAM) => " (datagram)",
        Ok(SocketType::SEQPACKET) => " (seqpacket)",
        _ => "",
    }
}

/// A descriptor that was not adopted, with the reason. It comes back open and unchanged.
///
/// # Examples
///
/// ```
/// use afunix::{WrongSocket, OwnedFd, UnixDatagram, UnixStream};
///
/// let (stream, _peer) = UnixStream::pair()?;
/// let refused = UnixDatagram::try_from(OwnedFd::from(stream)).unwrap_err();
/// assert!(matches!(refused.reason(), WrongSocket::Type { wanted: 2, found: 1 }));
/// let _stream = UnixStream::try_from(refused.into_fd()).unwrap();
/// # Ok::<(), afunix::Errno>(())
/// ```
#[derive(Debug)]
pub struct AdoptError {
    reason: WrongSocket,
    fd: OwnedFd,
}

impl AdoptError {
    pub(crate) const fn new(reason: WrongSocket, fd: OwnedFd) -> Self {
        Self { reason, fd }
    }

    /// Why it was refused.
    #[must_use]
    pub const fn reason(&self) -> WrongSocket {
        self.reason
    }

    /// The errno of the reason.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        self.reason.errno()
    }

    /// Gives the descriptor back.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }
}

impl fmt::Display for AdoptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl core::error::Error for AdoptError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.reason)
    }
}

/// `listen` failed; the socket comes back as it was.
///
/// # Examples
///
/// ```
/// use afunix::{Errno, UnixStream};
///
/// // A socket without a name cannot listen.
/// let refused = UnixStream::unbound()?.listen(5).unwrap_err();
/// assert_eq!(refused.errno(), Errno::INVAL);
/// let _socket: UnixStream = refused.into_socket();
/// # Ok::<(), Errno>(())
/// ```
#[derive(Debug)]
pub struct ListenError<S> {
    errno: Errno,
    socket: S,
}

impl<S> ListenError<S> {
    pub(crate) const fn new(errno: Errno, socket: S) -> Self {
        Self { errno, socket }
    }

    /// What the kernel said.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        self.errno
    }

    /// Gives the socket back.
    #[must_use]
    pub fn into_socket(self) -> S {
        self.socket
    }
}

impl<S> fmt::Display for ListenError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen: {}", self.errno)
    }
}

impl<S: fmt::Debug> core::error::Error for ListenError<S> {}

/// Loses the numbers, keeps the meaning: for `?` in functions that speak only errno.
macro_rules! impl_into_errno {
    ($($Error:ty $(, $Param:ident)?;)+) => {$(
        impl$(<$Param>)? From<$Error> for Errno {
            #[inline]
            fn from(error: $Error) -> Self {
                error.errno()
            }
        }
    )+};
}

impl_into_errno! {
    AcceptError;
    AddrError;
    DecodeError;
    WrongSocket;
    CapacityError;
    BatchFull;
    SendError;
    RecvError;
    PeerError;
    Refused;
    SocketFileError;
    // The socket is closed with it, as it would be had it not been asked for back.
    ListenError<S>, S;
}
