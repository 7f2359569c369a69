//! How large a buffer for control messages must be.

use crate::wire::cmsg::{FDS_MAX, INT_LEN, UCRED_LEN, message_space};

/// Counts the bytes that control messages take, in a constant expression: for the size of an
/// [`AncillaryBuf`](super::AncillaryBuf).
///
/// Each part makes room for one message. The kernel writes credentials before descriptors, and a time
/// (`SO_TIMESTAMP`) before both, so a buffer without room for them, on a socket that is set to receive
/// them, loses the descriptors: count what the socket is set to receive, and what it may be sent.
///
/// The room for an odd number of descriptors has, on 64-bit machines, room for one more, which the
/// kernel will use.
///
/// # Examples
///
/// ```
/// use afunix::{AncillaryBuf, Space};
///
/// const SPACE: usize = Space::new().credentials().rights::<3>().pidfd().bytes();
/// let buf = AncillaryBuf::<SPACE>::new();
/// assert_eq!(buf.capacity(), SPACE);
/// # #[cfg(target_pointer_width = "64")]
/// assert_eq!(SPACE, 32 + 32 + 24);
/// ```
///
/// More than 253 descriptors cannot come in one message, and do not compile:
///
/// ```compile_fail
/// const SPACE: usize = afunix::Space::new().rights::<254>().bytes();
/// ```
///
/// See [cmsg(3)](https://man7.org/linux/man-pages/man3/cmsg.3.html).
#[doc(alias = "CMSG_SPACE")]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[must_use = "it counts, and does nothing else"]
pub struct Space {
    bytes: usize,
}

impl Space {
    /// No room at all.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(afunix::Space::new().bytes(), 0);
    /// ```
    #[inline]
    pub const fn new() -> Self {
        Self { bytes: 0 }
    }

    /// Room for `N` descriptors: 1 to 253; any other number does not compile.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(target_pointer_width = "64")]
    /// assert_eq!(afunix::Space::new().rights::<1>().bytes(), 24);
    /// ```
    #[doc(alias = "SCM_RIGHTS")]
    #[inline]
    pub const fn rights<const N: usize>(self) -> Self {
        const { assert!(1 <= N && N <= FDS_MAX, "a message carries 1 to 253 descriptors") };
        self.payload(N.saturating_mul(INT_LEN))
    }

    /// Room for credentials: what `SO_PASSCRED` asks for.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(target_pointer_width = "64")]
    /// assert_eq!(afunix::Space::new().credentials().bytes(), 32);
    /// ```
    #[doc(alias = "SCM_CREDENTIALS")]
    #[inline]
    pub const fn credentials(self) -> Self {
        self.payload(UCRED_LEN)
    }

    /// Room for a pidfd: what `SO_PASSPIDFD` asks for. Linux 6.5.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(target_pointer_width = "64")]
    /// assert_eq!(afunix::Space::new().pidfd().bytes(), 24);
    /// ```
    #[doc(alias = "SCM_PIDFD")]
    #[inline]
    pub const fn pidfd(self) -> Self {
        self.payload(INT_LEN)
    }

    /// Room for the number of bytes left: what `SO_INQ` asks for. Linux 6.17 for these sockets.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(target_pointer_width = "64")]
    /// assert_eq!(afunix::Space::new().bytes_left().bytes(), 24);
    /// ```
    #[doc(alias = "SCM_INQ")]
    #[inline]
    pub const fn bytes_left(self) -> Self {
        self.payload(INT_LEN)
    }

    /// Room for any other message, whose payload has `len` bytes: a security context, a timestamp.
    ///
    /// # Examples
    ///
    /// ```
    /// // The time of `SO_TIMESTAMP_NEW`: two numbers of 8 bytes.
    /// # #[cfg(target_pointer_width = "64")]
    /// assert_eq!(afunix::Space::new().payload(16).bytes(), 32);
    /// ```
    #[doc(alias = "SCM_SECURITY")]
    #[inline]
    pub const fn payload(self, len: usize) -> Self {
        Self { bytes: self.bytes.saturating_add(message_space(len)) }
    }

    /// How many bytes that is.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(target_pointer_width = "64")]
    /// assert_eq!(afunix::Space::new().rights::<2>().credentials().bytes(), 24 + 32);
    /// ```
    #[inline]
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.bytes
    }
}
